//! GeoJSON: one feature a row, written as it comes, as the file may be larger than the memory.

use super::{About, Cell, Column, Row};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

pub fn write(
    about: &About,
    columns: &[Column],
    rows: impl Iterator<Item = Row>,
    out: &mut impl Write,
) -> io::Result<usize> {
    out.write_all(b"{\"type\":\"FeatureCollection\",\"features\":[")?;
    let mut written = 0;
    for row in rows {
        out.write_all(if written == 0 { b"\n" } else { b",\n" })?;
        let properties: Map<String, Value> =
            columns.iter().zip(row.cells).map(|(column, cell)| (column.name.to_owned(), value(cell))).collect();
        let feature = json!({"type": "Feature", "geometry": row.place, "properties": properties});
        serde_json::to_writer(&mut *out, &feature)?;
        written += 1;
    }
    let mut said: Map<String, Value> = about.said.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
    said.insert("title".into(), json!(about.title));
    said.insert("rows".into(), json!(written));
    let tags: Map<String, Value> = columns.iter().filter_map(|c| Some((c.name.to_owned(), json!(c.tag?)))).collect();
    if !tags.is_empty() {
        said.insert("hxl".into(), Value::Object(tags));
    }
    write!(out, "\n],\"about\":{}}}\n", Value::Object(said))?;
    Ok(written)
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Empty => Value::Null,
        Cell::Text(text) => json!(text),
        Cell::Number(number) => json!(number),
        Cell::Degrees(degrees) => json!(degrees),
    }
}
