//! Who acts. The session or the key says so, never the input.

use super::area::AreaCode;
use super::ids::{OrganizationId, SessionId, UserId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Donor,
    Aggregator,
    AreaOfficer,
    Auditor,
    Admin,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Donor, Role::Aggregator, Role::AreaOfficer, Role::Auditor, Role::Admin];

    pub fn word(self) -> &'static str {
        match self {
            Role::Donor => "DONOR",
            Role::Aggregator => "AGGREGATOR",
            Role::AreaOfficer => "AREA_OFFICER",
            Role::Auditor => "AUDITOR",
            Role::Admin => "ADMIN",
        }
    }

    /// Takes `AREA_OFFICER` as well as `area-officer`.
    pub fn from_word(word: &str) -> Option<Self> {
        let wanted = word.trim().to_ascii_uppercase().replace('-', "_");
        Self::ALL.into_iter().find(|r| r.word() == wanted)
    }
}

/// What a key may be used for: a part of what its user may do, never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyScope {
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

impl KeyScope {
    pub const ALL: [KeyScope; 6] = [
        KeyScope::Read,
        KeyScope::Claim,
        KeyScope::Deliver,
        KeyScope::Neighbourhood,
        KeyScope::Audit,
        KeyScope::Manage,
    ];

    pub fn word(self) -> &'static str {
        match self {
            KeyScope::Read => "READ",
            KeyScope::Claim => "CLAIM",
            KeyScope::Deliver => "DELIVER",
            KeyScope::Neighbourhood => "NEIGHBOURHOOD",
            KeyScope::Audit => "AUDIT",
            KeyScope::Manage => "MANAGE",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        let wanted = word.trim().to_ascii_uppercase();
        Self::ALL.into_iter().find(|s| s.word() == wanted)
    }
}

/// What a signed-in user has shown: the session of a browser, or a key and what it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    Session(SessionId),
    /// Sorted, without repeats.
    Key(Vec<KeyScope>),
}

/// A signed-in user with all that was granted to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: String,
    /// Sorted, without repeats.
    pub roles: Vec<Role>,
    pub organization: Option<OrganizationId>,
    /// The area whose needs an officer answers for: that area and all below it.
    pub area: Option<AreaCode>,
    /// Invites and suspends members of their own organisation.
    pub manager: bool,
    pub via: Via,
}

/// The caller of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    Anonymous,
    User(User),
}

impl Actor {
    pub fn user(&self) -> Option<&User> {
        match self {
            Actor::Anonymous => None,
            Actor::User(user) => Some(user),
        }
    }

    /// The caller's user and session, where they came with one.
    pub fn session(&self) -> Option<(&User, SessionId)> {
        match self.user()?.via {
            Via::Session(id) => self.user().map(|user| (user, id)),
            Via::Key(_) => None,
        }
    }

    pub fn has(&self, role: Role) -> bool {
        self.user().is_some_and(|u| u.roles.contains(&role))
    }

    /// Auditors and admins read everything; nobody else does.
    pub fn reads_all(&self) -> bool {
        self.has(Role::Auditor) || self.has(Role::Admin)
    }

    pub fn organization(&self) -> Option<OrganizationId> {
        self.user().and_then(|u| u.organization)
    }

    /// The area an officer answers for.
    pub fn officer_area(&self) -> Option<&AreaCode> {
        if self.has(Role::AreaOfficer) { self.user().and_then(|u| u.area.as_ref()) } else { None }
    }

    /// True where the caller is an officer of `code` or of an area above it.
    pub fn is_officer_of(&self, code: &AreaCode) -> bool {
        self.officer_area().is_some_and(|own| own.covers(code))
    }
}
