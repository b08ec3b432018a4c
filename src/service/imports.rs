//! Publishes what files ask for: reads what stands, plans, and hands the plan to the store.
//!
//! A run is one transaction. Rows that were rejected keep all of it from being published unless
//! the caller says otherwise; a dry run goes through the same transaction and takes it back.

use crate::domain::area::AreaCode;
use crate::domain::ids::{AreaId, ItemId, ProgramId};
use crate::domain::need::NeedStatus;
use crate::domain::organization::OrganizationCategory;
use crate::domain::overlap::{Rule, RuleKind};
use crate::domain::place::LonLat;
use crate::domain::program::{Item, Program};
use crate::import::{
    AreaOptions, Change, ImportError, KnownArea, KnownDistribution, KnownItem, KnownNeed, KnownProgram, Note,
    PlannedArea, PlannedItem, PlannedProgram, PlannedRule, Reference, Report, SourceFile, plan_areas,
    plan_distributions, plan_needs, plan_programs, read_rules, shape_digest,
};
use crate::spatial::Shape;
use crate::store::{
    AreaDigest, AreaRow, Author, ImportDistributions, ImportNeeds, ImportPrograms, ImportRules, OpeningNeed,
    OutsideAid, ProgramRow, PublishAreas, Store, StoreError,
};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

/// How a run publishes, and who is told how far it has come.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    pub author: Author,
    /// Everything is done and then taken back.
    pub dry_run: bool,
    /// Publish the accepted rows although others are rejected.
    pub accept_rejects: bool,
    /// Called at the start of each step with what it does and over how many records.
    pub progress: &'a (dyn Fn(&str, usize) + Sync),
}

