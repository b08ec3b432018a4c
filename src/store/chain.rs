//! How the lines on a need are found: the need's row names the newest, each line's row the one before it.
//!
//! No index knows lines by their need. It would touch a place of its own for each line of a claim, which on SQLite
//! was more than all else that a claim writes; and nearly all who ask want every line of the needs of an area. A chain
//! grows at its end alone, under the need's lock, and no line ever leaves it.

use super::bundle::{FIRST, PLACES};
use super::rows::LINE_COLUMNS;

/// The condition that a need `n` lies in the area of the code `$1` or below it, whose codes are like `$2`.
pub(super) const IN_AREA: &str = "n.area_id IN (SELECT a.id FROM area a WHERE a.code = $1 OR a.code LIKE $2)";

/// All lines on the needs `n` of which `condition` is true, as a query with the columns of [`LINE_COLUMNS`]. A circle,
/// which only a hand in the database can make, ends where it closes.
pub(super) fn lines_of_needs(condition: &str) -> String {
    let (newest, before) = (found_at("n.last_line"), found_at("p.previous_line"));
    format!(
        "WITH RECURSIVE chain ({LINE_COLUMNS}, previous_line) AS (
             SELECT {} FROM need n {} WHERE ({condition}) AND {}
             UNION SELECT {} FROM chain p {} WHERE {})
         SELECT {LINE_COLUMNS} FROM chain",
        newest.columns, newest.joins, newest.found, before.columns, before.joins, before.found
    )
}

/// How the line of a number is read, wherever it lies.
struct Found {
    columns: String,
    joins: String,
    found: String,
}

/// The line whose number is `at`: a row of its own, or else what lies at its place in its claim's bundle.
fn found_at(at: &str) -> Found {
    let held = format!("b.bundle -> CAST(({at} - {FIRST}) % {PLACES} AS INT)");
    let either = |column: &str, bundled: &str| format!("CASE WHEN l.id IS NULL THEN {bundled} ELSE l.{column} END");
    let columns = [
        at.to_owned(),
        either("claim_id", "b.id"),
        either("need_id", &format!("CAST({held} ->> 0 AS BIGINT)")),
        either("quantity", &format!("CAST({held} ->> 1 AS BIGINT)")),
        either("scheduled", "0"),
        either("delivered", "0"),
        either("status", "'HELD'"),
        either("expires_at", "b.held_until"),
        either("version", "1"),
        either("previous_line", &format!("CAST({held} ->> 2 AS BIGINT)")),
    ];
    Found {
        columns: columns.join(", "),
        joins: format!(
            "LEFT JOIN claim_line l ON l.id = {at}
             LEFT JOIN claim b ON l.id IS NULL AND {at} >= {FIRST} AND b.id = ({at} - {FIRST}) / {PLACES}"
        ),
        found: format!("(l.id IS NOT NULL OR {held} IS NOT NULL)"),
    }
}

/// The needs whose lines are not exactly those of their chain. From its newest line every line of a need must be
/// reached, and there must be no link more than that takes: so none leads elsewhere.
pub(super) fn needs_off_their_chain() -> String {
    format!(
        "SELECT n.id FROM need n
         LEFT JOIN (SELECT need_id, count(*) AS lines, count(previous_line) AS links FROM every_line GROUP BY need_id) l
             ON l.need_id = n.id
         LEFT JOIN (SELECT need_id, count(*) AS lines FROM ({}) AS c GROUP BY need_id) r ON r.need_id = n.id
         WHERE COALESCE(l.lines, 0) <> COALESCE(r.lines, 0) OR COALESCE(l.lines - l.links, 1) <> 1
             OR (l.lines IS NULL AND n.last_line IS NOT NULL)
         ORDER BY n.id LIMIT 1000",
        lines_of_needs("1 = 1")
    )
}
