//! Deliveries: trips planned over confirmed claims, handed over, and answered for by the area.

use super::bundle;
use super::chain::{IN_AREA, lines_of_needs};
use super::claims::{ClaimAccess, MADE_OR_CARRIED, own_claim};
use super::dialect::Column::Int;
use super::error::StoreError;
use super::idempotency::{self, Keyed, Standing};
use super::ledger::{Book, Lines, expect_rows};
use super::rows::{IdRow, batch, day, ids, quantity};
use super::write::{Command, Tx, column};
use super::{Author, Store, audit, overlaps};
use crate::domain::area::AreaCode;
use crate::domain::calendar::{Day, Moment};
use crate::domain::delivery::{Delivery, DeliveryEvent, DeliveryLine, DeliveryStatus};
use crate::domain::ids::{AreaId, ClaimId, ClaimLineId, DeliveryId, NeedId, OrganizationId, UserId};
use crate::domain::quantity::Quantity;
use crate::domain::rules::{DeliveryEventKind, LineEvent, delivery_after};
use sea_orm::FromQueryResult;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Plans a trip over lines of a confirmed claim.
#[derive(Debug, Clone)]
pub struct ScheduleDelivery {
    pub author: Author,
    pub keyed: Keyed,
    pub claim: ClaimId,
    pub access: ClaimAccess,
    /// Ascending by line, each once, no quantity zero.
    pub lines: Vec<(ClaimLineId, Quantity)>,
    pub scheduled_for: Option<Day>,
}

#[derive(FromQueryResult)]
struct LineNeed {
    need_id: i64,
}

impl Command for ScheduleDelivery {
    type Answer = DeliveryId;

    async fn run(&self, tx: &mut Tx) -> Result<DeliveryId, StoreError> {
        let entered = tx.now().await?;
        if let Standing::Settled(outcome) = idempotency::enter(tx, &self.keyed, entered).await? {
            return Ok(DeliveryId(idempotency::settled_id(&outcome, "delivery")?));
        }
        own_claim(tx, self.claim, self.access).await?;
        let wanted = ids(self.lines.iter().map(|(line, _)| line.0));
        let named = format!("claim_id = $2 AND id {}", tx.dialect.numbers("$1"));
        let found: Vec<LineNeed> = tx.all(&bundle::lines("need_id", &named), [wanted, self.claim.0.into()]).await?;
        if found.len() != self.lines.len() {
            return Err(StoreError::NotFound("claim line"));
        }
        let needs: BTreeSet<NeedId> = found.iter().map(|l| NeedId(l.need_id)).collect();
        let mut book =
            Book::open(tx, self.author, "delivery.schedule", &needs, Lines::OfClaim(self.claim), &[]).await?;
        for (line, quantity) in &self.lines {
            book.move_line(*line, LineEvent::Schedule(*quantity))?;
        }
        let id = tx
            .insert(
                "INSERT INTO delivery (claim_id, status, scheduled_for, version) VALUES ($1, 'SCHEDULED', $2, 1)
                 RETURNING id",
                [self.claim.0.into(), self.scheduled_for.map(|d| d.to_string()).into()],
            )
            .await?;
        let sql = format!(
            "INSERT INTO delivery_line (delivery_id, claim_line_id, quantity)
             SELECT CAST($2 AS BIGINT), id, quantity FROM {}",
            tx.dialect.rows("$1", &[("id", Int), ("quantity", Int)])
        );
        let rows = batch(&self.lines, |(line, quantity)| json!({"id": line.0, "quantity": quantity.get()}));
        expect_rows(tx.run(&sql, [rows, id.into()]).await?, self.lines.len())?;
        let delivery = DeliveryId(id);
        let lines: Vec<DeliveryLine> = self
            .lines
            .iter()
            .map(|(line, quantity)| DeliveryLine { line: *line, quantity: *quantity, answer: None })
            .collect();
        write_event(tx, delivery, DeliveryStatus::Scheduled, book.now(), self.author, None).await?;
        book.note(audit::delivery_entry(
            delivery,
            self.claim,
            DeliveryStatus::Scheduled,
            &lines,
            1,
            "delivery.schedule",
        ));
        book.close(tx).await?;
        idempotency::settle(tx, &self.keyed, &json!({"delivery": id})).await?;
        Ok(delivery)
    }
}

/// The trip is on its way.
#[derive(Debug, Clone)]
pub struct DispatchDelivery {
    pub author: Author,
    pub id: DeliveryId,
    pub access: ClaimAccess,
}

