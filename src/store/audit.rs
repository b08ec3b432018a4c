//! Audit entries: one for each new version of a record, written in the transaction that made it,
//! and put in one gapless order afterwards.
//!
//! Writers do not chain anything, so nothing queues up behind the log. A sequencer, one at a time,
//! gives contiguous numbers to entries that are below every running transaction, keeps the tree's
//! frontier, and signs its head.

use super::claims::NewClaim;
use super::dialect::Column::{Int, Text};
use super::dialect::Dialect;
use super::error::StoreError;
use super::ledger::Pledge;
use super::rows::batch;
use super::write::{Command, Tx, column};
use super::{Author, Store};
use crate::audit::signing::{Head, SigningKey};
use crate::audit::tree::{Accumulator, Hash, leaf_hash};
use crate::audit::{FIRST_SEQUENCE, Leaf, State, state};
use crate::domain::calendar::Moment;
use crate::domain::claim::ClaimLine;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::ids::{ClaimId, DeliveryId, OrganizationId, UserId};
use crate::domain::need::Need;
use sea_orm::FromQueryResult;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// A record's new version, before it is known who made it and when.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub action: &'static str,
    pub subject: String,
    pub version: i64,
    pub state: State,
}

pub(super) fn need_entry(need: &Need, action: &'static str) -> Entry {
    Entry {
        action,
        subject: need.id.to_string(),
        version: need.version,
        state: state([
            ("area", need.area.to_string().into()),
            ("program", need.program.to_string().into()),
            ("item", need.item.to_string().into()),
            ("periodStart", need.period.start.to_string().into()),
            ("periodEnd", need.period.end.to_string().into()),
            ("required", need.counters.required().get().into()),
            ("reserved", need.counters.reserved().get().into()),
            ("delivered", need.counters.delivered().get().into()),
            ("severity", i64::from(need.severity.get()).into()),
            ("status", need.status.word().into()),
        ]),
    }
}

pub(super) fn line_entry(line: &ClaimLine, action: &'static str) -> Entry {
    Entry {
        action,
        subject: line.id.to_string(),
        version: line.version,
        state: state([
            ("claim", line.claim.to_string().into()),
            ("need", line.need.to_string().into()),
            ("quantity", line.quantity.get().into()),
            ("scheduled", line.scheduled.get().into()),
            ("delivered", line.delivered.get().into()),
            ("status", line.status.word().into()),
            ("expiresAt", line.expires_at.map(|m| m.0).into()),
        ]),
    }
}

pub(super) fn offer_entry(offer: &Pledge, action: &'static str) -> Entry {
    Entry {
        action,
        subject: offer.id.to_string(),
        version: offer.version,
        state: state([
            ("organization", offer.organization.to_string().into()),
            ("item", offer.item.to_string().into()),
            ("quantity", offer.quantity.get().into()),
            ("claimed", offer.claimed.get().into()),
        ]),
    }
}

pub(super) fn claim_entry(id: ClaimId, claim: &NewClaim, renewals: i64, version: i64, action: &'static str) -> Entry {
    Entry {
        action,
        subject: id.to_string(),
        version,
        state: state([
            ("organization", claim.organization.to_string().into()),
            ("executor", claim.executor.to_string().into()),
            ("offer", claim.offer.map(|o| o.to_string()).into()),
            ("opening", claim.opening.into()),
            ("renewals", renewals.into()),
        ]),
    }
}

pub(super) fn delivery_entry(
    id: DeliveryId,
    claim: ClaimId,
    status: DeliveryStatus,
    lines: &[crate::domain::delivery::DeliveryLine],
    version: i64,
    action: &'static str,
) -> Entry {
    let lines: Vec<State> = lines
        .iter()
        .map(|l| {
            state([
                ("line", l.line.to_string().into()),
                ("quantity", l.quantity.get().into()),
                ("accepted", l.answer.map(|(a, _)| a.get()).into()),
                ("rejected", l.answer.map(|(_, r)| r.get()).into()),
            ])
        })
        .collect();
    Entry {
        action,
        subject: id.to_string(),
        version,
        state: state([("claim", claim.to_string().into()), ("status", status.word().into()), ("lines", lines.into())]),
    }
}

