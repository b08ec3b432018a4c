//! Deliveries, their lines and their history.

crate::ddl::step! {
    up: r"
CREATE TABLE delivery (
    id {id pk_delivery},
    claim_id BIGINT NOT NULL CONSTRAINT fk_delivery_claim REFERENCES claim (id),
    status TEXT NOT NULL CONSTRAINT ck_delivery_status
        CHECK (status IN ('SCHEDULED', 'IN_TRANSIT', 'DELIVERED', 'ACKNOWLEDGED', 'DISPUTED', 'CANCELLED')),
    scheduled_for TEXT,
    version BIGINT NOT NULL
){strict};

CREATE INDEX ix_delivery_claim ON delivery (claim_id);

CREATE TABLE delivery_line (
    delivery_id BIGINT NOT NULL CONSTRAINT fk_delivery_line_delivery REFERENCES delivery (id),
    claim_line_id BIGINT NOT NULL CONSTRAINT fk_delivery_line_line REFERENCES claim_line (id),
    quantity BIGINT NOT NULL CONSTRAINT ck_delivery_line_quantity CHECK (quantity > 0),
    accepted BIGINT,
    rejected BIGINT,
    note TEXT,
    CONSTRAINT pk_delivery_line PRIMARY KEY (delivery_id, claim_line_id),
    CONSTRAINT ck_delivery_line_answer CHECK (
        (accepted IS NULL) = (rejected IS NULL)
        AND (accepted IS NULL OR (accepted >= 0 AND rejected >= 0 AND accepted + rejected = quantity)))
){strict};

CREATE INDEX ix_delivery_line_line ON delivery_line (claim_line_id);

CREATE TABLE delivery_event (
    id {id pk_delivery_event},
    delivery_id BIGINT NOT NULL CONSTRAINT fk_delivery_event_delivery REFERENCES delivery (id),
    status TEXT NOT NULL,
    at BIGINT NOT NULL,
    user_id BIGINT CONSTRAINT fk_delivery_event_user REFERENCES app_user (id),
    note TEXT
){strict};

CREATE INDEX ix_delivery_event_delivery ON delivery_event (delivery_id);
",
    down: r"
DROP TABLE delivery_event;
DROP TABLE delivery_line;
DROP TABLE delivery;
"
}
