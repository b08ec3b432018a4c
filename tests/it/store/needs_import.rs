//! Needs that come by the thousand, with what was promised and given before Salur came.

use salur::domain::ids::NeedId;
use salur::domain::need::{NeedStatus, Severity};
use salur::store::{ExpireDue, ImportNeeds, ImportedNeeds, OpenClaim, OpeningNeed};
use tokio::task::JoinSet;

use crate::harness::books::{check_books, count};
use crate::harness::database::TestDatabase;
use crate::harness::world::{World, period, q};
use crate::on_both_databases;

on_both_databases!(
    opening_balances_end_up_in_the_ledger,
    a_second_import_of_the_same_rows_changes_nothing,
    a_changed_row_updates_its_need_with_all_it_says,
    a_balance_comes_and_goes_and_comes_again,
    a_row_below_what_salur_promised_is_refused_with_its_reason,
    accepted_rows_are_published_beside_refused_ones_only_on_request,
    a_dry_run_of_needs_leaves_no_trace,
    five_thousand_rows_come_in_at_once_and_again,
    a_hold_that_has_run_out_does_not_stand_in_the_way_of_an_import,
    imports_and_claims_at_once_leave_the_books_in_order,
    two_first_imports_at_once_both_come_in,
);

fn import(rows: Vec<OpeningNeed>) -> ImportNeeds {
    ImportNeeds { author: None, rows, accept_rejects: false, dry_run: false }
}

/// A row with an external id, a requirement and its opening balance.
fn opening(world: &World, external: &str, required: i64, allocated: i64, delivered: i64) -> OpeningNeed {
    OpeningNeed {
        external_id: Some(external.into()),
        allocated: q(allocated),
        delivered: q(delivered),
        ..world.row(required)
    }
}

async fn takes(world: &World, rows: Vec<OpeningNeed>) -> ImportedNeeds {
    world.store.execute(import(rows)).await.expect("the import runs")
}

async fn id_of(world: &World, external: &str) -> NeedId {
    NeedId(count(&world.db, &format!("SELECT id AS n FROM need WHERE external_id = '{external}'")).await)
}

async fn opening_balances_end_up_in_the_ledger(db: TestDatabase) {
    let world = World::new(db).await;
    let rows = vec![
        opening(&world, "a", 100, 0, 0),
        opening(&world, "b", 100, 60, 20),
        opening(&world, "c", 100, 100, 100),
        OpeningNeed { external_id: None, ..opening(&world, "", 50, 5, 5) },
        OpeningNeed { status: NeedStatus::Reported, ..opening(&world, "e", 50, 0, 0) },
    ];
    let report = takes(&world, rows).await;
    assert_eq!(report, ImportedNeeds { accepted: 5, unchanged: 0, rejected: vec![], published: true });
    let needs = world.all_needs().await;
    let has: Vec<_> = needs
        .iter()
        .map(|n| (n.counters.required().get(), n.counters.reserved().get(), n.counters.delivered().get(), n.version))
        .collect();
    assert_eq!(has, [(100, 0, 0, 1), (100, 40, 20, 1), (100, 0, 100, 1), (50, 0, 5, 1), (50, 0, 0, 1)]);
    assert_eq!(needs[4].status, NeedStatus::Reported);
    let [needs_sum, lines, required, reserved, delivered] = world.store.audit_totals().await.expect("totals are read");
    assert_eq!([needs_sum, lines, required, reserved, delivered], [5, 3, 400, 40, 125]);
    // What is left is claimed as anywhere else, and the balance itself is nobody's claim.
    world.holds(world.donors[0], &[(needs[1].id, 40)]).await;
    let opened = count(&world.db, "SELECT min(id) AS n FROM claim WHERE opening = 1").await;
    let release = world.release(salur::domain::ids::ClaimId(opened)).await;
    assert!(matches!(release, Err(salur::store::StoreError::NotFound("claim"))), "{release:?}");
    check_books(&world).await;
}

