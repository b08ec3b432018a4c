//! Deliveries: every state and every event, trips over parts, and what the areas answer.

use salur::domain::calendar::Moment;
use salur::domain::claim::{ClaimLine, ClaimStatus};
use salur::domain::delivery::DeliveryStatus;
use salur::domain::ids::{ClaimId, ClaimLineId, DeliveryId, NeedId};
use salur::domain::rules::{LineEvent, LineOutcome, line_after};
use salur::store::{
    AcknowledgeDelivery, Answer, CancelDelivery, CloseNeed, DispatchDelivery, ExpireDue, RecordDelivery, RenewClaim,
    ScheduleDelivery, StoreError,
};

use crate::harness::books::check_books;
use crate::harness::database::TestDatabase;
use crate::harness::world::{ANY_CLAIM, ANY_NEED, World, access_of, code, q};
use crate::on_both_databases;

on_both_databases!(
    a_delivery_takes_exactly_the_steps_of_the_table,
    a_line_takes_exactly_the_events_of_the_table,
    a_promise_is_delivered_over_several_trips,
    what_was_rejected_is_owed_again_and_delivered_by_another_trip,
    a_rejection_after_a_release_is_owed_no_more,
    a_promise_with_an_open_trip_is_not_released,
    what_was_delivered_stays_when_the_rest_is_released,
    officers_of_two_areas_answer_line_by_line,
    an_answer_accounts_for_all_that_was_handed_over_and_is_given_once,
    a_foreign_delivery_is_not_found,
    what_a_cancelled_trip_carried_is_scheduled_anew,
    a_trip_is_scheduled_once_however_often_it_is_asked_for,
    what_is_promised_is_delivered_to_a_need_closed_meanwhile,
    of_two_trips_over_the_same_rest_one_is_scheduled,
    of_a_record_and_a_cancel_one_decides,
);

async fn cancel(world: &World, id: DeliveryId) -> Result<(), StoreError> {
    let cancel = CancelDelivery { author: None, id, access: ANY_CLAIM, reason: "banjir".into() };
    world.store.execute(cancel).await
}

/// Answers as an admin, or as the officer of `area`.
async fn answer(
    world: &World,
    id: DeliveryId,
    area: Option<&str>,
    answers: &[(ClaimLineId, i64, i64)],
) -> Result<(), StoreError> {
    let answers = answers.iter().map(|(line, accepted, rejected)| Answer {
        line: *line,
        accepted: q(*accepted),
        rejected: q(*rejected),
        note: None,
    });
    let say = AcknowledgeDelivery { author: None, id, area: area.map(code), answers: answers.collect() };
    world.store.execute(say).await
}

fn is_illegal<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Illegal(_)))
}

