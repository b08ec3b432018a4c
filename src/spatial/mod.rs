//! Shapes of areas, and the index that answers where they lie.
//!
//! Pure values and pure functions: no IO, no clock, and no claim state, so no claim can make an
//! index stale. The rules that hold throughout:
//!
//! - Coordinates are WGS 84 degrees, longitude first. Edges are straight in degrees, as RFC 7946
//!   has them, and no shape crosses the antimeridian: one that would is given as parts on both sides.
//! - Shapes are closed sets. Their borders, hole borders included, belong to them, so touching is
//!   intersecting.
//! - Inside, outside and touching are decided by exact arithmetic on the stored coordinates;
//!   distances are metres on a sphere (see [`distance`]).

pub mod distance;
mod edges;
pub mod index;
pub mod outlines;
pub mod shapes;
mod stretches;
mod validity;
mod wkb;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use distance::{EARTH_RADIUS_M, distance_between, distance_m};
pub use index::{Area, Part, SpatialIndex};
pub use outlines::{Outline, Outlines, Packed, Place};
pub use shapes::{Checked, MAX_QUERY_VERTICES, MAX_VERTICES, QueryShapeError, Repair, Shape, ShapeError};
