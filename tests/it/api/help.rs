//! Who helps, as a neighbourhood's page tells it to everybody.

use serde_json::{Value, json};

use crate::harness::actors::{FAR_RT, FOOD, RT_11, RT_12, RW_1, Town, VILLAGE, Who, text};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(
    everybody_is_told_who_helps_when_more_comes_and_what_arrived,
    help_for_a_small_need_is_told_to_those_who_help_alone,
    who_reported_a_need_is_told_that_somebody_else_verifies_it,
);

const HELP: &str = "query($code: String!) { area(code: $code) { help { partlyHidden rows { organization { id name }
    executor { id } item { key } needCount promised held underWay delivered accepted nextTrip lastArrival } } } }";

async fn help(town: &Town, who: Who, code: &str) -> Value {
    town.data(who, HELP, json!({"code": code})).await["area"]["help"].take()
}

async fn everybody_is_told_who_helps_when_more_comes_and_what_arrived(db: TestDatabase) {
    let town = Town::new(db).await;
    let (here, there) = (town.need(RT_11, FOOD, 40).await, town.need(FAR_RT, FOOD, 40).await);
    let beside = town.need(RT_12, FOOD, 30).await;
    let claim = town.promises(Who::DonorA, &[(&here, 20), (&beside, 10), (&there, 5)], json!({})).await;
    town.holds(Who::DonorB, &[(&here, 7)], json!({})).await;
    let line = |n: usize| &claim["lines"][n]["id"];
    // Lines are in the order of their needs: here, there, beside.
    let brought = town.delivers(Who::DonorA, &claim, &[(line(0), 8), (line(1), 5)]).await;
    let answer = "mutation($id: ID!, $lines: [AcknowledgeLineInput!]!) { acknowledgeDelivery(id: $id, lines: $lines) {
        status } }";
    let lines = json!([{"claimLineId": line(0), "accepted": 6, "rejected": 2}]);
    town.data(Who::Officer, answer, json!({"id": brought, "lines": lines})).await;
    town.schedules(Who::DonorA, &claim, &[(line(0), 3)]).await;

    for who in [Who::Anonymous, Who::DonorB, Who::Officer] {
        let told = help(&town, who, RW_1).await;
        assert_eq!(told["partlyHidden"], false);
        let rows = told["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), 2, "{told}");
        let (first, second) = (&rows[0], &rows[1]);
        assert_eq!(first["organization"]["id"], text(&json!(town.organizations[0].to_string())));
        assert_eq!(first["executor"], json!({"id": first["organization"]["id"]}));
        let numbers = |row: &Value| {
            ["needCount", "promised", "held", "underWay", "delivered", "accepted"]
                .map(|name| row[name].as_i64().expect("a number"))
        };
        // Two of the eight were refused at the door, and are owed again.
        assert_eq!(numbers(first), [2, 30, 0, 0, 6, 6], "{who:?}: {first}");
        assert_eq!(first["nextTrip"], "2020-04-10");
        assert!(first["lastArrival"].is_string());
        assert_eq!(numbers(second), [1, 7, 7, 0, 0, 0], "{who:?}: {second}");
        assert_eq!([&second["nextTrip"], &second["lastArrival"]], [&Value::Null, &Value::Null]);
    }
    assert_eq!(help(&town, Who::Anonymous, FAR_RT).await["rows"][0]["promised"], 5);
    assert_eq!(help(&town, Who::Anonymous, VILLAGE).await["rows"][0]["promised"], 30);
    assert_eq!(help(&town, Who::Anonymous, "31.71.01").await, Value::Null, "a district is counted, not listed");
    town.check_books().await;
}

async fn help_for_a_small_need_is_told_to_those_who_help_alone(db: TestDatabase) {
    let town = Town::new(db).await;
    let (few, five) = (town.need(RT_11, FOOD, 3).await, town.need(RT_12, FOOD, 5).await);
    town.promises(Who::DonorA, &[(&few, 2), (&five, 1)], json!({})).await;
    let rows = async |who: Who| {
        let told = help(&town, who, RW_1).await;
        (told["rows"].as_array().expect("rows").len(), told["partlyHidden"].as_bool().expect("a flag"))
    };
    // Five that are shown may be less: nobody is told which of them are.
    assert_eq!([rows(Who::Anonymous).await, rows(Who::PendingDonor).await], [(0, true), (0, true)]);
    assert_eq!([rows(Who::DonorB).await, rows(Who::Officer).await], [(1, false), (1, false)]);
    assert_eq!(help(&town, Who::Anonymous, RT_11).await["partlyHidden"], false, "not all of it is taken");
    town.promises(Who::DonorB, &[(&few, 1)], json!({})).await;
    assert_eq!(help(&town, Who::Anonymous, RT_11).await, json!({"partlyHidden": true, "rows": []}));
    town.check_books().await;
}

async fn who_reported_a_need_is_told_that_somebody_else_verifies_it(db: TestDatabase) {
    let town = Town::new(db).await;
    let report = "mutation($input: ReportNeedInput!) { reportNeed(input: $input) { id reportedByViewer } }";
    let input = json!({"idempotencyKey": "r", "areaCode": RT_11, "program": FOOD.0, "item": FOOD.1, "required": 9,
        "severity": 2, "periodStart": "2020-04-01", "periodEnd": "2020-04-30"});
    let reported = town.data(Who::Officer, report, json!({"input": input})).await["reportNeed"].take();
    assert_eq!(reported["reportedByViewer"], true);
    let query = "query($id: ID!) { node(id: $id) { ... on Need { reportedByViewer } } }";
    let own = async |who: Who| town.data(who, query, json!({"id": reported["id"]})).await["node"].take();
    assert_eq!(own(Who::Officer).await, json!({"reportedByViewer": true}));
    assert_eq!(own(Who::Admin).await, json!({"reportedByViewer": false}));
    town.verifies(&[reported["id"].as_str().expect("an id")]).await;
    assert_eq!(own(Who::Officer).await, json!({"reportedByViewer": false}), "nothing is left to verify");
    town.check_books().await;
}
