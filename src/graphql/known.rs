//! Documents that have been found valid, so that the next request with the same one is not parsed and
//! validated anew: a page asks few questions, with other variables each time.
//!
//! What validation finds depends on the document and, where a variable is an input object, on which fields
//! its value has. So a document is known together with the shapes of variables that it was asked with:
//! which keys they have, and of what kind what stands there is. Values of the right kind that are wrong are
//! found when they are read, as they always were.
//!
//! A document that changes something cannot be run again in other words. It is known by shapes that are exact:
//! whatever validation looks at in a value is in them, so with a known one it would find nothing.

use async_graphql::Value;
use async_graphql::Variables;
use async_graphql::parser::types::{ExecutableDocument, OperationType};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

/// Documents that are kept, and the longest of them in bytes: parsed, the worst that they can be are some 40 MiB. When there are more, all are forgotten: that
/// costs their callers one validation each.
const MOST: usize = 200;
const LONGEST: usize = 4 * 1024;

/// Shapes of variables that are kept of one document.
const SHAPES: usize = 64;

#[derive(Default)]
pub(super) struct Known {
    documents: RwLock<HashMap<String, Entry>>,
    /// Keyed at random: nobody can make two shapes fall together on purpose.
    hashes: RandomState,
}

struct Entry {
    document: Arc<ExecutableDocument>,
    shapes: Vec<u64>,
    exact: bool,
}

impl Known {
    /// The document, where it was valid with variables like these, and whether it changes something.
    pub fn find(&self, text: &str, variables: &Variables) -> Option<(Arc<ExecutableDocument>, bool)> {
        if text.len() > LONGEST {
            return None;
        }
        let documents = self.documents.read().unwrap_or_else(PoisonError::into_inner);
        let entry = documents.get(text)?;
        let known = entry.shapes.contains(&self.shape(variables, entry.exact));
        known.then(|| (entry.document.clone(), entry.exact))
    }

    /// What to remember of a request before it is run; `None` where it is not of use.
    pub fn note(&self, text: &str, variables: &Variables, document: &ExecutableDocument) -> Option<Note> {
        let is = |kind| document.operations.iter().all(|(_, operation)| operation.node.ty == kind);
        let exact = is(OperationType::Mutation);
        let note = || Note {
            text: text.to_owned(),
            shape: self.shape(variables, exact),
            exact,
            document: Arc::new(document.clone()),
        };
        (text.len() <= LONGEST && (exact || is(OperationType::Query))).then(note)
    }

    /// The request was answered without an error, so it was valid.
    pub fn keep(&self, note: Note) {
        let mut documents = self.documents.write().unwrap_or_else(PoisonError::into_inner);
        if documents.len() >= MOST && !documents.contains_key(&note.text) {
            documents.clear();
        }
        let entry = documents.entry(note.text).or_insert(Entry {
            document: note.document,
            shapes: Vec::new(),
            exact: note.exact,
        });
        if entry.shapes.len() < SHAPES && !entry.shapes.contains(&note.shape) {
            entry.shapes.push(note.shape);
        }
    }

    fn shape(&self, variables: &Variables, exact: bool) -> u64 {
        let mut hash = self.hashes.build_hasher();
        for (name, value) in variables.iter() {
            name.hash(&mut hash);
            shape_of(value, exact, &mut hash);
        }
        hash.finish()
    }
}

pub(super) struct Note {
    text: String,
    shape: u64,
    exact: bool,
    document: Arc<ExecutableDocument>,
}

/// The guard has bounded how deeply values nest. Lists of the same kind of thing are alike, however long.
fn shape_of(value: &Value, exact: bool, hash: &mut impl Hasher) {
    match value {
        Value::Null => 0u8.hash(hash),
        Value::Number(number) => (1u8, exact && number.is_f64(), exact && number.is_u64()).hash(hash),
        // A word that may be one of an enum's counts as itself.
        Value::String(text) if exact && is_word(text) => (9u8, text.as_str()).hash(hash),
        Value::Enum(name) if exact => (9u8, name.as_str()).hash(hash),
        Value::String(_) | Value::Enum(_) => 2u8.hash(hash),
        Value::Boolean(_) => 3u8.hash(hash),
        Value::Binary(_) => 4u8.hash(hash),
        Value::List(items) => {
            5u8.hash(hash);
            let mut before = None;
            for item in items {
                // What stands in a list is told apart from its neighbour alone.
                let mut own = std::hash::DefaultHasher::new();
                shape_of(item, exact, &mut own);
                let own = own.finish();
                if before != Some(own) {
                    own.hash(hash);
                }
                before = Some(own);
            }
            6u8.hash(hash);
        }
        Value::Object(fields) => {
            7u8.hash(hash);
            for (name, field) in fields {
                name.as_str().hash(hash);
                shape_of(field, exact, hash);
            }
            8u8.hash(hash);
        }
    }
}

