//! Who may do and see what: every restricted operation, for everybody, on a record of their own, of
//! somebody else, and on none. What is expected stands in one table.

use std::collections::BTreeSet;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::harness::actors::{
    CLAIM, DEVICE, FAR_RT, FAR_VILLAGE, FOOD, RT_11, RT_12, RT_21, Town, VILLAGE, Who, claim_lines, text,
};
use crate::harness::app::code_of;
use crate::harness::books::connect;
use crate::harness::database::TestDatabase;
use crate::harness::process::until;
use crate::on_both_databases;

on_both_databases!(
    every_operation_is_refused_to_everybody_else_and_foreign_answers_as_missing,
    what_is_somebody_elses_costs_the_database_what_nothing_costs,
    a_record_is_shown_to_those_who_may_see_it,
    a_need_that_is_not_verified_is_seen_by_its_own_officer_alone,
    lists_of_own_work_hold_own_work_alone,
    officers_answer_for_their_own_lines_of_a_shared_trip,
    what_is_taken_from_a_caller_is_gone_within_seconds,
);

/// All records of one organisation's aid to one village.
#[derive(Debug, Clone)]
pub struct Records {
    pub area: String,
    pub offer: String,
    pub claim: String,
    pub line: String,
    pub delivery: String,
    pub need: String,
    pub version: String,
    pub overlap: String,
}

impl Records {
    /// Ids that nobody has given out.
    pub fn missing() -> Self {
        Records {
            area: "31.71.01.1009".into(),
            offer: "offer-4000000".into(),
            claim: "claim-4000000".into(),
            line: "line-4000000".into(),
            delivery: "delivery-4000000".into(),
            need: "need-4000000".into(),
            version: "v1".into(),
            overlap: "overlap-4000000".into(),
        }
    }

    fn ids(&self) -> [&str; 7] {
        [&self.area, &self.offer, &self.claim, &self.line, &self.delivery, &self.need, &self.overlap]
    }
}

/// Aid of one donor to one area, delivered and waiting for the officer's answer; outside aid met it.
pub async fn aid(town: &Town, donor: Who, area: &str, village: &str, executor: Option<String>) -> Records {
    let offer = "mutation($input: CreateOfferInput!) { createOffer(input: $input) { id } }";
    let input = json!({"idempotencyKey": town.fresh(), "itemKey": "paket", "quantity": 100});
    let offer = text(&town.data(donor, offer, json!({"input": input})).await["createOffer"]["id"]);
    let need = town.need(area, FOOD, 20).await;
    let mut more = json!({"offerId": offer});
    if let Some(executor) = executor {
        more["executorId"] = json!(executor);
    }
    let claim = town.promises(donor, &[(&need, 20)], more).await;
    let line = &claim["lines"][0]["id"];
    town.delivers(donor, &claim, &[(line, 12)]).await;
    // Another donor serves the same need's area and item in the same month.
    let second = town.reports_for(area, FOOD, 5, 3, "2020-04").await.0;
    town.verifies(&[&second]).await;
    let other = if donor == Who::DonorA { Who::DonorB } else { Who::DonorA };
    let theirs = town.promises(other, &[(&second, 5)], json!({})).await;
    town.delivers(other, &theirs, &[(&theirs["lines"][0]["id"], 5)]).await;
    let delivery = town.schedules(donor, &claim, &[(line, 3)]).await;
    let overlaps = "query($code: String!) { overlaps(areaCode: $code) { nodes { id } } }";
    let found = town.data(Who::Auditor, overlaps, json!({"code": village})).await;
    Records {
        area: area.to_owned(),
        offer,
        claim: text(&claim["id"]),
        line: text(line),
        delivery,
        version: text(&town.stands(&need).await["version"]),
        need,
        overlap: text(&found["overlaps"]["nodes"][0]["id"]),
    }
}

struct Two {
    town: Town,
    /// Of organisation A, carried out by the partner, for the near village.
    near: Records,
    /// Of organisation B, for the far village.
    far: Records,
}

impl Two {
    async fn new(db: TestDatabase) -> Two {
        Two::of(Town::new(db).await).await
    }

