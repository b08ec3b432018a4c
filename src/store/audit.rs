//! Audit entries: one for each new version of a record, written in the transaction that made it,
//! and put in one gapless order afterwards.
//!
//! Entries are kept in packs: what one author did to one topic in one transaction, folded to what differs from
//! entry to entry ([`crate::audit::fold`]). Writers do not
//! chain anything, so nothing queues up behind the log. A sequencer gives contiguous numbers to the
//! entries of committed packs, keeps the tree's frontier, and signs its head.
//!
//! A pack gets its id when its transaction holds the locks of all records in it, and a transaction
//! that moves one of these records later draws its id after that commit. So wherever a pack is seen,
//! every pack it builds upon is seen too and has a smaller id: the packs seen at any moment, in
//! the order of their ids, are in an order in which they could have been made one after another.

use super::batch::{Batch, Kind, Writes};
use super::bundle::{FIRST, PLACES};
use super::chain::lines_of_needs;
use super::claims::NewClaim;
use super::dialect::Dialect;
use super::error::StoreError;
use super::ledger::Pledge;
use super::write::{Command, Tx, column};
use super::{Author, Store};
use crate::audit::fold::{each_leaf, fold, unfold};
use crate::audit::signing::{Head, SigningKey};
use crate::audit::tree::{Accumulator, Hash, leaf_hash};
use crate::audit::{FIRST_SEQUENCE, Leaf, LeafText, State, state, text_of};
use crate::domain::calendar::Moment;
use crate::domain::claim::ClaimLine;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::ids::{AreaId, ClaimId, DeliveryId, ItemId, NeedId, OrganizationId, ProgramId, UserId};
use crate::domain::need::Need;
use crate::planted::planted;
use sea_orm::FromQueryResult;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A record's new version, before it is known who made it and when.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub action: &'static str,
    pub subject: String,
    pub version: i64,
    /// In its canonical form.
    pub state: String,
    /// Where it is kept: the record itself, or the claim that moved it.
    topic: Option<ClaimId>,
}

impl Entry {
    pub fn new(action: &'static str, subject: String, version: i64, state: State) -> Self {
        Entry { action, subject, version, state: text_of(&state), topic: None }
    }

    /// The same, kept under the claim that moved the record.
    pub fn under(self, claim: Option<&ClaimId>) -> Self {
        Entry { topic: claim.copied().or(self.topic), ..self }
    }
}

// Needs and lines are nearly all of the log: their states are written without a detour.

pub(super) fn need_entry(need: &Need, action: &'static str) -> Entry {
    let mut state = StateText::new();
    state.id("area", AreaId::PREFIX, need.area.0).number("delivered", need.counters.delivered().get());
    // Only where there is one: what was written before there was such a right stays as it is.
    if let Some(until) = need.first_right_until {
        state.number("firstRightUntil", until.0);
    }
    state
        .id("item", ItemId::PREFIX, need.item.0)
        .text("periodEnd", &need.period.end.to_string())
        .text("periodStart", &need.period.start.to_string())
        .id("program", ProgramId::PREFIX, need.program.0)
        .number("required", need.counters.required().get())
        .number("reserved", need.counters.reserved().get())
        .number("severity", i64::from(need.severity.get()))
        .text("status", need.status.word());
    Entry { action, subject: need.id.to_string(), version: need.version, state: state.end(), topic: None }
}

pub(super) fn line_entry(line: &ClaimLine, action: &'static str) -> Entry {
    let mut state = StateText::new();
    state.id("claim", ClaimId::PREFIX, line.claim.0).number("delivered", line.delivered.get());
    match line.expires_at {
        Some(at) => state.number("expiresAt", at.0),
        None => state.null("expiresAt"),
    };
    state
        .id("need", NeedId::PREFIX, line.need.0)
        .number("quantity", line.quantity.get())
        .number("scheduled", line.scheduled.get())
        .text("status", line.status.word());
    Entry { action, subject: line.id.to_string(), version: line.version, state: state.end(), topic: Some(line.claim) }
}

/// A state in its canonical form, written field by field in the order of their names. Texts are our own words.
struct StateText(String);

impl StateText {
    fn new() -> Self {
        StateText(String::with_capacity(256))
    }

    fn name(&mut self, name: &str) {
        self.0.push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn number(&mut self, name: &str, number: i64) -> &mut Self {
        self.name(name);
        self.0.push_str(itoa::Buffer::new().format(number));
        self
    }

    fn null(&mut self, name: &str) -> &mut Self {
        self.name(name);
        self.0.push_str("null");
        self
    }

    fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.name(name);
        self.0.push('"');
        self.0.push_str(text);
        self.0.push('"');
        self
    }

