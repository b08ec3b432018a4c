//! Counts from one to four on RT level are nobody's business who does not help. Two towns that differ in
//! nothing but such counts are one town to the public, whatever it asks: then no subtraction, filter, order
//! or page can tell a hidden count from another.

use std::collections::BTreeMap;

use salur::domain::area::AreaLevel;
use salur::domain::need::{NeedStatus, Severity};
use salur::store::{AreaRow, ImportNeeds, OpeningNeed, PublishAreas};
use serde_json::{Value, json};

use crate::harness::actors::{
    CAPITAL, DEVICE, FAR_RT, FAR_VILLAGE, FOOD, RT_11, RT_12, RT_13, RT_21, RT_22, RW_1, RW_2, Town, VILLAGE, Who,
};
use crate::harness::app::{LONG, Live};
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::world::{area_row, period, q};
use crate::on_both_databases;

on_both_databases!(
    towns_that_differ_in_small_counts_alone_are_one_town_to_the_public,
    who_helps_sees_what_is_and_a_newcomer_what_the_public_sees,
);

const FAR_RT_2: &str = "31.71.01.1002.001.002";
const RTS: [&str; 7] = [RT_11, RT_12, RT_13, RT_21, RT_22, FAR_RT, FAR_RT_2];
/// The RT of one RW, and the RW.
const FAMILIES: [(&str, &[&str]); 3] =
    [(RW_1, &[RT_11, RT_12, RT_13]), (RW_2, &[RT_21, RT_22]), ("31.71.01.1002.001", &[FAR_RT, FAR_RT_2])];

/// What a need asks for and got: required, allocated, delivered.
type Counts = (i64, i64, i64);

#[derive(Clone, Copy)]
struct Row {
    area: &'static str,
    item: (&'static str, &'static str),
    counts: Counts,
    severity: i64,
}

/// The same where five or more are required; of fewer another number from one to four, of which all or
/// not all is taken, and all or not all delivered, as before.
fn drawn_anew(dice: &mut Dice, (r, a, d): Counts) -> Counts {
    if r >= 5 {
        return (r, a, d);
    }
    let required = dice.between(1, 4);
    let allocated = if a == r { required } else { dice.between(0, required - 1) };
    let delivered = if d == r { required } else { dice.between(0, allocated.min(required - 1)) };
    (required, allocated, delivered)
}

fn rows(dice: &mut Dice) -> Vec<Row> {
    (0..40)
        .map(|_| {
            let required = if dice.chance(40) { dice.between(1, 4) } else { dice.between(5, 24) };
            let allocated = if dice.chance(40) { 0 } else { dice.between(0, required) };
            let delivered = [0, allocated, dice.between(0, allocated)][dice.between(0, 2) as usize];
            Row {
                area: dice.pick::<&'static str>(&RTS),
                item: *dice.pick(&[FOOD, DEVICE, CAPITAL]),
                counts: (required, allocated, delivered),
                severity: dice.between(1, 5),
            }
        })
        .collect()
}

/// Households of each RT.
fn households(dice: &mut Dice) -> BTreeMap<&'static str, i64> {
    RTS.iter().map(|rt| (*rt, if dice.chance(25) { dice.between(1, 4) } else { dice.between(80, 160) })).collect()
}

