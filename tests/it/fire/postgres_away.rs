//! The database goes away and comes back, or is there and lets nobody in. Callers are told to send
//! the same request again, and the server recovers by itself.

use sea_orm::ConnectionTrait;

use super::crowd::{CALLERS, Callers, Site};
use crate::harness::books::connect;
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::postgres::{PostgresServer, Stop};
use crate::harness::process::until;
use crate::on_both_databases;

on_both_databases!(a_database_that_lets_nobody_in_is_waited_for_and_then_said_to_be_away);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_database_is_said_to_be_away_until_it_is_back() {
    let n = super::count(2);
    let (mut dice, seed) = super::dice("postgres-away");
    let mut postgres = PostgresServer::create().await;
    let site = Site::settle(TestDatabase::on_server(&postgres.url(), "").await).await;
    let server = site.serve().await;
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    for _ in 0..n {
        callers.more("claims are answered", |crowd| &crowd.definite, dice.between(1, 50) as u64).await;
        postgres.stop(if dice.chance(50) { Stop::Immediate } else { Stop::Fast }).await;
        until("the server says that it is not ready", async || !server.is_ready().await).await;
        callers.more("callers are told", |crowd| &crowd.unavailable, 1).await;
        postgres.start().await;
        until("the server is ready by itself", || server.is_ready()).await;
    }
    callers.finish().await;
    assert!(server.is_running(), "{}", server.last_words());
    site.reckon(server).await.show("postgres-away", site.db.kind(), n, seed, "");
}

/// More than the server has connections: some wait for a lock, the others for a connection.
const MORE_THAN_CONNECTIONS: usize = 48;

async fn a_database_that_lets_nobody_in_is_waited_for_and_then_said_to_be_away(db: TestDatabase) {
    let n = super::count(1);
    let (mut dice, seed) = super::dice("locked-out");
    let site = Site::settle(db).await;
    let server = site.serve().await;
    let mut callers = Callers::start(&site, &mut dice, MORE_THAN_CONNECTIONS);
    let own = connect(&site.db).await;
    let (lock, more): (&[&str], _) = match site.db.kind() {
        Kind::Sqlite => (&["BEGIN IMMEDIATE"], 8),
        Kind::Postgres => (&["BEGIN", "LOCK TABLE need IN EXCLUSIVE MODE"], 24),
    };
    for _ in 0..n {
        callers.more("claims are answered", |crowd| &crowd.definite, dice.between(1, 50) as u64).await;
        for sql in lock {
            // Others want it, too.
            until("it is our turn to lock", async || own.execute_unprepared(sql).await.is_ok()).await;
        }
        callers.more("callers are told", |crowd| &crowd.unavailable, more).await;
        own.execute_unprepared("ROLLBACK").await.expect("the lock is given back");
        callers.more("claims are answered again", |crowd| &crowd.definite, 100).await;
    }
    own.close().await.expect("nothing is running");
    callers.finish().await;
    until("the server is ready by itself", || server.is_ready()).await;
    site.reckon(server).await.show("locked-out", site.db.kind(), n, seed, "");
}
