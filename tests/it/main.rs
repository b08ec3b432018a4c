//! One binary for all tests that need more than one room; compiled once.

mod schema;