/// The same, where a family has a small count, in another order.
fn shuffled(dice: &mut Dice, households: &BTreeMap<&'static str, i64>) -> BTreeMap<&'static str, i64> {
    let mut other = households.clone();
    for (_, family) in FAMILIES {
        let mut counts: Vec<i64> = family.iter().map(|rt| households[rt]).collect();
        if counts.iter().any(|n| *n < 5) {
            dice.shuffle(&mut counts);
            other.extend(family.iter().copied().zip(counts));
        }
    }
    other
}

async fn settle(town: &Town, rows: &[Row], households: &BTreeMap<&'static str, i64>) {
    let sum = |of: &[&str]| of.iter().map(|rt| households[rt]).sum::<i64>();
    let mut counts: Vec<(&str, i64)> = households.iter().map(|(rt, n)| (*rt, *n)).collect();
    counts.extend(FAMILIES.iter().map(|(rw, family)| (*rw, sum(family))));
    counts.extend([(VILLAGE, sum(&RTS[..5])), (FAR_VILLAGE, sum(&RTS[5..]) + 100)]);
    let row = |(code, n): (&str, i64)| AreaRow {
        households: Some(n),
        poor_households: Some(if n < 5 { n } else { n / 2 }),
        ..area_row(code)
    };
    let areas = counts.into_iter().map(row).collect();
    let publish = PublishAreas { author: None, level: AreaLevel::Rt, source: "t".into(), rows: areas, dry_run: false };
    town.store().execute(publish).await.expect("areas are taken");
    let ground = town.app.service.atlas().ground();
    let need = |(i, row): (usize, &Row)| OpeningNeed {
        row: i + 1,
        external_id: None,
        area: town.areas[row.area],
        program: ground.program_by_key(row.item.0).expect("it was entered").id,
        item: town.items[row.item.1],
        period: [period("2020-04-01", "2020-04-30"), period("2020-05-01", "2020-05-31")][i % 2],
        required: q(row.counts.0),
        severity: Severity::new(row.severity).expect("from 1 to 5"),
        status: NeedStatus::Verified,
        allocated: q(row.counts.1),
        delivered: q(row.counts.2),
    };
    let import = ImportNeeds {
        author: None,
        rows: rows.iter().enumerate().map(need).collect(),
        accept_rejects: false,
        dry_run: false,
    };
    assert!(town.store().execute(import).await.expect("needs are taken").published);
    let deadline = tokio::time::Instant::now() + LONG;
    let complete = async || {
        let query = "query($code: String!) { coverage { needCount } area(code: $code) { households } }";
        let seen = town.data(Who::Admin, query, json!({"code": RW_1})).await;
        seen["coverage"]["needCount"] == rows.len() && seen["area"]["households"] == sum(&RTS[..3])
    };
    while !complete().await {
        assert!(tokio::time::Instant::now() < deadline, "the map takes in what was imported");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

const NEED: &str = "id area { code } item { key } required allocated delivered unmet severity status service version
    smallCountsRounded firstRightUntil";
const TOTALS: &str = "needCount unservedCount unservedAreaCount required allocated delivered unmet";
const HELP: &str = "help { partlyHidden rows { organization { id } item { key } needCount promised held delivered } }";
const AREA: &str = "code level households poorHouseholds householdsHidden";

/// Filters of every kind, and some of them together.
fn filters() -> Vec<Value> {
    let mut filters = vec![json!({})];
    for item in ["paket", "tablet", "modal"] {
        filters.push(json!({"items": [item]}));
        for service in ["UNSERVED", "PARTIAL", "COVERED", "DELIVERED"] {
            filters.push(json!({"items": [item], "service": [service]}));
        }
        filters.extend(RTS.map(|rt| json!({"items": [item], "areaCode": rt})));
        filters.extend([RW_1, RW_2, VILLAGE].map(|code| json!({"items": [item], "areaCode": code})));
        filters.extend((1..=5).map(|least| json!({"items": [item], "minSeverity": least})));
        filters.push(json!({"items": [item], "activeOn": "2020-04-10", "levels": ["RT"]}));
    }
    filters.push(json!({"programs": [FOOD.0], "service": ["UNSERVED", "PARTIAL"]}));
    filters.push(json!({"bbox": {"west": 106.80, "south": -6.22, "east": 106.805, "north": -6.215}}));
    filters.push(json!({"near": {"lon": 106.805, "lat": -6.205, "radiusMeters": 500}}));
    let ring = json!([[106.80, -6.22], [106.806, -6.22], [106.806, -6.214], [106.80, -6.22]]);
    filters.push(json!({"within": {"type": "Polygon", "coordinates": [ring]}}));
    filters
}

/// All that somebody asks who is after what is hidden.
async fn everything(town: &Town, who: Who, ids: &[String]) -> Vec<Value> {
    let mut answers = Vec::new();
    let mut ask = async |query: &str, variables: Value| {
        let mut answer = town.ask(who, query, variables).await;
        answers.push(json!([answer["data"].take(), answer.pointer("/errors/0/extensions/code")]));
    };
    for filter in filters() {
        for order in ["PRIORITY", "UNMET", "CODE"] {
            let query = format!(
                "query($f: NeedFilter, $o: NeedOrder) {{ needs(where: $f, orderBy: $o, first: 100) {{
                   totalCount edges {{ cursor distanceMeters node {{ {NEED} }} }} }} }}"
            );
            ask(&query, json!({"f": filter, "o": order})).await;
        }
        ask(&format!("query($f: NeedFilter) {{ coverage(where: $f) {{ {TOTALS} }} }}"), json!({"f": filter})).await;
        for level in ["VILLAGE", "RW", "RT"] {
            let query = format!(
                "query($f: NeedFilter, $l: AreaLevel!) {{ areaCoverage(level: $l, where: $f) {{
                   area {{ {AREA} }} coverage {{ {TOTALS} }} }} }}"
            );
            ask(&query, json!({"f": filter, "l": level})).await;
        }
    }
    let near = json!({"near": {"lon": 106.8, "lat": -6.2}});
    let query = format!(
        "query($f: NeedFilter, $a: String) {{ needs(where: $f, orderBy: NEAREST, first: 7, after: $a) {{
           totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {NEED} }} }} }}"
    );
    ask(&query, json!({"f": near})).await;
    for code in RTS.iter().chain(&[RW_1, RW_2, VILLAGE, FAR_VILLAGE, "31.71.01"]) {
        let query = format!(
            "query($c: String!) {{ area(code: $c) {{ {AREA} parent {{ {AREA} }} children {{ {AREA} }}
               coverage {{ {TOTALS} }} needs(first: 3) {{ totalCount nodes {{ {NEED} }} }} {HELP} }} }}"
        );
        ask(&query, json!({"c": code})).await;
    }
    for id in ids {
        ask(&format!("query($id: ID!) {{ node(id: $id) {{ ... on Need {{ {NEED} }} }} }}"), json!({"id": id})).await;
    }
    for policy in ["PRIORITY", "EQUITY"] {
        for (item, quantity, most) in [("paket", 3, 2), ("paket", 40, 3), ("tablet", 1_000, 50), ("modal", 17, 1)] {
            let query =
                "query($input: PlanMatchInput!) { planMatch(input: $input) { quantity unplaced value bound areas
                lines { need { id unmet } quantity } } }";
            let input = json!({"itemKey": item, "quantity": quantity, "policy": policy, "maxAreas": most});
            ask(query, json!({"input": input})).await;
        }
    }
    answers
}

