//! Handing out units where the number of areas is no concern: exact, and without counting
//! units one by one.

use super::worth::{ONE, Worth};

/// A candidate that can take something. Among units of equal worth the earlier slot is served first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// Index among the caller's candidates.
    pub(super) candidate: usize,
    /// Areas are numbered from zero.
    pub(super) area: usize,
    /// At least one, at most the asked quantity.
    pub(super) cap: i64,
    pub(super) worth: Worth,
}

/// At least one unit for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) slot: usize,
    pub(super) units: i64,
}

/// Hands `quantity` out among `members` (ascending slots of one policy) so that no other way of
/// doing so is worth more.
pub(super) fn fill(slots: &[Slot], members: &[usize], quantity: i64) -> Vec<Grant> {
    if members.iter().any(|m| matches!(slots[*m].worth, Worth::Falling { .. })) {
        level(slots, members, quantity)
    } else {
        in_turn(slots, members, quantity)
    }
}

/// For flat worths: slots stand in the order of their weights, so each takes what it can.
fn in_turn(slots: &[Slot], members: &[usize], quantity: i64) -> Vec<Grant> {
    let mut left = quantity;
    let mut grants = Vec::new();
    for &slot in members {
        if left == 0 {
            break;
        }
        let units = slots[slot].cap.min(left);
        left -= units;
        grants.push(Grant { slot, units });
    }
    grants
}

/// For falling worths: finds the worth at which the quantity runs out, by halving, and gives
/// everybody the units above it.
fn level(slots: &[Slot], members: &[usize], quantity: i64) -> Vec<Grant> {
    let grants = |units: &dyn Fn(&Slot) -> i64| -> Vec<Grant> {
        members.iter().map(|&slot| Grant { slot, units: units(&slots[slot]) }).filter(|grant| grant.units > 0).collect()
    };
    let total = |price: i128, point: u32| -> i128 {
        members.iter().map(|&m| i128::from(slots[m].worth.units_at(price, point, slots[m].cap))).sum()
    };
    let largest = members.iter().map(|&m| required(&slots[m])).max().unwrap_or(1);
    // One step of the price, 2^-point, is finer than the 2 / required between two units of one
    // slot: at most one unit of each slot lies within a step.
    let point = 64 - largest.leading_zeros();
    let (mut low, mut high) = (0_i128, 1_i128 << (point + 1));
    if total(low, point) <= i128::from(quantity) {
        return grants(&|s| s.cap);
    }
    while high - low > 1 {
        let middle = (low + high) / 2;
        if total(middle, point) > i128::from(quantity) {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Above the step everybody is served; within it the best units are, one per slot.
    let mut marginal: Vec<usize> = members
        .iter()
        .copied()
        .filter(|&m| {
            let s = &slots[m];
            s.worth.units_at(low, point, s.cap) > s.worth.units_at(high, point, s.cap)
        })
        .collect();
    marginal.sort_by(|&a, &b| {
        let (a, b) = (next_unit(&slots[a], high, point), next_unit(&slots[b], high, point));
        (b.0 * a.1).cmp(&(a.0 * b.1))
    });
    let rest = i128::from(quantity) - total(high, point);
    marginal.truncate(usize::try_from(rest).unwrap_or(usize::MAX));
    marginal.sort_unstable();
    members
        .iter()
        .map(|&slot| {
            let s = &slots[slot];
            let extra = i64::from(marginal.binary_search(&slot).is_ok());
            Grant { slot, units: s.worth.units_at(high, point, s.cap) + extra }
        })
        .filter(|grant| grant.units > 0)
        .collect()
}

fn required(slot: &Slot) -> i64 {
    match slot.worth {
        Worth::Flat { .. } => 1,
        Worth::Falling { required, .. } => required,
    }
}

/// What the first unit not worth `price` is worth, as a fraction.
fn next_unit(slot: &Slot, price: i128, point: u32) -> (i128, i128) {
    match slot.worth {
        Worth::Flat { weight } => (i128::from(weight), i128::from(ONE)),
        Worth::Falling { unmet, required } => {
            let left = unmet - slot.worth.units_at(price, point, slot.cap);
            (2 * i128::from(left) - 1, i128::from(required))
        }
    }
}

/// The value of the grants as the policy defines it.
pub(super) fn value(slots: &[Slot], grants: &[Grant]) -> f64 {
    let mut flat = 0_i128;
    let mut falling = 0.0;
    for grant in grants {
        let q = i128::from(grant.units);
        match slots[grant.slot].worth {
            Worth::Flat { weight } => flat += q * i128::from(weight),
            Worth::Falling { unmet, required } => falling += (q * (2 * i128::from(unmet) - q)) as f64 / required as f64,
        }
    }
    to_value(flat) + falling
}

/// From steps of 2^-20; keeps the order of its arguments.
pub(super) fn to_value(steps: i128) -> f64 {
    steps as f64 / ONE as f64
}

/// Distinct areas among the grants.
pub(super) fn areas(slots: &[Slot], grants: &[Grant]) -> usize {
    let mut areas: Vec<usize> = grants.iter().map(|g| slots[g.slot].area).collect();
    areas.sort_unstable();
    areas.dedup();
    areas.len()
}
