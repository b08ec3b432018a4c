//! Canaries: numbers that could be a person's national ID go in wherever somebody may write, and are then
//! looked for wherever anything is kept or said.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::home_of;
use crate::api::identity::with_password;
use crate::cli::{Home, salur};
use crate::harness::actors::{DEVICE, FOOD, RT_11, Town, Who};
use crate::harness::app::{Live, request};
use crate::harness::books::{connect, rows};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::process::ServerProcess;
use crate::on_both_databases;

on_both_databases!(a_national_id_is_kept_and_repeated_nowhere);

/// Hands out canaries, each another number; provinces begin with 11 and end with 96, so they are nobody's.
#[derive(Default)]
struct Cage {
    sent: AtomicU32,
}

impl Cage {
    /// In a row or in groups, as people write it.
    fn next(&self) -> String {
        let n = self.sent.fetch_add(1, Ordering::Relaxed);
        let serial = format!("{:04}", n + 1);
        if n.is_multiple_of(2) { format!("990101550385{serial}") } else { format!("9901 0155 0385 {serial}") }
    }

    /// What all of them have in common, and nothing else has.
    const SONGS: [&str; 2] = ["990101550385", "9901 0155 0385"];

    /// Panics where one is found in what stands at `place`.
    fn listen(place: &str, text: &str) {
        for song in Cage::SONGS {
            if let Some(at) = text.find(song) {
                let from = (0..=at.saturating_sub(200)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
                panic!("{place} holds a canary: …{}", &text[from..at + song.len()]);
            }
        }
    }

    fn listen_in(directory: &Path) -> u64 {
        let mut bytes = 0;
        for entry in fs::read_dir(directory).expect("a directory").map(|e| e.expect("an entry").path()) {
            if entry.is_dir() {
                bytes += Cage::listen_in(&entry);
            } else {
                let held = fs::read(&entry).expect("a file");
                bytes += held.len() as u64;
                Cage::listen(&entry.display().to_string(), &String::from_utf8_lossy(&held));
            }
        }
        bytes
    }
}

const SHAPE: &str = "{ __schema { types { kind name
    fields { name type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }
        args { name type { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } }
    inputFields { name type { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }
    enumValues { name } } } }";

/// The schema's types by name.
struct Schema(HashMap<String, Value>);

impl Schema {
    async fn read(town: &Town) -> Schema {
        let shape = town.data(Who::Admin, SHAPE, json!({})).await;
        let types = shape["__schema"]["types"].as_array().expect("types").clone();
        Schema(types.into_iter().map(|t| (t["name"].as_str().expect("a name").to_owned(), t)).collect())
    }

    fn fields(&self, of: &str) -> Vec<Value> {
        self.0[of]["fields"].as_array().expect("fields").clone()
    }

    fn written(kind: &Value) -> String {
        match kind["kind"].as_str() {
            Some("NON_NULL") => format!("{}!", Schema::written(&kind["ofType"])),
            Some("LIST") => format!("[{}]", Schema::written(&kind["ofType"])),
            _ => kind["name"].as_str().expect("a name").to_owned(),
        }
    }

    /// The type without lists and exclamation marks.
    fn core(kind: &Value) -> &Value {
        if kind["ofType"].is_null() { kind } else { Schema::core(&kind["ofType"]) }
    }

