//! Making claims: any number of them decided one after another in one transaction, each as if it
//! were alone.
//!
//! One [`Book`] is opened over all needs that the group asks for. Every claim is then a chapter of
//! it: decided in memory by what the ones before have left, refused or granted without a word to the
//! database. What the group comes to is written in one go. A claim that comes alone
//! is a group of one.

use super::batch::{Batch, Kind, Writes};
use super::bundle::{self, Bundle};
use super::by_map::{Map, SPARE, Terms};
use super::chain::lines_of_needs;
use super::claims::{NewClaim, check_hold};
use super::dialect::Dialect;
use super::error::StoreError;
use super::idempotency::{self, KeyId, Keyed, Known};
use super::ledger::{Book, Done, Lines, Wait};
use super::rows::{ids, quantity};
use super::write::{Command, Request, Tx, column};
use super::{Author, Store, audit, people};
use crate::domain::area::AreaCode;
use crate::domain::calendar::Moment;
use crate::domain::claim::{Claim, ClaimLine, ClaimStatus};
use crate::domain::ids::{AreaId, ClaimId, ItemId, NeedId, OfferId, OrganizationId, ProgramId};
use crate::domain::need::NeedStatus;
use crate::domain::quantity::Quantity;
use crate::domain::refusal::{LineRefusal, RefusalReason};
use crate::domain::rules::{AskedLine, AskedNeed, ClaimDecision, OnConflict, decide_claim, is_neighbour};
use crate::planted::planted;
use sea_orm::{FromQueryResult, Value};
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Sets quantities of needs aside for an organisation, all in one transaction.
#[derive(Debug, Clone)]
pub struct OpenClaim {
    pub author: Author,
    pub keyed: Keyed,
    pub organization: OrganizationId,
    /// Who carries it out; `None`: the organisation itself.
    pub executor: Option<OrganizationId>,
    pub offer: Option<OfferId>,
    /// Ascending by need, each need once, no quantity zero.
    pub lines: Vec<(NeedId, Quantity)>,
    pub on_conflict: OnConflict,
    pub hold_seconds: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    Accepted {
        claim: ClaimId,
        /// Lines that were cut or dropped under [`OnConflict::TakeFree`].
        shortfalls: Vec<LineRefusal>,
        replayed: bool,
    },
    Refused {
        refusals: Vec<LineRefusal>,
        replayed: bool,
    },
}

impl ClaimOutcome {
    /// The same, as every later call with its key is answered.
    fn again(self) -> Self {
        match self {
            ClaimOutcome::Accepted { claim, shortfalls, .. } => {
                ClaimOutcome::Accepted { claim, shortfalls, replayed: true }
            }
            ClaimOutcome::Refused { refusals, .. } => ClaimOutcome::Refused { refusals, replayed: true },
        }
    }
}

/// What a call to claim came to.
#[derive(Debug, Clone)]
pub struct Opened {
    pub outcome: ClaimOutcome,
    /// The claim, where this very call made it.
    pub made: Option<Claim>,
}

impl Opened {
    /// True where `self` is what the key of `first` answers later on.
    pub(super) fn is_replay_of(&self, first: &Opened) -> bool {
        self.outcome == first.outcome.clone().again()
    }
}

impl OpenClaim {
    /// Decides it as a part of a larger transaction.
    pub async fn run(&self, tx: &mut Tx) -> Result<ClaimOutcome, StoreError> {
        let group = ClaimGroup::new(vec![Arc::new(self.clone())], Wait::ForAll);
        match group.run(tx).await?.verdicts.pop() {
            Some(Verdict::Answered(answer)) => answer.map(|opened| opened.outcome),
            _ => Err(StoreError::Fault("a claim was left undecided".into())),
        }
    }
}

/// Together with the claims that wait.
impl Request for OpenClaim {
    type Answer = ClaimOutcome;

    async fn submit(self, store: &Store) -> Result<ClaimOutcome, StoreError> {
        store.open_claim(self).await.map(|opened| opened.outcome)
    }
}

