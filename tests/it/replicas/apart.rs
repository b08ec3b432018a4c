//! Replicas whose database is blocked, half-hidden, or behind a wire that has gone dead.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{JSON, Own, Replicas, allocated, asked, claimed, claims, health, shows_severity};
use crate::fire::count;
use crate::harness::actors::{FOOD, RT_11, RT_12, Town, Who};
use crate::harness::app::{code_of, request};
use crate::harness::books;
use crate::harness::database::TestDatabase;
use crate::harness::process::{signal, until};
use crate::harness::road::Road;
use crate::operations::{figure, home_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_that_cannot_follow_says_so_until_it_can() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let need = town.need(RT_11, FOOD, 100).await;
    let replicas = Replicas::start(&town, &["--stale-seconds", "1"]).await;
    let own = Own::on(&town.db).await;
    // Longer than anybody waits for a lock.
    own.run("BEGIN; LOCK TABLE change_log IN ACCESS EXCLUSIVE MODE").await;
    replicas.are("stale").await;
    for server in replicas.addresses() {
        let (status, body) = health(server, "ready").await;
        assert_eq!((status, body["lagMs"].as_u64() > Some(1_000)), (503, true), "{body}");
        let answer = asked(server, &need, None).await.json();
        assert_eq!(answer["data"]["node"]["allocated"], 0, "what it knows it still says: {answer}");
        assert!(answer["extensions"]["freshness"]["lagMs"].as_u64() > Some(1_000), "and how old it is: {answer}");
        let late = asked(server, &need, Some("now")).await.json();
        let extensions = &late["errors"][0]["extensions"];
        assert_eq!(json!([extensions["code"], extensions["retry"]]), json!(["UNAVAILABLE", "SAME_KEY"]), "{late}");
    }
    own.run("ROLLBACK").await;
    replicas.are("ready").await;
    let token = claimed(&town, replicas.at(0), &need, 7).await;
    assert_eq!(allocated(replicas.at(1), &need, Some(&token)).await, 7);
    replicas.agree_with(&town.db).await;
}

/// `SALUR_COUNT` is for how many seconds it is left open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_left_open_holds_no_map_back_and_is_told() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let (held, free) = (town.need(RT_11, FOOD, 100).await, town.need(RT_12, FOOD, 1 << 40).await);
    let replicas = Replicas::start(&town, &["--stale-seconds", "1"]).await;
    let own = Own::on(&town.db).await;
    own.run("BEGIN").await;
    own.rates(&held, 5).await;
    let goal = count(2) * 1_000;
    let (mut sum, mut open) = (0, 0);
    while open < goal {
        let token = claimed(&town, replicas.at(sum as usize % 3), &free, 1).await;
        sum += 1;
        open = u64::MAX;
        for server in replicas.addresses() {
            assert_eq!(allocated(server, &free, Some(&token)).await, sum);
            let (status, body) = health(server, "ready").await;
            assert_eq!((status, &body["status"]), (200, &json!("ready")), "{body}");
            open = open.min(body["openTransactionMs"].as_u64().expect("a number"));
        }
    }
    println!("rig=open-transaction db=postgres n={sum} violations=0 open_ms={open}");
    // Who needs the need itself waits for a lock, and is told after a while that this cannot be now.
    let late = claims(&town, replicas.at(0), &held, 1).await;
    let extensions = &late["errors"][0]["extensions"];
    assert_eq!(json!([extensions["code"], extensions["retry"]]), json!(["UNAVAILABLE", "SAME_KEY"]), "{late}");
    own.run("COMMIT").await;
    for server in replicas.addresses() {
        shows_severity(server, &held, 5).await;
        until("nothing is open", async || health(server, "ready").await.1["openTransactionMs"] == 0).await;
    }
    replicas.agree_with(&town.db).await;
}

/// What would have to be read for the new map is locked, so it is not finished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_new_edition_is_read_the_map_that_stands_is_followed_and_ready() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let need = town.need(RT_11, FOOD, 1_000_000).await;
    let replicas = Replicas::start(&town, &["--stale-seconds", "2"]).await;
    let edition = health(replicas.at(0), "ready").await.1["edition"].as_i64().expect("a number");
    let (locker, own) = (Own::on(&town.db).await, Own::on(&town.db).await);
    locker.run("BEGIN; LOCK TABLE area IN ACCESS EXCLUSIVE MODE").await;
    own.run("INSERT INTO edition (published_at, level, areas, source) SELECT published_at, level, 0, 't' FROM edition")
        .await;
    for server in replicas.addresses() {
        until("it reads everything anew", async || health(server, "ready").await.1["renewedPercent"].is_object()).await;
    }
    // Longer than a map may be old, and than anybody but the reader of everything waits for a lock.
    let (begun, mut sum) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(6) {
        let token = claimed(&town, replicas.at(sum as usize % 3), &need, 1).await;
        sum += 1;
        for server in replicas.addresses() {
            assert_eq!(allocated(server, &need, Some(&token)).await, sum);
            let (status, body) = health(server, "ready").await;
            let told = (status, body["status"].as_str(), body["edition"].as_i64());
            assert_eq!(told, (200, Some("ready"), Some(edition)), "{body}");
            assert!(body["renewedPercent"].is_object(), "{body}");
        }
    }
    locker.run("ROLLBACK").await;
    for server in replicas.addresses() {
        let shown = async || {
            let seen = allocated(server, &need, None).await;
            assert_eq!(seen, sum, "neither map is behind what was shown");
            let body = health(server, "ready").await.1;
            body["edition"].as_i64() > Some(edition) && body["renewedPercent"].is_null()
        };
        until("the new edition is shown", shown).await;
    }
    replicas.agree_with(&town.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_fill_all_connections_do_not_stop_the_map() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let (held, free) = (town.need(RT_11, FOOD, 100).await, town.need(RT_12, FOOD, 100).await);
    let replicas = Replicas::start(&town, &["--stale-seconds", "1"]).await;
    let (locker, own) = (Own::on(&town.db).await, Own::on(&town.db).await);
    locker.run("BEGIN; LOCK TABLE claim, api_key IN ACCESS EXCLUSIVE MODE").await;
    let server = replicas.at(0);
    let bearer = format!("Bearer {}", town.key_of(Who::DonorA).expect("a donor has a key"));
    let mut waiting = JoinSet::new();
    for _ in 0..40 {
        let (bearer, held) = (bearer.clone(), held.clone());
        waiting.spawn(async move {
            let body = json!({"query": "query($id: ID!) { node(id: $id) { id } }", "variables": {"id": held}});
            let headers = [JSON, ("authorization", bearer.as_str())];
            request(server, "POST", "/graphql", &headers, &body.to_string()).await.code()
        });
    }
    until("all connections are taken", async || {
        figure(server, "salur_database_connections{state=\"used\"}").await >= 20.0
    })
    .await;
    own.rates(&free, 5).await;
    shows_severity(server, &free, 5).await;
    assert_eq!(health(server, "ready").await.0, 200);
    locker.run("ROLLBACK").await;
    while let Some(code) = waiting.join_next().await {
        let code = code.expect("no task panics");
        assert!(["", "UNAVAILABLE"].contains(&code.as_str()), "{code}");
    }
    replicas.agree_with(&town.db).await;
}

