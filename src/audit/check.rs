//! The check of a log, wherever it is kept: its leaves, their order, the tree under every head, every
//! signature, and the arithmetic of the latest states. It keeps one entry per record in memory, never
//! the leaves.

use super::signing::{Head, PublicKey};
use super::tree::{Accumulator, Hash, leaf_hash};
use super::{FIRST_SEQUENCE, Leaf, State, Value};
use crate::domain::ids::{ClaimId, ClaimLineId, NeedId, OfferId};
use crate::planted::planted;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

/// The check stops when it has found this many problems: one cause often has many effects, and
/// nobody reads more.
pub const MAX_PROBLEMS: usize = 20;

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
    pub(super) fn to_line(self) -> String {
        let Totals { leaves, needs, lines, required, reserved, delivered } = self;
        format!(
            "{{\"leaves\":{leaves},\"needs\":{needs},\"lines\":{lines},\"required\":{required},\
             \"reserved\":{reserved},\"delivered\":{delivered}}}\n"
        )
    }
}

/// One thing that is wrong with a log: where, and a sentence that says what.
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

/// What a sound log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub totals: Totals,
    pub root: Hash,
    /// The number of signed heads, all of them good.
    pub heads: u64,
    /// To be kept for the next check; `None` for an empty log that was never signed.
    pub last_head: Option<Head>,
}

/// What the parts of a log are called where they are kept.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    pub log: &'static str,
    pub heads: &'static str,
    pub totals: &'static str,
}

struct Findings {
    names: Names,
    problems: Vec<Problem>,
}

impl Findings {
    fn add(&mut self, problem: Problem) {
        if !self.full() {
            self.problems.push(problem);
        }
    }

    fn in_log(&mut self, line: Option<u64>, what: impl Into<String>) {
        self.add(Problem { file: self.names.log.to_owned(), line, what: what.into() });
    }

    fn in_heads(&mut self, line: Option<u64>, what: impl Into<String>) {
        self.add(Problem { file: self.names.heads.to_owned(), line, what: what.into() });
    }

    fn in_totals(&mut self, what: impl Into<String>) {
        self.add(Problem { file: self.names.totals.to_owned(), line: None, what: what.into() });
    }

    fn full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }
}

/// A head with its signature, which is not checked yet, or why there is none; and where it stands.
pub type HeadRead = (u64, Result<(Head, String), String>);

/// How a log ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// It was handed out: heads cover all of it. What it says that it comes to, where that was readable.
    Sealed(Option<Totals>),
    /// It is in use: the latest leaves may wait for their head.
    Open,
}

/// A check under way. Leaves are given in their order; heads are read as the tree grows.
pub struct Check<'a, H> {
    tree: Accumulator,
    replay: Replay,
    heads: HeadCheck<'a, H>,
    expected: u64,
    found: Findings,
}

impl<'a, H: Iterator<Item = HeadRead>> Check<'a, H> {
    /// With `old`, a head known from before, also that the log still begins with what it covers.
    pub fn new(names: Names, heads: H, key: &'a PublicKey, old: Option<Head>) -> Self {
        let mut found = Findings { names, problems: Vec::new() };
        let tree = Accumulator::new();
        let mut heads = HeadCheck::new(heads, key, old, &mut found);
        heads.compare(&tree, &mut found);
        Check { tree, replay: Replay::default(), heads, expected: FIRST_SEQUENCE, found }
    }

    /// Takes the leaf at `line`, which bears the number `sequence`.
    pub fn leaf(&mut self, line: u64, sequence: u64, leaf: &[u8]) {
        let (expected, found) = (self.expected, &mut self.found);
        if sequence != expected {
            found.in_log(Some(line), format!("the sequence number is {sequence} where {expected} should stand"));
        }
        // Counting on from what stands there reports a gap once, not once per line after it.
        self.expected = sequence.saturating_add(1);
        self.tree.push(leaf_hash(leaf));
        match Leaf::parse(leaf) {
            Ok(leaf) => self.replay.apply(&leaf, line, found),
            Err(reason) => found.in_log(Some(line), format!("the leaf is damaged: {reason}")),
        }
        self.heads.compare(&self.tree, found);
    }

    /// The number that the next leaf should bear.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    pub fn tree(&self) -> &Accumulator {
        &self.tree
    }

    /// Adds what somebody else has found.
    pub fn add(&mut self, problem: Problem) {
        self.found.add(problem);
    }

    /// True where there are so many problems that nobody reads more.
    pub fn is_full(&self) -> bool {
        self.found.full()
    }

    /// At most [`MAX_PROBLEMS`] problems, in the order in which they were met.
    pub fn finish(mut self, end: End) -> Result<Report, Vec<Problem>> {
        if self.is_full() {
            return Err(self.found.problems);
        }
        let last_head = self.heads.finish(&self.tree, matches!(end, End::Open), &mut self.found);
        let totals = self.replay.finish(self.tree.size(), &mut self.found);
        if let (End::Sealed(Some(claimed)), Some(replayed)) = (end, totals) {
            compare_totals(claimed, replayed, &mut self.found);
        }
        match totals {
            Some(totals) if self.found.problems.is_empty() => {
                Ok(Report { totals, root: self.tree.root(), heads: self.heads.count, last_head })
            }
            _ => Err(self.found.problems),
        }
    }
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
            found.in_totals(format!("{name} is given as {claimed}, but the log comes to {replayed}"));
        }
    }
}

