//! What needs add up to at every area above them, and how urgent the most urgent of them is.
//!
//! Kept for areas with many slots below them, as [`Ground::kept`] says; in smaller ones the needs are counted
//! when somebody asks. One such list is kept of the needs as they are, and one of the needs as the public
//! sees them.

use super::board::{Board, Held};
use super::ground::Ground;
use super::query::Sums;
use crate::domain::area::AreaLevel;
use crate::domain::need::NeedStatus;
use crate::domain::quantity::{MAX_QUANTITY, Quantity};
use std::ops::Range;

/// Stands for all items where a tally is asked for.
pub(super) const ALL_ITEMS: u32 = u32::MAX;

/// What some needs add up to. Quantities are sums over possibly many items; whoever shows them knows of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    required: i128,
    allocated: i128,
    delivered: i128,
    /// The greatest [`urgency`]; zero where there is no need.
    pub top: u64,
    /// The same of the unserved ones.
    pub top_unserved: u64,
    pub needs: u32,
    pub unserved: u32,
    /// Areas with an unserved need of their own.
    pub unserved_areas: u32,
}

/// How urgent a need is, greater where more: by severity, then by what is unmet. Never zero.
pub(super) fn urgency(held: &Held) -> u64 {
    const UNMET: u64 = MAX_QUANTITY.unsigned_abs() + 1;
    u64::from(held.severity.get()) * UNMET + held.counters.free().get().unsigned_abs()
}

impl Tally {
    pub fn count(&mut self, held: &Held) {
        let counters = held.counters;
        let quantity = |q: Quantity| i128::from(q.get());
        let urgency = urgency(held);
        self.needs += 1;
        self.top = self.top.max(urgency);
        if held.is_unserved() {
            self.unserved += 1;
            self.top_unserved = self.top_unserved.max(urgency);
        }
        self.required += quantity(counters.required());
        self.allocated += quantity(counters.allocated());
        self.delivered += quantity(counters.delivered());
    }

    pub fn add(&mut self, other: &Tally) {
        self.needs += other.needs;
        self.unserved += other.unserved;
        self.unserved_areas += other.unserved_areas;
        self.required += other.required;
        self.allocated += other.allocated;
        self.delivered += other.delivered;
        self.top = self.top.max(other.top);
        self.top_unserved = self.top_unserved.max(other.top_unserved);
    }

    /// Adds what one part has become and takes away what it was; says nothing of the most urgent.
    fn shift(&mut self, was: &Tally, is: &Tally) {
        let count = |n: &mut u32, was: u32, is: u32| *n = n.wrapping_add(is).wrapping_sub(was);
        count(&mut self.needs, was.needs, is.needs);
        count(&mut self.unserved, was.unserved, is.unserved);
        count(&mut self.unserved_areas, was.unserved_areas, is.unserved_areas);
        self.required += is.required - was.required;
        self.allocated += is.allocated - was.allocated;
        self.delivered += is.delivered - was.delivered;
    }

    pub fn sums(&self) -> Sums {
        Sums {
            required: self.required,
            allocated: self.allocated,
            delivered: self.delivered,
            unmet: self.required - self.allocated,
        }
    }
}

/// What the VERIFIED needs of one area itself add up to, by item, and over [`ALL_ITEMS`]. Ascending.
pub(super) type Local = Vec<(u32, Tally)>;

/// Invariant, kept by every change: the tally of a kept area is what a count over the VERIFIED needs of it and
/// of all below it gives.
#[derive(Debug, Default)]
pub(super) struct Totals {
    public: bool,
    /// For each kept area, one tally per item met there and one over [`ALL_ITEMS`]. Ascending.
    kept: Vec<Local>,
}

fn tally_mut(tallies: &mut Local, item: u32) -> &mut Tally {
    let at = tallies.binary_search_by_key(&item, |(item, _)| *item).unwrap_or_else(|at| {
        tallies.insert(at, (item, Tally::default()));
        at
    });
    &mut tallies[at].1
}

fn tally_of(tallies: &[(u32, Tally)], item: u32) -> Tally {
    tallies.binary_search_by_key(&item, |(item, _)| *item).map(|at| tallies[at].1).unwrap_or_default()
}

impl Totals {
    pub fn empty(ground: &Ground, public: bool) -> Self {
        Totals { public, kept: vec![Vec::new(); ground.kept_count()] }
    }

