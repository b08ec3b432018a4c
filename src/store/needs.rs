//! Needs: reported, revised, verified and closed one by one, or imported by the thousand.

use super::batch::Writes;
use super::chain::{lines_of_needs, needs_off_their_chain};
use super::claims::{NewClaim, NewLine, insert_lines};
use super::dialect::Column::Text;
use super::error::StoreError;
use super::idempotency::{self, Keyed, Standing};
use super::intake::{self, Balance, NewNeed};
use super::ledger::{self, Book, Lines};
use super::rows::{self, IdRow, LINE_COLUMNS, LineRow, NEED_COLUMNS, NeedRow, batch, ids};
use super::write::{Command, Tx, column};
use super::{Author, Store, audit, overlaps, people};
use crate::domain::area::AreaCode;
use crate::domain::calendar::{Moment, Period};
use crate::domain::claim::ClaimLine;
use crate::domain::ids::{AreaId, ClaimId, ClaimLineId, ItemId, NeedId, ProgramId};
use crate::domain::need::{Counters, Need, NeedStatus, Severity};
use crate::domain::quantity::Quantity;
use crate::domain::rules;
use sea_orm::FromQueryResult;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Enters a need as REPORTED.
#[derive(Debug, Clone)]
pub struct ReportNeed {
    pub author: Author,
    pub keyed: Keyed,
    pub area: AreaId,
    pub program: ProgramId,
    pub item: ItemId,
    pub period: Period,
    pub required: Quantity,
    pub severity: Severity,
}

impl Command for ReportNeed {
    type Answer = NeedId;

    async fn run(&self, tx: &mut Tx) -> Result<NeedId, StoreError> {
        let now = tx.now().await?;
        if let Standing::Settled(outcome) = idempotency::enter(tx, &self.keyed, now).await? {
            return Ok(NeedId(idempotency::settled_id(&outcome, "need")?));
        }
        let id = tx
            .insert(
                "INSERT INTO need (area_id, program_id, item_id, period_start, period_end, required, reserved,
                 delivered, severity, status, reported_by, version)
                 VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, 'REPORTED', $8, 1) RETURNING id",
                [
                    self.area.0.into(),
                    self.program.0.into(),
                    self.item.0.into(),
                    self.period.start.to_string().into(),
                    self.period.end.to_string().into(),
                    self.required.get().into(),
                    i64::from(self.severity.get()).into(),
                    self.author.map(|u| u.0).into(),
                ],
            )
            .await?;
        let counters = Counters::new(self.required, Quantity::ZERO, Quantity::ZERO);
        let need = Need {
            id: NeedId(id),
            area: self.area,
            program: self.program,
            item: self.item,
            period: self.period,
            counters: counters.ok_or_else(|| StoreError::corrupt("counter"))?,
            severity: self.severity,
            status: NeedStatus::Reported,
            first_right_until: None,
            last_line: None,
            version: 1,
        };
        let mut writes = Writes::new(tx.dialect);
        ledger::log_changes(&mut writes, &[need], now, "need.report");
        tx.write(writes).await?;
        audit::append(tx, now, self.author, vec![audit::need_entry(&need, "need.report")]).await?;
        tx.changed.push(need);
        idempotency::settle(tx, &self.keyed, &json!({"need": id})).await?;
        Ok(need.id)
    }
}

/// Whose needs a caller may change: those of an area and below it; `None`: all.
#[derive(Debug, Clone)]
pub struct NeedAccess {
    pub area: Option<AreaCode>,
}

impl NeedAccess {
    async fn check(&self, tx: &mut Tx, needs: &BTreeSet<NeedId>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT a.code FROM need n JOIN area a ON a.id = n.area_id WHERE n.id {}",
            tx.dialect.numbers("$1")
        );
        #[derive(FromQueryResult)]
        struct Code {
            code: String,
        }
        let codes: Vec<Code> = tx.all(&sql, [ids(needs.iter().map(|n| n.0))]).await?;
        let foreign = |c: &Code| {
            let code: Result<AreaCode, _> = c.code.parse();
            self.area.as_ref().is_some_and(|own| !code.is_ok_and(|code| own.covers(&code)))
        };
        if codes.len() != needs.len() || codes.iter().any(foreign) {
            return Err(StoreError::NotFound("need"));
        }
        Ok(())
    }
}

