//! What Salur talks about, and the rules it lives by.
//!
//! Everything here is a plain value or a pure function: no clock, no randomness, no IO,
//! no framework. Every other room may use this one; this one uses none of them.

pub mod actor;
pub mod area;
pub mod calendar;
pub mod claim;
pub mod delivery;
pub mod evidence;
pub mod help;
pub mod ids;
pub mod message;
pub mod need;
pub mod nik;
pub mod organization;
pub mod overlap;
pub mod place;
pub mod program;
pub mod quantity;
pub mod refusal;
pub mod rules;
pub mod session;
