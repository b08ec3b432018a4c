//! Messages to people, written with what they tell of and sent after it is committed.
//!
//! `at` is when a waiting message is tried next, and else when it was sent or given up. Where one has
//! been sent, its parameters are gone: they may hold a link that opens an account.

crate::ddl::step! {
    up: r"
CREATE TABLE outbox (
    id {id pk_outbox},
    recipient TEXT NOT NULL,
    kind TEXT NOT NULL,
    parameters TEXT,
    state TEXT NOT NULL CONSTRAINT ck_outbox_state CHECK (state IN ('WAITING', 'SENT', 'GIVEN_UP')),
    created_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0 CONSTRAINT ck_outbox_attempts CHECK (attempts >= 0),
    at BIGINT NOT NULL,
    CONSTRAINT ck_outbox_parameters CHECK ((state = 'SENT') = (parameters IS NULL))
){strict};

CREATE INDEX ix_outbox_waiting ON outbox (at) WHERE state = 'WAITING';
",
    down: r"
DROP TABLE outbox;
"
}
