//! P13: whatever is changed behind the log is found, in an export that was handed out as in the tables
//! themselves. `SALUR_COUNT` counts corruptions.
//!
//! A head that is removed from the middle hides nothing and is not looked for; see `salur::audit`.

use std::collections::BTreeMap;
use std::sync::Arc;

use salur::audit::bundle;
use salur::audit::signing::{Head, SigningKey};
use salur::service::audit_log::export;
use salur::store::ReviseNeed;
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult};

use super::{figures, times};
use crate::claims::random;
use crate::cli::Home;
use crate::harness::books::{check_books, connect, rows};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::dice::Dice;
use crate::harness::world::{ANY_NEED, World, q};
use crate::on_both_databases;
use crate::store::overlaps::decided;

on_both_databases!(
    every_corruption_of_an_export_is_found,
    every_corruption_of_the_tables_is_found,
    an_entry_is_kept_under_a_claim_only_where_that_claim_made_it,
);

/// A ledger with a past, its log exported.
struct Bench {
    world: World,
    home: Home,
    key: Arc<SigningKey>,
    /// Known from before the corruptions.
    old: Head,
}

impl Bench {
    async fn new(db: TestDatabase, dice: &mut Dice) -> Bench {
        let world = World::with_map(db).await;
        random::run(&world, dice.another(), 300).await;
        decided(&world).await;
        let home = Home::new();
        let key = Arc::new(SigningKey::create_or_load(&home.path("key.pem")).expect("a key is made"));
        let exported = export(&world.store, &key, &home.path("sound"), &|_, _| ()).await.expect("the log is exported");
        Bench { world, home, key, old: exported.head }
    }

    /// The old head in one check of five: it must not be what finds everything.
    fn sometimes(&self, dice: &mut Dice) -> Option<Head> {
        dice.chance(20).then_some(self.old)
    }
}

// ---------------------------------------------------------------- an export

const FILES: [&str; 3] = ["log.jsonl", "heads.jsonl", "totals.json"];

/// Damages the file in one way, which may turn out to leave it as it was.
fn damage(dice: &mut Dice, file: &str, sound: &[u8]) -> (&'static str, Vec<u8>) {
    let mut bytes = sound.to_vec();
    let mut at = |length: usize| dice.between(0, length as i64 - 1) as usize;
    let mut lines: Vec<Vec<u8>> = sound.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let ways = if lines.len() < 2 { 4 } else { 8 };
    let way = at(ways);
    let (place, line, other) = (at(bytes.len()), at(lines.len()), at(lines.len()));
    let name = match way {
        0 => {
            bytes[place] ^= 1 << at(8);
            return ("a flipped bit", bytes);
        }
        1 => {
            bytes.truncate(place);
            return ("a cut end", bytes);
        }
        2 => {
            bytes.remove(place);
            return ("a removed byte", bytes);
        }
        3 => {
            bytes.insert(place, sound[at(sound.len())]);
            return ("an added byte", bytes);
        }
        // A head in the middle may go.
        4 if file != "heads.jsonl" || line + 1 == lines.len() => {
            lines.remove(line);
            "a removed line"
        }
        5 => {
            lines.truncate(line);
            "removed last lines"
        }
        6 => {
            lines.insert(line, lines[other].clone());
            "a repeated line"
        }
        _ => {
            lines.swap(line, other);
            "swapped lines"
        }
    };
    (name, lines.concat())
}

