//! The log where it is kept, checked as an outsider checks an export, and the tables beside it: every
//! row that the log speaks of must be what the log says of it last.
//!
//! Columns that no leaf holds (an offer's days, the day of a trip, which rule permitted a finding) are not compared; nor
//! are words of people, but for the note of a decision, which the log is committed to.

use super::Store;
use super::audit::{self, ALL_HEADS, Entry, HeadRow, TREE, TreeRow};
use super::bundle;
use super::chain::needs_off_their_chain;
use super::claims::NewClaim;
use super::deliveries::{DELIVERY_COLUMNS, DeliveryRow, TRIP_LINE_COLUMNS, TripLineRow};
use super::dialect::Dialect;
use super::error::StoreError;
use super::ledger::Pledge;
use super::overlaps::{DISTRIBUTION_COLUMNS, DistributionRow, KeptOverlap, RULE, distribution_entry, rule_entry};
use super::programs::{KeptItem, KeptProgram};
use super::rows::{
    CLAIM_COLUMNS, ClaimRow, IdRow, LINE_COLUMNS, LineRow, NEED_COLUMNS, NeedRow, OFFER_COLUMNS, OfferRow,
};
use crate::audit::check::{Check, End, HeadRead, MAX_PROBLEMS, Names, Problem, Report};
use crate::audit::fold::unfold;
use crate::audit::signing::{Head, PublicKey};
use crate::audit::{Leaf, Value, text_of};
use crate::domain::calendar::Moment;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::ids::{
    ClaimId, ClaimLineId, DeliveryId, DistributionId, ItemId, NeedId, OfferId, OrganizationId, OverlapId, ProgramId,
};
use crate::planted::planted;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, FromQueryResult, IsolationLevel, Statement, TransactionOptions,
    TransactionTrait, Value as Bound,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A sound log beside tables that are what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub report: Report,
    /// Rows that were compared.
    pub rows: u64,
}

/// Records whose rows are compared. One of them that the log knows has a row.
const KINDS: [&str; 11] = [
    NeedId::PREFIX,
    ClaimLineId::PREFIX,
    ClaimId::PREFIX,
    OfferId::PREFIX,
    DeliveryId::PREFIX,
    OrganizationId::PREFIX,
    DistributionId::PREFIX,
    OverlapId::PREFIX,
    RULE,
    ProgramId::PREFIX,
    ItemId::PREFIX,
];

const NAMES: Names = Names { log: "audit_pack", heads: "audit_head", totals: "need" };

/// Rows read at once.
const PAGE: i64 = 2_000;

#[derive(FromQueryResult)]
struct PackRow {
    id: i64,
    topic: String,
    at: i64,
    first_sequence: Option<i64>,
    entries: i64,
    leaves: String,
}

impl Store {
    /// Reads only, and all of it as of one moment. `old`: a head known from before, which the log must
    /// still begin with.
    pub async fn check_audit(
        &self,
        key: &PublicKey,
        old: Option<Head>,
    ) -> Result<Result<Checked, Vec<Problem>>, StoreError> {
        let one_moment = self.dialect == Dialect::Postgres;
        let options = TransactionOptions {
            isolation_level: one_moment.then_some(IsolationLevel::RepeatableRead),
            access_mode: one_moment.then_some(AccessMode::ReadOnly),
            sqlite_transaction_mode: None,
        };
        let tx = self.reader.begin_with_options(options).await;
        let tx = tx.map_err(|e| StoreError::from_db(self.dialect, &e))?;
        let look = Look { tx: &tx, dialect: self.dialect };
        let found = check(&look, key, old).await;
        // Nothing was written; how the transaction ends does not matter.
        let _ = tx.rollback().await;
        found
    }
}

