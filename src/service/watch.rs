//! Whoever watches for changes, found by where the change is: a thousand maps that are open on a thousand
//! places cost a claim no more than those it is on.
//!
//! Areas in a row are a cell. Each watcher is listed under the cells that its filter reaches; one that
//! reaches very many is asked of every change. What is listed proposes, the filter decides.

use super::Service;
use crate::atlas::{Atlas, Compiled, Filter, Ground, NeedChange};
use crate::domain::ids::NeedId;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Cells that one watcher is listed under at most.
const MOST_CELLS: usize = 2_048;

/// Batches of changes that a slow watcher may fall behind before it is told to read anew.
const BATCHES_KEPT: usize = 1_024;

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
    compiled: Compiled,
    /// `None`: everywhere.
    cells: Option<Vec<u32>>,
    post: Arc<Post>,
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
    is_behind: bool,
}

/// A watcher has missed changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind;

/// The changes of needs that a filter takes in, before or after the change, from when it was made.
pub struct Watch {
    service: Service,
    number: u64,
    post: Arc<Post>,
}

impl Watch {
    /// The needs that the next batch of commits has changed.
    pub async fn next(&mut self) -> Result<Vec<NeedId>, Behind> {
        loop {
            // Before looking, so that what arrives meanwhile wakes it.
            let arrived = self.post.arrived.notified();
            {
                let mut waiting = self.post.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if waiting.is_behind {
                    return Err(Behind);
                }
                if let Some(batch) = waiting.batches.pop_front() {
                    return Ok(batch);
                }
            }
            arrived.await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.service.watchers().list().leave(self.number);
    }
}

impl Post {
    fn put(&self, batch: Vec<NeedId>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.batches.len() >= BATCHES_KEPT {
            *waiting = Waiting { batches: VecDeque::new(), is_behind: true };
        }
        if !waiting.is_behind {
            waiting.batches.push_back(batch);
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    fn is_lost(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) =
            Waiting { batches: VecDeque::new(), is_behind: true };
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
        let mut told: BTreeMap<u64, Vec<NeedId>> = BTreeMap::new();
        for change in changes {
            let places = change.before.iter().chain([&change.after]).filter_map(|need| ground.cell_of(need.area));
            let cells: BTreeSet<u32> = places.collect();
            let near = cells.iter().filter_map(|cell| list.by_cell.get(cell)).flatten();
            let asked: BTreeSet<u64> = near.chain(&list.everywhere).copied().collect();
            for number in asked {
                let Some(watched) = list.watched.get(&number) else { continue };
                let before = change.before.as_ref().is_some_and(|before| watched.compiled.matches(before));
                if before || watched.compiled.matches(&change.after) {
                    told.entry(number).or_default().push(change.after.id);
                }
            }
        }
        for (number, needs) in told {
            if let Some(watched) = list.watched.get(&number) {
                watched.post.put(needs);
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
                watched.compiled.renew(ground.clone());
                self.enter(number, watched);
            }
        }
    }

    fn enter(&mut self, number: u64, mut watched: Watched) {
        watched.cells = watched.compiled.cells(MOST_CELLS);
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
        let post = Arc::<Post>::default();
        // Worked out before the lock, which commits wait for.
        let compiled = self.atlas().compile(filter);
        let mut list = self.watchers().list();
        list.stands_on(&self.atlas().ground());
        let number = list.next;
        list.next += 1;
        let mut watched = Watched { compiled, cells: None, post: post.clone() };
        if let Some(ground) = list.ground.clone() {
            watched.compiled.renew_on(ground);
        }
        list.enter(number, watched);
        drop(list);
        Watch { service: self.clone(), number, post }
    }
}
