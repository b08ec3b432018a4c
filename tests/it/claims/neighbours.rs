//! A neighbourhood's first right: for so long after a need is verified only its neighbours may claim it.

use std::collections::BTreeSet;

use salur::domain::calendar::Moment;
use salur::domain::ids::NeedId;
use salur::domain::need::NeedStatus;
use salur::domain::refusal::{LineRefusal, RefusalReason};
use salur::domain::rules::OnConflict;
use salur::store::{ClaimOutcome, ImportNeeds, OpenClaim, OpeningNeed, StoreError, VerifyNeeds};
use tokio::task::JoinSet;

use crate::harness::books::check_books;
use crate::harness::database::TestDatabase;
use crate::harness::world::{ANY_NEED, World, q};
use crate::on_both_databases;

on_both_databases!(
    a_need_is_its_neighbours_until_its_first_right_ends_and_then_everybodys,
    taking_what_is_free_takes_nothing_that_is_kept_for_others,
    who_carries_a_claim_out_makes_nobody_a_neighbour,
    the_first_right_begins_when_a_need_is_verified_and_never_again,
    an_imported_need_is_kept_from_the_moment_of_its_import,
    of_many_at_once_only_neighbours_get_what_is_kept,
    no_stranger_comes_between_verifying_and_the_first_right,
);

const HOUR: u64 = 3_600;

async fn refusals(world: &World, ask: OpenClaim) -> Vec<LineRefusal> {
    match world.store.execute(ask).await {
        Ok(ClaimOutcome::Refused { refusals, replayed: false }) => refusals,
        other => panic!("the claim should have been refused, but: {other:?}"),
    }
}

async fn kept_until(world: &World, need: NeedId) -> Option<Moment> {
    world.need(need).await.first_right_until
}

async fn verify(world: &World, needs: &[NeedId]) -> Result<(), StoreError> {
    let ids: BTreeSet<NeedId> = needs.iter().copied().collect();
    world.store.execute(VerifyNeeds { author: None, access: ANY_NEED, ids }).await
}

fn reported(world: &World, required: i64) -> OpeningNeed {
    OpeningNeed { status: NeedStatus::Reported, ..world.row(required) }
}

async fn a_need_is_its_neighbours_until_its_first_right_ends_and_then_everybodys(db: TestDatabase) {
    let world = World::with_map(db).await;
    world.first_right(24).await;
    let needs = world.needs(&[10, 10]).await;
    let [stranger, _, neighbour] = world.donors;
    let until = kept_until(&world, needs[0]).await.expect("its program gives a first right");
    world.holds(neighbour, &[(needs[0], 3)]).await;
    // The second one lies in another RW: a neighbour of the first is a stranger there.
    for (who, need) in [(stranger, needs[0]), (neighbour, needs[1])] {
        let [line] = refusals(&world, world.asks(who, &[(need, 1)])).await[..] else {
            panic!("one line was asked for")
        };
        assert_eq!((line.need, line.requested, line.free, line.reason), (need, q(1), q(0), RefusalReason::Rule));
        assert_eq!(line.frees_at, kept_until(&world, need).await, "and not when the neighbour's hold ends");
    }
    // Ten seconds before the end, and after it.
    let now = world.store.now().await.expect("the clock is read");
    world.wait((until.0 - now.0) as u64 / 1_000_000 - 10);
    refusals(&world, world.asks(stranger, &[(needs[0], 1)])).await;
    world.wait(11);
    world.holds(stranger, &[(needs[0], 7)]).await;
    check_books(&world).await;
}

async fn taking_what_is_free_takes_nothing_that_is_kept_for_others(db: TestDatabase) {
    let world = World::with_map(db).await;
    let old = world.needs(&[10]).await[0];
    world.first_right(1).await;
    let kept = world.needs(&[10]).await[0];
    let [stranger, _, neighbour] = world.donors;
    let take = |who, lines: &[(NeedId, i64)]| OpenClaim { on_conflict: OnConflict::TakeFree, ..world.asks(who, lines) };
    let [line] = refusals(&world, take(stranger, &[(kept, 1)])).await[..] else { panic!("one line was asked for") };
    assert_eq!((line.reason, line.frees_at), (RefusalReason::Rule, kept_until(&world, kept).await));
    let asked = take(stranger, &[(old, 4), (kept, 4)]);
    let Ok(ClaimOutcome::Accepted { claim, shortfalls, .. }) = world.store.execute(asked).await else {
        panic!("the first one is free")
    };
    let got: Vec<_> = world.claim(claim).await.lines.iter().map(|l| (l.need, l.quantity)).collect();
    assert_eq!(got, [(old, q(4))]);
    let said: Vec<_> = shortfalls.iter().map(|r| (r.need, r.free, r.reason, r.frees_at)).collect();
    assert_eq!(said, [(kept, q(0), RefusalReason::Rule, kept_until(&world, kept).await)]);
    world.store.execute(take(neighbour, &[(old, 6), (kept, 10)])).await.expect("it is a neighbour of both");
    assert_eq!((world.counters(old).await, world.counters(kept).await), ((10, 10, 0), (10, 10, 0)));
    check_books(&world).await;
}

async fn who_carries_a_claim_out_makes_nobody_a_neighbour(db: TestDatabase) {
    let world = World::with_map(db).await;
    world.first_right(1).await;
    let need = world.needs(&[10]).await[0];
    let [stranger, _, neighbour] = world.donors;
    let carried = |who| OpenClaim { executor: Some(world.aggregator), ..world.asks(who, &[(need, 1)]) };
    refusals(&world, carried(stranger)).await;
    let made = world.store.execute(carried(neighbour)).await.expect("the claim is decided");
    assert!(matches!(made, ClaimOutcome::Accepted { .. }), "{made:?}");
    check_books(&world).await;
}

