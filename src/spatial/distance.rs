//! Metres between points and shapes, on a sphere of the earth's mean radius.
//!
//! The distance from a point to a shape is 0 where the point is inside or on the border; else it is
//! the least great-circle distance to the border. Edges are straight in degrees; an edge longer than
//! 0.01 degrees either way is measured as equal pieces no longer than that, each as a great-circle arc. An
//! arc leaves its straight piece by less than 0.07 m anywhere on earth (a quarter of the product of its
//! spans, plus a sixteenth of the square of its longitude span, in radians), and by far less than a
//! millimetre for the short edges of a city.
//!
//! On the sphere there is no antimeridian: a point at 179.9° E is near a shape at 179.9° W, although
//! the predicates in degrees never join the two.

use super::shapes::Shape;
use crate::domain::place::LonLat;
use geo::Coord;
use std::ops::Range;

/// IUGG mean radius in metres.
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// The longest piece of an edge that is measured as one arc.
const PIECE_DEGREES: f64 = 0.01;

/// How far, in metres, an arc may stray out of the box of its piece; rounding included, amply.
const STRAY_M: f64 = 0.1;

/// Metres between two points along the great circle.
pub fn distance_between(a: LonLat, b: LonLat) -> f64 {
    EARTH_RADIUS_M * angle(Vector::at(a.lon(), a.lat()), Vector::at(b.lon(), b.lat()))
}

/// Metres from the point to the shape; 0 inside and on the border.
pub fn distance_m(point: LonLat, shape: &Shape) -> f64 {
    if shape.covers(point) {
        return 0.0;
    }
    let eye = Eye::new(point);
    shape.edges().fold(f64::INFINITY, |best, (a, b)| eye.nearer(a, b, best))
}

#[derive(Debug, Clone, Copy)]
struct Vector([f64; 3]);

impl Vector {
    fn at(lon: f64, lat: f64) -> Self {
        let (sin_lon, cos_lon) = lon.to_radians().sin_cos();
        let (sin_lat, cos_lat) = lat.to_radians().sin_cos();
        Vector([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat])
    }

    fn dot(self, other: Self) -> f64 {
        self.0[0] * other.0[0] + self.0[1] * other.0[1] + self.0[2] * other.0[2]
    }

    fn cross(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        Vector([b * z - c * y, c * x - a * z, a * y - b * x])
    }

    fn plus(self, other: Self, sign: f64) -> Self {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        Vector([a + sign * x, b + sign * y, c + sign * z])
    }

    fn length(self) -> f64 {
        self.dot(self).sqrt()
    }
}

/// Radians between two unit vectors, precise for near ones and for opposite ones.
fn angle(a: Vector, b: Vector) -> f64 {
    2.0 * a.plus(b, -1.0).length().atan2(a.plus(b, 1.0).length())
}

/// A point from which distances are measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Eye {
    lon: f64,
    lat: f64,
    sin_lat: f64,
    cos_lat: f64,
    vector: Vector,
}

impl Eye {
    pub fn new(point: LonLat) -> Self {
        let (sin_lat, cos_lat) = point.lat().to_radians().sin_cos();
        let vector = Vector::at(point.lon(), point.lat());
        Eye { lon: point.lon(), lat: point.lat(), sin_lat, cos_lat, vector }
    }

    /// A distance that nothing drawn in the box comes nearer than, the strayed arcs of its edges included.
    pub fn floor_m(&self, low: [f64; 2], high: [f64; 2]) -> f64 {
        let nearest = if low[0] <= self.lon && self.lon <= high[0] {
            // No point is nearer than the difference of latitudes, and one due north or south is as near.
            (low[1] - self.lat).max(self.lat - high[1]).max(0.0).to_radians()
        } else {
            // On a parallel the distance grows with the difference of longitudes, so the nearest
            // point is on the western or the eastern side.
            let (south, north) = (low[1].to_radians(), high[1].to_radians());
            let side = |lon: f64| self.radians_to_meridian((lon - self.lon).to_radians(), south, north);
            side(low[0]).min(side(high[0]))
        };
        (EARTH_RADIUS_M * nearest - STRAY_M).max(0.0)
    }