async fn a_second_import_of_the_same_rows_changes_nothing(db: TestDatabase) {
    let world = World::new(db).await;
    let rows = vec![opening(&world, "a", 100, 0, 0), opening(&world, "b", 100, 60, 20), opening(&world, "c", 9, 9, 9)];
    takes(&world, rows.clone()).await;
    world.holds(world.donors[0], &[(id_of(&world, "a").await, 30)]).await;
    let before = world.all_needs().await;
    for _ in 0..2 {
        let report = takes(&world, rows.clone()).await;
        assert_eq!(report, ImportedNeeds { accepted: 3, unchanged: 3, rejected: vec![], published: true });
        assert_eq!(world.all_needs().await, before, "no record has a new version");
    }
    assert_eq!(count(&world.db, "SELECT count(*) AS n FROM claim WHERE opening = 1").await, 1);
    check_books(&world).await;
}

async fn a_changed_row_updates_its_need_with_all_it_says(db: TestDatabase) {
    let world = World::new(db).await;
    takes(&world, vec![opening(&world, "a", 100, 60, 20), opening(&world, "b", 100, 0, 0)]).await;
    let (a, b) = (id_of(&world, "a").await, id_of(&world, "b").await);
    world.promises(world.donors[0], &[(a, 30)]).await;
    for (row, counters) in [
        (opening(&world, "a", 100, 60, 50), (100, 40, 50)),
        (opening(&world, "a", 100, 70, 70), (100, 30, 70)),
        (opening(&world, "a", 100, 10, 0), (100, 40, 0)),
        (opening(&world, "a", 40, 10, 3), (40, 37, 3)),
        (opening(&world, "a", 500, 470, 1), (500, 499, 1)),
        (opening(&world, "a", 30, 0, 0), (30, 30, 0)),
    ] {
        let before = world.need(a).await.version;
        let report = takes(&world, vec![row.clone(), opening(&world, "b", 100, 0, 0)]).await;
        assert_eq!((report.accepted, report.unchanged, report.published), (2, 1, true), "{row:?}");
        assert_eq!(world.counters(a).await, counters, "{row:?}");
        assert_eq!(world.need(a).await.version, before + 1, "{row:?}");
        check_books(&world).await;
    }
    let moved = OpeningNeed {
        area: world.areas[3].id,
        item: world.meal,
        period: period("2020-05-01", "2020-05-31"),
        severity: Severity::new(5).expect("it is from 1 to 5"),
        ..opening(&world, "b", 101, 1, 1)
    };
    takes(&world, vec![moved.clone()]).await;
    let need = world.need(b).await;
    assert_eq!(
        (need.area, need.item, need.period, need.severity),
        (moved.area, moved.item, moved.period, moved.severity)
    );
    assert_eq!(world.counters(b).await, (101, 0, 1));
    check_books(&world).await;
}

async fn a_balance_comes_and_goes_and_comes_again(db: TestDatabase) {
    let world = World::new(db).await;
    for (allocated, delivered) in [(0, 0), (60, 20), (0, 0), (30, 30), (0, 0), (0, 0), (10, 0), (10, 10)] {
        takes(&world, vec![opening(&world, "a", 100, allocated, delivered)]).await;
        let id = id_of(&world, "a").await;
        assert_eq!(world.counters(id).await, (100, allocated - delivered, delivered));
        let stored = world.store.imported_needs().await.expect("needs are read");
        let [stored] = &stored[..] else { panic!("it is one need: {stored:?}") };
        assert_eq!((stored.allocated, stored.delivered), (q(allocated), q(delivered)));
        check_books(&world).await;
    }
    assert_eq!(world.all_needs().await.len(), 1);
}

