//! A server that is asked to stop loses nothing that it has taken.

use std::process::Command;
use std::task::Poll;

use futures_util::future::{self, join_all};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Locked, figure, home_of, one_piece};
use crate::cli::Home;
use crate::harness::actors::{FOOD, RT_11, Town, Who};
use crate::harness::app::{Live, request};
use crate::harness::books;
use crate::harness::database::TestDatabase;
use crate::harness::process::{Client, ServerProcess, until};
use crate::harness::world::World;
use crate::on_both_databases;

on_both_databases!(
    requests_under_way_when_the_server_is_asked_to_stop_are_all_answered,
    a_server_about_to_stop_says_so_and_still_answers,
    subscribers_are_told_that_the_server_goes_away,
    a_transaction_whose_caller_is_gone_is_waited_for,
    a_wait_for_the_last_request_has_an_end,
);

const CALLERS: usize = 12;

/// The command of a server on the town's database, with more arguments.
fn server(town: &Town, home: &Home, more: &[&str]) -> Command {
    let mut command = ServerProcess::command(town.db.url(), &home.path(""));
    command.args(more);
    command
}

/// A caller of a server that stays where it is.
fn caller(town: &Town, server: &ServerProcess) -> Client {
    Client::new(watch::channel(server.address).1, town.key_of(Who::DonorA).expect("a donor has a key"))
}

async fn requests_under_way_when_the_server_is_asked_to_stop_are_all_answered(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 1_000).await;
    let home = home_of(&town);
    let mut server = ServerProcess::start(town.db.url(), &home.path("")).await;
    let lock = Locked::needs(&town.db).await;
    let bodies: Vec<String> = (0..CALLERS).map(|i| one_piece(&need, &format!("drain-{i}"))).collect();
    let mut callers: Vec<Client> = bodies.iter().map(|_| caller(&town, &server)).collect();
    let answers = join_all(callers.iter_mut().zip(&bodies).map(|(caller, body)| caller.post(body)));
    let stop = async {
        // The question for the figure is one of the requests under way.
        let all = CALLERS as f64 + 1.0;
        until("all are under way", async || figure(server.address, "salur_http_requests_open").await >= all).await;
        server.terminate();
        until("nobody new is let in", async || TcpStream::connect(server.address).await.is_err()).await;
        lock.release().await;
    };
    let (answers, ()) = future::join(answers, stop).await;
    for answer in answers {
        let (status, answer) = answer.expect("whoever was let in is answered");
        assert_eq!((status, &answer["data"]["claimNeeds"]["__typename"]), (200, &"ClaimAccepted".into()), "{answer}");
    }
    assert!(server.wait().await.success(), "{}", server.last_words());
    assert_eq!(books::count(&town.db, "SELECT count(*) AS n FROM claim").await, CALLERS as i64);
    town.check_books().await;
}

async fn a_server_about_to_stop_says_so_and_still_answers(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let home = home_of(&town);
    let mut server = ServerProcess::spawn(server(&town, &home, &["--notice-seconds", "3600"]), &home.path("")).await;
    let ready = request(server.address, "GET", "/health/ready", &[], "").await;
    assert_eq!(ready.status, 200);
    server.terminate();
    until("it says that it leaves", async || {
        request(server.address, "GET", "/health/ready", &[], "").await.status == 503
    })
    .await;
    let (_, answer) = caller(&town, &server).post(&one_piece(&need, "late")).await.expect("it still answers");
    assert_eq!(answer["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{answer}");
    let alive = request(server.address, "GET", "/health/live", &[], "").await;
    assert_eq!((alive.status, alive.header("connection")), (200, Some("close")), "nobody stays on a connection");
    // Whoever asks a second time does not want to wait for the hour.
    server.terminate();
    assert!(server.wait().await.success(), "{}", server.last_words());
}

async fn subscribers_are_told_that_the_server_goes_away(db: TestDatabase) {
    let town = Town::new(db).await;
    let home = home_of(&town);
    let mut server = ServerProcess::start(town.db.url(), &home.path("")).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut reader = Live::open(server.address).await;
        reader.begin(None).await;
        reader.subscribe("s", "subscription Watch { needsChanged { id } }", serde_json::json!({})).await;
        readers.push(reader);
    }
    assert_eq!(figure(server.address, "salur_websocket_connections").await, 3.0);
    server.terminate();
    for reader in &mut readers {
        assert_eq!(reader.close_code().await, Some(1001));
    }
    assert!(server.wait().await.success(), "{}", server.last_words());
}

async fn a_transaction_whose_caller_is_gone_is_waited_for(db: TestDatabase) {
    let world = World::new(db).await;
    let needs = world.needs(&[10]).await;
    let store = world.replica().await;
    let lock = Locked::needs(&world.db).await;
    {
        let mut call = Box::pin(store.execute(world.asks(world.donors[0], &[(needs[0], 4)])));
        let begun = future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await;
        assert!(begun, "the lock holds it up");
    }
    let mut closing = Box::pin(store.close());
    let waits = future::poll_fn(|cx| Poll::Ready(closing.as_mut().poll(cx).is_pending())).await;
    assert!(waits, "the caller is gone, the transaction is not");
    let ((), ()) = future::join(closing, lock.release()).await;
    assert_eq!(world.counters(needs[0]).await, (10, 4, 0));
}

async fn a_wait_for_the_last_request_has_an_end(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let home = home_of(&town);
    let mut server = ServerProcess::spawn(server(&town, &home, &["--drain-seconds", "0"]), &home.path("")).await;
    let lock = Locked::needs(&town.db).await;
    let (mut caller, body) = (caller(&town, &server), one_piece(&need, "cut-off"));
    let stop = async {
        until("it is under way", async || figure(server.address, "salur_http_requests_open").await >= 2.0).await;
        server.terminate();
        assert!(server.wait().await.success(), "{}", server.last_words());
    };
    let (answer, ()) = future::join(caller.post(&body), stop).await;
    answer.expect_err("it was cut off");
    lock.release().await;
    assert!(server.last_words().contains("not everything came to its end in time"), "{}", server.last_words());
    // The key makes it definite.
    let again = town.app.post(town.key_of(Who::DonorA), &body).await;
    assert_eq!(again.json()["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{}", again.body);
    assert_eq!(books::count(&town.db, "SELECT count(*) AS n FROM claim").await, 1);
}
