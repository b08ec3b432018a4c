//! Each need names the newest line on it, and each line the one before: an index of lines by need was most of what a
//! claim wrote on SQLite, one random page for each of its lines. And claims are found by who carries them out, or by their
//! offer, where that is not who makes them, or there is one.
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

DROP INDEX ix_claim_executor;
CREATE INDEX ix_claim_executor ON claim (executor_id) WHERE executor_id <> organization_id;
DROP INDEX ix_claim_offer;
CREATE INDEX ix_claim_offer ON claim (offer_id) WHERE offer_id IS NOT NULL;
",
    down: r"
DROP INDEX ix_claim_offer;
CREATE INDEX ix_claim_offer ON claim (offer_id);
DROP INDEX ix_claim_executor;
CREATE INDEX ix_claim_executor ON claim (executor_id);
CREATE INDEX ix_claim_line_need ON claim_line (need_id);
ALTER TABLE claim_line DROP COLUMN previous_line;
ALTER TABLE need DROP COLUMN last_line;
"
}
