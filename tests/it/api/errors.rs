//! Each code of the contract, with its retry; the edges of quantities; and what was sent never
//! comes back in a complaint.

use sea_orm::{ConnectionTrait, TransactionOptions, TransactionTrait};
use serde_json::{Value, json};

use crate::harness::actors::{CLAIM, FOOD, RT_11, RT_12, RT_21, Town, Who, claim_lines};
use crate::harness::app::code_of;
use crate::harness::books;
use crate::harness::database::{Kind, TestDatabase};
use crate::on_both_databases;

on_both_databases!(
    each_code_comes_with_its_retry,
    a_database_that_is_busy_is_unavailable_and_the_same_key_settles_it,
    a_fault_shows_a_reference_and_no_cause,
    a_text_that_no_database_keeps_is_refused_before_it_gets_there,
    quantities_are_whole_numbers_below_two_to_the_53,
    what_was_sent_never_comes_back_in_a_message,
);

const REPORT: &str = "mutation($input: ReportNeedInput!) { reportNeed(input: $input) { id required version } }";

fn report(town: &Town, area: &str, required: Value) -> Value {
    json!({"idempotencyKey": town.fresh(), "areaCode": area, "program": "PANGAN", "item": "paket",
        "periodStart": "2020-04-01", "periodEnd": "2020-04-30", "required": required, "severity": 3})
}

async fn extensions(town: &Town, who: Who, query: &str, variables: Value) -> Value {
    town.ask(who, query, variables).await["errors"][0]["extensions"].take()
}

async fn each_code_comes_with_its_retry(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let says = |code: &str, retry: &str| json!({"code": code, "retry": retry});
    let claim = json!({"idempotencyKey": "k", "lines": claim_lines(&[(&need, 1)])});
    let close = "mutation($id: ID!, $version: Version!) { closeNeed(id: $id, expectedVersion: $version, reason: \"x\") { id } }";
    let revise = "mutation($input: ReviseNeedInput!) { reviseNeed(input: $input) { version } }";
    let confirm = "mutation($id: ID!) { confirmClaim(id: $id) { id } }";

    let got = extensions(&town, Who::Anonymous, CLAIM, json!({"input": claim})).await;
    assert_eq!(got, says("UNAUTHENTICATED", "NEVER"));
    let got = extensions(&town, Who::Officer, CLAIM, json!({"input": claim})).await;
    assert_eq!(got, says("FORBIDDEN", "NEVER"));
    let got = extensions(&town, Who::PendingDonor, CLAIM, json!({"input": claim})).await;
    assert_eq!(got, says("FORBIDDEN", "NEVER"), "an organisation that nobody has verified");
    let got = extensions(&town, Who::DonorA, confirm, json!({"id": "claim-77"})).await;
    assert_eq!(got, says("NOT_FOUND", "NEVER"));
    let got = extensions(&town, Who::DonorA, confirm, json!({"id": "need-77"})).await;
    assert_eq!(got, says("BAD_INPUT", "NEVER"), "an id of another kind");

    town.data(Who::DonorA, CLAIM, json!({"input": claim})).await;
    let other = json!({"idempotencyKey": "k", "lines": claim_lines(&[(&need, 2)])});
    let got = extensions(&town, Who::DonorA, CLAIM, json!({"input": other})).await;
    assert_eq!(got, says("KEY_REUSED", "NEW_KEY"));
    let theirs = town.data(Who::DonorB, CLAIM, json!({"input": other})).await;
    assert_eq!(theirs["claimNeeds"]["replayed"], false, "keys are each organisation's own");

    let got = extensions(&town, Who::Officer, close, json!({"id": need, "version": "v1"})).await;
    assert_eq!(got, says("VERSION_CONFLICT", "NEW_KEY"));
    let version = town.stands(&need).await["version"].clone();
    let below = json!({"input": {"id": need, "expectedVersion": version, "required": 2}});
    let got = extensions(&town, Who::Officer, revise, below).await;
    assert_eq!(got, says("ILLEGAL_TRANSITION", "NEVER"), "three are spoken for");
    let nothing = json!({"input": {"id": need, "expectedVersion": version}});
    assert_eq!(extensions(&town, Who::Officer, revise, nothing).await, says("BAD_INPUT", "NEVER"));

    let wide = "{ areaCoverage(level: RT) { area { children { children { children { code } } } } } }";
    assert_eq!(extensions(&town, Who::Anonymous, wide, json!({})).await, says("TOO_COMPLEX", "NEVER"));
    for input in [
        json!({"idempotencyKey": "", "lines": claim_lines(&[(&need, 1)])}),
        json!({"idempotencyKey": "k".repeat(201), "lines": claim_lines(&[(&need, 1)])}),
        json!({"idempotencyKey": "l", "lines": []}),
        json!({"idempotencyKey": "l", "lines": claim_lines(&[(need.as_str(), 1); 501])}),
        json!({"idempotencyKey": "l", "lines": claim_lines(&[(&need, 0)])}),
        json!({"idempotencyKey": "l", "lines": claim_lines(&[(&need, 1)]), "holdSeconds": 1}),
        json!({"idempotencyKey": "l", "lines": claim_lines(&[(&need, 1)]), "holdSeconds": 2_000_000_000}),
        json!({"idempotencyKey": "l", "lines": claim_lines(&[(&need, 1)]), "executorId": "organization-1"}),
        json!({"idempotencyKey": "l", "lines": claim_lines(&[("need-01", 1)])}),
    ] {
        // The first organisation is A itself, which may carry out its own claim; B may not.
        let got = extensions(&town, Who::DonorB, CLAIM, json!({"input": input})).await;
        assert_eq!(got, says("BAD_INPUT", "NEVER"), "{input}");
    }
    town.check_books().await;
}

