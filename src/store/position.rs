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

/// What a reader wants to have been seen before it is answered: an opaque text to callers, `LIFE.9,12` for
/// two commits in one life of the database, or `now` for all that has been committed when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    Now,
    Commits { life: String, commits: Vec<i64> },
}

/// More commits than one document can bring about.
const LONGEST: usize = 8_000;

impl Position {
    /// True where a look in that life that saw that much has seen it. A look that began later than the
    /// question has seen it in any case.
    pub fn is_seen_by(&self, present: &str, seen: &Seen) -> bool {
        match self {
            Position::Now => false,
            Position::Commits { life, commits } => life == present && commits.iter().all(|c| seen.had_ended(*c)),
        }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Position::Now => f.write_str("now"),
            Position::Commits { life, commits } => write!(f, "{life}.{}", list(commits)),
        }
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Position, ()> {
        if text == "now" {
            return Ok(Position::Now);
        }
        let (life, commits) = text.split_once('.').filter(|_| text.len() <= LONGEST).ok_or(())?;
        if life.is_empty() {
            return Err(());
        }
        let commits = numbers(commits).and_then(|n| if n.is_empty() { Err(()) } else { Ok(n) })?;
        Ok(Position::Commits { life: life.into(), commits })
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
            ("f.8", "5:9:5,7", false),
            ("now", "5:9:5,7", false),
        ] {
            assert_eq!(position(wanted).is_seen_by("e", &seen(present)), expected, "{wanted} by {present}");
            assert_eq!(position(wanted).to_string().parse(), Ok(position(wanted)));
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let long = format!("e.{}", "1,".repeat(LONGEST));
        for text in ["", "Now", "e", "e.", ".1", "e.x", "e.-1", "e.+1", "e.1:2", "e.99999999999999999999", &long] {
            assert_eq!(text.parse::<Position>(), Err(()), "{text:.40}");
        }
    }
}
