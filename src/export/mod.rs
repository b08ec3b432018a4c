//! Tables into files that others read: CSV, spreadsheets, GeoJSON. What stands in a table, and who may have
//! it, is decided by whoever fills it.
//!
//! - Every text cell is a text: a spreadsheet that opens the file runs nothing of it. In CSV, where a reader
//!   has nothing but the characters to go by, a text that begins as a formula does gets an apostrophe.
//! - Numbers stay numbers, negative degrees too; codes are texts.
//! - A spreadsheet says on a second sheet what was asked for, when, and how many rows there are; GeoJSON says it
//!   beside its features. CSV has the table alone.

mod csv;
mod features;
mod xlsx;

#[cfg(test)]
mod tests;

use serde_json::Value;
use std::io::{self, Write};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Xlsx,
    Geojson,
}

impl Format {
    pub const ALL: [Format; 3] = [Format::Csv, Format::Xlsx, Format::Geojson];

    /// The name that it has in an address and as the end of a file's name.
    pub fn word(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Xlsx => "xlsx",
            Format::Geojson => "geojson",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Format::Geojson => "application/geo+json",
        }
    }

    /// The most rows that a file of this kind holds, its header left out.
    pub fn most_rows(self) -> usize {
        match self {
            Format::Xlsx => 1_048_574,
            Format::Csv | Format::Geojson => usize::MAX,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Empty,
    Text(String),
    /// Within plus or minus 2^53 - 1, which every reader keeps exact.
    Number(i64),
    Degrees(f64),
}

impl Cell {
    pub fn text(text: impl ToString) -> Self {
        let text = text.to_string();
        if text.is_empty() { Cell::Empty } else { Cell::Text(text) }
    }

    pub fn or_empty<T>(value: Option<T>, cell: impl FnOnce(T) -> Cell) -> Self {
        value.map_or(Cell::Empty, cell)
    }
}

/// A column's name, and its HXL tag where the table is one of those that have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub tag: Option<&'static str>,
}

/// As many cells as there are columns; the place, a GeoJSON geometry, is in GeoJSON alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub place: Option<Value>,
}

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub title: &'static str,
    /// When it was read, and what was asked for: names and values.
    pub said: Vec<(&'static str, String)>,
}

/// Writes the table; answers how many rows it has.
pub fn write(
    format: Format,
    about: &About,
    columns: &[Column],
    rows: impl Iterator<Item = Row>,
    out: &mut impl Write,
) -> io::Result<usize> {
    match format {
        Format::Csv => csv::write(columns, rows, out),
        Format::Xlsx => xlsx::write(about, columns, rows, out),
        Format::Geojson => features::write(about, columns, rows, out),
    }
}

/// The row of tags under the header, where the table has any.
fn tags(columns: &[Column]) -> Option<Vec<&'static str>> {
    columns.iter().any(|c| c.tag.is_some()).then(|| columns.iter().map(|c| c.tag.unwrap_or_default()).collect())
}