    /// All values of a type in which one place that takes words holds a canary, all else as it should be.
    /// Without a place, one value.
    fn values(&self, name: &str, kind: &Value, need: &str, canary: &dyn Fn() -> String) -> (Value, Vec<Value>) {
        let list = kind["kind"] == "LIST" || kind["ofType"]["kind"] == "LIST";
        let wrap = |value: Value| if list { json!([value]) } else { value };
        let core = Schema::core(kind);
        let of = core["name"].as_str().expect("a name");
        let (usual, sung): (Value, Vec<Value>) = match core["kind"].as_str() {
            Some("ENUM") => (self.0[of]["enumValues"][0]["name"].clone(), vec![json!(canary())]),
            Some("INPUT_OBJECT") => {
                let fields = self.0[of]["inputFields"].as_array().expect("input fields");
                let each: Vec<(String, bool, Value, Vec<Value>)> = fields
                    .iter()
                    .map(|f| {
                        let field = f["name"].as_str().expect("a name").to_owned();
                        let (usual, sung) = self.values(&field, &f["type"], need, canary);
                        (field, f["type"]["kind"] == "NON_NULL", usual, sung)
                    })
                    .collect();
                let needed = each.iter().filter(|(_, needed, ..)| *needed);
                let usual: Value = needed.map(|(field, _, usual, _)| (field.clone(), usual.clone())).collect();
                let with = |field: &String, value: &Value| {
                    let mut whole = usual.clone();
                    whole[field] = value.clone();
                    whole
                };
                let sung = each.iter().flat_map(|(field, _, _, sung)| sung.iter().map(move |v| (field, v)));
                (usual.clone(), sung.map(|(field, value)| with(field, value)).collect())
            }
            // Machines make keys, of times as well: sixteen digits of one are no person. It is the only place.
            _ if name == "idempotencyKey" => (json!(canary().replace("9901", "key-")), Vec::new()),
            _ => {
                let usual = match (of, name) {
                    ("ID", _) => json!(need),
                    ("Quantity", _) => json!(10),
                    ("Int", _) => json!(3),
                    ("Float", _) => json!(106.8),
                    ("Boolean", _) => json!(false),
                    ("Date", _) => json!("2020-04-01"),
                    ("DateTime", _) => json!("2020-04-01T00:00:00Z"),
                    // What is refused for another reason never gets to where it would be kept.
                    (_, "email") => json!("dian@toko.example"),
                    (_, "password" | "newPassword") => json!("hujan sore di kebun teh"),
                    (_, "areaCode" | "code") => json!(RT_11),
                    (_, "program" | "programs") => json!(FOOD.0),
                    (_, "item" | "itemKey" | "items") => json!(FOOD.1),
                    _ => json!("teks"),
                };
                let sung = match (of, name) {
                    ("Boolean", _) => Vec::new(),
                    (_, "email") => vec![json!(format!("{}@toko.example", canary().replace(' ', "")))],
                    _ => vec![json!(canary())],
                };
                (usual, sung)
            }
        };
        (wrap(usual), sung.into_iter().map(wrap).collect())
    }
}

/// Every question and every change, with a canary in one place of its arguments after another.
fn documents(schema: &Schema, need: &str, canary: &dyn Fn() -> String) -> Vec<(String, Value)> {
    let mut documents = Vec::new();
    for (root, word) in [("Query", "query"), ("Mutation", "mutation"), ("Subscription", "subscription")] {
        for field in schema.fields(root) {
            let name = field["name"].as_str().expect("a name").to_owned();
            let args = field["args"].as_array().expect("arguments").clone();
            let declared: Vec<String> = args
                .iter()
                .map(|a| format!("${}: {}", a["name"].as_str().expect("a name"), Schema::written(&a["type"])))
                .collect();
            let given: Vec<String> =
                args.iter().map(|a| a["name"].as_str().expect("a name")).map(|a| format!("{a}: ${a}")).collect();
            let result = Schema::core(&field["type"])["kind"].as_str().expect("a kind").to_owned();
            let selection = if matches!(result.as_str(), "SCALAR" | "ENUM") { "" } else { "{ __typename }" };
            let document = match args.is_empty() {
                true => format!("{word} {{ {name} {selection} }}"),
                false => format!("{word}({}) {{ {name}({}) {selection} }}", declared.join(", "), given.join(", ")),
            };
            let all: Vec<(String, bool, (Value, Vec<Value>))> = args
                .iter()
                .map(|a| {
                    let arg = a["name"].as_str().expect("a name");
                    let needed = a["type"]["kind"] == "NON_NULL";
                    (arg.to_owned(), needed, schema.values(arg, &a["type"], need, canary))
                })
                .collect();
            let usual = all.iter().filter(|(_, needed, _)| *needed);
            let usual: Value = usual.map(|(arg, _, (usual, _))| (arg.clone(), usual.clone())).collect();
            for (arg, _, (_, sung)) in &all {
                for value in sung {
                    let mut variables = usual.clone();
                    variables[arg] = value.clone();
                    documents.push((document.clone(), variables));
                }
            }
        }
    }
    documents
}

/// Every row of every table as text, and on SQLite the bytes of the file.
async fn listen_in_tables(db: &TestDatabase) -> usize {
    let own = connect(db).await;
    let tables = match db.kind() {
        Kind::Postgres => {
            "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public'"
        }
        Kind::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
    };
    let mut count = 0;
    for table in rows(db, &own, tables).await {
        let table: String = table.try_get("", "name").expect("a name");
        if db.kind() == Kind::Postgres {
            for row in rows(db, &own, &format!("SELECT t::text AS row FROM \"{table}\" t")).await {
                Cage::listen(&table, &row.try_get::<String>("", "row").expect("a text"));
                count += 1;
            }
        }
    }
    if db.kind() == Kind::Sqlite {
        let file = db.url().trim_start_matches("sqlite://");
        count += Cage::listen_in(Path::new(file).parent().expect("a directory")) as usize;
    }
    own.close().await.expect("nothing is running");
    count
}

