//! Programs of aid and their items. They are data: a new program needs no new code.

use super::ids::{ItemId, ProgramId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    Food,
    Device,
    Training,
    Facility,
    Capital,
    Material,
    Service,
    Other,
}

impl ItemKind {
    pub const ALL: [ItemKind; 8] = [
        ItemKind::Food,
        ItemKind::Device,
        ItemKind::Training,
        ItemKind::Facility,
        ItemKind::Capital,
        ItemKind::Material,
        ItemKind::Service,
        ItemKind::Other,
    ];

    pub fn word(self) -> &'static str {
        match self {
            ItemKind::Food => "FOOD",
            ItemKind::Device => "DEVICE",
            ItemKind::Training => "TRAINING",
            ItemKind::Facility => "FACILITY",
            ItemKind::Capital => "CAPITAL",
            ItemKind::Material => "MATERIAL",
            ItemKind::Service => "SERVICE",
            ItemKind::Other => "OTHER",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == word)
    }
}

/// A line of aid, with what its rules are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub id: ProgramId,
    pub key: String,
    pub name_id: String,
    pub name_en: String,
    pub rules: HoldRules,
    /// For so long after a need is verified only its neighbours may claim it; 0: everybody may at once.
    pub first_right_hours: i64,
}

impl Program {
    /// A year: whoever means longer means something else.
    pub const MAX_FIRST_RIGHT_HOURS: i64 = 8_760;
}

/// How long a hold may last and how often it may be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldRules {
    pub default_seconds: i64,
    pub max_seconds: i64,
    pub max_renewals: i64,
}

impl HoldRules {
    /// The shortest hold anybody may ask for.
    pub const MIN_SECONDS: i64 = 2;
}

impl Default for HoldRules {
    /// A day to confirm, a fortnight at most, two renewals: long enough for an office to
    /// decide, short enough that no neighbourhood waits on a forgotten basket.
    fn default() -> Self {
        HoldRules { default_seconds: 86_400, max_seconds: 14 * 86_400, max_renewals: 2 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub id: ItemId,
    pub program: ProgramId,
    /// Unique over all programs.
    pub key: String,
    pub name_id: String,
    pub name_en: String,
    pub unit: String,
    pub kind: ItemKind,
}
