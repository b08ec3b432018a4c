//! Areas and catalogue of one edition. Immutable: a claim moves counters, never the ground.
//!
//! An area's slot is its place in the order of codes. Parts of a code have fixed widths and a dot sorts
//! before digits, so an area and all below it are a contiguous range of slots.

use super::places::Places;
use super::query::Sight;
use super::words::Words;
use crate::domain::area::{AreaCode, AreaLevel, PointSource};
use crate::domain::ids::{AreaId, ItemId, NeedId, ProgramId};
use crate::domain::need::Need;
use crate::domain::place::{Bounds, LonLat};
use crate::domain::program::{Item, Program};
use crate::domain::quantity::Quantity;
use crate::spatial::{Area, Outlines, Place, Shape, SpatialIndex};
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
    #[error("{0} comes after the needs")]
    AreaTooLate(AreaId),
    #[error("more areas than can be numbered")]
    TooManyAreas,
}

/// Areas, programs and items as of one edition. Columns by slot and no object per area: a nation has more
/// than a million of them.
#[derive(Debug)]
pub struct Ground {
    edition: i64,
    codes: Vec<AreaCode>,
    ids: Vec<i64>,
    by_id: Places,
    /// Numbers among `words`.
    names: Vec<u32>,
    labels: Vec<u32>,
    words: Words,
    /// [`UNKNOWN`] where nobody has counted.
    households: Vec<i64>,
    poor_households: Vec<i64>,
    /// The nearest area above that exists; [`NOBODY`] where there is none.
    parents: Vec<u32>,
    marks: Vec<u8>,
    /// Numbers of the areas whose sums are kept; [`NOBODY`] for all others.
    kept: Vec<u32>,
    kept_count: u32,
    /// Slots of each level, ascending.
    by_level: [Vec<u32>; 6],
    /// Slots of areas that have no point, nor anybody above them to lend one.
    nowhere: Vec<u32>,
    /// Around all shapes.
    bounds: Option<Bounds>,
    index: SpatialIndex,
    programs: Vec<Program>,
    items: Vec<Item>,
    /// An item's number is its place in `items`.
    item_numbers: HashMap<ItemId, u32>,
}

const NOBODY: u32 = u32::MAX;
const UNKNOWN: i64 = i64::MIN;

/// What is true or not of an area, in one byte.
mod mark {
    /// The shape was made up.
    pub const GENERATED: u8 = 1;
    /// The public is not told of its households.
    pub const HIDDEN: u8 = 2;
    /// The point is its own, given or inside its shape.
    pub const OWN_POINT: u8 = 4;
}

/// Sums are kept of areas with more slots than that, their own among them: what lies in smaller ones is counted
/// as quickly as a sum is found. Few in tests, so that small worlds go both ways.
const COUNTED_UP_TO: u32 = if cfg!(test) { 2 } else { 16 };

/// A ground in the making: areas are put in one by one, in any order, and none is kept as an object.
#[derive(Debug, Default)]
pub(super) struct GroundDraft {
    codes: Vec<AreaCode>,
    ids: Vec<i64>,
    names: Vec<u32>,
    labels: Vec<u32>,
    words: Words,
    households: Vec<i64>,
    poor_households: Vec<i64>,
    generated: Vec<bool>,
    points: Vec<Option<LonLat>>,
    shapes: Vec<Option<Place>>,
    outlines: Outlines,
}

impl GroundDraft {
    pub fn add(&mut self, area: AreaRecord) {
        let own = area.point.or_else(|| area.shape.as_ref().map(Shape::inside_point));
        self.codes.push(area.code);
        self.ids.push(area.id.0);
        self.names.push(self.words.number(&area.name));
        self.labels.push(area.label.map_or(NOBODY, |label| self.words.number(&label)));
        self.households.push(area.households.unwrap_or(UNKNOWN));
        self.poor_households.push(area.poor_households.unwrap_or(UNKNOWN));
        self.generated.push(area.generated);
        self.points.push(own);
        self.shapes.push(area.shape.map(|shape| self.outlines.push(&shape)));
    }