/// Claims that are decided in one transaction, in this order.
pub(super) struct ClaimGroup {
    pub claims: Vec<Arc<OpenClaim>>,
    pub wait: Wait,
    /// Whether what it reads is left for groups to come.
    pub learns: bool,
    /// What the needs are taken from instead of the database, where all is granted as it was asked for. Each is then
    /// written as of the version it was taken at, and where the map was behind the whole group fails. On SQLite,
    /// whose only writer has begun when the map is asked.
    pub map: Option<Arc<OnceLock<Map>>>,
    /// Whether the last run has decided by the map.
    pub recalled: AtomicBool,
}

impl ClaimGroup {
    pub fn new(claims: Vec<Arc<OpenClaim>>, wait: Wait) -> Self {
        ClaimGroup { claims, wait, learns: false, map: None, recalled: AtomicBool::new(false) }
    }
}

/// What a group has come to.
#[derive(Default)]
pub(super) struct Heard {
    pub verdicts: Vec<Verdict>,
    /// For groups to come.
    pub terms: Option<Terms>,
}

/// What one claim of a group has come to. An answer stands once the group is committed.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Answered(Result<Opened, StoreError>),
    /// Somebody else holds needs of it: to be tried again with [`Wait::ForAll`].
    PutOff,
}

impl Command for ClaimGroup {
    type Answer = Heard;

    fn writes(&self) -> usize {
        self.claims.len()
    }

    async fn run(&self, tx: &mut Tx) -> Result<Heard, StoreError> {
        let needs: BTreeSet<NeedId> = self.claims.iter().flat_map(|c| &c.lines).map(|(need, _)| *need).collect();
        let by_map = self.hear_by_map(tx, &needs).await?;
        self.recalled.store(by_map.is_some(), Ordering::Relaxed);
        if let Some((sitting, findings)) = by_map {
            return self.write(tx, sitting, findings).await;
        }
        let offers: BTreeSet<OfferId> = self.claims.iter().filter_map(|c| c.offer).collect();
        let offers: Vec<OfferId> = offers.into_iter().collect();
        let book = Book::open_waiting(tx, None, "claim.open", &needs, Lines::None, &offers, self.wait).await?;
        let ground = Ground::read(tx, &self.claims, &book, self.learns).await?;
        let mut sitting = Sitting::new(book, ground);
        // On SQLite a writer has the whole database: nothing is held by others.
        let may_be_held = self.wait == Wait::ForNone && tx.dialect == Dialect::Postgres;
        let mut findings = Vec::with_capacity(self.claims.len());
        for (place, claim) in self.claims.iter().enumerate() {
            let held = may_be_held && claim.lines.iter().any(|(need, _)| sitting.book.need(*need).is_none());
            findings.push(if held { Finding::PutOff } else { sitting.hear(place, claim)? });
        }
        name_ends_of_holds(tx, sitting.book.now(), &mut findings).await?;
        sitting.name_ends_of_first_rights(&self.claims, &mut findings);
        self.write(tx, sitting, findings).await
    }
}

impl ClaimGroup {
    /// `None` where the database is to be asked: nothing has been written.
    async fn hear_by_map(
        &self,
        tx: &mut Tx,
        needs: &BTreeSet<NeedId>,
    ) -> Result<Option<(Sitting, Vec<Finding>)>, StoreError> {
        let Some(map) = self.map.as_ref().and_then(|map| map.get()) else { return Ok(None) };
        let asked: Vec<NeedId> = needs.iter().copied().collect();
        let Some(on_map) = map(&asked).filter(|_| only_needs_matter(&self.claims)) else { return Ok(None) };
        let now = tx.now().await?;
        let due = if planted!(DueIgnored) { "RELEASED" } else { "HELD" };
        let numbers = tx.dialect.numbers("$1");
        let sql = format!(
            "SELECT id FROM claim_line WHERE status = '{due}' AND expires_at <= $2 AND need_id + 0 {numbers}
             UNION ALL SELECT id FROM bundled_line WHERE {} AND status = '{due}' AND need_id {numbers} LIMIT 1",
            bundle::is_due("$2")
        );
        if tx.one(&sql, [ids(asked.iter().map(|need| need.0)), now.0.into()]).await?.is_some() {
            return Ok(None);
        }
        let book = Book::recalled(now, None, "claim.open", on_map.needs.into_iter());
        let ground = Ground::read(tx, &self.claims, &book, self.learns).await?;
        let mut sitting = Sitting::new(book, ground);
        let findings = hear_all_granted(&self.claims, &mut sitting);
        Ok(findings.map(|findings| (sitting, findings)))
    }

