//! Overlap findings, the aid given outside the program, and the rules on what may be combined.
//!
//! Findings of an area are computed anew in the transaction that changed what was delivered there,
//! so that they never lag behind the numbers they accuse.

use super::audit::{self, Entry};
use super::chain::lines_of_needs;
use super::dialect::Column::{Int, Text};
use super::dialect::Dialect;
use super::error::StoreError;
use super::ledger::expect_rows;
use super::rows::{batch, day, ids, period, quantity};
use super::write::{Command, Tx, column};
use super::{Author, Store, people};
use crate::audit::state;
use crate::domain::area::AreaCode;
use crate::domain::calendar::{Day, Moment, Period};
use crate::domain::ids::{AreaId, ClaimLineId, DistributionId, ItemId, OrganizationId, OverlapId, ProgramId};
use crate::domain::organization::OrganizationCategory;
use crate::domain::overlap::{
    Change, Finding, Overlap, OverlapKind, OverlapStatus, Required, Rule, RuleKind, Served, Source, findings, merge,
    resolve,
};
use crate::domain::quantity::Quantity;
use sea_orm::FromQueryResult;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(FromQueryResult)]
struct ServedRow {
    area_id: i64,
    program_id: i64,
    item_id: i64,
    organization_id: i64,
    period_start: String,
    period_end: String,
    delivered: i64,
    opening: i64,
    id: i64,
}

#[derive(FromQueryResult)]
struct OutsideRow {
    id: i64,
    area_id: i64,
    program_id: i64,
    item_id: i64,
    organization_id: i64,
    period_start: String,
    period_end: String,
    quantity: i64,
}

#[derive(FromQueryResult)]
struct RequiredRow {
    area_id: i64,
    program_id: i64,
    item_id: i64,
    period_start: String,
    period_end: String,
    required: i64,
}

#[derive(FromQueryResult)]
struct RuleRow {
    body: String,
}

#[derive(FromQueryResult)]
pub(super) struct OverlapRow {
    id: i64,
    area_id: i64,
    kind: String,
    status: String,
    item_id: Option<i64>,
    quantity: Option<i64>,
    excess: Option<i64>,
    period_start: String,
    period_end: String,
    finding: String,
    note: Option<String>,
    withdrawn: i64,
    version: i64,
}

const OVERLAP_COLUMNS: &str = "id, area_id, kind, status, item_id, quantity, excess, period_start, period_end, \
    finding, note, withdrawn, version";

fn source_json(source: &Source) -> Json {
    match source {
        Source::ClaimLine(id) => json!(id.to_string()),
        Source::Outside(id) => json!(id.to_string()),
        Source::Opening(id) => json!(format!("opening {id}")),
    }
}

fn source_from(text: &str) -> Option<Source> {
    if let Some(line) = text.strip_prefix("opening ") {
        return line.parse().ok().map(Source::Opening);
    }
    text.parse::<ClaimLineId>().map(Source::ClaimLine).or_else(|_| text.parse().map(Source::Outside)).ok()
}

fn finding_json(finding: &Finding) -> Json {
    json!({
        "anchor": finding.anchor.to_string(),
        "programs": finding.programs.map(|(a, b)| [a.0, b.0]),
        "organizations": finding.organizations.iter().map(|o| o.0).collect::<Vec<_>>(),
        "evidence": finding.evidence.iter().map(source_json).collect::<Vec<_>>(),
        "rule": finding.rule,
        "permittedBy": finding.permitted_by,
    })
}

impl OverlapRow {
    fn into_overlap(self) -> Result<Overlap, StoreError> {
        let bad = || StoreError::corrupt("overlap");
        let body: Json = serde_json::from_str(&self.finding).map_err(|_| bad())?;
        let numbers = |name: &str| -> Vec<i64> {
            body[name].as_array().map(|a| a.iter().filter_map(Json::as_i64).collect()).unwrap_or_default()
        };
        let programs = match numbers("programs")[..] {
            [a, b] => Some((ProgramId(a), ProgramId(b))),
            _ => None,
        };
        let evidence: Option<Vec<Source>> =
            body["evidence"].as_array().ok_or_else(bad)?.iter().map(|s| s.as_str().and_then(source_from)).collect();
        let status = OverlapStatus::from_word(&self.status).ok_or_else(bad)?;
        let place = |name: &str| body[name].as_u64().and_then(|n| usize::try_from(n).ok());
        let finding = Finding {
            kind: OverlapKind::from_word(&self.kind).ok_or_else(bad)?,
            status,
            area: AreaId(self.area_id),
            item: self.item_id.map(ItemId),
            programs,
            organizations: numbers("organizations").into_iter().map(OrganizationId).collect(),
            quantity: self.quantity.map(quantity).transpose()?,
            excess: self.excess.map(quantity).transpose()?,
            period: period(&self.period_start, &self.period_end)?,
            anchor: body["anchor"].as_str().map(day).transpose()?.ok_or_else(bad)?,
            evidence: evidence.ok_or_else(bad)?,
            rule: place("rule"),
            permitted_by: place("permittedBy"),
        };
        Ok(Overlap {
            id: OverlapId(self.id),
            finding,
            status,
            version: self.version,
            note: self.note,
            open: self.withdrawn == 0,
        })
    }
}

