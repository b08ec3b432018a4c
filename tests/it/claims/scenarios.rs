//! Claims and offers, one at a time.

use salur::domain::claim::ClaimStatus;
use salur::domain::refusal::RefusalReason;
use salur::domain::rules::OnConflict;
use salur::store::{
    ClaimOutcome, CloseNeed, CreateOffer, ExpireDue, OpenClaim, RenewClaim, ReviseNeed, StoreError, VerifyNeeds,
};

use crate::harness::books::check_books;
use crate::harness::database::TestDatabase;
use crate::harness::world::{ANY_NEED, World, access_of, q};
use crate::on_both_databases;

on_both_databases!(
    a_claim_sets_aside_what_it_asks_and_a_release_gives_it_back,
    a_refused_claim_names_every_short_line_with_what_is_free_and_when_more_will_be,
    taking_what_is_free_cuts_lines_and_says_which,
    a_hold_that_runs_out_frees_its_quantity_before_anybody_sweeps,
    a_hold_lasts_to_its_end_and_not_a_moment_longer,
    a_hold_is_renewed_as_often_as_its_program_allows,
    a_hold_is_as_long_as_the_strictest_program_takes,
    a_claim_is_carried_out_by_its_maker_or_by_a_verified_partner,
    a_foreign_claim_is_not_found,
    confirming_and_releasing_again_changes_nothing,
    a_closed_or_unverified_need_takes_no_claim,
    what_is_required_never_falls_below_what_is_allocated,
    an_offer_limits_its_claims_and_gets_back_what_they_release,
    an_offer_serves_its_own_item_its_own_maker_and_its_own_days,
    quantities_reach_to_the_largest_that_every_reader_keeps_exact,
);

async fn claims(world: &World, ask: OpenClaim) -> ClaimOutcome {
    world.store.execute(ask).await.expect("the claim is decided")
}

async fn a_claim_sets_aside_what_it_asks_and_a_release_gives_it_back(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100, 50]).await;
    let [a, ..] = world.donors;
    let claim = world.holds(a, &[(needs[0], 30), (needs[1], 50)]).await;
    assert_eq!(world.counters(needs[0]).await, (100, 30, 0));
    assert_eq!(world.counters(needs[1]).await, (50, 50, 0));
    let now = world.store.now().await.expect("the clock is read");
    let stands = world.claim(claim).await;
    assert_eq!(stands.status_at(now), ClaimStatus::Held);
    assert_eq!((stands.organization, stands.executor, stands.offer), (a, a, None));
    assert_eq!(
        stands.lines.iter().map(|l| (l.need, l.quantity)).collect::<Vec<_>>(),
        [(needs[0], q(30)), (needs[1], q(50))]
    );
    world.release(claim).await.expect("a hold is released");
    assert_eq!(world.counters(needs[0]).await, (100, 0, 0));
    assert_eq!(world.counters(needs[1]).await, (50, 0, 0));
    assert_eq!(world.claim(claim).await.status_at(now), ClaimStatus::Released);
    check_books(&world).await;
}

async fn a_refused_claim_names_every_short_line_with_what_is_free_and_when_more_will_be(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100, 50, 20]).await;
    let [a, b, _] = world.donors;
    let short = OpenClaim { hold_seconds: Some(60), ..world.asks(a, &[(needs[0], 80)]) };
    let ClaimOutcome::Accepted { claim, .. } = claims(&world, short).await else { panic!("all of it is free") };
    let ends = world.claim(claim).await.expires_at().expect("a hold ends");
    world.promises(a, &[(needs[1], 50)]).await;
    let ask = world.asks(b, &[(needs[0], 21), (needs[1], 1), (needs[2], 20)]);
    let ClaimOutcome::Refused { refusals, replayed } = claims(&world, ask).await else { panic!("two lines are short") };
    assert!(!replayed);
    let said: Vec<_> = refusals.iter().map(|r| (r.need, r.requested, r.free, r.reason, r.frees_at)).collect();
    let short = RefusalReason::NotEnoughFree;
    assert_eq!(said, [(needs[0], q(21), q(20), short, Some(ends)), (needs[1], q(1), q(0), short, None)]);
    assert_eq!(world.counters(needs[2]).await, (20, 0, 0), "a refused claim takes nothing");
    check_books(&world).await;
}

