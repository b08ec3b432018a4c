//! Whoever watches for changes, found by where the change is: a thousand maps that are open on a thousand
//! places cost a claim no more than those it is on.
//!
//! Areas in a row are a cell. Each watcher is listed under the cells that its filter reaches; one that
//! reaches very many is asked of every change. What is listed proposes, the filter decides.

use super::{Service, ServiceError};
use crate::atlas::{AreaRef, Atlas, Compiled, Coverage, Filter, Ground, NeedChange, Shown};
use crate::domain::area::AreaLevel;
use crate::domain::ids::{AreaId, NeedId};
use crate::domain::place::Bounds;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Cells that one watcher is listed under at most.
const MOST_CELLS: usize = 2_048;

/// Batches of changes that a slow watcher may fall behind before it is told to read anew.
const BATCHES_KEPT: usize = 1_024;

/// Areas in one message at most.
const AREAS_AT_ONCE: usize = 500;

#[derive(Default)]
pub(super) struct Watchers(Mutex<List>);

#[derive(Default)]
struct List {
    next: u64,
    /// Whose cells these are.
    ground: Option<Arc<Ground>>,
    watched: BTreeMap<u64, Watched>,
    everywhere: BTreeSet<u64>,
    by_cell: HashMap<u32, BTreeSet<u64>>,
}

struct Watched {
    sought: Sought,
    /// `None`: everywhere.
    cells: Option<Vec<u32>>,
    post: Arc<Post>,
}

/// What a watcher wants to hear of.
enum Sought {
    /// Needs that a filter takes in.
    Needs(Compiled),
    /// Areas with such a need.
    Areas(Shown),
}

impl Sought {
    /// `false` where that cannot be watched in another edition.
    fn renew_on(&mut self, ground: &Arc<Ground>) -> bool {
        match self {
            Sought::Needs(compiled) => compiled.renew_on(ground.clone()),
            Sought::Areas(shown) => return shown.renew_on(ground.clone()).is_ok(),
        }
        true
    }

    fn cells(&self) -> Option<Vec<u32>> {
        match self {
            Sought::Needs(compiled) => compiled.cells(MOST_CELLS),
            Sought::Areas(shown) => shown.cells(MOST_CELLS),
        }
    }

    fn note(&self, change: &NeedChange, news: &mut News) {
        let mut states = change.before.iter().chain([&change.after]);
        match self {
            Sought::Needs(compiled) => {
                if states.any(|need| compiled.matches(need)) {
                    news.needs.push(change.after.id);
                }
            }
            Sought::Areas(shown) => news.areas.extend(states.filter_map(|need| shown.area_of(need))),
        }
    }
}

/// What one batch of changes is to one watcher.
#[derive(Default)]
struct News {
    needs: Vec<NeedId>,
    areas: BTreeSet<AreaId>,
}

/// What waits for one watcher.
#[derive(Default)]
struct Post {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Vec<NeedId>>,
    /// However often each has changed: no more than there are.
    areas: BTreeSet<AreaId>,
    is_behind: bool,
}

/// A watcher has missed changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind;

/// A watcher's place in the list, given back when it is dropped.
struct Seat {
    service: Service,
    number: u64,
    post: Arc<Post>,
}

/// The changes of needs that a filter takes in, before or after the change, from when it was made.
pub struct Watch(Seat);

impl Watch {
    /// The needs that the next batch of commits has changed.
    pub async fn next(&mut self) -> Result<Vec<NeedId>, Behind> {
        self.0.post.next(|waiting| waiting.batches.pop_front()).await
    }
}

/// The areas in a view that have such a need, from when it was made.
pub struct AreaWatch {
    seat: Seat,
    compiled: Compiled,
}

impl AreaWatch {
    /// Areas in which something has changed since they were last told, with their sums as they stand now.
    pub async fn next(&mut self) -> Result<Vec<(AreaRef, Coverage)>, Behind> {
        loop {
            let areas = self.seat.post.next(Waiting::take_areas).await?;
            // After what waits was taken: what changes from here on is told once more.
            let rows = self.seat.service.atlas().coverage_of(&mut self.compiled, &areas);
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.service.watchers().list().leave(self.number);
    }
}

impl Waiting {
    fn take_areas(&mut self) -> Option<Vec<AreaId>> {
        let rest = self.areas.iter().nth(AREAS_AT_ONCE).copied().map(|next| self.areas.split_off(&next));
        let taken: Vec<AreaId> = std::mem::replace(&mut self.areas, rest.unwrap_or_default()).into_iter().collect();
        (!taken.is_empty()).then_some(taken)
    }
}

impl Post {
    async fn next<T>(&self, take: impl Fn(&mut Waiting) -> Option<T>) -> Result<T, Behind> {
        loop {
            // Before looking, so that what arrives meanwhile wakes it.
            let arrived = self.arrived.notified();
            {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if waiting.is_behind {
                    return Err(Behind);
                }
                if let Some(taken) = take(&mut waiting) {
                    return Ok(taken);
                }
            }
            arrived.await;
        }
    }

