//! Seeded chance. A random test prints its seed and takes it back from `SALUR_SEED`.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64: small, and the same on every machine.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The seed from `SALUR_SEED`, else a new one; printed either way, so that a failure can be
    /// played again.
    pub fn from_environment(test: &str) -> Self {
        let seed = match std::env::var("SALUR_SEED") {
            Ok(text) => text.parse().expect("SALUR_SEED is a whole number"),
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis() as u64,
        };
        println!("{test}: SALUR_SEED={seed}");
        Dice(seed)
    }

    /// From which the same throws follow once more.
    pub fn seed(&self) -> u64 {
        self.0
    }

    /// Other dice, that depend on these alone.
    pub fn another(&mut self) -> Dice {
        Dice(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    /// True in `percent` of a hundred throws.
    pub fn chance(&mut self, percent: i64) -> bool {
        self.between(1, 100) <= percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.between(0, from.len() as i64 - 1) as usize]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.between(0, last as i64) as usize);
        }
    }
}
