//! The ladder of bombs on a small stack, and the exact borders of each stage.

use async_graphql::{Request, Variables, parser::parse_query};

use super::{
    Limits, Refusal, RefusalCode, admit,
    bombs::{self, Fate},
    check, estimate, scan, scan_variables,
};

fn variables(json: serde_json::Value) -> Variables {
    Variables::from_json(json)
}

fn fate(document: &str, values: serde_json::Value) -> Fate {
    match admit(&mut Request::new(document).variables(variables(values)), &Limits::default()) {
        Ok(()) => Fate::Passes,
        Err(Refusal { code: RefusalCode::TooComplex, .. }) => Fate::TooComplex,
        Err(Refusal { code: RefusalCode::BadInput, .. }) => Fate::BadInput,
    }
}

/// The weight of a document that has one operation.
fn weight(document: &str, values: serde_json::Value) -> u64 {
    let parsed = parse_query(document).expect("the test's document is valid");
    let limits = Limits { complexity: u64::MAX, ..Limits::default() };
    estimate(&parsed, None, &variables(values), &limits).expect("nothing exceeds the widest limit")
}

fn cost(document: &str) -> super::Cost {
    let parsed = parse_query(document).expect("the test's document is valid");
    check(&parsed, &Variables::default(), &Limits::default()).expect("the document is small")
}

#[test]
fn every_rung_of_the_ladder_meets_its_fate_on_a_stack_of_two_mebibytes() {
    for bomb in bombs::ladder() {
        let bombs::Bomb { name, document, variables, fate: expected } = bomb;
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
        let handle = thread.spawn(move || fate(&document, variables)).expect("a thread starts");
        assert_eq!(handle.join().expect("the guard returns"), expected, "rung: {name}");
    }
}

#[test]
fn no_rung_but_the_one_over_the_limit_exceeds_the_body() {
    for bomb in bombs::ladder() {
        assert_eq!(bomb.document.len() > bombs::BODY, bomb.name == "document over the limit", "rung: {}", bomb.name);
    }
}

#[test]
fn a_refusal_never_repeats_the_document() {
    let secret = "3171012345678901";
    for document in [
        format!("{{ needs(after: \"{secret}\") {{ totalCount }}"),
        format!("query A{secret} {{ id }} query A{secret} {{ id }}"),
        format!("{{ ...A{secret} }} fragment A{secret} on Query {{ ...A{secret} }}"),
        format!("{{ {} }}", "a".repeat(200) + secret),
        format!("{{ needs(after: \"\"\"{secret}) {{ totalCount }} }}"),
    ] {
        let refusal = admit(&mut Request::new(document), &Limits::default()).expect_err("each document is refused");
        assert!(!refusal.message.contains(secret), "{}", refusal.message);
    }
}

#[test]
fn a_syntax_error_is_answered_with_its_place() {
    let refusal = admit(&mut Request::new("{\n  id)\n}"), &Limits::default()).expect_err("the bracket is wrong");
    assert_eq!(refusal.code.as_str(), "BAD_INPUT");
    assert_eq!(refusal.message, "The document is not valid GraphQL at line 2, column 5. Correct it and send it again.");
}

#[test]
fn an_admitted_request_carries_its_parsed_document() {
    let mut request = Request::new("{ id }");
    admit(&mut request, &Limits::default()).expect("the document is small");
    // With the text gone, only the kept document can answer.
    request.query.clear();
    assert_eq!(request.parsed_query().expect("the document is kept").operations.iter().count(), 1);
}

#[test]
fn tokens_are_counted_as_the_grammar_divides_them() {
    for (document, tokens) in [
        ("", 0),
        (" ,\t\r\n\u{feff}# { [ (", 0),
        ("{ a }", 3),
        ("...a", 2),
        ("$v:[Int!]!=1", 10),
        ("\"\" \"a\\\"b\"", 2),
        ("\"\"\"\"\"\"", 1),
        ("\"\"\" \\\"\"\" \" \"\" \"\"\" a", 2),
        ("-1.5e+3", 1),
        ("1-1", 2),
        ("007", 3),
        ("1.a", 3),
        ("1e", 2),
        ("\u{e9}", 2),
    ] {
        let stats = scan(document, &Limits::default()).expect("the text is small");
        assert_eq!(stats.tokens, tokens, "{document}");
    }
}

#[test]
fn nesting_counts_every_kind_of_bracket_and_no_bracket_in_text() {
    for (document, nesting) in
        [("{a(b:[{c:1}])}", 4), ("{}{}", 1), ("{)}", 1), ("{)(}]", 2), ("\"{[(\"", 0), ("#{\n{", 1), ("\"\\\"{\"", 0)]
    {
        let stats = scan(document, &Limits::default()).expect("the text is shallow");
        assert_eq!(stats.nesting, nesting, "{document}");
    }
}

