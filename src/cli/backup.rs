//! `salur backup`

use super::database::DatabaseFlags;
use super::outcome::{Failure, show};
use super::progress::Progress;
use crate::store::BackupError;
use clap::Args;
use std::path::PathBuf;

/// Copy an SQLite database into a new file, also while it is served
#[derive(Debug, Args)]
#[command(after_help = "\
The copy is checked, and has its name only once it is complete and on disk. It holds neither audit-key.pem, of which you
keep a copy apart, nor anything of PostgreSQL, which has tools of its own.

Example:
  salur backup city-2026-03-01.db --database sqlite:///var/lib/salur/city.db")]
pub struct Backup {
    /// A file that is not there yet
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseFlags,
}

impl Backup {
    pub async fn run(self) -> Result<(), Failure> {
        let (store, settings) = self.database.open_as_it_is().await?;
        let progress = Progress::new();
        progress.step("copying the database", 0);
        let written = store.back_up(&self.file).await;
        drop(progress);
        let bytes = written.map_err(|error| match error {
            BackupError::NotSqlite | BackupError::Exists(_) => Failure::usage(error.to_string()),
            other => Failure::failed(format!("{}: {other}", settings.database_shown())),
        })?;
        show(&format!("{}: {bytes} bytes, checked", self.file.display()))
    }
}