async fn every_corruption_of_an_export_is_found(db: TestDatabase) {
    let mut dice = Dice::from_environment("every_corruption_of_an_export_is_found");
    let bench = Bench::new(db, &mut dice).await;
    let (sound, public) = (bench.home.path("sound"), bench.key.public_key());
    let verify = |old| bundle::verify(&sound, &public, old);
    verify(None).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let read = |name: &&str| std::fs::read(sound.join(name)).expect("an export has three files");
    let contents: Vec<Vec<u8>> = FILES.iter().map(read).collect();
    let mut ways: BTreeMap<&str, u64> = BTreeMap::new();
    let (count, mut done) = (times(150), 0);
    while done < count {
        // Mostly the log, which is the longest.
        let which = [0, 0, 0, 0, 1, 1, 2][dice.between(0, 6) as usize];
        let (name, damaged) = damage(&mut dice, FILES[which], &contents[which]);
        if damaged == contents[which] {
            continue;
        }
        std::fs::write(sound.join(FILES[which]), &damaged).expect("an export is writable");
        assert!(
            verify(bench.sometimes(&mut dice)).is_err(),
            "corruption {done}, {name} in {}, is not found",
            FILES[which]
        );
        std::fs::write(sound.join(FILES[which]), &contents[which]).expect("an export is writable");
        *ways.entry(name).or_default() += 1;
        done += 1;
    }
    verify(Some(bench.old)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    figures("corruptions", &bench.world.db, done, format!("of=export found={done} {ways:?}"));
}

// ---------------------------------------------------------------- the tables

/// A table, what may be set in one row of it, and how: `{}` is a number from 1 to 9.
const EDITS: &[(&str, &[&str])] = &[
    (
        "need",
        &[
            "required = required + {}",
            "required = required - {}",
            "reserved = reserved + {}",
            "reserved = reserved - {}",
            "delivered = delivered + {}",
            "delivered = delivered - {}",
            "reserved = reserved - {}, delivered = delivered + {}",
            "last_line = NULL",
            "last_line = last_line + {}",
            "last_line = last_line - {}",
            "severity = 1 + ({} % 5)",
            "status = 'CLOSED'",
            "status = 'VERIFIED'",
            "area_id = area_id + {}",
            "period_end = '2020-05-0{}'",
            "first_right_until = COALESCE(first_right_until, 0) + {}",
            "first_right_until = NULL",
            "version = version + {}",
        ],
    ),
    (
        "claim_line",
        &[
            "quantity = quantity + {}",
            "quantity = quantity - {}",
            "delivered = delivered + {}",
            "delivered = delivered - {}",
            "scheduled = scheduled + {}",
            "scheduled = scheduled - {}",
            "status = 'RELEASED', expires_at = NULL",
            "status = 'CONFIRMED', expires_at = NULL",
            "status = 'EXPIRED', expires_at = NULL",
            "status = 'FULFILLED', expires_at = NULL, scheduled = 0, delivered = quantity",
            "expires_at = expires_at + {}",
            "need_id = need_id + {}",
            "previous_line = NULL",
            "previous_line = id",
            "previous_line = id - {}",
            "claim_id = claim_id + {}",
            "version = version - {}",
        ],
    ),
    (
        "claim",
        &[
            "renewals = renewals + {}",
            "organization_id = organization_id + 1",
            "executor_id = executor_id - 1",
            "offer_id = NULL",
            "held_until = held_until + {}",
            "held_until = NULL, bundle = NULL",
            "bundle = '[]'",
            "bundle = '[[{},1,null]]'",
            "bundle = '[[1,null,null]]'",
            "bundle = '{}'",
            "held_until = {}, bundle = '[[1,{},null]]'",
            "version = version + {}",
        ],
    ),
    (
        "offer",
        &["quantity = quantity + {}", "claimed = claimed + {}", "claimed = claimed - {}", "version = version + {}"],
    ),
    (
        "delivery",
        &[
            "status = 'SCHEDULED'",
            "status = 'IN_TRANSIT'",
            "status = 'DELIVERED'",
            "status = 'ACKNOWLEDGED'",
            "status = 'DISPUTED'",
            "status = 'CANCELLED'",
            "claim_id = claim_id + {}",
            "version = version + {}",
        ],
    ),
    (
        "delivery_line",
        &[
            "quantity = quantity + {}",
            "quantity = quantity - {}",
            "accepted = quantity, rejected = 0",
            "accepted = NULL, rejected = NULL",
        ],
    ),
    (
        "organization",
        &[
            "aggregator = 1 - aggregator",
            "status = 'SUSPENDED'",
            "category = 'FOREIGN'",
            "home_area = '31.71'",
            "home_area = NULL",
            "version = version + {}",
        ],
    ),
    (
        "overlap",
        &[
            "status = 'PERMITTED'",
            "status = 'CONFIRMED'",
            "quantity = quantity + {}",
            "excess = {}",
            "period_end = '2020-12-31'",
            "note = 'lain {}'",
            "withdrawn = 1 - withdrawn",
            "finding = replace(finding, 'line-', 'line-1')",
            "version = version + {}",
        ],
    ),
    ("overlap_rule", &["body = body || ' '", "body = replace(body, 'exclusive', 'permitted')"]),
    ("program", &["name_id = name_id || ' {}'", "name_en = 'X{}'", "first_right_hours = first_right_hours + {}"]),
    ("item", &["name_id = name_id || ' {}'", "unit = 'X{}'", "kind = 'SERVICE'", "version = version + {}"]),
    (
        "audit_pack",
        &[
            "leaves = replace(leaves, '{}', '0')",
            "leaves = replace(leaves, 'line-', 'need-')",
            "leaves = replace(leaves, 'claim.open', 'claim.renew')",
            "leaves = replace(leaves, '\"at\":1', '\"at\":2')",
            "leaves = leaves || ' '",
            "topic = topic || '{}'",
            "topic = 'claim-{}'",
            "at = at + {}",
            "entries = entries + {}",
            "first_sequence = first_sequence + {}",
            "first_sequence = NULL",
        ],
    ),
    ("audit_head", &["size = size + {}", "at = at + {}", "signature = replace(signature, 'A', 'B')"]),
    ("audit_tree", &["size = size + {}", "size = size - {}"]),
];

/// The columns that name a row.
fn key_of(table: &str) -> &'static str {
    match table {
        "audit_head" => "size",
        "delivery_line" => "delivery_id, claim_line_id",
        _ => "id",
    }
}