async fn a_delivery_takes_exactly_the_steps_of_the_table(db: TestDatabase) {
    use DeliveryStatus::{Acknowledged, Cancelled, Delivered, Disputed, InTransit, Scheduled};
    // dispatch, record, accept all, reject one, cancel; `None` is illegal.
    let table = [
        (Scheduled, [Some(InTransit), None, None, None, Some(Cancelled)]),
        (InTransit, [Some(InTransit), Some(Delivered), None, None, Some(Cancelled)]),
        (Delivered, [None, Some(Delivered), Some(Acknowledged), Some(Disputed), None]),
        // Giving the same answer again is harmless, another one comes too late.
        (Acknowledged, [None, None, Some(Acknowledged), None, None]),
        (Disputed, [None, None, None, Some(Disputed), None]),
        (Cancelled, [None, None, None, None, Some(Cancelled)]),
    ];
    assert_eq!(table.map(|(state, _)| state), DeliveryStatus::ALL);
    let world = World::with_map(db).await;
    let need = world.needs(&[1_000]).await[0];
    for (state, outcomes) in table {
        for (event, expected) in outcomes.into_iter().enumerate() {
            let claim = world.promises(world.donors[0], &[(need, 10)]).await;
            let line = world.line(claim, need).await.id;
            let id = world.schedules(claim, &[(need, 10)]).await;
            let ready = async {
                match state {
                    Scheduled => Ok(()),
                    InTransit => world.dispatch(id).await,
                    Cancelled => cancel(&world, id).await,
                    Delivered | Acknowledged | Disputed => {
                        world.dispatch(id).await?;
                        world.record(id).await?;
                        match state {
                            Acknowledged => answer(&world, id, None, &[(line, 10, 0)]).await,
                            Disputed => answer(&world, id, None, &[(line, 9, 1)]).await,
                            _ => Ok(()),
                        }
                    }
                }
            };
            ready.await.expect("the way into a state is open");
            let before = world.delivery(id).await;
            assert_eq!(before.status, state);
            let done = match event {
                0 => world.dispatch(id).await,
                1 => world.record(id).await,
                2 => answer(&world, id, None, &[(line, 10, 0)]).await,
                3 => answer(&world, id, None, &[(line, 9, 1)]).await,
                _ => cancel(&world, id).await,
            };
            let after = world.delivery(id).await;
            let cell = format!("{state:?}, event {event}: {done:?}, {after:?}");
            match expected {
                None => assert!(is_illegal(&done) && after == before, "{cell}"),
                Some(same) if same == state => assert!(done.is_ok() && after == before, "{cell}"),
                Some(next) => {
                    assert!(done.is_ok() && after.status == next && after.version == before.version + 1, "{cell}");
                    assert_eq!(after.events.last().map(|e| e.status), Some(next), "{cell}");
                }
            }
            let line = world.line(claim, need).await;
            let (scheduled, delivered) = match after.status {
                Scheduled | InTransit => (10, 0),
                Delivered | Acknowledged => (0, 10),
                Disputed => (0, 9),
                Cancelled => (0, 0),
            };
            assert_eq!((line.scheduled, line.delivered), (q(scheduled), q(delivered)), "{cell}");
        }
    }
    check_books(&world).await;
}

/// The states of a line that differ in what may happen to it.
const STATES: [&str; 9] = [
    "held",
    "due",
    "confirmed",
    "confirmed with a trip",
    "confirmed and delivered in part",
    "fulfilled",
    "released",
    "released after a delivery",
    "expired",
];

/// Brings a line of ten to the state. Answers the claim and the trip that is open or was recorded.
async fn bring(world: &World, need: NeedId, state: &str) -> (ClaimId, Option<DeliveryId>) {
    let claim = world.holds(world.donors[0], &[(need, 10)]).await;
    let mut trip = None;
    if !["held", "due", "expired"].contains(&state) {
        world.confirm(claim).await.expect("a hold is confirmed");
    }
    match state {
        "due" => world.wait(86_400),
        "confirmed with a trip" => trip = Some(world.schedules(claim, &[(need, 4)]).await),
        "confirmed and delivered in part" | "released after a delivery" => {
            trip = Some(world.delivers(claim, &[(need, 4)]).await);
        }
        "fulfilled" => trip = Some(world.delivers(claim, &[(need, 10)]).await),
        "expired" => {
            world.wait(86_400);
            world.store.execute(ExpireDue { most: 100 }).await.expect("a sweep runs");
        }
        _ => {}
    }
    if state.starts_with("released") {
        world.release(claim).await.expect("the rest is released");
    }
    (claim, trip)
}

