//! What a finding rests on, record by record: who gave what, when, how much.

use super::calendar::{Moment, Period};
use super::delivery::DeliveryStatus;
use super::ids::{AreaId, ClaimId, DeliveryId, ItemId, OrganizationId, ProgramId};
use super::overlap::Source;
use super::quantity::Quantity;

/// One record that a finding names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub source: Source,
    pub area: AreaId,
    pub program: ProgramId,
    pub item: ItemId,
    /// `None` for an opening balance: by whom it was given is not known.
    pub giver: Option<OrganizationId>,
    /// Who brought it, where it came by a claim.
    pub carrier: Option<OrganizationId>,
    /// Delivered.
    pub quantity: Quantity,
    pub period: Period,
    /// The claim that the record is a line of.
    pub claim: Option<ClaimId>,
    /// Who told of aid from outside, and what they call it.
    pub told: Option<Told>,
    /// The trips that brought it, as they arrived. Empty where there were none: an opening balance, aid from outside.
    pub hand_overs: Vec<HandOver>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub source: String,
    pub external_id: String,
}

/// What one trip brought of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    pub delivery: DeliveryId,
    pub status: DeliveryStatus,
    /// When it was first said that it had arrived.
    pub at: Moment,
    pub quantity: Quantity,
    /// `(accepted, rejected)`, once the area's officer has answered.
    pub answer: Option<(Quantity, Quantity)>,
}
