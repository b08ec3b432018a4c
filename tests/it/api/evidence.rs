//! What auditors read beside the findings: the records they rest on, counts by area, an area's history; and who holds
//! an office.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::access::aid;
use crate::harness::actors::{FAR_RT, FAR_VILLAGE, RT_11, RW_1, Town, VILLAGE, Who, text};
use crate::harness::app::code_of;
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(
    a_finding_shows_the_records_it_rests_on_to_those_who_may_see_it,
    findings_are_counted_by_area_and_decision_and_officers_count_their_own,
    an_areas_history_is_the_trails_of_all_its_records_in_pages_of_any_size,
    officials_are_listed_to_admins_with_the_area_in_their_charge,
);

const EVIDENCE: &str = "query($id: ID!) { node(id: $id) { ... on Overlap { quantity evidence rule { owner }
    permittedBy { owner } programs { key } evidenceRecords { id kind quantity periodStart periodEnd source externalId
    organization { id } executor { id } item { key } program { key } claim { id }
    handOvers { deliveryId at status quantity accepted rejected } } } } }";

async fn a_finding_shows_the_records_it_rests_on_to_those_who_may_see_it(db: TestDatabase) {
    let town = Town::new(db).await;
    let near = aid(&town, Who::DonorA, RT_11, VILLAGE, Some(town.organizations[2].to_string())).await;
    let answer = "mutation($id: ID!, $lines: [AcknowledgeLineInput!]!) { acknowledgeDelivery(id: $id, lines: $lines) {
        id } }";
    let trips = "query($id: ID!) { claim(id: $id) { deliveries { id lines { claimLine { id } } } } }";
    let trips = town.data(Who::DonorA, trips, json!({"id": near.claim})).await["claim"]["deliveries"].take();
    let brought = text(&trips[0]["id"]);
    let lines = json!([{"claimLineId": near.line, "accepted": 11, "rejected": 1}]);
    town.data(Who::Officer, answer, json!({"id": brought, "lines": lines})).await;

    for who in [Who::Auditor, Who::Admin, Who::Officer] {
        let found = town.data(who, EVIDENCE, json!({"id": near.overlap})).await["node"].take();
        let records = found["evidenceRecords"].as_array().expect("records");
        assert_eq!(records.len(), 2, "{who:?}: {found}");
        let ids: Vec<&Value> = records.iter().map(|record| &record["id"]).collect();
        assert_eq!(json!(ids), found["evidence"], "the same records in the same order");
        let sum: i64 = records.iter().map(|record| record["quantity"].as_i64().expect("a number")).sum();
        assert_eq!(found["quantity"], sum);
        let first = records.iter().find(|record| record["id"] == near.line.as_str()).expect("the donor's line");
        assert_eq!(first["kind"], "CLAIM_LINE");
        assert_eq!(first["quantity"], 11, "what was refused at the door counts for nothing");
        assert_eq!(first["organization"]["id"], town.organizations[0].to_string());
        assert_eq!(first["executor"]["id"], town.organizations[2].to_string());
        assert_eq!((&first["item"]["key"], &first["program"]["key"]), (&json!("paket"), &json!("PANGAN")));
        assert_eq!(first["claim"]["id"], near.claim.as_str());
        assert_eq!([&first["source"], &first["externalId"]], [&Value::Null, &Value::Null]);
        // The trip that is only planned is no evidence yet.
        let hand_over = first["handOvers"].as_array().expect("trips");
        assert_eq!(hand_over.len(), 1, "{first}");
        let mut trip = hand_over[0].clone();
        assert!(trip["at"].as_str().is_some_and(|at| at.starts_with("20")), "{trip}");
        trip["at"].take();
        let expected = json!({"deliveryId": brought, "at": null, "status": "DISPUTED", "quantity": 12, "accepted": 11,
            "rejected": 1});
        assert_eq!(trip, expected);
        assert_eq!(
            [&found["rule"], &found["permittedBy"], &found["programs"]],
            [&json!(null), &json!(null), &json!([])]
        );
    }
    for who in [Who::FarOfficer, Who::DonorA, Who::DonorB, Who::Aggregator, Who::Anonymous] {
        let found = town.data(who, EVIDENCE, json!({"id": near.overlap})).await;
        assert_eq!(found["node"], Value::Null, "{who:?}");
    }
    town.check_books().await;
}