async fn a_line_takes_exactly_the_events_of_the_table(db: TestDatabase) {
    use ClaimStatus::{Confirmed, Expired, Fulfilled, Held, Released};
    // confirm, renew, release, sweep, schedule 6, reject 1; `None` is refused.
    let table = [
        ("held", [Some(Confirmed), Some(Held), Some(Released), Some(Held), None, None]),
        ("due", [None, None, None, Some(Expired), None, None]),
        ("confirmed", [Some(Confirmed), None, Some(Released), Some(Confirmed), Some(Confirmed), None]),
        ("confirmed with a trip", [Some(Confirmed), None, None, Some(Confirmed), Some(Confirmed), None]),
        (
            "confirmed and delivered in part",
            [Some(Confirmed), None, Some(Released), Some(Confirmed), Some(Confirmed), Some(Confirmed)],
        ),
        ("fulfilled", [Some(Fulfilled), None, None, Some(Fulfilled), None, Some(Confirmed)]),
        ("released", [None, None, Some(Released), Some(Released), None, None]),
        ("released after a delivery", [None, None, Some(Released), Some(Released), None, Some(Released)]),
        ("expired", [None, None, None, Some(Expired), None, None]),
    ];
    assert_eq!(table.map(|(state, _)| state), STATES);
    let world = World::with_map(db).await;
    let need = world.needs(&[10_000]).await[0];
    for (state, outcomes) in table {
        for (event, expected) in outcomes.into_iter().enumerate() {
            let (claim, trip) = bring(&world, need, state).await;
            let before = world.line(claim, need).await;
            let done = match event {
                0 => world.confirm(claim).await,
                1 => {
                    let renew = RenewClaim { author: None, id: claim, access: ANY_CLAIM, hold_seconds: None };
                    world.store.execute(renew).await
                }
                2 => world.release(claim).await,
                3 => world.store.execute(ExpireDue { most: 100 }).await.map(|_| ()),
                4 => world.store.execute(world.trip(claim, &[(need, 6)]).await).await.map(|_| ()),
                _ => match trip {
                    Some(trip) => {
                        let quantity = world.delivery(trip).await.lines[0].quantity.get();
                        answer(&world, trip, None, &[(before.id, quantity - 1, 1)]).await
                    }
                    None => Err(StoreError::Illegal("nothing was handed over".into())),
                },
            };
            let after = world.line(claim, need).await;
            let cell = format!("{state}, event {event}: {done:?}, {before:?}, {after:?}");
            match expected {
                None => assert!(is_illegal(&done) && after == before, "{cell}"),
                Some(status) => assert!(done.is_ok() && after.status == status, "{cell}"),
            }
            // Let no hold of this round run out in the next.
            if after.status == Held {
                world.wait(86_400);
                world.store.execute(ExpireDue { most: 100 }).await.expect("a sweep runs");
            }
        }
    }
    check_books(&world).await;
}

/// Every status, held and due apart, against every event with every quantity that matters.
#[test]
fn the_rule_for_lines_is_the_table_in_all_its_cells() {
    use ClaimStatus::{Confirmed, Expired, Fulfilled, Held, Released};
    let now = Moment(1_000);
    let line = |status, scheduled: i64, delivered: i64, ends: Option<i64>| ClaimLine {
        id: ClaimLineId(1),
        claim: ClaimId(1),
        need: NeedId(1),
        quantity: q(10),
        scheduled: q(scheduled),
        delivered: q(delivered),
        status,
        expires_at: ends.map(Moment),
        version: 7,
    };
    let lines = [
        line(Held, 0, 0, Some(1_001)),
        line(Held, 0, 0, Some(1_000)),
        line(Held, 0, 0, Some(999)),
        line(Confirmed, 0, 0, None),
        line(Confirmed, 4, 3, None),
        line(Fulfilled, 0, 10, None),
        line(Released, 0, 0, None),
        line(Released, 0, 3, None),
        line(Expired, 0, 0, None),
    ];
    let mut events = vec![LineEvent::Confirm, LineEvent::Renew(Moment(5_000)), LineEvent::Release, LineEvent::Expire];
    for quantity in [0, 1, 3, 4, 7, 10, 11] {
        events.extend([
            LineEvent::Schedule(q(quantity)),
            LineEvent::Unschedule(q(quantity)),
            LineEvent::Deliver(q(quantity)),
            LineEvent::Reject(q(quantity)),
        ]);
    }
    let mut cells = 0;
    for before in lines {
        for event in &events {
            let due = before.status == Held && before.expires_at.is_some_and(|at| at <= now);
            let status = if due { Expired } else { before.status };
            let left = 10 - before.delivered.get() - before.scheduled.get();
            let (scheduled, delivered) = (before.scheduled.get(), before.delivered.get());
            // The state after, as `(status, scheduled, delivered, end of the hold)`; `None` is illegal.
            let expected = match (status, event) {
                (Held, LineEvent::Confirm) => Some((Confirmed, 0, 0, None)),
                (Held, LineEvent::Renew(until)) => Some((Held, 0, 0, Some(*until))),
                (Held, LineEvent::Release) => Some((Released, 0, 0, None)),
                (Expired, LineEvent::Expire) => Some((Expired, 0, 0, None)),
                (Released, LineEvent::Release) => Some((Released, 0, delivered, None)),
                (Confirmed | Fulfilled, LineEvent::Confirm) => Some((status, scheduled, delivered, None)),
                (Confirmed, LineEvent::Release) if scheduled == 0 => Some((Released, 0, delivered, None)),
                (Confirmed, LineEvent::Schedule(n)) if (1..=left).contains(&n.get()) => {
                    Some((Confirmed, scheduled + n.get(), delivered, None))
                }
                (Confirmed, LineEvent::Unschedule(n)) if n.get() <= scheduled => {
                    Some((Confirmed, scheduled - n.get(), delivered, None))
                }
                (Confirmed, LineEvent::Deliver(n)) if n.get() <= scheduled => {
                    Some((Confirmed, scheduled - n.get(), delivered + n.get(), None))
                }
                (Confirmed | Fulfilled | Released, LineEvent::Reject(n)) if n.get() <= delivered => {
                    let after = if status == Fulfilled && n.get() > 0 { Confirmed } else { status };
                    Some((after, scheduled, delivered - n.get(), None))
                }
                _ => None,
            };
            let got = match line_after(&before, *event, now) {
                LineOutcome::Illegal(_) => None,
                LineOutcome::Unchanged => Some(before),
                LineOutcome::Changed(after) => {
                    assert_eq!(after.version, 8, "{before:?}, {event:?}");
                    Some(after)
                }
            };
            let got = got.map(|l| (l.status, l.scheduled.get(), l.delivered.get(), l.expires_at));
            assert_eq!(got, expected, "{before:?}, {event:?}");
            cells += 1;
        }
    }
    assert_eq!(cells, 9 * 32);
}

