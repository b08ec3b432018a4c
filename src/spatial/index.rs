//! Which areas lie in a box, in a shape, near a point, under a point.
//!
//! Built once per edition from all areas, then only read. Areas stand in the order of their codes, so that
//! an area and all below it are one run of slots, and so the hierarchy is the tree: every area keeps a box
//! around itself and all below it. A walk goes over the slots in their order and jumps over what lies
//! elsewhere. What lies wholly inside is taken as a run, unseen, so whoever knows the sum over an area need
//! not go through it. Areas that are in nobody's run, as where there is no hierarchy, are gone through one by
//! one.
//!
//! Long outlines are read in [`stretches`](super::stretches), of which a question reads those near it.
//!
//! Boxes propose, the true geometry decides; every answer is exact and borders count. An area without
//! a shape of its own takes part as its point; one without either is nowhere.

use super::distance::{Eye, distance_between};
use super::edges::EdgeTree;
use super::outlines::{Outline, Outlines, Place};
use super::shapes::Shape;
use super::stretches::Stretches;
use crate::domain::place::{Bounds, LonLat};
use geo::Coord;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

/// Areas by place. Immutable.
#[derive(Debug)]
pub struct SpatialIndex {
    outlines: Outlines,
    /// Where each area's outline begins among `outlines`; [`NO_OUTLINE`] where it has none.
    places: Vec<u64>,
    /// Not a number where an area is nowhere.
    points: Vec<[f64; 2]>,
    /// One past the last slot below each area.
    ends: Vec<u32>,
    reaches: Vec<Reach>,
    /// Of long outlines, by slot.
    stretches: HashMap<u32, Stretches>,
}

const NO_OUTLINE: u64 = u64::MAX;

/// An area as the index takes it.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    pub outline: Option<Place>,
    pub point: Option<LonLat>,
    /// One past the last slot below it.
    pub end: u32,
}

/// A box around an area and all below it, rounded outwards. It holds no NaN and nothing out of range.
#[derive(Debug, Clone, Copy)]
struct Reach {
    low: [f32; 2],
    high: [f32; 2],
}

/// Some slots in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub slots: Range<u32>,
    /// With every area all below it is there, too.
    pub whole: bool,
}

/// What to do with a box on the way.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Skip,
    /// Look closer.
    Test,
    /// All in it belongs to the answer.
    Take,
}

impl Reach {
    /// Of what is nowhere: meets nothing.
    const NOWHERE: Reach = Reach { low: [f32::INFINITY; 2], high: [f32::NEG_INFINITY; 2] };

    fn of([west, south, east, north]: [f64; 4]) -> Self {
        let down = |n: f64, least: f32| {
            let near = n as f32;
            (if f64::from(near) > n { near.next_down() } else { near }).max(least)
        };
        let up = |n: f64, most: f32| -down(-n, -most);
        Reach { low: [down(west, -180.0), down(south, -90.0)], high: [up(east, 180.0), up(north, 90.0)] }
    }

    fn is_nowhere(&self) -> bool {
        self.low[0] > self.high[0]
    }

    fn around(&mut self, other: &Reach) {
        for i in 0..2 {
            self.low[i] = self.low[i].min(other.low[i]);
            self.high[i] = self.high[i].max(other.high[i]);
        }
    }

    fn corners(&self) -> ([f64; 2], [f64; 2]) {
        (self.low.map(f64::from), self.high.map(f64::from))
    }
}

impl SpatialIndex {
    /// Takes the areas by slot, in the order of their codes.
    pub fn new(outlines: Outlines, areas: impl ExactSizeIterator<Item = Area>) -> Self {
        let count = areas.len();
        let mut index = SpatialIndex {
            outlines,
            places: Vec::with_capacity(count),
            points: Vec::with_capacity(count),
            ends: Vec::with_capacity(count),
            reaches: Vec::with_capacity(count),
            stretches: HashMap::new(),
        };
        for area in areas {
            let own = area.outline.and_then(|place| index.outlines.at(place).bounds()).map(|b| b.to_array());
            let own = own.or(area.point.map(|p| [p.lon(), p.lat(), p.lon(), p.lat()]));
            index.places.push(area.outline.map_or(NO_OUTLINE, Place::number));
            index.points.push(area.point.map_or([f64::NAN; 2], |p| [p.lon(), p.lat()]));
            index.ends.push(area.end);
            index.reaches.push(own.map_or(Reach::NOWHERE, Reach::of));
        }
        let long = (0..count as u32).filter_map(|slot| Some((slot, Stretches::of(index.outline(slot)?)?)));
        index.stretches = long.collect();
        index.widen();
        index
    }