/// Changes what a need requires, or how badly; never below what is allocated.
#[derive(Debug, Clone)]
pub struct ReviseNeed {
    pub author: Author,
    pub access: NeedAccess,
    pub id: NeedId,
    pub expected_version: i64,
    pub required: Option<Quantity>,
    pub severity: Option<Severity>,
}

async fn open_one(
    tx: &mut Tx,
    author: Author,
    action: &'static str,
    access: &NeedAccess,
    id: NeedId,
    expected_version: i64,
) -> Result<(Book, Need), StoreError> {
    let one = BTreeSet::from([id]);
    access.check(tx, &one).await?;
    let book = Book::open(tx, author, action, &one, Lines::None, &[]).await?;
    let need = *book.need(id).ok_or(StoreError::NotFound("need"))?;
    // The version that the caller read: holds that have just run out are not the caller's doing.
    let read = book.version_read(id);
    if read != expected_version {
        return Err(StoreError::VersionConflict);
    }
    Ok((book, need))
}

/// Closes a book in which needs themselves have changed: overlap findings rest on what is required, too.
async fn close_and_judge(tx: &mut Tx, book: Book, author: Author) -> Result<(), StoreError> {
    let (now, areas) = (book.now(), book.areas_to_judge());
    book.close(tx).await?;
    overlaps::recompute(tx, now, author, &areas).await
}

impl Command for ReviseNeed {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let (mut book, need) =
            open_one(tx, self.author, "need.revise", &self.access, self.id, self.expected_version).await?;
        if need.status == NeedStatus::Closed {
            return Err(StoreError::Illegal(format!("{}: it is closed", self.id)));
        }
        let required = self.required.unwrap_or(need.counters.required());
        let counters = Counters::new(required, need.counters.reserved(), need.counters.delivered());
        let counters = counters.ok_or_else(|| {
            StoreError::Illegal(format!(
                "{}: {} are allocated already, so required cannot become {required}",
                self.id,
                need.counters.allocated()
            ))
        })?;
        let severity = self.severity.unwrap_or(need.severity);
        if counters != need.counters || severity != need.severity {
            book.change_need(self.id, |n| {
                n.counters = counters;
                n.severity = severity;
            })?;
        }
        close_and_judge(tx, book, self.author).await
    }
}

/// Until when needs that are verified now are kept for their neighbours, by the programs that do so.
struct FirstRights(HashMap<ProgramId, Moment>);

impl FirstRights {
    async fn read(tx: &mut Tx, now: Moment) -> Result<Self, StoreError> {
        #[derive(FromQueryResult)]
        struct Right {
            id: i64,
            first_right_hours: i64,
        }
        let sql = "SELECT id, first_right_hours FROM program WHERE first_right_hours > 0";
        let rights: Vec<Right> = tx.all(sql, []).await?;
        let until = |r: Right| Some((ProgramId(r.id), rules::first_right_until(now, r.first_right_hours)?));
        Ok(FirstRights(rights.into_iter().filter_map(until).collect()))
    }

    fn until(&self, program: ProgramId) -> Option<Moment> {
        self.0.get(&program).copied()
    }
}

/// REPORTED becomes VERIFIED, and its program's first right begins. Verifying again changes nothing.
#[derive(Debug, Clone)]
pub struct VerifyNeeds {
    pub author: Author,
    pub access: NeedAccess,
    pub ids: BTreeSet<NeedId>,
}

