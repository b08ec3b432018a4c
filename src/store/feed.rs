//! Following the database: everything once, then every change, in the order of commits.
//!
//! PostgreSQL gives ids in the order in which statements run, not in which transactions commit, so
//! a cursor on the id alone loses rows. A follower therefore reads all rows it has not finished
//! with, and moves its cursor only over those below every running transaction. What it reads are
//! states, not deltas, so reading a row twice is harmless.

use super::Store;
use super::areas::AreaDigest;
use super::dialect::Dialect;
use super::error::StoreError;
use super::programs::{ITEM_COLUMNS, ItemRecord, PROGRAM_COLUMNS, ProgramRecord};
use super::rows::{NEED_COLUMNS, NeedRow};
use crate::domain::area::AreaCode;
use crate::domain::ids::AreaId;
use crate::domain::need::Need;
use crate::domain::program::{Item, Program};
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, FromQueryResult, IsolationLevel, Statement, TransactionOptions,
    TransactionTrait,
};

/// How far a follower has read. Opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    xid: i64,
    id: i64,
    edition: i64,
    programs: i64,
}

/// An area as it is stored.
#[derive(Debug, Clone)]
pub struct StoredArea {
    pub id: AreaId,
    pub code: AreaCode,
    pub generated: bool,
    pub digest: AreaDigest,
}

/// Everything a follower starts from, as of one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub programs: Vec<Program>,
    pub items: Vec<Item>,
    /// Ascending by code.
    pub areas: Vec<StoredArea>,
    pub needs: Vec<Need>,
    pub cursor: Cursor,
    /// The number of the latest edition of areas.
    pub edition: i64,
}

/// What has happened since a cursor.
#[derive(Debug)]
pub enum Feed {
    /// The needs that changed, as they stand now, and where to read on.
    Changes(Vec<Need>, Cursor),
    /// Areas or programs have changed, or the cursor is older than what is kept: start anew.
    StartAnew,
}

#[derive(FromQueryResult)]
struct AreaRecord {
    id: i64,
    code: String,
    name: String,
    label: Option<String>,
    lon: Option<f64>,
    lat: Option<f64>,
    geometry: Option<Vec<u8>>,
    shape_source: Option<String>,
    households: Option<i64>,
    poor_households: Option<i64>,
    bps_code: Option<String>,
}

#[derive(FromQueryResult)]
struct Marks {
    horizon: i64,
    id: i64,
    edition: i64,
    programs: i64,
    oldest: i64,
}

#[derive(FromQueryResult)]
struct ChangeRow {
    log_id: i64,
    xid: i64,
    id: i64,
    area_id: i64,
    program_id: i64,
    item_id: i64,
    period_start: String,
    period_end: String,
    required: i64,
    reserved: i64,
    delivered: i64,
    severity: i64,
    status: String,
    version: i64,
}

impl ChangeRow {
    fn into_need(self) -> Result<Need, StoreError> {
        NeedRow {
            id: self.id,
            area_id: self.area_id,
            program_id: self.program_id,
            item_id: self.item_id,
            period_start: self.period_start,
            period_end: self.period_end,
            required: self.required,
            reserved: self.reserved,
            delivered: self.delivered,
            severity: self.severity,
            status: self.status,
            version: self.version,
        }
        .into_need()
    }
}

/// Changes read in one go.
const MOST: i64 = 20_000;

fn marks_sql(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => {
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
             COALESCE((SELECT max(id) FROM change_log), 0) AS id,
             COALESCE((SELECT max(id) FROM edition), 0) AS edition,
             CAST(COALESCE((SELECT sum(version) FROM program), 0) + COALESCE((SELECT sum(version) FROM item), 0)
                 AS BIGINT) AS programs,
             COALESCE((SELECT min(id) FROM change_log), 0) AS oldest"
        }
        Dialect::Sqlite => {
            "SELECT 0 AS horizon, COALESCE((SELECT max(id) FROM change_log), 0) AS id,
             COALESCE((SELECT max(id) FROM edition), 0) AS edition,
             CAST(COALESCE((SELECT sum(version) FROM program), 0) + COALESCE((SELECT sum(version) FROM item), 0)
                 AS BIGINT) AS programs,
             COALESCE((SELECT min(id) FROM change_log), 0) AS oldest"
        }
    }
}

impl Store {
    async fn in_snapshot<T: FromQueryResult>(&self, tx: &DatabaseTransaction, sql: &str) -> Result<Vec<T>, StoreError> {
        let fail = |e: &sea_orm::DbErr| StoreError::from_db(self.dialect, e);
        let statement = Statement::from_string(self.dialect.backend(), sql);
        let rows = tx.query_all_raw(statement).await.map_err(|e| fail(&e))?;
        rows.iter().map(|r| T::from_query_result(r, "")).collect::<Result<_, _>>().map_err(|e| fail(&e))
    }

