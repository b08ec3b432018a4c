//! Log lines: an event with its fields, on stderr, so that data alone goes to stdout.

use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;

/// A filter that does not read, or a second start.
#[derive(Debug, thiserror::Error)]
pub enum NoLog {
    #[error("the log filter {0:?} does not read; write a level like info, or salur=debug,warn")]
    Filter(String),
    #[error("the log has been started already")]
    Twice,
}

/// Starts the log of this process: `filter` is a level, or levels by target such as `salur=debug,warn`.
pub fn start(filter: &str) -> Result<(), NoLog> {
    let parsed = EnvFilter::builder().parse(filter).map_err(|_| NoLog::Filter(filter.to_owned()))?;
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .try_init()
        .map_err(|_| NoLog::Twice)
}
