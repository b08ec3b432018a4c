//! Claims: an organisation's promise over one or many needs, line by line.

use super::calendar::Moment;
use super::ids::{ClaimId, ClaimLineId, NeedId, OfferId, OrganizationId};
use super::quantity::Quantity;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimStatus {
    Held,
    Confirmed,
    Fulfilled,
    Released,
    Expired,
}

impl ClaimStatus {
    pub const ALL: [ClaimStatus; 5] = [
        ClaimStatus::Held,
        ClaimStatus::Confirmed,
        ClaimStatus::Fulfilled,
        ClaimStatus::Released,
        ClaimStatus::Expired,
    ];

    pub fn word(self) -> &'static str {
        match self {
            ClaimStatus::Held => "HELD",
            ClaimStatus::Confirmed => "CONFIRMED",
            ClaimStatus::Fulfilled => "FULFILLED",
            ClaimStatus::Released => "RELEASED",
            ClaimStatus::Expired => "EXPIRED",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    /// Lines in these states still stand for what they have not delivered.
    pub fn is_active(self) -> bool {
        matches!(self, ClaimStatus::Held | ClaimStatus::Confirmed)
    }
}

/// One line of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimLine {
    pub id: ClaimLineId,
    pub claim: ClaimId,
    pub need: NeedId,
    pub quantity: Quantity,
    /// On deliveries that are scheduled or on their way.
    pub scheduled: Quantity,
    pub delivered: Quantity,
    pub status: ClaimStatus,
    /// Set exactly while the line is [`ClaimStatus::Held`].
    pub expires_at: Option<Moment>,
    pub version: i64,
}

impl ClaimLine {
    /// What the line holds of its need's reserve.
    pub fn reserved(&self) -> Quantity {
        if self.status.is_active() { self.quantity.saturating_sub(self.delivered) } else { Quantity::ZERO }
    }

    pub fn is_due(&self, now: Moment) -> bool {
        self.status == ClaimStatus::Held && self.expires_at.is_some_and(|at| at <= now)
    }

    /// The status a reader sees: a due line is expired before the sweeper has been there.
    pub fn status_at(&self, now: Moment) -> ClaimStatus {
        if self.is_due(now) { ClaimStatus::Expired } else { self.status }
    }
}

/// A claim with its lines, ascending by need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub id: ClaimId,
    pub organization: OrganizationId,
    pub executor: OrganizationId,
    pub offer: Option<OfferId>,
    /// True for aid promised or given before Salur came, entered by an import.
    pub opening: bool,
    pub created_at: Moment,
    pub renewals: i64,
    /// The version of the claim's own record; see [`Claim::version`].
    pub own_version: i64,
    pub lines: Vec<ClaimLine>,
}

impl Claim {
    /// What the claim as a whole has come to: the state of its liveliest line, in the order
    /// held, confirmed, fulfilled, then expired before released.
    pub fn status_at(&self, now: Moment) -> ClaimStatus {
        let has = |status| self.lines.iter().any(|l| l.status_at(now) == status);
        [ClaimStatus::Held, ClaimStatus::Confirmed, ClaimStatus::Fulfilled, ClaimStatus::Expired]
            .into_iter()
            .find(|s| has(*s))
            .unwrap_or(ClaimStatus::Released)
    }

    /// The earliest end of a hold among its lines.
    pub fn expires_at(&self) -> Option<Moment> {
        self.lines.iter().filter_map(|l| l.expires_at).min()
    }

    /// Changes with every change of the claim or of one of its lines.
    pub fn version(&self) -> i64 {
        self.own_version + self.lines.iter().map(|l| l.version).sum::<i64>()
    }
}

/// What a donor pledges: a quantity of one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub id: OfferId,
    pub organization: OrganizationId,
    pub item: super::ids::ItemId,
    pub quantity: Quantity,
    /// Spoken for by claims: `claimed <= quantity`, by the same means as a need's counters.
    pub claimed: Quantity,
    pub available_from: Option<super::calendar::Day>,
    pub available_until: Option<super::calendar::Day>,
    pub origin: Option<super::place::LonLat>,
    pub version: i64,
}
