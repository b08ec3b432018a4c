//! Match plans: which needs an offered quantity should go to, and how good any answer can be.
//!
//! The door is [`plan`]: a pure function from candidates and an [`Ask`] to a [`Plan`]. Nothing
//! is held by a plan; the ledger alone decides what is still free when it is claimed.
//!
//! A plan gives each need `q` whole units, at most what is free of it, at most the asked
//! quantity in all and in at most `max_areas` areas. Each policy says what `q` units are worth
//! to one need, and a plan's value is the sum over its lines ([`Policy`] holds the formulas).
//! All of them are concave: the next unit to one need is never worth more than the one before.
//!
//! Without a limit on areas the plan is optimal, since handing out single units in the order
//! of their worth maximises a sum of concave functions; its `bound` is its value. With one, the
//! areas are chosen by price (see `areas`), which is quick and good but not always best, and
//! `bound` is a proven ceiling.
//!
//! Absent on purpose: who may see a need, what an offer's conditions are, where areas lie.
//! The caller passes in the candidates that remain.

mod areas;
mod fill;
mod reason;
mod worth;

#[cfg(test)]
mod tests;

pub use reason::{Locale, Reason};

use crate::domain::ids::{AreaId, NeedId};
use crate::domain::need::Severity;
use crate::domain::quantity::Quantity;
use fill::{Grant, Slot};
use std::cmp::Reverse;
use std::collections::HashMap;
use worth::Worth;

/// A need that the plan may serve. Each need appears at most once among the candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    pub need: NeedId,
    pub area: AreaId,
    /// The area's code; ties go to the lower code, then to the lower need id.
    pub code: &'a str,
    /// What may be given; counts at most up to `required - allocated`.
    pub free: Quantity,
    pub required: Quantity,
    pub allocated: Quantity,
    pub severity: Severity,
    /// Metres from where the goods start. `None`, or what is not a number: unknown.
    pub distance_m: Option<f64>,
}

/// What a plan maximises. `q` stands for the units a line gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// `q x severity`: a unit for a critical need (5) is worth five for a low one (1). Among
    /// equal severities the larger unmet need comes first, as in the list of needs.
    Priority,
    /// `required x ((1 - before)^2 - (1 - after)^2)`, where `before` and `after` are the shares
    /// of the requirement that are spoken for: the less of a need is served, the more its next
    /// unit is worth, so that the least served are lifted first, towards one common share.
    Equity,
    /// `q / (1 + distance / 1 km)`: a unit handed over a kilometre away is worth half of one at
    /// the doorstep. The factor is kept in steps of 2^-20 and never below one step, which is also
    /// its value where the distance is unknown.
    Nearest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub quantity: Quantity,
    pub policy: Policy,
    /// At most so many distinct areas; `None`: as many as it takes.
    pub max_areas: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PlanLine {
    pub need: NeedId,
    /// At least one unit.
    pub quantity: Quantity,
    pub reason: Reason,
}

/// A proposal. `quantity + unplaced` is what was asked; `value <= bound`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In the order in which the policy serves them; each need at most once.
    pub lines: Vec<PlanLine>,
    pub quantity: Quantity,
    pub unplaced: Quantity,
    /// What the plan reaches, as [`Policy`] defines it.
    pub value: f64,
    /// What no feasible plan exceeds, up to the rounding of a sum of doubles. Equal to `value`
    /// where the plan is known to be optimal.
    pub bound: f64,
    /// Distinct areas among the lines.
    pub areas: usize,
}

/// Plans `ask` over `candidates`, in O(n log n) whatever the size of the quantities.
pub fn plan(candidates: &[Candidate<'_>], ask: &Ask) -> Plan {
    let (slots, area_count) = slots(candidates, ask);
    let quantity = ask.quantity.get();
    let everywhere: Vec<usize> = (0..slots.len()).collect();
    let mut grants = fill::fill(&slots, &everywhere, quantity);
    let mut value = fill::value(&slots, &grants);
    let mut bound = value;
    let limit = ask.max_areas.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    if fill::areas(&slots, &grants) > limit {
        let choice = areas::choose(&slots, area_count, limit, quantity);
        grants = choice.grants;
        value = fill::value(&slots, &grants);
        // The guard is for rounding only: both sides are sums of doubles.
        bound = bound.min(choice.bound).max(value);
    }
    finish(candidates, ask, &slots, grants, value, bound)
}

/// The candidates that can take anything, in the order in which the policy serves equals, and
/// the number of distinct areas among them. Areas are numbered in the order of their codes.
fn slots(candidates: &[Candidate<'_>], ask: &Ask) -> (Vec<Slot>, usize) {
    let cap = |c: &Candidate<'_>| c.free.min(c.required.saturating_sub(c.allocated)).min(ask.quantity).get();
    let mut order: Vec<usize> = (0..candidates.len()).filter(|i| cap(&candidates[*i]) > 0).collect();
    order.sort_unstable_by_key(|i| (candidates[*i].code, candidates[*i].need));

    let mut areas: HashMap<AreaId, usize> = HashMap::new();
    let mut slots: Vec<Slot> = order
        .into_iter()
        .map(|candidate| {
            let c = &candidates[candidate];
            let next = areas.len();
            Slot { candidate, area: *areas.entry(c.area).or_insert(next), cap: cap(c), worth: Worth::of(c, ask.policy) }
        })
        .collect();
    // Stable sorts: what they leave equal stays in the order of codes and ids.
    match ask.policy {
        Policy::Priority => slots.sort_by_key(|s| {
            let c = &candidates[s.candidate];
            (Reverse(c.severity), Reverse(c.required.saturating_sub(c.allocated)))
        }),
        Policy::Equity => {}
        Policy::Nearest => slots.sort_by(|a, b| {
            let metres = |s: &Slot| worth::known(candidates[s.candidate].distance_m).unwrap_or(f64::INFINITY);
            metres(a).total_cmp(&metres(b))
        }),
    }
    (slots, areas.len())
}

fn finish(
    candidates: &[Candidate<'_>],
    ask: &Ask,
    slots: &[Slot],
    mut grants: Vec<Grant>,
    value: f64,
    bound: f64,
) -> Plan {
    let candidate = |g: &Grant| &candidates[slots[g.slot].candidate];
    grants.sort_unstable_by_key(|g| g.slot);
    if ask.policy == Policy::Equity {
        // The least served first: a/b < c/d as a*d < c*b, exact in 128 bits.
        let wide = |q: Quantity| i128::from(q.get());
        grants.sort_by(|x, y| {
            let (x, y) = (candidate(x), candidate(y));
            (wide(x.allocated) * wide(y.required)).cmp(&(wide(y.allocated) * wide(x.required)))
        });
    }
    let areas = fill::areas(slots, &grants);
    let mut placed = Quantity::ZERO;
    let mut lines = Vec::with_capacity(grants.len());
    for grant in &grants {
        // A grant lies between one and the asked quantity, and so does their sum.
        let Some((quantity, sum)) =
            Quantity::new(grant.units).ok().and_then(|q| placed.checked_add(q).map(|sum| (q, sum)))
        else {
            continue;
        };
        placed = sum;
        let c = candidate(grant);
        let reason = Reason::of(c, ask.policy, quantity, lines.len() + 1);
        lines.push(PlanLine { need: c.need, quantity, reason });
    }
    Plan { lines, quantity: placed, unplaced: ask.quantity.saturating_sub(placed), value, bound, areas }
}