async fn taking_what_is_free_cuts_lines_and_says_which(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100, 50, 20]).await;
    let [a, b, _] = world.donors;
    world.promises(a, &[(needs[0], 80), (needs[1], 50)]).await;
    let lines = [(needs[0], 30), (needs[1], 5), (needs[2], 20)];
    let ask = OpenClaim { on_conflict: OnConflict::TakeFree, ..world.asks(b, &lines) };
    let ClaimOutcome::Accepted { claim, shortfalls, .. } = claims(&world, ask).await else { panic!("some is free") };
    let got: Vec<_> = world.claim(claim).await.lines.iter().map(|l| (l.need, l.quantity)).collect();
    assert_eq!(got, [(needs[0], q(20)), (needs[2], q(20))]);
    let said: Vec<_> = shortfalls.iter().map(|r| (r.need, r.free, r.reason)).collect();
    let short = RefusalReason::NotEnoughFree;
    assert_eq!(said, [(needs[0], q(20), short), (needs[1], q(0), short)]);
    let again = OpenClaim { on_conflict: OnConflict::TakeFree, ..world.asks(b, &lines) };
    let ClaimOutcome::Refused { refusals, .. } = claims(&world, again).await else { panic!("nothing is left") };
    assert_eq!(refusals.len(), 3);
    check_books(&world).await;
}

async fn a_hold_that_runs_out_frees_its_quantity_before_anybody_sweeps(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10]).await;
    let [a, b, _] = world.donors;
    let held = world.holds(a, &[(needs[0], 10)]).await;
    world.wait(86_400);
    let now = world.store.now().await.expect("the clock is read");
    assert_eq!(world.claim(held).await.status_at(now), ClaimStatus::Expired, "a reader sees it at once");
    world.holds(b, &[(needs[0], 10)]).await;
    assert_eq!(world.line(held, needs[0]).await.status, ClaimStatus::Expired);
    for refused in [world.confirm(held).await, world.release(held).await] {
        assert!(matches!(refused, Err(StoreError::Illegal(_))), "{refused:?}");
    }
    assert_eq!(world.counters(needs[0]).await, (10, 10, 0));
    world.wait(86_400);
    assert_eq!(world.store.execute(ExpireDue { most: 100 }).await.expect("a sweep runs"), 1);
    assert_eq!(world.store.execute(ExpireDue { most: 100 }).await.expect("a sweep runs"), 0);
    assert_eq!(world.counters(needs[0]).await, (10, 0, 0));
    check_books(&world).await;
}

async fn a_hold_lasts_to_its_end_and_not_a_moment_longer(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10]).await;
    let [a, b, _] = world.donors;
    let held = world.holds(a, &[(needs[0], 10)]).await;
    // A day less ten seconds: not due, whoever looks.
    world.wait(86_390);
    assert_eq!(world.store.execute(ExpireDue { most: 100 }).await.expect("a sweep runs"), 0);
    let refused = claims(&world, world.asks(b, &[(needs[0], 1)])).await;
    assert!(matches!(refused, ClaimOutcome::Refused { .. }), "{refused:?}");
    world.wait(10);
    let refused = world.confirm(held).await;
    assert!(matches!(refused, Err(StoreError::Illegal(_))), "{refused:?}");
    world.holds(b, &[(needs[0], 10)]).await;
    check_books(&world).await;
}

async fn a_hold_is_renewed_as_often_as_its_program_allows(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10]).await;
    let [a, ..] = world.donors;
    let held = world.holds(a, &[(needs[0], 10)]).await;
    let renew = RenewClaim { author: None, id: held, access: access_of(a), hold_seconds: Some(2 * 86_400) };
    world.wait(3_000);
    world.store.execute(renew.clone()).await.expect("two renewals are allowed");
    let longer = world.claim(held).await;
    let now = world.store.now().await.expect("the clock is read");
    let left = longer.expires_at().expect("it is held").0 - now.0;
    assert!((172_790_000_000..=172_800_000_000).contains(&left), "{left} µs are left");
    let shorter = RenewClaim { hold_seconds: Some(3_600), ..renew.clone() };
    world.store.execute(shorter).await.expect("two renewals are allowed");
    let stands = world.claim(held).await;
    assert_eq!((stands.renewals, stands.expires_at()), (2, longer.expires_at()), "a renewal never shortens a hold");
    assert!(stands.version() > longer.version());
    let third = world.store.execute(renew.clone()).await;
    assert!(matches!(third, Err(StoreError::Illegal(_))), "{third:?}");
    world.confirm(held).await.expect("it is still held");
    let confirmed = world.store.execute(renew).await;
    assert!(matches!(confirmed, Err(StoreError::Illegal(_))), "{confirmed:?}");
    assert_eq!(world.counters(needs[0]).await, (10, 10, 0));
    check_books(&world).await;
}

