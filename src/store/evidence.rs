//! What auditors read beside the findings: the records that a finding rests on, how many findings stand where, and
//! what the log says of one area.

use super::audit::{AreaHistory, HistoryPlace, entries_of};
use super::chain::lines_of_needs;
use super::error::StoreError;
use super::rows::{ids, period, quantity};
use super::{OverlapFilter, Store};
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::calendar::Moment;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::evidence::{Evidence, HandOver, Told};
use crate::domain::ids::{AreaId, ClaimId, ClaimLineId, DeliveryId, DistributionId, ItemId, OrganizationId, ProgramId};
use crate::domain::overlap::{OverlapKind, OverlapStatus, Source};
use sea_orm::FromQueryResult;
use std::collections::{BTreeSet, HashMap};

#[derive(FromQueryResult)]
struct LineRow {
    id: i64,
    claim_id: i64,
    area_id: i64,
    program_id: i64,
    item_id: i64,
    organization_id: i64,
    executor_id: i64,
    opening: i64,
    delivered: i64,
    period_start: String,
    period_end: String,
}

#[derive(FromQueryResult)]
struct OutsideRow {
    id: i64,
    external_id: String,
    source: String,
    organization_id: i64,
    area_id: i64,
    program_id: i64,
    item_id: i64,
    quantity: i64,
    period_start: String,
    period_end: String,
}

#[derive(FromQueryResult)]
struct HandOverRow {
    line_id: i64,
    delivery_id: i64,
    status: String,
    at: i64,
    quantity: i64,
    accepted: Option<i64>,
    rejected: Option<i64>,
}

impl HandOverRow {
    fn into_hand_over(self) -> Result<HandOver, StoreError> {
        let answer = match (self.accepted, self.rejected) {
            (Some(accepted), Some(rejected)) => Some((quantity(accepted)?, quantity(rejected)?)),
            _ => None,
        };
        Ok(HandOver {
            delivery: DeliveryId(self.delivery_id),
            status: DeliveryStatus::from_word(&self.status).ok_or_else(|| StoreError::corrupt("status"))?,
            at: Moment(self.at),
            quantity: quantity(self.quantity)?,
            answer,
        })
    }
}

/// Findings of one status below one area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlapCount {
    pub area: AreaCode,
    pub status: OverlapStatus,
    pub findings: i64,
}

/// How far down a code reaches to name an area of the level.
fn code_length(level: AreaLevel) -> usize {
    match level {
        AreaLevel::Province => 2,
        AreaLevel::City => 5,
        AreaLevel::District => 8,
        AreaLevel::Village => 13,
        AreaLevel::Rw => 17,
        AreaLevel::Rt => 21,
    }
}

impl Store {
    /// The records of those that are there, in no particular order.
    pub async fn evidence(&self, wanted: &[Source]) -> Result<Vec<Evidence>, StoreError> {
        let (mut lines, mut outside) = (BTreeSet::new(), BTreeSet::new());
        for source in wanted {
            match source {
                Source::ClaimLine(id) | Source::Opening(id) => lines.insert(id.0),
                Source::Outside(id) => outside.insert(id.0),
            };
        }
        let mut found = Vec::with_capacity(wanted.len());
        if !lines.is_empty() {
            self.lines_as_evidence(lines, &mut found).await?;
        }
        if !outside.is_empty() {
            self.outside_as_evidence(outside, &mut found).await?;
        }
        Ok(found)
    }

    async fn lines_as_evidence(&self, lines: BTreeSet<i64>, found: &mut Vec<Evidence>) -> Result<(), StoreError> {
        let (set, wanted) = (self.dialect.numbers("$1"), ids(lines));
        let rows: Vec<LineRow> = self
            .read_all(
                &format!(
                    "SELECT l.id, l.claim_id, n.area_id, n.program_id, n.item_id, c.organization_id, c.executor_id,
                     c.opening, l.delivered, n.period_start, n.period_end
                     FROM claim_line l JOIN claim c ON c.id = l.claim_id JOIN need n ON n.id = l.need_id
                     WHERE l.id {set}"
                ),
                [wanted.clone()],
            )
            .await?;
        let trips: Vec<HandOverRow> = self
            .read_all(
                &format!(
                    "SELECT t.claim_line_id AS line_id, t.delivery_id, d.status, MIN(e.at) AS at, t.quantity, t.accepted,
                     t.rejected FROM delivery_line t JOIN delivery d ON d.id = t.delivery_id
                     JOIN delivery_event e ON e.delivery_id = d.id AND e.status IN ('DELIVERED', 'ACKNOWLEDGED', 'DISPUTED')
                     WHERE d.status IN ('DELIVERED', 'ACKNOWLEDGED', 'DISPUTED') AND t.claim_line_id {set}
                     GROUP BY t.claim_line_id, t.delivery_id, d.status, t.quantity, t.accepted, t.rejected
                     ORDER BY MIN(e.at), t.delivery_id"
                ),
                [wanted],
            )
            .await?;
        let mut trips_of: HashMap<i64, Vec<HandOver>> = HashMap::new();
        for trip in trips {
            trips_of.entry(trip.line_id).or_default().push(trip.into_hand_over()?);
        }
        for row in rows {
            let line = ClaimLineId(row.id);
            let opening = row.opening != 0;
            found.push(Evidence {
                source: if opening { Source::Opening(line) } else { Source::ClaimLine(line) },
                area: AreaId(row.area_id),
                program: ProgramId(row.program_id),
                item: ItemId(row.item_id),
                giver: (!opening).then_some(OrganizationId(row.organization_id)),
                carrier: (!opening).then_some(OrganizationId(row.executor_id)),
                quantity: quantity(row.delivered)?,
                period: period(&row.period_start, &row.period_end)?,
                claim: Some(ClaimId(row.claim_id)),
                told: None,
                hand_overs: trips_of.remove(&row.id).unwrap_or_default(),
            });
        }
        Ok(())
    }

