//! A PostgreSQL server of a test's own, which may be killed, stopped, followed and promoted.
//!
//! Unlike the one that `scripts/with-postgres.sh` starts it runs with fsync: what it has acknowledged
//! must outlive it. It listens on 127.0.0.1 and on a socket in its own directory under /tmp.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, Statement};

use super::process::{self, until};

/// A running server, or one that is down for now; dropping it ends it and removes its data.
#[derive(Debug)]
pub struct PostgresServer {
    home: PathBuf,
    /// Names it among those who follow a primary.
    name: String,
    port: u16,
    postmaster: Option<Child>,
}

/// What the server does with its work when it is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Takes back what is under way, writes everything out and leaves.
    Fast,
    /// Leaves as after a crash.
    Immediate,
}

impl PostgresServer {
    /// A new, empty server.
    pub async fn create() -> Self {
        let mut server = Self::place();
        let data = server.data();
        tool("initdb", &["--pgdata", &data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8"]);
        let settings = "\nlisten_addresses = '127.0.0.1'\nmax_connections = 200\nfsync = on\nsynchronous_commit = on\n\
            timezone = 'UTC'\n";
        let file = Path::new(&data).join("postgresql.conf");
        let usual = fs::read_to_string(&file).expect("initdb writes the settings");
        fs::write(&file, usual + settings).expect("the settings can be added to");
        server.start().await;
        server
    }

    /// A directory and a port of its own.
    fn place() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("salur_pg_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // A socket's path has at most some hundred bytes, whatever TMPDIR says.
        let home = Path::new("/tmp").join(&name);
        create_dir(&home);
        PostgresServer { home, name, port: free_port(), postmaster: None }
    }

    fn data(&self) -> String {
        self.home.join("data").display().to_string()
    }

    fn socket(&self) -> &str {
        self.home.to_str().expect("the path is of our making")
    }

    /// The server's own database; others are made beside it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Makes a database of the same name, and with the same content, on `other`.
    pub async fn restore_on(&self, other: &PostgresServer, database: &str) {
        let dump = self.home.join("dump.sql").display().to_string();
        let (from, to) = (self.port.to_string(), other.port.to_string());
        let (user, host, port) = ("--username", "--host", "--port");
        tool("pg_dump", &[host, self.socket(), port, &from, user, "postgres", "--file", &dump, database]);
        other.run(&format!("CREATE DATABASE {database} TEMPLATE template0")).await;
        #[rustfmt::skip]
        tool("psql", &[
            host, other.socket(), port, &to, user, "postgres", "--dbname", database, "--file", &dump, "--quiet",
            "--set", "ON_ERROR_STOP=1", "--output", "/dev/null",
        ]);
    }

    /// A directory that belongs to the server's account.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Starts, recovers from a crash where there was one, and takes connections.
    pub async fn start(&mut self) {
        assert!(self.postmaster.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(self.home.join("server.log")).expect("a log file");
        let mut command = as_server("postgres");
        command.args(["-D", &self.data(), "-k", self.socket(), "-p", &self.port.to_string()]);
        command.stdout(log.try_clone().expect("a file has many handles")).stderr(log).stdin(Stdio::null());
        let child = command.spawn().expect("postgres starts");
        let pid = child.id();
        self.postmaster = Some(child);
        until("PostgreSQL takes connections", || async {
            // The first line of this file is the process, the eighth what it is ready for.
            let file = fs::read_to_string(self.home.join("data/postmaster.pid")).unwrap_or_default();
            let lines: Vec<&str> = file.lines().map(str::trim).collect();
            assert!(process::is_running(pid), "PostgreSQL ended: {}", self.last_words());
            lines.first().is_some_and(|first| *first == pid.to_string())
                && lines.get(7).is_some_and(|state| ["ready", "standby"].contains(state))
        })
        .await;
    }

    /// Kills the server with all its processes, none of which gets a word in.
    pub async fn kill9(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        let pid = postmaster.id();
        // Held still first, so that it starts no further process while we count them.
        process::signal("STOP", &[pid]);
        let children = process::children_of(pid);
        process::signal("KILL", &[&[pid], children.as_slice()].concat());
        postmaster.wait().expect("a child can be waited for");
        gone(&children).await;
    }

    /// Kills the process of somebody's connection, whereupon all of them end and the server recovers.
    pub async fn crash_one(&self) {
        let one = "SELECT pid::bigint AS n FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1";
        let pid = self.number(one).await.try_into().expect("a process has a small number");
        process::signal("KILL", &[pid]);
        gone(&[pid]).await;
    }

    pub async fn stop(&mut self, how: Stop) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        let children = process::children_of(postmaster.id());
        process::signal(if how == Stop::Fast { "INT" } else { "QUIT" }, &[postmaster.id()]);
        process::ended(&mut postmaster).await;
        gone(&children).await;
    }

    /// From now on every piece of the log that is full is copied into the directory that this answers.
    pub async fn archive(&mut self) -> PathBuf {
        let archive = self.home.join("archive");
        create_dir(&archive);
        let to = archive.display();
        self.run("ALTER SYSTEM SET archive_mode = on").await;
        self.run(&format!("ALTER SYSTEM SET archive_command = 'test ! -f {to}/%f && cp %p {to}/%f'")).await;
        self.stop(Stop::Fast).await;
        self.start().await;
        archive
    }

    /// A copy of the running server's files, as a backup begins with.
    pub fn base_backup(&self) -> PathBuf {
        let base = self.home.join("base");
        let (target, port) = (base.display().to_string(), self.port.to_string());
        #[rustfmt::skip]
        tool("pg_basebackup", &[
            "--pgdata", &target, "--host", self.socket(), "--port", &port, "--username", "postgres", "--checkpoint", "fast",
        ]);
        base
    }

    /// Waits until all that has happened so far is in the archive.
    pub async fn archived(&self) {
        self.run("SELECT pg_switch_wal()").await;
        let left = "SELECT count(*) AS n FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
        until("the log is archived", || async { self.number(left).await == 0 }).await;
    }

    /// A second server that follows this one, over a replication slot of its own.
    pub async fn standby(&self) -> PostgresServer {
        let mut standby = Self::place();
        let (data, port) = (standby.data(), self.port.to_string());
        let conninfo = format!("application_name={}", standby.name);
        #[rustfmt::skip]
        tool("pg_basebackup", &[
            "--pgdata", &data, "--dbname", &conninfo, "--host", self.socket(), "--port", &port, "--username", "postgres",
            "--checkpoint", "fast", "--wal-method", "stream", "--create-slot", "--slot", &standby.name,
            "--write-recovery-conf",
        ]);
        standby.start().await;
        let following = format!(
            "SELECT count(*) AS n FROM pg_stat_replication WHERE application_name = '{}' AND state = 'streaming'",
            standby.name
        );
        until("the standby follows", || async { self.number(&following).await == 1 }).await;
        standby
    }

    /// From now on nothing is acknowledged before `standby` has it, too.
    pub async fn commit_only_with(&self, standby: &PostgresServer) {
        self.run(&format!("ALTER SYSTEM SET synchronous_standby_names = '{}'", standby.name)).await;
        self.run("SELECT pg_reload_conf()").await;
        let sync = "SELECT count(*) AS n FROM pg_stat_replication WHERE sync_state = 'sync'";
        until("the standby is waited for", || async { self.number(sync).await == 1 }).await;
    }

    /// Waits until a standby has done all that its primary has, and lets it hear nothing more.
    pub async fn fall_behind(&self, primary: &PostgresServer) {
        let at = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS n";
        let at = primary.number(at).await;
        let replayed = "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint AS n";
        until("the standby has done it all", || async { self.number(replayed).await >= at }).await;
        self.run("ALTER SYSTEM SET primary_conninfo = ''").await;
        self.run("SELECT pg_reload_conf()").await;
        let hears = "SELECT count(*) AS n FROM pg_stat_wal_receiver";
        until("the standby hears nothing more", || async { self.number(hears).await == 0 }).await;
    }

    /// Makes a standby the primary of a new timeline. What it copied from its old primary of whom
    /// to wait for no longer counts.
    pub async fn promote(&self) {
        tool("pg_ctl", &["promote", "--wait", "--silent", "--pgdata", &self.data()]);
        self.run("ALTER SYSTEM RESET synchronous_standby_names").await;
        self.run("SELECT pg_reload_conf()").await;
    }

    /// Runs a statement on the server's own database.
    pub async fn run(&self, sql: &str) {
        let connection = self.connect().await;
        connection.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        connection.close().await.expect("nothing is running");
    }

    /// The one number, called `n`, that a query on the server's own database answers.
    pub async fn number(&self, sql: &str) -> i64 {
        let connection = self.connect().await;
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = connection.query_one_raw(statement).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        connection.close().await.expect("nothing is running");
        row.expect("a count has a row").try_get("", "n").expect("a query of ours calls its number n")
    }

    async fn connect(&self) -> sea_orm::DatabaseConnection {
        let mut options = ConnectOptions::new(self.url());
        options.max_connections(1).sqlx_logging(false);
        Database::connect(options).await.expect("the server takes connections")
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.home.join("server.log")).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            // Its processes leave at once; their directory must not go before they do.
            process::signal("QUIT", &[postmaster.id()]);
            let _ = postmaster.wait();
        }
        if let Err(error) = fs::remove_dir_all(&self.home) {
            eprintln!("{} could not be removed: {error}", self.home.display());
        }
    }
}

