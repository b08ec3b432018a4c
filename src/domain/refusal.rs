//! Why the world says no. A refused claim is an answer, not an error: it names each line,
//! what is free of it, and when a hold on it ends.

use super::calendar::Moment;
use super::ids::NeedId;
use super::quantity::Quantity;

/// Where several apply to one line, the one declared first is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalReason {
    /// No such need, or none that the caller may see.
    NotFound,
    /// The need is not verified, or it is closed.
    NotOpen,
    /// A rule of the program or of the offer stands against it.
    Rule,
    /// Others have taken what was asked for.
    NotEnoughFree,
}

impl RefusalReason {
    pub fn word(self) -> &'static str {
        match self {
            RefusalReason::NotFound => "NOT_FOUND",
            RefusalReason::NotOpen => "NOT_OPEN",
            RefusalReason::Rule => "RULE",
            RefusalReason::NotEnoughFree => "NOT_ENOUGH_FREE",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [RefusalReason::NotFound, RefusalReason::NotOpen, RefusalReason::Rule, RefusalReason::NotEnoughFree]
            .into_iter()
            .find(|r| r.word() == word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRefusal {
    pub need: NeedId,
    pub requested: Quantity,
    pub free: Quantity,
    pub reason: RefusalReason,
    /// The earliest moment at which a hold on the need runs out.
    pub frees_at: Option<Moment>,
}
