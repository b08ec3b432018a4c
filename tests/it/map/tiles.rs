//! Tiles of the demo city, read by Mapbox's reader and judged by JTS: see `tests/node/tiles.js`.

use salur::atlas::{AreaRecord, Atlas, Contents, Ground};
use salur::domain::ids::AreaId;
use salur::spatial::Shape;
use salur::tiles::{TileId, encode};
use serde_json::Value;
use std::f64::consts::PI;
use std::sync::Arc;

use crate::harness::node;

fn city() -> Arc<Ground> {
    let areas = salur::demo::city().expect("the demo city is built in");
    let areas = (1..).zip(areas).map(|(id, area)| AreaRecord {
        id: AreaId(id),
        shape: Some(Shape::from_sound(&area.shape).expect("the demo's shapes are sound")),
        code: area.code,
        name: area.name,
        label: None,
        generated: true,
        point: Some(area.point),
        households: Some(area.households),
        poor_households: Some(area.poor_households),
    });
    let atlas = Atlas::new();
    atlas.load(Contents { areas: areas.collect(), edition: 1, ..Contents::default() }).expect("a map");
    atlas.ground()
}

/// The tile that the place lies in.
fn around(z: u8, lon: f64, lat: f64) -> (u32, u32) {
    let side = f64::from(1u32 << z);
    let y = 0.5 - (PI / 4.0 + lat.to_radians() / 2.0).tan().ln() / (2.0 * PI);
    (((lon / 360.0 + 0.5) * side) as u32, (y * side) as u32)
}

#[test]
fn others_find_shapes_sound_wound_right_and_without_gaps() {
    let ground = city();
    let directory = std::env::temp_dir().join(format!("salur_tiles_{}", std::process::id()));
    std::fs::create_dir(&directory).expect("the directory's name is unique");
    let mut written = 0;
    for z in 4..=14 {
        // Downtown, the coast, the eastern edge, and the islands.
        for (lon, lat) in [(106.83, -6.19), (106.78, -6.11), (106.95, -6.17), (106.55, -5.75)] {
            let (x, y) = around(z, lon, lat);
            for (x, y) in [(x, y), (x + 1, y), (x, y + 1)] {
                let tile = TileId::new(z, x, y).expect("a tile");
                let bytes = encode(&ground, tile).expect("a tile is drawn");
                if !bytes.is_empty() {
                    std::fs::write(directory.join(format!("{z}-{x}-{y}.mvt")), bytes).expect("a file is written");
                    written += 1;
                }
            }
        }
    }
    let told = node::run("tiles.js", &[&directory.display().to_string()]);
    std::fs::remove_dir_all(&directory).expect("the directory is ours");
    let findings: Vec<&str> = told["findings"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let first = &findings[..findings.len().min(20)];
    assert!(findings.is_empty(), "{} findings, the first are\n{}", findings.len(), first.join("\n"));
    // It has looked at something.
    assert!(written > 50 && told["tiles"].as_u64() <= Some(written), "{told}");
    let count = |name: &str| told[name].as_u64().expect("a number");
    assert!(count("polygons") > 5_000 && count("parents") > 500, "{told}");
}
