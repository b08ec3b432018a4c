//! A city's single sign-on: a real provider, a browser that does what it is told, and people who try
//! what they should not.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use salur::domain::actor::Role;
use salur::store::{AddUser, NewUser, Store};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::figure;
use crate::cli::{Home, run};
use crate::harness::app::{Reply, request};
use crate::harness::books::{connect, count};
use crate::harness::database::TestDatabase;
use crate::harness::node::SignOnServer;
use crate::harness::process::ServerProcess;
use crate::harness::world::World;
use crate::on_both_databases;

on_both_databases!(
    who_was_entered_here_signs_in_by_their_city,
    an_answer_counts_once_and_only_for_the_browser_that_asked,
    nobody_gets_in_whom_the_city_does_not_vouch_for_or_who_is_not_known_here,
    an_address_that_passes_to_somebody_else_takes_no_account_along,
    nobody_is_sent_to_another_site,
    a_city_that_does_not_answer_is_said_to_be_away,
    single_sign_on_needs_all_its_settings_and_shows_none,
);

const PUBLIC: &str = "https://salur.example";
const CALLBACK: &str = "https://salur.example/auth/oidc/callback";

/// A server with a city's sign-on, and a user for `dian`.
struct City {
    world: World,
    sign_on: SignOnServer,
    server: ServerProcess,
    home: Home,
}

async fn enter(store: &Store, email: &str) {
    let user = NewUser { email: email.into(), role: Role::Auditor, organization: None, area: None };
    store.execute(AddUser { author: None, user }).await.expect("a user is taken");
}

impl City {
    async fn new(db: TestDatabase) -> City {
        let world = World::new(db).await;
        enter(&world.store, "dian@kota.example").await;
        let sign_on = SignOnServer::start(CALLBACK);
        let home = Home::new();
        let server = Self::serve(&world, &home, sign_on.address).await;
        City { world, sign_on, server, home }
    }

    async fn serve(world: &World, home: &Home, issuer: SocketAddr) -> ServerProcess {
        let mut command = ServerProcess::command(world.db.url(), &home.path(""));
        command.env("SALUR_PUBLIC_URL", PUBLIC).env("SALUR_OIDC_ISSUER", format!("http://{issuer}"));
        command.env("SALUR_OIDC_CLIENT_ID", "salur").env("SALUR_OIDC_CLIENT_SECRET", "geheim");
        ServerProcess::spawn(command, &home.path("")).await
    }

    fn browser(&self) -> Browser {
        Browser { server: self.server.address, city: self.sign_on.address, jars: BTreeMap::new() }
    }

    /// All the way, in a new browser.
    async fn sign_in(&self, name: &str) -> (Browser, Reply) {
        let mut browser = self.browser();
        let address = browser.depart("/").await;
        let answer = browser.sign_in_at_city(&address, name).await;
        let reply = browser.visit(self.server.address, "GET", &answer, "").await;
        (browser, reply)
    }
}

/// Keeps the cookies of each server, and shows them to it.
struct Browser {
    server: SocketAddr,
    city: SocketAddr,
    jars: BTreeMap<SocketAddr, BTreeMap<String, String>>,
}

/// The path of an address on any server.
fn path_of(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| &rest[rest.find('/').unwrap_or(rest.len())..])
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

impl Browser {
    async fn visit(&mut self, server: SocketAddr, method: &str, address: &str, form: &str) -> Reply {
        let jar = self.jars.entry(server).or_default();
        let cookies = jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let reply = request(server, method, path_of(address), &headers, form).await;
        for line in reply.head.lines() {
            let Some((name, cookie)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = cookie.split(';').next().and_then(|c| c.split_once('=')).expect("a cookie");
                match value {
                    "" => jar.remove(name),
                    _ => jar.insert(name.to_owned(), value.to_owned()),
                };
            }
        }
        reply
    }

    /// Asks to sign in, and answers where the city is to be asked.
    async fn depart(&mut self, return_to: &str) -> String {
        let reply = self.visit(self.server, "GET", &format!("/auth/oidc/start?return={return_to}"), "").await;
        assert_eq!(reply.status, 303, "{reply:?}");
        reply.header("location").expect("a way").to_owned()
    }

    /// Does at the city's what its pages ask for, and answers the address that it sends back to.
    async fn sign_in_at_city(&mut self, address: &str, name: &str) -> String {
        let mut reply = self.visit(self.city, "GET", address, "").await;
        for _ in 0..10 {
            if let Some(location) = reply.header("location").map(str::to_owned) {
                if location.starts_with(CALLBACK) {
                    return location;
                }
                reply = self.visit(self.city, "GET", &location, "").await;
                continue;
            }
            let action = between(&reply.body, "action=\"", "\"").unwrap_or_else(|| panic!("no form: {reply:?}"));
            let form = match between(&reply.body, "name=\"prompt\" value=\"", "\"") {
                Some("login") => format!("prompt=login&login={name}&password=apa-saja"),
                other => format!("prompt={}", other.expect("a prompt")),
            };
            let action = action.to_owned();
            reply = self.visit(self.city, "POST", &action, &form).await;
        }
        panic!("the city asks and asks: {reply:?}");
    }

