//! The books: what must hold in the database after every test, asked over a connection of our
//! own, in SQL that shares nothing with the program's.

use std::time::Duration;

use salur::store::Store;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, QueryResult, Statement};

use super::database::{Kind, TestDatabase};
use super::process::within;
use super::world::World;

/// Each counts the rows that break it.
const BROKEN: &[(&str, &str)] = &[
    (
        "a need's counters are within what is required",
        "SELECT count(*) AS n FROM need WHERE reserved < 0 OR delivered < 0 OR reserved + delivered > required",
    ),
    (
        "a need's reserve is the sum over its living lines",
        "SELECT count(*) AS n FROM need d LEFT JOIN (SELECT need_id, SUM(quantity - delivered) AS held FROM all_line
         WHERE status IN ('HELD', 'CONFIRMED') GROUP BY need_id) l ON l.need_id = d.id
         WHERE d.reserved <> COALESCE(l.held, 0)",
    ),
    (
        "what a need was delivered is the sum over all its lines",
        "SELECT count(*) AS n FROM need d LEFT JOIN (SELECT need_id, SUM(delivered) AS given FROM all_line
         GROUP BY need_id) l ON l.need_id = d.id WHERE d.delivered <> COALESCE(l.given, 0)",
    ),
    (
        "every line is found from its need, link by link, and no link leads elsewhere",
        "WITH RECURSIVE found (id, need_id) AS (
             SELECT l.id, l.need_id FROM need d JOIN all_line l ON l.id = d.last_line AND l.need_id = d.id
             UNION SELECT p.id, p.need_id FROM found f JOIN all_line l ON l.id = f.id
                 JOIN all_line p ON p.id = l.previous_line AND p.need_id = f.need_id)
         SELECT (SELECT count(*) FROM all_line) - (SELECT count(*) FROM found)
             + abs((SELECT count(previous_line) FROM all_line) + (SELECT count(last_line) FROM need)
                   - (SELECT count(*) FROM all_line)) AS n",
    ),
    (
        "an offer's claimed quantity is the sum over its lines",
        "SELECT count(*) AS n FROM offer o WHERE o.claimed > o.quantity OR o.claimed <> COALESCE((
         SELECT CAST(SUM(CASE WHEN l.status IN ('RELEASED', 'EXPIRED') THEN l.delivered ELSE l.quantity END) AS BIGINT)
         FROM claim c JOIN all_line l ON l.claim_id = c.id WHERE c.offer_id = o.id), 0)",
    ),
    (
        "a line's scheduled quantity is the sum over its open trips",
        "SELECT count(*) AS n FROM all_line l WHERE l.scheduled <> COALESCE((SELECT CAST(SUM(d.quantity) AS BIGINT)
         FROM delivery_line d JOIN delivery t ON t.id = d.delivery_id
         WHERE d.claim_line_id = l.id AND t.status IN ('SCHEDULED', 'IN_TRANSIT')), 0)",
    ),
    (
        "what a line delivered is what its trips handed over, less what was rejected",
        "SELECT count(*) AS n FROM all_line l JOIN claim c ON c.id = l.claim_id WHERE c.opening = 0 AND
         l.delivered <> COALESCE((SELECT CAST(SUM(d.quantity - COALESCE(d.rejected, 0)) AS BIGINT)
         FROM delivery_line d JOIN delivery t ON t.id = d.delivery_id
         WHERE d.claim_line_id = l.id AND t.status IN ('DELIVERED', 'ACKNOWLEDGED', 'DISPUTED')), 0)",
    ),
    (
        "a line is fulfilled exactly when it is delivered in full, unless it was released",
        "SELECT count(*) AS n FROM all_line WHERE (status = 'FULFILLED') <> (delivered = quantity)
         AND status NOT IN ('RELEASED', 'EXPIRED')",
    ),
    (
        "a trip is settled exactly when every line has its answer",
        "SELECT count(*) AS n FROM delivery t WHERE (t.status IN ('ACKNOWLEDGED', 'DISPUTED')) <> NOT EXISTS
         (SELECT 1 FROM delivery_line d WHERE d.delivery_id = t.id AND d.accepted IS NULL)",
    ),
    ("every used key has its outcome", "SELECT count(*) AS n FROM idempotency WHERE outcome IS NULL"),
    (
        "every claim has a line, or nothing of it was committed",
        "SELECT count(*) AS n FROM claim c WHERE NOT EXISTS (SELECT 1 FROM all_line l WHERE l.claim_id = c.id)",
    ),
    (
        "every version of a need has one audit entry",
        "SELECT count(*) AS n FROM need d LEFT JOIN (SELECT subject, count(*) AS entries, count(DISTINCT version) AS
         versions, max(version) AS latest FROM audit_entry GROUP BY subject) a ON a.subject = 'need-' || d.id
         WHERE COALESCE(a.entries, 0) <> d.version OR a.versions <> d.version OR a.latest <> d.version",
    ),
    (
        "every need is told to followers, at most once for each of its versions",
        "SELECT count(*) AS n FROM need d LEFT JOIN (SELECT need_id, count(*) AS told FROM ({told}) t GROUP BY need_id) g
         ON g.need_id = d.id WHERE COALESCE(g.told, 0) NOT BETWEEN 1 AND d.version",
    ),
    (
        "every version of a line has one audit entry",
        "SELECT count(*) AS n FROM all_line d LEFT JOIN (SELECT subject, count(*) AS entries, count(DISTINCT version) AS
         versions, max(version) AS latest FROM audit_entry GROUP BY subject) a ON a.subject = 'line-' || d.id
         WHERE COALESCE(a.entries, 0) <> d.version OR a.versions <> d.version OR a.latest <> d.version",
    ),
    (
        "every version of a claim has one audit entry",
        "SELECT count(*) AS n FROM claim d LEFT JOIN (SELECT subject, count(*) AS entries, count(DISTINCT version) AS
         versions, max(version) AS latest FROM audit_entry GROUP BY subject) a ON a.subject = 'claim-' || d.id
         WHERE COALESCE(a.entries, 0) <> d.version OR a.versions <> d.version OR a.latest <> d.version",
    ),
    (
        "every version of an offer has one audit entry",
        "SELECT count(*) AS n FROM offer d LEFT JOIN (SELECT subject, count(*) AS entries, count(DISTINCT version) AS
         versions, max(version) AS latest FROM audit_entry GROUP BY subject) a ON a.subject = 'offer-' || d.id
         WHERE COALESCE(a.entries, 0) <> d.version OR a.versions <> d.version OR a.latest <> d.version",
    ),
    (
        "every version of a delivery has one audit entry and one event",
        "SELECT count(*) AS n FROM delivery d LEFT JOIN (SELECT subject, count(*) AS entries, count(DISTINCT version) AS
         versions, max(version) AS latest FROM audit_entry GROUP BY subject) a ON a.subject = 'delivery-' || d.id
         WHERE COALESCE(a.entries, 0) <> d.version OR a.versions <> d.version OR a.latest <> d.version
         OR d.version <> (SELECT count(*) FROM delivery_event e WHERE e.delivery_id = d.id)",
    ),
    (
        "there are no audit entries but those",
        "SELECT (SELECT count(*) FROM audit_entry WHERE subject LIKE 'need-%') - (SELECT COALESCE(CAST(SUM(version) AS BIGINT), 0) FROM need)
         + abs((SELECT count(*) FROM audit_entry WHERE subject LIKE 'line-%') - (SELECT COALESCE(CAST(SUM(version) AS BIGINT), 0) FROM all_line))
         + abs((SELECT count(*) FROM audit_entry WHERE subject LIKE 'claim-%') - (SELECT COALESCE(CAST(SUM(version) AS BIGINT), 0) FROM claim))
         AS n",
    ),
];

