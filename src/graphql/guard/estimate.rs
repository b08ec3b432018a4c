//! What running an operation costs, estimated from its text and the names of its fields.
//!
//! One unit is about the resolving of one plain field. Every list of the schema has a bound here: its `first` argument
//! where it has one, else the most that the resolver returns. A field's weight is its own, and its children's times
//! that bound. The tables are the only place where the guard knows the schema; a field that they do not name weighs 1
//! and returns one record.

use std::collections::HashMap;

use async_graphql::{
    Name, Value, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};

use super::{
    Limits, Refusal,
    shape::{Argument, arguments_of, measure, spread_order},
};

/// How many records a list may hold where the document does not say.
const LISTS: &[(&str, u64)] = &[
    // With `first`: the default of the schema.
    ("areaHistory", 50),
    ("auditTrail", 50),
    ("needs", 50),
    ("officials", 50),
    ("overlaps", 50),
    ("searchAreas", 10),
    ("claims", 20),
    ("incoming", 20),
    ("offers", 20),
    // Without: the bound of the resolver, or the most that stands in practice.
    ("areaCoverage", 5_000),
    ("areaCoverageChanged", 500),
    ("children", 50),
    ("deliveries", 20),
    ("events", 10),
    ("evidenceRecords", 20),
    ("handOvers", 5),
    ("items", 10),
    ("lines", 500),
    ("needsChanged", 500),
    ("organizations", 10),
    ("overlapCounts", 5_000),
    ("programs", 10),
    ("refusals", 500),
    // Organisations that help in one village, by item.
    ("rows", 50),
    ("shortfalls", 500),
    ("verifyNeeds", 500),
];

/// The lists of introspection. A schema's size is fixed, so these are typical sizes, not bounds: they let the standard
/// query pass and stop one that goes from types to fields to types again and again.
const INTROSPECTION_LISTS: &[(&str, u64)] = &[
    ("types", 100),
    ("fields", 10),
    ("args", 2),
    ("inputFields", 4),
    ("enumValues", 4),
    ("interfaces", 2),
    ("possibleTypes", 4),
    ("directives", 8),
];

/// What a field costs beyond a plain one.
const EXTRA: &[(&str, u64)] = &[
    // A shape is cloned and written out.
    ("geometry", 5),
    // An answer of the atlas.
    ("needs", 10),
    // A query of the database each.
    ("areaHistory", 500),
    ("auditTrail", 200),
    ("claims", 200),
    ("deliveries", 50),
    // Three, over the promises of a village.
    ("help", 1_000),
    ("incoming", 200),
    ("offers", 200),
    ("officials", 200),
    ("overlapCounts", 500),
    ("overlaps", 200),
    ("reportedByViewer", 5),
    // A pass over all areas of a city, some milliseconds.
    ("coverageBreaks", 5_000),
    ("searchAreas", 5_000),
    // A plan over all needs of a city, tens of milliseconds.
    ("planMatch", 20_000),
    // A password, which is slow on purpose; one to check and one to keep.
    ("acceptInvitation", 50_000),
    ("resetPassword", 50_000),
    ("signIn", 50_000),
    ("signUp", 50_000),
    ("changePassword", 100_000),
];

/// A filter may pass over every area of the atlas, about half a millisecond for a city.
const FILTER_WEIGHT: u64 = 500;

/// Arguments are cloned and read for each record: so many bytes weigh as much as one plain field.
const ARGUMENT_BYTES_PER_UNIT: u64 = 256;

