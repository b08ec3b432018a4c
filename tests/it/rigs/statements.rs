//! P3, P6: the same batch again and again, failing at its first statement, its second, and so on to its
//! COMMIT and beyond it, until it goes through. `SALUR_COUNT` counts tries.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use salur::domain::claim::ClaimStatus;
use salur::domain::ids::{ClaimId, DeliveryId, NeedId};
use salur::domain::rules::OnConflict;
use salur::store::{
    ClaimOutcome, ConfirmClaim, CreateOffer, DispatchDelivery, ExpireDue, Fault, FaultStep, Faults, OpenClaim,
    RecordDelivery, ReleaseClaim, RenewClaim, ReviseNeed, ScheduleDelivery, Store, StoreError, StoreOptions,
};
use sea_orm::DatabaseConnection;

use super::{figures, times};
use crate::harness::books::{check_books, connect, number, rows};
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::how_far::HowFar;
use crate::harness::world::{ANY_CLAIM, ANY_NEED, World, q};
use crate::on_both_databases;

on_both_databases!(whichever_statement_fails_nothing_is_done_in_part_and_repeating_settles_it);

/// What stands, in numbers that every change of anything moves.
const STANDS: &str = "
    SELECT (SELECT count(*) FROM claim) AS claims, (SELECT count(*) FROM every_line) AS lines,
    (SELECT count(*) FROM idempotency) AS keys, (SELECT count(*) FROM delivery_event) AS events,
    (SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM need) AS needs,
    (SELECT CAST(COALESCE(SUM(required + reserved + delivered), 0) AS BIGINT) FROM need) AS counters,
    (SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM every_line) AS versions,
    (SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM claim) AS renewals,
    (SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM offer) AS offers";

/// Tries in one database at most: every one is followed by a look at all of it.
const MOST: u64 = 4_000;

/// Longer than any deed takes with all its tries, in microseconds.
const CLEARANCE: i64 = 60_000_000;

/// Which step fails next: the `left`-th of the steps of this kind, in this way, once.
#[derive(Debug, Clone, Copy)]
struct Plan {
    step: FaultStep,
    left: u32,
    fault: Fault,
}

#[derive(Default)]
struct Saboteur(Mutex<Option<Plan>>);

impl Saboteur {
    fn choose(&self, step: FaultStep) -> Fault {
        let mut plan = self.0.lock().expect("nobody panics while holding it");
        match plan.as_mut().filter(|plan| plan.step == step) {
            Some(Plan { left: 1, fault, .. }) => {
                let fault = *fault;
                *plan = None;
                fault
            }
            Some(later) => {
                later.left -= 1;
                Fault::None
            }
            None => Fault::None,
        }
    }

    /// Takes the plan back where nothing came of it.
    fn disarm(&self) -> bool {
        self.0.lock().expect("nobody panics while holding it").take().is_some()
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Claim(OpenClaim),
    Confirm(ConfirmClaim),
    Renew(RenewClaim),
    Release(ReleaseClaim),
    Offer(CreateOffer),
    Schedule(ScheduleDelivery),
    Dispatch(DispatchDelivery),
    Record(RecordDelivery),
    Revise(ReviseNeed),
    Expire(ExpireDue),
}

/// What a caller learns of a deed that is done.
#[derive(Debug, Clone, PartialEq)]
enum Done {
    Claim(ClaimOutcome),
    Delivery(DeliveryId),
    Number(i64),
    Nothing,
}

impl Deed {
    fn name(&self) -> &'static str {
        match self {
            Deed::Claim(_) => "claim",
            Deed::Confirm(_) => "confirm",
            Deed::Renew(_) => "renew",
            Deed::Release(_) => "release",
            Deed::Offer(_) => "offer",
            Deed::Schedule(_) => "schedule",
            Deed::Dispatch(_) => "dispatch",
            Deed::Record(_) => "record",
            Deed::Revise(_) => "revise",
            Deed::Expire(_) => "expire",
        }
    }

