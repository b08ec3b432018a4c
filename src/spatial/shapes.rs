//! The shape of an area: sound polygons in degrees, and the forms they are read from and written to.

use super::edges::{covers, edges_of, meets_box};
use super::validity::{Rings, check, check_coordinates, signed_area, wind};
use super::wkb;
use crate::domain::place::{Bounds, LonLat};
use geo::{Coord, MultiPolygon};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// The most vertices a shape may have, closing ones included: a province of islands has some hundred thousand.
pub const MAX_VERTICES: usize = 1_000_000;

/// The most vertices of a polygon that a caller searches with.
pub const MAX_QUERY_VERTICES: usize = 10_000;

/// One or more polygons, holes allowed, in degrees; sound (see [`Repair`]), not empty, and cheap to clone.
///
/// Outer rings run counter-clockwise and holes clockwise, as RFC 7946 wants them.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape(Arc<Inner>);

#[derive(Debug, PartialEq)]
struct Inner {
    polygons: MultiPolygon<f64>,
    bounds: Bounds,
    /// The first vertex.
    corner: LonLat,
}

/// A shape with what had to be mended to make it sound. An area's editor is told of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub shape: Shape,
    pub repairs: Vec<Repair>,
}

/// What was mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// So many rings did not end where they began.
    RingsClosed(usize),
    /// So many points stood twice in a row.
    RepeatedPoints(usize),
    /// A ring crossed, touched or doubled back over itself; its insides were counted by the even-odd rule.
    SelfIntersection,
    /// A hole lay outside its outer ring or met another ring; only what it takes from the inside was kept.
    MisplacedHole,
    /// Parts overlapped, lay inside each other or shared a border; they were joined.
    OverlappingParts,
    /// So many rings without an area worth keeping were left out.
    SliversDropped(usize),
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repair::RingsClosed(n) => write!(f, "{n} unclosed ring(s) closed"),
            Repair::RepeatedPoints(n) => write!(f, "{n} repeated point(s) removed"),
            Repair::SelfIntersection => f.write_str("self-intersection resolved by the even-odd rule"),
            Repair::MisplacedHole => f.write_str("hole outside its outer ring or meeting another ring cut to size"),
            Repair::OverlappingParts => f.write_str("parts that overlap, nest or share a border joined"),
            Repair::SliversDropped(n) => write!(f, "{n} ring(s) without area dropped"),
        }
    }
}

/// Why something is no shape. The sentences address whoever imports it and never repeat its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("the geometry is not a Polygon or MultiPolygon; only areas have shapes")]
    NotPolygonal,
    #[error("the geometry is not well-formed: {0}")]
    Malformed(&'static str),
    #[error("a coordinate is not a finite number")]
    NotFinite,
    #[error(
        "coordinates are not in degrees (longitude -180 to 180, latitude -90 to 90); the file looks projected: \
         export it again as WGS 84 (EPSG:4326)"
    )]
    NotDegrees,
    #[error("latitudes beyond 90 degrees: the axes look swapped; write longitude first, then latitude")]
    SwappedAxes,
    #[error("the shape has more than {limit} vertices; simplify it")]
    TooManyVertices { limit: usize },
    #[error("the shape encloses no area")]
    Empty,
    #[error("the outline crosses itself too often to be mended; draw it again")]
    TooTangled,
    #[error("the outline could not be mended; draw it again")]
    Unmendable,
    #[error("the stored shape is damaged: {0}")]
    BadWkb(&'static str),
}

/// Why a polygon that a caller searches with is refused, in words for that caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryShapeError(pub ShapeError);

impl fmt::Display for QueryShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ShapeError::NotPolygonal => {
                f.write_str("within must be a GeoJSON geometry of type Polygon or MultiPolygon, not a Feature")
            }
            ShapeError::Malformed(what) => write!(f, "within is not a well-formed GeoJSON geometry: {what}"),
            ShapeError::NotFinite => f.write_str("within has a coordinate that is not a finite number"),
            ShapeError::NotDegrees => {
                f.write_str("within must be in WGS 84 degrees: longitude -180 to 180, latitude -90 to 90")
            }
            ShapeError::SwappedAxes => f.write_str("within has its axes swapped: longitude comes first, then latitude"),
            ShapeError::TooManyVertices { limit } => {
                write!(f, "within has more than {limit} vertices: simplify the polygon")
            }
            ShapeError::Empty => f.write_str("within encloses no area"),
            ShapeError::TooTangled | ShapeError::Unmendable | ShapeError::BadWkb(_) => {
                f.write_str("within crosses itself in too many places")
            }
        }
    }
}

