//! Tables that are handed out as files: what each holds, and who may have how much of it.
//!
//! Needs and totals come from the map, with the eyes of whoever asks; lines of claims and trips come from
//! the database. No file names a person, and notes that people typed stay where they are.

use super::access::{Operation, Permit, authorize};
use super::{Code, Service, ServiceError};
use crate::atlas::{AreaRef, Filter, Ground, NeedView, Sight};
use crate::domain::actor::Actor;
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::calendar::Day;
use crate::domain::claim::ClaimStatus;
use crate::domain::ids::{AreaId, ItemId, OrganizationId, ProgramId};
use crate::domain::organization::{Organization, OrganizationCategory};
use crate::domain::overlap::Overlap;
use crate::domain::program::{Item, ItemKind};
use crate::domain::quantity::Quantity;
use crate::export::{self, About, Cell, Column, Format, Row};
use crate::store::{ExportFilter, ExportReach, ExportedLine, ExportedParties, ExportedTrip, OverlapFilter};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

/// What can be had as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Needs as the map shows them.
    Needs,
    /// Claims, a row for each line.
    Claims,
    /// Trips, a row for each line.
    Deliveries,
    /// Findings of the overlap audit.
    Overlaps,
    /// Who does what where, with HXL tags, by RW and by village where there is none.
    WhoWhatWhere,
}

impl Subject {
    pub const ALL: [Subject; 5] =
        [Subject::Needs, Subject::Claims, Subject::Deliveries, Subject::Overlaps, Subject::WhoWhatWhere];

    pub fn word(self) -> &'static str {
        match self {
            Subject::Needs => "needs",
            Subject::Claims => "claims",
            Subject::Deliveries => "deliveries",
            Subject::Overlaps => "overlaps",
            Subject::WhoWhatWhere => "3w",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.word() == word)
    }

    fn operation(self) -> Operation {
        match self {
            Subject::Needs => Operation::ExportNeeds,
            Subject::Claims => Operation::ExportClaims,
            Subject::Deliveries => Operation::ExportDeliveries,
            Subject::Overlaps => Operation::ExportOverlaps,
            Subject::WhoWhatWhere => Operation::ExportWhoWhatWhere,
        }
    }
}

/// For whom a file is.
#[derive(Debug, Clone, Copy)]
pub enum For<'a> {
    Caller(&'a Actor),
    /// Whoever sits at the machine and has the database anyway.
    Operator,
}

/// All that are given hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportQuery {
    /// This area and all below it.
    pub area: Option<AreaCode>,
    /// By its key.
    pub program: Option<String>,
    /// By its key.
    pub item: Option<String>,
}

/// A table that is ready to be written.
pub struct Export {
    about: About,
    columns: Vec<Column>,
    rows: Box<dyn Iterator<Item = Row> + Send>,
}

impl Export {
    /// Answers how many rows there are. Takes its time: not for a thread that serves others.
    pub fn write(self, format: Format, out: &mut impl Write) -> io::Result<usize> {
        export::write(format, &self.about, &self.columns, self.rows, out)
    }
}

/// Files that one server makes at the same time.
pub(super) const AT_ONCE: usize = 2;

impl Service {
    /// The table, of at most `most` rows: more are TOO_COMPLEX.
    pub async fn export(
        &self,
        of: For<'_>,
        subject: Subject,
        query: &ExportQuery,
        most: usize,
    ) -> Result<Export, ServiceError> {
        let (permit, sight) = match of {
            For::Caller(actor) => (Some(authorize(actor, subject.operation())?), self.sight(actor).await?),
            For::Operator => (None, Sight::All),
        };
        let ground = self.atlas().ground();
        let asked = Asked::of(&ground, query, most)?;
        let (columns, rows) = match subject {
            Subject::Needs => self.needs_table(sight, &asked)?,
            Subject::Overlaps => self.overlaps_table(permit.as_ref(), &ground, &asked).await?,
            Subject::Claims | Subject::Deliveries | Subject::WhoWhatWhere => {
                let reach = permit.as_ref().map_or_else(ExportReach::all, reach_of);
                self.lines_table(subject, reach, &ground, &asked).await?
            }
        };
        let mut said = vec![("read_at", self.now().await?.to_string())];
        said.extend(asked.area.as_ref().map(|area| ("area", area.to_string())));
        said.extend(query.program.clone().map(|key| ("program", key)));
        said.extend(query.item.clone().map(|key| ("item", key)));
        Ok(Export { about: About { title: subject.word(), said }, columns, rows })
    }

