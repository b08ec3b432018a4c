//! P14: documents made from the schema at random, sound and spoiled, by everybody, through the real routes. Whatever
//! is sent is answered in JSON with one of the codes that are promised, never as our fault, and the books add up
//! afterwards. `SALUR_COUNT` counts documents. Times are printed, not asserted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::parser::types::{BaseType, Type};
use salur::service::Code;
use serde_json::{Value, json};

use super::{figures, times};
use crate::api::access::{Records, aid};
use crate::api::rights::{granted, is_for_people};
use crate::harness::actors::{
    CAPITAL, DEVICE, FAR_RT, FAR_VILLAGE, FOOD, RT_11, RT_12, RT_13, RT_21, RW_1, Town, VILLAGE, Who,
};
use crate::harness::app::Reply;
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::sdl::{Argument, Field, Sdl};
use crate::on_both_databases;

on_both_databases!(whatever_document_is_sent_it_is_answered_and_harms_nothing);

/// Documents that one town is asked before there is a new one: what its people may do is soon undone.
const OF_ONE_TOWN: u64 = 5_000;
/// Who ask at the same time.
const CALLERS: u64 = 4;
/// Sixteen digits such as nobody's number has, which must not come back in words about an error.
const NIK: &str = "3171012002990007";

/// Writes one document.
struct Writer<'a> {
    sdl: &'a Sdl,
    /// For whom it is.
    who: Who,
    dice: &'a mut Dice,
    ids: &'a [String],
    /// How many fields are still written, so that documents end.
    left: u32,
    /// Of a hundred values, so many that are not what is asked for.
    odd: i64,
    declared: Vec<String>,
    variables: BTreeMap<String, Value>,
    fragments: Vec<String>,
}

impl<'a> Writer<'a> {
    fn new(sdl: &'a Sdl, ids: &'a [String], who: Who, odd: i64, dice: &'a mut Dice) -> Self {
        let left = dice.between(3, 60) as u32;
        Writer {
            sdl,
            who,
            dice,
            ids,
            left,
            odd,
            declared: Vec::new(),
            variables: BTreeMap::new(),
            fragments: Vec::new(),
        }
    }

    fn word(&mut self, of: &[&str]) -> String {
        (*self.dice.pick(of)).to_owned()
    }

    /// An operation with all that it needs, and its variables.
    fn document(&mut self, (keyword, root): (&str, &str)) -> (String, Value) {
        let mut body = String::new();
        // A subscription has one field.
        let most = if root == "Subscription" { 1 } else { 3 };
        for _ in 0..self.dice.between(1, most) {
            let fields = &self.sdl.objects[root];
            let own: Vec<&Field> =
                fields.iter().filter(|f| granted(&f.name, self.who) && !is_for_people(&f.name)).collect();
            let field =
                if self.dice.chance(70) && !own.is_empty() { self.dice.pick(&own) } else { self.dice.pick(fields) };
            body += &self.field(field, 5);
        }
        let declared = match self.declared.is_empty() {
            true => String::new(),
            false => format!("({})", self.declared.join(", ")),
        };
        let name = if self.dice.chance(30) { " Asks" } else { "" };
        let fragments = self.fragments.join(" ");
        (format!("{keyword}{name}{declared} {{ {body} }} {fragments}"), json!(self.variables))
    }

    fn field(&mut self, field: &Field, deep: u32) -> String {
        self.left = self.left.saturating_sub(1);
        let mut written = Vec::new();
        for argument in &field.arguments {
            if argument.needed && !self.dice.chance(self.odd) || !argument.needed && self.dice.chance(40) {
                written.push(format!("{}: {}", argument.name, self.argument(argument)));
            }
        }
        let arguments = if written.is_empty() { String::new() } else { format!("({})", written.join(", ")) };
        // One field with two sets of arguments is refused, unless they have names of their own.
        let alias = match (self.dice.chance(self.odd + 5), field.arguments.is_empty()) {
            (true, _) => self.word(&["a: ", "b: ", "lain: "]),
            (false, true) => String::new(),
            (false, false) => format!("f{}: ", self.left),
        };
        let directive = match self.dice.between(1, 40) {
            1 => " @include(if: true)",
            2 => " @skip(if: false)",
            3 => " @skip(if: true)",
            _ => "",
        };
        format!("{alias}{}{arguments}{directive}{} ", field.name, self.selection(&field.of, deep))
    }