async fn a_promise_is_delivered_over_several_trips(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100, 100]).await;
    let claim = world.promises(world.donors[0], &[(needs[0], 50), (needs[1], 7)]).await;
    for wrong in [51, 58] {
        let more = world.store.execute(world.trip(claim, &[(needs[0], wrong)]).await).await;
        assert!(is_illegal(&more), "{more:?}");
    }
    world.delivers(claim, &[(needs[0], 20), (needs[1], 7)]).await;
    assert_eq!(world.counters(needs[0]).await, (100, 30, 20));
    assert_eq!(world.line(claim, needs[1]).await.status, ClaimStatus::Fulfilled);
    let under_way = world.schedules(claim, &[(needs[0], 25)]).await;
    let more = world.store.execute(world.trip(claim, &[(needs[0], 6)]).await).await;
    assert!(is_illegal(&more), "what is on its way is spoken for: {more:?}");
    let last = world.schedules(claim, &[(needs[0], 5)]).await;
    for id in [last, under_way] {
        world.dispatch(id).await.expect("a scheduled trip is dispatched");
        world.record(id).await.expect("a dispatched trip is recorded");
    }
    let now = world.store.now().await.expect("the clock is read");
    assert_eq!(world.claim(claim).await.status_at(now), ClaimStatus::Fulfilled);
    assert_eq!(world.counters(needs[0]).await, (100, 0, 50));
    assert_eq!(world.store.deliveries_of_claim(claim).await.expect("trips are read").len(), 3);
    check_books(&world).await;
}

async fn what_was_rejected_is_owed_again_and_delivered_by_another_trip(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[100]).await[0];
    let offer = world.offers(world.donors[0], world.package, 60).await;
    let ask = salur::store::OpenClaim { offer: Some(offer), ..world.asks(world.donors[0], &[(need, 50)]) };
    let Ok(salur::store::ClaimOutcome::Accepted { claim, .. }) = world.store.execute(ask).await else {
        panic!("it is free")
    };
    world.confirm(claim).await.expect("a hold is confirmed");
    let line = world.line(claim, need).await.id;
    let trip = world.delivers(claim, &[(need, 50)]).await;
    assert_eq!(world.counters(need).await, (100, 0, 50));
    answer(&world, trip, Some("31.71.01.1001.001"), &[(line, 38, 12)]).await.expect("the officer answers");
    assert_eq!(world.delivery(trip).await.status, DeliveryStatus::Disputed);
    assert_eq!(world.counters(need).await, (100, 12, 38));
    assert_eq!(world.line(claim, need).await.status, ClaimStatus::Confirmed);
    assert_eq!(world.pledged(offer).await, (60, 50), "what is owed stays promised");
    let second = world.delivers(claim, &[(need, 12)]).await;
    answer(&world, second, Some("31.71.01"), &[(line, 12, 0)]).await.expect("the officer answers");
    assert_eq!(world.delivery(second).await.status, DeliveryStatus::Acknowledged);
    assert_eq!(world.counters(need).await, (100, 0, 50));
    assert_eq!(world.line(claim, need).await.status, ClaimStatus::Fulfilled);
    check_books(&world).await;
}

