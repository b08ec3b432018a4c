//! Running it: what the log and the figures say, how a server leaves, how releases follow each other.

mod drain;
mod messages;
mod restore;
mod rollout;
mod traces;
mod upgrades;
mod watching;

use std::net::SocketAddr;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use serde_json::json;

use crate::cli::Home;
use crate::harness::actors::{CLAIM, Town, claim_lines};
use crate::harness::app::request;
use crate::harness::database::{Kind, TestDatabase};

/// A figure of a server's page; a labelled one is named with its labels.
pub async fn figure(server: SocketAddr, name: &str) -> f64 {
    let page = request(server, "GET", "/metrics", &[], "").await.body;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("{name} is not on the page:\n{page}"))
}

/// The body of a request for one piece of a need.
pub fn one_piece(need: &str, key: &str) -> String {
    let input = json!({"idempotencyKey": key, "lines": claim_lines(&[(need, 1)])});
    json!({"query": CLAIM, "variables": {"input": input}}).to_string()
}

/// A directory for a server beside the town's own, which signs with the same key.
pub fn home_of(town: &Town) -> Home {
    let home = Home::new();
    std::fs::copy(town.app.home.join("audit-key.pem"), home.path("audit-key.pem")).expect("the town has a key");
    home
}

/// Keeps everybody else from writing needs as long as it is held.
struct Locked(DatabaseConnection);

impl Locked {
    async fn needs(db: &TestDatabase) -> Locked {
        let mut options = ConnectOptions::new(db.url());
        // One connection, so that the transaction that begins on it also ends on it.
        options.max_connections(1).sqlx_logging(false);
        let connection = Database::connect(options).await.expect("the database is there");
        let lock = match db.kind() {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN; LOCK TABLE need IN EXCLUSIVE MODE",
        };
        // Others may be writing just now.
        while connection.execute_unprepared(lock).await.is_err() {}
        Locked(connection)
    }

    async fn release(self) {
        self.0.execute_unprepared("ROLLBACK").await.expect("it has begun");
        self.0.close().await.expect("nothing is running");
    }
}
