//! Keeping up: the atlas follows every commit, holds run out, audit entries get their numbers.

use super::loading::{Loading, Stage};
use super::{Code, Service, ServiceError, to_hex};
use crate::atlas::{AreaRecord, Atlas, BadContents, Draft, NeedChange, Sight};
use crate::domain::calendar::Moment;
use crate::domain::ids::NeedId;
use crate::domain::need::Need;
use crate::metrics::Stopwatch;
use crate::spatial::Shape;
use crate::store::{
    Commit, Cursor, ExpireDue, Feed, ForgetMessages, ForgetThePast, OnMap, Piece, Position, Seen, StoreError,
    StoredArea,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::time::timeout;

/// Where the follower stands.
pub struct Following {
    cursor: Mutex<Option<Cursor>>,
    reload_asked: AtomicBool,
    own: Own,
    /// What the map has taken in since a new one was begun, which takes it over; `None` where none is in the
    /// making.
    late: std::sync::Mutex<Option<Vec<Need>>>,
    wake: Notify,
    looked: watch::Sender<Option<Look>>,
    stale_after: Duration,
    digesting: Mutex<()>,
    loading: Loading,
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

/// Needs kept for the map in the making at most; the change log brings the others.
const MOST_LATE: usize = 500_000;

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

impl Following {
    fn late(&self) -> std::sync::MutexGuard<'_, Option<Vec<Need>>> {
        self.late.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn new(stale_after: Duration) -> Self {
        let (looked, _) = watch::channel(None);
        Following {
            cursor: Mutex::default(),
            reload_asked: AtomicBool::default(),
            own: Own::default(),
            late: std::sync::Mutex::default(),
            wake: Notify::new(),
            looked,
            stale_after,
            digesting: Mutex::default(),
            loading: Loading::default(),
        }
    }
}

/// The last look at the change log after which the map held all that it saw; while everything is read anew,
/// all but the new edition, and what came in imports.
#[derive(Debug, Clone)]
struct Look {
    /// When it began: everything committed before that was seen.
    begun: Stopwatch,
    as_of: Moment,
    seen: Seen,
    /// Empty since a look has failed: the next one may be at another life of the database.
    life: String,
    /// As [`Cursor::incarnation`].
    incarnation: Arc<str>,
    /// The transaction that has been open for longest, and since when we know it.
    oldest: Option<(i64, Stopwatch)>,
}

/// How old the map may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The database's clock, no later than the last look; `None` before the first.
    pub as_of: Option<Moment>,
    /// All that was committed so long ago is on the map.
    pub lag: Option<Duration>,
    /// For how long one transaction has been open at least. It does not hold the map back, but what may be
    /// cleaned up and numbered.
    pub open: Duration,
}

/// A map older than this is no longer passed off as the present one, unless set otherwise.
pub const STALE_AFTER: Duration = Duration::from_secs(5);
/// A look at the change log that takes longer is given up, and another one begun.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// Reading everything may take longer than any look, but not for ever: the other end may be gone.
const LOAD_LIMIT: Duration = Duration::from_secs(300);
/// How long a reader waits for a commit to reach the map at most.
const READ_AFTER_LIMIT: Duration = Duration::from_secs(2);
/// How often the change log is read.
const POLL: Duration = Duration::from_millis(50);
/// How long a look that failed is followed by none.
const AFTER_FAILURE: Duration = Duration::from_millis(250);
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
        let service = Arc::downgrade(&self.0);
        self.store().recall_by(move |needs| Service(service.upgrade()?).on_map(needs));
    }

    /// Needs as the map has them, where its last look at the database has not failed.
    fn on_map(&self, needs: &[NeedId]) -> Option<OnMap> {
        let looked = self.0.following.looked.borrow();
        let incarnation = looked.as_ref().filter(|look| !look.life.is_empty())?.incarnation.clone();
        drop(looked);
        Some(OnMap { needs: self.atlas().records(needs)?, incarnation })
    }

    fn take_in(&self, needs: &[Need]) {
        if self.take_in_what_fits(needs) > 0 {
            // They stand on areas or items of an edition that is not here yet.
            self.0.following.reload_asked.store(true, Ordering::SeqCst);
            self.0.following.wake.notify_one();
        }
    }

    /// How many stand on areas or of items that are not on the map.
    fn take_in_what_fits(&self, needs: &[Need]) -> usize {
        // Noted first: whichever map stands a moment later, it has them.
        if let Some(late) = self.0.following.late().as_mut().filter(|late| late.len() < MOST_LATE) {
            late.extend(needs);
        }
        let applied = self.atlas().apply(needs);
        self.tell(&applied.changes);
        applied.skipped
    }

    /// Hands changes to open subscriptions, so many at a time that a message stays small.
    fn tell(&self, changes: &[NeedChange]) {
        for batch in changes.chunks(TOLD_AT_ONCE) {
            self.0.watchers.tell(self.atlas(), batch);
        }
    }

    /// Reads everything and swaps it in; from there the change log is followed. What is read is made into the
    /// new map piece by piece, so that beside it and the old one there is little else in memory.
    ///
    /// Meanwhile the map that stands is followed as before, and its readers see every claim; what it has
    /// taken in is on the new one from the first moment.
    pub async fn load(&self) -> Result<(), StoreError> {
        let mut cursor = self.0.following.cursor.lock().await;
        self.0.following.reload_asked.store(false, Ordering::SeqCst);
        self.store().arrive().await?;
        *self.0.following.late() = Some(Vec::new());
        self.0.following.loading.starts();
        let standing = cursor.clone().filter(|_| self.atlas().is_ready());
        let renewed = tokio::select! {
            renewed = self.renew() => renewed,
            never = self.follow_meanwhile(standing) => match never {},
        };
        // Where the new map stands it has taken this over; where it failed, nobody is to.
        *self.0.following.late() = None;
        let (position, news) = renewed?;
        self.0.following.loading.is_over();
        *cursor = Some(position);
        self.0.following.own.standing.fetch_add(1, Ordering::SeqCst);
        self.metrics().map_rebuilt();
        match news {
            Some(news) => self.tell(&news),
            None => self.0.watchers.tell_to_read_anew(),
        }
        // What was committed after the new map was read and that the old one had not seen yet.
        self.catch_up(&mut cursor).await.map(|_| ())
    }

    /// Puts the new map in the place of the old one; answers as of when it was read, and what is new on it.
    async fn renew(&self) -> Result<(Cursor, Option<Vec<NeedChange>>), StoreError> {
        let store = self.store().clone();
        let (hand_over, pieces) = mpsc::channel(PIECES_WAITING);
        // In a task of its own: a transaction that is given up while it begins would keep its connection.
        let reading = timeout(LOAD_LIMIT, tokio::spawn(async move { store.read_everything(hand_over).await }));
        let (atlas, service) = (self.atlas().clone(), self.clone());
        let drafting = tokio::task::spawn_blocking(move || draft(&atlas, &service.0.following.loading, pieces));
        // Where the database is silent, nobody waits for what is drafted of it.
        let read = reading.await.map_err(|_| StoreError::Unavailable("reading everything took too long".into()))?;
        let drafted = drafting.await.map_err(|e| StoreError::Fault(format!("loading the atlas stopped: {e}")))?;
        // What went wrong with the pieces is the reason why no more were read.
        let position;
        let (draft, news) = match drafted {
            Err(error @ DraftError::Bad(_)) => return Err(error.into()),
            other => {
                let read = read.map_err(|e| StoreError::Fault(format!("reading everything stopped: {e}")))?;
                position = read?;
                other.map_err(StoreError::from)?
            }
        };
        let atlas = self.atlas().clone();
        let service = self.clone();
        let late = move || service.0.following.late().take().unwrap_or_default();
        let shown = tokio::task::spawn_blocking(move || atlas.show(draft, late)).await;
        let late = shown
            .map_err(|e| StoreError::Fault(format!("loading the atlas stopped: {e}")))?
            .map_err(|e| StoreError::from(DraftError::Bad(e)))?;
        let news = news.map(|mut news| {
            news.extend(late);
            news
        });
        Ok((position, news))
    }

    /// Keeps the map that stands up to date, from where it is, for as long as another one is in the making.
    /// Where it cannot, it becomes stale and is called so.
    async fn follow_meanwhile(&self, from: Option<Cursor>) -> Infallible {
        let Some(mut at) = from else { return std::future::pending().await };
        loop {
            tokio::time::sleep(POLL).await;
            let own = &self.0.following.own;
            let begun = Stopwatch::start();
            let looked = timeout(LOOK_LIMIT, self.store().changes_meanwhile(&at, |position| own.has(position))).await;
            match looked {
                Ok(Ok(Feed::Changes(needs, next))) => {
                    self.take_in_what_fits(&needs);
                    self.0.following.looked.send_modify(|look| *look = Some(Look::after(look.take(), begun, &next)));
                    at = next;
                }
                Ok(Ok(Feed::StartAnew)) => return std::future::pending().await,
                Ok(Err(_)) | Err(_) => tokio::time::sleep(AFTER_FAILURE).await,
            }
        }
    }

    /// How far the first reading has come; `None` where there is a map.
    pub fn loading(&self) -> Option<Stage> {
        if self.atlas().is_ready() { None } else { Some(self.0.following.loading.stage()) }
    }

    /// How far everything has been read anew for a map that takes the place of the one that stands; `None` where
    /// none is in the making, as is usual.
    pub fn renewing(&self) -> Option<Stage> {
        let loading = &self.0.following.loading;
        (self.atlas().is_ready() && loading.is_under_way()).then(|| loading.stage())
    }

    /// Reads the change log up to its end. `false`: everything must be read anew.
    async fn catch_up(&self, cursor: &mut Option<Cursor>) -> Result<bool, StoreError> {
        let Some(at) = cursor else { return Ok(false) };
        let own = &self.0.following.own;
        let begun = Stopwatch::start();
        let feed = timeout(LOOK_LIMIT, self.store().changes_since(at, |position| own.has(position))).await;
        match feed.unwrap_or_else(|_| Err(StoreError::Unavailable("the change log does not answer".into())))? {
            Feed::StartAnew => Ok(false),
            Feed::Changes(needs, next) => {
                if !needs.is_empty() {
                    self.take_in(&needs);
                }
                own.forget(&next.seen);
                let complete = !self.0.following.reload_asked.load(Ordering::SeqCst);
                if complete {
                    self.0.following.looked.send_modify(|look| *look = Some(Look::after(look.take(), begun, &next)));
                }
                *cursor = Some(next);
                Ok(complete)
            }
        }
    }

    /// One look at the change log; reads everything anew where that is due.
    pub async fn poll(&self) -> Result<(), StoreError> {
        let looked = {
            let mut cursor = self.0.following.cursor.lock().await;
            let asked = self.0.following.reload_asked.load(Ordering::SeqCst);
            if asked { Ok(false) } else { self.catch_up(&mut cursor).await }
        };
        if !matches!(looked, Ok(true)) {
            self.0.following.looked.send_modify(|look| look.iter_mut().for_each(|look| look.life.clear()));
        }
        if looked? { Ok(()) } else { self.load().await }
    }

    pub fn freshness(&self) -> Freshness {
        let look = self.0.following.looked.borrow();
        Freshness {
            as_of: look.as_ref().map(|look| look.as_of),
            lag: look.as_ref().map(|look| look.begun.elapsed()),
            open: look.as_ref().and_then(|look| look.oldest).map_or(Duration::ZERO, |(_, since)| since.elapsed()),
        }
    }

    /// True where the map is the present one, or nearly.
    pub fn is_current(&self) -> bool {
        self.atlas().is_ready() && self.freshness().lag.is_some_and(|lag| lag <= self.0.following.stale_after)
    }

    /// What a reader has to wait for who wants to see these commits; without any, all there are.
    pub fn position_after(&self, commits: Vec<i64>) -> Position {
        match self.0.following.looked.borrow().as_ref() {
            Some(look) if !commits.is_empty() && !look.life.is_empty() => {
                Position::Commits { life: look.life.clone(), commits }
            }
            _ => Position::Now,
        }
    }

    /// Waits until the map holds all that `token` stands for.
    pub async fn read_after(&self, token: &str) -> Result<(), ServiceError> {
        let wrong = || ServiceError::bad("Salur-Read-After", "is neither a readToken nor the word now");
        let wanted: Position = token.parse().map_err(|()| wrong())?;
        let asked = Stopwatch::start();
        let holds = |look: &Option<Look>| {
            look.as_ref().is_some_and(|look| look.begun > asked || wanted.is_seen_by(&look.life, &look.seen))
        };
        let mut looks = self.0.following.looked.subscribe();
        if !holds(&looks.borrow()) {
            self.0.following.wake.notify_one();
        }
        match timeout(READ_AFTER_LIMIT, looks.wait_for(holds)).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let late = "this server has not caught up with your change yet; send the same request again";
                Err(ServiceError::new(Code::Unavailable, late))
            }
        }
    }

    /// See [`crate::atlas::digest_of`]; the salt is the database's epoch, which nobody outside knows. One at a
    /// time: it goes through all needs.
    pub async fn digest(&self) -> Result<String, ServiceError> {
        let _turn = self.0.following.digesting.lock().await;
        let (atlas, salt) = (self.atlas().clone(), self.store().epoch().await?);
        let digest = tokio::task::spawn_blocking(move || to_hex(&atlas.digest(&salt))).await;
        digest.map_err(|e| ServiceError::fault(format!("a digest stopped: {e}")))
    }

    /// Starts the follower, the sweeper, the sequencer and, where there is a carrier, whoever hands it
    /// letters. They stop when the returned guard is dropped.
    pub fn start(&self) -> Background {
        let follower = {
            let service = self.clone();
            tokio::spawn(async move {
                let mut fails = false;
                loop {
                    tokio::select! {
                        () = tokio::time::sleep(POLL) => {}
                        () = service.0.following.wake.notified() => {}
                    }
                    let looked = service.poll().await;
                    if let Err(error) = &looked
                        && !fails
                    {
                        tracing::warn!(%error, "the change log cannot be read; the map becomes stale");
                    }
                    fails = looked.is_err();
                    if fails {
                        tokio::time::sleep(AFTER_FAILURE).await;
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
                    if !rounds.is_multiple_of(600) {
                        continue;
                    }
                    if let Err(error) = service.store().prune_changes(KEEP_CHANGES_SECONDS).await {
                        tracing::warn!(%error, "old changes could not be forgotten");
                    }
                    if let Err(error) = service.store().execute(ForgetMessages).await {
                        tracing::warn!(%error, "old messages could not be forgotten");
                    }
                    if let Err(error) = service.store().execute(ForgetThePast).await {
                        tracing::warn!(%error, "sessions and links that are over could not be forgotten");
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
        let traffic = {
            let service = self.clone();
            tokio::spawn(async move { service.add_traffic_up().await })
        };
        let mut tasks = vec![follower, sweeper, sequencer, traffic];
        tasks.extend(self.carry_letters());
        Background(tasks)
    }

    /// Lets all holds that have run out expire.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        if !self.store().has_due_holds().await? {
            return Ok(());
        }
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

impl Look {
    fn after(before: Option<Look>, begun: Stopwatch, cursor: &Cursor) -> Look {
        let known = before.and_then(|look| look.oldest);
        let oldest = cursor.seen.oldest_running();
        Look {
            begun,
            as_of: cursor.as_of,
            seen: cursor.seen.clone(),
            life: cursor.life.clone(),
            incarnation: cursor.incarnation.clone(),
            oldest: oldest.map(|oldest| known.filter(|(known, _)| *known == oldest).unwrap_or((oldest, begun))),
        }
    }
}

/// Pieces that are read ahead.
const PIECES_WAITING: usize = 2;

/// Changes that are told after everything was read anew. Whoever watches misses more at once anyway, and is
/// told to read anew, too.
const MOST_NEWS: usize = 50_000;

enum DraftError {
    /// What was read contradicts itself.
    Bad(BadContents),
    Stored(StoreError),
}

impl From<DraftError> for StoreError {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Bad(error) => StoreError::Fault(format!("the atlas cannot be built: {error}")),
            DraftError::Stored(error) => error,
        }
    }
}

/// The new map, and what is new on it for those who watch: every change, as any other; `None` where there are
/// too many. The first map brings everything, and nobody watches yet.
fn draft(
    atlas: &Atlas,
    loading: &Loading,
    mut pieces: mpsc::Receiver<Piece>,
) -> Result<(Draft, Option<Vec<NeedChange>>), DraftError> {
    let mut draft = Draft::new(Vec::new(), Vec::new(), 0);
    let mut news = Some(Vec::new());
    let watched = atlas.is_ready();
    let mut has_areas = false;
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Catalogue { programs, items, edition, areas, needs } => {
                loading.begins(areas, needs);
                draft = Draft::new(programs, items, edition);
            }
            Piece::Areas(areas) => {
                loading.has_read_areas(areas.last().map_or(0, |area| area.id.0));
                for area in areas {
                    draft.add_area(area_record(area).map_err(DraftError::Stored)?).map_err(DraftError::Bad)?;
                }
            }
            Piece::Needs(needs) => {
                if !has_areas {
                    draft = draft.with_areas().map_err(DraftError::Bad)?;
                    has_areas = true;
                }
                loading.has_read_needs(needs.last().map_or(0, |need| need.id.0));
                needs.iter().try_for_each(|need| draft.add_need(need)).map_err(DraftError::Bad)?;
                if watched && let Some(told) = &mut news {
                    told.extend(news_of(atlas, &needs));
                    if told.len() > MOST_NEWS {
                        news = None;
                    }
                }
            }
        }
    }
    Ok((draft, news))
}

/// What is new in needs read anew, against the map as it stands.
fn news_of(atlas: &Atlas, needs: &[Need]) -> Vec<NeedChange> {
    let ids: Vec<_> = needs.iter().map(|need| need.id).collect();
    let held = atlas.needs_of_ids(&ids, &Sight::All);
    let news = needs.iter().zip(held).filter_map(|(after, held)| {
        let before = held.map(|view| view.need);
        let newer = before.as_ref().is_none_or(|before| before.version < after.version);
        newer.then_some(NeedChange { before, after: *after })
    });
    news.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_atlas_before_took_in_is_read_once_more() {
        let own = Own::default();
        let standing = own.standing.load(Ordering::SeqCst);
        own.note(7, standing);
        assert!(own.has(7) && !own.has(8));
        own.standing.fetch_add(1, Ordering::SeqCst);
        assert!(!own.has(7), "a new atlas has not taken it in");
        own.note(8, standing);
        assert!(!own.has(8), "it may have reached the old one alone");
        own.note(9, standing + 1);
        own.forget(&"0:9:8".parse().expect("a snapshot"));
        assert!(own.has(9));
        assert_eq!(own.taken_in().len(), 2, "what was seen is forgotten, what runs is not");
    }
}