    pub fn finish(
        mut self,
        mut programs: Vec<Program>,
        mut items: Vec<Item>,
        edition: i64,
    ) -> Result<Ground, BadContents> {
        programs.sort_by(|a, b| a.key.cmp(&b.key));
        items.sort_by(|a, b| a.key.cmp(&b.key));
        let item_numbers = numbered(&programs, &items)?;
        self.words.close();
        // Half of the range, so that a place between two slots can be numbered too.
        if self.codes.len() >= (u32::MAX / 2) as usize || items.len() >= (u32::MAX / 2) as usize {
            return Err(BadContents::TooManyAreas);
        }
        self.sort();
        let count = self.codes.len();
        let mut by_id = Places::default();
        let mut by_level: [Vec<u32>; 6] = Default::default();
        let mut parents = vec![NOBODY; count];
        let mut ends = vec![count as u32; count];
        let mut marks = vec![0_u8; count];
        // The areas above the one at hand, from the top down.
        let mut above: Vec<u32> = Vec::new();
        for slot in 0..count {
            let code = &self.codes[slot];
            if by_id.put(self.ids[slot], slot as u32).is_some() {
                return Err(BadContents::AreaTwice(AreaId(self.ids[slot])));
            }
            while let Some(top) = above.pop() {
                if self.codes[top as usize] == *code {
                    return Err(BadContents::CodeTwice(code.clone()));
                }
                if self.codes[top as usize].covers(code) {
                    above.push(top);
                    break;
                }
                ends[top as usize] = slot as u32;
            }
            let parent = above.last().copied();
            parents[slot] = parent.unwrap_or(NOBODY);
            if self.points[slot].is_some() {
                marks[slot] |= mark::OWN_POINT;
            } else {
                self.points[slot] = parent.and_then(|parent| self.points[parent as usize]);
            }
            marks[slot] |= if self.generated[slot] { mark::GENERATED } else { 0 };
            by_level[code.level() as usize - 1].push(slot as u32);
            above.push(slot as u32);
        }
        let mut kept_count = 0;
        let mut keep = |slot: usize| {
            let keeps = ends[slot] - slot as u32 > COUNTED_UP_TO;
            kept_count += u32::from(keeps);
            if keeps { kept_count - 1 } else { NOBODY }
        };
        let kept: Vec<u32> = (0..count).map(&mut keep).collect();
        by_id.shrink_to_fit();
        self.outlines.shrink_to_fit();
        by_level.iter_mut().for_each(Vec::shrink_to_fit);
        let areas = self.shapes.iter().zip(&self.points).zip(&ends);
        let areas = areas.map(|((outline, point), end)| Area { outline: *outline, point: *point, end: *end });
        let mut ground = Ground {
            edition,
            by_id,
            words: self.words,
            names: self.names,
            labels: self.labels,
            households: self.households,
            poor_households: self.poor_households,
            parents,
            marks,
            kept,
            kept_count,
            by_level,
            nowhere: (0..count as u32).filter(|slot| self.points[*slot as usize].is_none()).collect(),
            bounds: None,
            index: SpatialIndex::new(self.outlines, areas),
            programs,
            items,
            item_numbers,
            codes: self.codes,
            ids: self.ids,
        };
        let shapes = ground.all().filter_map(|slot| ground.index.outline(slot)?.bounds());
        ground.bounds = shapes.reduce(|a, b| a.around(&b));
        ground.hide_small_counts();
        Ok(ground)
    }

    /// By code.
    fn sort(&mut self) {
        let mut order: Vec<u32> = (0..self.codes.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.codes[*a as usize].cmp(&self.codes[*b as usize]));
        fn put<T: Clone>(column: &mut Vec<T>, order: &[u32]) {
            *column = order.iter().map(|at| column[*at as usize].clone()).collect();
        }
        put(&mut self.codes, &order);
        put(&mut self.ids, &order);
        put(&mut self.names, &order);
        put(&mut self.labels, &order);
        put(&mut self.households, &order);
        put(&mut self.poor_households, &order);
        put(&mut self.generated, &order);
        put(&mut self.points, &order);
        put(&mut self.shapes, &order);
    }
}

