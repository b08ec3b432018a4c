//! What an operator sees of a server: lines of the log and figures, and no person in either.

use std::fs;

use serde_json::{Value, json};

use super::{figure, home_of, one_piece};
use crate::harness::actors::{FOOD, RT_11, Town, Who};
use crate::harness::app::{Live, request};
use crate::harness::database::TestDatabase;
use crate::harness::process::{ServerProcess, until};
use crate::on_both_databases;

on_both_databases!(
    a_request_has_a_line_with_its_reference_and_nothing_that_was_sent,
    a_caller_is_told_the_reference_under_which_the_cause_is_logged,
    claims_are_counted_by_what_they_came_to,
    what_is_behind_is_shown,
);

const JSON: (&str, &str) = ("content-type", "application/json");

async fn a_request_has_a_line_with_its_reference_and_nothing_that_was_sent(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let home = home_of(&town);
    let mut command = ServerProcess::command(town.db.url(), &home.path(""));
    command.args(["--log-format", "json"]);
    let server = ServerProcess::spawn(command, &home.path("")).await;
    let bearer = format!("Bearer {}", town.key_of(Who::DonorA).expect("a donor has a key"));
    let headers = [JSON, ("authorization", bearer.as_str())];
    let secret = "3171012345678901";
    let named = one_piece(&need, secret).replacen("mutation(", &format!("mutation Ambil_{secret}("), 1);
    let sent = [
        ("POST", "/graphql", named),
        ("POST", "/graphql", format!("{{\"query\": \"query Lihat {{ node(id: \\\"{secret}\\\") {{ id }} }}\"}}")),
        ("GET", "/3171012345678901?nik=3171012345678901", String::new()),
        ("NIK3171012345678901", "/graphql", String::new()),
    ];
    let mut references = Vec::new();
    for (method, path, body) in &sent {
        let reply = request(server.address, method, path, &headers, body).await;
        references.push((reply.header("x-request-id").expect("a reference").to_owned(), reply.status));
    }
    let mut live = Live::open(server.address).await;
    live.begin(town.key_of(Who::DonorA)).await;
    drop(live);
    let lines = || -> Vec<Value> {
        let log = home.read("server.log");
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    };
    let line_of = |reference: &str| lines().into_iter().find(|line| line["span"]["reference"] == *reference);
    let expected = [
        ("POST", "/graphql", json!("Ambil_…")),
        ("POST", "/graphql", json!("Lihat")),
        ("GET", "other", Value::Null),
        ("other", "/graphql", Value::Null),
    ];
    for ((reference, status), (method, route, operation)) in references.iter().zip(expected) {
        until("the line is written", async || line_of(reference).is_some()).await;
        let line = line_of(reference).expect("it is written");
        let span = &line["span"];
        assert_eq!((&span["method"], &span["route"]), (&json!(method), &json!(route)), "{line}");
        assert_eq!((&span["operation"], &span["status"]), (&operation, &json!(status)), "{line}");
        assert!(line["ms"].is_number(), "{line}");
    }
    until("the WebSocket has its line", async || lines().iter().any(|l| l["span"]["route"] == "/graphql/ws")).await;
    let log = fs::read_to_string(home.path("server.log")).expect("a log");
    for sent in [secret, "claimNeeds", "slr_test", "idempotencyKey"] {
        assert!(!log.contains(sent), "{sent} is in the log:\n{log}");
    }
}

async fn a_caller_is_told_the_reference_under_which_the_cause_is_logged(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    town.app.service.close().await;
    let bearer = format!("Bearer {}", town.key_of(Who::DonorA).expect("a donor has a key"));
    let headers = [JSON, ("authorization", bearer.as_str())];
    let reply = town.app.request("POST", "/graphql", &headers, &one_piece(&need, "away")).await;
    let extensions = &reply.json()["errors"][0]["extensions"];
    assert_eq!((&extensions["code"], &extensions["retry"]), (&json!("UNAVAILABLE"), &json!("SAME_KEY")));
    assert_eq!(extensions["reference"].as_str(), reply.header("x-request-id"), "{}", reply.body);
    assert_eq!(figure(town.app.address, "salur_database_up").await, 0.0);
}

async fn claims_are_counted_by_what_they_came_to(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 2).await;
    for (who, key) in [(Who::DonorA, "one"), (Who::DonorA, "one"), (Who::DonorA, "two"), (Who::DonorB, "three")] {
        let reply = town.app.post(town.key_of(who), &one_piece(&need, key)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    for (outcome, count) in [("accepted", 2.0), ("refused", 1.0), ("replayed", 1.0)] {
        let name = format!("salur_claims_total{{outcome=\"{outcome}\"}}");
        assert_eq!(figure(town.app.address, &name).await, count, "{outcome}");
    }
    let answered = "salur_http_requests_total{route=\"/graphql\",status=\"200\"}";
    assert!(figure(town.app.address, answered).await >= 4.0);
}

async fn what_is_behind_is_shown(db: TestDatabase) {
    let town = Town::new(db).await;
    town.need(RT_11, FOOD, 2).await;
    let app = &town.app;
    assert_eq!(figure(app.address, "salur_ready").await, 1.0);
    assert_eq!(figure(app.address, "salur_database_up").await, 1.0);
    assert!(figure(app.address, "salur_atlas_rebuilds_total").await >= 1.0);
    until("the log is numbered", async || figure(app.address, "salur_audit_pending").await == 0.0).await;
    assert_eq!(figure(app.address, "salur_audit_lag_seconds").await, 0.0);
    let used = figure(app.address, "salur_database_connections{state=\"used\"}").await;
    let idle = figure(app.address, "salur_database_connections{state=\"idle\"}").await;
    assert!(used >= 0.0 && used + idle >= 1.0, "{used} {idle}");
    let before = figure(app.address, "salur_feed_lag_seconds").await;
    until("the map is looked after", async || figure(app.address, "salur_feed_lag_seconds").await < before.max(1.0))
        .await;
}
