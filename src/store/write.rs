//! Transactions: where they begin, how they are retried, and what happens after COMMIT.
//! Nobody else opens one.

use super::batch::Parameter;
use super::dialect::{Dialect, Trouble};
use super::error::StoreError;
use super::faults::{self, Fault, FaultStep, Faults};
use super::ledger::Done;
use super::{Commit, Store, position};
use crate::domain::calendar::Moment;
use crate::domain::need::Need;
use crate::metrics::{Metrics, Stopwatch};
use crate::planted::planted;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, FromQueryResult, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A change to the database, run as one transaction. It may be run again after a lost race, so
/// it has no effect outside the transaction it is given.
pub trait Command: Send + Sync + 'static {
    type Answer: Send + 'static;

    /// `Ok` commits, `Err` takes everything back.
    fn run(&self, tx: &mut Tx) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;

    /// How many callers' writes it carries.
    fn writes(&self) -> usize {
        1
    }
}

/// What callers ask of the store, and how it comes to its answer.
pub trait Request: Send + 'static {
    type Answer: Send + 'static;

    fn submit(self, store: &Store) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// In a transaction and a task of its own.
impl<C: Command> Request for C {
    type Answer = C::Answer;

    async fn submit(self, store: &Store) -> Result<C::Answer, StoreError> {
        store.execute_alone(self).await
    }
}

/// How often a transaction that lost a race is run again.
const RETRIES: u32 = 3;
/// A claim that has waited so long is not run again: its caller is to be told in time.
const PATIENCE: Duration = Duration::from_secs(15);

/// An open transaction.
pub struct Tx {
    inner: DatabaseTransaction,
    pub(super) dialect: Dialect,
    clock_offset: i64,
    /// The needs as they stand after this transaction, for those who follow.
    pub(super) changed: Vec<Need>,
    /// Areas, programs or very many needs have changed: followers read everything anew.
    pub(super) reload: bool,
    /// The number under which followers meet this transaction; see [`super::Seen`].
    pub(super) position: Option<i64>,
    conflict: bool,
    abandoned: bool,
    /// Lines whose hold has run out in this transaction.
    pub(super) expired: usize,
    faults: Faults,
    metrics: Metrics,
    written: Arc<AtomicU64>,
}

