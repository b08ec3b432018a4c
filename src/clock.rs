//! How far our time is moved against the database's clock.
//!
//! The database's clock decides when a hold ends, on every replica alike. A rig may move it
//! forward, so that a day's hold can be seen to end without waiting for a day; a server never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// From now on, everybody who shares this clock is `by` later.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    pub fn offset_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
