//! Random commands against the store and against the model: the same outcomes, the same books.
//!
//! `SALUR_RANDOM_COMMANDS` sets how many, `SALUR_SEED` which. A long run is many histories, some of them side
//! by side, each in a database of its own; a failure names the seed of its history.

use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::time::Duration;

use salur::domain::claim::{ClaimLine, ClaimStatus};
use salur::domain::delivery::DeliveryStatus;
use salur::domain::ids::{ClaimId, DeliveryId, ItemId, NeedId, OfferId, OrganizationId};
use salur::domain::need::{NeedStatus, Severity};
use salur::domain::refusal::{LineRefusal, RefusalReason};
use salur::domain::rules::OnConflict;
use salur::store::{
    AcknowledgeDelivery, Answer, CancelDelivery, ClaimAccess, ClaimOutcome, CloseNeed, ConfirmClaim, CreateOffer,
    DispatchDelivery, ExpireDue, Keyed, OpenClaim, RecordDelivery, ReleaseClaim, RenewClaim, ReportNeed, ReviseNeed,
    ScheduleDelivery, Scope, StoreError, VerifyNeeds,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::model::{Ask, Deed, Fate, LONGEST_HOLD, Leg, Model, Stage, State, Why};
use crate::harness::books::check_books;
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::world::{ANY_NEED, World, april, code, q};
use crate::on_both_databases;

on_both_databases!(the_ledger_does_what_the_model_does);

/// Commands of one history at most.
const LONGEST: u32 = 50_000;

/// Histories side by side.
const ABREAST: usize = 4;

async fn the_ledger_does_what_the_model_does(db: TestDatabase) {
    let commands = std::env::var("SALUR_RANDOM_COMMANDS").map_or(4_000, |n| n.parse().expect("it is a whole number"));
    let mut dice = Dice::from_environment("the_ledger_does_what_the_model_does");
    let kind = db.kind();
    let (mut left, mut histories, mut tally) = (commands, 0, Tally::default());
    let (mut first, mut running) = (Some(db), JoinSet::new());
    while left > 0 || !running.is_empty() {
        if left > 0 && running.len() < ABREAST {
            let db = match first.take() {
                Some(db) => db,
                None => TestDatabase::new(kind).await,
            };
            // A seed that a failure names is that of one history.
            let dice = if commands <= LONGEST { dice.clone() } else { dice.another() };
            let length = left.min(LONGEST);
            running.spawn(async move {
                let world = World::with_map(db).await;
                let tally = run(&world, dice, length).await;
                check_books(&world).await;
                tally
            });
            (left, histories) = (left - length, histories + 1);
        } else if let Some(ended) = running.join_next().await {
            tally += ended.expect("the ledger does what the model does");
        }
    }
    println!("rig=model db={kind} n={commands} violations=0 histories={histories} {tally:?}");
}

/// What came of all commands, so that a run in which nothing ever went through is seen.
#[derive(Debug, Default)]
pub struct Tally {
    pub done: u32,
    pub accepted: u32,
    pub cut: u32,
    pub refused: u32,
    pub replayed: u32,
    pub swept: u32,
    pub not_found: u32,
    pub illegal: u32,
    pub conflicts: u32,
    pub bad_input: u32,
}

/// About as long as some thirty commands take.
const FIRST_RIGHT_HOURS: i64 = 12;

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.done += other.done;
        self.accepted += other.accepted;
        self.cut += other.cut;
        self.refused += other.refused;
        self.replayed += other.replayed;
        self.swept += other.swept;
        self.not_found += other.not_found;
        self.illegal += other.illegal;
        self.conflicts += other.conflicts;
        self.bad_input += other.bad_input;
    }
}

/// How near to the end of a hold no command is tried: longer than any command takes, so that
/// model and database agree whether it has run out.
const CLEARANCE: i64 = 20_000_000;

/// Records compared at once.
const MOST: usize = 500;

