//! Spans of requests, as a collector gets them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{home_of, one_piece};
use crate::cli::Home;
use crate::harness::actors::{FOOD, RT_11, Town, Who};
use crate::harness::app::{LONG, request};
use crate::harness::database::TestDatabase;
use crate::harness::process::ServerProcess;
use crate::on_both_databases;

on_both_databases!(
    a_collector_gets_a_span_of_each_request_and_nothing_that_was_sent,
    a_collector_that_is_away_holds_nobody_up,
);

/// A server that hands its spans over only when it leaves.
async fn serve(town: &Town, home: &Home, collector: &str) -> ServerProcess {
    let mut command = ServerProcess::command(town.db.url(), &home.path(""));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector).env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    ServerProcess::spawn(command, &home.path("")).await
}

/// The head and the body of the one request that a collector is sent.
fn one_batch(collector: TcpListener) -> JoinHandle<(String, Vec<u8>)> {
    tokio::spawn(async move {
        let (mut stream, _) = collector.accept().await.expect("somebody comes");
        let mut sent = Vec::new();
        loop {
            assert!(stream.read_buf(&mut sent).await.expect("it is sent") > 0, "cut short");
            let Some(end) = sent.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&sent[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if sent.len() == end + 4 + length.expect("a length") {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it listens");
                return (head, sent.split_off(end + 4));
            }
        }
    })
}

async fn a_collector_gets_a_span_of_each_request_and_nothing_that_was_sent(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let home = home_of(&town);
    let collector = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let address = format!("http://{}", collector.local_addr().expect("a listener has an address"));
    let batch = one_batch(collector);
    let mut server = serve(&town, &home, &address).await;
    let bearer = format!("Bearer {}", town.key_of(Who::DonorA).expect("a donor has a key"));
    let secret = "3171012345678901";
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let claim = one_piece(&need, secret).replacen("mutation(", "mutation Ambil(", 1);
    let reply = request(server.address, "POST", "/graphql", &headers, &claim).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reference = reply.header("x-request-id").expect("a reference").to_owned();
    request(server.address, "GET", "/3171012345678901", &[], "").await;
    request(server.address, "GET", "/health/ready", &[], "").await;
    server.terminate();
    assert!(server.wait().await.success(), "{}", server.last_words());
    let (head, body) = tokio::time::timeout(LONG, batch).await.expect("the spans come").expect("no panic");
    assert!(head.starts_with("post /v1/traces http/1.1") && head.contains("application/x-protobuf"), "{head}");
    // Texts stand in protobuf as they are.
    let has = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
    let texts = [
        "salur",
        "service.name",
        "POST /graphql",
        "GET other",
        "http.route",
        "http.response.status_code",
        "graphql.operation.name",
        "Ambil",
        "salur.reference",
        reference.as_str(),
    ];
    for text in texts {
        assert!(has(text.as_bytes()), "{text} is not in the spans");
    }
    assert!(has(&[0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6]), "the caller's trace goes on");
    for text in [secret, "claimNeeds", "slr_test", "idempotencyKey", "/health/ready"] {
        assert!(!has(text.as_bytes()), "{text} is in the spans");
    }
}

async fn a_collector_that_is_away_holds_nobody_up(db: TestDatabase) {
    let town = Town::new(db).await;
    let home = home_of(&town);
    // Taken and let go again: nobody listens there.
    let away = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("an address");
    let mut server = serve(&town, &home, &format!("http://{away}")).await;
    let reply = request(server.address, "GET", "/api", &[], "").await;
    assert_eq!(reply.status, 200);
    server.terminate();
    assert!(server.wait().await.success(), "{}", server.last_words());
    assert!(server.last_words().contains("spans are not taken"), "{}", server.last_words());
}