    async fn write(&self, tx: &mut Tx, sitting: Sitting, findings: Vec<Finding>) -> Result<Heard, StoreError> {
        let terms = self.learns.then(|| sitting.terms_left(tx.clock_offset()));
        let mut writes = Writes::new(tx.dialect);
        let (verdicts, done) = sitting.seal(&self.claims, findings, &mut writes)?;
        tx.write(writes).await?;
        tx.did(done);
        Ok(Heard { verdicts, terms })
    }
}

/// What claims come to that are all granted as they were asked for.
pub(super) struct Granted {
    pub verdicts: Vec<Verdict>,
    pub done: Done,
    /// Ids that were not used, ascending.
    pub claim_ids: Vec<i64>,
}

/// Decides claims over a book that was opened without locks and gathers what is to be written. `None` unless
/// they are all granted as they were asked for and nothing but their needs has a say in it.
pub(super) fn grant_all(claims: &[Arc<OpenClaim>], book: Book, terms: &Terms, writes: &mut Writes) -> Option<Granted> {
    if !only_needs_matter(claims) {
        return None;
    }
    let ground =
        Ground { holds: terms.holds.clone(), claim_ids: terms.claim_ids.clone().into_iter(), ..Ground::default() };
    let mut sitting = Sitting::new(book, ground);
    let findings = hear_all_granted(claims, &mut sitting)?;
    let claim_ids = sitting.ground.claim_ids.as_slice().to_vec();
    let (verdicts, done) = sitting.seal(claims, findings, writes).ok()?;
    Some(Granted { verdicts, done, claim_ids })
}

/// Whether nothing but their needs has a say in what claims come to: no offer, no other executor.
fn only_needs_matter(claims: &[Arc<OpenClaim>]) -> bool {
    let own = |claim: &Arc<OpenClaim>| claim.executor.is_none_or(|executor| executor == claim.organization);
    claims.iter().all(|claim| claim.offer.is_none() && own(claim))
}

/// `None` unless all are granted as they were asked for.
fn hear_all_granted(claims: &[Arc<OpenClaim>], sitting: &mut Sitting) -> Option<Vec<Finding>> {
    let hear = |(place, claim): (usize, &Arc<OpenClaim>)| sitting.hear(place, claim).ok();
    claims.iter().enumerate().map(hear).map(|finding| finding.filter(Finding::is_granted_as_asked)).collect()
}

/// A list of ids, ascending.
pub(super) fn numbers(list: &str) -> Result<Vec<i64>, StoreError> {
    let mut ids: Vec<i64> = serde_json::from_str(list).map_err(|_| StoreError::corrupt("sequence"))?;
    ids.sort_unstable();
    Ok(ids)
}

/// What a claim is to be answered, before it is known when refused quantities become free.
enum Finding {
    Decided(Opened),
    /// The same key as that of an earlier claim of this group.
    Twin(usize),
    Failed(StoreError),
    PutOff,
}

impl Finding {
    /// A new claim of all that was asked for.
    fn is_granted_as_asked(&self) -> bool {
        let Finding::Decided(opened) = self else { return false };
        matches!(&opened.outcome, ClaimOutcome::Accepted { shortfalls, replayed: false, .. } if shortfalls.is_empty())
    }
}

/// What deciding takes besides the book.
#[derive(Default)]
struct Ground {
    known: HashMap<KeyId, Known>,
    holds: Holds,
    partners: HashSet<OrganizationId>,
    neighbours: Neighbours,
    claim_ids: std::vec::IntoIter<i64>,
}

/// Where needs that are kept for their neighbours lie, and where those who claim are at home. Empty
/// where no need is kept for anybody, which then costs nothing.
#[derive(Default)]
struct Neighbours {
    areas: HashMap<AreaId, AreaCode>,
    homes: HashMap<OrganizationId, AreaCode>,
}

#[derive(FromQueryResult)]
struct IdCode {
    id: i64,
    code: String,
}

