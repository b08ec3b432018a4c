//! Claims and deliveries: what may happen, what must not, and who wins.

mod deliveries;
mod model;
mod neighbours;
mod races;
pub mod random;
mod scenarios;
