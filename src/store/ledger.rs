//! The ledger: the only code that changes how much of a need, a line or an offer is spoken for.
//!
//! A [`Book`] is opened over a set of needs: it locks the needs, takes the time, locks the lines
//! that matter and the offers behind them, and lets every hold on these needs that has run out
//! expire. Rules of the domain then move lines in memory, and [`Book::close`] writes what changed:
//! counters, lines, offers, the change log and the audit entries.
//!
//! A book has chapters: the expiry of what is due, then what each caller does, one after another,
//! although all of it commits together. A chapter has an author of its own and gives every record
//! it moves one new version with one audit entry, as a transaction of its own would.
//!
//! Invariants, for every transaction that commits:
//! - a need's counters are the sums over its lines; an offer's `claimed` is the sum over its;
//! - locks are taken in the order needs, claims whose lines are bundled, lines, offers, each ascending by id, by all
//!   paths;
//! - a record's version grows by exactly one a chapter, and the write is guarded by the version read.
//!
//! Absent on purpose: who may do what (see `service`) and wording for people (see `graphql`).

use super::Author;
use super::audit::{self, Entry};
use super::batch::{Batch, Kind, Writes};
use super::bundle::{self, unbundle};
use super::chain::lines_of_needs;
use super::dialect::Column::{self, Int};
use super::error::StoreError;
use super::rows::{self, LINE_COLUMNS, LineRow, NEED_COLUMNS, NeedRow, OFFER_COLUMNS, OfferRow, batch, ids};
use super::write::Tx;
use crate::domain::calendar::{Day, Moment};
use crate::domain::claim::{ClaimLine, Offer};
use crate::domain::ids::{AreaId, ClaimId, ClaimLineId, NeedId, OfferId};
use crate::domain::need::{Need, NeedStatus};
use crate::domain::quantity::Quantity;
use crate::domain::rules::{self, LineEvent, LineOutcome};
use crate::metrics::Stopwatch;
use crate::planted::planted;
use sea_orm::FromQueryResult;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Which lines a book is opened for, besides those whose hold has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    None,
    OfClaim(ClaimId),
    /// Opening balances that still count for something.
    Openings,
}

/// A record as it was read under its lock, and as it shall be.
#[derive(Debug, Clone, Copy)]
struct Moved<T> {
    before: T,
    /// As the last chapter left it.
    settled: T,
    after: T,
}

impl<T: Copy> Moved<T> {
    fn new(record: T) -> Self {
        Moved { before: record, settled: record, after: record }
    }
}

pub(super) struct Book {
    now: Moment,
    /// Started before the clock was read.
    asked_for_now: Stopwatch,
    author: Author,
    /// What the audit log calls this change, e.g. `claim.confirm`.
    action: &'static str,
    needs: BTreeMap<NeedId, Moved<Need>>,
    lines: BTreeMap<ClaimLineId, Moved<ClaimLine>>,
    /// Lines that this chapter has brought, for their entries: their rows are the caller's business.
    fresh: Vec<ClaimLine>,
    offers: BTreeMap<OfferId, Moved<Pledge>>,
    offer_of: HashMap<ClaimId, OfferId>,
    /// What this chapter has moved so far.
    touched: Touched,
    /// Lines that have run out while the book was opened.
    expired: BTreeSet<ClaimLineId>,
    /// Opened for an import: every line but those that ran out is an opening balance.
    openings: bool,
    entries: Vec<Entry>,
    packs: Vec<audit::Pack>,
}

#[derive(Debug, Default)]
struct Touched {
    needs: BTreeSet<NeedId>,
    lines: BTreeSet<ClaimLineId>,
    offers: BTreeSet<OfferId>,
}

/// How a book waits for needs that somebody else has locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until they are free, or the lock's time limit is over.
    ForAll,
    /// Not at all: the book has no such needs.
    ForNone,
}

/// The part of an offer that the ledger moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pledge {
    pub id: OfferId,
    pub organization: crate::domain::ids::OrganizationId,
    pub item: crate::domain::ids::ItemId,
    pub quantity: Quantity,
    pub claimed: Quantity,
    /// The first and the last day on which it may be drawn on.
    pub available: (Option<Day>, Option<Day>),
    pub version: i64,
}