/// Columns as they can be told apart: PostgreSQL does not compare JSON.
fn compared(columns: &[String]) -> String {
    let column = |name: &String| match name.as_str() {
        "bundle" => "CAST(bundle AS TEXT) AS bundle".to_owned(),
        other => other.to_owned(),
    };
    columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// The database under corruption, on a connection that knows nothing of the program, with a copy of
/// each table.
struct Tables<'a> {
    db: &'a TestDatabase,
    own: DatabaseConnection,
    /// Of each table its columns and what names its rows.
    of: BTreeMap<&'static str, (Vec<String>, Vec<String>)>,
}

impl Tables<'_> {
    async fn keep(db: &TestDatabase) -> Tables<'_> {
        let mut tables = Tables { db, own: connect(db).await, of: BTreeMap::new() };
        if db.kind() == Kind::Sqlite {
            tables.run("PRAGMA synchronous = OFF").await.expect("it is a setting");
        } else {
            // Who corrupts a database switches its triggers and references off.
            tables.run("SET session_replication_role = replica").await.expect("it is a setting");
        }
        for (table, _) in EDITS {
            tables.run(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await.expect("a copy is made");
            let columns = tables.all(&format!("SELECT * FROM {table} LIMIT 1")).await[0].column_names();
            let key = key_of(table).replace(", ", " || ',' || ");
            let names = tables.all(&format!("SELECT '(' || {key} || ')' AS name FROM {table} ORDER BY 1")).await;
            let names = names.iter().map(|row| row.try_get("", "name").expect("a text")).collect();
            tables.of.insert(table, (columns, names));
        }
        tables
    }

    /// How many rows it changed; `None` where the database refused.
    async fn run(&self, sql: &str) -> Option<u64> {
        self.own.execute_unprepared(sql).await.ok().map(|done| done.rows_affected())
    }

    async fn all(&self, sql: &str) -> Vec<QueryResult> {
        rows(self.db, &self.own, sql).await
    }

    /// Something done to one row or to a few, as SQL.
    fn corruption(&self, dice: &mut Dice) -> (&'static str, String) {
        let (table, edits) = *dice.pick(EDITS);
        let (columns, names) = &self.of[table];
        let (key, row) = (key_of(table), dice.pick(names));
        let sql = match dice.between(1, 20) {
            1 if !table.starts_with("audit_") => format!("DELETE FROM {table} WHERE ({key}) = {row}"),
            // The log without its end, a part of it, or with more than was ever written.
            1 if table == "audit_pack" => format!("DELETE FROM audit_pack WHERE id >= {row}"),
            2 if table == "audit_pack" => format!("DELETE FROM audit_pack WHERE id = {row}"),
            2 if key == "id" => {
                let values: Vec<&str> = columns
                    .iter()
                    .map(|column| match column.as_str() {
                        "id" => "id + 1000000",
                        "external_id" | "first_sequence" => "NULL",
                        "name" => "name || ' 2'",
                        "key" => "key || ' 2'",
                        "body" => "body || ' 2'",
                        other => other,
                    })
                    .collect();
                format!("INSERT INTO {table} SELECT {} FROM kept_{table} WHERE id = {row}", values.join(", "))
            }
            3..=5 if table == "audit_pack" => {
                let other = dice.pick(names);
                let of = |id: &str| format!("(SELECT leaves FROM kept_audit_pack WHERE id = {id})");
                format!(
                    "UPDATE audit_pack SET leaves = CASE WHEN id = {row} THEN {} ELSE {} END WHERE id IN ({row}, {other})",
                    of(other),
                    of(row)
                )
            }
            _ => {
                let edit = dice.pick(edits).replace("{}", &dice.between(1, 9).to_string());
                format!("UPDATE {table} SET {edit} WHERE ({key}) = {row}")
            }
        };
        (table, sql)
    }

    /// True where a table is not what it was.
    async fn differs(&self, table: &str) -> bool {
        let all = compared(&self.of[table].0);
        let sql = format!(
            "SELECT 1 FROM (SELECT {all} FROM kept_{table} EXCEPT SELECT {all} FROM {table}) gone
             UNION ALL SELECT 1 FROM (SELECT {all} FROM {table} EXCEPT SELECT {all} FROM kept_{table}) come"
        );
        !self.all(&sql).await.is_empty()
    }

    async fn restore(&self, table: &str) {
        let (columns, _) = &self.of[table];
        let all = compared(columns);
        let (key, columns) = (key_of(table), columns.join(", "));
        for sql in [
            format!("DELETE FROM {table} WHERE ({key}) NOT IN (SELECT {key} FROM kept_{table})"),
            // What was swapped would collide with itself on its way back.
            format!("UPDATE {table} SET ({columns}) = (SELECT {columns} FROM kept_{table} kept WHERE {})
                     WHERE ({key}) IN (SELECT {key} FROM (SELECT {all} FROM {table} EXCEPT SELECT {all} FROM kept_{table}) changed)",
                key.split(", ").map(|c| format!("kept.{c} = {table}.{c}")).collect::<Vec<_>>().join(" AND ")),
            format!("INSERT INTO {table} SELECT * FROM kept_{table} WHERE ({key}) NOT IN (SELECT {key} FROM {table})"),
        ] {
            self.run(&sql).await.unwrap_or_else(|| panic!("{sql} is refused"));
        }
        assert!(!self.differs(table).await, "{table} is as it was");
    }
}

