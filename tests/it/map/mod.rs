//! The map as others read it.

mod tiles;