#[test]
fn the_limits_on_text_are_inclusive() {
    let limits = Limits { tokens: 5, nesting: 2, word_bytes: 3, document_bytes: 12, ..Limits::default() };
    assert!(scan("{a{abc}}    ", &Limits { tokens: 6, ..limits.clone() }).is_ok());
    assert!(scan("{a{abc}", &Limits { tokens: 5, ..limits.clone() }).is_ok());
    for refused in ["{a{abc}}", "[[[", "abcd", "1234", "             "] {
        assert_eq!(
            scan(refused, &limits).expect_err("one limit is exceeded").code,
            RefusalCode::TooComplex,
            "{refused}"
        );
    }
}

#[test]
fn a_string_of_the_scan_ends_where_the_parser_ends_it() {
    // Random texts of the characters that decide about strings: where the parser accepts a document, the scan must
    // have seen the brackets that the parser saw, so as deep a nesting as the parsed value has.
    let seed: u64 = 0x5a1u64;
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let pieces =
        ["\"", "\"\"", "\"\"\"", "\\", "\\\"\"\"", "\\\"", "[", "]", "[[", "]]", "a", " ", "\n", "#", "1", "-", "0"];
    let mut accepted = 0;
    for round in 0..200_000 {
        let text: String = (0..1 + random(9)).map(|_| pieces[random(pieces.len())]).collect();
        let document = format!("{{a(b:[{text}])}}");
        let Ok(parsed) = parse_query(&document) else { continue };
        let depth =
            parsed.operations.iter().map(|(_, operation)| deepest_list(&operation.node.selection_set.node)).max();
        // The parser reads three quotes that no others close as an empty string and the start of another; GraphQL does
        // not, and the scan refuses.
        let Ok(stats) = scan(&document, &Limits::default()) else { continue };
        accepted += 1;
        assert_eq!(stats.nesting, 2 + depth.unwrap_or_default(), "seed {seed}, round {round}: {document}");
    }
    assert!(accepted > 10_000, "only {accepted} documents were valid; seed {seed}");
}