/// Panics where an object that stands on an RT shows that one to four are required or live there.
fn look_for_small(value: &Value) {
    match value {
        Value::Array(list) => list.iter().for_each(look_for_small),
        Value::Object(fields) => {
            let code = fields.get("area").unwrap_or(value)["code"].as_str().unwrap_or_default();
            let totals = fields.get("coverage").unwrap_or(value);
            if code.split('.').count() == 6 {
                for number in [&totals["required"], &value["households"], &value["poorHouseholds"]] {
                    assert!(!(1..5).contains(&number.as_i64().unwrap_or(0)), "{value}");
                }
            }
            fields.values().for_each(look_for_small);
        }
        _ => {}
    }
}

fn same(left: &[Value], right: &[Value]) {
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left, right, "a small count shows");
        look_for_small(left);
    }
    assert_eq!(left.len(), right.len());
}

/// The ids of all needs with what stands, as an admin sees it, ascending by number.
async fn truth(town: &Town) -> Vec<(String, Counts)> {
    let query = "{ needs(orderBy: CODE, first: 100) { nodes { id required allocated delivered } } }";
    let seen = town.data(Who::Admin, query, json!({})).await;
    let number = |n: &Value, name: &str| n[name].as_i64().expect("a number");
    let nodes = seen["needs"]["nodes"].as_array().expect("a list");
    let mut all: Vec<_> = nodes
        .iter()
        .map(|n| {
            let id = n["id"].as_str().expect("an id").to_owned();
            (id, (number(n, "required"), number(n, "allocated"), number(n, "delivered")))
        })
        .collect();
    all.sort_by_key(|(id, _)| id[5..].parse::<i64>().expect("a number"));
    all
}

/// The next answer to what was asked under that name.
async fn next_of(live: &mut Live, id: &str) -> Value {
    loop {
        let mut message = live.next().await.expect("the connection is open");
        if message["id"] == id && message["type"] == "next" {
            return message["payload"]["data"].take();
        }
    }
}

