//! The log's exported directory: written leaf by leaf, checked without a database.
//!
//! The format is described in the [module above](super). The check reads each file once from
//! front to back.

use super::check::{Check, End, Names};
pub use super::check::{MAX_PROBLEMS, Problem, Report, Totals};
use super::signing::{Head, PublicKey};
use super::tree::{from_hex, to_hex};
use super::write_text;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

const LOG: &str = "log.jsonl";
const HEADS: &str = "heads.jsonl";
const TOTALS: &str = "totals.json";

/// The longest line that the check reads, in bytes without the line feed; it bounds the memory
/// that a malformed file can take.
const MAX_LINE: usize = 16 << 20;

// ------------------------------------------------------------------ writing

/// Why an export cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{0} is not empty; export into a new directory")]
    NotEmpty(PathBuf),
    #[error("the leaf {0} holds a line feed, so the stored log is damaged there")]
    LineFeed(u64),
    #[error("cannot write {path}: {source}; check the path, its permissions and the free space")]
    Io { path: PathBuf, source: io::Error },
}

fn at_path(path: &Path) -> impl FnOnce(io::Error) -> BundleError {
    let path = path.to_owned();
    |source| BundleError::Io { path, source }
}

/// Writes an export. It passes on what it is given without judging it, so that a damaged log
/// can be exported too and [`verify`] says what is wrong with it.
#[derive(Debug)]
pub struct BundleWriter {
    dir: PathBuf,
    log: BufWriter<File>,
    heads: BufWriter<File>,
}

impl BundleWriter {
    /// Starts an export in `dir`, which must be empty or not exist yet.
    pub fn create(dir: &Path) -> Result<Self, BundleError> {
        fs::create_dir_all(dir).map_err(at_path(dir))?;
        if fs::read_dir(dir).map_err(at_path(dir))?.next().is_some() {
            return Err(BundleError::NotEmpty(dir.to_owned()));
        }
        let open = |name: &str| {
            let path = dir.join(name);
            File::create_new(&path).map(BufWriter::new).map_err(at_path(&path))
        };
        Ok(BundleWriter { log: open(LOG)?, heads: open(HEADS)?, dir: dir.to_owned() })
    }

    /// Appends a leaf's canonical bytes; the first sequence number is [`FIRST_SEQUENCE`].
    pub fn push_leaf(&mut self, sequence: u64, leaf: &[u8]) -> Result<(), BundleError> {
        if leaf.contains(&b'\n') {
            return Err(BundleError::LineFeed(sequence));
        }
        write!(self.log, "{{\"sequence\":{sequence},\"leaf\":")
            .and_then(|()| self.log.write_all(leaf))
            .and_then(|()| self.log.write_all(b"}\n"))
            .map_err(|source| BundleError::Io { path: self.dir.join(LOG), source })
    }

    /// Appends a head with its signature in base64; heads come in the order of their sizes.
    pub fn push_head(&mut self, head: &Head, signature: &str) -> Result<(), BundleError> {
        self.heads
            .write_all(head_line(head, signature).as_bytes())
            .and_then(|()| self.heads.write_all(b"\n"))
            .map_err(|source| BundleError::Io { path: self.dir.join(HEADS), source })
    }

    /// Completes the export. `totals.json` comes last: a directory without it is unfinished.
    pub fn finish(self, totals: &Totals) -> Result<(), BundleError> {
        for (name, writer) in [(LOG, self.log), (HEADS, self.heads)] {
            let synced = writer.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
            synced.map_err(at_path(&self.dir.join(name)))?;
        }
        let path = self.dir.join(TOTALS);
        File::create_new(&path)
            .and_then(|mut file| file.write_all(totals.to_line().as_bytes()).and_then(|()| file.sync_all()))
            .map_err(at_path(&path))
    }
}

/// A line of `heads.jsonl` without its line feed.
fn head_line(head: &Head, signature: &str) -> String {
    let mut line = format!(
        "{{\"size\":{},\"root\":\"{}\",\"at\":{},\"signature\":",
        head.size,
        to_hex(&head.root),
        head.at_micros
    );
    write_text(&mut line, signature);
    line.push('}');
    line
}

// ------------------------------------------------------------------ checking

/// Checks an export: every leaf, the order, the tree under every head, every signature, the
/// arithmetic of the latest states, and the totals. With `old_head`, a head known from before,
/// also that the log still begins with what that head covers.
///
/// At most [`MAX_PROBLEMS`] problems are returned, in the order in which they were met.
pub fn verify(dir: &Path, key: &PublicKey, old_head: Option<Head>) -> Result<Report, Vec<Problem>> {
    let totals = read_totals(dir).map_err(|what| at(TOTALS, None, what));
    let (mut log, mut heads) = match (Lines::open(&dir.join(LOG)), Lines::open(&dir.join(HEADS))) {
        (Ok(log), Ok(heads)) => (log, heads),
        (log, heads) => {
            let unreadable = [(LOG, log.err()), (HEADS, heads.err())];
            let unreadable = unreadable.into_iter().filter_map(|(file, what)| Some(at(file, None, what?)));
            return Err(unreadable.chain(totals.err()).collect());
        }
    };
    let heads = std::iter::from_fn(|| heads.next().map(|(number, line)| (number, line.and_then(parse_head))));
    let mut check = Check::new(Names { log: LOG, heads: HEADS, totals: TOTALS }, heads, key, old_head);
    let claimed = totals.map_err(|problem| check.add(problem)).ok();
    while let Some((number, line)) = log.next()
        && !check.is_full()
    {
        match line.map(|line| (line, split_line(line))) {
            Ok((_, Some((sequence, leaf)))) => check.leaf(number, sequence, leaf),
            Ok((line, None)) => {
                check.add(at(LOG, Some(number), "the line is not of the form {\"sequence\":N,\"leaf\":{…}}".into()));
                check.leaf(number, check.expected(), line);
            }
            Err(what) => check.add(at(LOG, Some(number), what)),
        }
    }
    check.finish(End::Sealed(claimed))
}