/// Numbers of items by id, where the catalogue does not contradict itself.
fn numbered(programs: &[Program], items: &[Item]) -> Result<HashMap<ItemId, u32>, BadContents> {
    let mut known = HashMap::new();
    for program in programs {
        if known.insert(program.id, ()).is_some() {
            return Err(BadContents::ProgramTwice(program.id));
        }
    }
    let mut numbers = HashMap::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        if !known.contains_key(&item.program) {
            return Err(BadContents::ItemWithoutProgram(item.id));
        }
        if numbers.insert(item.id, number as u32).is_some() {
            return Err(BadContents::ItemTwice(item.id));
        }
    }
    Ok(numbers)
}

impl Ground {
    pub(super) fn empty() -> Self {
        Ground {
            edition: 0,
            codes: Vec::new(),
            ids: Vec::new(),
            by_id: Places::default(),
            names: Vec::new(),
            labels: Vec::new(),
            words: Words::default(),
            households: Vec::new(),
            poor_households: Vec::new(),
            parents: Vec::new(),
            marks: Vec::new(),
            kept: Vec::new(),
            kept_count: 0,
            by_level: Default::default(),
            nowhere: Vec::new(),
            bounds: None,
            index: SpatialIndex::build([]),
            programs: Vec::new(),
            items: Vec::new(),
            item_numbers: HashMap::new(),
        }
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
        self.codes.len()
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
        let slots = self.index.in_bounds(&[self.index.all()], bounds).into_iter().flat_map(|part| part.slots);
        slots.filter(|slot| levels.contains(&self.level(*slot))).map(|slot| self.at(slot)).collect()
    }

    /// The smallest box around all shapes; `None` where there is none.
    pub fn bounds(&self) -> Option<Bounds> {
        self.bounds
    }

    pub(super) fn at(self: &Arc<Self>, slot: u32) -> AreaRef {
        AreaRef { ground: Arc::clone(self), slot }
    }

    pub(super) fn index(&self) -> &SpatialIndex {
        &self.index
    }

    pub(super) fn nowhere(&self) -> &[u32] {
        &self.nowhere
    }

    pub(super) fn item_number(&self, id: ItemId) -> Option<u32> {
        self.item_numbers.get(&id).copied()
    }

    pub(super) fn slot_of(&self, id: AreaId) -> Option<u32> {
        self.by_id.get(id.0)
    }

    pub(super) fn slot_of_code(&self, code: &AreaCode) -> Option<u32> {
        self.place_of(code).ok()
    }

    /// The area's slot, or else the slot before which it would stand.
    pub(super) fn place_of(&self, code: &AreaCode) -> Result<u32, u32> {
        let place = self.codes.binary_search(code);
        place.map(|slot| slot as u32).map_err(|slot| slot as u32)
    }

    /// The areas that the code covers, be it an area's itself or not.
    pub(super) fn covered_by(&self, code: &AreaCode) -> Range<u32> {
        let (Ok(start) | Err(start)) = self.place_of(code);
        let covered = self.codes[start as usize..].partition_point(|other| code.covers(other));
        start..start + covered as u32
    }

    /// The areas whose codes begin with the text.
    pub(super) fn begun_by(&self, text: &str) -> Range<u32> {
        let start = self.codes.partition_point(|code| code.as_str() < text);
        let begun = self.codes[start..].partition_point(|code| code.as_str().starts_with(text));
        start as u32..(start + begun) as u32
    }

    /// The cell of an area: areas whose codes are near each other share one.
    pub fn cell_of(&self, id: AreaId) -> Option<u32> {
        self.slot_of(id).map(Ground::cell)
    }

    pub(super) fn cell(slot: u32) -> u32 {
        slot >> 6
    }

