//! Choosing areas where only so many stops can be made, and a ceiling on what any choice
//! reaches.
//!
//! **The bound.** Put a price `p >= 0` on each unit. A plan that gives `n <= Q` units in a set
//! `S` of at most `k` areas is worth `p n + (value - p n)`, which is at most `p Q` plus, over
//! the areas in `S`, what each of its needs gains at most above the price. The sum over `S` is at most
//! that of the `k` areas with the largest gains, so `p Q + those k gains` is a ceiling for every
//! plan, at every price; the least one found counts. Likewise the plan is worth no more than the
//! `k` largest values that single areas reach when each may have all of `Q`. Gains and values are
//! rounded up.
//!
//! **The choice.** At a low price the best `k` areas want more than `Q`, at a high one less; the price
//! in between, found by halving, is where the bound is least and where the choice of areas fits the
//! quantity. The areas chosen just below and just above it, and those with the largest values of
//! their own, are filled exactly, and the most valuable plan wins.

use super::fill::{self, Grant, Slot};
use super::worth::{ONE, POINT, Worth};
use std::cmp::Reverse;

pub(super) struct Choice {
    pub(super) grants: Vec<Grant>,
    pub(super) bound: f64,
}

/// The best plan found in at most `limit` of the areas numbered `0..count`.
pub(super) fn choose(slots: &[Slot], count: usize, limit: usize, quantity: i64) -> Choice {
    if limit == 0 {
        return Choice { grants: Vec::new(), bound: 0.0 };
    }
    let alone = values_alone(slots, count, quantity);
    let by_value = largest(&alone, &alone, limit);
    let mut bound: i128 = by_value.iter().map(|&a| alone[a]).sum();

    let mut choices = vec![by_value];
    let (mut low, mut high) = (0_i128, ceiling(slots));
    let mut below = at_price(slots, &alone, limit, low);
    let mut above = None;
    bound = bound.min(below.gain);
    while high - low > 1 {
        let middle = (low + high) / 2;
        let at = at_price(slots, &alone, limit, middle);
        bound = bound.min(middle * i128::from(quantity) + at.gain);
        if at.units > i128::from(quantity) {
            low = middle;
            below = at;
        } else {
            high = middle;
            above = Some(at);
        }
    }
    choices.push(below.areas);
    choices.extend(above.map(|at| at.areas));

    let mut best: Option<(f64, Vec<Grant>)> = None;
    for areas in choices {
        let mut chosen = vec![false; count];
        areas.iter().for_each(|&a| chosen[a] = true);
        let members: Vec<usize> = (0..slots.len()).filter(|&s| chosen[slots[s].area]).collect();
        let grants = fill::fill(slots, &members, quantity);
        let value = fill::value(slots, &grants);
        if best.as_ref().is_none_or(|(most, _)| value > *most) {
            best = Some((value, grants));
        }
    }
    Choice { grants: best.map(|(_, grants)| grants).unwrap_or_default(), bound: fill::to_value(bound) }
}

/// What each area is worth when it may have the whole quantity, in 2^-20, rounded up.
fn values_alone(slots: &[Slot], count: usize, quantity: i64) -> Vec<i128> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (s, slot) in slots.iter().enumerate() {
        members[slot.area].push(s);
    }
    members
        .iter()
        .map(|members| fill::fill(slots, members, quantity).iter().map(|g| slots[g.slot].worth.upper(g.units)).sum())
        .collect()
}

struct AtPrice {
    /// The `limit` areas that gain most above the price.
    areas: Vec<usize>,
    /// What they gain together, in 2^-20, rounded up.
    gain: i128,
    /// The units they want at that price.
    units: i128,
}

fn at_price(slots: &[Slot], alone: &[i128], limit: usize, price: i128) -> AtPrice {
    let mut gains = vec![0_i128; alone.len()];
    let mut units = vec![0_i128; alone.len()];
    for slot in slots {
        let wanted = slot.worth.units_at(price, POINT, slot.cap);
        if wanted > 0 {
            gains[slot.area] += slot.worth.upper(wanted) - price * i128::from(wanted);
            units[slot.area] += i128::from(wanted);
        }
    }
    let areas = largest(&gains, alone, limit);
    AtPrice { gain: areas.iter().map(|&a| gains[a]).sum(), units: areas.iter().map(|&a| units[a]).sum(), areas }
}

/// The `limit` areas with the largest gains; ties by `alone`, then by the lower number.
fn largest(gains: &[i128], alone: &[i128], limit: usize) -> Vec<usize> {
    let mut areas: Vec<usize> = (0..gains.len()).collect();
    if limit < areas.len() {
        areas.select_nth_unstable_by_key(limit, |&a| (Reverse(gains[a]), Reverse(alone[a]), a));
        areas.truncate(limit);
    }
    areas
}

/// A price above what any unit is worth, in 2^-20.
fn ceiling(slots: &[Slot]) -> i128 {
    let worth = slots.iter().map(|s| match s.worth {
        Worth::Flat { weight } => weight,
        Worth::Falling { .. } => 2 * ONE,
    });
    i128::from(worth.max().unwrap_or(ONE)) + 1
}