async fn findings_are_counted_by_area_and_decision_and_officers_count_their_own(db: TestDatabase) {
    let town = Town::new(db).await;
    let near = aid(&town, Who::DonorA, RT_11, VILLAGE, None).await;
    aid(&town, Who::DonorB, FAR_RT, FAR_VILLAGE, None).await;
    let counts = async |who: Who, more: &str| {
        let query = format!("{{ overlapCounts({more}) {{ area {{ code }} suspected permitted confirmed }} }}");
        let mut answer = town.data(who, &query, json!({})).await;
        let rows = answer["overlapCounts"].take();
        let cells = |row: &Value| {
            let number = |name: &str| row[name].as_i64().expect("a number");
            (text(&row["area"]["code"]), number("suspected"), number("permitted"), number("confirmed"))
        };
        rows.as_array().expect("rows").iter().map(cells).collect::<Vec<_>>()
    };
    let (here, there) = ((VILLAGE.to_owned(), 1, 0, 0), (FAR_VILLAGE.to_owned(), 1, 0, 0));
    let mut both = vec![here.clone(), there];
    both.sort();
    assert_eq!(counts(Who::Auditor, "level: VILLAGE").await, both);
    assert_eq!(counts(Who::Officer, "level: VILLAGE").await, std::slice::from_ref(&here));
    assert_eq!(counts(Who::Officer, &format!("level: VILLAGE, areaCode: \"{FAR_VILLAGE}\"")).await, []);
    assert_eq!(counts(Who::Admin, &format!("level: VILLAGE, areaCode: \"{RW_1}\"")).await, [here]);
    assert_eq!(counts(Who::Admin, "level: VILLAGE, kinds: [EXCLUSIVE_PROGRAMS]").await, []);
    let province = counts(Who::Auditor, "level: PROVINCE").await;
    assert_eq!(province.iter().map(|(_, suspected, ..)| suspected).sum::<i64>(), 2, "{province:?}");
    let empty = town.ask(Who::Auditor, "{ overlapCounts(level: RT, kinds: []) { suspected } }", json!({})).await;
    assert_eq!(code_of(&empty), "BAD_INPUT");

    let version = "query($id: ID!) { node(id: $id) { ... on Overlap { version } } }";
    let version = town.data(Who::Auditor, version, json!({"id": near.overlap})).await["node"]["version"].take();
    let decide = "mutation($id: ID!, $v: Version!) {
        resolveOverlap(id: $id, expectedVersion: $v, status: CONFIRMED, note: \"twice\") { id } }";
    town.data(Who::Auditor, decide, json!({"id": near.overlap, "v": version})).await;
    assert_eq!(counts(Who::Officer, "level: RT").await, [(RT_11.to_owned(), 0, 0, 1)]);
    town.check_books().await;
}

async fn an_areas_history_is_the_trails_of_all_its_records_in_pages_of_any_size(db: TestDatabase) {
    let town = Town::new(db).await;
    let near = aid(&town, Who::DonorA, RT_11, VILLAGE, None).await;
    aid(&town, Who::DonorB, FAR_RT, FAR_VILLAGE, None).await;
    let history = async |first: usize| {
        let query = "query($code: String!, $first: Int, $after: String) { areaHistory(code: $code, first: $first,
            after: $after) { nodes { at actor action subject state } pageInfo { hasNextPage endCursor } } }";
        let (mut entries, mut after) = (Vec::new(), Value::Null);
        loop {
            let variables = json!({"code": VILLAGE, "first": first, "after": after});
            let page = town.data(Who::Auditor, query, variables).await["areaHistory"].take();
            let nodes = page["nodes"].as_array().expect("entries");
            assert!(nodes.len() <= first, "{} of {first}", nodes.len());
            entries.extend(nodes.iter().cloned());
            if page["pageInfo"]["hasNextPage"] == false {
                return entries;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    };
    let all = history(500).await;
    for first in [1, 2, 7] {
        assert_eq!(history(first).await, all, "pages of {first}");
    }
    let subjects: BTreeSet<String> = all.iter().map(|entry| text(&entry["subject"])).collect();
    for id in [&near.need, &near.claim, &near.line, &near.delivery, &near.overlap] {
        assert!(subjects.contains(id.as_str()), "{id} is missing: {subjects:?}");
    }
    let trail = "query($subject: ID!) { auditTrail(subject: $subject, first: 500) {
        nodes { at actor action subject state } } }";
    let mut alone = 0;
    for subject in &subjects {
        let own = town.data(Who::Auditor, trail, json!({"subject": subject})).await["auditTrail"]["nodes"].take();
        let here: Vec<&Value> = all.iter().filter(|entry| entry["subject"] == subject.as_str()).collect();
        assert_eq!(json!(here), own, "{subject}");
        alone += here.len();
    }
    assert_eq!(alone, all.len());
    let state: Value = serde_json::from_str(&text(&all[0]["state"])).expect("a state is JSON");
    assert!(state.is_object(), "{state}");

    let ask = "query($code: String!) { areaHistory(code: $code) { nodes { at } } }";
    for (who, code) in [(Who::Anonymous, "UNAUTHENTICATED"), (Who::DonorA, "FORBIDDEN"), (Who::Officer, "FORBIDDEN")] {
        assert_eq!(code_of(&town.ask(who, ask, json!({"code": VILLAGE})).await), code, "{who:?}");
    }
    assert_eq!(code_of(&town.ask(Who::Auditor, ask, json!({"code": "31.71.01"})).await), "TOO_COMPLEX");
    let wrong = "query { areaHistory(code: \"31.71.01.1001\", after: \"7\") { nodes { at } } }";
    assert_eq!(code_of(&town.ask(Who::Auditor, wrong, json!({})).await), "BAD_INPUT");
    town.check_books().await;
}

