//! The ledger: the only code that changes how much of a need, a line or an offer is spoken for.
//!
//! A [`Book`] is opened over a set of needs: it locks the needs, takes the time, locks the lines
//! that matter and the offers behind them, and lets every hold on these needs that has run out
//! expire. Rules of the domain then move lines in memory, and [`Book::close`] writes what changed:
//! counters, lines, offers, the change log and one audit entry for each record that has a new
//! version.
//!
//! Invariants, for every transaction that commits:
//! - a need's counters are the sums over its lines; an offer's `claimed` is the sum over its;
//! - locks are taken in the order needs, lines, offers, each ascending by id, by all paths;
//! - a record's version grows by exactly one, and the write is guarded by the version read.
//!
//! Absent on purpose: who may do what (see `service`) and wording for people (see `graphql`).

use super::Author;
use super::audit::{self, Entry};
use super::dialect::Column::{Int, Text};
use super::dialect::Dialect;
use super::error::StoreError;
use super::rows::{self, LINE_COLUMNS, LineRow, NEED_COLUMNS, NeedRow, OFFER_COLUMNS, OfferRow, batch, ids};
use super::write::Tx;
use crate::domain::calendar::Moment;
use crate::domain::claim::{ClaimLine, Offer};
use crate::domain::ids::{AreaId, ClaimId, ClaimLineId, NeedId, OfferId};
use crate::domain::need::{Need, NeedStatus};
use crate::domain::quantity::Quantity;
use crate::domain::rules::{self, LineEvent, LineOutcome};
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
    after: T,
}

impl<T: Copy> Moved<T> {
    fn new(record: T) -> Self {
        Moved { before: record, after: record }
    }
}

pub(super) struct Book {
    now: Moment,
    author: Author,
    /// What the audit log calls this change, e.g. `claim.confirm`.
    action: &'static str,
    needs: BTreeMap<NeedId, Moved<Need>>,
    lines: BTreeMap<ClaimLineId, Moved<ClaimLine>>,
    /// Lines that this transaction has inserted; their row stands, their sums do not yet.
    fresh: Vec<ClaimLine>,
    offers: BTreeMap<OfferId, Moved<Pledge>>,
    offer_of: HashMap<ClaimId, OfferId>,
    /// Lines that have run out while the book was opened: their entry names the expiry.
    expired: BTreeSet<ClaimLineId>,
    /// Opened for an import: every line but those that ran out is an opening balance.
    openings: bool,
    entries: Vec<Entry>,
}