    fn id(&mut self, name: &str, prefix: &str, number: i64) -> &mut Self {
        self.name(name);
        self.0.push('"');
        self.0.push_str(prefix);
        self.0.push('-');
        self.0.push_str(itoa::Buffer::new().format(number));
        self.0.push('"');
        self
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

pub(super) fn offer_entry(offer: &Pledge, action: &'static str) -> Entry {
    Entry::new(
        action,
        offer.id.to_string(),
        offer.version,
        state([
            ("organization", offer.organization.to_string().into()),
            ("item", offer.item.to_string().into()),
            ("quantity", offer.quantity.get().into()),
            ("claimed", offer.claimed.get().into()),
        ]),
    )
}

pub(super) fn claim_entry(id: ClaimId, claim: &NewClaim, renewals: i64, version: i64, action: &'static str) -> Entry {
    Entry::new(
        action,
        id.to_string(),
        version,
        state([
            ("organization", claim.organization.to_string().into()),
            ("executor", claim.executor.to_string().into()),
            ("offer", claim.offer.map(|o| o.to_string()).into()),
            ("opening", claim.opening.into()),
            ("renewals", renewals.into()),
        ]),
    )
    .under(Some(&id))
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
    Entry::new(
        action,
        id.to_string(),
        version,
        state([("claim", claim.to_string().into()), ("status", status.word().into()), ("lines", lines.into())]),
    )
    .under(Some(&claim))
}

/// A commitment to words that people wrote, which may name a person: the words and the salt stay
/// in their own row and can be erased there, while the log keeps verifying.
pub(super) fn commitment(salt: &[u8; 16], words: &str) -> String {
    let mut hasher = Sha256::new();
    if !planted!(UnsaltedWords) {
        hasher.update(salt);
    }
    hasher.update(words.as_bytes());
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// How an author is written in the log: by number, never by name.
fn author_text(author: Author) -> String {
    author.map_or_else(|| "system".to_owned(), |user: UserId| user.to_string())
}

/// Entries of one author about one topic, of one transaction; no record twice.
#[derive(Debug, Clone)]
pub(super) struct Pack {
    topic: String,
    at: Moment,
    entries: i64,
    /// Canonical leaves, [folded](crate::audit::fold).
    leaves: String,
    /// The last of them, as it is.
    last: String,
}

/// Entries of one pack at most: bounds what a reader of one record has to go through.
const PACK_SIZE: i64 = 100;

/// Puts entries into packs by topic, their order kept.
pub(super) fn pack(now: Moment, author: Author, entries: &[Entry]) -> Vec<Pack> {
    #[derive(PartialEq, Eq, Hash, Clone, Copy)]
    enum Topic<'a> {
        Claim(ClaimId),
        Record(&'a str),
    }
    let actor = author_text(author);
    let mut packs: Vec<Pack> = Vec::new();
    // The pack that each topic's next entry goes to, and the one that holds a record's last entry.
    let mut open: HashMap<Topic, usize> = HashMap::new();
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    for entry in entries {
        let subject = entry.subject.as_str();
        let topic = entry.topic.map_or(Topic::Record(subject), Topic::Claim);
        let known = open.get(&topic).copied().filter(|at| packs[*at].entries < PACK_SIZE);
        let at = known.filter(|at| last.get(subject) != Some(at)).unwrap_or_else(|| {
            let name = entry.topic.map_or_else(|| subject.to_owned(), |claim| claim.to_string());
            packs.push(Pack::new(name, now));
            open.insert(topic, packs.len() - 1);
            packs.len() - 1
        });
        last.insert(subject, at);
        packs[at].add(&actor, entry);
    }
    packs
}

/// Needs whose first entries share a pack where an import brings them: those of a hundred ids in a row.
const NEEDS_IN_PACK: i64 = 100;

/// What the first entry of a need that an import brought is kept under.
pub(super) fn topic_of_imported(need: NeedId) -> String {
    format!("needs-{}", need.0.div_euclid(NEEDS_IN_PACK))
}

/// Packs for new needs, ascending by id, and for the lines of the claim that holds their balances. One pack
/// for each of millions of needs would make the log dearer than all else.
pub(super) fn pack_imported(
    now: Moment,
    author: Author,
    action: &'static str,
    needs: &[Need],
    lines: &[ClaimLine],
) -> Vec<Pack> {
    let actor = author_text(author);
    let mut packs = Vec::new();
    for alike in needs.chunk_by(|a, b| a.id.0.div_euclid(NEEDS_IN_PACK) == b.id.0.div_euclid(NEEDS_IN_PACK)) {
        let mut pack = Pack::new(topic_of_imported(alike[0].id), now);
        alike.iter().for_each(|need| pack.add(&actor, &need_entry(need, action)));
        packs.push(pack);
    }
    for alike in lines.chunk_by(|a, b| a.claim == b.claim).flat_map(|of_claim| of_claim.chunks(PACK_SIZE as usize)) {
        let mut pack = Pack::new(alike[0].claim.to_string(), now);
        alike.iter().for_each(|line| pack.add(&actor, &line_entry(line, action)));
        packs.push(pack);
    }
    packs
}

impl Pack {
    fn new(topic: String, at: Moment) -> Pack {
        Pack { topic, at, entries: 0, leaves: String::new(), last: String::new() }
    }

    fn add(&mut self, actor: &str, entry: &Entry) {
        let leaf = LeafText {
            at: self.at.0,
            actor,
            action: entry.action,
            subject: &entry.subject,
            version: entry.version,
            state: &entry.state,
        };
        let mut text = String::with_capacity(self.last.len() + 8);
        leaf.write(&mut text);
        fold(&mut self.leaves, (self.entries > 0).then_some(&self.last), &text);
        self.entries += 1;
        self.last = text;
    }
}

/// Writes packs, in their order. The locks of all records in them are held.
pub(super) fn write(writes: &mut Writes, packs: &[Pack]) {
    let mut batch =
        Batch::new([("topic", Kind::Plain), ("at", Kind::Int), ("entries", Kind::Int), ("leaves", Kind::Plain)]);
    for pack in packs {
        batch.push([pack.topic.as_str().into(), pack.at.0.into(), pack.entries.into(), pack.leaves.as_str().into()]);
    }
    let (insert, order) = (writes.dialect().insert_many(), Batch::<4>::in_order(writes.dialect()));
    let sql = |source: &str| {
        format!(
            "{insert} INTO audit_pack (topic, at, entries, leaves) SELECT topic, at, entries, leaves FROM {source}{order}"
        )
    };
    writes.add(&batch, sql);
}

/// Packs and writes entries of one author.
pub(super) async fn append(tx: &mut Tx, now: Moment, author: Author, entries: Vec<Entry>) -> Result<(), StoreError> {
    let mut writes = Writes::new(tx.dialect);
    write(&mut writes, &pack(now, author, &entries));
    tx.write(writes).await
}

/// One entry as the trail shows it.
#[derive(Debug, Clone)]
pub struct AuditRow {
    pub sequence: Option<i64>,
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub subject: String,
    /// What the record was from then on: canonical JSON.
    pub state: String,
}

impl AuditRow {
    fn of(leaf: Leaf, sequence: Option<i64>) -> Self {
        let state = text_of(&leaf.state);
        AuditRow { sequence, at: leaf.at, actor: leaf.actor, action: leaf.action, subject: leaf.subject, state }
    }
}

/// A page of an area's history: its entries, and the place of the last of them where there are more.
#[derive(Debug, Clone)]
pub struct AreaHistory {
    pub entries: Vec<AuditRow>,
    pub more: Option<HistoryPlace>,
}

/// After which entry a page begins: the pack's id, and the place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryPlace {
    pub pack: i64,
    pub place: i64,
}

/// A signed head of the log.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub head: Head,
    pub signature: String,
}

impl Checkpoint {
    pub fn is_signed_by(&self, key: &SigningKey) -> bool {
        key.public_key().verify_head(&self.head, &self.signature).is_ok()
    }
}

#[derive(FromQueryResult)]
pub(super) struct HeadRow {
    size: i64,
    root: Vec<u8>,
    at: i64,
    signature: String,
}

impl HeadRow {
    pub fn into_checkpoint(self) -> Result<Checkpoint, StoreError> {
        let root: Hash = self.root.try_into().map_err(|_| StoreError::corrupt("audit head"))?;
        let size = u64::try_from(self.size).map_err(|_| StoreError::corrupt("audit head"))?;
        Ok(Checkpoint { head: Head { size, root, at_micros: self.at }, signature: self.signature })
    }
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
    leaves: String,
}

/// Packs numbered in one round.
const ROUND: i64 = 1_000;

/// Numbers for packs, worked out beforehand so that the transaction that writes them is short.
struct Sequence {
    /// The tree's size before.
    from: u64,
    tree: Accumulator,
    /// Packs and the numbers of their first entries.
    numbers: Vec<(i64, u64)>,
    key: Arc<SigningKey>,
    sign_now: bool,
}

impl Command for Sequence {
    /// False where another sequencer was faster: nothing was written.
    type Answer = bool;

