//! The log's exported directory: written leaf by leaf, checked without a database.
//!
//! The format is described in the [module above](super). The check reads each file once from
//! front to back; it keeps one entry per record in memory, never the leaves.

use super::signing::{Head, PublicKey};
use super::tree::{Accumulator, Hash, from_hex, leaf_hash, to_hex};
use super::{FIRST_SEQUENCE, Leaf, State, Value, write_text};
use crate::domain::ids::{ClaimId, ClaimLineId, NeedId, OfferId};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

const LOG: &str = "log.jsonl";
const HEADS: &str = "heads.jsonl";
const TOTALS: &str = "totals.json";

/// The check stops when it has found this many problems: one cause often has many effects, and
/// nobody reads more.
pub const MAX_PROBLEMS: usize = 20;

/// The longest line that the check reads, in bytes without the line feed; it bounds the memory
/// that a malformed file can take.
const MAX_LINE: usize = 16 << 20;

/// What a log comes to: counts of leaves and records, and sums over the latest states of all needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    pub leaves: u64,
    pub needs: u64,
    pub lines: u64,
    pub required: i64,
    pub reserved: i64,
    pub delivered: i64,
}

impl Totals {
    fn to_line(self) -> String {
        let Totals { leaves, needs, lines, required, reserved, delivered } = self;
        format!(
            "{{\"leaves\":{leaves},\"needs\":{needs},\"lines\":{lines},\"required\":{required},\
             \"reserved\":{reserved},\"delivered\":{delivered}}}\n"
        )
    }
}

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

/// One thing that is wrong with an export: where, and a sentence that says what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    /// Counted from 1; `None` where the problem is not one line's.
    pub line: Option<u64>,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// What a sound export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub totals: Totals,
    pub root: Hash,
    /// The number of signed heads, all of them good.
    pub heads: u64,
    /// To be kept for the next check; `None` for an empty log that was never signed.
    pub last_head: Option<Head>,
}

#[derive(Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn add(&mut self, file: &str, line: Option<u64>, what: impl Into<String>) {
        if !self.full() {
            self.0.push(Problem { file: file.to_owned(), line, what: what.into() });
        }
    }

    fn full(&self) -> bool {
        self.0.len() >= MAX_PROBLEMS
    }
}

/// Checks an export: every leaf, the order, the tree under every head, every signature, the
/// arithmetic of the latest states, and the totals. With `old_head`, a head known from before,
/// also that the log still begins with what that head covers.
///
/// At most [`MAX_PROBLEMS`] problems are returned, in the order in which they were met.
pub fn verify(dir: &Path, key: &PublicKey, old_head: Option<Head>) -> Result<Report, Vec<Problem>> {
    let mut found = Findings::default();
    let log = Lines::open(&dir.join(LOG), LOG, &mut found);
    let heads = Lines::open(&dir.join(HEADS), HEADS, &mut found);
    let totals = read_totals(dir, &mut found);
    let (Some(mut log), Some(heads)) = (log, heads) else { return Err(found.0) };

    let mut tree = Accumulator::new();
    let mut replay = Replay::default();
    let mut heads = HeadCheck::new(heads, key, old_head, &mut found);
    heads.compare(&tree, &mut found);
    let mut expected = FIRST_SEQUENCE;
    while let Some((number, line)) = log.next(&mut found) {
        let (sequence, leaf) = match split_line(line) {
            Some(parts) => parts,
            None => {
                found.add(LOG, Some(number), "the line is not of the form {\"sequence\":N,\"leaf\":{…}}");
                (expected, line)
            }
        };
        if sequence != expected {
            found.add(LOG, Some(number), format!("the sequence number is {sequence} where {expected} should stand"));
        }
        // Counting on from what stands there reports a gap once, not once per line after it.
        expected = sequence.saturating_add(1);
        tree.push(leaf_hash(leaf));
        match Leaf::parse(leaf) {
            Ok(leaf) => replay.apply(&leaf, number, &mut found),
            Err(reason) => found.add(LOG, Some(number), format!("the leaf is damaged: {reason}")),
        }
        heads.compare(&tree, &mut found);
        if found.full() {
            return Err(found.0);
        }
    }
    let last_head = heads.finish(&tree, &mut found);
    let replayed = replay.finish(tree.size(), &mut found);
    if let (Some(claimed), Some(replayed)) = (totals, replayed) {
        compare_totals(claimed, replayed, &mut found);
        if found.0.is_empty() {
            return Ok(Report { totals: replayed, root: tree.root(), heads: heads.count, last_head });
        }
    }
    Err(found.0)
}