    /// The cells of runs that ascend, each once; `None` where these are more than so many.
    pub(super) fn cells(runs: impl Iterator<Item = Range<u32>>, most: usize) -> Option<Vec<u32>> {
        let mut cells: Vec<u32> = Vec::new();
        for run in runs {
            let first = cells.last().map_or(0, |last| last + 1).max(Ground::cell(run.start));
            let last = Ground::cell(run.end - 1);
            if (last + 1).saturating_sub(first) as usize + cells.len() > most {
                return None;
            }
            cells.extend(first..=last);
        }
        Some(cells)
    }

    pub(super) fn id(&self, slot: u32) -> AreaId {
        AreaId(self.ids[slot as usize])
    }

    pub(super) fn code(&self, slot: u32) -> &AreaCode {
        &self.codes[slot as usize]
    }

    pub(super) fn level(&self, slot: u32) -> AreaLevel {
        self.codes[slot as usize].level()
    }

    pub(super) fn name(&self, slot: u32) -> &str {
        self.words.word(self.names[slot as usize])
    }

    /// Different names, each with its number.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.words.all()
    }

    pub(super) fn name_number(&self, slot: u32) -> u32 {
        self.names[slot as usize]
    }

    pub(super) fn households(&self, slot: u32) -> Option<i64> {
        Some(self.households[slot as usize]).filter(|n| *n != UNKNOWN)
    }

    fn poor_households(&self, slot: u32) -> Option<i64> {
        Some(self.poor_households[slot as usize]).filter(|n| *n != UNKNOWN)
    }

    pub(super) fn parent(&self, slot: u32) -> Option<u32> {
        Some(self.parents[slot as usize]).filter(|parent| *parent != NOBODY)
    }

    /// The area's own slot and all below it.
    pub(super) fn subtree(&self, slot: u32) -> Range<u32> {
        slot..self.index.end(slot)
    }

    pub(super) fn all(&self) -> Range<u32> {
        0..self.codes.len() as u32
    }

    /// The number of the area among those whose sums are kept.
    pub(super) fn kept(&self, slot: u32) -> Option<usize> {
        Some(self.kept[slot as usize]).filter(|number| *number != NOBODY).map(|number| number as usize)
    }

    pub(super) fn kept_count(&self) -> usize {
        self.kept_count as usize
    }

    /// The topmost areas within a range that cuts no subtree.
    pub(super) fn tops(&self, range: Range<u32>) -> impl Iterator<Item = u32> {
        self.index.tops(range)
    }

    /// Slots of the areas of the level, ascending.
    pub(super) fn level_slots(&self, level: AreaLevel) -> &[u32] {
        &self.by_level[level as usize - 1]
    }

    /// Those of them within a range.
    pub(super) fn level_in(&self, level: AreaLevel, range: &Range<u32>) -> &[u32] {
        let slots = self.level_slots(level);
        let [start, end] = [range.start, range.end].map(|end| slots.partition_point(|slot| *slot < end));
        slots.get(start..end).unwrap_or_default()
    }

    /// Metres from the point to the area's shape, or to its point where it has none; the same number
    /// as the index gives. `None` where the area is nowhere.
    pub(super) fn distance_m(&self, slot: u32, from: LonLat) -> Option<f64> {
        self.index.distance_m(slot, from)
    }

    fn is_marked(&self, slot: u32, mark: u8) -> bool {
        self.marks[slot as usize] & mark != 0
    }

    /// Marks the areas whose households the public is not told of.
    ///
    /// An RT with a count of one to four hides the counts of all areas right below the same one: of a hidden
    /// family only the sum is known, which stands above it. An only child's counts are its parent's, so a
    /// parent with one small child is small itself. What lies below a hidden area is hidden, too: its sum
    /// would be the hidden count.
    fn hide_small_counts(&mut self) {
        let few = |count: Option<i64>| count.is_some_and(|n| (1..Quantity::LEAST_SHOWN.get()).contains(&n));
        let is_small =
            |slot| self.level(slot) == AreaLevel::Rt && (few(self.households(slot)) || few(self.poor_households(slot)));
        let count = self.codes.len();
        let mut small: Vec<bool> = self.all().map(is_small).collect();
        let mut children = vec![0_u32; count];
        self.all().filter_map(|slot| self.parent(slot)).for_each(|parent| children[parent as usize] += 1);
        // Slots ascend from parents to children: backwards, every child has been seen before its parent.
        for slot in self.all().rev() {
            if let Some(parent) = self.parent(slot) {
                small[parent as usize] |= small[slot as usize] && children[parent as usize] == 1;
            }
        }
        // The areas with a small one right below; the last stands for what has no parent.
        let above = |parent: Option<u32>| parent.map_or(count, |parent| parent as usize);
        let mut hides = vec![false; count + 1];
        self.all().filter(|slot| small[*slot as usize]).for_each(|slot| hides[above(self.parent(slot))] = true);
        for slot in self.all() {
            let parent = self.parent(slot);
            if parent.is_some_and(|parent| self.is_marked(parent, mark::HIDDEN)) || hides[above(parent)] {
                self.marks[slot as usize] |= mark::HIDDEN;
            }
        }
    }
}

