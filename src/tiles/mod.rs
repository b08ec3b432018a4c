//! Vector tiles of one edition of areas: where they lie and what they are called, never what stands on
//! them. A tile is a function of the ground, so whoever has it may keep it for ever.
//!
//! - A tile holds the level that is drawn at its zoom and two above it, for their borders: layer
//!   `village` has the polygons of villages, `village_name` one point per village for its name.
//! - Every feature has `code`; names are with the points. `shaped` is false where an area has a point only.
//! - Neighbours keep sharing their border: see [`plane`].

mod plane;

#[cfg(test)]
mod tests;

use crate::atlas::{AreaRef, Ground};
use crate::domain::area::{AreaLevel, PointSource};
use crate::domain::place::Bounds;
use fast_mvt::{MvtError, MvtGeomType, MvtTileBuilder, MvtValueRef};
use std::sync::Arc;

/// The deepest tiles; closer up they are drawn larger, where a unit is 60 cm.
pub const MAX_ZOOM: u8 = 14;

/// Grows when the same areas give other bytes: it is part of a tile's address.
pub const LAYOUT: u32 = 2;

/// Units from one side of a tile to the other.
const EXTENT: i64 = 4_096;

/// How far shapes reach beyond the tile's sides, so that borders are drawn whole.
const MARGIN: i64 = 64;

/// One tile of the pyramid: `z` halvings of the Web Mercator square, `x` from the west, `y` from the north.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileId {
    z: u8,
    x: u32,
    y: u32,
}

impl TileId {
    /// `None` where there is no such tile.
    pub fn new(z: u8, x: u32, y: u32) -> Option<Self> {
        (z <= MAX_ZOOM && x < 1 << z && y < 1 << z).then_some(TileId { z, x, y })
    }

    fn bounds(self) -> Option<Bounds> {
        let (low, high) = (plane::corner(self, -MARGIN), plane::corner(self, EXTENT + MARGIN));
        Bounds::new(low.0, high.1, high.0, low.1).ok()
    }
}

/// The level whose areas are drawn at a zoom. The page's own table (`web/src/lib/levels.ts`) is the same.
pub fn drawn_at(z: u8) -> AreaLevel {
    match z {
        0..=6 => AreaLevel::Province,
        7..=9 => AreaLevel::City,
        10 => AreaLevel::District,
        11..=12 => AreaLevel::Village,
        13 => AreaLevel::Rw,
        _ => AreaLevel::Rt,
    }
}

/// A kind of layer that tiles have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub id: String,
    /// Names and types of what its features say, as TileJSON has it.
    pub fields: &'static [(&'static str, &'static str)],
    /// The first and the last zoom whose tiles may have it.
    pub zooms: (u8, u8),
}

/// All layers, the largest areas first; of each level the shapes, then the names.
pub fn layers() -> Vec<Layer> {
    let of_level = |level: AreaLevel| {
        let zooms: Vec<u8> = (0..=MAX_ZOOM).filter(|z| (top_at(*z)..=drawn_at(*z)).contains(&level)).collect();
        let zooms = (zooms.first().copied().unwrap_or_default(), zooms.last().copied().unwrap_or_default());
        let name = format!("{}_name", level.word());
        [
            Layer { id: level.word().to_owned(), fields: &[("code", "String")], zooms },
            Layer { id: name, fields: &[("code", "String"), ("name", "String"), ("shaped", "Boolean")], zooms },
        ]
    };
    AreaLevel::ALL.into_iter().flat_map(of_level).collect()
}

/// The largest level in a zoom's tiles.
fn top_at(z: u8) -> AreaLevel {
    AreaLevel::from_number(drawn_at(z).number() - 2).unwrap_or(AreaLevel::Province)
}

/// The tile as Mapbox Vector Tile 2.1; no bytes where nothing lies in it.
pub fn encode(ground: &Arc<Ground>, tile: TileId) -> Result<Vec<u8>, MvtError> {
    let levels = top_at(tile.z)..=drawn_at(tile.z);
    let areas = tile.bounds().map(|bounds| ground.areas_in(&bounds, levels)).unwrap_or_default();
    let mut built = MvtTileBuilder::new();
    for level in AreaLevel::ALL {
        let of_level = || areas.iter().filter(move |area| area.level() == level);
        built = shapes(built, level, tile, of_level())?;
        built = names(built, level, tile, of_level())?;
    }
    Ok(built.encode())
}

fn shapes<'a>(
    built: MvtTileBuilder,
    level: AreaLevel,
    tile: TileId,
    areas: impl Iterator<Item = &'a AreaRef>,
) -> Result<MvtTileBuilder, MvtError> {
    let drawn =
        areas.filter_map(|area| Some((area, plane::drawn(&area.shape()?, tile)))).filter(|(_, r)| !r.is_empty());
    let mut drawn = drawn.peekable();
    if drawn.peek().is_none() {
        return Ok(built);
    }
    let mut layer = built.layer(level.word())?;
    for (area, rings) in drawn {
        let mut feature = layer.feature_of(MvtGeomType::Polygon);
        for ring in rings {
            feature.ring(ring.points, ring.exterior)?;
        }
        feature.tag_ref("code", MvtValueRef::String(area.code().as_str()))?;
        layer = feature.end();
    }
    Ok(layer.end())
}

/// A name stands in the one tile that its point lies in, so that it is written once.
fn names<'a>(
    built: MvtTileBuilder,
    level: AreaLevel,
    tile: TileId,
    areas: impl Iterator<Item = &'a AreaRef>,
) -> Result<MvtTileBuilder, MvtError> {
    let placed = areas.filter_map(|area| match area.point()? {
        (point, PointSource::Own) => Some((area, plane::place(point, tile)?)),
        (_, PointSource::Parent) => None,
    });
    let mut placed = placed.peekable();
    if placed.peek().is_none() {
        return Ok(built);
    }
    let mut layer = built.layer(format!("{}_name", level.word()))?;
    for (area, point) in placed {
        let mut feature = layer.feature_of(MvtGeomType::Point);
        feature.points([point])?;
        feature.tag_ref("code", MvtValueRef::String(area.code().as_str()))?;
        feature.tag_ref("name", MvtValueRef::String(area.name()))?;
        feature.tag_ref("shaped", MvtValueRef::Bool(area.has_shape()))?;
        layer = feature.end();
    }
    Ok(layer.end())
}
