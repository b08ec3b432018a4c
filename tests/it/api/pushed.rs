//! The sums of areas as they are pushed to whoever looks at them: `areaCoverageChanged`.

use salur::atlas::{Filter, Sight};
use salur::domain::area::AreaLevel;
use salur::domain::place::{Bounds, LonLat};
use salur::store::{AreaRow, PublishAreas};
use serde_json::{Value, json};

use crate::harness::actors::{
    DEVICE, FAR_RT, FAR_VILLAGE, FOOD, RT_11, RT_12, RT_13, RT_21, RW_1, RW_2, Town, VILLAGE, Who,
};
use crate::harness::app::Live;
use crate::harness::database::TestDatabase;
use crate::harness::world::{area_row, open};
use crate::on_both_databases;

on_both_databases!(
    a_claim_pushes_the_areas_in_view_that_it_changed_with_the_sums_that_the_query_tells,
    what_changes_outside_the_areas_shown_or_outside_the_filter_pushes_nothing,
    what_changes_beyond_the_box_in_an_area_that_is_partly_shown_is_pushed,
    a_need_that_leaves_the_filter_is_no_longer_in_the_sums_that_are_pushed,
    who_calls_decides_which_sums_are_pushed,
    changes_that_wait_are_one_row_for_each_area_with_the_newest_sums,
    a_new_edition_of_areas_is_pushed_on_like_the_one_before,
    a_view_of_no_sense_is_refused_and_the_connection_stays_open,
);

const ROW: &str = "{ area { code households } coverage {
    needCount unservedCount unservedAreaCount required allocated delivered unmet } }";

/// A box within the southern half of RW 001, which is RT 001, and one over both halves.
const SOUTH: [f64; 4] = [106.801, -6.219, 106.804, -6.212];
const WEST: [f64; 4] = [106.801, -6.219, 106.804, -6.201];

fn look(level: &str, [west, south, east, north]: [f64; 4], filter: Value) -> Value {
    json!({"level": level, "where": filter, "view": {"west": west, "south": south, "east": east, "north": north}})
}

fn food() -> Value {
    json!({"items": ["paket"]})
}

/// The same question, asked once and followed.
struct Follower<'t> {
    town: &'t Town,
    who: Who,
    asked: Value,
    live: Live,
}

impl<'t> Follower<'t> {
    /// Returns when the subscription stands.
    async fn begin(town: &'t Town, who: Who, asked: Value) -> Follower<'t> {
        let mut live = town.app.live().await;
        live.begin(town.key_of(who)).await;
        let arguments = "($level: AreaLevel!, $where: NeedFilter, $view: BBoxInput!)";
        let called = "(level: $level, where: $where, view: $view)";
        let document = format!("subscription{arguments} {{ areaCoverageChanged{called} {ROW} }}");
        live.subscribe("1", &document, asked.clone()).await;
        let mut follower = Follower { town, who, asked, live };
        assert_eq!(follower.pushed().await, json!([]), "the first answer is empty");
        follower
    }

    async fn message(&mut self) -> Value {
        self.live.next().await.expect("the connection is open")
    }

    /// What comes next.
    async fn pushed(&mut self) -> Value {
        let mut message = self.message().await;
        assert!(message["payload"]["errors"].is_null() && message["type"] == "next", "{message}");
        message["payload"]["data"]["areaCoverageChanged"].take()
    }

    /// The rows that the query lists of these areas.
    async fn listed(&self, codes: &[&str]) -> Value {
        let query = format!(
            "query($level: AreaLevel!, $where: NeedFilter, $view: BBoxInput!) {{
               areaCoverage(level: $level, where: $where, view: $view) {ROW} }}"
        );
        let rows = self.town.data(self.who, &query, self.asked.clone()).await["areaCoverage"].take();
        let rows = rows.as_array().expect("rows").iter();
        rows.filter(|row| codes.iter().any(|code| row["area"]["code"] == *code)).cloned().collect()
    }

    /// The next push is of exactly these areas, with the sums of the query.
    async fn is_told_of(&mut self, codes: &[&str]) -> Value {
        let pushed = self.pushed().await;
        let listed = self.listed(codes).await;
        assert_eq!(listed.as_array().map(Vec::len), Some(codes.len()), "{listed}");
        assert_eq!(pushed, listed, "{} by {:?}", self.asked, self.who);
        pushed
    }
}

