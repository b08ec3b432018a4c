//! Overlap findings, counted by hand.

use salur::domain::ids::{AreaId, ClaimId, NeedId, OrganizationId, OverlapId};
use salur::domain::organization::OrganizationCategory;
use salur::domain::overlap::{Overlap, OverlapKind, OverlapStatus, Rule, RuleKind};
use salur::store::{
    AcknowledgeDelivery, Answer, ImportDistributions, ImportNeeds, ImportRules, OpeningNeed, OutsideAid, OverlapFilter,
    RecomputeOverlaps, ResolveOverlap, ReviseNeed, StoreError, VerifyNeeds,
};

use crate::harness::books::{check_books, connect, count, lay_out_log, rows};
use crate::harness::database::TestDatabase;
use crate::harness::world::{ANY_NEED, World, code, period, q};
use crate::on_both_databases;

on_both_databases!(
    two_organisations_opening_balances_and_outside_aid_give_each_kind_of_finding,
    what_is_rejected_withdraws_a_finding_and_what_comes_again_reopens_it,
    a_decision_needs_the_version_it_was_made_on,
    a_decision_stands_until_there_is_more_of_it,
    a_permitting_rule_permits_what_no_auditor_has_judged,
    what_is_required_counts_as_soon_as_it_changes,
    an_opening_balance_counts_as_soon_as_it_is_imported,
    outside_aid_is_imported_once_and_moves_with_its_record,
    findings_are_paged_by_area_code,
    deliveries_to_one_area_at_once_do_not_overlook_each_other,
);

async fn findings(world: &World, filter: OverlapFilter) -> Vec<Overlap> {
    let (ids, total) = world.store.overlap_page(&filter, None, 100).await.expect("findings are read");
    assert_eq!(ids.len() as i64, total);
    in_order(world, &ids).await
}

async fn in_order(world: &World, ids: &[OverlapId]) -> Vec<Overlap> {
    let mut found = world.store.overlaps(ids).await.expect("findings are read");
    found.sort_by_key(|o| ids.iter().position(|id| *id == o.id));
    found
}

async fn of_kind(world: &World, kind: OverlapKind) -> Vec<Overlap> {
    findings(world, OverlapFilter { kinds: vec![kind], ..OverlapFilter::default() }).await
}

fn aid(world: &World, external: &str, organization: &str, quantity: i64, days: (&str, &str)) -> OutsideAid {
    OutsideAid {
        external_id: external.into(),
        organization: organization.into(),
        area: world.areas[0].id,
        item: world.package,
        quantity: q(quantity),
        period: period(days.0, days.1),
    }
}

fn distributions(rows: Vec<OutsideAid>) -> ImportDistributions {
    ImportDistributions {
        author: None,
        source: "Dinas Sosial".into(),
        category: OrganizationCategory::Government,
        rows,
        dry_run: false,
    }
}

fn exclusive(world: &World) -> Rule {
    Rule {
        kind: RuleKind::Exclusive { programs: (world.school, world.food) },
        owner: "Dinas Sosial".into(),
        valid_from: "2020-01-01".parse().expect("a day"),
        valid_until: None,
        reason_id: "tidak boleh digabung".into(),
        reason_en: "must not be combined".into(),
    }
}

async fn answer(world: &World, claim: ClaimId, need: NeedId, trip: salur::domain::ids::DeliveryId, rejected: i64) {
    let line = world.line(claim, need).await;
    let quantity = world.delivery(trip).await.lines[0].quantity.get();
    let answers = vec![Answer { line: line.id, accepted: q(quantity - rejected), rejected: q(rejected), note: None }];
    let say = AcknowledgeDelivery { author: None, id: trip, area: None, answers };
    world.store.execute(say).await.expect("the officer answers");
}