/// The last head of an earlier export's `heads.jsonl`, its signature checked: what [`verify`]
/// takes as `old_head`.
pub fn last_head_of(path: &Path, key: &PublicKey) -> Result<Head, Problem> {
    let name = path.display().to_string();
    let mut found = Findings::default();
    let mut last = Err("the file holds no head".to_owned());
    let mut number = None;
    if let Some(mut lines) = Lines::open(path, &name, &mut found) {
        while let Some((at, line)) = lines.next(&mut found) {
            last = parse_head(line);
            number = Some(at);
        }
    }
    if let Some(problem) = found.0.pop() {
        return Err(problem);
    }
    let checked = last.and_then(|(head, signature)| match key.verify_head(&head, &signature) {
        Ok(()) => Ok(head),
        Err(reason) => Err(reason.to_string()),
    });
    checked.map_err(|what| Problem { file: name, line: number, what })
}

/// A file's lines, one at a time. Whatever cannot be read becomes a problem and ends the file.
struct Lines {
    file: String,
    reader: BufReader<File>,
    buffer: Vec<u8>,
    /// How many lines were returned.
    number: u64,
}

impl Lines {
    fn open(path: &Path, name: &str, found: &mut Findings) -> Option<Self> {
        match File::open(path) {
            Ok(file) => Some(Lines {
                file: name.to_owned(),
                reader: BufReader::with_capacity(256 << 10, file),
                buffer: Vec::new(),
                number: 0,
            }),
            Err(error) => {
                found.add(name, None, format!("the file cannot be read: {error}"));
                None
            }
        }
    }

    /// The next line's number, counted from 1, and its bytes without the line feed.
    fn next(&mut self, found: &mut Findings) -> Option<(u64, &[u8])> {
        self.buffer.clear();
        let read = (&mut self.reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.buffer);
        let problem = match read {
            Ok(0) => return None,
            Ok(_) if self.buffer.last() == Some(&b'\n') => {
                self.buffer.pop();
                self.number += 1;
                return Some((self.number, &self.buffer));
            }
            Ok(length) if length > MAX_LINE => format!("the line is longer than {} MiB", MAX_LINE >> 20),
            Ok(_) => "the file ends in the middle of a line".to_owned(),
            Err(error) => format!("the file cannot be read on: {error}"),
        };
        found.add(&self.file, Some(self.number + 1), problem);
        None
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

fn read_totals(dir: &Path, found: &mut Findings) -> Option<Totals> {
    // More than any totals need, so that a wrong file is refused instead of read whole.
    const MAX_BYTES: u64 = 4096;
    let mut bytes = Vec::new();
    if let Err(error) = File::open(dir.join(TOTALS)).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes)) {
        found.add(TOTALS, None, format!("the file cannot be read: {error}"));
        return None;
    }
    match serde_json::from_slice::<Totals>(&bytes) {
        Ok(totals) if totals.to_line().as_bytes() == bytes => return Some(totals),
        Ok(_) => found.add(TOTALS, None, "the totals are not in the canonical form"),
        Err(error) => found.add(TOTALS, None, format!("the file does not hold the totals: {error}")),
    }
    None
}