async fn a_rejection_after_a_release_is_owed_no_more(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[100]).await[0];
    let offer = world.offers(world.donors[0], world.package, 60).await;
    let ask = salur::store::OpenClaim { offer: Some(offer), ..world.asks(world.donors[0], &[(need, 50)]) };
    let Ok(salur::store::ClaimOutcome::Accepted { claim, .. }) = world.store.execute(ask).await else {
        panic!("it is free")
    };
    world.confirm(claim).await.expect("a hold is confirmed");
    let line = world.line(claim, need).await.id;
    let trip = world.delivers(claim, &[(need, 30)]).await;
    world.release(claim).await.expect("the rest is released");
    assert_eq!((world.counters(need).await, world.pledged(offer).await), ((100, 0, 30), (60, 30)));
    answer(&world, trip, None, &[(line, 20, 10)]).await.expect("the officer answers");
    assert_eq!((world.counters(need).await, world.pledged(offer).await), ((100, 0, 20), (60, 20)));
    assert_eq!(world.line(claim, need).await.status, ClaimStatus::Released);
    check_books(&world).await;
}

async fn a_promise_with_an_open_trip_is_not_released(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100, 100]).await;
    let claim = world.promises(world.donors[0], &[(needs[0], 50), (needs[1], 50)]).await;
    let trip = world.schedules(claim, &[(needs[1], 1)]).await;
    for _ in 0..2 {
        let refused = world.release(claim).await;
        assert!(is_illegal(&refused), "{refused:?}");
        assert_eq!(world.counters(needs[0]).await, (100, 50, 0), "the line without a trip stays as well");
        world.dispatch(trip).await.expect("a scheduled trip is dispatched");
    }
    cancel(&world, trip).await.expect("a trip is called off");
    world.release(claim).await.expect("nothing is on its way any more");
    assert_eq!(world.counters(needs[1]).await, (100, 0, 0));
    check_books(&world).await;
}

async fn what_was_delivered_stays_when_the_rest_is_released(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100, 100]).await;
    let claim = world.promises(world.donors[0], &[(needs[0], 50), (needs[1], 50)]).await;
    world.delivers(claim, &[(needs[0], 20), (needs[1], 50)]).await;
    world.release(claim).await.expect("the rest is released");
    assert_eq!(world.counters(needs[0]).await, (100, 0, 20));
    assert_eq!(world.counters(needs[1]).await, (100, 0, 50));
    assert_eq!(world.line(claim, needs[0]).await.status, ClaimStatus::Released);
    assert_eq!(world.line(claim, needs[1]).await.status, ClaimStatus::Fulfilled, "what was given in full stays so");
    let helps = world.store.lines_on_need(needs[0], 10).await.expect("lines are read");
    assert_eq!(helps.iter().map(|l| l.delivered).collect::<Vec<_>>(), [q(20)]);
    check_books(&world).await;
}