    /// Everything, as of one moment.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let options = match self.dialect {
            Dialect::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                sqlite_transaction_mode: None,
            },
            Dialect::Sqlite => TransactionOptions::default(),
        };
        let tx = self.reader.begin_with_options(options).await;
        let tx = tx.map_err(|e| StoreError::from_db(self.dialect, &e))?;
        if self.dialect == Dialect::Postgres {
            let lifted = tx.execute_unprepared("SET LOCAL statement_timeout = 0").await;
            lifted.map_err(|e| StoreError::from_db(self.dialect, &e))?;
        }
        let marks: Vec<Marks> = self.in_snapshot(&tx, marks_sql(self.dialect)).await?;
        let marks = marks.into_iter().next().ok_or_else(|| StoreError::corrupt("change log"))?;
        let programs: Vec<ProgramRecord> =
            self.in_snapshot(&tx, &format!("SELECT {PROGRAM_COLUMNS} FROM program ORDER BY key")).await?;
        let items: Vec<ItemRecord> =
            self.in_snapshot(&tx, &format!("SELECT {ITEM_COLUMNS} FROM item ORDER BY key")).await?;
        let areas: Vec<AreaRecord> = self
            .in_snapshot(
                &tx,
                "SELECT id, code, name, label, lon, lat, geometry, shape_source, households, poor_households, bps_code
                 FROM area",
            )
            .await?;
        let needs: Vec<NeedRow> = self.in_snapshot(&tx, &format!("SELECT {NEED_COLUMNS} FROM need")).await?;
        // Nothing was written; how the transaction ends does not matter.
        let _ = tx.rollback().await;
        let mut areas = areas
            .into_iter()
            .map(|a| {
                let code: AreaCode = a.code.parse().map_err(|_| StoreError::corrupt("area code"))?;
                let digest = AreaDigest {
                    code: a.code,
                    name: a.name,
                    label: a.label,
                    lon: a.lon,
                    lat: a.lat,
                    geometry: a.geometry,
                    households: a.households,
                    poor_households: a.poor_households,
                    bps_code: a.bps_code,
                };
                let generated = a.shape_source.as_deref() == Some("GENERATED");
                Ok(StoredArea { id: AreaId(a.id), code, generated, digest })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        // Sorted here and not by the database, whose collation may put dots elsewhere.
        areas.sort_by(|a, b| a.code.cmp(&b.code));
        Ok(Snapshot {
            programs: programs.into_iter().map(ProgramRecord::into_program).collect(),
            items: items.into_iter().map(ItemRecord::into_item).collect::<Result<_, _>>()?,
            areas,
            needs: needs.into_iter().map(NeedRow::into_need).collect::<Result<_, _>>()?,
            cursor: Cursor { xid: marks.horizon, id: marks.id, edition: marks.edition, programs: marks.programs },
            edition: marks.edition,
        })
    }

    /// What has happened since `cursor`.
    pub async fn changes_since(&self, cursor: Cursor) -> Result<Feed, StoreError> {
        let marks: Vec<Marks> = self.read_all(marks_sql(self.dialect), []).await?;
        let marks = marks.into_iter().next().ok_or_else(|| StoreError::corrupt("change log"))?;
        let pruned = marks.oldest > cursor.id + 1 && marks.id > cursor.id;
        let behind = marks.id < cursor.id || marks.horizon < cursor.xid;
        if marks.edition != cursor.edition || marks.programs != cursor.programs || pruned || behind {
            return Ok(Feed::StartAnew);
        }
        let needs = NEED_COLUMNS.replace(", ", ", n.");
        let rows: Vec<ChangeRow> = match self.dialect {
            Dialect::Postgres => {
                let sql = format!(
                    "SELECT c.id AS log_id, c.xid::text::bigint AS xid, n.{needs} FROM change_log c
                     JOIN need n ON n.id = c.need_id
                     WHERE c.xid >= CAST($1::text AS xid8) ORDER BY c.xid, c.id LIMIT $2"
                );
                self.read_all(&sql, [cursor.xid.to_string().into(), MOST.into()]).await?
            }
            Dialect::Sqlite => {
                let sql = format!(
                    "SELECT c.id AS log_id, 0 AS xid, n.{needs} FROM change_log c
                     JOIN need n ON n.id = c.need_id WHERE c.id > $1 ORDER BY c.id LIMIT $2"
                );
                self.read_all(&sql, [cursor.id.into(), MOST.into()]).await?
            }
        };
        let full = rows.len() as i64 == MOST;
        let mut next = cursor;
        let last_xid = rows.last().map(|r| r.xid);
        next.id = rows.iter().map(|r| r.log_id).max().unwrap_or(cursor.id).max(cursor.id);
        if self.dialect == Dialect::Postgres {
            // Below the horizon everything is settled and, unless the round was full, has been read.
            next.xid = if full { last_xid.unwrap_or(cursor.xid).min(marks.horizon) } else { marks.horizon };
            if full && next.xid == cursor.xid {
                return Ok(Feed::StartAnew);
            }
        }
        let needs = rows.into_iter().map(ChangeRow::into_need).collect::<Result<_, _>>()?;
        Ok(Feed::Changes(needs, next))
    }

    /// Forgets changes that every follower has long read. Followers that were away longer start anew.
    pub async fn prune_changes(&self, older_than_seconds: i64) -> Result<(), StoreError> {
        struct Prune(i64);
        impl super::Command for Prune {
            type Answer = ();
            async fn run(&self, tx: &mut super::Tx) -> Result<(), StoreError> {
                let now = tx.now().await?;
                let before = now.plus_seconds(-self.0);
                // The newest row stays: it tells followers how far the log has come.
                tx.run(
                    "DELETE FROM change_log WHERE at < $1 AND id < (SELECT max(id) FROM change_log)",
                    [before.0.into()],
                )
                .await
                .map(|_| ())
            }
        }
        self.execute(Prune(older_than_seconds)).await
    }
}
