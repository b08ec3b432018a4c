//! The areas of a level that a view shows, for whoever follows what stands on them.

use super::ground::Ground;
use super::query::{Compiled, QueryError, ancestor};
use crate::domain::area::AreaLevel;
use crate::domain::ids::AreaId;
use crate::domain::need::Need;
use crate::domain::place::Bounds;
use std::sync::Arc;

/// Those areas of a level that [`super::Atlas::area_coverage`] lists for a view, or would once there is a need that the
/// filter takes in.
#[derive(Debug, Clone)]
pub struct Shown {
    compiled: Compiled,
    level: AreaLevel,
    view: Bounds,
    most: usize,
    /// Ascending.
    slots: Vec<u32>,
}

impl Shown {
    /// More than `most` areas are [`QueryError::TooMany`].
    pub fn new(compiled: Compiled, level: AreaLevel, view: Bounds, most: usize) -> Result<Self, QueryError> {
        let mut shown = Shown { compiled, level, view, most, slots: Vec::new() };
        shown.find()?;
        Ok(shown)
    }

    fn find(&mut self) -> Result<(), QueryError> {
        let Shown { compiled, level, slots, .. } = self;
        let ground = &compiled.ground;
        slots.clear();
        let [Some(first), Some(last)] = [compiled.scope.first(), compiled.scope.last()] else { return Ok(()) };
        // An area above what the filter leaves is shown with what of it lies there.
        let start = ancestor(ground, first.slots.start, *level).unwrap_or(first.slots.start);
        let seen = ground.index().in_bounds(&[ground.index().all()], &self.view);
        let found = compiled.level_among(*level, &seen, &(start..last.slots.end));
        let reached = found.into_iter().filter(|slot| compiled.within(ground.subtree(*slot)).next().is_some());
        slots.extend(reached.take(self.most + 1));
        if slots.len() > self.most {
            return Err(QueryError::TooMany(slots.len()));
        }
        Ok(())
    }

    /// Finds the areas anew where they are of another edition than this one. After an error none is shown.
    pub fn renew_on(&mut self, ground: Arc<Ground>) -> Result<(), QueryError> {
        if self.compiled.is_of(&ground) {
            return Ok(());
        }
        self.compiled.renew(ground);
        self.find().inspect_err(|_| self.slots.clear())
    }

    /// As [`Compiled::cells`], of these areas and all below them, be these in view or not.
    pub fn cells(&self, most: usize) -> Option<Vec<u32>> {
        let below = self.slots.iter().map(|slot| self.compiled.ground.subtree(*slot));
        Ground::cells(below.flat_map(|below| self.compiled.within(below)).map(|part| part.slots), most)
    }

    /// The area shown that the need, as given, stands on or below; `None` where the filter does not take it in.
    pub fn area_of(&self, need: &Need) -> Option<AreaId> {
        let ground = &self.compiled.ground;
        let slot = ground.slot_of(need.area)?;
        let at = self.slots.partition_point(|shown| *shown <= slot);
        let above = self.slots[at.checked_sub(1)?];
        (ground.subtree(above).contains(&slot) && self.compiled.matches(need)).then(|| ground.id(above))
    }
}
