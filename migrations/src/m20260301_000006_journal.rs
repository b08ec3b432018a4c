//! What followers read (`change_log`), what auditors read (`audit_entry`, `audit_head`), and
//! the clock that never runs backwards.

crate::ddl::step! {
    up: r"
CREATE TABLE change_log (
    id {id pk_change_log},
    {xid}
    need_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL
){strict};

{xid_index change_log}CREATE TABLE audit_entry (
    id {id pk_audit_entry},
    {xid}
    subject TEXT NOT NULL,
    version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    leaf TEXT NOT NULL,
    sequence BIGINT CONSTRAINT uq_audit_entry_sequence UNIQUE,
    CONSTRAINT uq_audit_entry_version UNIQUE (subject, version)
){strict};

CREATE INDEX ix_audit_entry_pending ON audit_entry (id) WHERE sequence IS NULL;

CREATE TABLE audit_tree (
    id BIGINT NOT NULL CONSTRAINT pk_audit_tree PRIMARY KEY CONSTRAINT ck_audit_tree_one CHECK (id = 1),
    size BIGINT NOT NULL,
    frontier BYTEA NOT NULL
){strict};

CREATE TABLE audit_head (
    size BIGINT NOT NULL CONSTRAINT pk_audit_head PRIMARY KEY,
    root BYTEA NOT NULL,
    at BIGINT NOT NULL,
    signature TEXT NOT NULL
){strict};

CREATE TABLE clock (
    id BIGINT NOT NULL CONSTRAINT pk_clock PRIMARY KEY CONSTRAINT ck_clock_one CHECK (id = 1),
    latest BIGINT NOT NULL
){strict};

INSERT INTO clock (id, latest) VALUES (1, 0);
INSERT INTO audit_tree (id, size, frontier) VALUES (1, 0, CAST('' AS BYTEA));
",
    down: r"
DROP TABLE clock;
DROP TABLE audit_head;
DROP TABLE audit_tree;
DROP TABLE audit_entry;
DROP TABLE change_log;
"
}