    async fn run(&self, tx: &mut Tx) -> Result<bool, StoreError> {
        tx.take_your_time().await?;
        if tx.dialect == Dialect::Postgres {
            // "salur audit" as a number: one sequencer at a time among all replicas.
            let row = tx.one("SELECT pg_try_advisory_xact_lock(7310868735953199) AS mine", []).await?;
            let mine: bool = column(&row.ok_or_else(|| StoreError::corrupt("lock"))?, "mine")?;
            if !mine {
                return Ok(false);
            }
        }
        let now = tx.now().await?;
        let sql = format!("{TREE}{}", tx.dialect.lock());
        let tree = tx.all::<TreeRow, 0>(&sql, []).await?.pop().ok_or_else(|| StoreError::corrupt("audit tree"))?;
        if tree.into_tree()?.size() != self.from {
            return Ok(false);
        }
        let mut batch = Batch::new([("id", Kind::Int), ("first_sequence", Kind::Int)]);
        for (id, first) in &self.numbers {
            batch.push([(*id).into(), (*first as i64).into()]);
        }
        // The plus keeps SQLite from going over all unnumbered packs, with the batch read anew for each.
        let update = tx.dialect.update_many();
        let sql = |source: &str| {
            format!(
                "{update} audit_pack SET first_sequence = r.first_sequence FROM {source} WHERE audit_pack.id = r.id
                 AND +audit_pack.first_sequence IS NULL"
            )
        };
        super::ledger::expect_rows(tx.run_batch(&batch, sql).await?, batch.len())?;
        if !batch.is_empty() {
            save_tree(tx, &self.tree).await?;
        }
        self.sign(tx, now).await?;
        Ok(true)
    }
}

impl Sequence {
    async fn sign(&self, tx: &mut Tx, now: Moment) -> Result<(), StoreError> {
        let last: Option<HeadRow> = tx.all(LAST_HEAD, []).await?.pop();
        if let Some(last) = last {
            let young = now.0 - last.at < 1_000_000;
            if last.size as u64 == self.tree.size() || (young && !self.sign_now) {
                return Ok(());
            }
            // Heads of two keys would verify under neither.
            if !last.into_checkpoint()?.is_signed_by(&self.key) {
                return Err(StoreError::Illegal("the log is signed with another key".into()));
            }
        }
        let head = Head { size: self.tree.size(), root: self.tree.root(), at_micros: now.0 };
        let signature = self.key.sign_head(&head);
        tx.run(
            "INSERT INTO audit_head (size, root, at, signature) VALUES ($1, $2, $3, $4)",
            [(head.size as i64).into(), head.root.to_vec().into(), head.at_micros.into(), signature.into()],
        )
        .await
        .map(|_| ())
    }
}

pub(super) const ALL_HEADS: &str = "SELECT size, root, at, signature FROM audit_head ORDER BY size";
pub(super) const TREE: &str = "SELECT size, frontier FROM audit_tree WHERE id = 1";
const LAST_HEAD: &str = "SELECT size, root, at, signature FROM audit_head ORDER BY size DESC LIMIT 1";

impl Store {
    /// Gives numbers to packs that have none, a bounded number of them, and signs the head: at most
    /// once a second, but where `sign_now` asks for it. Writes only where there is something to write.
    pub async fn sequence(&self, key: &Arc<SigningKey>, sign_now: bool) -> Result<Sequenced, StoreError> {
        let trees: Vec<TreeRow> = self.read_all(TREE, []).await?;
        let mut tree = trees.into_iter().next().ok_or_else(|| StoreError::corrupt("audit tree"))?.into_tree()?;
        let pending: Vec<Pending> = self
            .read_all(
                "SELECT id, leaves FROM audit_pack WHERE first_sequence IS NULL ORDER BY id LIMIT $1",
                [ROUND.into()],
            )
            .await?;
        let heads: Vec<HeadRow> = self.read_all(LAST_HEAD, []).await?;
        if pending.is_empty() && heads.first().is_some_and(|head| head.size as u64 == tree.size()) {
            return Ok(Sequenced { entries: 0, more: false });
        }
        let from = tree.size();
        let more = pending.len() as i64 == ROUND;
        // Tens of milliseconds, in which this thread could serve nobody.
        let numbering = tokio::task::spawn_blocking(move || {
            let mut numbers = Vec::with_capacity(pending.len());
            for pack in &pending {
                numbers.push((pack.id, tree.size() + FIRST_SEQUENCE));
                each_leaf(&pack.leaves, |leaf| tree.push(leaf_hash(leaf.as_bytes())));
            }
            (tree, numbers)
        });
        let (tree, numbers) =
            numbering.await.map_err(|e| StoreError::Fault(format!("audit entries could not be numbered: {e}")))?;
        let entries = (tree.size() - from) as usize;
        let written = self.execute(Sequence { from, tree, numbers, key: key.clone(), sign_now }).await?;
        Ok(Sequenced { entries: if written { entries } else { 0 }, more: written && more })
    }
}

#[derive(FromQueryResult)]
pub(super) struct TreeRow {
    size: i64,
    frontier: Vec<u8>,
}

impl TreeRow {
    pub fn into_tree(self) -> Result<Accumulator, StoreError> {
        let corrupt = || StoreError::corrupt("audit tree");
        let frontier = self.frontier.chunks(32).map(Hash::try_from).collect::<Result<Vec<Hash>, _>>();
        let size = u64::try_from(self.size).map_err(|_| corrupt())?;
        Accumulator::from_parts(size, frontier.map_err(|_| corrupt())?).map_err(|_| corrupt())
    }
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

/// Packs that are read at once for the trail of one record.
const PACKS_READ: i64 = 200;

#[derive(FromQueryResult)]
struct PackRow {
    id: i64,
    first_sequence: Option<i64>,
    leaves: String,
}

/// The topics under which entries of a record are kept, besides its own: `$2` is its number.
fn claims_of_subject(kind: &str) -> Option<String> {
    let topics = match kind {
        // And those of the import that brought it: see `topic_of_imported`.
        "need" => {
            let lines = lines_of_needs("n.id = $2");
            return Some(format!(
                "SELECT 'claim-' || claim_id FROM ({lines}) AS l UNION SELECT 'needs-' || ($2 / 100)"
            ));
        }
        "line" => {
            return Some(format!(
                "SELECT 'claim-' || claim_id FROM claim_line WHERE id = $2
                 UNION SELECT 'claim-' || claim_id FROM bundled_line
                     WHERE id = $2 AND claim_id = ($2 - {FIRST}) / {PLACES}"
            ));
        }
        "offer" => "SELECT 'claim-' || id FROM claim WHERE offer_id = $2",
        "delivery" => "SELECT 'claim-' || claim_id FROM delivery WHERE id = $2",
        _ => return None,
    };
    Some(topics.to_owned())
}

/// A page of the entries of some records, oldest first.
pub(super) async fn entries_of(
    store: &Store,
    subjects: &BTreeSet<String>,
    after: HistoryPlace,
    most: usize,
) -> Result<AreaHistory, StoreError> {
    #[derive(FromQueryResult)]
    struct Row {
        id: i64,
        first_sequence: Option<i64>,
        leaves: String,
    }
    let set = store.dialect.texts("$1");
    let sql = format!(
        "SELECT id, first_sequence, leaves FROM audit_pack WHERE topic {set} AND id >= $2 ORDER BY id LIMIT $3"
    );
    let topics = serde_json::Value::from_iter(subjects.iter().map(String::as_str)).to_string();
    let packs: Vec<Row> = store.read_all(&sql, [topics.into(), after.pack.into(), (most as i64 + 1).into()]).await?;
    let mut entries = Vec::new();
    let mut last = after;
    for pack in &packs {
        for (place, leaf) in unfold(&pack.leaves).enumerate() {
            let here = HistoryPlace { pack: pack.id, place: place as i64 };
            if (pack.id, here.place) <= (after.pack, after.place) {
                continue;
            }
            let leaf = Leaf::parse(leaf.as_bytes()).map_err(|_| StoreError::corrupt("audit entry"))?;
            if subjects.contains(&leaf.subject) {
                if entries.len() == most {
                    return Ok(AreaHistory { entries, more: Some(last) });
                }
                entries.push(AuditRow::of(leaf, pack.first_sequence.map(|first| first + here.place)));
            }
            last = here;
        }
    }
    // As many packs as were asked for: there may be others beyond.
    let more = (packs.len() > most).then_some(last);
    Ok(AreaHistory { entries, more })
}

impl Store {
    /// The entries of one record, oldest first, after the given version.
    pub async fn audit_trail(&self, subject: &str, after: i64, most: i64) -> Result<Vec<AuditRow>, StoreError> {
        let (kind, number) = subject.rsplit_once('-').unwrap_or((subject, ""));
        let (claims, number) = match (claims_of_subject(kind), number.parse::<i64>()) {
            (Some(claims), Ok(number)) => (claims, number),
            _ => ("SELECT CAST($1 AS TEXT) WHERE CAST($2 AS BIGINT) <> 0".to_owned(), 0),
        };
        let sql = format!(
            "SELECT id, first_sequence, leaves FROM audit_pack
             WHERE topic IN (SELECT CAST($1 AS TEXT) UNION {claims}) AND id > $3 ORDER BY id LIMIT $4"
        );
        // A pack holds a record once at most, and a record's versions ascend with its packs: the n-th entry is
        // its version n. Packs of the same claims may hold others alone.
        let named = format!("\"subject\":\"{subject}\"");
        let (mut passed, mut pack, mut trail) = (0, i64::MIN, Vec::new());
        while (trail.len() as i64) < most {
            let values = [subject.into(), number.into(), pack.into(), PACKS_READ.into()];
            let packs: Vec<PackRow> = self.read_all(&sql, values).await?;
            let Some(last) = packs.last() else { break };
            pack = last.id;
            for pack in &packs {
                for (place, leaf) in unfold(&pack.leaves).enumerate().filter(|(_, leaf)| leaf.contains(&named)) {
                    let leaf = Leaf::parse(leaf.as_bytes()).map_err(|_| StoreError::corrupt("audit entry"))?;
                    if leaf.subject != subject {
                        continue;
                    }
                    if passed >= after && (trail.len() as i64) < most {
                        trail.push(AuditRow::of(leaf, pack.first_sequence.map(|first| first + place as i64)));
                    }
                    passed += 1;
                }
            }
        }
        Ok(trail)
    }

