//! Areas, published in editions.

use salur::domain::area::AreaLevel;
use salur::domain::place::LonLat;
use salur::spatial::{Packed, Shape};
use salur::store::{AreaRow, PublishAreas};

use crate::harness::database::TestDatabase;
use crate::harness::world::{World, area_row};
use crate::on_both_databases;

on_both_databases!(
    an_edition_changes_what_it_names_and_keeps_what_it_leaves_out,
    an_edition_without_its_parents_publishes_nothing,
    a_dry_run_of_areas_leaves_no_trace,
    a_village_of_thousands_of_areas_is_published_at_once,
);

fn publish(rows: Vec<AreaRow>, dry_run: bool) -> PublishAreas {
    PublishAreas { author: None, level: AreaLevel::Rt, source: "test".into(), rows, dry_run }
}

async fn an_edition_changes_what_it_names_and_keeps_what_it_leaves_out(db: TestDatabase) {
    let world = World::new(db).await;
    let code = "31.71.01.1001.001";
    let shape = Shape::from_wkt("POLYGON ((106 -7, 107 -7, 106.5 -6.123456789, 106 -7))");
    let shape = shape.expect("a triangle").shape;
    let full = AreaRow {
        label: Some("RW. 001".into()),
        point: Some(LonLat::new(106.8, -6.2).expect("a place")),
        shape: Some(Packed::of(&shape)),
        generated: true,
        households: Some(120),
        poor_households: Some(7),
        bps_code: Some("3171010001".into()),
        ..area_row(code)
    };
    let first = world.store.execute(publish(vec![full.clone()], false)).await.expect("areas are taken");
    let bare = AreaRow { name: "Nama baru".into(), households: None, ..area_row(code) };
    let second = world.store.execute(publish(vec![bare], false)).await.expect("areas are taken");
    assert!(second.edition > first.edition);
    let digests = world.store.area_digests().await.expect("areas are read");
    assert_eq!(digests.len(), 25);
    assert!(digests.is_sorted_by(|a, b| a.code < b.code));
    let stored = digests.into_iter().find(|a| a.code == code).expect("it is there");
    assert_eq!(stored.name, "Nama baru");
    assert_eq!((stored.label, stored.bps_code), (full.label, full.bps_code));
    assert_eq!((stored.lon, stored.lat), (Some(106.8), Some(-6.2)));
    assert_eq!(
        (stored.geometry, stored.households, stored.poor_households),
        (Some(shape.to_wkb()), Some(120), Some(7))
    );
    let seen = world.store.snapshot().await.expect("a snapshot is read");
    assert_eq!(seen.edition, second.edition);
    assert!(seen.areas.iter().find(|a| a.digest.code == code).is_some_and(|a| a.generated));
    assert!(seen.areas.is_sorted_by(|a, b| a.code < b.code));
}

async fn an_edition_without_its_parents_publishes_nothing(db: TestDatabase) {
    let world = World::new(db).await;
    let rows = vec![area_row("31.71.01.1001.001.001"), area_row("31.71.02.1001.001.001")];
    world.store.execute(publish(rows, false)).await.expect_err("the second has no parent");
    assert_eq!(world.store.area_digests().await.expect("areas are read").len(), 25);
}

async fn a_dry_run_of_areas_leaves_no_trace(db: TestDatabase) {
    let world = World::new(db).await;
    let before = world.store.snapshot().await.expect("a snapshot is read");
    world.store.execute(publish(vec![area_row("32")], true)).await.expect("a dry run says how it would go");
    let after = world.store.snapshot().await.expect("a snapshot is read");
    assert_eq!((after.edition, after.areas.len()), (before.edition, 25));
}

async fn a_village_of_thousands_of_areas_is_published_at_once(db: TestDatabase) {
    let world = World::new(db).await;
    let rows: Vec<AreaRow> = (1..=10)
        .flat_map(|rw| (1..=250).map(move |rt| area_row(&format!("31.71.01.1002.{rw:03}.{rt:03}"))))
        .rev()
        .collect();
    world.store.execute(publish(rows, false)).await.expect("areas are taken");
    assert_eq!(world.store.area_digests().await.expect("areas are read").len(), 2_525);
}
