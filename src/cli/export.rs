//! `salur export`

use super::database::{DatabaseFlags, store_failure};
use super::outcome::{Failure, say};
use crate::audit::signing::SigningKey;
use crate::domain::area::AreaCode;
use crate::export::Format;
use crate::service::Service;
use crate::service::exports::{Export as Table, ExportQuery, For, Subject};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Hand out needs, claims, deliveries, overlap findings, or who does what where, as a file
#[derive(Debug, Args)]
#[command(after_help = "\
Everything that stands in the database, whoever it belongs to: what callers may have they get from
/export/needs.csv and so on. Texts that a spreadsheet would take for formulas are made harmless. The columns
of needs begin as `salur import needs` reads them.

Examples:
  salur export needs --format csv --out needs.csv
  salur export 3w --format xlsx --out 3w.xlsx --area 31.71
  salur export overlaps --format geojson > overlaps.geojson")]
pub struct Export {
    what: What,
    #[arg(long, default_value = "csv")]
    format: As,
    /// Where to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// This area and all below it
    #[arg(long, value_name = "CODE")]
    area: Option<AreaCode>,
    /// By its key
    #[arg(long, value_name = "KEY")]
    program: Option<String>,
    /// By its key
    #[arg(long, value_name = "KEY")]
    item: Option<String>,
    #[command(flatten)]
    database: DatabaseFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Needs,
    Claims,
    Deliveries,
    Overlaps,
    #[value(name = "3w")]
    WhoWhatWhere,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum As {
    Csv,
    Xlsx,
    Geojson,
}

impl Export {
    pub async fn run(self) -> Result<(), Failure> {
        let subject = match self.what {
            What::Needs => Subject::Needs,
            What::Claims => Subject::Claims,
            What::Deliveries => Subject::Deliveries,
            What::Overlaps => Subject::Overlaps,
            What::WhoWhatWhere => Subject::WhoWhatWhere,
        };
        let format = match self.format {
            As::Csv => Format::Csv,
            As::Xlsx => Format::Xlsx,
            As::Geojson => Format::Geojson,
        };
        let (store, settings) = self.database.open_as_it_is().await?;
        // Nothing is written, so nothing is signed, and a machine without the log's key may do it.
        let key = SigningKey::transient().map_err(|e| Failure::failed(e.to_string()))?;
        let service = Service::new(store, Arc::new(key));
        service.load().await.map_err(|e| store_failure(&settings, &e))?;
        let query = ExportQuery { area: self.area, program: self.program, item: self.item };
        let table = service.export(For::Operator, subject, &query, format.most_rows()).await;
        let table = table.map_err(|e| Failure::failed(e.message))?;
        let rows = match &self.out {
            Some(path) => to_file(table, format, path)?,
            None => to_stdout(table, format)?,
        };
        say(&format!("{rows} rows of {} written", subject.word()));
        Ok(())
    }
}

/// A file that is there under its name is there as a whole.
fn to_file(table: Table, format: Format, path: &Path) -> Result<usize, Failure> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let write = || {
        let mut out = BufWriter::new(File::create(&draft)?);
        let rows = table.write(format, &mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&draft, path)?;
        Ok(rows)
    };
    write().map_err(|e: io::Error| {
        let _ = std::fs::remove_file(&draft);
        Failure::failed(format!(
            "{} cannot be written: {e}; check the free space, or name another --out",
            path.display()
        ))
    })
}

fn to_stdout(table: Table, format: Format) -> Result<usize, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match table.write(format, &mut out).and_then(|rows| out.flush().map(|()| rows)) {
        Ok(rows) => Ok(rows),
        // A reader who has seen enough is no failure.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(0),
        Err(e) => Err(Failure::failed(format!("stdout cannot be written: {e}; check the free space"))),
    }
}