async fn gone(processes: &[u32]) {
    until("PostgreSQL's processes are gone", || async { !processes.iter().any(|pid| process::is_running(*pid)) }).await;
}

/// Makes a directory of the server's account.
fn create_dir(path: &Path) {
    fs::create_dir(path).expect("the name is new");
    if let Some((uid, gid)) = server_account() {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("root gives directories away");
    }
}

/// Whom the server runs as: it refuses root. `None` where we are somebody else already.
fn server_account() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").expect("there is /proc").uid() != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").expect("there are accounts");
    let account = accounts.lines().find(|line| line.starts_with("postgres:")).expect("there is a user postgres");
    let number = |field| account.split(':').nth(field).and_then(|n| n.parse().ok()).expect("an account has numbers");
    Some((number(2), number(3)))
}

/// One of PostgreSQL's programs, of Debian's newest version, else as PATH finds it.
fn as_server(program: &str) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|v| v.file_name().to_str()?.parse::<u32>().ok()).max();
    let program = newest.map_or(program.into(), |v| PathBuf::from(format!("/usr/lib/postgresql/{v}/bin/{program}")));
    let mut command = Command::new(program);
    command.current_dir("/tmp").env_remove("PGDATA").env("LC_ALL", "C");
    if let Some((uid, gid)) = server_account() {
        command.uid(uid).gid(gid);
    }
    command
}

