//! Shapes to test with: seeded random ones, and the real ones of Jakarta where the data is at hand.

use super::shapes::Shape;
use crate::domain::place::LonLat;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A small generator (splitmix64), so that a seed printed by a failed run repeats it anywhere.
pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        eprintln!("random seed {seed}");
        Random(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// From `low` up to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

pub fn at(lon: f64, lat: f64) -> LonLat {
    LonLat::new(lon.clamp(-180.0, 180.0), lat.clamp(-90.0, 90.0)).expect("clamped into range")
}

pub fn shape(wkt: &str) -> Shape {
    Shape::from_wkt(wkt).expect("a sound sample").shape
}

pub fn boxed(west: f64, south: f64, east: f64, north: f64) -> Shape {
    shape(&format!("POLYGON(({west} {south},{east} {south},{east} {north},{west} {north},{west} {south}))"))
}

/// A ring around a centre that does not cross itself, on a grid of `step` degrees where given.
pub fn star(random: &mut Random, lon: f64, lat: f64, radius: f64, step: Option<f64>) -> Vec<[f64; 2]> {
    let corners = 3 + random.below(20);
    let snap = |v: f64| step.map_or(v, |step| (v / step).round() * step);
    (0..corners)
        .map(|i| {
            let angle = (i as f64 + random.between(0.0, 0.9)) / corners as f64 * std::f64::consts::TAU;
            let reach = radius * random.between(0.3, 1.0);
            let (x, y) = (lon + reach * angle.cos(), lat + reach * angle.sin());
            [snap(x).clamp(-180.0, 180.0), snap(y).clamp(-90.0, 90.0)]
        })
        .collect()
}

/// One to three rings of random corners on a grid of 8 by 8: most cross, touch or double back.
pub fn scribble(random: &mut Random) -> Vec<Vec<[f64; 2]>> {
    let ring = |random: &mut Random| {
        let corners = 3 + random.below(7);
        (0..corners).map(|_| [random.below(8) as f64, random.below(8) as f64]).collect()
    };
    (0..1 + random.below(3)).map(|_| ring(random)).collect()
}

pub fn polygon(rings: &[Vec<[f64; 2]>]) -> Value {
    json!({ "type": "Polygon", "coordinates": rings })
}

/// The geometry of each feature of a gzipped file below the shared data; `None`, loudly, where it is absent.
pub fn real_features(file: &str) -> Option<Vec<Value>> {
    let shared =
        std::env::var("SALUR_SHARED").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into());
    let path = PathBuf::from(shared).join("data").join(file);
    let Ok(opened) = std::fs::File::open(&path) else {
        eprintln!("*** REAL DATA ABSENT: {} — nothing is tested on it; set SALUR_SHARED ***", path.display());
        return None;
    };
    let mut collection: Value =
        serde_json::from_reader(std::io::BufReader::new(GzDecoder::new(opened))).expect("GeoJSON");
    let features = collection["features"].as_array_mut().expect("a collection of features");
    Some(features.iter_mut().map(|feature| feature["geometry"].take()).collect())
}

pub const JAKARTA_RW: &str = "jakarta-rw-2014/rw_jakarta_update.geojson.gz";
pub const JAKARTA_VILLAGES: &str = "boundaries-kemendagri-2025/kel_31_dki_jakarta.geojson.gz";
