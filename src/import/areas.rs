//! Areas from tables and GeoJSON: which area each row is about, and what it says of it.
//!
//! A row's area is told by its code, else by the four parts of a code, else by names. Rows about one
//! area are joined: their shapes are merged, of everything else the first row's word counts. An area
//! is taken only where its parent stands or is in the same run; an RT's missing RW is added by itself,
//! for its number is its whole identity.

use super::ImportError;
use super::cells::{count, quote, text};
use super::columns::{self, CodeSystem, ColumnMap, Field, Mapping};
use super::features;
use super::identity::{Entry, How, Identifier, Identity, Wrong};
use super::names::{Aliases, letters, same};
use super::reference::{KnownArea, Reference, shape_digest};
use super::report::{Account, Change, FileReport, Report, Spot};
use super::source::{Format, SourceFile};
use super::table::Table;
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::place::{Bounds, LonLat};
use crate::spatial::{Packed, Shape, ShapeError};
use serde_json::Value;
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// How files of areas are to be read.
#[derive(Debug, Clone)]
pub struct AreaOptions {
    /// The level of all rows; `None` where each row's code says its own.
    pub level: Option<AreaLevel>,
    /// Whose codes these are. Dotted Ministry codes need no word.
    pub codes: Option<CodeSystem>,
    pub map: ColumnMap,
    pub aliases: Aliases,
}

impl Default for AreaOptions {
    fn default() -> Self {
        AreaOptions { level: None, codes: None, map: ColumnMap::default(), aliases: Aliases::built_in() }
    }
}

/// One area as it shall stand. What is `None` stays as it stands, or unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedArea {
    pub code: AreaCode,
    pub name: String,
    /// RW and RT: the number as the file writes it, such as `RW 01`.
    pub label: Option<String>,
    pub level: AreaLevel,
    pub shape: Option<Packed>,
    /// Inside the shape where there is one.
    pub point: Option<LonLat>,
    pub households: Option<i64>,
    pub poor_households: Option<i64>,
    pub bps_code: Option<String>,
    pub change: Change,
}

/// Areas by code, ascending, each code once; so a parent stands before what lies in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AreaPlan {
    pub areas: Vec<PlannedArea>,
}

/// Plans an import of areas. A file that is handed over is let go as soon as it is read.
///
/// # Errors
/// The first file that cannot be understood as a whole: its format, its layout, its coordinates, or
/// codes whose system is not said. Single rows that are wrong are in the report.
pub fn plan_areas(
    files: impl IntoIterator<Item = impl Borrow<SourceFile>>,
    options: &AreaOptions,
    reference: &Reference,
) -> Result<(AreaPlan, Report), ImportError> {
    let mut planner = Planner {
        options,
        reference,
        identifier: Identifier::new(options, reference),
        account: Account::default(),
        taken: BTreeMap::new(),
    };
    for file in files {
        let file = file.borrow();
        match file.format()? {
            Format::Table => planner.read_table(file)?,
            Format::GeoJson => planner.read_features(file)?,
        }
    }
    Ok(planner.finish())
}

/// What a row says of the area it is about.
struct Taken {
    spot: Spot,
    how: How,
    /// The row is about something below the area, as an RT list is below its RW.
    below: bool,
    name: Option<String>,
    label: Option<String>,
    shape: Option<Packed>,
    point: Option<LonLat>,
    households: Option<i64>,
    poor_households: Option<i64>,
    bps_code: Option<String>,
    repairs: Vec<String>,
    notes: Vec<String>,
}

struct Planner<'a> {
    options: &'a AreaOptions,
    reference: &'a Reference,
    identifier: Identifier<'a>,
    account: Account,
    taken: BTreeMap<AreaCode, Vec<Taken>>,
}

