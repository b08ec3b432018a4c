//! Needs as they stand, and what they add up to at every area above them.

use super::ground::{BadContents, Ground};
use super::query::Sums;
use crate::domain::ids::NeedId;
use crate::domain::need::{Need, NeedStatus, ServiceStatus};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ops::Range;

/// A change that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedChange {
    /// `None` where the need is new to the map.
    pub before: Option<Need>,
    pub after: Need,
}

/// What became of the needs handed to [`super::Atlas::apply`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// In the order given; old and repeated versions leave no trace.
    pub changes: Vec<NeedChange>,
    /// Needs on an area or of an item that the map does not have.
    pub skipped: usize,
}

/// A need in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub need: Need,
    pub slot: u32,
    /// The item's number.
    pub item: u32,
}

impl Held {
    pub fn is_unserved(&self) -> bool {
        self.need.counters.service() == ServiceStatus::Unserved
    }

    /// Verified and unserved: what makes an area count as unserved in the sums that are kept.
    fn cries(&self) -> bool {
        self.need.status == NeedStatus::Verified && self.is_unserved()
    }
}

/// What some needs add up to. Quantities are sums over possibly many items; whoever shows them knows of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub needs: i64,
    pub unserved: i64,
    /// Areas with an unserved need of their own.
    pub unserved_areas: i64,
    required: i128,
    allocated: i128,
    delivered: i128,
}

