//! HTTP itself: methods, content types, sizes, keys, health, pages.

use salur::service::traffic::TrafficLimits;
use serde_json::json;

use crate::harness::actors::{FOOD, RT_11, Town, Who};
use crate::harness::app::code_of;
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(
    the_door_takes_a_post_of_json_and_nothing_else,
    a_wrong_key_is_nobody_and_never_anonymous,
    health_and_pages_answer,
    every_answer_tells_browsers_what_to_refuse,
    who_asks_too_much_waits_and_nobody_else_does,
    a_tile_is_kept_for_ever_under_its_edition_and_no_other_is_served,
    areas_in_view_are_counted_as_a_whole,
);

const JSON: (&str, &str) = ("content-type", "application/json");
const PROGRAMS: &str = "{\"query\": \"{ programs { key } }\"}";

async fn the_door_takes_a_post_of_json_and_nothing_else(db: TestDatabase) {
    let town = Town::new(db).await;
    let app = &town.app;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let reply = app.request(method, "/graphql?query=%7Bprograms%7Bkey%7D%7D", &[JSON], "").await;
        assert_eq!((reply.status, reply.code().as_str()), (405, "BAD_INPUT"), "{method}");
        assert!(reply.head.to_ascii_lowercase().contains("\r\nallow: post"), "{method}: {}", reply.head);
    }
    let head = app.request("HEAD", "/graphql", &[], "").await;
    assert_eq!(head.status, 405);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/graphql", ""] {
        let reply = app.request("POST", "/graphql", &[("content-type", kind)], PROGRAMS).await;
        assert_eq!((reply.status, reply.code().as_str()), (415, "BAD_INPUT"), "{kind}");
    }
    let reply = app.request("POST", "/graphql", &[], PROGRAMS).await;
    assert_eq!(reply.status, 415, "no content type");
    for kind in ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"] {
        let reply = app.request("POST", "/graphql", &[("content-type", kind)], PROGRAMS).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.body);
        assert_eq!(reply.json()["data"]["programs"][0]["key"], "PANGAN");
    }
    for (body, why) in [
        (format!("[{PROGRAMS}]"), "a batch"),
        (format!(" \n\t[{PROGRAMS}, {PROGRAMS}]"), "a batch behind blanks"),
        ("[]".into(), "an empty batch"),
        ("".into(), "nothing"),
        ("{".into(), "half"),
        ("null".into(), "null"),
        ("\"{ programs { key } }\"".into(), "a text"),
        ("{\"query\": 1}".into(), "a number for a query"),
        ("{\"query\": \"{ programs { key } }\", \"variables\": 5}".into(), "a number for variables"),
        (format!("{PROGRAMS} x"), "something behind"),
        ("{\"query\": \"\u{0}\"}".into(), "a control character"),
    ] {
        let reply = app.post(None, &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_INPUT"), "{why}: {}", reply.body);
    }
    // A body of 256 KiB is read, one byte more is not; blanks are free.
    let full = format!("{PROGRAMS}{}", " ".repeat(256 * 1024 - PROGRAMS.len()));
    assert_eq!(app.post(None, &full).await.status, 200);
    let reply = app.post(None, &format!("{full} ")).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "TOO_COMPLEX"));
    let huge = json!({"query": "{ programs { key } }", "variables": {"x": "x".repeat(2_000_000)}}).to_string();
    let reply = app.raw(crate::harness::app::request_text("POST", "/graphql", &[JSON], &huge).as_bytes()).await;
    // The server may close before it has read two megabytes that it will not use.
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 413"), "{}", &reply[..reply.len().min(200)]);
    assert_eq!(app.post(None, PROGRAMS).await.status, 200, "the server lives");
}