/// The most list brackets around a value of the set's first field's first argument.
fn deepest_list(set: &async_graphql::parser::types::SelectionSet) -> usize {
    use async_graphql::{Value, parser::types::Selection};
    fn depth(value: &Value) -> usize {
        match value {
            Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    match set.items.first().map(|item| &item.node) {
        Some(Selection::Field(field)) => {
            let (_, value) = &field.node.arguments[0];
            depth(&value.node.clone().into_const().expect("the test uses no variables"))
        }
        _ => 0,
    }
}

#[test]
fn variables_are_counted_at_every_level() {
    let stats =
        scan_variables(&variables(serde_json::json!({"a": 1, "b": [1, 2, {"c": [3]}], "d": {}})), &Limits::default())
            .expect("the variables are small");
    assert_eq!((stats.values, stats.nesting), (8, 3));
}

#[test]
fn the_limits_on_variables_are_inclusive() {
    let limits = Limits { variable_values: 3, variable_nesting: 1, variable_key_bytes: 2, ..Limits::default() };
    let outcome = |json| scan_variables(&variables(json), &limits).map(|_| ()).map_err(|refusal| refusal.code);
    assert_eq!(outcome(serde_json::json!({"a": [1, 2]})), Ok(()));
    assert_eq!(outcome(serde_json::json!({"a": [1, 2, 3]})), Err(RefusalCode::TooComplex));
    assert_eq!(outcome(serde_json::json!({"a": [[]]})), Err(RefusalCode::TooComplex));
    assert_eq!(outcome(serde_json::json!({"abc": 1})), Err(RefusalCode::TooComplex));
    assert_eq!(outcome(serde_json::json!({"a": {"abc": 1}})), Err(RefusalCode::TooComplex));
}

#[test]
fn fragments_count_at_every_spread() {
    let cost = cost("{ a { ...F } b: c { ...F ... on T { d(x: [1, 2]) } } } fragment F on T { e @u f { g } }");
    // Twice F (4 selections, of which one directive is no selection but a visit), 2 spreads, a, c, the inline fragment,
    // d and its 3 values.
    assert_eq!(cost.visits, 2 * 4 + 2 + 2 + 1 + 4);
    assert_eq!(cost.root_fields, 2);
    assert_eq!(cost.aliases, 1);
    // The operation's set, that of `a`, the fragment's, that of `f`: three steps below the first.
    assert_eq!(cost.depth, 3);
    assert_eq!((cost.operations, cost.fragments), (1, 1));
}

#[test]
fn the_standard_introspection_query_passes_with_room_to_spare() {
    let limits = Limits::default();
    let stats = scan(bombs::INTROSPECTION, &limits).expect("the query is small");
    let cost = cost(bombs::INTROSPECTION);
    let weight = weight(bombs::INTROSPECTION, serde_json::json!({}));
    assert!(stats.tokens * 2 <= limits.tokens, "{stats:?}");
    assert!(stats.nesting * 2 <= limits.nesting, "{stats:?}");
    assert!(cost.depth + 10 <= limits.depth, "{cost:?}");
    assert!(cost.visits * 2 <= limits.visits, "{cost:?}");
    assert!(cost.merge_steps * 2 <= limits.merge_steps, "{cost:?}");
    assert!(weight + weight / 4 <= limits.complexity, "{weight}");
}

#[test]
fn visits_that_overflow_every_number_are_refused_as_too_many() {
    let document = parse_query(bombs::doubling_fragments(29, 9)).expect("the document is valid");
    let limits = Limits { merge_steps: u64::MAX, ..Limits::default() };
    let refusal = check(&document, &Variables::default(), &limits).expect_err("9^30 visits are too many");
    assert_eq!(refusal.code, RefusalCode::TooComplex);
    assert!(refusal.message.contains("18446744073709551615"), "{}", refusal.message);
}

#[test]
fn a_variable_counts_at_each_use() {
    let text = serde_json::json!({"v": "x".repeat(1000)});
    let bytes = |document: &str| {
        let parsed = parse_query(document).expect("the test's document is valid");
        check(&parsed, &variables(text.clone()), &Limits::default()).expect("the document is small").argument_bytes
    };
    assert_eq!(bytes("query($v: T) { a(x: $v) b(x: [$v, $v]) c @d(x: $v) }") / 1000, 4);
    assert_eq!(bytes("query($w: T) { a(x: $w) }") / 1000, 0);
}

#[test]
fn a_list_multiplies_what_is_below_it() {
    let none = || serde_json::json!({});
    assert_eq!(weight("{ coverage { needCount } }", none()), 2);
    // needs 1 + 10, its argument below one unit; 7 records of one connection and one need with one field.
    assert_eq!(weight("{ needs(first: 7) { nodes { id } } }", none()), 11 + 7 * 2);
    assert_eq!(weight("{ needs { nodes { id } } }", none()), 11 + 50 * 2);
    assert_eq!(weight("{ needs(first: null) { nodes { id } } }", none()), 11 + 50 * 2);
    assert_eq!(weight("{ needs(first: 1, first: 7) { nodes { id } } }", none()), 11 + 7 * 2);
    assert_eq!(weight("{ needs { edges { node { id } } } }", none()), 11 + 50 * 3);
    assert_eq!(weight("{ needs { ...F } } fragment F on NeedConnection { nodes { id } }", none()), 11 + 50 * 3);
    assert_eq!(weight("{ areaCoverage(level: RT) { area { code geometry } } }", none()), 1 + 5_000 * 8);
}

#[test]
fn a_page_size_is_taken_from_the_variables_or_their_defaults() {
    let document = "query($n: Int = 3) { needs(first: $n) { nodes { id } } }";
    assert_eq!(weight(document, serde_json::json!({"n": 7})), 11 + 7 * 2);
    assert_eq!(weight(document, serde_json::json!({})), 11 + 3 * 2);
    assert_eq!(weight(document, serde_json::json!({"n": null})), 11 + 50 * 2);
    // A value for a variable that the operation does not define is no value.
    assert_eq!(weight("{ needs(first: $n) { nodes { id } } }", serde_json::json!({"n": 7})), 11 + 50 * 2);
}

#[test]
fn only_the_operation_that_runs_is_weighed() {
    let document = parse_query("query A { coverage { needCount } } query B { needs { nodes { id } } }")
        .expect("the test's document is valid");
    let weigh = |name| estimate(&document, name, &Variables::default(), &Limits::default()).expect("it is small");
    assert_eq!(weigh(Some("A")), 2);
    assert_eq!(weigh(Some("B")), 111);
    assert_eq!(weigh(None), 111);
    assert_eq!(weigh(Some("C")), 111);
}

#[test]
fn the_limit_on_complexity_is_inclusive() {
    let document = parse_query("{ needs { nodes { id } } }").expect("the test's document is valid");
    let outcome = |complexity| {
        let limits = Limits { complexity, ..Limits::default() };
        estimate(&document, None, &Variables::default(), &limits).map_err(|refusal| refusal.code)
    };
    assert_eq!(outcome(111), Ok(111));
    assert_eq!(outcome(110), Err(RefusalCode::TooComplex));
}
