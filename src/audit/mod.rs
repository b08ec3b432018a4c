//! The append-only audit log: its leaves, its tree, its signed heads and its exported form.
//!
//! There is no database, no clock and no async here. The store writes leaves and asks this
//! room for hashes and signatures; `salur audit verify` uses it alone, with nothing but an
//! exported directory and a public key. What follows is the reference for outsiders who want
//! to check an export with their own tools.
//!
//! # A leaf
//!
//! One leaf stands for one committed version of one record. Its canonical bytes are one line
//! of JSON in UTF-8 without any white space, its fields in exactly this order:
//!
//! ```text
//! {"at":1606348800000000,"actor":"user-3","action":"claim.confirm","subject":"line-12","version":4,"state":{"claim":"claim-5","delivered":0,"need":"need-9","quantity":40,"status":"CONFIRMED"}}
//! ```
//!
//! - `at`: microseconds since 1970-01-01T00:00:00Z. `actor`: `user-N` or `system`.
//! - `action`: what was done. `subject`: kind and number of the record, such as `need-12`.
//! - `version`: 1 for the record's first leaf, then one more with each leaf.
//! - `state`: the record after the change. No personal data is in it, only salted commitments.
//!
//! Numbers are whole, within 64 bits with a sign. The keys of `state`, and of objects in it,
//! are sorted by their UTF-8 bytes and occur once. In texts `"` and `\` are escaped by a
//! backslash, U+0008, U+0009, U+000A, U+000C and U+000D as `\b \t \n \f \r`, other characters
//! below U+0020 as `\u00xx` with lower-case digits; all other characters stand as they are.
//! A record has one text: a leaf written in any other way is refused.
//!
//! # The tree
//!
//! RFC 6962 over the leaves' canonical bytes in the order of their sequence numbers; see [`tree`].
//! The leaf with sequence number `n`, counted from 1, has the index `n - 1` in that document's terms.
//!
//! # The heads
//!
//! A head says: the first `size` leaves hash to `root`. It is signed as [`signing`] describes.
//! Heads grow strictly: there is at most one head for a size.
//!
//! # The exported directory
//!
//! Three files, UTF-8, each line ended by one line feed:
//!
//! - `log.jsonl`: one line per leaf, `{"sequence":1,"leaf":…}`. The hashed bytes are exactly what
//!   stands between `"leaf":` and the line's last `}`. Sequence numbers run 1, 2, 3, …
//! - `heads.jsonl`: every head, oldest first:
//!   `{"size":2,"root":"<64 hexadecimal digits>","at":1606348800000000,"signature":"<base64>"}`.
//!   The last one covers the whole log.
//! - `totals.json`: what the exporter says the log comes to:
//!   `{"leaves":2,"needs":1,"lines":1,"required":100,"reserved":40,"delivered":0}`. Counts of
//!   leaves, need records and line records; sums over the latest state of every need. As the
//!   sums mix items, they are checksums and not figures of aid.
//!
//! An export is taken between two transactions, so that the latest states fit each other:
//!
//! - a need's `reserved` is the sum of `quantity - delivered` over its lines that are `HELD` or
//!   `CONFIRMED`, its `delivered` the sum of `delivered` over all its lines, and
//!   `reserved + delivered <= required`, none of them negative;
//! - an offer's `claimed` is the sum over the lines of the claims that name it, of `quantity` for a
//!   line that is `HELD`, `CONFIRMED` or `FULFILLED` and of `delivered` for one that is `RELEASED`
//!   or `EXPIRED`; `claimed <= quantity`;
//! - of a line, `0 <= delivered <= quantity`.
//!
//! # What a check can and cannot find
//!
//! Without the private key, no leaf under a head can be edited, removed, added or moved unseen, and
//! no head edited or added. Removing a head from the middle goes unseen and hides nothing: later
//! heads cover the same leaves. Two things need an older head from outside, from an earlier export
//! or from `auditCheckpoint`: the end of the log removed together with its heads and totals, and a
//! history rewritten and signed anew by whoever holds the private key. Keep the last line of each
//! export's `heads.jsonl` where the operator cannot change it.
//!
//! A head's signature can be checked without Salur: put the signed text into `head.txt`, the decoded
//! signature into `head.sig`, then
//! `openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in head.txt -sigfile head.sig`.

