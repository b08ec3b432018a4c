//! Many at once: who wins, that exactly one does, and that nobody gets half of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use salur::domain::claim::ClaimStatus;
use salur::domain::ids::{ClaimId, NeedId};
use salur::domain::refusal::RefusalReason;
use salur::domain::rules::OnConflict;
use salur::store::{ClaimOutcome, ConfirmClaim, ExpireDue, OpenClaim, ReleaseClaim, ReviseNeed, Store, StoreError};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::harness::books::{check_books, count};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::dice::Dice;
use crate::harness::world::{ANY_CLAIM, ANY_NEED, World, claim_key, q};
use crate::on_both_databases;

on_both_databases!(
    a_thousand_claims_at_once_on_the_last_hundred_give_exactly_a_hundred,
    two_batches_over_the_same_needs_in_opposite_order_never_get_stuck_nor_half_of_it,
    one_key_used_by_many_at_once_makes_one_claim,
    a_key_belongs_to_one_input_and_one_organisation,
    a_refusal_is_an_answer_that_is_kept_too,
    of_confirm_release_and_expiry_exactly_one_ends_a_hold,
    claims_racing_a_revision_never_leave_less_required_than_allocated,
    one_offer_is_never_promised_twice,
    a_caller_who_goes_away_does_not_stop_the_transaction,
);

/// How often a race is run again: `SALUR_ROUNDS`, else `usual`.
fn rounds(usual: u64) -> u64 {
    std::env::var("SALUR_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// The stores that take part: two replicas where several may write, the one server otherwise.
async fn stores(world: &World) -> Vec<Store> {
    match world.db.kind() {
        Kind::Postgres => vec![world.store.clone(), world.replica().await],
        Kind::Sqlite => vec![world.store.clone()],
    }
}

async fn a_thousand_claims_at_once_on_the_last_hundred_give_exactly_a_hundred(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[100]).await[0];
    let stores = stores(&world).await;
    let mut tasks = JoinSet::new();
    for i in 0..1_000 {
        let ask = world.asks(world.donors[i % 3], &[(need, 1)]);
        let store = stores[i % stores.len()].clone();
        tasks.spawn(async move { store.execute(ask).await });
    }
    let (mut accepted, mut refused) = (HashSet::new(), 0);
    while let Some(outcome) = tasks.join_next().await {
        match outcome.expect("no task panics") {
            Ok(ClaimOutcome::Accepted { claim, replayed, shortfalls }) => {
                assert!(!replayed && shortfalls.is_empty() && accepted.insert(claim));
            }
            Ok(ClaimOutcome::Refused { refusals, replayed }) => {
                let [line] = &refusals[..] else { panic!("one line was asked for: {refusals:?}") };
                assert_eq!((line.reason, line.free, line.requested), (RefusalReason::NotEnoughFree, q(0), q(1)));
                assert!(!replayed && line.frees_at.is_some(), "all that is taken is held: {line:?}");
                refused += 1;
            }
            Err(error) => panic!("an error reached a caller: {error}"),
        }
    }
    assert_eq!((accepted.len(), refused), (100, 900));
    assert_eq!(world.counters(need).await, (100, 100, 0));
    check_books(&world).await;
}

async fn two_batches_over_the_same_needs_in_opposite_order_never_get_stuck_nor_half_of_it(db: TestDatabase) {
    const BATCHES: usize = 1_000;
    const TASKS: usize = 16;
    let world = World::with_map(db).await;
    // One need is the narrowest: it alone decides how many batches fit.
    let mut required = [BATCHES as i64; 50];
    required[31] = 300;
    let needs = world.needs(&required).await;
    let forward: Vec<(NeedId, i64)> = needs.iter().map(|n| (*n, 1)).collect();
    let backward: Vec<(NeedId, i64)> = forward.iter().rev().copied().collect();
    let stores = stores(&world).await;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let lines = if task % 2 == 0 { &forward } else { &backward };
        let asks: Vec<OpenClaim> =
            (task..BATCHES).step_by(TASKS).map(|i| world.asks(world.donors[i % 3], lines)).collect();
        let store = stores[task % stores.len()].clone();
        tasks.spawn(async move {
            let mut claims = Vec::new();
            for ask in asks {
                match store.execute(ask).await {
                    Ok(ClaimOutcome::Accepted { claim, .. }) => claims.push(claim),
                    Ok(ClaimOutcome::Refused { refusals, .. }) => assert_eq!(refusals.len(), 1, "{refusals:?}"),
                    Err(error) => panic!("an error reached a caller: {error}"),
                }
            }
            claims
        });
    }
    let mut claims: Vec<ClaimId> = Vec::new();
    while let Some(made) = tasks.join_next().await {
        claims.extend(made.expect("no task panics"));
    }
    assert_eq!(claims.len(), 300);
    for claim in world.store.claims(&claims).await.expect("claims are read") {
        assert_eq!(claim.lines.len(), 50, "{} is partial", claim.id);
    }
    let lines = count(&world.db, "SELECT count(*) AS n FROM every_line").await;
    assert_eq!(lines, 300 * 50, "no line stands without its claim");
    for need in world.all_needs().await {
        assert_eq!(need.counters.reserved(), q(300));
    }
    check_books(&world).await;
}