fn at(file: &str, line: Option<u64>, what: String) -> Problem {
    Problem { file: file.to_owned(), line, what }
}

/// The last head of an earlier export's `heads.jsonl`, its signature checked: what [`verify`]
/// takes as `old_head`.
pub fn last_head_of(path: &Path, key: &PublicKey) -> Result<Head, Problem> {
    let name = path.display().to_string();
    let mut lines = Lines::open(path).map_err(|what| at(&name, None, what))?;
    let (mut number, mut last) = (None, Err("the file holds no head".to_owned()));
    while let Some((line_number, line)) = lines.next() {
        let line = line.map_err(|what| at(&name, Some(line_number), what))?;
        (number, last) = (Some(line_number), parse_head(line));
    }
    let checked = last.and_then(|(head, signature)| match key.verify_head(&head, &signature) {
        Ok(()) => Ok(head),
        Err(reason) => Err(reason.to_string()),
    });
    checked.map_err(|what| at(&name, number, what))
}

/// A file's lines, one at a time. What cannot be read is said once and ends the file.
struct Lines {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    /// How many lines were returned.
    number: u64,
    ended: bool,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("the file cannot be read: {error}"))?;
        let reader = BufReader::with_capacity(256 << 10, file);
        Ok(Lines { reader, buffer: Vec::new(), number: 0, ended: false })
    }

    /// The next line's number, counted from 1, and its bytes without the line feed.
    fn next(&mut self) -> Option<(u64, Result<&[u8], String>)> {
        if self.ended {
            return None;
        }
        self.buffer.clear();
        self.number += 1;
        let read = (&mut self.reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.buffer);
        let problem = match read {
            Ok(0) => return None,
            Ok(_) if self.buffer.last() == Some(&b'\n') => {
                self.buffer.pop();
                return Some((self.number, Ok(&self.buffer)));
            }
            Ok(length) if length > MAX_LINE => format!("the line is longer than {} MiB", MAX_LINE >> 20),
            Ok(_) => "the file ends in the middle of a line".to_owned(),
            Err(error) => format!("the file cannot be read on: {error}"),
        };
        self.ended = true;
        Some((self.number, Err(problem)))
    }
}

/// A line of the log as its sequence number and the exact bytes of its leaf.
fn split_line(line: &[u8]) -> Option<(u64, &[u8])> {
    let rest = line.strip_prefix(b"{\"sequence\":")?;
    let comma = rest.iter().position(|byte| *byte == b',')?;
    let (digits, rest) = rest.split_at(comma);
    let leaf = rest.strip_prefix(b",\"leaf\":")?.strip_suffix(b"}")?;
    let digits = str::from_utf8(digits).ok()?;
    let sequence: u64 = digits.parse().ok()?;
    // Signs and leading zeros would give one line several texts.
    (sequence.to_string() == digits).then_some((sequence, leaf))
}

/// A line of `heads.jsonl` as its head and its signature, which is not checked here.
fn parse_head(line: &[u8]) -> Result<(Head, String), String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct HeadLine {
        size: u64,
        root: String,
        at: i64,
        signature: String,
    }
    let read: HeadLine = serde_json::from_slice(line).map_err(|error| format!("the line is not a head: {error}"))?;
    let root = from_hex(&read.root).ok_or("the root is not 64 lower-case hexadecimal digits")?;
    let head = Head { size: read.size, root, at_micros: read.at };
    if head_line(&head, &read.signature).as_bytes() != line {
        return Err("the line is a head, but not in the canonical form".to_owned());
    }
    Ok((head, read.signature))
}

fn read_totals(dir: &Path) -> Result<Totals, String> {
    // More than any totals need, so that a wrong file is refused instead of read whole.
    const MAX_BYTES: u64 = 4096;
    let mut bytes = Vec::new();
    let read = File::open(dir.join(TOTALS)).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    read.map_err(|error| format!("the file cannot be read: {error}"))?;
    match serde_json::from_slice::<Totals>(&bytes) {
        Ok(totals) if totals.to_line().as_bytes() == bytes => Ok(totals),
        Ok(_) => Err("the totals are not in the canonical form".into()),
        Err(error) => Err(format!("the file does not hold the totals: {error}")),
    }
}

#[cfg(test)]
pub(super) mod tests;