async fn check(
    look: &Look<'_>,
    key: &PublicKey,
    old: Option<Head>,
) -> Result<Result<Checked, Vec<Problem>>, StoreError> {
    let heads: Vec<HeadRow> = look.all(ALL_HEADS, []).await?;
    let heads: Vec<HeadRead> = heads.into_iter().zip(1..).map(|(row, line)| (line, read_head(row))).collect();
    let mut check = Check::new(NAMES, heads.into_iter(), key, old);
    let mut latest = Latest::default();
    let columns = "SELECT id, topic, at, first_sequence, entries, leaves FROM audit_pack WHERE";
    let numbered = format!("{columns} first_sequence > $1 ORDER BY first_sequence LIMIT $2");
    let waiting = format!("{columns} first_sequence IS NULL AND id > $1 ORDER BY id LIMIT $2");
    for sql in [numbered, waiting] {
        let mut after = i64::MIN;
        loop {
            let packs: Vec<PackRow> = look.all(&sql, [after.into(), PAGE.into()]).await?;
            let Some(last) = packs.last() else { break };
            after = last.first_sequence.unwrap_or(last.id);
            for pack in packs {
                read_pack(&pack, &mut check, &mut latest);
            }
            if check.is_full() {
                return Ok(check.finish(End::Open).map(|report| Checked { report, rows: 0 }));
            }
        }
        if sql.contains("first_sequence >") {
            let tree: Option<TreeRow> = look.all(TREE, []).await?.pop();
            let stored = tree.and_then(|row| row.into_tree().ok()).map(|tree| tree.to_parts());
            if stored != Some(check.tree().to_parts()) {
                check.add(problem("audit_tree", "it is not the tree over the numbered entries".into()));
            }
        }
    }
    let mut tables = Comparison { look, latest, rows: 0, found: Vec::new(), unreadable: false };
    tables.run().await?;
    let rows = tables.rows;
    tables.found.into_iter().for_each(|problem| check.add(problem));
    Ok(check.finish(End::Open).map(|report| Checked { report, rows }))
}

fn problem(file: &str, what: String) -> Problem {
    Problem { file: file.to_owned(), line: None, what }
}

fn read_head(row: HeadRow) -> Result<(Head, String), String> {
    let checkpoint = row.into_checkpoint().map_err(|error| error.to_string())?;
    Ok((checkpoint.head, checkpoint.signature))
}

/// Gives the leaves of a pack to the check, and finds what the leaves themselves do not tell: a pack
/// that names another moment, another topic or another number of entries.
fn read_pack<H: Iterator<Item = HeadRead>>(pack: &PackRow, check: &mut Check<'_, H>, latest: &mut Latest) {
    let mut entries = 0;
    for leaf in unfold(&pack.leaves) {
        let own = check.expected();
        let sequence = pack.first_sequence.map_or(own, |first| first.saturating_add(entries).cast_unsigned());
        entries += 1;
        check.leaf(sequence, sequence, leaf.as_bytes());
        // What is no leaf has been told by now.
        let Ok(leaf) = Leaf::parse(leaf.as_bytes()) else { continue };
        latest.learn(&leaf);
        if leaf.at != pack.at || !latest.belongs(&leaf, &pack.topic) {
            let what = format!("the pack {} is kept under another topic or moment than its entries have", pack.id);
            check.add(Problem { file: NAMES.log.into(), line: Some(sequence), what });
        }
    }
    if entries != pack.entries {
        check.add(problem(NAMES.log, format!("the pack {} holds {entries} entries, not {}", pack.id, pack.entries)));
    }
}

// ------------------------------------------------------------------ what the log says

/// What the log says of records last, until their rows are met.
#[derive(Default)]
struct Latest {
    /// Version and digest of the state.
    of: HashMap<String, (i64, [u8; 32])>,
    /// When claims have last moved which needs.
    moved: HashMap<(String, String), i64>,
    /// When they have last moved anything, and the offers they draw on.
    at_work: HashMap<String, i64>,
    offers: HashMap<String, String>,
    /// What the notes of findings are committed to.
    notes: HashMap<String, String>,
}