fn compare_totals(claimed: Totals, replayed: Totals, found: &mut Findings) {
    for (name, claimed, replayed) in [
        ("leaves", i128::from(claimed.leaves), i128::from(replayed.leaves)),
        ("needs", i128::from(claimed.needs), i128::from(replayed.needs)),
        ("lines", i128::from(claimed.lines), i128::from(replayed.lines)),
        ("required", i128::from(claimed.required), i128::from(replayed.required)),
        ("reserved", i128::from(claimed.reserved), i128::from(replayed.reserved)),
        ("delivered", i128::from(claimed.delivered), i128::from(replayed.delivered)),
    ] {
        if claimed != replayed {
            found.add(TOTALS, None, format!("{name} is given as {claimed}, but the log comes to {replayed}"));
        }
    }
}

/// Follows the heads while the tree grows.
struct HeadCheck<'a> {
    lines: Lines,
    key: &'a PublicKey,
    /// The next head to be met, with its line.
    next: Option<(u64, Head)>,
    /// The newest of the heads read that are signed and in order, `next` included.
    newest: Option<Head>,
    /// The newest head whose root the tree has had.
    matched: Option<Head>,
    /// Whether a head failed to match: all later ones fail too and would say nothing new.
    broken: bool,
    count: u64,
    old: Option<Head>,
}

impl<'a> HeadCheck<'a> {
    fn new(lines: Lines, key: &'a PublicKey, old: Option<Head>, found: &mut Findings) -> Self {
        let mut check = HeadCheck { lines, key, next: None, newest: None, matched: None, broken: false, count: 0, old };
        check.advance(found);
        check
    }

    /// Reads on to the next head that is signed and larger than the one before it.
    fn advance(&mut self, found: &mut Findings) {
        self.next = None;
        while let Some((number, line)) = self.lines.next(found) {
            let checked = parse_head(line).and_then(|(head, signature)| {
                self.key.verify_head(&head, &signature).map_err(|reason| reason.to_string())?;
                match self.newest {
                    Some(before) if head.size <= before.size => {
                        Err(format!("a head of {} leaves follows one of {}, but heads grow", head.size, before.size))
                    }
                    _ => Ok(head),
                }
            });
            match checked {
                Ok(head) => {
                    self.count += 1;
                    self.newest = Some(head);
                    self.next = Some((number, head));
                    return;
                }
                Err(what) => found.add(HEADS, Some(number), what),
            }
            if found.full() {
                return;
            }
        }
    }

    /// Compares the heads of the tree's present size; called for every size from 0 on.
    fn compare(&mut self, tree: &Accumulator, found: &mut Findings) {
        if let Some(old) = self.old.filter(|old| old.size == tree.size())
            && old.root != tree.root()
        {
            let what = format!("the first {} leaves are not those under the old head: history was rewritten", old.size);
            found.add(LOG, None, what);
        }
        let Some((line, head)) = self.next.filter(|(_, head)| head.size == tree.size()) else { return };
        if head.root == tree.root() {
            self.matched = Some(head);
        } else if !self.broken {
            self.broken = true;
            let first = self.matched.map_or(0, |head| head.size) + 1;
            let what = format!(
                "the first {} leaves do not hash to the signed root: one from {first} on was edited, removed, added or moved",
                head.size
            );
            found.add(HEADS, Some(line), what);
        }
        self.advance(found);
    }

    /// Checks at the log's end that the heads end there too, and returns the newest.
    fn finish(&mut self, tree: &Accumulator, found: &mut Findings) -> Option<Head> {
        if let Some(old) = self.old.filter(|old| old.size > tree.size()) {
            let what = format!(
                "the old head covers {} leaves, but only {} are left: the end was removed",
                old.size,
                tree.size()
            );
            found.add(LOG, None, what);
        }
        if let Some((line, head)) = self.next {
            let what =
                format!("the head covers {} leaves, but the log holds {}: its end is missing", head.size, tree.size());
            found.add(HEADS, Some(line), what);
        } else if self.newest.map_or(0, |head| head.size) < tree.size() {
            let covered = self.newest.map_or(0, |head| head.size);
            let what = format!(
                "good heads cover {covered} leaves, but the log holds {}: heads are missing or leaves were added",
                tree.size()
            );
            found.add(HEADS, None, what);
        }
        while self.next.is_some() && !found.full() {
            self.advance(found);
        }
        self.newest
    }
}