impl Command for VerifyNeeds {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        self.access.check(tx, &self.ids).await?;
        let mut book = Book::open(tx, self.author, "need.verify", &self.ids, Lines::None, &[]).await?;
        let own = reported_by(tx, self.author, &self.ids).await?;
        let rights = FirstRights::read(tx, book.now()).await?;
        for id in &self.ids {
            let need = book.need(*id).ok_or(StoreError::NotFound("need"))?;
            let first_right_until = rights.until(need.program);
            match need.status {
                NeedStatus::Verified => {}
                NeedStatus::Closed => return Err(StoreError::Illegal(format!("{id}: it is closed"))),
                NeedStatus::Reported if own.contains(id) => {
                    return Err(StoreError::Forbidden(format!("{id}: you reported it; somebody else verifies it")));
                }
                NeedStatus::Reported => book.change_need(*id, |n| {
                    n.status = NeedStatus::Verified;
                    n.first_right_until = first_right_until;
                })?,
            }
        }
        book.write_first_rights(tx).await?;
        close_and_judge(tx, book, self.author).await
    }
}

/// Those of the needs that the author has reported.
async fn reported_by(tx: &mut Tx, author: Author, needs: &BTreeSet<NeedId>) -> Result<BTreeSet<NeedId>, StoreError> {
    let Some(author) = author else { return Ok(BTreeSet::new()) };
    let sql = format!("SELECT id FROM need WHERE reported_by = $2 AND id {}", tx.dialect.numbers("$1"));
    let rows: Vec<IdRow> = tx.all(&sql, [ids(needs.iter().map(|n| n.0)), author.0.into()]).await?;
    Ok(rows.into_iter().map(|row| NeedId(row.id)).collect())
}

/// Nothing more may be claimed of it; what is promised already may still be delivered.
#[derive(Debug, Clone)]
pub struct CloseNeed {
    pub author: Author,
    pub access: NeedAccess,
    pub id: NeedId,
    pub expected_version: i64,
    pub reason: String,
}

impl Command for CloseNeed {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let (mut book, need) =
            open_one(tx, self.author, "need.close", &self.access, self.id, self.expected_version).await?;
        if need.status == NeedStatus::Closed {
            return Err(StoreError::Illegal(format!("{}: it is closed already", self.id)));
        }
        book.change_need(self.id, |n| n.status = NeedStatus::Closed)?;
        close_and_judge(tx, book, self.author).await?;
        tx.run("UPDATE need SET closed_reason = $2 WHERE id = $1", [self.id.0.into(), self.reason.as_str().into()])
            .await
            .map(|_| ())
    }
}

/// One need of an import, with what was promised and given before Salur came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningNeed {
    /// Where the row stands in its file, for the report.
    pub row: usize,
    pub external_id: Option<String>,
    pub area: AreaId,
    pub program: ProgramId,
    pub item: ItemId,
    pub period: Period,
    pub required: Quantity,
    pub severity: Severity,
    pub status: NeedStatus,
    /// Delivered quantity included.
    pub allocated: Quantity,
    pub delivered: Quantity,
}

/// Enters needs with their opening balances, all in one transaction. A row whose external id is
/// known updates its need; a row that changes nothing is counted as unchanged.
#[derive(Debug, Clone)]
pub struct ImportNeeds {
    pub author: Author,
    pub rows: Vec<OpeningNeed>,
    /// Publish the accepted rows although others are refused.
    pub accept_rejects: bool,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportedNeeds {
    pub accepted: usize,
    pub unchanged: usize,
    pub rejected: Vec<(usize, String)>,
    pub published: bool,
}

#[derive(FromQueryResult)]
struct Known {
    id: i64,
    external_id: String,
}

/// Rows of one statement: bounds the size of one parameter.
const CHUNK: usize = 2_000;

/// New needs that are written in one go.
const NEW_AT_ONCE: usize = 8_000;

impl Command for ImportNeeds {
    type Answer = ImportedNeeds;

