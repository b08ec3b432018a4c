//! The server is killed again and again while it is used. What it acknowledged is there, what it did
//! not acknowledge is wholly there or not at all, and a key tells which.

use super::crowd::{CALLERS, Callers, Site};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(what_a_killed_server_acknowledged_is_there);

async fn what_a_killed_server_acknowledged_is_there(db: TestDatabase) {
    let n = super::count(5);
    let (mut dice, seed) = super::dice("server-kills");
    let site = Site::settle(db).await;
    let mut server = site.serve().await;
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    for _ in 0..n {
        // In the middle of whatever the server does after so many answers.
        callers.more("claims are answered", |crowd| &crowd.definite, dice.between(1, 100) as u64).await;
        server.kill9();
        server = site.serve().await;
    }
    callers.finish().await;
    site.reckon(server).await.show("server-kills", site.db.kind(), n, seed, "");
}
