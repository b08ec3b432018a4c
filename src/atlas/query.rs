//! What may be asked of the map: filters, orders, pages, totals.
//!
//! A filter is compiled against a ground first: its geometry becomes a list of slots, its lists become
//! tables. Then one pass over the needs of these slots, under the lock, finds the answer. Where only an
//! area and at most one item are asked about, the sums that the board keeps answer without a pass.

use super::board::{ALL_ITEMS, Board, Held, Tally};
use super::ground::{AreaRef, Ground};
use super::{Atlas, State, cursor};
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::calendar::Day;
use crate::domain::ids::{ItemId, ProgramId};
use crate::domain::need::{Need, NeedStatus, ServiceStatus, Severity};
use crate::domain::place::{Bounds, LonLat};
use crate::domain::quantity::MAX_QUANTITY;
use crate::spatial::Shape;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// A need with the area that it stands on.
#[derive(Debug, Clone)]
pub struct NeedView {
    pub need: Need,
    pub area: AreaRef,
    /// Small counts of such a need are not shown to whoever looks, be there any or not.
    pub rounded: bool,
}

impl NeedView {
    pub(super) fn new(ground: &Arc<Ground>, held: &Held, sight: &Sight) -> Self {
        let area = ground.at(held.slot);
        NeedView { need: held.need, rounded: sight.is_public() && area.level() == AreaLevel::Rt, area }
    }
}

/// Whose eyes look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// VERIFIED needs only, without small counts: see [`Need::for_public`].
    Public,
    /// VERIFIED needs only, as they are.
    Giver,
    /// VERIFIED needs everywhere, others within this area.
    Officer(AreaCode),
    All,
}

impl Sight {
    /// True where small counts are kept from whoever looks.
    pub fn is_public(&self) -> bool {
        matches!(self, Sight::Public)
    }

    /// True where whoever looks may know of the need.
    pub fn sees(&self, view: &NeedView) -> bool {
        view.need.status == NeedStatus::Verified
            || match self {
                Sight::Public | Sight::Giver => false,
                Sight::Officer(home) => home.covers(view.area.code()),
                Sight::All => true,
            }
    }
}

/// A point, and how far around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    pub point: LonLat,
    /// In metres. Without it, the point only measures distances and leaves nothing out; a negative
    /// radius or none that is a number reaches nothing.
    pub radius_m: Option<f64>,
}

/// Conditions on needs; all that are given hold together, always within `sight`. An empty list takes in nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub sight: Sight,
    /// Where absent: REPORTED and VERIFIED.
    pub statuses: Option<Vec<NeedStatus>>,
    /// Needs for an item of one of these.
    pub programs: Option<Vec<ProgramId>>,
    pub items: Option<Vec<ItemId>>,
    /// This area and all below it. The code of no area takes in nothing.
    pub area: Option<AreaCode>,
    /// Of the need's own area.
    pub levels: Option<Vec<AreaLevel>>,
    /// The need's own area shares a point with the box.
    pub bounds: Option<Bounds>,
    /// The need's own area shares a point with the shape.
    pub within: Option<Shape>,
    pub near: Option<Near>,
    pub service: Option<Vec<ServiceStatus>>,
    pub min_severity: Option<Severity>,
    /// The day lies in the need's period.
    pub active_on: Option<Day>,
}