impl Neighbours {
    async fn read(tx: &mut Tx, claims: &[Arc<OpenClaim>], book: &Book) -> Result<Neighbours, StoreError> {
        let asked = claims.iter().flat_map(|c| &c.lines).filter_map(|(need, _)| book.need(*need));
        let kept: BTreeSet<i64> = asked.filter(|n| n.kept_until(book.now()).is_some()).map(|n| n.area.0).collect();
        if kept.is_empty() {
            return Ok(Neighbours::default());
        }
        let wanted = tx.dialect.numbers("$1");
        let areas: Vec<IdCode> = tx.all(&format!("SELECT id, code FROM area WHERE id {wanted}"), [ids(kept)]).await?;
        let sql = format!("SELECT id, home_area AS code FROM organization WHERE home_area IS NOT NULL AND id {wanted}");
        let organizations: BTreeSet<i64> = claims.iter().map(|c| c.organization.0).collect();
        let homes: Vec<IdCode> = tx.all(&sql, [ids(organizations)]).await?;
        let code = |text: &str| text.parse().map_err(|_| StoreError::corrupt("area code"));
        Ok(Neighbours {
            areas: areas.iter().map(|a| Ok((AreaId(a.id), code(&a.code)?))).collect::<Result<_, StoreError>>()?,
            homes: homes
                .iter()
                .map(|o| Ok((OrganizationId(o.id), code(&o.code)?)))
                .collect::<Result<_, StoreError>>()?,
        })
    }
}

#[derive(FromQueryResult)]
struct FreesAt {
    need_id: i64,
    at: i64,
}

impl Ground {
    /// Reads with the locks held: a twin of one of these claims on another connection has either
    /// committed, and its key is seen, or waits for our locks.
    async fn read(tx: &mut Tx, claims: &[Arc<OpenClaim>], book: &Book, learns: bool) -> Result<Ground, StoreError> {
        let known = idempotency::known(tx, claims.iter().map(|c| &c.keyed)).await?;
        let asked = claims.iter().flat_map(|c| &c.lines).filter_map(|(need, _)| book.need(*need));
        let programs: BTreeSet<i64> = asked.map(|n| n.program.0).collect();
        let others: BTreeSet<i64> =
            claims.iter().filter_map(|c| c.executor.filter(|e| *e != c.organization)).map(|e| e.0).collect();
        let partners = match others.is_empty() {
            true => HashSet::new(),
            false => people::partners(tx, others, book.now().day()).await?,
        };
        let times = if learns { 1 + 2 * SPARE } else { 1 };
        let drawn = holds_and_ids(tx, ids(programs), times * claims.len()).await?;
        let neighbours = Neighbours::read(tx, claims, book).await?;
        Ok(Ground { known, partners, neighbours, ..drawn })
    }

    /// The hold of a claim, by the strictest of the programs it touches.
    fn hold(&self, asked: Option<i64>, programs: impl Iterator<Item = ProgramId>) -> Result<i64, StoreError> {
        let rules = programs.map(|p| self.holds.get(&p).copied().ok_or_else(|| StoreError::corrupt("program")));
        let (mut usual, mut longest) = (i64::MAX, i64::MAX);
        for rule in rules {
            let (u, l) = rule?;
            usual = usual.min(u);
            longest = longest.min(l);
        }
        check_hold(asked, usual, longest)
    }
}

/// The usual and the longest hold of programs.
pub(super) type Holds = HashMap<ProgramId, (i64, i64)>;

/// The holds of programs, and ids for so many claims, ascending. Those that are not used are lost.
async fn holds_and_ids(tx: &mut Tx, programs: Value, claims: usize) -> Result<Ground, StoreError> {
    let corrupt = || StoreError::corrupt("sequence");
    let wanted = tx.dialect.numbers("$1");
    let claims = claims as i64;
    let row = match tx.dialect {
        Dialect::Postgres => {
            let sql = format!(
                "SELECT (SELECT json_agg(json_build_array(id, hold_seconds, max_hold_seconds)) FROM program
                    WHERE id {wanted})::text AS holds,
                 (SELECT json_agg(nextval('claim_id_seq')) FROM generate_series(1, $2))::text AS claims"
            );
            tx.one(&sql, [programs, claims.into()]).await?
        }
        // The only writer counts by itself; its inserts move the table's own count along.
        Dialect::Sqlite => {
            let sql = format!(
                "SELECT (SELECT json_group_array(json_array(id, hold_seconds, max_hold_seconds)) FROM program
                    WHERE id {wanted}) AS holds,
                 (SELECT json_array(COALESCE(max(seq), 0)) FROM sqlite_sequence WHERE name = 'claim') AS claims"
            );
            tx.one(&sql, [programs]).await?
        }
    };
    let row = row.ok_or_else(corrupt)?;
    let holds: Option<String> = column(&row, "holds")?;
    let holds: Vec<(i64, i64, i64)> =
        holds.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text)).map_err(|_| StoreError::corrupt("program"))?;
    let holds = holds.into_iter().map(|(id, usual, longest)| (ProgramId(id), (usual, longest))).collect();
    let drawn: Option<String> = column(&row, "claims")?;
    let mut claim_ids = numbers(drawn.as_deref().unwrap_or("[]"))?;
    if tx.dialect == Dialect::Sqlite {
        let last = claim_ids.pop().ok_or_else(corrupt)?;
        claim_ids.extend(last + 1..=last + claims);
    }
    Ok(Ground { holds, claim_ids: claim_ids.into_iter(), ..Ground::default() })
}