    async fn send(&self, store: &Store) -> Result<Done, StoreError> {
        let nothing = |()| Done::Nothing;
        match self.clone() {
            Deed::Claim(ask) => store.execute(ask).await.map(Done::Claim),
            Deed::Confirm(confirm) => store.execute(confirm).await.map(nothing),
            Deed::Renew(renew) => store.execute(renew).await.map(nothing),
            Deed::Release(release) => store.execute(release).await.map(nothing),
            Deed::Offer(offer) => store.execute(offer).await.map(|id| Done::Number(id.0)),
            Deed::Schedule(trip) => store.execute(trip).await.map(Done::Delivery),
            Deed::Dispatch(dispatch) => store.execute(dispatch).await.map(nothing),
            Deed::Record(record) => store.execute(record).await.map(nothing),
            Deed::Revise(revise) => store.execute(revise).await.map(nothing),
            Deed::Expire(sweep) => store.execute(sweep).await.map(|needs| Done::Number(needs as i64)),
        }
    }
}

struct Rig {
    world: World,
    own: DatabaseConnection,
    saboteur: Arc<Saboteur>,
    /// Opened with the saboteur inside.
    store: Store,
    dice: Dice,
    needs: Vec<NeedId>,
    claims: Vec<ClaimId>,
    trips: Vec<DeliveryId>,
    tries: u64,
    batches: BTreeMap<&'static str, u64>,
    _how_far: HowFar,
}

impl Rig {
    async fn new(db: TestDatabase, dice: Dice) -> Rig {
        let world = World::with_map(db).await;
        let needs = world.needs(&[1_000_000; 24]).await;
        let saboteur = Arc::new(Saboteur::default());
        let faults = Faults::new({
            let saboteur = saboteur.clone();
            move |step| saboteur.choose(step)
        });
        let options = StoreOptions { clock: world.clock.clone(), faults, ..StoreOptions::new(world.db.url()) };
        let store = Store::open(&options).await.expect("a test database opens");
        let own = connect(&world.db).await;
        Rig {
            world,
            own,
            saboteur,
            _how_far: HowFar::writes_of(&store),
            store,
            dice,
            needs,
            claims: Vec::new(),
            trips: Vec::new(),
            tries: 0,
            batches: BTreeMap::new(),
        }
    }

    async fn stands(&self) -> Vec<i64> {
        let row = rows(&self.world.db, &self.own, STANDS).await.pop().expect("one row");
        row.column_names().iter().map(|name| row.try_get("", name).expect("a number")).collect()
    }

    /// Goes on to a moment after which no hold runs out for longer than a deed takes: else what has run
    /// out between two tries looks like something that the second one did.
    async fn far_from_ends(&self) {
        loop {
            let now = self.world.store.now().await.expect("the database tells the time").0;
            let sql = format!("SELECT COALESCE(min(expires_at), 0) AS n FROM every_line WHERE expires_at > {now}");
            let end = number(&self.world.db, &self.own, &sql).await;
            if end == 0 || end > now + CLEARANCE {
                return;
            }
            self.world.clock.advance(Duration::from_micros((end - now + 1_000_000) as u64));
        }
    }

