//! The whole job, from a neighbourhood's report to an audited log, for food, devices and capital.

use salur::domain::organization::OrganizationCategory;
use salur::domain::quantity::Quantity;
use salur::service::audit_log;
use salur::store::{ImportDistributions, OutsideAid};
use serde_json::{Value, json};

use crate::harness::actors::{CAPITAL, CLAIM, DEVICE, FOOD, RT_11, RT_21, RW_1, RW_2, Town, Who, claim_lines, text};
use crate::harness::database::TestDatabase;
use crate::harness::world::period;
use crate::on_both_databases;

on_both_databases!(a_need_travels_from_report_to_audited_delivery);

const SEEN: &str = "query($where: NeedFilter) { needs(where: $where) { totalCount nodes { id service } } }";

async fn seen(town: &Town, who: Who, filter: Value) -> Vec<String> {
    let answer = town.data(who, SEEN, json!({"where": filter})).await;
    let nodes = answer["needs"]["nodes"].as_array().expect("a list").clone();
    assert_eq!(answer["needs"]["totalCount"], nodes.len(), "{answer}");
    nodes.iter().map(|n| text(&n["id"])).collect()
}

async fn a_need_travels_from_report_to_audited_delivery(db: TestDatabase) {
    let town = Town::new(db).await;
    for (of, required) in [(FOOD, 100), (DEVICE, 40), (CAPITAL, 50_000_000)] {
        one_item(&town, of, required).await;
    }
    town.check_books().await;
    let store = town.store();
    let out = town.app.home.join("export");
    let exported = audit_log::export(store, &town.app.key, &out, &|_, _| ()).await.expect("the log is exported");
    let public = town.app.key.public_key();
    let report = salur::audit::bundle::verify(&out, &public, None).expect("the exported log is sound");
    assert_eq!(report.last_head, Some(exported.head));
    let head = "{ auditCheckpoint { size rootHash at signature } }";
    let checkpoint = town.data(Who::Anonymous, head, json!({})).await["auditCheckpoint"].take();
    assert_eq!(checkpoint["size"], exported.head.size.to_string(), "nothing was written since");
    assert_eq!(checkpoint["rootHash"], salur::audit::tree::to_hex(&exported.head.root));
}