/// What a claim needs to know of the offer it draws on.
#[derive(Clone, Copy)]
struct OfferTerms {
    item: ItemId,
    remaining: Quantity,
    /// Available today.
    open: bool,
}

/// A new claim with its lines.
struct Granting {
    id: ClaimId,
    own: NewClaim,
    bundle: Bundle,
    held_until: Moment,
}

/// One transaction's claims, heard one after another.
struct Sitting {
    book: Book,
    ground: Ground,
    /// Keys of claims decided before, with their fingerprints and places in the group.
    heard: HashMap<KeyId, ([u8; 32], usize)>,
    claims: Vec<Granting>,
    /// When the first hold ends that this sitting has put on a need.
    held_until: HashMap<NeedId, Moment>,
}

impl Sitting {
    fn new(book: Book, ground: Ground) -> Self {
        Sitting { book, ground, heard: HashMap::new(), claims: Vec::new(), held_until: HashMap::new() }
    }

    /// `Err` only where the whole group must fail.
    fn hear(&mut self, place: usize, claim: &OpenClaim) -> Result<Finding, StoreError> {
        let key = claim.keyed.id();
        if let Some((fingerprint, twin)) = self.heard.get(&key) {
            let same = *fingerprint == claim.keyed.fingerprint;
            return Ok(if same { Finding::Twin(*twin) } else { Finding::Failed(StoreError::KeyReused) });
        }
        if let Some(known) = self.ground.known.get(&key) {
            return Ok(match known.outcome_for(&claim.keyed).and_then(|outcome| recall(&outcome)) {
                Ok(outcome) => Finding::Decided(Opened { outcome, made: None }),
                Err(error) => Finding::Failed(error),
            });
        }
        match self.terms(claim) {
            Err(error) => Ok(Finding::Failed(error)),
            Ok(terms) => {
                let decided = self.decide(claim, terms)?;
                if matches!(decided, Finding::Decided(_)) {
                    self.heard.insert(key, (claim.keyed.fingerprint, place));
                }
                Ok(decided)
            }
        }
    }

    /// Checks who carries the claim out and which offer it draws on.
    fn terms(&self, claim: &OpenClaim) -> Result<Option<OfferTerms>, StoreError> {
        let other = claim.executor.filter(|e| *e != claim.organization);
        if other.is_some_and(|e| !self.ground.partners.contains(&e)) {
            return Err(StoreError::bad(
                "executorId",
                "is not an official distribution partner; name an aggregator or leave it out",
            ));
        }
        let Some(id) = claim.offer else { return Ok(None) };
        let pledge = self.book.offer(id).filter(|o| o.organization == claim.organization);
        let pledge = pledge.ok_or(StoreError::NotFound("offer"))?;
        let today = self.book.now().day();
        let (from, until) = pledge.available;
        let open = from.is_none_or(|d| d <= today) && until.is_none_or(|d| today <= d);
        let remaining = pledge.quantity.saturating_sub(pledge.claimed);
        Ok(Some(OfferTerms { item: pledge.item, remaining, open }))
    }