/// A commitment to words that people wrote, which may name a person: the words and the salt stay
/// in their own row and can be erased there, while the log keeps verifying.
pub(super) fn commitment(salt: &[u8; 16], words: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(words.as_bytes());
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// How an author is written in the log: by number, never by name.
fn author_text(author: Author) -> String {
    author.map_or_else(|| "system".to_owned(), |user: UserId| user.to_string())
}

/// Rows of one insert statement: bounds the size of one parameter.
const CHUNK: usize = 2_000;

pub(super) async fn append(tx: &mut Tx, now: Moment, author: Author, entries: Vec<Entry>) -> Result<(), StoreError> {
    let actor = author_text(author);
    let columns = [("subject", Text), ("version", Int), ("action", Text), ("leaf", Text)];
    let sql = format!(
        "INSERT INTO audit_entry (subject, version, at, actor, action, leaf)
         SELECT subject, version, CAST($2 AS BIGINT), CAST($3 AS TEXT), action, leaf FROM {}",
        tx.dialect.rows("$1", &columns)
    );
    for chunk in entries.chunks(CHUNK) {
        let rows = batch(chunk, |e| {
            let leaf = Leaf {
                at: now.0,
                actor: actor.clone(),
                action: e.action.to_owned(),
                subject: e.subject.clone(),
                version: e.version,
                state: e.state.clone(),
            };
            let leaf = String::from_utf8(leaf.to_bytes()).unwrap_or_default();
            json!({"subject": e.subject, "version": e.version, "action": e.action, "leaf": leaf})
        });
        tx.run(&sql, [rows, now.0.into(), actor.as_str().into()]).await?;
    }
    Ok(())
}

/// One entry as the trail shows it.
#[derive(Debug, Clone, FromQueryResult)]
pub struct AuditRow {
    pub id: i64,
    pub sequence: Option<i64>,
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub subject: String,
}

/// A signed head of the log.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub head: Head,
    pub signature: String,
}

#[derive(FromQueryResult)]
struct HeadRow {
    size: i64,
    root: Vec<u8>,
    at: i64,
    signature: String,
}

impl HeadRow {
    fn into_checkpoint(self) -> Result<Checkpoint, StoreError> {
        let root: Hash = self.root.try_into().map_err(|_| StoreError::corrupt("audit head"))?;
        let size = u64::try_from(self.size).map_err(|_| StoreError::corrupt("audit head"))?;
        Ok(Checkpoint { head: Head { size, root, at_micros: self.at }, signature: self.signature })
    }
}

/// Gives numbers to the entries that are ready for one, and signs the head.
#[derive(Clone)]
pub struct Sequence {
    pub key: Arc<SigningKey>,
    /// Sign even where the last head is younger than a second.
    pub sign_now: bool,
}

/// What a round of sequencing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequenced {
    /// Entries that got their number in this round.
    pub entries: usize,
    /// True where more may be waiting.
    pub more: bool,
}

#[derive(FromQueryResult)]
struct Pending {
    id: i64,
    xid: i64,
    subject: String,
    version: i64,
    leaf: String,
}

#[derive(FromQueryResult)]
struct LastOut {
    subject: String,
    version: Option<i64>,
}

/// Entries looked at in one round.
const ROUND: i64 = 5_000;

impl Command for Sequence {
    type Answer = Sequenced;

    async fn run(&self, tx: &mut Tx) -> Result<Sequenced, StoreError> {
        tx.take_your_time().await?;
        if tx.dialect == Dialect::Postgres {
            // "salur audit" as a number: one sequencer at a time among all replicas.
            let row = tx.one("SELECT pg_try_advisory_xact_lock(7310868735953199) AS mine", []).await?;
            let mine: bool = column(&row.ok_or_else(|| StoreError::corrupt("lock"))?, "mine")?;
            if !mine {
                return Ok(Sequenced { entries: 0, more: false });
            }
        }
        let now = tx.now().await?;
        let mut tree = load_tree(tx).await?;
        let mut most = ROUND;
        let (ready, looked_at) = loop {
            let pending = pending(tx, most).await?;
            let looked_at = pending.len();
            let ready = in_order(tx, pending).await?;
            // All of a full round is held back by something beyond it: look further.
            if ready.is_empty() && looked_at as i64 == most {
                most *= 4;
                continue;
            }
            break (ready, looked_at);
        };
        let mut numbered = Vec::with_capacity(ready.len());
        for entry in &ready {
            let sequence = tree.size() + FIRST_SEQUENCE;
            tree.push(leaf_hash(entry.leaf.as_bytes()));
            numbered.push((entry.id, sequence));
        }
        // The plus keeps SQLite from going over all unnumbered entries, with the batch read anew for each.
        let sql = format!(
            "UPDATE audit_entry SET sequence = r.sequence FROM {} WHERE audit_entry.id = r.id
             AND +audit_entry.sequence IS NULL",
            tx.dialect.rows("$1", &[("id", Int), ("sequence", Int)])
        );
        for chunk in numbered.chunks(CHUNK) {
            let rows = batch(chunk, |(id, sequence)| json!({"id": id, "sequence": sequence}));
            super::ledger::expect_rows(tx.run(&sql, [rows]).await?, chunk.len())?;
        }
        if !numbered.is_empty() {
            save_tree(tx, &tree).await?;
        }
        self.sign(tx, &tree, now).await?;
        Ok(Sequenced { entries: numbered.len(), more: looked_at as i64 == most })
    }
}