    /// The whole file, and the day it is of. Few at a time: whoever comes next waits.
    pub async fn export_file(
        &self,
        actor: &Actor,
        subject: Subject,
        format: Format,
        query: &ExportQuery,
        most: usize,
    ) -> Result<(Vec<u8>, Day), ServiceError> {
        let _turn = self.0.exports.acquire().await.map_err(ServiceError::fault)?;
        let export = self.export(For::Caller(actor), subject, query, most.min(format.most_rows())).await?;
        let day = self.now().await?.day();
        let written = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            export.write(format, &mut bytes).map(|_| bytes)
        });
        let bytes = written.await.map_err(ServiceError::fault)?.map_err(ServiceError::fault)?;
        Ok((bytes, day))
    }

    fn needs_table(&self, sight: Sight, asked: &Asked) -> Result<Table, ServiceError> {
        let filter = Filter {
            area: asked.area.clone(),
            programs: asked.program.map(|p| vec![p]),
            items: asked.item.map(|i| vec![i]),
            ..Filter::everything(sight.clone())
        };
        let needs = self.atlas().all_needs(&filter);
        asked.holds(needs.len())?;
        let columns = [
            &["area_code", "program", "item", "required", "severity", "period_start", "period_end", "allocated"][..],
            &["delivered", "unmet", "service", "status", "unit", "need_id", "version"],
            &PLACE[1..],
            &["households", "lon", "lat"],
        ];
        let rows = needs.into_iter().map(move |view| need_row(&view, &sight));
        Ok((plain(&columns.concat()), Box::new(rows)))
    }

    async fn lines_table(
        &self,
        subject: Subject,
        reach: ExportReach,
        ground: &Arc<Ground>,
        asked: &Asked,
    ) -> Result<Table, ServiceError> {
        let filter = ExportFilter {
            area: asked.area.clone(),
            program: asked.program,
            item: asked.item,
            most: asked.most.saturating_add(1),
        };
        if subject == Subject::Deliveries {
            let trips = self.store().exported_trips(&reach, &filter).await?;
            asked.holds(trips.len())?;
            let names = self.names_of(ground, trips.iter().map(|t| &t.parties)).await?;
            let columns =
                [&["delivery_id", "status", "scheduled_for", "delivered_at", "answered_at"][..], &PARTIES].concat();
            let columns = [&columns[..], &["quantity", "accepted", "rejected"], &PLACE, &["lon", "lat"]].concat();
            return Ok((plain(&columns), Box::new(trips.into_iter().map(move |trip| trip_row(&names, &trip)))));
        }
        if subject == Subject::Claims {
            let lines = self.store().exported_lines(&reach, &filter).await?;
            asked.holds(lines.len())?;
            let names = self.names_of(ground, lines.iter().map(|l| &l.parties)).await?;
            let columns = [&PARTIES[..], &["quantity", "delivered", "status", "created_at", "expires_at"]].concat();
            let columns = [&columns[..], &PLACE, &["lon", "lat"]].concat();
            return Ok((plain(&columns), Box::new(lines.into_iter().map(move |line| line_row(&names, &line)))));
        }
        // Everybody may know who does what where; how much, only those whose it is to know.
        let lines = self.store().exported_lines(&ExportReach::all(), &filter).await?;
        asked.holds(lines.len())?;
        let names = self.names_of(ground, lines.iter().map(|l| &l.parties)).await?;
        let activities = activities(&names, &reach, &lines);
        Ok((ACTIVITY.to_vec(), Box::new(activities.into_iter().map(move |(key, sums)| key.row(&names, &sums)))))
    }

    async fn names_of<'l>(
        &self,
        ground: &Arc<Ground>,
        parties: impl Iterator<Item = &'l ExportedParties>,
    ) -> Result<Names, ServiceError> {
        let mut wanted: Vec<OrganizationId> = parties.flat_map(|p| [p.organization, p.executor]).collect();
        self.names(ground, &mut wanted).await
    }

    async fn names(&self, ground: &Arc<Ground>, wanted: &mut Vec<OrganizationId>) -> Result<Names, ServiceError> {
        wanted.sort_unstable();
        wanted.dedup();
        let found = self.store().organizations(wanted).await?;
        Ok(Names { ground: ground.clone(), organizations: found.into_iter().map(|o| (o.id, o)).collect() })
    }

    async fn overlaps_table(
        &self,
        permit: Option<&Permit<'_>>,
        ground: &Arc<Ground>,
        asked: &Asked,
    ) -> Result<Table, ServiceError> {
        let own = permit.map(Permit::area).transpose()?.flatten();
        let area = match (own, asked.area.clone()) {
            (None, asked) => Some(asked),
            (Some(own), None) => Some(Some(own)),
            (Some(own), Some(asked)) if own.covers(&asked) => Some(Some(asked)),
            (Some(own), Some(asked)) if asked.covers(&own) => Some(Some(own)),
            (Some(_), Some(_)) => None,
        };
        let found = match area {
            Some(area) => {
                let filter = OverlapFilter { area, ..OverlapFilter::default() };
                let most = i64::try_from(asked.most.saturating_add(1)).unwrap_or(i64::MAX);
                let (ids, _) = self.store().overlap_page(&filter, None, most).await?;
                let mut found = self.store().overlaps(&ids).await?;
                found.sort_by_key(|o| ids.iter().position(|id| *id == o.id));
                found
            }
            None => Vec::new(),
        };
        asked.holds(found.len())?;
        let of_item = |o: &Overlap| asked.item.is_none() || o.finding.item == asked.item;
        let of_program = |o: &Overlap| {
            let program = o.finding.item.and_then(|item| ground.item(item)).map(|item| item.program);
            asked.program.is_none() || program == asked.program
        };
        let found: Vec<Overlap> = found.into_iter().filter(|o| of_item(o) && of_program(o)).collect();
        let mut parties: Vec<OrganizationId> = found.iter().flat_map(|o| o.finding.organizations.clone()).collect();
        let names = self.names(ground, &mut parties).await?;
        let columns = [
            &["overlap_id", "kind", "status", "item", "item_name", "unit", "organizations", "quantity", "excess"][..],
            &["period_start", "period_end", "evidence", "note"],
            &PLACE,
            &["lon", "lat"],
        ];
        Ok((plain(&columns.concat()), Box::new(found.into_iter().map(move |overlap| overlap_row(&names, &overlap)))))
    }
}

