//! The whole map in memory: areas with their shapes, needs with their counters, sums up the hierarchy.
//!
//! Read by every query and fed by every commit. It is a hint, quick and perhaps some milliseconds
//! old; the database is the judge, and nothing is ever decided from here.
//!
//! - [`ground`]: areas and catalogue, immutable per edition.
//! - [`board`]: needs; [`totals`]: the sums that are kept in step with them.
//! - [`draft`]: a map in the making; [`places`] and [`words`]: what keeps it small.
//! - [`query`]: filters, orders, pages; [`first`]: the first of an order; [`cursor`]: how a page says where it ended.
//! - [`shown`]: the areas of a level in a view, for whoever follows them.
//! - [`search`]: areas by what people call them; [`scale`]: the classes of a map's colours.
//!
//! Every answer is of one state: the ground and the board are read together. Boxes and polygons are worked out
//! before the board is looked at, so that no reader keeps a writer waiting for long.

mod board;
mod cursor;
mod draft;
mod first;
mod ground;
mod places;
mod query;
mod scale;
mod search;
mod shown;
mod totals;
mod words;

#[cfg(test)]
mod tests;

pub use board::{Applied, NeedChange, digest_of};
pub use draft::Draft;
pub use ground::{AreaRecord, AreaRef, BadContents, Contents, Ground};
pub use query::{
    Candidate, Compiled, Coverage, Filter, Near, NeedQuery, NeedView, Order, Page, QueryError, Row, Sight, Sums,
};
pub use shown::Shown;

use crate::domain::area::AreaLevel;
use crate::domain::ids::{AreaId, ItemId, NeedId};
use crate::domain::need::Need;
use crate::domain::place::{Bounds, LonLat};
use board::{Board, View};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The map. Clones are cheap and show the same map.
#[derive(Debug, Clone)]
pub struct Atlas(Arc<RwLock<State>>);

/// What belongs together: a board's slots are those of its ground.
#[derive(Debug)]
struct State {
    ground: Arc<Ground>,
    board: Board,
    ready: bool,
}

impl State {
    /// What the public must not learn is not in the picture that it gets, so no filter, order, page or total
    /// can tell.
    fn view(&self, sight: &Sight) -> View<'_> {
        self.board.view(sight.is_public())
    }
}

impl Default for Atlas {
    fn default() -> Self {
        Self::new()
    }
}

impl Atlas {
    /// An empty map, not ready.
    pub fn new() -> Self {
        let ground = Arc::new(Ground::empty());
        let board = Board::empty(&ground);
        Atlas(Arc::new(RwLock::new(State { ground, board, ready: false })))
    }

    /// True from the first [`Atlas::load`] on.
    pub fn is_ready(&self) -> bool {
        self.read().ready
    }

    /// Replaces everything. The new map is built off to the side, while readers go on with the old one,
    /// and swapped in as a whole. Contents are a state, as of when they were read: changes applied to
    /// the old map since then are gone until they are applied again, as a follower of the feed does.
    /// After an error the old map stands.
    pub fn load(&self, contents: Contents) -> Result<(), BadContents> {
        self.show(Draft::of(contents)?, Vec::new).map(drop)
    }

    /// As [`Atlas::load`], with what was drafted bit by bit. In the moment of the swap `late` tells what the old
    /// map has been handed since the draft was begun: the new one begins with it, so no reader sees time go back.
    /// Answers what of it is news, because there was no place for it on the old map.
    pub fn show(&self, draft: Draft, late: impl FnOnce() -> Vec<Need>) -> Result<Vec<NeedChange>, BadContents> {
        let (ground, mut board) = draft.finish()?;
        let mut standing = self.write();
        let applied = board.apply(&ground, &late());
        let is_news = |NeedChange { after, .. }: &NeedChange| {
            let held = standing.view(&Sight::All).get(&standing.ground, after.id);
            held.is_none_or(|held| held.version < after.version)
        };
        let news = applied.changes.into_iter().filter(is_news).collect();
        let old = std::mem::replace(&mut *standing, State { ground: Arc::new(ground), board, ready: true });
        drop(standing);
        // Freed here, after the lock is given back.
        drop(old);
        Ok(news)
    }

    /// Takes in needs as they stand after a commit: each only where its version is newer than the one
    /// held, so that duplicates and re-orders are harmless. Unknown needs are put in; those on an area
    /// or of an item that the map does not have are counted as skipped, and call for a [`Atlas::load`].
    pub fn apply(&self, needs: &[Need]) -> Applied {
        let mut state = self.write();
        let State { ground, board, .. } = &mut *state;
        board.apply(ground, needs)
    }

