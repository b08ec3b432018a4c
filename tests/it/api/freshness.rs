//! How old an answer is, and how a reader waits for a change.

use serde_json::{Value, json};

use crate::harness::actors::{CLAIM, FOOD, RT_11, Town, Who, claim_lines, text};
use crate::harness::books;
use crate::harness::database::TestDatabase;
use crate::harness::process::until;
use crate::on_both_databases;

on_both_databases!(
    every_answer_says_how_old_it_may_be,
    a_mutation_answers_with_a_token_that_readers_may_wait_for,
    health_says_how_old_the_map_is_and_what_it_holds,
);

const JSON: (&str, &str) = ("content-type", "application/json");

async fn every_answer_says_how_old_it_may_be(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let mut before = String::new();
    for (query, variables) in [
        ("{ needs(first: 1) { totalCount } }", json!({})),
        ("query($id: ID!) { node(id: $id) { id } }", json!({"id": "need-4000000"})),
        (CLAIM, json!({"input": {"idempotencyKey": "k", "lines": claim_lines(&[(&need, 1)])}})),
    ] {
        let answer = town.ask(Who::DonorA, query, variables).await;
        let fresh = &answer["extensions"]["freshness"];
        assert!(fresh["lagMs"].is_u64(), "{answer}");
        let as_of = text(&fresh["asOf"]);
        assert!(as_of >= before, "{as_of} after {before}");
        before = as_of;
    }
    let mut live = town.app.live().await;
    live.begin(None).await;
    live.subscribe("q", "{ needs { totalCount } }", json!({})).await;
    let answer = live.next().await.expect("an answer");
    assert!(answer["payload"]["extensions"]["freshness"]["lagMs"].is_u64(), "{answer}");
}

/// The answer to a question about a need that is to be read after `token`.
async fn reads(town: &Town, need: &str, token: &str) -> Value {
    let body = json!({"query": "query($id: ID!) { node(id: $id) { ... on Need { allocated } } }",
        "variables": {"id": need}});
    let reply =
        town.app.request("POST", "/graphql", &[JSON, ("salur-read-after", token)], &body.to_string()).await.json();
    assert_eq!(reply["extensions"].get("readToken"), None, "a question changes nothing: {reply}");
    reply
}

async fn a_mutation_answers_with_a_token_that_readers_may_wait_for(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let claim = |key: &str, quantity: i64| json!({"input": {"idempotencyKey": key, "lines": claim_lines(&[(&need, quantity)])}});
    let accepted = town.ask(Who::DonorA, CLAIM, claim("one", 4)).await;
    let token = text(&accepted["extensions"]["readToken"]);
    assert_ne!(token, "now", "the commit is known");
    // What was done before, or by nobody, is all there is now.
    for (key, quantity) in [("one", 4), ("two", 11)] {
        let answer = town.ask(Who::DonorA, CLAIM, claim(key, quantity)).await;
        assert_eq!(answer["extensions"]["readToken"], "now", "{answer}");
    }
    let (life, commits) = token.split_once('.').expect("a life and its commits");
    for token in [&token, "now", &format!("{life}.1"), &format!("{life}.{commits},1"), "0123456789abcdef.7"] {
        let answer = reads(&town, &need, token).await;
        assert_eq!(answer["data"]["node"]["allocated"], 4, "{token}: {answer}");
    }
    for token in ["", "then", "1", "a.b", "é", "now,now"] {
        let answer = reads(&town, &need, token).await;
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(
            json!([extensions["code"], extensions["retry"]]),
            json!(["BAD_INPUT", "NEVER"]),
            "{token}: {answer}"
        );
    }
}

async fn health_says_how_old_the_map_is_and_what_it_holds(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let app = &town.app;
    let ready = app.request("GET", "/health/ready", &[], "").await;
    let body = ready.json();
    assert_eq!((ready.status, &body["status"]), (200, &json!("ready")), "{body}");
    assert!(body["lagMs"].is_u64() && body["openTransactionMs"].is_u64() && body["asOf"].is_string(), "{body}");
    let held = async || app.request("GET", "/health/atlas", &[], "").await.json();
    let before = held().await;
    assert_eq!(before["edition"], body["edition"]);
    assert_eq!(before["digest"], app.service.digest().await.expect("a digest is made"));
    town.holds(Who::DonorA, &[(&need, 1)], json!({})).await;
    assert_ne!(held().await["digest"], before["digest"]);
    // A server that has not read the map says so.
    let key = app.key.clone();
    let fresh = salur::service::Service::new(town.store().clone(), key);
    assert_eq!((fresh.is_current(), fresh.freshness().lag), (false, None));
}

/// Nobody writes where there is nothing to do; `data_version` counts the commits of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_server_leaves_its_file_alone() {
    let town = Town::new(TestDatabase::sqlite()).await;
    town.need(RT_11, FOOD, 10).await;
    let own = books::connect(&town.db).await;
    let commits =
        async || books::rows(&town.db, &own, "PRAGMA data_version").await[0].try_get::<i64>("", "data_version");
    let seen_until = || town.app.service.freshness().as_of.expect("it has looked").0;
    // What is still to be numbered and signed is soon done; a sweeper that writes never is.
    until("the file is left alone", async || {
        let (before, then) = (commits().await, seen_until());
        until("two seconds of looks and sweeps", async || seen_until() >= then + 2_000_000).await;
        before == commits().await
    })
    .await;
}
