//! What this process counts and measures, as Prometheus reads it.
//!
//! A value that is handed around, no global: whoever opens a store makes one, and every room that
//! has something to count finds it there. Labels are words of our own: a name that a caller chose
//! would be a new series each time, and might name a person.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Seconds of requests and commits: from half a millisecond to the time limit of a request.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 4.0, 10.0, 30.0];
/// Requests in one transaction.
const GROUPS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Everything that is counted here. Clones share it.
#[derive(Clone)]
pub struct Metrics(Arc<Handles>);

struct Handles {
    registry: Registry,
    requests: Family<Request, Counter>,
    requests_open: Gauge,
    request_seconds: Family<Route, Histogram, fn() -> Histogram>,
    claims: Family<Outcome, Counter>,
    expired: Counter,
    queue: Gauge,
    group: Histogram,
    groups: Family<Decided, Counter>,
    commit_seconds: Histogram,
    statement_seconds: Histogram,
    retries: Counter,
    statements: Counter,
    feed_lag: Seconds,
    rebuilds: Counter,
    audit_pending: Gauge,
    audit_lag: Seconds,
    connections: Family<Connections, Gauge>,
    database_up: Gauge,
    messages: Family<Outcome, Counter>,
    outbox_waiting: Gauge,
    outbox_lag: Seconds,
    subscribers: Gauge,
    ready: Gauge,
    areas: Gauge,
    edition: Gauge,
}

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connections {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    database: &'static str,
}

/// What a request for a claim came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    Accepted,
    Refused,
    /// The key had been used: the first outcome was told again.
    Replayed,
}

/// By what a group of claims was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the map, in one statement.
    Map,
    /// By the map, and it was not so: the database decides.
    Vain,
    /// By the map and what a group before it would leave, which did not come to stand: it waits its turn again.
    Void,
    Database,
}

/// What an attempt to hand a message over came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    Sent,
    /// It is tried again later.
    Failed,
    /// It will not be tried again.
    GivenUp,
}

/// What is asked only when somebody reads the page.
#[derive(Debug, Clone, Copy, Default)]
pub struct Readings {
    pub ready: bool,
    /// All that was committed so long ago is on the map; `None` before it is read.
    pub lag: Option<Duration>,
    pub areas: usize,
    pub edition: i64,
    pub connections_used: u32,
    pub connections_idle: u32,
    /// `None`: the database did not answer, and these stay as they were.
    pub audit: Option<AuditLag>,
    /// `None`: the database did not answer, and these stay as they were.
    pub outbox: Option<Outbox>,
}

/// Messages that have not been sent, and for how long the oldest has waited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outbox {
    pub waiting: i64,
    pub seconds: f64,
}

/// Audit entries that have no number yet, and the age of the oldest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AuditLag {
    pub entries: i64,
    pub seconds: f64,
}

