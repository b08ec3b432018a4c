//! CSV, as offices write it: the delimiter and the header row are found, titles above it skipped.
//!
//! All cells are text. A header is a row in which the caller recognises its columns; nothing is
//! concluded from a column's position.

use super::ImportError;
use super::cells::{filled, quote};
use super::report::{Account, FileReport, Spot};
use super::source::{Format, SourceFile};
use csv::{ReaderBuilder, StringRecord};

/// How many rows from the top may be titles.
const HEADER_WITHIN: usize = 12;

/// The most columns whose names a message lists.
const NAMES_LISTED: usize = 20;

/// A CSV file whose header is found.
pub(super) struct Table<'a> {
    text: &'a str,
    pub delimiter: char,
    pub header: Vec<String>,
    header_index: usize,
    /// Lines above the header that hold something, with what they hold.
    pub titles: Vec<(u64, String)>,
}

impl<'a> Table<'a> {
    /// Takes the delimiter and the row in which `recognised` counts the most columns; where equal,
    /// the comma and the upper row. `Err` holds the columns of the row that looks most like a header.
    pub fn find(text: &'a str, recognised: impl Fn(&[&str]) -> Option<usize>) -> Result<Self, Vec<String>> {
        let mut best: Option<(usize, char, usize)> = None;
        let mut widest: Vec<String> = Vec::new();
        for delimiter in [',', ';', '\t'] {
            for (at, (_, record)) in records(text, delimiter).take(HEADER_WITHIN).enumerate() {
                let cells: Vec<&str> = record.iter().map(str::trim).collect();
                if let Some(count) = recognised(&cells)
                    && best.is_none_or(|(most, ..)| count > most)
                {
                    best = Some((count, delimiter, at));
                }
                if cells.iter().filter(|c| !c.is_empty()).count() > widest.iter().filter(|c| !c.is_empty()).count() {
                    widest = cells.iter().map(|c| c.to_string()).collect();
                }
            }
        }
        let (_, delimiter, header_index) = best.ok_or(widest)?;
        let mut header = Vec::new();
        let mut titles = Vec::new();
        for (at, (line, record)) in records(text, delimiter).take(header_index + 1).enumerate() {
            if at == header_index {
                header = record.iter().map(|c| c.trim().to_owned()).collect();
            } else {
                let text: Vec<&str> = record.iter().filter_map(filled).collect();
                if !text.is_empty() {
                    titles.push((line, text.join(" ")));
                }
            }
        }
        Ok(Table { text, delimiter, header, header_index, titles })
    }

    /// The rows below the header that are not blank, each with its line. `Err` where a row has not the
    /// header's number of cells; empty cells beyond the header do not count.
    pub fn rows(&self) -> impl Iterator<Item = (u64, Result<StringRecord, String>)> + 'a {
        let width = self.header.len();
        records(self.text, self.delimiter)
            .skip(self.header_index + 1)
            .filter(|(_, record)| record.iter().any(|c| !c.trim().is_empty()))
            .map(move |(line, record)| {
                let filled =
                    record.iter().enumerate().filter(|(_, c)| !c.trim().is_empty()).last().map_or(0, |(at, _)| at + 1);
                if record.len() >= width && filled <= width {
                    return (line, Ok(record));
                }
                let cells = record.len();
                (
                    line,
                    Err(format!(
                        "the row has {cells} cells and the header {width}; is a quote or a delimiter missing?"
                    )),
                )
            })
    }

    /// Reports titles as lines that are no data.
    pub fn set_titles_aside(&self, account: &mut Account, file: usize) {
        for (line, text) in &self.titles {
            account.set_aside(Spot { file, row: *line }, format!("a title above the header: {}", quote(text)));
        }
    }

    /// The columns that are not among those used, without nameless ones.
    pub fn ignored(&self, used: &[usize]) -> Vec<String> {
        let unused = |(at, name): (usize, &String)| (!used.contains(&at) && !name.is_empty()).then(|| name.clone());
        self.header.iter().enumerate().filter_map(unused).collect()
    }
}