impl Sequence {
    async fn sign(&self, tx: &mut Tx, tree: &Accumulator, now: Moment) -> Result<(), StoreError> {
        let last: Option<HeadRow> =
            tx.all("SELECT size, root, at, signature FROM audit_head ORDER BY size DESC LIMIT 1", []).await?.pop();
        if let Some(last) = last {
            let young = now.0 - last.at < 1_000_000;
            if last.size as u64 == tree.size() || (young && !self.sign_now) {
                return Ok(());
            }
        }
        let head = Head { size: tree.size(), root: tree.root(), at_micros: now.0 };
        let signature = self.key.sign_head(&head);
        tx.run(
            "INSERT INTO audit_head (size, root, at, signature) VALUES ($1, $2, $3, $4)",
            [(head.size as i64).into(), head.root.to_vec().into(), head.at_micros.into(), signature.into()],
        )
        .await
        .map(|_| ())
    }
}

/// Unnumbered entries that no running transaction can still come before, in the order of their
/// transactions.
async fn pending(tx: &mut Tx, most: i64) -> Result<Vec<Pending>, StoreError> {
    let sql = match tx.dialect {
        Dialect::Postgres => {
            "SELECT id, xid::text::bigint AS xid, subject, version, leaf FROM audit_entry
             WHERE sequence IS NULL AND xid < pg_snapshot_xmin(pg_current_snapshot())
             ORDER BY xid, id LIMIT $1"
        }
        // One writer: ids are given in the order of commits, and each row may stand for itself.
        Dialect::Sqlite => {
            "SELECT id, id AS xid, subject, version, leaf FROM audit_entry WHERE sequence IS NULL ORDER BY id LIMIT $1"
        }
    };
    tx.all(sql, [most.into()]).await
}

/// Puts entries into an order in which every record's versions ascend.
///
/// The order of transaction ids is not the order in which they took their locks: one that began
/// early may have waited for another. So a transaction's entries are held back until the previous
/// version of every record it touches is out.
async fn in_order(tx: &mut Tx, pending: Vec<Pending>) -> Result<Vec<Pending>, StoreError> {
    let mut subjects: Vec<&str> = pending.iter().map(|p| p.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let sql = format!(
        "SELECT r.subject, (SELECT max(a.version) FROM audit_entry a
         WHERE a.subject = r.subject AND a.sequence IS NOT NULL) AS version FROM {}",
        tx.dialect.rows("$1", &[("subject", Text)])
    );
    let mut out: HashMap<String, i64> = HashMap::new();
    for chunk in subjects.chunks(CHUNK) {
        let found: Vec<LastOut> = tx.all(&sql, [batch(chunk, |s| json!({"subject": s}))]).await?;
        out.extend(found.into_iter().filter_map(|l| Some((l.subject, l.version?))));
    }
    let mut waiting: Vec<Vec<Pending>> = Vec::new();
    for entry in pending {
        match waiting.last_mut() {
            Some(group) if group[0].xid == entry.xid => group.push(entry),
            _ => waiting.push(vec![entry]),
        }
    }
    let mut ready = Vec::new();
    loop {
        let mut held = Vec::new();
        let before = ready.len();
        for group in waiting {
            let fits = group.iter().all(|e| out.get(&e.subject).copied().unwrap_or(0) == e.version - 1)
                || versions_follow(&group, &out);
            if fits {
                for entry in group {
                    out.insert(entry.subject.clone(), entry.version);
                    ready.push(entry);
                }
            } else {
                held.push(group);
            }
        }
        waiting = held;
        if waiting.is_empty() || ready.len() == before {
            return Ok(ready);
        }
    }
}

