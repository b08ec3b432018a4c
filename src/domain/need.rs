//! Needs: how much of one item one area asks for in one period, and how much is spoken for.

use super::area::AreaLevel;
use super::calendar::{Moment, Period};
use super::ids::{AreaId, ClaimLineId, ItemId, NeedId, ProgramId};
use super::quantity::Quantity;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NeedStatus {
    Reported,
    Verified,
    Closed,
}

impl NeedStatus {
    pub const ALL: [NeedStatus; 3] = [NeedStatus::Reported, NeedStatus::Verified, NeedStatus::Closed];

    pub fn word(self) -> &'static str {
        match self {
            NeedStatus::Reported => "REPORTED",
            NeedStatus::Verified => "VERIFIED",
            NeedStatus::Closed => "CLOSED",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// How far a need is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceStatus {
    Unserved,
    Partial,
    Covered,
    Delivered,
}

impl ServiceStatus {
    pub fn word(self) -> &'static str {
        match self {
            ServiceStatus::Unserved => "UNSERVED",
            ServiceStatus::Partial => "PARTIAL",
            ServiceStatus::Covered => "COVERED",
            ServiceStatus::Delivered => "DELIVERED",
        }
    }
}

/// The counters of one need.
///
/// Invariant, kept by [`Counters::new`] and repeated by the table's CHECK:
/// `reserved + delivered <= required`, none of them negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counters {
    required: Quantity,
    reserved: Quantity,
    delivered: Quantity,
}

impl Counters {
    /// `None` where more would be allocated than required.
    pub fn new(required: Quantity, reserved: Quantity, delivered: Quantity) -> Option<Self> {
        let allocated = reserved.checked_add(delivered)?;
        (allocated <= required).then_some(Counters { required, reserved, delivered })
    }

    pub fn required(self) -> Quantity {
        self.required
    }

    /// Held or confirmed, and not delivered yet.
    pub fn reserved(self) -> Quantity {
        self.reserved
    }

    pub fn delivered(self) -> Quantity {
        self.delivered
    }

    /// What is no longer free.
    pub fn allocated(self) -> Quantity {
        self.required.saturating_sub(self.free())
    }

    pub fn free(self) -> Quantity {
        self.required.saturating_sub(self.reserved).saturating_sub(self.delivered)
    }

    /// The same, where fewer than [`Quantity::LEAST_SHOWN`] are required, without telling how few: as many
    /// as that, and of what was taken and delivered only whether it is all. What four others would be
    /// shown as, too, no sum and no history of it tells apart.
    pub fn rounded(self) -> Self {
        if self.required.is_zero() || self.required >= Quantity::LEAST_SHOWN {
            return self;
        }
        let shown = |all: bool| if all { Quantity::LEAST_SHOWN } else { Quantity::ZERO };
        let (taken, delivered) = (self.free().is_zero(), self.delivered == self.required);
        Counters { required: Quantity::LEAST_SHOWN, reserved: shown(taken && !delivered), delivered: shown(delivered) }
    }

    pub fn service(self) -> ServiceStatus {
        if self.allocated().is_zero() {
            ServiceStatus::Unserved
        } else if self.delivered == self.required {
            ServiceStatus::Delivered
        } else if self.free().is_zero() {
            ServiceStatus::Covered
        } else {
            ServiceStatus::Partial
        }
    }
}

/// 1 (low) to 5 (critical).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Severity(u8);

impl Severity {
    pub fn new(value: i64) -> Option<Self> {
        u8::try_from(value).ok().filter(|v| (1..=5).contains(v)).map(Severity)
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

/// One need as it stood at `version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub id: NeedId,
    pub area: AreaId,
    pub program: ProgramId,
    pub item: ItemId,
    pub period: Period,
    pub counters: Counters,
    pub severity: Severity,
    pub status: NeedStatus,
    /// Until then it is kept for its neighbours; set once, when it is verified.
    pub first_right_until: Option<Moment>,
    /// The newest line on it. Each line's row names the one before, so that all of them are found.
    pub last_line: Option<ClaimLineId>,
    /// Grows by one with every change of the record.
    pub version: i64,
}

impl Need {
    /// As the public sees it on an area of the level: counts of an RT are few enough to point at a door.
    pub fn for_public(self, level: AreaLevel) -> Self {
        let counters = if level == AreaLevel::Rt { self.counters.rounded() } else { self.counters };
        Need { counters, ..self }
    }

    /// The end of its neighbours' first right, where that has not come by `now`.
    pub fn kept_until(&self, now: Moment) -> Option<Moment> {
        self.first_right_until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Required, reserved, delivered: all there can be up to a size.
    fn all() -> impl Iterator<Item = Counters> {
        let q = |n| Quantity::new(n).expect("in range");
        let parts = (0..=12).flat_map(|r| (0..=r).flat_map(move |s| (0..=r - s).map(move |d| (r, s, d))));
        parts.filter_map(move |(r, s, d)| Counters::new(q(r), q(s), q(d)))
    }

    #[test]
    fn few_that_are_required_look_like_any_other_few() {
        let mut few: BTreeMap<[i64; 3], usize> = BTreeMap::new();
        for counters in all() {
            let shown = counters.rounded();
            let numbers = [shown.required(), shown.allocated(), shown.delivered()].map(Quantity::get);
            assert_eq!(shown.rounded(), shown);
            if (1..5).contains(&counters.required().get()) {
                assert!(numbers.iter().all(|n| *n == 0 || *n == 5), "{counters:?} is shown as {shown:?}");
                use ServiceStatus::{Covered, Delivered, Partial, Unserved};
                let told = match counters.service() {
                    Partial => Unserved,
                    other => other,
                };
                assert_eq!(shown.service(), told);
                assert!(matches!(shown.service(), Unserved | Covered | Delivered));
                *few.entry(numbers).or_default() |= 1 << counters.required().get();
            } else {
                assert_eq!(shown, counters, "what hides nothing is exact");
            }
        }
        // Behind each of the three pictures there may be one, two, three or four.
        let any = 0b11110;
        assert_eq!(few, BTreeMap::from([([5, 0, 0], any), ([5, 5, 0], any), ([5, 5, 5], any)]));
    }
}
