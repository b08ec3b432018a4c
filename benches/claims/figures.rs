//! What rounds come to together.

use super::measure::{Dice, Round, Spread};
use std::fmt;

/// All rounds of one side under one load.
pub struct Series {
    name: String,
    pub rounds: Vec<Round>,
}

impl Series {
    pub fn new(side: &str, contest: &str) -> Self {
        Series { name: format!("{side}-{contest}"), rounds: Vec::new() }
    }

    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rate, p50, p99, cost] = [
            self.spread(Round::rate),
            self.spread(|r| r.percentile(50)),
            self.spread(|r| r.percentile(99)),
            self.spread(Round::cost),
        ];
        let name = &self.name;
        write!(f, "{name:<15} {rate:.0} batches/s; p50 {p50:.2} ms, p99 {p99:.2} ms; CPU {cost:.2} ms a batch")
    }
}

/// How the figures of ours stand to theirs, round by round.
pub fn ratio(ours: &Series, theirs: &Series) -> String {
    let of = |figure: fn(&Round) -> f64| {
        Spread::of(ours.rounds.iter().zip(&theirs.rounds).map(|(ours, theirs)| figure(ours) / figure(theirs)))
    };
    let [rate, p50, p99] = [of(Round::rate), of(|r| r.percentile(50)), of(|r| r.percentile(99))];
    format!("ours to plain   batches/s {rate:.2}; p50 {p50:.2}; p99 {p99:.2}")
}

/// `N` different ones out of `all`.
pub fn draw<const N: usize>(dice: &mut Dice, all: &[i64]) -> [i64; N] {
    let mut drawn = [0; N];
    for at in 0..N {
        drawn[at] = loop {
            let one = all[dice.below(all.len())];
            if !drawn[..at].contains(&one) {
                break one;
            }
        };
    }
    drawn
}
