//! From degrees to a tile's own units, and what is cut and left out on the way.
//!
//! A vertex goes to the nearest point of a grid that lies over the whole world, not over the tile: two
//! neighbours move a vertex they share to the same place, in every tile, so no gap opens between them.

use super::{EXTENT, MARGIN, MAX_ZOOM, TileId};
use crate::domain::place::LonLat;
use crate::spatial::Shape;
use geo::Coord;
use std::collections::HashMap;
use std::f64::consts::PI;

/// Web Mercator ends here, and the square is one.
const MAX_LATITUDE: f64 = 85.051_128_779_806_59;

/// A closed ring in the tile's units, its last point left out.
pub(super) struct Ring {
    pub points: Vec<Coord<i32>>,
    pub exterior: bool,
}

/// Units from one side of the world to the other.
fn world(z: u8) -> f64 {
    (EXTENT << z) as f64
}

/// Vertices lie this many units apart: half a pixel, except where the tile is drawn larger than it is.
fn grid(z: u8) -> f64 {
    if z < MAX_ZOOM { 4.0 } else { 1.0 }
}

fn origin(tile: TileId) -> (i64, i64) {
    (i64::from(tile.x) * EXTENT, i64::from(tile.y) * EXTENT)
}

/// Units from the north-west corner of the world.
fn project(lon: f64, lat: f64, z: u8) -> (f64, f64) {
    let radians = lat.clamp(-MAX_LATITUDE, MAX_LATITUDE).to_radians();
    let y = 0.5 - (PI / 4.0 + radians / 2.0).tan().ln() / (2.0 * PI);
    ((lon / 360.0 + 0.5) * world(z), y * world(z))
}

/// Longitude and latitude of the point so many units from the tile's north-west corner, both ways.
pub(super) fn corner(tile: TileId, units: i64) -> (f64, f64) {
    let (x, y) = origin(tile);
    let (x, y) = ((x + units) as f64 / world(tile.z), (y + units) as f64 / world(tile.z));
    let lat = (PI * (1.0 - 2.0 * y)).sinh().atan().to_degrees();
    ((x.clamp(0.0, 1.0) - 0.5) * 360.0, lat)
}

/// Where the point lies in the tile; `None` where it lies in another one.
pub(super) fn place(point: LonLat, tile: TileId) -> Option<Coord<i32>> {
    let (x, y) = project(point.lon(), point.lat(), tile.z);
    let last = (EXTENT << tile.z) - 1;
    let (west, north) = origin(tile);
    let (x, y) = ((x as i64).clamp(0, last) - west, (y as i64).clamp(0, last) - north);
    let inside = 0..EXTENT;
    (inside.contains(&x) && inside.contains(&y)).then_some(Coord { x: x as i32, y: y as i32 })
}

/// The rings that are left of the shape in the tile, each outer one followed by its holes.
pub(super) fn drawn(shape: &Shape, tile: TileId) -> Vec<Ring> {
    let mut rings = Vec::new();
    for polygon in shape.polygons() {
        let parts = loops(cut(&polygon.exterior().0, tile));
        let sense = sense_of(&polygon.exterior().0);
        // Where a border met itself it closed around a hole, or folded over to nothing that is seen.
        let (shells, mut holes): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|points| twice_area(points).signum() == sense);
        let mut shells: Vec<(Points, Vec<Points>)> = shells.into_iter().map(|points| (points, Vec::new())).collect();
        for hole in polygon.interiors() {
            let sense = sense_of(&hole.0);
            holes.extend(loops(cut(&hole.0, tile)).into_iter().filter(|points| twice_area(points).signum() == sense));
        }
        for hole in holes {
            let around = shells.iter_mut().find(|(shell, _)| hole.iter().all(|p| !is_outside(*p, shell)));
            if let Some((_, holes)) = around {
                holes.push(hole);
            }
        }
        for (points, holes) in shells {
            rings.push(Ring { points: placed(points), exterior: true });
            rings.extend(holes.into_iter().map(|points| Ring { points: placed(points), exterior: false }));
        }
    }
    rings
}

type Points = Vec<Coord<i64>>;

fn placed(points: Points) -> Vec<Coord<i32>> {
    points.into_iter().map(|p| Coord { x: p.x as i32, y: p.y as i32 }).collect()
}

/// The ring on the grid, within the tile and its margin.
fn cut(ring: &[Coord<f64>], tile: TileId) -> Points {
    let (west, north) = origin(tile);
    let step = grid(tile.z);
    let mut points: Points = Vec::with_capacity(ring.len());
    for c in ring {
        let (x, y) = project(c.x, c.y, tile.z);
        let snap = |v: f64| ((v / step).round() * step) as i64;
        let point = Coord { x: snap(x) - west, y: snap(y) - north };
        if points.last() != Some(&point) {
            points.push(point);
        }
    }
    if points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    let (low, high) = (-MARGIN, EXTENT + MARGIN);
    points = cut_off(points, |p| p.x - low, |p| p.x = low);
    points = cut_off(points, |p| high - p.x, |p| p.x = high);
    points = cut_off(points, |p| p.y - low, |p| p.y = low);
    points = cut_off(points, |p| high - p.y, |p| p.y = high);
    points.dedup();
    meeting_in_vertices(points)
}