/// The weight of the operation that will run; the heaviest one where the request does not name one of the document's.
///
/// `@skip` and `@include` are ignored, so the estimate never falls below the cost. Sums saturate. Recursion goes over
/// selection sets written inside each other only, which the parser bounds at 64.
///
/// # Errors
///
/// TOO_COMPLEX beyond `complexity`; BAD_INPUT for fragments in a circle.
pub fn estimate(
    document: &ExecutableDocument,
    operation_name: Option<&str>,
    variables: &Variables,
    limits: &Limits,
) -> Result<u64, Refusal> {
    let order = spread_order(document)?;
    let named = |name: Option<&Name>| operation_name.is_some() && name.map(Name::as_str) == operation_name;
    let chosen = document.operations.iter().any(|(name, _)| named(name));
    let mut heaviest = 0;
    for (_, operation) in document.operations.iter().filter(|(name, _)| !chosen || named(*name)) {
        let mut scale = Scale { values: effective_variables(&operation.node, variables), fragments: HashMap::new() };
        for (name, fragment) in &order {
            let tables = Tables::of_type(&fragment.type_condition.node.on.node);
            let weight = scale.selection_set(&fragment.selection_set.node, tables);
            scale.fragments.insert(name, weight);
        }
        heaviest = heaviest.max(scale.selection_set(&operation.node.selection_set.node, Tables::Schema));
    }
    if heaviest > limits.complexity {
        return Err(Refusal::too_complex(format!(
            "The operation weighs {heaviest}; at most {} are served. Ask for fewer records with `first`, leave out \
             lists within lists, or split the request.",
            limits.complexity
        )));
    }
    Ok(heaviest)
}

/// The variables that an operation defines, with the request's values or their defaults, and the bytes of each.
fn effective_variables<'a>(
    operation: &'a OperationDefinition,
    variables: &'a Variables,
) -> HashMap<&'a str, (&'a Value, u64)> {
    operation
        .variable_definitions
        .iter()
        .filter_map(|definition| {
            let name = &definition.node.name.node;
            let default = definition.node.default_value.as_ref().map(|default| &default.node);
            let value = variables.get(name).or(default)?;
            Some((name.as_str(), (value, measure(value).1)))
        })
        .collect()
}

/// Which tables hold for a selection set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    Schema,
    Introspection,
}

impl Tables {
    /// Names of types and fields that begin with two underscores belong to introspection.
    fn of_type(name: &str) -> Self {
        if name.starts_with("__") { Self::Introspection } else { Self::Schema }
    }

    fn below(self, field: &str) -> Self {
        if field.starts_with("__") { Self::Introspection } else { self }
    }
}

struct Scale<'a> {
    values: HashMap<&'a str, (&'a Value, u64)>,
    fragments: HashMap<&'a Name, u64>,
}

impl<'a> Scale<'a> {
    fn selection_set(&self, set: &'a SelectionSet, tables: Tables) -> u64 {
        set.items.iter().fold(0u64, |sum, selection| {
            sum.saturating_add(match &selection.node {
                Selection::Field(field) => self.field(&field.node, tables),
                Selection::FragmentSpread(spread) => {
                    self.fragments.get(&spread.node.fragment_name.node).copied().unwrap_or_default().saturating_add(1)
                }
                Selection::InlineFragment(inline) => {
                    self.selection_set(&inline.node.selection_set.node, tables).saturating_add(1)
                }
            })
        })
    }

    fn field(&self, field: &'a Field, tables: Tables) -> u64 {
        let name = field.name.node.as_str();
        let (lists, extra) = match tables {
            Tables::Schema => (LISTS, look_up(EXTRA, name).unwrap_or_default()),
            Tables::Introspection => (INTROSPECTION_LISTS, 0),
        };
        let mut argument_bytes: u64 = 0;
        let mut filters: u64 = 0;
        let mut first = None;
        for argument in arguments_of!(field) {
            let size = argument.bytes(|name| self.values.get(name).map_or(0, |(_, bytes)| *bytes));
            argument_bytes = argument_bytes.saturating_add(size);
            match argument.name {
                "where" => filters += FILTER_WEIGHT,
                "first" | "last" => first = first.max(self.count(&argument)),
                _ => {}
            }
        }
        let own = (1 + extra + filters).saturating_add(argument_bytes / ARGUMENT_BYTES_PER_UNIT);
        let records = first.or_else(|| look_up(lists, name)).unwrap_or(1);
        let below = self.selection_set(&field.selection_set.node, tables.below(name));
        own.saturating_add(below.saturating_mul(records))
    }

    /// The number that a `first` asks for; none where it is absent, null or no count, which the resolver answers with
    /// its default or an error.
    fn count(&self, argument: &Argument<'_>) -> Option<u64> {
        let value = match (&argument.value, argument.variables.as_slice()) {
            (Value::Null, [variable]) => self.values.get(variable.as_str())?.0,
            (literal, _) => literal,
        };
        match value {
            Value::Number(number) => number.as_u64(),
            _ => None,
        }
    }
}

fn look_up(table: &[(&str, u64)], name: &str) -> Option<u64> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}