async fn a_row_below_what_salur_promised_is_refused_with_its_reason(db: TestDatabase) {
    let world = World::new(db).await;
    takes(&world, vec![opening(&world, "a", 100, 40, 0), opening(&world, "b", 100, 0, 0)]).await;
    let (a, b) = (id_of(&world, "a").await, id_of(&world, "b").await);
    let claim = world.promises(world.donors[0], &[(a, 50), (b, 10)]).await;
    world.delivers(claim, &[(a, 20)]).await;
    let before = world.all_needs().await;
    let wrong = OpeningNeed { row: 7, ..opening(&world, "a", 89, 40, 0) };
    let right = OpeningNeed { row: 8, ..opening(&world, "b", 90, 0, 0) };
    let report = takes(&world, vec![wrong, right]).await;
    assert!(!report.published);
    let [(row, reason)] = &report.rejected[..] else { panic!("one row is refused: {report:?}") };
    assert_eq!(*row, 7);
    assert!(reason.contains("50") && reason.contains("40") && reason.contains("89"), "{reason}");
    assert_eq!(world.all_needs().await, before, "nothing of it is published, not even the right row");
    let tight = takes(&world, vec![opening(&world, "a", 90, 40, 0)]).await;
    assert!(tight.published, "exactly what is promised is enough");
    check_books(&world).await;
}

async fn accepted_rows_are_published_beside_refused_ones_only_on_request(db: TestDatabase) {
    let world = World::new(db).await;
    takes(&world, vec![opening(&world, "a", 100, 0, 0), opening(&world, "b", 100, 0, 0)]).await;
    let (a, b) = (id_of(&world, "a").await, id_of(&world, "b").await);
    world.promises(world.donors[0], &[(a, 50)]).await;
    let rows = vec![opening(&world, "a", 10, 0, 0), opening(&world, "b", 10, 5, 0), opening(&world, "new", 10, 5, 5)];
    let report =
        world.store.execute(ImportNeeds { accept_rejects: true, ..import(rows) }).await.expect("the import runs");
    assert_eq!((report.accepted, report.rejected.len(), report.published), (2, 1, true));
    assert_eq!(world.counters(a).await, (100, 50, 0));
    assert_eq!(world.counters(b).await, (10, 5, 0));
    assert_eq!(world.counters(id_of(&world, "new").await).await, (10, 0, 5));
    check_books(&world).await;
}

async fn a_dry_run_of_needs_leaves_no_trace(db: TestDatabase) {
    let world = World::new(db).await;
    takes(&world, vec![opening(&world, "a", 100, 10, 0)]).await;
    let tables = ["need", "claim", "every_line", "audit_pack", "change_log", "organization"];
    let mut counts = Vec::new();
    for table in tables {
        counts.push(count(&world.db, &format!("SELECT count(*) AS n FROM {table}")).await);
    }
    let before = world.all_needs().await;
    let rows = vec![opening(&world, "a", 200, 20, 20), opening(&world, "b", 100, 60, 20)];
    let dry = ImportNeeds { dry_run: true, ..import(rows) };
    let report = world.store.execute(dry).await.expect("a dry run says how it would go");
    assert_eq!(report, ImportedNeeds { accepted: 2, unchanged: 0, rejected: vec![], published: false });
    assert_eq!(world.all_needs().await, before);
    for (table, count_before) in tables.into_iter().zip(counts) {
        assert_eq!(count(&world.db, &format!("SELECT count(*) AS n FROM {table}")).await, count_before, "{table}");
    }
    check_books(&world).await;
}

