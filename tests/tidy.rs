//! The repository's own rules: who may import whom, where a crate may appear, what must not stay
//! behind. Reads every Rust file as tokens (comments and texts left out), so that a path counts
//! wherever it stands: in a nested `use`, or written out in the code.
//!
//! The tables come first. When the house grows, a line is added there with its reason.

use std::path::{Path, PathBuf};

/// A room is the first path component under `src/`. `domain` is open to everybody and is not listed.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
    why: &'static str,
}

const fn room(name: &'static str, may_use: &'static [&'static str], why: &'static str) -> Room {
    Room { name, may_use, why }
}

/// Stands for every room but `main`.
const EVERYTHING: &str = "*";

const ROOMS: &[Room] = &[
    room("main", &["cli"], "the program only hands its arguments over and exits"),
    room("lib", &[], "the crate root declares the rooms and has no code"),
    room("cli", &[EVERYTHING], "start-up puts the rooms together"),
    room(
        "http",
        &["graphql", "service", "tiles", "export", "random", "telemetry", "metrics"],
        "the transport knows use cases, not where data lives",
    ),
    room(
        "graphql",
        &["service", "atlas", "telemetry", "planted"],
        "resolvers parse, ask and present; they see no row, rule or shape",
    ),
    room(
        "service",
        &[
            "store",
            "atlas",
            "matching",
            "audit",
            "spatial",
            "tiles",
            "import",
            "export",
            "demo",
            "random",
            "metrics",
            "telemetry",
            "planted",
            "mail",
            "oidc",
        ],
        "use cases authorise, call and announce",
    ),
    room(
        "atlas",
        &["spatial", "demo"],
        "the picture in memory is fed from outside and asks nobody; its tests draw the demo city",
    ),
    room(
        "store",
        &["audit", "spatial", "clock", "random", "metrics", "planted"],
        "the judge decides from the database alone; of audit it knows the leaf's format and the tree, of shapes how they \
         are written down",
    ),
    room("spatial", &[], "shapes only: no claim can make them stale"),
    room("tiles", &["atlas", "spatial"], "a drawing of the ground; what stands on it travels apart"),
    room("matching", &[], "a plan is a function of its input"),
    room("audit", &["planted"], "a log is verified without a database"),
    room("import", &["spatial"], "files become values; use cases publish them"),
    room("export", &[], "tables become files; use cases fill them"),
    room("demo", &[], "the demo city is a function of its seed; use cases write it"),
    room("domain", &[], "values and rules that know nobody"),
    room("clock", &[], "a leaf"),
    room("random", &[], "a leaf"),
    room("config", &[], "a leaf"),
    room("mail", &[], "a leaf: letters leave by it, and nobody else knows how"),
    room("oidc", &["metrics"], "a leaf but for a stopwatch: single sign-on is spoken to here alone"),
    room("planted", &[], "a leaf: bugs that are in no release"),
    room("metrics", &[], "a leaf that counts and knows nobody"),
    room("telemetry", &["random"], "a leaf but for the references it makes"),
];

/// Crates that stay in certain rooms. A crate that is not listed may be used anywhere.
const CRATES: &[(&str, &[&str], &str)] = &[
    ("sea_orm", &["store"], "only the store knows SQL"),
    ("sea_orm_migration", &["store", "cli"], "only start-up runs the migrations"),
    ("salur_migrations", &["store", "cli"], "only start-up runs the migrations"),
    ("sqlx", &["store"], "only the store knows SQL"),
    ("async_graphql", &["graphql", "http"], "a use case does not know who asks it"),
    ("async_graphql_axum", &["http"], "the transport is http's alone"),
    ("axum", &["http"], "the transport is http's alone"),
    ("tower_http", &["http"], "the transport is http's alone"),
    ("rstar", &["spatial", "demo", "import"], "elsewhere a shape is a value to pass on"),
    ("geo", &["spatial", "tiles", "demo", "import"], "elsewhere a shape is a value to pass on"),
    ("geojson", &["spatial", "demo", "import"], "elsewhere a shape is a value to pass on"),
    ("wkt", &["spatial", "demo", "import"], "elsewhere a shape is a value to pass on"),
    ("fast_mvt", &["tiles"], "one place draws"),
    ("rust_xlsxwriter", &["export"], "elsewhere a spreadsheet is a table to fill"),
    ("rust_embed", &["http"], "the page is the transport's"),
    ("prometheus_client", &["metrics"], "elsewhere one counts and does not know for whom"),
    ("opentelemetry", &["telemetry"], "elsewhere a span is one of tracing's"),
    ("opentelemetry_http", &["telemetry"], "elsewhere a span is one of tracing's"),
    ("opentelemetry_otlp", &["telemetry"], "elsewhere a span is one of tracing's"),
    ("opentelemetry_sdk", &["telemetry"], "elsewhere a span is one of tracing's"),
    ("tracing_opentelemetry", &["telemetry"], "elsewhere a span is one of tracing's"),
    ("clap", &["cli"], "settings reach the other rooms as values"),
    ("ed25519_dalek", &["audit"], "one place signs and verifies"),
    ("argon2", &["service"], "elsewhere a password is nothing but a word to pass on"),
    ("zxcvbn", &["service"], "one place judges passwords"),
    ("lettre", &["mail"], "elsewhere a letter is a value to pass on"),
    ("openidconnect", &["oidc"], "elsewhere somebody who has signed in is a value"),
    ("getrandom", &["random", "audit"], "one door to randomness; a key is made where it is used"),
];

/// Calls that read the time. Code gets the time from its caller, so that a test can choose it.
const TIME: &[[&str; 2]] = &[
    ["SystemTime", "now"],
    ["Instant", "now"],
    ["OffsetDateTime", "now_utc"],
    ["OffsetDateTime", "now_local"],
    ["UtcDateTime", "now"],
];
const TIME_ROOMS: &[&str] = &["clock", "telemetry", "metrics"];

/// A file that needs such a name has not found its room.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "manager", "common", "misc"];

const LEFTOVER_MACROS: &[&str] = &["todo", "dbg", "unimplemented"];

const CRATE_ROOTS: &[&str] = &["src/lib.rs", "src/main.rs", "migrations/src/lib.rs"];

#[test]
fn nobody_uses_a_room_it_must_not_know() {
    let sources = sources();
    let arrows: usize = sources.iter().map(|source| source.room_uses().len()).sum();
    assert!(arrows >= 10, "found only {arrows} references between rooms: the scanner does not see them");
    report(&sources, Source::forbidden_rooms);
}

#[test]
fn a_crate_stays_in_its_rooms() {
    report(&sources(), Source::forbidden_crates);
}

#[test]
fn every_file_says_what_it_is() {
    report(&sources(), Source::missing_doc);
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    report(&sources(), Source::empty_name);
}

#[test]
fn nothing_unfinished_stays_behind() {
    report(&sources(), Source::leftovers);
}

#[test]
fn the_time_is_read_in_one_place() {
    report(&sources(), Source::time_reads);
}

#[test]
fn crate_roots_forbid_unsafe_code() {
    let sources = sources();
    for root in CRATE_ROOTS {
        assert!(sources.iter().any(|source| source.path == *root), "{root} was not read");
    }
    report(&sources, Source::unsafe_allowed);
}

#[test]
fn migrations_do_not_move_with_the_program() {
    report(&sources(), Source::migration_uses_program);
}

/// All Rust files of the repository but those that a build makes.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "migrations", "tests", "benches", "examples"] {
        collect(&root.join(folder), &mut files);
    }
    files.sort();
    assert!(files.len() >= 20, "read only {} files: the rules would hold for want of code", files.len());
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let path = file.strip_prefix(root).expect("found below the root").to_string_lossy().replace('\\', "/");
            Source::new(&path, &text)
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn report(sources: &[Source], rule: fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{} against the house rules:\n{}\n", found.len(), found.join("\n"));
}

