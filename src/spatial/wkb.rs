//! Well-known binary, the form in which shapes are stored: little-endian, two dimensions, always a
//! MultiPolygon.
//!
//! The reader takes exactly what the writer makes and nothing else. It trusts no byte: counts are held
//! against the bytes that are left before anything is allocated.

use super::shapes::{MAX_VERTICES, ShapeError};
use super::validity::Rings;
use geo::{Coord, MultiPolygon};

const LITTLE_ENDIAN: u8 = 1;
const POLYGON: u32 = 3;
const MULTI_POLYGON: u32 = 6;

pub(super) fn write(polygons: &MultiPolygon<f64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let head = |bytes: &mut Vec<u8>, kind: u32, count: usize| {
        bytes.push(LITTLE_ENDIAN);
        bytes.extend(kind.to_le_bytes());
        bytes.extend((count as u32).to_le_bytes());
    };
    head(&mut bytes, MULTI_POLYGON, polygons.0.len());
    for polygon in polygons {
        head(&mut bytes, POLYGON, 1 + polygon.interiors().len());
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            bytes.extend((ring.0.len() as u32).to_le_bytes());
            for c in &ring.0 {
                bytes.extend(c.x.to_le_bytes());
                bytes.extend(c.y.to_le_bytes());
            }
        }
    }
    bytes
}

/// Rings that are closed and have at least four positions each; nothing is said of where they lie.
pub(super) fn read(bytes: &[u8]) -> Result<Rings, ShapeError> {
    let mut rest = Rest(bytes);
    // The least a polygon takes: its head, one ring's count and four positions.
    let polygons = rest.head(MULTI_POLYGON, 9 + 4 + 64)?;
    let mut vertices = 0;
    let mut read = Vec::with_capacity(polygons);
    for _ in 0..polygons {
        let rings = rest.head(POLYGON, 4 + 64)?;
        let mut polygon = Vec::with_capacity(rings);
        for _ in 0..rings {
            let count = rest.count(16)?;
            vertices += count;
            if vertices > MAX_VERTICES {
                return Err(ShapeError::TooManyVertices { limit: MAX_VERTICES });
            }
            let ring = (0..count)
                .map(|_| Ok(Coord { x: rest.number()?, y: rest.number()? }))
                .collect::<Result<Vec<_>, ShapeError>>()?;
            if ring.len() < 4 || ring.first() != ring.last() {
                return Err(ShapeError::BadWkb("a ring is not closed"));
            }
            polygon.push(ring);
        }
        read.push(polygon);
    }
    if rest.0.is_empty() { Ok(read) } else { Err(ShapeError::BadWkb("bytes are left over")) }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        let (first, rest) = self.0.split_first_chunk().ok_or(ShapeError::BadWkb("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<f64, ShapeError> {
        Ok(f64::from_le_bytes(self.take()?))
    }

    /// A count of things of at least `size` bytes each, of which there is at least one.
    fn count(&mut self, size: usize) -> Result<usize, ShapeError> {
        let count = u32::from_le_bytes(self.take()?) as usize;
        match count {
            0 => Err(ShapeError::BadWkb("a part is empty")),
            n if n > self.0.len() / size => Err(ShapeError::BadWkb("it ends too early")),
            n => Ok(n),
        }
    }

    fn head(&mut self, kind: u32, size: usize) -> Result<usize, ShapeError> {
        let [order] = self.take()?;
        if order != LITTLE_ENDIAN || u32::from_le_bytes(self.take()?) != kind {
            return Err(ShapeError::BadWkb("it is not a little-endian two-dimensional MultiPolygon"));
        }
        self.count(size)
    }
}
