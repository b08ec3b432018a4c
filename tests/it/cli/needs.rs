//! Needs, aid from outside and rules, from file to ledger.

use super::{Home, counts, salur, seed, settle};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;
use salur::store::{Store, StoreOptions};

on_both_databases!(
    needs_come_with_their_balances_and_again_unchanged,
    a_bad_row_keeps_all_needs_back_unless_said_otherwise,
    aid_from_outside_comes_once_and_new_givers_are_pending,
    programs_and_rules_come_once,
);

const HEAD: &str = "area_code,program,item,required,severity,period_start,period_end,allocated,delivered,external_id\n";
const GOOD: &str = "31.71.01.1001.001,PANGAN,SEMBAKO,100,4,2026-01-01,2026-03-31,30,10,N-1\n\
    31.71.01.1001.002,PANGAN,SEMBAKO,80,5,2026-01-01,2026-03-31,,,N-2\n";

async fn store(db: &TestDatabase) -> Store {
    Store::open(&StoreOptions::new(db.url())).await.expect("the database opens")
}

/// Needs, lines, required, reserved, delivered; and the ledger adds up.
async fn totals(db: &TestDatabase) -> [i64; 5] {
    let store = store(db).await;
    assert_eq!(store.recount().await.expect("a count"), Vec::<String>::new());
    store.audit_totals().await.expect("totals")
}

async fn needs_come_with_their_balances_and_again_unchanged(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    home.write("needs.csv", &format!("{HEAD}{GOOD}"));
    let import = ["import", "needs", "needs.csv", "--report", "r.json"];
    salur(&home, &db, &["import", "needs", "needs.csv", "--dry-run"]).ok();
    assert_eq!(totals(&db).await, [0, 0, 0, 0, 0], "a dry run leaves nothing");
    salur(&home, &db, &import).ok();
    assert_eq!(counts(&home.json("r.json")), [2, 2, 0, 0]);
    assert_eq!(totals(&db).await, [2, 1, 180, 20, 10]);
    salur(&home, &db, &import).ok();
    assert_eq!(counts(&home.json("r.json")), [2, 2, 2, 0]);
    assert_eq!(totals(&db).await, [2, 1, 180, 20, 10]);

    // The same need with more asked for and more promised: an update, not a twin.
    home.write("needs.csv", &format!("{HEAD}{}", GOOD.replace(",100,4,", ",120,4,").replace(",30,10,", ",50,20,")));
    salur(&home, &db, &import).ok();
    assert_eq!(counts(&home.json("r.json")), [2, 2, 1, 0]);
    assert_eq!(totals(&db).await, [2, 1, 200, 30, 20]);
}

async fn a_bad_row_keeps_all_needs_back_unless_said_otherwise(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    let bad = "31.71.01.1001.002,PANGAN,SEMBAKO,10,4,2026-01-01,2026-03-31,20,0,N-3\n";
    home.write("needs.csv", &format!("{HEAD}{GOOD}{bad}"));
    let import = ["import", "needs", "needs.csv", "--report", "r.json"];
    salur(&home, &db, &import).fails(1, "row 4: allocated 20 is more than required 10");
    let report = home.json("r.json");
    assert_eq!((counts(&report), &report["published"]), ([3, 2, 0, 1], &false.into()));
    assert_eq!(totals(&db).await, [0, 0, 0, 0, 0]);

    let import = ["import", "needs", "needs.csv", "--report", "r.json", "--accept-rejects"];
    salur(&home, &db, &import).ok();
    let report = home.json("r.json");
    assert_eq!((counts(&report), &report["published"]), ([3, 2, 0, 1], &true.into()));
    assert_eq!(totals(&db).await, [2, 1, 180, 20, 10]);
    salur(&home, &db, &import).ok();
    assert_eq!(counts(&home.json("r.json")), [3, 2, 2, 1]);
    assert_eq!(totals(&db).await, [2, 1, 180, 20, 10]);
}

async fn aid_from_outside_comes_once_and_new_givers_are_pending(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    home.write("needs.csv", &format!("{HEAD}{GOOD}"));
    salur(&home, &db, &["import", "needs", "needs.csv"]).ok();
    home.write(
        "aid.csv",
        "external_id,organization,area_code,item,quantity,period_start,period_end\n\
         A-1,Posko Warga,31.71.01.1001.001,SEMBAKO,200,2026-02-01,2026-02-07\n\
         A-2,Dapur Umum,31.71.01.1001.001,SEMBAKO,5,2026-02-03,2026-02-09\n",
    );
    let import = ["import", "distributions", "aid.csv", "--source", "dinas", "--report", "r.json"];
    salur(&home, &db, &["import", "distributions", "aid.csv", "--source", "dinas", "--dry-run"]).ok();
    assert!(store(&db).await.aid_of_source("dinas").await.expect("aid").is_empty());
    salur(&home, &db, &import).ok();
    let report = home.json("r.json");
    assert_eq!(counts(&report), [2, 2, 0, 0]);
    let notes: Vec<&str> =
        report["notes"].as_array().expect("a list").iter().filter_map(|n| n["reason"].as_str()).collect();
    assert!(notes.iter().any(|n| n.contains("Posko Warga") && n.contains("PENDING, CIVIL_SOCIETY")), "{notes:?}");
    assert_eq!(store(&db).await.aid_of_source("dinas").await.expect("aid").len(), 2);
    let (findings, _) = store(&db).await.overlap_page(&Default::default(), None, 50).await.expect("findings");
    assert!(findings.len() >= 2, "over-served, and by two: {findings:?}");
    salur(&home, &db, &import).ok();
    assert_eq!(counts(&home.json("r.json")), [2, 2, 2, 0]);
    salur(&home, &db, &["import", "distributions", "aid.csv"]).fails(2, "--source <NAME>");
}

async fn programs_and_rules_come_once(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    salur(&home, &db, &["import", "programs", &seed("programs.csv"), "--report", "r.json"]).ok();
    assert_eq!(counts(&home.json("r.json")), [24, 24, 24, 0]);
    let import = ["import", "rules", &seed("rules.json"), "--report", "r.json"];
    salur(&home, &db, &import).ok();
    assert_eq!(counts(&home.json("r.json")), [6, 6, 0, 0]);
    salur(&home, &db, &import).ok();
    assert_eq!(counts(&home.json("r.json")), [6, 6, 6, 0]);
    assert_eq!(store(&db).await.overlap_rules().await.expect("rules").len(), 6);

    let rule = r#"[{"kind":"exclusive","items":["TABLET","SMARTPHONE"],"owner":"Dinas","reason_id":"a","reason_en":"b",
        "valid_from":"2026-01-01","valid_until":null}]"#;
    home.write("rules.json", rule);
    salur(&home, &db, &["import", "rules", "rules.json"])
        .fails(1, "rule 1: is exclusive; it takes exactly two programs");
}
