//! Keeping up: the atlas follows every commit, holds run out, audit entries get their numbers.

use super::Service;
use crate::atlas::{AreaRecord, Contents, NeedChange};
use crate::domain::need::Need;
use crate::spatial::Shape;
use crate::store::{Commit, Cursor, ExpireDue, Feed, Seen, Snapshot, StoreError, StoredArea};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// Where the follower stands.
#[derive(Default)]
pub struct Following {
    cursor: Mutex<Option<Cursor>>,
    reload_asked: AtomicBool,
    own: Own,
    wake: Notify,
    /// Consecutive polls that failed; above zero the atlas may be stale and says so.
    failures: AtomicI64,
}

/// Commits of this process that the atlas has taken in: the change log need not bring them again.
///
/// They count for the atlas that stood when they were taken in. While another one is built they
/// reach only the old one, so whatever began before the new one stood is read once more.
#[derive(Default)]
struct Own {
    /// Counts the atlases.
    standing: AtomicU64,
    taken_in: std::sync::Mutex<HashMap<i64, u64>>,
}

/// Own commits remembered at most, where the change log cannot be read for long.
const MOST_OWN: usize = 50_000;

impl Own {
    fn taken_in(&self) -> std::sync::MutexGuard<'_, HashMap<i64, u64>> {
        self.taken_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// `standing`: what stood before the commit was taken in.
    fn note(&self, position: i64, standing: u64) {
        let mut own = self.taken_in();
        if own.len() < MOST_OWN {
            own.insert(position, standing);
        }
    }

    fn has(&self, position: i64) -> bool {
        self.taken_in().get(&position) == Some(&self.standing.load(Ordering::SeqCst))
    }

    fn forget(&self, seen: &Seen) {
        self.taken_in().retain(|position, _| !seen.had_ended(*position));
    }
}

/// How often the change log is read.
const POLL: Duration = Duration::from_millis(50);
/// How often holds that have run out are looked for.
const SWEEP: Duration = Duration::from_millis(500);
/// How often audit entries get their numbers, and the log's head its signature.
const SEQUENCE: Duration = Duration::from_millis(1_000);
/// Changes in one message to a subscription at most.
const TOLD_AT_ONCE: usize = 500;
/// Needs swept in one transaction.
const SWEEP_SIZE: i64 = 200;
/// Change log rows older than this are forgotten; a follower away for longer starts anew.
const KEEP_CHANGES_SECONDS: i64 = 3_600;

impl Service {
    /// Every commit of this process reaches the atlas before its caller is answered.
    pub(super) fn listen_to_commits(&self) {
        let service = Arc::downgrade(&self.0);
        self.store().follow(move |commit: &Commit| {
            let Some(inner) = service.upgrade() else { return };
            let service = Service(inner);
            if !commit.needs.is_empty() {
                let standing = service.0.following.own.standing.load(Ordering::SeqCst);
                service.take_in(&commit.needs);
                if let Some(position) = commit.position {
                    service.0.following.own.note(position, standing);
                }
            }
            if commit.reload {
                service.0.following.reload_asked.store(true, Ordering::SeqCst);
                service.0.following.wake.notify_one();
            }
        });
    }

    fn take_in(&self, needs: &[Need]) {
        let applied = self.atlas().apply(needs);
        if applied.skipped > 0 {
            // They stand on areas or items of an edition that is not here yet.
            self.0.following.reload_asked.store(true, Ordering::SeqCst);
            self.0.following.wake.notify_one();
        }
        self.tell(&applied.changes);
    }

    /// Hands changes to open subscriptions, so many at a time that a message stays small.
    fn tell(&self, changes: &[NeedChange]) {
        for batch in changes.chunks(TOLD_AT_ONCE) {
            // Nobody listening is no error.
            let _ = self.0.changes.send(Arc::new(batch.to_vec()));
        }
    }

    /// What is new in needs read anew, against the map as it stands.
    fn news_of(&self, needs: &[Need]) -> Vec<NeedChange> {
        let ids: Vec<_> = needs.iter().map(|need| need.id).collect();
        let held = self.atlas().needs_of_ids(&ids);
        let news = needs.iter().zip(held).filter_map(|(after, held)| {
            let before = held.map(|view| view.need);
            let newer = before.as_ref().is_none_or(|before| before.version < after.version);
            newer.then_some(NeedChange { before, after: *after })
        });
        news.collect()
    }

    /// Reads everything and swaps it in; from there the change log is followed.
    pub async fn load(&self) -> Result<(), StoreError> {
        let mut cursor = self.0.following.cursor.lock().await;
        self.0.following.reload_asked.store(false, Ordering::SeqCst);
        let snapshot = self.store().snapshot().await?;
        let position = snapshot.cursor.clone();
        // Whoever watches is told of what a reading brings, as of any other change; the first one brings everything.
        let news = if self.atlas().is_ready() { self.news_of(&snapshot.needs) } else { Vec::new() };
        let contents = contents(snapshot)?;
        let atlas = self.atlas().clone();
        let loaded = tokio::task::spawn_blocking(move || atlas.load(contents)).await;
        loaded
            .map_err(|e| StoreError::Fault(format!("loading the atlas stopped: {e}")))?
            .map_err(|e| StoreError::Fault(format!("the atlas cannot be built: {e}")))?;
        self.0.following.own.standing.fetch_add(1, Ordering::SeqCst);
        *cursor = Some(position);
        self.metrics().map_rebuilt();
        self.tell(&news);
        // What was committed while the atlas was built reached only the old one.
        self.catch_up(&mut cursor).await.map(|_| ())
    }