impl std::error::Error for QueryShapeError {}

impl Shape {
    /// Reads a GeoJSON geometry object of type Polygon or MultiPolygon. Heights are dropped, rings may
    /// run either way, and what can be mended is.
    pub fn from_geojson(geometry: &Value) -> Result<Checked, ShapeError> {
        Self::checked(rings_of_geojson(geometry, MAX_VERTICES)?, MAX_VERTICES)
    }

    /// Reads a polygon that a caller searches with: as [`Shape::from_geojson`], but of at most
    /// [`MAX_QUERY_VERTICES`], and mended without a word.
    pub fn query_geojson(geometry: &Value) -> Result<Shape, QueryShapeError> {
        rings_of_geojson(geometry, MAX_QUERY_VERTICES)
            .and_then(|rings| Self::checked(rings, MAX_QUERY_VERTICES))
            .map(|checked| checked.shape)
            .map_err(QueryShapeError)
    }

    /// Reads WKT of type POLYGON or MULTIPOLYGON, with `SRID=4326;` before it or not.
    pub fn from_wkt(text: &str) -> Result<Checked, ShapeError> {
        Self::checked(rings_of_wkt(text)?, MAX_VERTICES)
    }

    /// Reads what [`Shape::to_wkb`] wrote. Positions are checked again; that the rings are sound was
    /// made sure of before they were written and is not looked into once more.
    pub fn from_wkb(bytes: &[u8]) -> Result<Shape, ShapeError> {
        let rings = wkb::read(bytes)?;
        check_coordinates(&rings)?;
        Self::new(wind(rings))
    }

    /// Takes polygons that are known to be sound, such as generated ones. Positions are checked; that
    /// no ring crosses itself or another is the caller's word.
    pub fn from_sound(polygons: &MultiPolygon<f64>) -> Result<Shape, ShapeError> {
        let rings = rings_of(polygons);
        check_coordinates(&rings)?;
        Self::new(wind(rings))
    }

    /// Polygons that were a shape before.
    pub(super) fn kept(polygons: MultiPolygon<f64>) -> Option<Shape> {
        Self::new(polygons).ok()
    }

    /// Little-endian, two-dimensional, always a MultiPolygon.
    pub fn to_wkb(&self) -> Vec<u8> {
        wkb::write(&self.0.polygons)
    }

    /// The union of the parts of one area that came as several features. Parts that lie apart keep
    /// their vertices to the last bit; parts that overlap or share a border are joined.
    pub fn merge(parts: &[Shape]) -> Result<Shape, ShapeError> {
        if let [only] = parts {
            return Ok(only.clone());
        }
        let rings = parts.iter().flat_map(|shape| rings_of(&shape.0.polygons)).collect();
        Self::checked(rings, MAX_VERTICES).map(|checked| checked.shape)
    }

    fn checked(rings: Rings, limit: usize) -> Result<Checked, ShapeError> {
        let (polygons, repairs) = check(rings, limit)?;
        Ok(Checked { shape: Self::new(polygons)?, repairs })
    }

    fn new(polygons: MultiPolygon<f64>) -> Result<Shape, ShapeError> {
        let (mut west, mut south, mut east, mut north) = (f64::MAX, f64::MAX, f64::MIN, f64::MIN);
        for c in polygons.iter().flat_map(|polygon| &polygon.exterior().0) {
            (west, east) = (west.min(c.x), east.max(c.x));
            (south, north) = (south.min(c.y), north.max(c.y));
        }
        let bounds = Bounds::new(west, south, east, north).map_err(|_| ShapeError::Empty)?;
        let first = polygons.iter().find_map(|polygon| polygon.exterior().0.first());
        let corner = first.and_then(|c| LonLat::new(c.x, c.y).ok()).ok_or(ShapeError::Empty)?;
        let shape = Shape(Arc::new(Inner { polygons, bounds, corner }));
        // Closing and mending add vertices; what is written must be readable again.
        if shape.vertex_count() > MAX_VERTICES {
            return Err(ShapeError::TooManyVertices { limit: MAX_VERTICES });
        }
        Ok(shape)
    }

