//! P20: the largest numbers that are taken, through the real routes: nothing wraps, nothing loses a
//! digit, and what is larger is refused. `SALUR_COUNT` counts random numbers tried.

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{figures, times};
use crate::harness::actors::{CLAIM, FOOD, RT_11, RW_1, Town, VILLAGE, Who, claim_lines, text};
use crate::harness::app::code_of;
use crate::harness::books::connect;
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::on_both_databases;

on_both_databases!(
    the_largest_quantity_goes_through_every_step_to_its_last_digit,
    what_is_no_quantity_is_refused_wherever_it_is_sent,
    sums_that_leave_sixty_four_bits_are_refused_and_never_wrap,
    a_version_at_its_end_is_refused_and_never_wraps,
);

/// The largest whole number that every reader of JSON keeps exact.
const MOST: i64 = (1 << 53) - 1;

async fn the_largest_quantity_goes_through_every_step_to_its_last_digit(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, MOST).await;
    let offer = "mutation($input: CreateOfferInput!) { createOffer(input: $input) { id quantity remaining } }";
    let input = json!({"idempotencyKey": town.fresh(), "itemKey": FOOD.1, "quantity": MOST});
    let offer = town.data(Who::DonorA, offer, json!({"input": input})).await["createOffer"].take();
    assert_eq!(json!([offer["quantity"], offer["remaining"]]), json!([MOST, MOST]));
    let plan = "query($input: PlanMatchInput!) { planMatch(input: $input) { quantity unplaced lines { quantity } } }";
    let plan = town.data(Who::DonorA, plan, json!({"input": {"offerId": offer["id"]}})).await["planMatch"].take();
    assert_eq!(plan, json!({"quantity": MOST, "unplaced": 0, "lines": [{"quantity": MOST}]}));

    // All but one, then one more than there is, then the last.
    let more = json!({"offerId": offer["id"], "holdSeconds": 600});
    let claim = town.promises(Who::DonorA, &[(&need, MOST - 1)], more).await;
    assert_eq!(claim["lines"][0]["quantity"], MOST - 1);
    let refused = town.claims(Who::DonorB, &[(&need, 2)], json!({})).await;
    let refusal = &refused["refusals"][0];
    assert_eq!(json!([refusal["requested"], refusal["free"], refusal["reason"]]), json!([2, 1, "NOT_ENOUGH_FREE"]));
    let refused = town.claims(Who::DonorB, &[(&need, MOST)], json!({})).await;
    assert_eq!(json!([refused["refusals"][0]["requested"], refused["refusals"][0]["free"]]), json!([MOST, 1]));
    let last = town.promises(Who::DonorB, &[(&need, 1)], json!({})).await;
    let stands = town.stands(&need).await;
    assert_eq!(json!([stands["required"], stands["allocated"], stands["unmet"]]), json!([MOST, MOST, 0]));

    // Delivered to the last one; half of it comes back and is owed again.
    let trip = town.delivers(Who::DonorA, &claim, &[(&claim["lines"][0]["id"], MOST - 1)]).await;
    town.delivers(Who::DonorB, &last, &[(&last["lines"][0]["id"], 1)]).await;
    let stands = town.stands(&need).await;
    assert_eq!(json!([stands["delivered"], stands["service"]]), json!([MOST, "DELIVERED"]));
    let half = MOST / 2;
    let answer = json!([{"claimLineId": claim["lines"][0]["id"], "accepted": MOST - 1 - half, "rejected": half}]);
    let acknowledge = "mutation($id: ID!, $lines: [AcknowledgeLineInput!]!) {
        acknowledgeDelivery(id: $id, lines: $lines) { status lines { accepted rejected } } }";
    let settled = town.data(Who::Officer, acknowledge, json!({"id": trip, "lines": answer})).await;
    assert_eq!(settled["acknowledgeDelivery"]["status"], "DISPUTED");
    let stands = town.stands(&need).await;
    assert_eq!(json!([stands["delivered"], stands["allocated"]]), json!([MOST - half, MOST]));

    // Two of the largest add up to what no reader keeps exact: the sum is refused, the counts stand.
    town.need(RT_11, FOOD, MOST).await;
    for area in [RT_11, RW_1, VILLAGE, "31"] {
        let of_both = json!({"where": {"areaCode": area, "items": [FOOD.1]}});
        let sums = "query($where: NeedFilter) { coverage(where: $where) { required } }";
        assert_eq!(town.code(Who::Auditor, sums, of_both).await, "TOO_COMPLEX", "{area}");
    }
    town.check_books().await;
    figures("extremes-quantity", &town.db, 2, format!("largest={MOST}"));
}