    /// Areas without a hierarchy, each with its shape where it has one, and its point. Their slots are
    /// their places.
    pub fn build(areas: impl IntoIterator<Item = (Option<Shape>, LonLat)>) -> Self {
        let mut outlines = Outlines::default();
        let mut flat = Vec::new();
        for (shape, point) in areas {
            let outline = shape.map(|shape| outlines.push(&shape));
            flat.push(Area { outline, point: Some(point), end: flat.len() as u32 + 1 });
        }
        SpatialIndex::new(outlines, flat.into_iter())
    }

    /// From the last slot back, so that every area below has its whole reach before those above take it in.
    fn widen(&mut self) {
        for slot in (0..self.ends.len()).rev() {
            let mut reach = self.reaches[slot];
            let mut below = slot + 1;
            while below < self.ends[slot] as usize {
                reach.around(&self.reaches[below]);
                below = self.ends[below] as usize;
            }
            self.reaches[slot] = reach;
        }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One past the last slot below the area.
    pub fn end(&self, slot: u32) -> u32 {
        self.ends[slot as usize]
    }

    pub fn outline(&self, slot: u32) -> Option<Outline<'_>> {
        let place = self.places[slot as usize];
        (place != NO_OUTLINE).then(|| self.outlines.at(Place::of(place)))
    }

    pub fn point(&self, slot: u32) -> Option<LonLat> {
        let [lon, lat] = self.points[slot as usize];
        LonLat::new(lon, lat).ok()
    }

    /// Metres from the point; `None` where the area is nowhere.
    pub fn distance_m(&self, slot: u32, from: LonLat) -> Option<f64> {
        match self.outline(slot) {
            Some(outline) => Some(outline.distance_m(from)),
            None => self.point(slot).map(|point| distance_between(from, point)),
        }
    }

    /// All areas.
    pub fn all(&self) -> Part {
        Part { slots: 0..self.ends.len() as u32, whole: true }
    }