async fn one_key_used_by_many_at_once_makes_one_claim(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[1_000, 1_000]).await;
    let stores = stores(&world).await;
    for round in 0..10 {
        let lines = [(needs[0], 2), (needs[1], 3)];
        let ask = world.asks(world.donors[0], &lines);
        let mut tasks = JoinSet::new();
        for i in 0..64 {
            let (store, ask) = (stores[i % stores.len()].clone(), ask.clone());
            tasks.spawn(async move { store.execute(ask).await });
        }
        let (mut ids, mut replays) = (HashSet::new(), 0);
        while let Some(outcome) = tasks.join_next().await {
            match outcome.expect("no task panics") {
                Ok(ClaimOutcome::Accepted { claim, replayed, .. }) => {
                    ids.insert(claim);
                    replays += u32::from(replayed);
                }
                other => panic!("it should have been accepted: {other:?}"),
            }
        }
        assert_eq!((ids.len(), replays), (1, 63));
        assert_eq!(world.counters(needs[0]).await.1, 2 * (round + 1));
        assert_eq!(world.counters(needs[1]).await.1, 3 * (round + 1));
    }
    check_books(&world).await;
}

async fn a_key_belongs_to_one_input_and_one_organisation(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100]).await;
    let [a, b, _] = world.donors;
    let ask = |who, quantity| OpenClaim {
        keyed: claim_key(who, "the key", &[(needs[0], quantity)]),
        ..world.asks(who, &[(needs[0], quantity)])
    };
    let ClaimOutcome::Accepted { claim: first, .. } = world.store.execute(ask(a, 10)).await.expect("it is free") else {
        panic!("it is free")
    };
    let reused = world.store.execute(ask(a, 11)).await;
    assert!(matches!(reused, Err(StoreError::KeyReused)), "{reused:?}");
    let ClaimOutcome::Accepted { claim: other, replayed, .. } =
        world.store.execute(ask(b, 10)).await.expect("it is another's key")
    else {
        panic!("it is free")
    };
    assert!(other != first && !replayed);
    let again = world.store.execute(ask(a, 10)).await.expect("the first input still has its answer");
    assert_eq!(again, ClaimOutcome::Accepted { claim: first, shortfalls: vec![], replayed: true });
    let other_operation = world.store.execute(salur::store::CreateOffer {
        keyed: salur::store::Keyed { operation: "createOffer", ..ask(a, 10).keyed },
        ..world.offer(a, world.package, 5)
    });
    other_operation.await.expect("a key of one operation is free for another");
    assert_eq!(world.counters(needs[0]).await, (100, 20, 0));
    check_books(&world).await;
}