    async fn of(town: Town) -> Two {
        let partner = town.organizations[2].to_string();
        let near = aid(&town, Who::DonorA, RT_11, VILLAGE, Some(partner)).await;
        let far = aid(&town, Who::DonorB, FAR_RT, FAR_VILLAGE, None).await;
        Two { town, near, far }
    }
}

/// Whose an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The organisation that owns the record.
    Giver,
    /// The organisations that made a claim or carry it out.
    Carrier,
    /// Officers of the record's area; admins everywhere.
    Area,
    /// Auditors and admins, everywhere.
    Audit,
}

impl Side {
    fn roles(self) -> &'static [Who] {
        match self {
            Side::Giver | Side::Carrier => &[Who::DonorA, Who::DonorB, Who::Aggregator],
            Side::Area => &[Who::Officer, Who::FarOfficer, Who::Admin],
            Side::Audit => &[Who::Auditor, Who::Admin],
        }
    }

    /// Whether the records of the near or the far village are theirs to act on.
    fn owns(self, who: Who, near: bool) -> bool {
        match self {
            Side::Giver => who == if near { Who::DonorA } else { Who::DonorB },
            Side::Carrier if near => matches!(who, Who::DonorA | Who::Aggregator),
            Side::Carrier => who == Who::DonorB,
            Side::Area => who == Who::Admin || who == if near { Who::Officer } else { Who::FarOfficer },
            Side::Audit => true,
        }
    }
}

/// Every mutation that names a record, whose it is, and its input.
fn operations(key: &dyn Fn() -> String, on: &Records) -> Vec<(&'static str, Side, String, Value)> {
    let by_id = |name: &str, more: &str| format!("mutation($id: ID!) {{ {name}(id: $id{more}) {{ id }} }}");
    let lines = json!([{"claimLineId": on.line, "quantity": 1}]);
    let input = "mutation($input: §!) { £(input: $input) { id } }";
    let with_input = |name: &str, kind: &str| input.replace('§', kind).replace('£', name);
    vec![
        ("renewClaim", Side::Carrier, by_id("renewClaim", ""), json!({"id": on.claim})),
        ("confirmClaim", Side::Carrier, by_id("confirmClaim", ""), json!({"id": on.claim})),
        (
            "scheduleDelivery",
            Side::Carrier,
            with_input("scheduleDelivery", "ScheduleDeliveryInput"),
            json!({"input": {"idempotencyKey": key(), "claimId": on.claim, "lines": lines}}),
        ),
        ("dispatchDelivery", Side::Carrier, by_id("dispatchDelivery", ""), json!({"id": on.delivery})),
        ("recordDelivery", Side::Carrier, by_id("recordDelivery", ", note: \"n\""), json!({"id": on.delivery})),
        ("cancelDelivery", Side::Carrier, by_id("cancelDelivery", ", reason: \"r\""), json!({"id": on.delivery})),
        ("releaseClaim", Side::Carrier, by_id("releaseClaim", ", reason: \"r\""), json!({"id": on.claim})),
        (
            "claimNeeds from an offer",
            Side::Giver,
            "mutation($input: ClaimNeedsInput!) { claimNeeds(input: $input) { __typename } }".into(),
            json!({"input": {"idempotencyKey": key(), "offerId": on.offer, "lines": claim_lines(&[("need-1", 1)])}}),
        ),
        (
            "acknowledgeDelivery",
            Side::Area,
            "mutation($id: ID!, $lines: [AcknowledgeLineInput!]!) { acknowledgeDelivery(id: $id, lines: $lines) { id } }".into(),
            json!({"id": on.delivery, "lines": [{"claimLineId": on.line, "accepted": 1, "rejected": 0}]}),
        ),
        (
            "reportNeed",
            Side::Area,
            with_input("reportNeed", "ReportNeedInput"),
            json!({"input": {"idempotencyKey": key(), "areaCode": on.area, "program": "PANGAN", "item": "paket",
                "periodStart": "2021-01-01", "periodEnd": "2021-01-02", "required": 1, "severity": 1}}),
        ),
        (
            "reviseNeed",
            Side::Area,
            with_input("reviseNeed", "ReviseNeedInput"),
            json!({"input": {"id": on.need, "expectedVersion": on.version, "severity": 2}}),
        ),
        (
            "verifyNeeds",
            Side::Area,
            "mutation($ids: [ID!]!) { verifyNeeds(ids: $ids) { id } }".into(),
            json!({"ids": [on.need]}),
        ),
        (
            "closeNeed",
            Side::Area,
            "mutation($id: ID!, $v: Version!) { closeNeed(id: $id, expectedVersion: $v, reason: \"r\") { id } }".into(),
            json!({"id": on.need, "v": on.version}),
        ),
        (
            "resolveOverlap",
            Side::Audit,
            "mutation($id: ID!) { resolveOverlap(id: $id, expectedVersion: \"v99\", status: CONFIRMED, note: \"n\") { id } }"
                .into(),
            json!({"id": on.overlap}),
        ),
    ]
}

