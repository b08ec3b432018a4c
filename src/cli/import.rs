//! `salur import`

use super::database::{DatabaseFlags, store_failure};
use super::outcome::{Failure, show};
use super::progress::Progress;
use crate::domain::area::AreaLevel;
use crate::domain::nik;
use crate::domain::organization::OrganizationCategory;
use crate::import::{Aliases, AreaOptions, CodeSystem, ColumnMap, Note, Report, SourceFile};
use crate::service::imports::{self, ImportFailure, Terms};
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Read files into the database: areas, programs, needs, aid from outside, rules
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Every import is a dry run (--dry-run) or one publication of everything: rows that are rejected keep all
of it back unless --accept-rejects is given. Importing a file again changes nothing.

Examples:
  salur import areas provinces.csv --level province
  salur import needs needs.csv --dry-run --report report.json")]
pub enum Import {
    Programs(Programs),
    Areas(Areas),
    Needs(Needs),
    Distributions(Distributions),
    Rules(Rules),
}

/// Programs of aid and their items
#[derive(Debug, Args)]
#[command(after_help = "\
Columns: program_key, program_name_id, program_name_en, item_key, item_name_id, item_name_en, unit, kind,
and where a program has it first_right_hours: for so long after a need is verified only organisations
registered in its own RW may claim it. An empty cell leaves what stands.

Example:
  salur import programs programs.csv")]
pub struct Programs {
    #[command(flatten)]
    run: RunFlags,
}

/// Areas with their codes, names, points and shapes
#[derive(Debug, Args)]
#[command(after_help = "\
Reads CSV and GeoJSON, both also gzipped. Codes are the Ministry's, dotted; others need --codes.
Columns are known by many names; --map has the last word, and FIELD=- reads no column.

Examples:
  salur import areas villages.csv.gz --level village
  salur import areas rw.geojson --level rw --accept-rejects --report rw.json
  salur import areas rt.csv --level rt --map rw=NO_RW,rt=NO_RT")]
pub struct Areas {
    /// What each row is about: province, city, district, village, rw or rt [default: as each code says]
    #[arg(long)]
    level: Option<AreaLevel>,
    /// Which column is which: code=COLUMN,name=COLUMN,rw=COLUMN,...
    #[arg(long, default_value = "", hide_default_value = true)]
    map: ColumnMap,
    /// Whose codes they are: kemendagri or bps
    #[arg(long)]
    codes: Option<CodeSystem>,
    /// A table of other spellings, columns code and alias, besides the built-in one
    #[arg(long, value_name = "FILE")]
    aliases: Vec<PathBuf>,
    /// Who publishes it [default: the files' names]
    #[arg(long, value_name = "NAME", value_parser = named)]
    source: Option<String>,
    #[command(flatten)]
    run: RunFlags,
}

/// Needs, with what was promised and given before Salur came
#[derive(Debug, Args)]
#[command(after_help = "\
Columns: area_code, program, item, required, severity, period_start, period_end, and where known
allocated, delivered (opening balances) and external_id (a second import updates the need).

Example:
  salur import needs needs.csv --dry-run --report report.json")]
pub struct Needs {
    #[command(flatten)]
    run: RunFlags,
}

/// Aid given outside Salur, for the overlap audit
#[derive(Debug, Args)]
#[command(after_help = "\
Columns: external_id, organization, area_code, item, quantity, period_start, period_end

Example:
  salur import distributions bansos.csv --source 'dinas-sosial'")]
pub struct Distributions {
    /// Whose records these are; external ids are theirs
    #[arg(long, value_name = "NAME", value_parser = named)]
    source: String,
    /// Of organisations that are not known yet; they are entered as PENDING
    #[arg(long, default_value = "CIVIL_SOCIETY", value_parser = super::people::category_of)]
    category: OrganizationCategory,
    #[command(flatten)]
    run: RunFlags,
}

/// Rules on which aid may meet and which may not
#[derive(Debug, Args)]
#[command(after_help = "\
A JSON list; see seed/rules.json. Rules are added, and all findings are judged anew.

Example:
  salur import rules rules.json")]
pub struct Rules {
    #[command(flatten)]
    run: RunFlags,
}

/// A name that is kept with what came under it.
fn named(text: &str) -> Result<String, String> {
    if nik::is_in(text) { Err(nik::REFUSAL.into()) } else { Ok(text.to_owned()) }
}

#[derive(Debug, Args)]
struct RunFlags {
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Do everything and take it back; exits with 0 although rows are rejected
    #[arg(long)]
    dry_run: bool,
    /// Publish the accepted rows although others are rejected
    #[arg(long)]
    accept_rejects: bool,
    /// Write what became of each row to this file
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseFlags,
}

