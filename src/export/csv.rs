//! Comma-separated values in UTF-8, with a header, and under it a row of HXL tags where there are any.

use super::{Cell, Column, Row, tags};
use std::borrow::Cow;
use std::io::{self, Write};

pub fn write(columns: &[Column], rows: impl Iterator<Item = Row>, out: &mut impl Write) -> io::Result<usize> {
    let mut table = ::csv::WriterBuilder::new().terminator(::csv::Terminator::Any(b'\n')).from_writer(out);
    table.write_record(columns.iter().map(|c| c.name))?;
    if let Some(tags) = tags(columns) {
        table.write_record(tags)?;
    }
    let mut written = 0;
    for row in rows {
        for cell in &row.cells {
            match cell {
                Cell::Empty => table.write_field("")?,
                Cell::Text(text) => table.write_field(tamed(text).as_bytes())?,
                Cell::Number(number) => table.write_field(number.to_string())?,
                Cell::Degrees(degrees) => table.write_field(degrees.to_string())?,
            }
        }
        table.write_record(None::<&[u8]>)?;
        written += 1;
    }
    table.flush()?;
    Ok(written)
}

/// A text that no spreadsheet takes for a formula.
fn tamed(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}
