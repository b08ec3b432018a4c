//! How far a test had come when it failed.

use salur::metrics::Readings;
use salur::store::Store;

/// Prints its count where it is dropped by a failing test.
pub struct HowFar {
    what: &'static str,
    count: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl HowFar {
    pub fn of(what: &'static str, count: impl Fn() -> u64 + Send + Sync + 'static) -> HowFar {
        HowFar { what, count: Box::new(count) }
    }

    /// Counts what this store has committed.
    pub fn writes_of(store: &Store) -> HowFar {
        let metrics = store.metrics().clone();
        HowFar::of("committed writes", move || {
            let page = metrics.page(Readings::default()).unwrap_or_default();
            let sum = page.lines().find_map(|line| line.strip_prefix("salur_group_size_sum "));
            sum.and_then(|sum| sum.parse::<f64>().ok()).unwrap_or_default() as u64
        })
    }
}

impl Drop for HowFar {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("violated after {} {}", (self.count)(), self.what);
        }
    }
}
