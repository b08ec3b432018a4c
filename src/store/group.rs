//! Group commit: claims that wait are decided together, and each is answered after COMMIT.
//!
//! There is at most one leader. It takes what waits, runs it as one transaction, answers, and takes
//! what has come meanwhile. A claim that finds no leader is led at once, and while its transaction runs
//! the next group gathers by itself. Only behind a group that had company the leader looks for a moment
//! whether its callers come back: else one of them goes ahead alone, and all others wait for that one.
//!
//! A group never makes a claim worse off. Where its transaction fails, each member is tried alone,
//! with retries of its own. Needs that somebody else has locked (another server, a delivery) are not
//! waited for: the claims that ask for them go on as a group apart, and the others are answered.

use super::dialect::Dialect;
use super::ledger::Wait;
use super::opening::{ClaimGroup, Heard, OpenClaim, Opened, Verdict};
use super::write::Attempt;
use super::{Store, StoreError, position};
use crate::metrics::{Counted, Way};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

/// Claims and lines of one group at most: bounds how long a transaction holds its locks.
const MOST_CLAIMS: usize = 64;
const MOST_LINES: usize = 4_000;

/// Groups apart, which wait for locks, at most: they must not take all connections.
const MOST_APART: usize = 4;

/// What the leader and all groups apart take.
pub(super) const CONNECTIONS: u32 = 1 + MOST_APART as u32;

/// How long a leader looks out for callers of the last group, at most.
const COMING_BACK: Duration = Duration::from_millis(1);

/// Longer than any group takes whose database answers at all: two of its statements' time limits.
const GIVEN_UP: Duration = Duration::from_secs(10);

/// With the position of its commit.
type Answer = Result<(Opened, Option<i64>), StoreError>;

/// A claim and who waits for its answer.
struct Waiting {
    claim: Arc<OpenClaim>,
    answer: oneshot::Sender<Answer>,
    /// A server that shuts down waits for it.
    _running: watch::Receiver<()>,
    _queued: Option<Counted>,
}

pub(super) struct Queue {
    state: Mutex<State>,
    apart: Arc<Semaphore>,
    came: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    led: bool,
    /// Claims of the last group.
    last: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Queue { state: Mutex::default(), apart: Arc::new(Semaphore::new(MOST_APART)), came: Notify::new() }
    }
}

impl Queue {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where the caller must see to it that somebody leads.
    fn push(&self, waiting: Waiting) -> bool {
        let mut state = self.state();
        state.waiting.push_back(waiting);
        self.came.notify_one();
        !std::mem::replace(&mut state.led, true)
    }

    fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// The next group; with nobody waiting the leader steps down.
    fn take(&self) -> Vec<Waiting> {
        let mut state = self.state();
        let mut lines = 0;
        let mut group = Vec::new();
        while group.len() < MOST_CLAIMS
            && let Some(next) = state.waiting.front()
        {
            lines += next.claim.lines.len();
            if lines > MOST_LINES && !group.is_empty() {
                break;
            }
            group.extend(state.waiting.pop_front().map(|w| Waiting { _queued: None, ..w }));
        }
        state.led = !group.is_empty();
        state.last = group.len();
        group
    }

    /// How many of the last group's callers are waited for: most of them, since a larger group costs less for
    /// each; nobody where one came alone.
    fn expected(&self) -> usize {
        self.state().last * 3 / 4
    }
}