fn rule_json(rule: &Rule) -> Json {
    let (kind, programs, items): (_, Vec<i64>, Vec<i64>) = match &rule.kind {
        RuleKind::Exclusive { programs: (a, b) } => ("exclusive", vec![a.0, b.0], vec![]),
        RuleKind::Permitted { programs, items } => {
            ("permitted", programs.iter().map(|p| p.0).collect(), items.iter().map(|i| i.0).collect())
        }
    };
    json!({"kind": kind, "programs": programs, "items": items, "owner": rule.owner,
           "validFrom": rule.valid_from.to_string(), "validUntil": rule.valid_until.map(|d| d.to_string()),
           "reasonId": rule.reason_id, "reasonEn": rule.reason_en})
}

fn rule_from(text: &str) -> Option<Rule> {
    let body: Json = serde_json::from_str(text).ok()?;
    let numbers = |name: &str| -> Vec<i64> {
        body[name].as_array().map(|a| a.iter().filter_map(Json::as_i64).collect()).unwrap_or_default()
    };
    let programs: Vec<ProgramId> = numbers("programs").into_iter().map(ProgramId).collect();
    let kind = match (body["kind"].as_str()?, &programs[..]) {
        ("exclusive", [a, b]) => RuleKind::Exclusive { programs: (*a, *b) },
        ("permitted", _) => RuleKind::Permitted { programs, items: numbers("items").into_iter().map(ItemId).collect() },
        _ => return None,
    };
    Some(Rule {
        kind,
        owner: body["owner"].as_str()?.to_owned(),
        valid_from: body["validFrom"].as_str()?.parse().ok()?,
        valid_until: match body["validUntil"].as_str() {
            None => None,
            Some(text) => Some(text.parse().ok()?),
        },
        reason_id: body["reasonId"].as_str()?.to_owned(),
        reason_en: body["reasonEn"].as_str()?.to_owned(),
    })
}

async fn load_rules(tx: &mut Tx) -> Result<Vec<Rule>, StoreError> {
    let rows: Vec<RuleRow> = tx.all("SELECT body FROM overlap_rule ORDER BY id", []).await?;
    rows.iter().map(|r| rule_from(&r.body).ok_or_else(|| StoreError::corrupt("rule"))).collect()
}

/// Areas looked at in one step: bounds the size of one parameter and of what is held in memory.
const STEP: usize = 1_000;

/// Computes the findings of `areas` anew. Takes the areas' rows in ascending order, so that two
/// deliveries to one area do not overlook each other.
pub(super) async fn recompute(
    tx: &mut Tx,
    now: Moment,
    author: Author,
    areas: &BTreeSet<AreaId>,
) -> Result<(), StoreError> {
    let mut areas: Vec<AreaId> = areas.iter().copied().collect();
    let very_many = areas.len() > ONE_BY_ONE;
    if very_many {
        // The whole table instead of each row: whoever brings something to an area locks its row, and waits.
        if tx.dialect == Dialect::Postgres {
            tx.run("SET LOCAL lock_timeout = '60s'", []).await?;
            tx.run("LOCK TABLE area IN EXCLUSIVE MODE", []).await?;
        }
        let sql = "SELECT DISTINCT area_id AS id FROM need WHERE delivered > 0
             UNION SELECT area_id FROM distribution UNION SELECT area_id FROM overlap";
        let served: Vec<super::rows::IdRow> = tx.all(sql, []).await?;
        let served: BTreeSet<i64> = served.into_iter().map(|row| row.id).collect();
        areas.retain(|area| served.contains(&area.0));
    }
    for step in areas.chunks(STEP) {
        recompute_step(tx, now, author, step, !very_many).await?;
    }
    Ok(())
}