impl Tx {
    /// So many rows of an import more are written, for whoever watches it.
    pub(super) fn has_written(&self, rows: usize) {
        self.written.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// The database's clock. Taken after the locks: a claim that waited decides by the moment at
    /// which it got its turn.
    pub async fn now(&mut self) -> Result<Moment, StoreError> {
        let sql = self.dialect.now_for_writing();
        let row = self.one(sql, [self.clock_offset.into()]).await?.ok_or_else(|| StoreError::corrupt("clock"))?;
        Ok(Moment(column(&row, "now")?))
    }

    /// The same, with a number that is looked up by the way.
    pub(super) async fn now_and(&mut self, beside: &str) -> Result<(Moment, Option<i64>), StoreError> {
        let sql = self.dialect.now_and(beside);
        let row = self.one(&sql, [self.clock_offset.into()]).await?.ok_or_else(|| StoreError::corrupt("clock"))?;
        Ok((Moment(column(&row, "now")?), column(&row, "beside")?))
    }

    pub async fn run<const N: usize>(&mut self, sql: &str, values: [Value; N]) -> Result<u64, StoreError> {
        self.run_with(sql, values).await
    }

    pub(super) async fn run_with(
        &mut self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, StoreError> {
        self.stumble()?;
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        let result = self.inner.execute_raw(statement).await;
        Ok(self.judge(result)?.rows_affected())
    }

    pub async fn one<const N: usize>(
        &mut self,
        sql: &str,
        values: [Value; N],
    ) -> Result<Option<QueryResult>, StoreError> {
        self.one_with(sql, values).await
    }

    pub(super) async fn one_with(
        &mut self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<QueryResult>, StoreError> {
        self.stumble()?;
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        let result = self.inner.query_one_raw(statement).await;
        self.judge(result)
    }

    pub async fn all<T: FromQueryResult, const N: usize>(
        &mut self,
        sql: &str,
        values: [Value; N],
    ) -> Result<Vec<T>, StoreError> {
        self.all_with(sql, values).await
    }

    pub(super) async fn all_with<T: FromQueryResult>(
        &mut self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<T>, StoreError> {
        self.stumble()?;
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        let result = self.inner.query_all_raw(statement).await;
        let rows = self.judge(result)?;
        let read: Result<Vec<T>, DbErr> = rows.iter().map(|row| T::from_query_result(row, "")).collect();
        self.judge(read)
    }

    /// What a book has come to, for those who follow.
    pub(super) fn did(&mut self, done: Done) {
        self.expired += done.expired;
        self.changed.extend(done.needs);
    }

    /// What the clock is moved by.
    pub(super) fn clock_offset(&self) -> i64 {
        self.clock_offset
    }

    /// The id that an `INSERT … RETURNING id` answers with.
    pub async fn insert<const N: usize>(&mut self, sql: &str, values: [Value; N]) -> Result<i64, StoreError> {
        let row = self.one(sql, values).await?.ok_or_else(|| StoreError::Fault("an insert returned no row".into()))?;
        column(&row, "id")
    }

    /// Nothing of this transaction shall stay, although it has an answer: a dry run.
    pub fn abandon(&mut self) {
        self.abandoned = true;
    }

    /// Lifts the time limit for this transaction: imports take as long as they take.
    pub async fn take_your_time(&mut self) -> Result<(), StoreError> {
        if self.dialect == Dialect::Postgres {
            self.run("SET LOCAL statement_timeout = 0", []).await?;
        }
        Ok(())
    }

    /// Tells PostgreSQL how large its tables have become. Within one transaction that fills empty
    /// tables nobody else does, and plans from when they were empty read whole tables ever after. For
    /// the same reason tables that are still empty are left out: unasked, PostgreSQL takes it that an
    /// empty table will grow.
    pub async fn refresh_plans(&mut self) -> Result<(), StoreError> {
        if self.dialect != Dialect::Postgres {
            return Ok(());
        }
        let tables = ["area", "need", "claim", "claim_line", "delivery", "delivery_line", "distribution", "overlap"];
        let filled = tables.map(|table| format!("CASE WHEN EXISTS (SELECT FROM {table}) THEN '{table}' END"));
        let sql = format!("SELECT concat_ws(', ', {}) AS filled", filled.join(", "));
        let row = self.one(&sql, []).await?.ok_or_else(|| StoreError::corrupt("list of tables"))?;
        let filled: String = column(&row, "filled")?;
        if !filled.is_empty() {
            self.run(&format!("ANALYZE {filled}"), []).await?;
        }
        Ok(())
    }

    fn stumble(&mut self) -> Result<(), StoreError> {
        self.metrics.stated();
        match self.faults.at(FaultStep::Statement) {
            Fault::None => Ok(()),
            fault => {
                self.conflict |= fault == Fault::Conflict;
                Err(faults::injected())
            }
        }
    }

    fn judge<T>(&mut self, result: Result<T, DbErr>) -> Result<T, StoreError> {
        result.map_err(|error| {
            self.conflict |= matches!(self.dialect.explain(&error), Trouble::Conflict | Trouble::Taken(_));
            StoreError::from_db(self.dialect, &error)
        })
    }
}

/// Reads one column, with our own error.
pub(super) fn column<T: sea_orm::TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    row.try_get("", name).map_err(|_| StoreError::corrupt(name))
}

/// A transaction that is one statement of PostgreSQL's: see [`super::batch::Writes::guarded`].
pub(super) struct Whole<A> {
    pub sql: String,
    pub values: Vec<Parameter>,
    /// How many callers' writes it carries.
    pub writes: usize,
    /// What it stands for.
    pub answer: A,
    /// The needs that it changes, as they stand after it.
    pub needs: Vec<Need>,
}

/// Such a transaction has stood.
pub(super) struct Stood {
    /// What it answered.
    pub row: PgRow,
    /// Started before it was sent.
    pub sent: Stopwatch,
}

pub(super) enum Attempt<A> {
    Done(A, Commit),
    /// COMMIT was sent and its answer never came: it stands for this, or nothing happened.
    Unknown(A, StoreError),
    Failed(StoreError),
    LostRace(StoreError),
}

impl Store {
    /// Sees a request through and answers after COMMIT, when followers inside this process have been told.
    /// A caller who goes away does not stop it half-way.
    ///
    /// After [`StoreError::Unavailable`] the outcome may be unknown: COMMIT may have been sent.
    pub async fn execute<R: Request>(&self, request: R) -> Result<R::Answer, StoreError> {
        request.submit(self).await
    }

    async fn execute_alone<C: Command>(&self, command: C) -> Result<C::Answer, StoreError> {
        let store = self.clone();
        let running = self.running.subscribe();
        let task = tokio::spawn(async move {
            let _running = running;
            let mut attempt = 0;
            loop {
                match store.attempt(&store.writer, &command).await {
                    Attempt::Done(answer, commit) => {
                        store.announce(&commit);
                        return Ok((answer, commit.position));
                    }
                    Attempt::Failed(error) | Attempt::Unknown(_, error) => return Err(error),
                    Attempt::LostRace(error) if attempt == RETRIES || planted!(NoSecondTry) => return Err(error),
                    Attempt::LostRace(_) => {
                        store.metrics.retried();
                        attempt += 1;
                        tokio::time::sleep(jitter(attempt)).await;
                    }
                }
            }
        });
        let (answer, position) =
            task.await.unwrap_or_else(|e| Err(StoreError::Fault(format!("a command stopped: {e}"))))?;
        position::note_commit(position);
        Ok(answer)
    }

    /// Runs a command that may be repeated as often as one likes, because its key makes a second time
    /// find the first: so an unknown outcome is a reason to run it again. `unknown` is told what a
    /// COMMIT stood for whose answer never came.
    pub(super) async fn repeat<C: Command>(
        &self,
        command: &C,
        mut unknown: impl FnMut(C::Answer) + Send,
    ) -> Result<(C::Answer, Option<i64>), StoreError> {
        let (mut attempt, begun) = (0, Stopwatch::start());
        loop {
            let error = match self.attempt(&self.writer, command).await {
                Attempt::Done(answer, commit) => {
                    self.announce(&commit);
                    return Ok((answer, commit.position));
                }
                Attempt::Failed(error) => return Err(error),
                Attempt::Unknown(answer, error) => {
                    unknown(answer);
                    error
                }
                Attempt::LostRace(error) => error,
            };
            if attempt == RETRIES || begun.elapsed() > PATIENCE || planted!(NoSecondTry) {
                return Err(error);
            }
            self.metrics.retried();
            attempt += 1;
            tokio::time::sleep(jitter(attempt)).await;
        }
    }

    /// On SQLite the write lock is taken at once: a transaction that reads before it writes would fail
    /// under load.
    pub(super) async fn begin_writing(&self, on: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            isolation_level: None,
            access_mode: None,
            sqlite_transaction_mode: (self.dialect == Dialect::Sqlite).then_some(SqliteTransactionMode::Immediate),
        };
        on.begin_with_options(options).await
    }

    pub(super) async fn attempt<C: Command>(&self, on: &DatabaseConnection, command: &C) -> Attempt<C::Answer> {
        let lost = |error: &DbErr| self.dialect.explain(error) == Trouble::Conflict;
        let inner = match self.begin_writing(on).await {
            Ok(inner) => inner,
            Err(e) if lost(&e) => return Attempt::LostRace(StoreError::from_db(self.dialect, &e)),
            Err(e) => return Attempt::Failed(StoreError::from_db(self.dialect, &e)),
        };
        let mut tx = Tx {
            inner,
            dialect: self.dialect,
            clock_offset: self.clock.offset_micros(),
            changed: Vec::new(),
            reload: false,
            position: None,
            conflict: false,
            abandoned: false,
            expired: 0,
            faults: self.faults.clone(),
            metrics: self.metrics.clone(),
            written: self.written.clone(),
        };
        match command.run(&mut tx).await {
            Ok(answer) if tx.abandoned => {
                let _ = tx.inner.rollback().await;
                Attempt::Done(answer, Commit::default())
            }
            Ok(answer) => {
                let commit = Commit { needs: tx.changed, reload: tx.reload, position: tx.position };
                let fault = self.faults.at(FaultStep::Commit);
                if matches!(fault, Fault::Lost | Fault::Conflict) {
                    let _ = tx.inner.rollback().await;
                    let error = faults::injected();
                    return if fault == Fault::Lost { Attempt::Failed(error) } else { Attempt::LostRace(error) };
                }
                if planted!(AnswerBeforeCommit) {
                    tokio::spawn(tx.inner.commit());
                    return Attempt::Done(answer, commit);
                }
                let expired = tx.expired;
                let started = Stopwatch::start();
                let committed = tx.inner.commit().await;
                if committed.is_ok() {
                    self.metrics.committed(command.writes(), started.elapsed());
                    self.metrics.expired(expired);
                }
                match committed {
                    Ok(()) if fault == Fault::AnswerLost => Attempt::Unknown(answer, faults::injected()),
                    Ok(()) => Attempt::Done(answer, commit),
                    Err(e) if lost(&e) => Attempt::LostRace(StoreError::from_db(self.dialect, &e)),
                    Err(e) => {
                        let error = StoreError::Unavailable(format!("COMMIT was sent, no answer came: {e}"));
                        Attempt::Unknown(answer, error)
                    }
                }
            }
            Err(error) => {
                // A failed rollback closes the connection, which takes everything back as well.
                let _ = if planted!(CommitOfTheFailed) { tx.inner.commit().await } else { tx.inner.rollback().await };
                if tx.conflict { Attempt::LostRace(error) } else { Attempt::Failed(error) }
            }
        }
    }

    /// Runs a transaction of one statement. A lost race has left nothing behind.
    pub(super) async fn attempt_at_once<A>(&self, whole: Whole<A>) -> Attempt<(A, Option<Stood>)> {
        let Whole { sql, values, writes, answer, needs } = whole;
        let mut fault = Fault::None;
        for step in [FaultStep::Statement, FaultStep::Commit] {
            match (self.faults.at(step), step) {
                (Fault::None, _) => {}
                (Fault::AnswerLost, FaultStep::Commit) => fault = Fault::AnswerLost,
                (Fault::Conflict, _) => return Attempt::LostRace(faults::injected()),
                (Fault::Lost | Fault::AnswerLost, _) => return Attempt::Failed(faults::injected()),
            }
        }
        self.metrics.stated();
        let sent = Stopwatch::start();
        let (row, xid) = match self.swift.run(sql, values).await {
            Ok(answered) => answered,
            Err(e) => {
                let error = StoreError::from_db(self.dialect, &e);
                return match self.dialect.explain(&e) {
                    Trouble::Conflict | Trouble::Taken(_) => Attempt::LostRace(error),
                    Trouble::Away => Attempt::Unknown((answer, None), error),
                    Trouble::Constraint(_) | Trouble::Other => Attempt::Failed(error),
                };
            }
        };
        self.metrics.stood_at_once(writes, sent.elapsed());
        if fault == Fault::AnswerLost {
            return Attempt::Unknown((answer, None), faults::injected());
        }
        let commit = Commit { needs, reload: false, position: Some(xid) };
        Attempt::Done((answer, Some(Stood { row, sent })), commit)
    }
}

/// 5 to 20 ms, then twice, then four times that, so that losers of one race do not meet again.
fn jitter(attempt: u32) -> Duration {
    let spread = u64::from(crate::random::byte()) * 15 / 255;
    Duration::from_millis((5 + spread) << (attempt - 1).min(4))
}