impl From<&Offer> for Pledge {
    fn from(o: &Offer) -> Self {
        Pledge {
            id: o.id,
            organization: o.organization,
            item: o.item,
            quantity: o.quantity,
            claimed: o.claimed,
            available: (o.available_from, o.available_until),
            version: o.version,
        }
    }
}

#[derive(FromQueryResult)]
struct OfferOfClaim {
    id: i64,
    offer_id: i64,
}

impl Book {
    /// Locks `needs` (those that exist), the lines asked for and `offers`, and expires what is due.
    pub async fn open(
        tx: &mut Tx,
        author: Author,
        action: &'static str,
        needs: &BTreeSet<NeedId>,
        lines: Lines,
        offers: &[OfferId],
    ) -> Result<Book, StoreError> {
        Book::open_waiting(tx, author, action, needs, lines, offers, Wait::ForAll).await
    }

    /// As [`Book::open`], with a choice of how to wait for the needs.
    pub async fn open_waiting(
        tx: &mut Tx,
        author: Author,
        action: &'static str,
        needs: &BTreeSet<NeedId>,
        lines: Lines,
        offers: &[OfferId],
        wait: Wait,
    ) -> Result<Book, StoreError> {
        let dialect = tx.dialect;
        let need_ids = ids(needs.iter().map(|n| n.0));
        if needs.is_empty() {
            return Ok(Book::empty(tx.now().await?, author, action));
        }
        let locked: Vec<NeedRow> = tx
            .all(
                &format!(
                    "SELECT {NEED_COLUMNS} FROM need WHERE id {} ORDER BY {}{}",
                    dialect.numbers("$1"),
                    if planted!(UnsortedLocks) { "random()" } else { "id" },
                    match wait {
                        _ if planted!(CheckBeforeLock) => "",
                        Wait::ForAll => dialect.lock(),
                        Wait::ForNone => dialect.lock_what_is_free(),
                    }
                ),
                [need_ids.clone()],
            )
            .await?;
        let asked_for_now = Stopwatch::start();
        let (now, first_end) = tx.now_and(bundle::FIRST_END).await?;
        let now = now.plus_seconds(if planted!(EarlyExpiry) && action == "line.expire" { 2 } else { 0 });
        let (claim, openings) = match lines {
            Lines::None => (0, 0),
            Lines::OfClaim(claim) => (claim.0, 0),
            Lines::Openings => (0, 1),
        };
        let some_due = first_end.is_some_and(|end| end <= now.0);
        unbundle(tx, need_ids.clone(), now, some_due, (claim > 0).then_some(ClaimId(claim))).await?;
        let (numbers, lock) = (dialect.numbers("$1"), dialect.lock());
        let found: Vec<LineRow> = if lines == Lines::None {
            // By the index of holds that end: the needs may have had any number of lines, and few of all
            // holds are due at any moment. The sums keep the databases from other ways: by need, or through
            // all lines in the order that is asked for.
            let sql = format!(
                "SELECT {LINE_COLUMNS} FROM claim_line WHERE need_id + 0 {numbers}
                 AND status = 'HELD' AND expires_at <= $2 ORDER BY id + 0{lock}"
            );
            tx.all(&sql, [need_ids, now.0.into()]).await?
        } else {
            // What is due by that index, a claim's own by the claim's, and opening balances along the needs' lines.
            let of_needs = lines_of_needs(&format!("$4 = 1 AND n.id {numbers}"));
            let sql = format!(
                "SELECT {LINE_COLUMNS} FROM claim_line WHERE need_id + 0 {numbers} AND id IN (
                     SELECT id FROM claim_line WHERE need_id + 0 {numbers} AND status = 'HELD' AND expires_at <= $2
                     UNION SELECT id FROM claim_line WHERE claim_id = $3
                     UNION SELECT l.id FROM ({of_needs}) AS l JOIN claim c ON c.id = l.claim_id
                         WHERE c.opening = 1 AND l.status <> 'RELEASED')
                 ORDER BY id{lock}"
            );
            tx.all(&sql, [need_ids, now.0.into(), claim.into(), i64::from(openings).into()]).await?
        };
        let mut book = Book::empty(now, author, action);
        book.asked_for_now = asked_for_now;
        book.openings = lines == Lines::Openings;
        for row in locked {
            let need = row.into_need()?;
            book.needs.insert(need.id, Moved::new(need));
        }
        for row in found {
            let line = row.into_line()?;
            book.lines.insert(line.id, Moved::new(line));
        }
        book.lock_offers(tx, offers).await?;
        book.expire_due()?;
        Ok(book)
    }

    /// A book over needs as the map has them, without a word to the database: nothing is locked. What comes of
    /// it is guarded by the versions that it takes for granted. On PostgreSQL it may be written in one statement only
    /// (see `by_map`), on SQLite by the only writer, after it has begun.
    pub fn recalled(now: Moment, author: Author, action: &'static str, needs: impl Iterator<Item = Need>) -> Book {
        let mut book = Book::empty(now, author, action);
        book.needs = needs.map(|need| (need.id, Moved::new(need))).collect();
        book
    }

    fn empty(now: Moment, author: Author, action: &'static str) -> Book {
        Book {
            now,
            asked_for_now: Stopwatch::start(),
            author,
            action,
            needs: BTreeMap::new(),
            lines: BTreeMap::new(),
            fresh: Vec::new(),
            offers: BTreeMap::new(),
            offer_of: HashMap::new(),
            touched: Touched::default(),
            expired: BTreeSet::new(),
            openings: false,
            entries: Vec::new(),
            packs: Vec::new(),
        }
    }

    async fn lock_offers(&mut self, tx: &mut Tx, asked: &[OfferId]) -> Result<(), StoreError> {
        let claims: BTreeSet<i64> = self.lines.values().map(|l| l.before.claim.0).collect();
        let mut wanted: BTreeSet<i64> = asked.iter().map(|o| o.0).collect();
        if !claims.is_empty() {
            let found: Vec<OfferOfClaim> = tx
                .all(
                    &format!(
                        "SELECT id, offer_id FROM claim WHERE offer_id IS NOT NULL AND id {}",
                        tx.dialect.numbers("$1")
                    ),
                    [ids(claims)],
                )
                .await?;
            for row in found {
                self.offer_of.insert(ClaimId(row.id), OfferId(row.offer_id));
                wanted.insert(row.offer_id);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "SELECT {OFFER_COLUMNS} FROM offer WHERE id {} ORDER BY id{}",
            tx.dialect.numbers("$1"),
            tx.dialect.lock()
        );
        let found: Vec<OfferRow> = tx.all(&sql, [ids(wanted)]).await?;
        for row in found {
            let offer = row.into_offer()?;
            self.offers.insert(offer.id, Moved::new(Pledge::from(&offer)));
        }
        Ok(())
    }

    fn expire_due(&mut self) -> Result<(), StoreError> {
        let due: Vec<ClaimLineId> =
            self.lines.values().filter(|l| l.before.is_due(self.now)).map(|l| l.before.id).collect();
        for id in due {
            self.move_line(id, LineEvent::Expire)?;
            self.expired.insert(id);
        }
        self.end_chapter(None, "line.expire");
        if planted!(SilentExpiry) {
            self.packs.clear();
        }
        Ok(())
    }

    pub fn now(&self) -> Moment {
        self.now
    }

    /// How long ago the clock was read, or a little longer.
    pub fn asked_for_now(&self) -> Stopwatch {
        self.asked_for_now
    }

    /// The need as it stands with all that this transaction has done so far.
    pub fn need(&self, id: NeedId) -> Option<&Need> {
        self.needs.get(&id).map(|n| &n.after)
    }

    pub fn offer(&self, id: OfferId) -> Option<&Pledge> {
        self.offers.get(&id).map(|o| &o.after)
    }

    /// The lines of `claim`, as they stand.
    pub fn lines_of(&self, claim: ClaimId) -> Vec<ClaimLine> {
        self.lines.values().map(|l| l.after).filter(|l| l.claim == claim).collect()
    }

    /// Lets `event` happen to a line and moves its need's and its offer's counters with it.
    /// `Ok(false)`: the line stood there already.
    pub fn move_line(&mut self, id: ClaimLineId, event: LineEvent) -> Result<bool, StoreError> {
        let line = self.lines.get_mut(&id).ok_or(StoreError::NotFound("claim line"))?;
        let before = line.after;
        match rules::line_after(&before, event, self.now) {
            LineOutcome::Unchanged => Ok(false),
            LineOutcome::Illegal(why) => Err(StoreError::Illegal(format!("{id}: {why}"))),
            LineOutcome::Changed(mut after) => {
                // One new version for all that one chapter does to a record.
                after.version = next(line.settled.version)?;
                line.after = after;
                self.touched.lines.insert(id);
                self.follow(Some(&before), &after)?;
                Ok(true)
            }
        }
    }

    /// The need's version when the book was opened.
    pub fn version_read(&self, id: NeedId) -> i64 {
        self.needs.get(&id).map_or(0, |n| n.before.version)
    }

    /// The opening balance of a need, in a book opened for [`Lines::Openings`].
    pub fn opening_line(&self, need: NeedId) -> Option<ClaimLine> {
        let mut lines = self.lines.values().filter(|l| self.openings && !self.expired.contains(&l.before.id));
        lines.find(|l| l.after.need == need).map(|l| l.after)
    }

    /// Sets an opening balance to what an import says of it.
    pub fn restate_line(&mut self, id: ClaimLineId, quantity: Quantity, delivered: Quantity) -> Result<(), StoreError> {
        let line = self.lines.get_mut(&id).ok_or(StoreError::NotFound("claim line"))?;
        let before = line.after;
        let mut after = rules::opening_restated(&before, quantity, delivered);
        after.version = next(line.settled.version)?;
        line.after = after;
        self.touched.lines.insert(id);
        self.follow(Some(&before), &after)
    }

    /// Takes a new line into the sums and puts it at the end of its need's. Its row is inserted by the caller, and
    /// names the line that this answers: the one on the need before it.
    pub fn add_line(&mut self, line: ClaimLine, offer: Option<OfferId>) -> Result<Option<ClaimLineId>, StoreError> {
        if let Some(offer) = offer {
            self.offer_of.insert(line.claim, offer);
        }
        self.follow(None, &line)?;
        self.fresh.push(line);
        let need = self.needs.get_mut(&line.need).ok_or(StoreError::NotFound("need"))?;
        Ok(need.after.last_line.replace(line.id))
    }

    fn follow(&mut self, before: Option<&ClaimLine>, after: &ClaimLine) -> Result<(), StoreError> {
        let need = self.needs.get_mut(&after.need).ok_or(StoreError::NotFound("need"))?;
        need.after.counters = rules::counters_after(need.after.counters, before, after)
            .ok_or_else(|| StoreError::Fault(format!("{} would be allocated beyond its requirement", after.need)))?;
        need.after.version = next(need.settled.version)?;
        self.touched.needs.insert(after.need);
        if let Some(offer) = self.offer_of.get(&after.claim) {
            let offer = self.offers.get_mut(offer).ok_or_else(|| StoreError::corrupt("offer"))?;
            let share = before.map_or(Quantity::ZERO, rules::offer_share);
            let claimed = offer
                .after
                .claimed
                .checked_sub(share)
                .and_then(|c| c.checked_add(rules::offer_share(after)))
                .filter(|c| *c <= offer.after.quantity);
            offer.after.claimed =
                claimed.ok_or_else(|| StoreError::Fault("an offer would be promised twice".into()))?;
            offer.after.version = next(offer.settled.version)?;
            self.touched.offers.insert(offer.after.id);
        }
        Ok(())
    }

    /// Changes a need itself. The change must keep `required` at or above what is allocated,
    /// which the type of the counters sees to.
    pub fn change_need(&mut self, id: NeedId, change: impl FnOnce(&mut Need)) -> Result<(), StoreError> {
        let need = self.needs.get_mut(&id).ok_or(StoreError::NotFound("need"))?;
        change(&mut need.after);
        need.after.version = next(need.settled.version)?;
        self.touched.needs.insert(id);
        Ok(())
    }

    /// The areas whose overlap findings rest on something that changes here: what is required of which
    /// item, where and when, and what was delivered.
    pub fn areas_to_judge(&self) -> BTreeSet<AreaId> {
        let basis = |n: &Need| {
            let reported = n.status == NeedStatus::Reported;
            (n.area, n.program, n.item, n.period, n.counters.required(), n.counters.delivered(), reported)
        };
        changed(&self.needs)
            .filter(|n| n.before.version == 0 || basis(&n.before) != basis(&n.after))
            .flat_map(|n| [n.before.area, n.after.area])
            .collect()
    }

    /// Adds an entry for a record that the caller writes by itself, such as the claim's own row.
    pub fn note(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Writes where, for what and when the changed needs are: only an import moves those.
    pub async fn write_terms(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let needs: Vec<Need> = changed(&self.needs).map(|n| n.after).collect();
        let columns = [
            ("id", Int),
            ("area_id", Int),
            ("program_id", Int),
            ("item_id", Int),
            ("period_start", Column::Text),
            ("period_end", Column::Text),
        ];
        let sql = format!(
            "UPDATE need SET area_id = r.area_id, program_id = r.program_id, item_id = r.item_id,
             period_start = r.period_start, period_end = r.period_end FROM {} WHERE need.id = r.id",
            tx.dialect.rows("$1", &columns)
        );
        let rows = batch(&needs, |n| {
            json!({"id": n.id.0, "area_id": n.area.0, "program_id": n.program.0, "item_id": n.item.0,
                   "period_start": n.period.start.to_string(), "period_end": n.period.end.to_string()})
        });
        expect_rows(tx.run(&sql, [rows]).await?, needs.len())
    }

    /// Writes until when the changed needs are kept for their neighbours: only verifying sets that.
    pub async fn write_first_rights(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let set: Vec<Need> = changed(&self.needs)
            .filter(|n| n.before.first_right_until != n.after.first_right_until)
            .map(|n| n.after)
            .collect();
        if set.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE need SET first_right_until = r.first_right_until FROM {} WHERE need.id = r.id",
            tx.dialect.rows("$1", &[("id", Int), ("first_right_until", Int)])
        );
        let until = |n: &Need| n.first_right_until.map(|m| m.0);
        let rows = batch(&set, |n| json!({"id": n.id.0, "first_right_until": until(n)}));
        expect_rows(tx.run(&sql, [rows]).await?, set.len())
    }

    /// Ends what one author did: each record that moved since the last chapter has one new version
    /// now, and one entry. Entries are kept under the claim that moved the record, where there is one.
    pub fn end_chapter(&mut self, author: Author, action: &'static str) {
        let touched = std::mem::take(&mut self.touched);
        let mut entries = std::mem::take(&mut self.entries);
        let mut claim_of_need: HashMap<NeedId, ClaimId> = HashMap::new();
        let mut claim_of_offer: HashMap<OfferId, ClaimId> = HashMap::new();
        let moved = touched.lines.iter().filter_map(|id| settle(self.lines.get_mut(id)));
        for line in std::mem::take(&mut self.fresh).into_iter().chain(moved) {
            claim_of_need.entry(line.need).or_insert(line.claim);
            if let Some(offer) = self.offer_of.get(&line.claim) {
                claim_of_offer.entry(*offer).or_insert(line.claim);
            }
            entries.push(audit::line_entry(&line, action));
        }
        for need in touched.needs.iter().filter_map(|id| settle(self.needs.get_mut(id))) {
            entries.push(audit::need_entry(&need, action).under(claim_of_need.get(&need.id)));
        }
        for offer in touched.offers.iter().filter_map(|id| settle(self.offers.get_mut(id))) {
            entries.push(audit::offer_entry(&offer, action).under(claim_of_offer.get(&offer.id)));
        }
        self.packs.append(&mut audit::pack(self.now, author, &entries));
    }

    /// Ends the last chapter and writes all that changed.
    pub async fn close(self, tx: &mut Tx) -> Result<(), StoreError> {
        let mut writes = Writes::new(tx.dialect);
        let done = self.close_with(&mut writes);
        tx.write(writes).await?;
        tx.did(done);
        Ok(())
    }

    /// The same, for a caller who writes more besides: `writes` is to be run.
    pub fn close_with(mut self, writes: &mut Writes) -> Done {
        self.end_chapter(self.author, self.action);
        let needs: Vec<Need> = changed(&self.needs).map(|n| n.after).collect();
        write_needs(writes, changed(&self.needs));
        let kept =
            |line: &&Moved<ClaimLine>| !(planted!(ExpiryForgetsTheLine) && self.expired.contains(&line.before.id));
        write_lines(writes, changed(&self.lines).filter(kept));
        write_offers(writes, changed(&self.offers));
        log_changes(writes, if planted!(UntoldFollowers) { &[] } else { &needs }, self.now, self.action);
        audit::write(writes, &self.packs);
        Done { needs, expired: self.expired.len() }
    }
}

