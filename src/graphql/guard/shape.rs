//! The pass over the parsed document: what validation will visit, counted without visiting it.
//!
//! Validation of the engine follows every spread anew; here each fragment is folded once, after those that it spreads,
//! and its numbers are added wherever it is spread. Recursion here goes over selection sets written inside each other
//! only, which the parser bounds at 64, and over the brackets of one argument; fragments are walked with a list.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, Value, Variables,
    parser::types::{Directive, ExecutableDocument, FragmentDefinition, Selection, SelectionSet},
};

use super::{Limits, Refusal, within};

/// What a document costs before its first resolver runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub operations: usize,
    pub fragments: usize,
    /// Fields with an alias, as written.
    pub aliases: u64,
    /// Fields at the top of the widest operation, spreads expanded.
    pub root_fields: u64,
    /// Levels of selection sets of the deepest operation or fragment, spreads included.
    pub depth: u64,
    /// Selections, argument values and directives of all operations, spreads expanded.
    pub visits: u64,
    /// Steps of comparing each selection set's fields with each other.
    pub merge_steps: u64,
    /// Bytes that the arguments take up as written, variables at each use.
    pub argument_bytes: u64,
}

/// What one list, object or scalar takes up in memory beside its text, in bytes, rounded down to a power of two.
const VALUE_BYTES: u64 = 64;

/// Counts what validating the document costs and refuses it beyond the limits.
///
/// All operations count, chosen or not, because the engine validates them all; so do fragments that nobody spreads.
/// Sums saturate: 2^30 and 2^3000 visits are equally too many.
///
/// # Errors
///
/// BAD_INPUT for fragments that spread themselves, directly or through others; TOO_COMPLEX beyond a limit.
pub fn check(document: &ExecutableDocument, variables: &Variables, limits: &Limits) -> Result<Cost, Refusal> {
    let cost =
        Cost { operations: document.operations.iter().count(), fragments: document.fragments.len(), ..Cost::default() };
    within(cost.operations as u64, limits.operations as u64, "operations", "Send only the operation that is to run.")?;
    within(
        cost.fragments as u64,
        limits.fragments as u64,
        "fragment definitions",
        "Merge fragments or split the request.",
    )?;
    let mut sizes: HashMap<&str, u64> =
        variables.iter().map(|(name, value)| (name.as_str(), measure(value).1)).collect();
    for (_, operation) in document.operations.iter() {
        let definitions = &operation.node.variable_definitions;
        within(
            definitions.len() as u64,
            limits.variable_definitions as u64,
            "variable definitions in one operation",
            "Gather them in input objects.",
        )?;
        for definition in definitions {
            if let Some(default) = &definition.node.default_value {
                let size = sizes.entry(definition.node.name.node.as_str()).or_default();
                *size = (*size).max(measure(&default.node).1);
            }
        }
    }

    let mut fold = Fold { limits, sizes, fragments: HashMap::new(), cost };
    for (name, fragment) in spread_order(document)? {
        fold.directives(&fragment.directives)?;
        let sum = fold.selection_set(&fragment.selection_set.node)?;
        fold.cost.depth = fold.cost.depth.max(sum.depth);
        fold.fragments.insert(name, sum);
    }
    for (_, operation) in document.operations.iter() {
        let mut visits = fold.directives(&operation.node.directives)?;
        for definition in &operation.node.variable_definitions {
            visits += 1 + fold.directives(&definition.node.directives)?;
        }
        let sum = fold.selection_set(&operation.node.selection_set.node)?;
        let cost = &mut fold.cost;
        cost.root_fields = cost.root_fields.max(sum.fields);
        cost.depth = cost.depth.max(sum.depth);
        cost.visits = cost.visits.saturating_add(visits).saturating_add(sum.visits);
    }
    let cost = fold.cost;

    within(cost.root_fields, limits.root_fields, "fields at the top of one operation", "Split the request.")?;
    within(cost.aliases, limits.aliases, "aliases", "Split the request.")?;
    within(cost.depth, limits.depth, "levels of selections", "Ask for deep records by their id in a second request.")?;
    within(cost.visits, limits.visits, "selections with all fragments expanded", "Spread fragments fewer times.")?;
    within(
        cost.merge_steps,
        limits.merge_steps,
        "field comparisons with all fragments expanded",
        "Spread fragments fewer times.",
    )?;
    within(
        cost.argument_bytes,
        limits.argument_bytes,
        "bytes of arguments with every variable counted at each use",
        "Use large variables fewer times.",
    )?;
    Ok(cost)
}

