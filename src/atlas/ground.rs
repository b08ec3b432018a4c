//! Areas and catalogue of one edition. Immutable: a claim moves counters, never the ground.
//!
//! An area's slot is its place in the order of codes. Parts of a code have fixed widths and a dot sorts
//! before digits, so an area and all below it are a contiguous range of slots.

use super::query::Sight;
use crate::domain::area::{AreaCode, AreaLevel, PointSource};
use crate::domain::ids::{AreaId, ItemId, NeedId, ProgramId};
use crate::domain::need::Need;
use crate::domain::place::{Bounds, LonLat};
use crate::domain::program::{Item, Program};
use crate::domain::quantity::Quantity;
use crate::spatial::{Shape, SpatialIndex, distance_between, distance_m};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// All that the map is made of, in any order.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub programs: Vec<Program>,
    pub items: Vec<Item>,
    pub areas: Vec<AreaRecord>,
    pub needs: Vec<Need>,
    /// Grows with every import of areas.
    pub edition: i64,
}

/// An area as it is stored.
#[derive(Debug, Clone)]
pub struct AreaRecord {
    pub id: AreaId,
    pub code: AreaCode,
    pub name: String,
    /// As it was written in the field: `RW. 3`.
    pub label: Option<String>,
    pub shape: Option<Shape>,
    /// The shape was made up.
    pub generated: bool,
    /// The area's own point; where absent, it is derived from its shape, else from its parent's point.
    pub point: Option<LonLat>,
    pub households: Option<i64>,
    pub poor_households: Option<i64>,
}

/// Contents that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadContents {
    #[error("{0} is there twice")]
    AreaTwice(AreaId),
    #[error("the area code {0} is there twice")]
    CodeTwice(AreaCode),
    #[error("{0} is there twice")]
    ProgramTwice(ProgramId),
    #[error("{0} is there twice")]
    ItemTwice(ItemId),
    #[error("{0} is there twice")]
    NeedTwice(NeedId),
    #[error("{0} belongs to no known program")]
    ItemWithoutProgram(ItemId),
    #[error("{0} stands on no known area")]
    NeedWithoutArea(NeedId),
    #[error("{0} asks for no known item")]
    NeedWithoutItem(NeedId),
    #[error("more areas than can be numbered")]
    TooManyAreas,
}

/// Areas, programs and items as of one edition.
#[derive(Debug)]
pub struct Ground {
    edition: i64,
    plots: Vec<Plot>,
    by_id: HashMap<AreaId, u32>,
    /// Slots of each level, ascending.
    by_level: [Vec<u32>; 6],
    index: SpatialIndex,
    programs: Vec<Program>,
    items: Vec<Item>,
    /// An item's number is its place in `items`.
    item_numbers: HashMap<ItemId, u32>,
}

#[derive(Debug)]
struct Plot {
    area: AreaRecord,
    level: AreaLevel,
    /// The nearest area above that exists.
    parent: Option<u32>,
    /// One past the last slot below it.
    end: u32,
    /// The public is not told of its households.
    hidden: bool,
    point: Option<(LonLat, PointSource)>,
}

impl Ground {
    pub(super) fn empty() -> Self {
        Ground {
            edition: 0,
            plots: Vec::new(),
            by_id: HashMap::new(),
            by_level: Default::default(),
            index: SpatialIndex::build([]),
            programs: Vec::new(),
            items: Vec::new(),
            item_numbers: HashMap::new(),
        }
    }