    /// Whom this browser is signed in as.
    async fn viewer(&self) -> Value {
        let session = self.jars.get(&self.server).and_then(|jar| jar.get("__Host-salur"));
        let cookie = format!("__Host-salur={}", session.map_or("", String::as_str));
        let headers = [("content-type", "application/json"), ("salur-page", "1"), ("cookie", cookie.as_str())];
        let question = json!({"query": "{ viewer { roles sessions { current } } }"}).to_string();
        let reply = request(self.server, "POST", "/graphql", &headers, &question).await;
        reply.json()["data"]["viewer"].clone()
    }
}

/// The page for whoever is not let in, without a session.
fn is_refused(reply: &Reply, part: &str) {
    assert_eq!(reply.status, 403, "{reply:?}");
    assert!(reply.body.contains(part) && !reply.head.contains("__Host-salur="), "{reply:?}");
}

const NOT_HERE: &str = "no account here goes with";
const NOT_ASKED: &str = "was not begun in this browser";

async fn who_was_entered_here_signs_in_by_their_city(db: TestDatabase) {
    let city = City::new(db).await;
    let mut browser = city.browser();
    let address = browser.depart("/peta%3Farea%3D31.71").await;
    for part in ["response_type=code", "code_challenge_method=S256", "scope=openid+email", "state=", "nonce="] {
        assert!(address.contains(part), "{part}: {address}");
    }
    let answer = browser.sign_in_at_city(&address, "dian").await;
    let reply = browser.visit(city.server.address, "GET", &answer, "").await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/peta?area=31.71")), "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let session = reply.head.lines().find(|line| line.contains("__Host-salur=")).expect("a session");
    assert!(session.contains("Path=/; Secure; HttpOnly; SameSite=Lax"), "{session}");
    assert_eq!(browser.viewer().await, json!({"roles": ["AUDITOR"], "sessions": [{"current": true}]}));
    // From another browser, to the same account.
    let (other, _) = city.sign_in("dian").await;
    assert_eq!(other.viewer().await["sessions"].as_array().map(Vec::len), Some(2));
    assert_eq!(count(&city.world.db, "SELECT count(*) AS n FROM user_identity").await, 1);
    let log = city.home.read("server.log");
    let code = between(&answer, "code=", "&").expect("a code");
    for secret in [code, "dian", "geheim", "kota.example"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    let routes = "salur_http_requests_total{route=\"/auth/oidc/callback\",status=\"303\"}";
    assert_eq!(figure(city.server.address, routes).await, 2.0);
}

async fn an_answer_counts_once_and_only_for_the_browser_that_asked(db: TestDatabase) {
    let city = City::new(db).await;
    let server = city.server.address;
    let mut browser = city.browser();

    let address = browser.depart("/").await;
    let answer = browser.sign_in_at_city(&address, "dian").await;
    let kept = browser.jars.clone();
    let mut foreign = city.browser();
    is_refused(&foreign.visit(server, "GET", &answer, "").await, NOT_ASKED);
    foreign.depart("/").await;
    is_refused(&foreign.visit(server, "GET", &answer, "").await, NOT_ASKED);
    let state = between(&answer, "state=", "&").expect("a state");
    let other = answer.replace(state, &state.chars().rev().collect::<String>());
    is_refused(&browser.visit(server, "GET", &other, "").await, NOT_ASKED);

    browser.jars = kept.clone();
    assert_eq!(browser.visit(server, "GET", &answer, "").await.status, 303);
    is_refused(&browser.visit(server, "GET", &answer, "").await, NOT_ASKED);
    // Even with the cookie that was taken from it.
    browser.jars = kept;
    is_refused(&browser.visit(server, "GET", &answer, "").await, NOT_ASKED);

    for (changed, to) in
        [("nonce=", "nonce=n"), ("code_challenge=", "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&x=")]
    {
        let mut browser = city.browser();
        let address = browser.depart("/").await.replace(changed, to);
        let answer = browser.sign_in_at_city(&address, "dian").await;
        is_refused(&browser.visit(server, "GET", &answer, "").await, NOT_ASKED);
    }
    let mut browser = city.browser();
    let address = browser.depart("/").await;
    let state = between(&address, "state=", "&").expect("a state");
    let declined = format!("/auth/oidc/callback?error=access_denied&state={state}");
    is_refused(&browser.visit(server, "GET", &declined, "").await, "did not sign you in");
    let invented = format!("/auth/oidc/callback?code=karangan&state={state}");
    browser.depart("/").await;
    is_refused(&browser.visit(server, "GET", &invented, "").await, NOT_ASKED);
}

async fn nobody_gets_in_whom_the_city_does_not_vouch_for_or_who_is_not_known_here(db: TestDatabase) {
    let city = City::new(db).await;
    let (_, unsure) = city.sign_in("tamu.dian").await;
    is_refused(&unsure, NOT_HERE);
    let (_, unknown) = city.sign_in("orang").await;
    let own = connect(&city.world.db).await;
    let disable = |to: i64| format!("UPDATE app_user SET disabled = {to} WHERE email = 'dian@kota.example'");
    own.execute_unprepared(&disable(1)).await.expect("they are suspended");
    let (_, suspended) = city.sign_in("dian").await;
    own.execute_unprepared(&disable(0)).await.expect("they are back");
    let (browser, _) = city.sign_in("dian").await;
    assert_eq!(browser.viewer().await["roles"], json!(["AUDITOR"]));
    own.execute_unprepared(&disable(1)).await.expect("they are suspended again");
    let (_, suspended_again) = city.sign_in("dian").await;
    for reply in [&unknown, &suspended, &suspended_again] {
        assert_eq!((reply.status, &reply.body), (unsure.status, &unsure.body), "all alike");
    }
    assert_eq!(count(&city.world.db, "SELECT count(*) AS n FROM app_user WHERE email LIKE 'orang%'").await, 0);
    assert_eq!(count(&city.world.db, "SELECT count(*) AS n FROM user_identity").await, 1);
}

async fn an_address_that_passes_to_somebody_else_takes_no_account_along(db: TestDatabase) {
    let city = City::new(db).await;
    enter(&city.world.store, "maya@kota.example").await;
    let (maya, _) = city.sign_in("maya").await;
    assert_eq!(maya.viewer().await["roles"], json!(["AUDITOR"]));
    let (_, successor) = city.sign_in("maya.baru").await;
    is_refused(&successor, NOT_HERE);
    // Whom the city knows is known by its name for them, whatever address they are entered with here.
    let own = connect(&city.world.db).await;
    let renamed = "UPDATE app_user SET email = 'maya@lembaga.example' WHERE email = 'maya@kota.example'";
    own.execute_unprepared(renamed).await.expect("the address is another one");
    let (again, _) = city.sign_in("maya").await;
    assert_eq!(again.viewer().await["roles"], json!(["AUDITOR"]));
}

async fn nobody_is_sent_to_another_site(db: TestDatabase) {
    let city = City::new(db).await;
    for elsewhere in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example"] {
        let mut browser = city.browser();
        let address = browser.depart(elsewhere).await;
        let answer = browser.sign_in_at_city(&address, "dian").await;
        let reply = browser.visit(city.server.address, "GET", &answer, "").await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")), "{elsewhere}");
    }
}

