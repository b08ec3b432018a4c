//! Tiles of a small made-up town, read back as a map reads them.

use super::*;
use crate::atlas::{AreaRecord, Atlas, Contents};
use crate::domain::ids::AreaId;
use crate::domain::place::LonLat;
use crate::spatial::Shape;
use fast_mvt::{MvtReaderRef, MvtValueRef};
use serde_json::json;
use std::collections::BTreeMap;

/// A village of 4 x 4 RT of uneven borders, with the areas above it, and one RT that is a point.
fn ground() -> Arc<Ground> {
    let at = |column: usize, row: usize| {
        let bend = |n: usize| ((n * 7) % 5) as f64 * 1e-4;
        [106.8 + column as f64 * 0.004 + bend(row + column), -6.2 + row as f64 * 0.004 + bend(row * 3 + column)]
    };
    let mut areas = Vec::new();
    let mut add = |code: &str, name: &str, ring: Option<Vec<[f64; 2]>>, point: Option<LonLat>| {
        let shape = ring.map(|ring| {
            let geojson = json!({"type": "Polygon", "coordinates": [ring]});
            Shape::from_geojson(&geojson).expect("a sound ring").shape
        });
        let id = AreaId(areas.len() as i64 + 1);
        areas.push(AreaRecord {
            id,
            code: code.parse().expect("a code"),
            name: name.into(),
            label: None,
            shape,
            generated: true,
            point,
            households: None,
            poor_households: None,
        });
    };
    let ring = |from: (usize, usize), to: (usize, usize)| {
        let bottom = (from.0..to.0).map(|c| at(c, from.1));
        let right = (from.1..to.1).map(|r| at(to.0, r));
        let top = (from.0 + 1..=to.0).rev().map(|c| at(c, to.1));
        let left = (from.1..=to.1).rev().map(|r| at(from.0, r));
        Some(bottom.chain(right).chain(top).chain(left).collect::<Vec<_>>())
    };
    for (code, name) in [("31", "DKI Jakarta"), ("31.71", "Kota"), ("31.71.01", "Camat"), ("31.71.01.1001", "Lurah")] {
        add(code, name, ring((0, 0), (4, 4)), None);
    }
    for row in 0..4 {
        add(&format!("31.71.01.1001.00{}", row + 1), "RW", ring((0, row), (4, row + 1)), None);
        for column in 0..4 {
            let code = format!("31.71.01.1001.00{}.00{}", row + 1, column + 1);
            add(&code, "RT", ring((column, row), (column + 1, row + 1)), None);
        }
    }
    let alone = LonLat::new(106.805, -6.195).expect("a place");
    add("31.71.01.1001.004.009", "RT 009", None, Some(alone));
    let atlas = Atlas::new();
    atlas.load(Contents { areas, ..Contents::default() }).expect("a map");
    atlas.ground()
}

/// Codes by layer.
type Layers = BTreeMap<String, Vec<String>>;

fn read(bytes: &[u8]) -> Layers {
    let reader = MvtReaderRef::new(bytes).expect("a tile");
    let code = |properties: Vec<(&str, MvtValueRef<'_>)>| {
        let code = properties.into_iter().find(|(key, _)| *key == "code").map(|(_, value)| value);
        let Some(MvtValueRef::String(code)) = code else { panic!("a feature without a code") };
        code.to_owned()
    };
    let codes = |layer: fast_mvt::MvtLayerRef<'_>| {
        let features = layer.features();
        features.map(|f| code(f.properties_vec().expect("properties"))).collect::<Vec<_>>()
    };
    reader.layers().map(|layer| (layer.name().to_owned(), codes(layer))).collect()
}

