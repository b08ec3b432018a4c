//! The lines of a claim lie together in its own row until one of them moves: a row and three places in indexes for each
//! line were two fifths of what a claim wrote on PostgreSQL.
//!
//! `bundle` holds, in the order of their places, `[need, quantity, line on the need before it or null]`; all of them are
//! held until `held_until`. The line at a place has the number 2^40 + 1,024 times the claim's + its place, in a bundle as
//! behind it. `bundled_line` shows such lines, `every_line` all lines there are.
//!
//! It contracts: an older release would miss these lines. That was before the first release.

crate::ddl::step! {
    up: r"
{postgres}ALTER TABLE claim ADD COLUMN bundle JSON;
ALTER TABLE claim ADD COLUMN held_until BIGINT CONSTRAINT ck_claim_bundle
    CHECK ((bundle IS NULL) = (held_until IS NULL));
{sqlite}ALTER TABLE claim ADD COLUMN bundle TEXT;
ALTER TABLE claim ADD COLUMN held_until BIGINT CONSTRAINT ck_claim_bundle
    CHECK ((bundle IS NULL) = (held_until IS NULL) AND json_valid(bundle));
{end}
CREATE INDEX ix_claim_held ON claim (held_until) WHERE held_until IS NOT NULL;

{postgres}CREATE VIEW bundled_line AS
    SELECT 1099511627776 + c.id * 1024 + b.n - 1 AS id, c.id AS claim_id, (b.line ->> 0)::bigint AS need_id,
        (b.line ->> 1)::bigint AS quantity, 0::bigint AS scheduled, 0::bigint AS delivered, 'HELD'::text AS status,
        c.held_until AS expires_at, 1::bigint AS version, (b.line ->> 2)::bigint AS previous_line
    FROM claim c CROSS JOIN LATERAL json_array_elements(c.bundle) WITH ORDINALITY AS b (line, n)
    WHERE c.held_until IS NOT NULL;
{sqlite}CREATE VIEW bundled_line AS
    SELECT 1099511627776 + c.id * 1024 + b.key AS id, c.id AS claim_id, b.value ->> 0 AS need_id,
        b.value ->> 1 AS quantity, 0 AS scheduled, 0 AS delivered, 'HELD' AS status,
        c.held_until AS expires_at, 1 AS version, b.value ->> 2 AS previous_line
    FROM claim c, json_each(c.bundle) AS b WHERE c.held_until IS NOT NULL;
{end}
CREATE VIEW every_line AS
    SELECT id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version, previous_line
        FROM claim_line
    UNION ALL
    SELECT id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version, previous_line
        FROM bundled_line;
",
    down: r"
INSERT INTO claim_line (id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version, previous_line)
    SELECT id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version, previous_line
    FROM bundled_line;
DROP VIEW every_line;
DROP VIEW bundled_line;
DROP INDEX ix_claim_held;
ALTER TABLE claim DROP COLUMN held_until;
ALTER TABLE claim DROP COLUMN bundle;
"
}