/// The part of an offer that the ledger moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pledge {
    pub id: OfferId,
    pub organization: crate::domain::ids::OrganizationId,
    pub item: crate::domain::ids::ItemId,
    pub quantity: Quantity,
    pub claimed: Quantity,
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
        let dialect = tx.dialect;
        let need_ids = ids(needs.iter().map(|n| n.0));
        if needs.is_empty() {
            return Ok(Book::empty(tx.now().await?, author, action));
        }
        let locked: Vec<NeedRow> = tx
            .all(
                &format!(
                    "SELECT {NEED_COLUMNS} FROM need WHERE id {} ORDER BY id{}",
                    dialect.numbers("$1"),
                    dialect.lock()
                ),
                [need_ids.clone()],
            )
            .await?;
        let now = tx.now().await?;
        let (claim, openings) = match lines {
            Lines::None => (0, 0),
            Lines::OfClaim(claim) => (claim.0, 0),
            Lines::Openings => (0, 1),
        };
        let found: Vec<LineRow> = tx
            .all(
                &format!(
                    "SELECT {LINE_COLUMNS} FROM claim_line WHERE need_id {}
                     AND ((status = 'HELD' AND expires_at <= $2) OR claim_id = $3
                          OR ($4 = 1 AND status <> 'RELEASED'
                              AND claim_id IN (SELECT c.id FROM claim c WHERE c.opening = 1)))
                     ORDER BY id{}",
                    dialect.numbers("$1"),
                    dialect.lock()
                ),
                [need_ids, now.0.into(), claim.into(), i64::from(openings).into()],
            )
            .await?;
        let mut book = Book::empty(now, author, action);
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

    fn empty(now: Moment, author: Author, action: &'static str) -> Book {
        Book {
            now,
            author,
            action,
            needs: BTreeMap::new(),
            lines: BTreeMap::new(),
            fresh: Vec::new(),
            offers: BTreeMap::new(),
            offer_of: HashMap::new(),
            expired: BTreeSet::new(),
            openings: false,
            entries: Vec::new(),
        }
    }

    /// A book over needs that this transaction has just inserted, with nothing allocated. They are
    /// nobody else's yet, and this book writes their first version.
    pub async fn of_new_needs(
        tx: &mut Tx,
        author: Author,
        action: &'static str,
        needs: Vec<Need>,
    ) -> Result<Book, StoreError> {
        let mut book = Book::empty(tx.now().await?, author, action);
        for need in needs {
            book.needs.insert(need.id, Moved { before: Need { version: 0, ..need }, after: need });
        }
        Ok(book)
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
        Ok(())
    }

    pub fn now(&self) -> Moment {
        self.now
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
                // One new version for all that one transaction does to a record.
                after.version = line.before.version + 1;
                line.after = after;
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
        after.version = line.before.version + 1;
        line.after = after;
        self.follow(Some(&before), &after)
    }

    /// Takes a line that this transaction has just inserted into the sums.
    pub fn add_line(&mut self, line: ClaimLine, offer: Option<OfferId>) -> Result<(), StoreError> {
        if let Some(offer) = offer {
            self.offer_of.insert(line.claim, offer);
        }
        self.follow(None, &line)?;
        self.fresh.push(line);
        Ok(())
    }

    fn follow(&mut self, before: Option<&ClaimLine>, after: &ClaimLine) -> Result<(), StoreError> {
        let need = self.needs.get_mut(&after.need).ok_or(StoreError::NotFound("need"))?;
        need.after.counters = rules::counters_after(need.after.counters, before, after)
            .ok_or_else(|| StoreError::Fault(format!("{} would be allocated beyond its requirement", after.need)))?;
        need.after.version = need.before.version + 1;
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
            offer.after.version = offer.before.version + 1;
        }
        Ok(())
    }

    /// Changes a need itself. The change must keep `required` at or above what is allocated,
    /// which the type of the counters sees to.
    pub fn change_need(&mut self, id: NeedId, change: impl FnOnce(&mut Need)) -> Result<(), StoreError> {
        let need = self.needs.get_mut(&id).ok_or(StoreError::NotFound("need"))?;
        change(&mut need.after);
        need.after.version = need.before.version + 1;
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
            ("period_start", Text),
            ("period_end", Text),
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

    /// Writes all that changed. Nothing has touched a row before, but for inserts.
    pub async fn close(mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let needs: Vec<Need> = changed(&self.needs).map(|n| n.after).collect();
        let lines: Vec<ClaimLine> = changed(&self.lines).map(|l| l.after).collect();
        let offers: Vec<Pledge> = changed(&self.offers).map(|o| o.after).collect();
        let (new, old): (Vec<&Need>, Vec<&Need>) = needs.iter().partition(|n| self.version_read(n.id) == 0);
        write_needs(tx, &old, 1).await?;
        // A new need's row was inserted at version 1 with nothing allocated, and stays at version 1.
        let opened: Vec<&Need> = new.into_iter().filter(|n| !n.counters.allocated().is_zero()).collect();
        write_needs(tx, &opened, 0).await?;
        write_lines(tx, &lines).await?;
        write_offers(tx, &offers).await?;
        log_changes(tx, &needs, self.now).await?;

        let mut entries = std::mem::take(&mut self.entries);
        for line in self.fresh.iter().chain(&lines) {
            let action = if self.expired.contains(&line.id) { "line.expire" } else { self.action };
            entries.push(audit::line_entry(line, action));
        }
        entries.extend(needs.iter().map(|n| audit::need_entry(n, self.action)));
        entries.extend(offers.iter().map(|o| audit::offer_entry(o, self.action)));
        audit::append(tx, self.now, self.author, entries).await?;
        tx.changed.extend(needs);
        Ok(())
    }
}