/// Beyond so many areas their table is locked as a whole.
const ONE_BY_ONE: usize = 20_000;

async fn recompute_step(
    tx: &mut Tx,
    now: Moment,
    author: Author,
    areas: &[AreaId],
    lock: bool,
) -> Result<(), StoreError> {
    let set = tx.dialect.numbers("$1");
    let wanted = ids(areas.iter().map(|a| a.0));
    if lock {
        let locked = format!("SELECT id FROM area WHERE id {set} ORDER BY id{}", tx.dialect.lock());
        let _: Vec<super::rows::IdRow> = tx.all(&locked, [wanted.clone()]).await?;
    }
    // Most areas of an import have nothing to find. Asked only under the locks: what another
    // transaction has brought meanwhile counts.
    let narrowed = format!(
        "SELECT a.id FROM area a WHERE a.id {set}
         AND (EXISTS (SELECT 1 FROM need n WHERE n.area_id = a.id AND n.delivered > 0)
              OR EXISTS (SELECT 1 FROM distribution d WHERE d.area_id = a.id)
              OR EXISTS (SELECT 1 FROM overlap o WHERE o.area_id = a.id))"
    );
    let served_areas: Vec<super::rows::IdRow> = tx.all(&narrowed, [wanted]).await?;
    if served_areas.is_empty() {
        return Ok(());
    }
    let wanted = ids(served_areas.into_iter().map(|a| a.id));
    let rules = load_rules(tx).await?;
    let served = served_in(tx, &set, &wanted).await?;
    let required: Vec<RequiredRow> = tx
        .all(
            &format!(
                "SELECT area_id, program_id, item_id, period_start, period_end, required FROM need
                 WHERE status <> 'REPORTED' AND area_id {set}"
            ),
            [wanted.clone()],
        )
        .await?;
    let required: Vec<Required> = required
        .into_iter()
        .map(|r| {
            Ok(Required {
                area: AreaId(r.area_id),
                program: ProgramId(r.program_id),
                item: ItemId(r.item_id),
                period: period(&r.period_start, &r.period_end)?,
                required: quantity(r.required)?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    let fresh: BTreeMap<String, Finding> =
        findings(&served, &required, &rules).into_iter().map(|f| (f.key(), f)).collect();
    let rows: Vec<OverlapRow> =
        tx.all(&format!("SELECT {OVERLAP_COLUMNS} FROM overlap WHERE area_id {set} ORDER BY id"), [wanted]).await?;
    let mut stored = BTreeMap::new();
    for row in rows {
        let overlap = row.into_overlap()?;
        stored.insert(overlap.finding.key(), overlap);
    }
    let keys: BTreeSet<&String> = fresh.keys().chain(stored.keys()).collect();
    let mut entries = Vec::new();
    for key in keys {
        match merge(stored.get(key), fresh.get(key)) {
            Change::Unchanged => {}
            Change::Insert(finding) => {
                let id = insert(tx, key, &finding).await?;
                let overlap = Overlap { id, status: finding.status, finding, version: 1, note: None, open: true };
                entries.push(entry(&overlap, None, "overlap.find"));
            }
            Change::Update(after, _) => {
                update(tx, &after, None).await?;
                let salt = salt_of(tx, after.id).await?;
                entries.push(entry(&after, salt.as_ref(), "overlap.recompute"));
            }
        }
    }
    audit::append(tx, now, author, entries).await
}

async fn served_in(tx: &mut Tx, set: &str, wanted: &sea_orm::Value) -> Result<Vec<Served>, StoreError> {
    let lines: Vec<ServedRow> = tx
        .all(
            &format!(
                "SELECT n.area_id, n.program_id, n.item_id, c.organization_id, n.period_start, n.period_end,
                 l.delivered, c.opening, l.id FROM ({}) AS l JOIN need n ON n.id = l.need_id
                 JOIN claim c ON c.id = l.claim_id WHERE l.delivered > 0",
                lines_of_needs(&format!("n.area_id {set}"))
            ),
            [wanted.clone()],
        )
        .await?;
    let outside: Vec<OutsideRow> = tx
        .all(
            &format!(
                "SELECT d.id, d.area_id, i.program_id, d.item_id, d.organization_id, d.period_start, d.period_end,
                 d.quantity FROM distribution d JOIN item i ON i.id = d.item_id WHERE d.area_id {set}"
            ),
            [wanted.clone()],
        )
        .await?;
    let lines = lines.into_iter().map(|r| {
        let line = ClaimLineId(r.id);
        Ok(Served {
            area: AreaId(r.area_id),
            program: ProgramId(r.program_id),
            item: ItemId(r.item_id),
            organization: OrganizationId(r.organization_id),
            period: period(&r.period_start, &r.period_end)?,
            quantity: quantity(r.delivered)?,
            source: if r.opening != 0 { Source::Opening(line) } else { Source::ClaimLine(line) },
        })
    });
    let outside = outside.into_iter().map(|r| {
        Ok(Served {
            area: AreaId(r.area_id),
            program: ProgramId(r.program_id),
            item: ItemId(r.item_id),
            organization: OrganizationId(r.organization_id),
            period: period(&r.period_start, &r.period_end)?,
            quantity: quantity(r.quantity)?,
            source: Source::Outside(DistributionId(r.id)),
        })
    });
    lines.chain(outside).collect()
}

async fn insert(tx: &mut Tx, key: &str, finding: &Finding) -> Result<OverlapId, StoreError> {
    let id = tx
        .insert(
            "INSERT INTO overlap (key, area_id, kind, status, item_id, quantity, excess, period_start, period_end,
             finding, withdrawn, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 1) RETURNING id",
            [
                key.into(),
                finding.area.0.into(),
                finding.kind.word().into(),
                finding.status.word().into(),
                finding.item.map(|i| i.0).into(),
                finding.quantity.map(Quantity::get).into(),
                finding.excess.map(Quantity::get).into(),
                finding.period.start.to_string().into(),
                finding.period.end.to_string().into(),
                finding_json(finding).to_string().into(),
            ],
        )
        .await?;
    Ok(OverlapId(id))
}

async fn update(tx: &mut Tx, after: &Overlap, resolver: Author) -> Result<(), StoreError> {
    let touched = tx
        .run(
            "UPDATE overlap SET status = $2, quantity = $3, excess = $4, period_start = $5, period_end = $6,
             finding = $7, note = $8, withdrawn = $9, version = $11,
             resolved_by = CASE WHEN CAST($8 AS TEXT) IS NULL THEN NULL ELSE COALESCE($10, resolved_by) END
             WHERE id = $1 AND version = $12",
            [
                after.id.0.into(),
                after.status.word().into(),
                after.finding.quantity.map(Quantity::get).into(),
                after.finding.excess.map(Quantity::get).into(),
                after.finding.period.start.to_string().into(),
                after.finding.period.end.to_string().into(),
                finding_json(&after.finding).to_string().into(),
                after.note.clone().into(),
                i64::from(!after.open).into(),
                resolver.map(|u| u.0).into(),
                after.version.into(),
                (after.version - 1).into(),
            ],
        )
        .await?;
    expect_rows(touched, 1)
}

/// The salt of the note that the last decision came with.
async fn salt_of(tx: &mut Tx, id: OverlapId) -> Result<Option<[u8; 16]>, StoreError> {
    let row = tx.one("SELECT note_salt FROM overlap WHERE id = $1", [id.0.into()]).await?;
    let salt: Option<Vec<u8>> = row.map(|r| column(&r, "note_salt")).transpose()?.flatten();
    Ok(salt.and_then(|bytes| bytes.try_into().ok()))
}

fn entry(overlap: &Overlap, salt: Option<&[u8; 16]>, action: &'static str) -> Entry {
    let note = overlap.note.as_deref().zip(salt).map(|(words, salt)| audit::commitment(salt, words));
    committed_entry(overlap, note, action)
}

fn committed_entry(overlap: &Overlap, note: Option<String>, action: &'static str) -> Entry {
    let finding = &overlap.finding;
    let evidence: Vec<String> =
        finding.evidence.iter().filter_map(|s| source_json(s).as_str().map(str::to_owned)).collect();
    Entry::new(
        action,
        overlap.id.to_string(),
        overlap.version,
        state([
            ("kind", finding.kind.word().into()),
            ("area", finding.area.to_string().into()),
            ("item", finding.item.map(|i| i.to_string()).into()),
            ("organizations", finding.organizations.iter().map(|o| o.to_string()).collect::<Vec<_>>().into()),
            ("quantity", finding.quantity.map(Quantity::get).into()),
            ("excess", finding.excess.map(Quantity::get).into()),
            ("periodStart", finding.period.start.to_string().into()),
            ("periodEnd", finding.period.end.to_string().into()),
            ("evidence", evidence.into()),
            ("status", overlap.status.word().into()),
            ("open", overlap.open.into()),
            ("note", note.into()),
        ]),
    )
}

/// A finding as it is kept, with the salt of its note.
#[derive(FromQueryResult)]
pub(super) struct KeptOverlap {
    #[sea_orm(nested)]
    row: OverlapRow,
    note_salt: Option<Vec<u8>>,
}

impl KeptOverlap {
    pub fn columns() -> String {
        format!("{OVERLAP_COLUMNS}, note_salt")
    }

    pub fn id(&self) -> i64 {
        self.row.id
    }

    /// The entry that its latest version must have. `noted` is what the log says of its note: the words themselves may
    /// have been erased, and may not have been changed.
    pub fn entry(self, noted: Option<&str>) -> Result<Entry, StoreError> {
        let overlap = self.row.into_overlap()?;
        let note = match &overlap.note {
            None => noted.map(str::to_owned),
            // A note comes with its salt, or it was put there by somebody else.
            Some(words) => {
                let salt = self.note_salt.as_deref().and_then(|salt| salt.try_into().ok());
                Some(audit::commitment(salt.ok_or_else(|| StoreError::corrupt("salt"))?, words))
            }
        };
        Ok(committed_entry(&overlap, note, ""))
    }
}

/// What a rule's entries are about.
pub(super) const RULE: &str = "rule";

pub(super) fn rule_entry(id: i64, body: &str) -> Entry {
    Entry::new("rules.import", format!("{RULE}-{id}"), 1, state([("rule", body.into())]))
}

/// Computes the findings of all areas that have anything delivered, or of those named.
#[derive(Debug, Clone)]
pub struct RecomputeOverlaps {
    pub author: Author,
    pub areas: Option<BTreeSet<AreaId>>,
}

impl Command for RecomputeOverlaps {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        tx.take_your_time().await?;
        let now = tx.now().await?;
        let areas = match &self.areas {
            Some(areas) => areas.clone(),
            None => {
                let rows: Vec<super::rows::IdRow> = tx
                    .all(
                        "SELECT DISTINCT area_id AS id FROM need WHERE delivered > 0
                         UNION SELECT area_id FROM distribution UNION SELECT area_id FROM overlap",
                        [],
                    )
                    .await?;
                rows.into_iter().map(|r| AreaId(r.id)).collect()
            }
        };
        recompute(tx, now, self.author, &areas).await
    }
}

/// An auditor decides what a finding is, and says why.
#[derive(Debug, Clone)]
pub struct ResolveOverlap {
    pub author: Author,
    pub id: OverlapId,
    pub expected_version: i64,
    pub status: OverlapStatus,
    pub note: String,
    /// Keeps the note's commitment in the log from being guessed.
    pub salt: [u8; 16],
}

impl Command for ResolveOverlap {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let sql = format!("SELECT {OVERLAP_COLUMNS} FROM overlap WHERE id = $1{}", tx.dialect.lock());
        let row: Option<OverlapRow> = tx.all(&sql, [self.id.0.into()]).await?.pop();
        let before = row.ok_or(StoreError::NotFound("overlap"))?.into_overlap()?;
        if before.version != self.expected_version {
            return Err(StoreError::VersionConflict);
        }
        let after = resolve(&before, self.status, &self.note).map_err(|why| match why {
            crate::domain::overlap::Unresolvable::NoteMissing => StoreError::bad("note", why.to_string()),
            crate::domain::overlap::Unresolvable::Withdrawn => StoreError::Illegal(format!("{}: {why}", self.id)),
        })?;
        let Some(after) = after else { return Ok(()) };
        update(tx, &after, self.author).await?;
        tx.run("UPDATE overlap SET note_salt = $2 WHERE id = $1", [self.id.0.into(), self.salt.to_vec().into()])
            .await?;
        audit::append(tx, now, self.author, vec![entry(&after, Some(&self.salt), "overlap.resolve")]).await
    }
}

/// Replaces nothing: rules that are known already stay, new ones are added, and all findings are
/// judged anew.
#[derive(Debug, Clone)]
pub struct ImportRules {
    pub author: Author,
    pub rules: Vec<Rule>,
    pub dry_run: bool,
}

impl Command for ImportRules {
    /// How many were new.
    type Answer = usize;

    async fn run(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let now = tx.now().await?;
        let mut entries = Vec::new();
        for rule in &self.rules {
            let body = rule_json(rule).to_string();
            let sql = "INSERT INTO overlap_rule (body) VALUES ($1) ON CONFLICT (body) DO NOTHING RETURNING id";
            if let Some(row) = tx.one(sql, [body.as_str().into()]).await? {
                entries.push(rule_entry(column(&row, "id")?, &body));
            }
        }
        let new = entries.len();
        audit::append(tx, now, self.author, entries).await?;
        if self.dry_run {
            tx.abandon();
        } else if new > 0 {
            RecomputeOverlaps { author: self.author, areas: None }.run(tx).await?;
        }
        Ok(new)
    }
}

/// Aid given outside the program, as a file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideAid {
    pub external_id: String,
    pub organization: String,
    pub area: AreaId,
    pub item: ItemId,
    pub quantity: Quantity,
    pub period: Period,
}