/// The giver has handed everything over; it counts as delivered from now on.
#[derive(Debug, Clone)]
pub struct RecordDelivery {
    pub author: Author,
    pub id: DeliveryId,
    pub access: ClaimAccess,
    pub note: Option<String>,
}

/// The trip is called off; what it carried may be scheduled anew.
#[derive(Debug, Clone)]
pub struct CancelDelivery {
    pub author: Author,
    pub id: DeliveryId,
    pub access: ClaimAccess,
    pub reason: String,
}

/// What the area's officer says of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub line: ClaimLineId,
    pub accepted: Quantity,
    pub rejected: Quantity,
    pub note: Option<String>,
}

/// The area's officer answers for lines of a delivery that lie in their area; the delivery is
/// settled once every line has its answer. What was rejected is owed again.
#[derive(Debug, Clone)]
pub struct AcknowledgeDelivery {
    pub author: Author,
    pub id: DeliveryId,
    /// `None`: an admin, who may answer for any area.
    pub area: Option<AreaCode>,
    pub answers: Vec<Answer>,
}

impl Command for DispatchDelivery {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let trip = Trip::open(tx, self.author, self.id, "delivery.dispatch", Some(self.access)).await?;
        let Some(status) = trip.step(DeliveryEventKind::Dispatch)? else { return Ok(()) };
        trip.close(tx, status, None).await
    }
}

impl Command for RecordDelivery {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let mut trip = Trip::open(tx, self.author, self.id, "delivery.record", Some(self.access)).await?;
        let Some(status) = trip.step(DeliveryEventKind::Record)? else { return Ok(()) };
        for line in trip.lines.clone() {
            trip.book.move_line(line.line, LineEvent::Deliver(line.quantity))?;
        }
        trip.served = true;
        trip.close(tx, status, self.note.as_deref()).await
    }
}

impl Command for CancelDelivery {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let mut trip = Trip::open(tx, self.author, self.id, "delivery.cancel", Some(self.access)).await?;
        let Some(status) = trip.step(DeliveryEventKind::Cancel)? else { return Ok(()) };
        for line in trip.lines.clone() {
            trip.book.move_line(line.line, LineEvent::Unschedule(line.quantity))?;
        }
        trip.close(tx, status, Some(&self.reason)).await
    }
}

