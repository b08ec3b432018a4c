//! The disk is full. Callers are told to send the same request again, nothing is done by halves, and
//! the server goes on by itself once there is room.
//!
//! Each database meets it in a way that works everywhere (the server's files may not grow, or
//! PostgreSQL answers as it does on a full disk) and, where this process may mount one, on a disk of
//! its own that is filled to the last byte.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::ConnectionTrait;

use super::crowd::{CALLERS, Callers, Site};
use crate::harness::books::connect;
use crate::harness::database::TestDatabase;
use crate::harness::postgres::PostgresServer;
use crate::harness::process::{ServerProcess, until};

/// Fills the disk again and again, and checks what comes of it.
async fn under_pressure(site: Site, server: ServerProcess, way: &str, disk: impl Disk) {
    let n = super::count(2);
    let (mut dice, seed) = super::dice("disk-full");
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    for _ in 0..n {
        callers.more("claims are answered", |crowd| &crowd.definite, dice.between(1, 100) as u64).await;
        disk.fill().await;
        callers.more("callers are told", |crowd| &crowd.unavailable, dice.between(1, 50) as u64).await;
        disk.free().await;
        callers.more("claims are answered again", |crowd| &crowd.definite, 100).await;
    }
    callers.finish().await;
    until("the server is ready by itself", || server.is_ready()).await;
    site.reckon(server).await.show("disk-full", site.db.kind(), n, seed, &format!("way={way} "));
}

trait Disk {
    async fn fill(&self);
    async fn free(&self);
}

// ---------------------------------------------------------------- a disk of our own

/// A small disk; dropping it takes it away.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// `None` where this process may not mount anything, which is said.
    ///
    /// What the callers leave in each round must not fill it for good.
    fn mount(owner: Option<&Path>) -> Option<Tmpfs> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("salur_disk_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("the name is new");
        let size = format!("size={}m", 48 + 2 * super::count(2));
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        if !mount.is_ok_and(|done| done.status.success()) {
            println!("rig=disk-full: this process may not mount a disk, so only the other way was tried");
            fs::remove_dir(&path).expect("it is empty");
            return None;
        }
        if let Some(owner) = owner {
            let owner = fs::metadata(owner).expect("the server has a directory");
            let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("root gives directories away");
        }
        Some(Tmpfs(path))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !done.is_ok_and(|status| status.success()) || fs::remove_dir(&self.0).is_err() {
            eprintln!("{} could not be taken away", self.0.display());
        }
    }
}

impl Disk for &Tmpfs {
    async fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).expect("there is room for a name");
        for size in [1 << 16, 1 << 12] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    async fn free(&self) {
        fs::remove_file(self.0.join("ballast")).expect("it is there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_file_on_a_full_disk_harms_nothing() {
    let Some(disk) = Tmpfs::mount(None) else { return };
    let site = Site::settle(TestDatabase::sqlite_in(&disk.0)).await;
    // Its log stands on the same disk.
    let server = ServerProcess::spawn(ServerProcess::command(site.db.url(), &site.home.path("")), &disk.0).await;
    site.served_at(server.address);
    under_pressure(site, server, "tmpfs", &disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_postgres_on_a_full_disk_harm_nothing() {
    let postgres = PostgresServer::create().await;
    let Some(disk) = Tmpfs::mount(Some(postgres.home())) else { return };
    postgres.run(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.0.display())).await;
    let site = Site::settle(TestDatabase::on_server(&postgres.url(), "TABLESPACE small").await).await;
    let server = site.serve().await;
    under_pressure(site, server, "tmpfs", &disk).await;
    drop(postgres);
}

// ---------------------------------------------------------------- files that may not grow

/// A limit on the size of the server's files, as of now.
struct Limit {
    server: u32,
    file: PathBuf,
}

impl Limit {
    fn set(&self, soft: &str) {
        let set = Command::new("prlimit")
            .args(["--pid", &self.server.to_string(), &format!("--fsize={soft}:unlimited")])
            .status();
        assert!(set.expect("there is a program prlimit").success(), "a process may be limited by its parent");
    }
}

impl Disk for Limit {
    async fn fill(&self) {
        // Whatever is committed goes there first. Up to the size of the database it would find more room in
        // every round than in the one before.
        let journal = fs::metadata(format!("{}-wal", self.file.display())).expect("there is a journal");
        self.set(&journal.len().to_string());
    }

    async fn free(&self) {
        self.set("unlimited");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sqlite_file_that_may_not_grow_harms_nothing() {
    let site = Site::settle(TestDatabase::sqlite()).await;
    let inner = ServerProcess::command(site.db.url(), &site.home.path(""));
    // A write beyond the limit shall fail, not end the process.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(site.home.path(""));
    let server = ServerProcess::spawn(command, &site.home.path("")).await;
    site.served_at(server.address);
    let disk = Limit { server: server.id(), file: site.db.url().trim_start_matches("sqlite://").into() };
    under_pressure(site, server, "limit", disk).await;
}

// ---------------------------------------------------------------- PostgreSQL's own words

/// Answers as PostgreSQL does where a table's file cannot be extended.
struct Words(sea_orm::DatabaseConnection);

impl Disk for Words {
    async fn fill(&self) {
        let sql = "CREATE TRIGGER no_room BEFORE INSERT ON claim FOR EACH ROW EXECUTE FUNCTION no_room()";
        until("it is our turn to change the table", async || self.0.execute_unprepared(sql).await.is_ok()).await;
    }

    async fn free(&self) {
        let sql = "DROP TRIGGER no_room ON claim";
        until("it is our turn to change the table", async || self.0.execute_unprepared(sql).await.is_ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_saying_that_its_disk_is_full_harms_nothing() {
    let site = Site::settle(TestDatabase::postgres().await).await;
    let own = connect(&site.db).await;
    let sql = "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$";
    own.execute_unprepared(sql).await.expect("the test server has plpgsql");
    let server = site.serve().await;
    under_pressure(site, server, "words", Words(own)).await;
}
