//! The only room that knows SQL: one concrete [`Store`] over SQLite or PostgreSQL.
//!
//! Writes are [`Command`]s, each one transaction (`write`); claims that the map decides (`by_map`) are one
//! statement each group. Everything that moves a quantity is in
//! `ledger`, which takes needs, then lines, then offers, each in ascending id, on every path.
//! `dialect` holds every difference between the two databases.

mod accounts;
mod allowance;
mod areas;
mod audit;
mod audit_check;
mod backup;
mod batch;
mod bundle;
mod by_map;
mod chain;
mod claims;
mod deliveries;
mod dialect;
mod error;
mod evidence;
mod exports;
mod faults;
mod feed;
mod gauges;
mod group;
mod help;
mod idempotency;
mod identities;
mod intake;
mod ledger;
mod needs;
mod opening;
mod organizations;
mod outbox;
mod overlaps;
mod people;
mod position;
mod programs;
mod rows;
mod shape;
mod swift;
mod write;

pub use accounts::{
    ApiKey, Digest, EndSessions, EraseAccount, ForgetThePast, FoundSession, KeepSession, Login, OpenSession,
    RequestReset, ResetPassword, RevokeKey, SetPassword, SignUp, StartSession,
};
pub use allowance::{AddUp, Allowance, Counted, Refund, Spend};
pub use areas::{AreaDigest, AreaRow, PublishAreas, Published};
pub use audit::{AreaHistory, AuditRow, Checkpoint, HistoryPlace, Sequenced};
pub use audit_check::Checked;
pub use backup::BackupError;
pub use by_map::OnMap;
pub use claims::{ClaimAccess, ConfirmClaim, CreateOffer, ExpireDue, ReleaseClaim, RenewClaim};
pub use deliveries::{AcknowledgeDelivery, Answer, CancelDelivery, DispatchDelivery, RecordDelivery, ScheduleDelivery};
pub use error::StoreError;
pub use evidence::OverlapCount;
pub use exports::{ExportFilter, ExportReach, ExportedLine, ExportedParties, ExportedTrip};
pub use faults::{Fault, FaultStep, Faults};
pub use feed::{Cursor, Feed, Piece, Snapshot, StoredArea};
pub use idempotency::{Keyed, Scope};
pub use identities::FindIdentity;
pub use needs::{
    CloseNeed, ImportNeeds, ImportedNeed, ImportedNeeds, NeedAccess, OpeningNeed, ReportNeed, ReviseNeed, VerifyNeeds,
};
pub use opening::{ClaimOutcome, OpenClaim, Opened};
pub use organizations::{
    AcceptInvitation, AddDocument, Application, ChangeRole, ConfirmSignUp, DecideOrganization, Decision, Invitation,
    Invite, Member, SuspendMember,
};
pub use outbox::{ForgetMessages, OutboxRow, OutboxState, Posted, SettleMessage, TakeMessages, Taken, post};
pub use overlaps::{
    ImportDistributions, ImportRules, ImportedAid, ImportedDistributions, OutsideAid, OutsideRecord, OverlapFilter,
    RecomputeOverlaps, ResolveOverlap,
};
pub use people::{AddOrganization, AddUser, IssueKey, NewUser};
pub use position::{Position, Seen, noting_commits};
pub use programs::{ImportPrograms, ProgramRow};
pub use shape::{Step, StepState};
pub use write::{Command, Request, Tx};

use crate::clock::Clock;
use crate::domain::calendar::Moment;
use crate::domain::ids::UserId;
use crate::domain::need::Need;
use crate::metrics::Metrics;
use crate::planted::planted;
use dialect::Dialect;
use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr, FromQueryResult,
    QueryResult, Statement, Value,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use swift::Swift;
use tokio::sync::watch;

/// Who is written down as the author of a change.
pub type Author = Option<UserId>;

/// What a committed transaction has changed, for those who follow inside this process.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The changed needs as they stand now.
    pub needs: Vec<Need>,
    /// Areas, programs or very many needs have changed: read everything anew.
    pub reload: bool,
    /// The transaction, where followers are told of it: see [`Seen`].
    pub position: Option<i64>,
}

