//! Who helps in an area, as far as the caller may be told.

use super::{Code, Service, ServiceError};
use crate::atlas::{AreaRef, Sight};
use crate::domain::actor::Actor;
use crate::domain::area::AreaLevel;
use crate::domain::calendar::Moment;
use crate::domain::help::{Help, sum_up};
use crate::domain::ids::NeedId;

/// Lines that one answer sums up at most: those of a large village.
const MOST_LINES: usize = 5_000;

/// Of a need that shows five or fewer the public is told neither who gives nor how much: one who asks for three
/// packages would otherwise be told from one who asks for five.
const FEW: i64 = 5;

/// Help in an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AreaHelp {
    pub rows: Vec<Help>,
    /// True where help for small needs is left out of the rows.
    pub partly_hidden: bool,
}

impl Service {
    /// Who helps in the area and below it. `None` above villages: those are counted, not listed.
    pub async fn help_in(&self, area: &AreaRef, sight: &Sight, now: Moment) -> Result<Option<AreaHelp>, ServiceError> {
        if area.level() < AreaLevel::Village {
            return Ok(None);
        }
        let lines = self.store().help_in(area.code(), MOST_LINES as i64 + 1).await?;
        if lines.len() > MOST_LINES {
            return Err(ServiceError::new(Code::TooComplex, "too many promises stand here; ask for a smaller area"));
        }
        let needs: Vec<NeedId> = lines.iter().map(|help| help.line.need).collect();
        let views = self.atlas().needs_of_ids(&needs, sight);
        let mut partly_hidden = false;
        let mut told = Vec::with_capacity(lines.len());
        for (help, view) in lines.into_iter().zip(views) {
            // What the map does not hold yet, or no longer, it cannot tell of.
            let Some(view) = view.filter(|view| sight.sees(view)) else { continue };
            if view.rounded && view.need.counters.required().get() <= FEW {
                partly_hidden |= !view.need.counters.allocated().is_zero();
                continue;
            }
            told.push((view.need.item, help));
        }
        Ok(Some(AreaHelp { rows: sum_up(told, now), partly_hidden }))
    }

    /// Those of the needs that the caller reported, and so cannot verify.
    pub async fn reported_by_caller(&self, actor: &Actor, needs: &[NeedId]) -> Result<Vec<NeedId>, ServiceError> {
        match actor.user() {
            None => Ok(Vec::new()),
            Some(user) => Ok(self.store().reported_among(user.id, needs).await?),
        }
    }
}