/// The fragments of a document, each after all that it spreads; unknown names are left to validation.
///
/// # Errors
///
/// BAD_INPUT where fragments spread each other in a circle.
pub(super) fn spread_order(document: &ExecutableDocument) -> Result<Vec<(&Name, &FragmentDefinition)>, Refusal> {
    let mut waits_for: HashMap<&str, usize> = HashMap::new();
    let mut spread_by: HashMap<&str, Vec<&Name>> = HashMap::new();
    let mut ready: Vec<&Name> = Vec::new();
    for (name, fragment) in &document.fragments {
        let mut count = 0;
        let mut ahead = vec![&fragment.node.selection_set.node];
        while let Some(set) = ahead.pop() {
            for selection in &set.items {
                match &selection.node {
                    Selection::Field(field) => ahead.push(&field.node.selection_set.node),
                    Selection::InlineFragment(inline) => ahead.push(&inline.node.selection_set.node),
                    Selection::FragmentSpread(spread) => {
                        let target = &spread.node.fragment_name.node;
                        if document.fragments.contains_key(target) {
                            spread_by.entry(target.as_str()).or_default().push(name);
                            count += 1;
                        }
                    }
                }
            }
        }
        if count == 0 {
            ready.push(name);
        }
        waits_for.insert(name.as_str(), count);
    }
    let mut order = Vec::with_capacity(document.fragments.len());
    while let Some(name) = ready.pop() {
        if let Some(fragment) = document.fragments.get(name) {
            order.push((name, &fragment.node));
        }
        for waiting in spread_by.remove(name.as_str()).unwrap_or_default() {
            if let Some(count) = waits_for.get_mut(waiting.as_str()) {
                *count -= 1;
                if *count == 0 {
                    ready.push(waiting);
                }
            }
        }
    }
    if order.len() < document.fragments.len() {
        return Err(Refusal::bad_input("Fragments spread themselves in a circle. Remove one spread of the circle."));
    }
    Ok(order)
}

/// One argument as written.
pub(super) struct Argument<'a> {
    pub name: &'a str,
    /// The value with null in the place of every variable.
    pub value: Value,
    /// The variables that stand in the value, each as often as it does.
    pub variables: Vec<Name>,
}

/// The arguments of a field or a directive: an [`Argument`] for each pair in `$arguments`.
///
/// A macro, because the engine does not export the type of a value that holds variables under any name. Recursion goes
/// over the value's brackets, which [`super::scan`] bounds.
macro_rules! arguments_of {
    ($node:expr) => {
        $node.arguments.iter().map(|(name, value)| {
            let mut variables = Vec::new();
            let value = value.node.clone().into_const_with(|variable| {
                variables.push(variable);
                Ok::<_, std::convert::Infallible>(async_graphql::Value::Null)
            });
            let value = value.unwrap_or_else(|never| match never {});
            $crate::graphql::guard::shape::Argument { name: name.node.as_str(), value, variables }
        })
    };
}
pub(super) use arguments_of;

impl Argument<'_> {
    /// The bytes that the value takes up; `variable` tells those of a variable.
    pub fn bytes(&self, variable: impl Fn(&str) -> u64) -> u64 {
        let literal = measure(&self.value).1;
        self.variables.iter().fold(literal, |sum, name| sum.saturating_add(variable(name.as_str())))
    }
}

/// How many values stand in a value, itself included, and the bytes that they take up.
pub(super) fn measure(value: &Value) -> (u64, u64) {
    let mut values: u64 = 0;
    let mut bytes: u64 = 0;
    let mut ahead = vec![value];
    while let Some(value) = ahead.pop() {
        values += 1;
        bytes += VALUE_BYTES;
        match value {
            Value::String(text) => bytes += text.len() as u64,
            Value::Binary(binary) => bytes += binary.len() as u64,
            Value::List(items) => ahead.extend(items),
            Value::Object(fields) => {
                for (key, field) in fields {
                    bytes += VALUE_BYTES + key.len() as u64;
                    ahead.push(field);
                }
            }
            Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Enum(_) => {}
        }
    }
    (values, bytes)
}