/// A road to the town's database that can go dark, what it leads to, and the database's URL over it.
async fn on_a_road(town: &Town) -> (Road, SocketAddr, String) {
    let url = town.db.url();
    let (user, rest) = url.split_once('@').expect("a user");
    let (target, database) = rest.split_once('/').expect("a database");
    let target = target.parse().expect("the test server's address is a number and a port");
    let road = Road::to(&[target]).await;
    let way = format!("{user}@{}/{database}", road.address);
    (road, target, way)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_machine_vanished_is_left_for_its_successor() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let need = town.need(RT_11, FOOD, 100).await;
    let (road, target, way) = on_a_road(&town).await;
    let home = home_of(&town);
    let replicas = Replicas::start_in(&home, &way, &["--stale-seconds", "1"]).await;
    let own = Own::on(&town.db).await;
    let waits = "SELECT count(*) AS n FROM pg_locks WHERE relation = 'change_log'::regclass AND NOT granted";
    // More often than a follower has connections. It is lost once while they idle, and then under a look.
    for severity in [5, 4, 2] {
        if severity < 5 {
            own.run("BEGIN; LOCK TABLE change_log IN ACCESS EXCLUSIVE MODE").await;
            until("every server looks", async || books::count(&town.db, waits).await >= 3).await;
        }
        road.lose(target);
        own.run("ROLLBACK").await;
        replicas.are("stale").await;
        own.rates(&need, severity).await;
        for server in replicas.addresses() {
            shows_severity(server, &need, severity).await;
        }
        replicas.are("ready").await;
    }
    replicas.agree_with(&town.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_go_on_after_the_machine_of_their_database_vanished() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let need = town.need(RT_11, FOOD, 100).await;
    let (road, target, way) = on_a_road(&town).await;
    let home = home_of(&town);
    let replicas = Replicas::start_in(&home, &way, &[]).await;
    let server = replicas.at(0);
    claimed(&town, server, &need, 1).await;
    let own = Own::on(&town.db).await;
    let waits = "SELECT count(*) AS n FROM pg_locks WHERE relation = 'claim'::regclass AND NOT granted";
    own.run("BEGIN; LOCK TABLE claim IN ACCESS EXCLUSIVE MODE").await;
    // Its group stands in the middle of a statement, and whoever comes later waits for that group.
    let (under_way, ()) = tokio::join!(claims(&town, server, &need, 1), async {
        until("the group writes", async || books::count(&town.db, waits).await >= 1).await;
        road.lose(target);
        own.run("ROLLBACK").await;
    });
    let told = |answer: &Value| match code_of(answer).as_str() {
        "" => assert_eq!(answer["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{answer}"),
        code => assert_eq!(code, "UNAVAILABLE", "{answer}"),
    };
    told(&under_way);
    until("claims are made again", async || {
        let answer = claims(&town, server, &need, 1).await;
        told(&answer);
        answer["errors"].is_null()
    })
    .await;
    replicas.agree_with(&town.db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_slept_longer_than_the_log_is_kept_reads_everything_anew() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let need = town.need(RT_11, FOOD, 100).await;
    let replicas = Replicas::start(&town, &[]).await;
    let (awake, asleep) = (replicas.at(0), &replicas.servers[2]);
    let rebuilds = "salur_atlas_rebuilds_total";
    let before = figure(asleep.address, rebuilds).await;
    signal("STOP", &[asleep.id()]);
    for _ in 0..3 {
        claimed(&town, awake, &need, 5).await;
    }
    let own = Own::on(&town.db).await;
    own.run("DELETE FROM change_log WHERE id < (SELECT max(id) FROM change_log)").await;
    signal("CONT", &[asleep.id()]);
    replicas.agree_with(&town.db).await;
    assert_eq!(figure(asleep.address, rebuilds).await, before + 1.0);
    assert_eq!(allocated(asleep.address, &need, Some("now")).await, 15);
}
