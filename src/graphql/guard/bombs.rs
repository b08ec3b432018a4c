//! Documents made to cost much: a ladder from the blunt to the fine, and everyday documents that must pass.

use serde_json::{Value, json};

/// What [`super::admit`] is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Passes,
    TooComplex,
    BadInput,
}

/// One rung of the ladder.
pub struct Bomb {
    pub name: &'static str,
    pub document: String,
    pub variables: Value,
    pub fate: Fate,
}

/// The body limit: no rung is longer.
pub const BODY: usize = 256 * 1024;

/// The query that GraphiQL and graphql-js send, nine levels of `ofType` included.
pub const INTROSPECTION: &str = "query IntrospectionQuery {
  __schema {
    description
    queryType { name kind }
    mutationType { name kind }
    subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
  }
}
fragment FullType on __Type {
  kind name description specifiedByURL
  fields(includeDeprecated: true) {
    name description
    args(includeDeprecated: true) { ...InputValue }
    type { ...TypeRef }
    isDeprecated deprecationReason
  }
  inputFields(includeDeprecated: true) { ...InputValue }
  interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue {
  name description type { ...TypeRef } defaultValue isDeprecated deprecationReason
}
fragment TypeRef on __Type {
  kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
  ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
}";

/// Fragments `F0` to `F{count - 1}`, each of which spreads the next one `times` times; the last one asks for `id`.
pub fn doubling_fragments(count: usize, times: usize) -> String {
    let mut document = String::from("{ needs { nodes { ...F0 } } }");
    for number in 0..count - 1 {
        let spreads = format!(" ...F{}", number + 1).repeat(times);
        document.push_str(&format!(" fragment F{number} on Need {{{spreads} }}"));
    }
    document.push_str(&format!(" fragment F{} on Need {{ id }}", count - 1));
    document
}

/// A claim over `lines` needs with everything written into the document.
pub fn inline_claim(lines: usize) -> String {
    let lines: String =
        (0..lines).map(|line| format!("{{needId: \"bmVlZDo{line:08}\", quantity: {}}}, ", line + 1)).collect();
    format!(
        "mutation {{ claimNeeds(input: {{idempotencyKey: \"a-key\", lines: [{lines}]}}) {{ __typename ... on \
         ClaimAccepted {{ replayed claim {{ id lines {{ id quantity need {{ id }} }} }} }} }} }}"
    )
}

/// `count` fields of one selection set, written by `field` from their number.
pub fn fields(count: usize, field: impl Fn(usize) -> String) -> String {
    (0..count).map(|number| field(number) + " ").collect()
}

fn filled(head: &str, unit: &str, tail: &str) -> String {
    let count = (BODY - head.len() - tail.len()) / unit.len();
    format!("{head}{}{tail}", unit.repeat(count))
}

/// Every rung, cheap ones first.
pub fn ladder() -> Vec<Bomb> {
    use Fate::{BadInput, Passes, TooComplex};
    let mut rungs = Vec::new();
    let mut rung = |name, fate, document: String, variables| rungs.push(Bomb { name, document, variables, fate });
    let none = || json!({});

    // Everyday documents.
    rung("introspection", Passes, INTROSPECTION.into(), none());
    rung("inline claim of 500 lines", Passes, inline_claim(500), none());
    rung(
        "1000 needs with 20 plain fields",
        Passes,
        "{ needs(first: 1000) { totalCount nodes { id required allocated delivered unmet severity status service \
         version periodStart periodEnd area { id code name level } item { id key name unit } } } }"
            .into(),
        none(),
    );
    rung(
        "whole choropleth",
        Passes,
        "{ areaCoverage(level: RT) { area { id code name level point geometry households poorHouseholds } coverage { \
         needCount unservedCount required allocated delivered unmet } } }"
            .into(),
        none(),
    );
    let ring: Vec<[f64; 2]> = (0..10_000).map(|n| [106.0 + f64::from(n) * 1e-5, -6.0]).collect();
    rung(
        "filter by a polygon of 10000 points",
        Passes,
        "query($where: NeedFilter) { needs(where: $where, first: 200) { nodes { id } } }".into(),
        json!({"where": {"within": {"type": "Polygon", "coordinates": [ring]}}}),
    );

    // Nesting.
    rung("braces", TooComplex, "{".repeat(BODY), none());
    rung("brackets", TooComplex, filled("{a(x:", "[", ""), none());
    rung("parentheses", TooComplex, "(".repeat(BODY), none());
    rung("nested fields", TooComplex, filled("", "a{", ""), none());
    rung("nested fields, closed", TooComplex, format!("{}a{}", "{a".repeat(64_000), "}".repeat(64_000)), none());
    rung("nested inline fragments", TooComplex, filled("{", "...{", ""), none());
    rung("nested variable type", TooComplex, filled("query($a:", "[", ""), none());
    rung(
        "nested variable type, closed",
        TooComplex,
        format!("query($a:{}Int{}){{a}}", "[".repeat(100_000), "]".repeat(100_000)),
        none(),
    );
    rung("nested default value", TooComplex, filled("query($a:Int=", "[", ""), none());
    rung("nested input object", TooComplex, filled("{a(x:", "{y:", ""), none());
    rung("nested directive arguments", TooComplex, filled("{a@b(x:", "[{y:", ""), none());
    rung("brackets hidden behind bad closings", TooComplex, filled("{a(x:", "[)", ""), none());
    rung("brackets behind an open block string", BadInput, filled("{a(x:[\"\"\"\" ", "[", ""), none());
    rung("brackets behind an escaped end", BadInput, filled("{a(x:[\"\"\" \\\"\"\" ", "[", ""), none());
    rung("brackets behind an open string", BadInput, filled("{a(x:[\" \n", "[", ""), none());
    rung("brackets in a string", Passes, filled("{needs(after:\"", "[", "\"){totalCount}}"), none());
    rung("brackets in a block string", Passes, filled("{needs(after:\"\"\"", "{\n", "\"\"\"){totalCount}}"), none());
    rung("brackets in a comment", Passes, filled("{needs{totalCount}}#", "{", ""), none());
    rung("30 levels of values", Passes, format!("{{echo(x:{}1{})}}", "[".repeat(30), "]".repeat(30)), none());
    rung("31 levels of values", TooComplex, format!("{{echo(x:{}1{})}}", "[".repeat(31), "]".repeat(31)), none());
    rung("32 levels of fields", Passes, format!("{}id{}", "{loop".repeat(31) + "{", "}".repeat(32)), none());
    rung("33 levels of fields", TooComplex, format!("{}id{}", "{loop".repeat(32) + "{", "}".repeat(33)), none());

    // Length without content, and content that is one token.
    rung("commas only", BadInput, ",".repeat(BODY), none());
    rung("commas after a name", Passes, filled("{needs", ",", "{totalCount}}"), none());
    rung(
        "blanks within nested fields",
        Passes,
        format!("{}id{}", "{loop".repeat(31) + "{", format!("{}}}", " ".repeat(8_000)).repeat(32)),
        none(),
    );
    rung(
        "comments within nested fields",
        Passes,
        format!("{}id{}", "{loop".repeat(31) + "{", format!("#{}\n}}", "c".repeat(8_000)).repeat(32)),
        none(),
    );
    rung("byte order marks", Passes, filled("{needs", "\u{feff}", "{totalCount}}"), none());
    rung("comment", BadInput, "#".repeat(BODY), none());
    rung("many comments", BadInput, "#\n".repeat(BODY / 2), none());
    rung("quotes", TooComplex, "\"".repeat(BODY - 1), none());
    rung("stray characters", TooComplex, "%".repeat(BODY), none());
    rung("text of many bytes a character", TooComplex, "\u{1f33e}".repeat(BODY / 4), none());
    rung("document over the limit", TooComplex, format!("{{needs{{totalCount}}}}{}", " ".repeat(BODY)), none());
    rung("long name", TooComplex, filled("{", "a", "}"), none());
    rung("long number", TooComplex, filled("{needs(first:", "9", "){totalCount}}"), none());
    rung("huge number", BadInput, "{needs(first:1e999999){totalCount}}".into(), none());
    rung("zeros", TooComplex, filled("{echo(x:[", "0", "])}"), none());
    rung("signs", TooComplex, filled("{echo(x:[", "-1", "])}"), none());
    rung("unicode escapes", Passes, filled("{needs(after:\"", "\\u00e9", "\"){totalCount}}"), none());
    rung("escaped quotes", Passes, filled("{needs(after:\"", "\\\"", "\"){totalCount}}"), none());
    rung("block string of lines", Passes, filled("{needs(after:\"\"\"", "\n", "x\"\"\"){totalCount}}"), none());
    rung(
        "block string of indents",
        Passes,
        filled("{needs(after:\"\"\"", "\n                 x", "\"\"\"){totalCount}}"),
        none(),
    );
    rung(
        "half a document of fields that breaks off",
        BadInput,
        fields(9_000, |_| "id".into()).replacen("id", "{id", 1),
        none(),
    );

    // Counts.
    rung("fields", TooComplex, filled("{needs{nodes{", "a ", "}}}"), none());
    rung("one field 1900 times", Passes, format!("{{needs{{nodes{{{}}}}}}}", fields(1_900, |_| "id".into())), none());
    rung(
        "one field 9900 times",
        TooComplex,
        format!("{{needs{{nodes{{{}}}}}}}", fields(9_900, |_| "id".into())),
        none(),
    );
    rung("one plain field 9900 times", Passes, format!("{{loop{{{}}}}}", fields(9_900, |_| "id".into())), none());
    rung("unknown fields", Passes, format!("{{loop{{{}}}}}", fields(9_900, |n| format!("periodStart{n}"))), none());
    rung("long unknown fields", Passes, format!("{{loop{{{}}}}}", fields(2_000, |n| format!("{n:a>120}"))), none());
    rung("conflicting fields", Passes, format!("{{loop{{x:id {}}}}}", fields(490, |_| "x:name".into())), none());
    rung("aliases", TooComplex, format!("{{loop{{{}}}}}", fields(2_000, |n| format!("a{n}:id"))), none());
    rung("root fields", TooComplex, format!("{{{}}}", fields(21, |n| format!("a{n}:coverage{{needCount}}"))), none());
    rung(
        "root mutations",
        TooComplex,
        format!("mutation{{{}}}", fields(100, |n| format!("a{n}:confirmClaim(id:\"x\"){{id}}"))),
        none(),
    );
    rung("directives at one field", TooComplex, format!("{{loop{{id{}}}}}", "@a".repeat(4_000)), none());
    rung("directives at all fields", Passes, format!("{{loop{{{}}}}}", fields(800, |_| "id@a@b@c@d".into())), none());
    rung(
        "arguments of one field",
        TooComplex,
        format!("{{needs({}){{totalCount}}}}", fields(3_000, |n| format!("a{n}:1"))),
        none(),
    );
    rung(
        "arguments of all fields",
        Passes,
        format!("{{loop{{{}}}}}", fields(180, |f| format!("id({})", fields(16, |n| format!("a{f}_{n}:1"))))),
        none(),
    );
    rung("operations", TooComplex, fields(500, |n| format!("query Q{n}{{loop{{id}}}}")), none());
    rung(
        "fragment definitions",
        TooComplex,
        format!("{{loop{{id}}}}{}", fields(1_000, |n| format!("fragment F{n} on Loop{{id}}"))),
        none(),
    );
    rung(
        "variable definitions",
        TooComplex,
        format!("query({}){{loop{{id}}}}", fields(2_000, |n| format!("$v{n}:Int"))),
        none(),
    );
    rung(
        "undefined variables in ten operations",
        Passes,
        format!(
            "{} fragment F on Loop{{{}}}",
            fields(10, |n| format!("query Q{n}{{loop{{...F}}}}")),
            fields(900, |n| format!("echo(x:$v{n})"))
        ),
        none(),
    );
    rung(
        "wrongly typed variables in ten operations",
        Passes,
        format!(
            "{} fragment F on Loop{{{}}}",
            fields(10, |n| format!("query Q{n}({}){{loop{{...F}}}}", fields(100, |v| format!("$v{v}:Int")))),
            fields(490, |n| format!("picky(text:$v{})", n % 100))
        ),
        none(),
    );

    // Fragments.
    rung("30 fragments that spread twice", TooComplex, doubling_fragments(30, 2), none());
    rung("90 fragments that spread twice", TooComplex, doubling_fragments(90, 2), none());
    rung("8 fragments that spread 8 times", TooComplex, doubling_fragments(8, 8), none());
    rung("fragment that spreads itself", BadInput, "{...A} fragment A on Query{...A}".into(), none());
    rung(
        "fragments in a circle",
        BadInput,
        "{id} fragment A on Query{...B ...B} fragment B on Query{a{...A}}".into(),
        none(),
    );
    rung(
        "unused chain of fragments",
        TooComplex,
        format!(
            "{{loop{{id}}}}{} fragment F99 on Loop{{id}}",
            fields(99, |n| format!("fragment F{n} on Loop{{...F{}}}", n + 1))
        ),
        none(),
    );
    rung(
        "unused fragments",
        Passes,
        format!(
            "{{loop{{id}}}}{}",
            fields(100, |n| format!("fragment F{n} on Loop{{{}}}", fields(90, |_| "id".into())))
        ),
        none(),
    );
    rung("unknown fragments", Passes, format!("{{loop{{{}}}}}", fields(4_900, |n| format!("...F{n}"))), none());
    rung(
        "one large fragment in many selection sets",
        TooComplex,
        format!(
            "{{loop{{{}}}}} fragment F on Loop{{{}}}",
            fields(700, |_| "loop{...F}".into()),
            fields(4_000, |_| "id".into())
        ),
        none(),
    );
    rung(
        "one large fragment in some selection sets",
        Passes,
        format!(
            "{{loop{{{}}}}} fragment F on Loop{{{}}}",
            fields(8, |_| "loop{...F}".into()),
            fields(2_000, |_| "id".into())
        ),
        none(),
    );
    rung(
        "fields within 9 inline fragments",
        Passes,
        format!("{{loop{{{}{}{}}}}}", "...{".repeat(9), fields(1_900, |_| "id".into()), "}".repeat(9)),
        none(),
    );
    rung(
        "fields within 20 inline fragments",
        TooComplex,
        format!("{{loop{{{}{}{}}}}}", "...{".repeat(20), fields(9_000, |_| "id".into()), "}".repeat(20)),
        none(),
    );
    rung(
        "one field of 16 arguments among many of none, within inline fragments",
        TooComplex,
        format!(
            "{{loop{{{}id({}) {}{}}}}}",
            "...{".repeat(20),
            fields(16, |n| format!("a{n}:1")),
            fields(8_000, |_| "id".into()),
            "}".repeat(20)
        ),
        none(),
    );
    rung(
        "one field of 16 arguments among 1100 of none",
        Passes,
        format!("{{loop{{id({}) {}}}}}", fields(16, |n| format!("a{n}:1")), fields(1_100, |_| "id".into())),
        none(),
    );

    // Lists within lists.
    rung(
        "needs of the needs' areas",
        TooComplex,
        "{needs(first:1000){nodes{area{needs(first:1000){nodes{id}}}}}}".into(),
        none(),
    );
    rung(
        "needs of the needs' areas by variable",
        TooComplex,
        "query($n:Int){needs(first:$n){nodes{area{needs(first:$n){nodes{id}}}}}}".into(),
        json!({"n": 1000}),
    );
    rung(
        "needs of the needs' areas by default",
        TooComplex,
        "query($n:Int=1000){needs(first:$n){nodes{area{needs(first:$n){nodes{id}}}}}}".into(),
        none(),
    );
    rung("needs of the needs' areas, unsaid", Passes, "{needs{nodes{area{needs{nodes{id}}}}}}".into(), none());
    rung(
        "needs thrice, unsaid",
        TooComplex,
        "{needs{nodes{area{needs{nodes{area{needs{nodes{id}}}}}}}}}".into(),
        none(),
    );
    rung(
        "edges and nodes",
        TooComplex,
        "{needs(first:1000){edges{node{area{needs(first:1000){edges{node{id}}}}}}}}".into(),
        none(),
    );
    rung(
        "needs by fragment",
        TooComplex,
        "{needs(first:1000){...F}} fragment F on NeedConnection{nodes{area{needs(first:1000){nodes{id}}}}}".into(),
        none(),
    );
    rung("largest page", TooComplex, "{needs(first:18446744073709551615){nodes{id}}}".into(), none());
    rung("coverage of all areas' needs", TooComplex, "{areaCoverage(level:RT){area{needs{nodes{id}}}}}".into(), none());
    rung(
        "filters in a list",
        TooComplex,
        "{needs(first:1000){nodes{area{coverage(where:{minSeverity:1}){needCount}}}}}".into(),
        none(),
    );
    rung(
        "match plans",
        TooComplex,
        format!("{{{}}}", fields(11, |n| format!("a{n}:planMatch(input:{{itemKey:\"x\"}}){{value}}"))),
        none(),
    );
    rung(
        "types of fields of types",
        TooComplex,
        "{__schema{types{fields{type{fields{type{fields{type{fields{type{name}}}}}}}}}}}".into(),
        none(),
    );
    rung(
        "types in ten aliases",
        TooComplex,
        format!(
            "{{{}}} {}",
            fields(10, |n| format!("a{n}:__schema{{types{{...FullType}}}}")),
            &INTROSPECTION[INTROSPECTION.find("fragment").unwrap_or(0)..]
        ),
        none(),
    );

    // Variables.
    let deep = (0..120).fold(json!(1), |value, _| json!([value]));
    rung("deep variable", TooComplex, "query($v:JSON){echo(x:$v)}".into(), json!({ "v": deep }));
    rung(
        "variable of 120000 values",
        TooComplex,
        "query($v:JSON){echo(x:$v)}".into(),
        json!({ "v": vec![0; 120_000] }),
    );
    rung("variable of 49000 values", Passes, "query($v:JSON){echo(x:$v)}".into(), json!({ "v": vec![0; 49_000] }));
    rung(
        "variable of 49000 values in 1200 places",
        TooComplex,
        format!("query($v:JSON){{loop{{{}}}}}", fields(1_200, |_| "echo(x:$v)".into())),
        json!({ "v": vec![0; 49_000] }),
    );
    rung(
        "variable of 49000 values 5000 times in one list",
        TooComplex,
        format!("query($v:JSON){{echo(x:[{}])}}", "$v".repeat(4_900)),
        json!({ "v": vec![0; 49_000] }),
    );
    rung(
        "default of 4000 values in 800 places",
        TooComplex,
        format!("query($v:JSON=[{}]){{loop{{{}}}}}", "0 ".repeat(4_000), fields(800, |_| "echo(x:$v)".into())),
        none(),
    );
    rung(
        "long text in 1200 places",
        TooComplex,
        format!("query($v:JSON){{loop{{{}}}}}", fields(1_200, |_| "echo(x:$v)".into())),
        json!({ "v": "x".repeat(200_000) }),
    );
    rung(
        "long text in 40 places",
        Passes,
        format!("query($v:JSON){{loop{{{}}}}}", fields(40, |_| "echo(x:$v)".into())),
        json!({ "v": "x".repeat(200_000) }),
    );
    rung(
        "long unknown enumeration value in 40 places",
        Passes,
        format!("query($v:Level){{loop{{{}}}}}", fields(40, |_| "picky(level:$v)".into())),
        json!({ "v": "x".repeat(200_000) }),
    );
    rung("long key", TooComplex, "query($v:JSON){echo(x:$v)}".into(), json!({ "v": { "k".repeat(200_000): 1 } }));
    rung(
        "polygon for each of 1000 needs",
        TooComplex,
        "query($v:JSON){needs(first:1000){nodes{echo(x:$v)}}}".into(),
        json!({ "v": vec![0; 10_000] }),
    );
    rungs
}