/// Enters aid from outside for the overlap audit, all in one transaction. A known external id of
/// the same source updates its record. Organisations that nobody knows yet are entered as pending.
#[derive(Debug, Clone)]
pub struct ImportDistributions {
    pub author: Author,
    pub source: String,
    pub category: OrganizationCategory,
    pub rows: Vec<OutsideAid>,
    pub dry_run: bool,
}

/// What an import of distributions came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportedDistributions {
    pub unchanged: usize,
    pub new_organizations: Vec<String>,
}

#[derive(FromQueryResult)]
pub(super) struct DistributionRow {
    pub id: i64,
    external_id: String,
    organization_id: i64,
    area_id: i64,
    item_id: i64,
    quantity: i64,
    period_start: String,
    period_end: String,
    version: i64,
}

pub(super) const DISTRIBUTION_COLUMNS: &str =
    "id, external_id, organization_id, area_id, item_id, quantity, period_start, period_end, version";

impl Command for ImportDistributions {
    type Answer = ImportedDistributions;

    async fn run(&self, tx: &mut Tx) -> Result<ImportedDistributions, StoreError> {
        tx.take_your_time().await?;
        let now = tx.now().await?;
        let mut report = ImportedDistributions::default();
        let mut organizations: HashMap<&str, i64> = HashMap::new();
        let names: BTreeSet<&str> = self.rows.iter().map(|r| r.organization.as_str()).collect();
        for name in names {
            let (id, new) = people::organization_named(tx, now, self.author, name, self.category).await?;
            if new {
                report.new_organizations.push(name.to_owned());
            }
            organizations.insert(name, id.0);
        }
        let mut areas: BTreeSet<AreaId> = BTreeSet::new();
        for chunk in self.rows.chunks(STEP) {
            self.write(tx, now, chunk, &organizations, &mut areas, &mut report).await?;
        }
        if self.dry_run {
            tx.abandon();
        } else {
            recompute(tx, now, self.author, &areas).await?;
        }
        Ok(report)
    }
}

