//! P10: whoever moves claims takes the locks of their needs in one order, so that nobody ever waits in a
//! circle. A deadlock that is run again reaches no caller, hence it is PostgreSQL who is asked for them.
//! `SALUR_COUNT` counts claims that are held, confirmed and released.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use salur::domain::ids::NeedId;
use salur::store::{ClaimOutcome, ConfirmClaim, ReleaseClaim};
use tokio::task::JoinSet;

use super::{figures, stores, times};
use crate::harness::books::{check_books, connect, number};
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::process::until;
use crate::harness::world::{ANY_CLAIM, World};

/// Callers at the same time.
const CALLERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_ever_waits_in_a_circle_for_needs() {
    let mut dice = Dice::from_environment("nobody_ever_waits_in_a_circle_for_needs");
    let world = Arc::new(World::with_map(TestDatabase::postgres().await).await);
    let needs = world.needs(&[1_000_000; 30]).await;
    let stores = stores(&world).await;
    let (count, begun) = (times(120), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (world, mut needs, begun, mut dice) = (world.clone(), needs.clone(), begun.clone(), dice.another());
        let store = stores[caller % stores.len()].clone();
        callers.spawn(async move {
            while begun.fetch_add(1, Ordering::SeqCst) < count {
                dice.shuffle(&mut needs);
                let mut lines: Vec<(NeedId, i64)> = needs.iter().take(10).map(|need| (*need, 1)).collect();
                lines.sort_unstable();
                let opened = store.execute(world.asks(world.donors[caller % 3], &lines)).await;
                let Ok(ClaimOutcome::Accepted { claim: id, .. }) = opened else {
                    panic!("there is enough: {opened:?}")
                };
                let (author, access) = (None, ANY_CLAIM);
                store.execute(ConfirmClaim { author, id, access }).await.expect("no error reaches a caller");
                let release = ReleaseClaim { author, id, access, reason: None };
                store.execute(release).await.expect("no error reaches a caller");
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("no caller panics");
    }
    check_books(&world).await;
    // A connection tells of its deadlocks at its end at the latest.
    for store in &stores {
        store.close().await;
    }
    let own = connect(&world.db).await;
    let ask = async |what| {
        let sql = format!("SELECT {what}::bigint AS n FROM pg_stat_database WHERE datname = current_database()");
        number(&world.db, &own, &sql).await
    };
    // Ours and those of followers, who lock nothing, may stay.
    until("the connections that wrote are closed", || async { ask("numbackends").await <= 1 + stores.len() as i64 })
        .await;
    assert_eq!(ask("deadlocks").await, 0);
    figures("locks", &world.db, count, format!("deadlocks=0 callers={CALLERS}"));
}
