//! Claims that are decided by what the map says, and written without asking first.
//!
//! On PostgreSQL a group of claims usually locks its needs, reads them, reads what else matters, writes
//! and commits: eight exchanges. Where the map of this process has all of its needs, the group is decided by
//! them at once and written by one statement that is a transaction of its own, and that fails as a whole
//! where anything it took for granted is not so. Then the group goes the long way, as if nothing had been
//! tried. While one such statement is on its way the next group may be planned upon what it will leave
//! ([`Footing`]); that plan is void where the statement does not come to stand.
//!
//! SQLite has no exchanges to save: there a group takes the needs from the map inside its own transaction
//! ([`ClaimGroup::map`](super::opening::ClaimGroup)).
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
use super::batch::{Parameter, Writes};
use super::bundle::is_due;
use super::dialect::Dialect;
use super::error::StoreError;
use super::group::GIVEN_UP;
use super::ledger::Book;
use super::opening::{Granted, Holds, OpenClaim, Verdict, grant_all, numbers};
use super::write::{Attempt, Stood, Whole};
use crate::domain::calendar::Moment;
use crate::domain::ids::NeedId;
use crate::domain::need::Need;
use crate::metrics::{Stopwatch, Way};
use crate::planted::planted;
use sea_orm::sqlx::{self, Row as _};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How old a reading of the clock, of terms and of drawn ids may be.
const FRESH: Duration = Duration::from_secs(1);

/// Ids that are drawn ahead: so many times what a group takes.
pub(super) const SPARE: usize = 4;

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
}

/// What a group may be decided by.
struct Recollection {
    now: Moment,
    map: OnMap,
    terms: Terms,
}

/// A group that was decided by the map.
pub(super) struct Plan {
    /// What makes it stand.
    whole: Whole<Vec<Verdict>>,
    after: Footing,
}

/// What a plan leaves, once it stands, for the one that is made meanwhile.
#[derive(Debug, Clone)]
pub(super) struct Footing {
    /// The needs that it changes as they will be, ascending by id.
    needs: Vec<Need>,
    /// As they will be, but for what the statement answers.
    terms: Terms,
}

/// What became of a plan.
pub(super) type Landed = Attempt<(Vec<Verdict>, Option<Stood>)>;

impl Plan {
    /// `None`: something about the claims asks for more than the map says. `offset` is what the clock is moved by.
    fn make(claims: &[Arc<OpenClaim>], recollection: &Recollection, offset: i64) -> Option<Plan> {
        let Recollection { now, map, terms } = recollection;
        // With a second to spare: this clock may be ahead of the database's.
        if map.needs.iter().any(|need| need.kept_until(now.plus_seconds(-1)).is_some()) {
            return None;
        }
        let mut writes = Writes::new(Dialect::Postgres);
        let book = Book::recalled(*now, None, "claim.open", map.needs.iter().copied());
        let Granted { verdicts, done, claim_ids } = grant_all(claims, book, terms, &mut writes)?;
        let used = terms.claim_ids.len() - claim_ids.len();
        let drawn = if claim_ids.len() < SPARE * used { (2 * SPARE * used) as i64 } else { 0 };
        let needs = map.needs.iter().map(|need| Some(need.id.0)).collect();
        let (sql, values) = writes.guarded(
            [
                Parameter::One(map.incarnation.to_string().into()),
                Parameter::Numbers(needs),
                Parameter::One(offset.into()),
                Parameter::One(now.0.into()),
                Parameter::One(drawn.into()),
            ],
            unless,
            answer,
        );
        let after = Footing { needs: done.needs.clone(), terms: Terms { claim_ids, ..terms.clone() } };
        let whole = Whole { sql, values, writes: claims.len(), answer: verdicts, needs: done.needs };
        Some(Plan { whole, after })
    }

    /// After what the plan before it has come to.
    pub fn learn(&mut self, stood: Option<&Stood>) {
        if let Some(renewed) = stood.and_then(|stood| self.after.terms.clone().renewed(stood).ok()) {
            self.after.terms = renewed;
        }
    }
}

impl Footing {
    /// The needs as they will be.
    fn upon(&self, needs: &mut [Need]) {
        for need in needs {
            if let Ok(at) = self.needs.binary_search_by_key(&need.id, |after| after.id)
                && self.needs[at].version > need.version
            {
                *need = self.needs[at];
            }
        }
    }
}

/// The parameters of a plan's statement: incarnation, needs, what the clock is moved by, the moment that the
/// claims are dated, and how many ids of claims to draw.
type Parameters = [String; 5];

/// What a plan's statement must not find.
fn unless([incarnation, needs, offset, now, ..]: &Parameters) -> String {
    let clock = format!("{} + {offset}", clock());
    let differs = if planted!(AnyLife) { "= '' AND '' =" } else { "<>" };
    let other = format!("{} {differs} {incarnation}", Dialect::Postgres.incarnation());
    let due = if planted!(DueIgnored) { "RELEASED" } else { "HELD" };
    format!(
        "{other} OR {clock} < {now} OR EXISTS (SELECT FROM claim_line
         WHERE need_id + 0 = ANY (CAST({needs} AS bigint[])) AND status = '{due}' AND expires_at <= {clock})
         OR EXISTS (SELECT FROM bundled_line WHERE {} AND status = '{due}' AND need_id = ANY (CAST({needs} AS bigint[])))",
        is_due(&clock)
    )
}