async fn two_organisations_opening_balances_and_outside_aid_give_each_kind_of_finding(db: TestDatabase) {
    let world = World::new(db).await;
    let [a, b, c] = world.donors;
    let here = world.areas[0].id;
    // 100 packages are required, 30 were given before Salur came.
    let need = world.enter(vec![OpeningNeed { allocated: q(30), delivered: q(30), ..world.row(100) }]).await[0];
    assert_eq!(findings(&world, OverlapFilter::default()).await, [], "one giver, nothing too much");
    let claim = world.promises(a, &[(need, 40)]).await;
    world.delivers(claim, &[(need, 40)]).await;
    assert_eq!(findings(&world, OverlapFilter::default()).await, [], "who gave the balance is not known");
    let claim = world.promises(b, &[(need, 20)]).await;
    world.delivers(claim, &[(need, 20)]).await;
    let found = findings(&world, OverlapFilter::default()).await;
    let [same] = &found[..] else { panic!("two organisations served one area: {found:?}") };
    assert_eq!(
        (same.finding.kind, same.status, same.version),
        (OverlapKind::SameAreaSameItem, OverlapStatus::Suspected, 1)
    );
    assert_eq!((same.finding.area, same.finding.item), (here, Some(world.package)));
    assert_eq!(same.finding.organizations, [a, b]);
    assert_eq!((same.finding.quantity, same.finding.excess), (Some(q(60)), None));
    assert_eq!(same.finding.period, period("2020-04-01", "2020-04-30"));
    // 25 from outside: 30 + 40 + 20 + 25 = 115 of 100.
    let rows = vec![aid(&world, "x1", "Yayasan X", 25, ("2020-04-10", "2020-04-12"))];
    let report = world.store.execute(distributions(rows)).await.expect("distributions are taken");
    assert_eq!(report.new_organizations, ["Yayasan X"]);
    let x = OrganizationId(count(&world.db, "SELECT id AS n FROM organization WHERE name = 'Yayasan X'").await);
    let over = of_kind(&world, OverlapKind::OverServed).await;
    let [over] = &over[..] else { panic!("115 came to an area of 100: {over:?}") };
    assert_eq!((over.finding.quantity, over.finding.excess), (Some(q(115)), Some(q(15))));
    assert_eq!(over.finding.organizations, [a, b, x]);
    assert_eq!(over.finding.evidence.len(), 4);
    let same = of_kind(&world, OverlapKind::SameAreaSameItem).await;
    assert_eq!((same.len(), same[0].version, same[0].finding.quantity), (1, 2, Some(q(85))));
    assert_eq!(same[0].finding.organizations, [a, b, x]);
    // Tablets in the same area and month, once a rule says that the two programs exclude each other.
    let tablets = OpeningNeed { program: world.school, item: world.tablet, ..world.row(10) };
    let tablets = world.enter(vec![tablets]).await[0];
    let claim = world.promises(c, &[(tablets, 10)]).await;
    world.delivers(claim, &[(tablets, 10)]).await;
    assert_eq!(of_kind(&world, OverlapKind::ExclusivePrograms).await, []);
    let rules = ImportRules { author: None, rules: vec![exclusive(&world)], dry_run: false };
    let dry = ImportRules { dry_run: true, ..rules.clone() };
    assert_eq!(world.store.execute(dry).await.expect("a dry run says how it would go"), 1);
    assert_eq!(of_kind(&world, OverlapKind::ExclusivePrograms).await, []);
    assert_eq!(world.store.execute(rules.clone()).await.expect("rules are taken"), 1);
    assert_eq!(world.store.execute(rules).await.expect("rules are taken"), 0, "a known rule stays");
    assert_eq!(world.store.overlap_rules().await.expect("rules are read"), [exclusive(&world)]);
    let both = of_kind(&world, OverlapKind::ExclusivePrograms).await;
    let [both] = &both[..] else { panic!("two programs served one area: {both:?}") };
    let mut programs = [world.food, world.school];
    programs.sort_unstable();
    assert_eq!(both.finding.programs, Some((programs[0], programs[1])));
    assert_eq!((both.finding.item, both.finding.quantity, both.finding.rule), (None, None, Some(0)));
    assert_eq!(both.finding.organizations, [a, b, c, x]);
    // Another area with one giver stays clean.
    let quiet = world.needs(&[1, 50]).await[1];
    let claim = world.promises(a, &[(quiet, 50)]).await;
    world.delivers(claim, &[(quiet, 50)]).await;
    assert_eq!(findings(&world, OverlapFilter::default()).await.len(), 3);
    // Computing everything anew finds the same.
    let before = findings(&world, OverlapFilter::default()).await;
    world.store.execute(RecomputeOverlaps { author: None, areas: None }).await.expect("findings are computed");
    assert_eq!(findings(&world, OverlapFilter::default()).await, before);
    check_books(&world).await;
}

