//! Lists that are written as text, and documents that are known: nobody can tell. The engine, which makes
//! everything field by field and validates each time, answers over the WebSocket; over HTTP the same comes.

use serde_json::{Value, json};

use crate::harness::actors::{CLAIM, DEVICE, FOOD, RT_11, RT_12, RT_21, Town, VILLAGE, Who};
use crate::harness::app::Live;
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(
    what_is_written_is_what_the_engine_makes,
    fields_come_in_the_order_asked_for,
    where_everything_is_skipped_the_answer_is_an_empty_object,
    a_known_document_is_held_to_the_same_rules,
    a_known_document_answers_each_caller_by_their_own_rights,
    a_known_change_is_held_to_the_same_rules_and_made_once,
);

/// Questions whose lists are written, and some that are the engine's for one reason each.
const QUESTIONS: &[&str] = &[
    "query($where: NeedFilter) { needs(where: $where) { totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        nodes { __typename id severity required allocated delivered unmet service status version smallCountsRounded
        periodStart periodEnd item { id key name unit kind } program { id key name }
        area { id code name label level bbox point households poorHouseholds householdsHidden geometryIsGenerated
            parent { code name parent { level parent { __typename parent { parent { code } } } } } } } } }",
    "query($where: NeedFilter) { found: needs(where: $where, orderBy: CODE, first: 2) { edges { at: cursor distanceMeters
        node { number: id where: area { c: code } } } } }",
    "query($where: NeedFilter) { needs(where: $where) { nodes { ...Row area { ...Name } } edges { ...Edge } } }
        fragment Row on Need { id unmet area { parent { ...Name } } } fragment Name on Area { name code }
        fragment Edge on NeedEdge { node { ...Row } }",
    "query($where: NeedFilter) { areaCoverage(level: RT, where: $where) { __typename area { code level households }
        coverage { needCount unservedCount unservedAreaCount required allocated delivered unmet } } }",
    "query($where: NeedFilter) { needs(where: $where, first: 0) { nodes { id } edges { cursor } } }",
    // The engine's: an argument, a directive, a field of its own kind, one key twice, a fragment of another type.
    "query($where: NeedFilter) { needs(where: $where) { nodes { id item { name(locale: EN) } } } }",
    "query($where: NeedFilter) { needs(where: $where) { nodes { id unmet @skip(if: true) } } }",
    "query($where: NeedFilter) { needs(where: $where) { nodes { id area { children { code } coverage { needCount } } } } }",
    "query($where: NeedFilter) { needs(where: $where) { nodes { area { code } area { name } id id } } }",
    "query($where: NeedFilter) { needs(where: $where) { nodes { ... on Node { id } ... on Need { unmet } } } }",
    "query($where: NeedFilter) { needs(where: $where) { nodes { id firstRightUntil } } }",
];

/// What the engine makes of a question, without its freshness.
async fn made(live: &mut Live, query: &str, variables: &Value) -> Value {
    live.subscribe("1", query, variables.clone()).await;
    let answer = live.next().await.expect("an answer");
    let end = live.next().await;
    if answer["type"] == "next" {
        assert_eq!(end.expect("an end")["type"], "complete");
    }
    stripped(answer["payload"].clone())
}

fn stripped(mut answer: Value) -> Value {
    if let Some(whole) = answer.as_object_mut() {
        whole.remove("extensions");
    }
    answer
}

async fn what_is_written_is_what_the_engine_makes(db: TestDatabase) {
    let town = Town::new(db).await;
    let needs = [town.need(RT_11, FOOD, 10).await, town.need(RT_12, FOOD, 3).await, town.need(RT_21, DEVICE, 7).await];
    town.holds(Who::DonorA, &[(&needs[0], 4), (&needs[2], 7)], json!({})).await;
    let filters = [
        json!({}),
        json!({"where": {"areaCode": VILLAGE, "items": [FOOD.1]}}),
        json!({"where": {"near": {"lon": 106.8, "lat": -6.2}, "service": ["UNSERVED", "PARTIAL"]}}),
        json!({"where": {"areaCode": "11"}}),
    ];
    for who in [Who::Anonymous, Who::DonorA, Who::Admin] {
        let mut live = town.app.live().await;
        live.begin(town.key_of(who)).await;
        for query in QUESTIONS {
            for variables in &filters {
                let made = made(&mut live, query, variables).await;
                assert!(made["data"].is_object() && made.get("errors").is_none(), "{query}: {made}");
                // First it is validated, then it is known.
                for time in ["first", "second"] {
                    let body = json!({"query": query, "variables": variables}).to_string();
                    let reply = town.app.post(town.key_of(who), &body).await;
                    assert_eq!(stripped(reply.json()), made, "{time} time, {who:?}: {query} with {variables}");
                }
            }
        }
    }
}

