//! Log lines: an event with its fields, on stderr, so that data alone goes to stdout. And the
//! reference that a request is known by in the log, in its answer and in its errors.

mod export;

pub use export::{Traces, continues};

use std::future::Future;
use std::io::{IsTerminal, stderr};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// A filter that does not read, or a second start.
#[derive(Debug, thiserror::Error)]
pub enum NoLog {
    #[error("the log filter {0:?} does not read; write a level like info, or salur=debug,warn")]
    Filter(String),
    #[error("the log has been started already")]
    Twice,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// Starts the log of this process: `filter` is a level, or levels by target such as `salur=debug,warn`.
/// Spans of requests go to `traces` whatever it says.
pub fn start(filter: &str, format: Format, traces: Option<&Traces>) -> Result<(), NoLog> {
    let filter = EnvFilter::builder().parse(filter).map_err(|_| NoLog::Filter(filter.to_owned()))?;
    // A line that cannot be written, on a full disk, is lost. To complain of it where it could not be written
    // would panic, and the request with it.
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).log_internal_errors(false);
    let lines = match format {
        Format::Text => lines.with_ansi(stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let started = match traces {
        // The cheaper of two ways to say the same.
        None => tracing_subscriber::registry().with(lines).with(filter).try_init(),
        Some(traces) => tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces.layer()).try_init(),
    };
    started.map_err(|_| NoLog::Twice)
}

tokio::task_local! {
    static REFERENCE: String;
}

/// Twelve random characters: enough to find a line among a year's.
pub fn fresh_reference() -> String {
    let bytes: [u8; 6] = crate::random::bytes().unwrap_or_default();
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The reference of the request that is being answered; outside of one, a new one.
pub fn reference() -> String {
    REFERENCE.try_with(Clone::clone).unwrap_or_else(|_| fresh_reference())
}

/// Whatever `future` logs and refuses goes under this reference.
pub fn under_reference<F: Future>(reference: String, future: F) -> impl Future<Output = F::Output> {
    REFERENCE.scope(reference, future)
}

/// `future` as part of the request that is being answered, for those who run it in a task of its own.
pub fn of_this_request<F: Future>(future: F) -> impl Future<Output = F::Output> {
    REFERENCE.scope(reference(), future).in_current_span()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_has_one_reference_in_all_its_tasks() {
        let seen = under_reference("one".into(), async {
            let task = tokio::spawn(of_this_request(async { reference() }));
            (reference(), task.await.expect("it does not panic"))
        });
        assert_eq!(seen.await, ("one".to_owned(), "one".to_owned()));
        assert_ne!(reference(), reference(), "outside of a request each is new");
    }
}
