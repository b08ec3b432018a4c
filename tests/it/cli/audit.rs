//! The audit log handed out and checked, sound and tampered with.

use super::{Home, run, salur, settle};
use crate::harness::books::connect;
use crate::harness::database::TestDatabase;
use crate::on_both_databases;
use sea_orm::ConnectionTrait;
use std::fs;

on_both_databases!(a_sound_export_verifies_and_every_tampering_is_found);

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
