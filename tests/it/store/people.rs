//! Organisations, users, roles and keys.

use salur::domain::actor::Role;
use salur::domain::ids::OrganizationId;
use salur::domain::organization::{OrganizationCategory, OrganizationStatus};
use salur::store::{AddOrganization, AddUser, ImportDistributions, IssueKey, NewUser, OutsideAid, StoreError};
use tokio::task::JoinSet;

use crate::harness::books::{check_books, count};
use crate::harness::database::TestDatabase;
use crate::harness::world::{World, april, code, q};
use crate::on_both_databases;

on_both_databases!(
    an_organisation_of_a_known_name_is_refused_even_when_many_ask_at_once,
    a_giver_that_came_with_an_import_is_vouched_for_once,
    a_user_gathers_roles_but_never_changes_sides,
    a_key_opens_until_it_runs_out_and_only_its_hash_is_kept,
    a_key_for_nobody_is_refused,
);

fn organization(name: &str) -> AddOrganization {
    AddOrganization {
        author: None,
        name: name.into(),
        category: OrganizationCategory::CivilSociety,
        status: OrganizationStatus::Verified,
        aggregator: false,
        home_area: None,
    }
}

fn user(email: &str, role: Role, organization: Option<OrganizationId>, area: Option<&str>) -> AddUser {
    AddUser { author: None, user: NewUser { email: email.into(), role, organization, area: area.map(code) } }
}

async fn an_organisation_of_a_known_name_is_refused_even_when_many_ask_at_once(db: TestDatabase) {
    let world = World::new(db).await;
    for round in 0..10 {
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (store, name) = (world.store.clone(), format!("Yayasan {round}"));
            tasks.spawn(async move { store.execute(organization(&name)).await });
        }
        let mut added = 0;
        while let Some(answer) = tasks.join_next().await {
            match answer.expect("no task panics") {
                Ok(_) => added += 1,
                Err(StoreError::BadInput { field: "name", .. }) => {}
                Err(error) => panic!("it should have been refused by name: {error}"),
            }
        }
        assert_eq!(added, 1);
    }
    check_books(&world).await;
}

async fn a_giver_that_came_with_an_import_is_vouched_for_once(db: TestDatabase) {
    let world = World::new(db).await;
    let aid = OutsideAid {
        external_id: "x1".into(),
        organization: "Yayasan X".into(),
        area: world.areas[0].id,
        item: world.package,
        quantity: q(5),
        period: april(),
    };
    let import = ImportDistributions {
        author: None,
        source: "Dinas Sosial".into(),
        category: OrganizationCategory::Government,
        rows: vec![aid],
        dry_run: false,
    };
    world.store.execute(import).await.expect("distributions are taken");
    let id = world.store.execute(organization("Yayasan X")).await.expect("somebody vouches for it");
    let stands = world.store.organizations(&[id]).await.expect("organisations are read").remove(0);
    assert_eq!(stands.category, OrganizationCategory::CivilSociety);
    assert_eq!(stands.status, OrganizationStatus::Verified);
    let again = world.store.execute(organization("Yayasan X")).await;
    assert!(matches!(again, Err(StoreError::BadInput { field: "name", .. })), "{again:?}");
    let trail = world.store.audit_trail(&id.to_string(), 0, 10).await.expect("the trail is read");
    assert_eq!(trail.iter().map(|e| e.action.as_str()).collect::<Vec<_>>(), ["organization.add", "organization.vouch"]);
    check_books(&world).await;
}

async fn a_user_gathers_roles_but_never_changes_sides(db: TestDatabase) {
    let world = World::new(db).await;
    let [a, b, _] = world.donors;
    let id = world.store.execute(user("u@example.org", Role::Donor, Some(a), None)).await.expect("a user is taken");
    let again = world.store.execute(user("u@example.org", Role::Donor, Some(a), None)).await;
    assert_eq!(again.expect("the same again is harmless"), id);
    let more = world.store.execute(user("u@example.org", Role::AreaOfficer, None, Some("31.71.01"))).await;
    assert_eq!(more.expect("a role is added"), id);
    for other in [
        user("u@example.org", Role::Donor, Some(b), None),
        user("u@example.org", Role::AreaOfficer, None, Some("31.71")),
    ] {
        let refused = world.store.execute(other).await;
        assert!(matches!(refused, Err(StoreError::BadInput { field: "email", .. })), "{refused:?}");
    }
    for (wrong, field) in [
        (user("v@example.org", Role::Donor, Some(OrganizationId(99_999)), None), "organization"),
        (user("v@example.org", Role::AreaOfficer, None, Some("32")), "area"),
    ] {
        match world.store.execute(wrong).await {
            Err(StoreError::BadInput { field: said, .. }) => assert_eq!(said, field),
            other => panic!("it should have been refused: {other:?}"),
        }
    }
    let issue = IssueKey {
        author: None,
        email: "u@example.org".into(),
        prefix: "slr_u".into(),
        hash: [7; 32],
        expires_days: None,
        label: None,
        scopes: salur::domain::actor::KeyScope::ALL.to_vec(),
    };
    world.store.execute(issue).await.expect("a key is issued");
    let found = world.store.user_by_key(&[7; 32]).await.expect("users are read").expect("the key opens");
    assert_eq!((found.id, found.organization, found.area), (id, Some(a), Some(code("31.71.01"))));
    assert_eq!(found.roles, [Role::Donor, Role::AreaOfficer]);
    // Several at once on an address that nobody has had.
    let mut tasks = JoinSet::new();
    for role in Role::ALL {
        let store = world.store.clone();
        tasks.spawn(async move { store.execute(user("w@example.org", role, None, None)).await });
    }
    let mut ids = std::collections::HashSet::new();
    while let Some(id) = tasks.join_next().await {
        ids.insert(id.expect("no task panics").expect("every role is granted"));
    }
    assert_eq!(ids.len(), 1);
    let roles =
        "SELECT count(*) AS n FROM user_role r JOIN app_user u ON u.id = r.user_id WHERE u.email = 'w@example.org'";
    assert_eq!(count(&world.db, roles).await, 5);
    check_books(&world).await;
}

async fn a_key_opens_until_it_runs_out_and_only_its_hash_is_kept(db: TestDatabase) {
    let world = World::new(db).await;
    let email = "officer@example.org";
    let issue = IssueKey {
        author: None,
        email: email.into(),
        prefix: "slr_k".into(),
        hash: [3; 32],
        expires_days: Some(30),
        label: None,
        scopes: salur::domain::actor::KeyScope::ALL.to_vec(),
    };
    world.store.execute(issue).await.expect("a key is issued");
    assert_eq!(world.store.user_by_key(&[3; 32]).await.expect("users are read").map(|u| u.id), Some(world.officer));
    assert_eq!(world.store.user_by_key(&[4; 32]).await.expect("users are read"), None);
    world.wait(30 * 86_400 - 60);
    assert!(world.store.user_by_key(&[3; 32]).await.expect("users are read").is_some());
    world.wait(60);
    assert_eq!(world.store.user_by_key(&[3; 32]).await.expect("users are read"), None);
    check_books(&world).await;
}

async fn a_key_for_nobody_is_refused(db: TestDatabase) {
    let world = World::new(db).await;
    let issue = IssueKey {
        author: None,
        email: "nobody@example.org".into(),
        prefix: "slr_k".into(),
        hash: [3; 32],
        expires_days: None,
        label: None,
        scopes: salur::domain::actor::KeyScope::ALL.to_vec(),
    };
    let refused = world.store.execute(issue).await;
    assert!(matches!(refused, Err(StoreError::BadInput { field: "email", .. })), "{refused:?}");
}