    /// Something that can be done as things stand.
    async fn deed(&mut self) -> Deed {
        let author = None;
        let access = ANY_CLAIM;
        loop {
            let claim = (!self.claims.is_empty()).then(|| self.dice.between(0, self.claims.len() as i64 - 1) as usize);
            match (self.dice.between(1, 20), claim) {
                (14, _) => {
                    return Deed::Offer(self.world.offer(self.world.donors[0], self.world.package, 5));
                }
                (15, _) => {
                    let id = *self.dice.pick(&self.needs);
                    let need = self.world.need(id).await;
                    let expected_version = need.version;
                    let required = Some(q(need.counters.required().get() + 1));
                    return Deed::Revise(ReviseNeed {
                        author,
                        access: ANY_NEED,
                        id,
                        expected_version,
                        required,
                        severity: None,
                    });
                }
                (16, Some(_)) => {
                    self.world.wait(self.dice.between(30, 20_000) as u64);
                    self.far_from_ends().await;
                    return Deed::Expire(ExpireDue { most: 50 });
                }
                (17.., _) if !self.trips.is_empty() => {
                    let id = self.trips[0];
                    let trip = self.world.delivery(id).await;
                    if trip.events.len() == 1 {
                        return Deed::Dispatch(DispatchDelivery { author, id, access });
                    }
                    self.trips.remove(0);
                    return Deed::Record(RecordDelivery { author, id, access, note: None });
                }
                (8..=13, Some(place)) => {
                    let id = self.claims[place];
                    let stands = self.world.claim(id).await;
                    let soon = self.world.store.now().await.expect("the database tells the time").plus_seconds(15);
                    let held = stands.expires_at().is_some_and(|ends| ends > soon);
                    match (stands.lines[0].status, self.dice.between(1, 4)) {
                        (ClaimStatus::Held, 1) if held && stands.renewals == 0 => {
                            return Deed::Renew(RenewClaim { author, id, access, hold_seconds: Some(90_000) });
                        }
                        (ClaimStatus::Held, _) if held => {
                            return Deed::Confirm(ConfirmClaim { author, id, access });
                        }
                        (ClaimStatus::Confirmed, 1) if stands.lines[0].scheduled.is_zero() => {
                            self.claims.swap_remove(place);
                            return Deed::Release(ReleaseClaim { author, id, access, reason: None });
                        }
                        (ClaimStatus::Confirmed, _) if stands.lines[0].scheduled.is_zero() => {
                            let lines: Vec<_> = stands.lines.iter().map(|l| (l.need, l.quantity.get())).collect();
                            self.claims.swap_remove(place);
                            return Deed::Schedule(self.world.trip(id, &lines).await);
                        }
                        _ => {
                            self.claims.swap_remove(place);
                        }
                    }
                }
                _ => {
                    self.dice.shuffle(&mut self.needs);
                    let count = self.dice.between(1, 6) as usize;
                    let mut lines: Vec<(NeedId, i64)> = Vec::new();
                    for need in &self.needs[..count] {
                        // Now and then more than there is: a refusal is an outcome that is kept, too.
                        let most = if self.dice.chance(3) { 2_000_000 } else { 20 };
                        lines.push((*need, self.dice.between(1, most)));
                    }
                    lines.sort_unstable();
                    let take_free = self.dice.chance(30);
                    return Deed::Claim(OpenClaim {
                        on_conflict: if take_free { OnConflict::TakeFree } else { OnConflict::Refuse },
                        hold_seconds: Some(self.dice.between(60, 80_000)),
                        ..self.world.asks(self.world.donors[0], &lines)
                    });
                }
            }
        }
    }

    /// Lets a deed fail at each of its steps. In the end it is done, once.
    async fn one(&mut self, deed: &Deed) {
        let before = self.stands().await;
        let mut at = 1;
        loop {
            let fault = if self.dice.chance(97) { Fault::Lost } else { Fault::Conflict };
            let plan = Plan { step: FaultStep::Statement, left: at, fault };
            let (outcome, fired) = self.attempt(deed, plan).await;
            match outcome {
                // Run again from its beginning, or never reached.
                Ok(done) => return self.settled(deed, done, &before, fired).await,
                // Who lost a race is not sent away for it.
                Err(StoreError::Unavailable(_)) if fired && fault != Fault::Conflict => {
                    assert_eq!(self.stands().await, before, "{deed:?} is done in part, {plan:?}");
                }
                Err(error) => panic!("{deed:?}, {plan:?}: {error}"),
            }
            at += 1;
            if self.dice.chance(4) {
                // Straight to the end of it.
                let fault = *self.dice.pick(&[Fault::Lost, Fault::Conflict, Fault::AnswerLost]);
                let plan = Plan { step: FaultStep::Commit, left: 1, fault };
                let (outcome, fired) = self.attempt(deed, plan).await;
                let unknown = matches!(outcome, Err(StoreError::Unavailable(_))) && fired && fault != Fault::Conflict;
                assert!(unknown || outcome.is_ok(), "{deed:?}, {plan:?}: {outcome:?}");
                let after = self.stands().await;
                if fault == Fault::AnswerLost || outcome.is_ok() {
                    return self.repeated(deed, &before, after).await;
                }
                assert_eq!(after, before, "{deed:?} is done in part, {plan:?}");
            }
        }
    }

    async fn attempt(&mut self, deed: &Deed, plan: Plan) -> (Result<Done, StoreError>, bool) {
        *self.saboteur.0.lock().expect("nobody panics while holding it") = Some(plan);
        let outcome = deed.send(&self.store).await;
        self.tries += 1;
        (outcome, !self.saboteur.disarm())
    }

