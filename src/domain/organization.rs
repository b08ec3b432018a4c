//! Collaborators: those who give, and those who carry out what others give.

use super::area::AreaCode;
use super::calendar::Day;
use super::ids::{DocumentId, OrganizationId};

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

/// What kind of paper is referred to; the paper itself stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// The permit to collect and hand out what others give.
    Permit,
    /// The business's number.
    Nib,
    Other,
}

impl DocumentKind {
    pub const ALL: [DocumentKind; 3] = [DocumentKind::Permit, DocumentKind::Nib, DocumentKind::Other];

    pub fn word(self) -> &'static str {
        match self {
            DocumentKind::Permit => "PERMIT",
            DocumentKind::Nib => "NIB",
            DocumentKind::Other => "OTHER",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == word)
    }
}

/// A paper as it was named; both days belong to its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub kind: DocumentKind,
    pub number: String,
    pub issuer: String,
    pub valid_from: Option<Day>,
    pub valid_until: Option<Day>,
    pub area: Option<AreaCode>,
}

/// A document that has been entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiledDocument {
    pub id: DocumentId,
    pub organization: OrganizationId,
    pub document: Document,
}

/// Whether an organisation may promise anything, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Good,
    Pending,
    Suspended,
    /// It carries out what others give, and none of its permits is good today.
    PermitLapsed,
}

/// An aggregator that has named permits needs one that is good today. One that has named none was
/// vouched for by those who entered it.
pub fn standing(
    status: OrganizationStatus,
    aggregator: bool,
    permits: impl IntoIterator<Item = (Option<Day>, Option<Day>)>,
    today: Day,
) -> Standing {
    match status {
        OrganizationStatus::Pending => return Standing::Pending,
        OrganizationStatus::Suspended => return Standing::Suspended,
        OrganizationStatus::Verified if !aggregator => return Standing::Good,
        OrganizationStatus::Verified => {}
    }
    let good = |(from, until): (Option<Day>, Option<Day>)| {
        from.is_none_or(|day| day <= today) && until.is_none_or(|day| today <= day)
    };
    let mut permits = permits.into_iter().peekable();
    if permits.peek().is_none() || permits.any(good) { Standing::Good } else { Standing::PermitLapsed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregator_needs_one_permit_that_is_good_today_unless_it_has_named_none() {
        let day = |text: &str| text.parse::<Day>().expect("a day");
        let term = |from: &str, until: &str| (Some(day(from)), Some(day(until)));
        let today = day("2020-06-15");
        let of = |aggregator, permits: &[(Option<Day>, Option<Day>)]| {
            standing(OrganizationStatus::Verified, aggregator, permits.iter().copied(), today)
        };
        let lapsed = term("2020-01-01", "2020-06-14");
        assert_eq!(of(true, &[]), Standing::Good);
        assert_eq!(of(true, &[lapsed]), Standing::PermitLapsed);
        assert_eq!(of(true, &[term("2020-06-16", "2020-07-01")]), Standing::PermitLapsed);
        for last_or_first in [term("2020-01-01", "2020-06-15"), term("2020-06-15", "2020-07-01"), (None, None)] {
            assert_eq!(of(true, &[lapsed, last_or_first]), Standing::Good);
        }
        assert_eq!(of(false, &[lapsed]), Standing::Good, "who gives in person needs no permit");
        assert_eq!(standing(OrganizationStatus::Suspended, false, [], today), Standing::Suspended);
        assert_eq!(standing(OrganizationStatus::Pending, true, [], today), Standing::Pending);
    }
}