impl Filter {
    /// No condition but sight and the usual statuses.
    pub fn everything(sight: Sight) -> Self {
        Filter {
            sight,
            statuses: None,
            programs: None,
            items: None,
            area: None,
            levels: None,
            bounds: None,
            within: None,
            near: None,
            service: None,
            min_severity: None,
            active_on: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Severity, then unmet quantity, both descending, then code, then id.
    Priority,
    /// Metres of the area's geometry from the filter's point, then code, then id. Needs of areas that
    /// have neither shape nor point, nor anybody above them to lend one, come last.
    Nearest,
    /// Unmet quantity descending, then code, then id.
    Unmet,
    /// Code, then id.
    Code,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NeedQuery {
    pub filter: Filter,
    pub order: Order,
    /// The most rows to give.
    pub first: usize,
    /// A cursor of a row given before, of the same order: go on after it.
    pub after: Option<String>,
}

/// One page. Cursors hold the row's place in the order, not its number: going on from page to page
/// neither repeats nor leaves out a need that does not change meanwhile.
#[derive(Debug, Clone)]
pub struct Page {
    pub rows: Vec<Row>,
    /// All needs that the filter takes in, on this page or not.
    pub total: usize,
    /// There are needs after the last row.
    pub has_next: bool,
    /// There are needs at or before the cursor.
    pub has_previous: bool,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub view: NeedView,
    pub cursor: String,
    /// Of the area's geometry from the filter's point, where it has one and the area is anywhere.
    pub distance_m: Option<f64>,
}

/// Totals over needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    pub needs: u64,
    /// Needs of which nobody has taken anything.
    pub unserved: u64,
    /// Areas with an unserved need of their own.
    pub unserved_areas: u64,
    /// Only where the filter's items and programs leave exactly one item of the catalogue, be there needs
    /// for it or not: baskets and tablets do not add up. What needs there happen to be decides nothing.
    pub sums: Option<Sums>,
}

/// In the item's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    pub required: i128,
    pub allocated: i128,
    pub delivered: i128,
    pub unmet: i128,
}

/// A need that a plan may choose.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub view: NeedView,
    /// `None` without an origin, and where the area is nowhere.
    pub distance_m: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the cursor is none that a list in this order gave out")]
    BadCursor,
    #[error("an order by distance needs a point to measure from")]
    NearestNeedsPoint,
    #[error("{0} rows are more than may be asked for")]
    TooMany(usize),
}

// ------------------------------------------------------------------- filters

/// A filter made ready for one edition.
#[derive(Debug, Clone)]
pub struct Compiled {
    filter: Filter,
    ground: Arc<Ground>,
    scope: Scope,
    /// Metres of the areas within the radius of `near`, ascending by slot.
    metres: Vec<(u32, f64)>,
    /// By [`NeedStatus`].
    statuses: [bool; 3],
    /// Where other statuses than VERIFIED are seen.
    home: Range<u32>,
    /// By item number; `None` takes in all.
    items: Option<Vec<bool>>,
    /// The only item taken in, be it by choice or for want of others.
    sole_item: Option<u32>,
    /// By [`AreaLevel`].
    levels: Option<[bool; 6]>,
    /// By [`ServiceStatus`].
    services: Option<[bool; 4]>,
}

/// The slots that meet a filter's area and spatial conditions.
#[derive(Debug, Clone)]
enum Scope {
    /// No spatial condition: a range that cuts no subtree.
    Range(Range<u32>),
    /// Ascending.
    Slots(Vec<u32>),
}

impl Compiled {
    pub(super) fn new(ground: Arc<Ground>, filter: &Filter) -> Self {
        let mut statuses = [false; 3];
        let usual = [NeedStatus::Reported, NeedStatus::Verified];
        filter.statuses.as_deref().unwrap_or(&usual).iter().for_each(|status| statuses[*status as usize] = true);
        let home = match &filter.sight {
            Sight::Public | Sight::Giver => 0..0,
            Sight::Officer(home) => ground.covered_by(home),
            Sight::All => ground.all(),
        };
        let items = items_taken(&ground, filter);
        let mut taken = (0u32..).zip(items.as_ref().map_or(vec![true; ground.items().len()], Clone::clone));
        let mut next = || taken.find(|(_, taken)| *taken).map(|(item, _)| item);
        let sole_item = match (next(), next()) {
            (Some(item), None) => Some(item),
            _ => None,
        };
        let levels = filter.levels.as_ref().map(|levels| AreaLevel::ALL.map(|level| levels.contains(&level)));
        let services = filter.service.as_ref().map(|wanted| {
            let mut services = [false; 4];
            wanted.iter().for_each(|service| services[*service as usize] = true);
            services
        });
        let (scope, metres) = scope(&ground, filter);
        let filter = filter.clone();
        Compiled { filter, ground, scope, metres, statuses, home, items, sole_item, levels, services }
    }

