//! Replicas whose database is another one from one moment to the next: a standby takes over, or a backup
//! is restored under them.

use super::{Own, Replicas, allocated, claimed, claims, claims_under, health, stored};
use crate::fire::crowd::{CALLERS, Callers, Site};
use crate::fire::{count, dice};
use crate::harness::actors::{FOOD, RT_11, RT_12, Town};
use crate::harness::books;
use crate::harness::database::TestDatabase;
use crate::harness::postgres::{PostgresServer, Stop};
use crate::harness::process::{ServerProcess, until};
use crate::harness::road::Road;
use crate::operations::home_of;

fn over(road: &Road) -> String {
    format!("postgres://postgres@{}/postgres", road.address)
}

/// `SALUR_COUNT` primaries die.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_under_writers_and_every_replica_follows_it() {
    let n = count(1);
    let (mut dice, seed) = dice("fail-over");
    let mut primary = PostgresServer::create().await;
    let mut standby = primary.standby().await;
    primary.commit_only_with(&standby).await;
    let road = Road::to(&[primary.address()]).await;
    let site = Site::settle(TestDatabase::on_server(&over(&road), "").await).await;
    let mut replicas = Replicas::start_in(&site.home, site.db.url(), &[]).await;
    let balancer = Road::to(&replicas.addresses()).await;
    site.served_at(balancer.address);
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    for _ in 0..n {
        callers.more("claims are answered", |crowd| &crowd.definite, dice.between(50, 150) as u64).await;
        primary.kill9().await;
        standby.promote().await;
        road.lead_to(standby.address());
        primary = standby;
        callers.more("claims are answered again", |crowd| &crowd.definite, dice.between(50, 150) as u64).await;
        standby = primary.standby().await;
        primary.commit_only_with(&standby).await;
    }
    callers.finish().await;
    replicas.agree_with(&site.db).await;
    assert!(replicas.servers.iter().all(|server| server.is_running()));
    let last = replicas.servers.pop().expect("there are three");
    site.reckon(last).await.show("fail-over", site.db.kind(), n, seed, "");
}

/// Nothing waited for the standby: what it had not heard of is lost, and its versions come to stand for other states.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_standby_never_heard_of_is_shown_by_nobody_once_it_takes_over() {
    let mut primary = PostgresServer::create().await;
    let standby = primary.standby().await;
    let road = Road::to(&[primary.address()]).await;
    let town = Town::new(TestDatabase::on_server(&over(&road), "").await).await;
    let (need, other) = (town.need(RT_11, FOOD, 1_000).await, town.need(RT_12, FOOD, 10).await);
    let replicas = Replicas::start(&town, &[]).await;
    claimed(&town, replicas.at(0), &need, 5).await;
    standby.fall_behind(&primary).await;
    // As many versions as come again on the other side, and other states under them.
    let mut lost = String::new();
    for (replica, quantity) in [(0, 3), (1, 900), (2, 92)] {
        lost = claimed(&town, replicas.at(replica), &need, quantity).await;
    }
    claimed(&town, replicas.at(0), &other, 10).await;
    for server in replicas.addresses() {
        assert_eq!(allocated(server, &need, Some(&lost)).await, 1_000);
    }
    primary.stop(Stop::Immediate).await;
    standby.promote().await;
    road.lead_to(standby.address());
    for server in replicas.addresses() {
        // With the old side's map in mind, unless it has learned better.
        until("a claim is answered", async || {
            claims(&town, server, &need, 1).await["data"]["claimNeeds"]["__typename"] == "ClaimAccepted"
        })
        .await;
    }
    replicas.agree_with(&town.db).await;
    let mut taken = allocated(replicas.at(0), &need, None).await;
    assert!((8..100).contains(&taken), "what came behind is gone, and what came since is there: {taken}");
    for server in replicas.addresses() {
        // What was full on the old side has room, and gives no more than that.
        for quantity in [1, 2] {
            let token = claimed(&town, server, &need, quantity).await;
            taken += quantity;
            for server in replicas.addresses() {
                assert_eq!(allocated(server, &need, Some(&token)).await, taken);
            }
        }
        let refused = claims(&town, server, &need, 1_000).await;
        assert_eq!(refused["data"]["claimNeeds"]["refusals"][0]["free"], 1_000 - taken, "{refused}");
    }
    claimed(&town, replicas.at(2), &other, 10).await;
    replicas.agree_with(&town.db).await;
    town.check_books().await;
}