type Table = (Vec<Column>, Box<dyn Iterator<Item = Row> + Send>);

/// Columns that say where a row stands; [`place`] fills them.
const PLACE: [&str; 6] = ["area_code", "area_name", "level", "city", "district", "village"];

/// Columns that say who stands behind a line; [`parties`] fills them.
const PARTIES: [&str; 12] = [
    "claim_id",
    "line_id",
    "organization",
    "executor",
    "opening",
    "need_id",
    "program",
    "item",
    "item_name",
    "unit",
    "period_start",
    "period_end",
];

const fn tagged(name: &'static str, tag: &'static str) -> Column {
    Column { name, tag: Some(tag) }
}

/// HXL 1.1; a package is one household's, so packages that arrived are households that were reached.
const ACTIVITY: [Column; 23] = [
    tagged("organization", "#org+name"),
    tagged("organization_category", "#org+type"),
    tagged("executor", "#org+impl+name"),
    tagged("program", "#sector"),
    tagged("item", "#activity+code"),
    tagged("item_name", "#activity+name"),
    tagged("unit", "#item+unit"),
    tagged("status", "#status"),
    tagged("province_code", "#adm1+code"),
    tagged("province", "#adm1+name"),
    tagged("city_code", "#adm2+code"),
    tagged("city", "#adm2+name"),
    tagged("district_code", "#adm3+code"),
    tagged("district", "#adm3+name"),
    tagged("village_code", "#adm4+code"),
    tagged("village", "#adm4+name"),
    tagged("rw_code", "#adm5+code"),
    tagged("rw", "#adm5+name"),
    tagged("period_start", "#date+start"),
    tagged("period_end", "#date+end"),
    tagged("promised", "#targeted+quantity"),
    tagged("delivered", "#reached+quantity"),
    tagged("households_reached", "#reached+hh"),
];