async fn one_item(town: &Town, of: (&str, &str), required: i64) {
    let (program, item) = of;
    let report = "mutation($input: ReportNeedInput!) { reportNeed(input: $input) {
        id status service required unmet severity version periodStart periodEnd
        area { code } program { key } item { key } } }";
    let mut needs = Vec::new();
    for area in [RT_11, RT_21] {
        let input = json!({"idempotencyKey": town.fresh(), "areaCode": area, "program": program, "item": item,
            "periodStart": "2020-04-01", "periodEnd": "2020-04-30", "required": required, "severity": 4});
        let made = town.data(Who::Officer, report, json!({"input": input})).await["reportNeed"].take();
        let again = town.data(Who::Officer, report, json!({"input": input})).await["reportNeed"].take();
        assert_eq!(made, again, "the same key answers with the same need");
        assert_eq!(
            json!([made["status"], made["service"], made["required"], made["unmet"], made["area"]["code"]]),
            json!(["REPORTED", "UNSERVED", required, required, area])
        );
        assert_eq!(json!([made["program"]["key"], made["item"]["key"]]), json!([program, item]));
        assert_eq!(json!([made["periodStart"], made["periodEnd"]]), json!(["2020-04-01", "2020-04-30"]));
        needs.push(text(&made["id"]));
    }
    let (west, east) = (needs[0].as_str(), needs[1].as_str());
    assert_eq!(seen(town, Who::DonorA, json!({"items": [item]})).await, Vec::<String>::new(), "not verified yet");
    let verify = "mutation($ids: [ID!]!) { verifyNeeds(ids: $ids) { id status } }";
    let verified = town.data(Who::Admin, verify, json!({"ids": needs})).await["verifyNeeds"].take();
    assert_eq!(verified, json!([{"id": west, "status": "VERIFIED"}, {"id": east, "status": "VERIFIED"}]));

    // The same two needs, narrowed to one of them by place in four ways.
    let ring = json!([[106.801, -6.219], [106.802, -6.219], [106.802, -6.218], [106.801, -6.219]]);
    for (place, expected) in [
        (json!({"bbox": {"west": 106.80, "south": -6.22, "east": 106.805, "north": -6.20}}), west),
        (json!({"near": {"lon": 106.815, "lat": -6.215, "radiusMeters": 100.0}}), east),
        (json!({"within": {"type": "Polygon", "coordinates": [ring]}}), west),
        (json!({"areaCode": RW_2}), east),
        (json!({"areaCode": RW_1, "levels": ["RT"], "programs": [program]}), west),
    ] {
        let mut filter = place.clone();
        filter["items"] = json!([item]);
        filter["service"] = json!(["UNSERVED"]);
        filter["minSeverity"] = json!(4);
        filter["activeOn"] = json!("2020-04-15");
        assert_eq!(seen(town, Who::DonorA, filter).await, [expected], "{place}");
    }

    let offer = "mutation($input: CreateOfferInput!) { createOffer(input: $input) {
        id quantity claimed remaining item { key } organization { name } origin } }";
    let input = json!({"idempotencyKey": town.fresh(), "itemKey": item, "quantity": required * 2,
        "origin": {"lon": 106.79, "lat": -6.21}});
    let offer = town.data(Who::DonorA, offer, json!({"input": input})).await["createOffer"].take();
    assert_eq!(
        json!([offer["quantity"], offer["claimed"], offer["remaining"]]),
        json!([required * 2, 0, required * 2])
    );
    assert_eq!(offer["organization"]["name"], "Donor A");

    let plan = "query($input: PlanMatchInput!) { planMatch(input: $input) { quantity unplaced value bound areas
        lines { quantity need { id } reason english: reason(locale: EN) } } }";
    for policy in ["PRIORITY", "EQUITY", "NEAREST"] {
        let input = json!({"offerId": offer["id"], "policy": policy, "where": {"areaCode": RW_1}});
        let narrow = town.data(Who::DonorA, plan, json!({"input": input})).await["planMatch"].take();
        assert_eq!(json!([narrow["quantity"], narrow["unplaced"], narrow["areas"]]), json!([required, required, 1]));
    }
    let plan = town.data(Who::DonorA, plan, json!({"input": {"offerId": offer["id"]}})).await["planMatch"].take();
    assert_eq!(json!([plan["quantity"], plan["unplaced"], plan["areas"]]), json!([required * 2, 0, 2]), "{plan}");
    assert!(plan["value"].as_f64() <= plan["bound"].as_f64(), "{plan}");
    let mut lines = Vec::new();
    for line in plan["lines"].as_array().expect("lines") {
        assert!(text(&line["reason"]).len() > 5 && line["reason"] != line["english"], "{line}");
        lines.push((text(&line["need"]["id"]), line["quantity"].as_i64().expect("a number")));
    }
    lines.sort();
    assert_eq!(lines, [(west.to_owned(), required), (east.to_owned(), required)]);

    let lines = [(west, required), (east, required)];
    let key = town.fresh();
    let input =
        json!({"idempotencyKey": key, "lines": claim_lines(&lines), "offerId": offer["id"], "holdSeconds": 600});
    let made = town.data(Who::DonorA, CLAIM, json!({"input": input})).await["claimNeeds"].take();
    assert_eq!(json!([made["__typename"], made["replayed"]]), json!(["ClaimAccepted", false]));
    let again = town.data(Who::DonorA, CLAIM, json!({"input": input})).await["claimNeeds"].take();
    assert_eq!(json!([again["replayed"], again["claim"]["id"]]), json!([true, made["claim"]["id"]]));
    let claim = &made["claim"];
    assert_eq!(json!([claim["status"], claim["offer"]["remaining"]]), json!(["HELD", 0]));
    assert_eq!(
        seen(town, Who::Anonymous, json!({"items": [item], "service": ["UNSERVED"]})).await,
        Vec::<String>::new()
    );

    let other = town.claims(Who::DonorB, &[(west, 1)], json!({})).await;
    assert_eq!(other["__typename"], "ClaimRefused");
    let refusal = &other["refusals"][0];
    assert_eq!(
        json!([refusal["needId"], refusal["requested"], refusal["free"], refusal["reason"]]),
        json!([west, 1, 0, "NOT_ENOUGH_FREE"])
    );
    assert_eq!(refusal["freesAt"], claim["expiresAt"], "when the hold runs out");

    let confirm = "mutation($id: ID!) { confirmClaim(id: $id) { id status expiresAt } }";
    let id = json!({"id": claim["id"]});
    let confirmed = town.data(Who::DonorA, confirm, id.clone()).await["confirmClaim"].take();
    assert_eq!(json!([confirmed["status"], confirmed["expiresAt"]]), json!(["CONFIRMED", null]));
    let other = town.claims(Who::DonorB, &[(west, 1)], json!({})).await;
    assert_eq!(other["refusals"][0]["freesAt"], Value::Null, "a promise does not run out");

    let claim_line = |need: &str| {
        let lines = claim["lines"].as_array().expect("lines");
        lines.iter().find(|l| l["need"]["id"] == need).expect("a line on the need")["id"].clone()
    };
    let (line_west, line_east) = (claim_line(west), claim_line(east));
    let trip = town.delivers(Who::DonorA, claim, &[(&line_west, required), (&line_east, required)]).await;
    assert_eq!(town.stands(west).await["service"], "DELIVERED");

    let broken = required / 4;
    let acknowledge =
        "mutation($id: ID!, $lines: [AcknowledgeLineInput!]!) { acknowledgeDelivery(id: $id, lines: $lines) {
        status lines { quantity accepted rejected } events { status by note at } claim { status } } }";
    let answers = json!([
        {"claimLineId": line_west, "accepted": required - broken, "rejected": broken, "note": "basah"},
        {"claimLineId": line_east, "accepted": required, "rejected": 0},
    ]);
    let incoming = "{ viewer { incoming(first: 1) { id status } } }";
    let coming = town.data(Who::Officer, incoming, json!({})).await["viewer"]["incoming"].take();
    assert_eq!(coming, json!([{"id": trip, "status": "DELIVERED"}]));
    let answered = town.data(Who::Officer, acknowledge, json!({"id": trip, "lines": answers})).await;
    let answered = &answered["acknowledgeDelivery"];
    assert_eq!(
        json!([answered["status"], answered["claim"]["status"]]),
        json!(["DISPUTED", "CONFIRMED"]),
        "{answered}"
    );
    let words: Vec<&Value> = answered["events"].as_array().expect("events").iter().map(|e| &e["status"]).collect();
    assert_eq!(json!(words), json!(["SCHEDULED", "IN_TRANSIT", "DELIVERED", "DISPUTED"]));
    let need = town.stands(west).await;
    let counters = json!([need["allocated"], need["delivered"], need["unmet"], need["service"]]);
    assert_eq!(counters, json!([required, required - broken, 0, "COVERED"]), "what was rejected is owed again");

    let second = town.delivers(Who::DonorA, claim, &[(&line_west, broken)]).await;
    let answers = json!([{"claimLineId": line_west, "accepted": broken, "rejected": 0}]);
    let answered = town.data(Who::Officer, acknowledge, json!({"id": second, "lines": answers})).await;
    let answered = &answered["acknowledgeDelivery"];
    assert_eq!(json!([answered["status"], answered["claim"]["status"]]), json!(["ACKNOWLEDGED", "FULFILLED"]));
    assert_eq!(town.stands(west).await["service"], "DELIVERED");

    audited(town, item, west, claim, &trip).await;
}

