//! Makes sound polygons out of rings as people draw and export them, and says what it changed.
//!
//! Sound means: rings are closed, without repeated points, and do not cross or touch themselves;
//! holes lie inside their outer ring and beside each other; parts lie beside each other; two rings
//! meet in one point at most. What is not sound is rebuilt: each ring is filled by the even-odd rule,
//! holes are taken out of their own outer ring, parts are joined. A rebuilt shape may still have parts that touch
//! in several points and, of the wildest tangles a few in a hundred thousand, a ring that touches itself; inside and
//! outside are clear all the same.
//!
//! The check costs n log n, and its work is bounded: a tangle that would cost more is refused, so a
//! hostile shape cannot keep a server busy. (geo's own validation compares every edge with every other.)

use super::edges::{Edge, EdgeTree, Meeting, Ray, doubles_back, meet, ray};
use super::shapes::{Repair, ShapeError};
use geo::orient::{Direction, Orient};
use geo::{BooleanOps, Coord, LineString, MultiPolygon, Polygon, unary_union};
use rstar::RTree;
use rstar::primitives::GeomWithData;
use std::collections::HashMap;

/// Rings of polygons, the outer one first; each closed or not.
pub(super) type Rings = Vec<Vec<Vec<Coord<f64>>>>;

/// Pieces below this area, in square degrees, are dropped from a rebuilt shape: about 0.01 m² at the equator.
const SLIVER: f64 = 1e-12;

/// The polygons, sound, outer rings counter-clockwise and holes clockwise, with what was mended.
pub(super) fn check(rings: Rings, limit: usize) -> Result<(MultiPolygon<f64>, Vec<Repair>), ShapeError> {
    let vertices: usize = rings.iter().flatten().map(Vec::len).sum();
    if vertices > limit {
        return Err(ShapeError::TooManyVertices { limit });
    }
    check_coordinates(&rings)?;
    let (rings, mut repairs) = tidy(rings);
    if rings.is_empty() {
        return Err(ShapeError::Empty);
    }
    let faults = survey(&rings)?;
    if faults.is_none() {
        return Ok((wind(rings), repairs));
    }
    let either = |pick: fn(&Kinds) -> bool| pick(&faults.hard) || pick(&faults.soft);
    for (found, repair) in [
        (either(|k| k.own), Repair::SelfIntersection),
        (either(|k| k.holes), Repair::MisplacedHole),
        (either(|k| k.parts), Repair::OverlappingParts),
    ] {
        if found {
            repairs.push(repair);
        }
    }
    // The builder (i_overlay 4.5) panics on rare tangles in which a hole lies along its shell's edge. It works on
    // borrowed values alone, so a tangle that breaks it leaves nothing half done and is only refused.
    let (mended, slivers) = std::panic::catch_unwind(|| mend(&rings)).map_err(|_| ShapeError::Unmendable)?;
    if slivers > 0 {
        repairs.push(Repair::SliversDropped(slivers));
    }
    if mended.is_empty() {
        return Err(ShapeError::Empty);
    }
    // A ring that touches itself after all is worse form, but as clear about inside and outside.
    let mut touching = None;
    for candidate in [snap_back(&mended, &rings), mended] {
        if candidate.is_empty() {
            continue;
        }
        let left = survey(&candidate)?;
        if left.hard == Kinds::default() && !left.soft.own {
            return Ok((wind(candidate), repairs));
        }
        if left.hard == Kinds::default() {
            touching.get_or_insert(candidate);
        }
    }
    touching.map(|rings| (wind(rings), repairs)).ok_or(ShapeError::Unmendable)
}

/// Refuses what is not a position in degrees, and says which mistake it looks like.
pub(super) fn check_coordinates(rings: &Rings) -> Result<(), ShapeError> {
    let all = || rings.iter().flatten().flatten();
    if !all().all(|c| c.x.is_finite() && c.y.is_finite()) {
        return Err(ShapeError::NotFinite);
    }
    if all().all(|c| c.x.abs() <= 180.0 && c.y.abs() <= 90.0) {
        return Ok(());
    }
    let swapped = all().all(|c| c.x.abs() <= 90.0 && c.y.abs() <= 180.0);
    Err(if swapped { ShapeError::SwappedAxes } else { ShapeError::NotDegrees })
}