impl ImportDistributions {
    async fn write(
        &self,
        tx: &mut Tx,
        now: Moment,
        rows: &[OutsideAid],
        organizations: &HashMap<&str, i64>,
        areas: &mut BTreeSet<AreaId>,
        report: &mut ImportedDistributions,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT d.id, d.external_id, d.organization_id, d.area_id, d.item_id, d.quantity, d.period_start,
             d.period_end, d.version FROM {} JOIN distribution d ON d.external_id = r.external_id AND d.source = $2",
            tx.dialect.rows("$1", &[("external_id", Text)])
        );
        let wanted = batch(rows, |r| json!({"external_id": r.external_id}));
        let known: Vec<DistributionRow> = tx.all(&sql, [wanted, self.source.as_str().into()]).await?;
        let known: HashMap<String, DistributionRow> = known.into_iter().map(|k| (k.external_id.clone(), k)).collect();
        let mut changed = Vec::new();
        for row in rows {
            let organization = organizations.get(row.organization.as_str()).copied().unwrap_or_default();
            match known.get(&row.external_id) {
                Some(k)
                    if k.organization_id == organization
                        && k.area_id == row.area.0
                        && k.item_id == row.item.0
                        && k.quantity == row.quantity.get()
                        && k.period_start == row.period.start.to_string()
                        && k.period_end == row.period.end.to_string() =>
                {
                    report.unchanged += 1;
                }
                known => {
                    // What it moved away from is looked at again as well.
                    areas.extend(known.map(|k| AreaId(k.area_id)));
                    areas.insert(row.area);
                    changed.push((row, organization, known.map_or(1, |k| k.version + 1)));
                }
            }
        }
        let columns = [
            ("external_id", Text),
            ("organization_id", Int),
            ("area_id", Int),
            ("item_id", Int),
            ("quantity", Int),
            ("period_start", Text),
            ("period_end", Text),
            ("version", Int),
        ];
        let sql = format!(
            "INSERT INTO distribution (external_id, source, organization_id, area_id, item_id, quantity,
             period_start, period_end, version)
             SELECT external_id, CAST($2 AS TEXT), organization_id, area_id, item_id, quantity, period_start,
             period_end, version FROM {} WHERE true
             ON CONFLICT (source, external_id) DO UPDATE SET organization_id = excluded.organization_id,
             area_id = excluded.area_id, item_id = excluded.item_id, quantity = excluded.quantity,
             period_start = excluded.period_start, period_end = excluded.period_end, version = excluded.version
             RETURNING {DISTRIBUTION_COLUMNS}",
            tx.dialect.rows("$1", &columns)
        );
        let values = batch(&changed, |(r, organization, version)| {
            json!({"external_id": r.external_id, "organization_id": organization, "area_id": r.area.0,
                   "item_id": r.item.0, "quantity": r.quantity.get(), "period_start": r.period.start.to_string(),
                   "period_end": r.period.end.to_string(), "version": version})
        });
        let written: Vec<DistributionRow> = tx.all(&sql, [values, self.source.as_str().into()]).await?;
        expect_rows(written.len() as u64, changed.len())?;
        let entries = written.into_iter().map(distribution_entry).collect();
        audit::append(tx, now, self.author, entries).await
    }
}