async fn the_first_right_begins_when_a_need_is_verified_and_never_again(db: TestDatabase) {
    let world = World::with_map(db).await;
    world.first_right(2).await;
    let needs = world.enter(vec![reported(&world, 10), reported(&world, 10)]).await;
    assert_eq!(kept_until(&world, needs[0]).await, None, "nobody has verified it yet");
    world.wait(5 * HOUR);
    let before = world.store.now().await.expect("the clock is read");
    verify(&world, &needs[..1]).await.expect("a reported need is verified");
    let after = world.store.now().await.expect("the clock is read");
    let until = kept_until(&world, needs[0]).await.expect("its program gives a first right");
    let right = 2 * HOUR as i64;
    assert!((before.plus_seconds(right)..=after.plus_seconds(right)).contains(&until), "{until:?}");
    // Neither verifying again nor another rule moves what was promised.
    world.wait(HOUR);
    verify(&world, &needs[..1]).await.expect("verifying again changes nothing");
    world.first_right(0).await;
    assert_eq!(kept_until(&world, needs[0]).await, Some(until));
    refusals(&world, world.asks(world.donors[0], &[(needs[0], 1)])).await;
    verify(&world, &needs[1..]).await.expect("a reported need is verified");
    assert_eq!(kept_until(&world, needs[1]).await, None, "its program gives no first right any more");
    world.holds(world.donors[0], &[(needs[1], 1)]).await;
    check_books(&world).await;
}

async fn an_imported_need_is_kept_from_the_moment_of_its_import(db: TestDatabase) {
    let world = World::with_map(db).await;
    let named = |external: &str| OpeningNeed { external_id: Some(external.into()), ..world.row(10) };
    let old = world.enter(vec![named("old")]).await[0];
    world.first_right(3).await;
    let tablets = OpeningNeed { program: world.school, item: world.tablet, ..named("tablets") };
    let (new, tablet) = match world.enter(vec![named("new"), tablets]).await[..] {
        [new, tablet] => (new, tablet),
        ref other => panic!("two rows are two needs: {other:?}"),
    };
    let until = kept_until(&world, new).await.expect("its program gives a first right");
    let now = world.store.now().await.expect("the clock is read");
    assert!(until > now && until <= now.plus_seconds(3 * HOUR as i64));
    assert_eq!((kept_until(&world, old).await, kept_until(&world, tablet).await), (None, None));
    world.wait(HOUR);
    let again = vec![OpeningNeed { required: q(20), ..named("new") }, OpeningNeed { required: q(20), ..named("old") }];
    let import = ImportNeeds { author: None, rows: again, accept_rejects: false, dry_run: false };
    assert_eq!(world.store.execute(import).await.expect("needs are taken").accepted, 2);
    assert_eq!((kept_until(&world, new).await, kept_until(&world, old).await), (Some(until), None));
    world.holds(world.donors[0], &[(old, 20), (tablet, 10)]).await;
    refusals(&world, world.asks(world.donors[0], &[(new, 1)])).await;
    check_books(&world).await;
}

async fn of_many_at_once_only_neighbours_get_what_is_kept(db: TestDatabase) {
    let world = World::with_map(db).await;
    let open = world.needs(&[1_000]).await[0];
    world.first_right(1).await;
    let kept = world.needs(&[60]).await[0];
    let mut tasks = JoinSet::new();
    for i in 0..120 {
        let who = world.donors[i % 3];
        let ask = world.asks(who, &[(open, 1), (kept, 1)]);
        let store = world.store.clone();
        tasks.spawn(async move { (i % 3 == 2, store.execute(ask).await) });
    }
    let (mut neighbours, mut strangers) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let (neighbour, outcome) = done.expect("no task panics");
        match outcome.expect("no error reaches a caller") {
            ClaimOutcome::Accepted { .. } if neighbour => neighbours += 1,
            ClaimOutcome::Refused { refusals, .. } if !neighbour => {
                let said: Vec<_> = refusals.iter().map(|r| (r.need, r.reason)).collect();
                assert_eq!(said, [(kept, RefusalReason::Rule)]);
                strangers += 1;
            }
            other => panic!("a neighbour was refused or a stranger was not: {other:?}"),
        }
    }
    assert_eq!((neighbours, strangers), (40, 80));
    assert_eq!((world.counters(open).await, world.counters(kept).await), ((1_000, 40, 0), (60, 40, 0)));
    check_books(&world).await;
}

async fn no_stranger_comes_between_verifying_and_the_first_right(db: TestDatabase) {
    let world = World::with_map(db).await;
    world.first_right(1).await;
    for _ in 0..10 {
        let need = world.enter(vec![reported(&world, 10)]).await[0];
        let mut tasks = JoinSet::new();
        for _ in 0..6 {
            let (store, ask) = (world.store.clone(), world.asks(world.donors[0], &[(need, 1)]));
            tasks.spawn(async move { store.execute(ask).await });
        }
        verify(&world, &[need]).await.expect("a reported need is verified");
        while let Some(done) = tasks.join_next().await {
            let outcome = done.expect("no task panics").expect("no error reaches a caller");
            let ClaimOutcome::Refused { refusals, .. } = outcome else { panic!("a stranger was first") };
            assert!(matches!(refusals[0].reason, RefusalReason::NotOpen | RefusalReason::Rule), "{refusals:?}");
        }
        assert_eq!(world.counters(need).await, (10, 0, 0));
    }
    check_books(&world).await;
}
