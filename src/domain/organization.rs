//! Collaborators: those who give, and those who carry out what others give.

use super::area::AreaCode;
use super::ids::OrganizationId;

/// The five categories in which KSBB counts its collaborators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrganizationCategory {
    Individual,
    Business,
    Government,
    CivilSociety,
    Foreign,
}

impl OrganizationCategory {
    pub const ALL: [OrganizationCategory; 5] = [
        OrganizationCategory::Individual,
        OrganizationCategory::Business,
        OrganizationCategory::Government,
        OrganizationCategory::CivilSociety,
        OrganizationCategory::Foreign,
    ];

    pub fn word(self) -> &'static str {
        match self {
            OrganizationCategory::Individual => "INDIVIDUAL",
            OrganizationCategory::Business => "BUSINESS",
            OrganizationCategory::Government => "GOVERNMENT",
            OrganizationCategory::CivilSociety => "CIVIL_SOCIETY",
            OrganizationCategory::Foreign => "FOREIGN",
        }
    }

    /// Takes `CIVIL_SOCIETY` as well as `civil-society`.
    pub fn from_word(word: &str) -> Option<Self> {
        let wanted = word.trim().to_ascii_uppercase().replace('-', "_");
        Self::ALL.into_iter().find(|c| c.word() == wanted)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrganizationStatus {
    Pending,
    Verified,
    Suspended,
}

impl OrganizationStatus {
    pub fn word(self) -> &'static str {
        match self {
            OrganizationStatus::Pending => "PENDING",
            OrganizationStatus::Verified => "VERIFIED",
            OrganizationStatus::Suspended => "SUSPENDED",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [OrganizationStatus::Pending, OrganizationStatus::Verified, OrganizationStatus::Suspended]
            .into_iter()
            .find(|s| s.word() == word)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: String,
    pub category: OrganizationCategory,
    pub status: OrganizationStatus,
    /// May carry out other donors' claims.
    pub aggregator: bool,
    /// Where it is registered.
    pub home_area: Option<AreaCode>,
}
