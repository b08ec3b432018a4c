//! P7: holds near their end, while givers confirm, deliver, release and renew, others claim, and
//! sweepers sweep. The log tells what ended each hold, and when. `SALUR_COUNT` counts holds.

use std::collections::BTreeMap;
use std::time::Duration;

use salur::domain::claim::{ClaimLine, ClaimStatus};
use salur::domain::ids::{ClaimId, NeedId};
use salur::store::{
    AuditRow, ClaimOutcome, ConfirmClaim, DispatchDelivery, ExpireDue, OpenClaim, RecordDelivery, ReleaseClaim,
    RenewClaim, ReviseNeed, ScheduleDelivery, Store, StoreError,
};
use tokio::task::JoinSet;

use super::{figures, stores, times};
use crate::harness::app::{App, LONG};
use crate::harness::books::{check_books, count};
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::world::{ANY_CLAIM, ANY_NEED, World, q};
use crate::on_both_databases;

on_both_databases!(a_hold_ends_once_and_never_before_its_time_whoever_is_at_it, a_server_frees_what_ran_out_by_itself,);

/// Holds raced at once, each on a need of its own.
const LANES: usize = 8;
const SECOND: i64 = 1_000_000;
const RENEWAL: i64 = 2;

#[derive(Debug, Clone)]
enum Deed {
    Confirm,
    Deliver(ScheduleDelivery),
    Release,
    Renew,
    Sweep,
    Claim(OpenClaim),
}

/// What may lose to others loses with a reason; nothing else reaches a caller.
async fn attempt(store: &Store, id: ClaimId, deed: Deed) -> Result<Option<ClaimId>, StoreError> {
    let author = None;
    let access = ANY_CLAIM;
    match deed {
        Deed::Confirm => store.execute(ConfirmClaim { author, id, access }).await?,
        Deed::Release => store.execute(ReleaseClaim { author, id, access, reason: None }).await?,
        Deed::Renew => store.execute(RenewClaim { author, id, access, hold_seconds: Some(RENEWAL) }).await?,
        Deed::Sweep => store.execute(ExpireDue { most: 20 }).await.map(|_| ())?,
        Deed::Deliver(trip) => {
            store.execute(ConfirmClaim { author, id, access }).await?;
            let id = store.execute(trip).await?;
            store.execute(DispatchDelivery { author, id, access }).await?;
            store.execute(RecordDelivery { author, id, access, note: None }).await?;
        }
        Deed::Claim(ask) => {
            if let ClaimOutcome::Accepted { claim, .. } = store.execute(ask).await? {
                return Ok(Some(claim));
            }
        }
    }
    Ok(None)
}

/// Follows a line through its entries. Panics where a hold ended early, twice, or was used after its end.
/// `by_now`: a moment after all of them, so that nobody ends a hold early by telling the wrong time.
fn follow(ends: i64, trail: &[AuditRow], line: &ClaimLine, by_now: i64) -> &'static str {
    let (mut ends, mut stands) = (ends, ClaimStatus::Held);
    for entry in trail {
        let context = || format!("{entry:?}: the hold ends at {ends}, the line is {stands:?}. {trail:#?} {line:?}");
        let (held, in_time) = (stands == ClaimStatus::Held, entry.at < ends);
        assert!(entry.at <= by_now, "it is only {by_now}: {}", context());
        match entry.action.as_str() {
            "claim.open" => {}
            "claim.confirm" => {
                assert!(held && in_time, "{}", context());
                stands = ClaimStatus::Confirmed;
            }
            "claim.renew" => {
                assert!(held && in_time, "{}", context());
                ends = ends.max(entry.at + RENEWAL * SECOND);
            }
            "line.expire" => {
                assert!(held && !in_time, "{}", context());
                stands = ClaimStatus::Expired;
            }
            "claim.release" => {
                assert!((held && in_time) || stands == ClaimStatus::Confirmed, "{}", context());
                stands = ClaimStatus::Released;
            }
            "delivery.schedule" | "delivery.record" => assert!(stands == ClaimStatus::Confirmed, "{}", context()),
            other => panic!("nobody does {other} here. {}", context()),
        }
    }
    if stands == ClaimStatus::Confirmed && line.delivered == line.quantity {
        stands = ClaimStatus::Fulfilled;
    }
    assert_eq!(stands, line.status, "{trail:#?} {line:?}");
    if let (ClaimStatus::Held, Some(stored)) = (stands, line.expires_at) {
        assert_eq!(stored.0, ends, "{trail:#?} {line:?}");
    }
    trail.last().map_or("", |e| if e.action == "line.expire" { "expired" } else { line.status.word() })
}

