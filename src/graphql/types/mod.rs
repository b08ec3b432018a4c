//! The objects of the schema: thin faces of domain values, converted by hand at this border.

pub mod account;
pub mod area;
pub mod audit;
pub mod claim;
pub mod delivery;
pub mod evidence;
pub mod help;
pub mod matching;
pub mod need;
pub mod organization;
pub mod program;
pub mod viewer;

use area::Area;
use async_graphql::{ID, Interface};
use audit::Overlap;
use claim::{Claim, ClaimLine, Offer};
use delivery::Delivery;
use need::Need;
use organization::Organization;
use program::{Item, Program};

/// A record with an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub enum Node {
    Area(Area),
    Program(Program),
    Item(Item),
    Need(Need),
    Organization(Organization),
    Offer(Offer),
    Claim(Claim),
    ClaimLine(ClaimLine),
    Delivery(Delivery),
    Overlap(Overlap),
}
