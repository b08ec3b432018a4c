//! A map in the making: areas and needs are put in one by one, as they are read, and none is kept as an object.

use super::board::{Board, BoardDraft};
use super::ground::{AreaRecord, BadContents, Contents, Ground, GroundDraft};
use crate::domain::need::Need;
use crate::domain::program::{Item, Program};

/// First all areas, in any order, then all needs, in any order.
#[derive(Debug)]
pub struct Draft(Stage);

#[derive(Debug)]
enum Stage {
    Areas(Box<Areas>),
    Needs(Box<(Ground, BoardDraft)>),
}

#[derive(Debug)]
struct Areas {
    programs: Vec<Program>,
    items: Vec<Item>,
    edition: i64,
    ground: GroundDraft,
}

impl Draft {
    pub fn new(programs: Vec<Program>, items: Vec<Item>, edition: i64) -> Self {
        Draft(Stage::Areas(Box::new(Areas { programs, items, edition, ground: GroundDraft::default() })))
    }

    pub(super) fn of(contents: Contents) -> Result<Self, BadContents> {
        let Contents { programs, items, areas, needs, edition } = contents;
        let mut draft = Draft::new(programs, items, edition);
        areas.into_iter().try_for_each(|area| draft.add_area(area))?;
        let mut draft = draft.with_areas()?;
        needs.iter().try_for_each(|need| draft.add_need(need))?;
        Ok(draft)
    }

    pub fn add_area(&mut self, area: AreaRecord) -> Result<(), BadContents> {
        match &mut self.0 {
            Stage::Areas(areas) => {
                areas.ground.add(area);
                Ok(())
            }
            Stage::Needs(_) => Err(BadContents::AreaTooLate(area.id)),
        }
    }

    /// All areas are there; needs may come.
    pub fn with_areas(self) -> Result<Self, BadContents> {
        match self.0 {
            Stage::Areas(areas) => {
                let Areas { programs, items, edition, ground } = *areas;
                let ground = ground.finish(programs, items, edition)?;
                Ok(Draft(Stage::Needs(Box::new((ground, BoardDraft::default())))))
            }
            needs @ Stage::Needs(_) => Ok(Draft(needs)),
        }
    }

    pub fn add_need(&mut self, need: &Need) -> Result<(), BadContents> {
        match &mut self.0 {
            Stage::Areas(_) => Err(BadContents::NeedWithoutArea(need.id)),
            Stage::Needs(stage) => stage.1.add(&stage.0, need),
        }
    }

    pub(super) fn finish(self) -> Result<(Ground, Board), BadContents> {
        match self.with_areas()?.0 {
            Stage::Needs(stage) => {
                let (ground, needs) = *stage;
                let board = needs.finish(&ground)?;
                Ok((ground, board))
            }
            Stage::Areas(_) => Ok((Ground::empty(), Board::empty(&Ground::empty()))),
        }
    }
}