async fn a_hold_is_as_long_as_the_strictest_program_takes(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10]).await;
    let [a, ..] = world.donors;
    for wrong in [i64::MIN, -1, 0, 1, 14 * 86_400 + 1, i64::MAX] {
        let ask = OpenClaim { hold_seconds: Some(wrong), ..world.asks(a, &[(needs[0], 1)]) };
        let refused = world.store.execute(ask).await;
        assert!(matches!(refused, Err(StoreError::BadInput { field: "holdSeconds", .. })), "{wrong}: {refused:?}");
    }
    for right in [2, 14 * 86_400] {
        let ask = OpenClaim { hold_seconds: Some(right), ..world.asks(a, &[(needs[0], 1)]) };
        assert!(matches!(claims(&world, ask).await, ClaimOutcome::Accepted { .. }), "{right}");
    }
    check_books(&world).await;
}

async fn a_claim_is_carried_out_by_its_maker_or_by_a_verified_partner(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10]).await;
    let [a, b, _] = world.donors;
    let ask = OpenClaim { executor: Some(b), ..world.asks(a, &[(needs[0], 1)]) };
    let refused = world.store.execute(ask).await;
    assert!(matches!(refused, Err(StoreError::BadInput { field: "executorId", .. })), "{refused:?}");
    let ask = OpenClaim { executor: Some(world.aggregator), ..world.asks(a, &[(needs[0], 1)]) };
    let ClaimOutcome::Accepted { claim, .. } = claims(&world, ask).await else { panic!("it is free") };
    assert_eq!(world.claim(claim).await.executor, world.aggregator);
    let confirm = salur::store::ConfirmClaim { author: None, id: claim, access: access_of(world.aggregator) };
    world.store.execute(confirm).await.expect("who carries it out may confirm it");
    check_books(&world).await;
}

async fn a_foreign_claim_is_not_found(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10]).await;
    let [a, b, _] = world.donors;
    let id = world.holds(a, &[(needs[0], 10)]).await;
    let access = access_of(b);
    let answers = [
        world.store.execute(salur::store::ConfirmClaim { author: None, id, access }).await,
        world.store.execute(salur::store::ReleaseClaim { author: None, id, access, reason: None }).await,
        world.store.execute(RenewClaim { author: None, id, access, hold_seconds: None }).await,
        world.release(salur::domain::ids::ClaimId(id.0 + 1)).await,
    ];
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::NotFound("claim"))), "{answer:?}");
    }
    assert_eq!(world.line(id, needs[0]).await.status, ClaimStatus::Held);
    check_books(&world).await;
}

async fn confirming_and_releasing_again_changes_nothing(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10]).await;
    let [a, ..] = world.donors;
    let claim = world.promises(a, &[(needs[0], 10)]).await;
    let (version, need) = (world.claim(claim).await.version(), world.need(needs[0]).await);
    world.confirm(claim).await.expect("confirming again is harmless");
    assert_eq!((world.claim(claim).await.version(), world.need(needs[0]).await), (version, need));
    world.release(claim).await.expect("a promise may be taken back");
    let (version, need) = (world.claim(claim).await.version(), world.need(needs[0]).await);
    world.release(claim).await.expect("releasing again is harmless");
    assert_eq!((world.claim(claim).await.version(), world.need(needs[0]).await), (version, need));
    let refused = world.confirm(claim).await;
    assert!(matches!(refused, Err(StoreError::Illegal(_))), "a released claim stays released: {refused:?}");
    check_books(&world).await;
}

