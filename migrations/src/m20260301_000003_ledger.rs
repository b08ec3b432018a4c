//! Needs, offers, claims and their lines: the tables whose quantities must add up.
//!
//! The constraints repeat the ledger's rules, so that a wrong rule fails loudly instead of
//! corrupting a count.

crate::ddl::step! {
    up: r"
CREATE TABLE need (
    id {id pk_need},
    area_id BIGINT NOT NULL CONSTRAINT fk_need_area REFERENCES area (id),
    program_id BIGINT NOT NULL CONSTRAINT fk_need_program REFERENCES program (id),
    item_id BIGINT NOT NULL CONSTRAINT fk_need_item REFERENCES item (id),
    period_start TEXT NOT NULL,
    period_end TEXT NOT NULL,
    required BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    severity BIGINT NOT NULL CONSTRAINT ck_need_severity CHECK (severity BETWEEN 1 AND 5),
    status TEXT NOT NULL CONSTRAINT ck_need_status CHECK (status IN ('REPORTED', 'VERIFIED', 'CLOSED')),
    reported_by BIGINT CONSTRAINT fk_need_reporter REFERENCES app_user (id),
    external_id TEXT CONSTRAINT uq_need_external UNIQUE,
    closed_reason TEXT,
    version BIGINT NOT NULL,
    CONSTRAINT ck_need_counters CHECK (reserved >= 0 AND delivered >= 0 AND reserved + delivered <= required),
    CONSTRAINT ck_need_required CHECK (required <= 9007199254740991),
    CONSTRAINT ck_need_period CHECK (period_start <= period_end)
){strict};

CREATE INDEX ix_need_area ON need (area_id);

CREATE TABLE offer (
    id {id pk_offer},
    organization_id BIGINT NOT NULL CONSTRAINT fk_offer_organization REFERENCES organization (id),
    item_id BIGINT NOT NULL CONSTRAINT fk_offer_item REFERENCES item (id),
    quantity BIGINT NOT NULL CONSTRAINT ck_offer_quantity CHECK (quantity BETWEEN 1 AND 9007199254740991),
    claimed BIGINT NOT NULL,
    available_from TEXT,
    available_until TEXT,
    lon DOUBLE PRECISION,
    lat DOUBLE PRECISION,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT ck_offer_claimed CHECK (claimed >= 0 AND claimed <= quantity),
    CONSTRAINT ck_offer_available CHECK (available_from <= available_until)
){strict};

CREATE INDEX ix_offer_organization ON offer (organization_id);

CREATE TABLE claim (
    id {id pk_claim},
    organization_id BIGINT NOT NULL CONSTRAINT fk_claim_organization REFERENCES organization (id),
    executor_id BIGINT NOT NULL CONSTRAINT fk_claim_executor REFERENCES organization (id),
    offer_id BIGINT CONSTRAINT fk_claim_offer REFERENCES offer (id),
    opening BIGINT NOT NULL CONSTRAINT ck_claim_opening CHECK (opening IN (0, 1)),
    created_at BIGINT NOT NULL,
    created_by BIGINT CONSTRAINT fk_claim_creator REFERENCES app_user (id),
    renewals BIGINT NOT NULL CONSTRAINT ck_claim_renewals CHECK (renewals >= 0),
    release_reason TEXT,
    version BIGINT NOT NULL
){strict};

CREATE INDEX ix_claim_organization ON claim (organization_id);
CREATE INDEX ix_claim_executor ON claim (executor_id);
CREATE INDEX ix_claim_offer ON claim (offer_id);

CREATE TABLE claim_line (
    id {id pk_claim_line},
    claim_id BIGINT NOT NULL CONSTRAINT fk_claim_line_claim REFERENCES claim (id),
    need_id BIGINT NOT NULL CONSTRAINT fk_claim_line_need REFERENCES need (id),
    quantity BIGINT NOT NULL,
    scheduled BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    status TEXT NOT NULL CONSTRAINT ck_claim_line_status
        CHECK (status IN ('HELD', 'CONFIRMED', 'FULFILLED', 'RELEASED', 'EXPIRED')),
    expires_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT uq_claim_line_need UNIQUE (claim_id, need_id),
    CONSTRAINT ck_claim_line_quantity CHECK (quantity BETWEEN 1 AND 9007199254740991),
    CONSTRAINT ck_claim_line_delivered CHECK (scheduled >= 0 AND delivered >= 0 AND scheduled + delivered <= quantity),
    CONSTRAINT ck_claim_line_hold CHECK ((status = 'HELD') = (expires_at IS NOT NULL)),
    CONSTRAINT ck_claim_line_fulfilled CHECK (status <> 'FULFILLED' OR delivered = quantity),
    CONSTRAINT ck_claim_line_scheduled CHECK (scheduled = 0 OR status = 'CONFIRMED')
){strict};

CREATE INDEX ix_claim_line_need ON claim_line (need_id);
CREATE INDEX ix_claim_line_due ON claim_line (expires_at) WHERE status = 'HELD';

CREATE TABLE idempotency (
    scope TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    outcome TEXT,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_idempotency PRIMARY KEY (scope, operation, key)
){strict};
",
    down: r"
DROP TABLE idempotency;
DROP TABLE claim_line;
DROP TABLE claim;
DROP TABLE offer;
DROP TABLE need;
"
}