    /// The ground, and the needs to be put on it.
    pub(super) fn build(contents: Contents) -> Result<(Self, Vec<Need>), BadContents> {
        let Contents { mut programs, mut items, mut areas, needs, edition } = contents;
        programs.sort_by(|a, b| a.key.cmp(&b.key));
        items.sort_by(|a, b| a.key.cmp(&b.key));
        areas.sort_by(|a, b| a.code.cmp(&b.code));
        // Half of the range, so that a place between two slots can be numbered too.
        if areas.len() >= (u32::MAX / 2) as usize || items.len() >= (u32::MAX / 2) as usize {
            return Err(BadContents::TooManyAreas);
        }
        let mut known = HashMap::new();
        for program in &programs {
            if known.insert(program.id, ()).is_some() {
                return Err(BadContents::ProgramTwice(program.id));
            }
        }
        let mut item_numbers = HashMap::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            if !known.contains_key(&item.program) {
                return Err(BadContents::ItemWithoutProgram(item.id));
            }
            if item_numbers.insert(item.id, number as u32).is_some() {
                return Err(BadContents::ItemTwice(item.id));
            }
        }
        let mut by_id = HashMap::with_capacity(areas.len());
        let mut by_level: [Vec<u32>; 6] = Default::default();
        let mut plots: Vec<Plot> = Vec::with_capacity(areas.len());
        // The areas above the one at hand, from the top down.
        let mut above: Vec<u32> = Vec::new();
        for (slot, area) in areas.into_iter().enumerate() {
            let slot = slot as u32;
            if by_id.insert(area.id, slot).is_some() {
                return Err(BadContents::AreaTwice(area.id));
            }
            while let Some(top) = above.pop() {
                let plot = &mut plots[top as usize];
                if plot.area.code == area.code {
                    return Err(BadContents::CodeTwice(area.code));
                }
                if plot.area.code.covers(&area.code) {
                    above.push(top);
                    break;
                }
                plot.end = slot;
            }
            let parent = above.last().copied();
            let own = area.point.or_else(|| area.shape.as_ref().map(Shape::inside_point));
            let inherited = || parent.and_then(|p| plots[p as usize].point).map(|(p, _)| (p, PointSource::Parent));
            let point = own.map(|p| (p, PointSource::Own)).or_else(inherited);
            let level = area.code.level();
            by_level[level as usize - 1].push(slot);
            above.push(slot);
            plots.push(Plot { area, level, parent, end: 0, hidden: false, point });
        }
        let end = plots.len() as u32;
        above.into_iter().for_each(|slot| plots[slot as usize].end = end);
        hide_small_counts(&mut plots);
        let index = SpatialIndex::build(
            plots
                .iter()
                .enumerate()
                .filter_map(|(slot, plot)| plot.point.map(|(point, _)| (slot as u32, plot.area.shape.clone(), point))),
        );
        Ok((Ground { edition, plots, by_id, by_level, index, programs, items, item_numbers }, needs))
    }

    /// The number of the edition of areas.
    pub fn edition(&self) -> i64 {
        self.edition
    }

    pub fn area(self: &Arc<Self>, code: &AreaCode) -> Option<AreaRef> {
        self.slot_of_code(code).map(|slot| self.at(slot))
    }

    pub fn area_by_id(self: &Arc<Self>, id: AreaId) -> Option<AreaRef> {
        self.slot_of(id).map(|slot| self.at(slot))
    }

    /// All areas of the level, ascending by code.
    pub fn areas_of(self: &Arc<Self>, level: AreaLevel) -> impl Iterator<Item = AreaRef> {
        self.level_slots(level).iter().map(|slot| self.at(*slot))
    }

    pub fn area_count(&self) -> usize {
        self.plots.len()
    }

    /// Ascending by key.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    pub fn program(&self, id: ProgramId) -> Option<&Program> {
        self.programs.iter().find(|program| program.id == id)
    }

    pub fn program_by_key(&self, key: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.key == key)
    }

    /// Ascending by key.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Ascending by key.
    pub fn items_of(&self, program: ProgramId) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.program == program)
    }

    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.item_number(id).map(|number| &self.items[number as usize])
    }

    pub fn item_by_key(&self, key: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.key == key)
    }

    /// The area whose own shape covers the point, of the given level; on a shared border the one with the
    /// lower code.
    pub fn locate(self: &Arc<Self>, point: LonLat, level: AreaLevel) -> Option<AreaRef> {
        self.index.locate_among(point, |slot| self.level(slot) == level).map(|slot| self.at(slot))
    }

    /// At most `most` areas that people may mean by the words: see [`super::search`].
    pub fn search(self: &Arc<Self>, words: &str, most: usize) -> Vec<AreaRef> {
        super::search::find(self, words, most).into_iter().map(|slot| self.at(slot)).collect()
    }

    /// Areas of these levels that share a point with the box, ascending by code.
    pub fn areas_in(self: &Arc<Self>, bounds: &Bounds, levels: RangeInclusive<AreaLevel>) -> Vec<AreaRef> {
        let slots = self.index.intersecting_bounds(bounds).into_iter();
        slots.filter(|slot| levels.contains(&self.level(*slot))).map(|slot| self.at(slot)).collect()
    }

    /// The smallest box around all shapes; `None` where there is none.
    pub fn bounds(&self) -> Option<Bounds> {
        let shapes = self.plots.iter().filter_map(|plot| plot.area.shape.as_ref());
        shapes.map(Shape::bounds).reduce(|a, b| a.around(&b))
    }

    pub(super) fn at(self: &Arc<Self>, slot: u32) -> AreaRef {
        AreaRef { ground: Arc::clone(self), slot }
    }

    pub(super) fn index(&self) -> &SpatialIndex {
        &self.index
    }

    pub(super) fn item_number(&self, id: ItemId) -> Option<u32> {
        self.item_numbers.get(&id).copied()
    }

    pub(super) fn slot_of(&self, id: AreaId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn slot_of_code(&self, code: &AreaCode) -> Option<u32> {
        self.place_of(code).ok()
    }

    /// The area's slot, or else the slot before which it would stand.
    pub(super) fn place_of(&self, code: &AreaCode) -> Result<u32, u32> {
        let place = self.plots.binary_search_by(|plot| plot.area.code.cmp(code));
        place.map(|slot| slot as u32).map_err(|slot| slot as u32)
    }

    /// The areas that the code covers, be it an area's itself or not.
    pub(super) fn covered_by(&self, code: &AreaCode) -> Range<u32> {
        let (Ok(start) | Err(start)) = self.place_of(code);
        let covered = self.plots[start as usize..].partition_point(|plot| code.covers(&plot.area.code));
        start..start + covered as u32
    }

    /// Needs as the public sees them; what stands on no known area comes back as it is.
    pub(super) fn public_images(&self, needs: &[Need]) -> Vec<Need> {
        let image = |need: &Need| self.slot_of(need.area).map_or(*need, |slot| need.for_public(self.level(slot)));
        needs.iter().map(image).collect()
    }

    pub(super) fn code(&self, slot: u32) -> &AreaCode {
        &self.plots[slot as usize].area.code
    }

    pub(super) fn level(&self, slot: u32) -> AreaLevel {
        self.plots[slot as usize].level
    }

    pub(super) fn name(&self, slot: u32) -> &str {
        &self.plots[slot as usize].area.name
    }

    pub(super) fn households(&self, slot: u32) -> Option<i64> {
        self.plots[slot as usize].area.households
    }

    pub(super) fn parent(&self, slot: u32) -> Option<u32> {
        self.plots[slot as usize].parent
    }

    /// The area's own slot and all below it.
    pub(super) fn subtree(&self, slot: u32) -> Range<u32> {
        slot..self.plots[slot as usize].end
    }

    pub(super) fn all(&self) -> Range<u32> {
        0..self.plots.len() as u32
    }

    pub(super) fn has_children(&self, slot: u32) -> bool {
        self.subtree(slot).len() > 1
    }

    /// The topmost areas within a range that cuts no subtree.
    pub(super) fn tops(&self, range: Range<u32>) -> impl Iterator<Item = u32> {
        let mut next = range.start;
        std::iter::from_fn(move || {
            let top = next;
            next = self.plots.get(top as usize)?.end;
            (top < range.end).then_some(top)
        })
    }

    /// Slots of the areas of the level, ascending.
    pub(super) fn level_slots(&self, level: AreaLevel) -> &[u32] {
        &self.by_level[level as usize - 1]
    }

    /// Metres from the point to the area's shape, or to its point where it has none; the same number
    /// as the index gives. `None` where the area is nowhere.
    pub(super) fn distance_m(&self, slot: u32, from: LonLat) -> Option<f64> {
        let plot = &self.plots[slot as usize];
        match (&plot.area.shape, plot.point) {
            (Some(shape), _) => Some(distance_m(from, shape)),
            (None, Some((point, _))) => Some(distance_between(from, point)),
            (None, None) => None,
        }
    }
}

