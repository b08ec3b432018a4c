//! The first needs of an order, without sorting or even seeing the others.
//!
//! The kept sums tell of every area how urgent the most urgent need in it is, and whether it has any. So a
//! search opens first what may hold the first, and stops where nothing that is closed could come before what
//! was found.

use super::board::{Held, View};
use super::query::{Compiled, Near, Order};
use crate::domain::quantity::MAX_QUANTITY;
use crate::spatial::Part;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;

/// A need's place in an order. Ascending, and no two needs share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub first: u64,
    pub second: u64,
    /// Twice the slot and one; even numbers are places between areas, for codes that are gone.
    pub place: u64,
    pub id: i64,
}

impl Key {
    /// `metres` counts in the order by distance only; infinite where the area is nowhere.
    pub fn of(order: Order, held: &Held, metres: f64) -> Self {
        let largest_first = |n: i64, most: i64| (most - n).unsigned_abs();
        let unmet = || largest_first(held.counters.free().get(), MAX_QUANTITY);
        let (first, second) = match order {
            Order::Priority => (largest_first(held.severity.get().into(), 5), unmet()),
            // Numbers that are not negative are ordered as their bits are; adding zero turns -0 into 0.
            Order::Nearest => ((metres + 0.0).to_bits(), 0),
            Order::Unmet => (unmet(), 0),
            Order::Code => (0, 0),
        };
        Key { first, second, place: u64::from(held.slot) * 2 + 1, id: held.id.0 }
    }

    /// By priority, no later than any need of an urgency no greater than this one on the slot or behind it.
    fn least(urgency: u64, slot: u32) -> Self {
        const UNMET: u64 = MAX_QUANTITY.unsigned_abs() + 1;
        let (severity, unmet) = (urgency / UNMET, urgency % UNMET);
        let (first, second) = (5_u64.saturating_sub(severity), UNMET - 1 - unmet);
        Key { first, second, place: u64::from(slot) * 2 + 1, id: i64::MIN }
    }
}

/// A need with its key; ordered by the key.
#[derive(Debug, Clone, Copy)]
struct Keyed(Key, Held);

impl Ord for Keyed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Keyed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Keyed {}

/// The first so many by key, behind a cursor, of all that are offered.
pub(super) struct Gathering {
    most: usize,
    after: Option<Key>,
    /// The last of them on top.
    kept: BinaryHeap<Keyed>,
    /// Needs at or before the cursor.
    before: usize,
}

/// What a search found.
pub(super) struct Found {
    pub rows: Vec<(Key, Held)>,
    /// Needs that the filter takes in, found or not.
    pub total: usize,
    /// Those of them at or before the cursor.
    pub before: usize,
}

impl Gathering {
    pub fn new(most: usize, after: Option<Key>) -> Self {
        Gathering { most, after, kept: BinaryHeap::new(), before: 0 }
    }

    pub fn offer(&mut self, key: Key, held: &Held) {
        if self.after.is_some_and(|after| key <= after) {
            self.before += 1;
        } else if self.kept.len() < self.most {
            self.kept.push(Keyed(key, *held));
        } else if let Some(mut last) = self.kept.peek_mut()
            && key < last.0
        {
            *last = Keyed(key, *held);
        }
    }

    /// True where nothing from this key on changes what was gathered, nor what is known to lie before it.
    fn is_done_at(&self, key: Key) -> bool {
        let full = self.kept.len() >= self.most && self.kept.peek().is_none_or(|last| key > last.0);
        full && self.after.is_none_or(|after| key > after)
    }

    pub fn found(self, total: usize) -> Found {
        let rows = self.kept.into_sorted_vec().into_iter().map(|Keyed(key, held)| (key, held)).collect();
        Found { rows, total, before: self.before }
    }
}

