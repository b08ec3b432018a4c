//! How much processor time the map's questions cost over HTTP and GraphQL, beside the same questions put
//! by hand to PostGIS, and through PostGraphile; and what its tiles cost beside PostGIS's own.
//!
//! `make bench` runs it for the demo city, `make bench size=nation` for a nation; docs/benchmarks.md says
//! how to read what it prints. All sides hold the same records under the same numbers, and before
//! anything is measured each must give the same answers to a hundred questions of each kind.

mod agree;
mod graphile;
mod http;
mod live;
#[path = "../measure.rs"]
mod measure;
mod ours;
mod plain;
mod questions;
mod renewal;
mod table;
mod town;

use measure::{Round, work_of};
use questions::{Kind, Question};
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::{Line, Table};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use town::{Size, Town};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// `name=value` of the command line.
struct Arguments(HashMap<String, String>);

const KNOWN: [&str; 11] =
    ["at", "claims", "connections", "kinds", "maps", "only", "renew", "rounds", "scale", "secs", "size"];

impl Arguments {
    fn read() -> Outcome<Self> {
        let mut given = HashMap::new();
        // Cargo adds flags of its own.
        for argument in std::env::args().skip(1).filter(|a| !a.starts_with("--")) {
            match argument.split_once('=').filter(|(name, _)| KNOWN.contains(name)) {
                Some((name, value)) => given.insert(name.to_owned(), value.to_owned()),
                None => return Err(format!("{argument}: the arguments are {} as name=value", KNOWN.join(", ")).into()),
            };
        }
        Ok(Arguments(given))
    }

    fn number(&self, name: &str, usual: u64) -> Outcome<u64> {
        let text = self.0.get(name);
        text.map_or(Ok(usual), |text| text.parse().map_err(|e| format!("{name}={text}: {e}").into()))
    }

    fn connections(&self) -> Outcome<Vec<usize>> {
        let text = self.0.get("connections").map_or("1,16", String::as_str);
        text.split(',').map(|n| n.parse().map_err(|e| format!("connections={text}: {e}").into())).collect()
    }

    fn size(&self) -> Outcome<Size> {
        match self.0.get("size").map_or("jakarta", String::as_str) {
            "jakarta" => Ok(Size::Jakarta),
            "nation" => Ok(Size::Nation { scale: u32::try_from(self.number("scale", 1)?)? }),
            other => Err(format!("size={other}: the sizes are jakarta and nation").into()),
        }
    }

    /// Whether a name is among those asked for; all are, where none is.
    fn takes(&self, of: &str, name: &str) -> bool {
        self.0.get(of).is_none_or(|all| all.split(',').any(|one| one == name))
    }
}

/// Who is asked.
#[derive(Clone)]
enum Side {
    Ours(Arc<ours::Ours>),
    Plain(plain::Way),
    Graphile(Arc<graphile::Graphile>),
}

impl Side {
    fn name(&self) -> &'static str {
        match self {
            Side::Ours(_) => "ours",
            Side::Plain(way) => way.name(),
            Side::Graphile(_) => "PostGraphile",
        }
    }

    async fn caller(&self, town: &Town, kind: Kind) -> Outcome<Caller> {
        Ok(match self {
            Side::Ours(ours) => Caller::Ours(ours.caller().await?),
            Side::Plain(way) => Caller::Plain(plain::Caller::connect(&town.database, *way, kind).await?),
            Side::Graphile(graphile) => Caller::Graphile(graphile.caller().await?),
        })
    }

    /// The processes whose work is this side's.
    fn processes(&self, town: &Town) -> Vec<u32> {
        match self {
            Side::Ours(ours) => vec![ours.process()],
            Side::Plain(_) => vec![town.postmaster],
            Side::Graphile(graphile) => vec![graphile.process(), town.postmaster],
        }
    }
}

/// One connection, used for one question after another.
enum Caller {
    Ours(ours::Caller),
    Plain(plain::Caller),
    Graphile(graphile::Caller),
}

impl Caller {
    async fn ask(&mut self, question: &Question) -> Outcome<()> {
        match self {
            Caller::Ours(caller) => caller.ask(question).await,
            Caller::Plain(caller) => caller.ask(question).await,
            Caller::Graphile(caller) => caller.ask(question).await,
        }
    }
}