/// The ring with a vertex wherever it meets itself: on a coarse grid a corner may come to lie on another side,
/// and sides may cross by a hair; and cut at the margin, a ring runs there and back on it. Neighbours have the
/// same sides, so they get the same vertices.
fn meeting_in_vertices(mut points: Points) -> Points {
    // Rounding a crossing bends two sides, which may make another one.
    for _ in 0..4 {
        let mut met: Vec<(usize, Coord<i64>)> = Vec::new();
        let count = points.len();
        for at in 0..count {
            let (a, b) = (points[at], points[(at + 1) % count]);
            let (west, east, north, south) = (a.x.min(b.x), a.x.max(b.x), a.y.min(b.y), a.y.max(b.y));
            let apart = |c: Coord<i64>, d: Coord<i64>| {
                c.x.max(d.x) < west || c.x.min(d.x) > east || c.y.max(d.y) < north || c.y.min(d.y) > south
            };
            for other in 0..count {
                let (c, d) = (points[other], points[(other + 1) % count]);
                if apart(c, d) {
                    continue;
                }
                if c != a && c != b && across(a, b, c) == 0 && !apart(c, c) {
                    met.push((at, c));
                } else if other > at
                    && let Some(point) = crossing(a, b, c, d)
                {
                    met.extend([(at, point), (other, point)]);
                }
            }
        }
        met.retain(|(at, point)| *point != points[*at] && *point != points[(*at + 1) % count]);
        if met.is_empty() {
            break;
        }
        let away = |(at, p): &(usize, Coord<i64>)| (p.x - points[*at].x).pow(2) + (p.y - points[*at].y).pow(2);
        met.sort_by_key(|one| (one.0, away(one)));
        met.dedup();
        let mut met = met.into_iter().peekable();
        let mut more = Vec::with_capacity(count + met.len());
        for (at, point) in points.iter().enumerate() {
            more.push(*point);
            while let Some((_, point)) = met.next_if(|(of, _)| *of == at) {
                more.push(point);
            }
        }
        points = more;
    }
    points
}

/// Positive where `p` lies to one side of the way from `a` to `b`, negative on the other, zero on it.
fn across(a: Coord<i64>, b: Coord<i64>, p: Coord<i64>) -> i64 {
    (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)
}

/// Where two sides cross that share no end, to the nearest unit.
fn crossing(a: Coord<i64>, b: Coord<i64>, c: Coord<i64>, d: Coord<i64>) -> Option<Coord<i64>> {
    let [from, to] = [across(a, b, c), across(a, b, d)];
    let parts = [across(c, d, a), across(c, d, b)];
    if from.signum() * to.signum() >= 0 || parts[0].signum() * parts[1].signum() >= 0 {
        return None;
    }
    let share = from as f64 / (from - to) as f64;
    let between = |c: i64, d: i64| c + ((d - c) as f64 * share).round() as i64;
    Some(Coord { x: between(c.x, d.x), y: between(c.y, d.y) })
}

/// The ring in parts that do not come back to a place where they have been: on a coarse grid, necks and bays
/// close. What has no area is left out.
fn loops(points: Points) -> Vec<Points> {
    let mut whole = Vec::new();
    let mut open: Points = Vec::with_capacity(points.len());
    let mut been: HashMap<Coord<i64>, usize> = HashMap::with_capacity(points.len());
    for point in points {
        if let Some(at) = been.get(&point).copied() {
            let part = open.split_off(at);
            for p in &part {
                been.remove(p);
            }
            whole.push(part);
        }
        been.insert(point, open.len());
        open.push(point);
    }
    whole.push(open);
    whole.retain(|part| twice_area(part) != 0);
    whole
}

/// False inside and on the border.
fn is_outside(point: Coord<i64>, ring: &[Coord<i64>]) -> bool {
    let mut inside = false;
    for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let side = across(*a, *b, point);
        let between = |a: i64, b: i64, p: i64| a.min(b) <= p && p <= a.max(b);
        if side == 0 && between(a.x, b.x, point.x) && between(a.y, b.y, point.y) {
            return false;
        }
        if (a.y > point.y) != (b.y > point.y) && (side > 0) == (b.y > a.y) {
            inside = !inside;
        }
    }
    !inside
}

/// Leaves out what lies beyond one side: where `depth` is negative. `onto` moves a point to the side exactly.
fn cut_off(
    points: Vec<Coord<i64>>,
    depth: impl Fn(&Coord<i64>) -> i64,
    onto: impl Fn(&mut Coord<i64>),
) -> Vec<Coord<i64>> {
    if points.iter().all(|p| depth(p) >= 0) {
        return points;
    }
    let mut kept = Vec::with_capacity(points.len());
    let Some(mut before) = points.last().copied() else { return kept };
    for point in points {
        let (from, to) = (depth(&before), depth(&point));
        if (from < 0) != (to < 0) {
            let share = from as f64 / (from - to) as f64;
            let between = |a: i64, b: i64| a + ((b - a) as f64 * share).round() as i64;
            let mut crossing = Coord { x: between(before.x, point.x), y: between(before.y, point.y) };
            onto(&mut crossing);
            kept.push(crossing);
        }
        if to >= 0 {
            kept.push(point);
        }
        before = point;
    }
    kept
}

/// The sign of the ring's area in a tile, where y runs to the south.
fn sense_of(ring: &[Coord<f64>]) -> i64 {
    let Some(first) = ring.first() else { return 0 };
    let area: f64 = ring
        .windows(2)
        .map(|w| (w[0].x - first.x) * (w[1].y - first.y) - (w[1].x - first.x) * (w[0].y - first.y))
        .sum();
    if area > 0.0 { -1 } else { 1 }
}

fn twice_area(points: &[Coord<i64>]) -> i64 {
    let next = points.iter().cycle().skip(1);
    points.iter().zip(next).map(|(a, b)| a.x * b.y - b.x * a.y).sum()
}
