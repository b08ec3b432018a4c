//! The way up, and the way back.

use salur::clock::Clock;
use salur::store::{StepState, StoreError};
use sea_orm::ConnectionTrait;

use crate::harness::app::LONG;
use crate::harness::books::{connect, rows};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::world::{World, open};
use crate::on_both_databases;

on_both_databases!(
    an_empty_database_is_brought_into_shape_and_a_second_time_changes_nothing,
    the_way_back_leaves_nothing_and_the_way_up_again_the_same_shape,
    migrating_a_database_in_use_keeps_what_is_in_it,
    several_servers_may_start_at_once_on_an_empty_database,
    a_release_serves_a_database_that_a_newer_one_has_expanded_and_no_other,
    a_step_that_cannot_have_its_table_gives_up_before_everybody_waits_behind_it,
);

/// Tables with their columns, constraints and indexes, as the database tells them. The book of
/// the migrations themselves is left out.
async fn shape(db: &TestDatabase) -> Vec<String> {
    let sql = match db.kind() {
        Kind::Sqlite => {
            "SELECT type || ' ' || name || ' ' || COALESCE(sql, '') AS line FROM sqlite_master
             WHERE name NOT LIKE 'seaql%' AND tbl_name NOT LIKE 'seaql%' AND name NOT LIKE 'sqlite_sequence' ORDER BY 1"
        }
        Kind::Postgres => {
            "SELECT line FROM (
             SELECT 'column ' || table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable
                 || ' ' || COALESCE(column_default, '') AS line, table_name AS owner
             FROM information_schema.columns WHERE table_schema = 'public'
             UNION SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid), conrelid::regclass::text
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace
             UNION SELECT 'index ' || indexdef, tablename FROM pg_indexes WHERE schemaname = 'public') AS s
             WHERE owner NOT LIKE 'seaql%' ORDER BY line"
        }
    };
    let own = connect(db).await;
    rows(db, &own, sql).await.iter().map(|r| r.try_get("", "line").expect("a line of text")).collect()
}

async fn an_empty_database_is_brought_into_shape_and_a_second_time_changes_nothing(db: TestDatabase) {
    assert_eq!(shape(&db).await, Vec::<String>::new());
    let store = open(&db, &Clock::default()).await;
    store.migrate().await.expect("an empty database is brought into shape");
    let first = shape(&db).await;
    assert!(first.iter().any(|line| line.contains("claim_line")), "{first:?}");
    store.migrate().await.expect("a second time is harmless");
    assert_eq!(shape(&db).await, first);
    assert!(store.is_reachable().await && store.is_empty().await.expect("it is read"));
}

async fn the_way_back_leaves_nothing_and_the_way_up_again_the_same_shape(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[10, 10, 10]).await;
    // Of several lines: the log keeps them folded, and an older shape has to read it.
    world.holds(world.donors[0], &needs.iter().map(|need| (*need, 5)).collect::<Vec<_>>()).await;
    let first = shape(&world.db).await;
    world.store.migrate_down().await.expect("the way back is open, rows or not");
    assert_eq!(shape(&world.db).await, Vec::<String>::new());
    world.store.migrate().await.expect("the way up is open again");
    assert_eq!(shape(&world.db).await, first);
    assert!(world.store.is_empty().await.expect("it is read"));
}

async fn migrating_a_database_in_use_keeps_what_is_in_it(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[10]).await;
    let claim = world.holds(world.donors[0], &[(needs[0], 5)]).await;
    let before = world.claim(claim).await;
    let replica = world.replica().await;
    replica.migrate().await.expect("nothing is left to do");
    assert_eq!(world.claim(claim).await, before);
    assert_eq!(world.counters(needs[0]).await, (10, 5, 0));
}

async fn several_servers_may_start_at_once_on_an_empty_database(db: TestDatabase) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = open(&db, &Clock::default()).await;
        tasks.spawn(async move { store.migrate().await });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no task panics").expect("each finds the database in shape or brings it there");
    }
    assert!(!shape(&db).await.is_empty());
}

async fn a_release_serves_a_database_that_a_newer_one_has_expanded_and_no_other(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[10]).await;
    let own = connect(&world.db).await;
    let newer = |step: &str| format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{step}', 0)");
    for sql in ["ALTER TABLE need ADD COLUMN later INTEGER", &newer("m29990101_000001_later")] {
        own.execute_unprepared(sql).await.expect("a newer release expands");
    }
    let beside = world.replica().await;
    beside.migrate().await.expect("it serves beside the newer one");
    world.holds(world.donors[0], &[(needs[0], 5)]).await;
    assert_eq!(world.counters(needs[0]).await, (10, 5, 0));
    own.execute_unprepared(&newer("m29990101_000002_contract_need")).await.expect("and contracts, in the end");
    let refused = beside.migrate().await.expect_err("what it uses is gone").to_string();
    assert!(refused.contains("m29990101_000002_contract_need"), "{refused}");
}

async fn a_step_that_cannot_have_its_table_gives_up_before_everybody_waits_behind_it(db: TestDatabase) {
    let store = open(&db, &Clock::default()).await;
    store.migrate_to(Some("m20260301_000007_feed")).await.expect("an empty database takes steps");
    let reader = connect(&db).await;
    let long = match db.kind() {
        Kind::Sqlite => "BEGIN IMMEDIATE",
        Kind::Postgres => "BEGIN; SELECT count(*) FROM audit_entry",
    };
    reader.execute_unprepared(long).await.expect("it is free");
    let refused = tokio::time::timeout(LONG, store.migrate()).await.expect("it does not wait for ever");
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    reader.execute_unprepared("ROLLBACK").await.expect("it has begun");
    store.migrate().await.expect("nobody is in the way any more");
    assert!(store.steps().await.expect("they are read").iter().all(|step| step.state == StepState::Taken));
}
