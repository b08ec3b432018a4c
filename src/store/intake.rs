//! Very many new needs at once, each written once and whole.
//!
//! A need that nobody has seen yet has no lock to take and no state to move from: what the ledger would do step
//! by step is worked out beforehand, by the same rules, and written in one go for thousands of needs.

use super::Author;
use super::audit;
use super::batch::{Batch, Kind, Writes};
use super::bundle::FIRST;
use super::dialect::Dialect;
use super::error::StoreError;
use super::ledger::{self, expect_rows};
use super::write::{Tx, column};
use crate::domain::calendar::Moment;
use crate::domain::claim::{ClaimLine, ClaimStatus};
use crate::domain::ids::{ClaimId, ClaimLineId, NeedId};
use crate::domain::need::Need;
use crate::domain::quantity::Quantity;
use crate::domain::rules;

/// A need without an id, at its first version, with nothing allocated yet, and the balance that it opens with.
pub(super) struct NewNeed<'a> {
    pub need: Need,
    pub external_id: Option<&'a str>,
    pub balance: Option<Balance>,
}

pub(super) struct Balance {
    pub claim: ClaimId,
    pub quantity: Quantity,
    pub delivered: Quantity,
    pub status: ClaimStatus,
}

/// Ids that are nobody else's, ascending.
pub(super) async fn draw(tx: &mut Tx, table: &str, count: usize) -> Result<Vec<i64>, StoreError> {
    let corrupt = || StoreError::corrupt("sequence");
    let sql = match tx.dialect {
        Dialect::Postgres => {
            format!("SELECT json_agg(nextval('{table}_id_seq'))::text AS drawn FROM generate_series(1, {count})")
        }
        // The only writer counts by itself; its inserts move the table's own count along, those of lines too far.
        Dialect::Sqlite if table == "claim_line" => {
            format!("SELECT json_array(COALESCE(max(id), 0)) AS drawn FROM claim_line WHERE id < {FIRST}")
        }
        Dialect::Sqlite => {
            format!("SELECT json_array(COALESCE(max(seq), 0)) AS drawn FROM sqlite_sequence WHERE name = '{table}'")
        }
    };
    let row = tx.one(&sql, []).await?.ok_or_else(corrupt)?;
    let drawn: Option<String> = column(&row, "drawn")?;
    let mut ids: Vec<i64> = serde_json::from_str(drawn.as_deref().unwrap_or("[]")).map_err(|_| corrupt())?;
    if tx.dialect == Dialect::Sqlite {
        let last = ids.pop().ok_or_else(corrupt)?;
        ids.extend((last..).skip(1).take(count));
    }
    ids.sort_unstable();
    if ids.len() == count { Ok(ids) } else { Err(corrupt()) }
}

/// Writes the needs with their balances, and one audit entry for each record.
pub(super) async fn insert(
    tx: &mut Tx,
    now: Moment,
    author: Author,
    action: &'static str,
    rows: &[NewNeed<'_>],
) -> Result<(), StoreError> {
    let ids = draw(tx, "need", rows.len()).await?;
    let balances = rows.iter().filter(|row| row.balance.is_some()).count();
    let mut line_ids = match balances {
        0 => Vec::new(),
        some => draw(tx, "claim_line", some).await?,
    }
    .into_iter();
    let (mut needs, mut lines) = (Vec::with_capacity(rows.len()), Vec::with_capacity(balances));
    for (id, row) in ids.into_iter().zip(rows) {
        let mut need = Need { id: NeedId(id), ..row.need };
        if let Some(balance) = &row.balance {
            let line = ClaimLine {
                id: ClaimLineId(line_ids.next().ok_or_else(|| StoreError::corrupt("sequence"))?),
                claim: balance.claim,
                need: need.id,
                quantity: balance.quantity,
                scheduled: Quantity::ZERO,
                delivered: balance.delivered,
                status: balance.status,
                expires_at: None,
                version: 1,
            };
            need.counters = rules::counters_after(need.counters, None, &line)
                .ok_or_else(|| StoreError::Fault(format!("{} would be allocated beyond its requirement", need.id)))?;
            need.last_line = Some(line.id);
            lines.push(line);
        }
        needs.push(need);
    }
    write_needs(tx, &needs, rows).await?;
    let mut writes = Writes::new(tx.dialect);
    add_lines(&mut writes, &lines);
    ledger::log_changes(&mut writes, &needs, now, action);
    audit::write(&mut writes, &audit::pack_imported(now, author, action, &needs, &lines));
    tx.write(writes).await?;
    tx.has_written(rows.len());
    Ok(())
}

async fn write_needs(tx: &mut Tx, needs: &[Need], rows: &[NewNeed<'_>]) -> Result<(), StoreError> {
    let mut batch = Batch::new([
        ("id", Kind::Int),
        ("area_id", Kind::Int),
        ("program_id", Kind::Int),
        ("item_id", Kind::Int),
        ("period_start", Kind::Plain),
        ("period_end", Kind::Plain),
        ("required", Kind::Int),
        ("reserved", Kind::Int),
        ("delivered", Kind::Int),
        ("severity", Kind::Int),
        ("status", Kind::Plain),
        ("external_id", Kind::Text),
        ("first_right_until", Kind::Int),
        ("last_line", Kind::Int),
    ]);
    for (need, row) in needs.iter().zip(rows) {
        batch.push([
            need.id.0.into(),
            need.area.0.into(),
            need.program.0.into(),
            need.item.0.into(),
            need.period.start.to_string().into(),
            need.period.end.to_string().into(),
            need.counters.required().get().into(),
            need.counters.reserved().get().into(),
            need.counters.delivered().get().into(),
            i64::from(need.severity.get()).into(),
            need.status.word().into(),
            row.external_id.into(),
            need.first_right_until.map(|m| m.0).into(),
            need.last_line.map(|line| line.0).into(),
        ]);
    }
    let sql = |source: &str| {
        format!(
            "INSERT INTO need (id, area_id, program_id, item_id, period_start, period_end, required, reserved, delivered,
             severity, status, external_id, first_right_until, last_line, version)
             SELECT id, area_id, program_id, item_id, period_start, period_end, required, reserved, delivered, severity,
             status, external_id, first_right_until, last_line, 1 FROM {source}"
        )
    };
    expect_rows(tx.run_batch(&batch, sql).await?, needs.len())
}

fn add_lines(writes: &mut Writes, lines: &[ClaimLine]) {
    let mut batch = Batch::new([
        ("id", Kind::Int),
        ("claim_id", Kind::Int),
        ("need_id", Kind::Int),
        ("quantity", Kind::Int),
        ("delivered", Kind::Int),
        ("status", Kind::Plain),
    ]);
    for line in lines {
        batch.push([
            line.id.0.into(),
            line.claim.0.into(),
            line.need.0.into(),
            line.quantity.get().into(),
            line.delivered.get().into(),
            line.status.word().into(),
        ]);
    }
    writes.add(&batch, |source| {
        format!(
            "INSERT INTO claim_line (id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version)
             SELECT id, claim_id, need_id, quantity, 0, delivered, status, NULL, 1 FROM {source}"
        )
    });
}