async fn fields_come_in_the_order_asked_for(db: TestDatabase) {
    let town = Town::new(db).await;
    town.need(RT_11, FOOD, 10).await;
    for (asked, written) in [
        (
            "unmet id area { name code } severity",
            r#"{"unmet":10,"id":"need-1","area":{"name":"NAME","code":"CODE"},"severity":3}"#,
        ),
        ("...Row unmet", r#"{"severity":3,"at":{"c":"CODE"},"unmet":10}"#),
    ] {
        let fragment = "fragment Row on Need { severity at: area { c: code } }";
        let fragment = if asked.contains("...") { fragment } else { "" };
        let body = json!({"query": format!("{{ needs {{ nodes {{ {asked} }} }} }} {fragment}")}).to_string();
        let reply = town.app.post(None, &body).await;
        let name = format!("Area {RT_11}");
        let written = written.replace("NAME", &name).replace("CODE", RT_11);
        let expected = format!(r#"{{"data":{{"needs":{{"nodes":[{written}]}}}}"#);
        assert!(reply.body.starts_with(&expected), "{} does not begin with {expected}", reply.body);
    }
}

async fn where_everything_is_skipped_the_answer_is_an_empty_object(db: TestDatabase) {
    let town = Town::new(db).await;
    let skipping = "query($less: Boolean!) { needs @skip(if: $less) { totalCount } }";
    for _ in 0..2 {
        let answer = town.ask(Who::Anonymous, skipping, json!({"less": true})).await;
        assert_eq!((&answer["data"], answer.get("errors")), (&json!({}), None), "{answer}");
    }
    let some = town.data(Who::Anonymous, skipping, json!({"less": false})).await;
    assert_eq!(some, json!({"needs": {"totalCount": 0}}));
}

async fn a_known_document_is_held_to_the_same_rules(db: TestDatabase) {
    let town = Town::new(db).await;
    town.need(RT_11, FOOD, 10).await;
    let query =
        "query($where: NeedFilter, $first: Int) { needs(where: $where, first: $first) { totalCount nodes { id } } }";
    let good = json!({"where": {"service": ["UNSERVED"], "minSeverity": 1}, "first": 5});
    for _ in 0..2 {
        let answer = town.app.ask(None, query, good.clone()).await;
        assert_eq!(answer["data"]["needs"]["totalCount"], 1, "{answer}");
    }
    let mut live = town.app.live().await;
    live.begin(None).await;
    for wrong in [
        json!({"where": {"servise": ["UNSERVED"], "minSeverity": 1}, "first": 5}),
        json!({"where": {"service": ["UNSERVED"], "minSeverity": 1, "bbocks": {}}, "first": 5}),
        json!({"where": {"service": ["NOTHING"], "minSeverity": 1}, "first": 5}),
        json!({"where": {"service": [], "minSeverity": 1}, "first": 5}),
        json!({"where": {"service": ["UNSERVED"], "minSeverity": 9}, "first": 5}),
        json!({"where": {"service": ["UNSERVED"], "minSeverity": 1.5}, "first": 5}),
        json!({"where": {"service": ["UNSERVED"], "minSeverity": "1"}, "first": 5}),
        json!({"where": {"service": ["UNSERVED"], "minSeverity": 1}, "first": 1_001}),
        json!({"where": {"service": ["UNSERVED"], "minSeverity": 1}, "first": -1}),
        json!({"where": "UNSERVED", "first": 5}),
    ] {
        let answer = stripped(town.app.ask(None, query, wrong.clone()).await);
        let code = answer["errors"][0]["extensions"]["code"].clone();
        assert_eq!(code, "BAD_INPUT", "{wrong}: {answer}");
        let mut made = made(&mut live, query, &wrong).await;
        // Over the WebSocket errors of the validation come alone.
        if made.is_array() {
            made = json!({"data": null, "errors": made});
        }
        for each in [&answer, &made] {
            assert!(each["errors"].is_array(), "{each}");
        }
        assert_eq!(answer["errors"][0]["message"], made["errors"][0]["message"], "{wrong}");
        let answer = town.app.ask(None, query, good.clone()).await;
        assert_eq!(answer["data"]["needs"]["totalCount"], 1, "{answer}");
    }
    // So many that the guard weighs them as too dear, although the document is known.
    let heavy = "query($first: Int) { needs(first: $first) { nodes { area { children { children { code } } } } } }";
    let asked = |first: usize| town.app.ask(None, heavy, json!({"first": first}));
    assert!(asked(1).await["data"].is_object());
    assert!(asked(1).await["data"].is_object());
    assert_eq!(asked(1_000).await["errors"][0]["extensions"]["code"], "TOO_COMPLEX");
}

async fn a_known_document_answers_each_caller_by_their_own_rights(db: TestDatabase) {
    let town = Town::new(db).await;
    let few = town.need(RT_11, FOOD, 3).await;
    let query = "{ needs { nodes { id required smallCountsRounded } } }";
    for who in [Who::Admin, Who::Anonymous, Who::Admin, Who::Anonymous] {
        let answer = town.app.ask(town.key_of(who), query, json!({})).await;
        let (required, rounded) = if matches!(who, Who::Anonymous) { (5, true) } else { (3, false) };
        let expected = json!([{"id": few, "required": required, "smallCountsRounded": rounded}]);
        assert_eq!(answer["data"]["needs"]["nodes"], expected, "{answer}");
    }
    let trail = "query($subject: ID!) { auditTrail(subject: $subject) { nodes { action } } }";
    let variables = json!({"subject": few});
    let auditors = |who: Who| town.app.ask(town.key_of(who), trail, variables.clone());
    assert!(auditors(Who::Auditor).await["data"].is_object());
    assert!(auditors(Who::Auditor).await["data"].is_object());
    let refused = auditors(Who::Anonymous).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{refused}");
}

async fn a_known_change_is_held_to_the_same_rules_and_made_once(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 1_000).await;
    let donor = town.key_of(Who::DonorA);
    let asked = |key: &str, more: Value| {
        let mut input = json!({"idempotencyKey": key, "onConflict": "REFUSE", "holdSeconds": 3600,
            "lines": [{"needId": need, "quantity": 5}]});
        let more = more.as_object().expect("fields of an input");
        more.iter().for_each(|(name, value)| input[name] = value.clone());
        json!({"input": input})
    };
    // Twice by the same text, so that the second is known; a claim each.
    for (times, key) in ["first", "second", "THIRD"].into_iter().enumerate() {
        let answer = town.app.ask(donor, CLAIM, asked(key, json!({}))).await;
        assert_eq!(answer["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{answer}");
        assert_eq!(town.stands(&need).await["allocated"], 5 * (times + 1));
    }
    let line = |needed: Value, quantity: Value| json!({"lines": [{"needId": needed, "quantity": quantity}]});
    let wrong = [
        json!({"onConflict": "NONSENSE"}),
        json!({"onConflict": "refuse"}),
        json!({"onConflict": 1}),
        json!({"holdSeconds": 1.5}),
        json!({"holdSeconds": "3600"}),
        json!({"holdSeconds": 4_000_000_000_u64}),
        json!({"holdSeconds": -1}),
        json!({"holdSeconds": 1}),
        json!({"hold": 3600}),
        json!({"lines": []}),
        json!({"lines": null}),
        json!({"lines": [{"needId": need}]}),
        json!({"lines": [{"needId": need, "quantity": 5, "amount": 5}]}),
        line(json!(need), json!(0)),
        line(json!(need), json!(-5)),
        line(json!(need), json!(5.5)),
        line(json!(need), json!("5")),
        line(json!(need), json!(1_u64 << 62)),
        line(json!("claim-1"), json!(5)),
        line(json!("NEED"), json!(5)),
        line(json!(7), json!(5)),
        json!({"idempotencyKey": null}),
        json!({"idempotencyKey": ""}),
        json!({"idempotencyKey": "first", "lines": [{"needId": need, "quantity": 6}]}),
    ];
    for (number, wrong) in wrong.into_iter().enumerate() {
        let wrong = asked("fourth", wrong);
        let answer = stripped(town.app.ask(donor, CLAIM, wrong.clone()).await);
        assert!(answer["errors"].is_array(), "{wrong}: {answer}");
        // A text that has never been there is parsed and validated from the beginning.
        let unknown = format!("{CLAIM}{}", " ".repeat(number + 1));
        assert_eq!(answer, stripped(town.app.ask(donor, &unknown, wrong.clone()).await), "{wrong}");
    }
    assert_eq!(town.stands(&need).await["allocated"], 15, "nothing wrong was done");
    // Whoever may not is told so by a known document as by any other.
    let refused = town.app.ask(None, CLAIM, asked("fifth", json!({}))).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{refused}");
    town.check_books().await;
}
