//! What may be asked of the map: filters, orders, pages, totals.
//!
//! A filter is compiled against a ground first: its geometry becomes runs of slots, its lists become
//! tables. Then the needs of these slots, under the lock, give the answer. Where the sums that the board keeps
//! know it, they are asked instead of the needs: for totals, and for where the first of an order may be.

use super::board::{Held, View};
use super::ground::{AreaRef, Ground};
use super::totals::{ALL_ITEMS, Tally};
use super::{Atlas, State, cursor, first};
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::calendar::{Day, Period};
use crate::domain::ids::{AreaId, ItemId, ProgramId};
use crate::domain::need::{Counters, Need, NeedStatus, ServiceStatus, Severity};
use crate::domain::place::{Bounds, LonLat};
use crate::spatial::{Part, Shape};
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
    pub(super) fn new(ground: &Arc<Ground>, view: View<'_>, held: &Held, sight: &Sight) -> Self {
        let area = ground.at(held.slot);
        let need = view.need(ground, held);
        NeedView { need, rounded: sight.is_public() && area.level() == AreaLevel::Rt, area }
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
    pub(super) filter: Filter,
    pub(super) ground: Arc<Ground>,
    /// The areas that meet the filter's area and spatial conditions.
    pub(super) scope: Vec<Part>,
    /// The same as one run that cuts no subtree, where there is no spatial condition.
    range: Option<Range<u32>>,
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
    /// The items whose tallies together are those of the filter.
    tallied: Vec<u32>,
    /// By [`AreaLevel`].
    levels: Option<[bool; 6]>,
    /// By [`ServiceStatus`].
    services: Option<[bool; 4]>,
}