/// Files with a canary in every column that takes words, and options that name something.
fn import_everything(home: &Home, db: &TestDatabase, canary: &dyn Fn() -> String) {
    let row = |columns: &[&str], at: usize| -> String {
        columns
            .iter()
            .enumerate()
            .map(|(i, c)| if i == at { canary() } else { (*c).to_owned() })
            .collect::<Vec<_>>()
            .join(",")
    };
    let files: [(&str, &str, &[&str]); 4] = [
        (
            "programs",
            "program_key,program_name_id,program_name_en,item_key,item_name_id,item_name_en,unit,kind,first_right_hours",
            &["PANGAN", "Pangan", "Food", "beras", "Beras", "Rice", "kg", "FOOD", "0"],
        ),
        ("areas", "code,name,level,households", &["31.71.01.1001.003", "RW 003", "rw", "100"]),
        (
            "needs",
            "area_code,program,item,required,severity,period_start,period_end,allocated,delivered,external_id",
            &[RT_11, FOOD.0, FOOD.1, "100", "3", "2020-04-01", "2020-04-30", "1", "0", "N-1"],
        ),
        (
            "distributions",
            "external_id,organization,area_code,item,quantity,period_start,period_end",
            &["D-1", "Dinas", RT_11, FOOD.1, "10", "2020-04-01", "2020-04-30"],
        ),
    ];
    for (kind, header, columns) in files {
        for at in 0..columns.len() {
            let spoiled = row(columns, at);
            // Quantities and shares of them are numbers of their own, and no number of a person.
            if matches!(
                header.split(',').nth(at),
                Some("required" | "allocated" | "delivered" | "quantity" | "households")
            ) {
                continue;
            }
            home.write("file.csv", &format!("{header}\n{spoiled}\n"));
            let mut arguments = vec!["import", kind, "file.csv", "--report", "report.json", "--accept-rejects"];
            if kind == "distributions" {
                arguments.extend(["--source", "dinas"]);
            }
            let run = salur(home, db, &arguments);
            Cage::listen(kind, &format!("{}{}", run.out, run.err));
            if home.path("report.json").exists() {
                Cage::listen("a report", &home.read("report.json"));
            }
        }
    }
    let name = canary();
    let source = canary();
    for arguments in [
        ["organization", "add", "--name", &name, "--category", "BUSINESS"].as_slice(),
        &["import", "distributions", "file.csv", "--source", &source],
    ] {
        let run = salur(home, db, arguments);
        assert_eq!(run.code, 2, "{run:?}");
    }
    fs::remove_file(home.path("file.csv")).expect("the last one");
}