    /// It went through: whole, and the same key says so again.
    async fn settled(&mut self, deed: &Deed, done: Done, before: &[i64], fired: bool) {
        let after = self.stands().await;
        let swept_nothing = matches!(deed, Deed::Expire(_)) && after == before;
        assert!(after != before || swept_nothing, "{deed:?} answers {done:?} and did nothing, fault {fired}");
        match &done {
            Done::Claim(ClaimOutcome::Accepted { claim, shortfalls, replayed }) => {
                assert!(!replayed);
                self.whole(deed, *claim, shortfalls.is_empty()).await;
                self.claims.push(*claim);
            }
            Done::Delivery(trip) => self.trips.push(*trip),
            _ => {}
        }
        if matches!(deed, Deed::Claim(_) | Deed::Offer(_) | Deed::Schedule(_)) {
            let again = deed.send(&self.store).await.expect("the key has its answer");
            let first = match done {
                Done::Claim(ClaimOutcome::Accepted { claim, shortfalls, .. }) => {
                    Done::Claim(ClaimOutcome::Accepted { claim, shortfalls, replayed: true })
                }
                Done::Claim(ClaimOutcome::Refused { refusals, .. }) => {
                    Done::Claim(ClaimOutcome::Refused { refusals, replayed: true })
                }
                other => other,
            };
            assert_eq!(again, first, "{deed:?}");
            assert_eq!(self.stands().await, after, "repeating {deed:?} does something");
        }
        *self.batches.entry(deed.name()).or_default() += 1;
    }

    /// COMMIT was sent and nobody heard of it: it is done, and repeating it changes nothing more.
    async fn repeated(&mut self, deed: &Deed, before: &[i64], after: Vec<i64>) {
        // A renewal has no key; a second one renews again, as often as the rules allow.
        if matches!(deed, Deed::Renew(_)) {
            assert_ne!(after, before, "{deed:?} is not there after its COMMIT");
            *self.batches.entry(deed.name()).or_default() += 1;
            return;
        }
        let again = deed.send(&self.store).await;
        assert_eq!(self.stands().await, after, "repeating {deed:?} does something");
        assert!(after != before || matches!(deed, Deed::Expire(_)), "{deed:?} is not there after its COMMIT");
        match (again, deed) {
            (Ok(Done::Claim(ClaimOutcome::Accepted { claim, shortfalls, replayed })), _) => {
                assert!(replayed, "{deed:?} was done before");
                self.whole(deed, claim, shortfalls.is_empty()).await;
                self.claims.push(claim);
            }
            (Ok(Done::Claim(ClaimOutcome::Refused { replayed, .. })), _) => assert!(replayed, "{deed:?}"),
            (Ok(Done::Delivery(trip)), _) => self.trips.push(trip),
            (Ok(_), _) => {}
            // Nothing names it but the version that it has used up.
            (Err(StoreError::VersionConflict), Deed::Revise(_)) => {}
            (Err(error), _) => panic!("{deed:?}: {error}"),
        }
        *self.batches.entry(deed.name()).or_default() += 1;
    }

    async fn whole(&self, deed: &Deed, claim: ClaimId, all: bool) {
        let Deed::Claim(ask) = deed else { panic!("{deed:?} makes no claim") };
        let stands = self.world.claim(claim).await;
        let has: Vec<_> = stands.lines.iter().map(|l| (l.need, l.quantity)).collect();
        assert!(!all || has == ask.lines, "{claim} is partial: {has:?} of {ask:?}");
    }
}

async fn whichever_statement_fails_nothing_is_done_in_part_and_repeating_settles_it(mut db: TestDatabase) {
    let mut dice = Dice::from_environment("whichever_statement_fails_nothing_is_done_in_part_and_repeating_settles_it");
    let (count, mut tries) = (times(600), 0);
    let mut batches: BTreeMap<&str, u64> = BTreeMap::new();
    loop {
        let mut rig = Rig::new(db, dice.another()).await;
        while rig.tries < MOST && tries + rig.tries < count {
            rig.far_from_ends().await;
            let deed = rig.deed().await;
            rig.one(&deed).await;
        }
        check_books(&rig.world).await;
        tries += rig.tries;
        rig.batches.iter().for_each(|(name, n)| *batches.entry(name).or_default() += n);
        if tries >= count {
            let mut more = format!("partial=0 batches={}", batches.values().sum::<u64>());
            batches.iter().for_each(|(name, n)| more += &format!(" {name}={n}"));
            return figures("statements", &rig.world.db, tries, more);
        }
        db = TestDatabase::new(rig.world.db.kind()).await;
    }
}