async fn officials_are_listed_to_admins_with_the_area_in_their_charge(db: TestDatabase) {
    let town = Town::new(db).await;
    let query = "query($first: Int, $after: ID) { officials(first: $first, after: $after) {
        id email roles suspended areaCode } }";
    let all = town.data(Who::Admin, query, json!({"first": 100})).await["officials"].take();
    let all = all.as_array().expect("officials");
    let offices = ["AREA_OFFICER", "AUDITOR", "ADMIN"];
    for official in all {
        let roles = official["roles"].as_array().expect("roles");
        assert!(roles.iter().any(|role| offices.iter().any(|office| role == office)), "{official}");
        assert_eq!(official["areaCode"].is_null(), !roles.contains(&json!("AREA_OFFICER")), "{official}");
    }
    let areas: BTreeSet<String> = all.iter().filter_map(|o| o["areaCode"].as_str().map(str::to_owned)).collect();
    assert_eq!(areas, BTreeSet::from([VILLAGE.to_owned(), FAR_VILLAGE.to_owned()]));
    let mut paged = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = town.data(Who::Admin, query, json!({"first": 1, "after": after})).await["officials"].take();
        let Some(last) = page.as_array().and_then(|page| page.last()) else { break };
        after = last["id"].clone();
        paged.push(last.clone());
    }
    assert_eq!(&paged, all);
    assert_eq!(code_of(&town.ask(Who::Auditor, query, json!({})).await), "FORBIDDEN");
    assert_eq!(
        town.data(Who::Anonymous, "{ waysIn { singleSignOn } }", json!({})).await["waysIn"]["singleSignOn"],
        false
    );
}