impl Metrics {
    /// `database` is the kind of database that is served.
    pub fn new(database: &'static str) -> Self {
        let mut registry = Registry::with_prefix("salur");
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut handles = Handles {
            requests: named(&mut registry, "http_requests", "Requests answered", Family::default()),
            requests_open: named(&mut registry, "http_requests_open", "Requests under way", Gauge::default()),
            request_seconds: named(
                &mut registry,
                "http_request_seconds",
                "Seconds until the answer's head",
                Family::new_with_constructor(seconds),
            ),
            claims: named(&mut registry, "claims", "Requests for claims that were decided", Family::default()),
            expired: named(&mut registry, "claim_lines_expired", "Held lines that ran out", Counter::default()),
            queue: named(&mut registry, "writer_queue", "Writes that wait for their turn", Gauge::default()),
            group: named(&mut registry, "group_size", "Writes in one transaction", Histogram::new(GROUPS)),
            groups: named(
                &mut registry,
                "claim_groups",
                "Groups of claims that were decided, by what",
                Family::default(),
            ),
            commit_seconds: named(&mut registry, "commit_seconds", "Seconds that COMMIT took", seconds()),
            statement_seconds: named(
                &mut registry,
                "claim_statement_seconds",
                "Seconds of a statement that is a group's whole transaction",
                seconds(),
            ),
            retries: named(
                &mut registry,
                "transaction_retries",
                "Transactions run again after a lost race",
                Counter::default(),
            ),
            statements: named(&mut registry, "statements", "Statements sent for requests", Counter::default()),
            feed_lag: named(
                &mut registry,
                "feed_lag_seconds",
                "Seconds since the map was last known to hold every commit",
                Seconds::default(),
            ),
            rebuilds: named(&mut registry, "atlas_rebuilds", "Times the map was read anew", Counter::default()),
            audit_pending: named(&mut registry, "audit_pending", "Audit entries without a number", Gauge::default()),
            audit_lag: named(
                &mut registry,
                "audit_lag_seconds",
                "Age of the oldest audit entry without a number",
                Seconds::default(),
            ),
            connections: named(&mut registry, "database_connections", "Connections to the database", Family::default()),
            database_up: named(&mut registry, "database_up", "1 where the database answers", Gauge::default()),
            messages: named(&mut registry, "messages", "Attempts to hand a message over", Family::default()),
            outbox_waiting: named(&mut registry, "outbox_waiting", "Messages that wait", Gauge::default()),
            outbox_lag: named(
                &mut registry,
                "outbox_lag_seconds",
                "Age of the oldest message that waits",
                Seconds::default(),
            ),
            subscribers: named(&mut registry, "websocket_connections", "Open WebSockets", Gauge::default()),
            ready: named(&mut registry, "ready", "1 where the map is current", Gauge::default()),
            areas: named(&mut registry, "areas", "Areas in the map", Gauge::default()),
            edition: named(&mut registry, "edition", "The edition of areas that the map shows", Gauge::default()),
            registry: Registry::default(),
        };
        let build = named(&mut registry, "build", "What runs here", Family::<Build, Gauge>::default());
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION"), database }).set(1);
        // A series that is there from the start can be told from one that has never been counted.
        for outcome in [Claimed::Accepted, Claimed::Refused, Claimed::Replayed] {
            drop(handles.claims.get_or_create(&outcome.label()));
        }
        for way in [Way::Map, Way::Vain, Way::Void, Way::Database] {
            drop(handles.groups.get_or_create(&way.label()));
        }
        for outcome in [Carried::Sent, Carried::Failed, Carried::GivenUp] {
            drop(handles.messages.get_or_create(&outcome.label()));
        }
        handles.registry = registry;
        Metrics(Arc::new(handles))
    }

    /// A request is under way until the answer is dropped.
    pub fn opened(&self) -> Counted {
        Counted::in_gauge(&self.0.requests_open)
    }

    /// A request was answered.
    pub fn answered(&self, route: &'static str, status: u16, took: Duration) {
        self.0.requests.get_or_create(&Request { route, status }).inc();
        self.0.request_seconds.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }

    pub fn claimed(&self, outcome: Claimed) {
        self.0.claims.get_or_create(&outcome.label()).inc();
    }

    /// So many messages were handed over, or not.
    pub fn carried(&self, outcome: Carried, messages: u64) {
        self.0.messages.get_or_create(&outcome.label()).inc_by(messages);
    }

    /// So many held lines ran out, by a commit.
    pub fn expired(&self, lines: usize) {
        self.0.expired.inc_by(lines as u64);
    }

    /// One more waits for its turn to write, until the answer is dropped.
    pub fn queued(&self) -> Counted {
        Counted::in_gauge(&self.0.queue)
    }

    /// A transaction with so many writes in it was committed.
    pub fn committed(&self, writes: usize, commit_took: Duration) {
        self.0.group.observe(writes as f64);
        self.0.commit_seconds.observe(commit_took.as_secs_f64());
    }

    /// A statement that was a transaction by itself stood, with so many writes in it.
    pub fn stood_at_once(&self, writes: usize, took: Duration) {
        self.0.group.observe(writes as f64);
        self.0.statement_seconds.observe(took.as_secs_f64());
    }

    /// A group of claims was decided, or tried in vain.
    pub fn decided(&self, way: Way) {
        self.0.groups.get_or_create(&way.label()).inc();
    }

    pub fn groups(&self, way: Way) -> u64 {
        self.0.groups.get_or_create(&way.label()).get()
    }

    /// A transaction lost a race and is run again.
    pub fn retried(&self) {
        self.0.retries.inc();
    }

    /// A statement is sent to the database for somebody who waits; those of followers are not counted.
    pub fn stated(&self) {
        self.0.statements.inc();
    }