    fn decide(&mut self, claim: &OpenClaim, offer: Option<OfferTerms>) -> Result<Finding, StoreError> {
        let asked: Vec<AskedLine> = claim
            .lines
            .iter()
            .map(|(need, requested)| {
                let kept_until = self.kept_until(claim.organization, *need);
                let need = self.book.need(*need);
                AskedLine {
                    requested: *requested,
                    need: need.map(|n| AskedNeed { counters: n.counters, status: n.status }),
                    barred: offer.is_some_and(|o| !o.open || need.is_some_and(|n| n.item != o.item)),
                    kept_until,
                }
            })
            .collect();
        match decide_claim(&asked, offer.map(|o| o.remaining), claim.on_conflict) {
            ClaimDecision::Refused(reasons) => {
                let refusals = self.refusals(claim, &reasons);
                Ok(Finding::Decided(Opened {
                    outcome: ClaimOutcome::Refused { refusals, replayed: false },
                    made: None,
                }))
            }
            ClaimDecision::Granted(grants) => {
                let short: Vec<(usize, RefusalReason)> = (0..grants.len())
                    .filter(|i| grants[*i] < asked[*i].requested)
                    .map(|i| (i, shortfall(&asked[i], grants[i])))
                    .collect();
                // Named as they stood before this claim took its share.
                let shortfalls = self.refusals(claim, &short);
                let granted: Vec<(NeedId, Quantity)> = claim
                    .lines
                    .iter()
                    .zip(&grants)
                    .filter(|(_, grant)| !grant.is_zero())
                    .map(|((need, _), grant)| (*need, *grant))
                    .collect();
                let programs = granted.iter().filter_map(|(need, _)| self.book.need(*need)).map(|n| n.program);
                let hold = match self.ground.hold(claim.hold_seconds, programs) {
                    Ok(hold) => hold,
                    Err(error) => return Ok(Finding::Failed(error)),
                };
                let made = self.grant(claim, &granted, hold)?;
                let outcome = ClaimOutcome::Accepted { claim: made.id, shortfalls, replayed: false };
                Ok(Finding::Decided(Opened { outcome, made: Some(made) }))
            }
        }
    }

    /// Until when the need is kept for its neighbours, where the organisation is none of them.
    fn kept_until(&self, organization: OrganizationId, need: NeedId) -> Option<Moment> {
        let need = self.book.need(need)?;
        let until = need.kept_until(self.book.now())?;
        let Neighbours { areas, homes } = &self.ground.neighbours;
        let of_here = areas.get(&need.area).is_some_and(|area| is_neighbour(homes.get(&organization), area));
        (!of_here).then_some(until)
    }

    fn grant(&mut self, claim: &OpenClaim, granted: &[(NeedId, Quantity)], hold: i64) -> Result<Claim, StoreError> {
        let now = self.book.now();
        let until = now.plus_seconds(hold);
        let id = ClaimId(self.ground.claim_ids.next().ok_or_else(|| StoreError::corrupt("sequence"))?);
        let own = NewClaim {
            author: claim.author,
            organization: claim.organization,
            executor: claim.executor.unwrap_or(claim.organization),
            offer: claim.offer,
            opening: false,
        };
        self.book.note(audit::claim_entry(id, &own, 0, 1, "claim.open"));
        let (mut lines, mut bundle) = (Vec::with_capacity(granted.len()), Bundle::default());
        for (place, (need, quantity)) in granted.iter().enumerate() {
            let line = ClaimLine {
                id: bundle::line_at(id, place)?,
                claim: id,
                need: *need,
                quantity: *quantity,
                scheduled: Quantity::ZERO,
                delivered: Quantity::ZERO,
                status: ClaimStatus::Held,
                expires_at: Some(until),
                version: 1,
            };
            let previous = self.book.add_line(line, claim.offer)?;
            bundle.push(*need, *quantity, previous.filter(|_| !planted!(LostLine)));
            let first = self.held_until.entry(*need).or_insert(until);
            *first = until.min(*first);
            lines.push(line);
        }
        self.book.end_chapter(claim.author, "claim.open");
        self.claims.push(Granting { id, own, bundle, held_until: until });
        Ok(Claim {
            id,
            organization: own.organization,
            executor: own.executor,
            offer: own.offer,
            opening: false,
            created_at: now,
            renewals: 0,
            own_version: 1,
            lines,
        })
    }