/// All rows with the line each starts on.
fn records(text: &str, delimiter: char) -> impl Iterator<Item = (u64, StringRecord)> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter as u8).from_reader(text.as_bytes());
    let bytes = text.as_bytes();
    let (mut line, mut counted) = (1_u64, 0_usize);
    std::iter::from_fn(move || {
        let mut record = StringRecord::new();
        let start = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        // Reading from memory cannot fail, and the text is UTF-8 already: false means the end.
        if !reader.read_record(&mut record).unwrap_or(false) {
            return None;
        }
        // The reader passes over blank lines before a record; its line is that of its first cell.
        let blank = |b: &&u8| matches!(b, b'\n' | b'\r');
        let start = start + bytes.get(start..).unwrap_or_default().iter().take_while(blank).count();
        line += bytes.get(counted..start).unwrap_or_default().iter().filter(|b| **b == b'\n').count() as u64;
        counted = counted.max(start);
        Some((line, record))
    })
}

/// Column names in a sentence.
pub(super) fn listed(columns: &[String]) -> String {
    let named: Vec<String> = columns.iter().filter(|c| !c.is_empty()).take(NAMES_LISTED).map(|c| quote(c)).collect();
    let more = columns.len().saturating_sub(NAMES_LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    if named.is_empty() { "none".into() } else { named.join(", ") + &rest }
}

/// Whether a header's cell is the wanted column: case and blanks around do not matter.
pub(super) fn is_column(cell: &str, wanted: &str) -> bool {
    cell.trim().eq_ignore_ascii_case(wanted.trim())
}

/// A CSV file in one of this program's own forms: columns known by name, in any order.
pub(super) struct Sheet<'a> {
    file: &'a SourceFile,
    table: Table<'a>,
    columns: Vec<(&'static str, usize)>,
}

/// One row of a [`Sheet`].
pub(super) struct SheetRow<'a> {
    record: &'a StringRecord,
    columns: &'a [(&'static str, usize)],
}

impl SheetRow<'_> {
    /// The cell without blanks around it; empty where the file has no such column.
    pub fn get(&self, column: &str) -> &str {
        let at = self.columns.iter().find(|(name, _)| *name == column);
        at.and_then(|(_, at)| self.record.get(*at)).unwrap_or("").trim()
    }
}