    fn selection(&mut self, of: &str, deep: u32) -> String {
        if let Some(cases) = self.sdl.cases.get(of) {
            let mut body = String::from("__typename ");
            for case in cases.iter().filter(|_| deep > 0) {
                if self.dice.chance(50) {
                    body += &format!("... on {case}{} ", self.selection(case, deep - 1));
                }
            }
            return format!(" {{ {body}}}");
        }
        let Some(fields) = self.sdl.objects.get(of) else { return String::new() };
        let mut body = String::from("__typename ");
        for _ in 0..self.dice.between(1, 6) {
            let field = self.dice.pick(fields);
            let leads_on = self.sdl.objects.contains_key(&field.of) || self.sdl.cases.contains_key(&field.of);
            if self.left > 0 && (deep > 0 || !leads_on) {
                body += &self.field(field, deep.saturating_sub(1));
            }
        }
        if self.dice.chance(5) && self.fragments.len() < 5 {
            let name = format!("F{}", self.fragments.len());
            self.fragments.push(format!("fragment {name} on {of} {{ {body} }}"));
            return format!(" {{ ...{name} }}");
        }
        format!(" {{ {body}}}")
    }

    /// As it stands in the document: by itself, or as a variable.
    fn argument(&mut self, argument: &Argument) -> String {
        let value = self.value(&argument.ty, &argument.name);
        if self.dice.chance(50) {
            let name = format!("v{}", self.declared.len());
            self.declared.push(format!("${name}: {}", argument.ty));
            self.variables.insert(name.clone(), value);
            return format!("${name}");
        }
        literal(&value, &argument.ty, self.sdl)
    }

    fn value(&mut self, ty: &Type, name: &str) -> Value {
        if self.dice.chance(self.odd) {
            return self.oddity();
        }
        if ty.nullable && self.dice.chance(10) {
            return Value::Null;
        }
        match &ty.base {
            BaseType::List(inner) => {
                let most = if self.dice.chance(2) { 600 } else { 4 };
                (0..self.dice.between(0, most)).map(|_| self.value(inner, name)).collect()
            }
            BaseType::Named(of) => self.of_type(of, name),
        }
    }

    fn of_type(&mut self, of: &str, name: &str) -> Value {
        match of {
            "ID" => json!(self.id(name)),
            "Int" => json!(self.dice.pick(&[5, 1, 2, 20, 50, 600, 0, i32::MAX, -1][..self.kinds(4, 9)])),
            "Quantity" => {
                let most = (1 << 53) - 1;
                json!(self.dice.pick(&[1_i64, 2, 10, 1_000, most, 0, most + 1, -1][..self.kinds(4, 8)]))
            }
            "Float" => {
                json!(self.dice.pick(&[106.81, -6.21, 1.5, 0.0, 180.0, -90.0, 1e300, -1e-300][..self.kinds(2, 8)]))
            }
            "Boolean" => json!(self.dice.chance(50)),
            "Date" => json!(self.word(&["2020-04-01", "2020-04-28", "0001-01-01", "9999-12-31", "2024-02-29"])),
            "DateTime" => json!(self.word(&["2020-04-01T00:00:00Z", "2020-11-26T00:00:00.123456Z"])),
            "Version" => json!(self.word(&["v1", "v2", "1", "v9223372036854775807"])),
            "GeoJSON" => self.shape(),
            "String" => json!(self.text(name)),
            of => {
                if let Some(cases) = self.sdl.enums.get(of) {
                    return json!(self.dice.pick(cases));
                }
                let mut object = serde_json::Map::new();
                for field in &self.sdl.inputs[of] {
                    if field.needed || self.dice.chance(35) {
                        object.insert(field.name.clone(), self.value(&field.ty, &field.name));
                    }
                }
                Value::Object(object)
            }
        }
    }

    /// Of so many that are in order, or of all where there may be others.
    fn kinds(&self, sound: usize, all: usize) -> usize {
        if self.odd == 0 { sound } else { all }
    }

    /// Mostly of a record of the kind that the argument's name speaks of.
    fn id(&mut self, name: &str) -> String {
        let kind = match name {
            "needId" | "ids" => "need-",
            "claimId" => "claim-",
            "claimLineId" => "line-",
            "offerId" => "offer-",
            "executorId" | "organizationId" => "organization-",
            _ => "",
        };
        let of_kind: Vec<&String> = self.ids.iter().filter(|id| id.starts_with(kind)).collect();
        if self.dice.chance(10) { self.dice.pick(self.ids).clone() } else { (*self.dice.pick(&of_kind)).clone() }
    }

