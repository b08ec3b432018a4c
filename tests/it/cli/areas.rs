//! The real lists and layers, from file to database.

use super::{Home, SMALL, counts, salur, shared};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;
use salur::domain::area::{AreaCode, AreaLevel};
use salur::store::{Store, StoreOptions};
use std::collections::HashMap;

on_both_databases!(
    the_real_lists_come_in_whole_and_a_second_time_unchanged,
    a_dry_run_and_a_run_with_rejects_leave_nothing,
    a_parent_that_is_missing_is_named,
);

const CODES: [(&str, &str, u64); 4] = [
    ("provinces.csv", "province", 38),
    ("regencies.csv", "city", 514),
    ("districts.csv", "district", 7_285),
    ("villages.csv.gz", "village", 83_762),
];

async fn the_real_lists_come_in_whole_and_a_second_time_unchanged(db: TestDatabase) {
    let home = Home::new();
    let import = |file: &str, level: &str, more: &[&str]| {
        let mut arguments = vec!["import", "areas", file, "--level", level, "--report", "r.json"];
        arguments.extend(more);
        salur(&home, &db, &arguments).ok();
        let report = home.json("r.json");
        assert_eq!(report["published"], true);
        report
    };
    for (file, level, count) in CODES {
        let report = import(&shared(&format!("kemendagri-codes/{file}")), level, &[]);
        assert_eq!(counts(&report), [count, count, 0, 0], "{file}");
    }
    let (file, level, count) = CODES[3];
    let report = import(&shared(&format!("kemendagri-codes/{file}")), level, &[]);
    assert_eq!(counts(&report), [count, count, count, 0]);

    let rw = shared("jakarta-rw-2014/rw_jakarta_update.geojson.gz");
    let report = import(&rw, "rw", &["--accept-rejects"]);
    assert_eq!(counts(&report), [2_724, 2_723, 0, 1]);
    assert_eq!((&report["matched_by"]["name"], &report["matched_by"]["alias"]), (&2_648.into(), &75.into()));
    assert!(report["rejected"][0]["reason"].as_str().is_some_and(|r| r.contains("TMII")));
    let shapes = report["repaired"].as_array().expect("a list").iter();
    assert_eq!(shapes.filter(|r| r["reason"].as_str().is_some_and(|r| r.starts_with("shape"))).count(), 1);
    assert_eq!(counts(&import(&rw, "rw", &["--accept-rejects"])), [2_724, 2_723, 2_723, 1]);

    let rt = shared("jakarta-rt-list-2012/Provinsi.csv");
    assert_eq!(counts(&import(&rt, "rt", &[])), [30_274, 30_274, 0, 0]);
    assert_eq!(counts(&import(&rt, "rt", &[])), [30_274, 30_274, 30_274, 0]);

    let store = Store::open(&StoreOptions::new(db.url())).await.expect("the database opens");
    let areas = store.area_digests().await.expect("areas");
    let areas: HashMap<AreaCode, _> = areas.into_iter().map(|a| (a.code.parse().expect("a code"), a)).collect();
    let of = |level| areas.keys().filter(move |c: &&AreaCode| c.level() == level);
    assert_eq!((of(AreaLevel::Rt).count(), of(AreaLevel::Village).count()), (30_274, 83_762));
    // An RT has no place of its own; it takes that of its RW, which nearly always has one.
    assert!(of(AreaLevel::Rt).all(|c| areas[c].lon.is_none() && areas[c].geometry.is_none()));
    let rws: std::collections::BTreeSet<AreaCode> = of(AreaLevel::Rt).filter_map(AreaCode::parent).collect();
    assert_eq!(rws.len(), 2_709);
    assert_eq!(rws.iter().filter(|c| areas[*c].geometry.is_some() && areas[*c].lon.is_some()).count(), 2_681);
    assert_eq!(rws.iter().filter_map(AreaCode::parent).collect::<std::collections::BTreeSet<_>>().len(), 267);
}

async fn a_dry_run_and_a_run_with_rejects_leave_nothing(db: TestDatabase) {
    let home = Home::new();
    home.write("small.csv", SMALL);
    salur(&home, &db, &["import", "areas", "small.csv", "--dry-run", "--report", "r.json"]).ok();
    let report = home.json("r.json");
    assert_eq!((counts(&report), &report["published"]), ([6, 6, 0, 0], &false.into()));

    home.write("bad.csv", &format!("{SMALL}31.71.01.9x,Nowhere,village,1\n"));
    let arguments = ["import", "areas", "bad.csv", "--report", "r.json"];
    salur(&home, &db, &arguments).fails(1, "rows rejected: 1 of 7, the first is row 8");
    let report = home.json("r.json");
    assert_eq!((counts(&report), &report["published"]), ([7, 6, 0, 1], &false.into()));
    assert_eq!(report["rejected"][0]["row"], 8);
    // A dry run tells the same and has not failed.
    salur(&home, &db, &["import", "areas", "bad.csv", "--dry-run"]).ok();

    let store = Store::open(&StoreOptions::new(db.url())).await.expect("the database opens");
    assert!(store.is_empty().await.expect("a count"), "nothing was published");
    salur(&home, &db, &["import", "areas", "bad.csv", "--accept-rejects"]).ok();
    assert_eq!(store.area_ids().await.expect("areas").len(), 6);
}

async fn a_parent_that_is_missing_is_named(db: TestDatabase) {
    let home = Home::new();
    home.write("a.csv", "code,name\n31.71.01,Gambir\n");
    salur(&home, &db, &["import", "areas", "a.csv", "--level", "district"]).fails(1, "city 31.71 is not known");
    salur(&home, &db, &["import", "areas", "no.csv", "--level", "rw"]).fails(1, "no.csv");
    home.write("b.csv", "nama,rw\nx,1\n");
    salur(&home, &db, &["import", "areas", "b.csv", "--level", "rw"]).fails(1, "--map");
}