pub mod bundle;
pub mod check;
pub mod fold;
pub mod signing;
pub mod tree;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The sequence number of the log's first leaf, so that the last one equals the log's size.
pub const FIRST_SEQUENCE: u64 = 1;

/// A JSON value without fractions, so that it has one canonical text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Value>),
    Object(State),
}

/// The fields of a record after a change.
pub type State = BTreeMap<Cow<'static, str>, Value>;

/// Builds a state: `state([("required", 10.into()), ("item", "food".into())])`.
pub fn state<const N: usize>(fields: [(&'static str, Value); N]) -> State {
    fields.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect()
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<State> for Value {
    fn from(value: State) -> Self {
        Value::Object(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// The canonical text.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_value(&mut text, self);
        f.write_str(&text)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value whose numbers are whole")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Integer(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
                i64::try_from(value).map(Value::Integer).map_err(|_| E::custom("a number beyond 64 bits with a sign"))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = values.next_element()? {
                    list.push(value);
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
                let mut object = State::new();
                while let Some((name, value)) = entries.next_entry::<String, Value>()? {
                    object.insert(Cow::Owned(name), value);
                }
                Ok(Value::Object(object))
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}

/// One committed version of one record; the module's documentation describes the fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub version: i64,
    pub state: State,
}

/// Bytes that are not a leaf in its canonical form.
#[derive(Debug, thiserror::Error)]
pub enum NotALeaf {
    #[error("it is not a leaf's JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its JSON is not in the canonical form")]
    NotCanonical,
}

impl Leaf {
    /// The canonical bytes: what is stored, hashed and exported. Never holds a line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::with_capacity(256);
        self.write(&mut out);
        out.into_bytes()
    }

    /// Appends the canonical bytes.
    pub fn write(&self, out: &mut String) {
        LeafText {
            at: self.at,
            actor: &self.actor,
            action: &self.action,
            subject: &self.subject,
            version: self.version,
            state: &text_of(&self.state),
        }
        .write(out);
    }

    /// Reads what [`Leaf::to_bytes`] writes, and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotALeaf> {
        let leaf: Leaf = serde_json::from_slice(bytes)?;
        if leaf.to_bytes() == bytes { Ok(leaf) } else { Err(NotALeaf::NotCanonical) }
    }
}

/// A leaf whose state is written already, in its canonical form.
pub struct LeafText<'a> {
    pub at: i64,
    pub actor: &'a str,
    pub action: &'a str,
    pub subject: &'a str,
    pub version: i64,
    pub state: &'a str,
}

impl LeafText<'_> {
    /// Appends the leaf's canonical bytes.
    pub fn write(&self, out: &mut String) {
        out.push_str("{\"at\":");
        write_integer(out, self.at);
        for (name, text) in [("actor", self.actor), ("action", self.action), ("subject", self.subject)] {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            write_text(out, text);
        }
        out.push_str(",\"version\":");
        write_integer(out, self.version);
        out.push_str(",\"state\":");
        out.push_str(self.state);
        out.push('}');
    }
}

/// The canonical text of a state.
pub fn text_of(state: &State) -> String {
    let mut out = String::new();
    write_object(&mut out, state);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Integer(number) => write_integer(out, *number),
        Value::Text(text) => write_text(out, text),
        Value::List(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, value);
            }
            out.push(']');
        }
        Value::Object(fields) => write_object(out, fields),
    }
}