// ---------------------------------------------------------------- one file

struct Source {
    /// From the repository's root, with `/`.
    path: String,
    opens_with_doc: bool,
    tokens: Vec<Token>,
    /// Beside each token: does it belong to an item under `#[cfg(test)]`?
    in_test: Vec<bool>,
    paths: Vec<UsedPath>,
}

/// A path as it stands in the code, nested `use` groups written out; `self` and `super` are
/// replaced by what they stand for, so that a path into this crate begins with `crate`.
struct UsedPath {
    segments: Vec<String>,
    at: usize,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let tokens = tokenize(text);
        let is_program = path.starts_with("src/") || path.starts_with("migrations/");
        let is_test_file = !is_program || path.ends_with("/tests.rs") || path.contains("/tests/");
        let in_test = if is_test_file { vec![true; tokens.len()] } else { test_regions(&tokens) };
        let paths = used_paths(&tokens, module_of(path));
        let opens_with_doc = text.trim_start_matches('\u{feff}').trim_start().starts_with("//!");
        Self { path: path.to_owned(), opens_with_doc, tokens, in_test, paths }
    }

    /// None outside of `src/`.
    fn room(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let first = below.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.tokens[at].line)
    }

    /// The rooms that this file refers to beside its own, with the place of each reference.
    fn room_uses(&self) -> Vec<(&str, usize)> {
        let Some(own) = self.room() else { return Vec::new() };
        let is_root = own == "main" || own == "lib";
        self.paths
            .iter()
            .filter(|path| path.segments.len() > 1 && ["crate", "salur"].contains(&path.segments[0].as_str()))
            .map(|path| (path.segments[1].as_str(), path.at))
            // A root's test module says `use super::*`.
            .filter(|(target, _)| *target != own && !(is_root && *target == "*"))
            .collect()
    }

    fn forbidden_rooms(&self) -> Vec<String> {
        let Some(own) = self.room() else { return Vec::new() };
        let add = "add it to ROOMS in tests/tidy.rs with what it may use and why";
        let Some(rules) = ROOMS.iter().find(|room| room.name == own) else {
            return vec![format!("{}: there is no room `{own}`; {add}", self.path)];
        };
        let mut found = Vec::new();
        for (target, at) in self.room_uses() {
            if !ROOMS.iter().any(|room| room.name == target) {
                found.push(format!("{}: `crate::{target}` is no room; if it is to be one, {add}", self.place(at)));
            } else if !may_use(rules, target) {
                found.push(format!("{}: {own} must not use {target} ({own}: {})", self.place(at), rules.why));
            }
        }
        found
    }

    fn forbidden_crates(&self) -> Vec<String> {
        let Some(own) = self.room() else { return Vec::new() };
        let mut found = Vec::new();
        for path in &self.paths {
            let listed = CRATES.iter().find(|(name, ..)| *name == path.segments[0]);
            if let Some((name, rooms, why)) = listed
                && !rooms.contains(&own)
            {
                found.push(format!(
                    "{}: `{name}` in {own}, belongs in {} ({why})",
                    self.place(path.at),
                    rooms.join(", ")
                ));
            }
        }
        found
    }

    fn missing_doc(&self) -> Vec<String> {
        if self.opens_with_doc { Vec::new() } else { vec![format!("{}: does not begin with a `//!` line", self.path)] }
    }

    fn empty_name(&self) -> Vec<String> {
        self.path
            .split('/')
            .map(|part| part.strip_suffix(".rs").unwrap_or(part))
            .filter(|part| EMPTY_NAMES.contains(part))
            .map(|part| format!("{}: `{part}` says nothing; name what is inside", self.path))
            .collect()
    }

    /// Unwrapping is left to clippy in tests; an ignored test and the rest are wrong everywhere.
    fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            if LEFTOVER_MACROS.iter().any(|name| self.spells(at, &[name, "!"])) {
                found.push(format!("{}: `{}!` stayed behind", self.place(at), self.tokens[at].text));
            }
            if self.spells(at, &["#", "[", "ignore"]) {
                found.push(format!("{}: a test that is ignored proves nothing", self.place(at)));
            }
            if self.spells(at, &[".", "unwrap", "(", ")"]) && !self.in_test[at] {
                found.push(format!("{}: `.unwrap()`; return the error, or `expect` with the reason", self.place(at)));
            }
        }
        found
    }

    fn time_reads(&self) -> Vec<String> {
        if self.room().is_none_or(|own| TIME_ROOMS.contains(&own)) {
            return Vec::new();
        }
        let reads = |at: usize| TIME.iter().any(|[kind, call]| self.spells(at, &[kind, "::", call]));
        (0..self.tokens.len())
            .filter(|at| reads(*at) && !self.in_test[*at])
            .map(|at| format!("{}: reads the time; take it from the caller or from clock", self.place(at)))
            .collect()
    }

    fn unsafe_allowed(&self) -> Vec<String> {
        let forbid = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
        let holds = (0..self.tokens.len()).any(|at| self.spells(at, &forbid));
        if holds || !CRATE_ROOTS.contains(&self.path.as_str()) {
            return Vec::new();
        }
        vec![format!("{}: a crate root without `#![forbid(unsafe_code)]`", self.path)]
    }

    fn migration_uses_program(&self) -> Vec<String> {
        if !self.path.starts_with("migrations/") {
            return Vec::new();
        }
        self.paths
            .iter()
            .filter(|path| path.segments[0] == "salur")
            .map(|path| format!("{}: entities move on, history must not; write the columns out", self.place(path.at)))
            .collect()
    }

    fn spells(&self, at: usize, texts: &[&str]) -> bool {
        spells(&self.tokens, at, texts)
    }
}