    async fn run(&self, tx: &mut Tx) -> Result<ImportedNeeds, StoreError> {
        tx.take_your_time().await?;
        let mut report = ImportedNeeds::default();
        let known = self.known(tx).await?;
        let (old, new): (Vec<&OpeningNeed>, Vec<&OpeningNeed>) =
            self.rows.iter().partition(|r| r.external_id.as_ref().is_some_and(|e| known.contains_key(e)));
        // One claim of this run holds all balances it opens; it is entered when the first one needs it.
        let mut opening = None;
        let mut areas = self.update(tx, &old, &known, &mut opening, &mut report).await?;
        areas.append(&mut self.insert(tx, &new, &mut opening, &mut report).await?);
        report.published = !self.dry_run && (report.rejected.is_empty() || self.accept_rejects);
        if report.published {
            tx.refresh_plans().await?;
            let now = tx.now().await?;
            overlaps::recompute(tx, now, self.author, &areas).await?;
            tx.reload = true;
        } else {
            tx.abandon();
        }
        Ok(report)
    }
}

impl ImportNeeds {
    async fn known(&self, tx: &mut Tx) -> Result<HashMap<String, NeedId>, StoreError> {
        let wanted: Vec<&String> = self.rows.iter().filter_map(|r| r.external_id.as_ref()).collect();
        let sql = format!(
            "SELECT n.id, n.external_id FROM {} JOIN need n ON n.external_id = r.external_id",
            tx.dialect.rows("$1", &[("external_id", Text)])
        );
        let mut known = HashMap::new();
        for chunk in wanted.chunks(CHUNK) {
            let found: Vec<Known> = tx.all(&sql, [batch(chunk, |e| json!({"external_id": e}))]).await?;
            known.extend(found.into_iter().map(|k| (k.external_id, NeedId(k.id))));
        }
        Ok(known)
    }

    async fn opening_claim(&self, tx: &mut Tx, slot: &mut Option<ClaimId>) -> Result<ClaimId, StoreError> {
        if let Some(claim) = *slot {
            return Ok(claim);
        }
        let now = tx.now().await?;
        let organization = people::opening_organization(tx, now).await?;
        let claim = NewClaim { author: self.author, organization, executor: organization, offer: None, opening: true };
        let id = claim.insert(tx, now).await?;
        audit::append(tx, now, self.author, vec![audit::claim_entry(id, &claim, 0, 1, ledger::IMPORT)]).await?;
        *slot = Some(id);
        Ok(id)
    }

