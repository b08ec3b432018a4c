//! Lists, totals, filters and pages.

use std::collections::HashSet;

use salur::domain::area::AreaLevel;
use salur::store::PublishAreas;
use serde_json::{Value, json};

use crate::harness::actors::{
    CAPITAL, DEVICE, FAR_RT, FAR_VILLAGE, FOOD, RT_11, RT_12, RT_13, RT_21, RT_22, RW_1, RW_2, Town, VILLAGE, Who, text,
};
use crate::harness::database::TestDatabase;
use crate::harness::world::{area_row, code};
use crate::on_both_databases;

on_both_databases!(
    pages_in_every_order_visit_each_need_once_and_totals_agree,
    a_filter_that_makes_no_sense_is_refused_by_name,
    more_areas_than_fit_are_too_complex,
);

/// 72 verified needs: three items, four months, six areas.
async fn filled(db: TestDatabase) -> Town {
    let town = Town::new(db).await;
    let mut needs = Vec::new();
    for (a, area) in [RT_11, RT_12, RT_13, RT_21, RT_22, FAR_RT].into_iter().enumerate() {
        for (i, of) in [FOOD, DEVICE, CAPITAL].into_iter().enumerate() {
            for month in 1..=4 {
                let (required, severity) = (10 + (a * 7 + i * 3 + month) % 5, 1 + (a + i + month) % 5);
                let month = format!("2020-{month:02}");
                needs.push(town.reports_for(area, of, required as i64, severity as i64, &month).await.0);
            }
        }
    }
    let ids: Vec<&str> = needs.iter().map(String::as_str).collect();
    town.verifies(&ids).await;
    let first = town.stands(ids[0]).await["required"].as_i64().expect("a number");
    town.promises(Who::DonorA, &[(ids[0], first), (ids[1], 1)], json!({})).await;
    town
}

const PAGE: &str = "query($where: NeedFilter, $orderBy: NeedOrder, $first: Int, $after: String) {
    needs(where: $where, orderBy: $orderBy, first: $first, after: $after) { totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        nodes { id }
        edges { cursor distanceMeters node { id severity unmet area { code } } } } }";

/// All edges, page by page.
async fn all_pages(town: &Town, filter: &Value, order: &str, first: usize) -> Vec<Value> {
    let (mut edges, mut after) = (Vec::new(), Value::Null);
    loop {
        let variables = json!({"where": filter, "orderBy": order, "first": first, "after": after});
        let page = town.data(Who::Anonymous, PAGE, variables).await["needs"].take();
        let here = page["edges"].as_array().expect("edges").clone();
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !edges.is_empty(), "{page}");
        assert_eq!(page["pageInfo"]["startCursor"], here.first().map_or(Value::Null, |e| e["cursor"].clone()));
        assert_eq!(page["nodes"].as_array().expect("nodes").len(), here.len());
        edges.extend(here);
        if page["pageInfo"]["hasNextPage"] == false {
            let ids: HashSet<String> = edges.iter().map(|e| text(&e["node"]["id"])).collect();
            assert_eq!(ids.len(), edges.len(), "a need stands on two pages");
            assert_eq!(page["totalCount"], edges.len());
            return edges;
        }
        assert_eq!(page["pageInfo"]["endCursor"], edges[edges.len() - 1]["cursor"]);
        after = page["pageInfo"]["endCursor"].clone();
    }
}

