//! Who helps in an area, line by line, and who reported a need.

use super::Store;
use super::chain::{IN_AREA, lines_of_needs};
use super::error::StoreError;
use super::rows::{IdRow, LineRow, day, ids, quantity};
use crate::domain::area::AreaCode;
use crate::domain::calendar::Moment;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::help::{HelpLine, HelpTrip};
use crate::domain::ids::{NeedId, OrganizationId, UserId};
use sea_orm::FromQueryResult;
use std::collections::HashMap;

#[derive(FromQueryResult)]
struct GiverRow {
    #[sea_orm(nested)]
    line: LineRow,
    organization_id: i64,
    executor_id: i64,
}

#[derive(FromQueryResult)]
struct TripRow {
    claim_line_id: i64,
    quantity: i64,
    accepted: Option<i64>,
    status: String,
    scheduled_for: Option<String>,
    arrived: Option<i64>,
}

impl Store {
    /// Lines that stand over verified needs of the area and of all below it, the latest first, at most `most`, with
    /// their trips. Who may be told of them is the caller's business.
    pub async fn help_in(&self, area: &AreaCode, most: i64) -> Result<Vec<HelpLine>, StoreError> {
        let givers: Vec<GiverRow> = self
            .read_all(
                &format!(
                    "SELECT l.*, c.organization_id, c.executor_id FROM ({}) AS l JOIN claim c ON c.id = l.claim_id
                     WHERE c.opening = 0 AND l.status IN ('HELD', 'CONFIRMED', 'FULFILLED')
                     ORDER BY l.id DESC LIMIT $3",
                    lines_of_needs(&format!("{IN_AREA} AND n.status = 'VERIFIED'"))
                ),
                [area.as_str().into(), format!("{area}.%").into(), most.into()],
            )
            .await?;
        let wanted = ids(givers.iter().map(|giver| giver.line.id));
        let set = self.dialect.numbers("$1");
        let sql = format!(
            "SELECT t.claim_line_id, t.quantity, t.accepted, d.status, d.scheduled_for,
             (SELECT MIN(e.at) FROM delivery_event e WHERE e.delivery_id = d.id AND e.status = 'DELIVERED') AS arrived
             FROM delivery_line t JOIN delivery d ON d.id = t.delivery_id
             WHERE d.status <> 'CANCELLED' AND t.claim_line_id {set}"
        );
        let mut trips: HashMap<i64, Vec<HelpTrip>> = HashMap::new();
        for row in self.read_all::<TripRow, 1>(&sql, [wanted]).await? {
            trips.entry(row.claim_line_id).or_default().push(HelpTrip {
                status: DeliveryStatus::from_word(&row.status).ok_or_else(|| StoreError::corrupt("status"))?,
                scheduled_for: row.scheduled_for.as_deref().map(day).transpose()?,
                quantity: quantity(row.quantity)?,
                accepted: row.accepted.map(quantity).transpose()?,
                arrived: row.arrived.map(Moment),
            });
        }
        let help = givers.into_iter().map(|giver| {
            let line = giver.line.into_line()?;
            Ok(HelpLine {
                organization: OrganizationId(giver.organization_id),
                executor: OrganizationId(giver.executor_id),
                line,
                trips: trips.remove(&line.id.0).unwrap_or_default(),
            })
        });
        help.collect()
    }

    /// Those of the needs that the user has reported.
    pub async fn reported_among(&self, user: UserId, needs: &[NeedId]) -> Result<Vec<NeedId>, StoreError> {
        let sql = format!("SELECT id FROM need WHERE reported_by = $2 AND id {}", self.dialect.numbers("$1"));
        let rows: Vec<IdRow> = self.read_all(&sql, [ids(needs.iter().map(|n| n.0)), user.0.into()]).await?;
        Ok(rows.into_iter().map(|row| NeedId(row.id)).collect())
    }
}
