//! Messages to people. One is written in the transaction that it tells of, so that it leaves exactly
//! where that is committed, and is then taken by whichever server is first.
//!
//! Taking one puts off its next attempt by a pause that is longer than an attempt may last. So nobody
//! else takes it meanwhile, and one whose server died is tried again. It is sent twice only where a
//! server died, or lost the database, between handing it over and writing that down.

use super::Store;
use super::error::StoreError;
use super::write::{Command, Tx, column};
use crate::domain::calendar::Moment;
use crate::domain::message::Message;
use crate::metrics::Outbox;
use sea_orm::FromQueryResult;
use serde_json::{Value, json};

/// The pause after the first attempt; each later one is twice as long, up to an hour.
const FIRST_PAUSE: i64 = 30;
const LONGEST_PAUSE: i64 = 3_600;
/// A message that nobody took in this time is given up.
const GIVE_UP: i64 = 86_400;
/// So long it is known that a message was sent, or was not.
const KEEP: i64 = 30 * 86_400;

/// A message that was taken, to be handed over now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    pub id: i64,
    pub recipient: String,
    pub created_at: Moment,
    /// `None`: a newer release wrote it.
    pub message: Option<Message>,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxState {
    Waiting,
    Sent,
    GivenUp,
}

/// A message as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: i64,
    pub recipient: String,
    pub kind: String,
    pub state: OutboxState,
    pub created_at: Moment,
    pub attempts: i64,
    /// When it is tried next, was sent or given up.
    pub at: Moment,
    /// `None` where it was sent, or a newer release wrote it.
    pub message: Option<Message>,
}

/// Removes what was written to somebody whose account is erased.
pub(super) async fn forget(tx: &mut Tx, recipient: &str) -> Result<(), StoreError> {
    tx.run("DELETE FROM outbox WHERE recipient = $1", [recipient.into()]).await.map(|_| ())
}

/// Writes a message into the outbox: it leaves once this transaction is committed.
pub async fn post(tx: &mut Tx, now: Moment, recipient: &str, message: &Message) -> Result<(), StoreError> {
    let kept = serde_json::to_value(message).map_err(|e| StoreError::Fault(format!("a message is not data: {e}")))?;
    let kind = kept["kind"].as_str().unwrap_or_default();
    tx.run(
        "INSERT INTO outbox (recipient, kind, parameters, state, created_at, at) VALUES ($1, $2, $3, 'WAITING', $4, $4)",
        [recipient.into(), kind.into(), kept["parameters"].to_string().into(), now.0.into()],
    )
    .await?;
    Ok(())
}

fn message(kind: &str, parameters: Option<&str>) -> Option<Message> {
    let parameters: Value = serde_json::from_str(parameters?).ok()?;
    serde_json::from_value(json!({"kind": kind, "parameters": parameters})).ok()
}

fn pause(attempts: i64) -> i64 {
    let doubled = u32::try_from(attempts).ok().and_then(|times| FIRST_PAUSE.checked_shl(times));
    doubled.filter(|pause| (FIRST_PAUSE..LONGEST_PAUSE).contains(pause)).unwrap_or(LONGEST_PAUSE)
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    recipient: String,
    kind: String,
    parameters: Option<String>,
    state: String,
    created_at: i64,
    attempts: i64,
    at: i64,
}

const COLUMNS: &str = "id, recipient, kind, parameters, state, created_at, attempts, at";

/// Gives up what has waited too long, and takes at most so many messages that are due.
#[derive(Debug, Clone, Copy)]
pub struct TakeMessages {
    pub most: i64,
}

/// What [`TakeMessages`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub messages: Vec<Posted>,
    pub given_up: u64,
}

impl Command for TakeMessages {
    type Answer = Taken;