    /// All of them until now.
    pub fn statements(&self) -> u64 {
        self.0.statements.get()
    }

    /// The map was read anew as a whole.
    pub fn map_rebuilt(&self) {
        self.0.rebuilds.inc();
    }

    /// A WebSocket is open until the answer is dropped.
    pub fn connected(&self) -> Counted {
        Counted::in_gauge(&self.0.subscribers)
    }

    /// The page that Prometheus reads.
    pub fn page(&self, readings: Readings) -> Result<String, fmt::Error> {
        let handles = &self.0;
        handles.ready.set(readings.ready.into());
        handles.areas.set(readings.areas as i64);
        handles.edition.set(readings.edition);
        for (state, count) in [("used", readings.connections_used), ("idle", readings.connections_idle)] {
            handles.connections.get_or_create(&Connections { state }).set(count.into());
        }
        handles.database_up.set(readings.audit.is_some().into());
        if let Some(lag) = readings.audit {
            handles.audit_pending.set(lag.entries);
            handles.audit_lag.set(lag.seconds);
        }
        if let Some(outbox) = readings.outbox {
            handles.outbox_waiting.set(outbox.waiting);
            handles.outbox_lag.set(outbox.seconds);
        }
        if let Some(lag) = readings.lag {
            handles.feed_lag.set(lag.as_secs_f64());
        }
        let mut page = String::new();
        prometheus_client::encoding::prometheus_text::encode(&mut page, &handles.registry)?;
        Ok(page)
    }
}

/// Registers a metric and hands it back. The page ends its help with a full stop.
fn named<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Claimed {
    fn label(self) -> Outcome {
        let outcome = match self {
            Claimed::Accepted => "accepted",
            Claimed::Refused => "refused",
            Claimed::Replayed => "replayed",
        };
        Outcome { outcome }
    }
}

impl Way {
    fn label(self) -> Decided {
        let by = match self {
            Way::Map => "map",
            Way::Vain => "vain",
            Way::Void => "void",
            Way::Database => "database",
        };
        Decided { by }
    }
}

impl Carried {
    fn label(self) -> Outcome {
        let outcome = match self {
            Carried::Sent => "sent",
            Carried::Failed => "failed",
            Carried::GivenUp => "given_up",
        };
        Outcome { outcome }
    }
}

/// One that is counted as long as it lives.
pub struct Counted(Gauge);

impl Counted {
    fn in_gauge(gauge: &Gauge) -> Self {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How long something takes. One that was started later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_stands_on_the_page() {
        let metrics = Metrics::new("sqlite");
        metrics.answered("/graphql", 200, Duration::from_millis(3));
        metrics.claimed(Claimed::Accepted);
        metrics.committed(5, Duration::from_micros(700));
        let waiting = [metrics.queued(), metrics.queued()];
        let first = metrics.queued();
        drop(first);
        let readings = Readings { audit: Some(AuditLag { entries: 7, seconds: 1.5 }), ..Readings::default() };
        let page = metrics.page(readings).expect("a page");
        for line in [
            "salur_http_requests_total{route=\"/graphql\",status=\"200\"} 1",
            "salur_http_request_seconds_bucket{route=\"/graphql\",le=\"0.004\"} 1",
            "salur_claims_total{outcome=\"accepted\"} 1",
            "salur_claims_total{outcome=\"refused\"} 0",
            "salur_group_size_sum 5.0",
            "salur_writer_queue 2",
            "salur_audit_pending 7",
            "salur_audit_lag_seconds 1.5",
            "salur_database_up 1",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
        drop(waiting);
        let page = metrics.page(Readings::default()).expect("a page");
        assert!(page.contains("\nsalur_writer_queue 0\n") && page.contains("\nsalur_database_up 0\n"), "{page}");
        assert!(page.contains("\nsalur_audit_pending 7\n"), "what cannot be read stays as it was: {page}");
    }

    #[test]
    fn clones_share_what_they_count() {
        let metrics = Metrics::new("postgres");
        metrics.clone().retried();
        let page = metrics.page(Readings::default()).expect("a page");
        assert!(page.contains("\nsalur_transaction_retries_total 1\n"), "{page}");
        assert!(page.contains("salur_build{") && page.contains("database=\"postgres\""), "{page}");
    }
}