    /// The refused lines, with what is free of them at this point and the holds of this sitting.
    fn refusals(&self, claim: &OpenClaim, reasons: &[(usize, RefusalReason)]) -> Vec<LineRefusal> {
        let refusal = |(i, reason): &(usize, RefusalReason)| {
            let (need, requested) = claim.lines[*i];
            LineRefusal {
                need,
                requested,
                // Of a need that is not open nothing can be had, and how much it asks for is not told; of one
                // that is kept for others nothing yet.
                free: self
                    .book
                    .need(need)
                    .filter(|n| n.status == NeedStatus::Verified)
                    .filter(|_| self.kept_until(claim.organization, need).is_none())
                    .map_or(Quantity::ZERO, |n| n.counters.free()),
                reason: *reason,
                frees_at: self.held_until.get(&need).copied(),
            }
        };
        reasons.iter().map(refusal).collect()
    }

    /// What is kept for others becomes free when that ends, whatever is held of it.
    fn name_ends_of_first_rights(&self, asked: &[Arc<OpenClaim>], findings: &mut [Finding]) {
        for (claim, finding) in asked.iter().zip(findings) {
            for refusal in fresh_refusals(finding).filter(|r| r.reason == RefusalReason::Rule) {
                refusal.frees_at = self.kept_until(claim.organization, refusal.need).or(refusal.frees_at);
            }
        }
    }

    /// What it leaves for groups to come.
    fn terms_left(&self, offset: i64) -> Terms {
        let (ground, read) = (&self.ground, self.book.asked_for_now());
        Terms {
            read,
            clock: self.book.now().0 - offset,
            holds: ground.holds.clone(),
            holds_read: read,
            claim_ids: ground.claim_ids.as_slice().to_vec(),
        }
    }

    /// What all of it comes to. The needs are written first: on PostgreSQL that is what locks them, where
    /// nothing has done so before.
    fn seal(
        self,
        asked: &[Arc<OpenClaim>],
        findings: Vec<Finding>,
        writes: &mut Writes,
    ) -> Result<(Vec<Verdict>, Done), StoreError> {
        let now = self.book.now();
        let done = self.book.close_with(writes);
        insert_claims(writes, self.claims, now);
        let mut settled: Vec<(&Keyed, Json)> = Vec::new();
        for (claim, finding) in asked.iter().zip(&findings) {
            if let Finding::Decided(opened) = finding
                && self.heard.contains_key(&claim.keyed.id())
                && !(planted!(RefusalForgotten) && matches!(opened.outcome, ClaimOutcome::Refused { .. }))
            {
                settled.push((&claim.keyed, remember(&opened.outcome)));
            }
        }
        idempotency::enter_settled(writes, settled, now);
        let outcomes: Vec<Option<ClaimOutcome>> = findings
            .iter()
            .map(|finding| if let Finding::Decided(o) = finding { Some(o.outcome.clone()) } else { None })
            .collect();
        let verdict = |finding: Finding| match finding {
            Finding::Decided(opened) => Verdict::Answered(Ok(opened)),
            Finding::Failed(error) => Verdict::Answered(Err(error)),
            Finding::PutOff => Verdict::PutOff,
            Finding::Twin(first) => Verdict::Answered(match outcomes.get(first).cloned().flatten() {
                Some(outcome) => Ok(Opened { outcome: outcome.again(), made: None }),
                None => Err(StoreError::Fault("a claim's twin has no outcome".into())),
            }),
        };
        Ok((findings.into_iter().map(verdict).collect(), done))
    }
}

fn shortfall(asked: &AskedLine, grant: Quantity) -> RefusalReason {
    match asked.need {
        None => RefusalReason::NotFound,
        Some(need) if need.status != NeedStatus::Verified => RefusalReason::NotOpen,
        Some(_) if asked.barred || asked.kept_until.is_some() => RefusalReason::Rule,
        Some(need) if need.counters.free() > grant => RefusalReason::Rule,
        Some(_) => RefusalReason::NotEnoughFree,
    }
}

/// What a decision of this transaction refuses; what a key answers from before stays as it was.
fn fresh_refusals(finding: &mut Finding) -> impl Iterator<Item = &mut LineRefusal> {
    let refusals = match finding {
        Finding::Decided(Opened { outcome: ClaimOutcome::Refused { refusals: r, replayed: false }, .. })
        | Finding::Decided(Opened { outcome: ClaimOutcome::Accepted { shortfalls: r, replayed: false, .. }, .. }) => {
            r.as_mut_slice()
        }
        _ => &mut [],
    };
    refusals.iter_mut()
}