async fn what_is_no_quantity_is_refused_wherever_it_is_sent(db: TestDatabase) {
    let mut dice = Dice::from_environment("what_is_no_quantity_is_refused_wherever_it_is_sent");
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, MOST).await;
    let mut numbers: Vec<String> = [
        "9007199254740992",
        "9223372036854775807",
        "9223372036854775808",
        "-1",
        "0.5",
        "1e3",
        "18446744073709551616",
        "-9223372036854775808",
        "1e400",
        "\"1\"",
        "true",
        "null",
        "[]",
        "{}",
        "1.0e0",
    ]
    .map(str::to_owned)
    .into();
    for _ in 0..times(60) {
        let sign = if dice.chance(30) { "-" } else { "" };
        let beyond = MOST as u64 + dice.between(1, i64::MAX - MOST) as u64;
        let digits = if dice.chance(50) { String::new() } else { dice.between(0, 1 << 40).to_string() };
        numbers.push(format!("{sign}{beyond}{digits}"));
    }
    let key = town.key_of(Who::DonorA);
    let mut tried = 0;
    for number in &numbers {
        for (query, input) in [
            (CLAIM, format!(r#"{{"idempotencyKey":"k","lines":[{{"needId":"{need}","quantity":{number}}}]}}"#)),
            (
                "mutation($input: CreateOfferInput!) { createOffer(input: $input) { id } }",
                format!(r#"{{"idempotencyKey":"k","itemKey":"{}","quantity":{number}}}"#, FOOD.1),
            ),
        ] {
            let body = format!(r#"{{"query":{},"variables":{{"input":{input}}}}}"#, json!(query));
            let reply = town.app.post(key, &body).await;
            assert!(reply.status == 200 || reply.status == 400, "{number}: {reply:?}");
            assert_eq!(reply.code(), "BAD_INPUT", "{number}: {reply:?}");
            tried += 1;
        }
    }
    // Each a quantity, together none.
    let lines = claim_lines(&[(need.as_str(), MOST), (need.as_str(), 1)]);
    let input = json!({"idempotencyKey": town.fresh(), "lines": lines});
    assert_eq!(town.code(Who::DonorA, CLAIM, json!({"input": input})).await, "BAD_INPUT");
    for hold in [i64::from(i32::MAX), i64::from(i32::MIN), i64::from(i32::MAX) + 1, 0, -1] {
        let lines = claim_lines(&[(need.as_str(), 1)]);
        let input = json!({"idempotencyKey": town.fresh(), "lines": lines, "holdSeconds": hold});
        assert_eq!(town.code(Who::DonorA, CLAIM, json!({"input": input})).await, "BAD_INPUT", "{hold}");
    }
    for id in ["need-9223372036854775807", "need-9223372036854775808", "need--1", "need-0", "claim-9223372036854775807"]
    {
        let seen = town.ask(Who::Admin, "query($id: ID!) { node(id: $id) { id } }", json!({"id": id})).await;
        assert!(seen["data"]["node"].is_null(), "{seen}");
        let lines = claim_lines(&[(id, 1)]);
        let answer =
            town.ask(Who::DonorA, CLAIM, json!({"input": {"idempotencyKey": town.fresh(), "lines": lines}})).await;
        let reason = &answer["data"]["claimNeeds"]["refusals"][0]["reason"];
        assert!(reason == "NOT_FOUND" || code_of(&answer) == "BAD_INPUT", "{id}: {answer}");
    }
    assert_eq!(town.stands(&need).await["allocated"], 0, "nothing of all that was taken");
    town.check_books().await;
    figures("extremes-numbers", &town.db, tried, "accepted=0");
}

/// Sets what no history has led to yet.
async fn set(town: &Town, sql: &str) {
    connect(&town.db).await.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

/// 1,025 of the largest quantities are more than 64 bits hold.
async fn sums_that_leave_sixty_four_bits_are_refused_and_never_wrap(db: TestDatabase) {
    const NEEDS: i64 = 1_025;
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, MOST).await;
    let copies = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})
         INSERT INTO need (area_id, program_id, item_id, period_start, period_end, required, reserved, delivered, severity,
             status, version)
         SELECT d.area_id, d.program_id, d.item_id, d.period_start, d.period_end, d.required, 0, 0, 3, 'VERIFIED', 1
         FROM need d CROSS JOIN n WHERE d.id = {}",
        NEEDS - 1,
        need.trim_start_matches("need-")
    );
    set(&town, &copies).await;
    town.app.service.load().await.expect("the map is read");
    for area in [RT_11, "31"] {
        let filter = json!({"where": {"areaCode": area, "items": [FOOD.1]}});
        let sums = "query($where: NeedFilter) { coverage(where: $where) { required } }";
        assert_eq!(town.code(Who::Auditor, sums, filter).await, "TOO_COMPLEX", "{area}");
    }
    let totals = town.store().audit_totals().await;
    assert!(totals.is_err(), "their sum is no number of 64 bits: {totals:?}");
    figures("extremes-sums", &town.db, NEEDS as u64, "");
}

async fn a_version_at_its_end_is_refused_and_never_wraps(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 100).await;
    let number = need.trim_start_matches("need-");
    set(&town, &format!("UPDATE need SET version = {} WHERE id = {number}", i64::MAX - 1)).await;
    let claim = town.holds(Who::DonorA, &[(&need, 1)], json!({"holdSeconds": 600})).await;
    let version = |stands: &Value| text(&stands["version"]);
    assert_eq!(version(&town.stands(&need).await), format!("v{}", i64::MAX), "the last one there is");
    let input = json!({"idempotencyKey": town.fresh(), "lines": claim_lines(&[(need.as_str(), 1)])});
    let confirm = "mutation($id: ID!) { releaseClaim(id: $id) { status } }";
    for (query, variables) in [(CLAIM, json!({"input": input})), (confirm, json!({"id": claim["id"]}))] {
        assert_eq!(town.code(Who::DonorA, query, variables).await, "INTERNAL");
    }
    let stands = town.stands(&need).await;
    assert_eq!((version(&stands), &stands["allocated"]), (format!("v{}", i64::MAX), &json!(1)), "nothing has changed");
    figures("extremes-version", &town.db, 3, format!("last={}", i64::MAX));
}
