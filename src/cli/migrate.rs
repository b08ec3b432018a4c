//! `salur migrate`

use super::database::{DatabaseFlags, cannot_open, connect, load, start_log};
use super::outcome::{Failure, show};
use crate::store::{StepState, Store, StoreError};
use clap::Args;

/// Bring the database's shape up to date, or say how it stands
#[derive(Debug, Args)]
#[command(after_help = "\
`salur serve` does the same when it starts, unless told --no-migrate. Of several at once, one works and the others wait.

Examples:
  salur migrate --status
  salur migrate
  salur migrate --to m20260301_000008_packs --database postgres://salur@db.example/salur")]
pub struct Migrate {
    /// Take the steps up to this one and none behind it
    #[arg(long, value_name = "STEP", conflicts_with = "status")]
    to: Option<String>,
    /// Print how each step stands and change nothing: taken, waiting, or of a newer release
    #[arg(long)]
    status: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

impl Migrate {
    pub async fn run(self) -> Result<(), Failure> {
        let settings = load(self.database.given())?;
        start_log(&settings, "warn", None)?;
        let store = connect(&settings, !self.status).await?;
        let said = if self.status { steps(&store).await } else { self.migrate(&store).await };
        said.map_err(|error| cannot_open(&settings, error))?.iter().try_for_each(|line| show(line))
    }

    async fn migrate(&self, store: &Store) -> Result<Vec<String>, StoreError> {
        let taken = store.migrate_to(self.to.as_deref()).await?;
        Ok(taken.iter().map(|step| format!("took {step}")).collect())
    }
}

async fn steps(store: &Store) -> Result<Vec<String>, StoreError> {
    let word = |state| match state {
        StepState::Taken => "taken  ",
        StepState::Waiting => "waiting",
        StepState::Newer => "newer  ",
    };
    Ok(store.steps().await?.iter().map(|step| format!("{} {}", word(step.state), step.name)).collect())
}
