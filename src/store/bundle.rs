//! The lines of a claim lie together in its own row, until one of them moves.
//!
//! A claim makes up to hundreds of lines, all held until the same moment, and most of what they cost is that each is a
//! row with places in three indexes. So a new claim writes none: its row holds their needs and quantities. Whoever moves
//! a line of it unbundles the claim before, in the same transaction ([`unbundle`]); from then on its lines are rows like
//! others. No line changes by that, not even its number.
//!
//! Who reads finds lines in both forms: `bundled_line` shows those in bundles, [`lines`] asks for both under one
//! condition, and the view `every_line` is for those who want them all. Along the chain of a need they are found by
//! their numbers (see `chain`).
//!
//! Invariants:
//! - a line is in its claim's bundle or a row of its own, never both;
//! - what lies in a bundle is held, has moved nothing, and is at its first version;
//! - who unbundles holds the lock of a need of the claim, and takes the claim's before it reads lines.

use super::error::StoreError;
use super::ledger::expect_rows;
use super::rows::{IdRow, LINE_COLUMNS, ids, quantity};
use super::write::Tx;
use crate::domain::calendar::Moment;
use crate::domain::claim::{ClaimLine, ClaimStatus};
use crate::domain::ids::{ClaimId, ClaimLineId, NeedId};
use crate::domain::quantity::Quantity;
use crate::planted::planted;
use sea_orm::Value;
use std::collections::BTreeSet;

/// Numbers of lines begin here that were made in a bundle; below it are those that a sequence gives.
pub(super) const FIRST: i64 = 1 << 40;
/// Numbers that are kept for the lines of one claim.
pub(super) const PLACES: i64 = 1 << 10;

/// The number of the line at a place of a claim's bundle.
pub(super) fn line_at(claim: ClaimId, place: usize) -> Result<ClaimLineId, StoreError> {
    let full = || StoreError::Fault(format!("{claim} has no number for a line"));
    let place = i64::try_from(place).ok().filter(|place| *place < PLACES).ok_or_else(full)?;
    let number = claim.0.checked_mul(PLACES).and_then(|first| first.checked_add(FIRST + place));
    number.map(ClaimLineId).ok_or_else(full)
}

/// The claim in whose bundle a line of this number was made.
pub(super) fn claim_of(line: ClaimLineId) -> Option<ClaimId> {
    (line.0 >= FIRST).then(|| ClaimId((line.0 - FIRST) / PLACES))
}

/// A bundle as it is stored: of each line its need, its quantity, and the line on the need before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Bundle(String);

impl Bundle {
    pub fn push(&mut self, need: NeedId, quantity: Quantity, previous: Option<ClaimLineId>) {
        let mut digits = itoa::Buffer::new();
        self.0.push_str(if self.0.is_empty() { "[[" } else { ",[" });
        self.0.push_str(digits.format(need.0));
        self.0.push(',');
        self.0.push_str(digits.format(quantity.get()));
        self.0.push(',');
        self.0.push_str(previous.map_or("null", |line| digits.format(line.0)));
        self.0.push(']');
    }

    pub fn into_text(mut self) -> String {
        self.0.push(']');
        self.0
    }
}

/// The lines in a claim's bundle.
pub(super) fn lines_of(claim: ClaimId, bundle: &str, held_until: Moment) -> Result<Vec<ClaimLine>, StoreError> {
    let held: Vec<(i64, i64, Option<i64>)> =
        serde_json::from_str(bundle).map_err(|_| StoreError::corrupt("bundle of lines"))?;
    let line = |(place, (need, held, _)): (usize, &(i64, i64, Option<i64>))| {
        Ok(ClaimLine {
            id: line_at(claim, place)?,
            claim,
            need: NeedId(*need),
            quantity: quantity(*held)?,
            scheduled: Quantity::ZERO,
            delivered: Quantity::ZERO,
            status: ClaimStatus::Held,
            expires_at: Some(held_until),
            version: 1,
        })
    };
    held.iter().enumerate().map(line).collect()
}

/// The lines of which `condition` is true, in both forms, as a query. It may name columns of lines. Each database finds
/// its way by it to either form; into a view of both SQLite takes no set of numbers along.
pub(super) fn lines(columns: &str, condition: &str) -> String {
    let of = |table: &str| format!("SELECT {columns} FROM {table} WHERE {condition}");
    format!("{} UNION ALL {}", of("claim_line"), of("bundled_line"))
}

/// When the first hold in a bundle ends.
pub(super) const FIRST_END: &str = "SELECT min(held_until) FROM claim WHERE held_until IS NOT NULL";

/// The condition that a hold in a bundle has run out by `moment`. The first look is at the one that ends first: as a
/// rule that is all, and no plan goes over all claims.
pub(super) fn is_due(moment: &str) -> String {
    format!("({FIRST_END}) <= {moment} AND expires_at <= {moment}")
}

/// Makes rows of the lines of claims that are about to move: those whose hold has run out over one of `needs`, whose
/// locks are held, if `some_due`, and those of `claim`.
pub(super) async fn unbundle(
    tx: &mut Tx,
    needs: Value,
    now: Moment,
    some_due: bool,
    claim: Option<ClaimId>,
) -> Result<(), StoreError> {
    let numbers = tx.dialect.numbers("$1");
    let due: Vec<IdRow> = if some_due {
        let sql = format!("SELECT claim_id AS id FROM bundled_line WHERE {} AND need_id {numbers}", is_due("$2"));
        tx.all(&sql, [needs, now.0.into()]).await?
    } else {
        Vec::new()
    };
    let wanted: BTreeSet<i64> = due.into_iter().map(|row| row.id).chain(claim.map(|claim| claim.0)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    // Another need's holder may have been here first.
    let sql =
        format!("SELECT id FROM claim WHERE id {numbers} AND held_until IS NOT NULL ORDER BY id{}", tx.dialect.lock());
    let bundled: Vec<IdRow> = tx.all(&sql, [ids(wanted)]).await?;
    if bundled.is_empty() {
        return Ok(());
    }
    let count = bundled.len();
    let bundled = ids(bundled.into_iter().map(|row| row.id));
    let sql = format!(
        "{} INTO claim_line ({LINE_COLUMNS}, previous_line) SELECT {LINE_COLUMNS}, previous_line FROM bundled_line
         WHERE claim_id {numbers}",
        tx.dialect.insert_many()
    );
    tx.run(&sql, [bundled.clone()]).await?;
    if planted!(BundleLeft) {
        return Ok(());
    }
    let sql = format!("UPDATE claim SET bundle = NULL, held_until = NULL WHERE id {numbers}");
    expect_rows(tx.run(&sql, [bundled]).await?, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_its_claim() {
        for (claim, place) in [(1, 0), (1, 1023), (2, 0), (8_589_934_591_i64, 499)] {
            let line = line_at(ClaimId(claim), place).expect("there is a number");
            assert_eq!(claim_of(line), Some(ClaimId(claim)));
        }
        assert!(line_at(ClaimId(1), 1024).is_err());
        assert!(line_at(ClaimId(i64::MAX / 1024), 0).is_err());
        assert_eq!(claim_of(ClaimLineId(FIRST - 1)), None);
    }
}