/// Marks the areas whose households the public is not told of.
///
/// An RT with a count of one to four hides the counts of all areas right below the same one: of a hidden
/// family only the sum is known, which stands above it. An only child's counts are its parent's, so a
/// parent with one small child is small itself. What lies below a hidden area is hidden, too: its sum
/// would be the hidden count.
fn hide_small_counts(plots: &mut [Plot]) {
    let few = |count: Option<i64>| count.is_some_and(|n| (1..Quantity::LEAST_SHOWN.get()).contains(&n));
    let mut small: Vec<bool> = plots
        .iter()
        .map(|p| p.level == AreaLevel::Rt && (few(p.area.households) || few(p.area.poor_households)))
        .collect();
    let mut children = vec![0_u32; plots.len()];
    plots.iter().filter_map(|p| p.parent).for_each(|parent| children[parent as usize] += 1);
    // Slots ascend from parents to children: backwards, every child has been seen before its parent.
    for slot in (0..plots.len()).rev() {
        if let Some(parent) = plots[slot].parent {
            small[parent as usize] |= small[slot] && children[parent as usize] == 1;
        }
    }
    // The areas with a small one right below; the last stands for what has no parent.
    let mut hides = vec![false; plots.len() + 1];
    let above = |plot: &Plot| plot.parent.map_or(children.len(), |parent| parent as usize);
    plots.iter().zip(&small).filter(|(_, small)| **small).for_each(|(plot, _)| hides[above(plot)] = true);
    for slot in 0..plots.len() {
        let up = plots[slot].parent.is_some_and(|parent| plots[parent as usize].hidden);
        plots[slot].hidden = up || hides[above(&plots[slot])];
    }
}