async fn a_claim_pushes_the_areas_in_view_that_it_changed_with_the_sums_that_the_query_tells(db: TestDatabase) {
    let town = Town::new(db).await;
    let (south, north) = (town.need(RT_11, FOOD, 10).await, town.need(RT_12, FOOD, 20).await);
    let (east, far) = (town.need(RT_21, FOOD, 30).await, town.need(FAR_RT, FOOD, 40).await);
    let whole = [106.79, -6.23, 106.83, -6.19];
    let mut rts = Follower::begin(&town, Who::Anonymous, look("RT", WEST, food())).await;
    let mut rws = Follower::begin(&town, Who::Anonymous, look("RW", whole, food())).await;
    let mut villages = Follower::begin(&town, Who::DonorB, look("VILLAGE", [106.0, -7.0, 107.0, -6.0], food())).await;
    town.holds(Who::DonorA, &[(&south, 4), (&east, 5), (&far, 6)], json!({})).await;
    let told = rts.is_told_of(&[RT_11]).await;
    assert_eq!([&told[0]["coverage"]["allocated"], &told[0]["coverage"]["unmet"]], [4, 6]);
    let told = rws.is_told_of(&[RW_1, RW_2]).await;
    assert_eq!([&told[0]["coverage"]["required"], &told[0]["coverage"]["allocated"]], [30, 4]);
    villages.is_told_of(&[VILLAGE, FAR_VILLAGE]).await;
    // Two needs of one area and one of another: a row each.
    town.holds(Who::DonorB, &[(&south, 1), (&north, 2)], json!({})).await;
    rts.is_told_of(&[RT_11, RT_12]).await;
    let told = rws.is_told_of(&[RW_1]).await;
    assert_eq!(told[0]["coverage"]["allocated"], 7);
    villages.is_told_of(&[VILLAGE]).await;
    // Refused as a whole: nothing is committed, so the next push is of what comes after.
    assert_eq!(town.claims(Who::DonorB, &[(&south, 11)], json!({})).await["__typename"], "ClaimRefused");
    town.holds(Who::DonorB, &[(&north, 1)], json!({})).await;
    rts.is_told_of(&[RT_12]).await;
    town.check_books().await;
}

async fn what_changes_outside_the_areas_shown_or_outside_the_filter_pushes_nothing(db: TestDatabase) {
    let town = Town::new(db).await;
    let (shown, tablets) = (town.need(RT_11, FOOD, 10).await, town.need(RT_11, DEVICE, 10).await);
    let (north, east, far) =
        (town.need(RT_12, FOOD, 10).await, town.need(RT_21, FOOD, 10).await, town.need(FAR_RT, FOOD, 10).await);
    // Of the village itself: below no RT.
    let above = town.need(VILLAGE, FOOD, 10).await;
    let mut rts = Follower::begin(&town, Who::Anonymous, look("RT", SOUTH, food())).await;
    let mut rws =
        Follower::begin(&town, Who::Anonymous, look("RW", SOUTH, json!({"areaCode": RT_12, "items": ["paket"]}))).await;
    let elsewhere = [(&*tablets, 1), (&*north, 2), (&*east, 3), (&*far, 4), (&*above, 5)];
    for line in elsewhere {
        town.holds(Who::DonorA, &[line], json!({})).await;
    }
    town.holds(Who::DonorA, &[(&shown, 1)], json!({})).await;
    // The first that either is told of.
    let told = rts.is_told_of(&[RT_11]).await;
    assert_eq!(told[0]["coverage"]["allocated"], 1, "of the food alone");
    let told = rws.is_told_of(&[RW_1]).await;
    assert_eq!(told[0]["coverage"]["allocated"], 2, "of what the filter leaves of the area");
    town.holds(Who::DonorA, &[(&north, 1)], json!({})).await;
    rws.is_told_of(&[RW_1]).await;
    town.check_books().await;
}

