//! What rounds come to, and how sides compare.

use super::measure::{Round, Spread};
use super::questions::Kind;
use std::fmt;

/// All rounds of one side with one kind of question under one load.
pub struct Line {
    kind: Kind,
    side: &'static str,
    connections: usize,
    pub rounds: Vec<Round>,
}

impl Line {
    pub fn new(kind: Kind, side: &'static str, connections: usize) -> Self {
        Line { kind, side, connections, rounds: Vec::new() }
    }

    fn spread(&self, figure: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(figure))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rate, p50, p99, cost] = [
            self.spread(Round::rate),
            self.spread(|r| r.percentile(50)),
            self.spread(|r| r.percentile(99)),
            self.spread(Round::cost),
        ];
        let (kind, side, connections) = (self.kind.to_string(), self.side, self.connections);
        write!(f, "| {kind} | {connections} | {side} | {rate:.0} | {p50:.2} | {p99:.2} | {cost:.3} |")
    }
}

/// Ours beside each of the others, round by round.
#[derive(Default)]
pub struct Table(Vec<Vec<Line>>);

impl Table {
    pub fn add(&mut self, sides: Vec<Line>) {
        self.0.push(sides);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Ours to theirs:\n")?;
        writeln!(f, "| question | connections | beside | requests/s | p50 | p99 | CPU a request |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for sides in &self.0 {
            let Some((ours, others)) = sides.split_first().filter(|(first, _)| first.side == "ours") else { continue };
            for theirs in others {
                let of = |figure: fn(&Round) -> f64| {
                    Spread::of(ours.rounds.iter().zip(&theirs.rounds).map(|(a, b)| figure(a) / figure(b)))
                };
                let [rate, p50, p99, cost] =
                    [of(Round::rate), of(|r| r.percentile(50)), of(|r| r.percentile(99)), of(Round::cost)];
                let (kind, side, connections) = (ours.kind, theirs.side, ours.connections);
                writeln!(f, "| {kind} | {connections} | {side} | {rate:.2} | {p50:.2} | {p99:.2} | {cost:.3} |")?;
            }
        }
        Ok(())
    }
}