/// All tiles of a zoom that touch the town.
fn tiles(z: u8) -> Vec<TileId> {
    let all = (1u32 << z) as f64;
    let column = |lon: f64| ((lon / 360.0 + 0.5) * all) as u32;
    let row = ((1.0 - (-6.2f64).to_radians().tan().asinh() / std::f64::consts::PI) / 2.0 * all) as u32;
    let rows = row.saturating_sub(3)..=(row + 3).min(all as u32 - 1);
    rows.flat_map(|y| (column(106.79)..=column(106.83)).filter_map(move |x| TileId::new(z, x, y))).collect()
}

#[test]
fn a_tile_holds_the_level_of_its_zoom_and_two_above() {
    let ground = ground();
    for (z, expected) in [
        (5, vec!["province"]),
        (9, vec!["city", "province"]),
        (10, vec!["city", "district", "province"]),
        (12, vec!["city", "district", "village"]),
        (13, vec!["district", "rw", "village"]),
        (14, vec!["rt", "rw", "village"]),
    ] {
        let mut layers: Vec<String> = Vec::new();
        for tile in tiles(z) {
            layers.extend(read(&encode(&ground, tile).expect("a tile")).into_keys().filter(|l| !l.contains('_')));
        }
        layers.sort();
        layers.dedup();
        assert_eq!(layers, expected, "zoom {z}");
        let told = super::layers().into_iter().filter(|l| (l.zooms.0..=l.zooms.1).contains(&z) && !l.id.contains('_'));
        let mut told: Vec<String> = told.map(|l| l.id).collect();
        told.sort();
        assert_eq!(told, expected, "TileJSON of zoom {z}");
    }
}

#[test]
fn every_area_is_drawn_and_its_name_stands_in_one_tile_only() {
    let ground = ground();
    let (mut drawn, mut named) = (Vec::new(), Vec::new());
    for tile in tiles(14) {
        let mut layers = read(&encode(&ground, tile).expect("a tile"));
        drawn.extend(layers.remove("rt").unwrap_or_default());
        named.extend(layers.remove("rt_name").unwrap_or_default());
    }
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 16, "{drawn:?}");
    named.sort();
    let once = named.len();
    named.dedup();
    assert_eq!((named.len(), once), (17, 17), "{named:?}");
}

#[test]
fn neighbours_leave_no_gap_between_them_at_any_zoom() {
    let ground = ground();
    for z in [11, 12, 13, 14] {
        for tile in tiles(z) {
            // What the RT of an RW cover together is what the RW covers, to the unit.
            let area = |code_starts: &str, level: AreaLevel| -> i64 {
                let areas = ground.areas_of(level).filter(|a| a.code().as_str().starts_with(code_starts));
                let rings = areas.filter_map(|a| a.shape()).flat_map(|s| plane::drawn(&s, tile));
                let twice = |points: &[geo::Coord<i32>]| -> i64 {
                    let next = points.iter().cycle().skip(1);
                    let sum: i64 = points
                        .iter()
                        .zip(next)
                        .map(|(a, b)| i64::from(a.x) * i64::from(b.y) - i64::from(b.x) * i64::from(a.y))
                        .sum();
                    sum.abs()
                };
                rings.map(|ring| twice(&ring.points)).sum()
            };
            for rw in ["31.71.01.1001.001", "31.71.01.1001.003"] {
                let (parts, whole) = (area(rw, AreaLevel::Rt), area(rw, AreaLevel::Rw));
                // Only where the margin cuts an edge may a unit be rounded either way.
                assert!((parts - whole).abs() <= 4 * EXTENT, "{rw} in {tile:?}: {parts} and {whole}");
            }
        }
    }
}

#[test]
fn there_are_no_tiles_outside_of_the_square_and_empty_ones_have_no_bytes() {
    assert!(TileId::new(0, 0, 0).is_some() && TileId::new(0, 1, 0).is_none());
    assert!(TileId::new(MAX_ZOOM + 1, 0, 0).is_none());
    let far = TileId::new(10, 1, 1).expect("a tile");
    assert!(encode(&ground(), far).expect("a tile").is_empty());
}