/// A network that splits: the old primary lives on without its standby, which takes over, and one server still reaches it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_a_server_still_reaches_acknowledges_nothing() {
    let mut old = PostgresServer::create().await;
    let new = old.standby().await;
    old.commit_only_with(&new).await;
    let (road, other_road) = (Road::to(&[old.address()]).await, Road::to(&[old.address()]).await);
    let town = Town::new(TestDatabase::on_server(&over(&road), "").await).await;
    let need = town.need(RT_11, FOOD, 1_000).await;
    let home = home_of(&town);
    let replicas = Replicas::start_in(&home, town.db.url(), &[]).await;
    let url = town.db.url().replace(&road.address.to_string(), &other_road.address.to_string());
    let left = ServerProcess::start(&url, &home.path("")).await;
    claimed(&town, replicas.at(0), &need, 5).await;
    let before = claimed(&town, left.address, &need, 7).await;
    assert_eq!(allocated(replicas.at(1), &need, Some(&before)).await, 12);
    new.promote().await;
    road.lead_to(new.address());
    // Enough for the claim of the others alone, or for this one alone.
    let key = town.fresh();
    let unheard = claims_under(&town, left.address, &key, &need, 600).await;
    assert_eq!(unheard["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{unheard}");
    // It cannot know what it has lost, but shows nothing that was not acknowledged.
    assert_eq!(health(left.address, "ready").await.0, 200);
    assert_eq!(allocated(left.address, &need, None).await, 12);
    until("a claim is answered on the other side", async || {
        claims(&town, replicas.at(0), &need, 500).await["data"]["claimNeeds"]["__typename"] == "ClaimAccepted"
    })
    .await;
    // The old one is fenced off, and the server that was left finds the new one.
    old.stop(Stop::Immediate).await;
    other_road.lead_to(new.address());
    until("the one that was left answers", async || {
        let refused = claims(&town, left.address, &need, 600).await;
        refused["data"]["claimNeeds"]["refusals"][0]["free"] == 488
    })
    .await;
    let again = claims_under(&town, left.address, &key, &need, 600).await;
    assert_eq!(again["data"]["claimNeeds"]["__typename"], "ClaimRefused", "{again}");
    assert_eq!(again["data"]["claimNeeds"]["replayed"], false, "what was never acknowledged is decided now: {again}");
    until("its map is the other side's", async || allocated(left.address, &need, None).await == 512).await;
    replicas.agree_with(&town.db).await;
    town.check_books().await;
}

/// `SALUR_COUNT` crashes, by turns of the whole server and of one of its processes, after which PostgreSQL
/// recovers by itself and gives numbers of transactions a second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_and_recovers_is_followed_on() {
    let n = count(2);
    let (mut dice, seed) = dice("crashed-under-replicas");
    let mut postgres = PostgresServer::create().await;
    let site = Site::settle(TestDatabase::on_server(&postgres.url(), "").await).await;
    let mut replicas = Replicas::start_in(&site.home, site.db.url(), &[]).await;
    let balancer = Road::to(&replicas.addresses()).await;
    site.served_at(balancer.address);
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    for round in 0..n {
        callers.more("claims are answered", |crowd| &crowd.definite, dice.between(20, 100) as u64).await;
        if round % 2 == 0 {
            postgres.kill9().await;
            postgres.start().await;
        } else {
            postgres.crash_one().await;
        }
    }
    callers.more("claims are answered again", |crowd| &crowd.definite, 50).await;
    callers.finish().await;
    replicas.agree_with(&site.db).await;
    let last = replicas.servers.pop().expect("there are three");
    site.reckon(last).await.show("crashed-under-replicas", site.db.kind(), n, seed, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_restored_under_replicas_is_what_they_show() {
    restored(false).await;
}

/// What the log says of itself looks as if nothing had happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_worked_on_before_replicas_met_it_is_what_they_show() {
    restored(true).await;
}

/// Takes thousands of numbers of transactions.
const AGES: &str = "DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";

async fn restored(worked_on: bool) {
    let mut old = PostgresServer::create().await;
    let new = PostgresServer::create().await;
    let road = Road::to(&[old.address()]).await;
    let town = Town::new(TestDatabase::on_server(&over(&road), "").await).await;
    let (need, other) = (town.need(RT_11, FOOD, 1_000).await, town.need(RT_12, FOOD, 10).await);
    let replicas = Replicas::start(&town, &[]).await;
    claimed(&town, replicas.at(0), &need, 5).await;
    if !worked_on {
        old.run(AGES).await;
    }
    let name = town.db.url().rsplit('/').next().expect("a database").to_owned();
    old.restore_on(&new, &name).await;
    let epoch = "SELECT count(*) AS n FROM feed WHERE epoch = ";
    let before = books::rows(&town.db, &books::connect(&town.db).await, "SELECT epoch FROM feed").await;
    let before: String = before[0].try_get("", "epoch").expect("a text");
    let lost = claimed(&town, replicas.at(1), &need, 3).await;
    let backup = stored(&town.db).await;
    for server in replicas.addresses() {
        assert_eq!(allocated(server, &need, Some(&lost)).await, 8);
    }
    if worked_on {
        let url = town.db.url().replace(&road.address.to_string(), &new.address().to_string());
        let own = Own::at(&url).await;
        for severity in [4, 5, 4, 5] {
            own.rates(&other, severity).await;
        }
        new.run(AGES).await;
    }
    old.stop(Stop::Immediate).await;
    road.lead_to(new.address());
    replicas.agree_with(&town.db).await;
    assert_ne!(stored(&town.db).await, backup, "what came after the backup is gone");
    for server in replicas.addresses() {
        // What the token stood for is gone; what there is now is shown.
        assert_eq!(allocated(server, &need, Some(&lost)).await, 5);
    }
    assert_eq!(books::count(&town.db, &format!("{epoch}'{before}'")).await, 0, "a copy is not its original");
    let ahead = "SELECT count(*) AS n FROM change_log WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())";
    assert_eq!(books::count(&town.db, ahead).await, 0, "its numbers are its own");
    let token = claimed(&town, replicas.at(0), &need, 7).await;
    for server in replicas.addresses() {
        assert_eq!(allocated(server, &need, Some(&token)).await, 12);
        until("it is ready", async || health(server, "ready").await.0 == 200).await;
    }
    replicas.agree_with(&town.db).await;
    town.check_books().await;
}
