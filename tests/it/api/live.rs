//! Subscriptions over graphql-transport-ws.

use std::time::Duration;

use salur::domain::area::AreaLevel;
use salur::domain::calendar::Period;
use salur::domain::ids::NeedId;
use salur::domain::need::{NeedStatus, Severity};
use salur::domain::place::LonLat;
use salur::domain::quantity::Quantity;
use salur::store::{AreaRow, ImportNeeds, OpeningNeed, PublishAreas, Store, VerifyNeeds};
use serde_json::{Value, json};

use crate::harness::actors::{FAR_RT, FOOD, RT_11, RT_12, RT_21, RW_1, Town, VILLAGE, Who, text};
use crate::harness::app::Live;
use crate::harness::database::TestDatabase;
use crate::harness::world::{ANY_NEED, area_row, code, open, period};
use crate::on_both_databases;

on_both_databases!(
    a_claim_reaches_those_who_watch_its_area_and_nobody_else,
    a_need_that_leaves_the_filter_is_told_once_more,
    who_calls_decides_what_is_told,
    an_operation_that_is_refused_leaves_the_connection_open,
    what_another_process_commits_is_told_within_seconds,
);

const WATCH: &str = "subscription($where: NeedFilter) { needsChanged(where: $where) {
    id allocated unmet severity status service version area { code } } }";

/// What a connection is told about needs.
struct Watch {
    live: Live,
    told: Vec<Value>,
}

impl Watch {
    /// Subscribes and waits until changes arrive: `probe` is a need that the filter takes in, and of
    /// which nothing else is asked. The protocol does not say when a subscription stands.
    async fn begin(town: &Town, who: Who, filter: Value, probe: &str) -> Watch {
        let mut live = town.app.live().await;
        live.begin(town.key_of(who)).await;
        live.subscribe("1", WATCH, json!({"where": filter})).await;
        let mut watch = Watch { live, told: Vec::new() };
        for severity in [4, 5].into_iter().cycle().take(200) {
            nudge(town, probe, severity).await;
            if let Ok(message) = watch.live.next_within(Duration::from_millis(300)).await {
                let message = message.expect("the connection is open");
                assert!(message["payload"]["data"]["needsChanged"].is_array(), "{message}");
                return watch;
            }
        }
        panic!("a change of {probe} never arrived under {filter}");
    }

    /// Everything told up to and including the first word of `need` that `is` holds of; the latter.
    async fn until(&mut self, need: &str, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.live.next().await.expect("the connection is open");
            assert_eq!(message["type"], "next", "{message}");
            let changes = message["payload"]["data"]["needsChanged"].as_array().cloned();
            let changes = changes.unwrap_or_else(|| panic!("{message}"));
            let found = changes.iter().find(|n| n["id"] == need && is(n)).cloned();
            self.told.extend(changes);
            if let Some(found) = found {
                return found;
            }
        }
    }

    fn was_told_of(&self, need: &str) -> bool {
        self.told.iter().any(|n| n["id"] == need)
    }
}

/// Changes a need's severity.
async fn nudge(town: &Town, need: &str, severity: i64) {
    let version = town.stands(need).await["version"].clone();
    let query = "mutation($input: ReviseNeedInput!) { reviseNeed(input: $input) { version } }";
    town.data(Who::Admin, query, json!({"input": {"id": need, "expectedVersion": version, "severity": severity}}))
        .await;
}

fn west() -> Value {
    json!({"bbox": {"west": 106.801, "south": -6.219, "east": 106.804, "north": -6.201}})
}

async fn a_claim_reaches_those_who_watch_its_area_and_nobody_else(db: TestDatabase) {
    let town = Town::new(db).await;
    let (inside, outside) = (town.need(RT_11, FOOD, 10).await, town.need(RT_21, FOOD, 10).await);
    let (probe, far) = (town.need(RT_12, FOOD, 10).await, town.need(FAR_RT, FOOD, 10).await);
    let mut watch = Watch::begin(&town, Who::Anonymous, west(), &probe).await;
    town.holds(Who::DonorB, &[(&outside, 1), (&far, 1)], json!({})).await;
    // Refused as a whole: nothing is committed, so nothing is told.
    let refused = town.claims(Who::DonorB, &[(&inside, 11)], json!({})).await;
    assert_eq!(refused["__typename"], "ClaimRefused");
    town.holds(Who::DonorA, &[(&inside, 4), (&outside, 2)], json!({})).await;
    let told = watch.until(&inside, |_| true).await;
    assert_eq!(json!([told["allocated"], told["unmet"], told["area"]["code"]]), json!([4, 6, RT_11]));
    let stored = town.store().needs(&[inside.parse().expect("an id")]).await.expect("needs are read");
    assert_eq!(told["version"], format!("v{}", stored[0].version), "what is told is committed");
    assert_eq!(told["allocated"], stored[0].counters.allocated().get());
    assert!(!watch.was_told_of(&outside) && !watch.was_told_of(&far), "{:?}", watch.told);
}