fn plain(names: &[&'static str]) -> Vec<Column> {
    names.iter().map(|name| Column { name, tag: None }).collect()
}

/// What was asked for, as far as there is such a thing.
struct Asked {
    area: Option<AreaCode>,
    program: Option<ProgramId>,
    item: Option<ItemId>,
    most: usize,
}

impl Asked {
    fn of(ground: &Arc<Ground>, query: &ExportQuery, most: usize) -> Result<Asked, ServiceError> {
        if query.area.as_ref().is_some_and(|area| ground.area(area).is_none()) {
            return Err(ServiceError::not_found("area"));
        }
        let program = query.program.as_deref().map(|key| {
            let found = ground.program_by_key(key).map(|program| program.id);
            found.ok_or_else(|| ServiceError::bad("program", "there is no program of this key"))
        });
        let item = query.item.as_deref().map(|key| {
            let found = ground.item_by_key(key).map(|item| item.id);
            found.ok_or_else(|| ServiceError::bad("item", "there is no item of this key"))
        });
        Ok(Asked { area: query.area.clone(), program: program.transpose()?, item: item.transpose()?, most })
    }

    fn holds(&self, rows: usize) -> Result<(), ServiceError> {
        if rows <= self.most {
            return Ok(());
        }
        let most = self.most;
        Err(ServiceError::new(
            Code::TooComplex,
            format!("there are more than {most} rows; ask for a smaller area, or for one program or item"),
        ))
    }
}

impl ExportReach {
    fn all() -> Self {
        ExportReach { everything: true, ..ExportReach::default() }
    }

    fn covers(&self, area: &AreaRef, parties: &ExportedParties) -> bool {
        let own = |id: OrganizationId| parties.organization == id || parties.executor == id;
        self.everything
            || self.organization.is_some_and(own)
            || self.area.as_ref().is_some_and(|home| home.covers(area.code()))
    }
}

fn reach_of(permit: &Permit<'_>) -> ExportReach {
    ExportReach {
        everything: permit.everything(),
        organization: permit.organization().ok().flatten(),
        area: permit.sees_area().cloned(),
    }
}

struct Names {
    ground: Arc<Ground>,
    organizations: HashMap<OrganizationId, Organization>,
}

impl Names {
    fn organization(&self, id: OrganizationId) -> Cell {
        Cell::or_empty(self.organizations.get(&id), |o| Cell::text(&o.name))
    }

    fn item(&self, id: ItemId) -> Option<&Item> {
        self.ground.item(id)
    }

    fn program(&self, id: ProgramId) -> Cell {
        Cell::or_empty(self.ground.program(id), |p| Cell::text(&p.key))
    }
}

fn number(quantity: Quantity) -> Cell {
    Cell::Number(quantity.get())
}

/// The area at the level, of this one and those above it.
fn at_level(area: &AreaRef, level: AreaLevel) -> Option<AreaRef> {
    std::iter::successors(Some(area.clone()), AreaRef::parent).find(|a| a.level() == level)
}

/// The cells of [`PLACE`].
fn place(area: Option<&AreaRef>) -> [Cell; 6] {
    let Some(area) = area else { return [const { Cell::Empty }; 6] };
    let above = |level| Cell::or_empty(at_level(area, level), |a| Cell::text(a.name()));
    [
        Cell::text(area.code()),
        Cell::text(area.name()),
        Cell::text(area.level().word()),
        above(AreaLevel::City),
        above(AreaLevel::District),
        above(AreaLevel::Village),
    ]
}

/// Longitude and latitude, and the same for GeoJSON.
fn point(area: Option<&AreaRef>) -> ([Cell; 2], Option<serde_json::Value>) {
    match area.and_then(AreaRef::point) {
        Some((at, _)) => (
            [Cell::Degrees(at.lon()), Cell::Degrees(at.lat())],
            Some(json!({"type": "Point", "coordinates": [at.lon(), at.lat()]})),
        ),
        None => ([Cell::Empty, Cell::Empty], None),
    }
}

/// Columns of the needs' file form first, so that another city can read it in.
fn need_row(view: &NeedView, sight: &Sight) -> Row {
    let (need, area) = (&view.need, &view.area);
    let ground = area.ground();
    let item = ground.item(need.item);
    let program = ground.program(need.program);
    let counters = &need.counters;
    let mut cells = vec![
        Cell::text(area.code()),
        Cell::or_empty(program, |p| Cell::text(&p.key)),
        Cell::or_empty(item, |i| Cell::text(&i.key)),
        number(counters.required()),
        Cell::Number(need.severity.get().into()),
        Cell::text(need.period.start),
        Cell::text(need.period.end),
        number(counters.allocated()),
        number(counters.delivered()),
        number(counters.free()),
        Cell::text(counters.service().word()),
        Cell::text(need.status.word()),
        Cell::or_empty(item, |i| Cell::text(&i.unit)),
        Cell::text(need.id),
        Cell::Number(need.version),
    ];
    let [_, rest @ ..] = place(Some(area));
    cells.extend(rest);
    cells.push(Cell::or_empty(area.households(sight), Cell::Number));
    let (degrees, at) = point(Some(area));
    cells.extend(degrees);
    Row { cells, place: area.shape().map(|shape| shape.to_geojson()).or(at) }
}

/// The cells of [`PARTIES`].
fn parties(names: &Names, of: &ExportedParties) -> Vec<Cell> {
    let item = names.item(of.item);
    vec![
        Cell::text(of.claim),
        Cell::text(of.line),
        if of.opening { Cell::Empty } else { names.organization(of.organization) },
        if of.opening { Cell::Empty } else { names.organization(of.executor) },
        Cell::text(if of.opening { "yes" } else { "no" }),
        Cell::text(of.need),
        names.program(of.program),
        Cell::or_empty(item, |i| Cell::text(&i.key)),
        Cell::or_empty(item, |i| Cell::text(&i.name_id)),
        Cell::or_empty(item, |i| Cell::text(&i.unit)),
        Cell::text(of.period.start),
        Cell::text(of.period.end),
    ]
}

/// A row that ends with where it stands.
fn placed(mut cells: Vec<Cell>, names: &Names, area: AreaId) -> Row {
    let area = names.ground.area_by_id(area);
    cells.extend(place(area.as_ref()));
    let (degrees, at) = point(area.as_ref());
    cells.extend(degrees);
    Row { cells, place: at }
}

fn line_row(names: &Names, line: &ExportedLine) -> Row {
    let mut cells = parties(names, &line.parties);
    cells.extend([
        number(line.quantity),
        number(line.delivered),
        Cell::text(line.status.word()),
        Cell::text(line.created_at),
        Cell::or_empty(line.expires_at, Cell::text),
    ]);
    placed(cells, names, line.parties.area)
}

fn trip_row(names: &Names, trip: &ExportedTrip) -> Row {
    let mut cells = vec![
        Cell::text(trip.delivery),
        Cell::text(trip.status.word()),
        Cell::or_empty(trip.scheduled_for, Cell::text),
        Cell::or_empty(trip.delivered_at, Cell::text),
        Cell::or_empty(trip.answered_at, Cell::text),
    ];
    cells.extend(parties(names, &trip.parties));
    cells.extend([
        number(trip.quantity),
        Cell::or_empty(trip.answer, |(accepted, _)| number(accepted)),
        Cell::or_empty(trip.answer, |(_, rejected)| number(rejected)),
    ]);
    placed(cells, names, trip.parties.area)
}

fn overlap_row(names: &Names, overlap: &Overlap) -> Row {
    let finding = &overlap.finding;
    let item = finding.item.and_then(|item| names.item(item));
    let givers = finding.organizations.iter().filter_map(|id| names.organizations.get(id));
    let givers: Vec<&str> = givers.map(|o| o.name.as_str()).collect();
    let evidence: Vec<String> = finding.evidence.iter().map(ToString::to_string).collect();
    let cells = vec![
        Cell::text(overlap.id),
        Cell::text(finding.kind.word()),
        Cell::text(overlap.status.word()),
        Cell::or_empty(item, |i| Cell::text(&i.key)),
        Cell::or_empty(item, |i| Cell::text(&i.name_id)),
        Cell::or_empty(item, |i| Cell::text(&i.unit)),
        Cell::text(givers.join("; ")),
        Cell::or_empty(finding.quantity, number),
        Cell::or_empty(finding.excess, number),
        Cell::text(finding.period.start),
        Cell::text(finding.period.end),
        Cell::text(evidence.join(" ")),
        Cell::or_empty(overlap.note.as_deref(), Cell::text),
    ];
    placed(cells, names, finding.area)
}

/// What one organisation does of one item, in one RW, in one period. RT are not told apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Activity {
    area: AreaCode,
    organization: OrganizationId,
    executor: OrganizationId,
    program: ProgramId,
    item: ItemId,
    start: Day,
    end: Day,
}

