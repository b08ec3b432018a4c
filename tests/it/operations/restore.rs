//! Backups taken while people claim, and brought back by the drill that operators run.

use std::path::Path;
use std::process::Command;

use crate::cli::{Home, Run, salur};
use crate::fire::crowd::{CALLERS, Callers, Site};
use crate::fire::dice;
use crate::harness::books::{connect, rows};
use crate::harness::database::TestDatabase;
use crate::harness::postgres::PostgresServer;

/// Runs the drill, which leaves the log in `home/out`.
fn drill(home: &Home, arguments: &[&str]) -> Run {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/restore-drill.sh");
    let mut command = Command::new(script);
    command.args(arguments).env("SALUR", env!("CARGO_BIN_EXE_salur")).env("OUT", home.path("out"));
    let output = command.current_dir(home.path("")).output().expect("the script starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes UTF-8");
    Run { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// All of these claims are in the log that the drill brought back.
fn all_are_there(home: &Home, claims: &[String]) {
    let log = home.read("out/log.jsonl");
    let lost: Vec<_> = claims.iter().filter(|claim| !log.contains(&format!("\"claim\":\"{claim}\""))).collect();
    assert!(!claims.is_empty() && lost.is_empty(), "acknowledged before the backup and lost: {lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_an_sqlite_file_in_use_holds_all_that_was_acknowledged_before() {
    let (mut dice, _) = dice("restore");
    let site = Site::settle(TestDatabase::sqlite()).await;
    let server = site.serve().await;
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    callers.more("claims are answered", |crowd| &crowd.definite, 100).await;
    let before = site.crowd.acknowledged();
    assert!(salur(&site.home, &site.db, &["backup", "copy.db"]).ok().ends_with("bytes, checked"));
    salur(&site.home, &site.db, &["backup", "copy.db"]).fails(2, "copy.db is there already");
    callers.more("claims go on", |crowd| &crowd.definite, 20).await;
    callers.finish().await;
    assert!(!site.home.path("copy.db.partial").exists());
    let said = drill(&site.home, &["sqlite", ".", "copy.db"]).ok();
    assert!(said.contains("OK: ") && said.ends_with("its log verifies"), "{said}");
    all_are_there(&site.home, &before);
    site.reckon(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_with_a_damaged_log_does_not_pass_the_drill() {
    let (mut dice, _) = dice("restore");
    let site = Site::settle(TestDatabase::sqlite()).await;
    let server = site.serve().await;
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    callers.more("claims are answered", |crowd| &crowd.definite, 20).await;
    callers.finish().await;
    site.reckon(server).await;
    let own = connect(&site.db).await;
    let cut = "UPDATE need SET required = required + 1 WHERE id = (SELECT min(need_id) FROM every_line) RETURNING id";
    assert_eq!(rows(&site.db, &own, cut).await.len(), 1);
    salur(&site.home, &site.db, &["backup", "copy.db"]).ok();
    let said = drill(&site.home, &["sqlite", ".", "copy.db"]);
    assert!(said.code == 1 && !said.out.contains("its log verifies"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_goes_back_to_the_moment_before_an_accident() {
    let (mut dice, _) = dice("restore");
    let mut postgres = PostgresServer::create().await;
    let archive = postgres.archive().await;
    let site = Site::settle(TestDatabase::on_server(&postgres.url(), "").await).await;
    let server = site.serve().await;
    let mut callers = Callers::start(&site, &mut dice, CALLERS);
    callers.more("claims are answered", |crowd| &crowd.definite, 50).await;
    let base = postgres.base_backup();
    callers.more("claims go on", |crowd| &crowd.definite, 50).await;
    let before = site.crowd.acknowledged();
    let own = connect(&site.db).await;
    let clock = rows(&site.db, &own, "SELECT CAST(clock_timestamp() AS text) AS now").await;
    let moment: String = clock[0].try_get("", "now").expect("a text");
    callers.more("claims go on", |crowd| &crowd.definite, 20).await;
    callers.finish().await;
    site.reckon(server).await;
    rows(&site.db, &own, "DELETE FROM audit_pack").await;
    postgres.archived().await;
    let database = site.db.url().rsplit_once('/').expect("an address has a path").1;
    let paths = [&base, &archive].map(|path| path.to_str().expect("it is of our making"));
    let said = drill(&site.home, &["postgres", ".", paths[0], paths[1], database, &moment]).ok();
    assert!(said.contains("OK: ") && said.ends_with("its log verifies"), "{said}");
    all_are_there(&site.home, &before);
    // As far as the archive goes, the accident is in it.
    std::fs::remove_dir_all(site.home.path("out")).expect("it is there");
    let said = drill(&site.home, &["postgres", ".", paths[0], paths[1], database]);
    assert!(said.code == 1 && !said.out.contains("its log verifies"), "{said:?}");
}
