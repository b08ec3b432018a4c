//! What can go wrong in the store, in the words of those who call it.

use super::dialect::{Dialect, Trouble};
use crate::domain::ids::WrongId;
use sea_orm::DbErr;

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no such record, or it is not the caller's: the two answer alike.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("{field}: {problem}")]
    BadInput { field: &'static str, problem: String },
    #[error("the record has changed since it was read")]
    VersionConflict,
    #[error("{0}")]
    Illegal(String),
    /// Not for this caller, whose right depends on what is stored.
    #[error("{0}")]
    Forbidden(String),
    #[error("the key has been used before, with other input")]
    KeyReused,
    /// The database is away or busy. The outcome may be unknown; the same call may be repeated.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Our own mistake: a constraint had to refuse what a rule let through, a row that cannot be read.
    #[error("fault: {0}")]
    Fault(String),
}

impl StoreError {
    pub fn bad(field: &'static str, problem: impl Into<String>) -> Self {
        StoreError::BadInput { field, problem: problem.into() }
    }

    pub(super) fn from_db(dialect: Dialect, error: &DbErr) -> Self {
        match dialect.explain(error) {
            Trouble::Conflict => StoreError::Unavailable(format!("busy: {error}")),
            Trouble::Away => StoreError::Unavailable(error.to_string()),
            Trouble::Taken(name) | Trouble::Constraint(name) => {
                StoreError::Fault(format!("constraint {name} refused a write"))
            }
            Trouble::Other => StoreError::Fault(error.to_string()),
        }
    }

    pub(super) fn corrupt(what: &str) -> Self {
        StoreError::Fault(format!("a stored {what} cannot be read"))
    }
}

impl From<WrongId> for StoreError {
    fn from(_: WrongId) -> Self {
        StoreError::NotFound("record")
    }
}