#[derive(Debug, Clone, Default)]
struct ActivitySums {
    /// False where a line of it is none of the caller's business; then it says no numbers.
    told: bool,
    open: bool,
    promised: i64,
    delivered: i64,
}

/// Promises that stand, and what has arrived. Holds are not promises yet, and of an opening balance nobody knows
/// who gave it.
fn activities(names: &Names, reach: &ExportReach, lines: &[ExportedLine]) -> BTreeMap<Activity, ActivitySums> {
    let mut found: BTreeMap<Activity, ActivitySums> = BTreeMap::new();
    for line in lines {
        let parties = &line.parties;
        let stands = matches!(line.status, ClaimStatus::Confirmed | ClaimStatus::Fulfilled);
        let promised = if stands { line.quantity } else { line.delivered };
        let Some(area) = names.ground.area_by_id(parties.area) else { continue };
        if parties.opening || promised.is_zero() {
            continue;
        }
        let told = reach.covers(&area, parties);
        // Of a small need the public is not told that anything of it is taken: see `Counters::rounded`.
        if !told && area.level() == AreaLevel::Rt && line.required.get() <= 5 {
            continue;
        }
        let whole = at_level(&area, AreaLevel::Rw).unwrap_or(area);
        let key = Activity {
            area: whole.code().clone(),
            organization: parties.organization,
            executor: parties.executor,
            program: parties.program,
            item: parties.item,
            start: parties.period.start,
            end: parties.period.end,
        };
        let sums = found.entry(key).or_insert_with(|| ActivitySums { told: true, ..ActivitySums::default() });
        sums.told &= told;
        sums.open |= line.status == ClaimStatus::Confirmed;
        sums.promised = sums.promised.saturating_add(promised.get());
        sums.delivered = sums.delivered.saturating_add(line.delivered.get());
    }
    found
}

