//! Following the database: everything once, then every change.
//!
//! PostgreSQL gives ids in the order in which statements run, not in which transactions commit, so
//! a cursor on the id loses rows. A follower's cursor is therefore the snapshot of its last look:
//! new to it is exactly what that snapshot did not see ended and the present one does. A
//! transaction that stays open holds nothing back and is read once, when it has committed. What is
//! read are states, not deltas.
//!
//! Numbers of transactions mean something only within one life of one database; [`Cursor`] says
//! which that was, and any other calls for a new start.

use super::Store;
use super::areas::AreaDigest;
use super::bundle::FIRST_END;
use super::dialect::Dialect;
use super::error::StoreError;
use super::position::Seen;
use super::programs::{ITEM_COLUMNS, ItemRecord, PROGRAM_COLUMNS, ProgramRecord};
use super::rows::{NEED_COLUMNS, NeedRow, ids};
use super::write::column;
use crate::audit::tree::to_hex;
use crate::domain::area::AreaCode;
use crate::domain::calendar::Moment;
use crate::domain::ids::AreaId;
use crate::domain::need::Need;
use crate::domain::program::{Item, Program};
use crate::planted::planted;
use sea_orm::{
    AccessMode, ConnectionTrait, FromQueryResult, IsolationLevel, Statement, TransactionOptions, TransactionTrait,
    Value,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How far a follower has read, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub seen: Seen,
    /// The database's clock at that look.
    pub as_of: Moment,
    /// Which life of which database `seen` counts in, as a digest.
    pub life: String,
    /// Which database on which server was asked: see [`Dialect::incarnation`].
    pub incarnation: Arc<str>,
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

/// A part of everything, small enough to be held beside what is made of it.
#[derive(Debug)]
pub enum Piece {
    /// Comes first.
    Catalogue {
        programs: Vec<Program>,
        items: Vec<Item>,
        /// The number of the latest edition of areas.
        edition: i64,
        /// How many there are to come, about.
        areas: i64,
        needs: i64,
    },
    /// In no certain order.
    Areas(Vec<StoredArea>),
    /// After all areas, in no certain order.
    Needs(Vec<Need>),
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

impl AreaRecord {
    fn into_area(self) -> Result<StoredArea, StoreError> {
        let code: AreaCode = self.code.parse().map_err(|_| StoreError::corrupt("area code"))?;
        let digest = AreaDigest {
            code: self.code,
            name: self.name,
            label: self.label,
            lon: self.lon,
            lat: self.lat,
            geometry: self.geometry,
            households: self.households,
            poor_households: self.poor_households,
            bps_code: self.bps_code,
        };
        let generated = self.shape_source.as_deref() == Some("GENERATED");
        Ok(StoredArea { id: AreaId(self.id), code, generated, digest })
    }
}

#[derive(FromQueryResult)]
struct Sizes {
    areas: i64,
    needs: i64,
}

#[derive(FromQueryResult)]
struct Marks {
    seen: String,
    now: i64,
    epoch: String,
    life: String,
    standby: bool,
    incarnation: String,
    id: i64,
    edition: i64,
    programs: i64,
    oldest: i64,
}

impl Marks {
    fn into_cursor(self, store: &Store) -> Result<Cursor, StoreError> {
        if self.standby {
            return Err(StoreError::Unavailable("this server is a standby: it may be behind for ever".into()));
        }
        let mut life = to_hex(&Sha256::digest(format!("{}/{}", self.life, self.epoch)).into());
        life.truncate(16);
        Ok(Cursor {
            seen: self.seen.parse().map_err(|()| StoreError::corrupt("snapshot"))?,
            as_of: Moment(self.now + store.clock.offset_micros()),
            life,
            incarnation: self.incarnation.into(),
            id: self.id,
            edition: self.edition,
            programs: self.programs,
        })
    }
}

/// A look at the change log: the marks, and one new row, if any.
#[derive(FromQueryResult)]
struct Look {
    #[sea_orm(nested)]
    marks: Marks,
    needs: Option<String>,
    position: Option<i64>,
    imported: Option<i64>,
}

/// Whether everything may be read anew where the log calls for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Anew,
    Meanwhile,
}

/// Where a database is that does not know it yet.
#[derive(FromQueryResult)]
struct Elsewhere {
    #[expect(dead_code, reason = "that there is a row says it")]
    here: String,
}

/// Rows of the change log read at once; who has missed more is quicker in reading everything.
const MOST: i64 = 20_000;
/// Needs read in one statement, which has a time limit.
const NEEDS_AT_ONCE: usize = 5_000;
/// Changed needs that are read one by one; whoever has missed more, as after an import, is quicker in reading
/// everything.
const MOST_NEEDS: usize = 50_000;
/// Rows of one piece: shapes make areas large.
const AREAS_IN_PIECE: i64 = 5_000;
const NEEDS_IN_PIECE: i64 = 10_000;

/// What makes a PostgreSQL another one to its followers, and what fewer rights leave of it. After a
/// crash numbers of transactions that left no trace are given again: then statistics start anew,
/// too, even where only one process crashed and the server's start stays what it was.
pub(super) const LIFE: [&str; 2] = [
    "concat_ws('/', (SELECT system_identifier FROM pg_control_system()),
     CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
     (SELECT oid FROM pg_database WHERE datname = current_database()),
     extract(epoch FROM pg_postmaster_start_time()), (SELECT stats_reset FROM pg_stat_bgwriter))",
    "concat_ws('/', (SELECT oid FROM pg_database WHERE datname = current_database()),
     extract(epoch FROM pg_postmaster_start_time()), (SELECT stats_reset FROM pg_stat_bgwriter))",
];

