//! Shapes of very many areas in one run of bytes, each as exact as it was.
//!
//! Coordinates that were written with a few decimals are whole numbers of their last decimal. As such
//! they are kept, each as its difference from the one before: two or three bytes instead of eight. A
//! shape is kept so only where every coordinate comes back to the last bit; any other is kept as it is.
//! So whatever is asked of an outline has the answer that its shape would have given.

use super::distance::Eye;
use super::edges::{covers_by, meets_box};
use super::shapes::Shape;
use super::validity::Rings;
use crate::domain::place::{Bounds, LonLat};
use geo::{Coord, LineString, MultiPolygon, Polygon};

/// The first byte of a shape that is kept as it is; of others it is the number of decimals.
const AS_IT_IS: u8 = u8::MAX;

/// Decimals that are tried. Beyond twelve a whole number would not hold a longitude exactly.
const DECIMALS: std::ops::RangeInclusive<u8> = 4..=12;

/// Shapes one after another.
#[derive(Debug, Default)]
pub struct Outlines {
    bytes: Vec<u8>,
    /// Of the last shape: neighbours are written alike.
    decimals: u8,
}

/// One shape by itself, kept as [`Outlines`] keeps many: a third of its well-known binary and exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    pub fn of(shape: &Shape) -> Self {
        let mut alone = Outlines::default();
        alone.push(shape);
        Packed(alone.bytes.into())
    }

    /// The shape as it was put in; nobody makes a `Packed` but of one.
    pub fn shape(&self) -> Option<Shape> {
        Outline { bytes: &self.0 }.shape()
    }
}

/// Where a shape begins among [`Outlines`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u64);

impl Place {
    pub(super) fn number(self) -> u64 {
        self.0
    }

    pub(super) fn of(number: u64) -> Self {
        Place(number)
    }
}

/// One shape, read where it lies.
#[derive(Clone, Copy)]
pub struct Outline<'a> {
    bytes: &'a [u8],
}

impl Outlines {
    pub fn push(&mut self, shape: &Shape) -> Place {
        let place = Place(self.bytes.len() as u64);
        let polygons = shape.polygons();
        let first = self.decimals.max(*DECIMALS.start());
        let whole = |decimals: &u8| Whole::of(polygons, *decimals);
        let found = whole(&first).map(|whole| (first, whole));
        let found = found.or_else(|| DECIMALS.into_iter().find_map(|decimals| Some((decimals, whole(&decimals)?))));
        match found {
            Some((decimals, whole)) => {
                self.decimals = decimals;
                self.bytes.push(decimals);
                self.write_whole(polygons, whole, &shape.bounds());
            }
            None => {
                self.bytes.push(AS_IT_IS);
                self.write_as_it_is(polygons, &shape.bounds());
            }
        }
        place
    }

    pub fn at(&self, place: Place) -> Outline<'_> {
        Outline { bytes: self.bytes.get(place.0 as usize..).unwrap_or_default() }
    }

    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
    }

    fn write_whole(&mut self, polygons: &MultiPolygon<f64>, whole: Whole, bounds: &Bounds) {
        let [west, south, east, north] = bounds.to_array().map(|degrees| whole.number(degrees));
        for number in [west, south, east - west, north - south] {
            write_number(&mut self.bytes, number);
        }
        let (mut x, mut y) = (west, south);
        write_rings(&mut self.bytes, polygons, |bytes, at| {
            let (to_x, to_y) = (whole.number(at.x), whole.number(at.y));
            write_number(bytes, to_x - x);
            write_number(bytes, to_y - y);
            (x, y) = (to_x, to_y);
        });
    }

    fn write_as_it_is(&mut self, polygons: &MultiPolygon<f64>, bounds: &Bounds) {
        for degrees in bounds.to_array() {
            self.bytes.extend(degrees.to_le_bytes());
        }
        write_rings(&mut self.bytes, polygons, |bytes, at| {
            bytes.extend(at.x.to_le_bytes());
            bytes.extend(at.y.to_le_bytes());
        });
    }
}

/// Degrees as whole numbers of their last decimal.
#[derive(Debug, Clone, Copy)]
struct Whole {
    scale: f64,
}

impl Whole {
    /// `None` where a coordinate would not come back as it was.
    fn of(polygons: &MultiPolygon<f64>, decimals: u8) -> Option<Self> {
        let whole = Whole { scale: 10f64.powi(decimals.into()) };
        let exact = |degrees: f64| whole.degrees(whole.number(degrees)).to_bits() == degrees.to_bits();
        let mut rings = polygons.iter().flat_map(|p| std::iter::once(p.exterior()).chain(p.interiors()));
        rings.all(|ring| ring.0.iter().all(|c| exact(c.x) && exact(c.y))).then_some(whole)
    }

