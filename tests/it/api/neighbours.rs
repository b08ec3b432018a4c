//! A neighbourhood's first right as callers meet it.

use salur::domain::actor::Role;
use salur::domain::organization::{OrganizationCategory, OrganizationStatus};
use salur::store::{AddOrganization, AddUser, ImportPrograms, IssueKey, NewUser};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::actors::{CLAIM, FOOD, RT_11, RT_21, RW_1, Town, Who, claim_lines, program_rows};
use crate::harness::database::TestDatabase;
use crate::harness::world::code;
use crate::on_both_databases;

on_both_databases!(a_first_right_is_told_to_all_and_planned_for_neighbours_alone);

/// A donor registered in RW 001, with the key that opens for them.
async fn neighbour(town: &Town) -> (String, String) {
    let add = AddOrganization {
        author: None,
        name: "Warga RW 001".into(),
        category: OrganizationCategory::CivilSociety,
        status: OrganizationStatus::Verified,
        aggregator: false,
        home_area: Some(code(RW_1)),
    };
    let organization = town.store().execute(add).await.expect("an organisation is taken");
    let email = "warga@rw.example";
    let user = NewUser { email: email.into(), role: Role::Donor, organization: Some(organization), area: None };
    town.store().execute(AddUser { author: None, user }).await.expect("a user is taken");
    let key = "slr_test_warga".to_owned();
    let hash = Sha256::digest(key.as_bytes()).into();
    let issue = IssueKey {
        author: None,
        email: email.into(),
        prefix: "slr_test".into(),
        hash,
        expires_days: None,
        label: None,
        scopes: salur::domain::actor::KeyScope::ALL.to_vec(),
    };
    town.store().execute(issue).await.expect("a key is taken");
    (organization.to_string(), key)
}

/// The needs that a plan for 500 packages names.
fn planned(answer: &Value) -> Vec<&str> {
    let lines = answer["data"]["planMatch"]["lines"].as_array().unwrap_or_else(|| panic!("{answer}"));
    lines.iter().filter_map(|l| l["need"]["id"].as_str()).collect()
}

async fn a_first_right_is_told_to_all_and_planned_for_neighbours_alone(db: TestDatabase) {
    let town = Town::new(db).await;
    let old = town.need(RT_11, FOOD, 100).await;
    let mut rows = program_rows();
    rows.iter_mut().filter(|r| r.program_key == FOOD.0).for_each(|r| r.first_right_hours = 2);
    let programs = ImportPrograms { author: None, rows, dry_run: false };
    town.store().execute(programs).await.expect("programs are taken");
    town.app.service.poll().await.expect("the map is read anew with them");
    let (organization, key) = neighbour(&town).await;
    let (here, there) = (town.need(RT_11, FOOD, 100).await, town.need(RT_21, FOOD, 100).await);

    let hours = town.data(Who::Anonymous, "{ programs { key firstRightHours } }", json!({})).await;
    let of_food = hours["programs"].as_array().expect("a list").iter().find(|p| p["key"] == FOOD.0);
    assert_eq!(of_food.expect("it was entered")["firstRightHours"], 2);
    let home = "query($id: ID!) { organization(id: $id) { homeArea { code } } }";
    let home = town.data(Who::Anonymous, home, json!({"id": organization})).await;
    assert_eq!(home["organization"]["homeArea"]["code"], RW_1);
    let strangers = json!({"id": town.organizations[0].to_string()});
    let strangers =
        town.data(Who::Anonymous, "query($id: ID!) { organization(id: $id) { homeArea { code } } }", strangers);
    assert_eq!(strangers.await["organization"]["homeArea"], Value::Null);

    let until = async |need: &str| {
        let query = "query($id: ID!) { node(id: $id) { ... on Need { firstRightUntil } } }";
        town.data(Who::Anonymous, query, json!({"id": need})).await["node"]["firstRightUntil"].take()
    };
    assert!(until(&here).await.is_string() && until(&old).await.is_null());
    let refused = town.claims(Who::DonorA, &[(&here, 5)], json!({})).await;
    assert_eq!(refused["refusals"][0]["reason"], "RULE", "{refused}");
    assert_eq!(refused["refusals"][0]["freesAt"], until(&here).await);

    let plan = r#"{ planMatch(input: {itemKey: "paket", quantity: 500}) { lines { need { id } } } }"#;
    for who in [None, town.key_of(Who::DonorA)] {
        assert_eq!(planned(&town.app.ask(who, plan, json!({})).await), [&old]);
    }
    let mut own = [old.as_str(), &here];
    own.sort_unstable();
    let answer = town.app.ask(Some(&key), plan, json!({})).await;
    let mut named = planned(&answer);
    named.sort_unstable();
    assert_eq!(named, own, "the other RW's is not for them either");
    let input = json!({"idempotencyKey": "warga", "lines": claim_lines(&[(&here, 40)])});
    let taken = town.app.ask(Some(&key), CLAIM, json!({"input": input})).await;
    assert_eq!(taken["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{taken}");

    town.clock.advance(std::time::Duration::from_secs(2 * 3_600));
    assert!(until(&here).await.is_null() && until(&there).await.is_null());
    assert_eq!(planned(&town.app.ask(None, plan, json!({})).await).len(), 3);
    town.holds(Who::DonorA, &[(&here, 60), (&there, 100)], json!({})).await;
    town.check_books().await;
}
