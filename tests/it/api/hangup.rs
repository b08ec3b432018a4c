//! Callers who hang up: what they asked for happens wholly or not at all, and their key tells which.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::actors::{CLAIM, FOOD, RT_11, RT_21, Town, Who, claim_lines};
use crate::harness::app::{LONG, request_text};
use crate::harness::books;
use crate::harness::database::{Kind, TestDatabase};
use crate::on_both_databases;

on_both_databases!(a_caller_who_hangs_up_leaves_the_books_right);

/// Callers in all, and those who call at the same time.
const CALLERS: usize = 300;
const AT_ONCE: usize = 10;

async fn a_caller_who_hangs_up_leaves_the_books_right(db: TestDatabase) {
    let town = Town::new(db).await;
    let (one, two) = (town.need(RT_11, FOOD, 10_000).await, town.need(RT_21, FOOD, 10_000).await);
    let bearer = format!("Bearer {}", town.key_of(Who::DonorA).expect("a donor has a key"));
    let input =
        |i: usize| json!({"idempotencyKey": format!("gone-{i}"), "lines": claim_lines(&[(&one, 1), (&two, 2)])});
    let mut answered = 0;
    for batch in 0..CALLERS / AT_ONCE {
        let calls = (0..AT_ONCE).map(|n| {
            let i = batch * AT_ONCE + n;
            let body = json!({"query": CLAIM, "variables": {"input": input(i)}}).to_string();
            let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
            let request = request_text("POST", "/graphql", &headers, &body);
            async move {
                let mut stream = TcpStream::connect(town.app.address).await.expect("the server takes connections");
                stream.write_all(request.as_bytes()).await.expect("the request is sent");
                // They leave at all moments up to the answer, some properly and some with a reset; one of ten
                // waits for the answer and leaves without reading it.
                let patience = if i % 10 == 9 { LONG } else { Duration::from_millis((i * 7 % 25) as u64) };
                let answered = tokio::time::timeout(patience, stream.readable()).await.is_ok();
                if i.is_multiple_of(2) {
                    stream.set_zero_linger().expect("a socket takes the option");
                }
                answered
            }
        });
        answered += futures_util::future::join_all(calls).await.into_iter().filter(|answered| *answered).count();
    }
    assert!(answered >= CALLERS / 10, "those who waited were answered");
    let mut replayed = 0;
    for i in 0..CALLERS {
        let answer = town.data(Who::DonorA, CLAIM, json!({"input": input(i)})).await["claimNeeds"].take();
        assert_eq!(answer["__typename"], "ClaimAccepted", "{i}: {answer}");
        replayed += usize::from(answer["replayed"] == true);
    }
    assert!(replayed >= answered, "what was answered had happened");
    println!("{replayed} of {CALLERS} had happened before their callers asked again");
    assert_eq!(town.stands(&one).await["allocated"], CALLERS);
    assert_eq!(town.stands(&two).await["allocated"], 2 * CALLERS);
    town.check_books().await;
    let claims = books::count(&town.db, "SELECT count(*) AS n FROM claim").await;
    assert_eq!(claims, CALLERS as i64, "each key has one claim");
    if town.db.kind() == Kind::Postgres {
        let open = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()
                    AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '5 seconds'";
        assert_eq!(books::count(&town.db, open).await, 0, "a transaction was left open");
    }
}
