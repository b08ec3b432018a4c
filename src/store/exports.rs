//! Lines of claims and of trips, many at once, for files that are handed out. One statement each, so that
//! what a file says is of one moment.

use super::Store;
use super::error::StoreError;
use super::rows::{day, period, quantity};
use crate::domain::area::AreaCode;
use crate::domain::calendar::{Day, Moment, Period};
use crate::domain::claim::ClaimStatus;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::ids::{AreaId, ClaimId, ClaimLineId, DeliveryId, ItemId, NeedId, OrganizationId, ProgramId};
use crate::domain::quantity::Quantity;
use sea_orm::{FromQueryResult, Value};

/// Whose lines a caller may have: those of an organisation, as giver or as who carries it out, and those in
/// an area; neither: none.
#[derive(Debug, Clone, Default)]
pub struct ExportReach {
    pub everything: bool,
    pub organization: Option<OrganizationId>,
    pub area: Option<AreaCode>,
}

/// Which of them are asked for, and how many at most.
#[derive(Debug, Clone, Default)]
pub struct ExportFilter {
    /// This area and all below it.
    pub area: Option<AreaCode>,
    pub program: Option<ProgramId>,
    pub item: Option<ItemId>,
    pub most: usize,
}

/// Where a line stands, and who stands behind it.
#[derive(Debug, Clone)]
pub struct ExportedParties {
    pub claim: ClaimId,
    pub line: ClaimLineId,
    /// Without meaning where the claim is an opening balance.
    pub organization: OrganizationId,
    pub executor: OrganizationId,
    pub opening: bool,
    pub need: NeedId,
    pub area: AreaId,
    pub program: ProgramId,
    pub item: ItemId,
    pub period: Period,
}

#[derive(Debug, Clone)]
pub struct ExportedLine {
    pub parties: ExportedParties,
    /// By its need.
    pub required: Quantity,
    pub quantity: Quantity,
    pub delivered: Quantity,
    /// As a reader sees it: a hold that has run out is EXPIRED, swept or not.
    pub status: ClaimStatus,
    pub created_at: Moment,
    pub expires_at: Option<Moment>,
}

#[derive(Debug, Clone)]
pub struct ExportedTrip {
    pub parties: ExportedParties,
    pub delivery: DeliveryId,
    pub status: DeliveryStatus,
    pub scheduled_for: Option<Day>,
    pub delivered_at: Option<Moment>,
    pub answered_at: Option<Moment>,
    pub quantity: Quantity,
    /// `(accepted, rejected)`, once the area's officer has answered.
    pub answer: Option<(Quantity, Quantity)>,
}

#[derive(FromQueryResult)]
struct PartiesRow {
    claim_id: i64,
    line_id: i64,
    organization_id: i64,
    executor_id: i64,
    opening: i64,
    need_id: i64,
    area_id: i64,
    program_id: i64,
    item_id: i64,
    period_start: String,
    period_end: String,
}

impl PartiesRow {
    fn into_parties(self) -> Result<ExportedParties, StoreError> {
        Ok(ExportedParties {
            claim: ClaimId(self.claim_id),
            line: ClaimLineId(self.line_id),
            organization: OrganizationId(self.organization_id),
            executor: OrganizationId(self.executor_id),
            opening: self.opening != 0,
            need: NeedId(self.need_id),
            area: AreaId(self.area_id),
            program: ProgramId(self.program_id),
            item: ItemId(self.item_id),
            period: period(&self.period_start, &self.period_end)?,
        })
    }
}

#[derive(FromQueryResult)]
struct LineRow {
    #[sea_orm(nested)]
    parties: PartiesRow,
    required: i64,
    quantity: i64,
    delivered: i64,
    status: String,
    created_at: i64,
    expires_at: Option<i64>,
}

#[derive(FromQueryResult)]
struct TripRow {
    #[sea_orm(nested)]
    parties: PartiesRow,
    delivery_id: i64,
    status: String,
    scheduled_for: Option<String>,
    delivered_at: Option<i64>,
    answered_at: Option<i64>,
    quantity: i64,
    accepted: Option<i64>,
    rejected: Option<i64>,
}

const PARTIES: &str = "l.claim_id, l.id AS line_id, c.organization_id, c.executor_id, c.opening, l.need_id, n.area_id,
    n.program_id, n.item_id, n.period_start, n.period_end";