async fn a_need_that_leaves_the_filter_is_told_once_more(db: TestDatabase) {
    let town = Town::new(db).await;
    let (need, probe) = (town.need(RT_11, FOOD, 10).await, town.need(RT_12, FOOD, 10).await);
    let filter = json!({"service": ["UNSERVED"], "areaCode": VILLAGE});
    let mut watch = Watch::begin(&town, Who::Anonymous, filter, &probe).await;
    town.holds(Who::DonorA, &[(&need, 4)], json!({})).await;
    let told = watch.until(&need, |_| true).await;
    assert_eq!(json!([told["service"], told["allocated"]]), json!(["PARTIAL", 4]));
    // Neither before nor after does it match now.
    watch.told.clear();
    town.holds(Who::DonorB, &[(&need, 3)], json!({})).await;
    nudge(&town, &probe, 1).await;
    watch.until(&probe, |n| n["severity"] == 1).await;
    assert!(!watch.was_told_of(&need), "{:?}", watch.told);
}

async fn who_calls_decides_what_is_told(db: TestDatabase) {
    let town = Town::new(db).await;
    let probe = town.need(RT_12, FOOD, 10).await;
    let filter = json!({"areaCode": RW_1});
    let mut nobody = Watch::begin(&town, Who::Anonymous, filter.clone(), &probe).await;
    let mut far = Watch::begin(&town, Who::FarOfficer, filter.clone(), &probe).await;
    let mut officer = Watch::begin(&town, Who::Officer, filter, &probe).await;
    let reported = town.reports(RT_11, FOOD, 10, 3).await.0;
    let told = officer.until(&reported, |_| true).await;
    assert_eq!(told["status"], "REPORTED");
    nudge(&town, &probe, 1).await;
    for watch in [&mut nobody, &mut far] {
        watch.until(&probe, |n| n["severity"] == 1).await;
        assert!(!watch.was_told_of(&reported), "a report is not for everybody: {:?}", watch.told);
    }
    town.verifies(&[&reported]).await;
    let told = nobody.until(&reported, |_| true).await;
    assert_eq!(told["status"], "VERIFIED");

    // A wrong key closes the connection; no key, none at all.
    let mut wrong = town.app.live().await;
    wrong.send(json!({"type": "connection_init", "payload": {"Authorization": "Bearer nope"}})).await;
    let mut answers = Vec::new();
    while let Some(message) = wrong.next().await {
        answers.push(message);
    }
    assert!(answers.iter().all(|m| m["type"] != "connection_ack"), "{answers:?}");
    let mut late = town.app.live().await;
    late.subscribe("1", WATCH, json!({})).await;
    assert_eq!(late.next().await, None, "nothing is served before connection_init");
    // A second connection_init cannot change who calls.
    let mut twice = town.app.live().await;
    twice.begin(None).await;
    let admin = town.key_of(Who::Admin).expect("an admin has a key");
    twice.send(json!({"type": "connection_init", "payload": {"Authorization": format!("Bearer {admin}")}})).await;
    assert_eq!(twice.next().await, None);
    // Queries and mutations go over the same connection, as the same caller.
    let mut donor = town.app.live().await;
    donor.begin(town.key_of(Who::DonorA)).await;
    donor.subscribe("q", "{ viewer { email } }", json!({})).await;
    let answer = donor.next().await.expect("an answer");
    assert_eq!(answer["payload"]["data"]["viewer"]["email"], "a@donor.example", "{answer}");
}