    /// Radians to the stretch of a meridian between two latitudes, the meridian so many radians to the east.
    fn radians_to_meridian(&self, east: f64, south: f64, north: f64) -> f64 {
        let (sin_east, cos_east) = east.sin_cos();
        let here = Vector([self.cos_lat, 0.0, self.sin_lat]);
        let to = |lat: f64| {
            let (sin_lat, cos_lat) = lat.sin_cos();
            angle(here, Vector([cos_lat * cos_east, cos_lat * sin_east, sin_lat]))
        };
        // The cosine of the distance is a sine wave in the latitude; this is its crest.
        let crest = self.sin_lat.atan2(self.cos_lat * cos_east);
        if (south..=north).contains(&crest) { to(crest) } else { to(south).min(to(north)) }
    }

    /// The lesser of `best` and the metres to the edge.
    pub fn nearer(&self, a: Coord<f64>, b: Coord<f64>, best: f64) -> f64 {
        let (south, north) = if a.y <= b.y { (a.y, b.y) } else { (b.y, a.y) };
        let gap = (south - self.lat).max(self.lat - north);
        if EARTH_RADIUS_M * gap.to_radians() - STRAY_M > best {
            return best;
        }
        let longest = (b.x - a.x).abs().max(north - south);
        let pieces = (longest / PIECE_DEGREES).ceil().max(1.0) as u32;
        if pieces == 1 { best.min(self.arc_m(a, b)) } else { self.nearer_piece(a, b, pieces, 0..pieces, best) }
    }

    /// The lesser of `best` and the metres to a run of an edge's equal pieces, of which there are
    /// `pieces` in all. Halves of the run that cannot come nearer are left out.
    fn nearer_piece(&self, a: Coord<f64>, b: Coord<f64>, pieces: u32, run: Range<u32>, best: f64) -> f64 {
        let corner = |i: u32| if i == pieces { b } else { a + (b - a) * (f64::from(i) / f64::from(pieces)) };
        let floor = |run: &Range<u32>| {
            let (p, q) = (corner(run.start), corner(run.end));
            self.floor_m([p.x.min(q.x), p.y.min(q.y)], [p.x.max(q.x), p.y.max(q.y)])
        };
        if run.len() == 1 {
            return best.min(self.arc_m(corner(run.start), corner(run.end)));
        }
        let middle = run.start + (run.end - run.start) / 2;
        let mut halves = [run.start..middle, middle..run.end].map(|half| (floor(&half), half));
        if halves[1].0 < halves[0].0 {
            halves.swap(0, 1);
        }
        halves.into_iter().fold(
            best,
            |best, (floor, half)| {
                if floor > best { best } else { self.nearer_piece(a, b, pieces, half, best) }
            },
        )
    }

