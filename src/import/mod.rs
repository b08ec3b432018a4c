//! Files in, a plan and a report out.
//!
//! An import has two steps. Here is the first: bytes of files, and what stands already (a
//! [`Reference`]), become a plan of what the files ask for and a [`Report`] that accounts for every
//! row. Nothing here knows a database or a clock, and nothing is changed. The second step publishes
//! a plan as a whole or not at all; a dry run stops before it.
//!
//! Three rules hold throughout. Codes are text, and whether they are the Ministry's or BPS's is
//! said, never guessed. Names are compared by their letters alone, or by a reviewed alias, never by
//! likeness. What a file leaves empty is left as it stands.

pub mod areas;
mod cells;
pub mod columns;
pub mod distributions;
mod features;
mod identity;
pub mod names;
pub mod needs;
pub mod programs;
pub mod reference;
pub mod report;
pub mod rules;
mod source;
mod table;

#[cfg(test)]
mod samples;

pub use areas::{AreaOptions, AreaPlan, PlannedArea, plan_areas};
pub use columns::{CodeSystem, ColumnMap};
pub use distributions::{DistributionPlan, PlannedDistribution, plan_distributions};
pub use names::Aliases;
pub use needs::{NeedPlan, PlannedNeed, plan_needs};
pub use programs::{PlannedItem, PlannedProgram, ProgramPlan, plan_programs};
pub use reference::{KnownArea, KnownDistribution, KnownItem, KnownNeed, KnownProgram, Reference, shape_digest};
pub use report::{Change, FileReport, Matches, Note, Report};
pub use rules::{PlannedRule, RuleKind, read_rules};
pub use source::{MAX_FILE_BYTES, SourceFile};

/// A whole file is refused: one line that says where, what was seen and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ImportError {
    /// The file's name, or the option that is at fault.
    pub place: String,
    pub reason: String,
}

impl ImportError {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        ImportError { place: place.into(), reason: reason.into() }
    }
}