/// What a book came to.
pub(super) struct Done {
    /// The changed needs as they stand now.
    pub needs: Vec<Need>,
    /// Lines whose hold had run out.
    pub expired: usize,
}

/// Versions reach further than any honest history; none ever wraps.
fn next(version: i64) -> Result<i64, StoreError> {
    if planted!(VersionsWrap) {
        return Ok(version.wrapping_add(1));
    }
    version.checked_add(1).ok_or_else(|| StoreError::Fault("a record has had its last version".into()))
}

/// The record as it stands now, where it has moved since the last chapter.
fn settle<T: PartialEq + Copy>(record: Option<&mut Moved<T>>) -> Option<T> {
    let record = record.filter(|r| r.settled != r.after)?;
    record.settled = record.after;
    Some(record.after)
}

fn changed<K, T: PartialEq + Copy>(records: &BTreeMap<K, Moved<T>>) -> impl Iterator<Item = &Moved<T>> + Clone {
    records.values().filter(|r| r.before != r.after)
}

/// Needs in one row of the change log at most: an import of a city must not become one value of megabytes.
const LOGGED_AT_ONCE: usize = 5_000;

/// What an import of needs is called, in the log and among the changes.
pub(super) const IMPORT: &str = "needs.import";

/// Tells followers which needs have a new version.
pub(super) fn log_changes(writes: &mut Writes, needs: &[Need], now: Moment, action: &str) {
    let mut batch = Batch::new([("needs", Kind::Plain), ("at", Kind::Int), ("imported", Kind::Int)]);
    for chunk in needs.chunks(LOGGED_AT_ONCE) {
        let ids: Vec<i64> = chunk.iter().map(|n| n.id.0).collect();
        batch.push([json!(ids).to_string().into(), now.0.into(), i64::from(action == IMPORT).into()]);
    }
    let insert = writes.dialect().insert_many();
    writes.add_log(&batch, |source| {
        format!("{insert} INTO change_log (needs, at, imported) SELECT needs, at, imported FROM {source}")
    });
}

