//! The connection on which one statement is one transaction.
//!
//! It stays with whoever leads the claims from one group to the next: a pool would ask it twice each time
//! whether it is still there, and each of these exchanges costs as much as a tenth of a group. Where it is not
//! there any more the statement fails, and its claims are looked after one by one.

use super::batch::Parameter;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Postgres, Row as _};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, Value};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Without a pool on SQLite, where nobody asks for it.
#[derive(Clone, Default)]
pub(super) struct Swift {
    pool: Option<DatabaseConnection>,
    open: Arc<Mutex<Option<PoolConnection<Postgres>>>>,
}

impl Swift {
    pub fn new(pool: DatabaseConnection) -> Self {
        Swift { pool: Some(pool), open: Arc::default() }
    }

    /// Runs a statement to the end of its answer, which is where its transaction ends. A connection on which
    /// anything went wrong, or whose answer nobody waits for any longer, is given back to the pool, which looks
    /// at it before it is used again. Answers with the one row, and the transaction that it says in `xid`.
    pub async fn run(&self, sql: String, values: Vec<Parameter>) -> Result<(PgRow, i64), DbErr> {
        let fail = |error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)));
        let pool = self.pool.as_ref().ok_or_else(|| DbErr::Custom("there is no such connection".into()))?;
        let kept = self.open.lock().await.take();
        let mut connection = match kept {
            Some(connection) => connection,
            None => pool.get_postgres_connection_pool().acquire().await.map_err(fail)?,
        };
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for value in values {
            query = match value {
                Parameter::Numbers(numbers) => query.bind(numbers),
                Parameter::One(Value::BigInt(number)) => query.bind(number),
                Parameter::One(Value::String(text)) => query.bind(text),
                Parameter::One(other) => return Err(DbErr::Type(format!("{other:?} is not among what is sent so"))),
            };
        }
        let mut rows = query.fetch_all(&mut *connection).await.map_err(fail)?;
        // It was sent and may stand: what cannot be read is as good as no answer, and no refusal.
        let unread = |what: &str| fail(sqlx::Error::Protocol(format!("a statement's answer has no {what}")));
        let row = rows.pop().ok_or_else(|| unread("row"))?;
        let xid = row.try_get("xid").map_err(|_| unread("transaction"))?;
        *self.open.lock().await = Some(connection);
        Ok((row, xid))
    }

    /// True where a connection is kept open.
    pub fn is_connected(&self) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.get_postgres_connection_pool().size() > 0)
    }

    pub async fn close(&self) {
        drop(self.open.lock().await.take());
        if let Some(pool) = &self.pool
            && let Err(error) = pool.close_by_ref().await
        {
            tracing::warn!(%error, "a connection was not closed properly");
        }
    }
}