    fn text(&mut self, name: &str) -> String {
        match name {
            "code" | "areaCode" | "homeArea" => {
                self.word(&[RT_11, RT_12, RT_13, RT_21, RW_1, VILLAGE, FAR_VILLAGE, FAR_RT, "31", "99.99"])
            }
            "program" | "programs" => self.word(&[FOOD.0, DEVICE.0, CAPITAL.0, "LAIN"]),
            "item" | "itemKey" | "items" => self.word(&[FOOD.1, DEVICE.1, CAPITAL.1, "lain"]),
            "idempotencyKey" => format!("kunci-{}", self.dice.between(1, 60)),
            "email" => self.word(&["a@donor.example", "tidak@ada.example", "@", "a@b@c.example"]),
            _ => self.word(&["x", "", " ", "kuda baterai staples benar", NIK, "🍚\u{202e}", "\u{0}", "';--", "MQ=="]),
        }
    }

    fn shape(&mut self) -> Value {
        let (west, south) =
            (106.80 + self.dice.between(0, 20) as f64 / 1e3, -6.22 + self.dice.between(0, 20) as f64 / 1e3);
        let ring =
            [[west, south], [west + 0.01, south], [west + 0.01, south + 0.01], [west, south + 0.01], [west, south]];
        let crossed = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]];
        let shapes = [
            json!({"type": "Polygon", "coordinates": [ring]}),
            json!({"type": "MultiPolygon", "coordinates": [[ring], [crossed]]}),
            json!({"type": "Polygon", "coordinates": [crossed]}),
            json!({"type": "Polygon", "coordinates": []}),
            json!({"type": "Polygon", "coordinates": [[[1e308, 0], [0, 1e308], [-1e308, 0], [1e308, 0]]]}),
            json!({"type": "Point", "coordinates": [west, south]}),
            json!({"type": "Feature", "geometry": null}),
        ];
        self.dice.pick(&shapes[..self.kinds(1, 7)]).clone()
    }

    /// What nobody asked for.
    fn oddity(&mut self) -> Value {
        let long = "x".repeat(self.dice.between(0, 3_000) as usize);
        let deep = (0..self.dice.between(1, 40)).fold(json!(1), |inner, _| json!([inner]));
        let oddities = [
            json!(null),
            json!(""),
            json!(long),
            json!(NIK),
            json!(-1),
            json!(1e308),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(0.1),
            json!(true),
            json!([]),
            json!({}),
            deep,
            json!({"type": "Polygon"}),
            json!("NONSENSE"),
            json!("need-9223372036854775808"),
            json!("claim--1"),
            json!("line-01"),
        ];
        self.dice.pick(&oddities).clone()
    }
}

/// A value as it is written in a document.
fn literal(value: &Value, ty: &Type, sdl: &Sdl) -> String {
    match (value, &ty.base) {
        (Value::Array(items), BaseType::List(inner)) => {
            format!("[{}]", items.iter().map(|item| literal(item, inner, sdl)).collect::<Vec<_>>().join(", "))
        }
        (Value::Object(fields), BaseType::Named(of)) if sdl.inputs.contains_key(of.as_str()) => {
            let inputs = &sdl.inputs[of.as_str()];
            let of = |name: &String, value| match inputs.iter().find(|field| field.name == *name) {
                Some(field) => literal(value, &field.ty, sdl),
                None => bare(value),
            };
            let written: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", of(name, value))).collect();
            format!("{{{}}}", written.join(", "))
        }
        (Value::String(word), BaseType::Named(of)) if sdl.enums.contains_key(of.as_str()) && !word.is_empty() => {
            word.clone()
        }
        (value, _) => bare(value),
    }
}

/// JSON, with names of fields as GraphQL writes them.
fn bare(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(bare).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let written: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {}", bare(value))).collect();
            format!("{{{}}}", written.join(", "))
        }
        plain => plain.to_string(),
    }
}

/// Cuts, doubles and puts in what does not belong there.
fn spoil(text: &str, dice: &mut Dice) -> String {
    const BITS: [&str; 18] = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "...",
        "@",
        "$",
        "\"",
        "\"\"\"",
        "fragment",
        " on ",
        ":",
        "!",
        "\u{0}",
        "#",
        "\u{feff}🍚",
    ];
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..dice.between(1, 4) {
        let at = dice.between(0, text.len() as i64) as usize;
        let end = (at + dice.between(0, 30) as usize).min(text.len());
        match dice.between(1, 3) {
            1 => drop(text.drain(at..end)),
            2 => {
                let again = text[at..end].to_vec();
                text.splice(at..at, again);
            }
            _ => {
                let bit: Vec<char> = dice.pick(&BITS).chars().collect();
                text.splice(at..at, bit);
            }
        }
    }
    text.into_iter().collect()
}