/// The part of it that a copy does not share with its original and that no restart changes.
pub(super) fn home_sql(life: &str) -> String {
    let server = if life == LIFE[0] { "(SELECT system_identifier::text FROM pg_control_system())" } else { "'server'" };
    format!(
        "concat_ws('/', {server}, (SELECT oid FROM pg_database WHERE datname = current_database()),
         'change_log'::regclass::oid)"
    )
}

fn marks_sql(store: &Store) -> String {
    let (seen, now, life, standby) = match store.dialect {
        Dialect::Postgres => (
            "pg_current_snapshot()::text",
            "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
            // A table that was made anew, as by a restore in place, has another number.
            format!("concat_ws('/', {}, 'change_log'::regclass::oid)", store.life),
            "pg_is_in_recovery()",
        ),
        // One writer: ids are given in the order of commits and stand for transactions.
        Dialect::Sqlite => (
            "(SELECT '0:' || (COALESCE(max(id), 0) + 1) || ':' FROM change_log)",
            "CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000",
            "'file'".to_owned(),
            "FALSE",
        ),
    };
    let incarnation = store.dialect.incarnation();
    format!(
        "SELECT {seen} AS seen, {now} AS now, {life} AS life, {standby} AS standby, {incarnation} AS incarnation, (SELECT epoch FROM feed) AS epoch,
         COALESCE((SELECT max(id) FROM change_log), 0) AS id, COALESCE((SELECT min(id) FROM change_log), 0) AS oldest,
         COALESCE((SELECT max(id) FROM edition), 0) AS edition,
         CAST(COALESCE((SELECT sum(version) FROM program), 0) + COALESCE((SELECT sum(version) FROM item), 0)
             AS BIGINT) AS programs"
    )
}

impl Store {
    /// Reads on the followers' own connections, or in a transaction on one of them.
    async fn watch<T: FromQueryResult, const N: usize>(
        &self,
        on: &impl ConnectionTrait,
        sql: &str,
        values: [Value; N],
    ) -> Result<Vec<T>, StoreError> {
        let fail = |e: &sea_orm::DbErr| StoreError::from_db(self.dialect, e);
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        let rows = on.query_all_raw(statement).await.map_err(|e| fail(&e))?;
        rows.iter().map(|r| T::from_query_result(r, "")).collect::<Result<_, _>>().map_err(|e| fail(&e))
    }

    /// For a follower that starts anew, because the database may have been restored under it. Writes only
    /// where it was, and not where rights are missing: servers with different rights would move it to and fro.
    pub async fn arrive(&self) -> Result<(), StoreError> {
        if self.life != LIFE[0] || self.watch::<Elsewhere, 0>(&self.watcher, &self.away_sql(), []).await?.is_empty() {
            return Ok(());
        }
        let fail = |e| StoreError::from_db(self.dialect, &e);
        let tx = self.begin_migrating().await.map_err(|e| StoreError::from_db(self.dialect, &e))?;
        self.come_home(&tx).await.map_err(fail)?;
        tx.commit().await.map_err(fail)
    }