impl<'a> Planner<'a> {
    fn read_table(&mut self, file: &SourceFile) -> Result<(), ImportError> {
        let AreaOptions { level, codes, map, .. } = self.options;
        let table = Table::find(file.text()?, |cells| columns::recognised(cells, *level, *codes, map))
            .map_err(|seen| columns::unknown_layout(file, &seen, *level, map))?;
        let mapping = columns::map(file, &table.header, *level, *codes, map)?;
        let at = self.open(file, "csv", Some(table.delimiter), &table.header, &mapping);
        table.set_titles_aside(&mut self.account, at);
        let mut first = true;
        for (line, record) in table.rows() {
            let spot = Spot { file: at, row: line };
            let record = match record {
                Ok(record) => record,
                Err(reason) => {
                    self.account.report.read += 1;
                    self.account.rejected(spot, reason);
                    continue;
                }
            };
            let cell = |at: usize| record.get(at).unwrap_or("").to_owned();
            let entry = Entry { spot, mapping: &mapping, cell: &cell, geometry: None };
            if let Some(word) = record.iter().find(|c| is_sum(c))
                && !tells_a_number(&entry)
            {
                self.account.set_aside(spot, format!("a sum and no area: {}", quote(word)));
                continue;
            }
            self.take(file, &entry, &mut first)?;
        }
        Ok(())
    }

    fn read_features(&mut self, file: &SourceFile) -> Result<(), ImportError> {
        let AreaOptions { level, codes, map, .. } = self.options;
        let (features, header) = features::read(file)?;
        let mapping = columns::map(file, &header, *level, *codes, map)?;
        let at = self.open(file, "geojson", None, &header, &mapping);
        let mut first = true;
        for (number, feature) in features.iter().enumerate() {
            let cell = |at: usize| header.get(at).map(|name| feature.get(name)).unwrap_or_default();
            let spot = Spot { file: at, row: number as u64 + 1 };
            self.take(file, &Entry { spot, mapping: &mapping, cell: &cell, geometry: feature.geometry }, &mut first)?;
        }
        Ok(())
    }

    fn open(
        &mut self,
        file: &SourceFile,
        format: &'static str,
        delimiter: Option<char>,
        header: &[String],
        mapping: &Mapping,
    ) -> usize {
        let used = mapping.used();
        let ignored = |(at, name): (usize, &String)| (!used.contains(&at) && !name.is_empty()).then(|| name.clone());
        self.account.report.files.push(FileReport {
            name: file.name().to_owned(),
            format,
            delimiter,
            mapping: mapping.described(header),
            ignored: header.iter().enumerate().filter_map(ignored).collect(),
        });
        self.account.report.files.len() - 1
    }

    /// Takes or rejects one row. `first` holds until a row of the file is taken.
    fn take(&mut self, file: &SourceFile, entry: &Entry, first: &mut bool) -> Result<(), ImportError> {
        self.account.report.read += 1;
        match self.understand(entry) {
            Ok((code, taken)) => {
                *first = false;
                // Nearly every area has one row.
                self.taken.entry(code).or_insert_with(|| Vec::with_capacity(1)).push(taken);
            }
            Err(Wrong::File(reason)) if *first => return Err(file.refuse(format!("row {}: {reason}", entry.spot.row))),
            Err(Wrong::File(reason) | Wrong::Row(reason)) => self.account.rejected(entry.spot, reason),
        }
        Ok(())
    }

    fn understand(&self, entry: &Entry) -> Result<(AreaCode, Taken), Wrong> {
        let Identity { code, how, label, mut repairs, notes } = self.identifier.identify(entry)?;
        let level = code.level();
        let below = (level < AreaLevel::Rw && entry.mapping.has(Field::Rw))
            || (level < AreaLevel::Rt && entry.mapping.has(Field::Rt));
        let (shape, point) = place(entry, &mut repairs)?;
        let households = count(&entry.get(Field::Households).unwrap_or_default(), "households")?;
        let poor_households = count(&entry.get(Field::PoorHouseholds).unwrap_or_default(), "poor_households")?;
        if let (Some(all), Some(poor)) = (households, poor_households)
            && poor > all
        {
            return Err(Wrong::Row(format!("poor_households {poor} are more than households {all}")));
        }
        let name = entry.get(Field::Name).map(|name| text(&name, "name")).transpose()?;
        let bps_code = match entry.get(Field::Bps) {
            Some(code) if !code.bytes().all(|b| b.is_ascii_digit()) || code.len() > 16 => {
                return Err(Wrong::Row(format!("bps {} is not a BPS code of digits", quote(&code))));
            }
            other => other,
        };
        // A part's point is not the whole's, and its BPS code neither.
        let (point, bps_code) = if below { (None, None) } else { (point, bps_code) };
        let spot = entry.spot;
        let taken = Taken {
            spot,
            how,
            below,
            name,
            label,
            shape: shape.as_ref().map(Packed::of),
            point,
            households,
            poor_households,
            bps_code,
            repairs,
            notes,
        };
        Ok((code, taken))
    }