fn changed<K, T: PartialEq + Copy>(records: &BTreeMap<K, Moved<T>>) -> impl Iterator<Item = &Moved<T>> {
    records.values().filter(|r| r.before != r.after)
}

/// Needs in one row of the change log at most: an import of a city must not become one value of megabytes.
const LOGGED_AT_ONCE: usize = 5_000;

/// Tells followers which needs have a new version.
pub(super) async fn log_changes(tx: &mut Tx, needs: &[Need], now: Moment) -> Result<(), StoreError> {
    let number = match tx.dialect {
        Dialect::Postgres => "xid::text::bigint",
        Dialect::Sqlite => "id",
    };
    let sql = format!("INSERT INTO change_log (needs, at) VALUES ($1, $2) RETURNING {number} AS id");
    for chunk in needs.chunks(LOGGED_AT_ONCE) {
        tx.position = Some(tx.insert(&sql, [ids(chunk.iter().map(|n| n.id.0)), now.0.into()]).await?);
    }
    Ok(())
}

/// `step`: by how much the version grows.
async fn write_needs(tx: &mut Tx, needs: &[&Need], step: i64) -> Result<(), StoreError> {
    if needs.is_empty() {
        return Ok(());
    }
    let columns = [
        ("id", Int),
        ("required", Int),
        ("reserved", Int),
        ("delivered", Int),
        ("severity", Int),
        ("status", Text),
        ("version", Int),
    ];
    let sql = format!(
        "UPDATE need SET required = r.required, reserved = r.reserved, delivered = r.delivered,
         severity = r.severity, status = r.status, version = r.version
         FROM {} WHERE need.id = r.id AND need.version = r.version - CAST($2 AS BIGINT)",
        tx.dialect.rows("$1", &columns)
    );
    let rows = batch(needs, |n| {
        json!({"id": n.id.0, "required": n.counters.required().get(), "reserved": n.counters.reserved().get(),
               "delivered": n.counters.delivered().get(), "severity": n.severity.get(), "status": n.status.word(),
               "version": n.version})
    });
    expect_rows(tx.run(&sql, [rows, step.into()]).await?, needs.len())
}

async fn write_lines(tx: &mut Tx, lines: &[ClaimLine]) -> Result<(), StoreError> {
    if lines.is_empty() {
        return Ok(());
    }
    let columns = [
        ("id", Int),
        ("quantity", Int),
        ("scheduled", Int),
        ("delivered", Int),
        ("status", Text),
        ("expires_at", Int),
        ("version", Int),
    ];
    let sql = format!(
        "UPDATE claim_line SET quantity = r.quantity, scheduled = r.scheduled, delivered = r.delivered,
         status = r.status, expires_at = r.expires_at, version = r.version
         FROM {} WHERE claim_line.id = r.id AND claim_line.version = r.version - 1",
        tx.dialect.rows("$1", &columns)
    );
    let rows = batch(lines, |l| {
        json!({"id": l.id.0, "quantity": l.quantity.get(), "scheduled": l.scheduled.get(),
               "delivered": l.delivered.get(), "status": l.status.word(),
               "expires_at": l.expires_at.map(|m| m.0), "version": l.version})
    });
    expect_rows(tx.run(&sql, [rows]).await?, lines.len())
}

async fn write_offers(tx: &mut Tx, offers: &[Pledge]) -> Result<(), StoreError> {
    if offers.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE offer SET claimed = r.claimed, version = r.version
         FROM {} WHERE offer.id = r.id AND offer.version = r.version - 1",
        tx.dialect.rows("$1", &[("id", Int), ("claimed", Int), ("version", Int)])
    );
    let rows = batch(offers, |o| json!({"id": o.id.0, "claimed": o.claimed.get(), "version": o.version}));
    expect_rows(tx.run(&sql, [rows]).await?, offers.len())
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
    let found: Vec<rows::IdRow> =
        tx.all("SELECT need_id AS id FROM claim_line WHERE claim_id = $1", [claim.0.into()]).await?;
    Ok(found.into_iter().map(|r| NeedId(r.id)).collect())
}