/// What is sent: the body, and whether it was left as it was made.
fn body(sdl: &Sdl, ids: &[String], who: Who, dice: &mut Dice) -> (String, bool) {
    let odd = *dice.pick(&[0, 0, 3, 20]);
    let mut writer = Writer::new(sdl, ids, who, odd, dice);
    let root = *writer.dice.pick(&[("query", "Query"), ("mutation", "Mutation"), ("query", "Query")]);
    let (mut query, variables) = writer.document(root);
    let spoiled = dice.chance(15);
    if spoiled {
        query = spoil(&query, dice);
    }
    let mut body = json!({"query": query, "variables": variables});
    if dice.chance(3) {
        body["operationName"] = json!(*dice.pick(&["Asks", "Lain", ""]));
    }
    let body = body.to_string();
    if dice.chance(2) { (spoil(&body, dice), false) } else { (body, !spoiled && odd == 0) }
}

/// Panics where an answer is not one that is promised. Answers its codes.
fn judge(sent: &str, reply: &Reply) -> Vec<String> {
    let answer: Value =
        serde_json::from_str(&reply.body).unwrap_or_else(|e| panic!("{e}: {} {}\n{sent}", reply.status, reply.body));
    let none = Vec::new();
    let errors = answer["errors"].as_array().unwrap_or(&none);
    assert!(!errors.is_empty() || answer["data"].is_object(), "neither data nor errors: {answer}\n{sent}");
    codes(sent, errors)
}

fn codes(sent: &str, errors: &[Value]) -> Vec<String> {
    let code = |error: &Value| {
        let code = error["extensions"]["code"].as_str().unwrap_or_default().to_owned();
        let known = Code::ALL.iter().any(|of| of.word() == code);
        let ours = ["INTERNAL", "UNAVAILABLE"].contains(&code.as_str());
        assert!(known && !ours, "{error}\n{sent}");
        assert!(!error.to_string().contains(NIK), "a number of sixteen digits comes back: {error}\n{sent}");
        code
    };
    errors.iter().map(code).collect()
}

/// Nothing comes of a sound subscription before something happens: then it is left.
const LISTENS: Duration = Duration::from_millis(20);

/// Subscribes to something, sound or odd. Answers the codes of what it was refused with.
async fn subscribe(town: &Town, sdl: &Sdl, ids: &[String], who: Who, dice: &mut Dice) -> Vec<String> {
    let odd = *dice.pick(&[0, 10]);
    let (query, variables) = Writer::new(sdl, ids, who, odd, dice).document(("subscription", "Subscription"));
    let mut live = town.app.live().await;
    if !live.may_begin(town.key_of(who)).await {
        // Somebody has taken the key back meanwhile.
        return vec!["UNAUTHENTICATED".into()];
    }
    live.subscribe("1", &query, variables.clone()).await;
    let (sent, mut refused) = (format!("{query} {variables}"), Vec::new());
    while let Ok(message) = live.next_within(LISTENS).await {
        let message = message.unwrap_or_else(|| panic!("the server has closed\n{sent}"));
        let payload = &message["payload"];
        let errors = payload.as_array().or_else(|| payload["errors"].as_array());
        refused.extend(codes(&sent, errors.map_or(&[], Vec::as_slice)));
        if message["type"] != "next" {
            break;
        }
    }
    refused
}

#[derive(Default)]
struct Seen {
    codes: BTreeMap<String, u64>,
    /// Sound documents, and those of them that were answered in full.
    sound: [u64; 2],
    /// Subscriptions that were refused, and that were taken.
    listened: [u64; 2],
    slowest: Duration,
    of_it: String,
    longest: usize,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        for (sum, count) in self.sound.iter_mut().zip(other.sound) {
            *sum += count;
        }
        for (sum, count) in self.listened.iter_mut().zip(other.listened) {
            *sum += count;
        }
        if other.slowest > self.slowest {
            (self.slowest, self.of_it) = (other.slowest, other.of_it);
        }
        self.longest = self.longest.max(other.longest);
    }
}

