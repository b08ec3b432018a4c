//! Audit entries in packs: what one author did to one topic in one transaction is one row, its
//! leaves one to a line. One row for each entry made the log dearer than the ledger.

crate::ddl::step! {
    up: r"
CREATE TABLE audit_pack (
    id {id pk_audit_pack},
    topic TEXT NOT NULL,
    at BIGINT NOT NULL,
    first_sequence BIGINT CONSTRAINT uq_audit_pack_sequence UNIQUE,
    entries BIGINT NOT NULL CONSTRAINT ck_audit_pack_entries CHECK (entries >= 1),
    leaves TEXT NOT NULL
){strict};

INSERT INTO audit_pack (topic, at, first_sequence, entries, leaves)
    SELECT subject, at, sequence, 1, leaf FROM audit_entry
    ORDER BY CASE WHEN sequence IS NULL THEN 1 ELSE 0 END, sequence, id;

CREATE INDEX ix_audit_pack_topic ON audit_pack (topic, id);
CREATE INDEX ix_audit_pack_pending ON audit_pack (id) WHERE first_sequence IS NULL;
DROP TABLE audit_entry;

{postgres}ALTER TABLE audit_pack ALTER COLUMN leaves SET STORAGE EXTERNAL;

CREATE VIEW audit_entry AS
    SELECT p.id AS pack_id, p.topic, p.at, p.first_sequence + l.n - 1 AS sequence, l.leaf,
        l.leaf::json ->> 'subject' AS subject, (l.leaf::json ->> 'version')::bigint AS version,
        l.leaf::json ->> 'actor' AS actor, l.leaf::json ->> 'action' AS action
    FROM audit_pack p CROSS JOIN LATERAL unnest(string_to_array(p.leaves, E'\n')) WITH ORDINALITY AS l (leaf, n);
{sqlite}CREATE VIEW audit_entry AS
    SELECT p.id AS pack_id, p.topic, p.at, p.first_sequence + l.key AS sequence, l.value AS leaf,
        l.value ->> 'subject' AS subject, l.value ->> 'version' AS version,
        l.value ->> 'actor' AS actor, l.value ->> 'action' AS action
    FROM audit_pack p, json_each('[' || replace(p.leaves, char(10), ',') || ']') AS l;
{end}",
    down: r"
CREATE TABLE audit_entry_again (
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

INSERT INTO audit_entry_again (subject, version, at, actor, action, leaf, sequence)
    SELECT subject, version, at, actor, action, leaf, sequence FROM audit_entry
    ORDER BY CASE WHEN sequence IS NULL THEN 1 ELSE 0 END, sequence, pack_id;

DROP VIEW audit_entry;
DROP TABLE audit_pack;
ALTER TABLE audit_entry_again RENAME TO audit_entry;
CREATE INDEX ix_audit_entry_pending ON audit_entry (id) WHERE sequence IS NULL;
"
}