    fn finish(mut self) -> (AreaPlan, Report) {
        let mut planned: BTreeMap<AreaCode, PlannedArea> = BTreeMap::new();
        for (code, rows) in std::mem::take(&mut self.taken) {
            match self.join(&code, &rows, &planned) {
                Err(reason) => {
                    for row in &rows {
                        self.account.rejected(row.spot, reason.clone());
                    }
                }
                Ok(area) => {
                    if let Some(rw) = code.parent().filter(|_| code.level() == AreaLevel::Rt)
                        && self.reference.area(&rw).is_none()
                        && !planned.contains_key(&rw)
                    {
                        self.account.report.implied += 1;
                        planned.insert(rw.clone(), implied(rw));
                    }
                    self.settle(&area, rows);
                    planned.insert(code, area);
                }
            }
        }
        self.account.report.records = planned.len() as u64;
        (AreaPlan { areas: planned.into_values().collect() }, self.account.finish())
    }

    /// One area out of the rows about it.
    fn join(
        &self,
        code: &AreaCode,
        rows: &[Taken],
        planned: &BTreeMap<AreaCode, PlannedArea>,
    ) -> Result<PlannedArea, String> {
        let level = code.level();
        let stands = |code: &AreaCode| self.reference.area(code).is_some() || planned.contains_key(code);
        // An RT's RW needs no row of its own; its village does.
        let needed = if level == AreaLevel::Rt { code.at(AreaLevel::Village) } else { code.parent() };
        if let Some(parent) = needed.filter(|parent| !stands(parent)) {
            let word = parent.level().word();
            return Err(format!("its {word} {parent} is not known; import the areas of level {word} first"));
        }
        let known = self.reference.area(code);
        let first = |pick: &dyn Fn(&Taken) -> Option<String>| rows.iter().find_map(pick);
        let name = self.name(code, first(&|r| r.name.clone()), known)?;
        let shapes: Vec<Shape> = rows.iter().filter_map(|r| r.shape.as_ref()?.shape()).collect();
        let shape = match shapes.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(Shape::merge(many).map_err(|e| format!("the shapes of its rows cannot be merged: {e}"))?),
        };
        if let Some(shape) = &shape {
            self.check_city(code, &shape.bounds())?;
        }
        let given = rows.iter().find_map(|r| r.point);
        let point = match &shape {
            Some(shape) => Some(given.filter(|p| shape.covers(*p)).unwrap_or_else(|| shape.inside_point())),
            None => given,
        };
        let mut area = PlannedArea {
            code: code.clone(),
            name,
            label: first(&|r| r.label.clone()),
            level,
            shape: shape.as_ref().map(Packed::of),
            point,
            households: total(rows, |r| r.households),
            poor_households: total(rows, |r| r.poor_households),
            bps_code: first(&|r| r.bps_code.clone()),
            change: Change::New,
        };
        // Rows below the area have numbers of their own, not the area's.
        if rows.iter().all(|r| r.below) {
            area.label = area.label.filter(|_| level >= AreaLevel::Rw);
        }
        area.change = known.map_or(Change::New, |known| change(&area, known));
        Ok(area)
    }

    /// The name an area shall have. The standing name stays where the file's is the same in capitals,
    /// with a word for its kind in front, or an alias of it.
    fn name(&self, code: &AreaCode, given: Option<String>, known: Option<&KnownArea>) -> Result<String, String> {
        match (given, known) {
            (Some(given), None) => Ok(given),
            (Some(given), Some(known)) => {
                let respelt = letters(&given) == letters(&known.name) && given.chars().any(char::is_lowercase);
                let another = !same(code.level(), &given, &known.name) && !self.options.aliases.holds(code, &given);
                Ok(if respelt || another { given } else { known.name.clone() })
            }
            (None, Some(known)) => Ok(known.name.clone()),
            (None, None) if code.level() >= AreaLevel::Rw => Ok(numbered_name(code)),
            (None, None) => Err(format!("{code} is new and has no name; give it one")),
        }
    }

    /// A shape that does not touch the box of the city it belongs to is somebody else's.
    fn check_city(&self, code: &AreaCode, bounds: &Bounds) -> Result<(), String> {
        let city = code.at(AreaLevel::City).filter(|city| city != code).and_then(|city| self.reference.area(&city));
        match city.and_then(|city| Some((city, city.bounds?))) {
            Some((city, box_)) if !box_.intersects(bounds) => {
                Err(format!("its shape lies wholly outside {} ({})", city.name, city.code))
            }
            _ => Ok(()),
        }
    }

    /// Accounts for the rows that became an area.
    fn settle(&mut self, area: &PlannedArea, rows: Vec<Taken>) {
        let known = self.reference.area(&area.code);
        let report = &mut self.account.report;
        if area.change == Change::Same {
            report.unchanged += rows.len() as u64;
        }
        for row in &rows {
            match row.how {
                How::Code => report.matched_by.code += 1,
                How::Name => report.matched_by.name += 1,
                How::Alias => report.matched_by.alias += 1,
            }
        }
        let joined = rows.len() > 1 && !rows.iter().any(|r| r.below);
        for (at, row) in rows.iter().enumerate() {
            if !row.repairs.is_empty() {
                self.account.repaired(row.spot, row.repairs.join("; "));
            }
            for note in &row.notes {
                self.account.note(row.spot, note.clone());
            }
            if joined {
                let other = if at == 0 { rows[1].spot } else { rows[0].spot };
                let (other, all) = (self.account.call(other), rows.len());
                let shapes = if row.shape.is_some() { ", whose shapes are merged" } else { "" };
                let reason = format!("one of {all} rows about {}, {} (see {other}){shapes}", area.code, area.name);
                self.account.merged(row.spot, reason);
            }
            for what in if at == 0 { Vec::new() } else { differences(&rows[0], row) } {
                let first = self.account.call(rows[0].spot);
                self.account.note(row.spot, format!("{what} than {first} about {}; {first} counts", area.code));
            }
        }
        let Some(first) = rows.first().map(|r| r.spot) else { return };
        if let Some(known) = known
            && !same(area.level, &known.name, &area.name)
        {
            let (before, after) = (quote(&known.name), quote(&area.name));
            self.account.note(first, format!("{} is renamed from {before} to {after}", area.code));
        }
        let given = rows.iter().find_map(|r| r.point);
        if area.shape.is_some() && given.is_some() && given != area.point {
            self.account
                .note(first, format!("the given point lies outside the shape of {}; one inside is taken", area.code));
        }
    }
}