/// One selection set with all its spreads expanded.
#[derive(Clone, Copy, Default)]
struct Sum {
    visits: u64,
    depth: u64,
    /// Fields of this very level, those of fragments included.
    fields: u64,
    /// Spreads and inline fragments of this very level, those within fragments included.
    spreads: u64,
    /// Values in the arguments of this level's fields, the most that one field has.
    widest_arguments: u64,
}

struct Fold<'a> {
    limits: &'a Limits,
    /// Bytes of each variable: the larger of its value and its defaults.
    sizes: HashMap<&'a str, u64>,
    fragments: HashMap<&'a Name, Sum>,
    cost: Cost,
}

impl<'a> Fold<'a> {
    fn selection_set(&mut self, set: &'a SelectionSet) -> Result<Sum, Refusal> {
        let mut sum = Sum::default();
        for selection in &set.items {
            sum.visits = sum.visits.saturating_add(1 + self.directives(selection.node.directives())?);
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.cost.aliases += u64::from(field.alias.is_some());
                    let values = self.arguments(field.arguments.len(), arguments_of!(field))?;
                    sum.visits = sum.visits.saturating_add(values);
                    sum.fields = sum.fields.saturating_add(1);
                    sum.widest_arguments = sum.widest_arguments.max(values);
                    if !field.selection_set.node.items.is_empty() {
                        let below = self.selection_set(&field.selection_set.node)?;
                        sum.visits = sum.visits.saturating_add(below.visits);
                        sum.depth = sum.depth.max(below.depth + 1);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let spread = self.fragments.get(&spread.node.fragment_name.node).copied();
                    sum.include(spread.unwrap_or_default());
                }
                Selection::InlineFragment(inline) => {
                    let inside = self.selection_set(&inline.node.selection_set.node)?;
                    sum.include(inside);
                }
            }
        }
        // Each field is compared with the first one of its name, argument by argument of that one.
        let steps = sum.fields.saturating_mul(1 + sum.widest_arguments).saturating_add(sum.spreads);
        self.cost.merge_steps = self.cost.merge_steps.saturating_add(steps);
        Ok(sum)
    }

    /// Counts the directives of one place and their arguments; returns their visits.
    fn directives(&mut self, directives: &'a [Positioned<Directive>]) -> Result<u64, Refusal> {
        within(
            directives.len() as u64,
            self.limits.directives as u64,
            "directives at one place",
            "Combine their conditions.",
        )?;
        let mut visits = 0;
        for directive in directives {
            visits += 1 + self.arguments(directive.node.arguments.len(), arguments_of!(directive.node))?;
        }
        Ok(visits)
    }

    /// Counts the `count` arguments of one field or directive; returns how many values they hold as written.
    fn arguments(&mut self, count: usize, arguments: impl Iterator<Item = Argument<'a>>) -> Result<u64, Refusal> {
        within(
            count as u64,
            self.limits.arguments as u64,
            "arguments at one field or directive",
            "Name each argument once.",
        )?;
        let mut visits = 0;
        for argument in arguments {
            visits += measure(&argument.value).0;
            let bytes = argument.bytes(|name| self.sizes.get(name).copied().unwrap_or_default());
            self.cost.argument_bytes = self.cost.argument_bytes.saturating_add(bytes);
        }
        Ok(visits)
    }
}

impl Sum {
    /// Adds a fragment that is spread or written at this level.
    fn include(&mut self, fragment: Sum) {
        self.visits = self.visits.saturating_add(fragment.visits);
        self.depth = self.depth.max(fragment.depth + 1);
        self.fields = self.fields.saturating_add(fragment.fields);
        self.spreads = self.spreads.saturating_add(1).saturating_add(fragment.spreads);
        self.widest_arguments = self.widest_arguments.max(fragment.widest_arguments);
    }
}