fn may_use(room: &Room, target: &str) -> bool {
    let everything = room.may_use.contains(&EVERYTHING) && target != "main";
    target == "domain" || everything || room.may_use.contains(&target)
}

// ---------------------------------------------------------------- tokens

/// A name, a number, `::`, or any other single character.
#[derive(Debug, Clone)]
struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

fn spells(tokens: &[Token], at: usize, texts: &[&str]) -> bool {
    let there = tokens.get(at..at + texts.len());
    there.is_some_and(|there| there.iter().zip(texts).all(|(token, text)| token.text == *text))
}

/// Leaves out comments, lifetimes, and texts of every kind.
fn tokenize(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let is = |at: usize, c: char| chars.get(at) == Some(&c);
    let in_name = |at: usize| chars.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        match chars[at] {
            '/' if is(at + 1, '/') => {
                while at < chars.len() && !is(at, '\n') {
                    at += 1;
                }
            }
            '/' if is(at + 1, '*') => at = end_of_block_comment(&chars, at),
            '"' => at = end_of_quoted(&chars, at, '"'),
            '\'' if is(at + 1, '\\') || is(at + 2, '\'') => at = end_of_quoted(&chars, at, '\''),
            '\'' => {
                at += 1;
                while in_name(at) {
                    at += 1;
                }
            }
            ':' if is(at + 1, ':') => {
                at += 2;
                tokens.push(Token { text: "::".into(), line });
            }
            _ if in_name(at) => {
                while in_name(at) {
                    at += 1;
                }
                let name: String = chars[start..at].iter().collect();
                let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
                if ["r", "br", "cr"].contains(&name.as_str()) && is(at + hashes, '"') {
                    at = end_of_raw_text(&chars, at + hashes + 1, hashes);
                } else if ["b", "c"].contains(&name.as_str()) && is(at, '"') {
                    at = end_of_quoted(&chars, at, '"');
                } else if name == "b" && is(at, '\'') {
                    at = end_of_quoted(&chars, at, '\'');
                } else if name == "r" && hashes == 1 {
                    // A raw name: `r#type` is `type`.
                    at += 1;
                } else {
                    tokens.push(Token { text: name, line });
                }
            }
            c => {
                at += 1;
                if !c.is_whitespace() {
                    tokens.push(Token { text: c.into(), line });
                }
            }
        }
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// Block comments nest.
fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (at, depth) = (at + 2, depth + 1),
            ['*', '/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_quoted(chars: &[char], open: usize, quote: char) -> usize {
    let mut at = open + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_raw_text(chars: &[char], first: usize, hashes: usize) -> usize {
    let closes =
        |at: usize| chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (first..chars.len()).find(|at| closes(*at)).map_or(chars.len(), |at| at + 1 + hashes)
}

// ---------------------------------------------------------------- what the tokens mean

/// The names of the modules above a file's own content; a crate root has none.
fn module_of(path: &str) -> Vec<String> {
    let below = path.split_once("src/").map_or(path, |(_, below)| below);
    let mut names: Vec<String> = below.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|last| last == "mod") || ["lib", "main"].contains(&names[0].as_str()) {
        names.pop();
    }
    names
}

fn used_paths(tokens: &[Token], file_module: Vec<String>) -> Vec<UsedPath> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut paths = Vec::new();
    let mut module = file_module;
    // The brace depths at which modules written inside the file opened.
    let mut opened: Vec<usize> = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < tokens.len() {
        let before = if at == 0 { "" } else { text(at - 1) };
        let mut next = at + 1;
        match text(at) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if opened.last() == Some(&depth) {
                    opened.pop();
                    module.pop();
                }
            }
            "mod" if text(at + 2) == "{" => {
                opened.push(depth);
                module.push(text(at + 1).to_owned());
            }
            "use" if text(at + 1) != "<" => {
                let mut found = Vec::new();
                next = use_tree(tokens, at + 1, &[], &mut found);
                for (mut segments, at) in found {
                    if segments == ["crate"] {
                        segments.push("self".into());
                    }
                    paths.push(UsedPath { segments: absolute(segments, &module), at });
                }
            }
            _ if tokens[at].is_name() && before != "." && text(at + 1) == "::" => {
                let names_on_the_left = at >= 2 && (tokens[at - 2].is_name() || text(at - 2) == ">");
                let mut segments = vec![text(at).to_owned()];
                while text(next) == "::" && tokens.get(next + 1).is_some_and(Token::is_name) {
                    segments.push(text(next + 1).to_owned());
                    next += 2;
                }
                if before != "::" || !names_on_the_left {
                    paths.push(UsedPath { segments: absolute(segments, &module), at });
                }
            }
            _ => {}
        }
        at = next;
    }
    paths
}