/// Fields of the root that everybody may ask; what they show is narrowed by record, as tests below say.
const PUBLIC: &[&str] = &[
    "area",
    "areaCoverage",
    "areaCoverageChanged",
    "auditCheckpoint",
    "claim",
    "coverage",
    "coverageBreaks",
    "delivery",
    "needs",
    "needsChanged",
    "node",
    "organization",
    "planMatch",
    "programs",
    "searchAreas",
    "viewer",
    "waysIn",
];

/// Fields of the root that the tests of this file try on no record.
const ON_NO_RECORD: &[&str] =
    &["areaHistory", "auditTrail", "createOffer", "organizations", "officials", "overlapCounts", "overlaps"];

/// Fields of the root about accounts: `identity.rs` tries them, `rights.rs` asks who may.
const ON_ACCOUNTS: &[&str] = &[
    "acceptInvitation",
    "addDocument",
    "approveOrganization",
    "changePassword",
    "confirmSignUp",
    "createApiKey",
    "endSession",
    "eraseAccount",
    "grantRole",
    "inviteMember",
    "refuseOrganization",
    "reinstateMember",
    "reinstateOrganization",
    "requestPasswordReset",
    "resetPassword",
    "revokeApiKey",
    "revokeRole",
    "signIn",
    "signOut",
    "signUp",
    "suspendMember",
    "suspendOrganization",
];

#[tokio::test]
async fn every_field_of_the_root_is_in_one_of_the_tables() {
    use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
    let schema = async_graphql::parser::parse_schema(salur::graphql::sdl()).expect("our own schema parses");
    let mut fields = BTreeSet::new();
    for definition in schema.definitions {
        let TypeSystemDefinition::Type(kind) = definition else { continue };
        let root = matches!(kind.node.name.node.as_str(), "Query" | "Mutation" | "Subscription");
        if let (true, TypeKind::Object(object)) = (root, kind.node.kind) {
            fields.extend(object.fields.iter().map(|f| f.node.name.node.to_string()));
        }
    }
    let key = || "k".to_owned();
    let named = operations(&key, &Records::missing());
    let named = named.iter().filter_map(|(name, ..)| name.split(' ').next());
    let known: BTreeSet<String> =
        named.chain([PUBLIC, ON_NO_RECORD, ON_ACCOUNTS].concat()).map(str::to_owned).collect();
    assert_eq!(fields, known, "a new field of the schema belongs into a table of this file");
}

/// An answer's errors, with the ids that were sent taken out.
fn masked(answer: &Value, sent: &Records) -> String {
    let text = answer["errors"].to_string();
    sent.ids().iter().fold(text, |text, id| text.replace(id, "ID"))
}

/// How many statements a question comes to. What is kept for a second is read now and then, so the
/// least of several counts.
async fn cost(town: &Town, who: Who, query: &str, variables: &dyn Fn() -> Value) -> u64 {
    let metrics = town.app.service.metrics();
    let mut least = u64::MAX;
    for _ in 0..4 {
        let before = metrics.statements();
        town.ask(who, query, variables()).await;
        least = least.min(metrics.statements() - before);
    }
    least
}