/// Adds to fresh refusals when the first of the holds ends that stood before this transaction.
async fn name_ends_of_holds(tx: &mut Tx, now: Moment, findings: &mut [Finding]) -> Result<(), StoreError> {
    let refusals: Vec<&mut LineRefusal> = findings.iter_mut().flat_map(fresh_refusals).collect();
    if refusals.is_empty() {
        return Ok(());
    }
    let needs: BTreeSet<i64> = refusals.iter().map(|r| r.need.0).collect();
    let sql = format!(
        "SELECT need_id, min(expires_at) AS at FROM ({}) AS l WHERE status = 'HELD' AND expires_at > $2 GROUP BY need_id",
        lines_of_needs(&format!("n.id {}", tx.dialect.numbers("$1")))
    );
    let found: Vec<FreesAt> = tx.all(&sql, [ids(needs), now.0.into()]).await?;
    let frees: HashMap<i64, Moment> = found.into_iter().map(|f| (f.need_id, Moment(f.at))).collect();
    for refusal in refusals {
        let before = frees.get(&refusal.need.0).copied();
        refusal.frees_at = [before, refusal.frees_at].into_iter().flatten().min();
    }
    Ok(())
}

fn insert_claims(writes: &mut Writes, claims: Vec<Granting>, now: Moment) {
    let mut batch = Batch::new([
        ("id", Kind::Int),
        ("organization_id", Kind::Int),
        ("executor_id", Kind::Int),
        ("offer_id", Kind::Int),
        ("created_at", Kind::Int),
        ("created_by", Kind::Int),
        ("bundle", Kind::Json),
        ("held_until", Kind::Int),
    ]);
    for Granting { id, own, bundle, held_until } in claims {
        batch.push([
            id.0.into(),
            own.organization.0.into(),
            own.executor.0.into(),
            own.offer.map(|o| o.0).into(),
            now.0.into(),
            own.author.map(|u| u.0).into(),
            bundle.into_text().into(),
            held_until.0.into(),
        ]);
    }
    let insert = writes.dialect().insert_many();
    let sql = |source: &str| {
        format!(
            "{insert} INTO claim (id, organization_id, executor_id, offer_id, opening, created_at, created_by, renewals,
             version, bundle, held_until) SELECT id, organization_id, executor_id, offer_id, 0, created_at, created_by, 0,
             1, bundle, held_until FROM {source}"
        )
    };
    writes.add(&batch, sql);
}

fn remember(outcome: &ClaimOutcome) -> Json {
    let list = |refusals: &[LineRefusal]| -> Json {
        refusals
            .iter()
            .map(|r| {
                json!({"need": r.need.0, "requested": r.requested.get(), "free": r.free.get(),
                       "reason": r.reason.word(), "freesAt": r.frees_at.map(|m| m.0)})
            })
            .collect()
    };
    match outcome {
        ClaimOutcome::Accepted { claim, shortfalls, .. } => json!({"claim": claim.0, "shortfalls": list(shortfalls)}),
        ClaimOutcome::Refused { refusals, .. } => json!({"refusals": list(refusals)}),
    }
}

fn recall(outcome: &Json) -> Result<ClaimOutcome, StoreError> {
    let list = |name: &str| -> Result<Vec<LineRefusal>, StoreError> {
        let rows = outcome.get(name).and_then(Json::as_array).ok_or_else(|| StoreError::corrupt("outcome"))?;
        rows.iter()
            .map(|r| {
                let number = |field: &str| r.get(field).and_then(Json::as_i64);
                let reason = r.get("reason").and_then(Json::as_str).and_then(RefusalReason::from_word);
                Ok(LineRefusal {
                    need: NeedId(number("need").ok_or_else(|| StoreError::corrupt("outcome"))?),
                    requested: quantity(number("requested").unwrap_or(-1))?,
                    free: quantity(number("free").unwrap_or(-1))?,
                    reason: reason.ok_or_else(|| StoreError::corrupt("outcome"))?,
                    frees_at: number("freesAt").map(Moment),
                })
            })
            .collect()
    };
    if outcome.get("refusals").is_some() {
        return Ok(ClaimOutcome::Refused { refusals: list("refusals")?, replayed: true });
    }
    let claim = ClaimId(idempotency::settled_id(outcome, "claim")?);
    Ok(ClaimOutcome::Accepted { claim, shortfalls: list("shortfalls")?, replayed: true })
}