async fn a_city_that_does_not_answer_is_said_to_be_away(db: TestDatabase) {
    let City { world, sign_on, server, home } = City::new(db).await;
    let address = sign_on.address;
    drop((sign_on, server));
    let server = City::serve(&world, &home, address).await;
    let away = request(server.address, "GET", "/auth/oidc/start", &[], "").await;
    assert_eq!(away.status, 503, "{away:?}");
    assert!(away.body.contains("does not answer"), "{away:?}");
    let plain = ServerProcess::start(world.db.url(), &home.path("")).await;
    for path in ["/auth/oidc/start", "/auth/oidc/callback?code=c&state=s"] {
        assert_eq!(
            request(plain.address, "GET", path, &[], "").await.status,
            404,
            "there is no single sign-on: {path}"
        );
    }
}

async fn single_sign_on_needs_all_its_settings_and_shows_none(db: TestDatabase) {
    let home = Home::new();
    let serve = |issuer: &str, secret: &str| {
        let environment = [
            ("SALUR_DATABASE", db.url()),
            ("SALUR_OIDC_ISSUER", issuer),
            ("SALUR_OIDC_CLIENT_ID", "salur"),
            ("SALUR_OIDC_CLIENT_SECRET", secret),
        ];
        let refused = run(&home, &environment, &["serve"]);
        assert!(!refused.err.contains("geheim"), "{refused:?}");
        refused
    };
    serve("https://sso.kota.example", "").fails(2, "needs all three of SALUR_OIDC_ISSUER");
    serve("http://sso.kota.example", "geheim").fails(2, "SALUR_OIDC_ISSUER must be the provider's address");
}