fn write_needs<'a>(writes: &mut Writes, needs: impl Iterator<Item = &'a Moved<Need>> + Clone) {
    if needs.clone().all(Moved::is_only_reserved) {
        return write_reserved(writes, needs);
    }
    let mut batch = Batch::new([
        ("id", Kind::Int),
        ("required", Kind::Int),
        ("reserved", Kind::Int),
        ("delivered", Kind::Int),
        ("severity", Kind::Int),
        ("status", Kind::Plain),
        ("last_line", Kind::Int),
        ("version", Kind::Int),
        ("was", Kind::Int),
    ]);
    for Moved { before, after, .. } in needs {
        let new = before.version == 0;
        if new && after.counters.allocated().is_zero() {
            continue;
        }
        batch.push([
            after.id.0.into(),
            after.counters.required().get().into(),
            after.counters.reserved().get().into(),
            after.counters.delivered().get().into(),
            i64::from(after.severity.get()).into(),
            after.status.word().into(),
            after.last_line.map(|line| line.0).into(),
            after.version.into(),
            // A new need's row was inserted at version 1 with nothing allocated.
            before.version.max(1).into(),
        ]);
    }
    let update = writes.dialect().update_many();
    let sql = |source: &str| {
        format!(
            "{update} need SET required = r.required, reserved = r.reserved, delivered = r.delivered,
             severity = r.severity, status = r.status, last_line = r.last_line, version = r.version
             FROM {source} WHERE need.id = r.id AND {}",
            if planted!(CheckBeforeLock) { "r.was > 0" } else { "need.version = r.was" }
        )
    };
    writes.add(&batch, sql);
}