    async fn run(&self, tx: &mut Tx) -> Result<Taken, StoreError> {
        let now = tx.now().await?;
        let given_up = tx
            .run(
                "UPDATE outbox SET state = 'GIVEN_UP', at = $1 WHERE state = 'WAITING' AND at <= $1 AND created_at <= $2",
                [now.0.into(), now.plus_seconds(-GIVE_UP).0.into()],
            )
            .await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE state = 'WAITING' AND at <= $1 ORDER BY at, id LIMIT $2{}",
            tx.dialect.lock_what_is_free()
        );
        let rows: Vec<Row> = tx.all(&sql, [now.0.into(), self.most.into()]).await?;
        for row in &rows {
            tx.run(
                "UPDATE outbox SET attempts = attempts + 1, at = $2 WHERE id = $1",
                [row.id.into(), now.plus_seconds(pause(row.attempts)).0.into()],
            )
            .await?;
        }
        let posted = |row: Row| Posted {
            message: message(&row.kind, row.parameters.as_deref()),
            id: row.id,
            recipient: row.recipient,
            created_at: Moment(row.created_at),
        };
        Ok(Taken { messages: rows.into_iter().map(posted).collect(), given_up })
    }
}

/// Writes down that a message was handed over, and forgets what it said; or that it never will be.
#[derive(Debug, Clone, Copy)]
pub struct SettleMessage {
    pub id: i64,
    pub sent: bool,
}

impl Command for SettleMessage {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let sql = if self.sent {
            "UPDATE outbox SET state = 'SENT', parameters = NULL, at = $2 WHERE id = $1 AND state <> 'SENT'"
        } else {
            "UPDATE outbox SET state = 'GIVEN_UP', at = $2 WHERE id = $1 AND state = 'WAITING'"
        };
        tx.run(sql, [self.id.into(), now.0.into()]).await?;
        Ok(())
    }
}

/// Forgets messages that are long past, sent or not.
#[derive(Debug, Clone, Copy)]
pub struct ForgetMessages;

impl Command for ForgetMessages {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let before = tx.now().await?.plus_seconds(-KEEP);
        tx.run("DELETE FROM outbox WHERE created_at <= $1", [before.0.into()]).await?;
        Ok(())
    }
}

impl Store {
    pub async fn has_due_messages(&self) -> Result<bool, StoreError> {
        let now = self.now().await?;
        let sql = "SELECT id FROM outbox WHERE state = 'WAITING' AND at <= $1 LIMIT 1";
        Ok(self.read_one(sql, [now.0.into()]).await?.is_some())
    }

    /// The oldest first; those that were sent only where `sent` says so.
    pub async fn outbox(&self, sent: bool) -> Result<Vec<OutboxRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE $1 = 1 OR state <> 'SENT' ORDER BY id");
        let rows: Vec<Row> = self.read_all(&sql, [i64::from(sent).into()]).await?;
        let seen = |row: Row| {
            Ok(OutboxRow {
                message: message(&row.kind, row.parameters.as_deref()),
                id: row.id,
                recipient: row.recipient,
                kind: row.kind,
                state: match row.state.as_str() {
                    "WAITING" => OutboxState::Waiting,
                    "SENT" => OutboxState::Sent,
                    "GIVEN_UP" => OutboxState::GivenUp,
                    _ => return Err(StoreError::corrupt("state")),
                },
                created_at: Moment(row.created_at),
                attempts: row.attempts,
                at: Moment(row.at),
            })
        };
        rows.into_iter().map(seen).collect()
    }

    /// How many messages wait, and for how long the oldest has.
    pub async fn outbox_lag(&self) -> Result<Outbox, StoreError> {
        let now = self.now().await?;
        let sql = "SELECT count(*) AS waiting, min(created_at) AS oldest FROM outbox WHERE state = 'WAITING'";
        let row = self.read_one(sql, []).await?.ok_or_else(|| StoreError::corrupt("outbox"))?;
        let oldest: Option<i64> = column(&row, "oldest")?;
        let seconds = oldest.map_or(0.0, |at| (now.0 - at).max(0) as f64 / 1e6);
        Ok(Outbox { waiting: column(&row, "waiting")?, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_half_a_minute_to_an_hour_and_stay_there() {
        let pauses: Vec<i64> = (0..9).map(pause).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!((pause(64), pause(i64::MAX)), (3_600, 3_600));
    }
}
