//! One binary for all tests that need more than one room; compiled once.

mod api;
mod claims;
mod cli;
mod fire;
mod harness;
mod map;
mod operations;
mod replicas;
mod rigs;
mod schema;
mod store;