impl Command for AcknowledgeDelivery {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let areas = areas_of_lines(tx, self.id).await?;
        let mine = |line: ClaimLineId| {
            let code = areas.get(&line.0);
            code.is_some_and(|code| self.area.as_ref().is_none_or(|own| own.covers(code)))
        };
        // A delivery with no line in the officer's area is not theirs to see.
        if !areas.keys().any(|line| mine(ClaimLineId(*line))) {
            return Err(StoreError::NotFound("delivery"));
        }
        let mut trip = Trip::open(tx, self.author, self.id, "delivery.acknowledge", None).await?;
        let mut news = Vec::new();
        for answer in &self.answers {
            let line = trip.lines.iter_mut().find(|l| l.line == answer.line);
            let line = line.filter(|l| mine(l.line)).ok_or(StoreError::NotFound("delivery line"))?;
            if answer.accepted.checked_add(answer.rejected) != Some(line.quantity) {
                return Err(StoreError::bad(
                    "lines",
                    format!("accepted and rejected of {} must add up to {}", line.line, line.quantity),
                ));
            }
            let said = (answer.accepted, answer.rejected);
            match line.answer {
                Some(before) if before == said => {}
                Some(_) => return Err(StoreError::Illegal(format!("{}: it has been answered for already", line.line))),
                None => {
                    line.answer = Some(said);
                    news.push(answer);
                }
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        let rejected = trip.lines.iter().any(|l| l.answer.is_some_and(|(_, r)| !r.is_zero()));
        let last = trip.lines.iter().all(|l| l.answer.is_some());
        let status = trip.step(DeliveryEventKind::Acknowledge { rejected })?.filter(|_| last).unwrap_or(trip.status);
        for answer in &news {
            if !answer.rejected.is_zero() {
                trip.book.move_line(answer.line, LineEvent::Reject(answer.rejected))?;
                trip.served = true;
            }
            let touched = tx
                .run(
                    "UPDATE delivery_line SET accepted = $3, rejected = $4, note = $5
                     WHERE delivery_id = $1 AND claim_line_id = $2 AND accepted IS NULL",
                    [
                        self.id.0.into(),
                        answer.line.0.into(),
                        answer.accepted.get().into(),
                        answer.rejected.get().into(),
                        answer.note.clone().into(),
                    ],
                )
                .await?;
            expect_rows(touched, 1)?;
        }
        trip.close(tx, status, None).await
    }
}

/// A delivery under its locks, with the book over the needs it serves.
struct Trip {
    id: DeliveryId,
    claim: ClaimId,
    status: DeliveryStatus,
    version: i64,
    lines: Vec<DeliveryLine>,
    needs: BTreeSet<NeedId>,
    book: Book,
    author: Author,
    action: &'static str,
    /// Delivered quantities have moved: overlap findings of the areas are due.
    served: bool,
}

impl Trip {
    async fn open(
        tx: &mut Tx,
        author: Author,
        id: DeliveryId,
        action: &'static str,
        access: Option<ClaimAccess>,
    ) -> Result<Trip, StoreError> {
        // One question, so that a foreign delivery costs what a missing one costs.
        let sql =
            "SELECT d.claim_id, c.organization_id, c.executor_id FROM delivery d JOIN claim c ON c.id = d.claim_id
            WHERE d.id = $1";
        let row = tx.one(sql, [id.0.into()]).await?.ok_or(StoreError::NotFound("delivery"))?;
        let claim = ClaimId(column(&row, "claim_id")?);
        let parties = [column(&row, "organization_id")?, column(&row, "executor_id")?].map(OrganizationId);
        if access.is_some_and(|access| !access.allows(parties)) {
            return Err(StoreError::NotFound("delivery"));
        }
        let found: Vec<IdRow> = tx
            .all(
                "SELECT l.need_id AS id FROM delivery_line d JOIN claim_line l ON l.id = d.claim_line_id
                 WHERE d.delivery_id = $1",
                [id.0.into()],
            )
            .await?;
        let needs: BTreeSet<NeedId> = found.into_iter().map(|r| NeedId(r.id)).collect();
        let book = Book::open(tx, author, action, &needs, Lines::OfClaim(claim), &[]).await?;
        // Read only now: whoever moves a delivery of these needs holds their locks.
        let sql = format!("SELECT status, version FROM delivery WHERE id = $1{}", tx.dialect.lock());
        let row = tx.one(&sql, [id.0.into()]).await?.ok_or(StoreError::NotFound("delivery"))?;
        let status: String = column(&row, "status")?;
        let lines: Vec<TripLineRow> = tx
            .all(
                "SELECT delivery_id, claim_line_id, quantity, accepted, rejected FROM delivery_line
                 WHERE delivery_id = $1 ORDER BY claim_line_id",
                [id.0.into()],
            )
            .await?;
        Ok(Trip {
            id,
            claim,
            status: DeliveryStatus::from_word(&status).ok_or_else(|| StoreError::corrupt("status"))?,
            version: column(&row, "version")?,
            lines: lines.into_iter().map(TripLineRow::into_line).collect::<Result<_, _>>()?,
            needs,
            book,
            author,
            action,
            served: false,
        })
    }

    fn step(&self, event: DeliveryEventKind) -> Result<Option<DeliveryStatus>, StoreError> {
        delivery_after(self.status, event).map_err(|why| StoreError::Illegal(format!("{}: {why}", self.id)))
    }