    /// The need as it is seen by those whose sums these are.
    pub fn picture(&self, ground: &Ground, held: &Held) -> Held {
        let few = self.public && held.counters.required() < Quantity::LEAST_SHOWN;
        if few && Self::rounds(ground, held.slot) { held.with_counters(held.counters.rounded()) } else { *held }
    }

    /// Whether the public may see other counts on this area than there are.
    pub fn rounds(ground: &Ground, slot: u32) -> bool {
        ground.level(slot) == AreaLevel::Rt
    }

    /// Counts everything. The sums must be empty.
    pub fn fill(&mut self, ground: &Ground, board: &Board) {
        for slot in ground.all() {
            let local = self.local(ground, board, slot, |_| true);
            if local.is_empty() {
                continue;
            }
            let mut at = Some(slot);
            while let Some(above) = at {
                if let Some(number) = ground.kept(above) {
                    for (item, tally) in &local {
                        tally_mut(&mut self.kept[number], *item).add(tally);
                    }
                }
                at = ground.parent(above);
            }
        }
        self.kept.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// What the area's own needs add up to, by item for those that are `asked` for.
    pub fn local(&self, ground: &Ground, board: &Board, slot: u32, asked: impl Fn(u32) -> bool) -> Local {
        let mut local = Local::new();
        board.visit(slot..slot + 1, |held| {
            if held.status == NeedStatus::Verified {
                let held = self.picture(ground, held);
                if asked(held.item) {
                    tally_mut(&mut local, held.item).count(&held);
                }
                tally_mut(&mut local, ALL_ITEMS).count(&held);
            }
        });
        for (_, tally) in &mut local {
            tally.unserved_areas = u32::from(tally.unserved > 0);
        }
        local
    }

    /// Brings the sums above an area from what its own needs were to what they are. The board is as it is now.
    pub fn shift(&mut self, ground: &Ground, board: &Board, slot: u32, was: &Local, is: &Local) {
        let items = was.iter().chain(is).map(|(item, _)| *item);
        let mut items: Vec<u32> = items.collect();
        items.sort_unstable();
        items.dedup();
        for item in items {
            let (was, is) = (tally_of(was, item), tally_of(is, item));
            if was == is {
                continue;
            }
            let mut at = Some(slot);
            while let Some(above) = at {
                if let Some(number) = ground.kept(above) {
                    let tally = tally_mut(&mut self.kept[number], item);
                    tally.shift(&was, &is);
                    let (mut top, mut top_unserved) = (tally.top.max(is.top), tally.top_unserved.max(is.top_unserved));
                    // What was the most urgent is perhaps so no longer: who is, the parts know.
                    let fallen = was.top == tally.top && is.top < was.top;
                    if fallen || (was.top_unserved == tally.top_unserved && is.top_unserved < was.top_unserved) {
                        let below = ground.subtree(above);
                        let mut parts = tally_of(&self.local(ground, board, above, |other| other == item), item);
                        for child in ground.tops(below.start + 1..below.end) {
                            parts.add(&self.below(ground, board, child, item));
                        }
                        (top, top_unserved) = (parts.top, parts.top_unserved);
                    }
                    let tally = tally_mut(&mut self.kept[number], item);
                    (tally.top, tally.top_unserved) = (top, top_unserved);
                }
                at = ground.parent(above);
            }
        }
    }

    /// What the VERIFIED needs of one item, or of [`ALL_ITEMS`], add up to over an area and all below it.
    pub fn below(&self, ground: &Ground, board: &Board, slot: u32, item: u32) -> Tally {
        match ground.kept(slot) {
            Some(number) => tally_of(&self.kept[number], item),
            None => self.count(ground, board, ground.subtree(slot), item),
        }
    }

    /// The same over a run of slots, by counting.
    pub fn count(&self, ground: &Ground, board: &Board, slots: Range<u32>, item: u32) -> Tally {
        let mut tally = Tally::default();
        let mut crying = None;
        board.visit(slots, |held| {
            if held.status == NeedStatus::Verified && (item == ALL_ITEMS || held.item == item) {
                let held = self.picture(ground, held);
                tally.count(&held);
                if held.is_unserved() && crying != Some(held.slot) {
                    crying = Some(held.slot);
                    tally.unserved_areas += 1;
                }
            }
        });
        tally
    }
}
