//! The database that a command works on.

use super::outcome::Failure;
use crate::config::{Given, Settings};
use crate::store::{Store, StoreError, StoreOptions};
use crate::telemetry::{self, Traces};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Clone, Default, Args)]
pub struct DatabaseFlags {
    /// sqlite://FILE, or postgres://USER@HOST/NAME [default: sqlite://salur.db]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Where keys rest [default: beside the SQLite file, else the working directory]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl DatabaseFlags {
    pub fn given(&self) -> Given {
        Given { database: self.database.clone(), data_dir: self.data_dir.clone(), ..Given::default() }
    }

    /// Opens the database, brought up to date, for a command that writes no more log than it must.
    pub async fn open(&self) -> Result<(Store, Settings), Failure> {
        let settings = load(self.given())?;
        start_log(&settings, "warn", None)?;
        let store = open(&settings).await?;
        Ok((store, settings))
    }

    /// As [`DatabaseFlags::open`], for a command that changes nothing, not even the shape.
    pub async fn open_as_it_is(&self) -> Result<(Store, Settings), Failure> {
        let settings = load(self.given())?;
        start_log(&settings, "warn", None)?;
        let store = connect(&settings, false).await?;
        Ok((store, settings))
    }
}

pub fn load(given: Given) -> Result<Settings, Failure> {
    Settings::load(given).map_err(|e| Failure::usage(e.to_string()))
}

pub fn start_log(settings: &Settings, usual: &str, traces: Option<&Traces>) -> Result<(), Failure> {
    let format = if settings.log_json { telemetry::Format::Json } else { telemetry::Format::Text };
    let started = telemetry::start(settings.log.as_deref().unwrap_or(usual), format, traces);
    started.map_err(|e| Failure::usage(e.to_string()))
}

/// Opens the database as it stands. An SQLite file that is not there is made only where `create` says so.
pub async fn connect(settings: &Settings, create: bool) -> Result<Store, Failure> {
    let options = StoreOptions { create, ..StoreOptions::new(&settings.database) };
    Store::open(&options).await.map_err(|error| cannot_open(settings, error))
}

/// Opens the database, brought up to date.
pub async fn open(settings: &Settings) -> Result<Store, Failure> {
    let store = connect(settings, true).await?;
    store.migrate().await.map_err(|error| cannot_open(settings, error))?;
    Ok(store)
}

pub fn cannot_open(settings: &Settings, error: StoreError) -> Failure {
    let database = settings.database_shown();
    match error {
        StoreError::BadInput { .. } => Failure::usage(error.to_string()),
        StoreError::Illegal(why) => Failure::failed(format!("the database {database}: {why}")),
        StoreError::Unavailable(why) | StoreError::Fault(why) => Failure::failed(format!(
            "the database {database} cannot be opened: {why}; check that it is there, that you may write to it, and \
             its address"
        )),
        other => store_failure(settings, &other),
    }
}

/// What the store says, for people.
pub fn store_failure(settings: &Settings, error: &StoreError) -> Failure {
    let database = settings.database_shown();
    Failure::failed(match error {
        StoreError::Unavailable(why) => {
            format!("the database {database} is not available: {why}; repeat the command when it is back")
        }
        StoreError::Fault(why) => format!("{database}: {why}; nothing was changed, please report this"),
        other => other.to_string(),
    })
}
