//! Many rows in one statement, handed to each database in the way that costs it least: to
//! PostgreSQL one array a column, to SQLite a list of values.

use super::dialect::Dialect;
use super::error::StoreError;
use super::write::Tx;
use sea_orm::{FromQueryResult, Value};

/// The type of a column of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    /// Any text.
    Text,
    /// Text without control characters, never null and never empty: our own words, numbers and JSON. PostgreSQL
    /// takes these apart several times faster.
    Plain,
}

#[derive(Debug, Clone)]
pub(super) enum Cell {
    Int(Option<i64>),
    Text(Option<String>),
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Cell::Int(Some(number))
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        Cell::Int(number)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(Some(text.to_owned()))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(Some(text))
    }
}

/// Rows for one statement.
pub(super) struct Batch<const C: usize> {
    columns: [(&'static str, Kind); C],
    rows: Vec<[Cell; C]>,
}

/// Rows of one statement at most. On SQLite statements are kept ready by their length, so a batch is
/// cut into powers of two.
const MOST_POSTGRES: usize = 2_000;
const MOST_SQLITE: usize = 128;

/// Between two texts of a [`Kind::Plain`] column.
const SEPARATOR: char = '\u{1e}';

impl<const C: usize> Batch<C> {
    pub fn new(columns: [(&'static str, Kind); C]) -> Self {
        Batch { columns, rows: Vec::new() }
    }

    pub fn push(&mut self, row: [Cell; C]) {
        self.rows.push(row);
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The source of rows, to stand in FROM as `r`, and its parameters; statement by statement.
    fn statements(&self, dialect: Dialect) -> Vec<(String, Vec<Value>)> {
        let mut rest = self.rows.as_slice();
        let mut statements = Vec::new();
        while !rest.is_empty() {
            let take = match dialect {
                Dialect::Postgres => rest.len().min(MOST_POSTGRES),
                Dialect::Sqlite => 1 << rest.len().min(MOST_SQLITE).ilog2(),
            };
            let (chunk, more) = rest.split_at(take);
            rest = more;
            statements.push(match dialect {
                Dialect::Postgres => self.arrays(chunk),
                Dialect::Sqlite => self.values(chunk),
            });
        }
        statements
    }

    fn values(&self, rows: &[[Cell; C]]) -> (String, Vec<Value>) {
        let names: Vec<String> =
            self.columns.iter().enumerate().map(|(i, (name, _))| format!("column{} AS {name}", i + 1)).collect();
        let row = format!("({})", vec!["?"; C].join(","));
        let source = format!("(SELECT {} FROM (VALUES {})) AS r", names.join(", "), vec![row; rows.len()].join(","));
        let values = rows.iter().flatten().map(|cell| match cell {
            Cell::Int(number) => (*number).into(),
            Cell::Text(text) => text.clone().into(),
        });
        (source, values.collect())
    }

    fn arrays(&self, rows: &[[Cell; C]]) -> (String, Vec<Value>) {
        let mut sources = Vec::with_capacity(C);
        let mut values = Vec::with_capacity(C);
        for (i, (_, kind)) in self.columns.iter().enumerate() {
            let n = i + 1;
            sources.push(match kind {
                Kind::Int => format!("CAST(${n} AS bigint[])"),
                Kind::Text => format!("CAST(${n} AS text[])"),
                Kind::Plain => format!("string_to_array(${n}, E'\\x1e')"),
            });
            let column = rows.iter().map(|row| &row[i]);
            values.push(match kind {
                Kind::Plain => plain_column(column).into(),
                Kind::Int | Kind::Text => array_column(column).into(),
            });
        }
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        (format!("unnest({}) WITH ORDINALITY AS r({}, ord)", sources.join(", "), names.join(", ")), values)
    }

    /// Behind a SELECT from the batch: its rows in the order given, so that ids ascend in that order.
    pub fn in_order(dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Postgres => " ORDER BY r.ord",
            // A list of values is read from its beginning.
            Dialect::Sqlite => "",
        }
    }
}

fn plain_column<'a>(cells: impl Iterator<Item = &'a Cell>) -> String {
    let mut out = String::new();
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            out.push(SEPARATOR);
        }
        if let Cell::Text(Some(text)) = cell {
            out.push_str(text);
        }
    }
    out
}

/// An array as PostgreSQL reads it from text.
fn array_column<'a>(cells: impl Iterator<Item = &'a Cell>) -> String {
    let mut out = String::from("{");
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            out.push(',');
        }
        match cell {
            Cell::Int(Some(number)) => out.push_str(&number.to_string()),
            Cell::Int(None) | Cell::Text(None) => out.push_str("NULL"),
            Cell::Text(Some(text)) => {
                out.push('"');
                for c in text.chars() {
                    if matches!(c, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
    out
}

impl Tx {
    /// Runs the statement that `sql` makes of a source of rows called `r`. Answers how many rows it
    /// touched in all.
    pub(super) async fn run_batch<const C: usize>(
        &mut self,
        batch: &Batch<C>,
        sql: impl Fn(&str) -> String,
    ) -> Result<u64, StoreError> {
        let mut touched = 0;
        for (source, values) in batch.statements(self.dialect) {
            touched += self.run_with(&sql(&source), values).await?;
        }
        Ok(touched)
    }

    /// Reads with a batch as a source of rows called `r`.
    pub(super) async fn all_of_batch<T: FromQueryResult, const C: usize>(
        &mut self,
        batch: &Batch<C>,
        sql: impl Fn(&str) -> String,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        for (source, values) in batch.statements(self.dialect) {
            found.extend(self.all_with(&sql(&source), values).await?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_keeps_quotes_commas_braces_and_nothing() {
        let cells = [Cell::from("a\"b\\c,{d}"), Cell::Text(None), Cell::from(""), Cell::from("NULL")];
        assert_eq!(array_column(cells.iter()), "{\"a\\\"b\\\\c,{d}\",NULL,\"\",\"NULL\"}");
    }

    #[test]
    fn a_list_of_values_is_cut_into_powers_of_two() {
        let mut batch = Batch::new([("n", Kind::Int)]);
        (0..300).for_each(|n| batch.push([n.into()]));
        let sizes: Vec<usize> = batch.statements(Dialect::Sqlite).iter().map(|(_, values)| values.len()).collect();
        assert_eq!(sizes, [128, 128, 32, 8, 4]);
        assert_eq!(batch.statements(Dialect::Postgres).len(), 1);
    }
}