async fn ask(town: &Town, sdl: &Sdl, ids: &[String], mut dice: Dice, count: u64) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..count {
        let who = *dice.pick(&Who::ALL);
        if dice.chance(2) {
            let refused = subscribe(town, sdl, ids, who, &mut dice).await;
            seen.listened[usize::from(refused.is_empty())] += 1;
            continue;
        }
        let (body, sound) = body(sdl, ids, who, &mut dice);
        let asked = Instant::now();
        let reply = town.app.post(town.key_of(who), &body).await;
        let took = asked.elapsed();
        if took > seen.slowest {
            (seen.slowest, seen.of_it) = (took, body.chars().take(300).collect());
        }
        seen.longest = seen.longest.max(reply.body.len());
        let codes = judge(&body, &reply);
        seen.sound[0] += u64::from(sound);
        seen.sound[1] += u64::from(sound && codes.is_empty());
        for code in codes.into_iter().collect::<BTreeSet<_>>() {
            *seen.codes.entry(code).or_default() += 1;
        }
    }
    seen
}

/// Ids of what there is in a town, and of what there is not.
fn known(town: &Town, records: &[&Records]) -> Vec<String> {
    let mut ids: Vec<String> =
        ["need-4000000", "claim-4000000", "user-4000000", "organization-0", "overlap-1", "x", ""]
            .map(str::to_owned)
            .into();
    for of in records {
        ids.extend([&of.offer, &of.claim, &of.line, &of.delivery, &of.need].map(|id| id.clone()));
    }
    ids.extend(town.organizations.iter().map(ToString::to_string));
    ids.extend(town.areas.values().take(4).map(ToString::to_string));
    ids.extend(town.items.values().take(2).map(ToString::to_string));
    ids.extend((1..=6).map(|n| format!("need-{n}")));
    ids.extend(
        (1..=3).flat_map(|n| [format!("user-{n}"), format!("program-{n}"), format!("claim-{n}"), format!("line-{n}")]),
    );
    ids
}

/// In MiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells of its processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has a size");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number of KiB") / 1024
}

async fn whatever_document_is_sent_it_is_answered_and_harms_nothing(db: TestDatabase) {
    let mut dice = Dice::from_environment("whatever_document_is_sent_it_is_answered_and_harms_nothing");
    let (kind, count) = (db.kind(), times(1_500));
    let sdl = Arc::new(Sdl::read());
    let (mut seen, mut sent) = (Seen::default(), 0);
    let (mut next, mut first_memory) = (Some(db), None);
    while sent < count {
        let db = match next.take() {
            Some(db) => db,
            None => TestDatabase::new(kind).await,
        };
        let town = Arc::new(Town::new(db).await);
        let near = aid(&town, Who::DonorA, RT_11, VILLAGE, None).await;
        let far = aid(&town, Who::DonorB, FAR_RT, FAR_VILLAGE, None).await;
        for (area, of) in [(RT_12, FOOD), (RT_21, DEVICE), (RT_13, CAPITAL)] {
            town.need(area, of, 500).await;
        }
        // The log's first head takes a moment.
        while town.ask(Who::Auditor, "{ auditCheckpoint { size } }", json!({})).await["data"].is_null() {
            tokio::task::yield_now().await;
        }
        let ids = Arc::new(known(&town, &[&near, &far]));
        let of_each = OF_ONE_TOWN.min(count - sent).div_ceil(CALLERS);
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let (town, sdl, ids, dice) = (town.clone(), sdl.clone(), ids.clone(), dice.another());
            asking.spawn(async move { ask(&town, &sdl, &ids, dice, of_each).await });
        }
        while let Some(asked) = asking.join_next().await {
            seen.add(asked.expect("no answer breaks a promise"));
        }
        sent += of_each * CALLERS;
        town.check_books().await;
        first_memory.get_or_insert_with(memory);
        if sent >= count {
            let [made, answered] = seen.sound;
            // Else the rig would try little but the parser.
            assert!(
                answered * 8 > made,
                "of {made} sound documents only {answered} were answered in full: {:?}",
                seen.codes
            );
            let of = |code: &str| seen.codes.get(code).copied().unwrap_or_default();
            assert!(
                seen.listened.iter().all(|count| *count > 0),
                "{:?} subscriptions refused and taken",
                seen.listened
            );
            for code in ["BAD_INPUT", "FORBIDDEN", "UNAUTHENTICATED", "NOT_FOUND", "TOO_COMPLEX"] {
                assert!(of(code) > 0, "no document came to {code}");
            }
            let more = format!(
                "sound={made} in_full={answered} subscriptions={:?} codes={:?} slowest_ms={} longest_answer={} memory_mib={}..{} slowest: {}",
                seen.listened,
                seen.codes,
                seen.slowest.as_millis(),
                seen.longest,
                first_memory.unwrap_or_default(),
                memory(),
                seen.of_it
            );
            figures("documents", &town.db, sent, more);
        }
    }
}