    /// The smallest box around it.
    pub fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    /// The polygons, for drawing and cutting them.
    pub fn polygons(&self) -> &MultiPolygon<f64> {
        &self.0.polygons
    }

    /// Number of vertices, closing ones included.
    pub fn vertex_count(&self) -> usize {
        let rings =
            |p: &geo::Polygon<f64>| p.exterior().0.len() + p.interiors().iter().map(|r| r.0.len()).sum::<usize>();
        self.0.polygons.iter().map(rings).sum()
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (Coord<f64>, Coord<f64>)> {
        edges_of(&self.0.polygons)
    }

    /// True where the point is inside or on the border.
    pub fn covers(&self, point: LonLat) -> bool {
        let b = &self.0.bounds;
        let in_bounds = (b.west()..=b.east()).contains(&point.lon()) && (b.south()..=b.north()).contains(&point.lat());
        in_bounds && covers(&self.0.polygons, Coord { x: point.lon(), y: point.lat() })
    }

    /// True where shape and box share a point, be it on their borders. The box may be a line or a point.
    pub fn intersects_bounds(&self, bounds: &Bounds) -> bool {
        if !self.0.bounds.intersects(bounds) {
            return false;
        }
        let low = Coord { x: bounds.west(), y: bounds.south() };
        let high = Coord { x: bounds.east(), y: bounds.north() };
        // No edge meets the box: then the box is all inside or all outside, and any corner tells.
        self.edges().any(|(a, b)| meets_box(a, b, low, high)) || covers(&self.0.polygons, low)
    }

    /// A point inside, off the border unless the shape is thinner than numbers can tell: the middle of the
    /// widest east-west stretch found on two lines through the largest part.
    pub fn inside_point(&self) -> LonLat {
        let parts = self.0.polygons.iter().map(|p| (signed_area(&p.exterior().0), p));
        let largest = parts.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, part)| part);
        let found = largest.and_then(widest_middle).filter(|p| covers(&self.0.polygons, *p));
        found.and_then(|p| LonLat::new(p.x, p.y).ok()).unwrap_or(self.0.corner)
    }

    /// A GeoJSON geometry object: a Polygon where there is one part, else a MultiPolygon.
    pub fn to_geojson(&self) -> Value {
        let ring = |ring: &geo::LineString<f64>| ring.0.iter().map(|c| json!([c.x, c.y])).collect::<Value>();
        let polygon = |polygon: &geo::Polygon<f64>| {
            std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).collect::<Value>()
        };
        match self.0.polygons.0.as_slice() {
            [only] => json!({ "type": "Polygon", "coordinates": polygon(only) }),
            parts => json!({ "type": "MultiPolygon", "coordinates": parts.iter().map(polygon).collect::<Value>() }),
        }
    }
}

/// The middle of the widest stretch that lies inside the polygon on one of two parallels: the one
/// through the middle, and the one between the two neighbouring vertices' latitudes farthest apart.
fn widest_middle(polygon: &geo::Polygon<f64>) -> Option<Coord<f64>> {
    let rings = || std::iter::once(polygon.exterior()).chain(polygon.interiors());
    let mut latitudes: Vec<f64> = rings().flat_map(|ring| &ring.0).map(|c| c.y).collect();
    latitudes.sort_by(f64::total_cmp);
    latitudes.dedup();
    let middle = (latitudes.first()? + latitudes.last()?) / 2.0;
    let gaps = || latitudes.windows(2).map(|pair| (pair[0], pair[1]));
    let central = gaps().find(|(_, above)| *above > middle);
    let tallest = gaps().max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
    let stretches = central.into_iter().chain(tallest).filter_map(|(below, above)| {
        // Between two vertices' latitudes no vertex lies on the line, so crossings pair up.
        let y = (below + above) / 2.0;
        let edges = rings().flat_map(|ring| ring.0.windows(2));
        let mut crossings: Vec<f64> = edges
            .filter(|pair| (pair[0].y > y) != (pair[1].y > y))
            .map(|pair| pair[0].x + (pair[1].x - pair[0].x) * ((y - pair[0].y) / (pair[1].y - pair[0].y)))
            .collect();
        crossings.sort_by(f64::total_cmp);
        let widest = crossings.chunks_exact(2).max_by(|a, b| (a[1] - a[0]).total_cmp(&(b[1] - b[0])))?;
        Some((widest[1] - widest[0], Coord { x: (widest[0] + widest[1]) / 2.0, y }))
    });
    stretches.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, place)| place)
}