fn tool(program: &str, arguments: &[&str]) {
    let output = as_server(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|e| panic!("these tests need PostgreSQL's {program}: {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port below the range that the system hands out by itself, so that it is still free after a
/// restart.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) * 7;
        let port = 20_000 + (std::process::id() * 13 + step) % 12_000;
        let port = u16::try_from(port).expect("ports end at 32,000 here");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_killed_server_acknowledged_is_there_after_its_recovery() {
        let mut server = PostgresServer::create().await;
        server.run("CREATE TABLE kept (n bigint)").await;
        server.run("INSERT INTO kept VALUES (1), (2)").await;
        server.kill9().await;
        server.start().await;
        assert_eq!(server.number("SELECT count(*) AS n FROM kept").await, 2);
        server.stop(Stop::Immediate).await;
        server.start().await;
        assert_eq!(server.number("SELECT count(*) AS n FROM kept").await, 2);
        server.stop(Stop::Fast).await;
        server.start().await;
        assert_eq!(server.number("SELECT count(*) AS n FROM kept").await, 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_promoted_standby_has_what_its_primary_acknowledged_and_takes_writes() {
        let mut primary = PostgresServer::create().await;
        let standby = primary.standby().await;
        primary.commit_only_with(&standby).await;
        primary.run("CREATE TABLE kept (n bigint)").await;
        primary.run("INSERT INTO kept VALUES (1), (2)").await;
        primary.kill9().await;
        standby.promote().await;
        assert_eq!(standby.number("SELECT count(*) AS n FROM kept").await, 2);
        standby.run("INSERT INTO kept VALUES (3)").await;
        assert_eq!(standby.number("SELECT count(*) AS n FROM kept").await, 3);
    }
}
