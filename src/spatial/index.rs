//! Which areas lie in a box, in a shape, near a point, under a point.
//!
//! Built once per edition from all areas of one kind, then only read. A tree over the areas' boxes
//! proposes, the true geometry decides; every answer is exact and borders count. An area without a
//! shape of its own takes part as its point.

use super::distance::{Eye, distance_between, distance_m};
use super::edges::EdgeTree;
use super::shapes::Shape;
use crate::domain::place::{Bounds, LonLat};
use geo::Coord;
use rstar::{AABB, ParentNode, RTree, RTreeNode, RTreeObject};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Areas by place. Immutable; shares the shapes with whoever else holds them.
#[derive(Debug)]
pub struct SpatialIndex {
    entries: Vec<Entry>,
    tree: RTree<Leaf>,
}

#[derive(Debug)]
struct Entry {
    slot: u32,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Shape(Shape),
    Point(LonLat),
}

/// An entry's number and its box. Boxes come from [`Bounds`] and [`LonLat`], which hold no NaN and
/// nothing out of range, so the tree, which panics on either, never sees them.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    low: [f64; 2],
    high: [f64; 2],
    entry: u32,
}

impl RTreeObject for Leaf {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        AABB::from_corners(self.low, self.high)
    }
}

/// What to do with a box on the way down the tree.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Skip,
    /// Look closer.
    Test,
    /// All below it belongs to the answer.
    Take,
}

impl Place {
    fn bounds(&self) -> ([f64; 2], [f64; 2]) {
        match self {
            Place::Shape(shape) => {
                let [west, south, east, north] = shape.bounds().to_array();
                ([west, south], [east, north])
            }
            Place::Point(point) => ([point.lon(), point.lat()], [point.lon(), point.lat()]),
        }
    }

    fn distance_m(&self, from: LonLat) -> f64 {
        match self {
            Place::Shape(shape) => distance_m(from, shape),
            Place::Point(point) => distance_between(from, *point),
        }
    }
}

impl SpatialIndex {
    /// Takes (slot, shape where it has one, point) of each area. Slots are the caller's numbers, each given
    /// once, in the order of the areas' codes where [`SpatialIndex::locate`] is to prefer the lower code.
    pub fn build(areas: impl IntoIterator<Item = (u32, Option<Shape>, LonLat)>) -> Self {
        let entries: Vec<Entry> = areas
            .into_iter()
            .map(|(slot, shape, point)| Entry { slot, place: shape.map_or(Place::Point(point), Place::Shape) })
            .collect();
        let leaves = entries.iter().enumerate().map(|(number, entry)| {
            let (low, high) = entry.place.bounds();
            Leaf { low, high, entry: number as u32 }
        });
        let tree = RTree::bulk_load(leaves.collect());
        SpatialIndex { entries, tree }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Slots, ascending, of the areas that share a point with the box.
    pub fn intersecting_bounds(&self, bounds: &Bounds) -> Vec<u32> {
        let step = |low: [f64; 2], high: [f64; 2]| {
            if low[0] > bounds.east() || high[0] < bounds.west() || low[1] > bounds.north() || high[1] < bounds.south()
            {
                Step::Skip
            } else if low[0] >= bounds.west()
                && high[0] <= bounds.east()
                && low[1] >= bounds.south()
                && high[1] <= bounds.north()
            {
                Step::Take
            } else {
                Step::Test
            }
        };
        self.collect(step, |place| match place {
            Place::Shape(shape) => shape.intersects_bounds(bounds),
            // A point's box is the point: it was taken or skipped.
            Place::Point(_) => true,
        })
    }

    /// Slots, ascending, of the areas that share a point with the shape.
    pub fn intersecting_shape(&self, shape: &Shape) -> Vec<u32> {
        let around = shape.bounds();
        let edges = EdgeTree::of(shape.polygons());
        let step = |low: [f64; 2], high: [f64; 2]| match Bounds::new(low[0], low[1], high[0], high[1]) {
            Ok(below) if below.intersects(&around) => Step::Test,
            _ => Step::Skip,
        };
        self.collect(step, |place| match place {
            Place::Shape(area) => shapes_meet(area, shape, &edges),
            Place::Point(point) => edges.covers(Coord { x: point.lon(), y: point.lat() }),
        })
    }

    /// Slots, ascending, with metres, of the areas no farther than `radius_m` metres from the point;
    /// none where the radius is negative or not a number.
    pub fn within_distance(&self, point: LonLat, radius_m: f64) -> Vec<(u32, f64)> {
        let eye = Eye::new(point);
        let mut found = Vec::new();
        self.walk(
            |low, high| if eye.floor_m(low, high) <= radius_m { Step::Test } else { Step::Skip },
            |entry, _| {
                let metres = entry.place.distance_m(point);
                if metres <= radius_m {
                    found.push((entry.slot, metres));
                }
            },
        );
        found.sort_unstable_by_key(|(slot, _)| *slot);
        found
    }

    /// All areas with their metres from the point, nearest first, the lower slot first among equals.
    /// Lazy: taking a few looks at little more than these.
    pub fn nearest(&self, point: LonLat) -> impl Iterator<Item = (u32, f64)> + '_ {
        let mut nearest = Nearest { entries: &self.entries, point, eye: Eye::new(point), waiting: BinaryHeap::new() };
        nearest.open(self.tree.root());
        nearest
    }