    /// Compiles anew where the atlas shows another edition than the one this was compiled for.
    pub fn renew_from(&mut self, atlas: &Atlas) {
        let ground = atlas.ground();
        if !self.is_of(&ground) {
            self.renew(ground);
        }
    }

    /// True where the filter takes in the need as given. Needs on unknown areas are not taken in.
    pub fn matches(&self, need: &Need) -> bool {
        let (Some(slot), Some(item)) = (self.ground.slot_of(need.area), self.ground.item_number(need.item)) else {
            return false;
        };
        let in_scope = match &self.scope {
            Scope::Range(range) => range.contains(&slot),
            Scope::Slots(slots) => slots.binary_search(&slot).is_ok(),
        };
        let public = self.filter.sight.is_public();
        let need = if public { need.for_public(self.ground.level(slot)) } else { *need };
        in_scope && self.takes_level(slot) && self.takes(&Held { need, slot, item })
    }

    fn board<'s>(&self, state: &'s State) -> &'s Board {
        state.board(&self.filter.sight)
    }

    pub(super) fn is_of(&self, ground: &Arc<Ground>) -> bool {
        Arc::ptr_eq(&self.ground, ground)
    }

    pub(super) fn renew(&mut self, ground: Arc<Ground>) {
        *self = Compiled::new(ground, &self.filter);
    }

    fn takes_level(&self, slot: u32) -> bool {
        self.levels.is_none_or(|levels| levels[self.ground.level(slot) as usize - 1])
    }

    /// All conditions but those on the area.
    fn takes(&self, held: &Held) -> bool {
        let need = &held.need;
        self.statuses[need.status as usize]
            && (need.status == NeedStatus::Verified || self.home.contains(&held.slot))
            && self.items.as_ref().is_none_or(|items| items[held.item as usize])
            && self.filter.min_severity.is_none_or(|least| need.severity >= least)
            && self.services.is_none_or(|services| services[need.counters.service() as usize])
            && self.filter.active_on.is_none_or(|day| need.period.contains(day))
    }

    /// Hands over the needs taken in, ascending by code and id, area by area.
    fn visit<'b>(&self, board: &'b Board, mut hand_over: impl FnMut(&'b Held)) {
        let mut of_slot = |slot: u32| {
            if self.takes_level(slot) {
                board.of_slot(slot).filter(|held| self.takes(held)).for_each(&mut hand_over);
            }
        };
        match &self.scope {
            Scope::Range(range) => range.clone().for_each(&mut of_slot),
            Scope::Slots(slots) => slots.iter().copied().for_each(&mut of_slot),
        }
    }

    /// Where the sums that the board keeps answer the filter: the range and the item to look up.
    fn kept(&self) -> Option<(Range<u32>, u32)> {
        let Scope::Range(range) = &self.scope else { return None };
        let [reported, verified, closed] =
            [NeedStatus::Reported, NeedStatus::Verified, NeedStatus::Closed].map(|s| self.statuses[s as usize]);
        let verified_only = verified && (self.home.is_empty() || !(reported || closed));
        let f = &self.filter;
        let unconditional = f.min_severity.is_none() && f.active_on.is_none();
        if !verified_only || !unconditional || self.levels.is_some() || self.services.is_some() {
            return None;
        }
        let item = if self.items.is_none() { Some(ALL_ITEMS) } else { self.sole_item };
        item.map(|item| (range.clone(), item))
    }

    fn coverage(&self, tally: &Tally) -> Coverage {
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        Coverage {
            needs: count(tally.needs),
            unserved: count(tally.unserved),
            unserved_areas: count(tally.unserved_areas),
            sums: self.sole_item.map(|_| tally.sums()),
        }
    }

    /// Slots of the areas of the level that meet the area and spatial conditions themselves.
    fn level_in_scope(&self, level: AreaLevel) -> Vec<u32> {
        match &self.scope {
            Scope::Range(range) => self.level_in(level, range).to_vec(),
            Scope::Slots(slots) => slots.iter().copied().filter(|slot| self.ground.level(*slot) == level).collect(),
        }
    }

    fn level_in(&self, level: AreaLevel, range: &Range<u32>) -> &[u32] {
        let slots = self.ground.level_slots(level);
        let [start, end] = [range.start, range.end].map(|end| slots.partition_point(|slot| *slot < end));
        slots.get(start..end).unwrap_or_default()
    }

    fn metres_of(&self, slot: u32, near: &Near) -> Option<f64> {
        match self.metres.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => Some(self.metres[at].1),
            Err(_) => self.ground.distance_m(slot, near.point),
        }
    }
}