/// The first by priority, where tallies count what the filter takes in.
pub(super) fn most_urgent(compiled: &Compiled, view: View<'_>, most: usize, after: Option<Key>) -> Found {
    let mut search = Search { compiled, view, gathering: Gathering::new(most, after), closed: BinaryHeap::new() };
    for part in &compiled.scope {
        match part.whole {
            true => compiled.ground.tops(part.slots.clone()).for_each(|top| search.meet(top)),
            false => search.look(part.slots.clone()),
        }
    }
    search.open_all();
    let total = compiled.counted().map_or(0, |counted| compiled.count(view, counted));
    search.gathering.found(total)
}

/// A search for the most urgent. What is closed has a key that nothing in it comes before.
struct Search<'a> {
    compiled: &'a Compiled,
    view: View<'a>,
    gathering: Gathering,
    closed: BinaryHeap<Reverse<(Key, u32)>>,
}

impl Search<'_> {
    fn look(&mut self, slots: Range<u32>) {
        let offer = |held: &Held| self.gathering.offer(Key::of(Order::Priority, held, 0.0), held);
        self.compiled.visit_slots(self.view, slots, offer);
    }

    fn meet(&mut self, top: u32) {
        match self.compiled.most_urgent(self.view, top) {
            Some(0) => {}
            Some(urgency) => {
                let least = Key::least(urgency, top);
                if !self.gathering.is_done_at(least) {
                    self.closed.push(Reverse((least, top)));
                }
            }
            None => self.look(self.compiled.ground.subtree(top)),
        }
    }

    fn open_all(&mut self) {
        let ground = &self.compiled.ground;
        while let Some(Reverse((least, top))) = self.closed.pop() {
            if self.gathering.is_done_at(least) {
                break;
            }
            self.look(top..top + 1);
            let below = ground.subtree(top);
            ground.tops(below.start + 1..below.end).for_each(|child| self.meet(child));
        }
    }
}

/// The first by distance.
pub(super) fn nearest(compiled: &Compiled, view: View<'_>, near: &Near, most: usize, after: Option<Key>) -> Found {
    let ground = &compiled.ground;
    let mut gathering = Gathering::new(most, after);
    let mut counted_here = 0;
    let mut offer = |slot: u32, metres: f64, gathering: &mut Gathering| {
        compiled.visit_slots(view, slot..slot + 1, |held| {
            counted_here += 1;
            gathering.offer(Key::of(Order::Nearest, held, metres), held);
        });
    };
    if near.radius_m.is_some() {
        // All of them were measured already.
        for slot in compiled.scope.iter().flat_map(|part| part.slots.clone()) {
            offer(slot, compiled.metres_of(slot, near).unwrap_or(f64::INFINITY), &mut gathering);
        }
        return gathering.found(counted_here);
    }
    let any = |slots: Range<u32>| {
        let mut any = false;
        compiled.visit_slots(view, slots, |_| any = true);
        any
    };
    let worth = |slots: Range<u32>| {
        let whole = slots == ground.subtree(slots.start);
        let known = if whole { compiled.most_urgent(view, slots.start) } else { None };
        match known {
            Some(urgency) => urgency > 0,
            // A larger area of which nothing is known may have one.
            None => (whole && ground.kept(slots.start).is_some()) || any(slots),
        }
    };
    for (slot, metres) in ground.index().nearest(&compiled.scope, near.point, worth) {
        let least = Key { first: (metres + 0.0).to_bits(), second: 0, place: 0, id: i64::MIN };
        if gathering.is_done_at(least) {
            break;
        }
        offer(slot, metres, &mut gathering);
    }
    for slot in ground.nowhere().iter().copied().filter(|slot| Part::any_has(&compiled.scope, *slot)) {
        offer(slot, f64::INFINITY, &mut gathering);
    }
    let total = match compiled.counted() {
        Some(counted) => compiled.count(view, counted),
        None => {
            let mut total = 0;
            compiled.scope.iter().for_each(|part| compiled.visit_slots(view, part.slots.clone(), |_| total += 1));
            total
        }
    };
    gathering.found(total)
}
