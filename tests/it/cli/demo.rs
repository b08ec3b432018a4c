//! The demo city, filled by the program.

use super::{Home, salur, settle};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;
use salur::domain::actor::Role;
use salur::store::{OverlapFilter, Store, StoreOptions};
use sha2::{Digest, Sha256};

on_both_databases!(the_demo_fills_an_empty_database_once, a_database_with_other_data_is_left_alone);

async fn the_demo_fills_an_empty_database_once(db: TestDatabase) {
    let home = Home::new();
    let guide = salur(&home, &db, &["demo", "--print-guide"]).ok();
    let store = Store::open(&StoreOptions::new(db.url())).await.expect("the database opens");
    let totals = store.audit_totals().await.expect("totals");
    let entries = store.audit_entries().await.expect("a count");
    assert_eq!(store.area_ids().await.expect("areas").len(), 33_301);
    assert!(totals[0] > 60_000 && totals[1] > 5_000 && totals[3] > 0 && totals[4] > 0, "{totals:?}");
    assert_eq!(store.recount().await.expect("a count"), Vec::<String>::new());
    let (_, findings) = store.overlap_page(&OverlapFilter::default(), None, 1).await.expect("findings");
    assert!(findings > 100, "{findings}");

    assert!(guide.contains("http://127.0.0.1:8080") && guide.matches("curl -s ").count() == 3, "{guide}");
    let mut roles = Vec::new();
    for key in guide.split_whitespace().filter(|w| w.starts_with("slr_")) {
        let key = key.trim_matches('\'');
        let user = store.user_by_key(&Sha256::digest(key.as_bytes()).into()).await.expect("an answer");
        roles.extend(user.expect("a key of the guide opens").roles);
    }
    assert!(Role::ALL.iter().all(|role| roles.contains(role)), "{roles:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(home.path("demo-keys.txt")).expect("kept keys").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    let again = salur(&home, &db, &["demo"]);
    assert_eq!((again.code, again.err.contains("nothing was changed")), (0, true), "{again:?}");
    assert_eq!(salur(&home, &db, &["demo", "--print-guide"]).ok(), guide, "the same keys are shown again");
    assert_eq!(store.audit_totals().await.expect("totals"), totals);
    assert_eq!(store.audit_entries().await.expect("a count"), entries);

    // Its log of many changes in one transaction can be put in order and checked.
    salur(&home, &db, &["audit", "export", "--out", "bundle"]).ok();
    salur(&home, &db, &["audit", "verify", "bundle", "--public-key", "audit-key.pem.pub"]).ok();
}

async fn a_database_with_other_data_is_left_alone(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    salur(&home, &db, &["demo"]).fails(1, "holds other data already");
    assert!(!home.path("demo-keys.txt").exists());
}
