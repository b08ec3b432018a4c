//! The shape of a database, as an operator sees and moves it.

use salur::store::{StepState, StoreOptions};

use crate::cli::{Home, run, salur};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(an_operator_takes_the_steps_one_by_one_and_no_server_starts_before_the_last);

const SIXTH: &str = "m20260301_000006_journal";

async fn an_operator_takes_the_steps_one_by_one_and_no_server_starts_before_the_last(db: TestDatabase) {
    let home = Home::new();
    let status = || salur(&home, &db, &["migrate", "--status"]).ok();
    assert!(status().lines().all(|line| line.starts_with("waiting m2")), "{}", status());
    salur(&home, &db, &["migrate", "--to", "m20260301_000006"]).fails(2, "m20260301_000006 is none of this release");
    assert!(salur(&home, &db, &["migrate", "--to", SIXTH]).ok().ends_with(&format!("took {SIXTH}")));
    assert_eq!(salur(&home, &db, &["migrate", "--to", SIXTH]).ok(), "", "a second time changes nothing");
    assert!(status().contains(&format!("taken   {SIXTH}\nwaiting ")), "{}", status());
    let serve = ["serve", "--no-migrate", "--listen", "127.0.0.1:0"];
    salur(&home, &db, &serve).fails(1, "run `salur migrate` first");
    salur(&home, &db, &["migrate"]).ok();
    assert!(status().lines().all(|line| line.starts_with("taken   ")), "{}", status());
    salur(&home, &db, &["migrate", "--to", SIXTH]).fails(1, "the way back is a backup");
    let store = salur::store::Store::open(&StoreOptions::new(db.url())).await.expect("it opens");
    store.check_shape().await.expect("it may be served");
    assert!(store.steps().await.expect("they are read").iter().all(|step| step.state == StepState::Taken));
}

#[test]
fn asking_how_a_database_stands_makes_none() {
    let home = Home::new();
    for command in [&["migrate", "--status"][..], &["serve", "--no-migrate"], &["backup", "copy.db"]] {
        run(&home, &[("SALUR_DATABASE", "sqlite://none.db")], command).fails(1, "none.db cannot be opened");
    }
    assert!(!home.path("none.db").exists() && !home.path("copy.db").exists());
}
