//! The whole map in memory: SIGNATURES ONLY, the bodies follow. The paths `crate::atlas::X` stay as they are.
//!
//! All types below are re-exported from `crate::atlas`; derives: Debug, Clone everywhere, Copy + PartialEq where plain.

use crate::domain::area::{AreaCode, AreaLevel, PointSource};
use crate::domain::calendar::Day;
use crate::domain::ids::{AreaId, ItemId, NeedId, ProgramId};
use crate::domain::need::{Need, NeedStatus, ServiceStatus, Severity};
use crate::domain::place::{Bounds, LonLat};
use crate::domain::program::{Item, Program};
use crate::spatial::Shape;
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub struct Contents { pub programs: Vec<Program>, pub items: Vec<Item>, pub areas: Vec<AreaRecord>, pub needs: Vec<Need>, pub edition: i64 }
#[derive(Debug, Clone)]
pub struct AreaRecord { pub id: AreaId, pub code: AreaCode, pub name: String, pub label: Option<String>, pub shape: Option<Shape>,
    /// Its shape was made up.
    pub generated: bool, pub point: Option<LonLat>, pub households: Option<i64>, pub poor_households: Option<i64> }
/// thiserror enum: doubled area code/id/need/program/item, need on unknown area or item, item of unknown program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad contents")]
pub enum BadContents {}

#[derive(Debug, Clone)]
pub struct Atlas(Arc<()>);
impl Atlas {
    pub fn new() -> Self { unimplemented!() }
    pub fn is_ready(&self) -> bool { unimplemented!() }
    pub fn load(&self, contents: Contents) -> Result<(), BadContents> { unimplemented!() }
    /// `skipped`: needs on unknown areas or items, not taken in: load anew.
    pub fn apply(&self, needs: &[Need]) -> Applied { unimplemented!() }
    pub fn digest(&self) -> [u8; 32] { unimplemented!() }
    pub fn ground(&self) -> Arc<Ground> { unimplemented!() }
    /// Whatever its status: ask `Sight::sees(&view)` before showing it.
    pub fn need(&self, id: NeedId) -> Option<NeedView> { unimplemented!() }
    pub fn needs_of_ids(&self, ids: &[NeedId]) -> Vec<Option<NeedView>> { unimplemented!() }
    pub fn needs(&self, query: &NeedQuery) -> Result<Page, QueryError> { unimplemented!() }
    pub fn coverage(&self, filter: &Filter) -> Result<Coverage, QueryError> { unimplemented!() }
    pub fn area_coverage(&self, level: AreaLevel, filter: &Filter, most: usize) -> Result<Vec<(AreaRef, Coverage)>, QueryError> { unimplemented!() }
    /// For subscriptions: keep it, call `renew_from(&atlas)` before use (cheap where the edition is the same), then `matches`.
    pub fn compile(&self, filter: &Filter) -> Compiled { unimplemented!() }
    pub fn matches(&self, filter: &Filter, need: &Need) -> bool { unimplemented!() }
    pub fn candidates(&self, filter: &Filter, origin: Option<LonLat>) -> Result<Vec<Candidate>, QueryError> { unimplemented!() }
}

/// Stable SHA-256 over (id, version, required, reserved, delivered) by ascending id; the order given does not matter.
pub fn digest_of(needs: &[Need]) -> [u8; 32] { unimplemented!() }

#[derive(Debug)]
pub struct Applied { pub changes: Vec<NeedChange>, pub skipped: usize }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedChange { pub before: Option<Need>, pub after: Need }