async fn officers_of_two_areas_answer_line_by_line(db: TestDatabase) {
    let world = World::with_map(db).await;
    // The first in village 1001, the last in village 1002.
    let needs = world.needs(&[100; 11]).await;
    let (here, there) = (needs[0], needs[10]);
    let claim = world.promises(world.donors[0], &[(here, 10), (there, 20)]).await;
    let (line_here, line_there) = (world.line(claim, here).await.id, world.line(claim, there).await.id);
    let trip = world.delivers(claim, &[(here, 10), (there, 20)]).await;
    let foreign = answer(&world, trip, Some("31.71.01.1001"), &[(line_there, 20, 0)]).await;
    assert!(matches!(foreign, Err(StoreError::NotFound(_))), "{foreign:?}");
    let both = answer(&world, trip, Some("31.71.01.1001"), &[(line_here, 10, 0), (line_there, 20, 0)]).await;
    assert!(matches!(both, Err(StoreError::NotFound(_))), "{both:?}");
    answer(&world, trip, Some("31.71.01.1001"), &[(line_here, 8, 2)]).await.expect("the one officer answers");
    let half = world.delivery(trip).await;
    assert_eq!(half.status, DeliveryStatus::Delivered, "one line still has no answer");
    assert_eq!(world.counters(here).await, (100, 2, 8), "what was rejected is owed at once");
    answer(&world, trip, Some("31.71.01.1002"), &[(line_there, 20, 0)]).await.expect("the other officer answers");
    let whole = world.delivery(trip).await;
    assert_eq!(whole.status, DeliveryStatus::Disputed, "the first answer counts");
    assert_eq!(world.counters(there).await, (100, 0, 20));
    let codes = world.store.areas_of_delivery(trip).await.expect("areas are read");
    assert_eq!(codes.len(), 2);
    for (area, found) in [("31.71.01.1002", true), ("31.71.01.1001.001", true), ("31.71.01.1001.002", false)] {
        let trips = world.store.deliveries_to(&code(area), None, 10).await.expect("trips are read");
        assert_eq!(trips.contains(&trip), found, "{area}");
    }
    check_books(&world).await;
}

async fn an_answer_accounts_for_all_that_was_handed_over_and_is_given_once(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[100]).await[0];
    let claim = world.promises(world.donors[0], &[(need, 10)]).await;
    let line = world.line(claim, need).await.id;
    let trip = world.delivers(claim, &[(need, 10)]).await;
    for (accepted, rejected) in [(10, 1), (9, 0), (0, 0), (11, 0), (0, 11)] {
        let wrong = answer(&world, trip, None, &[(line, accepted, rejected)]).await;
        assert!(matches!(wrong, Err(StoreError::BadInput { .. })), "{accepted} and {rejected}: {wrong:?}");
    }
    answer(&world, trip, None, &[(line, 0, 10)]).await.expect("all of it may be rejected");
    answer(&world, trip, None, &[(line, 0, 10)]).await.expect("the same answer again is harmless");
    let other = answer(&world, trip, None, &[(line, 1, 9)]).await;
    assert!(is_illegal(&other), "{other:?}");
    assert_eq!(world.counters(need).await, (100, 10, 0));
    check_books(&world).await;
}

async fn a_foreign_delivery_is_not_found(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[100]).await;
    let [a, b, _] = world.donors;
    let claim = world.promises(a, &[(needs[0], 10)]).await;
    let id = world.schedules(claim, &[(needs[0], 5)]).await;
    let line = world.line(claim, needs[0]).await.id;
    let missing = DeliveryId(id.0 + 1);
    for (access, id) in [(access_of(b), id), (ANY_CLAIM, missing)] {
        let answers = [
            world.store.execute(DispatchDelivery { author: None, id, access }).await,
            world.store.execute(RecordDelivery { author: None, id, access, note: None }).await,
            world.store.execute(CancelDelivery { author: None, id, access, reason: "x".into() }).await,
        ];
        for answer in answers {
            assert!(matches!(answer, Err(StoreError::NotFound("delivery"))), "{answer:?}");
        }
    }
    let foreign = answer(&world, id, Some("31.71.01.1002"), &[(line, 5, 0)]).await;
    assert!(matches!(foreign, Err(StoreError::NotFound("delivery"))), "{foreign:?}");
    let trip = world.trip(claim, &[(needs[0], 1)]).await;
    let planned = world.store.execute(ScheduleDelivery { access: access_of(b), ..trip.clone() }).await;
    assert!(matches!(planned, Err(StoreError::NotFound("claim"))), "{planned:?}");
    let other = world.promises(a, &[(needs[0], 10)]).await;
    let strange = world.store.execute(ScheduleDelivery { claim: other, ..trip }).await;
    assert!(matches!(strange, Err(StoreError::NotFound("claim line"))), "another claim's line: {strange:?}");
    assert_eq!(world.delivery(id).await.status, DeliveryStatus::Scheduled);
    check_books(&world).await;
}

