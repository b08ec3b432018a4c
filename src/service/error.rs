//! What a caller is told when something cannot be done: a code, whether repeating can help, and a
//! sentence. Causes stay in the log, under a reference that the caller is given.

use crate::atlas::QueryError;
use crate::store::StoreError;
use crate::telemetry::reference;
use std::fmt;

/// The codes of the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    Unauthenticated,
    Forbidden,
    NotFound,
    BadInput,
    KeyReused,
    VersionConflict,
    IllegalTransition,
    TooComplex,
    RateLimited,
    Unavailable,
    Internal,
}

impl Code {
    pub const ALL: [Code; 11] = [
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::BadInput,
        Code::KeyReused,
        Code::VersionConflict,
        Code::IllegalTransition,
        Code::TooComplex,
        Code::RateLimited,
        Code::Unavailable,
        Code::Internal,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Code::Unauthenticated => "UNAUTHENTICATED",
            Code::Forbidden => "FORBIDDEN",
            Code::NotFound => "NOT_FOUND",
            Code::BadInput => "BAD_INPUT",
            Code::KeyReused => "KEY_REUSED",
            Code::VersionConflict => "VERSION_CONFLICT",
            Code::IllegalTransition => "ILLEGAL_TRANSITION",
            Code::TooComplex => "TOO_COMPLEX",
            Code::RateLimited => "RATE_LIMITED",
            Code::Unavailable => "UNAVAILABLE",
            Code::Internal => "INTERNAL",
        }
    }

    pub fn retry(self) -> Retry {
        match self {
            Code::RateLimited | Code::Unavailable => Retry::SameKey,
            Code::KeyReused | Code::VersionConflict => Retry::NewKey,
            Code::Unauthenticated
            | Code::Forbidden
            | Code::NotFound
            | Code::BadInput
            | Code::IllegalTransition
            | Code::TooComplex
            | Code::Internal => Retry::Never,
        }
    }
}

/// Whether sending a request again can help, and under which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The outcome may be unknown; the same request under the same key makes it definite.
    SameKey,
    /// Read anew, decide anew, and send under a new key.
    NewKey,
    Never,
}

impl Retry {
    pub fn word(self) -> &'static str {
        match self {
            Retry::SameKey => "SAME_KEY",
            Retry::NewKey => "NEW_KEY",
            Retry::Never => "NEVER",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    pub code: Code,
    /// Safe to show: no cause, no value that the caller sent.
    pub message: String,
    /// Names the log line that holds the cause.
    pub reference: Option<String>,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServiceError {}

impl ServiceError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        ServiceError { code, message: message.into(), reference: None }
    }

    pub fn bad(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(Code::BadInput, format!("{field}: {problem}"))
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what}"))
    }

    /// Logs the cause once and answers with a reference to it.
    pub fn fault(cause: impl fmt::Display) -> Self {
        let reference = reference();
        tracing::error!(reference, cause = %cause, "a request met a fault");
        ServiceError {
            code: Code::Internal,
            message: format!("something went wrong on our side; please quote {reference}"),
            reference: Some(reference),
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => ServiceError::not_found(what),
            StoreError::BadInput { field, problem } => ServiceError::bad(field, problem),
            StoreError::VersionConflict => {
                ServiceError::new(Code::VersionConflict, "the record has changed since it was read; read it again")
            }
            StoreError::Illegal(why) => ServiceError::new(Code::IllegalTransition, why),
            StoreError::Forbidden(why) => ServiceError::new(Code::Forbidden, why),
            StoreError::KeyReused => ServiceError::new(
                Code::KeyReused,
                "this idempotency key has been used with other input; choose a new key for a new request",
            ),
            StoreError::Unavailable(cause) => {
                let reference = reference();
                tracing::warn!(reference, cause, "the database did not answer");
                ServiceError {
                    code: Code::Unavailable,
                    message: "the database is busy or away; send the same request again with the same key".into(),
                    reference: Some(reference),
                }
            }
            StoreError::Fault(cause) => ServiceError::fault(cause),
        }
    }
}

impl From<QueryError> for ServiceError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::BadCursor => {
                ServiceError::bad("after", "is not a cursor of this list; use one from an earlier page of it")
            }
            QueryError::NearestNeedsPoint => ServiceError::bad("where.near", "must be given to order by NEAREST"),
            QueryError::TooMany(rows) => ServiceError::new(
                Code::TooComplex,
                format!("{rows} rows are more than 5000; narrow the filter, or draw from tiles"),
            ),
        }
    }
}