    /// Answers the areas whose overlap findings are due, as [`ImportNeeds::insert`] does.
    async fn update(
        &self,
        tx: &mut Tx,
        rows: &[&OpeningNeed],
        known: &HashMap<String, NeedId>,
        opening: &mut Option<ClaimId>,
        report: &mut ImportedNeeds,
    ) -> Result<BTreeSet<AreaId>, StoreError> {
        let mut areas = BTreeSet::new();
        let mut by_need: BTreeMap<NeedId, &OpeningNeed> = BTreeMap::new();
        for row in rows {
            if let Some(id) = row.external_id.as_ref().and_then(|e| known.get(e)) {
                by_need.insert(*id, row);
            }
        }
        // Ascending over all chunks: the order of locks is the order of ids.
        let all: Vec<(NeedId, &OpeningNeed)> = by_need.into_iter().collect();
        for chunk in all.chunks(CHUNK) {
            let needs: BTreeSet<NeedId> = chunk.iter().map(|(id, _)| *id).collect();
            let mut book = Book::open(tx, self.author, ledger::IMPORT, &needs, Lines::Openings, &[]).await?;
            let mut new_lines = Vec::new();
            for (id, row) in chunk {
                match restate(&mut book, *id, row) {
                    Ok(Restated::Unchanged) => {
                        report.accepted += 1;
                        report.unchanged += 1;
                    }
                    Ok(Restated::Changed) => report.accepted += 1,
                    Ok(Restated::NeedsLine) => {
                        report.accepted += 1;
                        new_lines.push((*id, *row));
                    }
                    Err(StoreError::Illegal(why)) => report.rejected.push((row.row, why)),
                    Err(other) => return Err(other),
                }
            }
            if !new_lines.is_empty() {
                let claim = self.opening_claim(tx, opening).await?;
                let previous = |id: NeedId| book.need(id).and_then(|need| need.last_line);
                let lines: Vec<NewLine> =
                    new_lines.iter().map(|(id, row)| row.opening_line(claim, *id, previous(*id))).collect();
                for (line, new) in insert_lines(tx, &lines).await?.into_iter().zip(&lines) {
                    if book.add_line(line, None)? != new.previous {
                        return Err(StoreError::Fault(format!("{} has another line before {}", line.need, line.id)));
                    }
                }
            }
            book.write_terms(tx).await?;
            areas.append(&mut book.areas_to_judge());
            book.close(tx).await?;
        }
        Ok(areas)
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        rows: &[&OpeningNeed],
        opening: &mut Option<ClaimId>,
        report: &mut ImportedNeeds,
    ) -> Result<BTreeSet<AreaId>, StoreError> {
        let now = tx.now().await?;
        let rights = FirstRights::read(tx, now).await?;
        let mut areas = BTreeSet::new();
        for chunk in rows.chunks(NEW_AT_ONCE) {
            let claim = match chunk.iter().any(|row| !row.allocated.is_zero()) {
                true => Some(self.opening_claim(tx, opening).await?),
                false => None,
            };
            let mut new = Vec::with_capacity(chunk.len());
            for row in chunk {
                let balance = claim.filter(|_| !row.allocated.is_zero()).map(|claim| Balance {
                    claim,
                    quantity: row.allocated,
                    delivered: row.delivered,
                    status: rules::opening_status(row.allocated, row.delivered),
                });
                let need = row.blank(NeedId(0), &rights)?;
                new.push(NewNeed { need, external_id: row.external_id.as_deref(), balance });
            }
            intake::insert(tx, now, self.author, ledger::IMPORT, &new).await?;
            areas.extend(chunk.iter().map(|row| row.area));
            report.accepted += chunk.len();
        }
        Ok(areas)
    }
}

enum Restated {
    Unchanged,
    Changed,
    /// The need has no opening line yet and the row brings a balance.
    NeedsLine,
}

/// Brings a known need to what its row says.
fn restate(book: &mut Book, id: NeedId, row: &OpeningNeed) -> Result<Restated, StoreError> {
    let need = *book.need(id).ok_or(StoreError::NotFound("need"))?;
    let line = book.opening_line(id);
    let (allocated, delivered) =
        line.map_or((Quantity::ZERO, Quantity::ZERO), |l: ClaimLine| (l.quantity, l.delivered));
    let same_terms = need.area == row.area
        && need.program == row.program
        && need.item == row.item
        && need.period == row.period
        && need.severity == row.severity
        && need.counters.required() == row.required;
    if same_terms && allocated == row.allocated && delivered == row.delivered {
        return Ok(Restated::Unchanged);
    }
    let others = need.counters.allocated().saturating_sub(allocated);
    if others.checked_add(row.allocated).is_none_or(|sum| sum > row.required) {
        return Err(StoreError::Illegal(format!(
            "{id}: {others} are promised through Salur beside the {} of this row, more than the {} required",
            row.allocated, row.required
        )));
    }
    // First give back what the old balance held, so that no step passes a state above `required`.
    let line_moves = (allocated, delivered) != (row.allocated, row.delivered);
    if let Some(line) = line.filter(|_| line_moves) {
        book.restate_line(line.id, Quantity::ZERO, Quantity::ZERO)?;
    }
    let emptied = *book.need(id).ok_or(StoreError::NotFound("need"))?;
    let counters = Counters::new(row.required, emptied.counters.reserved(), emptied.counters.delivered())
        .ok_or_else(|| StoreError::Fault("an import would cut a need below what is allocated".into()))?;
    book.change_need(id, |n| {
        n.area = row.area;
        n.program = row.program;
        n.item = row.item;
        n.period = row.period;
        n.severity = row.severity;
        n.counters = counters;
    })?;
    match line {
        Some(line) if line_moves => {
            book.restate_line(line.id, row.allocated, row.delivered)?;
            Ok(Restated::Changed)
        }
        Some(_) => Ok(Restated::Changed),
        None if row.allocated.is_zero() => Ok(Restated::Changed),
        None => Ok(Restated::NeedsLine),
    }
}

impl OpeningNeed {
    fn opening_line(&self, claim: ClaimId, need: NeedId, previous: Option<ClaimLineId>) -> NewLine {
        NewLine {
            claim,
            need,
            quantity: self.allocated,
            delivered: self.delivered,
            status: rules::opening_status(self.allocated, self.delivered),
            expires_at: None,
            previous,
        }
    }