    async fn outside_as_evidence(&self, outside: BTreeSet<i64>, found: &mut Vec<Evidence>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT d.id, d.external_id, d.source, d.organization_id, d.area_id, i.program_id, d.item_id, d.quantity,
             d.period_start, d.period_end FROM distribution d JOIN item i ON i.id = d.item_id WHERE d.id {}",
            self.dialect.numbers("$1")
        );
        let rows: Vec<OutsideRow> = self.read_all(&sql, [ids(outside)]).await?;
        for row in rows {
            found.push(Evidence {
                source: Source::Outside(DistributionId(row.id)),
                area: AreaId(row.area_id),
                program: ProgramId(row.program_id),
                item: ItemId(row.item_id),
                giver: Some(OrganizationId(row.organization_id)),
                carrier: None,
                quantity: quantity(row.quantity)?,
                period: period(&row.period_start, &row.period_end)?,
                claim: None,
                told: Some(Told { source: row.source, external_id: row.external_id }),
                hand_overs: Vec::new(),
            });
        }
        Ok(())
    }

    /// How many findings stand below each area of the level, by code and status; areas without any are left out. A
    /// finding of an area above the level is in no count.
    pub async fn overlap_counts(
        &self,
        level: AreaLevel,
        filter: &OverlapFilter,
    ) -> Result<Vec<OverlapCount>, StoreError> {
        #[derive(FromQueryResult)]
        struct Row {
            code: String,
            status: String,
            findings: i64,
        }
        let words = |words: Vec<&str>| serde_json::Value::from(words).to_string();
        let kinds = if filter.kinds.is_empty() { OverlapKind::ALL.to_vec() } else { filter.kinds.clone() };
        let area = filter.area.as_ref().map(AreaCode::to_string).unwrap_or_default();
        let (length, kind_set) = (code_length(level), self.dialect.texts("$1"));
        let sql = format!(
            "SELECT substr(a.code, 1, {length}) AS code, o.status, count(*) AS findings
             FROM overlap o JOIN area a ON a.id = o.area_id
             WHERE o.withdrawn = 0 AND o.kind {kind_set} AND length(a.code) >= {length}
             AND ($2 = '' OR a.code = $2 OR a.code LIKE $2 || '.%')
             GROUP BY substr(a.code, 1, {length}), o.status ORDER BY 1, 2"
        );
        let kinds = words(kinds.iter().map(|k| k.word()).collect());
        let rows: Vec<Row> = self.read_all(&sql, [kinds.into(), area.into()]).await?;
        rows.into_iter()
            .map(|row| {
                Ok(OverlapCount {
                    area: row.code.parse().map_err(|_| StoreError::corrupt("area code"))?,
                    status: OverlapStatus::from_word(&row.status).ok_or_else(|| StoreError::corrupt("status"))?,
                    findings: row.findings,
                })
            })
            .collect()
    }

    /// The entries of all records of an area and of those below it, oldest first: needs, the claims and trips that serve
    /// them, aid from outside, findings. A claim that reaches beyond the area shows its own entries, and of its lines
    /// those of the area.
    pub async fn area_history(
        &self,
        area: &AreaCode,
        after: HistoryPlace,
        most: usize,
    ) -> Result<AreaHistory, StoreError> {
        #[derive(FromQueryResult)]
        struct SubjectRow {
            kind: String,
            id: i64,
        }
        let subjects: Vec<SubjectRow> = self
            .read_all(
                &format!(
                    "WITH here AS (SELECT id FROM area WHERE code = $1 OR code LIKE $1 || '.%'),
                     wanted AS (SELECT n.id FROM need n JOIN here ON here.id = n.area_id),
                     promised AS ({})
                     SELECT 'need' AS kind, id FROM wanted
                     UNION SELECT 'line', id FROM promised
                     UNION SELECT 'claim', claim_id FROM promised
                     UNION SELECT 'delivery', t.delivery_id FROM delivery_line t
                         JOIN promised ON promised.id = t.claim_line_id
                     UNION SELECT 'overlap', o.id FROM overlap o JOIN here ON here.id = o.area_id
                     UNION SELECT 'distribution', d.id FROM distribution d JOIN here ON here.id = d.area_id",
                    lines_of_needs("n.id IN (SELECT id FROM wanted)")
                ),
                [area.as_str().into()],
            )
            .await?;
        let subjects: BTreeSet<String> = subjects.iter().map(|row| format!("{}-{}", row.kind, row.id)).collect();
        entries_of(self, &subjects, after, most).await
    }
}