/// What of a tally is the count of a filter's needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Needs,
    Unserved,
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
        let tallied = items.as_ref().map_or(vec![ALL_ITEMS], |items| {
            (0u32..).zip(items).filter(|(_, taken)| **taken).map(|(item, _)| item).collect()
        });
        let levels = filter.levels.as_ref().map(|levels| AreaLevel::ALL.map(|level| levels.contains(&level)));
        let services = filter.service.as_ref().map(|wanted| {
            let mut services = [false; 4];
            wanted.iter().for_each(|service| services[*service as usize] = true);
            services
        });
        let range = match &filter.area {
            None => ground.all(),
            Some(code) => ground.slot_of_code(code).map_or(0..0, |slot| ground.subtree(slot)),
        };
        let (scope, metres) = scope(&ground, filter, range.clone());
        let radius = filter.near.and_then(|near| near.radius_m);
        let spatial = filter.bounds.is_some() || filter.within.is_some() || radius.is_some();
        let range = (!spatial).then_some(range);
        let filter = filter.clone();
        Compiled { filter, ground, scope, range, metres, statuses, home, items, sole_item, tallied, levels, services }
    }

    /// Compiles anew where the atlas shows another edition than the one this was compiled for.
    pub fn renew_from(&mut self, atlas: &Atlas) {
        self.renew_on(atlas.ground());
    }

    /// True where the filter takes in the need as given. Needs on unknown areas are not taken in.
    pub fn matches(&self, need: &Need) -> bool {
        let (Some(slot), Some(item)) = (self.ground.slot_of(need.area), self.ground.item_number(need.item)) else {
            return false;
        };
        let public = self.filter.sight.is_public();
        let need = if public { need.for_public(self.ground.level(slot)) } else { *need };
        Part::any_has(&self.scope, slot)
            && self.takes_need(slot, item, need.status, need.severity, need.counters, || need.period)
    }

    pub(super) fn view<'s>(&self, state: &'s State) -> View<'s> {
        state.view(&self.filter.sight)
    }

    pub(super) fn is_of(&self, ground: &Arc<Ground>) -> bool {
        Arc::ptr_eq(&self.ground, ground)
    }

    pub fn renew(&mut self, ground: Arc<Ground>) {
        *self = Compiled::new(ground, &self.filter);
    }

    /// Compiles anew where it is of another edition than this one.
    pub fn renew_on(&mut self, ground: Arc<Ground>) {
        if !self.is_of(&ground) {
            self.renew(ground);
        }
    }

    /// The cells, as [`Ground::cell_of`] has them, of all areas that meet the filter's area and spatial conditions;
    /// `None` where these are more than so many.
    pub fn cells(&self, most: usize) -> Option<Vec<u32>> {
        Ground::cells(self.scope.iter().map(|part| part.slots.clone()), most)
    }

    /// What of a subtree meets the filter's area and spatial conditions. What of it is taken whole is whole, since of two
    /// subtrees one holds the other or they have nothing in common.
    pub(super) fn within(&self, subtree: Range<u32>) -> impl Iterator<Item = Part> + use<'_> {
        let first = self.scope.partition_point(|part| part.slots.end <= subtree.start);
        let met = self.scope[first..].iter().take_while(move |part| part.slots.start < subtree.end);
        met.map(move |part| Part {
            slots: part.slots.start.max(subtree.start)..part.slots.end.min(subtree.end),
            whole: part.whole,
        })
    }

    /// All conditions but those on the place.
    fn takes_need(
        &self,
        slot: u32,
        item: u32,
        status: NeedStatus,
        severity: Severity,
        counters: Counters,
        period: impl FnOnce() -> Period,
    ) -> bool {
        self.statuses[status as usize]
            && (status == NeedStatus::Verified || self.home.contains(&slot))
            && self.items.as_ref().is_none_or(|items| items[item as usize])
            && self.filter.min_severity.is_none_or(|least| severity >= least)
            && self.services.is_none_or(|services| services[counters.service() as usize])
            && self.levels.is_none_or(|levels| levels[self.ground.level(slot) as usize - 1])
            && self.filter.active_on.is_none_or(|day| period().contains(day))
    }

    pub(super) fn takes(&self, view: View<'_>, held: &Held) -> bool {
        self.takes_need(held.slot, held.item, held.status, held.severity, held.counters, || view.period(held))
    }

    /// Hands over the needs taken in, ascending by code and id, area by area.
    fn visit(&self, view: View<'_>, mut hand_over: impl FnMut(&Held)) {
        for part in &self.scope {
            self.visit_slots(view, part.slots.clone(), &mut hand_over);
        }
    }

    /// Those on a run of slots, whatever the filter says of the place.
    pub(super) fn visit_slots(&self, view: View<'_>, slots: Range<u32>, mut hand_over: impl FnMut(&Held)) {
        view.visit(&self.ground, slots, |held| {
            if self.takes(view, held) {
                hand_over(held);
            }
        });
    }

    /// True where VERIFIED needs alone are taken in, wherever they are.
    fn verified_only(&self) -> bool {
        let [reported, verified, closed] =
            [NeedStatus::Reported, NeedStatus::Verified, NeedStatus::Closed].map(|s| self.statuses[s as usize]);
        verified && (self.home.is_empty() || !(reported || closed))
    }

    /// Where tallies know how many needs the filter takes in: what of them it is.
    pub(super) fn counted(&self) -> Option<Counted> {
        let f = &self.filter;
        if !self.verified_only() || f.min_severity.is_some() || f.active_on.is_some() || self.levels.is_some() {
            return None;
        }
        match self.services {
            None => Some(Counted::Needs),
            Some(services) => {
                let only = ServiceStatus::Unserved as usize;
                let alone = services.iter().enumerate().all(|(service, wanted)| *wanted == (service == only));
                alone.then_some(Counted::Unserved)
            }
        }
    }

    /// How many needs are taken in, by tallies.
    pub(super) fn count(&self, view: View<'_>, counted: Counted) -> usize {
        let mut count = 0;
        for part in &self.scope {
            if !part.whole {
                self.visit_slots(view, part.slots.clone(), |_| count += 1);
                continue;
            }
            for top in self.ground.tops(part.slots.clone()) {
                match self.tally(view, top) {
                    Some(tally) if counted == Counted::Unserved => count += tally.unserved as usize,
                    Some(tally) => count += tally.needs as usize,
                    None => self.visit_slots(view, self.ground.subtree(top), |_| count += 1),
                }
            }
        }
        count
    }

    /// What the VERIFIED needs of the filter's items add up to over an area and all below it, where that is kept.
    /// Where there are several items, areas with needs of two are counted twice.
    pub(super) fn tally(&self, view: View<'_>, slot: u32) -> Option<Tally> {
        self.ground.kept(slot)?;
        let mut sum = Tally::default();
        self.tallied.iter().for_each(|item| sum.add(&view.below(&self.ground, slot, *item)));
        Some(sum)
    }

    /// The urgency that no need taken in has more of, over an area and all below it; zero where there is none.
    /// `None` where nothing is known.
    pub(super) fn most_urgent(&self, view: View<'_>, slot: u32) -> Option<u64> {
        if !self.verified_only() {
            return None;
        }
        let tally = self.tally(view, slot)?;
        Some(if self.counted() == Some(Counted::Unserved) { tally.top_unserved } else { tally.top })
    }

    /// The item whose tallies are the filter's, where these hold all that a coverage says.
    fn kept_item(&self) -> Option<u32> {
        let [item] = self.tallied[..] else { return None };
        let sums = self.sole_item.is_some();
        match self.counted()? {
            Counted::Needs => Some(item),
            Counted::Unserved => (!sums).then_some(item),
        }
    }

    /// How many of a kept tally's needs the filter takes in.
    fn taken(&self, tally: &Tally) -> u32 {
        if self.services.is_some() && self.counted().is_some() { tally.unserved } else { tally.needs }
    }

    fn coverage(&self, tally: &Tally) -> Coverage {
        Coverage {
            needs: self.taken(tally).into(),
            unserved: tally.unserved.into(),
            unserved_areas: tally.unserved_areas.into(),
            sums: self.sole_item.map(|_| tally.sums()),
        }
    }

    /// Slots of the areas of the level among some parts, within a run, ascending.
    pub(super) fn level_among(&self, level: AreaLevel, parts: &[Part], range: &Range<u32>) -> Vec<u32> {
        let mut slots = Vec::new();
        for part in parts {
            let within = part.slots.start.max(range.start)..part.slots.end.min(range.end);
            if part.slots.len() > 1 {
                slots.extend_from_slice(self.ground.level_in(level, &within));
            } else {
                slots.extend(within.filter(|slot| self.ground.level(*slot) == level));
            }
        }
        slots
    }

    pub(super) fn metres_of(&self, slot: u32, near: &Near) -> Option<f64> {
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

/// The areas within a run that meet the spatial conditions, and the metres that were measured for it.
fn scope(ground: &Ground, filter: &Filter, range: Range<u32>) -> (Vec<Part>, Vec<(u32, f64)>) {
    let mut scope = vec![Part { slots: range, whole: true }];
    scope.retain(|part| !part.slots.is_empty());
    let mut metres = Vec::new();
    // The cheap question first; the dearer ones are asked of what it has left.
    if let Some(bounds) = &filter.bounds {
        scope = ground.index().in_bounds(&scope, bounds);
    }
    if let Some(Near { point, radius_m: Some(radius) }) = filter.near {
        metres = ground.index().within_distance(&scope, point, radius);
        scope = Part::of_each(metres.iter().map(|(slot, _)| *slot));
    }
    if let Some(shape) = filter.within.as_ref().filter(|_| !scope.is_empty()) {
        scope = ground.index().in_shape(&scope, shape);
    }
    (scope, metres)
}

// ------------------------------------------------------------------- pages

pub(super) fn page(atlas: &Atlas, query: &NeedQuery) -> Result<Page, QueryError> {
    let NeedQuery { filter, order, first, after } = query;
    let near = filter.near;
    if *order == Order::Nearest && near.is_none() {
        return Err(QueryError::NearestNeedsPoint);
    }
    // Before any geometry: garbage costs nothing.
    let after = after.as_deref().map(|text| cursor::read(*order, text)).transpose()?;
    let mut compiled = atlas.compile(filter);
    let state = atlas.read_with(&mut compiled);
    let view = compiled.view(&state);
    let after = after.map(|after| after.key(&compiled.ground));
    let found = match (order, &near) {
        (Order::Nearest, Some(near)) => first::nearest(&compiled, view, near, *first, after),
        (Order::Priority, _) if compiled.counted().is_some() => first::most_urgent(&compiled, view, *first, after),
        _ => {
            let mut gathering = first::Gathering::new(*first, after);
            let mut total = 0;
            compiled.visit(view, |held| {
                total += 1;
                gathering.offer(first::Key::of(*order, held, 0.0), held);
            });
            gathering.found(total)
        }
    };
    let rows: Vec<_> = found
        .rows
        .into_iter()
        .map(|(key, held)| (key, held.slot, NeedView::new(&compiled.ground, view, &held, &filter.sight)))
        .collect();
    drop(state);
    let has_next = found.total - found.before > rows.len();
    let row = |(key, slot, need): (first::Key, u32, NeedView)| Row {
        cursor: cursor::write(*order, &key, compiled.ground.code(slot)),
        distance_m: near.and_then(|near| compiled.metres_of(slot, &near)),
        view: need,
    };
    let rows = rows.into_iter().map(row).collect();
    Ok(Page { rows, total: found.total, has_next, has_previous: found.before > 0 })
}

// ------------------------------------------------------------------- totals

pub(super) fn coverage(atlas: &Atlas, filter: &Filter) -> Coverage {
    let mut compiled = atlas.compile(filter);
    let state = atlas.read_with(&mut compiled);
    let sum = tally_of(&compiled, compiled.view(&state), compiled.scope.iter().cloned());
    compiled.coverage(&sum)
}

/// As [`area_coverage`] has them of the same filter, for these areas; ascending by code. Areas that there are no longer
/// are left out.
pub(super) fn coverage_of(atlas: &Atlas, compiled: &mut Compiled, areas: &[AreaId]) -> Vec<(AreaRef, Coverage)> {
    let state = atlas.read_with(compiled);
    let (ground, view) = (&compiled.ground, compiled.view(&state));
    let mut slots: Vec<u32> = areas.iter().filter_map(|area| ground.slot_of(*area)).collect();
    slots.sort_unstable();
    let row = |slot: u32| {
        let sum = tally_of(compiled, view, compiled.within(ground.subtree(slot)));
        (ground.at(slot), compiled.coverage(&sum))
    };
    slots.into_iter().map(row).collect()
}

/// What the needs taken in add up to over parts of the filter's.
fn tally_of(compiled: &Compiled, view: View<'_>, parts: impl Iterator<Item = Part>) -> Tally {
    let mut sum = Tally::default();
    let kept = compiled.kept_item();
    for part in parts {
        match kept {
            Some(item) if part.whole => {
                let tops = compiled.ground.tops(part.slots);
                tops.for_each(|top| sum.add(&view.below(&compiled.ground, top, item)));
            }
            _ => tally_areas(compiled, view, [part.slots], |_, tally| sum.add(tally)),
        }
    }
    sum
}

/// Hands over each area with needs taken in, ascending, with what its own of them add up to.
fn tally_areas(
    compiled: &Compiled,
    view: View<'_>,
    runs: impl IntoIterator<Item = Range<u32>>,
    mut hand_over: impl FnMut(u32, &Tally),
) {
    let mut finish = |slot: u32, tally: &mut Tally| {
        tally.unserved_areas = u32::from(tally.unserved > 0);
        if tally.needs > 0 {
            hand_over(slot, tally);
        }
        *tally = Tally::default();
    };
    let (mut at, mut tally) = (0, Tally::default());
    for run in runs {
        compiled.visit_slots(view, run, |held| {
            if held.slot != at {
                finish(at, &mut tally);
                at = held.slot;
            }
            tally.count(held);
        });
    }
    finish(at, &mut tally);
}

pub(super) fn area_coverage(
    atlas: &Atlas,
    level: AreaLevel,
    filter: &Filter,
    in_view: Option<&Bounds>,
    most: usize,
) -> Result<Vec<(AreaRef, Coverage)>, QueryError> {
    let mut compiled = atlas.compile(filter);
    let (state, seen) = loop {
        let ground = compiled.ground.clone();
        let all = [ground.index().all()];
        let seen = in_view.map_or(all.to_vec(), |bounds| ground.index().in_bounds(&all, bounds));
        let state = atlas.read_with(&mut compiled);
        // What is in view was worked out for this edition, and before the lock.
        if Arc::ptr_eq(&ground, &compiled.ground) {
            break (state, seen);
        }
    };
    let view = compiled.view(&state);
    let mut rows = match (&compiled.range, compiled.kept_item()) {
        (Some(range), Some(item)) => kept_rows(&compiled, view, level, range, item, &seen, most)?,
        _ => counted_rows(&compiled, view, level),
    };
    drop(state);
    if in_view.is_some() {
        rows.retain(|(slot, _)| Part::any_has(&seen, *slot));
    }
    if rows.len() > most {
        return Err(QueryError::TooMany(rows.len()));
    }
    Ok(rows.iter().map(|(slot, tally)| (compiled.ground.at(*slot), compiled.coverage(tally))).collect())
}

/// The rows from the sums that the board keeps.
fn kept_rows(
    compiled: &Compiled,
    view: View<'_>,
    level: AreaLevel,
    range: &Range<u32>,
    item: u32,
    seen: &[Part],
    most: usize,
) -> Result<Vec<(u32, Tally)>, QueryError> {
    let ground = &compiled.ground;
    let slots = compiled.level_among(level, seen, range);
    if slots.len() > most {
        return Err(QueryError::TooMany(slots.len()));
    }
    let mut rows: Vec<_> = slots.iter().map(|slot| (*slot, view.below(ground, *slot, item))).collect();
    // An area below the level: its needs stand for the area of the level that it lies in.
    let above = (!range.is_empty()).then(|| ancestor(ground, range.start, level)).flatten();
    if let Some(above) = above.filter(|above| *above < range.start) {
        let mut tally = Tally::default();
        ground.tops(range.clone()).for_each(|top| tally.add(&view.below(ground, top, item)));
        if compiled.taken(&tally) > 0 {
            rows.push((above, tally));
        }
    }
    Ok(rows)
}

/// The rows by a pass over the needs.
fn counted_rows(compiled: &Compiled, view: View<'_>, level: AreaLevel) -> Vec<(u32, Tally)> {
    let all = compiled.ground.all();
    let mut own = compiled.level_among(level, &compiled.scope, &all).into_iter().peekable();
    let slots = compiled.ground.level_slots(level);
    let (mut rows, mut at): (Vec<(u32, Tally)>, usize) = (Vec::new(), 0);
    tally_areas(compiled, view, compiled.scope.iter().map(|part| part.slots.clone()), |slot, tally| {
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
pub(super) fn ancestor(ground: &Ground, slot: u32, level: AreaLevel) -> Option<u32> {
    let mut at = slot;
    while ground.level(at) > level {
        at = ground.parent(at)?;
    }
    (ground.level(at) == level).then_some(at)
}

pub(super) fn candidates(atlas: &Atlas, filter: &Filter, origin: Option<LonLat>) -> Vec<Candidate> {
    let mut compiled = atlas.compile(filter);
    let state = atlas.read_with(&mut compiled);
    let view = compiled.view(&state);
    let mut taken = Vec::new();
    compiled.visit(view, |held| {
        if held.status == NeedStatus::Verified && !held.counters.free().is_zero() {
            taken.push((held.slot, NeedView::new(&compiled.ground, view, held, &filter.sight)));
        }
    });
    drop(state);
    let mut measured: Option<(u32, Option<f64>)> = None;
    let metres = |slot: u32| origin.and_then(|origin| compiled.ground.distance_m(slot, origin));
    let candidate = |(slot, view): (u32, NeedView)| {
        let distance_m = match measured {
            Some((at, distance_m)) if at == slot => distance_m,
            _ => metres(slot),
        };
        measured = Some((slot, distance_m));
        Candidate { view, distance_m }
    };
    taken.into_iter().map(candidate).collect()
}

pub(super) fn all(atlas: &Atlas, filter: &Filter) -> Vec<NeedView> {
    let mut compiled = atlas.compile(filter);
    let state = atlas.read_with(&mut compiled);
    let view = compiled.view(&state);
    let mut taken = Vec::new();
    compiled.visit(view, |held| taken.push(NeedView::new(&compiled.ground, view, held, &filter.sight)));
    taken
}