/// What a plan's statement answers, besides its transaction.
fn answer([.., claims]: &Parameters) -> String {
    format!(
        "{} AS clock, (SELECT json_agg(nextval('claim_id_seq')) FROM generate_series(1, {claims}))::text AS claims",
        clock()
    )
}

/// The database's clock as it was when the statement arrived: one value all through it, by which an index is
/// searched.
fn clock() -> &'static str {
    "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"
}

impl Terms {
    /// Whether they are recent, and there are ids for so many claims.
    fn will_do(&self, claims: usize) -> bool {
        self.read.elapsed() < FRESH && self.holds_read.elapsed() < FRESH && self.claim_ids.len() >= claims
    }

    /// What the next group may take for granted after a statement that stood.
    fn renewed(self, stood: &Stood) -> Result<Terms, StoreError> {
        let get = |error: sqlx::Error| StoreError::Fault(format!("a statement's answer cannot be read: {error}"));
        let claim_ids = match stood.row.try_get::<Option<String>, _>("claims").map_err(get)? {
            // Those that are left are older, and smaller than these.
            Some(list) => [self.claim_ids, numbers(&list)?].concat(),
            None => self.claim_ids,
        };
        let answered: i64 = stood.row.try_get("clock").map_err(get)?;
        // Both are ahead by as long as their reading took, so the one that says less is the better.
        let now_by =
            |read: Stopwatch, clock: i64| clock + i64::try_from(read.elapsed().as_micros()).unwrap_or(i64::MAX);
        let newer = self.read.elapsed() > FRESH || now_by(stood.sent, answered) < now_by(self.read, self.clock);
        let (read, clock) = if newer { (stood.sent, answered) } else { (self.read, self.clock) };
        Ok(Terms { read, clock, claim_ids, ..self })
    }
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

    /// What is left, if it will do for so many claims.
    fn terms(&self, claims: usize) -> Option<Terms> {
        let mut state = self.state();
        if state.pause > 0 {
            state.pause -= 1;
            return None;
        }
        state.terms.take().filter(|terms| terms.will_do(claims))
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

    /// Decides a group by the map. `before` is what the plan leaves that is on its way into the database: where that
    /// does not come to stand, this one is void. `None` where the database is to be asked.
    pub(super) fn plan(&self, claims: &[Arc<OpenClaim>], before: Option<&Footing>) -> Option<Plan> {
        let offset = self.clock.offset_micros();
        let recollection = self.recall(claims, offset, before)?;
        let plan = Plan::make(claims, &recollection, offset);
        if plan.is_none() && before.is_none() {
            self.recent.leave(Some(recollection.terms));
        }
        plan
    }

    /// Sends what makes a plan stand. Whoever waits for it finds out whether it does; `LostRace`: something that it
    /// took for granted is not so, and nothing of it has stayed.
    pub(super) fn send(&self, plan: Plan) -> (JoinHandle<Landed>, Footing) {
        let Plan { whole, after } = plan;
        let store = self.clone();
        let flight = tokio::spawn(async move {
            let tried = tokio::time::timeout(GIVEN_UP, store.attempt_at_once(whole)).await;
            let silent = || StoreError::Unavailable("the database does not answer".into());
            let landed = tried.unwrap_or_else(|_| Attempt::Unknown((Vec::new(), None), silent()));
            match &landed {
                Attempt::Done(..) => {
                    store.recent.proved_right();
                    store.metrics.decided(Way::Map);
                }
                Attempt::LostRace(_) => {
                    store.recent.proved_wrong();
                    store.metrics.decided(Way::Vain);
                }
                Attempt::Unknown(..) | Attempt::Failed(_) => {}
            }
            landed
        });
        (flight, after)
    }

    /// Keeps for a later group what a plan has left that stands.
    pub(super) fn keep(&self, after: Footing, stood: Option<&Stood>) {
        self.recent.leave(stood.and_then(|stood| after.terms.renewed(stood).ok()));
    }

    /// All that these claims take, or nothing. `offset` is what the clock is moved by.
    fn recall(&self, claims: &[Arc<OpenClaim>], offset: i64, before: Option<&Footing>) -> Option<Recollection> {
        let map = self.map.get()?;
        let terms = match before {
            None => self.recent.terms(claims.len())?,
            Some(before) => Some(&before.terms).filter(|terms| terms.will_do(claims.len()))?.clone(),
        };
        let asked: BTreeSet<NeedId> = claims.iter().flat_map(|claim| &claim.lines).map(|(need, _)| *need).collect();
        let Some(mut map) = map(&asked.into_iter().collect::<Vec<_>>()) else {
            if before.is_none() {
                self.recent.leave(Some(terms));
            }
            return None;
        };
        if let Some(before) = before {
            before.upon(&mut map.needs);
        }
        let since = i64::try_from(terms.read.elapsed().as_micros()).ok()?;
        Some(Recollection { now: Moment(terms.clock + since + offset), map, terms })
    }
}