/// Where the row's area lies: its geometry or its WKT, and its point.
fn place(entry: &Entry, repairs: &mut Vec<String>) -> Result<(Option<Shape>, Option<LonLat>), Wrong> {
    let mut point = point(entry)?;
    let checked = match (entry.geometry, entry.get(Field::Wkt)) {
        (Some(raw), _) => {
            let geometry: Value =
                serde_json::from_str(raw.get()).map_err(|e| format!("the geometry is not well-formed: {e}"))?;
            if geometry.get("type").and_then(Value::as_str) == Some("Point") {
                let at = |n: usize| geometry.pointer(&format!("/coordinates/{n}")).and_then(Value::as_f64);
                let (Some(lon), Some(lat)) = (at(0), at(1)) else {
                    return Err(Wrong::Row("the geometry is a Point without two coordinates".into()));
                };
                point = Some(position(lon, lat)?);
                None
            } else {
                Some(Shape::from_geojson(&geometry))
            }
        }
        (None, Some(wkt)) => Some(Shape::from_wkt(&wkt)),
        (None, None) => None,
    };
    match checked.transpose() {
        Err(e @ (ShapeError::NotDegrees | ShapeError::SwappedAxes)) => Err(Wrong::File(e.to_string())),
        Err(e) => Err(Wrong::Row(e.to_string())),
        Ok(None) => Ok((None, point)),
        Ok(Some(checked)) => {
            if !checked.repairs.is_empty() {
                let all: Vec<String> = checked.repairs.iter().map(ToString::to_string).collect();
                repairs.push(format!("shape: {}", all.join(", ")));
            }
            Ok((Some(checked.shape), point))
        }
    }
}