/// Closes rings, takes out repeated points, and drops rings of fewer than three different points.
fn tidy(rings: Rings) -> (Rings, Vec<Repair>) {
    let (mut closed, mut repeated, mut slivers) = (0, 0, 0);
    let mut tidy_ring = |mut ring: Vec<Coord<f64>>| {
        for c in &mut ring {
            // Minus zero becomes zero: equal positions are equal bits.
            *c = Coord { x: c.x + 0.0, y: c.y + 0.0 };
        }
        let before = ring.len();
        ring.dedup();
        repeated += before - ring.len();
        if ring.len() > 1 && ring.first() != ring.last() {
            ring.extend(ring.first().copied());
            closed += 1;
        }
        if ring.len() < 4 {
            slivers += 1;
            return None;
        }
        Some(ring)
    };
    let mut kept = Vec::with_capacity(rings.len());
    for polygon in rings {
        let mut rings = polygon.into_iter();
        // Without its outer ring a polygon is nothing, holes or not.
        let Some(shell) = rings.next().and_then(&mut tidy_ring) else { continue };
        let mut polygon = vec![shell];
        polygon.extend(rings.filter_map(&mut tidy_ring));
        kept.push(polygon);
    }
    let repairs = [Repair::RingsClosed(closed), Repair::RepeatedPoints(repeated), Repair::SliversDropped(slivers)];
    let repairs = repairs.into_iter().zip([closed, repeated, slivers]).filter(|(_, n)| *n > 0).map(|(r, _)| r);
    (kept, repairs.collect())
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kinds {
    own: bool,
    holes: bool,
    parts: bool,
}

/// `hard` faults make inside and outside doubtful; `soft` ones are touches that the standards forbid.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    hard: Kinds,
    soft: Kinds,
}