impl Tally {
    /// Adds the need's numbers, or takes them away where `sign` is -1.
    pub fn count(&mut self, held: &Held, sign: i64) {
        let counters = held.need.counters;
        let quantity = |q: crate::domain::quantity::Quantity| i128::from(q.get()) * i128::from(sign);
        self.needs += sign;
        self.unserved += if held.is_unserved() { sign } else { 0 };
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

/// Stands for all items where a tally is asked for.
pub(super) const ALL_ITEMS: u32 = u32::MAX;

/// The needs of one state. Invariant, kept by every change: the tally of an area with areas below it
/// is what a count over the VERIFIED needs of it and of all below it gives.
#[derive(Debug)]
pub(super) struct Board {
    needs: Vec<Held>,
    by_id: HashMap<NeedId, u32>,
    /// For each slot its needs' places in `needs`, ascending by id.
    by_slot: Vec<Vec<u32>>,
    /// For each slot, one tally per item number met there and one over [`ALL_ITEMS`]. Empty for areas
    /// with nothing below them, which are most and whose few needs are counted when asked.
    tallies: Vec<Vec<(u32, Tally)>>,
}

impl Board {
    pub fn empty(ground: &Ground) -> Self {
        let slots = ground.area_count();
        Board {
            needs: Vec::new(),
            by_id: HashMap::new(),
            by_slot: vec![Vec::new(); slots],
            tallies: vec![Vec::new(); slots],
        }
    }

    pub fn build(ground: &Ground, needs: Vec<Need>) -> Result<Self, BadContents> {
        let mut held = Vec::with_capacity(needs.len());
        for need in needs {
            let slot = ground.slot_of(need.area).ok_or(BadContents::NeedWithoutArea(need.id))?;
            let item = ground.item_number(need.item).ok_or(BadContents::NeedWithoutItem(need.id))?;
            held.push(Held { need, slot, item });
        }
        // In the order in which they are read.
        held.sort_unstable_by_key(|held| (held.slot, held.need.id));
        let mut board = Board::empty(ground);
        board.needs.reserve(held.len());
        board.by_id.reserve(held.len());
        for held in held {
            if board.by_id.contains_key(&held.need.id) {
                return Err(BadContents::NeedTwice(held.need.id));
            }
            board.insert(ground, held);
        }
        board.by_slot.iter_mut().for_each(Vec::shrink_to_fit);
        Ok(board)
    }

    pub fn apply(&mut self, ground: &Ground, needs: &[Need]) -> Applied {
        let mut applied = Applied::default();
        for need in needs {
            let (Some(slot), Some(item)) = (ground.slot_of(need.area), ground.item_number(need.item)) else {
                applied.skipped += 1;
                continue;
            };
            let held = Held { need: *need, slot, item };
            let before = match self.by_id.get(&need.id).copied() {
                None => {
                    self.insert(ground, held);
                    None
                }
                Some(place) => {
                    let before = self.needs[place as usize];
                    if before.need.version >= need.version {
                        continue;
                    }
                    self.replace(ground, place, before, held);
                    Some(before.need)
                }
            };
            applied.changes.push(NeedChange { before, after: *need });
        }
        applied
    }

    fn insert(&mut self, ground: &Ground, held: Held) {
        self.tally(ground, &held, 1);
        let place = self.needs.len() as u32;
        self.needs.push(held);
        self.by_id.insert(held.need.id, place);
        self.settle(place, held);
    }

    fn replace(&mut self, ground: &Ground, place: u32, before: Held, after: Held) {
        // Out of its area first, so that the tallies see who else is there.
        self.by_slot[before.slot as usize].retain(|other| *other != place);
        self.tally(ground, &before, -1);
        self.tally(ground, &after, 1);
        self.needs[place as usize] = after;
        self.settle(place, after);
    }

    /// Puts the need in its place among those of its area.
    fn settle(&mut self, place: u32, held: Held) {
        let neighbours = &mut self.by_slot[held.slot as usize];
        let at = neighbours.partition_point(|other| self.needs[*other as usize].need.id < held.need.id);
        neighbours.insert(at, place);
    }

    /// Adds the need to the tallies of its area and of all above, or takes it away where `sign` is -1.
    /// The need itself must not stand in its area's list meanwhile.
    fn tally(&mut self, ground: &Ground, held: &Held, sign: i64) {
        if held.need.status != NeedStatus::Verified {
            return;
        }
        let (mut alone_of_item, mut alone) = (held.cries(), held.cries());
        if alone {
            for other in self.of_slot(held.slot).filter(|other| other.cries()) {
                alone = false;
                alone_of_item &= other.item != held.item;
            }
        }
        let mut slot = Some(held.slot);
        while let Some(at) = slot {
            if ground.has_children(at) {
                for (item, alone) in [(held.item, alone_of_item), (ALL_ITEMS, alone)] {
                    let tally = tally_mut(&mut self.tallies[at as usize], item);
                    tally.count(held, sign);
                    tally.unserved_areas += if alone { sign } else { 0 };
                }
            }
            slot = ground.parent(at);
        }
    }

    pub fn get(&self, id: NeedId) -> Option<&Held> {
        self.by_id.get(&id).map(|place| &self.needs[*place as usize])
    }

    /// The needs of one area, ascending by id.
    pub fn of_slot(&self, slot: u32) -> impl Iterator<Item = &Held> {
        self.by_slot[slot as usize].iter().map(|place| &self.needs[*place as usize])
    }

    /// What the VERIFIED needs of one item, or of [`ALL_ITEMS`], add up to over an area and all below it.
    pub fn below(&self, ground: &Ground, slot: u32, item: u32) -> Tally {
        if ground.has_children(slot) {
            let tallies = &self.tallies[slot as usize];
            return tallies.binary_search_by_key(&item, |(item, _)| *item).map(|at| tallies[at].1).unwrap_or_default();
        }
        let mut tally = Tally::default();
        let counts =
            |held: &&Held| held.need.status == NeedStatus::Verified && (item == ALL_ITEMS || held.item == item);
        for held in self.of_slot(slot).filter(counts) {
            tally.count(held, 1);
        }
        tally.unserved_areas = i64::from(tally.unserved > 0);
        tally
    }

    /// As [`Board::below`], over a range of slots that cuts no subtree.
    pub fn across(&self, ground: &Ground, range: Range<u32>, item: u32) -> Tally {
        let mut sum = Tally::default();
        ground.tops(range).for_each(|slot| sum.add(&self.below(ground, slot, item)));
        sum
    }

    pub fn digest_lines(&self) -> Vec<[i64; 5]> {
        self.needs.iter().map(|held| digest_line(&held.need)).collect()
    }
}

fn tally_mut(tallies: &mut Vec<(u32, Tally)>, item: u32) -> &mut Tally {
    let at = tallies.binary_search_by_key(&item, |(item, _)| *item).unwrap_or_else(|at| {
        tallies.insert(at, (item, Tally::default()));
        at
    });
    &mut tallies[at].1
}

/// SHA-256 over the salt and over id, version, required, reserved and delivered of each need by
/// ascending id, each as eight bytes, the highest first. The order in which the needs are given does not
/// matter. Without a secret salt, who knows nearly all counters could try out the rest.
pub fn digest_of(salt: &str, needs: &[Need]) -> [u8; 32] {
    digest_lines(salt, needs.iter().map(digest_line).collect())
}

fn digest_line(need: &Need) -> [i64; 5] {
    let c = need.counters;
    [need.id.0, need.version, c.required().get(), c.reserved().get(), c.delivered().get()]
}

pub(super) fn digest_lines(salt: &str, mut lines: Vec<[i64; 5]>) -> [u8; 32] {
    lines.sort_unstable();
    let mut hash = Sha256::new();
    hash.update(salt);
    for number in lines.into_iter().flatten() {
        hash.update(number.to_be_bytes());
    }
    hash.finalize().into()
}