    /// The topmost areas within slots that cut no subtree.
    pub fn tops(&self, slots: Range<u32>) -> impl Iterator<Item = u32> + use<'_> {
        let mut next = slots.start;
        std::iter::from_fn(move || {
            let top = next;
            (top < slots.end).then(|| next = self.ends[top as usize])?;
            Some(top)
        })
    }

    /// Those of the areas that share a point with the box. Parts ascend, given and answered.
    pub fn in_bounds(&self, among: &[Part], bounds: &Bounds) -> Vec<Part> {
        let [west, south, east, north] = bounds.to_array();
        let step = |reach: &Reach| {
            let ([x, y], [to_x, to_y]) = reach.corners();
            if x > east || to_x < west || y > north || to_y < south {
                Step::Skip
            } else if x >= west && to_x <= east && y >= south && to_y <= north {
                Step::Take
            } else {
                Step::Test
            }
        };
        self.collect(among, step, |slot| match self.outline(slot) {
            Some(outline) => match self.stretches.get(&slot) {
                Some(stretches) => stretches.intersect_bounds(outline, bounds),
                None => outline.intersects_bounds(bounds),
            },
            None => {
                let [x, y] = self.points[slot as usize];
                (west..=east).contains(&x) && (south..=north).contains(&y)
            }
        })
    }

    /// Those of the areas that share a point with the shape.
    pub fn in_shape(&self, among: &[Part], shape: &Shape) -> Vec<Part> {
        let [west, south, east, north] = shape.bounds().to_array();
        let corners = [Coord { x: west, y: south }, Coord { x: east, y: north }];
        let edges = EdgeTree::of(shape.polygons());
        let starts: Vec<Coord<f64>> = shape.polygons().iter().filter_map(|p| p.exterior().0.first().copied()).collect();
        let step = |reach: &Reach| {
            let ([x, y], [to_x, to_y]) = reach.corners();
            if x > east || to_x < west || y > north || to_y < south {
                return Step::Skip;
            }
            let (low, high) = (Coord { x, y }, Coord { x: to_x, y: to_y });
            // Where no edge meets the box it is all inside or all outside, and any corner tells.
            match edges.meets_box(low, high) {
                true => Step::Test,
                false if edges.covers(low) => Step::Take,
                false => Step::Skip,
            }
        };
        self.collect(among, step, |slot| match self.outline(slot) {
            Some(outline) => match self.stretches.get(&slot) {
                Some(stretches) => stretches.meet(outline, &starts, &edges, corners),
                None => shapes_meet(outline, &starts, &edges),
            },
            None => {
                let [x, y] = self.points[slot as usize];
                !x.is_nan() && edges.covers(Coord { x, y })
            }
        })
    }

    /// Slots, ascending, with metres, of those of the areas no farther than `radius_m` metres from the
    /// point; none where the radius is negative or not a number.
    pub fn within_distance(&self, among: &[Part], point: LonLat, radius_m: f64) -> Vec<(u32, f64)> {
        let eye = Eye::new(point);
        let mut found = Vec::new();
        let step = |reach: &Reach| {
            let (low, high) = reach.corners();
            if !reach.is_nowhere() && eye.floor_m(low, high) <= radius_m { Step::Test } else { Step::Skip }
        };
        self.walk(among, step, |slot, _| {
            if let Some(metres) = self.distance_m(slot, point).filter(|metres| *metres <= radius_m) {
                found.push((slot, metres));
            }
        });
        found
    }

    /// Those of the areas that are somewhere with their metres from the point, nearest first, the lower slot
    /// first among equals. Lazy: taking a few looks at little more than these. What is not `worth` it is left
    /// out unseen, an area alone or with all below it.
    pub fn nearest<'a, F: Fn(Range<u32>) -> bool>(
        &'a self,
        among: &[Part],
        point: LonLat,
        worth: F,
    ) -> impl Iterator<Item = (u32, f64)> + use<'a, F> {
        let mut nearest = Nearest { index: self, point, eye: Eye::new(point), waiting: BinaryHeap::new(), worth };
        for part in among {
            match part.whole {
                true => self.tops(part.slots.clone()).for_each(|top| nearest.wait_below(top)),
                false => part.slots.clone().for_each(|slot| nearest.wait_alone(slot)),
            }
        }
        nearest
    }

    /// The area whose shape covers the point, among those whose slots are kept: those of one level, say. On
    /// a shared border, the lowest slot. Areas without a shape cover nothing.
    pub fn locate_among(&self, point: LonLat, keep: impl Fn(u32) -> bool) -> Option<u32> {
        let (x, y) = (point.lon(), point.lat());
        let mut slot = 0;
        while slot < self.ends.len() as u32 {
            let (low, high) = self.reaches[slot as usize].corners();
            if low[0] > x || x > high[0] || low[1] > y || y > high[1] {
                slot = self.end(slot);
                continue;
            }
            if keep(slot) && self.outline(slot).is_some_and(|outline| outline.covers(point)) {
                return Some(slot);
            }
            slot += 1;
        }
        None
    }

    fn collect(&self, among: &[Part], step: impl Fn(&Reach) -> Step, decide: impl Fn(u32) -> bool) -> Vec<Part> {
        let mut parts = Parts::default();
        self.walk(among, step, |slot, run| match run {
            Some(end) => parts.push_run(slot..end),
            None if decide(slot) => parts.push_one(slot),
            None => {}
        });
        parts.0
    }

    /// Goes over the slots as `step` says and hands over each that it comes to, with the end of its run where
    /// it was taken with all below it, unseen.
    fn walk(&self, among: &[Part], step: impl Fn(&Reach) -> Step, mut hand_over: impl FnMut(u32, Option<u32>)) {
        for part in among {
            let mut slot = part.slots.start;
            while slot < part.slots.end {
                let end = if part.whole { self.end(slot) } else { slot + 1 };
                match step(&self.reaches[slot as usize]) {
                    Step::Skip => slot = end,
                    Step::Take if part.whole && self.is_all_somewhere(slot) => {
                        hand_over(slot, Some(end));
                        slot = end;
                    }
                    // What it is part of lies inside, but nobody asked for that.
                    Step::Take | Step::Test => {
                        hand_over(slot, None);
                        slot += 1;
                    }
                }
            }
        }
    }

    /// True where the area and all below it have a place.
    fn is_all_somewhere(&self, slot: u32) -> bool {
        // Points are lent from above, so where the area has one nobody below it is without.
        !self.points[slot as usize][0].is_nan()
    }
}

