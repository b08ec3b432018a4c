//! The ledger under fire: the real server is killed, cut off and starved while people use it, and
//! afterwards the books must say what its callers were told.
//!
//! A run is short unless `SALUR_COUNT` says how long; `SALUR_SEED` plays one again. Each prints a
//! line with its figures.

mod commit_cuts;
pub mod crowd;
mod disk_full;
mod hang_ups;
mod postgres_away;
mod postgres_kills;
mod server_kills;

use crate::harness::dice::Dice;

/// How often a rig does what it does: `SALUR_COUNT`, else so often that `make test` stays quick.
pub fn count(short: u64) -> u64 {
    let given = std::env::var("SALUR_COUNT").ok();
    given.map_or(short, |text| text.parse().expect("SALUR_COUNT is a whole number"))
}

/// A rig's dice and the seed that they began with.
pub fn dice(rig: &str) -> (Dice, u64) {
    let dice = Dice::from_environment(rig);
    let seed = dice.seed();
    (dice, seed)
}