async fn a_closed_or_unverified_need_takes_no_claim(db: TestDatabase) {
    let world = World::with_map(db).await;
    let mut rows = vec![world.row(10), world.row(10)];
    rows[0].status = salur::domain::need::NeedStatus::Reported;
    let needs = world.enter(rows).await;
    let [a, ..] = world.donors;
    let version = world.need(needs[1]).await.version;
    let close = CloseNeed {
        author: None,
        access: ANY_NEED,
        id: needs[1],
        expected_version: version,
        reason: "bantuan lain sudah datang".into(),
    };
    world.store.execute(close.clone()).await.expect("an open need is closed");
    let stale = world.store.execute(close.clone()).await;
    assert!(matches!(stale, Err(StoreError::VersionConflict)), "{stale:?}");
    let twice = world.store.execute(CloseNeed { expected_version: version + 1, ..close }).await;
    assert!(matches!(twice, Err(StoreError::Illegal(_))), "{twice:?}");
    let missing = salur::domain::ids::NeedId(needs[1].0 + 1);
    let ask = world.asks(a, &[(needs[0], 1), (needs[1], 1), (missing, 1)]);
    let ClaimOutcome::Refused { refusals, .. } = claims(&world, ask).await else { panic!("none of them is open") };
    let said: Vec<_> = refusals.iter().map(|r| (r.need, r.reason)).collect();
    use RefusalReason::{NotFound, NotOpen};
    assert_eq!(said, [(needs[0], NotOpen), (needs[1], NotOpen), (missing, NotFound)]);
    let verify = |id| VerifyNeeds { author: None, access: ANY_NEED, ids: [id].into() };
    world.store.execute(verify(needs[0])).await.expect("a reported need is verified");
    world.store.execute(verify(needs[0])).await.expect("verifying again is harmless");
    assert_eq!(world.need(needs[0]).await.version, 2);
    let closed = world.store.execute(verify(needs[1])).await;
    assert!(matches!(closed, Err(StoreError::Illegal(_))), "{closed:?}");
    world.holds(a, &[(needs[0], 1)]).await;
    check_books(&world).await;
}

async fn what_is_required_never_falls_below_what_is_allocated(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100]).await;
    let [a, ..] = world.donors;
    world.promises(a, &[(needs[0], 60)]).await;
    let revise = |required, expected_version| ReviseNeed {
        author: None,
        access: ANY_NEED,
        id: needs[0],
        expected_version,
        required: Some(q(required)),
        severity: None,
    };
    let version = world.need(needs[0]).await.version;
    let below = world.store.execute(revise(59, version)).await;
    assert!(matches!(below, Err(StoreError::Illegal(_))), "{below:?}");
    world.store.execute(revise(60, version)).await.expect("exactly what is allocated is enough");
    let stale = world.store.execute(revise(80, version)).await;
    assert!(matches!(stale, Err(StoreError::VersionConflict)), "{stale:?}");
    assert_eq!(world.counters(needs[0]).await, (60, 60, 0));
    check_books(&world).await;
}

async fn an_offer_limits_its_claims_and_gets_back_what_they_release(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100, 100]).await;
    let [a, ..] = world.donors;
    let offer = world.offers(a, world.package, 120).await;
    let from_offer = |lines: &[(_, i64)]| OpenClaim { offer: Some(offer), ..world.asks(a, lines) };
    let ClaimOutcome::Accepted { claim: first, .. } = claims(&world, from_offer(&[(needs[0], 70)])).await else {
        panic!("the offer has enough")
    };
    assert_eq!(world.pledged(offer).await, (120, 70));
    let refused = claims(&world, from_offer(&[(needs[0], 20), (needs[1], 31)])).await;
    let ClaimOutcome::Refused { refusals, .. } = refused else { panic!("only 50 are left of the offer") };
    assert!(refusals.iter().all(|r| r.reason == RefusalReason::Rule), "{refusals:?}");
    let cut = OpenClaim { on_conflict: OnConflict::TakeFree, ..from_offer(&[(needs[0], 20), (needs[1], 31)]) };
    let ClaimOutcome::Accepted { claim: second, shortfalls, .. } = claims(&world, cut).await else {
        panic!("50 are left of the offer")
    };
    assert_eq!(shortfalls.iter().map(|r| (r.need, r.reason)).collect::<Vec<_>>(), [(needs[1], RefusalReason::Rule)]);
    assert_eq!(world.line(second, needs[1]).await.quantity, q(30));
    assert_eq!(world.pledged(offer).await, (120, 120));
    world.release(first).await.expect("a hold is released");
    assert_eq!(world.pledged(offer).await, (120, 50));
    world.wait(86_400);
    world.store.execute(ExpireDue { most: 10 }).await.expect("a sweep runs");
    assert_eq!(world.pledged(offer).await, (120, 0));
    let ClaimOutcome::Accepted { claim, .. } = claims(&world, from_offer(&[(needs[0], 100)])).await else {
        panic!("all of it is back")
    };
    world.confirm(claim).await.expect("it is held");
    world.delivers(claim, &[(needs[0], 40)]).await;
    world.release(claim).await.expect("the rest is given back");
    assert_eq!(world.pledged(offer).await, (120, 40), "what was given stays given");
    check_books(&world).await;
}