    /// The latest signed head; `None` before the first.
    pub async fn audit_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let rows: Vec<HeadRow> = self.read_all(LAST_HEAD, []).await?;
        rows.into_iter().next().map(HeadRow::into_checkpoint).transpose()
    }

    /// All signed heads, oldest first.
    pub async fn audit_heads(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let rows: Vec<HeadRow> = self.read_all(ALL_HEADS, []).await?;
        rows.into_iter().map(HeadRow::into_checkpoint).collect()
    }

    /// The exact bytes of the leaves after `sequence`, in order.
    pub async fn audit_leaves(&self, sequence: u64, most: i64) -> Result<Vec<Vec<u8>>, StoreError> {
        let packs: Vec<PackRow> = self
            .read_all(
                "SELECT id, first_sequence, leaves FROM audit_pack
                 WHERE first_sequence + entries - 1 > $1 AND first_sequence > $1 - $3
                 ORDER BY first_sequence LIMIT $2",
                [(sequence as i64).into(), most.into(), PACK_SIZE.into()],
            )
            .await?;
        let numbered = packs.iter().flat_map(|pack| {
            let first = pack.first_sequence.unwrap_or_default();
            unfold(&pack.leaves).enumerate().map(move |(place, leaf)| (first + place as i64, leaf))
        });
        let wanted = numbered.filter(|(number, _)| *number > sequence as i64).take(most.max(0) as usize);
        Ok(wanted.map(|(_, leaf)| leaf.into_bytes()).collect())
    }
}

pub(super) fn organization_entry(
    id: OrganizationId,
    category: &str,
    status: &str,
    aggregator: bool,
    home_area: Option<&str>,
    version: i64,
    action: &'static str,
) -> Entry {
    let mut state =
        state([("category", category.into()), ("status", status.into()), ("aggregator", aggregator.into())]);
    if let Some(home) = home_area {
        state.insert("homeArea".into(), home.into());
    }
    Entry::new(action, id.to_string(), version, state)
}

impl Store {
    /// How many entries there are, numbered or not.
    pub async fn audit_entries(&self) -> Result<u64, StoreError> {
        let row =
            self.read_one("SELECT CAST(COALESCE(sum(entries), 0) AS BIGINT) AS entries FROM audit_pack", []).await?;
        let count: i64 = column(&row.ok_or_else(|| StoreError::corrupt("count"))?, "entries")?;
        u64::try_from(count).map_err(|_| StoreError::corrupt("count"))
    }
}
