//! The classes of a map's colours.

use super::board::View;
use super::ground::Ground;
use crate::domain::area::AreaLevel;
use crate::domain::ids::ItemId;

const CLASSES: usize = 5;

/// The values between fifths of the areas of the level, ascending, at most four: areas that lack something,
/// ordered by what is unmet of the item per 100 households. Numbers are rounded to two digits, so that
/// a legend can say them, and equal ones are left out. Averages flatten upwards, so each level has its own.
pub(super) fn breaks(ground: &Ground, view: View<'_>, level: AreaLevel, item: ItemId) -> Vec<f64> {
    let Some(item) = ground.item_number(item) else { return Vec::new() };
    let mut ratios: Vec<f64> = ground
        .level_slots(level)
        .iter()
        .filter_map(|slot| {
            let unmet = view.below(ground, *slot, item).sums().unmet as f64;
            let households = ground.households(*slot).filter(|n| *n > 0)? as f64;
            (unmet > 0.0).then_some(unmet * 100.0 / households)
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let quantile = |n: usize| ratios.get(n * ratios.len() / CLASSES).copied().map(two_digits);
    let mut breaks: Vec<f64> = (1..CLASSES).filter_map(quantile).collect();
    breaks.dedup();
    breaks
}

fn two_digits(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    let rounded = (value / unit).round() * unit;
    // A tenth of a tenth is not written exactly: keep what the digits say.
    (rounded * 1e6).round() / 1e6
}