/// Seconds are the machine's; what takes them is counted instead.
async fn what_is_somebody_elses_costs_the_database_what_nothing_costs(db: TestDatabase) {
    let Two { town, near, far } = Two::of(Town::quiet(db).await).await;
    let missing = Records::missing();
    let reads = |on: &Records| -> Vec<(String, String)> {
        let node = "query($id: ID!) { node(id: $id) { id } }";
        let nodes = [&on.claim, &on.line, &on.delivery, &on.offer, &on.overlap, &on.need];
        let mut reads: Vec<(String, String)> = nodes.map(|id| (node.to_owned(), id.clone())).to_vec();
        reads.push(("query($id: ID!) { claim(id: $id) { id } }".into(), on.claim.clone()));
        reads.push(("query($id: ID!) { delivery(id: $id) { id } }".into(), on.delivery.clone()));
        reads
    };
    let (mut compared, mut asked) = (0, 0);
    for who in Who::ALL {
        for (is_near, on) in [(true, &near), (false, &far)] {
            for ((query, id), (_, none)) in reads(on).into_iter().zip(reads(&missing)) {
                let told = town.ask(who, &query, json!({"id": id})).await;
                if told["data"].as_object().is_some_and(|data| data.values().any(|found| !found.is_null())) {
                    continue;
                }
                let foreign = cost(&town, who, &query, &|| json!({"id": id})).await;
                let nothing = cost(&town, who, &query, &|| json!({"id": none})).await;
                assert_eq!(foreign, nothing, "{query} of {id} by {who:?}");
                (compared, asked) = (compared + 1, asked + nothing);
            }
            let names = operations(&|| "k".into(), on).into_iter().map(|(name, side, ..)| (name, side));
            for (at, (name, side)) in names.enumerate() {
                if side.owns(who, is_near) {
                    continue;
                }
                let one = |records: &Records| operations(&|| town.fresh(), records).swap_remove(at);
                let query = one(on).2;
                let foreign = cost(&town, who, &query, &|| one(on).3).await;
                let nothing = cost(&town, who, &query, &|| one(&missing).3).await;
                assert_eq!(foreign, nothing, "{name} by {who:?}");
                (compared, asked) = (compared + 1, asked + nothing);
            }
        }
    }
    println!("{compared} pairs, {asked} statements each side");
    assert!(compared > 200 && asked > 200, "{compared} pairs, {asked} statements");
    town.check_books().await;
}

async fn every_operation_is_refused_to_everybody_else_and_foreign_answers_as_missing(db: TestDatabase) {
    let Two { town, near, far } = Two::new(db).await;
    let missing = Records::missing();
    let mut checked = 0;
    // Foreign and missing first: what is allowed changes the records.
    for who in Who::ALL {
        for is_near in [true, false] {
            let on = if is_near { &near } else { &far };
            for ((name, side, query, variables), (.., no_variables)) in
                operations(&|| town.fresh(), on).into_iter().zip(operations(&|| town.fresh(), &missing))
            {
                let none = town.ask(who, &query, no_variables).await;
                let expected = match who {
                    Who::Anonymous => "UNAUTHENTICATED",
                    Who::PendingDonor => "FORBIDDEN",
                    who if !side.roles().contains(&who) => "FORBIDDEN",
                    _ => "NOT_FOUND",
                };
                assert_eq!(code_of(&none), expected, "{name} by {who:?} on nothing: {none}");
                checked += 1;
                if expected != "NOT_FOUND" || !side.owns(who, is_near) {
                    let foreign = town.ask(who, &query, variables).await;
                    assert_eq!(masked(&foreign, on), masked(&none, &missing), "{name} by {who:?} on {on:?}");
                    checked += 1;
                }
            }
        }
    }
    let (need, claim) = (town.stands(&near.need).await, near.claim.clone());
    assert_eq!(
        json!([need["version"], need["status"]]),
        json!([near.version, "VERIFIED"]),
        "nothing was changed by them"
    );
    let status = "query($id: ID!) { claim(id: $id) { status version } }";
    assert_eq!(town.data(Who::Admin, status, json!({"id": claim})).await["claim"]["status"], "CONFIRMED");
    for who in Who::ALL {
        for (is_near, on) in [(true, &near), (false, &far)] {
            for (name, side, query, variables) in operations(&|| town.fresh(), on) {
                if side.roles().contains(&who) && side.owns(who, is_near) {
                    let code = code_of(&town.ask(who, &query, variables).await);
                    let turned_away =
                        matches!(code.as_str(), "UNAUTHENTICATED" | "FORBIDDEN" | "NOT_FOUND" | "INTERNAL");
                    assert!(!turned_away, "{name} by {who:?} on their own {on:?}: {code}");
                    checked += 1;
                }
            }
        }
    }
    // Operations on no record.
    let offer = "mutation($key: String!) { createOffer(input: {idempotencyKey: $key, itemKey: \"paket\", quantity: 1}) { id } }";
    let giver = |who| matches!(who, Who::DonorA | Who::DonorB | Who::Aggregator);
    type Allowed = fn(Who) -> bool;
    let open: [(&str, Allowed); 7] = [
        (offer, giver),
        ("{ viewer { claims { id } } }", |w| {
            matches!(w, Who::DonorA | Who::DonorB | Who::Aggregator | Who::PendingDonor)
        }),
        ("{ viewer { deliveries { id } } }", |w| {
            matches!(w, Who::DonorA | Who::DonorB | Who::Aggregator | Who::PendingDonor)
        }),
        ("{ viewer { offers { id } } }", |w| {
            matches!(w, Who::DonorA | Who::DonorB | Who::Aggregator | Who::PendingDonor)
        }),
        ("{ viewer { incoming { id } } }", |w| matches!(w, Who::Officer | Who::FarOfficer)),
        ("{ overlaps { totalCount } }", |w| matches!(w, Who::Officer | Who::FarOfficer | Who::Auditor | Who::Admin)),
        ("{ auditTrail(subject: \"need-1\") { nodes { at } } }", |w| matches!(w, Who::Auditor | Who::Admin)),
    ];
    for (query, allowed) in open {
        for who in Who::ALL {
            let variables = if query == offer { json!({"key": town.fresh()}) } else { json!({}) };
            let answer = town.ask(who, query, variables).await;
            let expected = match who {
                // Nobody has no viewer, and that is no error.
                Who::Anonymous if query.contains("viewer") => "",
                Who::Anonymous => "UNAUTHENTICATED",
                who if allowed(who) => "",
                _ => "FORBIDDEN",
            };
            assert_eq!(code_of(&answer), expected, "{query} by {who:?}: {answer}");
            checked += 1;
        }
    }
    println!("{checked} cells of the access matrix hold");
    town.check_books().await;
}

