//! Aid given outside the program, the rules on what may be combined, and the findings.

crate::ddl::step! {
    up: r"
CREATE TABLE distribution (
    id {id pk_distribution},
    external_id TEXT NOT NULL,
    source TEXT NOT NULL,
    organization_id BIGINT NOT NULL CONSTRAINT fk_distribution_organization REFERENCES organization (id),
    area_id BIGINT NOT NULL CONSTRAINT fk_distribution_area REFERENCES area (id),
    item_id BIGINT NOT NULL CONSTRAINT fk_distribution_item REFERENCES item (id),
    quantity BIGINT NOT NULL CONSTRAINT ck_distribution_quantity CHECK (quantity BETWEEN 1 AND 9007199254740991),
    period_start TEXT NOT NULL,
    period_end TEXT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT uq_distribution_external UNIQUE (source, external_id),
    CONSTRAINT ck_distribution_period CHECK (period_start <= period_end)
){strict};

CREATE INDEX ix_distribution_area ON distribution (area_id);

CREATE TABLE overlap_rule (
    id {id pk_overlap_rule},
    body TEXT NOT NULL CONSTRAINT uq_overlap_rule_body UNIQUE
){strict};

CREATE TABLE overlap (
    id {id pk_overlap},
    key TEXT NOT NULL CONSTRAINT uq_overlap_key UNIQUE,
    area_id BIGINT NOT NULL CONSTRAINT fk_overlap_area REFERENCES area (id),
    kind TEXT NOT NULL CONSTRAINT ck_overlap_kind
        CHECK (kind IN ('OVER_SERVED', 'SAME_AREA_SAME_ITEM', 'EXCLUSIVE_PROGRAMS')),
    status TEXT NOT NULL CONSTRAINT ck_overlap_status CHECK (status IN ('SUSPECTED', 'PERMITTED', 'CONFIRMED')),
    item_id BIGINT CONSTRAINT fk_overlap_item REFERENCES item (id),
    quantity BIGINT,
    excess BIGINT,
    period_start TEXT NOT NULL,
    period_end TEXT NOT NULL,
    finding TEXT NOT NULL,
    note TEXT,
    note_salt BYTEA,
    withdrawn BIGINT NOT NULL CONSTRAINT ck_overlap_withdrawn CHECK (withdrawn IN (0, 1)),
    resolved_by BIGINT CONSTRAINT fk_overlap_resolver REFERENCES app_user (id),
    version BIGINT NOT NULL
){strict};

CREATE INDEX ix_overlap_area ON overlap (area_id);
",
    down: r"
DROP TABLE overlap;
DROP TABLE overlap_rule;
DROP TABLE distribution;
"
}
