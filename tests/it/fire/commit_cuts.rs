//! The connection to PostgreSQL is cut around COMMIT. Whoever repeats the key learns what became of
//! it, and nobody is ever told what is not so.

use super::crowd::{CALLERS, Callers, Site};
use crate::harness::database::TestDatabase;
use crate::harness::proxy::{Cut, Proxy};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_is_told_truthfully() {
    let n = super::count(100);
    let (mut dice, seed) = super::dice("commit-cuts");
    let site = Site::settle(TestDatabase::postgres().await).await;
    let url = site.db.url();
    let (before, rest) = url.split_once('@').expect("a user");
    let (target, database) = rest.split_once('/').expect("a database");
    let target = target.parse().expect("the test server's address is a number and a port");
    // Every claim enters its key first.
    let proxy = Proxy::before(target, "INTO idempotency", 50, dice.another()).await;
    let server = site.serve_over(&format!("{before}@{}/{database}", proxy.address)).await;
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    while proxy.cuts() < n {
        callers.more("claims are answered", |crowd| &crowd.definite, 1).await;
    }
    callers.finish().await;
    assert!(server.is_running(), "{}", server.last_words());
    // Those who repeat their keys are cut off as well.
    let reckoning = site.reckon(server).await;
    let [before, behind, unanswered] = [Cut::Before, Cut::Behind, Cut::Unanswered].map(|cut| proxy.count(cut));
    let more = format!("before={before} behind={behind} answer-lost={unanswered} ");
    reckoning.show("commit-cuts", site.db.kind(), proxy.cuts(), seed, &more);
}
