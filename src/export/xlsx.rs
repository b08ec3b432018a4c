//! A workbook: the table, and a sheet that says what it is. Rows go through a file of the system's, not
//! through memory.

use super::{About, Cell, Column, Row, tags};
use rust_xlsxwriter::{Format, Workbook, XlsxError};
use std::io::{self, Write};

pub fn write(
    about: &About,
    columns: &[Column],
    rows: impl Iterator<Item = Row>,
    out: &mut impl Write,
) -> io::Result<usize> {
    let (workbook, written) = filled(about, columns, rows).map_err(io::Error::other)?;
    out.write_all(&workbook)?;
    Ok(written)
}

fn filled(about: &About, columns: &[Column], rows: impl Iterator<Item = Row>) -> Result<(Vec<u8>, usize), XlsxError> {
    let mut workbook = Workbook::new();
    let bold = Format::new().set_bold();
    let sheet = workbook.add_worksheet_with_constant_memory()?.set_name(about.title)?;
    let mut line = 0;
    for (at, column) in (0u16..).zip(columns) {
        sheet.set_column_width(at, 18)?;
        sheet.write_string_with_format(line, at, column.name, &bold)?;
    }
    line += 1;
    if let Some(tags) = tags(columns) {
        for (at, tag) in (0u16..).zip(tags) {
            sheet.write_string(line, at, tag)?;
        }
        line += 1;
    }
    sheet.set_freeze_panes(line, 0)?;
    let mut written = 0;
    for row in rows {
        for (at, cell) in (0u16..).zip(row.cells) {
            match cell {
                Cell::Empty => {}
                Cell::Text(text) => {
                    sheet.write_string(line, at, text)?;
                }
                // Exact: see `Cell::Number`.
                Cell::Number(number) => {
                    sheet.write_number(line, at, number as f64)?;
                }
                Cell::Degrees(degrees) => {
                    sheet.write_number(line, at, degrees)?;
                }
            }
        }
        line += 1;
        written += 1;
    }
    let said = workbook.add_worksheet().set_name("about")?;
    said.set_column_width(0, 18)?.set_column_width(1, 60)?;
    let rows = written.to_string();
    let lines = std::iter::once(("title", about.title)).chain(about.said.iter().map(|(n, v)| (*n, v.as_str())));
    for (line, (name, value)) in (0u32..).zip(lines.chain([("rows", rows.as_str())])) {
        said.write_string_with_format(line, 0, name, &bold)?;
        said.write_string(line, 1, value)?;
    }
    Ok((workbook.save_to_buffer()?, written))
}