struct Driver<'a> {
    world: &'a World,
    dice: Dice,
    model: Model,
    /// Ascending, as all ids are that one caller gets one after another.
    needs: Vec<NeedId>,
    claims: Vec<ClaimId>,
    offers: Vec<OfferId>,
    trips: Vec<DeliveryId>,
    /// Ends of holds and of first rights, some of them past or confirmed.
    ends: BTreeSet<i64>,
    /// The latest keyed claims with what came of them.
    sent: Vec<(OpenClaim, ClaimOutcome)>,
    /// What has come since the last look into the database, and what that may have changed.
    since: Vec<String>,
    changed: Changed,
    tally: Tally,
}

#[derive(Default)]
struct Changed {
    claims: BTreeSet<usize>,
    needs: BTreeSet<usize>,
    trips: BTreeSet<usize>,
}

/// Runs so many random commands, and compares the answer to each at once, what they have changed after
/// every few (after every one in a short run), and in the end everything.
pub async fn run(world: &World, dice: Dice, commands: u32) -> Tally {
    let seed = dice.seed();
    let mut driver = Driver {
        world,
        dice,
        model: Model::default(),
        needs: Vec::new(),
        claims: Vec::new(),
        offers: Vec::new(),
        trips: Vec::new(),
        ends: BTreeSet::new(),
        sent: Vec::new(),
        since: Vec::new(),
        changed: Changed::default(),
        tally: Tally::default(),
    };
    world.first_right(FIRST_RIGHT_HOURS).await;
    let few = 1 + commands as usize / 10_000;
    for number in 0..commands {
        if driver.dice.chance(2) && !driver.sent.is_empty() {
            driver.say_again().await;
            continue;
        }
        if driver.dice.chance(10) {
            let seconds = driver.dice.between(1, 40_000) as u64;
            world.clock.advance(Duration::from_secs(seconds));
        }
        let deed = driver.deed();
        driver.one(format!("command {number} of seed {seed}, {deed:?}"), &deed).await;
        if driver.since.len() >= few {
            driver.look().await;
        }
    }
    driver.look().await;
    let everything = Changed {
        claims: (0..driver.claims.len()).collect(),
        needs: (0..driver.needs.len()).collect(),
        trips: (0..driver.trips.len()).collect(),
    };
    driver.compare(&everything, &format!("all commands of seed {seed}")).await;
    driver.tally
}

