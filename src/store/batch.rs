//! Many rows in one statement, handed to each database in the way that costs it least: to
//! PostgreSQL one array a column, to SQLite a list of values. And many such statements at once:
//! PostgreSQL gets them in one exchange, SQLite one after another.

use super::dialect::Dialect;
use super::error::StoreError;
use super::ledger::expect_rows;
use super::rows::IdRow;
use super::write::{Tx, column};
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
    /// JSON, likewise.
    Json,
    Real,
    Bytes,
}

#[derive(Debug, Clone)]
pub(super) enum Cell {
    Int(Option<i64>),
    Text(Option<String>),
    Real(Option<f64>),
    Bytes(Option<Vec<u8>>),
}

impl Cell {
    fn number(&self) -> Option<i64> {
        if let Cell::Int(number) = self { *number } else { None }
    }
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

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        Cell::Text(text.map(str::to_owned))
    }
}

impl From<Option<f64>> for Cell {
    fn from(number: Option<f64>) -> Self {
        Cell::Real(number)
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

/// What a statement is given in one of its places.
#[derive(Debug, Clone)]
pub(super) enum Parameter {
    One(Value),
    /// PostgreSQL takes a column of numbers as they are several times faster than as text, where it is sent so.
    Numbers(Vec<Option<i64>>),
}

impl From<Parameter> for Value {
    fn from(parameter: Parameter) -> Value {
        match parameter {
            Parameter::One(value) => value,
            Parameter::Numbers(numbers) => {
                let cells: Vec<Cell> = numbers.into_iter().map(Cell::Int).collect();
                array_column(cells.iter()).into()
            }
        }
    }
}

/// Rows for one statement. The first column is never null.
pub(super) struct Batch<const C: usize> {
    columns: [(&'static str, Kind); C],
    rows: Vec<[Cell; C]>,
}

/// Rows as a statement reads them.
struct Source {
    text: String,
    values: Vec<Parameter>,
    rows: usize,
}

/// Rows of one statement at most.
const MOST_POSTGRES: usize = 2_000;
const MOST_SQLITE: usize = 512;

/// How many rows a statement of SQLite's is made for that is given so many: statements are kept ready by their length,
/// so there are four lengths from each power of two to the next.
fn made_for(rows: usize) -> usize {
    let step = 1 << rows.ilog2().saturating_sub(2);
    rows.div_ceil(step) * step
}

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

    /// The source of rows, to stand in FROM as `r`, and its parameters; statement by statement. On
    /// PostgreSQL the parameters of the first are numbered from `first`, and so on.
    fn statements(&self, dialect: Dialect, first: usize) -> Vec<Source> {
        self.cut(dialect, first, true)
    }

    /// The same to be run one by one, each with parameters of its own.
    fn separately(&self, dialect: Dialect) -> Vec<Source> {
        self.cut(dialect, 1, false)
    }

    fn cut(&self, dialect: Dialect, mut first: usize, counts_on: bool) -> Vec<Source> {
        let mut rest = self.rows.as_slice();
        let mut statements = Vec::new();
        while !rest.is_empty() {
            let take = match dialect {
                Dialect::Postgres => rest.len().min(MOST_POSTGRES),
                Dialect::Sqlite => rest.len().min(MOST_SQLITE),
            };
            let (chunk, more) = rest.split_at(take);
            rest = more;
            let (text, values) = match dialect {
                Dialect::Postgres => self.arrays(chunk, first),
                Dialect::Sqlite => self.values(chunk),
            };
            first += if counts_on { values.len() } else { 0 };
            statements.push(Source { text, values, rows: chunk.len() });
        }
        statements
    }

    fn values(&self, rows: &[[Cell; C]]) -> (String, Vec<Parameter>) {
        let names: Vec<String> =
            self.columns.iter().enumerate().map(|(i, (name, _))| format!("column{} AS {name}", i + 1)).collect();
        let row = format!("({})", vec!["?"; C].join(","));
        let length = made_for(rows.len());
        // Rows that are there for the length alone have no first column.
        let source = format!(
            "(SELECT {} FROM (VALUES {}) WHERE column1 IS NOT NULL) AS r",
            names.join(", "),
            vec![row; length].join(",")
        );
        let nothing = [const { Cell::Int(None) }; C];
        let padding = std::iter::repeat_n(&nothing, length - rows.len());
        let values = rows.iter().chain(padding).flatten().map(|cell| match cell {
            Cell::Int(number) => (*number).into(),
            Cell::Text(text) => text.clone().into(),
            Cell::Real(number) => (*number).into(),
            Cell::Bytes(bytes) => bytes.clone().into(),
        });
        (source, values.map(Parameter::One).collect())
    }

    fn arrays(&self, rows: &[[Cell; C]], first: usize) -> (String, Vec<Parameter>) {
        let mut sources = Vec::with_capacity(C);
        let mut values = Vec::with_capacity(C);
        for (i, (_, kind)) in self.columns.iter().enumerate() {
            let n = first + i;
            sources.push(match kind {
                Kind::Int => format!("CAST(${n} AS bigint[])"),
                Kind::Text => format!("CAST(${n} AS text[])"),
                Kind::Real => format!("CAST(${n} AS double precision[])"),
                Kind::Bytes => format!("CAST(${n} AS bytea[])"),
                Kind::Plain => format!("string_to_array(${n}, E'\\x1e')"),
                Kind::Json => format!("CAST(string_to_array(${n}, E'\\x1e') AS json[])"),
            });
            let column = rows.iter().map(|row| &row[i]);
            values.push(match kind {
                Kind::Int => Parameter::Numbers(column.map(Cell::number).collect()),
                Kind::Plain | Kind::Json => Parameter::One(plain_column(column).into()),
                Kind::Text | Kind::Real | Kind::Bytes => Parameter::One(array_column(column).into()),
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

/// Statements that write, gathered to be run in this order. Each touches every row of its batch
/// once.
pub(super) struct Writes {
    dialect: Dialect,
    parts: Vec<Part>,
    parameters: usize,
}

/// Parts as one statement has them.
struct Joined {
    parts: String,
    values: Vec<Parameter>,
    /// How many rows each names.
    rows: Vec<usize>,
}

/// The transaction that a statement runs in.
const XID: &str = "pg_current_xact_id()::text::bigint AS xid";

struct Part {
    sql: String,
    values: Vec<Parameter>,
    rows: usize,
    /// Tells followers: its row bears the transaction's position.
    logs: bool,
}

impl Writes {
    pub fn new(dialect: Dialect) -> Self {
        Writes { dialect, parts: Vec::new(), parameters: 0 }
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The statement that `sql` makes of a source of rows called `r`.
    pub fn add<const C: usize>(&mut self, batch: &Batch<C>, sql: impl Fn(&str) -> String) {
        self.push(batch, sql, false);
    }

    /// The same, for the change log.
    pub fn add_log<const C: usize>(&mut self, batch: &Batch<C>, sql: impl Fn(&str) -> String) {
        self.push(batch, sql, true);
    }

    /// All of it as one statement of PostgreSQL's that is a transaction of its own. It stands whole where `unless` is
    /// not true of what the statement finds and every part touches as many rows as it names; else it fails by
    /// dividing by zero, SQLSTATE 22012. Parts are run in their order. `more` are values that `unless` and `answer`,
    /// further columns of the one row it answers, are told the parameters of; the row says in `xid` which
    /// transaction it was. Not for writes without a part.
    pub fn guarded<const N: usize>(
        self,
        more: [Parameter; N],
        unless: impl FnOnce(&[String; N]) -> String,
        answer: impl FnOnce(&[String; N]) -> String,
    ) -> (String, Vec<Parameter>) {
        let first = self.parameters + 1;
        let Joined { parts, mut values, rows } = self.joined();
        let named = std::array::from_fn(|n| format!("${}", first + n));
        let counts = first + N;
        let differs =
            |n: usize| format!(" WHEN (SELECT count(*) FROM w{n}) <> (CAST(${counts} AS bigint[]))[{}] THEN 0", n + 1);
        let counted: String = (0..rows.len()).map(differs).collect();
        values.extend(more);
        values.push(Parameter::Numbers(rows.into_iter().map(|rows| Some(rows as i64)).collect()));
        let (unless, answer) = (unless(&named), answer(&named));
        let sql =
            format!("WITH {parts} SELECT 1 / CASE WHEN {unless} THEN 0{counted} ELSE 1 END AS whole, {XID}, {answer}");
        (sql, values)
    }

    /// Its parts as expressions of one statement, called `w0` and so on.
    fn joined(self) -> Joined {
        let (mut parts, mut values, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for (n, part) in self.parts.into_iter().enumerate() {
            parts.push(format!("w{n} AS ({} RETURNING 1)", part.sql));
            values.extend(part.values);
            rows.push(part.rows);
        }
        Joined { parts: parts.join(", "), values, rows }
    }

    fn push<const C: usize>(&mut self, batch: &Batch<C>, sql: impl Fn(&str) -> String, logs: bool) {
        for source in batch.statements(self.dialect, self.parameters + 1) {
            self.parameters += source.values.len();
            self.parts.push(Part { sql: sql(&source.text), values: source.values, rows: source.rows, logs });
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
    let mut digits = itoa::Buffer::new();
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            out.push(',');
        }
        match cell {
            Cell::Int(Some(number)) => out.push_str(digits.format(*number)),
            // The shortest text that comes back as the same number.
            Cell::Real(Some(number)) => out.push_str(&number.to_string()),
            Cell::Bytes(Some(bytes)) => {
                // One backslash for the array, one for the bytes.
                out.push_str("\"\\\\x");
                bytes.iter().for_each(|byte| out.extend(hex_digits(*byte)));
                out.push('"');
            }
            Cell::Int(None) | Cell::Text(None) | Cell::Real(None) | Cell::Bytes(None) => out.push_str("NULL"),
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

fn hex_digits(byte: u8) -> [char; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]))
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
        for source in batch.separately(self.dialect) {
            touched += self.run_with(&sql(&source.text), source.values.into_iter().map(Value::from)).await?;
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
        for source in batch.separately(self.dialect) {
            found.extend(self.all_with(&sql(&source.text), source.values.into_iter().map(Value::from)).await?);
        }
        Ok(found)
    }

    /// Runs what was gathered. A part that touches fewer or more rows than it holds has met a row that
    /// changed under its lock: our own fault, and the transaction must not commit.
    pub(super) async fn write(&mut self, writes: Writes) -> Result<(), StoreError> {
        if writes.parts.is_empty() {
            return Ok(());
        }
        match self.dialect {
            Dialect::Postgres => self.write_at_once(writes).await,
            Dialect::Sqlite => self.write_in_turn(writes).await,
        }
    }

    async fn write_at_once(&mut self, writes: Writes) -> Result<(), StoreError> {
        let logs = writes.parts.iter().any(|part| part.logs);
        let Joined { parts, values, rows } = writes.joined();
        let counts: String = (0..rows.len()).map(|n| format!(", (SELECT count(*) FROM w{n}) AS w{n}")).collect();
        let sql = format!("WITH {parts} SELECT {XID}{counts}");
        let values = values.into_iter().map(Value::from);
        let counted = self.one_with(&sql, values).await?.ok_or_else(|| StoreError::corrupt("count"))?;
        for (n, rows) in rows.into_iter().enumerate() {
            expect_rows(column::<i64>(&counted, &format!("w{n}"))?.unsigned_abs(), rows)?;
        }
        if logs {
            self.position = Some(column(&counted, "xid")?);
        }
        Ok(())
    }

    async fn write_in_turn(&mut self, writes: Writes) -> Result<(), StoreError> {
        for part in writes.parts {
            let values = part.values.into_iter().map(Value::from);
            let touched = if part.logs {
                let logged: Vec<IdRow> = self.all_with(&format!("{} RETURNING id", part.sql), values).await?;
                self.position = logged.iter().map(|row| row.id).max();
                logged.len() as u64
            } else {
                self.run_with(&part.sql, values).await?
            };
            expect_rows(touched, part.rows)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_keeps_quotes_commas_braces_and_nothing() {
        let cells = [Cell::from("a\"b\\c,{d}"), Cell::Text(None), Cell::from(""), Cell::from("NULL")];
        assert_eq!(array_column(cells.iter()), "{\"a\\\"b\\\\c,{d}\",NULL,\"\",\"NULL\"}");
        let cells = [Cell::Real(Some(-0.1)), Cell::Real(None), Cell::Bytes(Some(vec![0, 0xab])), Cell::Bytes(None)];
        assert_eq!(array_column(cells.iter()), "{-0.1,NULL,\"\\\\x00ab\",NULL}");
    }

    #[test]
    fn a_list_of_values_has_one_of_few_lengths() {
        let mut batch = Batch::new([("n", Kind::Int)]);
        (0..300).for_each(|n| batch.push([n.into()]));
        let statements = batch.statements(Dialect::Sqlite, 1);
        assert_eq!(statements.iter().map(|s| (s.rows, s.values.len())).collect::<Vec<_>>(), [(300, 320)]);
        assert_eq!(batch.statements(Dialect::Postgres, 1)[0].values.len(), 1);
        (300..1_000).for_each(|n| batch.push([n.into()]));
        let rows: Vec<usize> = batch.statements(Dialect::Sqlite, 1).iter().map(|s| s.rows).collect();
        assert_eq!(rows, [512, 488]);
        let lengths: std::collections::BTreeSet<usize> = (1..=MOST_SQLITE).map(made_for).collect();
        assert_eq!(lengths.len(), 32);
        assert!((1..=MOST_SQLITE).all(|rows| made_for(rows) >= rows && made_for(rows) * 4 <= rows * 5));
    }

    #[test]
    fn statements_that_are_run_one_by_one_have_parameters_of_their_own() {
        let mut batch = Batch::new([("n", Kind::Int)]);
        (0..MOST_POSTGRES as i64 + 1).for_each(|n| batch.push([n.into()]));
        let texts = |sources: Vec<Source>| sources.into_iter().map(|s| s.text).collect::<Vec<_>>();
        assert!(texts(batch.separately(Dialect::Postgres)).iter().all(|text| text.contains("CAST($1 AS bigint[])")));
        assert!(texts(batch.statements(Dialect::Postgres, 1))[1].contains("CAST($2 AS bigint[])"));
    }
}