/// Counts positions down to nothing left.
struct Allowance {
    left: usize,
    limit: usize,
}

impl Allowance {
    fn take(&mut self, positions: usize) -> Result<(), ShapeError> {
        self.left = self.left.checked_sub(positions).ok_or(ShapeError::TooManyVertices { limit: self.limit })?;
        Ok(())
    }
}

fn rings_of(polygons: &MultiPolygon<f64>) -> Rings {
    polygons
        .iter()
        .map(|polygon| {
            std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(|ring| ring.0.clone()).collect()
        })
        .collect()
}

fn rings_of_geojson(geometry: &Value, limit: usize) -> Result<Rings, ShapeError> {
    const COORDINATES: ShapeError = ShapeError::Malformed("coordinates must be arrays of rings of positions");
    let kind = geometry.get("type").and_then(Value::as_str).ok_or(ShapeError::Malformed("it has no type"))?;
    let coordinates = || geometry.get("coordinates").and_then(Value::as_array).ok_or(COORDINATES);
    let mut allowance = Allowance { left: limit, limit };
    let position = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([x, y, ..]) => match (x.as_f64(), y.as_f64()) {
            (Some(x), Some(y)) => Ok(Coord { x, y }),
            _ => Err(ShapeError::Malformed("a position must be made of numbers")),
        },
        _ => Err(ShapeError::Malformed("a position needs a longitude and a latitude")),
    };
    let mut polygon = |value: &Value| {
        value
            .as_array()
            .ok_or(COORDINATES)?
            .iter()
            .map(|ring| {
                let ring = ring.as_array().ok_or(COORDINATES)?;
                allowance.take(ring.len())?;
                ring.iter().map(position).collect()
            })
            .collect::<Result<Vec<_>, ShapeError>>()
    };
    match kind {
        "Polygon" => {
            coordinates()?;
            geometry.get("coordinates").into_iter().map(polygon).collect()
        }
        "MultiPolygon" => coordinates()?.iter().map(&mut polygon).collect(),
        _ => Err(ShapeError::NotPolygonal),
    }
}