impl Driver<'_> {
    /// A moment that is far from the end of every hold.
    async fn clear_moment(&mut self) -> i64 {
        loop {
            let now = self.world.store.now().await.expect("the clock is read").0;
            self.ends = self.ends.split_off(&now);
            match self.ends.range(..=now + CLEARANCE).next_back() {
                None => return now,
                Some(end) => self.world.clock.advance(Duration::from_micros((end - now + 1_000_000) as u64)),
            }
        }
    }

    fn place(&self, need: NeedId) -> usize {
        self.needs.binary_search(&need).expect("a need that was asked for")
    }

    /// Mostly one of the latest, sometimes one of long ago.
    fn recent(&mut self, count: usize, window: usize) -> usize {
        let from = if self.dice.chance(93) { count.saturating_sub(window) } else { 0 };
        self.dice.between(from as i64, count as i64 - 1) as usize
    }

    fn by(&mut self, claim: usize) -> Option<usize> {
        match self.dice.between(1, 20) {
            1 => Some(self.dice.between(0, 3) as usize),
            2..=10 => Some(self.model.claims[claim].organization),
            11..=14 => Some(self.model.claims[claim].executor),
            _ => None,
        }
    }

    fn deed(&mut self) -> Deed {
        let (needs, claims, trips) = (self.needs.len(), self.claims.len(), self.trips.len());
        if needs < 12 {
            return self.report();
        }
        match self.dice.between(1, 100) {
            1..=3 => self.report(),
            4..=8 => {
                let count = self.dice.between(1, 6);
                Deed::Verify { needs: (0..count).map(|_| self.recent(needs, 30)).collect() }
            }
            9..=13 => {
                let need = self.recent(needs, 30);
                let (reserved, delivered) = self.model.sums(need);
                let around = reserved + delivered;
                let required = self.dice.between((around - 10).max(0), around + 60);
                Deed::Revise { need, required, stale: self.dice.chance(10) }
            }
            14 => {
                let need = self.recent(needs, 60);
                Deed::Close { need, stale: self.dice.chance(20) }
            }
            15..=17 => {
                let organization = self.dice.between(0, 2) as usize;
                let item = self.dice.between(0, 1) as usize;
                Deed::Offer { organization, item, quantity: self.dice.between(1, 200) }
            }
            18..=47 => self.ask(),
            48..=50 => Deed::Expire { most: self.dice.between(1, 5) as usize },
            _ if claims == 0 => self.ask(),
            51..=61 => {
                let claim = self.recent(claims, 12);
                Deed::Confirm { claim, by: self.by(claim) }
            }
            62..=64 => {
                let claim = self.recent(claims, 12);
                let hold = if self.dice.chance(5) { LONGEST_HOLD + 1 } else { self.dice.between(2, 50_000) };
                Deed::Renew { claim, by: self.by(claim), hold }
            }
            65..=69 => {
                let claim = self.recent(claims, 25);
                Deed::Release { claim, by: self.by(claim) }
            }
            70..=80 => {
                let claim = self.recent(claims, 15);
                let lines = self.model.claims[claim].lines.clone();
                let mut stops = Vec::new();
                for (place, line) in lines.iter().enumerate() {
                    if self.dice.chance(70) || (stops.is_empty() && place + 1 == lines.len()) {
                        let left = line.quantity - line.delivered - line.scheduled;
                        let most = if self.dice.chance(6) { left + 1 } else { left };
                        stops.push((place, self.dice.between(1, most.max(1))));
                    }
                }
                Deed::Schedule { claim, by: self.by(claim), stops }
            }
            _ if trips == 0 => self.ask(),
            81..=86 => {
                let trip = self.recent(trips, 8);
                Deed::Dispatch { trip, by: self.by(self.model.trips[trip].claim) }
            }
            87..=92 => {
                let trip = self.recent(trips, 8);
                Deed::Record { trip, by: self.by(self.model.trips[trip].claim) }
            }
            93 => {
                let trip = self.recent(trips, 8);
                Deed::Cancel { trip, by: self.by(self.model.trips[trip].claim) }
            }
            _ => {
                let trip = self.recent(trips, 10);
                let stops = self.model.trips[trip].stops.clone();
                let mut answers = Vec::new();
                for (place, stop) in stops.iter().enumerate() {
                    let (accepted, rejected) = match stop.answer {
                        Some(said) if self.dice.chance(80) => said,
                        _ if self.dice.chance(75) => (stop.quantity, 0),
                        _ => {
                            let rejected = self.dice.between(0, stop.quantity);
                            (stop.quantity - rejected, rejected)
                        }
                    };
                    let accepted = if self.dice.chance(2) { accepted + 1 } else { accepted };
                    if self.dice.chance(80) {
                        answers.push((place, accepted, rejected));
                    }
                }
                let village = [None, None, Some(0), Some(1)][self.dice.between(0, 3) as usize];
                Deed::Acknowledge { trip, village, answers }
            }
        }
    }

    fn report(&mut self) -> Deed {
        let item = usize::from(self.dice.chance(25));
        let area = if self.dice.chance(30) { 0 } else { self.dice.between(0, 19) as usize };
        Deed::Report { required: self.dice.between(0, 120), item, area }
    }

    fn ask(&mut self) -> Deed {
        let count = self.dice.between(1, 6);
        let needs: BTreeSet<usize> = (0..count).map(|_| self.recent(self.needs.len(), 30)).collect();
        let lines: Vec<(usize, i64)> = needs
            .into_iter()
            .map(|need| {
                let most = if self.dice.chance(90) { self.model.free(need).clamp(1, 40) } else { 80 };
                (need, self.dice.between(1, most))
            })
            .collect();
        let organization = self.dice.between(0, 2) as usize;
        let offer = if self.dice.chance(25) && !self.offers.is_empty() {
            let of_mine = |o: &usize| self.model.offers[*o].organization == organization;
            let last = (0..self.offers.len()).rev().find(of_mine);
            if self.dice.chance(95) { last } else { Some(self.recent(self.offers.len(), 5)) }
        } else {
            None
        };
        let hold = match self.dice.between(1, 50) {
            1 => 1,
            2 => LONGEST_HOLD + 1,
            _ => self.dice.between(60, 200_000),
        };
        let executor = if self.dice.chance(30) { 3 } else { organization };
        Deed::Claim(Ask { organization, executor, offer, lines, take_free: self.dice.chance(40), hold })
    }

    async fn one(&mut self, context: String, deed: &Deed) {
        let now = self.clear_moment().await;
        let expected = self.model.apply(deed, now);
        let touched: Vec<usize> = self.model.touched.iter().copied().collect();
        let (got, ends) = self.send(deed, &touched, now, &context).await;
        assert_eq!(got, expected, "{context}");
        self.since.push(context);
        self.count(&got);
        if let Some(ends) = ends {
            let claim = match deed {
                Deed::Renew { claim, .. } => *claim,
                _ => self.claims.len() - 1,
            };
            self.ends.insert(ends);
            self.model.claims[claim].lines.iter_mut().for_each(|l| l.ends = ends);
        }
        self.changes(&touched);
        match deed {
            Deed::Report { .. } => self.changed.needs.extend([self.needs.len() - 1]),
            Deed::Verify { needs } => self.changed.needs.extend(needs),
            Deed::Revise { need, .. } | Deed::Close { need, .. } => self.changed.needs.extend([*need]),
            Deed::Claim(ask) => self.changed.needs.extend(ask.lines.iter().map(|(n, _)| *n)),
            Deed::Dispatch { trip, .. }
            | Deed::Record { trip, .. }
            | Deed::Cancel { trip, .. }
            | Deed::Acknowledge { trip, .. } => self.changed.trips.extend([*trip]),
            _ => {}
        }
    }

    /// Claims, and with them their needs, are to be looked at.
    fn changes(&mut self, claims: &[usize]) {
        let needs = claims.iter().flat_map(|c| self.model.claims[*c].lines.iter().map(|l| l.need));
        self.changed.needs.extend(needs);
        self.changed.claims.extend(claims);
    }

    async fn look(&mut self) {
        let (changed, since) = (std::mem::take(&mut self.changed), std::mem::take(&mut self.since));
        self.compare(&changed, &since.join("\n")).await;
    }

    async fn compare(&self, changed: &Changed, context: &str) {
        let places = |set: &BTreeSet<usize>| set.iter().copied().collect::<Vec<_>>();
        for part in places(&changed.claims).chunks(MOST) {
            self.compare_claims(part, context).await;
        }
        for part in places(&changed.needs).chunks(MOST) {
            self.compare_needs(part, context).await;
        }
        for part in places(&changed.trips).chunks(MOST) {
            self.compare_trips(part, context).await;
        }
    }

    fn count(&mut self, fate: &Fate) {
        let tally = &mut self.tally;
        match fate {
            Fate::Done => tally.done += 1,
            Fate::Swept(needs) => tally.swept += *needs as u32,
            Fate::Accepted { short, .. } if short.is_empty() => tally.accepted += 1,
            Fate::Accepted { .. } => tally.cut += 1,
            Fate::Refused(_) => tally.refused += 1,
            Fate::NotFound => tally.not_found += 1,
            Fate::Illegal => tally.illegal += 1,
            Fate::VersionConflict => tally.conflicts += 1,
            Fate::BadInput => tally.bad_input += 1,
        }
    }

    fn organization(&self, which: usize) -> OrganizationId {
        if which == 3 { self.world.aggregator } else { self.world.donors[which] }
    }

    fn access(&self, by: Option<usize>) -> ClaimAccess {
        ClaimAccess { organization: by.map(|who| self.organization(who)) }
    }

    fn item(&self, which: usize) -> ItemId {
        [self.world.package, self.world.meal][which]
    }

    fn keyed(&self, organization: OrganizationId, operation: &'static str) -> Keyed {
        Keyed::new(Scope::Organization(organization), operation, self.world.key(), &json!({}))
    }

    async fn version(&self, need: usize, stale: bool) -> i64 {
        self.world.need(self.needs[need]).await.version - i64::from(stale)
    }

    /// Sends the deed to the store. Answers what came of it and, where a hold began or was renewed, its end.
    async fn send(&mut self, deed: &Deed, touched: &[usize], now: i64, context: &str) -> (Fate, Option<i64>) {
        let store = &self.world.store;
        let author = None;
        let done = |result: Result<(), StoreError>| fate(result.map(|()| Fate::Done), context);
        match deed {
            Deed::Report { required, item, area } => {
                let report = ReportNeed {
                    author,
                    keyed: self.keyed(self.world.donors[0], "reportNeed"),
                    area: self.world.areas[*area].id,
                    program: self.world.food,
                    item: self.item(*item),
                    period: april(),
                    required: q(*required),
                    severity: Severity::new(3).expect("it is from 1 to 5"),
                };
                let made = store.execute(report).await;
                (fate(made.map(|id| self.needs.push(id)).map(|()| Fate::Done), context), None)
            }
            Deed::Verify { needs } => {
                let ids = needs.iter().map(|n| self.needs[*n]).collect();
                let fate = done(store.execute(VerifyNeeds { author, access: ANY_NEED, ids }).await);
                self.note_first_rights(needs, now).await;
                (fate, None)
            }
            Deed::Revise { need, required, stale } => {
                let expected_version = self.version(*need, *stale).await;
                let (id, required) = (self.needs[*need], Some(q(*required)));
                let revise = ReviseNeed { author, access: ANY_NEED, id, expected_version, required, severity: None };
                (done(store.execute(revise).await), None)
            }
            Deed::Close { need, stale } => {
                let expected_version = self.version(*need, *stale).await;
                let (id, reason) = (self.needs[*need], "cukup".to_owned());
                let close = CloseNeed { author, access: ANY_NEED, id, expected_version, reason };
                (done(store.execute(close).await), None)
            }
            Deed::Offer { organization, item, quantity } => {
                let organization = self.organization(*organization);
                let offer = CreateOffer {
                    keyed: self.keyed(organization, "createOffer"),
                    ..self.world.offer(organization, self.item(*item), *quantity)
                };
                let made = store.execute(offer).await;
                (fate(made.map(|id| self.offers.push(id)).map(|()| Fate::Done), context), None)
            }
            Deed::Claim(ask) => self.send_claim(ask, now, context).await,
            Deed::Confirm { claim, by } => {
                let confirm = ConfirmClaim { author, id: self.claims[*claim], access: self.access(*by) };
                (done(store.execute(confirm).await), None)
            }
            Deed::Renew { claim, by, hold } => {
                let (id, access) = (self.claims[*claim], self.access(*by));
                let renew = RenewClaim { author, id, access, hold_seconds: Some(*hold) };
                let fate = done(store.execute(renew).await);
                let ends = if touched.contains(claim) && fate == Fate::Done {
                    let lines = self.world.claim(id).await.lines;
                    Some(self.end_of_hold(&lines, *hold, now, self.model.claims[*claim].lines[0].ends).await)
                } else {
                    None
                };
                (fate, ends)
            }
            Deed::Release { claim, by } => {
                let (id, access) = (self.claims[*claim], self.access(*by));
                let release = ReleaseClaim { author, id, access, reason: None };
                (done(store.execute(release).await), None)
            }
            Deed::Expire { most } => {
                let swept = store.execute(ExpireDue { most: *most as i64 }).await;
                (fate(swept.map(Fate::Swept), context), None)
            }
            Deed::Schedule { claim, by, stops } => {
                let id = self.claims[*claim];
                let lines = self.world.claim(id).await.lines;
                let mut wanted: Vec<_> = stops.iter().map(|(l, quantity)| (lines[*l].id, q(*quantity))).collect();
                wanted.sort_unstable();
                let trip = ScheduleDelivery {
                    author,
                    keyed: self.keyed(self.world.donors[0], "scheduleDelivery"),
                    claim: id,
                    access: self.access(*by),
                    lines: wanted,
                    scheduled_for: None,
                };
                let made = store.execute(trip).await;
                (fate(made.map(|id| self.trips.push(id)).map(|()| Fate::Done), context), None)
            }
            Deed::Dispatch { trip, by } => {
                let (id, access) = (self.trips[*trip], self.access(*by));
                (done(store.execute(DispatchDelivery { author, id, access }).await), None)
            }
            Deed::Record { trip, by } => {
                let (id, access) = (self.trips[*trip], self.access(*by));
                (done(store.execute(RecordDelivery { author, id, access, note: None }).await), None)
            }
            Deed::Cancel { trip, by } => {
                let (id, access, reason) = (self.trips[*trip], self.access(*by), "truk mogok".to_owned());
                (done(store.execute(CancelDelivery { author, id, access, reason }).await), None)
            }
            Deed::Acknowledge { trip, village, answers } => {
                let stops = self.model.trips[*trip].stops.clone();
                let lines = self.world.claim(self.claims[self.model.trips[*trip].claim]).await.lines;
                let answers = answers.iter().map(|(stop, accepted, rejected)| Answer {
                    line: lines[stops[*stop].line].id,
                    accepted: q(*accepted),
                    rejected: q(*rejected),
                    note: None,
                });
                let area = village.map(|v| code(["31.71.01.1001", "31.71.01.1002"][v]));
                let say = AcknowledgeDelivery { author, id: self.trips[*trip], area, answers: answers.collect() };
                (done(store.execute(say).await), None)
            }
        }
    }

    async fn send_claim(&mut self, ask: &Ask, now: i64, context: &str) -> (Fate, Option<i64>) {
        let organization = self.organization(ask.organization);
        let open = OpenClaim {
            author: None,
            keyed: self.keyed(organization, "claimNeeds"),
            organization,
            executor: Some(self.organization(ask.executor)),
            offer: ask.offer.map(|o| self.offers[o]),
            lines: ask.lines.iter().map(|(need, quantity)| (self.needs[*need], q(*quantity))).collect(),
            on_conflict: if ask.take_free { OnConflict::TakeFree } else { OnConflict::Refuse },
            hold_seconds: Some(ask.hold),
        };
        let outcome = match self.world.store.execute(open.clone()).await {
            Ok(outcome) => outcome,
            Err(error) => return (fate(Err(error), context), None),
        };
        if self.sent.len() == 20 {
            self.sent.remove(0);
        }
        self.sent.push((open, outcome.clone()));
        let told = |refusals: &[LineRefusal]| -> Vec<(usize, i64, Why)> {
            refusals
                .iter()
                .map(|r| {
                    let need = self.place(r.need);
                    let why = match r.reason {
                        RefusalReason::NotOpen => Why::NotOpen,
                        RefusalReason::Rule => Why::Rule,
                        RefusalReason::NotEnoughFree => Why::NotEnoughFree,
                        RefusalReason::NotFound => panic!("{context}: every need is there"),
                    };
                    (need, r.free.get(), why)
                })
                .collect()
        };
        match outcome {
            ClaimOutcome::Refused { refusals, replayed } => {
                assert!(!replayed, "{context}");
                (Fate::Refused(told(&refusals)), None)
            }
            ClaimOutcome::Accepted { claim, shortfalls, replayed } => {
                assert!(!replayed, "{context}");
                let short = told(&shortfalls);
                let lines = self.world.claim(claim).await.lines;
                let granted = lines.iter().map(|l| (self.place(l.need), l.quantity.get())).collect();
                self.claims.push(claim);
                let ends = self.end_of_hold(&lines, ask.hold, now, 0).await;
                (Fate::Accepted { granted, short }, Some(ends))
            }
        }
    }

    /// The one moment at which all lines of a hold end: `hold` seconds after the command ran, but
    /// never before `old`, the end that it had already.
    async fn end_of_hold(&self, lines: &[ClaimLine], hold: i64, before: i64, old: i64) -> i64 {
        let after = self.world.store.now().await.expect("the clock is read").0;
        let ends = lines[0].expires_at.expect("it is held").0;
        assert!(lines.iter().all(|l| l.expires_at.is_some_and(|e| e.0 == ends)), "{lines:?} end at several moments");
        let hold = hold * 1_000_000;
        let (first, last) = ((before + hold).max(old), (after + hold).max(old));
        assert!((first..=last).contains(&ends), "{lines:?} end at {ends}, not from {first} to {last}");
        ends
    }

    /// Learns until when needs are kept for the neighbour: so long after the command that verified them.
    async fn note_first_rights(&mut self, needs: &BTreeSet<usize>, before: i64) {
        let after = self.world.store.now().await.expect("the clock is read").0;
        for need in needs {
            let until = self.world.need(self.needs[*need]).await.first_right_until.map_or(0, |m| m.0);
            let known = &mut self.model.needs[*need];
            if known.stage == Stage::Verified && known.kept_until == 0 {
                let right = FIRST_RIGHT_HOURS * 3_600_000_000;
                assert!((before + right..=after + right).contains(&until), "kept until {until}");
                known.kept_until = until;
                self.ends.insert(until);
            }
            assert_eq!(known.kept_until, until);
        }
    }

    /// Sends a claim of a while ago once more: its key answers as it did.
    async fn say_again(&mut self) {
        let (ask, first) = self.dice.pick(&self.sent).clone();
        let now = self.clear_moment().await;
        let needs: Vec<usize> = ask.lines.iter().map(|(need, _)| self.place(*need)).collect();
        self.model.look(&needs, now);
        let touched: Vec<usize> = self.model.touched.iter().copied().collect();
        self.changes(&touched);
        let expected = match first {
            ClaimOutcome::Accepted { claim, shortfalls, .. } => {
                ClaimOutcome::Accepted { claim, shortfalls, replayed: true }
            }
            ClaimOutcome::Refused { refusals, .. } => ClaimOutcome::Refused { refusals, replayed: true },
        };
        if self.dice.chance(20) {
            let keyed = Keyed { fingerprint: [0; 32], ..ask.keyed.clone() };
            let reused = self.world.store.execute(OpenClaim { keyed, ..ask.clone() }).await;
            assert!(matches!(reused, Err(StoreError::KeyReused)), "{reused:?}");
        }
        assert_eq!(self.world.store.execute(ask).await.expect("a used key answers"), expected);
        self.tally.replayed += 1;
    }

    async fn compare_needs(&self, wanted: &[usize], context: &str) {
        let ids: Vec<NeedId> = wanted.iter().map(|n| self.needs[*n]).collect();
        let stored = self.world.store.needs(&ids).await.expect("needs are read");
        assert_eq!(stored.len(), wanted.len());
        for need in stored {
            let place = self.place(need.id);
            let c = need.counters;
            let (reserved, delivered) = self.model.sums(place);
            let has = (c.required().get(), c.reserved().get(), c.delivered().get(), need.status);
            let stage = match self.model.needs[place].stage {
                Stage::Reported => NeedStatus::Reported,
                Stage::Verified => NeedStatus::Verified,
                Stage::Closed => NeedStatus::Closed,
            };
            let expected = (self.model.needs[place].required, reserved, delivered, stage);
            assert_eq!(has, expected, "{} after {context}", need.id);
        }
    }

    async fn compare_claims(&self, wanted: &[usize], context: &str) {
        let ids: Vec<ClaimId> = wanted.iter().map(|c| self.claims[*c]).collect();
        let stored = self.world.store.claims(&ids).await.expect("claims are read");
        assert_eq!(stored.len(), wanted.len());
        for claim in stored {
            let place = self.claims.binary_search(&claim.id).expect("a claim that was asked for");
            let model = &self.model.claims[place];
            let has: Vec<_> = claim
                .lines
                .iter()
                .map(|l| {
                    let ends = l.expires_at.map(|m| m.0);
                    (l.need, l.quantity.get(), l.scheduled.get(), l.delivered.get(), l.status, ends)
                })
                .collect();
            let expected: Vec<_> = model
                .lines
                .iter()
                .map(|l| {
                    let status = match l.state {
                        State::Held => ClaimStatus::Held,
                        State::Confirmed => ClaimStatus::Confirmed,
                        State::Fulfilled => ClaimStatus::Fulfilled,
                        State::Released => ClaimStatus::Released,
                        State::Expired => ClaimStatus::Expired,
                    };
                    let ends = (l.state == State::Held).then_some(l.ends);
                    (self.needs[l.need], l.quantity, l.scheduled, l.delivered, status, ends)
                })
                .collect();
            assert_eq!(has, expected, "{} after {context}", claim.id);
            assert_eq!(claim.renewals, model.renewals, "{} after {context}", claim.id);
        }
        let offers: BTreeSet<usize> = wanted.iter().filter_map(|c| self.model.claims[*c].offer).collect();
        if offers.is_empty() {
            return;
        }
        let ids: Vec<OfferId> = offers.iter().map(|o| self.offers[*o]).collect();
        let mut stored = self.world.store.offers(&ids).await.expect("offers are read");
        stored.sort_unstable_by_key(|offer| offer.id);
        let has: Vec<_> = stored.iter().map(|offer| (offer.id, offer.claimed.get())).collect();
        let expected: Vec<_> = offers.iter().map(|o| (self.offers[*o], self.model.claimed(*o))).collect();
        assert_eq!(has, expected, "after {context}");
    }

    async fn compare_trips(&self, wanted: &[usize], context: &str) {
        let ids: Vec<DeliveryId> = wanted.iter().map(|t| self.trips[*t]).collect();
        let stored = self.world.store.deliveries(&ids).await.expect("deliveries are read");
        assert_eq!(stored.len(), wanted.len());
        for trip in stored {
            let model = &self.model.trips[self.trips.binary_search(&trip.id).expect("a trip that was asked for")];
            let leg = match model.leg {
                Leg::Scheduled => DeliveryStatus::Scheduled,
                Leg::InTransit => DeliveryStatus::InTransit,
                Leg::Delivered => DeliveryStatus::Delivered,
                Leg::Acknowledged => DeliveryStatus::Acknowledged,
                Leg::Disputed => DeliveryStatus::Disputed,
                Leg::Cancelled => DeliveryStatus::Cancelled,
            };
            assert_eq!(trip.status, leg, "{} after {context}", trip.id);
            let mut has: Vec<_> =
                trip.lines.iter().map(|l| (l.quantity.get(), l.answer.map(|(a, r)| (a.get(), r.get())))).collect();
            let mut expected: Vec<_> = model.stops.iter().map(|s| (s.quantity, s.answer)).collect();
            has.sort_unstable();
            expected.sort_unstable();
            assert_eq!(has, expected, "{} after {context}", trip.id);
        }
    }
}

fn fate(result: Result<Fate, StoreError>, context: &str) -> Fate {
    match result {
        Ok(fate) => fate,
        Err(StoreError::NotFound(_)) => Fate::NotFound,
        Err(StoreError::Illegal(_)) => Fate::Illegal,
        Err(StoreError::VersionConflict) => Fate::VersionConflict,
        Err(StoreError::BadInput { .. }) => Fate::BadInput,
        Err(error) => panic!("{context}: {error}"),
    }
}