async fn a_hold_ends_once_and_never_before_its_time_whoever_is_at_it(db: TestDatabase) {
    let mut dice = Dice::from_environment("a_hold_ends_once_and_never_before_its_time_whoever_is_at_it");
    let world = World::with_map(db).await;
    let needs = world.needs(&[10; LANES]).await;
    let stores = stores(&world).await;
    let count = times(160);
    let mut endings: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut taken, mut raced) = (0, 0);
    while raced < count {
        raced += LANES as u64;
        let mut lanes = Vec::new();
        for need in &needs {
            let ask = OpenClaim { hold_seconds: Some(2), ..world.asks(world.donors[0], &[(*need, 10)]) };
            let Ok(ClaimOutcome::Accepted { claim, .. }) = world.store.execute(ask).await else {
                panic!("all of it is free")
            };
            let line = world.line(claim, *need).await;
            lanes.push((*need, claim, line.id, line.expires_at.expect("a hold ends").0));
        }
        let first_end = lanes[0].3;
        let now = world.store.now().await.expect("the database tells the time").0;
        let short_of_it = dice.between(5, 60) * 1_000;
        world.clock.advance(Duration::from_micros((first_end - now - short_of_it).max(0) as u64));
        let mut tasks = JoinSet::new();
        for (place, (need, claim, ..)) in lanes.iter().enumerate() {
            for _ in 0..dice.between(2, 5) {
                let deed = match dice.between(1, 7) {
                    1 | 2 => Deed::Confirm,
                    3 => Deed::Deliver(world.trip(*claim, &[(*need, dice.between(1, 10))]).await),
                    4 => Deed::Release,
                    5 => Deed::Renew,
                    6 => Deed::Sweep,
                    _ => Deed::Claim(world.asks(world.donors[1], &[(*need, 10)])),
                };
                let (store, claim, yields) = (dice.pick(&stores).clone(), *claim, dice.between(0, 60));
                tasks.spawn(async move {
                    for _ in 0..yields {
                        tokio::task::yield_now().await;
                    }
                    (place, attempt(&store, claim, deed).await)
                });
            }
        }
        let mut others: Vec<Vec<ClaimId>> = vec![Vec::new(); LANES];
        for _ in 0..10 {
            world.clock.advance(Duration::from_millis(dice.between(1, 15) as u64));
            tokio::task::yield_now().await;
        }
        while let Some(outcome) = tasks.join_next().await {
            let (place, outcome) = outcome.expect("no task panics");
            match outcome {
                Ok(claim) => others[place].extend(claim),
                Err(StoreError::Illegal(_)) => {}
                Err(error) => panic!("an error reached a caller: {error}"),
            }
        }
        let by_now = world.store.now().await.expect("the database tells the time").0;
        for ((need, claim, line, ends), others) in lanes.iter().zip(&others) {
            let stands = world.line(*claim, *need).await;
            let trail = world.store.audit_trail(&line.to_string(), 0, 50).await.expect("the trail is read");
            *endings.entry(follow(*ends, &trail, &stands, by_now)).or_default() += 1;
            let mut lines = vec![stands];
            for other in others {
                lines.push(world.line(*other, *need).await);
            }
            taken += others.len();
            let open = |l: &ClaimLine| matches!(l.status, ClaimStatus::Held | ClaimStatus::Confirmed);
            let reserved: i64 = lines.iter().filter(|l| open(l)).map(|l| l.quantity.get() - l.delivered.get()).sum();
            let (required, counted, delivered) = world.counters(*need).await;
            assert!(counted == reserved && counted + delivered <= required, "{counted} {delivered} {lines:?}");
        }
        clear(&world, &needs, lanes.iter().map(|l| l.1).chain(others.into_iter().flatten())).await;
    }
    assert!(endings.len() >= 3 && taken > 0, "{endings:?}, {taken} taken by others");
    check_books(&world).await;
    let mut more = format!("freed_and_taken={taken}");
    endings.iter().for_each(|(ending, n)| more += &format!(" {}={n}", ending.to_lowercase()));
    figures("holds", &world.db, raced, format!("early=0 double=0 {more}"));
}

/// All ends, and each need has ten free again.
async fn clear(world: &World, needs: &[NeedId], claims: impl Iterator<Item = ClaimId>) {
    for claim in claims {
        // A trip that did not get to its end blocks its claim.
        for trip in world.store.deliveries_of_claim(claim).await.expect("trips are read") {
            let cancel = salur::store::CancelDelivery { author: None, id: trip, access: ANY_CLAIM, reason: "x".into() };
            let _ = world.store.execute(cancel).await;
        }
        let _ = world.release(claim).await;
    }
    world.wait(10);
    world.store.execute(ExpireDue { most: 100 }).await.expect("a sweep runs");
    for id in needs {
        let need = world.need(*id).await;
        assert_eq!(need.counters.reserved(), q(0), "all is free again: {need:?}");
        let required = Some(q(need.counters.delivered().get() + 10));
        let expected_version = need.version;
        let revise = ReviseNeed { author: None, access: ANY_NEED, id: *id, expected_version, required, severity: None };
        world.store.execute(revise).await.expect("nobody else revises");
    }
}

/// With the real clock and the server's own sweeper. The log tells how late each hold was freed.
async fn a_server_frees_what_ran_out_by_itself(db: TestDatabase) {
    let world = World::with_map(db).await;
    let needs = world.needs(&[10; 20]).await;
    let _server = App::serve(world.replica().await).await;
    let mut ends = Vec::new();
    for (place, need) in needs.iter().enumerate() {
        let hold_seconds = Some(2 + place as i64 % 2);
        let ask = OpenClaim { hold_seconds, ..world.asks(world.donors[0], &[(*need, 10)]) };
        let Ok(ClaimOutcome::Accepted { claim, .. }) = world.store.execute(ask).await else { panic!("it is free") };
        let line = world.line(claim, *need).await;
        ends.push((line.id, line.expires_at.expect("a hold ends").0));
    }
    let held = "SELECT count(*) AS n FROM every_line WHERE status = 'HELD'";
    let swept = async {
        while count(&world.db, held).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, swept).await.expect("the server sweeps");
    let mut latest = 0;
    for (line, end) in &ends {
        let trail = world.store.audit_trail(&line.to_string(), 0, 10).await.expect("the trail is read");
        let [_, expiry] = &trail[..] else { panic!("opened, then expired once: {trail:?}") };
        assert!(expiry.action == "line.expire" && expiry.at >= *end, "{expiry:?} before {end}");
        latest = latest.max(expiry.at - end);
    }
    check_books(&world).await;
    figures("sweeper", &world.db, ends.len() as u64, format!("early=0 latest_ms={}", latest / 1_000));
}