fn rings_of_wkt(text: &str) -> Result<Rings, ShapeError> {
    let text = text.trim();
    let text = text.strip_prefix("SRID=4326;").unwrap_or(text).trim_start();
    let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    // Other types are turned away before parsing: collections nest, and the parser recurses.
    if !["POLYGON", "MULTIPOLYGON", "POLYGONZ", "MULTIPOLYGONZ"].iter().any(|kind| word.eq_ignore_ascii_case(kind)) {
        return Err(if word.is_empty() { ShapeError::Malformed("it is not WKT") } else { ShapeError::NotPolygonal });
    }
    // There are as many commas as positions, less one.
    if text.bytes().filter(|byte| *byte == b',').count() >= MAX_VERTICES {
        return Err(ShapeError::TooManyVertices { limit: MAX_VERTICES });
    }
    let polygons = match text.parse::<wkt::Wkt<f64>>() {
        Ok(wkt::Wkt::Polygon(polygon)) => vec![polygon],
        Ok(wkt::Wkt::MultiPolygon(polygons)) => polygons.into_inner().0,
        Ok(_) => return Err(ShapeError::NotPolygonal),
        Err(_) => return Err(ShapeError::Malformed("it is not WKT")),
    };
    let ring =
        |ring: wkt::types::LineString<f64>| ring.into_inner().0.into_iter().map(|c| Coord { x: c.x, y: c.y }).collect();
    Ok(polygons.into_iter().map(|polygon| polygon.into_inner().0.into_iter().map(ring).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;
    use geo::{Area, Validation};

    fn read(wkt: &str) -> Result<(String, Vec<Repair>), ShapeError> {
        Shape::from_wkt(wkt).map(|c| (c.shape.to_geojson()["coordinates"].to_string(), c.repairs))
    }

    fn area(shape: &Shape) -> f64 {
        shape.polygons().unsigned_area()
    }

    #[test]
    fn outer_rings_come_out_counter_clockwise_and_holes_clockwise() {
        let clockwise = "POLYGON((0 0,0 4,4 4,4 0,0 0),(1 1,2 1,2 2,1 1))";
        let expected =
            "[[[0.0,0.0],[4.0,0.0],[4.0,4.0],[0.0,4.0],[0.0,0.0]],[[1.0,1.0],[2.0,2.0],[2.0,1.0],[1.0,1.0]]]";
        assert_eq!(read(clockwise), Ok((expected.to_string(), vec![])));
        assert_eq!(shape(clockwise).to_geojson()["type"], "Polygon");
        let two = shape("MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))");
        assert_eq!(two.to_geojson()["type"], "MultiPolygon");
        assert_eq!(Shape::from_geojson(&two.to_geojson()).map(|c| c.shape), Ok(two));
    }

    #[test]
    fn open_rings_heights_and_repeated_points_are_tidied_and_told() {
        let geometry =
            json!({ "type": "Polygon", "coordinates": [[[0, 0, 7], [4, 0, 7], [4, 0, 8], [4, 4], [0, 4, 1, 2]]] });
        let checked = Shape::from_geojson(&geometry).expect("mendable");
        assert_eq!(checked.repairs, vec![Repair::RingsClosed(1), Repair::RepeatedPoints(1)]);
        assert_eq!(checked.shape, boxed(0.0, 0.0, 4.0, 4.0));
        assert_eq!(read("SRID=4326; POLYGON Z((0 0 1,1 0 1,1 1 1,0 0 1))").map(|r| r.1), Ok(vec![]));
    }

    #[test]
    fn each_kind_of_unsound_outline_is_mended_to_the_area_it_means() {
        for (wkt, expected, repair) in [
            ("POLYGON((0 0,4 4,4 0,0 4,0 0))", 8.0, Repair::SelfIntersection),
            ("POLYGON((0 0,4 0,4 4,2 0,0 4,0 0))", 8.0, Repair::SelfIntersection),
            ("POLYGON((0 0,4 0,6 0,4 0,4 4,0 4,0 0))", 16.0, Repair::SelfIntersection),
            ("POLYGON((0 0,4 0,4 4,0 4,0 0),(5 5,6 5,6 6,5 6,5 5))", 16.0, Repair::MisplacedHole),
            ("POLYGON((0 0,4 0,4 4,0 4,0 0),(3 1,5 1,5 2,3 2,3 1))", 15.0, Repair::MisplacedHole),
            ("POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,3 1,3 3,1 3,1 1),(1 1,2 1,2 2,1 2,1 1))", 12.0, Repair::MisplacedHole),
            ("POLYGON((0 0,9 0,9 9,0 9,0 0),(1 1,8 1,8 8,1 8,1 1),(2 2,3 2,3 3,2 3,2 2))", 32.0, Repair::MisplacedHole),
            ("MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0)),((1 1,2 1,2 2,1 2,1 1)))", 16.0, Repair::OverlappingParts),
            ("MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0)),((2 2,6 2,6 6,2 6,2 2)))", 28.0, Repair::OverlappingParts),
            ("MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0)),((4 0,8 0,8 4,4 4,4 0)))", 32.0, Repair::OverlappingParts),
            ("MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0)),((9 9,9 9,9 9)))", 16.0, Repair::SliversDropped(1)),
        ] {
            let checked = Shape::from_wkt(wkt).expect(wkt);
            assert!((area(&checked.shape) - expected).abs() < 1e-9, "{wkt}: {}", area(&checked.shape));
            assert!(checked.repairs.contains(&repair), "{wkt}: {:?}", checked.repairs);
        }
    }

    #[test]
    fn sound_outlines_that_touch_in_a_point_are_left_alone() {
        for wkt in [
            "POLYGON((0 0,4 0,4 4,0 4,0 0),(0 2,1 1,1 3,0 2))",
            "POLYGON((0 0,9 0,9 9,0 9,0 0),(1 1,2 1,2 2,1 2,1 1),(2 2,3 2,3 3,2 3,2 2))",
            "MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0)),((4 4,5 4,5 5,4 4)))",
            "MULTIPOLYGON(((0 0,9 0,9 9,0 9,0 0),(1 1,8 1,8 8,1 8,1 1)),((2 2,3 2,3 3,2 3,2 2)))",
        ] {
            let checked = Shape::from_wkt(wkt).expect(wkt);
            assert_eq!(checked.repairs, vec![], "{wkt}");
            assert!(checked.shape.polygons().is_valid(), "{wkt}");
        }
    }

    /// Inside by the rule that mending promises, told from the raw rings alone.
    fn meant(polygons: &[Vec<Vec<[f64; 2]>>], x: f64, y: f64) -> bool {
        let odd = |ring: &Vec<[f64; 2]>| {
            let next = ring.iter().cycle().skip(1);
            let crosses = |a: &[f64; 2], b: &[f64; 2]| {
                (a[1] > y) != (b[1] > y) && x < a[0] + (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1])
            };
            ring.iter().zip(next).filter(|(a, b)| crosses(a, b)).count() % 2 == 1
        };
        polygons.iter().any(|rings| odd(&rings[0]) && !rings[1..].iter().any(odd))
    }

    #[test]
    fn whatever_is_scribbled_comes_out_sound_and_means_the_same() {
        let mut random = Random::seeded(91);
        let (mut mended, mut untouched, mut touching, mut refused) = (0, 0, 0, 0);
        for _ in 0..4_000 {
            let polygons: Vec<_> = (0..1 + random.below(2)).map(|_| scribble(&mut random)).collect();
            let text = json!({ "type": "MultiPolygon", "coordinates": polygons });
            let Ok(checked) = Shape::from_geojson(&text) else {
                refused += 1;
                continue;
            };
            let shape = &checked.shape;
            touching += usize::from(!shape.polygons().is_valid());
            for _ in 0..30 {
                // Irrational against the grid's lines, so far from every border.
                let (x, y) = (random.below(64) as f64 / 8.0 + 0.0317, random.below(64) as f64 / 8.0 + 0.0519);
                assert_eq!(shape.covers(at(x, y)), meant(&polygons, x, y), "{text} at {x} {y}");
            }
            let p = shape.inside_point();
            assert!(shape.covers(p), "{text}");
            let again = Shape::from_geojson(&shape.to_geojson()).expect("a sound shape");
            let only_tidied = |r: &Repair| {
                matches!(r, Repair::RingsClosed(_) | Repair::RepeatedPoints(_) | Repair::SliversDropped(_))
            };
            if checked.repairs.iter().all(only_tidied) {
                untouched += 1;
                assert_eq!((again.repairs, &again.shape), (vec![], shape), "{text}");
            } else {
                mended += 1;
            }
        }
        // Refused are those without area, and the rare ones that the builder cannot do.
        assert!(mended > 3000 && untouched > 20 && refused < 100, "{mended} {untouched} {refused}");
        assert!(touching <= 2, "{touching} rings that touch themselves");
    }

    #[test]
    fn what_is_no_area_in_degrees_is_refused_with_its_reason() {
        for (wkt, error) in [
            ("POLYGON((700000 9310000,700100 9310000,700100 9310100,700000 9310000))", ShapeError::NotDegrees),
            ("POLYGON((-6.2 106.8,-6.3 106.8,-6.3 106.9,-6.2 106.8))", ShapeError::SwappedAxes),
            ("POLYGON((nan 1,2 3,4 5,nan 1))", ShapeError::Malformed("it is not WKT")),
            ("POLYGON((1e400 1,2 3,4 5,1 1))", ShapeError::NotFinite),
            ("POLYGON EMPTY", ShapeError::Empty),
            ("POLYGON((0 0,1 1,2 2,0 0))", ShapeError::Empty),
            ("POLYGON((0 0,1 1,0 0,0 0))", ShapeError::Empty),
            ("POINT(1 2)", ShapeError::NotPolygonal),
            ("LINESTRING(1 2,3 4)", ShapeError::NotPolygonal),
            ("", ShapeError::Malformed("it is not WKT")),
        ] {
            assert_eq!(read(wkt).map(|_| ()), Err(error), "{wkt}");
        }
        for wrong in [
            json!(null),
            json!([]),
            json!({ "type": "Polygon" }),
            json!({ "type": "Polygon", "coordinates": [[["0", 0]]] }),
        ] {
            assert!(matches!(Shape::from_geojson(&wrong), Err(ShapeError::Malformed(_))), "{wrong}");
        }
        let feature = json!({ "type": "Feature", "geometry": boxed(0.0, 0.0, 1.0, 1.0).to_geojson() });
        assert_eq!(Shape::from_geojson(&feature), Err(ShapeError::NotPolygonal));
    }

    #[test]
    fn a_search_polygon_is_bounded_and_a_tangle_is_refused_before_it_costs_anything() {
        let circle = |n: usize| -> Vec<[f64; 2]> {
            (0..n).map(|i| (i as f64 / n as f64 * std::f64::consts::TAU).sin_cos()).map(|(s, c)| [c, s]).collect()
        };
        assert!(Shape::query_geojson(&polygon(&[circle(MAX_QUERY_VERTICES)])).is_ok());
        let error = Shape::query_geojson(&polygon(&[circle(MAX_QUERY_VERTICES + 1)])).expect_err("one too many");
        assert_eq!(error.to_string(), "within has more than 10000 vertices: simplify the polygon");
        // Every chord crosses nearly every other.
        let mut chords = circle(9_999);
        chords = (0..9_999).map(|i| chords[i * 4_999 % 9_999]).collect();
        assert_eq!(Shape::query_geojson(&polygon(&[chords])), Err(QueryShapeError(ShapeError::TooTangled)));
        let nest = |i: usize| {
            let r = 1.0 + i as f64 / 100.0;
            vec![[-r, -r], [r, -r], [r, r], [-r, r], [-r, -r]]
        };
        let nested: Vec<_> = (0..2_000).map(|i| [nest(i)]).collect();
        let nested = json!({ "type": "MultiPolygon", "coordinates": nested });
        assert_eq!(Shape::query_geojson(&nested), Err(QueryShapeError(ShapeError::TooTangled)));
    }

    #[test]
    fn parts_of_one_area_are_joined_where_they_meet_and_kept_to_the_bit_where_they_do_not() {
        let (a, b, c) = (boxed(0.0, 0.0, 1.0, 1.0), boxed(1.0, 0.0, 2.0, 1.0), boxed(5.1, 5.2, 6.3, 6.4));
        let joined = Shape::merge(&[a.clone(), b]).expect("a shape");
        assert_eq!((joined.polygons().0.len(), joined.bounds()), (1, boxed(0.0, 0.0, 2.0, 1.0).bounds()));
        let apart = Shape::merge(&[a.clone(), c.clone()]).expect("a shape");
        let parts: Vec<_> = a.polygons().iter().chain(c.polygons()).cloned().collect();
        assert_eq!(apart.polygons().0, parts);
        assert_eq!(Shape::merge(&[]), Err(ShapeError::Empty));
    }

    #[test]
    fn a_mended_outline_keeps_its_corners_where_they_were_given() {
        // A bow tie around the middle of an RW.
        let given = [(106.8857, -6.1143), (106.8864, -6.1144), (106.8857, -6.1149), (106.8864, -6.1148)];
        let ring: Vec<_> = given.iter().map(|(x, y)| format!("{x} {y}")).collect();
        let wkt = &format!("POLYGON(({},{}))", ring.join(","), ring[0]);
        let shape = Shape::from_wkt(wkt).expect("mendable").shape;
        let corners: Vec<_> = shape.edges().map(|(a, _)| (a.x, a.y)).collect();
        for given in given {
            assert!(corners.contains(&given), "{given:?} of {corners:?}");
        }
    }
}
