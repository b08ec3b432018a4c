//! Numbers that look like chance and are the same on every machine (splitmix64).

#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// A stream of its own for each list of numbers.
    pub fn keyed(keys: &[u64]) -> Self {
        let mut draw = Draw(0x5a1_0e20);
        for key in keys {
            draw.0 ^= *key;
            draw.0 = draw.next();
        }
        draw
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From -1 up to 1, which is left out.
    pub fn either_way(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// From `low` to `high`, both included.
    pub fn whole(&mut self, low: u32, high: u32) -> u32 {
        low + (self.next() % u64::from(high - low + 1)) as u32
    }

    /// The place that chance gives among shares of a hundred.
    pub fn share(&mut self, shares: &[u64]) -> usize {
        let mut left = self.next() % shares.iter().sum::<u64>().max(1);
        for (place, share) in shares.iter().enumerate() {
            if left < *share {
                return place;
            }
            left -= share;
        }
        shares.len() - 1
    }
}