impl Faults {
    fn is_none(&self) -> bool {
        self.hard == Kinds::default() && self.soft == Kinds::default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    part: usize,
    hole: bool,
}

/// How much work a shape of so many edges may still cause.
struct Budget(usize);

impl Budget {
    fn spend(&mut self, work: usize) -> Result<(), ShapeError> {
        self.0 = self.0.checked_sub(work).ok_or(ShapeError::TooTangled)?;
        Ok(())
    }
}

/// Finds all faults of tidy rings.
fn survey(polygons: &Rings) -> Result<Faults, ShapeError> {
    let mut owners = Vec::new();
    let mut rings: Vec<&[Coord<f64>]> = Vec::new();
    let mut edges = Vec::new();
    for (part, polygon) in polygons.iter().enumerate() {
        for (i, ring) in polygon.iter().enumerate() {
            let number = owners.len() as u32;
            owners.push(Owner { part, hole: i > 0 });
            rings.push(ring);
            edges.extend(ring.windows(2).enumerate().map(|(at, pair)| Edge {
                a: pair[0],
                b: pair[1],
                ring: number,
                at: at as u32,
            }));
        }
    }
    let mut work = Budget(100_000 + 64 * edges.len());
    let mut crossings = Budget(1_000 + edges.len());
    let tree = EdgeTree::new(edges.clone());
    let mut faults = Faults::default();
    let mut touches: HashMap<(u32, u32), Coord<f64>> = HashMap::new();
    for edge in &edges {
        for other in tree.near(edge.a, edge.b) {
            work.spend(1)?;
            if (other.ring, other.at) <= (edge.ring, edge.at) {
                continue;
            }
            let same_ring = edge.ring == other.ring;
            let last = rings[edge.ring as usize].len() as u32 - 2;
            if same_ring && (other.at == edge.at + 1 || (edge.at == 0 && other.at == last)) {
                let back = if other.at == edge.at + 1 {
                    doubles_back(edge.a, edge.b, other.b)
                } else {
                    doubles_back(other.a, edge.a, edge.b)
                };
                faults.hard.own |= back;
                continue;
            }
            let (mine, theirs) = (owners[edge.ring as usize], owners[other.ring as usize]);
            let note = |kinds: &mut Kinds| match (same_ring, mine.part == theirs.part) {
                (true, _) => kinds.own = true,
                (false, true) => kinds.holes = true,
                (false, false) => kinds.parts = true,
            };
            match meet(edge.a, edge.b, other.a, other.b) {
                Meeting::Apart => {}
                Meeting::Cross | Meeting::Overlap => {
                    crossings.spend(1)?;
                    note(&mut faults.hard);
                }
                Meeting::Touch(_) if same_ring => note(&mut faults.soft),
                Meeting::Touch(place) => {
                    if *touches.entry((edge.ring, other.ring)).or_insert(place) != place {
                        note(&mut faults.soft);
                    }
                }
            }
        }
    }
    // Rings that meet more than once may cross in their corners; rebuilding settles it, and where
    // this is the second look, the builder has already settled it.
    if faults.hard == Kinds::default() {
        let nesting = misplaced(&tree, &rings, &owners, &mut work)?;
        faults.hard.holes |= nesting.holes;
        faults.hard.parts |= nesting.parts;
    }
    Ok(faults)
}

/// Holes that are not inside their own outer ring alone, and parts inside other parts.
fn misplaced(
    tree: &EdgeTree,
    rings: &[&[Coord<f64>]],
    owners: &[Owner],
    work: &mut Budget,
) -> Result<Kinds, ShapeError> {
    let mut kinds = Kinds::default();
    for (number, (ring, owner)) in rings.iter().zip(owners).enumerate() {
        let middles = ring.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
        let mut around = None;
        for place in ring.iter().skip(1).copied().chain(middles) {
            around = containing(tree, place, number as u32, work)?;
            if around.is_some() {
                break;
            }
        }
        let Some(around) = around else {
            // All its points lie on other rings: nothing to tell by, so let it be rebuilt.
            if owner.hole {
                kinds.holes = true;
            } else {
                kinds.parts = true;
            }
            continue;
        };
        let mut depth: HashMap<usize, (u32, u32)> = HashMap::new();
        for ring in around {
            let outer = owners[ring as usize];
            let counts = depth.entry(outer.part).or_default();
            if outer.hole {
                counts.1 += 1;
            } else {
                counts.0 += 1;
            }
        }
        if owner.hole {
            kinds.holes |= depth.get(&owner.part) != Some(&(1, 0));
        } else {
            kinds.parts |= depth.iter().any(|(part, counts)| *part != owner.part && *counts != (1, 1));
        }
    }
    Ok(kinds)
}

/// The other rings around a point of ring `own`; `None` where the point lies on one of them.
fn containing(tree: &EdgeTree, place: Coord<f64>, own: u32, work: &mut Budget) -> Result<Option<Vec<u32>>, ShapeError> {
    let mut crossed = Vec::new();
    for edge in tree.east_of(place) {
        work.spend(1)?;
        if edge.ring == own {
            continue;
        }
        match ray(place, edge.a, edge.b) {
            Ray::Misses => {}
            Ray::Crosses => crossed.push(edge.ring),
            Ray::StartsOn => return Ok(None),
        }
    }
    crossed.sort_unstable();
    Ok(Some(crossed.chunk_by(|a, b| a == b).filter(|run| run.len() % 2 == 1).map(|run| run[0]).collect()))
}

/// Rebuilds the shape; gives also the number of slivers left out.
fn mend(polygons: &Rings) -> (Rings, usize) {
    let nothing = MultiPolygon::<f64>::new(Vec::new());
    // `unary_union` counts windings, and the builder does not always wind holes against their shells.
    let wound = |polygons: MultiPolygon<f64>| polygons.orient(Direction::Default);
    let filled = |ring: &Vec<Coord<f64>>| wound(Polygon::new(LineString(ring.clone()), Vec::new()).union(&nothing));
    let parts: Vec<MultiPolygon<f64>> = polygons
        .iter()
        .filter_map(|polygon| polygon.split_first())
        .map(|(shell, holes)| {
            let shell = filled(shell);
            if holes.is_empty() {
                return shell;
            }
            let holes: Vec<_> = holes.iter().map(filled).collect();
            wound(shell.difference(&unary_union(&holes)))
        })
        .collect();
    let whole = unary_union(&parts);
    let mut slivers = 0;
    let mut kept = Vec::new();
    for polygon in whole {
        let (shell, holes) = polygon.into_inner();
        let mut rings = Vec::new();
        for ring in std::iter::once(shell).chain(holes) {
            // The builder works on a grid and may come out a hair beyond the edge of the map.
            let mut ring: Vec<Coord<f64>> =
                ring.0.iter().map(|c| Coord { x: c.x.clamp(-180.0, 180.0), y: c.y.clamp(-90.0, 90.0) }).collect();
            ring.dedup();
            if ring.len() < 4 || signed_area(&ring).abs() < SLIVER {
                slivers += 1;
                if rings.is_empty() {
                    break;
                }
            } else {
                rings.push(ring);
            }
        }
        if !rings.is_empty() {
            kept.push(rings);
        }
    }
    (kept, slivers)
}

/// Puts corners that the builder moved to its grid back to where they were given, so that a mended
/// shape still shares its border with its neighbours.
fn snap_back(mended: &Rings, given: &Rings) -> Rings {
    let all: Vec<Coord<f64>> = given.iter().flatten().flatten().copied().collect();
    let span = |pick: fn(&Coord<f64>) -> f64| {
        let (low, high) =
            all.iter().map(pick).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        high - low
    };
    // The builder's grid has about 2^30 steps over the longer side, and it works in up to three rounds.
    let reach = span(|c| c.x).max(span(|c| c.y)) / f64::from(1 << 27);
    let corners = RTree::bulk_load(all.into_iter().map(|c| GeomWithData::new([c.x, c.y], c)).collect());
    let snap = |c: &Coord<f64>| match corners.nearest_neighbor([c.x, c.y]) {
        Some(near) if (near.data.x - c.x).abs() <= reach && (near.data.y - c.y).abs() <= reach => near.data,
        _ => *c,
    };
    let snap_ring = |ring: &Vec<Coord<f64>>| {
        let mut ring: Vec<_> = ring.iter().map(snap).collect();
        ring.dedup();
        (ring.len() >= 4).then_some(ring)
    };
    mended
        .iter()
        .filter_map(|polygon| {
            let (shell, holes) = polygon.split_first()?;
            let mut rings = vec![snap_ring(shell)?];
            rings.extend(holes.iter().filter_map(snap_ring));
            Some(rings)
        })
        .collect()
}

/// Shoelace area in square degrees, positive where the ring runs counter-clockwise;
/// taken from the ring's first point, so that small rings far from the origin keep their digits.
pub(super) fn signed_area(ring: &[Coord<f64>]) -> f64 {
    let Some(origin) = ring.first().copied() else { return 0.0 };
    ring.windows(2)
        .map(|pair| {
            let (a, b) = (pair[0] - origin, pair[1] - origin);
            a.x * b.y - a.y * b.x
        })
        .sum::<f64>()
        / 2.0
}

/// Turns outer rings counter-clockwise and holes clockwise.
pub(super) fn wind(polygons: Rings) -> MultiPolygon<f64> {
    let turned = |mut ring: Vec<Coord<f64>>, counter_clockwise: bool| {
        if (signed_area(&ring) > 0.0) != counter_clockwise {
            ring.reverse();
        }
        LineString(ring)
    };
    let polygons = polygons.into_iter().filter_map(|rings| {
        let mut rings = rings.into_iter();
        let shell = turned(rings.next()?, true);
        Some(Polygon::new(shell, rings.map(|hole| turned(hole, false)).collect()))
    });
    MultiPolygon::new(polygons.collect())
}