async fn an_operation_that_is_refused_leaves_the_connection_open(db: TestDatabase) {
    let town = Town::new(db).await;
    let mut live = town.app.live().await;
    live.begin(None).await;
    let deep = format!("{}x{}", "{x".repeat(50_000), "}".repeat(50_000));
    let cases = [
        (WATCH, json!({"where": {"bbox": {"west": 2.0, "south": 1.0, "east": 1.0, "north": 2.0}}}), "BAD_INPUT"),
        (WATCH, json!({"where": {"items": []}}), "BAD_INPUT"),
        (WATCH, json!({"where": {"programs": ["NOPE"]}}), "BAD_INPUT"),
        (WATCH, json!({"where": 5}), "BAD_INPUT"),
        ("subscription { nothing }", json!({}), "BAD_INPUT"),
        ("subscription {", json!({}), "BAD_INPUT"),
        (deep.as_str(), json!({}), "TOO_COMPLEX"),
        ("subscription { ...A } fragment A on Subscription { ...A }", json!({}), "BAD_INPUT"),
        ("mutation { confirmClaim(id: \"claim-1\") { id } }", json!({}), "UNAUTHENTICATED"),
    ];
    for (i, (query, variables, expected)) in cases.into_iter().enumerate() {
        let id = format!("case-{i}");
        let code = live.refusal(&id, query, variables).await;
        assert_eq!(code, expected, "{:.60}", query);
    }
    live.subscribe("healthy", "{ programs { key } }", json!({})).await;
    let mut answer = live.next().await.expect("the connection stays open");
    while answer["id"] != "healthy" {
        answer = live.next().await.expect("the connection stays open");
    }
    assert_eq!(answer["payload"]["data"]["programs"][0]["key"], "PANGAN", "{answer}");
}

/// A need as an import of opening balances writes it.
fn opening(town: &Town, external: &str, required: i64, month: Period) -> OpeningNeed {
    OpeningNeed {
        row: 1,
        external_id: Some(external.into()),
        area: town.areas[RT_11],
        program: town.app.service.atlas().ground().program_by_key("PANGAN").expect("it was entered").id,
        item: town.items["paket"],
        period: month,
        required: Quantity::new(required).expect("in range"),
        severity: Severity::new(3).expect("from 1 to 5"),
        status: NeedStatus::Verified,
        allocated: Quantity::ZERO,
        delivered: Quantity::ZERO,
    }
}

async fn import(store: &Store, row: OpeningNeed) {
    let import = ImportNeeds { author: None, rows: vec![row], accept_rejects: false, dry_run: false };
    assert!(store.execute(import).await.expect("needs are taken").published);
}

async fn what_another_process_commits_is_told_within_seconds(db: TestDatabase) {
    let town = Town::new(db).await;
    let probe = town.need(RT_12, FOOD, 10).await;
    let reported = town.reports(RT_11, FOOD, 7, 3).await.0;
    let mut watch = Watch::begin(&town, Who::Anonymous, west(), &probe).await;
    let other = open(&town.db, &town.clock).await;
    let id: NeedId = reported.parse().expect("an id");
    let verify = VerifyNeeds { author: None, access: ANY_NEED, ids: [id].into() };
    other.execute(verify).await.expect("a reported need is verified");
    let told = watch.until(&reported, |_| true).await;
    assert_eq!(told["status"], "VERIFIED");
    let june = period("2020-06-01", "2020-06-30");
    import(&other, opening(&town, "impor-1", 33, june)).await;
    let told = loop {
        let message = watch.live.next().await.expect("the connection is open");
        let changes = message["payload"]["data"]["needsChanged"].as_array().cloned().unwrap_or_default();
        if let Some(found) = changes.into_iter().find(|n| n["unmet"] == 33) {
            break found;
        }
    };
    import(&other, opening(&town, "impor-1", 44, june)).await;
    let id = text(&told["id"]);
    watch.until(&id, |n| n["unmet"] == 44).await;
    assert_eq!(town.stands(&id).await["unmet"], 44, "and the map has it");
    // New areas call for reading everything anew; what stands on them is told all the same.
    let new = format!("{RW_1}.009");
    let row = AreaRow { point: Some(LonLat::new(106.802, -6.21).expect("a place")), ..area_row(&new) };
    let publish =
        PublishAreas { author: None, level: AreaLevel::Rt, source: "test".into(), rows: vec![row], dry_run: false };
    other.execute(publish).await.expect("areas are taken");
    let area = other.area_ids().await.expect("areas are read")[&code(&new)];
    import(&other, OpeningNeed { area, ..opening(&town, "impor-2", 66, june) }).await;
    let told = loop {
        let message = watch.live.next().await.expect("the connection is open");
        let changes = message["payload"]["data"]["needsChanged"].as_array().cloned().unwrap_or_default();
        if let Some(found) = changes.into_iter().find(|n| n["unmet"] == 66) {
            break found;
        }
    };
    assert_eq!(told["area"]["code"], new);
    // An import in this process, too.
    import(town.store(), opening(&town, "impor-1", 55, june)).await;
    watch.until(&id, |n| n["unmet"] == 55).await;
    assert_eq!(town.stands(&id).await["unmet"], 55);
    town.check_books().await;
}