impl Moved<Need> {
    /// True where nothing has changed but how much is reserved, as by every claim.
    fn is_only_reserved(&self) -> bool {
        let Moved { before, after, .. } = self;
        let (was, is) = (before.counters, after.counters);
        before.version > 0
            && (was.required(), was.delivered()) == (is.required(), is.delivered())
            && *after == Need { counters: is, last_line: after.last_line, version: after.version, ..*before }
    }
}

/// As [`write_needs`], where a claim needs a fraction of it.
fn write_reserved<'a>(writes: &mut Writes, needs: impl Iterator<Item = &'a Moved<Need>>) {
    let mut batch = Batch::new([
        ("id", Kind::Int),
        ("reserved", Kind::Int),
        ("had", Kind::Int),
        ("last_line", Kind::Int),
        ("version", Kind::Int),
        ("was", Kind::Int),
    ]);
    for Moved { before, after, .. } in needs {
        batch.push([
            after.id.0.into(),
            after.counters.reserved().get().into(),
            before.counters.reserved().get().into(),
            after.last_line.map(|line| line.0).into(),
            after.version.into(),
            before.version.into(),
        ]);
    }
    let update = writes.dialect().update_many();
    let sql = |source: &str| {
        format!(
            "{update} need SET reserved = r.reserved, last_line = r.last_line, version = r.version FROM {source}
             WHERE need.id = r.id AND {}",
            if planted!(CheckBeforeLock) { "r.was > 0" } else { "need.version = r.was AND need.reserved = r.had" }
        )
    };
    writes.add(&batch, sql);
}