async fn what_is_rejected_withdraws_a_finding_and_what_comes_again_reopens_it(db: TestDatabase) {
    let world = World::new(db).await;
    let [a, b, _] = world.donors;
    let need = world.needs(&[100]).await[0];
    let claim = world.promises(a, &[(need, 40)]).await;
    world.delivers(claim, &[(need, 40)]).await;
    let claim = world.promises(b, &[(need, 20)]).await;
    let trip = world.delivers(claim, &[(need, 20)]).await;
    let found = findings(&world, OverlapFilter::default()).await;
    assert_eq!(found.len(), 1);
    answer(&world, claim, need, trip, 20).await;
    assert_eq!(findings(&world, OverlapFilter::default()).await, []);
    let withdrawn = in_order(&world, &[found[0].id]).await;
    assert_eq!((withdrawn[0].open, withdrawn[0].version), (false, 2));
    let resolve = ResolveOverlap {
        author: None,
        id: found[0].id,
        expected_version: 2,
        status: OverlapStatus::Confirmed,
        note: "sudah diperiksa".into(),
        salt: [1; 16],
    };
    let refused = world.store.execute(resolve).await;
    assert!(matches!(refused, Err(StoreError::Illegal(_))), "{refused:?}");
    world.delivers(claim, &[(need, 20)]).await;
    let again = findings(&world, OverlapFilter::default()).await;
    assert_eq!((again.len(), again[0].id, again[0].version), (1, found[0].id, 3), "it is the same record");
    check_books(&world).await;
}

/// An area in which donors A and B met: 40 and 20 of the 100 packages of the first area.
pub async fn met(world: &World) -> (NeedId, Overlap) {
    let [a, b, _] = world.donors;
    let need = world.needs(&[100]).await[0];
    for (who, quantity) in [(a, 40), (b, 20)] {
        let claim = world.promises(who, &[(need, quantity)]).await;
        world.delivers(claim, &[(need, quantity)]).await;
    }
    let found = findings(world, OverlapFilter::default()).await;
    (need, found[0].clone())
}

/// A rule, and a finding that is decided with a note.
pub async fn decided(world: &World) -> OverlapId {
    let rules = ImportRules { author: None, rules: vec![exclusive(world)], dry_run: false };
    assert_eq!(world.store.execute(rules).await.expect("rules are taken"), 1);
    world.first_right(0).await;
    let (_, found) = met(world).await;
    let resolve = ResolveOverlap {
        author: Some(world.officer),
        id: found.id,
        expected_version: found.version,
        status: OverlapStatus::Confirmed,
        note: "sudah diperiksa".into(),
        salt: [1; 16],
    };
    world.store.execute(resolve).await.expect("it is decided");
    found.id
}

async fn a_decision_needs_the_version_it_was_made_on(db: TestDatabase) {
    let world = World::new(db).await;
    let (_, found) = met(&world).await;
    let resolve = |expected_version, note: &str| ResolveOverlap {
        author: Some(world.officer),
        id: found.id,
        expected_version,
        status: OverlapStatus::Permitted,
        note: note.into(),
        salt: [1; 16],
    };
    for wrong in [0, 2] {
        let stale = world.store.execute(resolve(wrong, "boleh")).await;
        assert!(matches!(stale, Err(StoreError::VersionConflict)), "{stale:?}");
    }
    let bare = world.store.execute(resolve(1, "  ")).await;
    assert!(matches!(bare, Err(StoreError::BadInput { field: "note", .. })), "{bare:?}");
    let missing = ResolveOverlap { id: OverlapId(found.id.0 + 1), ..resolve(1, "boleh") };
    let missing = world.store.execute(missing).await;
    assert!(matches!(missing, Err(StoreError::NotFound("overlap"))), "{missing:?}");
    world.store.execute(resolve(1, "boleh")).await.expect("an overlap is resolved");
    let now = &in_order(&world, &[found.id]).await[0];
    assert_eq!((now.status, now.version, now.note.as_deref()), (OverlapStatus::Permitted, 2, Some("boleh")));
    world.store.execute(resolve(2, "boleh")).await.expect("the same again is harmless");
    assert_eq!(in_order(&world, &[found.id]).await[0].version, 2);
    let by_status = OverlapFilter { statuses: vec![OverlapStatus::Suspected], ..OverlapFilter::default() };
    assert_eq!(findings(&world, by_status).await, []);
    check_books(&world).await;
}