/// One area of one edition. Keeps its ground alive; the same area in two editions is two.
#[derive(Debug, Clone)]
pub struct AreaRef {
    ground: Arc<Ground>,
    slot: u32,
}

impl AreaRef {
    pub fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    pub fn id(&self) -> AreaId {
        self.ground.id(self.slot)
    }

    pub fn code(&self) -> &AreaCode {
        self.ground.code(self.slot)
    }

    pub fn name(&self) -> &str {
        self.ground.name(self.slot)
    }

    pub fn label(&self) -> Option<&str> {
        let label = self.ground.labels[self.slot as usize];
        (label != NOBODY).then(|| self.ground.words.word(label))
    }

    pub fn level(&self) -> AreaLevel {
        self.ground.level(self.slot)
    }

    /// The nearest area above that exists: its direct parent where no level was left out of an import.
    pub fn parent(&self) -> Option<AreaRef> {
        self.ground.parent(self.slot).map(|slot| self.ground.at(slot))
    }

    /// The areas whose [`AreaRef::parent`] this is, ascending by code.
    pub fn children(&self) -> Vec<AreaRef> {
        let below = self.slot + 1..self.ground.subtree(self.slot).end;
        self.ground.tops(below).map(|slot| self.ground.at(slot)).collect()
    }

    /// Of its own shape.
    pub fn bounds(&self) -> Option<Bounds> {
        self.ground.index.outline(self.slot)?.bounds()
    }

    /// Made for whoever asks: the map keeps outlines.
    pub fn shape(&self) -> Option<Shape> {
        self.ground.index.outline(self.slot)?.shape()
    }

    pub fn has_shape(&self) -> bool {
        self.ground.index.outline(self.slot).is_some()
    }

    pub fn shape_is_generated(&self) -> bool {
        self.ground.is_marked(self.slot, mark::GENERATED)
    }

    /// Its own point, given or inside its shape; without both its parent's, and marked so.
    pub fn point(&self) -> Option<(LonLat, PointSource)> {
        let own = self.ground.is_marked(self.slot, mark::OWN_POINT);
        let source = if own { PointSource::Own } else { PointSource::Parent };
        self.ground.index.point(self.slot).map(|point| (point, source))
    }

    pub fn households(&self, sight: &Sight) -> Option<i64> {
        self.ground.households(self.slot).filter(|_| !self.hides_households(sight))
    }

    pub fn poor_households(&self, sight: &Sight) -> Option<i64> {
        self.ground.poor_households(self.slot).filter(|_| !self.hides_households(sight))
    }

    /// True where both counts are kept from whoever looks, be they known or not.
    pub fn hides_households(&self, sight: &Sight) -> bool {
        sight.is_public() && self.ground.is_marked(self.slot, mark::HIDDEN)
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