async fn a_refusal_is_an_answer_that_is_kept_too(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10]).await;
    let [a, b, _] = world.donors;
    let held = world.holds(a, &[(needs[0], 8)]).await;
    let ask = world.asks(b, &[(needs[0], 5)]);
    let ClaimOutcome::Refused { refusals: first, replayed } = world.store.execute(ask.clone()).await.expect("decided")
    else {
        panic!("only two are free")
    };
    assert!(!replayed);
    world.release(held).await.expect("a hold is released");
    let ClaimOutcome::Refused { refusals: again, replayed } = world.store.execute(ask.clone()).await.expect("decided")
    else {
        panic!("the key has its answer")
    };
    assert!(replayed);
    assert_eq!(again, first);
    assert_eq!(world.counters(needs[0]).await, (10, 0, 0));
    let fresh = OpenClaim { keyed: world.asks(b, &[(needs[0], 5)]).keyed, ..ask };
    assert!(matches!(world.store.execute(fresh).await, Ok(ClaimOutcome::Accepted { .. })), "a new key asks anew");
    check_books(&world).await;
}

async fn of_confirm_release_and_expiry_exactly_one_ends_a_hold(db: TestDatabase) {
    let mut dice = Dice::from_environment("of_confirm_release_and_expiry_exactly_one_ends_a_hold");
    let world = World::with_map(db).await;
    let need = world.needs(&[10]).await[0];
    let [a, b, _] = world.donors;
    let mut seen = HashSet::new();
    for round in 0..rounds(150) {
        let ask = OpenClaim { hold_seconds: Some(2), ..world.asks(a, &[(need, 10)]) };
        let Ok(ClaimOutcome::Accepted { claim: id, .. }) = world.store.execute(ask).await else {
            panic!("round {round}: all of it is free")
        };
        let ends = world.claim(id).await.expires_at().expect("a hold ends");
        // Close to the end, so that the clock's last step falls between the others.
        world.clock.advance(Duration::from_millis(1_900));
        let (confirms, releases) = (dice.chance(70), dice.chance(50));
        let start = Arc::new(Barrier::new(5));
        let go = |index: i64| {
            let (store, start, waits) = (world.store.clone(), start.clone(), dice.clone().between(0, 40 + index));
            async move {
                start.wait().await;
                for _ in 0..waits {
                    tokio::task::yield_now().await;
                }
                store
            }
        };
        let (confirm, release, sweep, claim) = (go(0), go(1), go(2), go(3));
        let confirm = tokio::spawn(async move {
            let store = confirm.await;
            if !confirms {
                return None;
            }
            Some(store.execute(ConfirmClaim { author: None, id, access: ANY_CLAIM }).await)
        });
        let release = tokio::spawn(async move {
            let store = release.await;
            if !releases {
                return None;
            }
            Some(store.execute(ReleaseClaim { author: None, id, access: ANY_CLAIM, reason: None }).await)
        });
        let sweep = tokio::spawn(async move {
            let store = sweep.await;
            for _ in 0..4 {
                store.execute(ExpireDue { most: 10 }).await.expect("a sweep runs");
            }
        });
        let ask = world.asks(b, &[(need, 10)]);
        let claim = tokio::spawn(async move { claim.await.execute(ask).await });
        start.wait().await;
        world.clock.advance(Duration::from_millis(dice.between(50, 110) as u64));
        let confirm = confirm.await.expect("no task panics");
        let release = release.await.expect("no task panics");
        sweep.await.expect("no task panics");
        let claim = claim.await.expect("no task panics").expect("the claim is decided");
        for refused in [&confirm, &release].into_iter().flatten() {
            assert!(matches!(refused, Ok(()) | Err(StoreError::Illegal(_))), "round {round}: {refused:?}");
        }
        let (confirmed, released) = (matches!(confirm, Some(Ok(()))), matches!(release, Some(Ok(()))));
        let line = world.line(id, need).await;
        let trail = world.store.audit_trail(&line.id.to_string(), 0, 10).await.expect("the trail is read");
        let actions: Vec<&str> = trail.iter().map(|e| e.action.as_str()).collect();
        let expired = actions.contains(&"line.expire");
        let context = format!("round {round}: confirm {confirm:?}, release {release:?}, {actions:?}, {line:?}");
        let expected = match (confirmed, released, expired) {
            (true, false, false) => vec!["claim.open", "claim.confirm"],
            (true, true, false) => vec!["claim.open", "claim.confirm", "claim.release"],
            (false, true, false) => vec!["claim.open", "claim.release"],
            (false, false, true) => vec!["claim.open", "line.expire"],
            // The clock did not reach the end, and nobody else wanted anything.
            (false, false, false) => vec!["claim.open"],
            _ => panic!("two ends of one hold. {context}"),
        };
        assert_eq!(actions, expected, "{context}");
        for entry in &trail {
            let early = entry.action == "line.expire" && entry.at < ends.0;
            let late = entry.action == "claim.confirm" && entry.at >= ends.0;
            assert!(!early && !late, "the hold ended at {}: {entry:?}. {context}", ends.0);
        }
        let taken = matches!(claim, ClaimOutcome::Accepted { .. });
        let stands = matches!(line.status, ClaimStatus::Held | ClaimStatus::Confirmed);
        assert!(!(taken && stands), "one quantity was given twice. {context}");
        let reserved = 10 * (i64::from(taken) + i64::from(stands));
        assert_eq!(world.counters(need).await, (10, reserved, 0), "{context}");
        seen.insert((confirmed, released, expired, taken));
        // Clear the table for the next round.
        if let ClaimOutcome::Accepted { claim, .. } = claim {
            world.release(claim).await.expect("a hold is released");
        }
        if line.status == ClaimStatus::Confirmed {
            world.release(id).await.expect("a promise is released");
        }
        world.wait(3);
        world.store.execute(ExpireDue { most: 10 }).await.expect("a sweep runs");
        assert_eq!(world.counters(need).await, (10, 0, 0), "all is free again. {context}");
    }
    assert!(seen.len() >= 3, "the race always ended the same way: {seen:?}");
    check_books(&world).await;
}