impl<'a> Sheet<'a> {
    /// Refuses a file without one of the `required` columns, or with one of the columns twice.
    pub fn open(
        file: &'a SourceFile,
        required: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Self, ImportError> {
        if file.format()? != Format::Table {
            return Err(file.refuse(format!("is JSON; this import reads CSV with the columns {}", required.join(","))));
        }
        let has = |cells: &[&str], name: &str| cells.iter().any(|c| is_column(c, name));
        let table = Table::find(file.text()?, |cells| {
            let found = required.iter().filter(|name| has(cells, name)).count();
            // Two columns of ours make a header, though perhaps one that lacks others.
            (found >= 2.min(required.len())).then(|| found + optional.iter().filter(|name| has(cells, name)).count())
        })
        .map_err(|seen| {
            let required = required.join(",");
            file.refuse(format!(
                "no header with the columns {required} is found; the columns seen are {}",
                listed(&seen)
            ))
        })?;
        let mut columns = Vec::new();
        for name in required.iter().chain(optional) {
            let at: Vec<usize> = (0..table.header.len()).filter(|at| is_column(&table.header[*at], name)).collect();
            match at.as_slice() {
                [at] => columns.push((*name, *at)),
                [] if required.contains(name) => {
                    let seen = listed(&table.header);
                    return Err(file.refuse(format!("the column {name} is missing; the columns seen are {seen}")));
                }
                [] => {}
                _ => return Err(file.refuse(format!("the column {name} is there twice; rename or remove one"))),
            }
        }
        Ok(Sheet { file, table, columns })
    }

    /// Calls for each row; the first error, or a row of the wrong length, refuses the file.
    pub fn each(&self, mut take: impl FnMut(&SheetRow) -> Result<(), String>) -> Result<(), ImportError> {
        for (line, record) in self.table.rows() {
            record
                .and_then(|record| take(&SheetRow { record: &record, columns: &self.columns }))
                .map_err(|reason| self.file.refuse(format!("line {line}: {reason}")))?;
        }
        Ok(())
    }

    /// Calls for each row, counts it as read, and rejects it where the call or its length says why.
    pub fn each_counted(
        &self,
        account: &mut Account,
        mut take: impl FnMut(&mut Account, Spot, &SheetRow) -> Result<(), String>,
    ) {
        let file = account.report.files.len();
        let used: Vec<usize> = self.columns.iter().map(|(_, at)| *at).collect();
        account.report.files.push(FileReport {
            name: self.file.name().to_owned(),
            format: "csv",
            delimiter: Some(self.table.delimiter),
            mapping: self.columns.iter().map(|(name, at)| (*name, self.table.header[*at].clone())).collect(),
            ignored: self.table.ignored(&used),
        });
        self.table.set_titles_aside(account, file);
        for (line, record) in self.table.rows() {
            let spot = Spot { file, row: line };
            account.report.read += 1;
            let outcome =
                record.and_then(|record| take(account, spot, &SheetRow { record: &record, columns: &self.columns }));
            if let Err(reason) = outcome {
                account.rejected(spot, reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile::new("t.csv", text.as_bytes().to_vec()).expect("bytes")
    }

    fn rows(text: &str) -> Vec<(u64, String)> {
        let file = file(text);
        let sheet = Sheet::open(&file, &["code", "name"], &[]).expect("a header");
        let mut account = Account::default();
        let mut rows = Vec::new();
        sheet.each_counted(&mut account, |_, spot, row| {
            rows.push((spot.row, format!("{}/{}", row.get("code"), row.get("name"))));
            Ok(())
        });
        rows
    }

    #[test]
    fn delimiter_byte_order_mark_and_titles_are_found_and_lines_are_those_of_the_editor() {
        let text = "\u{feff};Daftar wilayah;\n\n NAME ;Code;x\n\nA;31;\n\"B\nb\";32;\n;;\nC;33;;;\n";
        assert_eq!(rows(text), [(5, "31/A".into()), (6, "32/B\nb".into()), (9, "33/C".into())]);
        assert_eq!(rows("code\tname\n31\tA, with comma\n"), [(2, "31/A, with comma".into())]);
        assert_eq!(rows("code,name\r\n\r\n31,A\r\n"), [(3, "31/A".into())]);
    }

    #[test]
    fn titles_and_rows_of_the_wrong_length_are_reported() {
        let file = file("Daftar,\ncode,name\n31\n32,A,B\n33,C\n");
        let sheet = Sheet::open(&file, &["code", "name"], &[]).expect("a header");
        let mut account = Account::default();
        sheet.each_counted(&mut account, |_, _, _| Ok(()));
        let report = account.finish();
        assert_eq!((report.read, report.accepted), (3, 1));
        assert_eq!(report.rejected.iter().map(|n| n.row).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(report.set_aside[0].reason, "a title above the header: \"Daftar\"");
    }

    #[test]
    fn a_missing_or_doubled_column_refuses_the_file_with_the_columns_seen() {
        let open = |text: &str| match Sheet::open(&file(text), &["code", "name", "level"], &[]) {
            Ok(_) => String::from("taken"),
            Err(e) => e.to_string(),
        };
        assert!(open("code,name\n").contains("column level is missing; the columns seen are \"code\", \"name\""));
        assert!(open("a,b\n1,2\n").contains("no header with the columns code,name,level"));
        assert!(open("code,name,level,Name\n").contains("column name is there twice"));
        assert!(open("{}").contains("is JSON"));
    }
}