/// Reads one tree of a `use`, adds its paths to `found`, and returns where the tree ends.
fn use_tree(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    let mut at = start;
    while at < tokens.len() {
        match text(at) {
            "::" => at += 1,
            "{" => {
                at += 1;
                while at < tokens.len() && text(at) != "}" {
                    at = use_tree(tokens, at, &segments, found);
                    if text(at) == "," {
                        at += 1;
                    } else if text(at) != "}" {
                        return at;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            "self" if segments.len() > 1 => at += 1,
            name if name == "*" || tokens[at].is_name() => {
                segments.push(name.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    if !segments.is_empty() && at > start {
        found.push((segments, start));
    }
    at.max(start + usize::from(at == start && !["}", ",", ";"].contains(&text(at))))
}

/// Replaces a leading `self` or `super` by the module it stands for.
fn absolute(segments: Vec<String>, module: &[String]) -> Vec<String> {
    let climbs = segments.iter().skip_while(|name| *name == "self").take_while(|name| *name == "super").count();
    let own = segments.iter().take_while(|name| *name == "self").count();
    if climbs + own == 0 {
        return segments;
    }
    let above = &module[..module.len().saturating_sub(climbs)];
    let rest = &segments[climbs + own..];
    std::iter::once("crate").chain(above.iter().chain(rest).map(String::as_str)).map(str::to_owned).collect()
}

/// Marks the tokens of every item under `#[cfg(test)]`.
fn test_regions(tokens: &[Token]) -> Vec<bool> {
    let mut marked = vec![false; tokens.len()];
    for at in 0..tokens.len() {
        let is_test = |condition: usize| {
            spells(tokens, condition, &["cfg", "(", "test", ")"])
                || spells(tokens, condition, &["cfg", "(", "all", "(", "test"])
        };
        if spells(tokens, at, &["#", "!", "["]) && is_test(at + 3) {
            marked.fill(true);
        } else if spells(tokens, at, &["#", "["]) && is_test(at + 2) {
            let end = end_of_item(tokens, at).min(tokens.len());
            marked[at..end].fill(true);
        }
    }
    marked
}

/// One past the item that starts at `at` with its attributes.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => return end_of_brackets(tokens, at),
            ";" => return at + 1,
            "(" | "[" => at = end_of_brackets(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// One past the bracket that closes the one at `open`.
fn end_of_brackets(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

// ---------------------------------------------------------------- the scanner's own tests

mod scanner {
    use super::*;

    /// The lines on which a rule finds something in a file of this path and content.
    fn lines(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> Vec<usize> {
        let found = rule(&Source::new(path, text));
        found.iter().map(|f| f.split(':').nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)).collect()
    }

    #[test]
    fn a_forbidden_room_is_found_however_it_is_written() {
        for planted in [
            "use crate::store::Store;",
            "pub(crate) use crate::store;",
            "use crate::{domain::ids, store::claims};",
            "use crate::{domain::{ids, need::{self, Need}}, store as s};",
            "use crate::{\n domain::ids };fn f() { crate::store::open() }",
            "fn f(x: &crate::store::Store) {}",
            "fn f() { let c = 'x'; let l: &'static str = \"\\\"\"; salur::store::open() }",
            "use super::super::store::Store;",
            "use super::{super::store::Store, needs};",
            "fn f() { super::super::store::open() }",
            "mod inner { use super::super::super::store::Store; }",
            "mod inner { fn f() {} } use super::super::store::Store;",
            "#[cfg(test)] mod tests { use crate::store::Store; }",
            "macro_rules! m { () => { $crate::store::open() } }",
            "fn f() -> Vec<crate::store::Row> { vec![] }",
            "fn f() { ::salur::store::open() }",
            "use crate::{self};",
            "use crate as all;",
            "use crate::*;",
            "use crate::nowhere::X;",
        ] {
            let found = Source::new("src/graphql/mutation.rs", planted).forbidden_rooms();
            assert_eq!(found.len(), 1, "{planted}: {found:?}");
        }
    }

    #[test]
    fn what_is_allowed_or_only_looks_like_a_path_is_left_alone() {
        for clean in [
            "use crate::service::Service; use crate::domain::ids::NeedId;",
            "use crate::graphql::types; use super::types; use self::inner::X;",
            "// use crate::store::Store;",
            "/* outer /* crate::store::x */ use crate::store; */",
            "/// Not [`crate::store::Store`].\nfn f() {}",
            "const A: &str = \"crate::store::x\"; const B: &str = r#\"use \"crate::store\";\"#;",
            "const C: &[u8] = br\"crate::store::x\"; const D: char = '\"'; const E: &str = \"crate::store::x\";",
            "fn f(x: X) { x.store::<u8>(); types::store::y(); }",
            "pub(crate) fn store() {}",
            "mod inner { use super::super::types; }",
            "fn f<'a>(x: &'a str) -> impl Sized + use<'a> { x }",
        ] {
            let found = Source::new("src/graphql/mutation.rs", clean).forbidden_rooms();
            assert!(found.is_empty(), "{clean}: {found:?}");
        }
        assert!(Source::new("src/lib.rs", "mod tests { use super::*; }").forbidden_rooms().is_empty());
    }

    #[test]
    fn everybody_may_use_domain_and_domain_nobody() {
        for room in ROOMS.iter().filter(|room| room.name != "domain") {
            let file = Source::new(&format!("src/{}/x.rs", room.name), "use crate::domain::ids;");
            assert_eq!(file.forbidden_rooms(), Vec::<String>::new());
            let domain = Source::new("src/domain/x.rs", &format!("use crate::{}::x;", room.name));
            assert_eq!(domain.forbidden_rooms().len(), 1, "domain -> {}", room.name);
        }
    }

    #[test]
    fn the_program_uses_the_command_line_and_nothing_else() {
        assert_eq!(lines(Source::forbidden_rooms, "src/main.rs", "fn main() { salur::cli::run() }"), []);
        assert_eq!(lines(Source::forbidden_rooms, "src/main.rs", "\nuse salur::{cli, http::serve};"), [2]);
        assert_eq!(lines(Source::forbidden_rooms, "src/cli/serve.rs", "use crate::{http, store};"), []);
    }

    #[test]
    fn a_file_in_an_unknown_room_is_told_where_rooms_are_listed() {
        let found = Source::new("src/attic/x.rs", "").forbidden_rooms();
        assert!(found[0].contains("ROOMS in tests/tidy.rs"), "{found:?}");
    }

    /// The order of the rooms from leaves to `main` exists only without a circle.
    #[test]
    fn the_arrows_make_no_circle() {
        let mut placed: Vec<&str> = Vec::new();
        while placed.len() < ROOMS.len() {
            let ready = |room: &&Room| {
                let uses =
                    |other: &&Room| other.name != room.name && other.name != "domain" && may_use(room, other.name);
                !placed.contains(&room.name) && ROOMS.iter().filter(uses).all(|other| placed.contains(&other.name))
            };
            let next = ROOMS.iter().find(ready).map(|room| room.name);
            placed.push(next.unwrap_or_else(|| panic!("a circle among the rooms beside {placed:?}")));
        }
    }

    #[test]
    fn the_tables_name_only_rooms() {
        let is_room = |name: &str| name == EVERYTHING || ROOMS.iter().any(|room| room.name == name);
        let named = ROOMS.iter().flat_map(|room| room.may_use).chain(CRATES.iter().flat_map(|(_, rooms, _)| *rooms));
        for name in named.chain(TIME_ROOMS) {
            assert!(is_room(name), "{name}");
        }
    }

    #[test]
    fn a_crate_outside_of_its_room_is_found() {
        for planted in [
            "use sea_orm::EntityTrait;",
            "use ::sea_orm::EntityTrait;",
            "use {std::fmt, sea_orm::{Set}};",
            "use sea_orm as orm;",
            "#[derive(sea_orm::FromQueryResult)] struct X;",
            "fn f() -> Result<(), sea_orm::DbErr> { Ok(()) }",
            "fn f() { ::sea_orm::x() }",
        ] {
            assert_eq!(lines(Source::forbidden_crates, "src/service/claims.rs", planted), [1], "{planted}");
            assert_eq!(lines(Source::forbidden_crates, "src/store/claims.rs", planted), [], "{planted}");
        }
        let own_module = "use crate::store::sea_orm::x; fn f() { own::sea_orm::x(); own::<u8>::sea_orm::x(); }";
        assert_eq!(lines(Source::forbidden_crates, "src/service/claims.rs", own_module), []);
        assert_eq!(lines(Source::forbidden_crates, "tests/it/main.rs", "use sea_orm::Database;"), []);
    }

    #[test]
    fn leftovers_are_found_and_tests_may_unwrap() {
        let text = "fn a() { todo!() }\nfn b() { dbg!(1); x.unwrap() }\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n fn c() { x.unwrap(); }\n #[ignore = \"slow\"]\n fn d() {}\n}\nfn e() { x.unwrap() }\nfn f() { unimplemented!() }";
        let mut found = lines(Source::leftovers, "src/store/x.rs", text);
        found.sort_unstable();
        assert_eq!(found, [1, 2, 2, 7, 10, 11]);
        let harmless = "//! `todo!`\nfn a() { x.unwrap_or(1); \"dbg!(.unwrap())\"; y.todo() }";
        assert_eq!(lines(Source::leftovers, "src/store/x.rs", harmless), []);
        assert_eq!(lines(Source::leftovers, "src/store/tests.rs", "fn a() { x.unwrap() }"), []);
    }

    #[test]
    fn a_look_at_the_time_is_found_outside_of_the_clock_and_of_tests() {
        let text = "fn a() { std::time::SystemTime::now(); }\nfn b() { Instant::now(); }\nfn c() { time::OffsetDateTime::now_utc(); }\n#[cfg(test)] mod tests { fn d() { Instant::now(); } }\nconst E: &str = \"Instant::now\";";
        assert_eq!(lines(Source::time_reads, "src/service/claims.rs", text), [1, 2, 3]);
        assert_eq!(lines(Source::time_reads, "src/clock.rs", text), []);
        assert_eq!(lines(Source::time_reads, "tests/it/main.rs", text), []);
    }

    #[test]
    fn the_rules_for_whole_files_find_what_breaks_them() {
        let found = |rule: fn(&Source) -> Vec<String>, path: &str, text: &str| lines(rule, path, text).len();
        assert_eq!(found(Source::missing_doc, "src/x.rs", "// x\n//! y"), 1);
        assert_eq!(found(Source::missing_doc, "src/x.rs", "\n//! y"), 0);
        assert_eq!(found(Source::empty_name, "tests/common/mod.rs", ""), 1);
        assert_eq!(found(Source::empty_name, "src/store/utils.rs", ""), 1);
        assert_eq!(found(Source::empty_name, "src/store/utilities_paid.rs", ""), 0);
        assert_eq!(found(Source::unsafe_allowed, "src/lib.rs", "//! #![forbid(unsafe_code)]\npub mod x;"), 1);
        assert_eq!(found(Source::unsafe_allowed, "src/lib.rs", "//! x\n#![forbid(unsafe_code)]"), 0);
        assert_eq!(found(Source::migration_uses_program, "migrations/src/a.rs", "use salur::store::rows;"), 1);
        assert_eq!(
            found(Source::migration_uses_program, "migrations/src/a.rs", "use sea_orm_migration::prelude::*;"),
            0
        );
    }
}