    fn put(&self, news: News) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.batches.len() >= BATCHES_KEPT {
            *waiting = Waiting { is_behind: true, ..Waiting::default() };
        }
        if !waiting.is_behind {
            if !news.needs.is_empty() {
                waiting.batches.push_back(news.needs);
            }
            waiting.areas.extend(news.areas);
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    fn is_lost(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) =
            Waiting { is_behind: true, ..Waiting::default() };
        self.arrived.notify_one();
    }
}

impl Watchers {
    // A thread that panicked under the lock leaves at worst one watcher unlisted.
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands changes to those who watch for them.
    pub fn tell(&self, atlas: &Atlas, changes: &[NeedChange]) {
        let mut list = self.list();
        if list.watched.is_empty() {
            return;
        }
        let ground = atlas.ground();
        list.stands_on(&ground);
        let mut told: BTreeMap<u64, News> = BTreeMap::new();
        for change in changes {
            let places = change.before.iter().chain([&change.after]).filter_map(|need| ground.cell_of(need.area));
            let cells: BTreeSet<u32> = places.collect();
            let near = cells.iter().filter_map(|cell| list.by_cell.get(cell)).flatten();
            let asked: BTreeSet<u64> = near.chain(&list.everywhere).copied().collect();
            for number in asked {
                let Some(watched) = list.watched.get(&number) else { continue };
                watched.sought.note(change, told.entry(number).or_default());
            }
        }
        for (number, news) in told {
            let Some(watched) = list.watched.get(&number) else { continue };
            if !news.needs.is_empty() || !news.areas.is_empty() {
                watched.post.put(news);
            }
        }
    }

    /// Tells all who watch that they have missed something.
    pub fn tell_to_read_anew(&self) {
        self.list().watched.values().for_each(|watched| watched.post.is_lost());
    }
}

impl List {
    /// Lists everybody anew where the areas have another edition.
    fn stands_on(&mut self, ground: &Arc<Ground>) {
        if self.ground.as_ref().is_some_and(|own| Arc::ptr_eq(own, ground)) {
            return;
        }
        self.ground = Some(ground.clone());
        self.everywhere.clear();
        self.by_cell.clear();
        let numbers: Vec<u64> = self.watched.keys().copied().collect();
        for number in numbers {
            if let Some(mut watched) = self.watched.remove(&number) {
                if !watched.sought.renew_on(ground) {
                    watched.post.is_lost();
                }
                self.enter(number, watched);
            }
        }
    }

    fn enter(&mut self, number: u64, mut watched: Watched) {
        watched.cells = watched.sought.cells();
        match &watched.cells {
            None => {
                self.everywhere.insert(number);
            }
            Some(cells) => cells.iter().for_each(|cell| {
                self.by_cell.entry(*cell).or_default().insert(number);
            }),
        }
        self.watched.insert(number, watched);
    }

    fn leave(&mut self, number: u64) {
        self.everywhere.remove(&number);
        let Some(watched) = self.watched.remove(&number) else { return };
        for cell in watched.cells.into_iter().flatten() {
            if let Some(listed) = self.by_cell.get_mut(&cell) {
                listed.remove(&number);
                if listed.is_empty() {
                    self.by_cell.remove(&cell);
                }
            }
        }
        // Without anybody who watches, nobody holds on to an edition that is gone.
        if self.watched.is_empty() {
            self.ground = None;
        }
    }
}

impl Service {
    fn watchers(&self) -> &Watchers {
        &self.0.watchers
    }

    /// Every change from now on to a need that the filter takes in, after it is committed.
    pub fn watch(&self, filter: &Filter) -> Watch {
        // Worked out before the lock, which commits wait for.
        let sought = Sought::Needs(self.atlas().compile(filter));
        Watch(self.enter(sought))
    }

    /// Every change from now on in an area of the level that the view shows, as [`Atlas::area_coverage`] lists them.
    pub fn watch_areas(
        &self,
        level: AreaLevel,
        filter: &Filter,
        view: Bounds,
        most: usize,
    ) -> Result<AreaWatch, ServiceError> {
        let compiled = self.atlas().compile(filter);
        let shown = Shown::new(compiled.clone(), level, view, most)?;
        Ok(AreaWatch { seat: self.enter(Sought::Areas(shown)), compiled })
    }

    fn enter(&self, mut sought: Sought) -> Seat {
        let post = Arc::<Post>::default();
        let mut list = self.watchers().list();
        list.stands_on(&self.atlas().ground());
        let number = list.next;
        list.next += 1;
        if list.ground.as_ref().is_some_and(|ground| !sought.renew_on(ground)) {
            post.is_lost();
        }
        list.enter(number, Watched { sought, cells: None, post: post.clone() });
        drop(list);
        Seat { service: self.clone(), number, post }
    }
}