async fn pages_in_every_order_visit_each_need_once_and_totals_agree(db: TestDatabase) {
    let town = filled(db).await;
    let rank =
        |e: &Value| (-number(&e["node"]["severity"]), -number(&e["node"]["unmet"]), text(&e["node"]["area"]["code"]));
    let edges = all_pages(&town, &json!({}), "PRIORITY", 7).await;
    assert_eq!(edges.len(), 72);
    assert!(edges.is_sorted_by_key(rank), "PRIORITY");
    let edges = all_pages(&town, &json!({}), "UNMET", 10).await;
    assert!(edges.is_sorted_by_key(|e| -number(&e["node"]["unmet"])), "UNMET");
    let edges = all_pages(&town, &json!({}), "CODE", 72).await;
    assert!(edges.is_sorted_by_key(|e| text(&e["node"]["area"]["code"])), "CODE");
    assert!(edges.iter().all(|e| e["distanceMeters"].is_null()), "no point, no distance");

    // A hundredth of a degree of longitude at 6.2 degrees south is 1,107 m.
    let near = json!({"near": {"lon": 106.79, "lat": -6.215}, "areaCode": VILLAGE});
    let edges = all_pages(&town, &near, "NEAREST", 7).await;
    let metres = |e: &Value| e["distanceMeters"].as_f64().expect("a distance");
    assert!(edges.is_sorted_by(|a, b| metres(a) <= metres(b)), "NEAREST");
    assert_eq!(edges.len(), 60);
    assert_eq!(edges[0]["node"]["area"]["code"], RT_11);
    assert!((1_100.0..1_115.0).contains(&metres(&edges[0])), "{}", edges[0]);
    let east = edges.iter().find(|e| e["node"]["area"]["code"] == RT_21).expect("the eastern one");
    assert!((2_200.0..2_230.0).contains(&metres(east)), "{east}");
    let inside = json!({"near": {"lon": 106.805, "lat": -6.215, "radiusMeters": 1.0}});
    let edges = all_pages(&town, &inside, "NEAREST", 7).await;
    // RT 003 has its parent's point, which may lie anywhere in RW 001.
    let at = edges.iter().find(|e| e["node"]["area"]["code"] == RT_11).expect("the point is in RT 001");
    assert_eq!(metres(at), 0.0);

    for filter in [
        json!({}),
        json!({"items": ["paket"]}),
        json!({"areaCode": RW_1}),
        json!({"areaCode": RW_1, "items": ["paket", "modal"], "service": ["UNSERVED"]}),
        json!({"bbox": {"west": 106.811, "south": -6.219, "east": 106.812, "north": -6.218}}),
        json!({"near": {"lon": 106.91, "lat": -6.21, "radiusMeters": 5000.0}}),
        json!({"minSeverity": 4, "activeOn": "2020-02-10"}),
        json!({"levels": ["RW"]}),
        json!({"programs": ["UMKM"], "levels": ["RT"]}),
    ] {
        let totals = "query($where: NeedFilter) {
            needs(where: $where, first: 1000) { totalCount nodes { required unmet service } }
            coverage(where: $where) { needCount unservedCount required unmet allocated delivered }
            areaCoverage(level: RT, where: $where) { area { code } coverage { needCount unservedCount } } }";
        let answer = town.data(Who::Anonymous, totals, json!({"where": filter})).await;
        let (needs, coverage) = (&answer["needs"], &answer["coverage"]);
        let rows = answer["areaCoverage"].as_array().expect("rows");
        let sum = |name: &str| rows.iter().map(|r| number(&r["coverage"][name])).sum::<i64>();
        assert_eq!(needs["totalCount"], coverage["needCount"], "{filter}");
        assert_eq!(sum("needCount"), number(&coverage["needCount"]), "{filter}");
        assert_eq!(sum("unservedCount"), number(&coverage["unservedCount"]), "{filter}");
        let nodes = needs["nodes"].as_array().expect("nodes");
        let unserved = nodes.iter().filter(|n| n["service"] == "UNSERVED").count();
        assert_eq!(coverage["unservedCount"], unserved, "{filter}");
        if filter["items"] == json!(["paket"]) {
            for name in ["required", "unmet"] {
                let sum: i64 = nodes.iter().map(|n| number(&n[name])).sum();
                assert_eq!(coverage[name], sum, "{filter}");
            }
        }
        if nodes.len() == 72 {
            assert!(coverage["required"].is_null(), "several items have no sum");
        }
    }

    // Defaults: PRIORITY, fifty at once; `null` means the default too.
    let plain = town.data(Who::Anonymous, "{ needs { nodes { id } pageInfo { hasNextPage } } }", json!({})).await;
    let said = town.data(Who::Anonymous, PAGE, json!({"orderBy": "PRIORITY", "first": 50})).await;
    let null =
        town.data(Who::Anonymous, PAGE, json!({"orderBy": null, "first": null, "where": null, "after": null})).await;
    assert_eq!(plain["needs"]["nodes"].as_array().expect("nodes").len(), 50);
    assert_eq!(plain["needs"]["nodes"], said["needs"]["nodes"]);
    assert_eq!(null, said);
    let none = town.data(Who::Anonymous, PAGE, json!({"first": 0})).await;
    assert_eq!(json!([none["needs"]["totalCount"], none["needs"]["nodes"]]), json!([72, []]));

    within_an_area(&town).await;
    let names =
        "{ programs { key name english: name(locale: EN) items { key name english: name(locale: EN) unit kind } } }";
    let programs = town.data(Who::Anonymous, names, json!({})).await["programs"].take();
    let food = &programs[0];
    assert_eq!(
        json!([food["key"], food["name"], food["english"]]),
        json!(["PANGAN", "Program PANGAN", "PANGAN program"])
    );
    let item =
        json!([{"key": "paket", "name": "Barang paket", "english": "paket item", "unit": "paket", "kind": "FOOD"}]);
    assert_eq!(food["items"], item);
}

