//! Salur matches those who want to give with neighbourhoods that need, so that no two gifts land
//! on one door while the next street gets nothing.
//!
//! Modules in reading order; who may use whom is written in `docs/architecture.md` and held by
//! `tests/tidy.rs`. `domain` is the room every reader enters first.

#![forbid(unsafe_code)]

pub mod domain;

pub mod atlas;
pub mod audit;
pub mod demo;
pub mod export;
pub mod import;
pub mod matching;
pub mod spatial;
pub mod tiles;

pub mod clock;
pub mod config;
pub mod mail;
pub mod metrics;
pub mod oidc;
pub mod planted;
pub mod random;
pub mod telemetry;

pub mod store;

pub mod service;

pub mod graphql;
pub mod http;

pub mod cli;