type Follower = Box<dyn Fn(&Commit) + Send + Sync>;

#[derive(Clone)]
pub struct Store {
    writer: DatabaseConnection,
    /// For claims that are decided together: few connections, so that each keeps its plans and caches warm.
    opener: DatabaseConnection,
    /// For groups that are written by one statement.
    swift: Swift,
    reader: DatabaseConnection,
    /// For those who follow: connections of their own, so that whatever fills or blocks the others does
    /// not stop the map.
    watcher: DatabaseConnection,
    /// How this PostgreSQL is told from another: one of [`feed::LIFE`].
    life: &'static str,
    dialect: Dialect,
    clock: Clock,
    faults: Faults,
    queue: Arc<group::Queue>,
    recent: Arc<by_map::Recent>,
    map: Arc<OnceLock<by_map::Map>>,
    follower: Arc<OnceLock<Follower>>,
    metrics: Metrics,
    /// Has a receiver for each command that runs, its caller there or not.
    running: watch::Sender<()>,
    /// Rows that imports have written, committed or not.
    written: Arc<AtomicU64>,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `sqlite://FILE` or `postgres://…`.
    pub url: String,
    /// Connections at most, on PostgreSQL; readers at most, on SQLite.
    pub connections: u32,
    pub clock: Clock,
    pub faults: Faults,
    /// An SQLite file that is not there is made.
    pub create: bool,
}

impl StoreOptions {
    pub fn new(url: impl Into<String>) -> Self {
        let (clock, faults) = (Clock::default(), Faults::default());
        StoreOptions { url: url.into(), connections: 20, clock, faults, create: true }
    }
}

/// The oldest SQLite without the rare WAL corruption of two checkpointing connections.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

impl Store {
    /// Opens the database and refuses what cannot be relied on: an unknown URL, an SQLite older
    /// than 3.51.3.
    pub async fn open(options: &StoreOptions) -> Result<Store, StoreError> {
        let url = options.url.as_str();
        let dialect = if url.starts_with("sqlite:") {
            Dialect::Sqlite
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Dialect::Postgres
        } else {
            return Err(StoreError::bad(
                "database",
                "the URL must start with sqlite:// or postgres://, for example sqlite://salur.db",
            ));
        };
        let (writer, opener, swift, reader, watcher) = match dialect {
            Dialect::Sqlite => {
                let writer = connect(dialect, sqlite_options(url, 1, false, options.create)).await?;
                let store_version = version_of_sqlite(&writer).await?;
                if store_version < OLDEST_SQLITE {
                    return Err(StoreError::bad(
                        "database",
                        "this SQLite library is older than 3.51.3, which can corrupt a database; use a newer build",
                    ));
                }
                let reader = connect(dialect, sqlite_options(url, options.connections, true, false)).await?;
                let watching = watching(sqlite_options(url, WATCHERS, true, false));
                (writer.clone(), writer, Swift::default(), reader, connect(dialect, watching).await?)
            }
            Dialect::Postgres => {
                let usual = [("statement_timeout", "5s")];
                let pool = connect(dialect, postgres_options(url, options.connections, &usual)).await?;
                // Every statement of theirs finds rows by an index. A plan made while a table was small must not
                // read all of it when it has grown.
                let openers = [usual[0], ("enable_seqscan", "off")];
                let swift = [openers[0], openers[1], ("lock_timeout", WAITS_FOR_NOBODY)];
                let swift = Swift::new(connect(dialect, with_few(postgres_options(url, 1, &swift))).await?);
                let openers = with_few(postgres_options(url, group::CONNECTIONS, &openers));
                let watching = watching(postgres_options(url, WATCHERS, &[("statement_timeout", "2s")]));
                (pool.clone(), connect(dialect, openers).await?, swift, pool, connect(dialect, watching).await?)
            }
        };
        let mut store = Store {
            writer,
            opener,
            swift,
            reader,
            watcher,
            life: feed::LIFE[0],
            dialect,
            clock: options.clock.clone(),
            faults: options.faults.clone(),
            queue: Arc::default(),
            recent: Arc::default(),
            map: Arc::default(),
            follower: Arc::default(),
            metrics: Metrics::new(dialect.name()),
            running: watch::Sender::default(),
            written: Arc::default(),
        };
        if dialect == Dialect::Postgres
            && let Err(StoreError::Fault(cause)) = store.read_one(&format!("SELECT {}", store.life), []).await
        {
            tracing::warn!(cause, "PostgreSQL does not say which server it is; restart Salur after a fail-over");
            store.life = feed::LIFE[1];
        }
        Ok(store)
    }

