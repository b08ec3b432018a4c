//! Deliveries: trips that bring what a confirmed claim promised.

use super::calendar::{Day, Moment};
use super::ids::{ClaimId, ClaimLineId, DeliveryId, UserId};
use super::quantity::Quantity;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryStatus {
    Scheduled,
    InTransit,
    Delivered,
    Acknowledged,
    Disputed,
    Cancelled,
}

impl DeliveryStatus {
    pub const ALL: [DeliveryStatus; 6] = [
        DeliveryStatus::Scheduled,
        DeliveryStatus::InTransit,
        DeliveryStatus::Delivered,
        DeliveryStatus::Acknowledged,
        DeliveryStatus::Disputed,
        DeliveryStatus::Cancelled,
    ];

    pub fn word(self) -> &'static str {
        match self {
            DeliveryStatus::Scheduled => "SCHEDULED",
            DeliveryStatus::InTransit => "IN_TRANSIT",
            DeliveryStatus::Delivered => "DELIVERED",
            DeliveryStatus::Acknowledged => "ACKNOWLEDGED",
            DeliveryStatus::Disputed => "DISPUTED",
            DeliveryStatus::Cancelled => "CANCELLED",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// What one line of a claim gets on this trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryLine {
    pub line: ClaimLineId,
    pub quantity: Quantity,
    /// `(accepted, rejected)`, together the quantity, once the area's officer has answered.
    pub answer: Option<(Quantity, Quantity)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryEvent {
    pub status: DeliveryStatus,
    pub at: Moment,
    /// `None` for the program itself.
    pub by: Option<UserId>,
    pub note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub claim: ClaimId,
    pub status: DeliveryStatus,
    pub scheduled_for: Option<Day>,
    /// Ascending by claim line.
    pub lines: Vec<DeliveryLine>,
    pub events: Vec<DeliveryEvent>,
    pub version: i64,
}
