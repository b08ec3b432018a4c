//! Claims that are decided by what the map says, and written without asking first.
//!
//! On PostgreSQL a group of claims usually locks its needs, reads them, reads what else matters, writes
//! and commits: eight exchanges. Where the map of this process has all of its needs, the group is decided by
//! them at once and written by one statement that is a transaction of its own, and that fails as a whole
//! where anything it took for granted is not so. Then the group goes the long way, as if nothing had been
//! tried.
//!
//! Why the map cannot mislead:
//! - a need is taken as of one version, and the write is guarded by that version and by what was reserved:
//!   whatever changes a need gives it a new version;
//! - versions count in one life of one database: it must be the one on the one server that the map was last
//!   held against ([`Dialect::incarnation`](super::dialect::Dialect::incarnation)). A standby that took over was
//!   started at another moment, and what was restored has tables of its own;
//! - that no hold on these needs has run out is looked up by the same statement, and that no key has been
//!   used is seen to by the keys' index;
//! - the clock is a reading of the database's, not older than a second, and the time since it was asked for. So
//!   it is never behind; and the statement fails where it is ahead of what the clock says by then. Terms of
//!   programs are a second old at most.
//!
//! Only what is granted as it was asked for is decided so. A refusal names what is free, and when: for that
//! the database is asked.

use super::Store;
use super::opening::{Holds, OpenClaim};
use crate::domain::calendar::Moment;
use crate::domain::ids::NeedId;
use crate::domain::need::Need;
use crate::metrics::Stopwatch;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How old a reading of the clock, of terms and of drawn ids may be.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// Groups that go the long way after one that was tried in vain, at most: where several servers claim
/// the same needs, each is behind the others.
const LONGEST_PAUSE: u32 = 64;

/// Needs as the map has them.
#[derive(Debug, Clone)]
pub struct OnMap {
    pub needs: Vec<Need>,
    /// What the map was last held against: see [`Cursor::incarnation`](super::Cursor::incarnation).
    pub incarnation: Arc<str>,
}

/// Answers with these needs, or with nothing where the map lacks one of them or may be another life's.
pub(super) type Map = Box<dyn Fn(&[NeedId]) -> Option<OnMap> + Send + Sync>;

/// What deciding takes besides the needs.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Started before the clock was read.
    pub read: Stopwatch,
    /// The database's clock then, as it goes by itself.
    pub clock: i64,
    pub holds: Holds,
    /// When the holds were read.
    pub holds_read: Stopwatch,
    /// Drawn and not used, ascending.
    pub claim_ids: Vec<i64>,
    pub line_ids: Vec<i64>,
}

/// What a group may be decided by.
pub(super) struct Recollection {
    pub now: Moment,
    pub map: OnMap,
    pub terms: Terms,
}

/// What the last groups have left for the next.
#[derive(Default)]
pub(super) struct Recent(Mutex<State>);

#[derive(Default)]
struct State {
    terms: Option<Terms>,
    /// Groups that are to go the long way.
    pause: u32,
    /// Groups tried in vain, in a row.
    misses: u32,
}

impl Recent {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left, if it will do for so many claims and lines.
    fn terms(&self, claims: usize, lines: usize) -> Option<Terms> {
        let mut state = self.state();
        if state.pause > 0 {
            state.pause -= 1;
            return None;
        }
        let will_do = |terms: &Terms| {
            terms.read.elapsed() < FRESH
                && terms.holds_read.elapsed() < FRESH
                && terms.claim_ids.len() >= claims
                && terms.line_ids.len() >= lines
        };
        state.terms.take().filter(will_do)
    }

    pub fn leave(&self, terms: Option<Terms>) {
        self.state().terms = terms;
    }

    /// A group was decided by the map, and it stood.
    pub fn proved_right(&self) {
        self.state().misses = 0;
    }

    /// A group was decided by the map, and something was not so.
    pub fn proved_wrong(&self) {
        let mut state = self.state();
        state.misses = (state.misses + 1).min(LONGEST_PAUSE.ilog2());
        state.pause = (1 << state.misses) - 1;
    }
}

impl Store {
    /// Names the map by which claims may be decided. Only the first call counts.
    pub fn recall_by(&self, map: impl Fn(&[NeedId]) -> Option<OnMap> + Send + Sync + 'static) {
        let _ = self.map.set(Box::new(map));
    }

    /// All that these claims take, or nothing. `offset` is what the clock is moved by.
    pub(super) fn recall(&self, claims: &[Arc<OpenClaim>], offset: i64) -> Option<Recollection> {
        let map = self.map.get()?;
        let terms = self.recent.terms(claims.len(), claims.iter().map(|claim| claim.lines.len()).sum())?;
        let asked: BTreeSet<NeedId> = claims.iter().flat_map(|claim| &claim.lines).map(|(need, _)| *need).collect();
        let Some(map) = map(&asked.into_iter().collect::<Vec<_>>()) else {
            self.recent.leave(Some(terms));
            return None;
        };
        let since = i64::try_from(terms.read.elapsed().as_micros()).ok()?;
        Some(Recollection { now: Moment(terms.clock + since + offset), map, terms })
    }
}