fn write_object(out: &mut String, fields: &State) {
    out.push('{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(out, name);
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

fn write_integer(out: &mut String, number: i64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Writes a JSON text with the escapes that the canonical form knows.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        out.push_str(text);
        out.push('"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf() -> Leaf {
        Leaf {
            at: 1_606_348_800_000_000,
            actor: "user-3".into(),
            action: "claim.confirm".into(),
            subject: "line-12".into(),
            version: 4,
            state: state([
                ("status", "CONFIRMED".into()),
                ("claim", "claim-5".into()),
                ("quantity", 40.into()),
                ("delivered", 0.into()),
                ("need", "need-9".into()),
            ]),
        }
    }

    #[test]
    fn the_canonical_bytes_are_the_documented_ones() {
        let expected = concat!(
            r#"{"at":1606348800000000,"actor":"user-3","action":"claim.confirm","subject":"line-12","version":4,"#,
            r#""state":{"claim":"claim-5","delivered":0,"need":"need-9","quantity":40,"status":"CONFIRMED"}}"#
        );
        assert_eq!(String::from_utf8(leaf().to_bytes()).expect("text"), expected);
    }

    #[test]
    fn a_leaf_with_every_kind_of_value_survives_its_bytes() {
        let every_char: String =
            (0..=0x2ff_u32).chain(0x2028..=0x2029).chain([0x1f35a]).filter_map(char::from_u32).collect();
        let mut leaf = leaf();
        leaf.actor = every_char.clone();
        leaf.state = state([
            ("", true.into()),
            ("z", i64::MIN.into()),
            ("a", i64::MAX.into()),
            ("list", vec![Value::from(1), Value::from(false), Value::from(Vec::<i64>::new())].into()),
            ("none", None::<i64>.into()),
            ("nested", state([("b", 2.into()), ("a", state([]).into())]).into()),
        ]);
        leaf.state.insert(Cow::Owned(every_char), Value::Null);
        let bytes = leaf.to_bytes();
        assert!(!bytes.iter().any(|byte| *byte < b' '), "no control character stands raw");
        assert_eq!(Leaf::parse(&bytes).expect("its own bytes"), leaf);
    }

    #[test]
    fn the_escapes_are_those_of_other_compact_json_writers() {
        let text: String = (0..=0x2ff_u32).filter_map(char::from_u32).collect();
        let mut ours = String::new();
        write_text(&mut ours, &text);
        assert_eq!(ours, serde_json::to_string(&text).expect("text"));
    }

    #[test]
    fn bytes_that_say_the_same_in_another_form_are_refused() {
        let canonical = String::from_utf8(leaf().to_bytes()).expect("text");
        assert!(Leaf::parse(canonical.as_bytes()).is_ok());
        let replaced = |from: &str, to: &str| {
            assert!(canonical.contains(from), "{from}");
            canonical.replace(from, to)
        };
        for wrong in [
            format!("{canonical} "),
            format!(" {canonical}"),
            replaced("\"quantity\":40", "\"quantity\": 40"),
            replaced("\"quantity\":40", "\"quantity\":40.0"),
            replaced("\"quantity\":40", "\"quantity\":4e1"),
            replaced("\"quantity\":40", "\"quantity\":41,\"quantity\":40"),
            replaced("\"quantity\":40", "\"quantity\":9223372036854775808"),
            replaced("\"delivered\":0", "\"delivered\":-0"),
            replaced("\"claim\":\"claim-5\",\"delivered\":0", "\"delivered\":0,\"claim\":\"claim-5\""),
            replaced("user-3", "\\u0075ser-3"),
            replaced("\"version\":4,", ""),
            replaced("\"version\":4,", "\"version\":4,\"more\":1,"),
            replaced(
                "\"actor\":\"user-3\",\"action\":\"claim.confirm\"",
                "\"action\":\"claim.confirm\",\"actor\":\"user-3\"",
            ),
            canonical[..canonical.len() - 1].to_string(),
            String::new(),
            "[".repeat(100_000),
        ] {
            assert!(Leaf::parse(wrong.as_bytes()).is_err(), "{}", &wrong[..wrong.len().min(300)]);
        }
    }
}
