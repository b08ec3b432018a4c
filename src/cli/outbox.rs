//! `salur outbox`

use super::database::{DatabaseFlags, store_failure};
use super::outcome::{Failure, say, show};
use crate::store::{OutboxRow, OutboxState};
use clap::Args;

/// Show messages that were not sent, with their links, so that they can be handed over by hand
#[derive(Debug, Args)]
#[command(after_help = "\
Whoever has a link from here can use it in the recipient's place. Messages are forgotten after 30 days; what one said,
as soon as it was sent.

Examples:
  salur outbox
  salur outbox --all --database postgres://salur@db.example/salur")]
pub struct Outbox {
    /// Also those that were sent
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

impl Outbox {
    pub async fn run(self) -> Result<(), Failure> {
        let (store, settings) = self.database.open_as_it_is().await?;
        let messages = store.outbox(self.all).await.map_err(|e| store_failure(&settings, &e))?;
        if messages.is_empty() {
            say("no message waits");
        }
        messages.iter().try_for_each(|message| show(&shown(message)))
    }
}

/// A line about the message, then the message as mail programs show one.
fn shown(row: &OutboxRow) -> String {
    let OutboxRow { id, recipient, kind, state, created_at, attempts, at, message } = row;
    let state = match state {
        OutboxState::Waiting if *attempts == 0 => "waits".to_owned(),
        OutboxState::Waiting => format!("waits, tried {attempts} times, again at {at}"),
        OutboxState::Sent => format!("sent at {at}"),
        OutboxState::GivenUp => format!("given up at {at}, tried {attempts} times"),
    };
    let text = message.as_ref().map(|message| format!("{}\n", message.letter())).unwrap_or_default();
    format!("Message {id} of {created_at}, {kind}: {state}\nTo: {recipient}\n{text}")
}