impl Latest {
    fn learn(&mut self, leaf: &Leaf) {
        let kind = leaf.subject.rsplit_once('-').map_or("", |(kind, _)| kind);
        if let Some(Value::Text(claim)) = leaf.state.get("claim")
            && let Some(Value::Text(need)) = leaf.state.get("need")
        {
            self.moved.insert((claim.clone(), need.clone()), leaf.at);
            self.at_work.insert(claim.clone(), leaf.at);
        }
        if kind == ClaimId::PREFIX
            && let Some(Value::Text(offer)) = leaf.state.get("offer")
        {
            self.offers.insert(leaf.subject.clone(), offer.clone());
        }
        if kind == OverlapId::PREFIX {
            match leaf.state.get("note") {
                Some(Value::Text(note)) => self.notes.insert(leaf.subject.clone(), note.clone()),
                _ => self.notes.remove(&leaf.subject),
            };
        }
        if KINDS.contains(&kind) {
            self.of.insert(leaf.subject.clone(), (leaf.version, digest(&text_of(&leaf.state))));
        }
    }

    /// An entry is kept under its record, or under the claim that moved it at this moment; what the claim
    /// itself went through stands before. The first entry of a need may be kept beside those of its import.
    fn belongs(&self, leaf: &Leaf, topic: &str) -> bool {
        let imported = || leaf.subject.parse().is_ok_and(|need| audit::topic_of_imported(need) == topic);
        leaf.subject == topic
            || leaf.version == 1 && imported()
            || leaf.state.get("claim").is_some_and(|claim| *claim == Value::from(topic))
            || self.moved.get(&(topic.to_owned(), leaf.subject.clone())) == Some(&leaf.at)
            || self.offers.get(topic) == Some(&leaf.subject) && self.at_work.get(topic) == Some(&leaf.at)
    }
}

fn digest(state: &str) -> [u8; 32] {
    Sha256::digest(state.as_bytes()).into()
}

// ------------------------------------------------------------------ what the tables hold

struct Look<'a> {
    tx: &'a DatabaseTransaction,
    dialect: Dialect,
}

impl Look<'_> {
    async fn all<T: FromQueryResult, const N: usize>(
        &self,
        sql: &str,
        values: [Bound; N],
    ) -> Result<Vec<T>, StoreError> {
        let statement = Statement::from_sql_and_values(self.dialect.backend(), sql, values);
        let rows = self.tx.query_all_raw(statement).await.map_err(|e| StoreError::from_db(self.dialect, &e))?;
        let read = rows.iter().map(|row| T::from_query_result(row, "")).collect::<Result<_, _>>();
        read.map_err(|e| StoreError::from_db(self.dialect, &e))
    }
}

/// The tables beside what the log says.
struct Comparison<'a> {
    look: &'a Look<'a>,
    latest: Latest,
    rows: u64,
    found: Vec<Problem>,
    /// Some claim's lines are no lines.
    unreadable: bool,
}

#[derive(FromQueryResult)]
struct BundleRow {
    id: i64,
    bundle: String,
    held_until: i64,
}

#[derive(FromQueryResult)]
struct OrganizationRow {
    id: i64,
    category: String,
    status: String,
    aggregator: i64,
    home_area: Option<String>,
    version: i64,
}

#[derive(FromQueryResult)]
struct RuleRow {
    id: i64,
    body: String,
}

