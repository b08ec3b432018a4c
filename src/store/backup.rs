//! A copy of an SQLite database that is in use.

use super::dialect::Dialect;
use super::error::StoreError;
use super::{Store, connect};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr, Statement};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("PostgreSQL is backed up with its own tools: see docs/operations.md")]
    NotSqlite,
    #[error("{0} is there already; name a new file")]
    Exists(PathBuf),
    #[error("{0}: {1}; check the directory and its free space")]
    File(PathBuf, io::Error),
    #[error("{0}: {1}")]
    Copy(PathBuf, StoreError),
    #[error("the copy is not sound: {0}; the database itself may be damaged, check it with PRAGMA integrity_check")]
    Unsound(String),
}

impl Store {
    /// Writes the database, as it stands between two transactions, into a new file, checks it, and
    /// answers its size. Nobody is held up meanwhile. The file has its name only once it is complete,
    /// sound, and on disk.
    pub async fn back_up(&self, file: &Path) -> Result<u64, BackupError> {
        if self.dialect != Dialect::Sqlite {
            return Err(BackupError::NotSqlite);
        }
        if file.exists() {
            return Err(BackupError::Exists(file.to_owned()));
        }
        let mut partial = file.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Partial(partial.into());
        let fail = |error| BackupError::File(file.to_owned(), error);
        // It holds what the database holds, so that it is its owner's alone; SQLite fills an empty file.
        create_private(&partial.0).map_err(fail)?;
        let copy = |error: DbErr| BackupError::Copy(file.to_owned(), StoreError::from_db(Dialect::Sqlite, &error));
        let into = Statement::from_sql_and_values(
            Dialect::Sqlite.backend(),
            "VACUUM INTO $1",
            [partial.0.to_string_lossy().into_owned().into()],
        );
        self.writer.execute_raw(into).await.map_err(copy)?;
        let copied = open_copy(&partial.0).await.map_err(|error| BackupError::Copy(file.to_owned(), error))?;
        let problem = first_problem(&copied).await.map_err(copy)?;
        copied.close().await.map_err(copy)?;
        if let Some(problem) = problem {
            return Err(BackupError::Unsound(problem));
        }
        // SQLite does not wait for the disk here.
        File::open(&partial.0).and_then(|open| open.sync_all()).map_err(fail)?;
        fs::rename(&partial.0, file).map_err(fail)?;
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|open| open.sync_all()).map_err(fail)?;
        fs::metadata(file).map(|metadata| metadata.len()).map_err(fail)
    }
}

/// A file that does not stay under this name, whatever happens.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

async fn open_copy(path: &Path) -> Result<DatabaseConnection, StoreError> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=ro", path.display()));
    options.max_connections(1).sqlx_logging(false);
    connect(Dialect::Sqlite, options).await
}

async fn first_problem(copy: &DatabaseConnection) -> Result<Option<String>, DbErr> {
    let ask = async |sql: &str| copy.query_one_raw(Statement::from_string(Dialect::Sqlite.backend(), sql)).await;
    let found = ask("SELECT integrity_check AS problem FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
    if let Some(row) = found.await? {
        return row.try_get("", "problem").map(Some);
    }
    let orphan = ask("SELECT \"table\" AS orphan FROM pragma_foreign_key_check").await?;
    orphan
        .map(|row| row.try_get("", "orphan").map(|table: String| format!("a row of {table} lacks its parent")))
        .transpose()
}
