//! The guard before the GraphQL engine: decides in bounded time and memory whether a document may be run.
//!
//! The engine's parser recurses over nested brackets, its validation follows fragments without memory and its
//! execution runs whatever the document multiplies out to. Each of these lets a few hundred bytes cost minutes or the
//! process. [`admit`] therefore goes through a request in four stages, each of which makes the next one safe:
//!
//! 1. [`scan`]: one linear pass over the text, before any parser, bounds its size, tokens and nesting;
//! 2. [`scan_variables`]: the same for the variables;
//! 3. [`check`]: bounds what validation will visit, with every fragment counted once and remembered;
//! 4. [`estimate`]: bounds what execution will visit, with a bound for every list.
//!
//! Pure: no clock, no I/O, no schema. Messages name the limit and the way out, never the content of the document.
//! Absent on purpose: the body limit, the refusal of batches and of GET, and the time-outs, which are HTTP's.

#[cfg(test)]
mod bombs;
mod estimate;
mod scan;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use async_graphql::{
    Request,
    parser::{self, parse_query, types::Selection},
};

pub use estimate::estimate;
pub use scan::{ScanStats, VariableStats, scan, scan_variables};
pub use shape::{Cost, check};

/// What a document may ask for. Every bound is inclusive.
///
/// [`Limits::default`] holds the numbers of production with the arithmetic behind each; tests narrow single ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Length of the document's text in bytes.
    pub document_bytes: usize,
    /// Lexical tokens of the document; blanks, commas and comments are free.
    pub tokens: usize,
    /// Open `{`, `[` and `(` at any point of the document.
    pub nesting: usize,
    /// Length of one name or number in bytes.
    pub word_bytes: usize,
    /// Levels of lists and objects within the variables, the variables' own object not counted.
    pub variable_nesting: usize,
    /// Values within the variables: every scalar, list and object.
    pub variable_values: usize,
    /// Length of one key within the variables in bytes.
    pub variable_key_bytes: usize,
    /// Operations of the document.
    pub operations: usize,
    /// Fragment definitions of the document.
    pub fragments: usize,
    /// Variables that one operation defines.
    pub variable_definitions: usize,
    /// Directives at one place of the document.
    pub directives: usize,
    /// Arguments of one field or directive.
    pub arguments: usize,
    /// Fields at the top of one operation, fragments expanded.
    pub root_fields: u64,
    /// Fields with an alias, as written.
    pub aliases: u64,
    /// Levels of selection sets of an operation or a fragment, spreads included.
    pub depth: u64,
    /// Selections, argument values and directives of all operations with every spread expanded.
    pub visits: u64,
    /// Steps of the validation that compares the fields of each selection set, spreads expanded once per set.
    pub merge_steps: u64,
    /// Bytes that all arguments take up as written, every variable counted at each use.
    pub argument_bytes: u64,
    /// The weight of one operation; see [`estimate`].
    pub complexity: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // The body limit; the rest of the body only makes the document shorter.
            document_bytes: 256 * 1024,
            // A claim of 500 lines written inline has 4,039, and would have 6,100 with 12 tokens a line. The standard
            // introspection query has 183. Parsing 10,000 tokens takes about 15 ms and 7 MiB.
            tokens: 10_000,
            // The introspection query needs 10, a MultiPolygon inline 10. The engine stops at 32 selection sets.
            // Parsing and running 32 levels takes less than 768 KiB of stack even in a debug build, of the 2 MiB of a thread.
            nesting: 32,
            // The longest name of the schema has 21 bytes, the longest useful number 25. The engine repeats names in
            // its error messages, so a long name would multiply into the answer.
            word_bytes: 128,
            // A GeoJSON MultiPolygon within a filter needs 7, within a GeometryCollection 9.
            variable_nesting: 24,
            // A polygon of 13,000 points fills the body with 39,000 values; a claim of 500 lines has 1,500.
            variable_values: 50_000,
            variable_key_bytes: 128,
            // Only one operation runs; the others are validated all the same.
            operations: 10,
            // One for each type of the schema and some more; the introspection query has 3.
            fragments: 100,
            variable_definitions: 100,
            // `@include` and `@skip`, with room for one's own.
            directives: 4,
            // The schema's widest field takes 5.
            arguments: 16,
            root_fields: 20,
            aliases: 500,
            // The engine's own bound, checked here before the engine walks the fragments without memory. The
            // introspection query needs 17.
            depth: 32,
            // Twice what 10,000 tokens can say without any fragment. Validation passes over them three times,
            // at under 1 µs each.
            visits: 20_000,
            // The engine compares the fields of each selection set anew and may report an error of some 300 bytes at
            // each step, so 6 MB of errors. The introspection query has about 150 steps.
            merge_steps: 20_000,
            // Validation and execution clone every argument, and an error may repeat it. Three uses of a variable that
            // fills the body with numbers.
            argument_bytes: 8 * 1024 * 1024,
            // About 1 µs a unit: the largest admitted answer takes some 0.2 s of resolving plain fields.
            complexity: 200_000,
        }
    }
}

