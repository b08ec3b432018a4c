//! PostgreSQL is killed again and again under a server that stays. Callers are told to send the same
//! request again, and the server recovers by itself.

use super::crowd::{CALLERS, Callers, Site};
use crate::harness::database::TestDatabase;
use crate::harness::postgres::PostgresServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_killed_database() {
    let n = super::count(3);
    let (mut dice, seed) = super::dice("postgres-kills");
    let mut postgres = PostgresServer::create().await;
    let site = Site::settle(TestDatabase::on_server(&postgres.url(), "").await).await;
    let server = site.serve().await;
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    for _ in 0..n {
        callers.more("claims are answered", |crowd| &crowd.definite, dice.between(1, 100) as u64).await;
        postgres.kill9().await;
        postgres.start().await;
    }
    callers.finish().await;
    assert!(server.is_running(), "{}", server.last_words());
    site.reckon(server).await.show("postgres-kills", site.db.kind(), n, seed, "");
}
