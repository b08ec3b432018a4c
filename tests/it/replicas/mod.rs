//! Three real servers on one PostgreSQL: each shows and tells what the others commit, whatever becomes
//! of the database, and none is silently stale.

mod apart;
mod following;
mod moved;
mod rights;

use std::net::SocketAddr;

use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cli::Home;
use crate::harness::actors::{CLAIM, Town, Who, claim_lines, text};
use crate::harness::app::{Reply, request};
use crate::harness::books::{connect, rows};
use crate::harness::database::TestDatabase;
use crate::harness::process::{ServerProcess, until};
use crate::operations::home_of;

const JSON: (&str, &str) = ("content-type", "application/json");

/// Servers on one database.
struct Replicas {
    servers: Vec<ServerProcess>,
    _home: Option<Home>,
}

impl Replicas {
    /// Three of them beside the town's own, each with these flags.
    async fn start(town: &Town, flags: &[&str]) -> Replicas {
        let home = home_of(town);
        let replicas = Self::start_in(&home, town.db.url(), flags).await;
        Replicas { _home: Some(home), ..replicas }
    }

    /// As [`Replicas::start`], with their keys in `home`.
    async fn start_in(home: &Home, url: &str, flags: &[&str]) -> Replicas {
        let mut servers = Vec::new();
        for _ in 0..3 {
            let mut command = ServerProcess::command(url, &home.path(""));
            command.args(flags);
            servers.push(ServerProcess::spawn(command, &home.path("")).await);
        }
        Replicas { servers, _home: None }
    }

    fn at(&self, replica: usize) -> SocketAddr {
        self.servers[replica].address
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    /// Waits until each server's map is what the database holds, which comes once nobody writes.
    async fn agree_with(&self, db: &TestDatabase) {
        for server in self.addresses() {
            until("the map is what the database holds", async || {
                let digest = health(server, "atlas").await.1["digest"].take();
                digest == stored(db).await
            })
            .await;
        }
    }

    /// Waits until every server says that it is `word`.
    async fn are(&self, word: &str) {
        for server in self.addresses() {
            until(word, async || health(server, "ready").await.1["status"] == word).await;
        }
    }
}

/// A page of a server's health.
async fn health(server: SocketAddr, page: &str) -> (u16, Value) {
    let reply = request(server, "GET", &format!("/health/{page}"), &[], "").await;
    (reply.status, reply.json())
}

/// As `/health/atlas` has it, from the database and in words of our own.
async fn stored(db: &TestDatabase) -> String {
    let own = connect(db).await;
    let mut hash = Sha256::new();
    let epoch: String = rows(db, &own, "SELECT epoch FROM feed").await[0].try_get("", "epoch").expect("a text");
    hash.update(epoch);
    for row in rows(db, &own, "SELECT id, version, required, reserved, delivered FROM need ORDER BY id").await {
        for column in ["id", "version", "required", "reserved", "delivered"] {
            let number: i64 = row.try_get("", column).expect("a number");
            hash.update(number.to_be_bytes());
        }
    }
    own.close().await.expect("nothing is running");
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A claim of donor A at one of the servers; the whole answer.
async fn claims(town: &Town, server: SocketAddr, need: &str, quantity: i64) -> Value {
    claims_under(town, server, &town.fresh(), need, quantity).await
}

/// The same under a key that the caller knows.
async fn claims_under(town: &Town, server: SocketAddr, key: &str, need: &str, quantity: i64) -> Value {
    let input = json!({"idempotencyKey": key, "lines": claim_lines(&[(need, quantity)])});
    let body = json!({"query": CLAIM, "variables": {"input": input}}).to_string();
    let bearer = format!("Bearer {}", town.key_of(Who::DonorA).expect("a donor has a key"));
    request(server, "POST", "/graphql", &[JSON, ("authorization", &bearer)], &body).await.json()
}

/// As [`claims`], accepted: its read token.
async fn claimed(town: &Town, server: SocketAddr, need: &str, quantity: i64) -> String {
    let answer = claims(town, server, need, quantity).await;
    assert_eq!(answer["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{answer}");
    text(&answer["extensions"]["readToken"])
}

/// What a server's map holds of a need, once it has seen what `token` stands for.
async fn asked(server: SocketAddr, need: &str, token: Option<&str>) -> Reply {
    let query = "query($id: ID!) { node(id: $id) { ... on Need { allocated severity } } }";
    let body = json!({"query": query, "variables": {"id": need}}).to_string();
    let mut headers = vec![JSON];
    headers.extend(token.map(|token| ("salur-read-after", token)));
    request(server, "POST", "/graphql", &headers, &body).await
}

/// What is allocated of a need, by a server's map.
async fn allocated(server: SocketAddr, need: &str, token: Option<&str>) -> i64 {
    let answer = asked(server, need, token).await.json();
    answer["data"]["node"]["allocated"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

/// Statements behind all servers' backs, on one connection.
struct Own(sea_orm::DatabaseConnection);

impl Own {
    async fn on(db: &TestDatabase) -> Own {
        Own(connect(db).await)
    }

    async fn at(url: &str) -> Own {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        Own(Database::connect(options).await.expect("the server takes connections"))
    }

    async fn run(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// Changes a need's severity, as another program's transaction would.
    async fn rates(&self, need: &str, severity: i64) {
        let id = need.trim_start_matches("need-");
        // Sent as one, they are one transaction.
        let change = format!("UPDATE need SET severity = {severity}, version = version + 1 WHERE id = {id}");
        self.run(&format!("{change}; INSERT INTO change_log (needs, at) VALUES ('[{id}]', 0)")).await;
    }
}

/// Waits until a server's map has a need with this severity.
async fn shows_severity(server: SocketAddr, need: &str, severity: i64) {
    until("the map follows", async || asked(server, need, None).await.json()["data"]["node"]["severity"] == severity)
        .await;
}