/// One area of one edition. Keeps its ground alive; the same area in two editions is two.
#[derive(Debug, Clone)]
pub struct AreaRef {
    ground: Arc<Ground>,
    slot: u32,
}

impl AreaRef {
    fn plot(&self) -> &Plot {
        &self.ground.plots[self.slot as usize]
    }

    pub fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    pub fn id(&self) -> AreaId {
        self.plot().area.id
    }

    pub fn code(&self) -> &AreaCode {
        &self.plot().area.code
    }

    pub fn name(&self) -> &str {
        &self.plot().area.name
    }

    pub fn label(&self) -> Option<&str> {
        self.plot().area.label.as_deref()
    }

    pub fn level(&self) -> AreaLevel {
        self.plot().level
    }

    /// The nearest area above that exists: its direct parent where no level was left out of an import.
    pub fn parent(&self) -> Option<AreaRef> {
        self.plot().parent.map(|slot| self.ground.at(slot))
    }

    /// The areas whose [`AreaRef::parent`] this is, ascending by code.
    pub fn children(&self) -> Vec<AreaRef> {
        let below = self.slot + 1..self.plot().end;
        self.ground.tops(below).map(|slot| self.ground.at(slot)).collect()
    }

    /// Of its own shape.
    pub fn bounds(&self) -> Option<Bounds> {
        self.shape().map(Shape::bounds)
    }

    pub fn shape(&self) -> Option<&Shape> {
        self.plot().area.shape.as_ref()
    }

    pub fn shape_is_generated(&self) -> bool {
        self.plot().area.generated
    }

    /// Its own point, given or inside its shape; without both its parent's, and marked so.
    pub fn point(&self) -> Option<(LonLat, PointSource)> {
        self.plot().point
    }

    pub fn households(&self, sight: &Sight) -> Option<i64> {
        self.plot().area.households.filter(|_| !self.hides_households(sight))
    }

    pub fn poor_households(&self, sight: &Sight) -> Option<i64> {
        self.plot().area.poor_households.filter(|_| !self.hides_households(sight))
    }

    /// True where both counts are kept from whoever looks, be they known or not.
    pub fn hides_households(&self, sight: &Sight) -> bool {
        sight.is_public() && self.plot().hidden
    }
}

impl PartialEq for AreaRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ground, &other.ground) && self.slot == other.slot
    }
}

impl Eq for AreaRef {}

impl Hash for AreaRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.slot.hash(state);
    }
}