/// As the plain check, for a transaction that made several versions of one record.
fn versions_follow(group: &[Pending], out: &HashMap<String, i64>) -> bool {
    let mut last: HashMap<&str, i64> = HashMap::new();
    group.iter().all(|e| {
        let known = last.get(e.subject.as_str()).copied().or_else(|| out.get(&e.subject).copied()).unwrap_or(0);
        last.insert(&e.subject, e.version);
        known == e.version - 1
    })
}

async fn load_tree(tx: &mut Tx) -> Result<Accumulator, StoreError> {
    let sql = format!("SELECT size, frontier FROM audit_tree WHERE id = 1{}", tx.dialect.lock());
    let row = tx.one(&sql, []).await?.ok_or_else(|| StoreError::corrupt("audit tree"))?;
    let size: i64 = column(&row, "size")?;
    let bytes: Vec<u8> = column(&row, "frontier")?;
    let frontier = bytes.chunks(32).map(Hash::try_from).collect::<Result<Vec<Hash>, _>>();
    let frontier = frontier.map_err(|_| StoreError::corrupt("audit tree"))?;
    let size = u64::try_from(size).map_err(|_| StoreError::corrupt("audit tree"))?;
    Accumulator::from_parts(size, frontier).map_err(|_| StoreError::corrupt("audit tree"))
}

async fn save_tree(tx: &mut Tx, tree: &Accumulator) -> Result<(), StoreError> {
    let (size, frontier) = tree.to_parts();
    tx.run(
        "UPDATE audit_tree SET size = $1, frontier = $2 WHERE id = 1",
        [(size as i64).into(), frontier.concat().into()],
    )
    .await
    .map(|_| ())
}

#[derive(FromQueryResult)]
struct LeafRow {
    leaf: String,
}

impl Store {
    /// The entries of one record, oldest first, after the given one.
    pub async fn audit_trail(&self, subject: &str, after: i64, most: i64) -> Result<Vec<AuditRow>, StoreError> {
        self.read_all(
            "SELECT id, sequence, at, actor, action, subject FROM audit_entry
             WHERE subject = $1 AND version > $2 ORDER BY version LIMIT $3",
            [subject.into(), after.into(), most.into()],
        )
        .await
    }

    /// The latest signed head; `None` before the first.
    pub async fn audit_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let rows: Vec<HeadRow> =
            self.read_all("SELECT size, root, at, signature FROM audit_head ORDER BY size DESC LIMIT 1", []).await?;
        rows.into_iter().next().map(HeadRow::into_checkpoint).transpose()
    }

    /// All signed heads, oldest first.
    pub async fn audit_heads(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let rows: Vec<HeadRow> =
            self.read_all("SELECT size, root, at, signature FROM audit_head ORDER BY size", []).await?;
        rows.into_iter().map(HeadRow::into_checkpoint).collect()
    }

    /// The exact bytes of the leaves after `sequence`, in order.
    pub async fn audit_leaves(&self, sequence: u64, most: i64) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows: Vec<LeafRow> = self
            .read_all(
                "SELECT leaf FROM audit_entry WHERE sequence > $1 ORDER BY sequence LIMIT $2",
                [(sequence as i64).into(), most.into()],
            )
            .await?;
        Ok(rows.into_iter().map(|r| r.leaf.into_bytes()).collect())
    }
}

pub(super) fn organization_entry(
    id: OrganizationId,
    category: &str,
    status: &str,
    aggregator: bool,
    version: i64,
    action: &'static str,
) -> Entry {
    Entry {
        action,
        subject: id.to_string(),
        version,
        state: state([("category", category.into()), ("status", status.into()), ("aggregator", aggregator.into())]),
    }
}

impl Store {
    /// How many entries there are, numbered or not.
    pub async fn audit_entries(&self) -> Result<u64, StoreError> {
        let row = self.read_one("SELECT count(*) AS entries FROM audit_entry", []).await?;
        let count: i64 = column(&row.ok_or_else(|| StoreError::corrupt("count"))?, "entries")?;
        u64::try_from(count).map_err(|_| StoreError::corrupt("count"))
    }
}