async fn audited(town: &Town, item: &str, need: &str, claim: &Value, trip: &str) {
    let aid = OutsideAid {
        external_id: format!("luar-{item}"),
        organization: "Yayasan Luar".into(),
        area: town.areas[RT_11],
        item: town.items[item],
        quantity: Quantity::new(5).expect("five"),
        period: period("2020-04-02", "2020-04-20"),
    };
    let category = OrganizationCategory::CivilSociety;
    // A file of one source holds all that the source knows; each item here is a source of its own.
    let source = format!("sumber-{item}");
    let import = ImportDistributions { author: None, source, category, rows: vec![aid], dry_run: false };
    town.store().execute(import).await.expect("outside aid is taken");

    let list = "query($kinds: [OverlapKind!], $first: Int, $after: String) {
        overlaps(areaCode: \"31.71.01.1001.001\", kinds: $kinds, first: $first, after: $after) { totalCount
        pageInfo { hasNextPage endCursor }
        nodes { id kind status version quantity excess evidence note item { key } area { code } organizations { name } } } }";
    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = town.data(Who::Auditor, list, json!({"first": 1, "after": after})).await["overlaps"].take();
        found.extend(page["nodes"].as_array().expect("a page").iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            assert_eq!(page["totalCount"], found.len(), "each finding is on one page");
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let of_item = |kind: &str| found.iter().find(|o| o["kind"] == kind && o["item"]["key"] == item);
    let over = of_item("OVER_SERVED").unwrap_or_else(|| panic!("{item} was over-served: {found:#?}"));
    assert_eq!(json!([over["excess"], over["status"], over["area"]["code"]]), json!([5, "SUSPECTED", RT_11]));
    let met = of_item("SAME_AREA_SAME_ITEM").expect("two organisations met");
    let mut names: Vec<String> =
        met["organizations"].as_array().expect("a list").iter().map(|o| text(&o["name"])).collect();
    names.sort();
    assert_eq!(names, ["Donor A", "Yayasan Luar"]);
    let officer = town.data(Who::Officer, list, json!({"first": 50})).await;
    assert_eq!(officer["overlaps"]["totalCount"], found.len(), "an officer sees those of their area");
    let far = town.data(Who::FarOfficer, list, json!({"first": 50})).await;
    assert_eq!(far["overlaps"]["totalCount"], 0);

    let resolve = "mutation($id: ID!, $version: Version!) {
        resolveOverlap(id: $id, expectedVersion: $version, status: CONFIRMED, note: \"dobel\") { status note version } }";
    let choice = json!({"id": over["id"], "version": over["version"]});
    let resolved = town.data(Who::Auditor, resolve, choice.clone()).await["resolveOverlap"].take();
    assert_eq!(json!([resolved["status"], resolved["note"]]), json!(["CONFIRMED", "dobel"]));
    assert_ne!(resolved["version"], over["version"]);
    assert_eq!(town.code(Who::Auditor, resolve, choice).await, "VERSION_CONFLICT");

    let trail = "query($subject: ID!, $after: String) { auditTrail(subject: $subject, first: 2, after: $after) {
        nodes { subject action actor at } pageInfo { hasNextPage endCursor } } }";
    let version = "query($id: ID!) { node(id: $id) { ... on Need { version } ... on Claim { version }
        ... on Delivery { version } ... on Overlap { version } } }";
    for subject in [json!(need), claim["id"].clone(), json!(trip), over["id"].clone()] {
        let mut entries = 0;
        let mut after = Value::Null;
        loop {
            let variables = json!({"subject": subject, "after": after});
            let page = town.data(Who::Auditor, trail, variables).await["auditTrail"].take();
            for entry in page["nodes"].as_array().expect("a page") {
                assert_eq!(entry["subject"], subject);
                entries += 1;
            }
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        let stands = town.data(Who::Admin, version, json!({"id": subject})).await["node"]["version"].take();
        // A claim's version is that of its lines too; each of these records has entries of its own.
        if subject != claim["id"] {
            assert_eq!(stands, format!("v{entries}"), "{subject} has one entry a version");
        }
        assert!(entries > 0, "{subject} has entries");
    }
}
