//! Which commits somebody has seen, and which commits somebody wants to see.

use std::cell::RefCell;
use std::future::Future;
use std::str::FromStr;

/// The transactions that had ended at one moment, as PostgreSQL writes a snapshot: `5:9:5,7` says
/// that all below 9 had, but for 5 and 7. On SQLite ids of the change log stand for transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    end: i64,
    /// Ascending, all below `end`.
    running: Vec<i64>,
}

impl Seen {
    /// The first number that had not been given yet.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// The transaction that has been running for longest.
    pub fn oldest_running(&self) -> Option<i64> {
        self.running.first().copied()
    }

    /// As PostgreSQL reads an array.
    pub(super) fn running_text(&self) -> String {
        format!("{{{}}}", list(&self.running))
    }

    pub fn had_ended(&self, transaction: i64) -> bool {
        transaction < self.end && self.running.binary_search(&transaction).is_err()
    }

    /// True where all that `other` saw ended had ended here, too.
    fn includes(&self, other: &Seen) -> bool {
        let later = other.end <= self.end;
        later && self.running.iter().all(|t| *t >= other.end || other.running.binary_search(t).is_ok())
    }
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

fn numbers(text: &str) -> Result<Vec<i64>, ()> {
    let digits = |n: &str| n.bytes().all(|b| b.is_ascii_digit()).then(|| n.parse().ok()).flatten().ok_or(());
    let mut numbers: Vec<i64> = text.split(',').filter(|n| !n.is_empty()).map(digits).collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

impl FromStr for Seen {
    type Err = ();

    fn from_str(text: &str) -> Result<Seen, ()> {
        let [_, end, running] = text.split(':').collect::<Vec<_>>().try_into().map_err(|_| ())?;
        let [end] = numbers(end)?.try_into().map_err(|_| ())?;
        Ok(Seen { end, running: numbers(running)? })
    }
}

/// What a reader wants to have been seen before it is answered: an opaque text to callers,
/// `EPOCH.9,12` for two commits or `EPOCH.5:9:5,7` for all of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    epoch: String,
    wanted: Wanted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Commits(Vec<i64>),
    All(Seen),
}

/// A snapshot of a database with all its connections writing is shorter than this.
const LONGEST: usize = 8_000;

impl Position {
    pub fn of_commits(epoch: &str, commits: Vec<i64>) -> Self {
        Position { epoch: epoch.into(), wanted: Wanted::Commits(commits) }
    }

    pub fn of_all(epoch: &str, seen: Seen) -> Self {
        Position { epoch: epoch.into(), wanted: Wanted::All(seen) }
    }

    /// False where it speaks of another database, or of one that this one is a copy of.
    pub fn is_of(&self, epoch: &str) -> bool {
        self.epoch == epoch
    }

    pub fn is_seen_by(&self, seen: &Seen) -> bool {
        match &self.wanted {
            Wanted::Commits(commits) => commits.iter().all(|c| seen.had_ended(*c)),
            Wanted::All(all) => seen.includes(all),
        }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.wanted {
            Wanted::Commits(commits) => write!(f, "{}.{}", self.epoch, list(commits)),
            Wanted::All(seen) => write!(f, "{}.0:{}:{}", self.epoch, seen.end, list(&seen.running)),
        }
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Position, ()> {
        let (epoch, wanted) = text.split_once('.').filter(|_| text.len() <= LONGEST).ok_or(())?;
        let wanted = match wanted.contains(':') {
            true => Wanted::All(wanted.parse()?),
            false => Wanted::Commits(numbers(wanted).and_then(|n| if n.is_empty() { Err(()) } else { Ok(n) })?),
        };
        Ok(Position { epoch: epoch.into(), wanted })
    }
}

tokio::task_local! {
    /// The transactions that were committed for the running task.
    static COMMITS: RefCell<Vec<i64>>;
}

/// Runs `work` and says which transactions were committed for it.
pub async fn noting_commits<F: Future>(work: F) -> (F::Output, Vec<i64>) {
    let noted = async {
        let output = work.await;
        (output, COMMITS.with(RefCell::take))
    };
    COMMITS.scope(RefCell::default(), noted).await
}

/// Where nobody wants to know, nothing is noted.
pub(super) fn note_commit(commit: Option<i64>) {
    let _ = COMMITS.try_with(|commits| commits.borrow_mut().extend(commit));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Seen {
        text.parse().expect("a snapshot")
    }

    fn position(text: &str) -> Position {
        text.parse().expect("a position")
    }

    #[test]
    fn a_position_is_seen_once_all_that_it_names_has_ended() {
        for (wanted, present, expected) in [
            ("e.8", "5:9:5,7", true),
            ("e.5", "5:9:5,7", false),
            ("e.9", "5:9:5,7", false),
            ("e.6,8", "5:9:5,7", true),
            ("e.6,7", "5:9:5,7", false),
            ("e.5:9:5,7", "5:9:5,7", true),
            ("e.5:9:5,7", "5:12:5,11", true),
            ("e.5:9:5,7", "12:12:", true),
            ("e.5:9:5", "5:12:5,7", false),
            ("e.5:9:5,7", "5:8:5,7", false),
        ] {
            assert_eq!(position(wanted).is_seen_by(&seen(present)), expected, "{wanted} by {present}");
            assert_eq!(position(wanted).to_string().parse(), Ok(position(wanted)));
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let long = format!("e.{}", "1,".repeat(LONGEST));
        for text in [
            "",
            "e",
            "e.",
            "e.x",
            "e.-1",
            "e.+1",
            "e.1:2",
            "e.1:2:3:4",
            "e.1:2,3:",
            "e.1:2:x",
            "e.99999999999999999999",
            &long,
        ] {
            assert_eq!(text.parse::<Position>(), Err(()), "{:.40}", text);
        }
    }
}