async fn what_changes_beyond_the_box_in_an_area_that_is_partly_shown_is_pushed(db: TestDatabase) {
    let town = Town::new(db).await;
    let (south, north) = (town.need(RT_11, FOOD, 10).await, town.need(RT_12, FOOD, 20).await);
    let (nowhere, east) = (town.need(RT_13, FOOD, 30).await, town.need(RT_21, FOOD, 40).await);
    let mut rws = Follower::begin(&town, Who::Anonymous, look("RW", SOUTH, food())).await;
    let mut villages = Follower::begin(&town, Who::Anonymous, look("VILLAGE", SOUTH, food())).await;
    for (need, takes, sum) in [(&north, 3, 3), (&nowhere, 4, 7), (&south, 5, 12)] {
        town.holds(Who::DonorA, &[(need, takes)], json!({})).await;
        let told = rws.is_told_of(&[RW_1]).await;
        assert_eq!([&told[0]["coverage"]["required"], &told[0]["coverage"]["allocated"]], [60, sum]);
        villages.is_told_of(&[VILLAGE]).await;
    }
    town.holds(Who::DonorA, &[(&east, 6)], json!({})).await;
    let told = villages.is_told_of(&[VILLAGE]).await;
    assert_eq!(told[0]["coverage"]["allocated"], 18);
    town.holds(Who::DonorA, &[(&north, 1)], json!({})).await;
    let told = rws.is_told_of(&[RW_1]).await;
    assert_eq!(told[0]["coverage"]["allocated"], 13, "of the other RW nothing was pushed");
    town.check_books().await;
}

async fn a_need_that_leaves_the_filter_is_no_longer_in_the_sums_that_are_pushed(db: TestDatabase) {
    let town = Town::new(db).await;
    let (taken, left) = (town.need(RT_11, FOOD, 10).await, town.need(RT_12, FOOD, 20).await);
    let unserved = json!({"items": ["paket"], "service": ["UNSERVED"]});
    let mut rws = Follower::begin(&town, Who::Anonymous, look("RW", WEST, unserved)).await;
    town.holds(Who::DonorA, &[(&taken, 1)], json!({})).await;
    let told = rws.is_told_of(&[RW_1]).await;
    assert_eq!([&told[0]["coverage"]["needCount"], &told[0]["coverage"]["required"]], [1, 20]);
    // Neither before nor after is it taken in now; the other one is.
    town.holds(Who::DonorA, &[(&taken, 1)], json!({})).await;
    town.holds(Who::DonorA, &[(&left, 20)], json!({})).await;
    let told = rws.is_told_of(&[RW_1]).await;
    assert_eq!([&told[0]["coverage"]["needCount"], &told[0]["coverage"]["required"]], [0, 0]);
    town.check_books().await;
}

async fn who_calls_decides_which_sums_are_pushed(db: TestDatabase) {
    let town = Town::new(db).await;
    let few = town.need(RT_11, FOOD, 3).await;
    let mut followers = Vec::new();
    for who in Who::ALL {
        followers.push(Follower::begin(&town, who, look("RT", WEST, food())).await);
    }
    town.holds(Who::DonorA, &[(&few, 1)], json!({})).await;
    let (reported, _) = town.reports(RT_12, FOOD, 20, 3).await;
    let mut allocated = Vec::new();
    for follower in &mut followers {
        let told = follower.pushed().await;
        let row = told.as_array().and_then(|rows| rows.first()).expect("a row").clone();
        assert_eq!(json!([row]), follower.listed(&[RT_11]).await, "{:?}", follower.who);
        allocated.push((follower.who, row["coverage"]["allocated"].as_i64(), row["coverage"]["required"].as_i64()));
        let sees = matches!(follower.who, Who::Officer | Who::Auditor | Who::Admin);
        let told = if told[1].is_null() && sees { follower.pushed().await[0].clone() } else { told[1].clone() };
        let expected = if sees { follower.listed(&[RT_12]).await[0].take() } else { Value::Null };
        assert_eq!(told, expected, "{:?}: a report is not for everybody", follower.who);
    }
    for (who, allocated, required) in allocated {
        let public = matches!(who, Who::Anonymous | Who::PendingDonor);
        assert_eq!((allocated, required), if public { (Some(0), Some(5)) } else { (Some(1), Some(3)) }, "{who:?}");
    }
    town.verifies(&[&reported]).await;
    for follower in &mut followers {
        follower.is_told_of(&[RT_12]).await;
    }
    town.check_books().await;
}