/// One thread makes all requests: every side is asked by the same hand, and it costs little.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments = Arguments::read()?;
    let rounds = arguments.number("rounds", 3)?;
    let time = Duration::from_secs(arguments.number("secs", 2)?);
    let size = arguments.size()?;
    println!("{}", measure::machine());
    let town = Town::build(size, arguments.0.get("at").map(Into::into)).await?;
    println!("{}", town.told);
    let ours = Arc::new(ours::Ours::serve(&town).await?);
    println!("{}", ours.told);
    let questions = questions::all(&town).await?;
    if arguments.0.contains_key("claims") {
        beside_claims(&arguments, &town, ours, questions).await?;
        return town.remove().await;
    }
    if arguments.0.contains_key("renew") {
        let Size::Nation { scale } = size else { return Err("renew needs size=nation".into()) };
        renewal::renew(&town, &ours, scale, &around(&questions)?.1).await?;
        drop(ours);
        return town.remove().await;
    }
    let questions: Vec<_> = questions.into_iter().filter(|(kind, _)| arguments.takes("kinds", kind.word())).collect();
    let graphile = Arc::new(graphile::Graphile::serve(&town).await?);
    agree::check(&town, &ours, &graphile, &questions).await?;

    let mut table = Table::default();
    for (kind, asked) in questions {
        let sides = match kind {
            Kind::Tile(_) => {
                vec![Side::Ours(ours.clone()), Side::Plain(plain::Way::Live), Side::Plain(plain::Way::RolledUp)]
            }
            _ => vec![Side::Ours(ours.clone()), Side::Plain(plain::Way::Live), Side::Graphile(graphile.clone())],
        };
        let asked: Arc<[Question]> = asked.into();
        for connections in arguments.connections()? {
            let mut lines: Vec<Line> = Vec::new();
            let sides = sides.iter().filter(|side| arguments.takes("only", side.name()));
            let sides: Vec<&Side> = sides.collect();
            lines.extend(sides.iter().map(|side| Line::new(kind, side.name(), connections)));
            for round in 0..rounds as usize {
                for (side, line) in sides.iter().zip(&mut lines) {
                    line.rounds.push(run(side, &town, kind, &asked, connections, time, round).await?);
                }
            }
            lines.iter().for_each(|line| println!("{line}"));
            table.add(lines);
        }
    }
    println!("\n{table}");
    println!("{}", town.memory(&ours, &graphile)?);
    drop((ours, graphile));
    town.remove().await
}

/// Views of 4 km.
fn around(questions: &[(Kind, Vec<Question>)]) -> Outcome<&(Kind, Vec<Question>)> {
    Ok(questions
        .iter()
        .find(|(kind, _)| *kind == Kind::Viewport(4_000))
        .ok_or("views of 4 km are among the questions")?)
}

/// Ours alone, with and without claims beside the questions, and then with open maps.
async fn beside_claims(
    arguments: &Arguments,
    town: &Town,
    ours: Arc<ours::Ours>,
    questions: Vec<(Kind, Vec<Question>)>,
) -> Outcome<()> {
    let (rate, maps) = (arguments.number("claims", 0)?, arguments.number("maps", 1_000)?);
    let (rounds, time) = (arguments.number("rounds", 3)?, Duration::from_secs(arguments.number("secs", 2)?));
    let around =
        questions.iter().find(|(kind, _)| *kind == Kind::Viewport(4_000)).ok_or("views of 4 km are asked for")?;
    let giver = Arc::new(live::Giver::enter(town, &ours, &around.1).await?);
    let side = Side::Ours(ours.clone());
    println!("\n| question | connections | requests/s alone | beside claims | ratio | p99 alone | beside | ratio |");
    println!("|---|---|---|---|---|---|---|---|");
    for (kind, asked) in questions {
        if !arguments.takes("kinds", kind.word()) {
            continue;
        }
        let asked: Arc<[Question]> = asked.into();
        for connections in arguments.connections()? {
            let read = |round| run(&side, town, kind, &asked, connections, time, round);
            live::readers_beside_claims(&giver, rate, rounds as usize, kind, connections, read).await?;
        }
    }
    if maps > 0 {
        live::watchers(&giver, &ours, maps as usize, rate, Duration::from_secs(15)).await?;
    }
    Ok(())
}

/// As many callers as connections, each asking as soon as it is answered.
async fn run(
    side: &Side,
    town: &Town,
    kind: Kind,
    questions: &Arc<[Question]>,
    connections: usize,
    time: Duration,
    round: usize,
) -> Outcome<Round> {
    let start = Arc::new(Barrier::new(connections + 1));
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let mut caller = side.caller(town, kind).await?;
        let (start, questions) = (start.clone(), questions.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            // PostgreSQL plans anew five times before it keeps a plan; these do not count.
            let mut at = (number * 61 + round * 17) % questions.len();
            let mut warm = Ok(());
            for _ in 0..6 {
                warm = warm.and(caller.ask(&questions[at]).await);
                at = (at + 1) % questions.len();
            }
            start.wait().await;
            warm?;
            start.wait().await;
            let begun = Instant::now();
            while begun.elapsed() < time {
                let asked = Instant::now();
                caller.ask(&questions[at]).await?;
                latencies.push(asked.elapsed());
                at = (at + 1) % questions.len();
            }
            Ok::<_, Box<dyn Error + Send + Sync>>((latencies, caller))
        });
    }
    start.wait().await;
    let processes = side.processes(town);
    let before = work_of(&processes);
    start.wait().await;
    let begun = Instant::now();
    let (mut latencies, mut open) = (Vec::new(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (of_one, caller) = done??;
        latencies.extend(of_one);
        open.push(caller);
    }
    Ok(Round::new(latencies, begun.elapsed(), work_of(&processes).saturating_sub(before)))
}
