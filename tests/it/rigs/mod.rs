//! Rigs: one promise each, held under a load as long as one likes.
//!
//! `SALUR_COUNT` says how long (of what, each rig says itself), `SALUR_SEED` which. A rig that ends
//! well prints one line of figures for each database; a violation is a failed test.

mod corruptions;
mod documents;
mod extremes;
mod fairness;
mod holds;
mod keys;
mod locks;
mod planted;
mod required;
mod sampler;
mod statements;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use salur::audit::signing::SigningKey;
use salur::audit::{Leaf, Value};
use salur::service::audit_log::sequence_all;
use salur::store::Store;

use crate::cli::Home;
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::world::World;

/// How long a rig runs: `SALUR_COUNT`, else `usual`.
fn times(usual: u64) -> u64 {
    std::env::var("SALUR_COUNT").map_or(usual, |n| n.parse().expect("SALUR_COUNT is a whole number"))
}

/// The line of a rig that found nothing.
fn figures(rig: &str, db: &TestDatabase, n: u64, more: impl Display) {
    println!("rig={rig} db={} n={n} violations=0 {more}", db.kind());
}

/// The stores that take part: two servers where several may write, the one server otherwise.
async fn stores(world: &World) -> Vec<Store> {
    match world.db.kind() {
        Kind::Postgres => vec![world.store.clone(), world.replica().await],
        Kind::Sqlite => vec![world.store.clone()],
    }
}

/// How long callers waited for their answers.
#[derive(Default)]
struct Waits(Vec<Duration>);

impl Waits {
    fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        assert!(!self.0.is_empty(), "nobody waited");
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

impl Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut own = Waits(self.0.clone());
        let [p50, p99, max] = [50, 99, 100].map(|percent| own.percentile(percent).as_millis());
        write!(f, "p50_ms={p50} p99_ms={p99} max_ms={max}")
    }
}

/// Looks at every version that a need ever had, in the order of the log: none promises more than it
/// requires. Answers how many there were.
async fn every_version_was_within_bounds(world: &World) -> u64 {
    let home = Home::new();
    let key = SigningKey::create_or_load(&home.path("key.pem")).expect("a key is made");
    let key = Arc::new(key);
    // On PostgreSQL a transaction of another test may hold entries back for a moment.
    loop {
        sequence_all(&world.store, &key).await.expect("entries get their numbers");
        let head = world.store.audit_checkpoint().await.expect("heads are read").expect("there is one");
        if head.head.size == world.store.audit_entries().await.expect("entries are counted") {
            break;
        }
        tokio::task::yield_now().await;
    }
    let (mut after, mut versions) = (0, 0);
    loop {
        let leaves = world.store.audit_leaves(after, 1_000).await.expect("leaves are read");
        if leaves.is_empty() {
            return versions;
        }
        after += leaves.len() as u64;
        for leaf in leaves {
            let leaf = Leaf::parse(&leaf).expect("a leaf is canonical");
            if !leaf.subject.starts_with("need-") {
                continue;
            }
            let [required, reserved, delivered] = ["required", "reserved", "delivered"].map(|name| {
                let Value::Integer(n) = leaf.state[name] else { panic!("{leaf:?}") };
                n
            });
            assert!(reserved >= 0 && delivered >= 0 && reserved + delivered <= required, "{leaf:?}");
            versions += 1;
        }
    }
}