async fn changes_that_wait_are_one_row_for_each_area_with_the_newest_sums(db: TestDatabase) {
    let town = Town::new(db).await;
    let (south, north) = (town.need(RT_11, FOOD, 10).await, town.need(RT_12, FOOD, 20).await);
    let service = &town.app.service;
    let [west, lower, east, upper] = WEST;
    let bounds = Bounds::new(west, lower, east, upper).expect("a box");
    let filter = Filter::everything(Sight::All);
    let mut watch = service.watch_areas(AreaLevel::Rt, &filter, bounds, 10).expect("few areas");
    for _ in 0..4 {
        town.holds(Who::DonorA, &[(&south, 2), (&north, 1)], json!({})).await;
    }
    let told = watch.next().await.expect("nothing is missed");
    let listed = service.atlas().area_coverage(AreaLevel::Rt, &filter, Some(&bounds), 10).expect("few areas");
    let changed: Vec<_> =
        listed.into_iter().filter(|(area, _)| [RT_11, RT_12].contains(&area.code().as_str())).collect();
    assert_eq!(told, changed);
    town.holds(Who::DonorA, &[(&north, 1)], json!({})).await;
    let told = watch.next().await.expect("nothing is missed");
    assert_eq!(told.len(), 1, "what was told is told once");
    assert!(service.watch_areas(AreaLevel::Rt, &filter, bounds, 1).is_err(), "more than one area");
    town.check_books().await;
}

async fn a_new_edition_of_areas_is_pushed_on_like_the_one_before(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let mut rts = Follower::begin(&town, Who::Anonymous, look("RT", WEST, food())).await;
    let new = format!("{RW_1}.009");
    let row = AreaRow { point: Some(LonLat::new(106.802, -6.21).expect("a place")), ..area_row(&new) };
    let publish =
        PublishAreas { author: None, level: AreaLevel::Rt, source: "test".into(), rows: vec![row], dry_run: false };
    open(&town.db, &town.clock).await.execute(publish).await.expect("areas are taken");
    let held = async || {
        !town.data(Who::Admin, "query($c: String!) { area(code: $c) { id } }", json!({"c": new})).await["area"]
            .is_null()
    };
    crate::harness::process::until("the new edition is here", held).await;
    let added = town.need(&new, FOOD, 7).await;
    // What an officer reports is nothing to the public; what is verified is.
    rts.is_told_of(&[&new]).await;
    town.holds(Who::DonorA, &[(&need, 2), (&added, 3)], json!({})).await;
    rts.is_told_of(&[RT_11, &new]).await;
    town.check_books().await;
}

async fn a_view_of_no_sense_is_refused_and_the_connection_stays_open(db: TestDatabase) {
    let town = Town::new(db).await;
    let mut live = town.app.live().await;
    live.begin(None).await;
    let document = "subscription($level: AreaLevel!, $where: NeedFilter, $view: BBoxInput!) {
        areaCoverageChanged(level: $level, where: $where, view: $view) { area { code } } }";
    let cases = [
        look("RT", [2.0, 1.0, 1.0, 2.0], json!({})),
        look("RT", [1.0, 1.0, 2.0, 91.0], json!({})),
        look("RT", WEST, json!({"items": []})),
        look("RT", WEST, json!({"areaCode": "x"})),
        look("BLOCK", WEST, json!({})),
        json!({"level": "RT", "where": {}}),
    ];
    for (i, asked) in cases.into_iter().enumerate() {
        let id = format!("case-{i}");
        let code = live.refusal(&id, document, asked.clone()).await;
        assert_eq!(code, "BAD_INPUT", "{asked}");
    }
    live.subscribe("good", document, look("RT", WEST, json!({}))).await;
    let message = live.next().await.expect("the connection stays open");
    assert_eq!(message["payload"]["data"]["areaCoverageChanged"], json!([]), "{message}");
}