impl Comparison<'_> {
    async fn run(&mut self) -> Result<(), StoreError> {
        self.table(NeedId::PREFIX, &format!("{NEED_COLUMNS} FROM need"), |row: NeedRow| {
            (row.id, row.into_need().map(|need| audit::need_entry(&need, "")))
        })
        .await?;
        self.table(ClaimLineId::PREFIX, &format!("{LINE_COLUMNS} FROM claim_line"), |row: LineRow| {
            (row.id, row.into_line().map(|line| audit::line_entry(&line, "")))
        })
        .await?;
        self.bundles().await?;
        self.table(OfferId::PREFIX, &format!("{OFFER_COLUMNS} FROM offer"), |row: OfferRow| {
            (row.id, row.into_offer().map(|offer| audit::offer_entry(&Pledge::from(&offer), "")))
        })
        .await?;
        self.table(ClaimId::PREFIX, &format!("{CLAIM_COLUMNS} FROM claim"), |row: ClaimRow| {
            let claim = NewClaim {
                author: None,
                organization: OrganizationId(row.organization_id),
                executor: OrganizationId(row.executor_id),
                offer: row.offer_id.map(OfferId),
                opening: row.opening != 0,
            };
            (row.id, Ok(audit::claim_entry(ClaimId(row.id), &claim, row.renewals, row.version, "")))
        })
        .await?;
        let organizations = "id, category, status, aggregator, home_area, version FROM organization";
        self.table(OrganizationId::PREFIX, organizations, |row: OrganizationRow| {
            let id = OrganizationId(row.id);
            let aggregator = row.aggregator != 0;
            let home = row.home_area.as_deref();
            (row.id, Ok(audit::organization_entry(id, &row.category, &row.status, aggregator, home, row.version, "")))
        })
        .await?;
        self.table(
            DistributionId::PREFIX,
            &format!("{DISTRIBUTION_COLUMNS} FROM distribution"),
            |row: DistributionRow| (row.id, Ok(distribution_entry(row))),
        )
        .await?;
        self.deliveries().await?;
        let rules = "id, body FROM overlap_rule";
        self.table(RULE, rules, |row: RuleRow| (row.id, Ok(rule_entry(row.id, &row.body)))).await?;
        let programs = format!("{} FROM program", KeptProgram::columns());
        self.few(ProgramId::PREFIX, &programs, |row: KeptProgram| (row.id(), row.entries())).await?;
        let items = format!("{} FROM item", KeptItem::columns());
        self.few(ItemId::PREFIX, &items, |row: KeptItem| (row.id(), row.entries())).await?;
        let notes = std::mem::take(&mut self.latest.notes);
        self.table(OverlapId::PREFIX, &format!("{} FROM overlap", KeptOverlap::columns()), |row: KeptOverlap| {
            let id = row.id();
            let noted = notes.get(&OverlapId(id).to_string());
            (id, row.entry(noted.map(String::as_str)))
        })
        .await?;
        self.chains().await?;
        let missing: BTreeSet<&String> = self.latest.of.keys().collect();
        let missing = missing.into_iter().take(MAX_PROBLEMS);
        self.found.extend(missing.map(|subject| problem(subject, "the log knows it, and it has no row".into())));
        Ok(())
    }

    /// Lines that lie in their claim's row.
    async fn bundles(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT id, CAST(bundle AS TEXT) AS bundle, held_until FROM claim
            WHERE held_until IS NOT NULL AND id > $1 ORDER BY id LIMIT $2";
        let mut after = i64::MIN;
        loop {
            let rows: Vec<BundleRow> = self.look.all(sql, [after.into(), PAGE.into()]).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.id;
            for row in rows {
                let claim = ClaimId(row.id);
                match bundle::lines_of(claim, &row.bundle, Moment(row.held_until)) {
                    Ok(lines) => {
                        for line in lines {
                            self.meet(line.id.to_string(), Ok(audit::line_entry(&line, "")));
                        }
                    }
                    Err(error) => {
                        self.unreadable = true;
                        self.found.push(problem(&claim.to_string(), format!("its lines cannot be read: {error}")));
                    }
                }
            }
        }
    }

    /// A line that is not found from its need is shown to nobody there.
    async fn chains(&mut self) -> Result<(), StoreError> {
        // Nor could the database read what has been reported already.
        if self.unreadable {
            return Ok(());
        }
        let astray: Vec<IdRow> = self.look.all(&needs_off_their_chain(), []).await?;
        let what = "not exactly its lines are found from its row: last_line and previous_line";
        self.found.extend(astray.iter().map(|row| problem(&NeedId(row.id).to_string(), what.to_owned())));
        Ok(())
    }

    async fn table<T: FromQueryResult>(
        &mut self,
        kind: &str,
        columns: &str,
        read: impl Fn(T) -> (i64, Result<Entry, StoreError>),
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT {columns} WHERE id > $1 ORDER BY id LIMIT $2");
        let mut after = i64::MIN;
        loop {
            let rows: Vec<T> = self.look.all(&sql, [after.into(), PAGE.into()]).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                let (id, entry) = read(row);
                after = id;
                self.meet(format!("{kind}-{id}"), entry);
            }
        }
    }

    async fn deliveries(&mut self) -> Result<(), StoreError> {
        let sql = format!("SELECT {DELIVERY_COLUMNS} FROM delivery WHERE id > $1 ORDER BY id LIMIT $2");
        let lines_sql = format!(
            "SELECT {TRIP_LINE_COLUMNS} FROM delivery_line WHERE delivery_id > $1 AND delivery_id <= $2
             ORDER BY delivery_id, claim_line_id"
        );
        let mut after = i64::MIN;
        loop {
            let trips: Vec<DeliveryRow> = self.look.all(&sql, [after.into(), PAGE.into()]).await?;
            let Some(last) = trips.last() else { return Ok(()) };
            let lines: Vec<TripLineRow> = self.look.all(&lines_sql, [after.into(), last.id.into()]).await?;
            after = last.id;
            let mut lines_of: BTreeMap<i64, Vec<TripLineRow>> = BTreeMap::new();
            for line in lines {
                lines_of.entry(line.delivery_id).or_default().push(line);
            }
            for trip in trips {
                let lines = lines_of.remove(&trip.id).unwrap_or_default();
                self.meet(DeliveryId(trip.id).to_string(), trip_entry(trip, lines));
            }
        }
    }

    /// Of few rows, whose entries once told less: `read` answers with what they tell now and what they told then.
    async fn few<T: FromQueryResult>(
        &mut self,
        kind: &str,
        columns: &str,
        read: impl Fn(T) -> (i64, [Entry; 2]),
    ) -> Result<(), StoreError> {
        let of_kind = self.latest.of.iter().filter(|(subject, _)| subject.starts_with(kind));
        let known: HashMap<String, [u8; 32]> = of_kind.map(|(of, (_, state))| (of.clone(), *state)).collect();
        self.table(kind, columns, |row: T| {
            let (id, [now, then]) = read(row);
            let as_then = known.get(&then.subject) == Some(&digest(&then.state));
            (id, Ok(if as_then { then } else { now }))
        })
        .await
    }

    /// Compares a row, as the entry that its latest version must have, with the log.
    fn meet(&mut self, subject: String, entry: Result<Entry, StoreError>) {
        self.rows += 1;
        let known = self.latest.of.remove(&subject);
        if self.found.len() >= MAX_PROBLEMS || planted!(RowsUnchecked) {
            return;
        }
        let what = match (known, entry) {
            (_, Err(error)) => format!("its row cannot be: {error}"),
            (None, Ok(_)) => "it has a row, and the log does not know it".into(),
            (Some((version, _)), Ok(row)) if row.version != version => {
                format!("its row has version {}, and the last in the log is {version}", row.version)
            }
            (Some((_, state)), Ok(row)) if digest(&row.state) != state => {
                format!("its row is not what version {} in the log says, but {}", row.version, row.state)
            }
            _ => return,
        };
        self.found.push(problem(&subject, what));
    }
}

fn trip_entry(trip: DeliveryRow, lines: Vec<TripLineRow>) -> Result<Entry, StoreError> {
    let status = DeliveryStatus::from_word(&trip.status).ok_or_else(|| StoreError::corrupt("status"))?;
    let lines = lines.into_iter().map(TripLineRow::into_line).collect::<Result<Vec<_>, _>>()?;
    Ok(audit::delivery_entry(DeliveryId(trip.id), ClaimId(trip.claim_id), status, &lines, trip.version, ""))
}
