//! Servers are replaced one after another while people use them, and a newer release expands the
//! database under those that are still old. Where `SALUR_OTHER_PROGRAM` names the program of another release, it
//! serves at first, and takes turns with ours from then on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::cli::salur;
use crate::fire::crowd::{CALLERS, Callers, Site};
use crate::fire::{count, dice};
use crate::harness::books::connect;
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::process::{ServerProcess, is_ready, until};
use crate::on_both_databases;

on_both_databases!(servers_that_are_replaced_one_after_another_lose_nothing);

async fn servers_that_are_replaced_one_after_another_lose_nothing(db: TestDatabase) {
    let rollouts = count(2);
    let (mut dice, seed) = dice("rollouts");
    let site = Site::settle(db).await;
    // SQLite has one server at a time: whoever comes in between waits at the front.
    let size = if site.db.kind() == Kind::Sqlite { 1 } else { 3 };
    let other = std::env::var_os("SALUR_OTHER_PROGRAM").map(PathBuf::from);
    let mut servers = Vec::new();
    for _ in 0..size {
        servers.push(serve(&site, other.as_deref()).await);
    }
    let mut of_other = 0;
    let front = Front::open(&servers).await;
    site.served_at(front.address);
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    for rollout in 0..rollouts {
        if rollout == rollouts / 2 {
            expand(&site).await;
        }
        for i in 0..size {
            callers.more("claims are answered", |crowd| &crowd.definite, dice.between(1, 100) as u64).await;
            leave(&mut servers[i]).await;
            let program = other.as_deref().filter(|_| dice.chance(50));
            of_other += u64::from(program.is_some());
            servers[i] = serve(&site, program).await;
            front.show(&servers);
            until("the new one is ready", || servers[i].is_ready()).await;
        }
    }
    callers.finish().await;
    let last = servers.pop().expect("there is at least one");
    for mut other in servers {
        leave(&mut other).await;
    }
    let reckoning = site.reckon(last).await;
    let waited = front.waited.load(Relaxed);
    if size > 1 {
        assert_eq!(waited, 0, "there was always a server that was ready");
    }
    reckoning.show(
        "rollouts",
        site.db.kind(),
        rollouts,
        seed,
        &format!("servers={size} of_other={of_other} waited={waited} "),
    );
}

/// A server that gives those who spread requests a second to see that it leaves; of ours where no program is named.
async fn serve(site: &Site, program: Option<&Path>) -> ServerProcess {
    let (database, home) = (site.db.url(), site.home.path(""));
    let mut command = match program {
        Some(program) => ServerProcess::command_of(program, database, &home),
        None => ServerProcess::command(database, &home),
    };
    command.args(["--notice-seconds", "1", "--drain-seconds", "60"]);
    ServerProcess::spawn(command, &site.home.path("")).await
}

async fn leave(server: &mut ServerProcess) {
    server.terminate();
    assert!(server.wait().await.success(), "{}", server.last_words());
    let words = server.last_words();
    assert!(!words.contains("not everything came to its end"), "{words}");
}

/// What the next release does to the database before any of its servers starts.
async fn expand(site: &Site) {
    let connection = connect(&site.db).await;
    for sql in [
        "ALTER TABLE need ADD COLUMN later BIGINT",
        "ALTER TABLE claim_line ADD COLUMN later TEXT NOT NULL DEFAULT ''",
        "CREATE TABLE later (id BIGINT NOT NULL CONSTRAINT pk_later PRIMARY KEY)",
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)",
    ] {
        let sql = match site.db.kind() {
            Kind::Sqlite => sql.replace("BIGINT", "INTEGER"),
            Kind::Postgres => format!("SET lock_timeout = '2s'; {sql}"),
        };
        until("the database is expanded", async || connection.execute_unprepared(&sql).await.is_ok()).await;
    }
    let status = salur(&site.home, &site.db, &["migrate", "--status"]).ok();
    assert!(status.ends_with("newer   m29990101_000001_later"), "{status}");
}

/// What stands before the servers: a connection goes to the next one that says it is ready.
struct Front {
    address: SocketAddr,
    servers: watch::Sender<Vec<SocketAddr>>,
    /// Connections that found nobody ready at first.
    waited: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Front {
    async fn open(servers: &[ServerProcess]) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (servers, places) = watch::channel(addresses(servers));
        let waited = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn({
            let waited = waited.clone();
            async move {
                let mut open = JoinSet::new();
                let mut turn = 0;
                while let Ok((mut client, _)) = listener.accept().await {
                    while open.try_join_next().is_some() {}
                    turn += 1;
                    let (places, waited) = (places.clone(), waited.clone());
                    open.spawn(async move {
                        let mut server = somebody_ready(&places, turn, &waited).await;
                        // However it ends, both ends are told by its end.
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    });
                }
            }
        });
        Front { address, servers, waited, task }
    }

    fn show(&self, servers: &[ServerProcess]) {
        self.servers.send_replace(addresses(servers));
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn addresses(servers: &[ServerProcess]) -> Vec<SocketAddr> {
    servers.iter().map(|server| server.address).collect()
}

async fn somebody_ready(places: &watch::Receiver<Vec<SocketAddr>>, turn: usize, waited: &AtomicU64) -> TcpStream {
    for again in 0.. {
        let servers = places.borrow().clone();
        for i in 0..servers.len() {
            let server = servers[(turn + i) % servers.len()];
            if is_ready(server).await
                && let Ok(stream) = TcpStream::connect(server).await
            {
                return stream;
            }
        }
        if again == 0 {
            waited.fetch_add(1, Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    unreachable!("it asks for ever")
}