// ------------------------------------------------------------------ replaying

struct NeedState {
    required: i64,
    reserved: i64,
    delivered: i64,
}

struct LineState {
    claim: ClaimId,
    need: NeedId,
    quantity: i64,
    delivered: i64,
    status: LineStatus,
}

#[derive(Clone, Copy)]
enum LineStatus {
    Held,
    Confirmed,
    Fulfilled,
    Released,
    Expired,
}

/// The latest version and state of every record.
///
/// Sums are kept in 128 bits: 2^63 leaves of at most 2^63 each do not overflow them.
#[derive(Default)]
struct Replay {
    versions: HashMap<Box<str>, i64>,
    needs: BTreeMap<NeedId, NeedState>,
    lines: BTreeMap<ClaimLineId, LineState>,
    /// What each offer says is claimed of it.
    offers: BTreeMap<OfferId, i64>,
    claims: BTreeMap<ClaimId, Option<OfferId>>,
}

impl Replay {
    fn apply(&mut self, leaf: &Leaf, line: u64, found: &mut Findings) {
        let before = match self.versions.get_mut(leaf.subject.as_str()) {
            Some(version) => std::mem::replace(version, leaf.version),
            None => {
                self.versions.insert(leaf.subject.as_str().into(), leaf.version);
                0
            }
        };
        if before.checked_add(1) != Some(leaf.version) {
            let what = format!("version {} of {} follows version {before}", leaf.version, leaf.subject);
            found.add(LOG, Some(line), what);
        }
        if let Err(what) = self.keep(leaf) {
            found.add(LOG, Some(line), format!("{}: {what}", leaf.subject));
        }
    }

