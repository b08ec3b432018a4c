//! What one replica commits the others show and tell.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{JSON, Replicas, allocated, asked, claimed, claims};
use crate::fire::count;
use crate::harness::actors::{FOOD, RT_11, RT_12, RT_21, Town, Who};
use crate::harness::app::Live;
use crate::harness::database::TestDatabase;
use tokio::task::JoinSet;

/// A subscription at one replica to one need.
struct Ear(Live);

impl Ear {
    /// Listens, and waits until it hears: the protocol does not say when a subscription stands.
    async fn open(town: &Town, server: std::net::SocketAddr, need: &str) -> Ear {
        let mut live = Live::open(server).await;
        live.begin(None).await;
        live.subscribe("1", "subscription { needsChanged { id allocated } }", json!({})).await;
        for _ in 0..200 {
            claimed(town, server, need, 1).await;
            if live.next_within(Duration::from_millis(300)).await.is_ok() {
                return Ear(live);
            }
        }
        panic!("nothing of {need} was told");
    }

    /// Waits until it hears that so much of a need is allocated.
    async fn hears(&mut self, need: &str, allocated: i64) {
        loop {
            let message = self.0.next().await.expect("the connection is open");
            let told = message["payload"]["data"]["needsChanged"].as_array().expect("changes").clone();
            assert!(message["payload"]["extensions"]["freshness"]["lagMs"].is_u64(), "{message}");
            if told.iter().any(|told| told["id"] == need && told["allocated"] == allocated) {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_commits_it_shows_at_once_and_the_others_to_who_brings_its_token() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let need = town.need(RT_11, FOOD, 1_000_000).await;
    let replicas = Replicas::start(&town, &[]).await;
    let mut sum = 0;
    for round in 0..count(30) as usize {
        let [writer, reader, other] = [0, 1, 2].map(|i| replicas.at((round + i) % 3));
        let token = claimed(&town, writer, &need, 3).await;
        sum += 3;
        assert_eq!(allocated(writer, &need, None).await, sum, "a server shows what it wrote");
        assert_eq!(allocated(reader, &need, Some(&token)).await, sum, "{token}");
        assert_eq!(allocated(other, &need, Some("now")).await, sum);
    }
    let refused = asked(replicas.at(0), &need, Some("yesterday")).await;
    assert_eq!(refused.code(), "BAD_INPUT", "{}", refused.body);
    replicas.agree_with(&town.db).await;
    town.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_of_every_replica_are_told_what_any_of_them_commits() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let (need, probe) = (town.need(RT_11, FOOD, 1_000).await, town.need(RT_12, FOOD, 1_000).await);
    let replicas = Replicas::start(&town, &[]).await;
    let mut ears = Vec::new();
    for server in replicas.addresses() {
        ears.push(Ear::open(&town, server, &probe).await);
    }
    for (round, writer) in replicas.addresses().into_iter().enumerate() {
        claimed(&town, writer, &need, 5).await;
        for ear in &mut ears {
            ear.hears(&need, 5 * (round as i64 + 1)).await;
        }
    }
}

/// Prints how long after the answer to a claim the other replicas have told of it, while others claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_of_replicas_under_load_is_measured() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let (need, probe) = (town.need(RT_11, FOOD, 1 << 40).await, town.need(RT_12, FOOD, 1 << 40).await);
    let busy = town.need(RT_21, FOOD, 1 << 40).await;
    let replicas = Replicas::start(&town, &[]).await;
    let mut ears = Vec::new();
    for server in replicas.addresses() {
        ears.push(Ear::open(&town, server, &probe).await);
    }
    let mut load = JoinSet::new();
    for caller in 0..8 {
        let (server, busy, key) = (replicas.at(caller % 3), busy.clone(), town.key_of(Who::DonorB).map(str::to_owned));
        load.spawn(async move {
            let bearer = format!("Bearer {}", key.expect("a donor has a key"));
            for serial in 0.. {
                let input = json!({"idempotencyKey": format!("{caller}-{serial}"),
                    "lines": [{"needId": busy, "quantity": 1}]});
                let body = json!({"query": crate::harness::actors::CLAIM, "variables": {"input": input}});
                let headers = [JSON, ("authorization", bearer.as_str())];
                let reply = crate::harness::app::request(server, "POST", "/graphql", &headers, &body.to_string()).await;
                let answer: Value = reply.json();
                assert_eq!(answer["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{answer}");
            }
        });
    }
    let n = count(60);
    let mut lags = Vec::new();
    for round in 0..n as usize {
        let answer = claims(&town, replicas.at(round % 3), &need, 1).await;
        let answered = Instant::now();
        assert_eq!(answer["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{answer}");
        for ear in [(round + 1) % 3, (round + 2) % 3] {
            ears[ear].hears(&need, round as i64 + 1).await;
            lags.push(answered.elapsed());
        }
        let mine = round % 3;
        ears[mine].hears(&need, round as i64 + 1).await;
        assert!(load.try_join_next().is_none(), "the load goes on");
    }
    load.shutdown().await;
    lags.sort_unstable();
    let at = |percent: usize| lags[(lags.len() * percent / 100).min(lags.len() - 1)].as_secs_f64() * 1e3;
    println!(
        "rig=replica-lag db=postgres n={n} violations=0 p50_ms={:.1} p99_ms={:.1} max_ms={:.1} callers=8",
        at(50),
        at(99),
        at(100)
    );
    replicas.agree_with(&town.db).await;
    town.check_books().await;
}
