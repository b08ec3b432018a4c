//! Group commit: claims that wait are decided together, and each is answered after COMMIT.
//!
//! There is at most one leader. It takes what waits, runs it as one transaction, answers, and takes
//! what has come meanwhile. A claim that finds no leader is led at once, and while its transaction runs
//! the next group gathers by itself. Only behind a group that had company the leader looks for a moment
//! whether its callers come back: else one of them goes ahead alone, and all others wait for that one.
//!
//! Where the map decides (PostgreSQL), eight callers and more share two groups: one is planned, upon what the other
//! will leave, while that one's statement is on its way. It is sent when the other has come to stand, and is void
//! where it has not.
//!
//! A group never makes a claim worse off. Where its transaction fails, each member is tried alone,
//! with retries of its own. Needs that somebody else has locked (another server, a delivery) are not
//! waited for: the claims that ask for them go on as a group apart, and the others are answered.

use super::by_map::Plan;
use super::dialect::Dialect;
use super::ledger::Wait;
use super::opening::{ClaimGroup, Heard, OpenClaim, Opened, Verdict};
use super::write::Attempt;
use super::{Commit, Store, StoreError, position};
use crate::metrics::{Counted, Way};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// So many callers at once, and more, share two groups.
const A_CROWD: usize = 8;

/// Longer than any group takes whose database answers at all: two of its statements' time limits.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(10);

/// A group that is committed and has not been answered.
struct Standing {
    group: Vec<Waiting>,
    verdicts: Vec<Verdict>,
    commit: Commit,
}

fn claims_of(group: &[Waiting]) -> Vec<Arc<OpenClaim>> {
    group.iter().map(|waiting| waiting.claim.clone()).collect()
}

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
    /// How many claims were under way or waited when each of the last groups had landed.
    crowds: [usize; 4],
}