/// The change log, one row for each need that a row of it names.
fn told(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "SELECT j.value AS need_id FROM change_log c, json_each(c.needs) j",
        Kind::Postgres => "SELECT j.value::bigint AS need_id FROM change_log c, jsonb_array_elements(c.needs::jsonb) j",
    }
}

/// A connection that knows nothing of the program. It stays the same one however long a rig takes: its pool would
/// close it after half an hour, and with it a transaction that holds a lock.
pub async fn connect(db: &TestDatabase) -> DatabaseConnection {
    let mut options = ConnectOptions::new(db.url());
    options.max_connections(1).idle_timeout(None).max_lifetime(None).sqlx_logging(false);
    Database::connect(options).await.expect("a test database takes connections")
}

fn backend(kind: Kind) -> DbBackend {
    match kind {
        Kind::Sqlite => DbBackend::Sqlite,
        Kind::Postgres => DbBackend::Postgres,
    }
}

/// Lays the log out on this connection: a table `audit_entry` of its own, with one row for each entry that there is now.
pub async fn lay_out_log(db: &TestDatabase, connection: &DatabaseConnection) {
    let number = if db.kind() == Kind::Sqlite { "INTEGER" } else { "BIGINT" };
    for sql in [
        "DROP TABLE IF EXISTS audit_entry".to_owned(),
        format!(
            "CREATE TEMPORARY TABLE audit_entry (subject TEXT, version {number}, actor TEXT, action TEXT, leaf TEXT)"
        ),
    ] {
        connection.execute_unprepared(&sql).await.expect("a connection has tables of its own");
    }
    let mut after = i64::MIN;
    loop {
        let page = format!("SELECT id, leaves FROM audit_pack WHERE id > {after} ORDER BY id LIMIT 500");
        let packs = rows(db, connection, &page).await;
        let mut entries = Vec::new();
        for pack in &packs {
            after = pack.try_get("", "id").expect("a number");
            let folded: String = pack.try_get("", "leaves").expect("a text");
            entries.extend(leaves(&folded));
        }
        if packs.is_empty() {
            return;
        }
        let list = serde_json::Value::from_iter(entries).to_string();
        let sql = match db.kind() {
            Kind::Sqlite => {
                "INSERT INTO audit_entry SELECT value ->> 'subject', value ->> 'version', value ->> 'actor',
                 value ->> 'action', value FROM json_each(?)"
            }
            Kind::Postgres => {
                "INSERT INTO audit_entry SELECT leaf::json ->> 'subject', (leaf::json ->> 'version')::bigint,
                 leaf::json ->> 'actor', leaf::json ->> 'action', leaf FROM json_array_elements_text($1::json) AS l (leaf)"
            }
        };
        let insert = Statement::from_sql_and_values(backend(db.kind()), sql, [list.into()]);
        connection.execute_raw(insert).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

/// Lays the lines out on this connection: a table `all_line` of its own, with those that have rows and those that lie in
/// their claims' bundles, `[need, quantity, line before]` each.
pub async fn lay_out_lines(db: &TestDatabase, connection: &DatabaseConnection) {
    let (number, bundles) = match db.kind() {
        Kind::Sqlite => (
            "INTEGER",
            "SELECT (1 << 40) + c.id * 1024 + b.key, c.id, json_extract(b.value, '$[0]'), json_extract(b.value, '$[1]'), 0, 0,
             'HELD', c.held_until, 1, json_extract(b.value, '$[2]') FROM claim c JOIN json_each(c.bundle) b",
        ),
        Kind::Postgres => (
            "BIGINT",
            "SELECT (1::bigint << 40) + c.id * 1024 + g.place, c.id, (c.bundle #>> ARRAY[g.place::text, '0'])::bigint,
             (c.bundle #>> ARRAY[g.place::text, '1'])::bigint, 0, 0, 'HELD', c.held_until, 1,
             (c.bundle #>> ARRAY[g.place::text, '2'])::bigint
             FROM claim c, generate_series(0, json_array_length(c.bundle) - 1) AS g (place)",
        ),
    };
    let columns =
        ["id", "claim_id", "need_id", "quantity", "scheduled", "delivered"].map(|name| format!("{name} {number}"));
    for sql in [
        "DROP TABLE IF EXISTS all_line".to_owned(),
        format!(
            "CREATE TEMPORARY TABLE all_line ({}, status TEXT, expires_at {number}, version {number},
             previous_line {number}, PRIMARY KEY (id))",
            columns.join(", ")
        ),
        "INSERT INTO all_line SELECT id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version,
         previous_line FROM claim_line"
            .to_owned(),
        format!("INSERT INTO all_line {bundles}"),
        "CREATE INDEX all_line_claim ON all_line (claim_id)".to_owned(),
    ] {
        connection.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

/// The leaves of a pack: a line that is none has, between commas, what takes the places of the numbers of the leaf
/// before it.
fn leaves(folded: &str) -> Vec<String> {
    let mut leaves: Vec<String> = Vec::new();
    for line in folded.split('\n') {
        if line.starts_with('{') {
            leaves.push(line.to_owned());
            continue;
        }
        let before = leaves.last().unwrap_or_else(|| panic!("{folded}: its first line is no leaf"));
        let mut numbers = line.split(',');
        let (mut leaf, mut within) = (String::new(), false);
        let mut kept = true;
        for c in before.chars() {
            if c.is_ascii_digit() && !within {
                let number = numbers.next().unwrap_or_default();
                kept = number.is_empty();
                leaf.push_str(number);
            }
            within = c.is_ascii_digit();
            if kept || !within {
                leaf.push(c);
            }
        }
        assert_eq!(numbers.next(), None, "{line} names more numbers than there are in {before}");
        leaves.push(leaf);
    }
    leaves
}

/// The rows of a query.
pub async fn rows(db: &TestDatabase, connection: &DatabaseConnection, sql: &str) -> Vec<QueryResult> {
    let statement = Statement::from_string(backend(db.kind()), sql);
    connection.query_all_raw(statement).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The one number, called `n`, that a query answers.
pub async fn number(db: &TestDatabase, connection: &DatabaseConnection, sql: &str) -> i64 {
    rows(db, connection, sql).await[0].try_get("", "n").expect("a query of ours calls its number n")
}

/// The number that a query answers, over a connection of its own.
pub async fn count(db: &TestDatabase, sql: &str) -> i64 {
    number(db, &connect(db).await, sql).await
}

/// Panics where a sum does not add up, a version has no entry, or a transaction was left open.
/// Nobody may be writing meanwhile.
pub async fn check_books(world: &World) {
    check_books_of(&world.store, &world.db).await;
}

/// As [`check_books`], of a database with no world around it.
pub async fn check_books_of(store: &Store, db: &TestDatabase) {
    let odd = store.recount().await.expect("the recount runs");
    assert!(odd.is_empty(), "the recount finds {odd:?}");
    let own = connect(db).await;
    lay_out_log(db, &own).await;
    lay_out_lines(db, &own).await;
    for (promise, sql) in BROKEN {
        let sql = sql.replace("{told}", told(db.kind()));
        assert_eq!(number(db, &own, &sql).await, 0, "{promise}");
    }
    if db.kind() == Kind::Postgres {
        // Other servers may be at their own work: theirs end within moments, one that was left open does not.
        let open = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()
                    AND state LIKE 'idle in transaction%'";
        within(Duration::from_secs(5), "no transaction is left open", async || number(db, &own, open).await == 0).await;
    }
}
