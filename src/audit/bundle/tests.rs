//! Exports of a small simulated ledger, sound ones and damaged ones.

use super::super::check::MAX_PROBLEMS;
use super::super::signing::SigningKey;
use super::super::tree::{Accumulator, leaf_hash};
use super::super::{FIRST_SEQUENCE, Leaf, State, Value, state};
use super::*;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of its own for one test, removed at its end.
pub(in super::super) struct TempDir(PathBuf);

impl TempDir {
    pub(in super::super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("salur-audit-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new directory");
        TempDir(path)
    }
}

impl Deref for TempDir {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but not including, `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

// ------------------------------------------------------------------ a ledger to export

#[derive(Clone)]
struct Need {
    required: i64,
    reserved: i64,
    delivered: i64,
}

#[derive(Clone)]
struct Line {
    claim: usize,
    need: usize,
    quantity: i64,
    delivered: i64,
    status: &'static str,
}

/// Counters that move as the store moves them, and the leaves that it writes for that.
#[derive(Clone, Default)]
struct Ledger {
    leaves: Vec<Leaf>,
    versions: HashMap<String, i64>,
    needs: Vec<Need>,
    /// Quantity and claimed.
    offers: Vec<(i64, i64)>,
    /// The offer of each claim.
    claims: Vec<Option<usize>>,
    lines: Vec<Line>,
}

fn name(kind: &str, index: usize) -> String {
    format!("{kind}-{}", index + 1)
}

impl Ledger {
    fn write(&mut self, action: &str, subject: String, state: State) {
        let version = self.versions.entry(subject.clone()).or_default();
        *version += 1;
        let (at, version) = (1_606_348_800_000_000 + self.leaves.len() as i64, *version);
        self.leaves.push(Leaf { at, actor: "user-3".into(), action: action.into(), subject, version, state });
    }

    fn write_need(&mut self, action: &str, index: usize) {
        let Need { required, reserved, delivered } = self.needs[index].clone();
        let fields = [
            ("area", "31.71.01.1001".into()),
            ("required", required.into()),
            ("reserved", reserved.into()),
            ("delivered", delivered.into()),
        ];
        self.write(action, name("need", index), state(fields));
    }

    fn write_offer(&mut self, action: &str, index: usize) {
        let (quantity, claimed) = self.offers[index];
        let fields = [("quantity", quantity.into()), ("claimed", claimed.into())];
        self.write(action, name("offer", index), state(fields));
    }

    fn write_line(&mut self, action: &str, index: usize) {
        let Line { claim, need, quantity, delivered, status } = self.lines[index].clone();
        let fields = [
            ("claim", name("claim", claim).into()),
            ("need", name("need", need).into()),
            ("quantity", quantity.into()),
            ("delivered", delivered.into()),
            ("status", status.into()),
        ];
        self.write(action, name("line", index), state(fields));
    }

    fn report(&mut self, required: i64) {
        self.needs.push(Need { required, reserved: 0, delivered: 0 });
        self.write_need("need.report", self.needs.len() - 1);
    }

    fn offer(&mut self, quantity: i64) {
        self.offers.push((quantity, 0));
        self.write_offer("offer.create", self.offers.len() - 1);
    }

    fn claim(&mut self, need: usize, quantity: i64, offer: Option<usize>) {
        self.needs[need].reserved += quantity;
        self.write_need("claim.hold", need);
        self.claims.push(offer);
        let claim = self.claims.len() - 1;
        let drawn: Value = offer.map(|offer| name("offer", offer)).into();
        self.write("claim.hold", name("claim", claim), state([("offer", drawn)]));
        self.lines.push(Line { claim, need, quantity, delivered: 0, status: "HELD" });
        self.write_line("claim.hold", self.lines.len() - 1);
        if let Some(offer) = offer {
            self.offers[offer].1 += quantity;
            self.write_offer("claim.hold", offer);
        }
    }

    fn confirm(&mut self, line: usize) {
        self.lines[line].status = "CONFIRMED";
        self.write_line("claim.confirm", line);
    }

    /// Ends a line that is held or confirmed; what is not delivered becomes free again.
    fn end(&mut self, line: usize, status: &'static str) {
        self.lines[line].status = status;
        let Line { claim, need, quantity, delivered, .. } = self.lines[line].clone();
        self.needs[need].reserved -= quantity - delivered;
        self.write_line("claim.end", line);
        self.write_need("claim.end", need);
        if let Some(offer) = self.claims[claim] {
            self.offers[offer].1 -= quantity - delivered;
            self.write_offer("claim.end", offer);
        }
    }

    fn deliver(&mut self, line: usize, quantity: i64) {
        let need = self.lines[line].need;
        self.lines[line].delivered += quantity;
        if self.lines[line].delivered == self.lines[line].quantity {
            self.lines[line].status = "FULFILLED";
        }
        self.needs[need].reserved -= quantity;
        self.needs[need].delivered += quantity;
        self.write_line("delivery.record", line);
        self.write_need("delivery.record", need);
    }

    fn step(&mut self, random: &mut Random) {
        let live: Vec<usize> =
            (0..self.lines.len()).filter(|line| ["HELD", "CONFIRMED"].contains(&self.lines[*line].status)).collect();
        let line = (!live.is_empty()).then(|| live[random.below(live.len().max(1))]);
        match (random.below(9), line) {
            (0, _) => self.report(random.below(200) as i64),
            (1, _) => self.offer(100 + random.below(200) as i64),
            (2, _) => {
                self.write("organization.verify", "organization-1".into(), state([("status", "VERIFIED".into())]))
            }
            (3, Some(line)) if self.lines[line].status == "HELD" => self.confirm(line),
            (4, Some(line)) => self.end(line, ["RELEASED", "EXPIRED"][random.below(2)]),
            (5 | 6, Some(line)) => {
                let open = self.lines[line].quantity - self.lines[line].delivered;
                self.deliver(line, 1 + random.below(open as usize) as i64);
            }
            _ if !self.needs.is_empty() => {
                let need = random.below(self.needs.len());
                let offer =
                    (!self.offers.is_empty() && random.below(2) == 0).then(|| random.below(self.offers.len().max(1)));
                let Need { required, reserved, delivered } = self.needs[need];
                let free = offer.map_or(i64::MAX, |offer| self.offers[offer].0 - self.offers[offer].1);
                let free = free.min(required - reserved - delivered);
                if free > 0 {
                    self.claim(need, 1 + random.below(free as usize) as i64, offer);
                }
            }
            _ => self.report(50),
        }
    }

    fn totals(&self) -> Totals {
        let sum = |part: fn(&Need) -> i64| self.needs.iter().map(part).sum();
        Totals {
            leaves: self.leaves.len() as u64,
            needs: self.needs.len() as u64,
            lines: self.lines.len() as u64,
            required: sum(|need| need.required),
            reserved: sum(|need| need.reserved),
            delivered: sum(|need| need.delivered),
        }
    }
}

/// A ledger after some steps, with the sizes at which heads are signed; the last covers all.
fn simulated(random: &mut Random, steps: usize) -> (Ledger, Vec<usize>) {
    let mut ledger = Ledger::default();
    let mut sizes = Vec::new();
    for _ in 0..steps {
        let before = ledger.leaves.len();
        ledger.step(random);
        if random.below(5) == 0 && ledger.leaves.len() > before {
            sizes.push(ledger.leaves.len());
        }
    }
    if sizes.last() != Some(&ledger.leaves.len()) {
        sizes.push(ledger.leaves.len());
    }
    (ledger, sizes)
}

struct Keys {
    _dir: TempDir,
    own: SigningKey,
    other: SigningKey,
}

impl Keys {
    fn new() -> Self {
        let dir = TempDir::new();
        let own = SigningKey::create_or_load(&dir.join("own")).expect("made");
        let other = SigningKey::create_or_load(&dir.join("other")).expect("made");
        Keys { _dir: dir, own, other }
    }
}

fn bytes_of(leaves: &[Leaf]) -> Vec<Vec<u8>> {
    leaves.iter().map(Leaf::to_bytes).collect()
}

/// Signs the tree over `leaves` at each of `sizes`.
fn heads_of(leaves: &[Vec<u8>], sizes: &[usize], key: &SigningKey) -> Vec<(Head, String)> {
    let mut tree = Accumulator::new();
    let mut heads = Vec::new();
    for size in 0..=leaves.len() {
        if sizes.contains(&size) {
            let head = Head { size: tree.size(), root: tree.root(), at_micros: 1_606_348_800_000_000 + size as i64 };
            heads.push((head, key.sign_head(&head)));
        }
        if let Some(leaf) = leaves.get(size) {
            tree.push(leaf_hash(leaf));
        }
    }
    heads
}

fn export(dir: &Path, leaves: &[Vec<u8>], heads: &[(Head, String)], totals: &Totals) {
    let mut writer = BundleWriter::create(dir).expect("an empty directory");
    for (sequence, leaf) in (FIRST_SEQUENCE..).zip(leaves) {
        writer.push_leaf(sequence, leaf).expect("written");
    }
    for (head, signature) in heads {
        writer.push_head(head, signature).expect("written");
    }
    writer.finish(totals).expect("written");
}

/// Exports the ledger with one head at each of `sizes` and checks the export.
fn exported(ledger: &Ledger, sizes: &[usize], keys: &Keys, old: Option<Head>) -> Result<Report, Vec<Problem>> {
    let dir = TempDir::new();
    let leaves = bytes_of(&ledger.leaves);
    export(&dir, &leaves, &heads_of(&leaves, sizes, &keys.own), &ledger.totals());
    verify(&dir, &keys.own.public_key(), old)
}

fn sentences(outcome: Result<Report, Vec<Problem>>) -> Vec<String> {
    outcome.expect_err("a damaged export").iter().map(Problem::to_string).collect()
}

// ------------------------------------------------------------------ sound exports

#[test]
fn a_sound_export_passes_with_and_without_an_old_head_and_its_totals_are_reported() {
    let keys = Keys::new();
    for seed in 0..30 {
        println!("seed {seed}");
        let (ledger, sizes) = simulated(&mut Random(seed), 40);
        let leaves = bytes_of(&ledger.leaves);
        let heads = heads_of(&leaves, &sizes, &keys.own);
        for old in heads.iter().map(|(head, _)| Some(*head)).chain([None]) {
            let report = exported(&ledger, &sizes, &keys, old).expect("a sound export");
            assert_eq!(report.totals, ledger.totals());
            assert_eq!(report.heads, sizes.len() as u64);
            assert_eq!(report.last_head, heads.last().map(|(head, _)| *head));
            assert_eq!(report.last_head.map(|head| head.root), Some(report.root));
        }
    }
}

#[test]
fn the_files_have_the_documented_form() {
    let keys = Keys::new();
    let dir = TempDir::new();
    let mut ledger = Ledger::default();
    ledger.report(100);
    let leaves = bytes_of(&ledger.leaves);
    let heads = heads_of(&leaves, &[1], &keys.own);
    export(&dir, &leaves, &heads, &ledger.totals());
    let read = |name| fs::read_to_string(dir.join(name)).expect("readable");
    let leaf = concat!(
        r#"{"at":1606348800000000,"actor":"user-3","action":"need.report","subject":"need-1","version":1,"#,
        r#""state":{"area":"31.71.01.1001","delivered":0,"required":100,"reserved":0}}"#
    );
    assert_eq!(read(LOG), format!("{{\"sequence\":1,\"leaf\":{leaf}}}\n"));
    let (head, signature) = &heads[0];
    let root = to_hex(&head.root);
    assert_eq!(
        read(HEADS),
        format!("{{\"size\":1,\"root\":\"{root}\",\"at\":1606348800000001,\"signature\":\"{signature}\"}}\n")
    );
    let totals = r#"{"leaves":1,"needs":1,"lines":0,"required":100,"reserved":0,"delivered":0}"#;
    assert_eq!(read(TOTALS), format!("{totals}\n"));
}

#[test]
fn an_empty_log_passes_signed_or_not() {
    let keys = Keys::new();
    let ledger = Ledger::default();
    assert_eq!(exported(&ledger, &[], &keys, None).expect("sound").last_head, None);
    let head = exported(&ledger, &[0], &keys, None).expect("sound").last_head.expect("signed");
    assert_eq!(head.size, 0);
    assert!(exported(&ledger, &[], &keys, Some(head)).is_ok());
    assert!(exported(&ledger, &[], &keys, Some(Head { root: [1; 32], ..head })).is_err());
}

#[test]
fn a_writer_takes_a_new_or_an_empty_directory_only() {
    let dir = TempDir::new();
    let new = dir.join("a/b");
    let mut writer = BundleWriter::create(&new).expect("made");
    assert!(matches!(writer.push_leaf(1, b"{\n}"), Err(BundleError::LineFeed(1))));
    assert!(matches!(BundleWriter::create(&new), Err(BundleError::NotEmpty(_))));
    assert!(BundleWriter::create(&new.join(LOG)).is_err(), "a file is no directory");
}

#[test]
fn an_export_that_was_not_finished_is_refused() {
    let keys = Keys::new();
    let dir = TempDir::new();
    drop(BundleWriter::create(&dir).expect("an empty directory"));
    let found = sentences(verify(&dir, &keys.own.public_key(), None));
    assert!(found.len() == 1 && found[0].starts_with("totals.json: the file cannot be read"), "{found:?}");
}

// ------------------------------------------------------------------ wrong arithmetic under good signatures

/// A ledger of one need, one offer, one claim on both with a partial delivery, and one held line.
fn small() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.report(100);
    ledger.offer(60);
    ledger.claim(0, 40, Some(0));
    ledger.confirm(0);
    ledger.deliver(0, 10);
    ledger.claim(0, 5, None);
    ledger
}

#[test]
fn states_that_do_not_add_up_are_found_under_good_signatures() {
    let keys = Keys::new();
    type Change = fn(&mut Ledger);
    let cases: [(Change, &str); 17] = [
        (
            |l| {
                l.needs[0].reserved += 1;
                l.write_need("x", 0);
            },
            "need-1 has reserved 36, but its lines come to 35",
        ),
        (
            |l| {
                l.needs[0].delivered -= 1;
                l.write_need("x", 0);
            },
            "need-1 has delivered 9, but its lines come to 10",
        ),
        (
            |l| {
                l.needs[0].required = 44;
                l.write_need("x", 0);
            },
            "reserved 35 and delivered 10 do not fit into required 44",
        ),
        (
            |l| {
                l.needs[0].reserved = -1;
                l.write_need("x", 0);
            },
            "reserved -1 and delivered 10 do not fit",
        ),
        (
            |l| {
                l.needs[0].reserved = i64::MAX;
                l.write_need("x", 0);
            },
            "do not fit into required 100",
        ),
        (
            |l| {
                l.lines[1].quantity = 6;
                l.write_line("x", 1);
            },
            "need-1 has reserved 35, but its lines come to 36",
        ),
        (
            |l| {
                l.lines[1].status = "RELEASED";
                l.write_line("x", 1);
            },
            "need-1 has reserved 35, but its lines come to 30",
        ),
        (
            |l| {
                l.lines[1].status = "LOST";
                l.write_line("x", 1);
            },
            "line-2: the state has no known status",
        ),
        (
            |l| {
                l.lines[1].delivered = -1;
                l.write_line("x", 1);
            },
            "line-2: delivered -1 does not fit into quantity 5",
        ),
        (
            |l| {
                l.lines[1].need = 8;
                l.write_line("x", 1);
            },
            "line-2 is on need-9, which is not in the log",
        ),
        (
            |l| {
                l.lines[1].claim = 8;
                l.write_line("x", 1);
            },
            "line-2 is of claim-9, which is not in the log",
        ),
        (
            |l| {
                l.offers[0].1 = 39;
                l.write_offer("x", 0);
            },
            "offer-1 has claimed 39, but its lines come to 40",
        ),
        (
            |l| {
                l.offers[0].0 = 39;
                l.write_offer("x", 0);
            },
            "offer-1: claimed 40 does not fit into quantity 39",
        ),
        (
            |l| l.write("x", "claim-2".into(), state([("offer", "offer-7".into())])),
            "claim-2 draws on offer-7, which is not in the log",
        ),
        (|l| l.write("x", "claim-2".into(), state([])), "claim-2: the state has no text offer"),
        (|l| l.write("x", "need-01".into(), l.leaves[0].state.clone()), "\"need-01\" is not an id of a need"),
        (
            |l| {
                for _ in 0..2 {
                    l.report(i64::MAX)
                }
                l.needs.clear()
            },
            "the sums over all needs do not fit into 64 bits",
        ),
    ];
    assert!(exported(&small(), &[small().leaves.len()], &keys, None).is_ok());
    for (change, expected) in cases {
        let mut ledger = small();
        change(&mut ledger);
        let found = sentences(exported(&ledger, &[ledger.leaves.len()], &keys, None));
        assert!(found.iter().any(|sentence| sentence.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn a_version_left_out_or_used_twice_is_found_under_good_signatures() {
    let keys = Keys::new();
    for (version, expected) in
        [(1, "version 1 of line-1 follows version 1"), (3, "version 3 of line-1 follows version 1")]
    {
        let mut ledger = small();
        let leaf = ledger.leaves.iter_mut().find(|leaf| leaf.subject == "line-1" && leaf.version == 2);
        leaf.expect("the confirmation").version = version;
        let found = sentences(exported(&ledger, &[ledger.leaves.len()], &keys, None));
        assert!(found.iter().any(|sentence| sentence.contains(expected)), "{found:?}");
    }
}

#[test]
fn the_number_of_problems_is_bounded() {
    let keys = Keys::new();
    let mut ledger = small();
    for index in 0..100 {
        ledger.write("x", name("need", index), state([]));
    }
    assert_eq!(sentences(exported(&ledger, &[], &keys, None)).len(), MAX_PROBLEMS);
}

#[test]
fn edits_that_leave_every_hash_and_signature_alone_are_found_and_named() {
    let keys = Keys::new();
    let leaves = bytes_of(&small().leaves);
    let heads = heads_of(&leaves, &[2, leaves.len()], &keys.own);
    let first_head = format!("{}\n", head_line(&heads[0].0, &heads[0].1));
    let cases = [
        (
            LOG,
            "{\"sequence\":2,",
            "{\"sequence\":7,",
            "log.jsonl, line 2: the sequence number is 7 where 2 should stand",
        ),
        (LOG, "{\"sequence\":2,", "{\"sequence\":02,", "log.jsonl, line 2: the line is not of the form"),
        (LOG, "{\"sequence\":2,", "{\"sequence\":+2,", "log.jsonl, line 2: the line is not of the form"),
        (LOG, "{\"sequence\":2,", "{ \"sequence\":2,", "log.jsonl, line 2: the line is not of the form"),
        (LOG, "}\n", "}\r\n", "log.jsonl, line 1: the line is not of the form"),
        (LOG, "{\"sequence\":2,", "\n{\"sequence\":2,", "log.jsonl, line 2: the line is not of the form"),
        (
            HEADS,
            "{\"size\":2,",
            "{\"size\": 2,",
            "heads.jsonl, line 1: the line is a head, but not in the canonical form",
        ),
        (HEADS, "{\"size\":2,", "{\"more\":1,\"size\":2,", "heads.jsonl, line 1: the line is not a head"),
        (
            HEADS,
            &first_head,
            &first_head.repeat(2),
            "heads.jsonl, line 2: a head of 2 leaves follows one of 2, but heads grow",
        ),
        (TOTALS, ",\"needs\"", ", \"needs\"", "totals.json: the totals are not in the canonical form"),
        (TOTALS, "}\n", "}", "totals.json: the totals are not in the canonical form"),
    ];
    for (file, from, to, expected) in cases {
        let dir = TempDir::new();
        export(&dir, &leaves, &heads, &small().totals());
        let path = dir.join(file);
        let content = fs::read_to_string(&path).expect("readable");
        assert!(content.contains(from), "{from}");
        fs::write(&path, content.replacen(from, to, 1)).expect("written");
        let found = sentences(verify(&dir, &keys.own.public_key(), None));
        assert!(found[0].starts_with(expected), "{expected}: {found:?}");
    }
}

// ------------------------------------------------------------------ what only an old head shows

#[test]
fn an_end_removed_with_its_heads_and_totals_is_found_by_an_old_head_only() {
    let keys = Keys::new();
    for seed in 0..30 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let (before, sizes) = simulated(&mut random, 20);
        let mut after = before.clone();
        after.report(10);
        let mut later_sizes = sizes.clone();
        later_sizes.push(after.leaves.len());
        let head = exported(&after, &later_sizes, &keys, None).expect("sound").last_head;
        assert!(exported(&before, &sizes, &keys, None).is_ok(), "without an old head there is nothing to see");
        let found = sentences(exported(&before, &sizes, &keys, head));
        assert!(found.len() == 1 && found[0].contains("the end was removed"), "{found:?}");
    }
}

#[test]
fn a_history_rewritten_with_the_private_key_is_found_by_an_old_head_only() {
    let keys = Keys::new();
    for seed in 0..30 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let (mut ledger, sizes) = simulated(&mut random, 20);
        let head = exported(&ledger, &sizes, &keys, None).expect("sound").last_head;
        let edited = random.below(ledger.leaves.len());
        ledger.leaves[edited].actor = "user-4".into();
        ledger.report(10);
        let sizes = [sizes, vec![ledger.leaves.len()]].concat();
        assert!(exported(&ledger, &sizes, &keys, None).is_ok(), "without an old head there is nothing to see");
        let found = sentences(exported(&ledger, &sizes, &keys, head));
        assert!(found.len() == 1 && found[0].contains("history was rewritten"), "{found:?}");
    }
}

#[test]
fn an_old_head_is_taken_from_an_earlier_export_if_its_signature_holds() {
    let keys = Keys::new();
    let dir = TempDir::new();
    let leaves = bytes_of(&small().leaves);
    let heads = heads_of(&leaves, &[3, leaves.len()], &keys.own);
    export(&dir.join("export"), &leaves, &heads, &small().totals());
    let path = dir.join("export").join(HEADS);
    assert_eq!(last_head_of(&path, &keys.own.public_key()), Ok(heads[1].0));
    let refused = last_head_of(&path, &keys.other.public_key()).expect_err("another key");
    assert_eq!(refused.line, Some(2));
    let cut = fs::read(&path).expect("readable");
    fs::write(&path, &cut[..cut.len() - 1]).expect("written");
    assert!(last_head_of(&path, &keys.own.public_key()).is_err());
    fs::write(&path, "").expect("written");
    assert!(last_head_of(&path, &keys.own.public_key()).is_err());
    assert!(last_head_of(&dir.join("none"), &keys.own.public_key()).is_err());
}

// ------------------------------------------------------------------ random corruptions

/// An export's three files as their lines, without line feeds.
#[derive(Clone, PartialEq)]
struct Files {
    log: Vec<Vec<u8>>,
    heads: Vec<Vec<u8>>,
    totals: Vec<u8>,
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

fn numbered(leaves: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let line = |(sequence, leaf): (u64, &Vec<u8>)| {
        [format!("{{\"sequence\":{sequence},\"leaf\":").as_bytes(), leaf, b"}"].concat()
    };
    (FIRST_SEQUENCE..).zip(leaves).map(line).collect()
}

fn head_lines(heads: &[(Head, String)]) -> Vec<Vec<u8>> {
    heads.iter().map(|(head, signature)| head_line(head, signature).into_bytes()).collect()
}

fn flip(random: &mut Random, bytes: &mut [u8]) {
    let at = random.below(bytes.len());
    bytes[at] ^= 1 << random.below(8);
}

fn cut(random: &mut Random, lines: &mut Vec<Vec<u8>>) {
    let left = random.below(lines.len());
    lines.truncate(left);
}

const CORRUPTIONS: [&str; 24] = [
    "a bit of a leaf",
    "a bit of any log line",
    "a bit of a head",
    "a bit of the totals",
    "a log line removed",
    "a leaf removed, the rest renumbered",
    "log lines swapped",
    "leaves swapped under their numbers",
    "a log line doubled",
    "a leaf doubled, the rest renumbered",
    "a new leaf put in, the rest renumbered",
    "the log's end removed",
    "the log's end removed, its heads too",
    "the heads' end removed",
    "all heads removed",
    "heads swapped",
    "a head doubled",
    "a head signed with another key",
    "all heads signed with another key",
    "a leaf edited, all heads signed anew with another key",
    "a head's size, root or moment under its old signature",
    "a number of the totals",
    "a file cut in the middle of its last line",
    "a file removed",
];

#[test]
fn every_one_of_many_random_corruptions_is_found() {
    const ROUNDS: usize = 1200;
    let keys = Keys::new();
    let key = keys.own.public_key();
    let mut done = [0; CORRUPTIONS.len()];
    for seed in 0..ROUNDS as u64 {
        let mut random = Random(seed);
        let (ledger, sizes) = loop {
            let simulated = simulated(&mut random, 12);
            if simulated.0.leaves.len() > 3 && simulated.1.len() > 1 {
                break simulated;
            }
        };
        let leaves = bytes_of(&ledger.leaves);
        let heads = heads_of(&leaves, &sizes, &keys.own);
        let sound = Files {
            log: numbered(&leaves),
            heads: head_lines(&heads),
            totals: ledger.totals().to_line().trim_end().as_bytes().to_vec(),
        };
        let mut files = sound.clone();
        let (mut cut_file, mut removed_file) = (None, None);
        let kind = seed as usize % CORRUPTIONS.len();
        let at = random.below(leaves.len());
        let (one, two) = (random.below(leaves.len()), random.below(leaves.len()));
        let head_at = random.below(heads.len());
        match kind {
            0 => {
                let mut leaves = leaves.clone();
                flip(&mut random, &mut leaves[at]);
                files.log = numbered(&leaves);
            }
            1 => flip(&mut random, &mut files.log[at]),
            2 => flip(&mut random, &mut files.heads[head_at]),
            3 => flip(&mut random, &mut files.totals),
            4 => drop(files.log.remove(at)),
            5 => {
                let mut leaves = leaves.clone();
                leaves.remove(at);
                files.log = numbered(&leaves);
            }
            6 => files.log.swap(one, if one == two { (one + 1) % leaves.len() } else { two }),
            7 => {
                let mut leaves = leaves.clone();
                leaves.swap(one, if one == two { (one + 1) % sound.log.len() } else { two });
                files.log = numbered(&leaves);
            }
            8 => files.log.insert(one, sound.log[two].clone()),
            9 | 10 => {
                let mut put_in = ledger.leaves[two].clone();
                if kind == 10 {
                    put_in.subject = "need-99".into();
                    put_in.version = 1;
                }
                let mut leaves = leaves.clone();
                leaves.insert(random.below(sound.log.len() + 1), put_in.to_bytes());
                files.log = numbered(&leaves);
            }
            11 => cut(&mut random, &mut files.log),
            12 => {
                let left = random.below(heads.len());
                files.heads.truncate(left);
                files.log.truncate(left.checked_sub(1).map_or(0, |last| sizes[last]));
            }
            13 => cut(&mut random, &mut files.heads),
            14 => files.heads.clear(),
            15 => files.heads.swap(head_at, (head_at + 1) % heads.len()),
            16 => files.heads.insert(random.below(heads.len() + 1), sound.heads[head_at].clone()),
            17 => {
                let (head, _) = heads[head_at];
                files.heads[head_at] = head_line(&head, &keys.other.sign_head(&head)).into_bytes();
            }
            18 => files.heads = head_lines(&heads_of(&leaves, &sizes, &keys.other)),
            19 => {
                let mut edited = ledger.leaves.clone();
                edited[at].actor = "user-4".into();
                let edited = bytes_of(&edited);
                files.log = numbered(&edited);
                files.heads = head_lines(&heads_of(&edited, &sizes, &keys.other));
            }
            20 => {
                let (mut head, signature) = heads[head_at].clone();
                match random.below(3) {
                    0 => head.size = (head.size + 1 + random.next() % 5) % 7,
                    1 => flip(&mut random, &mut head.root),
                    _ => head.at_micros += 1 + (random.next() % 9) as i64,
                }
                files.heads[head_at] = head_line(&head, &signature).into_bytes();
            }
            21 => {
                let mut totals = ledger.totals();
                let more = 1 + random.below(9);
                match random.below(6) {
                    0 => totals.leaves += more as u64,
                    1 => totals.needs += more as u64,
                    2 => totals.lines += more as u64,
                    3 => totals.required -= more as i64,
                    4 => totals.reserved -= more as i64,
                    _ => totals.delivered += more as i64,
                }
                files.totals = totals.to_line().trim_end().as_bytes().to_vec();
            }
            22 => cut_file = Some(random.below(3)),
            23 => removed_file = Some(random.below(3)),
            _ => unreachable!("one arm for each kind"),
        }
        if files == sound && cut_file.is_none() && removed_file.is_none() {
            continue;
        }
        done[kind] += 1;

        let dir = TempDir::new();
        let contents = [(LOG, joined(&files.log)), (HEADS, joined(&files.heads)), (TOTALS, joined(&[files.totals]))];
        for (index, (file, mut content)) in contents.into_iter().enumerate() {
            if cut_file == Some(index) {
                let last_line = content.split_inclusive(|byte| *byte == b'\n').next_back().map_or(0, <[u8]>::len);
                content.truncate(content.len() - 1 - random.below(last_line - 1));
            }
            if removed_file != Some(index) {
                fs::write(dir.join(file), content).expect("written");
            }
        }
        let outcome = verify(&dir, &key, None);
        assert!(outcome.is_err(), "seed {seed}: {} went unseen", CORRUPTIONS[kind]);
    }
    println!("seeds 0..{ROUNDS}: {done:?}");
    let total: usize = done.iter().sum();
    assert!(total >= 1000 && done.iter().all(|times| *times > 20), "{total} corruptions: {done:?}");
}