impl Activity {
    fn row(&self, names: &Names, sums: &ActivitySums) -> Row {
        let area = names.ground.area(&self.area);
        let organization = names.organizations.get(&self.organization);
        let item = names.item(self.item);
        let status = if sums.open { "ONGOING" } else { "COMPLETED" };
        let mut cells = vec![
            names.organization(self.organization),
            Cell::or_empty(organization, |o| Cell::text(OrganizationCategory::word(o.category))),
            names.organization(self.executor),
            names.program(self.program),
            Cell::or_empty(item, |i| Cell::text(&i.key)),
            Cell::or_empty(item, |i| Cell::text(&i.name_id)),
            Cell::or_empty(item, |i| Cell::text(&i.unit)),
            // When the last of it arrived says how much it was, where it was one door's.
            if sums.told { Cell::text(status) } else { Cell::Empty },
        ];
        for level in [AreaLevel::Province, AreaLevel::City, AreaLevel::District, AreaLevel::Village, AreaLevel::Rw] {
            let of_level = area.as_ref().and_then(|area| at_level(area, level));
            cells.push(Cell::or_empty(of_level.as_ref(), |a| Cell::text(a.code())));
            cells.push(Cell::or_empty(of_level.as_ref(), |a| Cell::text(a.name())));
        }
        cells.extend([Cell::text(self.start), Cell::text(self.end)]);
        let household = item.is_some_and(|i| i.kind == ItemKind::Food);
        let told = |number: i64| if sums.told { Cell::Number(number) } else { Cell::Empty };
        cells.extend([told(sums.promised), told(sums.delivered)]);
        cells.push(if household { told(sums.delivered) } else { Cell::Empty });
        Row { cells, place: point(area.as_ref()).1 }
    }
}
