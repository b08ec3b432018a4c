//! What became of each row.

use serde::Serialize;
use std::collections::BTreeMap;

/// One row and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// In a CSV file the line on which the row starts, the file's first line being 1, so that an
    /// editor finds it; in GeoJSON the number of the feature, the first being 1.
    pub row: u64,
    pub reason: String,
    /// The file, where more than one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// How one file was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    pub name: String,
    /// `csv` or `geojson`.
    pub format: &'static str,
    /// Of a CSV file: `,`, `;` or a tab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Which column was taken for what: from our word to the file's.
    pub mapping: BTreeMap<&'static str, String>,
    /// Columns that were not read.
    pub ignored: Vec<String>,
}

/// How the accepted rows found their area.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Matches {
    pub code: u64,
    pub name: u64,
    pub alias: u64,
}

/// The account of one run. `read = accepted + rejected.len()`; `unchanged` is part of `accepted`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows of data, without header, titles and blank lines.
    pub read: u64,
    /// Rows taken.
    pub accepted: u64,
    /// Rows taken that say what stands already.
    pub unchanged: u64,
    /// Rows taken after something on them was mended.
    pub repaired: Vec<Note>,
    /// Rows not taken.
    pub rejected: Vec<Note>,
    /// Set by whoever publishes the plan; a plan by itself changes nothing.
    pub published: bool,
    /// Records the plan holds: several rows may speak of one area.
    pub records: u64,
    /// Areas that no row is about but that a row lies in: the RW of an RT.
    pub implied: u64,
    /// Rows taken that share their area with other rows.
    pub merged: Vec<Note>,
    /// Lines that are no data: titles above the header, sums below.
    pub set_aside: Vec<Note>,
    /// What somebody should look at, though nothing was changed for it.
    pub notes: Vec<Note>,
    pub matched_by: Matches,
    pub files: Vec<FileReport>,
}

impl Report {
    /// Whether the plan may be published as it is, without the caller's word for the rejected rows.
    pub fn is_whole(&self) -> bool {
        self.rejected.is_empty()
    }
}

/// What publishing does to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    New,
    Changed,
    /// It stands exactly so.
    Same,
}

/// The place of a row among the files of a run. Orders by file, then by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spot {
    pub file: usize,
    pub row: u64,
}

/// Builds a report from spots, and gives its notes their file names at the end.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub report: Report,
    repaired: Vec<(Spot, String)>,
    rejected: Vec<(Spot, String)>,
    merged: Vec<(Spot, String)>,
    set_aside: Vec<(Spot, String)>,
    notes: Vec<(Spot, String)>,
}

impl Account {
    pub fn repaired(&mut self, spot: Spot, reason: impl Into<String>) {
        self.repaired.push((spot, reason.into()));
    }
    pub fn rejected(&mut self, spot: Spot, reason: impl Into<String>) {
        self.rejected.push((spot, reason.into()));
    }
    pub fn merged(&mut self, spot: Spot, reason: impl Into<String>) {
        self.merged.push((spot, reason.into()));
    }
    pub fn set_aside(&mut self, spot: Spot, reason: impl Into<String>) {
        self.set_aside.push((spot, reason.into()));
    }
    pub fn note(&mut self, spot: Spot, reason: impl Into<String>) {
        self.notes.push((spot, reason.into()));
    }

    /// How a spot is called in a sentence: `row 12`, with the file where there are several.
    pub fn call(&self, spot: Spot) -> String {
        match self.report.files.get(spot.file) {
            Some(file) if self.report.files.len() > 1 => format!("row {} of {}", spot.row, file.name),
            _ => format!("row {}", spot.row),
        }
    }

    /// Sorts the notes by file and row. What is left of `read` is accepted.
    pub fn finish(self) -> Report {
        let mut report = self.report;
        let names: Vec<String> = report.files.iter().map(|f| f.name.clone()).collect();
        let dress = |mut notes: Vec<(Spot, String)>| -> Vec<Note> {
            notes.sort_by_key(|(spot, _)| *spot);
            let file = |at: usize| if names.len() > 1 { names.get(at).cloned() } else { None };
            notes.into_iter().map(|(s, reason)| Note { row: s.row, reason, file: file(s.file) }).collect()
        };
        report.repaired = dress(self.repaired);
        report.rejected = dress(self.rejected);
        report.merged = dress(self.merged);
        report.set_aside = dress(self.set_aside);
        report.notes = dress(self.notes);
        report.accepted = report.read.saturating_sub(report.rejected.len() as u64);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_documented_json_form_and_names_files_only_where_there_are_several() {
        let mut account = Account::default();
        account.report.read = 3;
        account.report.files = vec![FileReport { name: "a.csv".into(), ..FileReport::default() }];
        account.rejected(Spot { file: 0, row: 9 }, "second");
        account.rejected(Spot { file: 0, row: 2 }, "first");
        let report = account.finish();
        assert_eq!((report.read, report.accepted), (3, 1));
        let json = serde_json::to_value(&report).expect("a report is JSON");
        assert_eq!(json["rejected"][0], serde_json::json!({"row": 2, "reason": "first"}));
        for key in ["read", "accepted", "unchanged", "repaired", "rejected", "published"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        let mut account = Account::default();
        account.report.files = vec![FileReport::default(), FileReport { name: "b".into(), ..FileReport::default() }];
        account.note(Spot { file: 1, row: 1 }, "x");
        assert_eq!(account.finish().notes[0].file.as_deref(), Some("b"));
    }
}