async fn a_national_id_is_kept_and_repeated_nowhere(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 100).await;
    let other = town.need(RT_11, DEVICE, 100).await;
    let home = home_of(&town);
    let mut command = ServerProcess::command(town.db.url(), &home.path(""));
    command.env("SALUR_LOG", "trace");
    let server = ServerProcess::spawn(command, &home.path("")).await;
    let cage = Cage::default();
    let canary = || cage.next();
    let schema = Schema::read(&town).await;
    let documents = documents(&schema, &need, &canary);
    let json = ("content-type", "application/json");
    let cookie = session_of(&town, server.address).await;
    let mut asked = 0;
    for (document, variables) in &documents {
        let body = json!({"query": document, "variables": variables}).to_string();
        let callers: &[Who] =
            if document.starts_with("mutation") { &[Who::Admin, Who::DonorA] } else { &[Who::Anonymous, Who::Admin] };
        let keys = callers.iter().map(|who| town.key_of(*who).map(|key| format!("Bearer {key}")));
        let mut each: Vec<Vec<(&str, String)>> =
            keys.map(|k| k.map(|k| ("authorization", k)).into_iter().collect()).collect();
        if document.starts_with("mutation") {
            each.push(vec![("cookie", cookie.clone()), ("salur-page", "1".into())]);
        }
        for more in each {
            let mut headers = vec![json];
            headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
            let reply = request(server.address, "POST", "/graphql", &headers, &body).await;
            Cage::listen(document, &format!("{}{}", reply.head, reply.body));
            asked += 1;
        }
    }
    // Words that reach their record where all else is right are refused by name.
    let claim = town.promises(Who::DonorA, &[(&other, 10)], json!({})).await;
    for (field, query) in [
        ("reason", "mutation($id: ID!, $t: String!) { releaseClaim(id: $id, reason: $t) { id } }"),
        ("note", "mutation($id: ID!, $t: String!) { recordDelivery(id: $id, note: $t) { id } }"),
    ] {
        let id = match field {
            "note" => json!(town.schedules(Who::DonorA, &claim, &[(&claim["lines"][0]["id"], 2)]).await),
            _ => claim["id"].clone(),
        };
        let answer = town.ask(Who::DonorA, query, json!({"id": id, "t": format!("untuk {}", canary())})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_INPUT", "{answer}");
        assert!(
            answer["errors"][0]["message"].as_str().is_some_and(|m| m.contains(field) && m.contains("NIK")),
            "{answer}"
        );
        Cage::listen("an answer", &answer.to_string());
    }
    // In the document itself, its names, a path, a header, a key, and over a WebSocket.
    let loose = canary().replace(' ', "");
    for (method, path, headers, body) in [
        (
            "POST",
            "/graphql".to_owned(),
            vec![json],
            json!({"query": format!("query Q{loose} {{ a{loose}: programs {{ key }} nik{loose} }} # {}", canary())})
                .to_string(),
        ),
        ("POST", "/graphql".to_owned(), vec![json], format!("{{\"query\": {loose}, \"operationName\": \"{loose}\"")),
        ("GET", format!("/{loose}?nik={loose}"), vec![("authorization", loose.as_str())], String::new()),
        ("GET", format!("/export/{loose}.csv"), vec![], String::new()),
        ("GET", format!("/export/needs.csv?area={loose}"), vec![], String::new()),
        ("GET", format!("/export/3w.csv?item={loose}"), vec![], String::new()),
        ("GET", format!("/export/3w.csv?{loose}=1"), vec![], String::new()),
        (
            "POST",
            "/graphql".to_owned(),
            vec![
                json,
                ("authorization", &format!("Bearer {loose}")),
                ("traceparent", &loose),
                ("salur-read-after", &loose),
            ],
            one_question(),
        ),
    ] {
        let reply = request(server.address, method, &path, &headers, &body).await;
        // A name that the caller gave a field is the caller's own answer.
        Cage::listen(&path, &reply.body.replace(&format!("\"a{loose}\""), "").replace(&format!("\"nik{loose}\""), ""));
        asked += 1;
    }
    let mut live = Live::open(server.address).await;
    live.begin(None).await;
    live.subscribe(
        &loose,
        &format!("subscription {{ needsChanged(where: {{areaCode: \"{loose}\"}}) {{ id }} }}"),
        json!({}),
    )
    .await;
    let message = live.next().await.expect("an answer").to_string();
    Cage::listen("a message", &message.replace(&format!("\"id\":\"{loose}\""), ""));
    drop(live);
    import_everything(&home, &town.db, &canary);
    salur(&home, &town.db, &["audit", "export", "--out", "log"]).ok();
    let figures = request(server.address, "GET", "/metrics", &[], "").await.body;
    Cage::listen("/metrics", &figures);
    server.terminate();
    drop(server);
    let kept = listen_in_tables(&town.db).await;
    let bytes = Cage::listen_in(&home.path(""));
    assert!(home.read("server.log").len() > 10_000, "the log says much");
    println!(
        "rig=canaries db={} n={} asked={asked} found=0 rows_or_bytes={kept} bytes_of_files={bytes}",
        town.db.kind(),
        cage.sent.load(Ordering::Relaxed)
    );
    town.check_books().await;
}

/// The cookies of an admin who has signed in with a password: some things are done by people alone.
async fn session_of(town: &Town, server: SocketAddr) -> String {
    let password = "hujan sore di kebun teh";
    let email = with_password(town, Who::Admin, password).await;
    let query = "mutation($e: String!, $p: String!) { signIn(email: $e, password: $p) { viewer { roles } } }";
    let body = json!({"query": query, "variables": {"e": email, "p": password}}).to_string();
    let reply =
        request(server, "POST", "/graphql", &[("content-type", "application/json"), ("salur-page", "1")], &body).await;
    assert_eq!(reply.json()["data"]["signIn"]["viewer"]["roles"], json!(["ADMIN"]), "{}", reply.body);
    let given = reply.head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    given.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
}

fn one_question() -> String {
    json!({"query": "{ programs { key } }"}).to_string()
}