/// Only such may be the name of an enum's value: all of ours are in capitals.
fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use serde_json::json;

    fn variables(value: serde_json::Value) -> Variables {
        Variables::from_json(value)
    }

    #[test]
    fn a_document_is_known_with_variables_of_the_same_shape_and_no_other() {
        let known = Known::default();
        let text = "query($where: NeedFilter) { needs(where: $where) { totalCount } }";
        let document = parse_query(text).expect("a document");
        let asked = json!({"where": {"bbox": {"west": 1.0, "south": 2.0}, "service": ["UNSERVED"]}});
        assert!(known.find(text, &variables(asked.clone())).is_none(), "nothing is known at first");
        known.keep(known.note(text, &variables(asked), &document).expect("a question"));
        let like = |value| known.find(text, &variables(value)).is_some();
        assert!(like(json!({"where": {"bbox": {"west": 9, "south": -3.5}, "service": ["PARTIAL", "COVERED"]}})));
        assert!(!like(json!({"where": {"bbax": {"west": 9, "south": -3.5}, "service": ["PARTIAL"]}})), "another key");
        assert!(!like(json!({"where": {"bbox": {"west": "9", "south": -3.5}, "service": ["PARTIAL"]}})), "a text");
        assert!(!like(json!({"where": {"bbox": {"west": 9}, "service": ["PARTIAL"]}})), "a key is missing");
        assert!(!like(json!({"where": {"bbox": {"west": 9, "south": null}, "service": ["PARTIAL"]}})), "nothing there");
        assert!(!like(json!({"where": {"bbox": {"west": 9, "south": 1}, "service": [1]}})), "a list of numbers");
        assert!(!like(json!({})));
        assert!(known.find("{ needs { totalCount } }", &Variables::default()).is_none(), "another document");
    }

    #[test]
    fn what_changes_something_is_known_by_all_that_validation_looks_at() {
        let known = Known::default();
        let text = "mutation($input: ClaimNeedsInput!) { claimNeeds(input: $input) { __typename } }";
        let document = parse_query(text).expect("a document");
        let asked = |key: &str, quantity: serde_json::Value, word: &str| {
            let line = json!({"needId": "need-1", "quantity": quantity});
            variables(json!({"input": {"idempotencyKey": key, "lines": [line], "onConflict": word}}))
        };
        known.keep(known.note(text, &asked("a-1", json!(1), "REFUSE"), &document).expect("a change"));
        let like = |variables: Variables| known.find(text, &variables).is_some();
        assert!(like(asked("b-2", json!(7), "REFUSE")), "another key and quantity");
        assert!(!like(asked("b-2", json!(7), "TAKE_FREE")), "another word");
        assert!(!like(asked("b-2", json!(7), "NONSENSE")), "a word that is none");
        assert!(!like(asked("b-2", json!(7.5), "REFUSE")), "a fraction");
        assert!(!like(asked("b-2", json!(-7), "REFUSE")), "less than nothing");
        assert!(!like(asked("b-2", json!("7"), "REFUSE")), "a text");
    }

    #[test]
    fn a_document_that_asks_and_changes_is_validated_each_time() {
        let text = "query A { overview { needs } } mutation B { signOut }";
        let document = parse_query(text).expect("a document");
        assert!(Known::default().note(text, &Variables::default(), &document).is_none());
    }

    #[test]
    fn there_are_never_more_documents_than_there_is_room_for() {
        let known = Known::default();
        for number in 0..MOST * 3 {
            let text = format!("{{ a{number} }}");
            let document = parse_query(&text).expect("a document");
            known.keep(known.note(&text, &Variables::default(), &document).expect("a question"));
            assert!(known.find(&text, &Variables::default()).is_some());
        }
        assert!(known.documents.read().expect("nobody panics with it").len() <= MOST);
    }
}
