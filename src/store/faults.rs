//! A door for rigs: the database made to fail at a chosen step, as if its connection had broken.
//! Nothing in the product opens it.

use super::error::StoreError;
use std::sync::Arc;

/// What a transaction is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultStep {
    Statement,
    Commit,
}

/// How it shall end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The connection is lost before the step is sent.
    Lost,
    /// The transaction loses a race for locks, and may be run again.
    Conflict,
    /// The step is done and its answer never comes. Of a statement: the same as [`Fault::Lost`].
    AnswerLost,
}

type Chooser = dyn Fn(FaultStep) -> Fault + Send + Sync;

/// Which steps fail. The default: none.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Chooser>>);

impl Faults {
    /// `choose` is asked before every statement and every COMMIT of a writing transaction.
    pub fn new(choose: impl Fn(FaultStep) -> Fault + Send + Sync + 'static) -> Self {
        Faults(Some(Arc::new(choose)))
    }

    pub(super) fn at(&self, step: FaultStep) -> Fault {
        self.0.as_ref().map_or(Fault::None, |choose| choose(step))
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Faults(..)" } else { "Faults(none)" })
    }
}

pub(super) fn injected() -> StoreError {
    StoreError::Unavailable("the connection broke (on purpose)".into())
}