    /// Metres to the great-circle arc between two positions less than half a circle apart.
    fn arc_m(&self, a: Coord<f64>, b: Coord<f64>) -> f64 {
        let (from, to) = (Vector::at(a.x, a.y), Vector::at(b.x, b.y));
        let normal = from.cross(to);
        let abeam = normal.cross(from).dot(self.vector) > 0.0 && to.cross(normal).dot(self.vector) > 0.0;
        let radians = if abeam {
            self.vector.dot(normal).abs().atan2(self.vector.cross(normal).length())
        } else {
            angle(self.vector, from).min(angle(self.vector, to))
        };
        EARTH_RADIUS_M * radians
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;

    #[test]
    fn known_distances_come_out() {
        let quarter = EARTH_RADIUS_M * std::f64::consts::FRAC_PI_2;
        for (a, b, metres) in [
            (at(0.0, 0.0), at(0.0, 90.0), quarter),
            (at(0.0, 0.0), at(180.0, 0.0), 2.0 * quarter),
            (at(-180.0, 5.0), at(180.0, 5.0), 0.0),
            (at(33.0, 90.0), at(-120.0, 90.0), 0.0),
            (at(106.8, -6.2), at(106.8, -6.2 + 1e-5), quarter * 1e-5 / 90.0),
        ] {
            assert!((distance_between(a, b) - metres).abs() < 1e-6, "{a:?} {b:?}");
        }
        let unit = boxed(0.0, 0.0, 1.0, 1.0);
        assert_eq!(distance_m(at(0.5, 0.5), &unit), 0.0);
        assert_eq!(distance_m(at(1.0, 0.5), &unit), 0.0);
        assert!((distance_m(at(0.5, -1.0), &unit) - quarter / 90.0).abs() < 0.1);
        assert!((distance_m(at(2.0, 0.0), &unit) - quarter / 90.0).abs() < 0.1);
        let holed = shape("POLYGON((0 0,9 0,9 9,0 9,0 0),(4 4,6 4,6 6,4 6,4 4))");
        assert!((distance_m(at(5.0, 4.1), &holed) - quarter / 900.0).abs() < 0.1);
    }

    #[test]
    fn an_edge_around_the_whole_earth_is_measured_along_its_parallel() {
        let cap = boxed(-180.0, -90.0, 180.0, -60.0);
        let expected = EARTH_RADIUS_M * 10f64.to_radians();
        for lon in [-180.0, -77.3, 0.0, 12.345, 180.0] {
            assert!((distance_m(at(lon, -50.0), &cap) - expected).abs() < 0.1, "{lon}");
        }
    }

    #[test]
    fn a_distance_agrees_with_a_dense_sample_of_the_straight_edge() {
        let mut random = Random::seeded(101);
        for _ in 0..300 {
            let size = 10f64.powf(random.between(-3.0, 1.3));
            let (x, y) = (random.between(-170.0, 170.0), random.between(-85.0, 85.0));
            let mut corner = || at(x + random.between(-size, size), y + random.between(-size, size));
            let (p, a, b, c) = (corner(), corner(), corner(), corner());
            let text = [a, b, c, a].map(|p| [p.lon(), p.lat()]).to_vec();
            let Ok(checked) = Shape::from_geojson(&polygon(&[text])) else { continue };
            if checked.shape.covers(p) {
                continue;
            }
            let (mut sampled, mut coarse) = (f64::INFINITY, 0f64);
            for (a, b) in checked.shape.edges() {
                let steps = 4_000;
                let along = |i: i32| a + (b - a) * (f64::from(i) / f64::from(steps));
                for c in (0..=steps).map(along) {
                    sampled = sampled.min(distance_between(p, at(c.x, c.y)));
                }
                coarse = coarse.max(distance_between(at(a.x, a.y), at(along(1).x, along(1).y)));
            }
            let metres = distance_m(p, &checked.shape);
            assert!(metres < sampled + 0.07 && metres > sampled - coarse - 0.07, "{metres} {sampled} {coarse}");
        }
    }

    #[test]
    fn within_a_city_the_distance_is_that_to_the_straight_edge_to_a_millionth() {
        let mut random = Random::seeded(111);
        for _ in 0..2_000 {
            // An edge of at most 150 m, a point up to 2 km off, and the nearest place by golden section.
            let a = Coord { x: random.between(106.7, 106.9), y: random.between(-6.3, -6.1) };
            let b = a + Coord { x: random.between(-7e-4, 7e-4), y: random.between(-7e-4, 7e-4) };
            let p = at(a.x + random.between(-0.02, 0.02), a.y + random.between(-0.02, 0.02));
            let to = |t: f64| distance_between(p, at(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t));
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..80 {
                let (s, t) = (low + (high - low) * 0.382, low + (high - low) * 0.618);
                if to(s) < to(t) { high = t } else { low = s }
            }
            let expected = to(0.0).min(to(1.0)).min(to(low));
            let metres = Eye::new(p).nearer(a, b, f64::INFINITY);
            assert!((metres - expected).abs() <= 1e-6 * expected.max(1.0), "{metres} {expected}");
        }
    }

    #[test]
    fn no_shape_in_a_box_is_nearer_than_the_boxs_floor() {
        let mut random = Random::seeded(121);
        for _ in 0..3_000 {
            let size = 10f64.powf(random.between(-4.0, 2.0));
            let (x, y) = (random.between(-180.0, 180.0), random.between(-90.0, 90.0));
            let Ok(checked) = Shape::from_geojson(&polygon(&[star(&mut random, x, y, size, None)])) else { continue };
            let [west, south, east, north] = checked.shape.bounds().to_array();
            let p = if random.one_in(2) {
                at(random.between(-180.0, 180.0), random.between(-90.0, 90.0))
            } else {
                at(x + random.between(-2.0, 2.0) * size, y + random.between(-2.0, 2.0) * size)
            };
            let (floor, metres) = (Eye::new(p).floor_m([west, south], [east, north]), distance_m(p, &checked.shape));
            assert!(floor <= metres, "{floor} {metres} {p:?} {}", checked.shape.to_geojson());
        }
    }
}