async fn towns_that_differ_in_small_counts_alone_are_one_town_to_the_public(db: TestDatabase) {
    let mut dice = Dice::from_environment("towns_that_differ_in_small_counts_alone_are_one_town_to_the_public");
    let other = Town::new(TestDatabase::new(db.kind()).await).await;
    let town = Town::new(db).await;
    let rows_here = rows(&mut dice);
    let rows_there: Vec<Row> =
        rows_here.iter().map(|row| Row { counts: drawn_anew(&mut dice, row.counts), ..*row }).collect();
    let homes = households(&mut dice);
    settle(&town, &rows_here, &homes).await;
    settle(&other, &rows_there, &shuffled(&mut dice, &homes)).await;
    let (here, there) = (truth(&town).await, truth(&other).await);
    let ids: Vec<String> = here.iter().map(|(id, _)| id.clone()).collect();
    let differ = here.iter().zip(&there).filter(|(a, b)| a.1 != b.1).count();
    assert!(differ >= 5, "only {differ} needs are drawn anew");
    for who in [Who::Anonymous, Who::PendingDonor] {
        same(&everything(&town, who, &ids).await, &everything(&other, who, &ids).await);
    }
    let exact = [&town, &other].map(|town| everything(town, Who::DonorA, &ids));
    let [here_exact, there_exact] = futures_util::future::join_all(exact).await.try_into().expect("two towns");
    assert_ne!(here_exact, there_exact, "who helps is told");

    // What changes is told alike: one of a small need is taken, or all of it.
    let query = format!("subscription {{ needsChanged {{ {NEED} }} }}");
    let mut watches = Vec::new();
    for town in [&town, &other] {
        let mut live = town.app.live().await;
        live.begin(None).await;
        live.subscribe("all", &query, json!({})).await;
        // What is answered after the subscription began shows that it has.
        live.subscribe("begun", "{ programs { key } }", json!({})).await;
        next_of(&mut live, "begun").await;
        let mut sums = town.app.live().await;
        sums.begin(None).await;
        let view = json!({"west": 106.0, "south": -7.0, "east": 107.0, "north": -6.0});
        let query = format!(
            "subscription($v: BBoxInput!) {{ areaCoverageChanged(level: RT, view: $v) {{
               area {{ {AREA} }} coverage {{ {TOTALS} }} }} }}"
        );
        sums.subscribe("sums", &query, json!({"v": view})).await;
        assert_eq!(next_of(&mut sums, "sums").await["areaCoverageChanged"], json!([]));
        watches.push((live, sums));
    }
    let mut moved = 0;
    for ((id, (r, a, _)), (_, (r_there, a_there, _))) in here.iter().zip(&there) {
        let (left, left_there) = (r - a, r_there - a_there);
        if *r >= 5 || left == 0 {
            continue;
        }
        let takes = if left > 1 && left_there > 1 { [1, 1] } else { [left, left_there] };
        let mut told = Vec::new();
        for ((town, takes), (live, sums)) in [&town, &other].into_iter().zip(takes).zip(&mut watches) {
            town.holds(Who::DonorA, &[(id, takes)], json!({})).await;
            told.push(next_of(live, "all").await);
            told.push(next_of(sums, "sums").await);
        }
        assert!(told[0]["needsChanged"][0]["id"] == **id, "{told:?}");
        same(&told[..2], &told[2..]);
        moved += 1;
    }
    println!("{differ} of 40 needs differ, {moved} of them changed");
    same(&everything(&town, Who::Anonymous, &ids).await, &everything(&other, Who::Anonymous, &ids).await);
    town.check_books().await;
}

async fn who_helps_sees_what_is_and_a_newcomer_what_the_public_sees(db: TestDatabase) {
    let town = Town::new(db).await;
    let (few, many) = (town.need(RT_11, FOOD, 3).await, town.need(RT_11, FOOD, 20).await);
    let rw = town.need(RW_1, FOOD, 3).await;
    town.promises(Who::DonorA, &[(&many, 2)], json!({})).await;
    let query =
        "query($id: ID!) { node(id: $id) { ... on Need { required allocated unmet service smallCountsRounded } } }";
    for who in Who::ALL {
        let public = matches!(who, Who::Anonymous | Who::PendingDonor);
        let seen = async |id: &str| {
            let n = town.data(who, query, json!({"id": id})).await["node"].take();
            (n["required"].as_i64(), n["allocated"].as_i64(), n["unmet"].as_i64(), n["smallCountsRounded"].as_bool())
        };
        let expected = if public {
            [(Some(5), Some(0), Some(5), Some(true)), (Some(20), Some(2), Some(18), Some(true))]
        } else {
            [(Some(3), Some(0), Some(3), Some(false)), (Some(20), Some(2), Some(18), Some(false))]
        };
        assert_eq!([seen(&few).await, seen(&many).await], expected, "{who:?}");
        assert_eq!(seen(&rw).await, (Some(3), Some(0), Some(3), Some(false)), "{who:?}: an RW is no door");
    }
    town.check_books().await;
}