async fn a_record_is_shown_to_those_who_may_see_it(db: TestDatabase) {
    let Two { town, near, far } = Two::new(db).await;
    let node = "query($id: ID!) { node(id: $id) { __typename id } }";
    let shown = |answer: &Value| !answer["node"].is_null();
    let ground = town.app.service.atlas().ground();
    let program = ground.program_by_key("PANGAN").expect("it was entered").id.to_string();
    let public = [
        ("Area", town.areas[RT_11].to_string()),
        ("Program", program),
        ("Item", town.items["paket"].to_string()),
        ("Need", near.need.clone()),
        ("Organization", town.organizations[1].to_string()),
    ];
    for who in Who::ALL {
        for (kind, id) in &public {
            let answer = town.data(who, node, json!({"id": id})).await;
            assert_eq!(answer["node"], json!({"__typename": kind, "id": id}), "{who:?}");
        }
        for (is_near, on) in [(true, &near), (false, &far)] {
            let all = matches!(who, Who::Auditor | Who::Admin);
            let giver = who == if is_near { Who::DonorA } else { Who::DonorB };
            let carrier = giver || is_near && who == Who::Aggregator;
            let officer = who == if is_near { Who::Officer } else { Who::FarOfficer };
            for (kind, id, may) in [
                ("Offer", &on.offer, all || giver),
                ("Claim", &on.claim, all || carrier || officer),
                ("ClaimLine", &on.line, all || carrier || officer),
                ("Delivery", &on.delivery, all || carrier || officer),
                ("Overlap", &on.overlap, all || officer),
            ] {
                let answer = town.data(who, node, json!({"id": id})).await;
                assert_eq!(shown(&answer), may, "{kind} {id} to {who:?}: {answer}");
                if may {
                    assert_eq!(answer["node"]["__typename"], kind);
                }
                let field = match kind {
                    "Claim" => "claim",
                    "Delivery" => "delivery",
                    _ => continue,
                };
                let query = format!("query($id: ID!) {{ node: {field}(id: $id) {{ id }} }}");
                let answer = town.data(who, &query, json!({"id": id})).await;
                assert_eq!(shown(&answer), may, "{field} {id} to {who:?}: {answer}");
            }
            // The offer behind a claim is the giver's business, whoever else may see the claim.
            let behind =
                "query($id: ID!) { claim(id: $id) { offer { id } deliveries { id claim { organization { name } } } } }";
            let answer = town.data(who, behind, json!({"id": on.claim})).await;
            if carrier || officer || all {
                assert_eq!(!answer["claim"]["offer"].is_null(), all || giver, "{who:?}: {answer}");
                assert_eq!(answer["claim"]["deliveries"].as_array().map(Vec::len), Some(2), "{who:?}: {answer}");
            }
            let plan = "query($id: ID!) { planMatch(input: {offerId: $id}) { quantity } }";
            let answer = town.ask(who, plan, json!({"id": on.offer})).await;
            assert_eq!(code_of(&answer), if all || giver { "" } else { "NOT_FOUND" }, "{who:?}");
            if !(all || giver) {
                let none = town.ask(who, plan, json!({"id": "offer-4000000"})).await;
                assert_eq!(answer["errors"], none["errors"], "{who:?}");
            }
        }
        for id in
            ["need-4000000", "claim-4000000", "user-1", "distribution-1", "need-01", "x", "", "need-", "-", "🦀-1"]
        {
            let answer = town.data(who, node, json!({"id": id})).await;
            assert!(!shown(&answer), "{id:?} to {who:?}: {answer}");
        }
    }
    // Names of people are for those who read everything.
    let by = "query($id: ID!) { delivery(id: $id) { events { by } } }";
    for (who, expected) in [(Who::Admin, true), (Who::DonorA, true), (Who::Aggregator, false), (Who::Officer, false)] {
        let answer = town.data(who, by, json!({"id": near.delivery})).await;
        assert_eq!(answer.to_string().contains("a@donor.example"), expected, "{who:?}: {answer}");
    }
}