impl Store {
    /// Decides a claim, together with those that wait for the same. Answers after COMMIT, when followers
    /// inside this process have been told. A caller who goes away does not stop it.
    ///
    /// After [`StoreError::Unavailable`] the outcome may be unknown; the same key makes it known.
    pub async fn open_claim(&self, claim: OpenClaim) -> Result<Opened, StoreError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            claim: Arc::new(claim),
            answer,
            _running: self.running.subscribe(),
            _queued: Some(self.metrics.queued()),
        };
        if self.queue.push(waiting) {
            tokio::spawn(self.clone().lead());
        }
        let (opened, position) =
            answered.await.unwrap_or_else(|_| Err(StoreError::Fault("a claim's group stopped".into())))?;
        position::note_commit(position);
        Ok(opened)
    }

    async fn lead(self) {
        loop {
            self.let_others_come().await;
            let group = self.queue.take();
            if group.is_empty() {
                return;
            }
            let store = self.clone();
            // In a task of its own, so that a fault in one group leaves the leader standing.
            let put_off = tokio::spawn(async move { store.run_group(group, Wait::ForNone).await }).await;
            let put_off = put_off.unwrap_or_default();
            if !put_off.is_empty()
                && let Ok(permit) = self.queue.apart.clone().acquire_owned().await
            {
                let store = self.clone();
                tokio::spawn(async move {
                    store.run_group(put_off, Wait::ForAll).await;
                    drop(permit);
                });
            }
        }
    }

    /// Lets requests that are ready to run be heard, as long as that brings new claims.
    async fn let_others_come(&self) {
        let expected = self.queue.expected();
        let coming = async {
            while self.queue.len() < expected {
                self.queue.came.notified().await;
            }
        };
        let _ = tokio::time::timeout(COMING_BACK, coming).await;
        let mut seen = 0;
        while self.queue.len() > seen {
            seen = self.queue.len();
            tokio::task::yield_now().await;
        }
    }

    /// Runs a group to its answers. What it gives back waits for locks of others.
    async fn run_group(&self, group: Vec<Waiting>, wait: Wait) -> Vec<Waiting> {
        let claims: Vec<Arc<OpenClaim>> = group.iter().map(|w| w.claim.clone()).collect();
        let (sent, error) = match self.decide_group(claims, wait).await {
            Attempt::Done(verdicts, commit) => {
                let mut put_off = Vec::new();
                for (waiting, verdict) in group.into_iter().zip(verdicts) {
                    match verdict {
                        Verdict::Answered(answer) => {
                            let _ = waiting.answer.send(answer.map(|opened| (opened, commit.position)));
                        }
                        Verdict::PutOff => put_off.push(waiting),
                    }
                }
                return put_off;
            }
            Attempt::Unknown(verdicts, error) => (Some(verdicts), error),
            Attempt::Failed(error) | Attempt::LostRace(error) => (None, error),
        };
        tracing::debug!(%error, claims = group.len(), "a group failed; its claims are tried one by one");
        let mut sent = sent.unwrap_or_default().into_iter();
        for waiting in group {
            let before = sent.next();
            let store = self.clone();
            tokio::spawn(async move {
                let found = store.open_alone(waiting.claim.clone(), before).await;
                let _ = waiting.answer.send(found);
            });
        }
        Vec::new()
    }

    /// By the map, where that is enough and turns out to be so; else by what the database says. Who
    /// follows has been told.
    async fn decide_group(&self, claims: Vec<Arc<OpenClaim>>, wait: Wait) -> Attempt<Vec<Verdict>> {
        let silent = || StoreError::Unavailable("the database does not answer".into());
        let learns = self.dialect == Dialect::Postgres && wait == Wait::ForNone;
        if learns {
            let tried = tokio::time::timeout(GIVEN_UP, self.decide_by_map(&claims)).await;
            if let Some(decided) = tried.unwrap_or_else(|_| Some(Attempt::Unknown(Vec::new(), silent()))) {
                return decided;
            }
        }
        let command = ClaimGroup { claims, wait, learns };
        let tried = tokio::time::timeout(GIVEN_UP, self.attempt(&self.opener, &command)).await;
        match tried.unwrap_or_else(|_| Attempt::Unknown(Heard::default(), silent())) {
            Attempt::Done(heard, commit) => {
                self.announce(&commit);
                if learns {
                    self.recent.leave(heard.terms);
                }
                self.metrics.decided(Way::Database);
                Attempt::Done(heard.verdicts, commit)
            }
            Attempt::Unknown(heard, error) => Attempt::Unknown(heard.verdicts, error),
            Attempt::Failed(error) => Attempt::Failed(error),
            Attempt::LostRace(error) => Attempt::LostRace(error),
        }
    }

    /// `sent`: what a COMMIT stood for whose answer never came. If it has arrived after all, the key
    /// is found, and what was meant is what it says.
    async fn open_alone(&self, claim: Arc<OpenClaim>, mut sent: Option<Verdict>) -> Answer {
        let command = ClaimGroup { claims: vec![claim], wait: Wait::ForAll, learns: false };
        let (mut found, position) = self.repeat(&command, |heard| sent = heard.verdicts.into_iter().next()).await?;
        let answer = match (found.verdicts.pop(), sent) {
            (Some(Verdict::Answered(Ok(found))), Some(Verdict::Answered(Ok(meant)))) if found.is_replay_of(&meant) => {
                Ok(meant)
            }
            (Some(Verdict::Answered(answer)), _) => answer,
            _ => Err(StoreError::Fault("a claim was left undecided".into())),
        };
        answer.map(|opened| (opened, position))
    }
}