async fn five_thousand_rows_come_in_at_once_and_again(db: TestDatabase) {
    let world = World::new(db).await;
    let rows: Vec<OpeningNeed> = (0..5_000)
        .map(|i| OpeningNeed {
            row: i as usize + 2,
            area: world.areas[i as usize % 20].id,
            ..opening(&world, &format!("row {i}"), 100 + i, i % 101, i % 7 % (i % 101 + 1))
        })
        .collect();
    let report = takes(&world, rows.clone()).await;
    assert_eq!((report.accepted, report.published), (5_000, true));
    // Every row stands in its own need, in the order of the file.
    for (need, row) in world.all_needs().await.iter().zip(&rows) {
        let has = (need.counters.required(), need.counters.allocated(), need.counters.delivered(), need.area);
        assert_eq!(has, (row.required, row.allocated, row.delivered, row.area), "row {}", row.row);
    }
    let report = takes(&world, rows.clone()).await;
    assert_eq!((report.accepted, report.unchanged), (5_000, 5_000));
    let more = rows.into_iter().map(|r| OpeningNeed { required: q(r.required.get() + 1), ..r }).collect();
    let report = takes(&world, more).await;
    assert_eq!((report.accepted, report.unchanged, report.published), (5_000, 0, true));
    assert!(world.all_needs().await.iter().all(|n| n.version == 2));
    check_books(&world).await;
}

async fn a_hold_that_has_run_out_does_not_stand_in_the_way_of_an_import(db: TestDatabase) {
    let world = World::new(db).await;
    takes(&world, vec![opening(&world, "a", 100, 10, 0)]).await;
    let id = id_of(&world, "a").await;
    world.holds(world.donors[0], &[(id, 90)]).await;
    world.wait(86_400);
    let report = takes(&world, vec![opening(&world, "a", 20, 20, 5)]).await;
    assert!(report.published, "{report:?}");
    assert_eq!(world.counters(id).await, (20, 15, 5));
    assert_eq!(world.store.execute(ExpireDue { most: 10 }).await.expect("a sweep runs"), 0);
    check_books(&world).await;
}

async fn imports_and_claims_at_once_leave_the_books_in_order(db: TestDatabase) {
    let world = World::new(db).await;
    let rows = |round: i64| -> Vec<OpeningNeed> {
        (0..60)
            .map(|i| {
                opening(
                    &world,
                    &format!("row {i}"),
                    200 + round,
                    (i + round) % 50,
                    (i * round) % 5 % ((i + round) % 50 + 1),
                )
            })
            .collect()
    };
    takes(&world, rows(0)).await;
    let needs: Vec<NeedId> = world.all_needs().await.iter().map(|n| n.id).collect();
    let mut tasks = JoinSet::new();
    for round in 1..=8 {
        let (store, import) = (world.store.clone(), import(rows(round)));
        tasks.spawn(async move { store.execute(import).await.map(|r| assert!(r.published)) });
    }
    for i in 0..80_usize {
        let mut lines: Vec<(NeedId, i64)> = (0..5).map(|j| (needs[(i * 7 + j * 11) % 60], 1)).collect();
        lines.sort_unstable();
        lines.dedup_by_key(|l| l.0);
        let ask = OpenClaim { hold_seconds: Some(60), ..world.asks(world.donors[i % 3], &lines) };
        let store = world.store.clone();
        tasks.spawn(async move { store.execute(ask).await.map(|_| ()) });
    }
    while let Some(answer) = tasks.join_next().await {
        answer.expect("no task panics").expect("no error reaches a caller");
    }
    check_books(&world).await;
}

async fn two_first_imports_at_once_both_come_in(db: TestDatabase) {
    let world = World::new(db).await;
    // The same rows twice and others besides, all with a balance, which nobody has opened before.
    let mut tasks = JoinSet::new();
    for names in [["a", "b"], ["a", "b"], ["c", "d"], ["e", "f"]] {
        let rows = names.map(|n| opening(&world, n, 100, 60, 20)).to_vec();
        let (store, import) = (world.store.clone(), import(rows));
        tasks.spawn(async move { store.execute(import).await });
    }
    while let Some(answer) = tasks.join_next().await {
        let report = answer.expect("no task panics").expect("no error reaches a caller");
        assert!(report.published, "{report:?}");
    }
    assert_eq!(world.all_needs().await.len(), 6);
    check_books(&world).await;
}