pub(super) fn distribution_entry(row: DistributionRow) -> Entry {
    Entry::new(
        "distributions.import",
        DistributionId(row.id).to_string(),
        row.version,
        state([
            ("organization", OrganizationId(row.organization_id).to_string().into()),
            ("area", AreaId(row.area_id).to_string().into()),
            ("item", ItemId(row.item_id).to_string().into()),
            ("quantity", row.quantity.into()),
            ("periodStart", row.period_start.into()),
            ("periodEnd", row.period_end.into()),
        ]),
    )
}

/// Which findings a reader asks for.
#[derive(Debug, Clone, Default)]
pub struct OverlapFilter {
    pub area: Option<AreaCode>,
    pub kinds: Vec<OverlapKind>,
    pub statuses: Vec<OverlapStatus>,
}

/// A stored record of aid from outside, as evidence.
#[derive(Debug, Clone)]
pub struct OutsideRecord {
    pub id: DistributionId,
    pub external_id: String,
    pub source: String,
    pub organization: OrganizationId,
    pub quantity: Quantity,
    pub start: Day,
    pub end: Day,
}

impl Store {
    /// Ids of findings that still stand, by area code, then id, after the given one; and how many
    /// there are in all.
    pub async fn overlap_page(
        &self,
        filter: &OverlapFilter,
        after: Option<(AreaCode, OverlapId)>,
        most: i64,
    ) -> Result<(Vec<OverlapId>, i64), StoreError> {
        let words = |words: Vec<&str>| serde_json::Value::from(words).to_string();
        let kinds = if filter.kinds.is_empty() { OverlapKind::ALL.to_vec() } else { filter.kinds.clone() };
        let statuses = if filter.statuses.is_empty() { OverlapStatus::ALL.to_vec() } else { filter.statuses.clone() };
        let area = filter.area.as_ref().map(AreaCode::to_string).unwrap_or_default();
        let (after_code, after_id) = after.map_or((String::new(), 0), |(code, id)| (code.to_string(), id.0));
        let (kind_set, status_set) = (self.dialect.texts("$1"), self.dialect.texts("$2"));
        let matching = format!(
            "FROM overlap o JOIN area a ON a.id = o.area_id
             WHERE o.withdrawn = 0 AND o.kind {kind_set} AND o.status {status_set}
             AND ($3 = '' OR a.code = $3 OR a.code LIKE $3 || '.%')"
        );
        let kinds = words(kinds.iter().map(|k| k.word()).collect());
        let statuses = words(statuses.iter().map(|s| s.word()).collect());
        let rows: Vec<super::rows::IdRow> = self
            .read_all(
                &format!(
                    "SELECT o.id {matching} AND (a.code > $4 OR (a.code = $4 AND o.id > $5))
                     ORDER BY a.code, o.id LIMIT $6"
                ),
                [
                    kinds.as_str().into(),
                    statuses.as_str().into(),
                    area.as_str().into(),
                    after_code.into(),
                    after_id.into(),
                    most.into(),
                ],
            )
            .await?;
        let total = self
            .read_one(
                &format!("SELECT count(*) AS total {matching}"),
                [kinds.as_str().into(), statuses.as_str().into(), area.as_str().into()],
            )
            .await?
            .ok_or_else(|| StoreError::corrupt("total"))?;
        Ok((rows.into_iter().map(|r| OverlapId(r.id)).collect(), column(&total, "total")?))
    }