    /// [`digest_of`] all needs: to be compared with that of the database's.
    pub fn digest(&self, salt: &str) -> [u8; 32] {
        self.read().board.digest(salt)
    }

    /// Areas and catalogue as of now.
    pub fn ground(&self) -> Arc<Ground> {
        self.read().ground.clone()
    }

    /// The need, whatever its status: whether the caller may see it is asked of [`Sight::sees`].
    pub fn need(&self, id: NeedId, sight: &Sight) -> Option<NeedView> {
        self.needs_of_ids(&[id], sight).pop().flatten()
    }

    /// As [`Atlas::need`], all of one state, in the order asked for.
    pub fn needs_of_ids(&self, ids: &[NeedId], sight: &Sight) -> Vec<Option<NeedView>> {
        let state = self.read();
        let view = state.view(sight);
        let found = |id: &NeedId| {
            let held = view.get(&state.ground, *id)?;
            Some(NeedView::new(&state.ground, view, &held, sight))
        };
        ids.iter().map(found).collect()
    }

    /// Needs as the database has them, all of one state, in the order asked for; `None` where one is not there.
    pub fn records(&self, ids: &[NeedId]) -> Option<Vec<Need>> {
        let state = self.read();
        let found = |id: &NeedId| state.board.get(*id).map(|held| state.board.need(&state.ground, held));
        ids.iter().map(found).collect()
    }

    /// One page of the needs that the filter takes in.
    pub fn needs(&self, query: &NeedQuery) -> Result<Page, QueryError> {
        query::page(self, query)
    }

    /// All needs that the filter takes in, by code, then id.
    pub fn all_needs(&self, filter: &Filter) -> Vec<NeedView> {
        query::all(self, filter)
    }

    /// Totals over the needs that the filter takes in.
    pub fn coverage(&self, filter: &Filter) -> Result<Coverage, QueryError> {
        Ok(query::coverage(self, filter))
    }

    /// Totals per area of the level, ascending by code: one row for each area of the level that has a
    /// need that the filter takes in, of its own or below it, and for each that meets the filter's
    /// area and spatial conditions itself, with zeros where there is no need. Where the filter has no
    /// such condition, these are all areas of the level. Needs of areas above the level are left out.
    /// Where a view is given, only rows of areas that share a point with it, each with its whole total.
    /// More than `most` rows are [`QueryError::TooMany`].
    pub fn area_coverage(
        &self,
        level: AreaLevel,
        filter: &Filter,
        view: Option<&Bounds>,
        most: usize,
    ) -> Result<Vec<(AreaRef, Coverage)>, QueryError> {
        query::area_coverage(self, level, filter, view, most)
    }

    /// The totals of some areas, ascending by code, as [`Atlas::area_coverage`] has them of the same filter; zeros where no
    /// need is left. Looks at these areas alone.
    pub fn coverage_of(&self, compiled: &mut Compiled, areas: &[AreaId]) -> Vec<(AreaRef, Coverage)> {
        query::coverage_of(self, compiled, areas)
    }

    /// What parts the areas of a level into fifths by their unmet quantity of the item per 100 households, as the
    /// public sees them: see [`scale::breaks`].
    pub fn breaks(&self, level: AreaLevel, item: ItemId) -> Vec<f64> {
        let state = self.read();
        scale::breaks(&state.ground, state.board.view(true), level, item)
    }

    /// Makes a filter ready for many needs, its geometry worked out for the present edition.
    pub fn compile(&self, filter: &Filter) -> Compiled {
        Compiled::new(self.ground(), filter)
    }

    /// True where the filter takes in the need as given. For many needs, see [`Atlas::compile`].
    pub fn matches(&self, filter: &Filter, need: &Need) -> bool {
        self.compile(filter).matches(need)
    }

    /// What a plan may choose from: VERIFIED needs with something free that the filter takes in, by area
    /// code and id, with metres from `origin` to each one's area.
    pub fn candidates(&self, filter: &Filter, origin: Option<LonLat>) -> Result<Vec<Candidate>, QueryError> {
        Ok(query::candidates(self, filter, origin))
    }

    /// The state that `compiled` belongs to; compiles anew where the edition has changed meanwhile.
    fn read_with(&self, compiled: &mut Compiled) -> RwLockReadGuard<'_, State> {
        loop {
            let state = self.read();
            if compiled.is_of(&state.ground) {
                return state;
            }
            let ground = state.ground.clone();
            drop(state);
            compiled.renew(ground);
        }
    }

    // A thread that panicked under the lock leaves at worst one change half made, which the next
    // comparison of digests finds; refusing all service would be worse.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