async fn a_need_that_is_not_verified_is_seen_by_its_own_officer_alone(db: TestDatabase) {
    let town = Town::new(db).await;
    let reported = town.reports(RT_11, FOOD, 10, 3).await.0;
    let closed = town.need(RT_12, FOOD, 10).await;
    let verified = town.need(RT_21, DEVICE, 10).await;
    let close = "mutation($id: ID!) { closeNeed(id: $id, expectedVersion: \"v2\", reason: \"selesai\") { status } }";
    town.data(Who::Officer, close, json!({"id": closed})).await;
    let query = "query($where: NeedFilter, $code: String!) {
        needs(where: $where) { totalCount nodes { id } } coverage(where: $where) { needCount }
        areaCoverage(level: VILLAGE, where: $where) { area { code } coverage { needCount } }
        area(code: $code) { coverage(where: $where) { needCount } needs(where: $where) { totalCount } } }";
    let node = "query($id: ID!) { node(id: $id) { id } }";
    for who in Who::ALL {
        let sees = matches!(who, Who::Officer | Who::Auditor | Who::Admin);
        let all = json!(["REPORTED", "VERIFIED", "CLOSED"]);
        for (filter, expected) in [
            (json!({"status": ["REPORTED"]}), if sees { 1 } else { 0 }),
            (json!({"status": ["CLOSED"]}), if sees { 1 } else { 0 }),
            (json!({"status": all}), if sees { 3 } else { 1 }),
            (json!({}), if sees { 2 } else { 1 }),
            (json!({"items": ["paket"]}), if sees { 1 } else { 0 }),
        ] {
            let answer = town.data(who, query, json!({"where": filter, "code": VILLAGE})).await;
            let rows = answer["areaCoverage"].as_array().expect("rows");
            let sum: i64 = rows.iter().filter_map(|r| r["coverage"]["needCount"].as_i64()).sum();
            let area = &answer["area"];
            for count in [
                &answer["needs"]["totalCount"],
                &answer["coverage"]["needCount"],
                &json!(sum),
                &area["coverage"]["needCount"],
                &area["needs"]["totalCount"],
                &json!(answer["needs"]["nodes"].as_array().map(Vec::len)),
            ] {
                assert_eq!(count, &json!(expected), "{who:?} {filter}: {answer}");
            }
        }
        for (id, may) in [(&reported, sees), (&closed, sees), (&verified, true)] {
            let answer = town.data(who, node, json!({"id": id})).await;
            assert_eq!(!answer["node"].is_null(), may, "{who:?} {id}");
        }
    }
    // Neither can be claimed, and a plan names neither.
    for need in [&reported, &closed] {
        let refused = town.claims(Who::DonorA, &[(need, 1)], json!({})).await;
        let refusal = &refused["refusals"][0];
        assert_eq!(json!([refusal["reason"], refusal["free"]]), json!(["NOT_OPEN", 0]), "what it asks for is not told");
    }
    let plan = "{ planMatch(input: {itemKey: \"paket\", quantity: 5}) { unplaced lines { quantity } } }";
    for who in [Who::DonorA, Who::Officer, Who::Admin] {
        let plan = town.data(who, plan, json!({})).await;
        assert_eq!(plan["planMatch"], json!({"unplaced": 5, "lines": []}), "{who:?}");
    }
}