    /// Reads the change log up to its end. `false`: everything must be read anew.
    async fn catch_up(&self, cursor: &mut Option<Cursor>) -> Result<bool, StoreError> {
        let Some(at) = cursor else { return Ok(false) };
        let own = &self.0.following.own;
        match self.store().changes_since(at, |position| own.has(position)).await? {
            Feed::StartAnew => Ok(false),
            Feed::Changes(needs, next) => {
                if !needs.is_empty() {
                    self.take_in(&needs);
                }
                own.forget(&next.seen);
                *cursor = Some(next);
                Ok(true)
            }
        }
    }

    /// One look at the change log; reads everything anew where that is due.
    pub async fn poll(&self) -> Result<(), StoreError> {
        let current = {
            let mut cursor = self.0.following.cursor.lock().await;
            let asked = self.0.following.reload_asked.load(Ordering::SeqCst);
            !asked && self.catch_up(&mut cursor).await?
        };
        if current { Ok(()) } else { self.load().await }
    }

    /// True where the atlas holds the map and the last look at the change log succeeded.
    pub fn is_current(&self) -> bool {
        self.atlas().is_ready() && self.0.following.failures.load(Ordering::SeqCst) == 0
    }

    /// Starts the follower, the sweeper and the sequencer. They stop when the returned guard is
    /// dropped.
    pub fn start(&self) -> Background {
        let follower = {
            let service = self.clone();
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        () = tokio::time::sleep(POLL) => {}
                        () = service.0.following.wake.notified() => {}
                    }
                    match service.poll().await {
                        Ok(()) => {
                            service.0.following.failures.store(0, Ordering::SeqCst);
                            service.metrics().map_is_current();
                        }
                        Err(error) => {
                            if service.0.following.failures.fetch_add(1, Ordering::SeqCst) == 0 {
                                tracing::warn!(%error, "the change log cannot be read; the map may be stale");
                            }
                            tokio::time::sleep(SWEEP).await;
                        }
                    }
                }
            })
        };
        let sweeper = {
            let service = self.clone();
            tokio::spawn(async move {
                let mut rounds = 0_u32;
                loop {
                    tokio::time::sleep(SWEEP).await;
                    if let Err(error) = service.sweep().await {
                        tracing::warn!(%error, "holds could not be swept; the next round tries again");
                    }
                    rounds = rounds.wrapping_add(1);
                    if rounds.is_multiple_of(600)
                        && let Err(error) = service.store().prune_changes(KEEP_CHANGES_SECONDS).await
                    {
                        tracing::warn!(%error, "old changes could not be forgotten");
                    }
                }
            })
        };
        let sequencer = {
            let service = self.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(SEQUENCE).await;
                    if let Err(error) = service.sequence(false).await {
                        tracing::warn!(%error, "audit entries could not be numbered; the next round tries again");
                    }
                }
            })
        };
        Background(vec![follower, sweeper, sequencer])
    }

    /// Lets all holds that have run out expire.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        // A round that went through fewer needs than it may was the last one.
        while self.store().execute(ExpireDue { most: SWEEP_SIZE }).await? as i64 == SWEEP_SIZE {}
        Ok(())
    }

    /// Gives numbers to all audit entries that are ready, and signs the head.
    pub async fn sequence(&self, sign_now: bool) -> Result<(), StoreError> {
        while self.store().sequence(&self.0.key, sign_now).await?.more {}
        Ok(())
    }
}

/// The running background tasks; dropping it stops them.
pub struct Background(Vec<tokio::task::JoinHandle<()>>);

impl Drop for Background {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

fn contents(snapshot: Snapshot) -> Result<Contents, StoreError> {
    let areas = snapshot.areas.into_iter().map(area_record).collect::<Result<Vec<_>, _>>()?;
    Ok(Contents {
        programs: snapshot.programs,
        items: snapshot.items,
        areas,
        needs: snapshot.needs,
        edition: snapshot.edition,
    })
}

fn area_record(area: StoredArea) -> Result<AreaRecord, StoreError> {
    let corrupt = |what: &str| StoreError::Fault(format!("the stored {what} of {} cannot be read", area.code));
    let point = match (area.digest.lon, area.digest.lat) {
        (Some(lon), Some(lat)) => Some(crate::domain::place::LonLat::new(lon, lat).map_err(|_| corrupt("point"))?),
        _ => None,
    };
    let shape = area.digest.geometry.as_deref().map(Shape::from_wkb).transpose().map_err(|_| corrupt("shape"))?;
    Ok(AreaRecord {
        id: area.id,
        code: area.code,
        name: area.digest.name,
        label: area.digest.label,
        shape,
        generated: area.generated,
        point,
        households: area.digest.households,
        poor_households: area.digest.poor_households,
    })
}