async fn claims_racing_a_revision_never_leave_less_required_than_allocated(db: TestDatabase) {
    let mut dice = Dice::from_environment("claims_racing_a_revision_never_leave_less_required_than_allocated");
    let world = World::with_map(db).await;
    let id = world.needs(&[100]).await[0];
    let stores = stores(&world).await;
    let (mut revised, mut refused) = (0, 0);
    for _ in 0..rounds(60) {
        let before = world.need(id).await;
        let mut tasks = JoinSet::new();
        for i in 0..6 {
            let ask = OpenClaim {
                on_conflict: OnConflict::TakeFree,
                hold_seconds: Some(dice.between(2, 6)),
                ..world.asks(world.donors[i % 3], &[(id, dice.between(5, 30))])
            };
            let store = stores[i % stores.len()].clone();
            tasks.spawn(async move { store.execute(ask).await.map(|_| true) });
        }
        for i in 0..2 {
            let revise = ReviseNeed {
                author: None,
                access: ANY_NEED,
                id,
                expected_version: before.version,
                required: Some(q(dice.between(20, 140))),
                severity: None,
            };
            let store = stores[i % stores.len()].clone();
            tasks.spawn(async move {
                match store.execute(revise).await {
                    Ok(()) => Ok(true),
                    Err(StoreError::Illegal(_) | StoreError::VersionConflict) => Ok(false),
                    Err(error) => Err(error),
                }
            });
        }
        while let Some(answer) = tasks.join_next().await {
            match answer.expect("no task panics") {
                Ok(true) => revised += 1,
                Ok(false) => refused += 1,
                Err(error) => panic!("an error reached a caller: {error}"),
            }
        }
        let need = world.need(id).await;
        // A round in which all were refused changes nothing.
        assert!(need.version >= before.version);
        assert!(need.counters.allocated() <= need.counters.required());
        world.wait(2);
    }
    assert!(revised > 0 && refused > 0, "{revised} went through and {refused} were refused");
    check_books(&world).await;
}

