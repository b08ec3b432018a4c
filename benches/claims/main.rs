//! How many batches of claims a second Salur decides over HTTP, beside the same work done by hand:
//! one SQL function per batch on the same PostgreSQL, and a plain script on SQLite.
//!
//! `make bench` runs all of it; docs/benchmarks.md says how to read what it prints, and how to run
//! a part. Rounds of ours and theirs alternate, so that a machine that slows down slows both, and
//! after each round the database is recounted: what was acknowledged is there, no more and no less.

mod city;
mod figures;
#[path = "../measure.rs"]
mod measure;
mod plain;
mod program;

use city::City;
use figures::{Series, ratio};
use measure::Round;
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Needs of the district, lines of a batch.
const NEEDS: usize = 1_650;
const LINES: usize = 20;

/// `name=value` of the command line.
struct Arguments(HashMap<String, String>);

impl Arguments {
    fn read() -> Outcome<Self> {
        let known = ["connections", "only", "rounds", "secs", "seed"];
        let mut given = HashMap::new();
        // Cargo adds flags of its own.
        for argument in std::env::args().skip(1).filter(|a| !a.starts_with("--")) {
            match argument.split_once('=').filter(|(name, _)| known.contains(name)) {
                Some((name, value)) => given.insert(name.to_owned(), value.to_owned()),
                None => return Err(format!("{argument}: the arguments are {} as name=value", known.join(", ")).into()),
            };
        }
        Ok(Arguments(given))
    }

    fn number(&self, name: &str, usual: u64) -> Outcome<u64> {
        let text = self.0.get(name);
        text.map_or(Ok(usual), |text| text.parse().map_err(|e| format!("{name}={text}: {e}").into()))
    }

    fn connections(&self) -> Outcome<Vec<usize>> {
        let text = self.0.get("connections").map_or("1,16,64", String::as_str);
        text.split(',').map(|n| n.parse().map_err(|e| format!("connections={text}: {e}").into())).collect()
    }

    /// Whether a side takes part: all do, unless one is named.
    fn takes(&self, side: &str) -> bool {
        self.0.get("only").is_none_or(|only| only == side)
    }
}

/// Who does the work. A side keeps its database over all rounds.
enum Side {
    Program(program::Program),
    Function(plain::Function),
    Script(plain::Script),
}

impl Side {
    async fn run(&mut self, connections: usize, time: Duration, seed: u64) -> Outcome<Round> {
        match self {
            Side::Program(program) => program.run(connections, time, seed).await,
            Side::Function(function) => function.run(connections, time, seed).await,
            Side::Script(script) => script.run(connections, time, seed).await,
        }
    }
}

/// One thread makes all requests: the two sides are asked by the same hand, and it costs little.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments = Arguments::read()?;
    let rounds = arguments.number("rounds", 5)?;
    let time = Duration::from_secs(arguments.number("secs", 5)?);
    let seed = arguments.number("seed", 1)?;
    let mut city = City::new().await?;
    println!("{}", measure::machine());
    println!("batches of {LINES} random needs out of {NEEDS}; {rounds} rounds of {} s, seed {seed}\n", time.as_secs());
    for contest in ["postgres", "sqlite"] {
        let (mut ours, mut theirs) = (None, None);
        if arguments.takes(&format!("ours-{contest}")) {
            ours = Some(Side::Program(city.program(contest).await?));
        }
        if arguments.takes(&format!("plain-{contest}")) {
            theirs = Some(match contest {
                "postgres" => Side::Function(city.function().await?),
                _ => Side::Script(city.script()),
            });
        }
        for connections in arguments.connections()? {
            let mut series = [Series::new("ours", contest), Series::new("plain", contest)];
            for round in 0..rounds {
                let seed = seed.wrapping_mul(1_000_003).wrapping_add(round);
                for (side, series) in [&mut ours, &mut theirs].into_iter().zip(&mut series) {
                    if let Some(side) = side {
                        series.rounds.push(side.run(connections, time, seed).await?);
                    }
                }
            }
            println!("{contest}, {connections} connection(s)");
            for series in series.iter().filter(|s| !s.rounds.is_empty()) {
                println!("  {series}");
            }
            if let [ours, theirs] = &series
                && ours.rounds.len() == theirs.rounds.len()
            {
                println!("  {}\n", ratio(ours, theirs));
            }
        }
    }
    city.remove().await
}