#[derive(Debug)]
pub struct Ground {}
impl Ground {
    pub fn edition(&self) -> i64 { unimplemented!() }
    pub fn area(self: &Arc<Self>, code: &AreaCode) -> Option<AreaRef> { unimplemented!() }
    pub fn area_by_id(self: &Arc<Self>, id: AreaId) -> Option<AreaRef> { unimplemented!() }
    /// Of the level, ascending by code.
    pub fn areas_of(self: &Arc<Self>, level: AreaLevel) -> impl Iterator<Item = AreaRef> { std::iter::empty() }
    pub fn area_count(&self) -> usize { unimplemented!() }
    /// Ascending by key.
    pub fn programs(&self) -> &[Program] { unimplemented!() }
    pub fn program(&self, id: ProgramId) -> Option<&Program> { unimplemented!() }
    pub fn program_by_key(&self, key: &str) -> Option<&Program> { unimplemented!() }
    /// Ascending by key.
    pub fn items(&self) -> &[Item] { unimplemented!() }
    pub fn items_of(&self, program: ProgramId) -> impl Iterator<Item = &Item> { [].iter() }
    pub fn item(&self, id: ItemId) -> Option<&Item> { unimplemented!() }
    pub fn item_by_key(&self, key: &str) -> Option<&Item> { unimplemented!() }
}

/// Eq/Hash: same id of same ground.
#[derive(Debug, Clone)]
pub struct AreaRef { ground: Arc<Ground>, slot: u32 }
impl AreaRef {
    pub fn ground(&self) -> &Arc<Ground> { unimplemented!() }
    pub fn id(&self) -> AreaId { unimplemented!() }
    pub fn code(&self) -> &AreaCode { unimplemented!() }
    pub fn name(&self) -> &str { unimplemented!() }
    pub fn label(&self) -> Option<&str> { unimplemented!() }
    pub fn level(&self) -> AreaLevel { unimplemented!() }
    pub fn parent(&self) -> Option<AreaRef> { unimplemented!() }
    pub fn children(&self) -> Vec<AreaRef> { unimplemented!() }
    pub fn bounds(&self) -> Option<Bounds> { unimplemented!() }
    pub fn shape(&self) -> Option<&Shape> { unimplemented!() }
    pub fn shape_is_generated(&self) -> bool { unimplemented!() }
    pub fn point(&self) -> Option<(LonLat, PointSource)> { unimplemented!() }
    pub fn households(&self) -> Option<i64> { unimplemented!() }
    pub fn poor_households(&self) -> Option<i64> { unimplemented!() }
}

#[derive(Debug, Clone)]
pub struct NeedView { pub need: Need, pub area: AreaRef }
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight { Public, Officer(AreaCode), All }
impl Sight { pub fn sees(&self, view: &NeedView) -> bool { unimplemented!() } }
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near { pub point: LonLat, pub radius_m: Option<f64> }
#[derive(Debug, Clone)]
pub struct Filter { pub sight: Sight, pub statuses: Option<Vec<NeedStatus>>, pub programs: Option<Vec<ProgramId>>, pub items: Option<Vec<ItemId>>,
    pub area: Option<AreaCode>, pub levels: Option<Vec<AreaLevel>>, pub bounds: Option<Bounds>, pub within: Option<Shape>, pub near: Option<Near>,
    pub service: Option<Vec<ServiceStatus>>, pub min_severity: Option<Severity>, pub active_on: Option<Day> }
impl Filter { pub fn everything(sight: Sight) -> Self { unimplemented!() } }
#[derive(Debug, Clone)]
pub struct Compiled {}
impl Compiled {
    pub fn renew_from(&mut self, atlas: &Atlas) { unimplemented!() }
    pub fn matches(&self, need: &Need) -> bool { unimplemented!() }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order { Priority, Nearest, Unmet, Code }
#[derive(Debug, Clone)]
pub struct NeedQuery { pub filter: Filter, pub order: Order, pub first: usize, pub after: Option<String> }
#[derive(Debug, Clone)]
pub struct Page { pub rows: Vec<Row>, pub total: usize, pub has_next: bool, pub has_previous: bool }
#[derive(Debug, Clone)]
pub struct Row { pub view: NeedView, pub cursor: String, pub distance_m: Option<f64> }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage { pub needs: u64, pub unserved: u64, pub unserved_areas: u64, pub sums: Option<Sums> }
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums { pub required: i128, pub allocated: i128, pub delivered: i128, pub unmet: i128 }
#[derive(Debug, Clone)]
pub struct Candidate { pub view: NeedView, pub distance_m: Option<f64> }
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the cursor is none that this list gave out")] BadCursor,
    #[error("the order by distance needs a point to measure from")] NearestNeedsPoint,
    #[error("{0} rows are more than may be asked for")] TooMany(usize),
}