async fn one_offer_is_never_promised_twice(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[1_000; 10]).await;
    let [a, ..] = world.donors;
    let offer = world.offers(a, world.package, 200).await;
    let stores = stores(&world).await;
    let mut tasks = JoinSet::new();
    for i in 0..50 {
        let lines = [(needs[i % 10], 5), (needs[(i * 7 + 3) % 10], 5)];
        let lines = if lines[0].0 == lines[1].0 { vec![(lines[0].0, 10)] } else { lines.to_vec() };
        let ask = OpenClaim { offer: Some(offer), ..world.asks(a, &lines) };
        let store = stores[i % stores.len()].clone();
        tasks.spawn(async move { store.execute(ask).await });
    }
    let mut accepted = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        match outcome.expect("no task panics").expect("no error reaches a caller") {
            ClaimOutcome::Accepted { claim, .. } => accepted.push(claim),
            ClaimOutcome::Refused { refusals, .. } => {
                assert!(refusals.iter().all(|r| r.reason == RefusalReason::Rule), "{refusals:?}");
            }
        }
    }
    assert_eq!(accepted.len(), 20);
    assert_eq!(world.pledged(offer).await, (200, 200));
    // Half are released while the other half runs out.
    let mut tasks = JoinSet::new();
    for (i, id) in accepted.iter().enumerate().take(10) {
        let (store, id) = (stores[i % stores.len()].clone(), *id);
        tasks.spawn(
            async move { store.execute(ReleaseClaim { author: None, id, access: ANY_CLAIM, reason: None }).await },
        );
    }
    while let Some(answer) = tasks.join_next().await {
        answer.expect("no task panics").expect("no error reaches a caller");
    }
    assert_eq!(world.pledged(offer).await, (200, 100));
    world.wait(86_400);
    let mut tasks = JoinSet::new();
    for i in 0..8 {
        let store = stores[i % stores.len()].clone();
        tasks.spawn(async move { store.execute(ExpireDue { most: 3 }).await });
    }
    while let Some(answer) = tasks.join_next().await {
        answer.expect("no task panics").expect("no error reaches a caller");
    }
    while world.store.execute(ExpireDue { most: 3 }).await.expect("a sweep runs") > 0 {}
    assert_eq!(world.pledged(offer).await, (200, 0));
    check_books(&world).await;
}

async fn a_caller_who_goes_away_does_not_stop_the_transaction(db: TestDatabase) {
    let mut dice = Dice::from_environment("a_caller_who_goes_away_does_not_stop_the_transaction");
    let world = World::with_map(db).await;
    let needs = world.needs(&[1_000_000; 5]).await;
    let lines: Vec<(NeedId, i64)> = needs.iter().map(|n| (*n, 1)).collect();
    let mut claims = HashSet::new();
    for _ in 0..rounds(200) {
        let ask = world.asks(world.donors[0], &lines);
        let (store, sent) = (world.store.clone(), ask.clone());
        let caller = tokio::spawn(async move { store.execute(sent).await });
        for _ in 0..dice.between(0, 60) {
            tokio::task::yield_now().await;
        }
        caller.abort();
        let _ = caller.await;
        // The same key waits for the first use of it, if there was one, and tells what came of it.
        match world.store.execute(ask).await {
            Ok(ClaimOutcome::Accepted { claim, .. }) => assert!(claims.insert(claim)),
            other => panic!("all of it is free: {other:?}"),
        }
    }
    assert_eq!(count(&world.db, "SELECT count(*) AS n FROM claim").await, claims.len() as i64);
    assert_eq!(world.counters(needs[4]).await.1, claims.len() as i64);
    check_books(&world).await;
}