    async fn close(mut self, tx: &mut Tx, status: DeliveryStatus, note: Option<&str>) -> Result<(), StoreError> {
        let touched = tx
            .run(
                "UPDATE delivery SET status = $2, version = version + 1 WHERE id = $1 AND version = $3",
                [self.id.0.into(), status.word().into(), self.version.into()],
            )
            .await?;
        expect_rows(touched, 1)?;
        write_event(tx, self.id, status, self.book.now(), self.author, note).await?;
        let entry = audit::delivery_entry(self.id, self.claim, status, &self.lines, self.version + 1, self.action);
        self.book.note(entry);
        let areas: BTreeSet<AreaId> = self.needs.iter().filter_map(|n| self.book.need(*n)).map(|n| n.area).collect();
        let now = self.book.now();
        self.book.close(tx).await?;
        if self.served {
            overlaps::recompute(tx, now, self.author, &areas).await?;
        }
        Ok(())
    }
}

#[derive(FromQueryResult)]
pub(super) struct TripLineRow {
    pub delivery_id: i64,
    claim_line_id: i64,
    quantity: i64,
    accepted: Option<i64>,
    rejected: Option<i64>,
}

pub(super) const TRIP_LINE_COLUMNS: &str = "delivery_id, claim_line_id, quantity, accepted, rejected";

impl TripLineRow {
    pub fn into_line(self) -> Result<DeliveryLine, StoreError> {
        let answer = match (self.accepted, self.rejected) {
            (Some(accepted), Some(rejected)) => Some((quantity(accepted)?, quantity(rejected)?)),
            _ => None,
        };
        Ok(DeliveryLine { line: ClaimLineId(self.claim_line_id), quantity: quantity(self.quantity)?, answer })
    }
}

#[derive(FromQueryResult)]
struct LineArea {
    line: i64,
    code: String,
}

async fn areas_of_lines(tx: &mut Tx, id: DeliveryId) -> Result<HashMap<i64, AreaCode>, StoreError> {
    let rows: Vec<LineArea> = tx
        .all(
            "SELECT l.id AS line, a.code FROM delivery_line d JOIN claim_line l ON l.id = d.claim_line_id
             JOIN need n ON n.id = l.need_id JOIN area a ON a.id = n.area_id WHERE d.delivery_id = $1",
            [id.0.into()],
        )
        .await?;
    rows.into_iter().map(|r| Ok((r.line, r.code.parse().map_err(|_| StoreError::corrupt("area code"))?))).collect()
}

async fn write_event(
    tx: &mut Tx,
    id: DeliveryId,
    status: DeliveryStatus,
    at: Moment,
    by: Author,
    note: Option<&str>,
) -> Result<(), StoreError> {
    tx.run(
        "INSERT INTO delivery_event (delivery_id, status, at, user_id, note) VALUES ($1, $2, $3, $4, $5)",
        [id.0.into(), status.word().into(), at.0.into(), by.map(|u| u.0).into(), note.map(str::to_owned).into()],
    )
    .await
    .map(|_| ())
}

#[derive(FromQueryResult)]
pub(super) struct DeliveryRow {
    pub id: i64,
    pub claim_id: i64,
    pub status: String,
    scheduled_for: Option<String>,
    pub version: i64,
}

pub(super) const DELIVERY_COLUMNS: &str = "id, claim_id, status, scheduled_for, version";

#[derive(FromQueryResult)]
struct EventRow {
    delivery_id: i64,
    status: String,
    at: i64,
    user_id: Option<i64>,
    note: Option<String>,
}

impl Store {
    /// Deliveries by id, in no particular order. Who may see them is the caller's business.
    pub async fn deliveries(&self, wanted: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError> {
        let wanted = ids(wanted.iter().map(|d| d.0));
        let set = self.dialect.numbers("$1");
        let rows: Vec<DeliveryRow> =
            self.read_all(&format!("SELECT {DELIVERY_COLUMNS} FROM delivery WHERE id {set}"), [wanted.clone()]).await?;
        let lines: Vec<TripLineRow> = self
            .read_all(
                &format!(
                    "SELECT {TRIP_LINE_COLUMNS} FROM delivery_line
                     WHERE delivery_id {set} ORDER BY claim_line_id"
                ),
                [wanted.clone()],
            )
            .await?;
        let events: Vec<EventRow> = self
            .read_all(
                &format!(
                    "SELECT delivery_id, status, at, user_id, note FROM delivery_event
                     WHERE delivery_id {set} ORDER BY id"
                ),
                [wanted],
            )
            .await?;
        let mut lines_of: BTreeMap<i64, Vec<DeliveryLine>> = BTreeMap::new();
        for row in lines {
            lines_of.entry(row.delivery_id).or_default().push(row.into_line()?);
        }
        let mut events_of: BTreeMap<i64, Vec<DeliveryEvent>> = BTreeMap::new();
        for row in events {
            let status = DeliveryStatus::from_word(&row.status).ok_or_else(|| StoreError::corrupt("status"))?;
            events_of.entry(row.delivery_id).or_default().push(DeliveryEvent {
                status,
                at: Moment(row.at),
                by: row.user_id.map(UserId),
                note: row.note,
            });
        }
        rows.into_iter()
            .map(|row| {
                Ok(Delivery {
                    id: DeliveryId(row.id),
                    claim: ClaimId(row.claim_id),
                    status: DeliveryStatus::from_word(&row.status).ok_or_else(|| StoreError::corrupt("status"))?,
                    scheduled_for: row.scheduled_for.as_deref().map(day).transpose()?,
                    lines: lines_of.remove(&row.id).unwrap_or_default(),
                    events: events_of.remove(&row.id).unwrap_or_default(),
                    version: row.version,
                })
            })
            .collect()
    }

    /// The deliveries of a claim, oldest first.
    pub async fn deliveries_of_claim(&self, claim: ClaimId) -> Result<Vec<DeliveryId>, StoreError> {
        let rows: Vec<IdRow> =
            self.read_all("SELECT id FROM delivery WHERE claim_id = $1 ORDER BY id", [claim.0.into()]).await?;
        Ok(rows.into_iter().map(|r| DeliveryId(r.id)).collect())
    }

    /// Deliveries over claims that the organisation made or carries out, in one of the states, newest first, older
    /// than `before`.
    pub async fn deliveries_of(
        &self,
        organization: OrganizationId,
        states: &[DeliveryStatus],
        before: Option<DeliveryId>,
        most: i64,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let sql = format!(
            "SELECT d.id FROM delivery d JOIN claim c ON c.id = d.claim_id
             WHERE {MADE_OR_CARRIED} AND d.status {} AND d.id < $3
             ORDER BY d.id DESC LIMIT $4",
            self.dialect.texts("$2")
        );
        let states = batch(states, |status| json!(status.word()));
        let values = [organization.0.into(), states, before.map_or(i64::MAX, |d| d.0).into(), most.into()];
        let rows: Vec<IdRow> = self.read_all(&sql, values).await?;
        Ok(rows.into_iter().map(|r| DeliveryId(r.id)).collect())
    }

    /// Deliveries that bring something to `area` or below it, newest first, older than `before`.
    pub async fn deliveries_to(
        &self,
        area: &AreaCode,
        before: Option<DeliveryId>,
        most: i64,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let rows: Vec<IdRow> = self
            .read_all(
                &format!(
                    "SELECT DISTINCT d.delivery_id AS id FROM ({}) AS l JOIN delivery_line d ON d.claim_line_id = l.id
                     WHERE d.delivery_id < $3 ORDER BY d.delivery_id DESC LIMIT $4",
                    lines_of_needs(IN_AREA)
                ),
                [
                    area.as_str().into(),
                    format!("{area}.%").into(),
                    before.map_or(i64::MAX, |d| d.0).into(),
                    most.into(),
                ],
            )
            .await?;
        Ok(rows.into_iter().map(|r| DeliveryId(r.id)).collect())
    }

    /// The area codes that a delivery serves.
    pub async fn areas_of_delivery(&self, id: DeliveryId) -> Result<Vec<AreaCode>, StoreError> {
        #[derive(FromQueryResult)]
        struct Code {
            code: String,
        }
        let sql = "SELECT DISTINCT a.code FROM delivery_line d JOIN claim_line l ON l.id = d.claim_line_id
            JOIN need n ON n.id = l.need_id JOIN area a ON a.id = n.area_id WHERE d.delivery_id = $1";
        let rows: Vec<Code> = self.read_all(sql, [id.0.into()]).await?;
        rows.into_iter().map(|r| r.code.parse().map_err(|_| StoreError::corrupt("area code"))).collect()
    }

    /// Which of the claims have a line in the area or below it.
    pub async fn claims_in_area(&self, wanted: &[ClaimId], area: &AreaCode) -> Result<HashSet<ClaimId>, StoreError> {
        let sql = format!(
            "SELECT DISTINCT l.claim_id AS id FROM ({}) AS l JOIN need n ON n.id = l.need_id
             JOIN area a ON a.id = n.area_id WHERE a.code = $2 OR a.code LIKE $3",
            bundle::lines("claim_id, need_id", &format!("claim_id {}", self.dialect.numbers("$1")))
        );
        let values = [ids(wanted.iter().map(|c| c.0)), area.as_str().into(), format!("{area}.%").into()];
        let rows: Vec<IdRow> = self.read_all(&sql, values).await?;
        Ok(rows.into_iter().map(|r| ClaimId(r.id)).collect())
    }

    /// The organisation that made a delivery's claim and the one that carries it out.
    pub async fn parties_of_delivery(
        &self,
        id: DeliveryId,
    ) -> Result<Option<(OrganizationId, OrganizationId)>, StoreError> {
        let sql = "SELECT c.organization_id, c.executor_id FROM delivery d JOIN claim c ON c.id = d.claim_id
            WHERE d.id = $1";
        let row = self.read_one(sql, [id.0.into()]).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((OrganizationId(column(&row, "organization_id")?), OrganizationId(column(&row, "executor_id")?))))
    }
}
