//! The store, room by room.

mod areas;
mod audit;
mod bundles;
mod by_map;
mod constraints;
mod feed;
mod migrations;
mod needs_import;
pub mod overlaps;
mod people;
