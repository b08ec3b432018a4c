//! What is taken from a caller at one server is gone at all of them, and what they may ask is counted
//! by all together.

use std::time::Duration;

use serde_json::{Value, json};

use super::{JSON, Replicas};
use crate::harness::actors::{Town, Who};
use crate::harness::app::{Live, code_of, request};
use crate::harness::database::TestDatabase;
use crate::harness::process::until;

async fn asks(town: &Town, server: std::net::SocketAddr, who: Who, query: &str) -> Value {
    let body = json!({"query": query}).to_string();
    let bearer = format!("Bearer {}", town.key_of(who).expect("somebody with a key"));
    request(server, "POST", "/graphql", &[JSON, ("authorization", &bearer)], &body).await.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_taken_at_one_server_is_gone_at_all_and_ends_what_is_open() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let replicas = Replicas::start(&town, &[]).await;
    let officer = town.store().login("dekat@rw.example").await.expect("read").expect("an account").user;
    let overlaps = "{ overlaps { totalCount } }";
    let mut open = Vec::new();
    for server in replicas.addresses() {
        assert_eq!(code_of(&asks(&town, server, Who::Officer, overlaps).await), "");
        let mut live = Live::open(server).await;
        live.begin(town.key_of(Who::Officer)).await;
        live.subscribe("1", "subscription { needsChanged { id } }", json!({})).await;
        open.push(live);
    }
    let revoke = format!("mutation {{ revokeRole(id: \"{officer}\", role: AREA_OFFICER) }}");
    assert_eq!(asks(&town, replicas.at(0), Who::Admin, &revoke).await["data"]["revokeRole"], true);
    for (server, mut live) in replicas.addresses().into_iter().zip(open) {
        until("the role is gone", async || code_of(&asks(&town, server, Who::Officer, overlaps).await) == "FORBIDDEN")
            .await;
        let told = live.next().await.expect("the connection is open");
        assert_eq!(told["payload"]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{told}");
    }
    let suspend = format!("mutation {{ suspendMember(id: \"{officer}\") }}");
    assert_eq!(asks(&town, replicas.at(1), Who::Admin, &suspend).await["data"]["suspendMember"], true);
    for server in replicas.addresses() {
        until("the account is shut", async || {
            code_of(&asks(&town, server, Who::Officer, "{ viewer { email } }").await) == "UNAUTHENTICATED"
        })
        .await;
    }
    town.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_asks_of_three_servers_is_one_sum() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let replicas = Replicas::start(&town, &["--limit-account", "300"]).await;
    let servers = replicas.addresses();
    let programs = "{ programs { key } }";
    // Half of what each of them would give by itself, and more than they give together.
    for _ in 0..150 {
        for server in &servers {
            asks(&town, *server, Who::DonorA, programs).await;
        }
    }
    for server in &servers {
        let mut more = 0;
        while code_of(&asks(&town, *server, Who::DonorA, programs).await) != "RATE_LIMITED" {
            more += 1;
            assert!(more < 150, "a server has not heard of the others");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(code_of(&asks(&town, servers[0], Who::DonorB, programs).await), "");
}