/// A list of parts that grows.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn push_run(&mut self, slots: Range<u32>) {
        match self.0.last_mut() {
            Some(last) if last.whole && last.slots.end == slots.start => last.slots.end = slots.end,
            _ => self.0.push(Part { slots, whole: true }),
        }
    }

    fn push_one(&mut self, slot: u32) {
        match self.0.last_mut() {
            Some(last) if !last.whole && last.slots.end == slot => last.slots.end += 1,
            _ => self.0.push(Part { slots: slot..slot + 1, whole: false }),
        }
    }
}

impl Part {
    /// Slots, ascending, each by itself.
    pub fn of_each(slots: impl IntoIterator<Item = u32>) -> Vec<Part> {
        let mut parts = Parts::default();
        slots.into_iter().for_each(|slot| parts.push_one(slot));
        parts.0
    }

    /// True where one of the parts, which ascend, has the slot.
    pub fn any_has(parts: &[Part], slot: u32) -> bool {
        let at = parts.partition_point(|part| part.slots.end <= slot);
        parts.get(at).is_some_and(|part| part.slots.contains(&slot))
    }
}

/// True where an area and a shape share a point; `edges` are those of the shape, `starts` a point of each
/// part of it.
fn shapes_meet(area: Outline<'_>, starts: &[Coord<f64>], edges: &EdgeTree) -> bool {
    // Where no edges meet, a part is wholly inside the other shape or wholly outside it: one of its points tells.
    area.starts().any(|p| edges.covers(p))
        || area.edges().any(|(a, b)| edges.meets(a, b))
        || starts.iter().any(|p| LonLat::new(p.x, p.y).is_ok_and(|p| area.covers(p)))
}

/// The state of a search outward from a point. What waits has a distance that it cannot beat, or its true one.
struct Nearest<'a, F> {
    index: &'a SpatialIndex,
    point: LonLat,
    eye: Eye,
    waiting: BinaryHeap<Waiting>,
    worth: F,
}

struct Waiting {
    metres: f64,
    what: What,
}

enum What {
    /// An area and all below it.
    Below(u32),
    Unmeasured(u32),
    Measured(u32),
}

impl Waiting {
    /// What may still hide an equally near area goes first, then the lower slot.
    fn rank(&self) -> (u8, u32) {
        match self.what {
            What::Below(_) => (0, 0),
            What::Unmeasured(_) => (1, 0),
            What::Measured(slot) => (2, slot),
        }
    }
}

impl Ord for Waiting {
    /// The heap gives out its greatest: the nearest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.metres.total_cmp(&self.metres).then_with(|| other.rank().cmp(&self.rank()))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl<F: Fn(Range<u32>) -> bool> Nearest<'_, F> {
    fn wait_below(&mut self, slot: u32) {
        let end = self.index.end(slot);
        if end == slot + 1 {
            self.wait_alone(slot);
        } else {
            self.wait(slot, slot..end, What::Below(slot));
        }
    }

    fn wait_alone(&mut self, slot: u32) {
        self.wait(slot, slot..slot + 1, What::Unmeasured(slot));
    }

    fn wait(&mut self, slot: u32, slots: Range<u32>, what: What) {
        let reach = self.index.reaches[slot as usize];
        if reach.is_nowhere() || !(self.worth)(slots) {
            return;
        }
        let (low, high) = reach.corners();
        self.waiting.push(Waiting { metres: self.eye.floor_m(low, high), what });
    }
}

impl<F: Fn(Range<u32>) -> bool> Iterator for Nearest<'_, F> {
    type Item = (u32, f64);

    fn next(&mut self) -> Option<(u32, f64)> {
        loop {
            let Waiting { metres, what } = self.waiting.pop()?;
            match what {
                What::Below(slot) => {
                    self.wait_alone(slot);
                    let below = slot + 1..self.index.end(slot);
                    self.index.tops(below).for_each(|top| self.wait_below(top));
                }
                What::Unmeasured(slot) => {
                    if let Some(metres) = self.index.distance_m(slot, self.point) {
                        self.waiting.push(Waiting { metres, what: What::Measured(slot) });
                    }
                }
                What::Measured(slot) => return Some((slot, metres)),
            }
        }
    }
}