async fn every_corruption_of_the_tables_is_found(db: TestDatabase) {
    let mut dice = Dice::from_environment("every_corruption_of_the_tables_is_found");
    let bench = Bench::new(db, &mut dice).await;
    let (store, public) = (&bench.world.store, bench.key.public_key());
    let check = async |old| store.check_audit(&public, old).await.expect("the database answers");
    let sound = check(Some(bench.old)).await.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let tables = Tables::keep(&bench.world.db).await;
    let mut of: BTreeMap<&str, u64> = BTreeMap::new();
    let (count, mut done, mut refused) = (times(150), 0, 0);
    while done < count {
        let (table, sql) = tables.corruption(&mut dice);
        if tables.run(&sql).await.is_none() {
            refused += 1;
            continue;
        }
        if tables.differs(table).await {
            assert!(check(bench.sometimes(&mut dice)).await.is_err(), "corruption {done} is not found: {sql}");
            tables.restore(table).await;
            *of.entry(table).or_default() += 1;
            done += 1;
        }
    }
    assert_eq!(check(Some(bench.old)).await, Ok(sound), "all is as it was");
    check_books(&bench.world).await;
    figures(
        "corruptions",
        &bench.world.db,
        done,
        format!("of=tables found={done} refused_by_constraints={refused} {of:?}"),
    );
}

/// Which topic an entry is kept under says whose trail shows it, and no leaf tells.
async fn an_entry_is_kept_under_a_claim_only_where_that_claim_made_it(db: TestDatabase) {
    let world = World::with_map(db).await;
    let home = Home::new();
    let key = Arc::new(SigningKey::create_or_load(&home.path("key.pem")).expect("a key is made"));
    let need = world.needs(&[100]).await[0];
    let claim = world.promises(world.donors[0], &[(need, 10)]).await;
    let revise = ReviseNeed {
        author: None,
        access: ANY_NEED,
        id: need,
        expected_version: world.need(need).await.version,
        required: Some(q(90)),
        severity: None,
    };
    world.store.execute(revise).await.expect("it covers what is promised");
    export(&world.store, &key, &home.path("sound"), &|_, _| ()).await.expect("the log is exported");
    let sound = async || world.store.check_audit(&key.public_key(), None).await.expect("it answers").is_ok();
    assert!(sound().await);
    let moved = format!(
        "UPDATE audit_pack SET topic = '{claim}' WHERE id = (SELECT max(id) FROM audit_pack WHERE topic = '{need}')"
    );
    connect(&world.db).await.execute_unprepared(&moved).await.expect("nothing in the database forbids it");
    assert!(!sound().await, "the claim did not revise the need");
}