async fn a_decision_stands_until_there_is_more_of_it(db: TestDatabase) {
    let world = World::new(db).await;
    let (need, found) = met(&world).await;
    let resolve = ResolveOverlap {
        author: Some(world.officer),
        id: found.id,
        expected_version: 1,
        status: OverlapStatus::Permitted,
        note: "boleh".into(),
        salt: [1; 16],
    };
    world.store.execute(resolve).await.expect("an overlap is resolved");
    // Another recomputation of the same facts leaves it alone.
    world.store.execute(RecomputeOverlaps { author: None, areas: None }).await.expect("findings are computed");
    assert_eq!(in_order(&world, &[found.id]).await[0].version, 2);
    // Less of it: the decision stands, and who made it.
    let [a, ..] = world.donors;
    let claim = ClaimId(count(&world.db, &format!("SELECT id AS n FROM claim WHERE organization_id = {}", a.0)).await);
    let trip = world.store.deliveries_of_claim(claim).await.expect("trips are read")[0];
    answer(&world, claim, need, trip, 10).await;
    let less = &in_order(&world, &[found.id]).await[0];
    assert_eq!((less.status, less.version, less.note.as_deref()), (OverlapStatus::Permitted, 3, Some("boleh")));
    assert_eq!(less.finding.quantity, Some(q(50)));
    let resolver = format!("SELECT COALESCE(resolved_by, 0) AS n FROM overlap WHERE id = {}", found.id.0);
    assert_eq!(count(&world.db, &resolver).await, world.officer.0);
    // More of it: the decision is void.
    world.delivers(claim, &[(need, 10)]).await;
    let more = &in_order(&world, &[found.id]).await[0];
    assert_eq!((more.status, more.version, more.note.as_deref()), (OverlapStatus::Suspected, 4, None));
    assert_eq!(count(&world.db, &resolver).await, 0);
    let own = connect(&world.db).await;
    lay_out_log(&world.db, &own).await;
    let leaves = format!("SELECT leaf FROM audit_entry WHERE subject = '{}' ORDER BY version", found.id);
    let notes: Vec<String> = rows(&world.db, &own, &leaves)
        .await
        .iter()
        .map(|r| r.try_get::<String>("", "leaf").expect("a leaf"))
        .map(|leaf| leaf.split("\"note\":").nth(1).and_then(|rest| rest.split(',').next()).expect("a note").to_owned())
        .collect();
    assert_eq!((notes[0].as_str(), notes[3].as_str()), ("null", "null"));
    assert!(notes[1].len() > 64 && notes[1] == notes[2], "the log commits to the note as long as it stands: {notes:?}");
    check_books(&world).await;
}

async fn a_permitting_rule_permits_what_no_auditor_has_judged(db: TestDatabase) {
    let world = World::new(db).await;
    let (_, found) = met(&world).await;
    let rule = Rule {
        kind: RuleKind::Permitted { programs: vec![], items: vec![world.package] },
        valid_until: Some("2020-04-30".parse().expect("a day")),
        ..exclusive(&world)
    };
    let rules = ImportRules { author: None, rules: vec![rule.clone()], dry_run: false };
    world.store.execute(rules).await.expect("rules are taken");
    assert_eq!(world.store.overlap_rules().await.expect("rules are read"), [rule]);
    let now = &in_order(&world, &[found.id]).await[0];
    assert_eq!((now.status, now.version), (OverlapStatus::Permitted, 2));
    check_books(&world).await;
}