fn write_lines<'a>(writes: &mut Writes, lines: impl Iterator<Item = &'a Moved<ClaimLine>>) {
    let mut batch = Batch::new([
        ("id", Kind::Int),
        ("quantity", Kind::Int),
        ("scheduled", Kind::Int),
        ("delivered", Kind::Int),
        ("status", Kind::Plain),
        ("expires_at", Kind::Int),
        ("version", Kind::Int),
        ("was", Kind::Int),
    ]);
    for Moved { before, after, .. } in lines {
        batch.push([
            after.id.0.into(),
            after.quantity.get().into(),
            after.scheduled.get().into(),
            after.delivered.get().into(),
            after.status.word().into(),
            after.expires_at.map(|m| m.0).into(),
            after.version.into(),
            before.version.into(),
        ]);
    }
    let update = writes.dialect().update_many();
    let sql = |source: &str| {
        format!(
            "{update} claim_line SET quantity = r.quantity, scheduled = r.scheduled, delivered = r.delivered,
             status = r.status, expires_at = r.expires_at, version = r.version
             FROM {source} WHERE claim_line.id = r.id AND claim_line.version = r.was"
        )
    };
    writes.add(&batch, sql);
}

fn write_offers<'a>(writes: &mut Writes, offers: impl Iterator<Item = &'a Moved<Pledge>>) {
    let mut batch = Batch::new([("id", Kind::Int), ("claimed", Kind::Int), ("version", Kind::Int), ("was", Kind::Int)]);
    for Moved { before, after, .. } in offers {
        batch.push([after.id.0.into(), after.claimed.get().into(), after.version.into(), before.version.into()]);
    }
    let sql = |source: &str| {
        format!(
            "UPDATE offer SET claimed = r.claimed, version = r.version
             FROM {source} WHERE offer.id = r.id AND offer.version = r.was"
        )
    };
    writes.add(&batch, sql);
}

/// A guarded write that touches fewer rows than it names has met a row that changed under its
/// lock: our own fault, and the transaction must not commit.
pub(super) fn expect_rows(touched: u64, expected: usize) -> Result<(), StoreError> {
    if touched == expected as u64 {
        Ok(())
    } else {
        Err(StoreError::Fault(format!("a write touched {touched} rows instead of {expected}")))
    }
}

/// The needs under the lines of a claim; they never change after the claim is made.
pub(super) async fn needs_of_claim(tx: &mut Tx, claim: ClaimId) -> Result<BTreeSet<NeedId>, StoreError> {
    let found: Vec<rows::IdRow> = tx.all(&bundle::lines("need_id AS id", "claim_id = $1"), [claim.0.into()]).await?;
    Ok(found.into_iter().map(|r| NeedId(r.id)).collect())
}