async fn a_text_that_no_database_keeps_is_refused_before_it_gets_there(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    for key in ["a\0b", "\0"] {
        let input = json!({"idempotencyKey": key, "lines": claim_lines(&[(&need, 4)])});
        assert_eq!(town.code(Who::DonorA, CLAIM, json!({"input": input})).await, "BAD_INPUT", "{key:?}");
    }
    // What every writer of text might stumble over is kept as it is.
    for key in ["\u{1e}", "\u{1}\n\t", "{\"a\",NULL}", "\\", "'; --", "\u{1f35a}"] {
        let input = json!({"idempotencyKey": key, "lines": claim_lines(&[(&need, 1)])});
        let mut claims = Vec::new();
        for _ in 0..2 {
            let answer = town.data(Who::DonorA, CLAIM, json!({"input": input})).await;
            claims.push(answer["claimNeeds"]["claim"]["id"].clone());
        }
        assert!(claims[0].is_string() && claims[0] == claims[1], "{key:?}: {claims:?}");
    }
    let claim = town.holds(Who::DonorA, &[(&need, 1)], json!({})).await;
    let release = "mutation($id: ID!, $reason: String) { releaseClaim(id: $id, reason: $reason) { id } }";
    let said = json!({"id": claim["id"], "reason": "a\0b"});
    assert_eq!(town.code(Who::DonorA, release, said).await, "BAD_INPUT", "a reason is a text, too");
}