async fn an_offer_serves_its_own_item_its_own_maker_and_its_own_days(db: TestDatabase) {
    let world = World::with_map(db).await;
    let mut rows = vec![world.row(10), world.row(10)];
    rows[1].item = world.meal;
    let needs = world.enter(rows).await;
    let [a, b, _] = world.donors;
    let offer = world.offers(a, world.package, 10).await;
    let mixed = OpenClaim { offer: Some(offer), ..world.asks(a, &[(needs[0], 1), (needs[1], 1)]) };
    let ClaimOutcome::Refused { refusals, .. } = claims(&world, mixed).await else { panic!("a meal is no package") };
    assert_eq!(refusals.iter().map(|r| (r.need, r.reason)).collect::<Vec<_>>(), [(needs[1], RefusalReason::Rule)]);
    for (who, which) in [(b, offer), (a, salur::domain::ids::OfferId(offer.0 + 1))] {
        let foreign = world.store.execute(OpenClaim { offer: Some(which), ..world.asks(who, &[(needs[0], 1)]) }).await;
        assert!(matches!(foreign, Err(StoreError::NotFound("offer"))), "{foreign:?}");
    }
    let today = world.store.now().await.expect("the clock is read").day();
    for (from, until, open) in [
        (Some(today.plus(1)), None, false),
        (None, Some(today.plus(-1)), false),
        (Some(today), Some(today.plus(1)), true),
    ] {
        let dated = CreateOffer { available_from: from, available_until: until, ..world.offer(a, world.package, 10) };
        let dated = world.store.execute(dated).await.expect("an offer is taken");
        let got = claims(&world, OpenClaim { offer: Some(dated), ..world.asks(a, &[(needs[0], 1)]) }).await;
        match got {
            ClaimOutcome::Accepted { .. } => assert!(open, "{from:?} to {until:?}"),
            ClaimOutcome::Refused { refusals, .. } => {
                assert!(!open && refusals[0].reason == RefusalReason::Rule, "{from:?} to {until:?}: {refusals:?}");
            }
        }
    }
    check_books(&world).await;
}

async fn quantities_reach_to_the_largest_that_every_reader_keeps_exact(db: TestDatabase) {
    let world = World::with_map(db).await;
    let most = salur::domain::quantity::MAX_QUANTITY;
    let needs = world.needs(&[most, most]).await;
    let [a, ..] = world.donors;
    let claim = world.promises(a, &[(needs[0], most), (needs[1], most)]).await;
    assert_eq!(world.counters(needs[1]).await, (most, most, 0));
    world.delivers(claim, &[(needs[0], most), (needs[1], most - 1)]).await;
    assert_eq!(world.counters(needs[0]).await, (most, 0, most));
    assert_eq!(world.counters(needs[1]).await, (most, 1, most - 1));
    let offer = world.offers(a, world.package, most).await;
    let ask = OpenClaim { offer: Some(offer), ..world.asks(a, &[(needs[0], most), (needs[1], most)]) };
    assert!(matches!(claims(&world, ask).await, ClaimOutcome::Refused { .. }));
    check_books(&world).await;
}
