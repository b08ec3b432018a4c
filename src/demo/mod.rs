//! The demo city: Jakarta's real codes, names and counts, with generated shapes, needs and gifts.
//!
//! Everything here is a pure function of the files under `seed/`, which are compiled in, and of
//! the day it is asked for. It uses no clock, no hash order and no function of the platform's
//! mathematics library, so two machines build the same city to the last digit.

pub mod city;
mod partition;
pub mod story;

pub use city::{DemoArea, city};
pub use story::{Story, story};

/// Programs and items, in the form that `salur import programs` reads.
pub const PROGRAMS_CSV: &str = include_str!("../../seed/programs.csv");
/// Which programs and items exclude each other and which may be combined; see `seed/README.md`.
pub const RULES_JSON: &str = include_str!("../../seed/rules.json");
/// Spellings of village names seen in the field: `code,alias,seen_in`.
pub const VILLAGE_ALIASES_CSV: &str = include_str!("../../seed/aliases/villages.csv");
/// Spellings of district names seen in the field: `code,alias,seen_in`.
pub const DISTRICT_ALIASES_CSV: &str = include_str!("../../seed/aliases/districts.csv");
/// Fictional collaborators: `name,category,status,aggregator`.
pub const ORGANIZATIONS_CSV: &str = include_str!("../../seed/organizations.csv");

/// A built-in file that does not say what the demo needs. Only an edit of `seed/` can cause it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed/{file} does not read: {detail}")]
pub struct BadSeed {
    pub file: &'static str,
    pub detail: String,
}

impl BadSeed {
    fn new(file: &'static str, detail: impl ToString) -> Self {
        BadSeed { file, detail: detail.to_string() }
    }
}

/// Reads one of the built-in tables.
fn read_rows<R: serde::de::DeserializeOwned>(file: &'static str, text: &str) -> Result<Vec<R>, BadSeed> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>().map_err(|e| BadSeed::new(file, e))
}

/// A stream of numbers that looks like chance and is the same in every run (splitmix64).
#[derive(Debug, Clone)]
struct Draw(u64);

impl Draw {
    fn new(seed: u64) -> Self {
        Draw(seed)
    }

    /// A stream of its own for each text, so that one more draw here changes nothing there.
    fn keyed(seed: u64, key: &str) -> Self {
        // FNV-1a
        let hash =
            key.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        Draw(seed ^ hash)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1, which is left out.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number from `low` to `high`, both included.
    fn whole(&mut self, low: i64, high: i64) -> i64 {
        let span = (high - low).max(0) as u64 + 1;
        low + (self.next() % span) as i64
    }

    /// True so many times out of a hundred.
    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
}

/// Smooth noise from -1 to 1 over the plane, with hills about one unit apart.
fn noise(seed: u64, x: f64, y: f64) -> f64 {
    let corner = |dx: f64, dy: f64| {
        let (i, j) = ((x.floor() + dx) as i64 as u64, (y.floor() + dy) as i64 as u64);
        let key = seed ^ i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ j.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(31);
        Draw::new(key).unit() * 2.0 - 1.0
    };
    let ease = |t: f64| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (ease(x - x.floor()), ease(y - y.floor()));
    let south = corner(0.0, 0.0) + (corner(1.0, 0.0) - corner(0.0, 0.0)) * u;
    let north = corner(0.0, 1.0) + (corner(1.0, 1.0) - corner(0.0, 1.0)) * u;
    south + (north - south) * v
}