fn point(entry: &Entry) -> Result<Option<LonLat>, Wrong> {
    let (lon, lat) = match (entry.get(Field::Lon), entry.get(Field::Lat)) {
        (None, None) => return Ok(None),
        (Some(lon), Some(lat)) => (lon, lat),
        _ => return Err(Wrong::Row("lon and lat come together: one of them is empty".into())),
    };
    let number = |cell: &str, column: &str| -> Result<f64, Wrong> {
        if let Some((whole, part)) = cell.trim_start_matches('-').split_once(',')
            && !whole.is_empty()
            && (whole.to_owned() + part).bytes().all(|b| b.is_ascii_digit())
        {
            return Err(Wrong::File(format!(
                "{column} {} has a decimal comma; write decimal points, -6.2",
                quote(cell)
            )));
        }
        let plain = cell.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        let number = if plain { cell.parse::<f64>().ok() } else { None };
        number.filter(|n| n.is_finite()).ok_or_else(|| Wrong::Row(format!("{column} {} is not a number", quote(cell))))
    };
    position(number(&lon, "lon")?, number(&lat, "lat")?).map(Some)
}

fn position(lon: f64, lat: f64) -> Result<LonLat, Wrong> {
    LonLat::new(lon, lat).map_err(|_| {
        let swapped = lon.abs() <= 90.0 && lat.abs() <= 180.0;
        let e = if swapped { ShapeError::SwappedAxes } else { ShapeError::NotDegrees };
        Wrong::File(format!("{e} (seen: lon {lon}, lat {lat})"))
    })
}

fn numbered_name(code: &AreaCode) -> String {
    let number = code.as_str().rsplit('.').next().unwrap_or_default();
    format!("{} {number}", code.level().word().to_ascii_uppercase())
}

fn implied(code: AreaCode) -> PlannedArea {
    PlannedArea {
        name: numbered_name(&code),
        label: None,
        level: code.level(),
        shape: None,
        point: None,
        households: None,
        poor_households: None,
        bps_code: None,
        change: Change::New,
        code,
    }
}

fn is_sum(cell: &str) -> bool {
    matches!(letters(cell).as_str(), "total" | "jumlah" | "grandtotal" | "subtotal" | "jumlahtotal")
}

fn tells_a_number(entry: &Entry) -> bool {
    let numbers = [Field::Code, Field::Rw, Field::Rt];
    numbers.iter().chain(&Field::PARTS).any(|field| entry.get(*field).is_some())
}

/// Counts of rows about the area itself: the first one. Of rows below it: their sum, if all are given.
fn total(rows: &[Taken], pick: impl Fn(&Taken) -> Option<i64>) -> Option<i64> {
    if rows.iter().any(|r| r.below) {
        return rows.iter().map(pick).try_fold(0_i64, |sum, n| sum.checked_add(n?));
    }
    rows.iter().find_map(pick)
}

/// What a further row about an area says otherwise than the first.
fn differences(first: &Taken, row: &Taken) -> Vec<String> {
    fn differ<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
        matches!((a, b), (Some(a), Some(b)) if a != b)
    }
    if row.below {
        return Vec::new();
    }
    let mut found = Vec::new();
    if differ(&first.name, &row.name) {
        found.push(format!("another name, {}", quote(row.name.as_deref().unwrap_or(""))));
    }
    if differ(&first.households, &row.households) || differ(&first.poor_households, &row.poor_households) {
        found.push("another number of households".into());
    }
    if differ(&first.point, &row.point) && row.shape.is_none() {
        found.push("another point".into());
    }
    if differ(&first.bps_code, &row.bps_code) {
        found.push("another BPS code".into());
    }
    found
}

/// Whether anything the plan says differs from what stands.
fn change(area: &PlannedArea, known: &KnownArea) -> Change {
    fn kept<T: PartialEq>(said: &Option<T>, stands: &Option<T>) -> bool {
        said.is_none() || said == stands
    }
    let shape = area.shape.as_ref().and_then(Packed::shape).map(|s| shape_digest(&s.to_wkb()));
    let same = area.name == known.name
        && kept(&area.label, &known.label)
        && kept(&shape, &known.shape)
        && kept(&area.point, &known.point)
        && kept(&area.households, &known.households)
        && kept(&area.poor_households, &known.poor_households)
        && kept(&area.bps_code, &known.bps_code);
    if same { Change::Same } else { Change::Changed }
}

#[cfg(test)]
#[path = "areas_tests.rs"]
mod tests;