/// An area's own lists are those of the root, narrowed to it.
async fn within_an_area(town: &Town) {
    let query = "query($code: String!, $where: NeedFilter) { area(code: $code) {
        code level name parent { code } children { code } point pointSource bbox geometryIsGenerated
        coverage(where: $where) { needCount } needs(where: $where, first: 1000) { totalCount nodes { area { code } } } } }";
    for (asked, expected) in
        [(None, 36), (Some(RW_2), 0), (Some(FAR_VILLAGE), 0), (Some(RT_12), 12), (Some(VILLAGE), 36)]
    {
        let filter = asked.map_or(json!(null), |code| json!({"areaCode": code}));
        let area = town.data(Who::Anonymous, query, json!({"code": RW_1, "where": filter})).await["area"].take();
        assert_eq!(area["coverage"]["needCount"], expected, "{asked:?}");
        assert_eq!(area["needs"]["totalCount"], expected, "{asked:?}");
        let nodes = area["needs"]["nodes"].as_array().expect("nodes");
        assert!(nodes.iter().all(|n| text(&n["area"]["code"]).starts_with(RW_1)), "{asked:?}");
        assert_eq!(json!([area["level"], area["parent"]["code"]]), json!(["RW", VILLAGE]));
        assert_eq!(area["children"], json!([{"code": RT_11}, {"code": RT_12}, {"code": RT_13}]));
        assert_eq!(area["bbox"], json!([106.80, -6.22, 106.81, -6.20]));
    }
    let shapeless = town.data(Who::Anonymous, query, json!({"code": RT_13})).await["area"].take();
    assert_eq!(json!([shapeless["pointSource"], shapeless["bbox"]]), json!(["PARENT", null]));
    let nowhere = town.data(Who::Anonymous, query, json!({"code": "99.99.99"})).await;
    assert_eq!(nowhere["area"], Value::Null);
}