impl Import {
    pub async fn run(self) -> Result<(), Failure> {
        let run = match &self {
            Import::Programs(Programs { run })
            | Import::Areas(Areas { run, .. })
            | Import::Needs(Needs { run })
            | Import::Distributions(Distributions { run, .. })
            | Import::Rules(Rules { run }) => run,
        };
        let files = run.files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let options = self.area_options()?;
        // Opened before anything is published: a report that cannot be written is a reason not to begin.
        let mut report_file = run.report.as_deref().map(create).transpose()?;
        let (store, settings) = run.database.open().await?;
        let progress = Progress::new();
        let told = |what: &str, records: usize| progress.step(what, records as u64);
        let (dry_run, accept_rejects) = (run.dry_run, run.accept_rejects);
        let terms = Terms { author: None, dry_run, accept_rejects, progress: &told };
        let report = match &self {
            Import::Programs(_) => imports::programs(&store, &files, terms).await,
            Import::Areas(areas) => {
                let source = areas.source.clone().unwrap_or_else(|| names(&files));
                imports::areas(&store, files, &options, &source, terms).await
            }
            Import::Needs(_) => imports::needs(&store, files, terms).await,
            Import::Distributions(d) => imports::distributions(&store, &files, &d.source, d.category, terms).await,
            Import::Rules(_) => imports::rules(&store, &files, terms).await,
        };
        drop(progress);
        let report = report.map_err(|e| match e {
            ImportFailure::File(e) => Failure::failed(e.to_string()),
            ImportFailure::Store(e) => store_failure(&settings, &e),
        })?;
        if let Some((file, path)) = report_file.as_mut().zip(run.report.as_deref()) {
            let written = serde_json::to_vec_pretty(&report).map_err(|e| e.to_string());
            let written = written
                .and_then(|json| file.write_all(&json).and_then(|()| file.write_all(b"\n")).map_err(|e| e.to_string()));
            written.map_err(|e| {
                let done = if report.published { "it was published" } else { "nothing was published" };
                Failure::failed(format!("{done}, but the report {} cannot be written: {e}", path.display()))
            })?;
        }
        summary(&report, run)
    }

    fn area_options(&self) -> Result<AreaOptions, Failure> {
        let Import::Areas(areas) = self else { return Ok(AreaOptions::default()) };
        let mut aliases = Aliases::built_in();
        for path in &areas.aliases {
            aliases.add(&read(path)?).map_err(|e| Failure::failed(e.to_string()))?;
        }
        Ok(AreaOptions { level: areas.level, codes: areas.codes, map: areas.map.clone(), aliases })
    }
}

fn read(path: &Path) -> Result<SourceFile, Failure> {
    SourceFile::read(path).map_err(|e| Failure::failed(e.to_string()))
}

fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|e| {
        Failure::failed(format!(
            "the report {} cannot be written: {e}; name another file with --report",
            path.display()
        ))
    })
}

fn names(files: &[SourceFile]) -> String {
    files.iter().map(SourceFile::name).collect::<Vec<_>>().join(", ")
}

/// Rows of one kind that are listed on stdout; a report file lists all.
const LISTED: usize = 20;

fn summary(report: &Report, run: &RunFlags) -> Result<(), Failure> {
    let Report { read, accepted, unchanged, records, .. } = report;
    let outcome = match (report.published, run.dry_run) {
        (true, _) => "published",
        (false, true) => "dry run, nothing is changed",
        (false, false) => "nothing is published",
    };
    show(&format!(
        "{read} rows read: {accepted} accepted ({unchanged} unchanged, {} repaired, {} sharing a record), {} rejected, {} \
         set aside; {records} records, {} implied; {outcome}",
        report.repaired.len(),
        report.merged.len(),
        report.rejected.len(),
        report.set_aside.len(),
        report.implied,
    ))?;
    for (word, notes) in [("rejected", &report.rejected), ("note", &report.notes)] {
        for note in notes.iter().take(LISTED) {
            show(&format!("{word}: {}", line(note)))?;
        }
        if notes.len() > LISTED {
            show(&format!("{word}: {} more; --report FILE.json lists all", notes.len() - LISTED))?;
        }
    }
    match report.rejected.first().filter(|_| !report.published && !run.dry_run) {
        Some(first) => Err(Failure::failed(format!(
            "nothing is published; rows rejected: {} of {read}, the first is {}; mend them, or publish the others with \
             --accept-rejects",
            report.rejected.len(),
            line(first)
        ))),
        None => Ok(()),
    }
}

fn line(note: &Note) -> String {
    match &note.file {
        Some(file) => format!("{file}, row {}: {}", note.row, note.reason),
        None => format!("row {}: {}", note.row, note.reason),
    }
}
