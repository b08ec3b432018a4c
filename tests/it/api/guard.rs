//! Hostile documents over HTTP. The process lives, the answer says what is wrong, and the next
//! reader is served. Times are printed, not asserted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::actors::{FOOD, RT_11, Town, Who};
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(bombs_are_turned_away_and_the_next_reader_is_served, what_is_large_but_honest_passes);

/// Fragments that each spread the next one twice.
fn doubling(count: usize) -> String {
    let mut document = "{ ...F0 }".to_owned();
    for i in 0..count {
        document += &format!(" fragment F{i} on Query {{ ...F{} ...F{} }}", i + 1, i + 1);
    }
    document + &format!(" fragment F{count} on Query {{ programs {{ key }} }}")
}

fn bombs() -> Vec<(&'static str, String)> {
    let body = |query: String| json!({"query": query}).to_string();
    let nested = |open: &str, close: &str, count: usize| open.repeat(count) + &close.repeat(count);
    vec![
        ("30 fragments, each twice the next", body(doubling(30))),
        ("99 fragments, each twice the next", body(doubling(98))),
        ("fragments in a circle", body("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".into())),
        ("a fragment within itself", body("{ ...A } fragment A on Query { programs { key } ...A }".into())),
        ("50,000 braces", body(format!("{}x{}", "{x".repeat(50_000), "}".repeat(50_000)))),
        ("50,000 open braces", body("{".repeat(50_000))),
        ("50,000 brackets", body(format!("{{ needs(after: {}) {{ totalCount }} }}", nested("[", "]", 50_000)))),
        ("50,000 open brackets", body(format!("{{ needs(after: {}", "[".repeat(50_000)))),
        ("50,000 objects", body(format!("{{ needs(where: {} ", "{a:".repeat(50_000)))),
        ("50,000 parentheses", body(format!("{{ needs{} }}", nested("(", ")", 50_000)))),
        ("a type of 50,000 brackets", body(format!("query($x: {}Int{}) {{ programs {{ key }} }}", "[".repeat(50_000), "]".repeat(50_000)))),
        (
            "50,000 brackets in the variables",
            format!("{{\"query\": \"query($x: [String!]) {{ needs(where: {{items: $x}}) {{ totalCount }} }}\", \"variables\": {{\"x\": {}}}}}", nested("[", "]", 50_000)),
        ),
        (
            "100 brackets in the variables",
            format!("{{\"query\": \"query($x: [String!]) {{ needs(where: {{items: $x}}) {{ totalCount }} }}\", \"variables\": {{\"x\": {}}}}}", nested("[", "]", 100)),
        ),
        ("50,000 brackets in the extensions", format!("{{\"query\": \"{{ programs {{ key }} }}\", \"extensions\": {{\"x\": {}}}}}", nested("[", "]", 50_000))),
        ("10,000 aliases", body(format!("{{ {} }}", (0..10_000).map(|i| format!("a{i}: __typename ")).collect::<String>()))),
        ("2,000 lists", body(format!("{{ {} }}", (0..2_000).map(|i| format!("a{i}: needs {{ totalCount }} ")).collect::<String>()))),
        ("a field 10,000 times", body(format!("{{ {} }}", "programs { key } ".repeat(10_000)))),
        ("a block string without end", body(format!("{{ area(code: \"\"\"{}", "x ".repeat(100_000)))),
        ("a long block string", body(format!("{{ area(code: \"\"\"{}\"\"\") {{ id }} }}", "x\n ".repeat(60_000)))),
        ("a long string", body(format!("{{ area(code: \"{}\") {{ id }} }}", "9".repeat(200_000)))),
        ("a long name", body(format!("{{ {} }}", "n".repeat(200_000)))),
        ("a long number", body(format!("{{ needs(first: {}) {{ totalCount }} }}", "9".repeat(200_000)))),
        ("1,000 directives", body(format!("{{ programs {} {{ key }} }}", "@include(if: true) ".repeat(1_000)))),
        ("5,000 unknown fields", body(format!("{{ {} }}", (0..5_000).map(|i| format!("f{i} ")).collect::<String>()))),
        ("areas within areas", body(format!("{{ areaCoverage(level: RT) {{ area {{ {} code {} }} }} }}", "children { ".repeat(10), "} ".repeat(10)))),
        ("introspection in a circle", body(format!("{{ __schema {{ types {} name {} }} }}", "{ fields { type ".repeat(12), "} } ".repeat(12)).replace("type  name", "type { name }"))),
        ("20 plans", body(format!("{{ {} }}", (0..20).map(|i| format!("p{i}: planMatch(input: {{itemKey: \"paket\", quantity: 5}}) {{ value }} ")).collect::<String>()))),
        ("four sign-ins", body(format!("mutation {{ {} }}", (0..4).map(|i| format!("s{i}: signIn(email: \"{i}@donor.example\", password: \"x\") {{ viewer {{ email }} }} ")).collect::<String>()))),
        ("comments alone", body("#".repeat(200_000))),
        ("control characters", json!({"query": "{ programs { key\u{0}\u{1}\u{feff} } }"}).to_string()),
        ("a thousand operations", body((0..1_000).map(|i| format!("query Q{i} {{ programs {{ key }} }} ")).collect())),
        ("a wide variable", json!({"query": "query($x: [String!]) { needs(where: {items: $x}) { totalCount } }", "variables": {"x": vec![1; 60_000]}}).to_string()),
    ]
}