/// Behind tables `c`, `n` and `a`; [`values`] are its parameters.
const REACHED: &str = "($1 = 1 OR ($2 <> 0 AND (c.organization_id = $2 OR c.executor_id = $2))
        OR ($3 <> '' AND (a.code = $3 OR a.code LIKE $3 || '.%')))
    AND ($4 = '' OR a.code = $4 OR a.code LIKE $4 || '.%')
    AND ($5 = 0 OR n.program_id = $5) AND ($6 = 0 OR n.item_id = $6)";

fn values(reach: &ExportReach, filter: &ExportFilter) -> [Value; 7] {
    let code = |area: &Option<AreaCode>| area.as_ref().map(AreaCode::to_string).unwrap_or_default();
    [
        i64::from(reach.everything).into(),
        reach.organization.map_or(0, |o| o.0).into(),
        code(&reach.area).into(),
        code(&filter.area).into(),
        filter.program.map_or(0, |p| p.0).into(),
        filter.item.map_or(0, |i| i.0).into(),
        i64::try_from(filter.most).unwrap_or(i64::MAX).into(),
    ]
}

impl Store {
    /// Lines of claims, by line, at most `filter.most`.
    pub async fn exported_lines(
        &self,
        reach: &ExportReach,
        filter: &ExportFilter,
    ) -> Result<Vec<ExportedLine>, StoreError> {
        let now = self.now().await?;
        let sql = format!(
            "SELECT {PARTIES}, n.required, l.quantity, l.delivered, l.status, c.created_at, l.expires_at
             FROM every_line l JOIN claim c ON c.id = l.claim_id JOIN need n ON n.id = l.need_id
             JOIN area a ON a.id = n.area_id WHERE {REACHED} ORDER BY l.id LIMIT $7"
        );
        let rows: Vec<LineRow> = self.read_all(&sql, values(reach, filter)).await?;
        rows.into_iter()
            .map(|row| {
                let status = ClaimStatus::from_word(&row.status).ok_or_else(|| StoreError::corrupt("status"))?;
                let expires_at = row.expires_at.map(Moment);
                let due = status == ClaimStatus::Held && expires_at.is_some_and(|at| at <= now);
                Ok(ExportedLine {
                    parties: row.parties.into_parties()?,
                    required: quantity(row.required)?,
                    quantity: quantity(row.quantity)?,
                    delivered: quantity(row.delivered)?,
                    status: if due { ClaimStatus::Expired } else { status },
                    created_at: Moment(row.created_at),
                    expires_at,
                })
            })
            .collect()
    }

    /// Lines of trips, by trip and line, at most `filter.most`.
    pub async fn exported_trips(
        &self,
        reach: &ExportReach,
        filter: &ExportFilter,
    ) -> Result<Vec<ExportedTrip>, StoreError> {
        let event = |statuses: &str| {
            format!("(SELECT max(e.at) FROM delivery_event e WHERE e.delivery_id = d.id AND e.status IN ({statuses}))")
        };
        let (delivered, answered) = (event("'DELIVERED'"), event("'ACKNOWLEDGED', 'DISPUTED'"));
        let sql = format!(
            "SELECT {PARTIES}, d.id AS delivery_id, d.status, d.scheduled_for, {delivered} AS delivered_at,
             {answered} AS answered_at, t.quantity, t.accepted, t.rejected
             FROM delivery d JOIN delivery_line t ON t.delivery_id = d.id JOIN claim_line l ON l.id = t.claim_line_id
             JOIN claim c ON c.id = l.claim_id JOIN need n ON n.id = l.need_id JOIN area a ON a.id = n.area_id
             WHERE {REACHED} ORDER BY d.id, l.id LIMIT $7"
        );
        let rows: Vec<TripRow> = self.read_all(&sql, values(reach, filter)).await?;
        rows.into_iter()
            .map(|row| {
                let answer = match (row.accepted, row.rejected) {
                    (Some(accepted), Some(rejected)) => Some((quantity(accepted)?, quantity(rejected)?)),
                    _ => None,
                };
                Ok(ExportedTrip {
                    parties: row.parties.into_parties()?,
                    delivery: DeliveryId(row.delivery_id),
                    status: DeliveryStatus::from_word(&row.status).ok_or_else(|| StoreError::corrupt("status"))?,
                    scheduled_for: row.scheduled_for.as_deref().map(day).transpose()?,
                    delivered_at: row.delivered_at.map(Moment),
                    answered_at: row.answered_at.map(Moment),
                    quantity: quantity(row.quantity)?,
                    answer,
                })
            })
            .collect()
    }
}