    /// A database that was copied, restored or has just been made gets an epoch of its own. Numbers of
    /// transactions that it brings along are another server's: the rows that bear them become this
    /// transaction's, so that followers meet each once.
    async fn come_home(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        if tx.query_one_raw(Statement::from_string(self.dialect.backend(), self.away_sql())).await?.is_none() {
            return Ok(());
        }
        let here = self.here_sql();
        let epoch: [u8; 16] =
            crate::random::bytes().ok_or_else(|| DbErr::Custom("the system gives no randomness".into()))?;
        let epoch: String = epoch.iter().map(|b| format!("{b:02x}")).collect();
        tx.execute_unprepared(&format!("UPDATE feed SET epoch = '{epoch}', home = {here}")).await?;
        if self.dialect == Dialect::Postgres {
            tx.execute_unprepared("UPDATE change_log SET xid = pg_current_xact_id()").await?;
        }
        Ok(())
    }

    /// A secret of this database, the same for all servers on it.
    pub async fn epoch(&self) -> Result<String, StoreError> {
        let row = self.read_one("SELECT epoch FROM feed", []).await?;
        row.map_or_else(|| Err(StoreError::corrupt("feed")), |row| write::column(&row, "epoch"))
    }

    fn here_sql(&self) -> String {
        match self.dialect {
            Dialect::Postgres => format!("({})", feed::home_sql(self.life)),
            Dialect::Sqlite => "'file'".to_owned(),
        }
    }

    fn away_sql(&self) -> String {
        let here = self.here_sql();
        format!("SELECT {here} AS here FROM feed WHERE home <> {here}")
    }

    /// Names the one who is told of every commit of this process, before the caller is answered.
    /// Only the first call counts.
    pub fn follow(&self, follower: impl Fn(&Commit) + Send + Sync + 'static) {
        let _ = self.follower.set(Box::new(follower));
    }

    fn announce(&self, commit: &Commit) {
        if let Some(follower) = self.follower.get()
            && (commit.reload || !commit.needs.is_empty())
        {
            follower(commit);
        }
    }

    /// Waits until every command has come to its end, and closes the connections. Whoever comes later
    /// is told that the database is not available.
    pub async fn close(&self) {
        self.running.closed().await;
        self.swift.close().await;
        for pool in [&self.watcher, &self.reader, &self.opener, &self.writer] {
            if let Err(error) = pool.close_by_ref().await {
                tracing::warn!(%error, "a connection was not closed properly");
            }
        }
    }

    /// `sqlite` or `postgres`.
    pub fn database_name(&self) -> &'static str {
        self.dialect.name()
    }

    /// How many rows the imports of this process have written so far, committed or not.
    pub fn rows_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Where this process counts. Whoever shares the store shares it.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<Moment, StoreError> {
        let row = self.read_one(self.dialect.now(), [self.clock.offset_micros().into()]).await?;
        let row = row.ok_or_else(|| StoreError::corrupt("clock"))?;
        Ok(Moment(write::column(&row, "now")?))
    }

    /// True where the database answers.
    pub async fn is_reachable(&self) -> bool {
        self.reader.ping().await.is_ok()
    }

    /// True where several servers may be at work on it.
    pub fn is_shared(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    async fn read_one<const N: usize>(&self, sql: &str, values: [Value; N]) -> Result<Option<QueryResult>, StoreError> {
        self.metrics.stated();
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        self.reader.query_one_raw(statement).await.map_err(|e| StoreError::from_db(self.dialect, &e))
    }

    async fn read_all<T: FromQueryResult, const N: usize>(
        &self,
        sql: &str,
        values: [Value; N],
    ) -> Result<Vec<T>, StoreError> {
        self.metrics.stated();
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        let rows = self.reader.query_all_raw(statement).await.map_err(|e| StoreError::from_db(self.dialect, &e))?;
        rows.iter()
            .map(|row| T::from_query_result(row, ""))
            .collect::<Result<_, _>>()
            .map_err(|e| StoreError::from_db(self.dialect, &e))
    }
}