    fn number(self, degrees: f64) -> i64 {
        (degrees * self.scale).round() as i64
    }

    fn degrees(self, number: i64) -> f64 {
        number as f64 / self.scale
    }
}

/// Counts of polygons, rings and vertices, with a word for each vertex but the closing ones.
fn write_rings(bytes: &mut Vec<u8>, polygons: &MultiPolygon<f64>, mut vertex: impl FnMut(&mut Vec<u8>, Coord<f64>)) {
    write_count(bytes, polygons.0.len());
    for polygon in polygons {
        write_count(bytes, 1 + polygon.interiors().len());
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            let open = ring.0.split_last().map_or(&[][..], |(_, open)| open);
            write_count(bytes, open.len());
            open.iter().for_each(|c| vertex(bytes, *c));
        }
    }
}

fn write_count(bytes: &mut Vec<u8>, count: usize) {
    let mut rest = count as u64;
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Small numbers of either sign in few bytes.
fn write_number(bytes: &mut Vec<u8>, number: i64) {
    write_count(bytes, ((number << 1) ^ (number >> 63)).cast_unsigned() as usize);
}

/// An edge of a ring, and whether a ring or a polygon begins with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawn {
    pub a: Coord<f64>,
    pub b: Coord<f64>,
    pub begins: Begins,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    Nothing,
    Polygon,
    Hole,
}

impl<'a> Outline<'a> {
    /// The smallest box around it.
    pub fn bounds(self) -> Option<Bounds> {
        let [west, south, east, north] = Reader::open(self.bytes).bounds;
        Bounds::new(west, south, east, north).ok()
    }

    pub(super) fn drawn(self) -> Edges<'a> {
        let Reader { mut rest, way, corner, .. } = Reader::open(self.bytes);
        let polygons = rest.count();
        Edges {
            rest,
            way,
            at: corner,
            polygons,
            rings: 0,
            vertices: 0,
            begins: Begins::Nothing,
            first: None,
            last: None,
        }
    }

    pub(super) fn edges(self) -> impl Iterator<Item = (Coord<f64>, Coord<f64>)> + use<'a> {
        self.drawn().map(|edge| (edge.a, edge.b))
    }

    /// The first vertex of each polygon.
    pub(super) fn starts(self) -> impl Iterator<Item = Coord<f64>> + use<'a> {
        self.drawn().filter(|edge| edge.begins == Begins::Polygon).map(|edge| edge.a)
    }

    /// As [`Shape::covers`].
    pub fn covers(self, point: LonLat) -> bool {
        let [west, south, east, north] = Reader::open(self.bytes).bounds;
        let in_bounds = (west..=east).contains(&point.lon()) && (south..=north).contains(&point.lat());
        in_bounds && covers_by(self.edges(), Coord { x: point.lon(), y: point.lat() })
    }

    /// As [`Shape::intersects_bounds`].
    pub fn intersects_bounds(self, bounds: &Bounds) -> bool {
        let [west, south, east, north] = Reader::open(self.bytes).bounds;
        let apart = west > bounds.east() || bounds.west() > east || south > bounds.north() || bounds.south() > north;
        if apart {
            return false;
        }
        let low = Coord { x: bounds.west(), y: bounds.south() };
        let high = Coord { x: bounds.east(), y: bounds.north() };
        // No edge meets a box that lies wholly inside; what is not around its corner is not around it.
        let is_around = (west..=east).contains(&low.x) && (south..=north).contains(&low.y);
        self.edges().any(|(a, b)| meets_box(a, b, low, high)) || is_around && covers_by(self.edges(), low)
    }

    /// As [`super::distance_m`].
    pub fn distance_m(self, point: LonLat) -> f64 {
        if self.covers(point) {
            return 0.0;
        }
        let eye = Eye::new(point);
        self.edges().fold(f64::INFINITY, |best, (a, b)| eye.nearer(a, b, best))
    }

    /// The shape as it was put in. `None` only where these bytes are none that [`Outlines::push`] wrote.
    pub fn shape(self) -> Option<Shape> {
        let mut polygons: Rings = Vec::new();
        for Drawn { a, b, begins } in self.drawn() {
            match begins {
                Begins::Polygon => polygons.push(vec![vec![a]]),
                Begins::Hole => polygons.last_mut()?.push(vec![a]),
                Begins::Nothing => {}
            }
            polygons.last_mut()?.last_mut()?.push(b);
        }
        let polygon = |rings: Vec<Vec<Coord<f64>>>| {
            let mut rings = rings.into_iter().map(LineString::new);
            Some(Polygon::new(rings.next()?, rings.collect()))
        };
        let polygons: Option<Vec<_>> = polygons.into_iter().map(polygon).collect();
        Shape::kept(MultiPolygon(polygons?))
    }
}