async fn a_filter_that_makes_no_sense_is_refused_by_name(db: TestDatabase) {
    let town = Town::new(db).await;
    town.need(RT_11, FOOD, 10).await;
    let page = town.data(Who::Anonymous, PAGE, json!({"first": 1})).await;
    let cursor = page["needs"]["pageInfo"]["endCursor"].clone();
    let open = json!([[106.8, -6.2], [106.9, -6.2], [106.9, -6.1]]);
    let bad = [
        ("first", json!({"first": -1})),
        ("first", json!({"first": 1001})),
        ("first", json!({"first": i32::MIN})),
        ("after", json!({"after": "x"})),
        ("after", json!({"after": ""})),
        ("after", json!({"after": "∞".repeat(2000)})),
        // A cursor belongs to the list it comes from.
        ("after", json!({"after": cursor, "orderBy": "CODE"})),
        ("where.near", json!({"orderBy": "NEAREST"})),
        ("where.items", json!({"where": {"items": []}})),
        ("where.programs", json!({"where": {"programs": []}})),
        ("where.levels", json!({"where": {"levels": []}})),
        ("where.service", json!({"where": {"service": []}})),
        ("where.status", json!({"where": {"status": []}})),
        ("where.items", json!({"where": {"items": vec!["paket"; 101]}})),
        ("where.programs", json!({"where": {"programs": ["NOPE"]}})),
        ("where.items", json!({"where": {"items": ["paket", "nope"]}})),
        ("where.areaCode", json!({"where": {"areaCode": "31.7"}})),
        ("where.areaCode", json!({"where": {"areaCode": ""}})),
        ("where.bbox", json!({"where": {"bbox": {"west": 107.0, "south": -7.0, "east": 106.0, "north": -6.0}}})),
        ("where.bbox", json!({"where": {"bbox": {"west": 106.0, "south": -6.0, "east": 107.0, "north": -7.0}}})),
        ("where.bbox", json!({"where": {"bbox": {"west": -181.0, "south": -7.0, "east": 106.0, "north": -6.0}}})),
        ("where.bbox", json!({"where": {"bbox": {"west": 1e300, "south": -7.0, "east": 1e301, "north": -6.0}}})),
        ("where.within", json!({"where": {"within": {"type": "Point", "coordinates": [106.8, -6.2]}}})),
        ("where.within", json!({"where": {"within": {"type": "LineString", "coordinates": open}}})),
        ("where.within", json!({"where": {"within": {}}})),
        ("where.within", json!({"where": {"within": {"type": "Polygon", "coordinates": []}}})),
        ("where.near", json!({"where": {"near": {"lon": 200.0, "lat": 0.0}}})),
        ("where.near", json!({"where": {"near": {"lon": 0.0, "lat": -91.0}}})),
        ("where.near.radiusMeters", json!({"where": {"near": {"lon": 106.8, "lat": -6.2, "radiusMeters": -1.0}}})),
        ("where.minSeverity", json!({"where": {"minSeverity": 0}})),
        ("where.minSeverity", json!({"where": {"minSeverity": 6}})),
    ];
    for (field, variables) in bad {
        let answer = town.ask(Who::Anonymous, PAGE, variables.clone()).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"], json!({"code": "BAD_INPUT", "retry": "NEVER"}), "{variables}: {answer}");
        let message = text(&error["message"]);
        assert!(message.starts_with(&format!("{field}: ")), "{variables}: {message}");
    }
    // Shapes that the engine's own types refuse.
    for variables in [
        json!({"where": {"within": "POLYGON"}}),
        json!({"where": {"activeOn": "2020-02-30"}}),
        json!({"where": {"activeOn": 20200201}}),
        json!({"where": {"levels": ["KELURAHAN"]}}),
        json!({"where": {"bbox": {"west": 1.0}}}),
        json!({"where": {"near": {"lon": "x", "lat": 0.0}}}),
        json!({"first": 1.5}),
        json!({"orderBy": "BEST"}),
    ] {
        assert_eq!(town.code(Who::Anonymous, PAGE, variables.clone()).await, "BAD_INPUT", "{variables}");
    }
    for first in [i64::from(i32::MAX), 9_999_999_999] {
        let code = town.code(Who::Anonymous, PAGE, json!({"first": first})).await;
        assert_eq!(code, "TOO_COMPLEX", "the guard counts what is asked for");
    }
    let plan = "query($input: PlanMatchInput!) { planMatch(input: $input) { quantity } }";
    for input in [
        json!({}),
        json!({"itemKey": "paket"}),
        json!({"quantity": 1}),
        json!({"itemKey": "nope", "quantity": 1}),
        json!({"itemKey": "paket", "quantity": 1, "maxAreas": 0}),
        json!({"itemKey": "paket", "quantity": 1, "maxAreas": -1}),
        json!({"itemKey": "paket", "quantity": 1, "policy": "NEAREST"}),
        json!({"itemKey": "paket", "quantity": 1, "where": {"items": ["tablet"]}}),
        json!({"itemKey": "paket", "quantity": 1, "origin": {"lon": 500.0, "lat": 0.0}}),
    ] {
        assert_eq!(town.code(Who::Anonymous, plan, json!({"input": input})).await, "BAD_INPUT", "{input}");
    }
    let code = town.code(Who::Anonymous, "{ area(code: \"jalan\") { id } }", json!({})).await;
    assert_eq!(code, "BAD_INPUT");
}

async fn more_areas_than_fit_are_too_complex(db: TestDatabase) {
    let town = Town::new(db).await;
    let mut rows = Vec::new();
    for rw in 3..=8 {
        rows.push(area_row(&format!("{VILLAGE}.{rw:03}")));
        rows.extend((1..=999).map(|rt| area_row(&format!("{VILLAGE}.{rw:03}.{rt:03}"))));
    }
    let publish = PublishAreas { author: None, level: AreaLevel::Rt, source: "test".into(), rows, dry_run: false };
    town.store().execute(publish).await.expect("areas are taken");
    town.app.service.load().await.expect("the map is read");
    let query = "query($where: NeedFilter) { areaCoverage(level: RT, where: $where) { coverage { needCount } } }";
    let answer = town.ask(Who::Anonymous, query, json!({})).await;
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(extensions, &json!({"code": "TOO_COMPLEX", "retry": "NEVER"}), "{answer}");
    let narrow = town.data(Who::Anonymous, query, json!({"where": {"areaCode": format!("{VILLAGE}.003")}})).await;
    assert_eq!(narrow["areaCoverage"].as_array().expect("rows").len(), 999);
    assert_eq!(town.app.service.atlas().ground().area(&code(RT_11)).expect("it still stands").id(), town.areas[RT_11]);
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}