async fn what_a_cancelled_trip_carried_is_scheduled_anew(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[100]).await[0];
    let claim = world.promises(world.donors[0], &[(need, 10)]).await;
    let first = world.schedules(claim, &[(need, 10)]).await;
    world.dispatch(first).await.expect("a scheduled trip is dispatched");
    cancel(&world, first).await.expect("a trip is called off");
    let said = world.delivery(first).await.events.last().and_then(|e| e.note.clone());
    assert_eq!(said.as_deref(), Some("banjir"));
    world.delivers(claim, &[(need, 10)]).await;
    assert_eq!(world.counters(need).await, (100, 0, 10));
    check_books(&world).await;
}

async fn a_trip_is_scheduled_once_however_often_it_is_asked_for(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[100]).await[0];
    let claim = world.promises(world.donors[0], &[(need, 10)]).await;
    let trip = world.trip(claim, &[(need, 6)]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (store, trip) = (world.store.clone(), trip.clone());
        tasks.spawn(async move { store.execute(trip).await });
    }
    let mut ids = std::collections::HashSet::new();
    while let Some(id) = tasks.join_next().await {
        ids.insert(id.expect("no task panics").expect("no error reaches a caller"));
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(world.line(claim, need).await.scheduled, q(6));
    check_books(&world).await;
}

async fn what_is_promised_is_delivered_to_a_need_closed_meanwhile(db: TestDatabase) {
    let world = World::with_map(db).await;
    let id = world.needs(&[100]).await[0];
    let claim = world.promises(world.donors[0], &[(id, 10)]).await;
    let line = world.line(claim, id).await.id;
    let expected_version = world.need(id).await.version;
    let close = CloseNeed { author: None, access: ANY_NEED, id, expected_version, reason: "pindah".into() };
    world.store.execute(close).await.expect("an open need is closed");
    let trip = world.delivers(claim, &[(id, 10)]).await;
    answer(&world, trip, None, &[(line, 9, 1)]).await.expect("the officer answers");
    assert_eq!(world.counters(id).await, (100, 1, 9));
    check_books(&world).await;
}

async fn of_two_trips_over_the_same_rest_one_is_scheduled(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[10_000]).await[0];
    for _ in 0..20 {
        let claim = world.promises(world.donors[0], &[(need, 10)]).await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (store, trip) = (world.store.clone(), world.trip(claim, &[(need, 6)]).await);
            tasks.spawn(async move { store.execute(trip).await });
        }
        let mut scheduled = 0;
        while let Some(outcome) = tasks.join_next().await {
            match outcome.expect("no task panics") {
                Ok(_) => scheduled += 1,
                Err(StoreError::Illegal(_)) => {}
                Err(error) => panic!("an error reached a caller: {error}"),
            }
        }
        assert_eq!(scheduled, 1);
    }
    check_books(&world).await;
}

async fn of_a_record_and_a_cancel_one_decides(db: TestDatabase) {
    let world = World::with_map(db).await;
    let need = world.needs(&[10_000]).await[0];
    let line_of = async |claim| world.line(claim, need).await;
    let mut cancelled = 0;
    for round in 0..30 {
        let claim = world.promises(world.donors[0], &[(need, 10)]).await;
        let id = world.schedules(claim, &[(need, 10)]).await;
        world.dispatch(id).await.expect("a scheduled trip is dispatched");
        let (one, other) = (world.store.clone(), world.store.clone());
        let record = tokio::spawn(async move {
            one.execute(RecordDelivery { author: None, id, access: ANY_CLAIM, note: None }).await
        });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let cancel = tokio::spawn(async move {
            other.execute(CancelDelivery { author: None, id, access: ANY_CLAIM, reason: "x".into() }).await
        });
        let (record, cancel) = (record.await.expect("no panic"), cancel.await.expect("no panic"));
        assert!(record.is_ok() != cancel.is_ok(), "{record:?}, {cancel:?}");
        assert!(is_illegal(&record) || is_illegal(&cancel), "{record:?}, {cancel:?}");
        let line = line_of(claim).await;
        let delivered = if record.is_ok() { 10 } else { 0 };
        assert_eq!((line.delivered, line.scheduled), (q(delivered), q(0)));
        cancelled += u32::from(cancel.is_ok());
    }
    println!("cancelled {cancelled} of 30");
    check_books(&world).await;
}