async fn bombs_are_turned_away_and_the_next_reader_is_served(db: TestDatabase) {
    let town = Town::new(db).await;
    town.need(RT_11, FOOD, 10).await;
    let mut slowest = (Duration::ZERO, "");
    for (name, body) in bombs() {
        assert!(body.len() <= 256 * 1024, "{name} would be turned away for its size alone: {} bytes", body.len());
        let begin = Instant::now();
        let reply = town.app.post(None, &body).await;
        slowest = slowest.max((begin.elapsed(), name));
        let code = reply.code();
        assert!(matches!(code.as_str(), "TOO_COMPLEX" | "BAD_INPUT"), "{name}: {} {:.300}", reply.status, reply.body);
        assert!(reply.body.len() < 10_000, "{name}: the answer has {} bytes", reply.body.len());
        assert!(reply.json()["data"].is_null(), "{name}: {:.300}", reply.body);
        let healthy = town.data(Who::Anonymous, "{ needs { totalCount } }", json!({})).await;
        assert_eq!(healthy["needs"]["totalCount"], 1, "after {name}");
    }
    println!("the slowest answer took {:?}: {}", slowest.0, slowest.1);
}

/// The query that tools send to learn the schema.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name }
    subscriptionType { name } types { ...FullType } directives { name description locations args { ...InputValue } } } }
    fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name description
    args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } inputFields { ...InputValue }
    interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef } }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

async fn what_is_large_but_honest_passes(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 1_000).await;
    let schema = town.data(Who::Anonymous, INTROSPECTION, json!({})).await;
    assert!(schema["__schema"]["types"].as_array().is_some_and(|t| t.len() > 60));
    // As many passwords as one request may have computed.
    let three = "mutation { a: signIn(email: \"a@x.example\", password: \"x\") { viewer { email } }
        b: signIn(email: \"b@x.example\", password: \"x\") { viewer { email } }
        c: signIn(email: \"c@x.example\", password: \"x\") { viewer { email } } }";
    assert_eq!(town.code(Who::Anonymous, three, json!({})).await, "UNAUTHENTICATED", "nobody has these addresses");
    // 500 lines written out, all on one need: they are added up.
    let lines: String = (0..500).map(|_| format!("{{needId: \"{need}\", quantity: 2}} ")).collect();
    let query = format!(
        "mutation {{ claimNeeds(input: {{idempotencyKey: \"inline\", lines: [{lines}]}}) {{
         __typename ... on ClaimAccepted {{ claim {{ lines {{ quantity }} }} }} }} }}"
    );
    let made = town.data(Who::DonorA, &query, json!({})).await["claimNeeds"].take();
    assert_eq!(made["claim"]["lines"], json!([{"quantity": 1_000}]), "{made}");
    // A polygon of some thousand corners in the variables.
    let corners: Vec<Value> = (0..=4_000)
        .map(|i| {
            let angle = f64::from(i % 4_000) / 4_000.0 * std::f64::consts::TAU;
            json!([106.81 + angle.cos() * 0.05, -6.21 + angle.sin() * 0.05])
        })
        .collect();
    let within = json!({"within": {"type": "Polygon", "coordinates": [corners]}});
    let query =
        "query($where: NeedFilter) { needs(where: $where) { totalCount } coverage(where: $where) { needCount } }";
    let answer = town.data(Who::Anonymous, query, json!({"where": within})).await;
    assert_eq!(json!([answer["needs"]["totalCount"], answer["coverage"]["needCount"]]), json!([1, 1]));
    let page = "{ needs(first: 1000) { totalCount nodes { id required allocated delivered unmet severity status service
        version periodStart periodEnd area { code name point } program { key } item { key } } } }";
    town.data(Who::Anonymous, page, json!({})).await;
}
