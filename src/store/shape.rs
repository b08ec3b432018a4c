//! The database's shape: the steps that it has taken, and those that it is still to take.

use super::Store;
use super::dialect::Dialect;
use super::error::StoreError;
use crate::planted::planted;
use salur_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Statement};

/// A step of the database's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub name: String,
    pub state: StepState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    Taken,
    Waiting,
    /// Taken by a newer release, and unknown to this one.
    Newer,
}

impl Store {
    /// Brings the database's shape up to date. Of several servers that start at once one does it, and
    /// the others wait for it.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_to(None).await.map(drop)
    }

    /// As [`Store::migrate`], up to the step named `last` and no further. Answers the steps that were
    /// taken now.
    pub async fn migrate_to(&self, last: Option<&str>) -> Result<Vec<String>, StoreError> {
        let fail = |e: DbErr| StoreError::from_db(self.dialect, &e);
        let tx = self.begin_migrating().await.map_err(fail)?;
        let steps = self.steps_seen_by(&tx).await.map_err(fail)?;
        if is_ahead(&steps)? {
            return Ok(Vec::new());
        }
        let waiting = waiting_up_to(steps, last)?;
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        Migrator::up(&tx, Some(count)).await.map_err(fail)?;
        if last.is_none() {
            self.come_home(&tx).await.map_err(fail)?;
        }
        if planted!(NoCheck) && self.dialect == Dialect::Postgres {
            let _ = tx.execute_unprepared("ALTER TABLE need DROP CONSTRAINT IF EXISTS ck_need_counters").await;
        }
        tx.commit().await.map_err(fail)?;
        Ok(waiting)
    }

    /// All steps, in order, as they stand. Changes nothing.
    pub async fn steps(&self) -> Result<Vec<Step>, StoreError> {
        self.steps_seen_by(&self.reader).await.map_err(|e| StoreError::from_db(self.dialect, &e))
    }

    /// Refuses a database that this release cannot serve as it stands.
    pub async fn check_shape(&self) -> Result<(), StoreError> {
        let steps = self.steps().await?;
        if is_ahead(&steps)? {
            return Ok(());
        }
        waiting_up_to(steps, None)?.first().map_or(Ok(()), |step| {
            Err(StoreError::Illegal(format!("it has not taken {step} and what follows; run `salur migrate` first")))
        })
    }

    /// Takes the database's shape back to nothing. For rigs that prove the way back.
    pub async fn migrate_down(&self) -> Result<(), StoreError> {
        let fail = |e: DbErr| StoreError::from_db(self.dialect, &e);
        let tx = self.begin_migrating().await.map_err(fail)?;
        Migrator::down(&tx, None).await.map_err(fail)?;
        tx.commit().await.map_err(fail)
    }

    async fn steps_seen_by(&self, connection: &impl ConnectionTrait) -> Result<Vec<Step>, DbErr> {
        let read = async |sql: &str, column: &str| -> Result<Vec<String>, DbErr> {
            let rows = connection.query_all_raw(Statement::from_string(self.dialect.backend(), sql)).await?;
            rows.iter().map(|row| row.try_get("", column)).collect()
        };
        let book = match self.dialect {
            Dialect::Sqlite => "SELECT name FROM sqlite_schema WHERE name = 'seaql_migrations'",
            Dialect::Postgres => {
                "SELECT name FROM (SELECT to_regclass('seaql_migrations')::text AS name) s \
                WHERE name IS NOT NULL"
            }
        };
        let taken = match read(book, "name").await?.is_empty() {
            true => Vec::new(),
            false => read("SELECT version FROM seaql_migrations ORDER BY version", "version").await?,
        };
        let own: Vec<String> = Migrator::get_migration_files().iter().map(|step| step.name().to_owned()).collect();
        let newer: Vec<String> = taken.iter().filter(|name| !own.contains(name)).cloned().collect();
        let state = |name: &String| if taken.contains(name) { StepState::Taken } else { StepState::Waiting };
        let known = own.into_iter().map(|name| Step { state: state(&name), name });
        Ok(known.chain(newer.into_iter().map(|name| Step { name, state: StepState::Newer })).collect())
    }

    /// One transaction around all steps, which keeps every other migrating server out.
    pub(super) async fn begin_migrating(&self) -> Result<DatabaseTransaction, DbErr> {
        let tx = self.begin_writing(&self.writer).await?;
        if self.dialect == Dialect::Postgres {
            for sql in [
                "SET LOCAL lock_timeout = 0",
                "SET LOCAL statement_timeout = 0",
                // Any number but the sequencer's.
                "SELECT pg_advisory_xact_lock(7310868735953200)",
                // Whoever waits for a table makes all others wait behind: a step fails rather than that.
                "SET LOCAL lock_timeout TO DEFAULT",
            ] {
                tx.execute_unprepared(sql).await?;
            }
        }
        Ok(tx)
    }
}

/// True where a newer release has been here before: its steps are unknown to us, and ours are all
/// taken. Steps expand first, so we may serve beside it, until one says by its name that it contracts
/// what we still use.
fn is_ahead(steps: &[Step]) -> Result<bool, StoreError> {
    let of = |state| steps.iter().filter(move |step| step.state == state);
    let mut newer = of(StepState::Newer).peekable();
    if newer.peek().is_none() {
        return Ok(false);
    }
    if let Some(Step { name, .. }) = newer.find(|step| step.name.contains("_contract")) {
        return Err(StoreError::Illegal(format!("a newer release has taken {name}; serve with that one")));
    }
    of(StepState::Waiting).next().map_or(Ok(true), |Step { name, .. }| {
        Err(StoreError::Illegal(format!("another line of releases has been here: {name} is missing")))
    })
}

/// The steps to take so that `last` is the last one taken; all, where none is named.
fn waiting_up_to(steps: Vec<Step>, last: Option<&str>) -> Result<Vec<String>, StoreError> {
    let end = match last {
        None => steps.len(),
        Some(last) => {
            let found = steps.iter().position(|step| step.name == last);
            found.ok_or_else(|| StoreError::bad("step", format!("{last} is none of this release")))? + 1
        }
    };
    if let Some(beyond) = steps.get(end).filter(|step| step.state == StepState::Taken) {
        let name = &beyond.name;
        return Err(StoreError::Illegal(format!("{name} is taken already; the way back is a backup")));
    }
    Ok(steps.into_iter().take(end).filter(|step| step.state == StepState::Waiting).map(|step| step.name).collect())
}