    /// Everything, as of one moment. For small databases: it is held in memory as a whole.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let (mut catalogue, mut areas, mut needs) = ((Vec::new(), Vec::new(), 0), Vec::new(), Vec::new());
        let (hand_over, mut pieces) = mpsc::channel(1);
        let taking = async {
            while let Some(piece) = pieces.recv().await {
                match piece {
                    Piece::Catalogue { programs, items, edition, .. } => catalogue = (programs, items, edition),
                    Piece::Areas(mut more) => areas.append(&mut more),
                    Piece::Needs(mut more) => needs.append(&mut more),
                }
            }
        };
        let (cursor, ()) = tokio::join!(self.read_everything(hand_over), taking);
        let cursor = cursor?;
        // Sorted here and not by the database, whose collation may put dots elsewhere.
        areas.sort_by(|a: &StoredArea, b| a.code.cmp(&b.code));
        let (programs, items, edition) = catalogue;
        Ok(Snapshot { programs, items, areas, needs, edition, cursor })
    }

    /// Hands over everything, as of one moment, piece by piece.
    pub async fn read_everything(&self, to: mpsc::Sender<Piece>) -> Result<Cursor, StoreError> {
        let take = async |piece| {
            let gone = |_| StoreError::Fault("nobody takes what is read any more".into());
            to.send(piece).await.map_err(gone)
        };
        let options = match self.dialect {
            Dialect::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                sqlite_transaction_mode: None,
            },
            Dialect::Sqlite => TransactionOptions::default(),
        };
        let tx = self.watcher.begin_with_options(options).await;
        let tx = tx.map_err(|e| StoreError::from_db(self.dialect, &e))?;
        if self.dialect == Dialect::Postgres {
            // Whoever waits here has a map that is followed meanwhile, or none yet.
            let lifted = tx.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'").await;
            lifted.map_err(|e| StoreError::from_db(self.dialect, &e))?;
        }
        let marks: Vec<Marks> = self.watch(&tx, &marks_sql(self), []).await?;
        let marks = marks.into_iter().next().ok_or_else(|| StoreError::corrupt("change log"))?;
        let cursor = marks.into_cursor(self)?;
        let programs: Vec<ProgramRecord> =
            self.watch(&tx, &format!("SELECT {PROGRAM_COLUMNS} FROM program ORDER BY key"), []).await?;
        let items: Vec<ItemRecord> =
            self.watch(&tx, &format!("SELECT {ITEM_COLUMNS} FROM item ORDER BY key"), []).await?;
        // The last ids tell about how many there are, and cost nothing.
        let last = "SELECT COALESCE((SELECT max(id) FROM area), 0) AS areas,
             COALESCE((SELECT max(id) FROM need), 0) AS needs";
        let sizes: Vec<Sizes> = self.watch(&tx, last, []).await?;
        let Sizes { areas, needs } = sizes.into_iter().next().ok_or_else(|| StoreError::corrupt("count"))?;
        take(Piece::Catalogue {
            programs: programs.into_iter().map(ProgramRecord::into_program).collect(),
            items: items.into_iter().map(ItemRecord::into_item).collect::<Result<_, _>>()?,
            edition: cursor.edition,
            areas,
            needs,
        })
        .await?;
        let sql =
            "SELECT id, code, name, label, lon, lat, geometry, shape_source, households, poor_households, bps_code
             FROM area WHERE id > $1 ORDER BY id LIMIT $2";
        let mut after = i64::MIN;
        loop {
            let rows: Vec<AreaRecord> = self.watch(&tx, sql, [after.into(), AREAS_IN_PIECE.into()]).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            take(Piece::Areas(rows.into_iter().map(AreaRecord::into_area).collect::<Result<_, _>>()?)).await?;
        }
        let sql = format!("SELECT {NEED_COLUMNS} FROM need WHERE id > $1 ORDER BY id LIMIT $2");
        let mut after = i64::MIN;
        loop {
            let rows: Vec<NeedRow> = self.watch(&tx, &sql, [after.into(), NEEDS_IN_PIECE.into()]).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            take(Piece::Needs(rows.into_iter().map(NeedRow::into_need).collect::<Result<_, _>>()?)).await?;
        }
        // Nothing was written; how the transaction ends does not matter.
        let _ = tx.rollback().await;
        Ok(cursor)
    }

    /// What has happened since `cursor`. One statement where nothing has. Commits whose needs the
    /// follower has `already` are not read again.
    pub async fn changes_since(
        &self,
        cursor: &Cursor,
        already: impl Fn(i64) -> bool + Send + Sync,
    ) -> Result<Feed, StoreError> {
        self.look(cursor, already, Patience::Anew).await
    }

    /// The same for a map that is going to be replaced, because everything is being read anew: other editions
    /// and programs do not matter to it, and what came in imports is left out, all of each.
    pub async fn changes_meanwhile(
        &self,
        cursor: &Cursor,
        already: impl Fn(i64) -> bool + Send + Sync,
    ) -> Result<Feed, StoreError> {
        self.look(cursor, already, Patience::Meanwhile).await
    }

    async fn look(
        &self,
        cursor: &Cursor,
        already: impl Fn(i64) -> bool + Send + Sync,
        patience: Patience,
    ) -> Result<Feed, StoreError> {
        let on_id = format!(
            "SELECT needs, xid::text::bigint AS position, imported FROM change_log
             WHERE id > {} AND $1::text || $2::text <> ''",
            cursor.id
        );
        let new = match self.dialect {
            Dialect::Postgres if planted!(CursorOnId) => on_id.as_str(),
            Dialect::Postgres => {
                "SELECT needs, xid::text::bigint AS position, imported FROM change_log WHERE xid >= CAST($1::text AS xid8)
                 UNION ALL
                 SELECT needs, xid::text::bigint, imported FROM change_log WHERE xid = ANY (CAST($2::text AS xid8[]))"
            }
            Dialect::Sqlite => {
                "SELECT needs, id AS position, imported FROM change_log WHERE id >= CAST($1 AS INTEGER) AND $2 = '{}'"
            }
        };
        // One statement sees by one snapshot: the marks and the rows belong together.
        let sql = format!(
            "SELECT m.*, c.* FROM ({}) m LEFT JOIN (SELECT needs, position, imported FROM ({new}) n LIMIT $3) c ON TRUE",
            marks_sql(self)
        );
        let values = [cursor.seen.end().to_string().into(), cursor.seen.running_text().into(), MOST.into()];
        let rows: Vec<Look> = self.watch(&self.watcher, &sql, values).await?;
        let full = rows.len() as i64 == MOST;
        let mut changed = BTreeSet::new();
        let mut marks = None;
        for look in rows {
            let left_out = patience == Patience::Meanwhile && look.imported == Some(1);
            if let Some(needs) = look.needs.filter(|_| !left_out && !look.position.is_some_and(&already)) {
                let needs: Vec<i64> = serde_json::from_str(&needs).map_err(|_| StoreError::corrupt("change log"))?;
                changed.extend(needs);
                if changed.len() > MOST_NEEDS {
                    return Ok(Feed::StartAnew);
                }
            }
            marks = Some(look.marks);
        }
        let marks = marks.ok_or_else(|| StoreError::corrupt("change log"))?;
        let pruned = marks.oldest > cursor.id + 1 && marks.id > cursor.id;
        let next = marks.into_cursor(self)?;
        let renewed = next.edition != cursor.edition || next.programs != cursor.programs;
        let other = next.life != cursor.life || renewed && patience == Patience::Anew;
        let back = next.id < cursor.id || next.seen.end() < cursor.seen.end();
        if other || back || pruned || full {
            return Ok(Feed::StartAnew);
        }
        let changed: Vec<i64> = changed.into_iter().collect();
        let mut needs = Vec::with_capacity(changed.len());
        let sql = format!("SELECT {NEED_COLUMNS} FROM need WHERE id {}", self.dialect.numbers("$1"));
        for chunk in changed.chunks(NEEDS_AT_ONCE) {
            let rows: Vec<NeedRow> = self.watch(&self.watcher, &sql, [ids(chunk.iter().copied())]).await?;
            needs.extend(rows.into_iter().map(NeedRow::into_need).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Feed::Changes(needs, next))
    }

    /// True where a hold has run out that nobody has swept: who looks before it writes lets an idle
    /// database rest.
    pub async fn has_due_holds(&self) -> Result<bool, StoreError> {
        let now = self.dialect.now();
        // The first entry of an index. Asked for any line that is due, a database may look at all lines.
        let sql = format!(
            "SELECT count(*) AS n FROM (SELECT min(expires_at) AS first FROM claim_line WHERE status = 'HELD'
                 UNION ALL {FIRST_END}) h WHERE first <= ({now})"
        );
        let row = self.read_one(&sql, [self.clock.offset_micros().into()]).await?;
        let row = row.ok_or_else(|| StoreError::corrupt("count"))?;
        Ok(column::<i64>(&row, "n")? > 0)
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
