//! What units are worth to one need, in whole numbers, so that no comparison is left to
//! rounding. The widest product is below 2^127: see each function.

use super::{Candidate, Policy};

/// Bits after the point of a weight or a price: both are whole numbers of 2^-20.
pub(super) const POINT: u32 = 20;
/// The whole number that stands for one.
pub(super) const ONE: i64 = 1 << POINT;

/// At this distance a unit is worth half.
const HALF_WORTH_M: f64 = 1_000.0;

/// A concave function of the units given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// Each unit is worth `weight` / 2^20.
    Flat { weight: i64 },
    /// `q` units are worth `q (2 unmet - q) / required`, and so the one that brings the unmet
    /// rest from `u` to `u - 1` is worth `(2u - 1) / required`, which lies between 0 and 2.
    Falling { unmet: i64, required: i64 },
}

impl Worth {
    pub(super) fn of(candidate: &Candidate<'_>, policy: Policy) -> Self {
        match policy {
            Policy::Priority => Worth::Flat { weight: i64::from(candidate.severity.get()) * ONE },
            Policy::Equity => Worth::Falling {
                unmet: candidate.required.saturating_sub(candidate.allocated).get(),
                required: candidate.required.get().max(1),
            },
            Policy::Nearest => Worth::Flat { weight: nearness(candidate.distance_m) },
        }
    }

    /// How many units are worth at least `price / 2^point` each, at most `cap`. `price` is at most
    /// 2^(point + 1) for a falling worth and `point` at most 53, so that the product has 107 bits.
    pub(super) fn units_at(self, price: i128, point: u32, cap: i64) -> i64 {
        match self {
            Worth::Flat { weight } => {
                if i128::from(weight) << point >= price << POINT {
                    cap
                } else {
                    0
                }
            }
            Worth::Falling { unmet, required } => {
                // The units are those with 2u - 1 >= least, which is u > least / 2.
                let least = (price * i128::from(required) + (1 << point) - 1) >> point;
                let units = i128::from(unmet) - least / 2;
                i64::try_from(units.clamp(0, i128::from(cap))).unwrap_or(cap)
            }
        }
    }

    /// What `units` are worth, in 2^-20, rounded up. `units (2 unmet - units) <= unmet^2 < 2^106`.
    pub(super) fn upper(self, units: i64) -> i128 {
        let q = i128::from(units);
        match self {
            Worth::Flat { weight } => q * i128::from(weight),
            Worth::Falling { unmet, required } => {
                let required = i128::from(required);
                (((q * (2 * i128::from(unmet) - q)) << POINT) + required - 1) / required
            }
        }
    }
}

/// The distance, where it is known.
pub(super) fn known(distance_m: Option<f64>) -> Option<f64> {
    distance_m.filter(|d| d.is_finite()).map(|d| d.max(0.0))
}

/// The weight of a unit at that distance, in 2^-20, from 1 to 2^20; never rises with distance.
fn nearness(distance_m: Option<f64>) -> i64 {
    // The quotient lies between 0 and 2^20, where the conversion is exact after rounding.
    known(distance_m).map_or(1, |d| ((ONE as f64 / (1.0 + d / HALF_WORTH_M)).round() as i64).max(1))
}
