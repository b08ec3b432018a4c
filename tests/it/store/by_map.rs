//! Claims that are decided by what the map says of their needs: what it has wrong decides nothing.

use std::sync::Arc;

use sea_orm::ConnectionTrait;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use salur::domain::claim::ClaimStatus;
use salur::domain::ids::NeedId;
use salur::domain::need::Need;
use salur::metrics::Way;
use salur::store::{ClaimOutcome, CloseNeed, OnMap};

use crate::harness::books::{check_books, connect};
use crate::harness::database::TestDatabase;
use crate::harness::world::{ANY_NEED, World};
use crate::on_both_databases;

on_both_databases!(
    what_another_server_has_taken_is_not_given_again_whatever_the_map_says,
    a_hold_that_has_run_out_ends_although_the_map_has_enough_without_it,
    a_key_that_was_used_on_another_server_is_found_and_not_used_again,
    a_need_that_was_closed_elsewhere_takes_no_claim,
);

/// What a claim of the first donor comes to: how much of the need it got.
async fn claims(world: &World, need: NeedId, quantity: i64) -> Result<i64, i64> {
    match world.store.execute(world.asks(world.donors[0], &[(need, quantity)])).await {
        Ok(ClaimOutcome::Accepted { claim, .. }) => Ok(world.line(claim, need).await.quantity.get()),
        Ok(ClaimOutcome::Refused { refusals, .. }) => Err(refusals[0].free.get()),
        Err(error) => panic!("a claim is decided, but: {error}"),
    }
}

/// How many statements a claim of one takes.
async fn statements(world: &World, need: NeedId) -> u64 {
    let before = world.store.metrics().statements();
    let decided = world.store.execute(world.asks(world.donors[0], &[(need, 1)])).await.expect("it is decided");
    assert!(matches!(decided, ClaimOutcome::Accepted { .. }), "{decided:?}");
    world.store.metrics().statements() - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_follows_another_takes_one_exchange_on_postgres() {
    let world = World::with_map(TestDatabase::postgres().await).await;
    let needs = world.needs(&[100, 100]).await;
    // A need that nobody has claimed yet is on the map as well as any other.
    assert!(statements(&world, needs[0]).await > 1, "the first one reads the clock and the programs' terms");
    // Once in a second, and on a machine that has other things to do, they are read anew.
    let mut taken = Vec::new();
    for place in 1..=20 {
        taken.push(statements(&world, needs[place % 2]).await);
    }
    assert!(taken.contains(&1), "{taken:?}");
    // A refusal names what is free and when more will be: the database is asked.
    assert_eq!(claims(&world, needs[0], 90).await, Err(89));
    assert_eq!(claims(&world, needs[0], 89).await, Ok(89));
    assert_eq!(world.counters(needs[0]).await, (100, 100, 0));
    check_books(&world).await;
}

async fn what_another_server_has_taken_is_not_given_again_whatever_the_map_says(db: TestDatabase) {
    let world = World::with_map(db).await;
    let other = world.replica().await;
    let need = world.needs(&[100]).await[0];
    assert_eq!(claims(&world, need, 1).await, Ok(1));
    for round in 1..=12 {
        // Nobody tells our map of it.
        other.execute(world.asks(world.donors[1], &[(need, 7)])).await.expect("it is decided");
        assert_eq!(claims(&world, need, 1).await, Ok(1), "round {round}");
        assert_eq!(world.counters(need).await, (100, 1 + 8 * round, 0), "round {round}");
    }
    assert_eq!(claims(&world, need, 4).await, Err(3));
    assert_eq!(claims(&world, need, 3).await, Ok(3));
    check_books(&world).await;
}

async fn a_hold_that_has_run_out_ends_although_the_map_has_enough_without_it(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[100]).await[0];
    // More than once: where the clock was read slowly a claim is decided by the database.
    for _ in 0..10 {
        let held = world.holds(world.donors[1], &[(need, 40)]).await;
        assert_eq!(claims(&world, need, 1).await, Ok(1));
        world.wait(86_401);
        assert_eq!(claims(&world, need, 5).await, Ok(5));
        assert_eq!(world.line(held, need).await.status, ClaimStatus::Expired);
        assert_eq!(world.counters(need).await, (100, 5, 0));
        world.wait(86_401);
    }
    check_books(&world).await;
}