/// By item number, whether the filter's items and programs take it in; `None` where it names neither.
fn items_taken(ground: &Ground, filter: &Filter) -> Option<Vec<bool>> {
    if filter.items.is_none() && filter.programs.is_none() {
        return None;
    }
    let items: Option<HashSet<_>> = filter.items.as_ref().map(|items| items.iter().collect());
    let programs: Option<HashSet<_>> = filter.programs.as_ref().map(|programs| programs.iter().collect());
    let taken = ground.items().iter().map(|item| {
        items.as_ref().is_none_or(|items| items.contains(&item.id))
            && programs.as_ref().is_none_or(|programs| programs.contains(&item.program))
    });
    Some(taken.collect())
}

fn scope(ground: &Ground, filter: &Filter) -> (Scope, Vec<(u32, f64)>) {
    let range = match &filter.area {
        None => ground.all(),
        Some(code) => ground.slot_of_code(code).map_or(0..0, |slot| ground.subtree(slot)),
    };
    let mut scope = Scope::Range(range);
    let mut metres = Vec::new();
    // The cheap question first; the dearer ones are spared where nothing is left.
    if let Some(bounds) = &filter.bounds {
        scope.narrow(|| ground.index().intersecting_bounds(bounds));
    }
    if let Some(Near { point, radius_m: Some(radius) }) = filter.near {
        scope.narrow(|| {
            metres = ground.index().within_distance(point, radius);
            metres.iter().map(|(slot, _)| *slot).collect()
        });
    }
    if let Some(shape) = &filter.within {
        scope.narrow(|| ground.index().intersecting_shape(shape));
    }
    (scope, metres)
}

impl Scope {
    /// Keeps what is also among `slots`, ascending, which are not worked out where nothing is left to keep.
    fn narrow(&mut self, slots: impl FnOnce() -> Vec<u32>) {
        *self = match self {
            Scope::Range(range) if Range::is_empty(range) => Scope::Slots(Vec::new()),
            Scope::Slots(kept) if kept.is_empty() => return,
            Scope::Range(range) => {
                let mut slots = slots();
                slots.retain(|slot| range.contains(slot));
                Scope::Slots(slots)
            }
            Scope::Slots(kept) => {
                let others = slots();
                let mut others = others.iter().peekable();
                kept.retain(|slot| {
                    while others.next_if(|other| *other < slot).is_some() {}
                    others.peek() == Some(&slot)
                });
                return;
            }
        }
    }
}

// ------------------------------------------------------------------- pages

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
    fn of(order: Order, held: &Held, metres: f64) -> Self {
        let largest_first = |n: i64, most: i64| (most - n).unsigned_abs();
        let unmet = || largest_first(held.need.counters.free().get(), MAX_QUANTITY);
        let (first, second) = match order {
            Order::Priority => (largest_first(held.need.severity.get().into(), 5), unmet()),
            // Numbers that are not negative are ordered as their bits are; adding zero turns -0 into 0.
            Order::Nearest => ((metres + 0.0).to_bits(), 0),
            Order::Unmet => (unmet(), 0),
            Order::Code => (0, 0),
        };
        Key { first, second, place: u64::from(held.slot) * 2 + 1, id: held.need.id.0 }
    }
}

/// The first so many by key of all that are offered, without sorting the rest.
struct FirstFew<T> {
    most: usize,
    kept: Vec<(Key, T)>,
    /// No key from here on can be among them.
    limit: Option<Key>,
}