    /// A need that comes verified is verified at the moment of its import.
    fn first_right(&self, rights: &FirstRights) -> Option<Moment> {
        rights.until(self.program).filter(|_| self.status == NeedStatus::Verified)
    }

    fn blank(&self, id: NeedId, rights: &FirstRights) -> Result<Need, StoreError> {
        let counters = Counters::new(self.required, Quantity::ZERO, Quantity::ZERO);
        Ok(Need {
            id,
            area: self.area,
            program: self.program,
            item: self.item,
            period: self.period,
            counters: counters.ok_or_else(|| StoreError::corrupt("counter"))?,
            severity: self.severity,
            status: self.status,
            first_right_until: self.first_right(rights),
            last_line: None,
            version: 1,
        })
    }
}

impl Store {
    /// Needs by id, as the database has them now.
    pub async fn needs(&self, wanted: &[NeedId]) -> Result<Vec<Need>, StoreError> {
        let sql = format!("SELECT {NEED_COLUMNS} FROM need WHERE id {}", self.dialect.numbers("$1"));
        let rows: Vec<NeedRow> = self.read_all(&sql, [ids(wanted.iter().map(|n| n.0))]).await?;
        rows.into_iter().map(NeedRow::into_need).collect()
    }

    /// The lines on a need that still stand or have delivered something: who helps here, oldest first.
    pub async fn lines_on_need(&self, need: NeedId, most: i64) -> Result<Vec<ClaimLine>, StoreError> {
        let sql = format!(
            "SELECT {LINE_COLUMNS} FROM ({}) AS l WHERE need_id = $1
             AND (status IN ('HELD', 'CONFIRMED', 'FULFILLED') OR delivered > 0) ORDER BY id LIMIT $2",
            lines_of_needs("n.id = $1")
        );
        let rows: Vec<LineRow> = self.read_all(&sql, [need.0.into(), most.into()]).await?;
        rows.into_iter().map(LineRow::into_line).collect()
    }

    /// Needs whose stored counters differ from the sums over their lines or that have lost one of these, and offers
    /// likewise: none, unless something went wrong. Answers their ids as text.
    pub async fn recount(&self) -> Result<Vec<String>, StoreError> {
        #[derive(FromQueryResult)]
        struct Odd {
            id: i64,
        }
        let needs: Vec<Odd> = self
            .read_all(
                "SELECT n.id FROM need n LEFT JOIN every_line l ON l.need_id = n.id
                 GROUP BY n.id, n.reserved, n.delivered
                 HAVING n.reserved <> COALESCE(SUM(CASE WHEN l.status IN ('HELD', 'CONFIRMED')
                                                   THEN l.quantity - l.delivered ELSE 0 END), 0)
                     OR n.delivered <> COALESCE(SUM(l.delivered), 0)",
                [],
            )
            .await?;
        let offers: Vec<Odd> = self
            .read_all(
                "SELECT o.id FROM offer o LEFT JOIN claim c ON c.offer_id = o.id LEFT JOIN every_line l ON l.claim_id = c.id
                 GROUP BY o.id, o.claimed
                 HAVING o.claimed <> COALESCE(SUM(CASE WHEN l.status IN ('HELD', 'CONFIRMED', 'FULFILLED')
                                                  THEN l.quantity ELSE l.delivered END), 0)",
                [],
            )
            .await?;
        let astray: Vec<Odd> = self.read_all(&needs_off_their_chain(), []).await?;
        let needs = needs.into_iter().chain(astray).map(|o| NeedId(o.id).to_string());
        Ok(needs.chain(offers.into_iter().map(|o| crate::domain::ids::OfferId(o.id).to_string())).collect())
    }