async fn lists_of_own_work_hold_own_work_alone(db: TestDatabase) {
    let Two { town, near, far } = Two::new(db).await;
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().map(|l| l.iter().map(|r| text(&r["id"])).collect()).unwrap_or_default()
    };
    let work = "{ viewer { email roles organization { name } areaCode claims { id } offers { id }
        deliveries { id } } }";
    for (who, own, other, offers) in
        [(Who::DonorA, &near, &far, 1), (Who::DonorB, &far, &near, 1), (Who::Aggregator, &near, &far, 0)]
    {
        let viewer = town.data(who, work, json!({})).await["viewer"].take();
        let (claims, pledged) = (ids(&viewer["claims"]), ids(&viewer["offers"]));
        assert!(claims.contains(&own.claim) && !claims.contains(&other.claim), "{who:?}: {viewer}");
        assert_eq!(pledged.len(), offers, "{who:?}: {viewer}");
        assert!(!pledged.contains(&other.offer), "{who:?}: {viewer}");
        let trips = ids(&viewer["deliveries"]);
        assert!(trips.contains(&own.delivery) && !trips.contains(&other.delivery), "{who:?}: {viewer}");
        let of = "query($s: [DeliveryStatus!]) { viewer { deliveries(status: $s) { id } } }";
        let coming = town.data(who, of, json!({"s": ["CANCELLED"]})).await["viewer"]["deliveries"].take();
        assert!(!ids(&coming).contains(&own.delivery), "{who:?}: {coming}");
        assert_eq!(town.code(who, of, json!({"s": []})).await, "BAD_INPUT");
        assert!(claims.is_sorted_by(|a, b| a.len() > b.len() || a.len() == b.len() && a > b), "newest first: {viewer}");
        let one = town.data(who, "{ viewer { claims(first: 1) { id } } }", json!({})).await;
        let next = "query($after: ID) { viewer { claims(after: $after) { id } } }";
        let rest = town.data(who, next, json!({"after": one["viewer"]["claims"][0]["id"]})).await;
        let mut paged = ids(&one["viewer"]["claims"]);
        paged.extend(ids(&rest["viewer"]["claims"]));
        assert_eq!(paged, claims, "{who:?}");
    }
    for (who, own, other) in [(Who::Officer, &near, &far), (Who::FarOfficer, &far, &near)] {
        let viewer = town.data(who, "{ viewer { areaCode incoming { id } } }", json!({})).await["viewer"].take();
        let coming = ids(&viewer["incoming"]);
        assert!(coming.contains(&own.delivery) && !coming.contains(&other.delivery), "{who:?}: {viewer}");
    }
    assert_eq!(town.data(Who::Anonymous, work, json!({})).await["viewer"], Value::Null);
    let viewer = town.data(Who::Officer, "{ viewer { email roles areaCode organization { id } } }", json!({})).await;
    let expected =
        json!({"email": "dekat@rw.example", "roles": ["AREA_OFFICER"], "areaCode": VILLAGE, "organization": null});
    assert_eq!(viewer["viewer"], expected);

    // A key of one organisation's is free for another, and one's own replay is not another's claim.
    let (a, b) = (town.need(RT_12, DEVICE, 10).await, town.need(RT_21, DEVICE, 10).await);
    let input = |need: &str| json!({"input": {"idempotencyKey": "shared", "lines": claim_lines(&[(need, 1)])}});
    let mine = town.data(Who::DonorA, CLAIM, input(&a)).await;
    let theirs = town.data(Who::DonorB, CLAIM, input(&b)).await;
    assert_eq!(theirs["claimNeeds"]["replayed"], false);
    assert_ne!(mine["claimNeeds"]["claim"]["id"], theirs["claimNeeds"]["claim"]["id"]);
}