impl<T> FirstFew<T> {
    fn new(most: usize) -> Self {
        FirstFew { most, kept: Vec::new(), limit: None }
    }

    fn offer(&mut self, key: Key, what: T) {
        if self.limit.is_some_and(|limit| key >= limit) {
            return;
        }
        self.kept.push((key, what));
        // Cutting back only after as many more have come makes each offer cheap on average.
        if self.kept.len() >= self.most.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.kept.len() > self.most {
            let (_, (key, _), _) = self.kept.select_nth_unstable_by_key(self.most, |(key, _)| *key);
            self.limit = Some(*key);
            self.kept.truncate(self.most);
        }
    }

    fn take(mut self) -> Vec<(Key, T)> {
        self.cut();
        self.kept.sort_unstable_by_key(|(key, _)| *key);
        self.kept
    }
}

/// What a pass over the needs in an order finds.
struct Found {
    rows: Vec<(Key, Held)>,
    total: usize,
    /// Needs at or before the cursor.
    before: usize,
}

pub(super) fn page(atlas: &Atlas, query: &NeedQuery) -> Result<Page, QueryError> {
    let NeedQuery { filter, order, first, after } = query;
    let near = filter.near;
    if *order == Order::Nearest && near.is_none() {
        return Err(QueryError::NearestNeedsPoint);
    }
    // Before any geometry: garbage costs nothing.
    let after = after.as_deref().map(|text| cursor::read(*order, text)).transpose()?;
    let mut compiled = atlas.compile(filter);
    let found = match (order, &near) {
        (Order::Nearest, Some(near)) => {
            let state = atlas.read_with(&mut compiled);
            let mut taken = Vec::new();
            compiled.visit(compiled.board(&state), |held| taken.push(*held));
            drop(state);
            let after = after.map(|after| after.key(&compiled.ground));
            nearest(&compiled, near, &taken, *first, after)
        }
        _ => {
            let state = atlas.read_with(&mut compiled);
            let after = after.map(|after| after.key(&compiled.ground));
            let mut few = FirstFew::new(*first);
            let (mut total, mut before) = (0, 0);
            compiled.visit(compiled.board(&state), |held| {
                total += 1;
                let key = Key::of(*order, held, 0.0);
                if after.is_some_and(|after| key <= after) {
                    before += 1;
                } else {
                    few.offer(key, held);
                }
            });
            let rows = few.take().into_iter().map(|(key, held)| (key, *held)).collect();
            Found { rows, total, before }
        }
    };
    let Found { rows, total, before } = found;
    let has_next = total - before > rows.len();
    let row = |(key, held): (Key, Held)| Row {
        cursor: cursor::write(*order, &key, compiled.ground.code(held.slot)),
        distance_m: near.and_then(|near| compiled.metres_of(held.slot, &near)),
        view: NeedView::new(&compiled.ground, &held, &filter.sight),
    };
    Ok(Page { rows: rows.into_iter().map(row).collect(), total, has_next, has_previous: before > 0 })
}

/// Up to so many areas are measured one by one, about a microsecond each; among more, the index is asked
/// for the nearest, which is quick where they lie thick. Few in tests, so that small worlds go both ways.
const MEASURED_ONE_BY_ONE: usize = if cfg!(test) { 16 } else { 2_000 };