impl Terms<'_> {
    /// Whether a run with these rejects goes as far as the store.
    fn publishes(&self, report: &Report) -> bool {
        report.is_whole() || self.accept_rejects
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// A file is refused as a whole.
    #[error(transparent)]
    File(#[from] ImportError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One planned item with its program, as the store takes it.
pub(super) fn program_row(program: &PlannedProgram, item: &PlannedItem) -> ProgramRow {
    ProgramRow {
        program_key: program.key.clone(),
        program_name_id: program.name_id.clone(),
        program_name_en: program.name_en.clone(),
        first_right_hours: program.first_right_hours,
        item_key: item.key.clone(),
        item_name_id: item.name_id.clone(),
        item_name_en: item.name_en.clone(),
        unit: item.unit.clone(),
        kind: item.kind,
    }
}

/// Programs and items.
pub async fn programs(store: &Store, files: &[SourceFile], terms: Terms<'_>) -> Result<Report, ImportFailure> {
    (terms.progress)("comparing with the programs that stand", 0);
    let (programs, items) = store.programs().await?;
    let reference = with_items(Reference::new([]), &programs, &items);
    let (plan, mut report) = plan_programs(files, &reference)?;
    if !terms.publishes(&report) {
        return Ok(report);
    }
    let names: HashMap<&str, _> = plan.programs.iter().map(|p| (p.key.as_str(), p)).collect();
    let rows: Vec<ProgramRow> = plan
        .items
        .iter()
        .filter_map(|item| {
            let program = names.get(item.program_key.as_str())?;
            let same = program.change == Change::Same && item.change == Change::Same;
            (!same).then(|| program_row(program, item))
        })
        .collect();
    if !rows.is_empty() {
        (terms.progress)("publishing", 0);
        store.execute(ImportPrograms { author: terms.author, rows, dry_run: terms.dry_run }).await?;
    }
    report.published = !terms.dry_run;
    Ok(report)
}

/// Areas, as one edition. Where nothing differs from what stands, no edition is made.
pub async fn areas(
    store: &Store,
    files: Vec<SourceFile>,
    options: &AreaOptions,
    source: &str,
    terms: Terms<'_>,
) -> Result<Report, ImportFailure> {
    (terms.progress)("reading the areas that stand", 0);
    let reference = Reference::new(
        store.area_digests().await?.into_iter().map(known_area).collect::<Result<Vec<_>, StoreError>>()?,
    );
    (terms.progress)("comparing", 0);
    let (plan, mut report) = plan_areas(files, options, &reference)?;
    if !terms.publishes(&report) {
        return Ok(report);
    }
    // Memory is for what is written.
    drop(reference);
    let deepest = plan.areas.iter().map(|a| a.level).max();
    let rows: Vec<AreaRow> = plan.areas.into_iter().filter(|a| a.change != Change::Same).map(area_row).collect();
    if let Some(level) = options.level.or(deepest).filter(|_| !rows.is_empty()) {
        let (author, source, dry_run) = (terms.author, source.to_owned(), terms.dry_run);
        let count = rows.len();
        let publish = store.execute(PublishAreas { author, level, source, rows, dry_run });
        watched(store, terms, &format!("publishing {count} areas"), count, publish).await?;
    }
    report.published = !terms.dry_run;
    Ok(report)
}

/// Needs with their opening balances.
pub async fn needs(store: &Store, files: Vec<SourceFile>, terms: Terms<'_>) -> Result<Report, ImportFailure> {
    (terms.progress)("reading the needs that stand", 0);
    let directory = Directory::read(store).await?;
    let standing = store.imported_needs().await?.into_iter().filter_map(|need| {
        Some(KnownNeed {
            external_id: need.external_id,
            area_code: need.area,
            item_key: directory.items.iter().find(|i| i.id == need.item)?.key.clone(),
            period: need.period,
            required: need.counters.required(),
            severity: need.severity.get(),
            allocated: need.allocated,
            delivered: need.delivered,
            claimed: need.counters.allocated().saturating_sub(need.allocated),
        })
    });
    let reference = directory.reference().with_needs(standing);
    (terms.progress)("comparing", 0);
    let (plan, mut report) = plan_needs(&files, &reference)?;
    drop(files);
    if !terms.publishes(&report) {
        return Ok(report);
    }
    let mut rows = Vec::with_capacity(plan.needs.len());
    let spots: Vec<(u32, u64)> = plan.needs.iter().map(|need| (need.file as u32, need.row)).collect();
    for (at, need) in plan.needs.into_iter().enumerate() {
        let (program, item) = directory.item(&need.item_key)?;
        rows.push(OpeningNeed {
            row: at,
            external_id: need.external_id,
            area: directory.area(&need.area_code)?,
            program,
            item,
            period: need.period,
            required: need.required,
            severity: need.severity,
            status: NeedStatus::Verified,
            allocated: need.allocated,
            delivered: need.delivered,
        });
    }
    // What was looked up is known now: memory is for what is written.
    drop((directory, reference));
    let (author, accept_rejects, dry_run) = (terms.author, terms.accept_rejects, terms.dry_run);
    let count = rows.len();
    let publish = store.execute(ImportNeeds { author, rows, accept_rejects, dry_run });
    let done = watched(store, terms, &format!("publishing {count} needs"), count, publish).await?;
    // What stands may have changed since it was read: the store has the last word.
    for (at, reason) in done.rejected {
        let Some((file, row)) = spots.get(at) else { continue };
        let note = note(&report, *file as usize, *row, reason);
        report.rejected.push(note);
    }
    report.accepted = done.accepted as u64;
    report.unchanged = done.unchanged as u64;
    report.published = done.published;
    Ok(report)
}

/// How often whoever waits is told how far it is.
const TELLING: Duration = Duration::from_secs(2);

/// Sees a publication through, and says from time to time how much of it is written.
async fn watched<T>(
    store: &Store,
    terms: Terms<'_>,
    what: &str,
    records: usize,
    publication: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    (terms.progress)(what, records);
    let before = store.rows_written();
    let mut publication = std::pin::pin!(publication);
    let mut told = 0;
    loop {
        if let Ok(done) = tokio::time::timeout(TELLING, &mut publication).await {
            return done;
        }
        let tenths = (store.rows_written() - before) * 10 / (records as u64).max(1);
        if tenths > told {
            told = tenths;
            let rest = if tenths >= 10 { "written; checking and committing".into() } else { format!("{tenths}0 %") };
            (terms.progress)(&format!("{what}: {rest}"), records);
        }
    }
}

/// Aid that one source tells of. Givers that nobody knows yet are entered under `category`, as
/// pending, and are named in the report's notes.
pub async fn distributions(
    store: &Store,
    files: &[SourceFile],
    source: &str,
    category: OrganizationCategory,
    terms: Terms<'_>,
) -> Result<Report, ImportFailure> {
    (terms.progress)("reading what the source has told before", 0);
    let directory = Directory::read(store).await?;
    let standing = store.aid_of_source(source).await?.into_iter().filter_map(|aid| {
        Some(KnownDistribution {
            external_id: aid.external_id,
            organization: aid.organization,
            area_code: aid.area,
            item_key: directory.items.iter().find(|i| i.id == aid.item)?.key.clone(),
            quantity: aid.quantity,
            period: aid.period,
        })
    });
    let reference = directory.reference().with_distributions(standing);
    (terms.progress)("comparing", 0);
    let (plan, mut report) = plan_distributions(files, &reference)?;
    if !terms.publishes(&report) {
        return Ok(report);
    }
    let mut rows = Vec::with_capacity(plan.distributions.len());
    for aid in &plan.distributions {
        rows.push(OutsideAid {
            external_id: aid.external_id.clone(),
            organization: aid.organization.clone(),
            area: directory.area(&aid.area_code)?,
            item: directory.item(&aid.item_key)?.1,
            quantity: aid.quantity,
            period: aid.period,
        });
    }
    (terms.progress)(&format!("publishing {} records and looking for overlap", rows.len()), rows.len());
    let (author, dry_run, source) = (terms.author, terms.dry_run, source.to_owned());
    let done = store.execute(ImportDistributions { author, source, category, rows, dry_run }).await?;
    for name in done.new_organizations {
        let first = plan.distributions.iter().find(|d| d.organization == name);
        let reason = format!("organization {name:?} is new and entered as PENDING, {}", category.word());
        let note = note(&report, first.map_or(0, |d| d.file), first.map_or(0, |d| d.row), reason);
        report.notes.push(note);
    }
    report.unchanged = done.unchanged as u64;
    report.published = !terms.dry_run;
    Ok(report)
}

/// Overlap rules. Known ones stay, new ones are added, and all findings are judged anew.
pub async fn rules(store: &Store, files: &[SourceFile], terms: Terms<'_>) -> Result<Report, ImportFailure> {
    let (programs, items) = store.programs().await?;
    let reference = with_items(Reference::new([]), &programs, &items);
    let program = |key: &str| programs.iter().find(|p| p.key == key).map(|p| p.id);
    let item = |key: &str| items.iter().find(|i| i.key == key).map(|i| i.id);
    let mut rules = Vec::new();
    for file in files {
        let planned = read_rules(file, &reference)?.into_iter().enumerate();
        for (at, rule) in planned {
            let rule = overlap_rule(&rule, program, item).map_err(|reason| ImportError {
                place: file.name().to_owned(),
                reason: format!("rule {}: {reason}", at + 1),
            })?;
            rules.push(rule);
        }
    }
    let read = rules.len() as u64;
    (terms.progress)("publishing and judging all findings anew", 0);
    let new = store.execute(ImportRules { author: terms.author, rules, dry_run: terms.dry_run }).await? as u64;
    Ok(Report {
        read,
        accepted: read,
        unchanged: read - new,
        records: read,
        published: !terms.dry_run,
        ..Report::default()
    })
}

/// A written rule in the terms of the audit. Exclusive are two programs; items are permitted only.
pub(super) fn overlap_rule(
    rule: &PlannedRule,
    program: impl Fn(&str) -> Option<ProgramId>,
    item: impl Fn(&str) -> Option<ItemId>,
) -> Result<Rule, String> {
    let programs: Option<Vec<ProgramId>> = rule.programs.iter().map(|key| program(key)).collect();
    let items: Option<Vec<ItemId>> = rule.items.iter().map(|key| item(key)).collect();
    let unknown = "names a program or item that is not known; import programs first";
    let (programs, items) = programs.zip(items).ok_or(unknown)?;
    let kind = match (rule.kind, &programs[..], &items[..]) {
        (crate::import::RuleKind::Permitted, ..) => RuleKind::Permitted { programs, items },
        (crate::import::RuleKind::Exclusive, &[a, b], []) => RuleKind::Exclusive { programs: (a, b) },
        (crate::import::RuleKind::Exclusive, ..) => {
            return Err("is exclusive; it takes exactly two programs and no items".into());
        }
    };
    Ok(Rule {
        kind,
        owner: rule.owner.clone(),
        valid_from: rule.valid_from,
        valid_until: rule.valid_until,
        reason_id: rule.reason_id.clone(),
        reason_en: rule.reason_en.clone(),
    })
}

fn note(report: &Report, file: usize, row: u64, reason: String) -> Note {
    let file = report.files.get(file).filter(|_| report.files.len() > 1).map(|f| f.name.clone());
    Note { row, reason, file }
}

fn with_items(reference: Reference, programs: &[Program], items: &[Item]) -> Reference {
    let key = |id: ProgramId| programs.iter().find(|p| p.id == id).map(|p| p.key.clone()).unwrap_or_default();
    reference.with_items(
        programs.iter().map(|p| KnownProgram {
            key: p.key.clone(),
            name_id: p.name_id.clone(),
            name_en: p.name_en.clone(),
            first_right_hours: p.first_right_hours,
        }),
        items.iter().map(|i| KnownItem {
            program_key: key(i.program),
            key: i.key.clone(),
            name_id: i.name_id.clone(),
            name_en: i.name_en.clone(),
            unit: i.unit.clone(),
            kind: i.kind,
        }),
    )
}

fn known_area(area: AreaDigest) -> Result<KnownArea, StoreError> {
    let damaged = || StoreError::Fault(format!("the stored area {} cannot be read", area.code));
    let shape = area.geometry.as_deref().map(Shape::from_wkb).transpose().map_err(|_| damaged())?;
    let point = area.lon.zip(area.lat).map(|(lon, lat)| LonLat::new(lon, lat)).transpose();
    Ok(KnownArea {
        code: area.code.parse().map_err(|_| damaged())?,
        point: point.map_err(|_| damaged())?,
        shape: area.geometry.as_deref().map(shape_digest),
        bounds: shape.map(|s| s.bounds()),
        name: area.name,
        label: area.label,
        bps_code: area.bps_code,
        households: area.households,
        poor_households: area.poor_households,
    })
}

fn area_row(area: PlannedArea) -> AreaRow {
    AreaRow {
        code: area.code,
        name: area.name,
        label: area.label,
        point: area.point,
        shape: area.shape,
        generated: false,
        households: area.households,
        poor_households: area.poor_households,
        bps_code: area.bps_code,
    }
}

/// Ids by what files call things.
struct Directory {
    areas: HashMap<AreaCode, AreaId>,
    programs: Vec<Program>,
    items: Vec<Item>,
}

impl Directory {
    async fn read(store: &Store) -> Result<Directory, StoreError> {
        let (programs, items) = store.programs().await?;
        Ok(Directory { areas: store.area_ids().await?, programs, items })
    }

    /// Areas by their codes alone: rows about aid say nothing else of them.
    fn reference(&self) -> Reference {
        with_items(Reference::of_codes(self.areas.keys().cloned()), &self.programs, &self.items)
    }

    fn area(&self, code: &AreaCode) -> Result<AreaId, StoreError> {
        self.areas.get(code).copied().ok_or(StoreError::NotFound("area"))
    }

    fn item(&self, key: &str) -> Result<(ProgramId, ItemId), StoreError> {
        let item = self.items.iter().find(|i| i.key == key).ok_or(StoreError::NotFound("item"))?;
        Ok((item.program, item.id))
    }
}