/// How a vertex is read.
#[derive(Debug, Clone, Copy)]
enum Way {
    AsItIs,
    Whole(Whole),
}

/// The head of a shape.
struct Reader<'a> {
    rest: Rest<'a>,
    way: Way,
    bounds: [f64; 4],
    /// What the first vertex is told from.
    corner: (i64, i64),
}

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8]) -> Self {
        let mut rest = Rest(bytes);
        match rest.byte() {
            AS_IT_IS => {
                let bounds = std::array::from_fn(|_| rest.double());
                Reader { rest, way: Way::AsItIs, bounds, corner: (0, 0) }
            }
            decimals => {
                let whole = Whole { scale: 10f64.powi(decimals.into()) };
                let [west, south, width, height] = std::array::from_fn(|_| rest.number());
                let bounds = [west, south, west.wrapping_add(width), south.wrapping_add(height)];
                let bounds = bounds.map(|number| whole.degrees(number));
                Reader { rest, way: Way::Whole(whole), bounds, corner: (west, south) }
            }
        }
    }
}

/// Bytes that are left. Whoever reads past their end reads zeros.
#[derive(Debug, Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    fn count(&mut self) -> u64 {
        let (mut count, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            count |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 63 {
                return count;
            }
        }
    }

    fn number(&mut self) -> i64 {
        let count = self.count();
        (count >> 1).cast_signed() ^ -(count & 1).cast_signed()
    }

    fn double(&mut self) -> f64 {
        let Some((bytes, rest)) = self.0.split_first_chunk() else { return 0.0 };
        self.0 = rest;
        f64::from_le_bytes(*bytes)
    }
}

/// The edges of an outline, ring by ring.
#[derive(Debug, Clone)]
pub(super) struct Edges<'a> {
    rest: Rest<'a>,
    way: Way,
    at: (i64, i64),
    /// What is left to begin.
    polygons: u64,
    rings: u64,
    /// Vertices of the ring that are left to read.
    vertices: u64,
    begins: Begins,
    first: Option<Coord<f64>>,
    last: Option<Coord<f64>>,
}

/// How far an outline has been read, to be read on from there.
#[derive(Debug)]
pub(super) struct Mark {
    /// Bytes of the outline before it.
    offset: usize,
    /// All but the bytes.
    state: Edges<'static>,
}

impl<'a> Outline<'a> {
    /// Where `edges`, which are its own, have come to.
    pub(super) fn mark(self, edges: &Edges<'a>) -> Mark {
        let Edges { rest, way, at, polygons, rings, vertices, begins, first, last } = edges.clone();
        let state = Edges { rest: Rest(&[]), way, at, polygons, rings, vertices, begins, first, last };
        Mark { offset: self.bytes.len() - rest.0.len(), state }
    }

    /// The edges from a mark of its own on.
    pub(super) fn from(self, mark: &Mark) -> Edges<'a> {
        Edges { rest: Rest(self.bytes.get(mark.offset..).unwrap_or_default()), ..mark.state.clone() }
    }
}

impl Edges<'_> {
    fn vertex(&mut self) -> Coord<f64> {
        match self.way {
            Way::AsItIs => Coord { x: self.rest.double(), y: self.rest.double() },
            Way::Whole(whole) => {
                let (dx, dy) = (self.rest.number(), self.rest.number());
                self.at = (self.at.0.wrapping_add(dx), self.at.1.wrapping_add(dy));
                Coord { x: whole.degrees(self.at.0), y: whole.degrees(self.at.1) }
            }
        }
    }
}

