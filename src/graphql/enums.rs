//! The enums of the schema, each beside the domain type that it stands for.

use crate::domain;
use async_graphql::Enum;

macro_rules! mirrors {
    ($(#[$doc:meta])* $name:ident = $domain:path { $($(#[$case_doc:meta])* $case:ident,)* }) => {
        $(#[$doc])*
        #[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$case_doc])* $case,)* }

        impl From<$domain> for $name {
            fn from(value: $domain) -> Self {
                use $domain as D;
                match value { $(D::$case => $name::$case,)* }
            }
        }

        impl From<$name> for $domain {
            fn from(value: $name) -> Self {
                use $domain as D;
                match value { $($name::$case => D::$case,)* }
            }
        }
    };
}

mirrors! {
    /// From the nation's largest part down to the smallest.
    AreaLevel = domain::area::AreaLevel { Province, City, District, Village, Rw, Rt, }
}

mirrors! {
    /// Where an area's point comes from.
    PointSource = domain::area::PointSource {
        /// Given for the area, or inside its own shape.
        Own,
        /// The area has neither shape nor point: its parent's.
        Parent,
    }
}

mirrors! {
    /// What an item is.
    ItemKind = domain::program::ItemKind { Food, Device, Training, Facility, Capital, Material, Service, Other, }
}

mirrors! {
    /// How far a need has been looked at.
    NeedStatus = domain::need::NeedStatus { Reported, Verified, Closed, }
}

mirrors! {
    /// UNSERVED: allocated = 0. PARTIAL: 0 < allocated < required. COVERED: allocated = required, not all of it
    /// delivered. DELIVERED: delivered = required.
    ServiceStatus = domain::need::ServiceStatus { Unserved, Partial, Covered, Delivered, }
}

mirrors! {
    /// The five categories in which KSBB counts its collaborators.
    OrganizationCategory = domain::organization::OrganizationCategory {
        Individual, Business, Government, CivilSociety, Foreign,
    }
}

mirrors! {
    /// Whether an organisation may act.
    OrganizationStatus = domain::organization::OrganizationStatus { Pending, Verified, Suspended, }
}

mirrors! {
    /// What has become of a claim or a line of it.
    ClaimStatus = domain::claim::ClaimStatus { Held, Confirmed, Fulfilled, Released, Expired, }
}

mirrors! {
    /// What happens where a line is not wholly free.
    OnConflict = domain::rules::OnConflict {
        /// All lines or none.
        Refuse,
        /// Take what is free of each line; refused only where nothing is free at all.
        TakeFree,
    }
}

mirrors! {
    /// Why a line was refused.
    RefusalReason = domain::refusal::RefusalReason {
        /// No such need.
        NotFound,
        /// The need is not verified, or it is closed.
        NotOpen,
        /// A rule of the offer or the program stands against it.
        Rule,
        /// Others have taken what was asked for.
        NotEnoughFree,
    }
}

mirrors! {
    /// What has become of a trip.
    DeliveryStatus = domain::delivery::DeliveryStatus {
        Scheduled, InTransit, Delivered, Acknowledged, Disputed, Cancelled,
    }
}

mirrors! {
    /// What kind of overlap was found.
    OverlapKind = domain::overlap::OverlapKind {
        /// More was delivered in one area, item and period, by all organisations and outside records together, than was
        /// required.
        OverServed,
        /// Two or more organisations served the same area and item in intersecting periods.
        SameAreaSameItem,
        /// Two programs that the rules call exclusive served the same area in intersecting periods.
        ExclusivePrograms,
    }
}

mirrors! {
    /// What an overlap is taken for.
    OverlapStatus = domain::overlap::OverlapStatus { Suspected, Permitted, Confirmed, }
}

/// What kind of record a finding rests on.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceKind {
    /// What an organisation promised here and delivered.
    ClaimLine,
    /// What had been given before Salur came; by whom is not known.
    Opening,
    /// Aid that was given elsewhere and told of by a file.
    Outside,
}

mirrors! {
    /// What a user may do.
    Role = domain::actor::Role { Donor, Aggregator, AreaOfficer, Auditor, Admin, }
}

mirrors! {
    /// PRIORITY: severity, then unmet, both descending, then code. NEAREST: distance of the area's geometry from
    /// where.near.
    NeedOrder = crate::atlas::Order { Priority, Nearest, Unmet, Code, }
}

mirrors! {
    /// PRIORITY: the most severe first. EQUITY: the least served first. NEAREST: the closest to the origin first.
    MatchPolicy = crate::service::Policy { Priority, Equity, Nearest, }
}

mirrors! {
    /// Bahasa Indonesia or English.
    Locale = crate::service::Locale { Id, En, }
}

mirrors! {
    /// What an API key may be used for: a part of what its user may do.
    KeyScope = domain::actor::KeyScope {
        /// See what the user may see.
        Read,
        /// Offer, claim, confirm, renew, release.
        Claim,
        /// Plan trips, hand over, record.
        Deliver,
        /// Report, revise, verify and close needs, and answer for what arrived.
        Neighbourhood,
        /// Read the log and decide findings.
        Audit,
        /// Organisations, members and their rights.
        Manage,
    }
}

mirrors! {
    /// A kind of paper.
    DocumentKind = domain::organization::DocumentKind {
        /// The permit to collect and hand out what others give.
        Permit,
        /// The business's number.
        Nib,
        Other,
    }
}
