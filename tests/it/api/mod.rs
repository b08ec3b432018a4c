//! The API as outsiders use it: through the real routes, over sockets, on both databases.

pub mod access;
mod door;
mod errors;
mod evidence;
mod exports;
mod freshness;
mod guard;
mod hangup;
mod help;
pub mod identity;
mod job;
mod lists;
mod live;
mod needs;
mod neighbours;
mod pushed;
pub mod rights;
mod small_counts;
mod written;