/// Why a document was turned away, in the words of the API's error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// The document asks for more than a limit allows.
    TooComplex,
    /// The document is no GraphQL, or its fragments have no end.
    BadInput,
}

impl RefusalCode {
    /// The code as it stands in an error's extensions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooComplex => "TOO_COMPLEX",
            Self::BadInput => "BAD_INPUT",
        }
    }
}

/// A document turned away. Repeating it cannot help; the message says which limit it meets and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    /// A sentence for people; holds numbers and positions, nothing of the document's content.
    pub message: String,
}

impl Refusal {
    fn too_complex(message: impl Into<String>) -> Self {
        Self { code: RefusalCode::TooComplex, message: message.into() }
    }

    fn bad_input(message: impl Into<String>) -> Self {
        Self { code: RefusalCode::BadInput, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Lets a request pass to the engine or refuses it; the one door for HTTP and WebSocket alike.
///
/// After `Ok` the request carries its parsed document, so the engine does not parse again. A syntax error is answered
/// here, because the engine's message for it repeats a line of the document, however long and whatever it holds.
///
/// # Errors
///
/// The first limit that the request exceeds, stages and limits in a fixed order; BAD_INPUT with line and column where
/// the document is no GraphQL.
pub fn admit(request: &mut Request, limits: &Limits) -> Result<(), Refusal> {
    scan(&request.query, limits)?;
    scan_variables(&request.variables, limits)?;
    let document = parse_query(&request.query).map_err(|error| syntax_refusal(&error))?;
    weigh(request, document, limits)
}

/// As [`admit`], with the document that the request's text was parsed into before. What it weighs depends on the
/// variables, too, so that is found anew.
///
/// # Errors
///
/// As those of [`admit`].
pub fn admit_parsed(
    request: &mut Request,
    document: parser::types::ExecutableDocument,
    limits: &Limits,
) -> Result<(), Refusal> {
    scan_variables(&request.variables, limits)?;
    weigh(request, document, limits)
}

fn weigh(request: &mut Request, document: parser::types::ExecutableDocument, limits: &Limits) -> Result<(), Refusal> {
    check(&document, &request.variables, limits)?;
    estimate(&document, request.operation_name.as_deref(), &request.variables, limits)?;
    request.set_parsed_query(document);
    Ok(())
}

/// The fields at the top of an admitted request's operations, each once; `__typename` and the like,
/// which are everybody's, left out.
pub fn root_fields(request: &mut Request) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Ok(document) = request.parsed_query() else { return names };
    let (mut open, mut spread) = (Vec::new(), HashSet::new());
    open.extend(document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node));
    while let Some(set) = open.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if field.node.name.node.starts_with("__") => {}
                Selection::Field(field) => {
                    names.insert(field.node.name.node.to_string());
                }
                Selection::InlineFragment(inline) => open.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(named) => {
                    let name = &named.node.fragment_name.node;
                    if spread.insert(name) {
                        open.extend(document.fragments.get(name).map(|f| &f.node.selection_set.node));
                    }
                }
            }
        }
    }
    names
}

/// The parser's error without the text that it quotes.
fn syntax_refusal(error: &parser::Error) -> Refusal {
    let complaint = match error {
        parser::Error::OperationDuplicated { .. } => "defines two operations of one name",
        parser::Error::FragmentDuplicated { .. } => "defines two fragments of one name",
        parser::Error::MultipleOperations { .. } => "holds a nameless operation beside another one",
        parser::Error::MissingOperation => "holds no operation",
        _ => "is not valid GraphQL",
    };
    let place =
        error.positions().next().map(|at| format!(" at line {}, column {}", at.line, at.column)).unwrap_or_default();
    Refusal::bad_input(format!("The document {complaint}{place}. Correct it and send it again."))
}

/// Refuses with TOO_COMPLEX where `asked` exceeds `limit`.
fn within(asked: u64, limit: u64, what: &str, advice: &str) -> Result<(), Refusal> {
    if asked <= limit {
        return Ok(());
    }
    Err(Refusal::too_complex(format!("The document has {asked} {what}; at most {limit} are served. {advice}")))
}