    /// The area whose shape covers the point; on a shared border, the lowest slot. Areas without a
    /// shape cover nothing.
    pub fn locate(&self, point: LonLat) -> Option<u32> {
        self.locate_among(point, |_| true)
    }

    /// As [`SpatialIndex::locate`], among the areas whose slots are kept: those of one level, say.
    pub fn locate_among(&self, point: LonLat, keep: impl Fn(u32) -> bool) -> Option<u32> {
        let (x, y) = (point.lon(), point.lat());
        let mut lowest = None;
        self.walk(
            |low, high| {
                if low[0] <= x && x <= high[0] && low[1] <= y && y <= high[1] { Step::Test } else { Step::Skip }
            },
            |entry, _| {
                let lower = lowest.is_none_or(|slot| entry.slot < slot);
                if lower && keep(entry.slot) && matches!(&entry.place, Place::Shape(shape) if shape.covers(point)) {
                    lowest = Some(entry.slot);
                }
            },
        );
        lowest
    }

    fn collect(&self, step: impl Fn([f64; 2], [f64; 2]) -> Step, decide: impl Fn(&Place) -> bool) -> Vec<u32> {
        let mut slots = Vec::new();
        self.walk(step, |entry, sure| {
            if sure || decide(&entry.place) {
                slots.push(entry.slot);
            }
        });
        slots.sort_unstable();
        slots
    }

    /// Goes down the tree as `step` says and hands over the entries it comes to, with `true` where they
    /// were taken unseen.
    fn walk<'a>(&'a self, step: impl Fn([f64; 2], [f64; 2]) -> Step, mut hand_over: impl FnMut(&'a Entry, bool)) {
        let mut open = vec![(self.tree.root(), false)];
        while let Some((node, sure)) = open.pop() {
            for child in node.children() {
                let (low, high) = corners(child);
                let step = if sure { Step::Take } else { step(low, high) };
                match child {
                    _ if step == Step::Skip => {}
                    RTreeNode::Parent(parent) => open.push((parent, step == Step::Take)),
                    RTreeNode::Leaf(leaf) => hand_over(&self.entries[leaf.entry as usize], step == Step::Take),
                }
            }
        }
    }
}

fn corners(node: &RTreeNode<Leaf>) -> ([f64; 2], [f64; 2]) {
    match node {
        RTreeNode::Leaf(leaf) => (leaf.low, leaf.high),
        RTreeNode::Parent(parent) => (parent.envelope().lower(), parent.envelope().upper()),
    }
}

/// True where two shapes share a point; `edges` are those of the second.
fn shapes_meet(area: &Shape, shape: &Shape, edges: &EdgeTree) -> bool {
    let starts = |of: &Shape| of.polygons().iter().filter_map(|p| p.exterior().0.first().copied()).collect::<Vec<_>>();
    // Where no edges meet, a part is wholly inside the other shape or wholly outside it: one of its points tells.
    starts(area).into_iter().any(|p| edges.covers(p))
        || area.edges().any(|(a, b)| edges.meets(a, b))
        || starts(shape).into_iter().any(|p| LonLat::new(p.x, p.y).is_ok_and(|p| area.covers(p)))
}

/// The state of a search outward from a point. What waits has a distance that it cannot beat, or its true one.
struct Nearest<'a> {
    entries: &'a [Entry],
    point: LonLat,
    eye: Eye,
    waiting: BinaryHeap<Waiting<'a>>,
}

struct Waiting<'a> {
    metres: f64,
    what: What<'a>,
}

enum What<'a> {
    Node(&'a ParentNode<Leaf>),
    Unmeasured(&'a Entry),
    Measured(u32),
}

impl Waiting<'_> {
    /// What may still hide an equally near area goes first, then the lower slot.
    fn rank(&self) -> (u8, u32) {
        match self.what {
            What::Node(_) => (0, 0),
            What::Unmeasured(_) => (1, 0),
            What::Measured(slot) => (2, slot),
        }
    }
}

impl Ord for Waiting<'_> {
    /// The heap gives out its greatest: the nearest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.metres.total_cmp(&self.metres).then_with(|| other.rank().cmp(&self.rank()))
    }
}

impl PartialOrd for Waiting<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting<'_> {}

impl<'a> Nearest<'a> {
    fn open(&mut self, node: &'a ParentNode<Leaf>) {
        for child in node.children() {
            let (low, high) = corners(child);
            let metres = self.eye.floor_m(low, high);
            let what = match child {
                RTreeNode::Parent(parent) => What::Node(parent),
                RTreeNode::Leaf(leaf) => What::Unmeasured(&self.entries[leaf.entry as usize]),
            };
            self.waiting.push(Waiting { metres, what });
        }
    }
}

impl Iterator for Nearest<'_> {
    type Item = (u32, f64);

    fn next(&mut self) -> Option<(u32, f64)> {
        loop {
            let Waiting { metres, what } = self.waiting.pop()?;
            match what {
                What::Node(node) => self.open(node),
                What::Unmeasured(entry) => {
                    let metres = entry.place.distance_m(self.point);
                    self.waiting.push(Waiting { metres, what: What::Measured(entry.slot) });
                }
                What::Measured(slot) => return Some((slot, metres)),
            }
        }
    }
}
