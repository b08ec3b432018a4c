//! Callers close their connection right after they have asked. What they asked for happens wholly or
//! not at all, their key tells which, and the server loses no connection of its own over it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;

use super::crowd::Site;
use crate::harness::books::{connect, rows};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::process::within;
use crate::on_both_databases;

on_both_databases!(a_caller_who_hangs_up_learns_from_the_key_what_happened);

/// Those who call at the same time.
const AT_ONCE: usize = 64;

async fn a_caller_who_hangs_up_learns_from_the_key_what_happened(db: TestDatabase) {
    let n = super::count(320);
    let (mut dice, seed) = super::dice("hang-ups");
    let site = Site::settle(db).await;
    let server = site.serve().await;
    let begun = std::sync::Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for caller in 0..AT_ONCE {
        let (crowd, begun, mut dice) = (site.crowd.clone(), begun.clone(), dice.another());
        tasks.spawn(async move {
            let mut client = crowd.client(caller);
            let (mut later, mut happened) = (Vec::new(), 0);
            let mut serials = 0..;
            while begun.fetch_add(1, Relaxed) < n {
                let wish = crowd.wish(&mut dice, caller, serials.next().unwrap_or_default());
                let patience = Duration::from_millis(dice.between(0, 50) as u64);
                client.leave_after(&wish.body(), patience, dice.chance(50)).await.expect("the server takes requests");
                later.push(wish);
                // Some come back while their request may still be under way, the others much later.
                if dice.chance(50) {
                    let wish = later.pop().expect("it was just put there");
                    happened += usize::from(crowd.ask(&mut client, wish).await);
                }
            }
            for wish in later {
                happened += usize::from(crowd.ask(&mut client, wish).await);
            }
            happened
        });
    }
    let mut happened = 0;
    while let Some(ended) = tasks.join_next().await {
        happened += ended.expect("a caller met what must not be");
    }
    assert!(server.is_ready().await, "{}", server.last_words());
    if site.db.kind() == Kind::Postgres {
        nobody_is_left_inside(&site.db).await;
    }
    let more = format!("happened={happened} ");
    site.reckon(server).await.show("hang-ups", site.db.kind(), n, seed, &more);
}

/// Every transaction that is open now ends well before the database would end it.
async fn nobody_is_left_inside(db: &TestDatabase) {
    let own = connect(db).await;
    let open = async || -> Vec<(i32, String)> {
        let sql = "SELECT pid, CAST(xact_start AS text) AS since FROM pg_stat_activity
                   WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        let read = |row: &sea_orm::QueryResult| {
            (row.try_get("", "pid").expect("a number"), row.try_get("", "since").expect("a text"))
        };
        rows(db, &own, sql).await.iter().map(read).collect()
    };
    let before = open().await;
    within(Duration::from_secs(10), "the open transactions end", || async {
        let now = open().await;
        !before.iter().any(|one| now.contains(one))
    })
    .await;
}