    /// Keeps the state of the kinds that the totals rest on.
    fn keep(&mut self, leaf: &Leaf) -> Result<(), String> {
        let state = &leaf.state;
        let kind = leaf.subject.split_once('-').map_or("", |(kind, _)| kind);
        match kind {
            NeedId::PREFIX => {
                let required = integer(state, "required")?;
                let reserved = integer(state, "reserved")?;
                let delivered = integer(state, "delivered")?;
                self.needs.insert(id(&leaf.subject)?, NeedState { required, reserved, delivered });
                let allocated = i128::from(reserved) + i128::from(delivered);
                if reserved < 0 || delivered < 0 || allocated > i128::from(required) {
                    return Err(format!(
                        "reserved {reserved} and delivered {delivered} do not fit into required {required}"
                    ));
                }
            }
            OfferId::PREFIX => {
                let quantity = integer(state, "quantity")?;
                let claimed = integer(state, "claimed")?;
                self.offers.insert(id(&leaf.subject)?, claimed);
                if claimed < 0 || claimed > quantity {
                    return Err(format!("claimed {claimed} does not fit into quantity {quantity}"));
                }
            }
            ClaimId::PREFIX => {
                let offer = match state.get("offer") {
                    Some(Value::Null) => None,
                    _ => Some(id(text(state, "offer")?)?),
                };
                self.claims.insert(id(&leaf.subject)?, offer);
            }
            ClaimLineId::PREFIX => {
                let quantity = integer(state, "quantity")?;
                let delivered = integer(state, "delivered")?;
                let status = match text(state, "status")? {
                    "HELD" => LineStatus::Held,
                    "CONFIRMED" => LineStatus::Confirmed,
                    "FULFILLED" => LineStatus::Fulfilled,
                    "RELEASED" => LineStatus::Released,
                    "EXPIRED" => LineStatus::Expired,
                    _ => return Err("the state has no known status".to_owned()),
                };
                let (claim, need) = (id(text(state, "claim")?)?, id(text(state, "need")?)?);
                self.lines.insert(id(&leaf.subject)?, LineState { claim, need, quantity, delivered, status });
                if delivered < 0 || delivered > quantity {
                    return Err(format!("delivered {delivered} does not fit into quantity {quantity}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares what needs and offers say with what their lines come to. `None` where a total
    /// does not fit into 64 bits.
    fn finish(&self, leaves: u64, found: &mut Findings) -> Option<Totals> {
        let mut of_needs: BTreeMap<NeedId, (i128, i128)> = BTreeMap::new();
        let mut of_offers: BTreeMap<OfferId, i128> = BTreeMap::new();
        for (id, line) in &self.lines {
            let (quantity, delivered) = (i128::from(line.quantity), i128::from(line.delivered));
            let (held, taken) = match line.status {
                LineStatus::Held | LineStatus::Confirmed => (quantity - delivered, quantity),
                LineStatus::Fulfilled => (0, quantity),
                LineStatus::Released | LineStatus::Expired => (0, delivered),
            };
            let sums = of_needs.entry(line.need).or_default();
            *sums = (sums.0 + held, sums.1 + delivered);
            if !self.needs.contains_key(&line.need) {
                found.add(LOG, None, format!("{id} is on {}, which is not in the log", line.need));
            }
            match self.claims.get(&line.claim) {
                Some(Some(offer)) => *of_offers.entry(*offer).or_default() += taken,
                Some(None) => {}
                None => found.add(LOG, None, format!("{id} is of {}, which is not in the log", line.claim)),
            }
        }
        let mut sums = [0_i128; 3];
        for (id, need) in &self.needs {
            let (held, delivered) = of_needs.get(id).copied().unwrap_or_default();
            for (name, said, summed) in [("reserved", need.reserved, held), ("delivered", need.delivered, delivered)] {
                if i128::from(said) != summed {
                    found.add(LOG, None, format!("{id} has {name} {said}, but its lines come to {summed}"));
                }
            }
            for (sum, part) in sums.iter_mut().zip([need.required, need.reserved, need.delivered]) {
                *sum += i128::from(part);
            }
        }
        for (id, claimed) in &self.offers {
            let taken = of_offers.get(id).copied().unwrap_or_default();
            if i128::from(*claimed) != taken {
                found.add(LOG, None, format!("{id} has claimed {claimed}, but its lines come to {taken}"));
            }
        }
        for (claim, offer) in &self.claims {
            if let Some(offer) = offer.filter(|offer| !self.offers.contains_key(offer)) {
                found.add(LOG, None, format!("{claim} draws on {offer}, which is not in the log"));
            }
        }
        let [Ok(required), Ok(reserved), Ok(delivered)] = sums.map(i64::try_from) else {
            found.add(LOG, None, "the sums over all needs do not fit into 64 bits");
            return None;
        };
        let (needs, lines) = (self.needs.len() as u64, self.lines.len() as u64);
        Some(Totals { leaves, needs, lines, required, reserved, delivered })
    }
}

fn integer(state: &State, name: &str) -> Result<i64, String> {
    match state.get(name) {
        Some(Value::Integer(number)) => Ok(*number),
        _ => Err(format!("the state has no whole number {name}")),
    }
}

fn text<'a>(state: &'a State, name: &str) -> Result<&'a str, String> {
    match state.get(name) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(format!("the state has no text {name}")),
    }
}

fn id<I: FromStr<Err: fmt::Display>>(text: &str) -> Result<I, String> {
    text.parse().map_err(|error: I::Err| format!("\"{}\" is {error}", text.escape_default()))
}

#[cfg(test)]
pub(super) mod tests;