async fn connect(dialect: Dialect, options: ConnectOptions) -> Result<DatabaseConnection, StoreError> {
    Database::connect(options).await.map_err(|e| StoreError::from_db(dialect, &e))
}

fn sqlite_options(url: &str, connections: u32, read_only: bool, create: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).min_connections(1).sqlx_logging(false);
    options.acquire_timeout(Duration::from_secs(10)).test_before_acquire(false);
    // One SQLite connection is one thread with its cache: keep them, they are dear to open.
    options.idle_timeout(None).max_lifetime(None);
    if !read_only {
        // A COMMIT or ROLLBACK that failed, on a full disk, leaves the connection inside a transaction, or
        // believing so. What is written there next would be told as committed and seen by nobody.
        options.map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_release(|connection, _| {
                Box::pin(async move {
                    connection.ping().await?;
                    Ok(planted!(BrokenConnectionKept) || !connection.is_in_transaction())
                })
            })
        });
    }
    options.map_sqlx_sqlite_opts(move |o| {
        let o = o
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(400)
            .pragma("cache_size", "-16384")
            // In pages. Pages that are written over and over are moved to the file less often.
            .pragma("wal_autocheckpoint", "4000");
        if read_only { o.pragma("query_only", "ON") } else { o }
    });
    options
}

/// How long a statement waits for a lock that is to stand by itself or not at all. Longer than another such
/// statement takes; short, since all claims wait meanwhile.
const WAITS_FOR_NOBODY: &str = "20ms";

/// Connections for those who follow at most.
const WATCHERS: u32 = 2;

/// After that nobody waits for a follower's or a group's connection.
const GONE: Duration = Duration::from_secs(2);

fn watching(mut options: ConnectOptions) -> ConnectOptions {
    options.acquire_timeout(GONE);
    with_few(options)
}

/// Options of a pool of few connections, whose work may be given up.
fn with_few(mut options: ConnectOptions) -> ConnectOptions {
    options.min_connections(0).connect_lazy(true);
    // What was given up leaves a connection on which the answer may never come, as from a machine that has
    // vanished. Without a limit it would never be free again.
    options.map_sqlx_postgres_pool_opts(|pool| {
        pool.after_release(|connection, _| {
            Box::pin(async move {
                let answers = tokio::time::timeout(GONE, connection.ping()).await;
                answers.unwrap_or(Err(sea_orm::sqlx::Error::PoolTimedOut)).map(|()| true)
            })
        })
    });
    options
}

fn postgres_options(url: &str, connections: u32, more: &[(&'static str, &'static str)]) -> ConnectOptions {
    let more = more.to_vec();
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).min_connections(1).sqlx_logging(false);
    options.acquire_timeout(Duration::from_secs(10));
    options.map_sqlx_postgres_opts(move |o| {
        o.options([
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "30s"),
            ("synchronous_commit", if planted!(LazyCommit) { "off" } else { "on" }),
            ("jit", "off"),
        ])
        .options(more.iter().copied())
    });
    options
}

async fn version_of_sqlite(connection: &DatabaseConnection) -> Result<(u32, u32, u32), StoreError> {
    let statement = Statement::from_string(Dialect::Sqlite.backend(), "SELECT sqlite_version() AS version");
    let row = connection.query_one_raw(statement).await.map_err(|e| StoreError::from_db(Dialect::Sqlite, &e))?;
    let text: String = write::column(&row.ok_or_else(|| StoreError::corrupt("version"))?, "version")?;
    let mut parts = text.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    Ok((next(), next(), next()))
}
