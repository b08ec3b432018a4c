//! The audit log handed out and checked, sound and tampered with.

use super::{Home, Run, run, salur, settle};
use crate::harness::books::connect;
use crate::harness::database::TestDatabase;
use crate::harness::process::{ServerProcess, ended};
use crate::on_both_databases;
use sea_orm::ConnectionTrait;
use std::fs;
use std::process::Stdio;

on_both_databases!(
    a_sound_export_verifies_and_every_tampering_is_found,
    a_server_without_the_key_of_its_log_does_not_start,
    a_log_whose_key_is_lost_goes_on_under_a_new_one,
);

const NEEDS: &str = "area_code,program,item,required,severity,period_start,period_end,allocated,delivered,external_id\n\
    31.71.01.1001.001,PANGAN,SEMBAKO,100,4,2026-01-01,2026-03-31,30,10,N-1\n\
    31.71.01.1001.002,PANGAN,SEMBAKO,80,5,2026-01-01,2026-03-31,,,N-2\n";

/// Verifying needs no database and no environment.
fn verify(home: &Home, dir: &str, more: &[&str]) -> super::Run {
    let mut arguments = vec!["audit", "verify", dir, "--public-key", "audit-key.pem.pub"];
    arguments.extend(more);
    // No release has an ear for the second, which would make it blind.
    run(home, &[("SALUR_DATABASE", "sqlite://no/such/place.db"), ("SALUR_PLANT", "BlindVerifier")], &arguments)
}

async fn a_sound_export_verifies_and_every_tampering_is_found(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    home.write("needs.csv", NEEDS);
    salur(&home, &db, &["import", "needs", "needs.csv"]).ok();
    salur(&home, &db, &["audit", "export", "--out", "one"]).ok();
    let said = verify(&home, "one", &[]).ok();
    assert!(said.starts_with("OK: ") && said.contains("2 needs: 180 required, 20 reserved, 10 delivered"), "{said}");
    salur(&home, &db, &["audit", "export", "--out", "one"]).fails(1, "is not empty");

    // The log goes on; what was handed out before is still its beginning.
    let add = ["organization", "add", "--name", "PMI", "--category", "CIVIL_SOCIETY"];
    salur(&home, &db, &add).ok();
    salur(&home, &db, &["audit", "export", "--out", "two"]).ok();
    verify(&home, "two", &["--old-head", "one/heads.jsonl"]).ok();
    let backwards = verify(&home, "one", &["--old-head", "two/heads.jsonl"]);
    assert_eq!(backwards.code, 1, "a log shorter than it was: {backwards:?}");

    let log = home.read("two/log.jsonl");
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.len() >= 5, "{log}");
    let joined = |lines: &[&str]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    let dropped: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != 2).map(|(_, l)| *l).collect();
    let tampered = [
        ("a flipped digit", log.replacen("\"required\":100", "\"required\":101", 1)),
        ("a dropped line", joined(&dropped)),
        ("two swapped lines", joined(&swapped)),
        ("a log cut short", joined(&lines[..lines.len() - 1])),
        ("a log cut in a line", log[..log.len() - 9].to_owned()),
    ];
    for (what, text) in tampered {
        assert_ne!(text, log, "{what}");
        fs::write(home.path("two/log.jsonl"), text).expect("the bundle is writable");
        let found = verify(&home, "two", &[]);
        assert!(found.code == 1 && found.err.starts_with("salur: "), "{what}: {found:?}");
    }
    fs::write(home.path("two/log.jsonl"), &log).expect("the bundle is writable");
    let totals = home.read("two/totals.json");
    fs::write(home.path("two/totals.json"), totals.replace("\"delivered\":10", "\"delivered\":11")).expect("writable");
    verify(&home, "two", &[]).fails(1, "totals.json");
    fs::write(home.path("two/totals.json"), totals).expect("the bundle is writable");
    verify(&home, "two", &[]).ok();

    // The same of the database itself, whose rows are compared, too.
    let check = ["audit", "check", "--public-key", "audit-key.pem.pub", "--old-head", "one/heads.jsonl"];
    let said = salur(&home, &db, &check).ok();
    assert!(said.starts_with("OK: ") && said.contains(" rows are what the log says"), "{said}");
    let own = connect(&db).await;
    own.execute_unprepared("UPDATE need SET required = required + 1 WHERE external_id = 'N-1'").await.expect("ours");
    salur(&home, &db, &check).fails(1, "its row is not what version 1 in the log says");
    own.execute_unprepared("UPDATE need SET required = required - 1 WHERE external_id = 'N-1'").await.expect("ours");

    // Another key is not let near the log, and does not verify it.
    fs::create_dir(home.path("other")).expect("a new directory");
    salur(&home, &db, &["audit", "export", "--out", "three", "--data-dir", "other"])
        .fails(1, "signed with another key");
    let arguments = ["audit", "verify", "two", "--public-key", "other/audit-key.pem.pub"];
    assert_eq!(run(&home, &[], &arguments).code, 1);
}

async fn a_server_without_the_key_of_its_log_does_not_start(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    home.write("needs.csv", NEEDS);
    salur(&home, &db, &["import", "needs", "needs.csv"]).ok();
    salur(&home, &db, &["audit", "export", "--out", "one"]).ok();
    does_not_start(&home, &db).await;
    assert!(!home.path("other").exists(), "no key is made where one is missing");
    fs::create_dir(home.path("other")).expect("a new directory");
    let elsewhere = TestDatabase::sqlite();
    salur(&home, &elsewhere, &["audit", "export", "--out", "empty", "--data-dir", "other"]).ok();
    does_not_start(&home, &db).await;
}

/// A server with its keys in `home/other` ends by itself, and says why.
async fn does_not_start(home: &Home, db: &TestDatabase) {
    let log = fs::File::create(home.path("server.log")).expect("the home takes files");
    let mut command = ServerProcess::command(db.url(), &home.path("other"));
    let mut server =
        command.current_dir(home.path("")).stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
    let code = ended(&mut server).await.code().unwrap_or(-1);
    Run { code, out: String::new(), err: home.read("server.log") }.fails(1, "the log is signed with another key");
}

async fn a_log_whose_key_is_lost_goes_on_under_a_new_one(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    home.write("needs.csv", NEEDS);
    salur(&home, &db, &["import", "needs", "needs.csv"]).ok();
    salur(&home, &db, &["audit", "export", "--out", "one"]).ok();
    fs::remove_file(home.path("audit-key.pem")).expect("it is there");
    fs::rename(home.path("audit-key.pem.pub"), home.path("lost.pub")).expect("it is there");
    salur(&home, &db, &["audit", "export", "--out", "two"]).fails(1, "the log is signed with another key");
    connect(&db).await.execute_unprepared("DELETE FROM audit_head").await.expect("as the manual says");
    salur(&home, &db, &["organization", "add", "--name", "PMI", "--category", "CIVIL_SOCIETY"]).ok();
    salur(&home, &db, &["audit", "export", "--out", "two"]).ok();
    let old = ["--old-head", "one/heads.jsonl", "--old-public-key", "lost.pub"];
    assert!(verify(&home, "two", &old).ok().starts_with("OK: "));
    assert_eq!(verify(&home, "two", &old[..2]).code, 1, "the old head is not signed with the new key");
    run(&home, &[], &["audit", "verify", "two", "--public-key", "lost.pub", "--old-public-key", "lost.pub"])
        .fails(2, "--old-head");
}