async fn what_is_required_counts_as_soon_as_it_changes(db: TestDatabase) {
    let world = World::new(db).await;
    let rows = vec![aid(&world, "x1", "Yayasan X", 60, ("2020-04-10", "2020-04-12"))];
    world.store.execute(distributions(rows)).await.expect("distributions are taken");
    assert_eq!(findings(&world, OverlapFilter::default()).await, [], "nobody said what is required");
    let reported = OpeningNeed { status: salur::domain::need::NeedStatus::Reported, ..world.row(50) };
    let id = world.enter(vec![reported]).await[0];
    assert_eq!(findings(&world, OverlapFilter::default()).await, [], "a report is not yet a requirement");
    let verify = VerifyNeeds { author: None, access: ANY_NEED, ids: [id].into() };
    world.store.execute(verify).await.expect("a reported need is verified");
    let over = of_kind(&world, OverlapKind::OverServed).await;
    assert_eq!(over.iter().map(|o| o.finding.excess).collect::<Vec<_>>(), [Some(q(10))]);
    let revise = |required, expected_version| ReviseNeed {
        author: None,
        access: ANY_NEED,
        id,
        expected_version,
        required: Some(q(required)),
        severity: None,
    };
    world.store.execute(revise(70, 2)).await.expect("more is required");
    assert_eq!(findings(&world, OverlapFilter::default()).await, []);
    world.store.execute(revise(20, 3)).await.expect("less is required");
    let over = of_kind(&world, OverlapKind::OverServed).await;
    assert_eq!(over.iter().map(|o| o.finding.excess).collect::<Vec<_>>(), [Some(q(40))]);
    check_books(&world).await;
}

async fn an_opening_balance_counts_as_soon_as_it_is_imported(db: TestDatabase) {
    let world = World::new(db).await;
    let rows = vec![aid(&world, "x1", "Yayasan X", 60, ("2020-04-10", "2020-04-12"))];
    world.store.execute(distributions(rows)).await.expect("distributions are taken");
    let row = |delivered| OpeningNeed {
        external_id: Some("a".into()),
        allocated: q(delivered),
        delivered: q(delivered),
        ..world.row(100)
    };
    for (delivered, excess) in [(40, vec![]), (50, vec![Some(q(10))]), (90, vec![Some(q(50))]), (10, vec![])] {
        let import = ImportNeeds { author: None, rows: vec![row(delivered)], accept_rejects: false, dry_run: false };
        world.store.execute(import).await.expect("needs are taken");
        let over = of_kind(&world, OverlapKind::OverServed).await;
        assert_eq!(over.iter().map(|o| o.finding.excess).collect::<Vec<_>>(), excess, "{delivered} delivered");
    }
    // A need that moves away takes what was required with it.
    let moved = OpeningNeed { area: world.areas[1].id, ..row(100) };
    let import = ImportNeeds { author: None, rows: vec![row(100)], accept_rejects: false, dry_run: false };
    world.store.execute(import.clone()).await.expect("needs are taken");
    assert_eq!(of_kind(&world, OverlapKind::OverServed).await.len(), 1);
    world.store.execute(ImportNeeds { rows: vec![moved], ..import }).await.expect("needs are taken");
    assert_eq!(of_kind(&world, OverlapKind::OverServed).await, []);
    check_books(&world).await;
}