/// The first of `taken`, which ascend by slot, by distance.
fn nearest(compiled: &Compiled, near: &Near, taken: &[Held], first: usize, after: Option<Key>) -> Found {
    let areas: Vec<&[Held]> = taken.chunk_by(|a, b| a.slot == b.slot).collect();
    let mut walk = Walk { few: FirstFew::new(first), after, before: 0, beyond: 0, farthest: 0.0 };
    if near.radius_m.is_some() || areas.len() <= MEASURED_ONE_BY_ONE {
        for area in areas {
            walk.offer(area, compiled.metres_of(area[0].slot, near).unwrap_or(f64::INFINITY));
        }
    } else {
        let (nowhere, somewhere): (Vec<_>, Vec<_>) =
            areas.iter().partition(|area| compiled.ground.at(area[0].slot).point().is_none());
        let mut left = somewhere.len();
        // At least one, so that the walk leaves the cursor behind and has met all that is before it.
        let enough = first.max(1);
        for (slot, metres) in compiled.ground.index().nearest(near.point) {
            if left == 0 || (walk.beyond >= enough && metres > walk.farthest) {
                break;
            }
            if let Ok(at) = areas.binary_search_by_key(&slot, |area| area[0].slot) {
                walk.offer(areas[at], metres);
                left -= 1;
            }
        }
        if walk.beyond < enough {
            nowhere.into_iter().for_each(|area| walk.offer(area, f64::INFINITY));
        }
    }
    Found { rows: walk.few.take(), total: taken.len(), before: walk.before }
}

/// A gathering of needs by distance.
struct Walk {
    few: FirstFew<Held>,
    after: Option<Key>,
    /// Needs met at or before the cursor, and beyond it.
    before: usize,
    beyond: usize,
    /// Metres of the last one met beyond the cursor.
    farthest: f64,
}

impl Walk {
    fn offer(&mut self, area: &[Held], metres: f64) {
        for held in area {
            let key = Key::of(Order::Nearest, held, metres);
            if self.after.is_some_and(|after| key <= after) {
                self.before += 1;
            } else {
                self.few.offer(key, *held);
                self.beyond += 1;
                self.farthest = metres;
            }
        }
    }
}

// ------------------------------------------------------------------- totals

pub(super) fn coverage(atlas: &Atlas, filter: &Filter) -> Coverage {
    let mut compiled = atlas.compile(filter);
    let state = atlas.read_with(&mut compiled);
    let tally = match compiled.kept() {
        Some((range, item)) => compiled.board(&state).across(&compiled.ground, range, item),
        None => {
            let mut sum = Tally::default();
            tally_areas(&compiled, compiled.board(&state), |_, tally| sum.add(tally));
            sum
        }
    };
    compiled.coverage(&tally)
}

/// Hands over each area with needs taken in, ascending, with what its own of them add up to.
fn tally_areas(compiled: &Compiled, board: &Board, mut hand_over: impl FnMut(u32, &Tally)) {
    let mut finish = |slot: u32, tally: &mut Tally| {
        tally.unserved_areas = i64::from(tally.unserved > 0);
        if tally.needs > 0 {
            hand_over(slot, tally);
        }
        *tally = Tally::default();
    };
    let (mut at, mut tally) = (0, Tally::default());
    compiled.visit(board, |held| {
        if held.slot != at {
            finish(at, &mut tally);
            at = held.slot;
        }
        tally.count(held, 1);
    });
    finish(at, &mut tally);
}

pub(super) fn area_coverage(
    atlas: &Atlas,
    level: AreaLevel,
    filter: &Filter,
    view: Option<&Bounds>,
    most: usize,
) -> Result<Vec<(AreaRef, Coverage)>, QueryError> {
    let mut compiled = atlas.compile(filter);
    let (state, seen) = loop {
        let ground = compiled.ground.clone();
        let seen = view.map(|view| ground.index().intersecting_bounds(view));
        let state = atlas.read_with(&mut compiled);
        // What is in view was worked out for this edition, and before the lock.
        if Arc::ptr_eq(&ground, &compiled.ground) {
            break (state, seen);
        }
    };
    let in_view = |slot: u32| seen.as_ref().is_none_or(|seen| seen.binary_search(&slot).is_ok());
    let mut rows = match compiled.kept() {
        Some((range, item)) => kept_rows(&compiled, compiled.board(&state), level, range, item, in_view, most)?,
        None => counted_rows(&compiled, compiled.board(&state), level),
    };
    drop(state);
    rows.retain(|(slot, _)| in_view(*slot));
    if rows.len() > most {
        return Err(QueryError::TooMany(rows.len()));
    }
    Ok(rows.iter().map(|(slot, tally)| (compiled.ground.at(*slot), compiled.coverage(tally))).collect())
}