async fn a_wrong_key_is_nobody_and_never_anonymous(db: TestDatabase) {
    let town = Town::new(db).await;
    town.need(RT_11, FOOD, 10).await;
    let app = &town.app;
    let good = town.key_of(Who::DonorA).expect("a donor has a key").to_owned();
    let query = "{\"query\": \"{ viewer { email } needs { totalCount } }\"}";
    for header in [
        "Bearer nope",
        "Bearer ",
        "Bearer",
        "",
        "Basic YTpi",
        &good,
        &format!("Bearer {good}x"),
        &format!("Bearer {}", &good[1..]),
        &format!("Basic {good}"),
    ] {
        let reply = app.request("POST", "/graphql", &[JSON, ("authorization", header)], query).await;
        assert_eq!((reply.status, reply.code().as_str()), (200, "UNAUTHENTICATED"), "{header:?}: {}", reply.body);
        let answer = reply.json();
        assert!(answer["data"].is_null(), "{header:?}: {answer}");
        assert_eq!(answer["errors"][0]["extensions"]["retry"], "NEVER");
    }
    for header in [format!("Bearer {good}"), format!("bearer {good}"), format!("BEARER  {good}")] {
        let reply = app.request("POST", "/graphql", &[JSON, ("authorization", &header)], query).await;
        assert_eq!(reply.json()["data"]["viewer"]["email"], "a@donor.example", "{header}");
    }
    let nobody = app.post(None, query).await.json();
    assert_eq!(nobody["data"], json!({"viewer": null, "needs": {"totalCount": 1}}));
}

async fn health_and_pages_answer(db: TestDatabase) {
    let town = Town::new(db).await;
    let app = &town.app;
    for (path, status, part) in [
        ("/health/live", 200, "ok"),
        ("/health/ready", 200, "ready"),
        ("/metrics", 200, "salur_ready 1"),
        ("/metrics", 200, "salur_areas 18"),
        ("/api", 200, "/graphql"),
        ("/tiles/areas.json", 200, "/tiles/1/{z}/{x}/{y}.mvt"),
        ("/nowhere", 404, "no such page"),
        ("/graphql/nowhere", 404, "no such page"),
        ("/../etc/passwd", 404, "no such page"),
    ] {
        let reply = app.request("GET", path, &[], "").await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert!(reply.body.contains(part), "{path}: {}", reply.body);
    }
    let api = app.request("GET", "/api", &[], "").await;
    assert!(api.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{}", api.head);
    let upgrade = app.request("GET", "/graphql/ws", &[], "").await;
    assert!((400..500).contains(&upgrade.status), "no upgrade was asked for: {}", upgrade.status);
    // Ready means that the database answers, too.
    let fresh = salur::service::Service::new(town.store().clone(), app.key.clone());
    assert!(!fresh.is_current(), "a server that has not read the map is not ready");
}

async fn every_answer_tells_browsers_what_to_refuse(db: TestDatabase) {
    let town = Town::new(db).await;
    for (method, path, body) in [
        ("POST", "/graphql", PROGRAMS),
        ("POST", "/graphql", "{"),
        ("GET", "/graphql", ""),
        ("GET", "/health/live", ""),
        ("GET", "/metrics", ""),
        ("GET", "/tiles/areas.json", ""),
        ("GET", "/api", ""),
        ("GET", "/gone.js", ""),
    ] {
        let reply = town.app.request(method, path, &[JSON], body).await;
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "same-origin")]
        {
            assert_eq!(reply.header(name), Some(value), "{method} {path}: {}", reply.head);
        }
        let policy = reply.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") || policy.contains("default-src 'self'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-eval"), "{path}: {policy}");
        assert_eq!(reply.header("strict-transport-security"), None, "nobody reaches this one by TLS");
        if path == "/graphql" {
            assert_eq!(reply.header("cache-control"), Some("no-store"));
        }
    }
    town.app.service.reached_at("https://salur.example".into());
    let reply = town.app.request("GET", "/health/live", &[], "").await;
    assert_eq!(reply.header("strict-transport-security"), Some("max-age=31536000"));
}

async fn who_asks_too_much_waits_and_nobody_else_does(db: TestDatabase) {
    let town = Town::new(db).await;
    town.app.service.limit_traffic(TrafficLimits { address: 5, account: 8, organization: 12 });
    let ask = async |who: Who| town.ask(who, "{ programs { key } }", json!({})).await;
    let codes = async |who: Who, times: usize| {
        let mut limited = 0;
        for _ in 0..times {
            let answer = ask(who).await;
            match code_of(&answer).as_str() {
                "RATE_LIMITED" => {
                    assert_eq!(answer["errors"][0]["extensions"]["retry"], "SAME_KEY");
                    limited += 1;
                }
                code => assert_eq!(code, ""),
            }
        }
        limited
    };
    assert_eq!(codes(Who::Anonymous, 7).await, 2);
    assert_eq!(codes(Who::DonorA, 8).await, 0, "an account is not its address");
    assert_eq!(codes(Who::DonorA, 2).await, 2);
    assert_eq!(codes(Who::DonorB, 3).await, 0);
}