async fn a_database_that_is_busy_is_unavailable_and_the_same_key_settles_it(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let input = json!({"input": {"idempotencyKey": "busy", "lines": claim_lines(&[(&need, 4)])}});
    let own = books::connect(&town.db).await;
    let held = match town.db.kind() {
        Kind::Postgres => {
            let tx = own.begin_with_options(TransactionOptions::default()).await.expect("a transaction begins");
            tx.execute_unprepared("LOCK TABLE need IN ACCESS EXCLUSIVE MODE").await.expect("the table is free");
            Some(tx)
        }
        Kind::Sqlite => {
            own.execute_unprepared("BEGIN IMMEDIATE").await.expect("the file is free");
            None
        }
    };
    let answer = town.ask(Who::DonorA, CLAIM, input.clone()).await;
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(json!([extensions["code"], extensions["retry"]]), json!(["UNAVAILABLE", "SAME_KEY"]), "{answer}");
    assert!(extensions["reference"].is_string(), "the log line is named");
    match held {
        Some(tx) => tx.rollback().await.expect("the table is given back"),
        None => {
            own.execute_unprepared("ROLLBACK").await.expect("the file is given back");
        }
    }
    let answer = town.data(Who::DonorA, CLAIM, input.clone()).await;
    assert_eq!(answer["claimNeeds"]["__typename"], "ClaimAccepted");
    let again = town.data(Who::DonorA, CLAIM, input).await;
    assert_eq!(again["claimNeeds"]["claim"]["id"], answer["claimNeeds"]["claim"]["id"]);
    assert_eq!(town.stands(&need).await["allocated"], 4);
    town.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_database_cuts_are_opened_anew() {
    let town = Town::new(TestDatabase::postgres().await).await;
    let need = town.need(RT_11, FOOD, 100).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for round in 0..10 {
        let input = json!({"input": {"idempotencyKey": format!("cut-{round}"), "lines": claim_lines(&[(&need, 1)])}});
        let (first, _) = tokio::join!(town.ask(Who::DonorA, CLAIM, input.clone()), books::count(&town.db, cut));
        let mut answer = first;
        for _ in 0..50 {
            if answer["errors"].is_null() {
                break;
            }
            let extensions = &answer["errors"][0]["extensions"];
            assert_eq!(
                json!([extensions["code"], extensions["retry"]]),
                json!(["UNAVAILABLE", "SAME_KEY"]),
                "{answer}"
            );
            answer = town.ask(Who::DonorA, CLAIM, input.clone()).await;
        }
        assert_eq!(answer["data"]["claimNeeds"]["__typename"], "ClaimAccepted", "{answer}");
    }
    assert_eq!(
        town.store().needs(&[need.parse().expect("an id")]).await.expect("needs are read")[0]
            .counters
            .allocated()
            .get(),
        10
    );
    town.check_books().await;
}

async fn a_fault_shows_a_reference_and_no_cause(db: TestDatabase) {
    let town = Town::new(db).await;
    let own = books::connect(&town.db).await;
    own.execute_unprepared("ALTER TABLE offer RENAME TO elsewhere").await.expect("the table is renamed");
    let offer = "mutation { createOffer(input: {idempotencyKey: \"o\", itemKey: \"paket\", quantity: 1}) { id } }";
    let answer = town.ask(Who::DonorA, offer, json!({})).await;
    let error = &answer["errors"][0];
    assert_eq!(json!([error["extensions"]["code"], error["extensions"]["retry"]]), json!(["INTERNAL", "NEVER"]));
    let reference = error["extensions"]["reference"].as_str().expect("a reference");
    assert!(reference.len() == 12 && error["message"].as_str().is_some_and(|m| m.contains(reference)), "{answer}");
    let whole = format!("{} {}", error["message"], error["extensions"]).to_lowercase();
    for leak in ["sql", "insert", "relation", "table", "column", "elsewhere", "postgres", "no such"] {
        assert!(!whole.contains(leak), "{leak}: {answer}");
    }
    own.execute_unprepared("ALTER TABLE elsewhere RENAME TO offer").await.expect("the table is renamed back");
    town.data(Who::DonorA, offer, json!({})).await;
}

async fn quantities_are_whole_numbers_below_two_to_the_53(db: TestDatabase) {
    let town = Town::new(db).await;
    const MOST: i64 = (1 << 53) - 1;
    for (i, area) in [RT_11, RT_12].into_iter().enumerate() {
        let input = report(&town, area, json!(MOST));
        let made = town.data(Who::Officer, REPORT, json!({"input": input})).await["reportNeed"].take();
        assert_eq!(made["required"], MOST, "{i}");
        town.verifies(&[made["id"].as_str().expect("an id")]).await;
    }
    let sum = "{ coverage(where: {items: [\"paket\"]}) { needCount required } }";
    assert_eq!(town.code(Who::Anonymous, sum, json!({})).await, "TOO_COMPLEX", "the sum would be wrong in a reader");
    let counts = town.data(
        Who::Anonymous,
        "{ coverage { needCount } areaCoverage(level: RT) { coverage { required } } }",
        json!({}),
    );
    // One area alone can be written down.
    assert_eq!(counts.await["coverage"]["needCount"], 2);
    for wrong in [
        json!(MOST + 1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(-1),
        json!(i64::MIN),
        json!(1.5),
        json!(1e300),
        json!("5"),
        json!(true),
        json!([5]),
        json!({"n": 5}),
        Value::Null,
    ] {
        let code = town.code(Who::Officer, REPORT, json!({"input": report(&town, RT_21, wrong.clone())})).await;
        assert_eq!(code, "BAD_INPUT", "{wrong}");
    }
    let zero = town.code(Who::Officer, REPORT, json!({"input": report(&town, RT_21, json!(0))})).await;
    assert_eq!(zero, "BAD_INPUT", "a need of nothing");
    for literal in ["9007199254740992", "-1", "1.5", "1e3", "\"5\"", "FIVE", "99999999999999999999999999"] {
        let query = format!(
            "mutation {{ createOffer(input: {{idempotencyKey: \"o\", itemKey: \"paket\", quantity: {literal}}}) {{ id }} }}"
        );
        assert_eq!(town.code(Who::DonorA, &query, json!({})).await, "BAD_INPUT", "{literal}");
    }
    let most = format!(
        "mutation {{ createOffer(input: {{idempotencyKey: \"p\", itemKey: \"paket\", quantity: {MOST}}}) {{ quantity remaining }} }}"
    );
    let made = town.data(Who::DonorA, &most, json!({})).await["createOffer"].take();
    assert_eq!(made, json!({"quantity": MOST, "remaining": MOST}));
    let needs = town.data(Who::Anonymous, "{ needs { nodes { id } } }", json!({})).await;
    let id = needs["needs"]["nodes"][0]["id"].as_str().expect("an id");
    let lines = json!({"idempotencyKey": "sum", "lines": claim_lines(&[(id, MOST), (id, 1)])});
    assert_eq!(
        town.code(Who::DonorA, CLAIM, json!({"input": lines})).await,
        "BAD_INPUT",
        "lines on one need are added up"
    );
    town.holds(Who::DonorA, &[(id, MOST)], json!({})).await;
    town.check_books().await;
}

/// A number that could be a person's, of a province that does not exist.
const NIK: &str = "9971012345678901";

async fn what_was_sent_never_comes_back_in_a_message(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let documents: Vec<String> = [
        "{ needs(orderBy: §) { totalCount } }",
        "{ needs(orderBy: A§) { totalCount } }",
        "{ needs(orderBy: \"§\") { totalCount } }",
        "{ needs(first: \"§\") { totalCount } }",
        "{ needs(first: §) { totalCount } }",
        "{ needs(after: §) { totalCount } }",
        "{ needs(after: \"§\") { totalCount } }",
        "{ needs(x§: 1) { totalCount } }",
        "{ needs(where: {x§: 1}) { totalCount } }",
        "{ needs(where: \"§\") { totalCount } }",
        "{ needs(where: {items: [\"§\"]}) { totalCount } }",
        "{ needs(where: {items: §}) { totalCount } }",
        "{ needs(where: {areaCode: \"§\"}) { totalCount } }",
        "{ needs(where: {areaCode: §}) { totalCount } }",
        "{ needs(where: {activeOn: \"§\"}) { totalCount } }",
        "{ needs(where: {minSeverity: §}) { totalCount } }",
        "{ needs(where: {levels: [A§]}) { totalCount } }",
        "{ needs(where: {bbox: {west: §, south: 0, east: 1, north: 1}}) { totalCount } }",
        "{ needs(where: {near: {lon: \"§\", lat: 0}}) { totalCount } }",
        "{ needs(where: {within: {type: \"§\", coordinates: [§]}}) { totalCount } }",
        "{ needs(where: {within: \"§\"}) { totalCount } }",
        "{ x§ }",
        "{ programs { x§ } }",
        "{ programs { key { x§ } } }",
        "{ programs @x§ { key } }",
        "{ programs @include(if: \"§\") { key } }",
        "{ programs @include(if: $x§) { key } }",
        "{ ... on X§ { key } }",
        "{ ...X§ }",
        "fragment F on X§ { key } { ...F }",
        "query($x§: Strin§) { programs { key } }",
        "query($x: X§) { programs { key } }",
        "query($x: Int = \"§\") { needs(first: $x) { totalCount } }",
        "query Q§ { programs { key } } query Q§ { programs { key } }",
        "§ { programs }",
        "{ programs { key } } §",
        "{ programs(\"§",
        "{ programs(x: \"\"\"§",
        "{ claim(id: {x: §}) { id } }",
        "{ area(code: \"§\") { id } }",
        "{ area(code: §) { id } }",
        "{ auditTrail(subject: \"§\", after: \"§\") { nodes { at } } }",
        "{ overlaps(after: \"§/§\", areaCode: \"§\") { totalCount } }",
        "{ overlaps(kinds: [A§]) { totalCount } }",
        "{ planMatch(input: {itemKey: \"§\", quantity: 1}) { quantity } }",
        "{ planMatch(input: {offerId: \"§\", quantity: §}) { quantity } }",
        "{ planMatch(input: {offerId: \"offer-§\"}) { quantity } }",
        "{ viewer { claims(after: \"§\") { id } } }",
        "{ viewer { claims(after: \"claim-§\", first: §) { id } } }",
        "mutation { confirmClaim(id: \"§\") { id } }",
        "mutation { confirmClaim(id: \"claim-§\") { id } }",
        "mutation { confirmClaim(id: §) { id } }",
        "mutation { renewClaim(id: \"claim-1\", holdSeconds: §) { id } }",
        "mutation { cancelDelivery(id: \"delivery-§\", reason: \"§\") { id } }",
        "mutation { verifyNeeds(ids: [\"§\"]) { id } }",
        "mutation { verifyNeeds(ids: [\"need-§\"]) { id } }",
        "mutation { closeNeed(id: \"need-1\", expectedVersion: \"§\", reason: \"§\") { id } }",
        "mutation { closeNeed(id: \"need-1\", expectedVersion: \"v§\", reason: \"§\") { id } }",
        "mutation { resolveOverlap(id: \"overlap-§\", expectedVersion: \"v1\", status: A§, note: \"§\") { id } }",
        "mutation { createOffer(input: {idempotencyKey: \"§\", itemKey: \"§\", quantity: 1}) { id } }",
        "mutation { createOffer(input: {idempotencyKey: §, itemKey: \"paket\", quantity: 1}) { id } }",
        "mutation { createOffer(input: {idempotencyKey: \"§\", itemKey: \"paket\", quantity: §§}) { id } }",
        "mutation { claimNeeds(input: {idempotencyKey: \"§\", lines: [{needId: \"need-§\", quantity: 0}]}) { __typename } }",
        "mutation { claimNeeds(input: {idempotencyKey: \"§\", lines: [{needId: \"§\", quantity: 1}]}) { __typename } }",
        "mutation { claimNeeds(input: {idempotencyKey: \"§\", offerId: \"offer-§\", lines: [{needId: \"need-1\", quantity: 1}]})
            { __typename } }",
        "mutation { scheduleDelivery(input: {idempotencyKey: \"§\", claimId: \"claim-§\",
            lines: [{claimLineId: \"line-§\", quantity: 1}, {claimLineId: \"line-§\", quantity: 1}]}) { id } }",
        "mutation { acknowledgeDelivery(id: \"delivery-1\", lines: [{claimLineId: \"line-§\", accepted: §, rejected: §§}]) { id } }",
        "mutation { reportNeed(input: {idempotencyKey: \"§\", areaCode: \"§\", program: \"§\", item: \"§\",
            periodStart: \"§\", periodEnd: \"§\", required: 1, severity: 1}) { id } }",
        "mutation { reportNeed(input: {idempotencyKey: \"§\", areaCode: \"31.71.01.1001\", program: \"§\", item: \"§\",
            periodStart: \"2020-01-01\", periodEnd: \"2020-01-01\", required: 1, severity: 1}) { id } }",
        "subscription { needsChanged(where: {areaCode: \"§\"}) { id } }",
        "subscription { areaCoverageChanged(level: RT, where: {areaCode: \"§\"}, view: {west: §, south: 0, east: 1, north: 1})
            { area { id } } }",
    ]
    .iter()
    .map(|document| document.replace('§', NIK))
    .collect();
    let mut refused = 0;
    for document in &documents {
        for who in [Who::Anonymous, Who::DonorA, Who::Officer, Who::Admin] {
            let answer = town.ask(who, document, json!({})).await;
            refused += usize::from(answer["errors"].is_array());
            silent(&answer, document);
        }
    }
    assert!(refused > documents.len() * 3, "only {refused} were refused at all");

    let query = "query($first: Int, $where: NeedFilter, $after: String, $order: NeedOrder) {
        needs(first: $first, where: $where, after: $after, orderBy: $order) { totalCount } }";
    let wrong = [
        json!(NIK),
        json!([NIK]),
        json!({NIK: NIK}),
        json!(9_971_012_345_678_901_i64),
        // The same digits as a number with a fraction: JSON that is read back keeps them.
        serde_json::from_str("9971012345678901.5").expect("a number"),
    ];
    for value in &wrong {
        for name in ["first", "where", "after", "order"] {
            silent(&town.ask(Who::Anonymous, query, json!({name: value})).await, &format!("${name} = {value}"));
        }
        for field in ["items", "areaCode", "levels", "bbox", "within", "near", "service", "minSeverity", "activeOn"] {
            let answer = town.ask(Who::Anonymous, query, json!({"where": {field: value}})).await;
            silent(&answer, &format!("where.{field} = {value}"));
        }
        for field in ["idempotencyKey", "lines", "onConflict", "offerId", "executorId", "holdSeconds", NIK] {
            let mut input = json!({"idempotencyKey": town.fresh(), "lines": claim_lines(&[(&need, 1)])});
            input[field] = value.clone();
            silent(&town.ask(Who::DonorA, CLAIM, json!({"input": input})).await, &format!("input.{field} = {value}"));
        }
        for field in ["needId", "quantity", NIK] {
            let mut line = json!({"needId": need, "quantity": 1});
            line[field] = value.clone();
            let input = json!({"idempotencyKey": town.fresh(), "lines": [line]});
            silent(&town.ask(Who::DonorA, CLAIM, json!({"input": input})).await, &format!("lines.{field} = {value}"));
        }
    }
    // Outside GraphQL: broken JSON, the name of an operation, a key, a path.
    for body in [
        format!("{{\"query\": {NIK}"),
        NIK.to_owned(),
        format!("{{\"query\": {NIK}}}"),
        format!("{{\"{NIK}\": 1}}"),
        json!({"query": "{ programs { key } }", "operationName": NIK}).to_string(),
        json!({"query": "query A { programs { key } } query B { programs { key } }", "operationName": NIK}).to_string(),
        json!({"query": "{ programs { key } }", "variables": NIK}).to_string(),
        json!({"query": "{ programs { key } }", "extensions": NIK}).to_string(),
    ] {
        let reply = town.app.post(None, &body).await;
        assert!(!reply.body.contains(NIK), "{body}: {}", reply.body);
    }
    let reply = town.app.post(Some(NIK), "{\"query\": \"{ viewer { email } }\"}").await;
    assert!(reply.code() == "UNAUTHENTICATED" && !reply.body.contains(NIK), "{}", reply.body);
    let reply = town.app.request("GET", &format!("/{NIK}"), &[], "").await;
    assert!(reply.status == 404 && !reply.body.contains(NIK), "{}", reply.body);
}

/// No message and no extension of an answer's errors holds the number.
fn silent(answer: &Value, sent: &str) {
    for error in answer["errors"].as_array().into_iter().flatten() {
        assert!(!error["message"].to_string().contains(NIK), "{sent}: {error}");
        assert!(!error["extensions"].to_string().contains(NIK), "{sent}: {error}");
        assert!(!code_of(answer).is_empty(), "{sent}: {answer}");
        assert_ne!(error["extensions"]["code"], "INTERNAL", "{sent}: {answer}");
    }
}
