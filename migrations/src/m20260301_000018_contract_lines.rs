//! Each need names the newest line on it, and each line the one before: an index of lines by need was most of what a
//! claim wrote on SQLite, one random page for each of its lines.
//!
//! It contracts: an older release would make lines that are on no chain. That was before the first release.

crate::ddl::step! {
    up: r"
ALTER TABLE need ADD COLUMN last_line BIGINT;
ALTER TABLE claim_line ADD COLUMN previous_line BIGINT;

UPDATE claim_line SET previous_line = b.before FROM
    (SELECT id, lag(id) OVER (PARTITION BY need_id ORDER BY id) AS before FROM claim_line) AS b
    WHERE b.id = claim_line.id AND b.before IS NOT NULL;

UPDATE need SET last_line = l.last FROM (SELECT need_id, max(id) AS last FROM claim_line GROUP BY need_id) AS l
    WHERE l.need_id = need.id;

DROP INDEX ix_claim_line_need;
",
    down: r"
CREATE INDEX ix_claim_line_need ON claim_line (need_id);
ALTER TABLE claim_line DROP COLUMN previous_line;
ALTER TABLE need DROP COLUMN last_line;
"
}
