//! What stands already, as far as an import has to know it. The caller fills it from the database.

use crate::domain::area::AreaCode;
use crate::domain::calendar::Period;
use crate::domain::place::{Bounds, LonLat};
use crate::domain::program::ItemKind;
use crate::domain::quantity::Quantity;
use std::collections::HashMap;

/// An area as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownArea {
    pub code: AreaCode,
    pub name: String,
    pub label: Option<String>,
    pub bps_code: Option<String>,
    pub households: Option<i64>,
    pub poor_households: Option<i64>,
    /// Its own point, not its parent's.
    pub point: Option<LonLat>,
    /// [`shape_digest`] of its stored shape.
    pub shape: Option<u64>,
    /// Of its stored shape.
    pub bounds: Option<Bounds>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownProgram {
    pub key: String,
    pub name_id: String,
    pub name_en: String,
    pub first_right_hours: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownItem {
    pub program_key: String,
    pub key: String,
    pub name_id: String,
    pub name_en: String,
    pub unit: String,
    pub kind: ItemKind,
}

/// A need that an import has brought, known by its `external_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNeed {
    pub external_id: String,
    pub area_code: AreaCode,
    pub item_key: String,
    pub period: Period,
    pub required: Quantity,
    pub severity: u8,
    /// The opening balances: promised (delivered included) and delivered before Salur.
    pub allocated: Quantity,
    pub delivered: Quantity,
    /// What claims in Salur hold, or have delivered, on top of the opening balances.
    pub claimed: Quantity,
}

/// A distribution of the source that is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDistribution {
    pub external_id: String,
    pub organization: String,
    pub area_code: AreaCode,
    pub item_key: String,
    pub quantity: Quantity,
    pub period: Period,
}

/// Everything that stands, with an index over each kind.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// By code, each code once.
    areas: Vec<KnownArea>,
    /// Of areas of which no more is known than that they stand; ascending.
    codes: Vec<AreaCode>,
    programs: HashMap<String, KnownProgram>,
    items: HashMap<String, KnownItem>,
    needs: HashMap<String, KnownNeed>,
    distributions: HashMap<String, KnownDistribution>,
}

impl Reference {
    /// Areas in any order; of two with one code the later counts.
    pub fn new(areas: impl IntoIterator<Item = KnownArea>) -> Self {
        let mut areas: Vec<KnownArea> = areas.into_iter().collect();
        areas.sort_by(|a, b| a.code.cmp(&b.code));
        areas.reverse();
        areas.dedup_by(|a, b| a.code == b.code);
        areas.reverse();
        Reference { areas, ..Reference::default() }
    }

    /// Areas of which files say nothing: a nation's codes are a tenth of its areas.
    pub fn of_codes(codes: impl IntoIterator<Item = AreaCode>) -> Self {
        let mut codes: Vec<AreaCode> = codes.into_iter().collect();
        codes.sort_unstable();
        Reference { codes, ..Reference::default() }
    }

    pub fn with_items(
        mut self,
        programs: impl IntoIterator<Item = KnownProgram>,
        items: impl IntoIterator<Item = KnownItem>,
    ) -> Self {
        self.programs = programs.into_iter().map(|p| (p.key.clone(), p)).collect();
        self.items = items.into_iter().map(|i| (i.key.clone(), i)).collect();
        self
    }

    pub fn with_needs(mut self, needs: impl IntoIterator<Item = KnownNeed>) -> Self {
        self.needs = needs.into_iter().map(|n| (n.external_id.clone(), n)).collect();
        self
    }

    /// Those of one source: another source's ids are other ids.
    pub fn with_distributions(mut self, distributions: impl IntoIterator<Item = KnownDistribution>) -> Self {
        self.distributions = distributions.into_iter().map(|d| (d.external_id.clone(), d)).collect();
        self
    }

    /// By code, ascending.
    pub fn areas(&self) -> &[KnownArea] {
        &self.areas
    }

    pub fn area(&self, code: &AreaCode) -> Option<&KnownArea> {
        self.areas.binary_search_by(|a| a.code.cmp(code)).ok().and_then(|at| self.areas.get(at))
    }

    /// Whether the area stands.
    pub fn knows(&self, code: &AreaCode) -> bool {
        self.codes.binary_search(code).is_ok() || self.area(code).is_some()
    }

    pub fn program(&self, key: &str) -> Option<&KnownProgram> {
        self.programs.get(key)
    }

    pub fn item(&self, key: &str) -> Option<&KnownItem> {
        self.items.get(key)
    }

    pub fn need(&self, external_id: &str) -> Option<&KnownNeed> {
        self.needs.get(external_id)
    }

    pub fn distribution(&self, external_id: &str) -> Option<&KnownDistribution> {
        self.distributions.get(external_id)
    }
}

/// A digest of a shape's well-known binary, for telling whether an import changes it (FNV-1a). It is
/// no guard against forgery and is not meant to be stored.
pub fn shape_digest(wkb: &[u8]) -> u64 {
    wkb.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::super::samples::known;
    use super::*;

    #[test]
    fn areas_are_found_by_code_and_the_later_of_two_counts() {
        let reference = Reference::new([known("31.71", "a"), known("31", "b"), known("31.71", "c")]);
        let code = |text: &str| text.parse::<AreaCode>().expect("a code");
        assert_eq!(reference.areas().len(), 2);
        assert_eq!(reference.area(&code("31.71")).map(|a| a.name.as_str()), Some("c"));
        assert!(reference.area(&code("31.72")).is_none());
    }
}