    /// Findings by id, in no particular order, withdrawn ones among them.
    pub async fn overlaps(&self, wanted: &[OverlapId]) -> Result<Vec<Overlap>, StoreError> {
        let sql = format!("SELECT {OVERLAP_COLUMNS} FROM overlap WHERE id {}", self.dialect.numbers("$1"));
        let rows: Vec<OverlapRow> = self.read_all(&sql, [ids(wanted.iter().map(|o| o.0))]).await?;
        rows.into_iter().map(OverlapRow::into_overlap).collect()
    }

    pub async fn outside_records(&self, wanted: &[DistributionId]) -> Result<Vec<OutsideRecord>, StoreError> {
        #[derive(FromQueryResult)]
        struct Row {
            id: i64,
            external_id: String,
            source: String,
            organization_id: i64,
            quantity: i64,
            period_start: String,
            period_end: String,
        }
        let sql = format!(
            "SELECT id, external_id, source, organization_id, quantity, period_start, period_end
             FROM distribution WHERE id {} ORDER BY id",
            self.dialect.numbers("$1")
        );
        let rows: Vec<Row> = self.read_all(&sql, [ids(wanted.iter().map(|d| d.0))]).await?;
        rows.into_iter()
            .map(|r| {
                Ok(OutsideRecord {
                    id: DistributionId(r.id),
                    external_id: r.external_id,
                    source: r.source,
                    organization: OrganizationId(r.organization_id),
                    quantity: quantity(r.quantity)?,
                    start: day(&r.period_start)?,
                    end: day(&r.period_end)?,
                })
            })
            .collect()
    }