    /// How many needs and lines there are and what they sum to, as the audit log must replay to.
    pub async fn audit_totals(&self) -> Result<[i64; 5], StoreError> {
        let row = self
            .read_one(
                "SELECT count(*) AS needs, CAST(COALESCE(sum(required), 0) AS BIGINT) AS required,
                 CAST(COALESCE(sum(reserved), 0) AS BIGINT) AS reserved,
                 CAST(COALESCE(sum(delivered), 0) AS BIGINT) AS delivered,
                 (SELECT count(*) FROM every_line) AS lines FROM need",
                [],
            )
            .await?
            .ok_or_else(|| StoreError::corrupt("total"))?;
        Ok([
            column(&row, "needs")?,
            column(&row, "lines")?,
            column(&row, "required")?,
            column(&row, "reserved")?,
            column(&row, "delivered")?,
        ])
    }
}

/// A need that an import has brought, with its opening balances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedNeed {
    pub external_id: String,
    pub area: AreaCode,
    pub item: ItemId,
    pub period: Period,
    pub counters: Counters,
    pub severity: Severity,
    /// Promised before Salur, delivered quantity included.
    pub allocated: Quantity,
    pub delivered: Quantity,
}

#[derive(FromQueryResult)]
struct ImportedRow {
    external_id: String,
    code: String,
    item_id: i64,
    period_start: String,
    period_end: String,
    required: i64,
    reserved: i64,
    need_delivered: i64,
    severity: i64,
    allocated: i64,
    delivered: i64,
}

impl ImportedRow {
    fn into_need(self) -> Result<ImportedNeed, StoreError> {
        let (required, reserved) = (rows::quantity(self.required)?, rows::quantity(self.reserved)?);
        let counters = Counters::new(required, reserved, rows::quantity(self.need_delivered)?);
        Ok(ImportedNeed {
            external_id: self.external_id,
            area: self.code.parse().map_err(|_| StoreError::corrupt("area code"))?,
            item: ItemId(self.item_id),
            period: rows::period(&self.period_start, &self.period_end)?,
            counters: counters.ok_or_else(|| StoreError::corrupt("counter"))?,
            severity: Severity::new(self.severity).ok_or_else(|| StoreError::corrupt("severity"))?,
            allocated: rows::quantity(self.allocated)?,
            delivered: rows::quantity(self.delivered)?,
        })
    }
}

impl Store {
    /// All needs that imports have brought: those with an external id.
    pub async fn imported_needs(&self) -> Result<Vec<ImportedNeed>, StoreError> {
        let rows: Vec<ImportedRow> = self
            .read_all(
                "SELECT n.external_id, a.code, n.item_id, n.period_start, n.period_end, n.required, n.reserved,
                 n.delivered AS need_delivered, n.severity, COALESCE(o.quantity, 0) AS allocated,
                 COALESCE(o.delivered, 0) AS delivered
                 FROM need n JOIN area a ON a.id = n.area_id
                 LEFT JOIN (SELECT l.need_id, l.quantity, l.delivered FROM claim c JOIN claim_line l ON l.claim_id = c.id
                            WHERE c.opening = 1 AND l.status <> 'RELEASED') o ON o.need_id = n.id
                 WHERE n.external_id IS NOT NULL",
                [],
            )
            .await?;
        rows.into_iter().map(ImportedRow::into_need).collect()
    }
}

#[derive(FromQueryResult)]
struct NeedExternal {
    id: i64,
    external_id: String,
}

impl Tx {
    /// The ids of all needs that imports have brought, by external id.
    pub async fn need_ids(&mut self) -> Result<HashMap<String, NeedId>, StoreError> {
        let rows: Vec<NeedExternal> =
            self.all("SELECT id, external_id FROM need WHERE external_id IS NOT NULL", []).await?;
        Ok(rows.into_iter().map(|r| (r.external_id, NeedId(r.id))).collect())
    }
}