async fn officers_answer_for_their_own_lines_of_a_shared_trip(db: TestDatabase) {
    let town = Town::new(db).await;
    let (near, far) = (town.need(RT_11, FOOD, 10).await, town.need(FAR_RT, FOOD, 10).await);
    let claim = town.promises(Who::DonorA, &[(&near, 10), (&far, 10)], json!({})).await;
    let lines = claim["lines"].as_array().expect("lines");
    let line = |need: &str| lines.iter().find(|l| l["need"]["id"] == need).expect("a line on the need")["id"].clone();
    let (near_line, far_line) = (line(&near), line(&far));
    let trip = town.delivers(Who::DonorA, &claim, &[(&near_line, 10), (&far_line, 10)]).await;
    let query = "mutation($id: ID!, $lines: [AcknowledgeLineInput!]!) { acknowledgeDelivery(id: $id, lines: $lines) { status } }";
    let says = |line: &Value, accepted: i64, rejected: i64| json!({"id": trip, "lines": [{"claimLineId": line, "accepted": accepted, "rejected": rejected}]});
    let foreign = town.ask(Who::Officer, query, says(&far_line, 10, 0)).await;
    let missing = town.ask(Who::Officer, query, says(&json!("line-4000000"), 10, 0)).await;
    assert_eq!(code_of(&foreign), "NOT_FOUND");
    assert_eq!(foreign["errors"], missing["errors"]);
    for (accepted, rejected) in [(10, 1), (9, 0), (0, 0)] {
        let code = town.code(Who::Officer, query, says(&near_line, accepted, rejected)).await;
        assert_eq!(code, "BAD_INPUT", "ten were brought, not {accepted} and {rejected}");
    }
    let answered = town.data(Who::Officer, query, says(&near_line, 10, 0)).await;
    assert_eq!(answered["acknowledgeDelivery"]["status"], "DELIVERED", "the far village has not answered");
    let again = town.data(Who::Officer, query, says(&near_line, 10, 0)).await;
    assert_eq!(again, answered, "the same answer again changes nothing");
    assert_eq!(town.code(Who::Officer, query, says(&near_line, 9, 1)).await, "ILLEGAL_TRANSITION");
    let answered = town.data(Who::FarOfficer, query, says(&far_line, 8, 2)).await;
    assert_eq!(answered["acknowledgeDelivery"]["status"], "DISPUTED");
    let counters = |need: &Value| json!([need["allocated"], need["delivered"]]);
    assert_eq!(counters(&town.stands(&near).await), json!([10, 10]));
    assert_eq!(counters(&town.stands(&far).await), json!([10, 8]));
    town.check_books().await;
}

/// Behind the server's back, as another server would do it.
async fn what_is_taken_from_a_caller_is_gone_within_seconds(db: TestDatabase) {
    let town = Town::new(db).await;
    let own = connect(&town.db).await;
    let need = town.need(RT_11, FOOD, 100).await;
    let tries = async || {
        let input = json!({"idempotencyKey": town.fresh(), "lines": claim_lines(&[(&need, 1)])});
        town.ask(Who::DonorA, CLAIM, json!({"input": input})).await
    };
    town.holds(Who::DonorA, &[(&need, 1)], json!({})).await;
    let status =
        |word: &str| format!("UPDATE organization SET status = '{word}' WHERE id = {}", town.organizations[0].0);
    own.execute_unprepared(&status("SUSPENDED")).await.expect("a status");
    until("a suspended organisation is refused", async || code_of(&tries().await) == "FORBIDDEN").await;
    own.execute_unprepared(&status("VERIFIED")).await.expect("a status");
    until("a verified one is served again", async || tries().await["errors"].is_null()).await;
    own.execute_unprepared("UPDATE api_key SET revoked_at = 1").await.expect("a key");
    until("a revoked key opens nothing", async || code_of(&tries().await) == "UNAUTHENTICATED").await;
    town.check_books().await;
}
