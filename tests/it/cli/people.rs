//! Organisations, users and keys from the command line.

use super::{Home, salur, settle};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;
use salur::domain::actor::Role;
use salur::domain::organization::{OrganizationCategory, OrganizationStatus};
use salur::store::{Store, StoreOptions};
use sha2::{Digest, Sha256};

on_both_databases!(
    a_key_opens_what_its_user_was_granted,
    what_a_role_stands_on_must_be_there,
    an_organisation_is_at_home_in_an_area_that_there_is,
);

async fn a_key_opens_what_its_user_was_granted(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    let add = ["organization", "add", "--name", "PMI", "--category", "civil-society", "--aggregator"];
    let organization = salur(&home, &db, &add).ok();
    assert!(organization.starts_with("organization-"), "{organization}");
    salur(&home, &db, &add).fails(1, "is known already");

    let grant = |role: &str, more: &[&str]| {
        let mut arguments = vec!["user", "add", "--email", "Dian@PMI.Example", "--role", role];
        arguments.extend(more);
        salur(&home, &db, &arguments).ok()
    };
    let user = grant("AGGREGATOR", &["--organization", &organization]);
    assert_eq!(grant("area-officer", &["--area", "31.71.01.1001"]), user, "one more role, the same user");
    let key = salur(&home, &db, &["key", "issue", "--email", "dian@pmi.example", "--expires-days", "1"]).ok();
    assert!(key.starts_with("slr_") && key.len() == 47 && key.lines().count() == 1, "{key}");

    let store = Store::open(&StoreOptions::new(db.url())).await.expect("the database opens");
    let hash = Sha256::digest(key.as_bytes()).into();
    let found = store.user_by_key(&hash).await.expect("an answer").expect("the key's user");
    assert_eq!((found.id.to_string(), found.email.as_str()), (user, "dian@pmi.example"));
    assert_eq!(found.roles, [Role::Aggregator, Role::AreaOfficer]);
    assert_eq!(found.area.map(|a| a.to_string()).as_deref(), Some("31.71.01.1001"));
    let id = found.organization.expect("an organisation");
    assert_eq!(id.to_string(), organization);
    let pmi = store.organizations(&[id]).await.expect("an answer").remove(0);
    assert_eq!((pmi.category, pmi.status), (OrganizationCategory::CivilSociety, OrganizationStatus::Verified));
    assert!(pmi.aggregator);
}

async fn an_organisation_is_at_home_in_an_area_that_there_is(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    let add = |area: &str| {
        let named = ["organization", "add", "--name", "Karang Taruna", "--category", "CIVIL_SOCIETY"];
        salur(&home, &db, &[&named[..], &["--home-area", area]].concat())
    };
    add("31.71.01.1001.9").fails(2, "--home-area");
    add("31.71.01.1001.009").fails(1, "there is no area of this code");
    let id = add("31.71.01.1001.002").ok().parse().expect("an id");
    let store = Store::open(&StoreOptions::new(db.url())).await.expect("the database opens");
    let found = store.organizations(&[id]).await.expect("an answer").remove(0);
    assert_eq!(found.home_area.map(|code| code.to_string()).as_deref(), Some("31.71.01.1001.002"));
}

async fn what_a_role_stands_on_must_be_there(db: TestDatabase) {
    let home = Home::new();
    settle(&home, &db);
    let add = |more: &[&str]| {
        let mut arguments = vec!["user", "add"];
        arguments.extend(more);
        salur(&home, &db, &arguments)
    };
    add(&["--email", "a@b.example", "--role", "DONOR"]).fails(2, "--organization organization-3");
    add(&["--email", "a@b.example", "--role", "AREA_OFFICER"]).fails(2, "--area 31.71.01.1001.003");
    add(&["--email", "a@b.example", "--role", "BOSS"]).fails(2, "the roles are DONOR, AGGREGATOR");
    add(&["--email", "a.b.example", "--role", "ADMIN"]).fails(2, "an e-mail address is written like");
    add(&["--email", "a@b.example", "--role", "DONOR", "--organization", "3"]).fails(2, "organization-3");
    add(&["--email", "a@b.example", "--role", "DONOR", "--organization", "organization-99"])
        .fails(1, "there is no such organisation");
    add(&["--email", "a@b.example", "--role", "AREA_OFFICER", "--area", "31.99"]).fails(1, "no area of this code");
    salur(&home, &db, &["key", "issue", "--email", "a@b.example"]).fails(1, "there is no user of this e-mail address");
    let store = Store::open(&StoreOptions::new(db.url())).await.expect("the database opens");
    assert_eq!(store.user_by_email("a@b.example").await.expect("an answer"), None, "a refused user is not entered");
}
