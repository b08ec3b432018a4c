//! From degrees to a tile's own units, and what is cut and left out on the way.
//!
//! A vertex goes to the nearest point of a grid that lies over the whole world, not over the tile: two
//! neighbours move a vertex they share to the same place, in every tile, so no gap opens between them.

use super::{EXTENT, MARGIN, MAX_ZOOM, TileId};
use crate::domain::place::LonLat;
use crate::spatial::Shape;
use geo::Coord;
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
        let Some(points) = cut(&polygon.exterior().0, tile) else { continue };
        rings.push(Ring { points, exterior: true });
        let holes = polygon.interiors().iter().filter_map(|hole| cut(&hole.0, tile));
        rings.extend(holes.map(|points| Ring { points, exterior: false }));
    }
    rings
}

/// The ring on the grid, within the tile and its margin; `None` where nothing is left of it.
fn cut(ring: &[Coord<f64>], tile: TileId) -> Option<Vec<Coord<i32>>> {
    let (west, north) = origin(tile);
    let step = grid(tile.z);
    let mut points: Vec<Coord<i64>> = Vec::with_capacity(ring.len());
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
    if twice_area(&points) == 0 {
        return None;
    }
    Some(points.into_iter().map(|p| Coord { x: p.x as i32, y: p.y as i32 }).collect())
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

fn twice_area(points: &[Coord<i64>]) -> i64 {
    let next = points.iter().cycle().skip(1);
    points.iter().zip(next).map(|(a, b)| a.x * b.y - b.x * a.y).sum()
}
