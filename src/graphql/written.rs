//! Lists of plain records, written as text at once.
//!
//! The engine makes a future, a name and a value of every field of every record, which costs more than to find
//! the records. Where all that is asked of the records of a list can be told without waiting and without failing,
//! they are written into the answer's text here, all after one plan. The bytes are those that the engine
//! would have come to. Whatever else is asked for (an argument, a directive, a field that is not named in a
//! [`Record`]) goes the engine's way, list by list.

use super::context::RequestContext;
use crate::atlas::Sight;
use async_graphql::parser::types::{Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::EnumType;
use async_graphql::{ContextSelectionSet, Name, OutputType, Positioned, Response, ServerResult, Value};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::io::Write as _;

/// Beside a request: its answer will be written by [`to_json`], which alone knows what to make of text.
pub(super) struct AsText;

/// Writes one field of a record; `None` where that turns out to be the engine's.
pub(super) type Write<'a, T> = Box<dyn Fn(&T, &mut Vec<u8>) -> Option<()> + Send + Sync + 'a>;

/// A type of the schema whose plain fields can be written.
pub(super) trait Record: Sized + Send + Sync {
    /// Its name in the schema.
    const TYPE: &'static str;

    /// How the field of that name is written; `None` where the engine has to.
    fn field<'a>(name: &str, below: Asked<'a>) -> Option<Write<'a, Self>>;
}

/// A selection set and what it is read with.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    set: &'a SelectionSet,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    pub sight: &'a Sight,
}

/// A record's fields in the order asked for, each with its name as it stands in the answer.
pub(super) struct Plan<'a, T>(Vec<(Vec<u8>, Write<'a, T>)>);

impl<'a, T: Record> Plan<'a, T> {
    pub fn of(asked: Asked<'a>) -> Option<Self> {
        let mut fields: Vec<(&str, &Field)> = Vec::new();
        gather::<T>(asked.set, asked, &mut fields)?;
        let mut plan = Vec::with_capacity(fields.len());
        for (at, (key, field)) in fields.iter().enumerate() {
            // Fields of one key are one field, which is the engine's to make.
            if fields[..at].iter().any(|(other, _)| other == key) {
                return None;
            }
            let name = field.name.node.as_str();
            let write: Write<'a, T> = match name {
                "__typename" => plain(|_, out| json(out, T::TYPE)),
                _ => T::field(name, Asked { set: &field.selection_set.node, ..asked })?,
            };
            let mut before = vec![if at == 0 { b'{' } else { b',' }];
            json(&mut before, key);
            before.push(b':');
            plan.push((before, write));
        }
        (!plan.is_empty()).then_some(Plan(plan))
    }

    pub fn write(&self, record: &T, out: &mut Vec<u8>) -> Option<()> {
        for (before, write) in &self.0 {
            out.extend_from_slice(before);
            write(record, out)?;
        }
        out.push(b'}');
        Some(())
    }

    fn write_list(&self, records: &[T]) -> Option<Vec<u8>> {
        let mut out = vec![b'['];
        for (at, record) in records.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            self.write(record, &mut out)?;
            if at == 0 {
                // The others will be about as long.
                out.reserve(out.len().saturating_mul(records.len()));
            }
        }
        out.push(b']');
        Some(out)
    }
}

/// Fields of the set and of the fragments in it that hold for every record; `None` where that depends.
fn gather<'a, T: Record>(set: &'a SelectionSet, asked: Asked<'a>, into: &mut Vec<(&'a str, &'a Field)>) -> Option<()> {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => {
                let field = &field.node;
                if !field.arguments.is_empty() || !field.directives.is_empty() {
                    return None;
                }
                into.push((field.response_key().node.as_str(), field));
            }
            Selection::FragmentSpread(spread) => {
                let fragment = &asked.fragments.get(&spread.node.fragment_name.node)?.node;
                let of = fragment.type_condition.node.on.node.as_str();
                if !spread.node.directives.is_empty() || !fragment.directives.is_empty() || of != T::TYPE {
                    return None;
                }
                gather::<T>(&fragment.selection_set.node, asked, into)?;
            }
            Selection::InlineFragment(_) => return None,
        }
    }
    Some(())
}

/// A field that can be told at once.
pub(super) fn plain<'a, T>(write: impl Fn(&T, &mut Vec<u8>) + Send + Sync + 'a) -> Write<'a, T> {
    Box::new(move |record, out| {
        write(record, out);
        Some(())
    })
}

/// A record within a record.
pub(super) fn within<'a, T: 'a, U: Record + 'a>(below: Asked<'a>, get: fn(&T) -> Option<&U>) -> Option<Write<'a, T>> {
    let plan = Plan::<U>::of(below)?;
    Some(Box::new(move |record, out| plan.write(get(record)?, out)))
}

/// A value as JSON has it.
pub(super) fn json(out: &mut Vec<u8>, value: impl Serialize) {
    let begun = out.len();
    // Numbers, texts and lists of them cannot fail to be written.
    if serde_json::to_writer(&mut *out, &value).is_err() {
        out.truncate(begun);
        out.extend_from_slice(b"null");
    }
}

/// A text that needs no escaping: an id, a day, a version.
pub(super) fn quoted(out: &mut Vec<u8>, text: impl Display) {
    // Writing to memory cannot fail.
    let _ = write!(out, "\"{text}\"");
}

/// A value of an enum of the schema.
pub(super) fn word<E: EnumType>(out: &mut Vec<u8>, value: E) {
    let name = E::items().iter().find(|item| item.value == value).map(|item| item.name);
    json(out, name);
}

/// A list of records: written here where it can be, made by the engine where not.
pub(super) struct Rows<T>(pub Vec<T>);

impl<T> FromIterator<T> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = T>>(records: I) -> Self {
        Rows(records.into_iter().collect())
    }
}

impl<T: Record + OutputType> Rows<T> {
    fn text(&self, ctx: &ContextSelectionSet<'_>) -> Option<Vec<u8>> {
        ctx.data_opt::<AsText>()?;
        let sight = ctx.data_opt::<RequestContext>()?.sight_so_far()?;
        let asked = Asked { set: &ctx.item.node, fragments: &ctx.query_env.fragments, sight };
        Plan::<T>::of(asked)?.write_list(&self.0)
    }
}

impl<T: Record + OutputType> OutputType for Rows<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn qualified_type_name() -> String {
        Vec::<T>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match self.text(ctx) {
            // No value of the schema is binary: see `to_json`.
            Some(text) => Ok(Value::Binary(text.into())),
            None => self.0.resolve(ctx, field).await,
        }
    }
}

/// An answer as JSON, with what was written already as it is.
pub fn to_json(response: &Response) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = b"{\"data\":".to_vec();
    value(&response.data, &mut out)?;
    if !response.extensions.is_empty() {
        out.extend_from_slice(b",\"extensions\":");
        serde_json::to_writer(&mut out, &response.extensions)?;
    }
    if !response.errors.is_empty() {
        out.extend_from_slice(b",\"errors\":");
        serde_json::to_writer(&mut out, &response.errors)?;
    }
    out.push(b'}');
    Ok(out)
}

/// Goes as deep as the guard lets documents nest.
fn value(of: &Value, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    match of {
        Value::Binary(text) => out.extend_from_slice(text),
        Value::Object(fields) => {
            out.push(b'{');
            for (at, (name, field)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, name.as_str())?;
                out.push(b':');
                value(field, out)?;
            }
            out.push(b'}');
        }
        Value::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                value(item, out)?;
            }
            out.push(b']');
        }
        other => serde_json::to_writer(&mut *out, other)?,
    }
    Ok(())
}
