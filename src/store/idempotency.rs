//! Requests that may be repeated: a key is written down with its effect, in one transaction, and
//! the same key answers with the same outcome for ever after.

use super::batch::{Batch, Cell, Kind, Writes};
use super::error::StoreError;
use super::write::{Tx, column};
use crate::domain::calendar::Moment;
use crate::domain::ids::{OrganizationId, UserId};
use crate::planted::planted;
use sea_orm::FromQueryResult;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Whose keys: an organisation's are shared by its members, everybody else has their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Organization(OrganizationId),
    User(UserId),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scope::Organization(id) => id.fmt(f),
            Scope::User(id) => id.fmt(f),
        }
    }
}

/// A request that carries a key of its caller's choice.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub scope: Scope,
    pub operation: &'static str,
    pub key: String,
    /// Over the normalised input values, not over the text of the request.
    pub fingerprint: [u8; 32],
}

impl Keyed {
    /// `normalised` holds the input's values in one fixed form.
    pub fn new(scope: Scope, operation: &'static str, key: String, normalised: &serde_json::Value) -> Self {
        let fingerprint = Sha256::digest(normalised.to_string().as_bytes()).into();
        let scope = if planted!(SharedKeys) { Scope::User(UserId(0)) } else { scope };
        Keyed { scope, operation, key, fingerprint }
    }

    pub(super) fn id(&self) -> KeyId {
        KeyId { scope: self.scope.to_string(), operation: self.operation, key: self.key.clone() }
    }
}

/// A key among all keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct KeyId {
    scope: String,
    operation: &'static str,
    key: String,
}

/// A key that has been used, and what it led to.
pub(super) struct Known {
    fingerprint: Vec<u8>,
    outcome: Option<String>,
}

impl Known {
    pub fn outcome_for(&self, keyed: &Keyed) -> Result<serde_json::Value, StoreError> {
        if self.fingerprint != keyed.fingerprint && !planted!(KeyIgnoresInput) {
            return Err(StoreError::KeyReused);
        }
        let outcome = self.outcome.as_deref().and_then(|text| serde_json::from_str(text).ok());
        outcome.ok_or_else(|| StoreError::corrupt("outcome"))
    }
}

#[derive(FromQueryResult)]
struct KnownRow {
    place: i64,
    fingerprint: Vec<u8>,
    outcome: Option<String>,
}

/// Those of the keys that have been used, by all that is committed now.
pub(super) async fn known<'a>(
    tx: &mut Tx,
    keys: impl Iterator<Item = &'a Keyed>,
) -> Result<HashMap<KeyId, Known>, StoreError> {
    let mut batch =
        Batch::new([("place", Kind::Int), ("scope", Kind::Plain), ("operation", Kind::Plain), ("key", Kind::Text)]);
    let keys: Vec<KeyId> = keys.map(Keyed::id).collect();
    for (place, id) in keys.iter().enumerate() {
        let key = id.key.as_str().into();
        batch.push([(place as i64).into(), id.scope.as_str().into(), id.operation.into(), key]);
    }
    let sql = |source: &str| {
        format!(
            "SELECT r.place, i.fingerprint, i.outcome FROM {source} JOIN idempotency i
             ON i.scope = r.scope AND i.operation = r.operation AND i.key = r.key"
        )
    };
    let rows: Vec<KnownRow> = tx.all_of_batch(&batch, sql).await?;
    let named = rows.into_iter().filter_map(|row| {
        let id = keys.get(usize::try_from(row.place).ok()?)?;
        Some((id.clone(), Known { fingerprint: row.fingerprint, outcome: row.outcome }))
    });
    Ok(named.collect())
}

/// Enters keys together with what they led to. Where one of them was used a moment ago the
/// transaction loses the race, and finds it when it is run again.
pub(super) fn enter_settled(writes: &mut Writes, mut settled: Vec<(&Keyed, serde_json::Value)>, now: Moment) {
    // In one order by all, so that two transactions never wait for each other's keys.
    settled.sort_by_cached_key(|(keyed, _)| keyed.id());
    let mut batch = Batch::new([
        ("scope", Kind::Plain),
        ("operation", Kind::Plain),
        ("key", Kind::Text),
        ("fingerprint", Kind::Bytes),
        ("outcome", Kind::Plain),
        ("created_at", Kind::Int),
    ]);
    for (keyed, outcome) in settled {
        batch.push([
            keyed.scope.to_string().into(),
            keyed.operation.into(),
            keyed.key.as_str().into(),
            Cell::Bytes(Some(keyed.fingerprint.to_vec())),
            outcome.to_string().into(),
            now.0.into(),
        ]);
    }
    let dialect = writes.dialect();
    let (insert, order) = (dialect.insert_many(), Batch::<6>::in_order(dialect));
    let sql = |source: &str| {
        format!(
            "{insert} INTO idempotency (scope, operation, key, fingerprint, outcome, created_at)
             SELECT r.scope, r.operation, r.key, r.fingerprint, r.outcome, r.created_at FROM {source}{order}"
        )
    };
    writes.add(&batch, sql);
}

/// What is known of a key.
pub(super) enum Standing {
    /// Never seen; it is ours now, and [`settle`] must follow.
    Fresh,
    /// The outcome that was stored with it.
    Settled(serde_json::Value),
}

/// Enters the key, or finds what it led to. A twin that is under way is waited for.
pub(super) async fn enter(tx: &mut Tx, keyed: &Keyed, now: Moment) -> Result<Standing, StoreError> {
    let scope = keyed.scope.to_string();
    let inserted = tx
        .run(
            "INSERT INTO idempotency (scope, operation, key, fingerprint, outcome, created_at)
             VALUES ($1, $2, $3, $4, NULL, $5) ON CONFLICT (scope, operation, key) DO NOTHING",
            [
                scope.as_str().into(),
                keyed.operation.into(),
                keyed.key.as_str().into(),
                keyed.fingerprint.to_vec().into(),
                now.0.into(),
            ],
        )
        .await?;
    if inserted == 1 {
        return Ok(Standing::Fresh);
    }
    let row = tx
        .one(
            "SELECT fingerprint, outcome FROM idempotency WHERE scope = $1 AND operation = $2 AND key = $3",
            [scope.as_str().into(), keyed.operation.into(), keyed.key.as_str().into()],
        )
        .await?
        .ok_or_else(|| StoreError::corrupt("idempotency key"))?;
    let fingerprint: Vec<u8> = column(&row, "fingerprint")?;
    if fingerprint != keyed.fingerprint {
        return Err(StoreError::KeyReused);
    }
    let outcome: Option<String> = column(&row, "outcome")?;
    let outcome = outcome.and_then(|text| serde_json::from_str(&text).ok());
    outcome.map(Standing::Settled).ok_or_else(|| StoreError::corrupt("outcome"))
}

/// Stores what the key led to.
pub(super) async fn settle(tx: &mut Tx, keyed: &Keyed, outcome: &serde_json::Value) -> Result<(), StoreError> {
    let touched = tx
        .run(
            "UPDATE idempotency SET outcome = $4 WHERE scope = $1 AND operation = $2 AND key = $3",
            [
                keyed.scope.to_string().into(),
                keyed.operation.into(),
                keyed.key.as_str().into(),
                outcome.to_string().into(),
            ],
        )
        .await?;
    super::ledger::expect_rows(touched, 1)
}

/// The id that a settled outcome names under `field`.
pub(super) fn settled_id(outcome: &serde_json::Value, field: &str) -> Result<i64, StoreError> {
    outcome.get(field).and_then(serde_json::Value::as_i64).ok_or_else(|| StoreError::corrupt("outcome"))
}