impl State {
    /// Half of those who call at once, where they are enough to share two groups: while one is on its way, the other
    /// is planned. Two small ones would cost more than they overlap.
    fn half(&self) -> Option<usize> {
        let crowd = self.crowds.into_iter().max().unwrap_or_default();
        (crowd >= A_CROWD).then_some(crowd / 2)
    }
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
        let most = state.half().map_or(MOST_CLAIMS, |half| MOST_CLAIMS.min(half + 1));
        let mut lines = 0;
        let mut group = Vec::new();
        while group.len() < most
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
        if group.is_empty() {
            state.crowds = Default::default();
        }
        group
    }

    /// Lets the next group be as large as any: nothing is planned behind one that the database decides.
    fn forget_crowd(&self) {
        self.state().crowds = Default::default();
    }

    /// Takes note of how many call at once: `landed` of them have just got there.
    fn count(&self, landed: usize) {
        let mut state = self.state();
        let crowd = landed + state.waiting.len();
        state.crowds.rotate_right(1);
        state.crowds[0] = crowd;
    }

    /// Puts a group back to the head of those who wait.
    fn put_back(&self, group: Vec<Waiting>) {
        let mut state = self.state();
        for waiting in group.into_iter().rev() {
            state.waiting.push_front(waiting);
        }
    }

    /// How many callers are waited for: most of the last group's, since a larger group costs less for each; nobody
    /// where one came alone. Of a crowd, most of one half.
    fn expected(&self) -> usize {
        let last = self.state().last;
        self.half().unwrap_or(last) * 3 / 4
    }

    fn half(&self) -> Option<usize> {
        self.state().half()
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

    /// In a task of its own, so that a fault in one group leaves somebody who leads.
    async fn lead(self) {
        while tokio::spawn(self.clone().lead_on()).await.is_err() {}
    }

    async fn lead_on(self) {
        // Planned while the one before was on its way, and what has come to stand since and is to be told.
        let (mut ahead, mut behind): (Option<(Vec<Waiting>, Plan)>, Option<Standing>) = (None, None);
        let plans = self.dialect == Dialect::Postgres;
        loop {
            let (group, plan) = match ahead.take() {
                Some((group, plan)) => (group, Some(plan)),
                None => {
                    self.tell_of(behind.take());
                    self.let_others_come().await;
                    let group = self.queue.take();
                    if group.is_empty() {
                        return;
                    }
                    let plan = if plans { self.plan(&claims_of(&group), None) } else { None };
                    (group, plan)
                }
            };
            let Some(plan) = plan else {
                self.lead_the_long_way(group).await;
                continue;
            };
            let (mut flight, after) = self.send(plan);
            self.tell_of(behind.take());
            let landed = tokio::select! {
                landed = &mut flight => landed,
                () = self.others_are_here() => {
                    let next = self.queue.take();
                    match self.plan(&claims_of(&next), Some(&after)) {
                        Some(plan) => ahead = Some((next, plan)),
                        None => self.queue.put_back(next),
                    }
                    flight.await
                }
            };
            let stopped = |_| Attempt::Failed(StoreError::Fault("a group of claims stopped".into()));
            self.queue.count(group.len() + ahead.as_ref().map_or(0, |(next, _)| next.len()));
            match landed.unwrap_or_else(stopped) {
                Attempt::Done((verdicts, stood), commit) => {
                    match &mut ahead {
                        Some((_, plan)) => plan.learn(stood.as_ref()),
                        None => self.keep(after, stood.as_ref()),
                    }
                    behind = Some(Standing { group, verdicts, commit });
                    continue;
                }
                Attempt::LostRace(_) => {
                    self.give_up(ahead.take());
                    self.lead_the_long_way(group).await;
                }
                Attempt::Unknown((verdicts, _), error) => self.settle_alone(group, verdicts, &error),
                Attempt::Failed(error) => self.settle_alone(group, Vec::new(), &error),
            }
            self.give_up(ahead.take());
        }
    }

    /// A plan that rests on one which did not come to stand is void: its claims wait their turn.
    fn give_up(&self, planned: Option<(Vec<Waiting>, Plan)>) {
        if let Some((group, _)) = planned {
            self.metrics.decided(Way::Void);
            self.queue.put_back(group);
        }
    }

    async fn lead_the_long_way(&self, group: Vec<Waiting>) {
        self.queue.forget_crowd();
        let put_off = self.run_group(group, Wait::ForNone).await;
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

    /// Lets requests that are ready to run be heard, as long as that brings new claims.
    async fn let_others_come(&self) {
        let coming = self.come_to(self.queue.expected());
        let _ = tokio::time::timeout(COMING_BACK, coming).await;
        self.hear_who_is_ready().await;
    }

    /// Ready when there are enough for a group that is planned while the one before is under way.
    async fn others_are_here(&self) {
        match self.queue.half() {
            Some(half) => self.come_to(half * 3 / 4).await,
            None => std::future::pending().await,
        }
        self.hear_who_is_ready().await;
    }

    async fn come_to(&self, expected: usize) {
        while self.queue.len() < expected {
            self.queue.came.notified().await;
        }
    }

    async fn hear_who_is_ready(&self) {
        let mut seen = 0;
        while self.queue.len() > seen {
            seen = self.queue.len();
            tokio::task::yield_now().await;
        }
    }

    /// Answers a group that was decided by the map: nobody in it waits for locks.
    fn tell_of(&self, standing: Option<Standing>) {
        standing.map(|standing| self.tell(standing));
    }

    /// Answers a group that stands, when followers inside this process have been told. What it gives back waits
    /// for locks of others.
    fn tell(&self, standing: Standing) -> Vec<Waiting> {
        let Standing { group, verdicts, commit } = standing;
        self.announce(&commit);
        let mut put_off = Vec::new();
        for (waiting, verdict) in group.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Answered(answer) => {
                    let _ = waiting.answer.send(answer.map(|opened| (opened, commit.position)));
                }
                Verdict::PutOff => put_off.push(waiting),
            }
        }
        put_off
    }

    /// Runs a group to its answers, by what the database says. What it gives back waits for locks of others.
    async fn run_group(&self, group: Vec<Waiting>, wait: Wait) -> Vec<Waiting> {
        let silent = || StoreError::Unavailable("the database does not answer".into());
        let (learns, recalls) = match (wait, self.dialect) {
            (Wait::ForAll, _) => (false, false),
            (Wait::ForNone, Dialect::Postgres) => (true, false),
            (Wait::ForNone, Dialect::Sqlite) => (false, true),
        };
        let map = recalls.then(|| self.map.clone());
        let mut command = ClaimGroup { learns, map, ..ClaimGroup::new(claims_of(&group), wait) };
        let landed = loop {
            let tried = tokio::time::timeout(GIVEN_UP, self.attempt(&self.opener, &command)).await;
            let landed = tried.unwrap_or_else(|_| Attempt::Unknown(Heard::default(), silent()));
            let stands = !matches!(landed, Attempt::Failed(_) | Attempt::LostRace(_));
            if stands || !command.recalled.load(Ordering::Relaxed) {
                break landed;
            }
            // The map may have been behind: once more, by what the database says.
            self.metrics.decided(Way::Vain);
            command.map = None;
            command.recalled = AtomicBool::new(false);
        };
        match landed {
            Attempt::Done(heard, commit) => {
                if learns {
                    self.recent.leave(heard.terms);
                }
                self.metrics.decided(if command.recalled.into_inner() { Way::Map } else { Way::Database });
                return self.tell(Standing { group, verdicts: heard.verdicts, commit });
            }
            Attempt::Unknown(heard, error) => self.settle_alone(group, heard.verdicts, &error),
            Attempt::Failed(error) | Attempt::LostRace(error) => self.settle_alone(group, Vec::new(), &error),
        }
        Vec::new()
    }

    /// After a group that failed, or of which nobody knows: `sent` is what it stood for in that case.
    fn settle_alone(&self, group: Vec<Waiting>, sent: Vec<Verdict>, error: &StoreError) {
        tracing::debug!(%error, claims = group.len(), "a group failed; its claims are tried one by one");
        let mut sent = sent.into_iter();
        for waiting in group {
            let before = sent.next();
            let store = self.clone();
            tokio::spawn(async move {
                let found = store.open_alone(waiting.claim.clone(), before).await;
                let _ = waiting.answer.send(found);
            });
        }
    }

    /// `sent`: what a COMMIT stood for whose answer never came. If it has arrived after all, the key
    /// is found, and what was meant is what it says.
    async fn open_alone(&self, claim: Arc<OpenClaim>, mut sent: Option<Verdict>) -> Answer {
        let command = ClaimGroup::new(vec![claim], Wait::ForAll);
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
