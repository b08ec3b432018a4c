//! What was read a moment ago, so that a caller who asks a hundred times a second is not looked up
//! a hundred times. Nothing here is older than a second: what is taken from somebody is gone by then,
//! on every server.

use crate::metrics::Stopwatch;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FRESH: Duration = Duration::from_secs(1);

/// Bounds the memory; whoever is forgotten is read again.
const MOST: usize = 10_000;

pub(super) struct Fresh<K, V>(Mutex<HashMap<K, (Stopwatch, V)>>);

impl<K, V> Default for Fresh<K, V> {
    fn default() -> Self {
        Fresh(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Fresh<K, V> {
    /// Fresh still, or as `read` finds it. Only what is there is kept.
    pub async fn or_read<E>(&self, key: K, read: impl Future<Output = Result<Option<V>, E>>) -> Result<Option<V>, E> {
        let kept = self.lock().get(&key).filter(|(since, _)| since.elapsed() < FRESH).map(|(_, value)| value.clone());
        if kept.is_some() {
            return Ok(kept);
        }
        // From before the read: what changes meanwhile is not taken for newer than it is.
        let since = Stopwatch::start();
        let found = read.await?;
        let mut kept = self.lock();
        if kept.len() >= MOST {
            kept.retain(|_, (since, _)| since.elapsed() < FRESH);
        }
        match &found {
            Some(value) if kept.len() < MOST => kept.insert(key, (since, value.clone())),
            _ => kept.remove(&key),
        };
        Ok(found)
    }

    /// Reads everything anew from now on: something was taken from somebody on this server.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, (Stopwatch, V)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