async fn a_key_that_was_used_on_another_server_is_found_and_not_used_again(db: TestDatabase) {
    let world = World::with_map(db).await;
    let other = world.replica().await;
    let needs = world.needs(&[100, 100]).await;
    assert_eq!(claims(&world, needs[0], 1).await, Ok(1));
    let ask = world.asks(world.donors[1], &[(needs[1], 5)]);
    let first = other.execute(ask.clone()).await.expect("it is decided");
    let again = world.store.execute(ask).await.expect("it is found");
    let id = |outcome: &ClaimOutcome| match outcome {
        ClaimOutcome::Accepted { claim, replayed, .. } => (*claim, *replayed),
        ClaimOutcome::Refused { .. } => panic!("there is enough: {outcome:?}"),
    };
    assert_eq!((id(&first).1, id(&again)), (false, (id(&first).0, true)));
    assert_eq!(world.counters(needs[1]).await, (100, 5, 0));
    check_books(&world).await;
}

/// Closes a need on a server of its own.
async fn close(world: &World, need: NeedId) {
    let close = CloseNeed {
        author: Some(world.officer),
        access: ANY_NEED,
        id: need,
        expected_version: world.need(need).await.version,
        reason: "served by neighbours".into(),
    };
    world.replica().await.execute(close).await.expect("it is closed");
}

async fn a_need_that_was_closed_elsewhere_takes_no_claim(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100, 100]).await;
    assert_eq!(claims(&world, needs[0], 1).await, Ok(1));
    close(&world, needs[1]).await;
    assert_eq!(claims(&world, needs[1], 1).await, Err(0));
    check_books(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_of_another_life_of_the_database_decides_nothing() {
    let world = World::new(TestDatabase::postgres().await).await;
    let needs = world.needs(&[100, 100]).await;
    let open = world.need(needs[0]).await;
    close(&world, needs[0]).await;
    // As after a fail-over that lost something: the version that the map knows stands for another state.
    let version = world.need(needs[0]).await.version;
    let lost = [Need { version, ..open }, world.need(needs[1]).await];
    world.store.recall_by(move |asked| {
        let needs = lost.iter().filter(|need| asked.contains(&need.id)).copied().collect();
        Some(OnMap { needs, incarnation: "started/elsewhere".into() })
    });
    for _ in 0..10 {
        assert_eq!(claims(&world, needs[1], 1).await, Ok(1));
        assert_eq!(claims(&world, needs[0], 1).await, Err(0));
    }
    check_books(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_planned_upon_a_group_that_did_not_come_to_stand_is_decided_anew() {
    let world = Arc::new(World::with_map(TestDatabase::postgres().await).await);
    let needs: Arc<[NeedId]> = world.needs(&[1_000_000; 30]).await.into();
    let other = world.replica().await;
    let void = || world.store.metrics().groups(Way::Void);
    let (mut claimed, mut rounds) = (0, 0);
    while rounds < 2 || (void() < 3 && rounds < 60) {
        let mut callers = JoinSet::new();
        let (tell, mut told) = mpsc::unbounded_channel();
        for caller in 0..32 {
            let (world, needs, tell) = (world.clone(), needs.clone(), tell.clone());
            callers.spawn(async move {
                for n in 0..12 {
                    let line = |k: usize| (needs[(caller * 7 + n * 11 + k * 6) % 30], 1);
                    let lines: Vec<(NeedId, i64)> = (0..5).map(line).collect();
                    world.holds(world.donors[caller % 3], &lines).await;
                    tell.send(()).expect("somebody listens");
                }
            });
        }
        drop(tell);
        // Meanwhile another server takes of the same needs now and then, and nobody tells our map of it.
        while told.recv().await.is_some() {
            claimed += 5;
            if claimed % 1_500 == 0 {
                let taken = other.execute(world.asks(world.donors[0], &[(needs[rounds % 30], 5)])).await;
                assert!(matches!(taken, Ok(ClaimOutcome::Accepted { .. })), "{taken:?}");
                claimed += 5;
            }
        }
        callers.join_all().await;
        rounds += 1;
    }
    let groups = [Way::Map, Way::Vain, Way::Void, Way::Database].map(|way| world.store.metrics().groups(way));
    assert!(void() >= 3, "nothing was planned ahead in vain in {rounds} rounds: {groups:?}");
    let mut reserved = 0;
    for need in needs.iter() {
        reserved += world.counters(*need).await.1;
    }
    assert_eq!(reserved, claimed);
    check_books(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_restored_in_place_is_asked_until_the_map_has_looked_at_it() {
    let world = World::with_map(TestDatabase::postgres().await).await;
    let need = world.needs(&[100]).await[0];
    let mut taken = Vec::new();
    for _ in 0..10 {
        taken.push(statements(&world, need).await);
    }
    assert!(taken.contains(&1), "{taken:?}");
    let anew = "CREATE TABLE restored (LIKE change_log INCLUDING ALL); DROP TABLE change_log;
        ALTER TABLE restored RENAME TO change_log";
    connect(&world.db).await.execute_unprepared(anew).await.expect("it is made anew");
    for _ in 0..10 {
        assert!(statements(&world, need).await > 1);
    }
}