async fn a_tile_is_kept_for_ever_under_its_edition_and_no_other_is_served(db: TestDatabase) {
    let town = Town::new(db).await;
    let app = &town.app;
    let described = app.request("GET", "/tiles/areas.json", &[], "").await.json();
    let address = |z: u32, x: u32, y: u32| {
        let template = described["tiles"][0].as_str().expect("an address");
        let parts = [("{z}", z), ("{x}", x), ("{y}", y)];
        parts.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, &value.to_string()))
    };
    let villages = described["vector_layers"].as_array().expect("a list").iter().find(|layer| layer["id"] == "village");
    assert_eq!(villages, Some(&json!({"id": "village", "fields": {"code": "String"}, "minzoom": 11, "maxzoom": 14})));
    let [west, north] = [0, 3].map(|i| described["bounds"][i].as_f64().expect("degrees"));
    let half = f64::from(1 << 11);
    let x = ((west / 180.0 + 1.0) * half) as u32;
    let y = ((1.0 - north.to_radians().tan().asinh() / std::f64::consts::PI) * half) as u32;
    let whole = app.request("GET", &address(12, x, y), &[], "").await;
    assert_eq!(whole.status, 200, "{}", whole.head);
    assert!(whole.body.contains("village"), "the layer's name stands in the tile");
    assert!(whole.header("cache-control").is_some_and(|keep| keep.contains("immutable")), "{}", whole.head);
    let zipped = app.request("GET", &address(12, x, y), &[("accept-encoding", "gzip")], "").await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let tag = whole.header("etag").expect("a tag").to_owned();
    let again = app.request("GET", &address(12, x, y), &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(app.request("GET", &address(10, 1, 1), &[], "").await.status, 204, "nothing lies there");
    let other = address(0, 0, 0).replace(&format!("/tiles/{}/", described["edition"]), "/tiles/77/");
    for wrong in [other.as_str(), "/tiles/1/0/0/1.mvt", "/tiles/1/25/0/0.mvt", "/tiles/1/0/0/0", "/tiles/x/0/0/0.mvt"] {
        let reply = app.request("GET", wrong, &[], "").await;
        assert_eq!(reply.status, 404, "{wrong}: {}", reply.body);
    }
}

async fn areas_in_view_are_counted_as_a_whole(db: TestDatabase) {
    let town = Town::new(db).await;
    town.need(RT_11, FOOD, 10).await;
    let query = "query($view: BBoxInput, $where: NeedFilter) {
        areaCoverage(level: PROVINCE, view: $view, where: $where) { coverage { needCount } } }";
    let app = &town.app;
    let everywhere = app.ask(None, query, json!({})).await;
    assert_eq!(everywhere["data"]["areaCoverage"][0]["coverage"]["needCount"], 1, "{everywhere}");
    let bounds = app.request("GET", "/tiles/areas.json", &[], "").await.json()["bounds"].clone();
    let [west, south, east, north] = [0, 1, 2, 3].map(|i| bounds[i].as_f64().expect("degrees"));
    // The far corner of the province, where the need does not stand.
    let corner = json!({"west": east, "south": north, "east": east + 1.0, "north": north + 1.0});
    let seen = app.ask(None, query, json!({"view": corner})).await;
    let within = app.ask(None, query, json!({"where": {"bbox": corner}})).await;
    let needs = |answer: &serde_json::Value| {
        let rows = answer["data"]["areaCoverage"].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|row| row["coverage"]["needCount"].as_i64()).sum::<i64>()
    };
    let elsewhere = json!({"west": west - 9.0, "south": south - 9.0, "east": west - 8.0, "north": south - 8.0});
    assert_eq!(needs(&within), 0, "{within}");
    let rows = |answer: &serde_json::Value| answer["data"]["areaCoverage"].as_array().map_or(0, Vec::len);
    assert_eq!(needs(&seen), rows(&seen) as i64, "what is seen is counted as a whole: {seen}");
    assert_eq!(rows(&app.ask(None, query, json!({"view": elsewhere})).await), 0);
    let wrong = json!({"view": {"west": 2.0, "south": 0.0, "east": 1.0, "north": 1.0}});
    assert_eq!(crate::harness::app::code_of(&app.ask(None, query, wrong).await), "BAD_INPUT");
}