/// Follows the heads while the tree grows.
struct HeadCheck<'a, H> {
    heads: H,
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

impl<'a, H: Iterator<Item = HeadRead>> HeadCheck<'a, H> {
    fn new(heads: H, key: &'a PublicKey, old: Option<Head>, found: &mut Findings) -> Self {
        let mut check = HeadCheck { heads, key, next: None, newest: None, matched: None, broken: false, count: 0, old };
        check.advance(found);
        check
    }

    /// Reads on to the next head that is signed and larger than the one before it.
    fn advance(&mut self, found: &mut Findings) {
        self.next = None;
        while let Some((number, head)) = self.heads.next() {
            let checked = head.and_then(|(head, signature)| {
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
                Err(what) => found.in_heads(Some(number), what),
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
            found.in_log(None, what);
        }
        let Some((line, head)) = self.next.filter(|(_, head)| head.size == tree.size()) else { return };
        if head.root == tree.root() || planted!(BlindVerifier) {
            self.matched = Some(head);
        } else if !self.broken {
            self.broken = true;
            let first = self.matched.map_or(0, |head| head.size) + 1;
            let what = format!(
                "the first {} leaves do not hash to the signed root: one from {first} on was edited, removed, added or moved",
                head.size
            );
            found.in_heads(Some(line), what);
        }
        self.advance(found);
    }

    /// Checks at the log's end that the heads end there too, or not before where `open`, and returns
    /// the newest.
    fn finish(&mut self, tree: &Accumulator, open: bool, found: &mut Findings) -> Option<Head> {
        if let Some(old) = self.old.filter(|old| old.size > tree.size()) {
            let what = format!(
                "the old head covers {} leaves, but only {} are left: the end was removed",
                old.size,
                tree.size()
            );
            found.in_log(None, what);
        }
        if let Some((line, head)) = self.next {
            let what =
                format!("the head covers {} leaves, but the log holds {}: its end is missing", head.size, tree.size());
            found.in_heads(Some(line), what);
        } else if !open && self.newest.map_or(0, |head| head.size) < tree.size() {
            let covered = self.newest.map_or(0, |head| head.size);
            let what = format!(
                "good heads cover {covered} leaves, but the log holds {}: heads are missing or leaves were added",
                tree.size()
            );
            found.in_heads(None, what);
        }
        while self.next.is_some() && !found.full() {
            self.advance(found);
        }
        self.newest
    }
}

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
            found.in_log(Some(line), what);
        }
        if let Err(what) = self.keep(leaf) {
            found.in_log(Some(line), format!("{}: {what}", leaf.subject));
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
                found.in_log(None, format!("{id} is on {}, which is not in the log", line.need));
            }
            match self.claims.get(&line.claim) {
                Some(Some(offer)) => *of_offers.entry(*offer).or_default() += taken,
                Some(None) => {}
                None => found.in_log(None, format!("{id} is of {}, which is not in the log", line.claim)),
            }
        }
        let mut sums = [0_i128; 3];
        for (id, need) in &self.needs {
            let (held, delivered) = of_needs.get(id).copied().unwrap_or_default();
            for (name, said, summed) in [("reserved", need.reserved, held), ("delivered", need.delivered, delivered)] {
                if i128::from(said) != summed {
                    found.in_log(None, format!("{id} has {name} {said}, but its lines come to {summed}"));
                }
            }
            for (sum, part) in sums.iter_mut().zip([need.required, need.reserved, need.delivered]) {
                *sum += i128::from(part);
            }
        }
        for (id, claimed) in &self.offers {
            let taken = of_offers.get(id).copied().unwrap_or_default();
            if i128::from(*claimed) != taken {
                found.in_log(None, format!("{id} has claimed {claimed}, but its lines come to {taken}"));
            }
        }
        for (claim, offer) in &self.claims {
            if let Some(offer) = offer.filter(|offer| !self.offers.contains_key(offer)) {
                found.in_log(None, format!("{claim} draws on {offer}, which is not in the log"));
            }
        }
        let [Ok(required), Ok(reserved), Ok(delivered)] = sums.map(i64::try_from) else {
            found.in_log(None, "the sums over all needs do not fit into 64 bits");
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