/// The rows from the sums that the board keeps.
fn kept_rows(
    compiled: &Compiled,
    board: &Board,
    level: AreaLevel,
    range: Range<u32>,
    item: u32,
    in_view: impl Fn(u32) -> bool,
    most: usize,
) -> Result<Vec<(u32, Tally)>, QueryError> {
    let ground = &compiled.ground;
    let slots: Vec<u32> = compiled.level_in(level, &range).iter().copied().filter(|slot| in_view(*slot)).collect();
    if slots.len() > most {
        return Err(QueryError::TooMany(slots.len()));
    }
    let mut rows: Vec<_> = slots.iter().map(|slot| (*slot, board.below(ground, *slot, item))).collect();
    // An area below the level: its needs stand for the area of the level that it lies in.
    let above = (!range.is_empty()).then(|| ancestor(ground, range.start, level)).flatten();
    if let Some(above) = above.filter(|above| *above < range.start) {
        let tally = board.across(ground, range, item);
        if tally.needs > 0 {
            rows.push((above, tally));
        }
    }
    Ok(rows)
}

/// The rows by a pass over the needs.
fn counted_rows(compiled: &Compiled, board: &Board, level: AreaLevel) -> Vec<(u32, Tally)> {
    let mut own = compiled.level_in_scope(level).into_iter().peekable();
    let slots = compiled.ground.level_slots(level);
    let (mut rows, mut at): (Vec<(u32, Tally)>, usize) = (Vec::new(), 0);
    tally_areas(compiled, board, |slot, tally| {
        at += slots[at..].partition_point(|other| *other <= slot);
        let above = at.checked_sub(1).map(|at| slots[at]);
        let Some(above) = above.filter(|above| compiled.ground.subtree(*above).contains(&slot)) else { return };
        while let Some(empty) = own.next_if(|own| *own <= above) {
            if rows.last().is_none_or(|(last, _)| *last < empty) {
                rows.push((empty, Tally::default()));
            }
        }
        match rows.last_mut() {
            Some((last, sum)) if *last == above => sum.add(tally),
            _ => rows.push((above, *tally)),
        }
    });
    let last = rows.last().map(|(last, _)| *last);
    rows.extend(own.filter(|own| last.is_none_or(|last| *own > last)).map(|own| (own, Tally::default())));
    rows
}

/// The area of the level that the slot lies in, itself included.
fn ancestor(ground: &Ground, slot: u32, level: AreaLevel) -> Option<u32> {
    let mut at = slot;
    while ground.level(at) > level {
        at = ground.parent(at)?;
    }
    (ground.level(at) == level).then_some(at)
}

pub(super) fn candidates(atlas: &Atlas, filter: &Filter, origin: Option<LonLat>) -> Vec<Candidate> {
    let mut compiled = atlas.compile(filter);
    let state = atlas.read_with(&mut compiled);
    let mut taken = Vec::new();
    compiled.visit(compiled.board(&state), |held| {
        if held.need.status == NeedStatus::Verified && !held.need.counters.free().is_zero() {
            taken.push(*held);
        }
    });
    drop(state);
    let mut candidates = Vec::with_capacity(taken.len());
    for area in taken.chunk_by(|a, b| a.slot == b.slot) {
        let distance_m = origin.and_then(|origin| compiled.ground.distance_m(area[0].slot, origin));
        candidates.extend(
            area.iter()
                .map(|held| Candidate { view: NeedView::new(&compiled.ground, held, &filter.sight), distance_m }),
        );
    }
    candidates
}

pub(super) fn all(atlas: &Atlas, filter: &Filter) -> Vec<NeedView> {
    let mut compiled = atlas.compile(filter);
    let state = atlas.read_with(&mut compiled);
    let mut taken = Vec::new();
    compiled.visit(compiled.board(&state), |held| taken.push(*held));
    drop(state);
    taken.iter().map(|held| NeedView::new(&compiled.ground, held, &filter.sight)).collect()
}