async fn outside_aid_is_imported_once_and_moves_with_its_record(db: TestDatabase) {
    let world = World::new(db).await;
    let here = aid(&world, "x1", "Yayasan X", 60, ("2020-04-10", "2020-04-12"));
    let there = aid(&world, "x2", "Yayasan Y", 10, ("2020-04-12", "2020-04-20"));
    world.store.execute(distributions(vec![here.clone(), there.clone()])).await.expect("distributions are taken");
    let found = of_kind(&world, OverlapKind::SameAreaSameItem).await;
    assert_eq!(found.len(), 1, "they met on the twelfth");
    let evidence = &found[0].finding.evidence;
    let ids: Vec<_> = evidence
        .iter()
        .map(|s| match s {
            salur::domain::overlap::Source::Outside(id) => *id,
            other => panic!("nothing else was given: {other:?}"),
        })
        .collect();
    let records = world.store.outside_records(&ids).await.expect("records are read");
    assert_eq!(records.iter().map(|r| r.external_id.as_str()).collect::<Vec<_>>(), ["x1", "x2"]);
    let again = world.store.execute(distributions(vec![here.clone(), there.clone()])).await.expect("they are taken");
    assert_eq!((again.unchanged, again.new_organizations.len()), (2, 0));
    let dry = ImportDistributions {
        dry_run: true,
        ..distributions(vec![aid(&world, "x3", "Yayasan Z", 1, ("2020-04-10", "2020-04-10"))])
    };
    let dry = world.store.execute(dry).await.expect("a dry run says how it would go");
    assert_eq!(dry.new_organizations, ["Yayasan Z"]);
    assert_eq!(count(&world.db, "SELECT count(*) AS n FROM organization WHERE name = 'Yayasan Z'").await, 0);
    let moved = OutsideAid { area: AreaId(world.areas[5].id.0), ..there };
    world.store.execute(distributions(vec![moved])).await.expect("distributions are taken");
    assert_eq!(findings(&world, OverlapFilter::default()).await, [], "both areas are looked at again");
    assert_eq!(count(&world.db, "SELECT count(*) AS n FROM distribution").await, 2);
    check_books(&world).await;
}

async fn findings_are_paged_by_area_code(db: TestDatabase) {
    let world = World::new(db).await;
    let rows = (0..20)
        .flat_map(|i| {
            let of = |who: &str| OutsideAid {
                area: world.areas[i].id,
                ..aid(&world, &format!("{who} {i}"), who, 5, ("2020-04-10", "2020-04-12"))
            };
            [of("X"), of("Y")]
        })
        .rev()
        .collect();
    world.store.execute(distributions(rows)).await.expect("distributions are taken");
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let (ids, total) =
            world.store.overlap_page(&OverlapFilter::default(), after, 7).await.expect("findings are read");
        assert_eq!(total, 20);
        let Some(last) = ids.last() else { break };
        for found in in_order(&world, &ids).await {
            let place = world.areas.iter().position(|a| a.id == found.finding.area).expect("a known area");
            seen.push(place);
        }
        after = Some((world.areas[*seen.last().expect("one was seen")].code.clone(), *last));
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    for (area, expected) in [("31.71.01.1002", 10), ("31.71.01.1001.003", 1), ("31", 20), ("31.71.02", 0)] {
        let filter = OverlapFilter { area: Some(code(area)), ..OverlapFilter::default() };
        assert_eq!(findings(&world, filter).await.len(), expected, "{area}");
    }
}

async fn deliveries_to_one_area_at_once_do_not_overlook_each_other(db: TestDatabase) {
    let world = World::new(db).await;
    // Two needs of one area and item, so that no need's lock keeps the two trips apart.
    let needs = world.enter(vec![world.row(100), world.row(100)]).await;
    for _ in 0..10 {
        let mut trips = tokio::task::JoinSet::new();
        for (who, need) in [(world.donors[0], needs[0]), (world.donors[1], needs[1])] {
            let claim = world.promises(who, &[(need, 1)]).await;
            let id = world.schedules(claim, &[(need, 1)]).await;
            world.dispatch(id).await.expect("a scheduled trip is dispatched");
            let store = world.store.clone();
            let record = salur::store::RecordDelivery {
                author: None,
                id,
                access: salur::store::ClaimAccess { organization: None },
                note: None,
            };
            trips.spawn(async move { store.execute(record).await });
        }
        while let Some(done) = trips.join_next().await {
            done.expect("no task panics").expect("no error reaches a caller");
        }
        let before = findings(&world, OverlapFilter::default()).await;
        assert_eq!(before.len(), 1);
        world.store.execute(RecomputeOverlaps { author: None, areas: None }).await.expect("findings are computed");
        assert_eq!(findings(&world, OverlapFilter::default()).await, before, "nothing was overlooked");
    }
    check_books(&world).await;
}