impl Iterator for Edges<'_> {
    type Item = Drawn;

    fn next(&mut self) -> Option<Drawn> {
        loop {
            if let Some(a) = self.last {
                let begins = std::mem::replace(&mut self.begins, Begins::Nothing);
                if self.vertices > 0 {
                    self.vertices -= 1;
                    let b = self.vertex();
                    self.last = Some(b);
                    return Some(Drawn { a, b, begins });
                }
                self.last = None;
                let b = self.first.take()?;
                return Some(Drawn { a, b, begins });
            }
            if self.rings > 0 {
                self.rings -= 1;
                self.begins = Begins::Hole;
            } else {
                self.polygons = self.polygons.checked_sub(1)?;
                self.rings = self.rest.count().checked_sub(1)?;
                self.begins = Begins::Polygon;
            }
            self.vertices = self.rest.count().checked_sub(1)?;
            let first = self.vertex();
            (self.first, self.last) = (Some(first), Some(first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;

    fn kept(shape: &Shape) -> (Outlines, Place) {
        let mut outlines = Outlines::default();
        // Neither the first nor the last.
        outlines.push(&boxed(1.0, 2.0, 3.0, 4.0));
        let place = outlines.push(shape);
        outlines.push(&boxed(5.0, 6.0, 7.0, 8.0));
        (outlines, place)
    }

    /// What the two others take of the bytes.
    fn kept_without() -> usize {
        let mut outlines = Outlines::default();
        outlines.push(&boxed(1.0, 2.0, 3.0, 4.0));
        outlines.push(&boxed(5.0, 6.0, 7.0, 8.0));
        outlines.bytes.len()
    }

    #[test]
    fn a_shape_comes_back_to_the_last_bit_however_its_coordinates_were_written() {
        let mut random = Random::seeded(2711);
        let mut small = 0;
        for round in 0..4_000 {
            let size = 10f64.powf(random.between(-4.0, 1.5));
            let (x, y) = (random.between(-140.0, 140.0), random.between(-60.0, 60.0));
            let decimals = random.below(15) as i32;
            let written = |degrees: f64| match round % 3 {
                0 => degrees,
                _ => (degrees * 10f64.powi(decimals)).round() / 10f64.powi(decimals),
            };
            let ring = star(&mut random, x, y, size, None);
            let ring: Vec<[f64; 2]> = ring.iter().map(|[x, y]| [written(*x), written(*y)]).collect();
            let Ok(checked) = Shape::from_geojson(&polygon(&[ring])) else { continue };
            let shape = checked.shape;
            let (outlines, place) = kept(&shape);
            let outline = outlines.at(place);
            assert_eq!(outline.shape().as_ref().map(Shape::to_wkb), Some(shape.to_wkb()), "{decimals}");
            assert_eq!(outline.bounds(), Some(shape.bounds()));
            let own = outlines.bytes.len() - kept_without();
            small += usize::from(2 * own < shape.to_wkb().len());
        }
        assert!(small > 300, "only {small} shapes became half as large as they are elsewhere");
    }

    #[test]
    fn parts_and_holes_and_a_zero_below_zero_are_kept() {
        for wkt in [
            "POLYGON((0 0,9 0,9 9,0 9,0 0),(1 1,2 1,2 2,1 1),(4 4,5 4,5 5,4 4))",
            "MULTIPOLYGON(((0 0,9 0,9 9,0 9,0 0),(1 1,2 1,2 2,1 1)),((20 20,30 20,30 30,20 20)),((-7 -7,-6 -7,-6 -6,-7 -7)))",
            "POLYGON((-0.0 -0.0,1 0,1 1,-0.0 1,-0.0 -0.0))",
            "POLYGON((-180 -90,180 -90,180 90,-180 90,-180 -90))",
        ] {
            let shape = shape(wkt);
            let (outlines, place) = kept(&shape);
            let outline = outlines.at(place);
            assert_eq!(outline.shape().as_ref().map(Shape::to_wkb), Some(shape.to_wkb()), "{wkt}");
            assert_eq!(outline.edges().collect::<Vec<_>>(), shape.edges().collect::<Vec<_>>());
            assert_eq!(outline.starts().count(), shape.polygons().0.len());
        }
    }

    #[test]
    fn an_outline_answers_as_its_shape_does() {
        let mut random = Random::seeded(2712);
        for _ in 0..2_000 {
            let (x, y) = (random.between(100.0, 110.0), random.between(-10.0, 0.0));
            let grid = random.one_in(2).then_some(1.0 / 64.0);
            let Ok(checked) = Shape::from_geojson(&polygon(&[star(&mut random, x, y, 0.3, grid)])) else { continue };
            let shape = checked.shape;
            let (outlines, place) = kept(&shape);
            let outline = outlines.at(place);
            for _ in 0..4 {
                let p = at(x + random.between(-0.5, 0.5), y + random.between(-0.5, 0.5));
                let p = if random.one_in(3) { shape.inside_point() } else { p };
                assert_eq!(outline.covers(p), shape.covers(p));
                assert_eq!(outline.distance_m(p), super::super::distance_m(p, &shape));
                let (w, h) = (random.between(0.0, 0.4), random.between(0.0, 0.4));
                let b = Bounds::new(p.lon(), p.lat(), p.lon() + w, p.lat() + h).expect("a box");
                assert_eq!(outline.intersects_bounds(&b), shape.intersects_bounds(&b));
            }
        }
    }
}
