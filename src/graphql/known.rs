//! Documents that have been found valid, so that the next request with the same one is not parsed and
//! validated anew: a page asks few questions, with other variables each time.
//!
//! What validation finds depends on the document and, where a variable is an input object, on which fields
//! its value has. So a document is known together with the shapes of variables that it was asked with:
//! which keys they have, and of what kind what stands there is. Values of the right kind that are wrong are
//! found when they are read, as they always were.

use async_graphql::Value;
use async_graphql::Variables;
use async_graphql::parser::types::{ExecutableDocument, OperationType};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

/// Documents that are kept, and the longest of them in bytes. When there are more, all are forgotten: that
/// costs their callers one validation each.
const MOST: usize = 500;
const LONGEST: usize = 8 * 1024;

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
}

impl Known {
    /// The document, where it was valid with variables like these.
    pub fn find(&self, text: &str, variables: &Variables) -> Option<Arc<ExecutableDocument>> {
        if text.len() > LONGEST {
            return None;
        }
        let documents = self.documents.read().unwrap_or_else(PoisonError::into_inner);
        let entry = documents.get(text)?;
        entry.shapes.contains(&self.shape(variables)).then(|| entry.document.clone())
    }

    /// What to remember of a request before it is run; `None` where it is not of use.
    pub fn note(&self, text: &str, variables: &Variables, document: &ExecutableDocument) -> Option<Note> {
        let only_asks = document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query);
        let note =
            || Note { text: text.to_owned(), shape: self.shape(variables), document: Arc::new(document.clone()) };
        (text.len() <= LONGEST && only_asks).then(note)
    }

    /// The request was answered without an error, so it was valid.
    pub fn keep(&self, note: Note) {
        let mut documents = self.documents.write().unwrap_or_else(PoisonError::into_inner);
        if documents.len() >= MOST && !documents.contains_key(&note.text) {
            documents.clear();
        }
        let entry = documents.entry(note.text).or_insert(Entry { document: note.document, shapes: Vec::new() });
        if entry.shapes.len() < SHAPES && !entry.shapes.contains(&note.shape) {
            entry.shapes.push(note.shape);
        }
    }

    fn shape(&self, variables: &Variables) -> u64 {
        let mut hash = self.hashes.build_hasher();
        for (name, value) in variables.iter() {
            name.hash(&mut hash);
            shape_of(value, &mut hash);
        }
        hash.finish()
    }
}

pub(super) struct Note {
    text: String,
    shape: u64,
    document: Arc<ExecutableDocument>,
}

/// The guard has bounded how deeply values nest. Lists of the same kind of thing are alike, however long.
fn shape_of(value: &Value, hash: &mut impl Hasher) {
    match value {
        Value::Null => 0u8.hash(hash),
        Value::Number(_) => 1u8.hash(hash),
        Value::String(_) | Value::Enum(_) => 2u8.hash(hash),
        Value::Boolean(_) => 3u8.hash(hash),
        Value::Binary(_) => 4u8.hash(hash),
        Value::List(items) => {
            5u8.hash(hash);
            let mut before = None;
            for item in items {
                // What stands in a list is told apart from its neighbour alone.
                let mut own = std::hash::DefaultHasher::new();
                shape_of(item, &mut own);
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
                shape_of(field, hash);
            }
            8u8.hash(hash);
        }
    }
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
    fn what_changes_something_is_validated_each_time() {
        let text = "mutation { signOut }";
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