    /// The written rules, in the order in which findings number them.
    pub async fn overlap_rules(&self) -> Result<Vec<Rule>, StoreError> {
        let rows: Vec<RuleRow> = self.read_all("SELECT body FROM overlap_rule ORDER BY id", []).await?;
        rows.iter().map(|r| rule_from(&r.body).ok_or_else(|| StoreError::corrupt("rule"))).collect()
    }
}

/// A stored record of aid from outside, as an import compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedAid {
    pub external_id: String,
    pub organization: String,
    pub area: AreaCode,
    pub item: ItemId,
    pub quantity: Quantity,
    pub period: Period,
}

#[derive(FromQueryResult)]
struct ImportedAidRow {
    external_id: String,
    name: String,
    code: String,
    item_id: i64,
    quantity: i64,
    period_start: String,
    period_end: String,
}

impl Store {
    /// All aid from outside that one source has told of.
    pub async fn aid_of_source(&self, source: &str) -> Result<Vec<ImportedAid>, StoreError> {
        let rows: Vec<ImportedAidRow> = self
            .read_all(
                "SELECT d.external_id, o.name, a.code, d.item_id, d.quantity, d.period_start, d.period_end
                 FROM distribution d JOIN organization o ON o.id = d.organization_id JOIN area a ON a.id = d.area_id
                 WHERE d.source = $1",
                [source.into()],
            )
            .await?;
        rows.into_iter()
            .map(|r| {
                Ok(ImportedAid {
                    external_id: r.external_id,
                    organization: r.name,
                    area: r.code.parse().map_err(|_| StoreError::corrupt("area code"))?,
                    item: ItemId(r.item_id),
                    quantity: quantity(r.quantity)?,
                    period: period(&r.period_start, &r.period_end)?,
                })
            })
            .collect()
    }
}
