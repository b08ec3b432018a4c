//! How people get in, and how they are kept out: through browsers that keep cookies, with letters
//! that are read from the outbox.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use salur::audit::bundle;
use salur::domain::ids::UserId;
use salur::store::{ForgetThePast, SetPassword};
use serde_json::{Value, json};

use crate::harness::actors::{CLAIM, FAR_RT, FOOD, RT_11, Town, Who, claim_lines, text};
use crate::harness::app::{Reply, code_of, request_from};
use crate::harness::books::{connect, lay_out_log};
use crate::harness::database::TestDatabase;
use crate::harness::process::until;
use crate::on_both_databases;

on_both_databases!(
    an_organisation_signs_up_waits_is_approved_and_claims,
    an_address_that_has_an_account_is_told_so_by_letter_alone,
    a_session_serves_our_own_page_and_no_other,
    a_token_is_changed_on_the_way_and_an_old_one_that_comes_back_ends_the_session,
    a_session_ends_when_its_time_has_come,
    signing_out_ends_this_session_and_no_other,
    a_letter_opens_a_new_password_once_and_ends_all_sessions,
    whoever_guesses_is_stopped_and_the_owner_is_not,
    known_and_unknown_addresses_answer_alike,
    a_key_does_what_it_was_made_for_until_it_is_revoked,
    a_member_is_invited_suspended_and_let_in_again,
    what_is_taken_from_a_reader_ends_their_open_subscription,
    an_aggregator_whose_permit_has_lapsed_claims_and_carries_out_nothing,
    nobody_verifies_what_they_have_reported,
    an_erased_account_leaves_no_address_and_a_log_that_verifies,
    an_account_that_was_shut_out_for_a_year_is_erased_and_the_log_verifies,
    an_organisation_that_is_refused_or_suspended_is_told_why_and_claims_nothing,
);

const PASSWORD: &str = "kuda baterai staples benar";
const OTHER: &str = "hujan sore di kebun teh";

const SIGN_IN: &str = "mutation($e: String!, $p: String!) { signIn(email: $e, password: $p) { viewer { email } } }";
const VIEWER: &str = "{ viewer { email } }";

/// A browser with its cookies, somewhere.
struct Browser<'a> {
    town: &'a Town,
    from: IpAddr,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    fn at(town: &'a Town, last: u8) -> Browser<'a> {
        Browser { town, from: IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), cookies: RefCell::default() }
    }

    fn new(town: &'a Town) -> Browser<'a> {
        Browser::at(town, 1)
    }

    fn cookie_header(&self) -> String {
        let cookies = self.cookies.borrow();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// With the headers of our own page, and those given.
    async fn send(&self, headers: &[(&str, &str)], query: &str, variables: Value) -> Reply {
        let cookies = self.cookie_header();
        let mut all = vec![("content-type", "application/json"), ("user-agent", "Mozilla (Android) Firefox/1")];
        if !cookies.is_empty() {
            all.push(("cookie", &cookies));
        }
        all.extend(headers);
        let body = json!({"query": query, "variables": variables}).to_string();
        let reply = request_from(self.from, self.town.app.address, "POST", "/graphql", &all, &body).await;
        for line in reply.head.lines().filter_map(|l| l.strip_prefix("set-cookie: ")) {
            assert!(line.contains("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="), "{line}");
            let (name, value) = line.split(';').next().and_then(|c| c.split_once('=')).expect("a cookie");
            assert!(name.starts_with("__Host-"), "{line}");
            match value {
                "" => self.cookies.borrow_mut().remove(name),
                value => self.cookies.borrow_mut().insert(name.into(), value.into()),
            };
        }
        reply
    }

    async fn ask(&self, query: &str, variables: Value) -> Value {
        self.send(&[("salur-page", "1")], query, variables).await.json()
    }

    async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    async fn signs_in(&self, email: &str, password: &str) -> Value {
        self.ask(SIGN_IN, json!({"e": email, "p": password})).await
    }

    async fn viewer(&self) -> Value {
        self.data(VIEWER, json!({})).await["viewer"]["email"].take()
    }

    fn token(&self) -> String {
        self.cookies.borrow().get("__Host-salur").cloned().unwrap_or_default()
    }
}

/// Gives one of the town's people a password, as if they had followed a letter.
pub async fn with_password(town: &Town, who: Who, password: &str) -> String {
    let email = text(&town.data(who, VIEWER, json!({})).await["viewer"]["email"]);
    let login = town.store().login(&email).await.expect("accounts are read").expect("an account");
    let set = SetPassword { user: login.user, password_hash: argon2_of(password), keep: None };
    town.store().execute(set).await.expect("a password is taken");
    email
}

/// What is kept of a password.
fn argon2_of(password: &str) -> String {
    use argon2::password_hash::PasswordHasher;
    let hashed: argon2::password_hash::phc::PasswordHash =
        argon2::Argon2::default().hash_password_with_salt(password.as_bytes(), &[7; 16]).expect("hashed");
    hashed.to_string()
}

/// The tokens behind the links of an address's letters, the latest last, with their kinds.
async fn letters(town: &Town, to: &str) -> Vec<(String, String)> {
    let all = town.store().outbox(true).await.expect("the outbox is read");
    let of = all.into_iter().filter(|row| row.recipient == to);
    let mut found: Vec<(i64, String, String)> = of
        .map(|row| {
            let words = row.message.map(|message| message.letter().body).unwrap_or_default();
            let token = words.split_once('#').map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default());
            (row.id, row.kind, token.unwrap_or_default().to_owned())
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, kind, token)| (kind, token)).collect()
}

async fn latest(town: &Town, to: &str, kind: &str) -> String {
    let found = letters(town, to).await.into_iter().rfind(|(of, _)| of == kind);
    found.unwrap_or_else(|| panic!("{to} got no {kind}")).1
}

const SIGN_UP: &str = "mutation($input: SignUpInput!) { signUp(input: $input) }";
const CONFIRM: &str = "mutation($t: String!) { confirmSignUp(token: $t) { viewer { email roles manager } } }";

fn sign_up(email: &str, name: &str, more: Value) -> Value {
    let mut organization = json!({"name": name, "category": "BUSINESS"});
    for (field, value) in more.as_object().expect("more fields") {
        organization[field] = value.clone();
    }
    json!({"input": {"email": email, "password": PASSWORD, "organization": organization}})
}

async fn an_organisation_signs_up_waits_is_approved_and_claims(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let browser = Browser::new(&town);
    let weak = json!({"input": {"email": "dian@toko.example", "password": "dian@toko.example",
        "organization": {"name": "Toko Baru", "category": "BUSINESS"}}});
    assert_eq!(code_of(&browser.ask(SIGN_UP, weak).await), "BAD_INPUT");
    let unpermitted = sign_up("mitra@toko.example", "Mitra Baru", json!({"aggregator": true}));
    assert_eq!(code_of(&browser.ask(SIGN_UP, unpermitted).await), "BAD_INPUT");
    let lapsing = json!({"kind": "PERMIT", "number": "P-9", "issuer": "Kemensos", "validUntil": "2020-12-31"});
    let permitted = sign_up("mitra@toko.example", "Mitra Baru", json!({"aggregator": true, "documents": [lapsing]}));
    browser.data(SIGN_UP, permitted).await;
    browser.data(SIGN_UP, sign_up("Dian@Toko.example", "Toko Baru", json!({}))).await;
    assert_eq!(browser.viewer().await, Value::Null, "nobody is in before the letter was read");
    let token = latest(&town, "dian@toko.example", "CONFIRM_SIGN_UP").await;
    let made = browser.data(CONFIRM, json!({"t": token})).await;
    assert_eq!(
        made["confirmSignUp"]["viewer"],
        json!({"email": "dian@toko.example", "roles": ["DONOR"], "manager": true})
    );
    let own = "{ viewer { organization { id name status members { email manager } documents { number } } } }";
    let own = browser.data(own, json!({})).await["viewer"]["organization"].take();
    let organization = own["id"].clone();
    assert_eq!(
        own,
        json!({"id": organization, "name": "Toko Baru", "status": "PENDING", "documents": [],
            "members": [{"email": "dian@toko.example", "manager": true}]})
    );
    assert_eq!(browser.viewer().await, "dian@toko.example");
    assert_eq!(code_of(&browser.ask(CONFIRM, json!({"t": token})).await), "BAD_INPUT", "a link works once");
    let claim = async || {
        let input = json!({"idempotencyKey": town.fresh(), "lines": claim_lines(&[(&need, 1)])});
        browser.ask(CLAIM, json!({"input": input})).await
    };
    assert_eq!(code_of(&claim().await), "FORBIDDEN");
    let waiting = "{ organizations(status: PENDING) { id name } }";
    let listed = town.data(Who::Admin, waiting, json!({})).await;
    assert!(listed["organizations"].as_array().is_some_and(|all| all.iter().any(|o| o["id"] == organization)));
    let approve = "mutation($id: ID!) { approveOrganization(id: $id) { status aggregator } }";
    let approved = town.data(Who::Admin, approve, json!({"id": organization})).await;
    assert_eq!(approved["approveOrganization"], json!({"status": "VERIFIED", "aggregator": false}));
    latest(&town, "dian@toko.example", "ORGANIZATION_APPROVED").await;
    until("an approved organisation claims", async || claim().await["errors"].is_null()).await;
    town.check_books().await;
}

async fn an_address_that_has_an_account_is_told_so_by_letter_alone(db: TestDatabase) {
    let town = Town::new(db).await;
    let browser = Browser::new(&town);
    let fresh = browser.ask(SIGN_UP, sign_up("baru@lain.example", "Lain", json!({}))).await;
    let known = browser.ask(SIGN_UP, sign_up("a@donor.example", "Lain Lagi", json!({}))).await;
    assert_eq!(fresh["data"], known["data"]);
    latest(&town, "a@donor.example", "ACCOUNT_EXISTS").await;
    let taken = browser.ask(SIGN_UP, sign_up("dua@lain.example", "Donor A", json!({}))).await;
    assert_eq!(taken["data"], fresh["data"]);
    let token = latest(&town, "dua@lain.example", "CONFIRM_SIGN_UP").await;
    let refused = browser.ask(CONFIRM, json!({"t": token})).await;
    assert_eq!(code_of(&refused), "BAD_INPUT", "an organisation's name is not taken twice: {refused}");
    town.check_books().await;
}

async fn a_session_serves_our_own_page_and_no_other(db: TestDatabase) {
    let town = Town::new(db).await;
    let email = with_password(&town, Who::DonorA, PASSWORD).await;
    let browser = Browser::new(&town);
    assert_eq!(browser.signs_in(&email, PASSWORD).await["data"]["signIn"]["viewer"]["email"], email.as_str());
    assert_eq!(browser.viewer().await, email.as_str());
    for (headers, code) in [
        (vec![("salur-page", "1"), ("origin", "http://salur.test"), ("sec-fetch-site", "same-origin")], ""),
        (vec![], "FORBIDDEN"),
        (vec![("salur-page", "1"), ("origin", "https://evil.example")], "FORBIDDEN"),
        (vec![("salur-page", "1"), ("sec-fetch-site", "cross-site")], "FORBIDDEN"),
        (vec![("salur-page", "1"), ("authorization", "Bearer slr_x")], "BAD_INPUT"),
    ] {
        let reply = browser.send(&headers, VIEWER, json!({})).await;
        assert_eq!(reply.code(), code, "{headers:?}: {}", reply.body);
    }
    // What is kept opens nothing for whoever reads it there.
    let own = connect(&town.db).await;
    let kept = crate::harness::books::rows(&town.db, &own, "SELECT label AS text FROM session").await;
    let label: String = kept[0].try_get("", "text").expect("a label");
    assert_eq!((kept.len(), label.as_str()), (1, "Firefox, Android"));
    let sessions = browser.data("{ viewer { sessions { label current } } }", json!({})).await;
    assert_eq!(sessions["viewer"]["sessions"], json!([{"label": "Firefox, Android", "current": true}]));
}

async fn a_token_is_changed_on_the_way_and_an_old_one_that_comes_back_ends_the_session(db: TestDatabase) {
    let town = Town::new(db).await;
    let email = with_password(&town, Who::DonorA, PASSWORD).await;
    let browser = Browser::new(&town);
    browser.signs_in(&email, PASSWORD).await;
    let first = browser.token();
    town.clock.advance(Duration::from_secs(16 * 60));
    // A second is what a server remembers; then it reads the session anew and changes the token.
    until("the token is changed", async || {
        assert_eq!(browser.viewer().await, email.as_str());
        browser.token() != first
    })
    .await;
    // The new one may be lost on the way: the old one is good until the new one was used.
    let lost = Browser::new(&town);
    lost.cookies.borrow_mut().insert("__Host-salur".into(), first.clone());
    assert_eq!(lost.viewer().await, email.as_str());
    let confirmed = async || {
        let sql = "SELECT count(*) AS n FROM session WHERE previous_until IS NOT NULL";
        assert_eq!(browser.viewer().await, email.as_str());
        crate::harness::books::count(&town.db, sql).await == 1
    };
    until("the new token was used", confirmed).await;
    town.clock.advance(Duration::from_secs(61));
    until("the old token ends the session", async || lost.viewer().await.is_null()).await;
    until("for everybody who holds it", async || browser.viewer().await.is_null()).await;
    assert_eq!(browser.token(), "", "the browser forgets a session that is over");
}

async fn a_session_ends_when_its_time_has_come(db: TestDatabase) {
    let town = Town::new(db).await;
    let donor = with_password(&town, Who::DonorA, PASSWORD).await;
    let admin = with_password(&town, Who::Admin, PASSWORD).await;
    let (phone, desk) = (Browser::new(&town), Browser::new(&town));
    phone.signs_in(&donor, PASSWORD).await;
    desk.signs_in(&admin, PASSWORD).await;
    town.clock.advance(Duration::from_secs(3 * 3_600));
    until("an admin who left is signed out", async || desk.viewer().await.is_null()).await;
    assert_eq!(phone.viewer().await, donor.as_str());
    town.clock.advance(Duration::from_secs(15 * 86_400));
    until("and so is a phone that nobody used", async || phone.viewer().await.is_null()).await;
    // What is over is kept for a week, for those who look after a misuse.
    let kept = async || crate::harness::books::count(&town.db, "SELECT count(*) AS n FROM session").await;
    assert_eq!(kept().await, 2);
    town.store().execute(ForgetThePast).await.expect("the past is forgotten");
    assert_eq!(kept().await, 1, "the admin's ended long ago");
    town.clock.advance(Duration::from_secs(60 * 86_400));
    town.store().execute(ForgetThePast).await.expect("the past is forgotten");
    assert_eq!(kept().await, 0);
}

async fn signing_out_ends_this_session_and_no_other(db: TestDatabase) {
    let town = Town::new(db).await;
    let email = with_password(&town, Who::DonorA, PASSWORD).await;
    let (one, two, three) = (Browser::new(&town), Browser::new(&town), Browser::new(&town));
    for browser in [&one, &two, &three] {
        browser.signs_in(&email, PASSWORD).await;
    }
    let kept = one.token();
    one.data("mutation { signOut }", json!({})).await;
    assert_eq!(one.token(), "");
    one.cookies.borrow_mut().insert("__Host-salur".into(), kept);
    assert_eq!(one.viewer().await, Value::Null);
    assert_eq!(two.viewer().await, email.as_str());
    let sessions = two.data("{ viewer { sessions { id current } } }", json!({})).await;
    let all = sessions["viewer"]["sessions"].as_array().expect("sessions").clone();
    assert_eq!(all.len(), 2);
    let other = all.iter().find(|s| s["current"] == false).expect("the third one's");
    two.data("mutation($id: ID!) { endSession(id: $id) }", json!({"id": other["id"]})).await;
    assert_eq!(three.viewer().await, Value::Null);
    let b = with_password(&town, Who::DonorB, PASSWORD).await;
    let foreign = Browser::new(&town);
    foreign.signs_in(&b, PASSWORD).await;
    let mine = all.iter().find(|s| s["current"] == true).expect("the second one's");
    let refused = foreign.ask("mutation($id: ID!) { endSession(id: $id) }", json!({"id": mine["id"]})).await;
    assert_eq!(code_of(&refused), "NOT_FOUND");
    assert_eq!(two.viewer().await, email.as_str());
}

async fn a_letter_opens_a_new_password_once_and_ends_all_sessions(db: TestDatabase) {
    let town = Town::new(db).await;
    let email = with_password(&town, Who::DonorA, PASSWORD).await;
    let (old, new) = (Browser::new(&town), Browser::new(&town));
    old.signs_in(&email, PASSWORD).await;
    new.data("mutation($e: String!) { requestPasswordReset(email: $e) }", json!({"e": email})).await;
    let token = latest(&town, &email, "RESET_PASSWORD").await;
    let reset = "mutation($t: String!, $p: String!) { resetPassword(token: $t, password: $p) { viewer { email } } }";
    assert_eq!(code_of(&new.ask(reset, json!({"t": token, "p": "short"})).await), "BAD_INPUT");
    new.data(reset, json!({"t": token, "p": OTHER})).await;
    assert_eq!(new.viewer().await, email.as_str());
    assert_eq!(old.viewer().await, Value::Null);
    assert_eq!(code_of(&new.ask(reset, json!({"t": token, "p": PASSWORD})).await), "BAD_INPUT");
    assert_eq!(code_of(&old.signs_in(&email, PASSWORD).await), "UNAUTHENTICATED");
    assert!(old.signs_in(&email, OTHER).await["errors"].is_null());
    let change = "mutation($o: String!, $n: String!) { changePassword(oldPassword: $o, newPassword: $n) }";
    assert_eq!(code_of(&old.ask(change, json!({"o": PASSWORD, "n": PASSWORD})).await), "BAD_INPUT");
    old.data(change, json!({"o": OTHER, "n": PASSWORD})).await;
    assert_eq!(old.viewer().await, email.as_str());
    assert_eq!(new.viewer().await, Value::Null, "the other sessions end");
    // A link that lies about for an hour opens nothing.
    new.data("mutation($e: String!) { requestPasswordReset(email: $e) }", json!({"e": email})).await;
    let late = latest(&town, &email, "RESET_PASSWORD").await;
    town.clock.advance(Duration::from_secs(3_600));
    assert_eq!(code_of(&new.ask(reset, json!({"t": late, "p": OTHER})).await), "BAD_INPUT");
    town.check_books().await;
}

async fn whoever_guesses_is_stopped_and_the_owner_is_not(db: TestDatabase) {
    let town = Town::new(db).await;
    let email = with_password(&town, Who::DonorA, PASSWORD).await;
    let owner = Browser::at(&town, 10);
    assert!(owner.signs_in(&email, PASSWORD).await["errors"].is_null());
    // One who guesses from one place is stopped there, also where they come upon it in the end.
    let guesser = Browser::at(&town, 20);
    let mut codes = Vec::new();
    for guess in 0..12 {
        codes.push(code_of(&guesser.signs_in(&email, &format!("tebakan {guess}")).await));
    }
    assert_eq!(codes.iter().filter(|code| *code == "UNAUTHENTICATED").count(), 10, "{codes:?}");
    assert_eq!(code_of(&guesser.signs_in(&email, PASSWORD).await), "RATE_LIMITED");
    let elsewhere = Browser::at(&town, 30);
    assert!(elsewhere.signs_in(&email, PASSWORD).await["errors"].is_null(), "one place is not another");
    // Many places at once are stopped, too; the owner's own device is not one of them.
    for place in 40..46 {
        let one = Browser::at(&town, place);
        for guess in 0..9 {
            one.signs_in(&email, &format!("tebakan {guess}")).await;
        }
    }
    assert_eq!(code_of(&Browser::at(&town, 50).signs_in(&email, PASSWORD).await), "RATE_LIMITED");
    owner.data("mutation { signOut }", json!({})).await;
    assert!(owner.signs_in(&email, PASSWORD).await["errors"].is_null(), "a known device goes on");
    // And a letter lets the owner in on a new one.
    let phone = Browser::at(&town, 60);
    phone.data("mutation($e: String!) { requestPasswordReset(email: $e) }", json!({"e": email})).await;
    let reset = "mutation($t: String!, $p: String!) { resetPassword(token: $t, password: $p) { viewer { email } } }";
    phone.data(reset, json!({"t": latest(&town, &email, "RESET_PASSWORD").await, "p": OTHER})).await;
    assert_eq!(phone.viewer().await, email.as_str());
    // What is counted names nobody, and passes.
    town.clock.advance(Duration::from_secs(3_600));
    assert!(guesser.signs_in(&email, OTHER).await["errors"].is_null());
}

async fn known_and_unknown_addresses_answer_alike(db: TestDatabase) {
    let town = Town::new(db).await;
    let email = with_password(&town, Who::DonorA, PASSWORD).await;
    let (one, two) = (Browser::at(&town, 10), Browser::at(&town, 20));
    let bare = |mut answer: Value| {
        answer["extensions"].take();
        answer
    };
    for _ in 0..12 {
        let known = bare(one.signs_in(&email, "salah sekali").await);
        let unknown = bare(two.signs_in("tidak@ada.example", "salah sekali").await);
        assert_eq!(known, unknown);
    }
    let ask = "mutation($e: String!) { requestPasswordReset(email: $e) }";
    for _ in 0..7 {
        let known = bare(one.ask(ask, json!({"e": email})).await);
        assert_eq!(known, bare(two.ask(ask, json!({"e": "tidak@ada.example"})).await));
    }
    assert_eq!(letters(&town, &email).await.len(), 5, "nobody is buried in letters");
    assert!(letters(&town, "tidak@ada.example").await.is_empty());
}

async fn a_key_does_what_it_was_made_for_until_it_is_revoked(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let email = with_password(&town, Who::DonorA, PASSWORD).await;
    let browser = Browser::new(&town);
    browser.signs_in(&email, PASSWORD).await;
    let create = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) {
        key apiKey { id label scopes prefix } } }";
    let made = browser.data(create, json!({"input": {"label": "Gudang", "scopes": ["READ"]}})).await;
    let (key, id) = (text(&made["createApiKey"]["key"]), made["createApiKey"]["apiKey"]["id"].clone());
    let ask = async |query: &str, variables: Value| town.app.ask(Some(&key), query, variables).await;
    assert_eq!(ask(VIEWER, json!({})).await["data"]["viewer"]["email"], email.as_str());
    let input = json!({"idempotencyKey": town.fresh(), "lines": claim_lines(&[(&need, 1)])});
    assert_eq!(code_of(&ask(CLAIM, json!({"input": input})).await), "FORBIDDEN");
    for of_people in [
        "mutation { createApiKey(input: {label: \"x\", scopes: [READ]}) { key } }",
        "mutation { changePassword(oldPassword: \"a\", newPassword: \"b\") }",
        "mutation { eraseAccount }",
        "{ viewer { sessions { id } } }",
    ] {
        assert_eq!(code_of(&ask(of_people, json!({})).await), "FORBIDDEN", "{of_people}");
    }
    let listed = browser.data("{ viewer { apiKeys { id label scopes } } }", json!({})).await;
    assert!(
        listed["viewer"]["apiKeys"].as_array().is_some_and(|all| all.contains(&json!({"id": id,
        "label": "Gudang", "scopes": ["READ"]}))),
        "{listed}"
    );
    browser.data("mutation($id: ID!) { revokeApiKey(id: $id) }", json!({"id": id})).await;
    assert_eq!(code_of(&ask(VIEWER, json!({})).await), "UNAUTHENTICATED");
    town.check_books().await;
}

async fn a_member_is_invited_suspended_and_let_in_again(db: TestDatabase) {
    let town = Town::new(db).await;
    let boss = Browser::new(&town);
    boss.data(SIGN_UP, sign_up("bos@toko.example", "Toko", json!({}))).await;
    boss.data(CONFIRM, json!({"t": latest(&town, "bos@toko.example", "CONFIRM_SIGN_UP").await})).await;
    let invite = "mutation($input: InviteMemberInput!) { inviteMember(input: $input) }";
    boss.data(invite, json!({"input": {"email": "staf@toko.example", "roles": ["DONOR"]}})).await;
    for (input, code) in [
        (json!({"email": "x@toko.example", "roles": ["ADMIN"]}), "FORBIDDEN"),
        (json!({"email": "x@toko.example", "roles": []}), "BAD_INPUT"),
        (
            json!({"email": "x@toko.example", "roles": ["DONOR"], "organizationId": town.organizations[0].to_string()}),
            "NOT_FOUND",
        ),
    ] {
        assert_eq!(code_of(&boss.ask(invite, json!({"input": input})).await), code, "{input}");
    }
    let staff = Browser::new(&town);
    let accept = "mutation($t: String!, $p: String) { acceptInvitation(token: $t, password: $p) {
        viewer { email roles manager organization { name members { id } } } } }";
    let token = latest(&town, "staf@toko.example", "INVITATION").await;
    assert_eq!(code_of(&staff.ask(accept, json!({"t": token})).await), "BAD_INPUT", "a new account needs a password");
    let joined = staff.data(accept, json!({"t": token, "p": OTHER})).await;
    assert_eq!(
        joined["acceptInvitation"]["viewer"],
        json!({"email": "staf@toko.example", "roles": ["DONOR"], "manager": false,
            "organization": {"name": "Toko", "members": null}})
    );
    assert_eq!(
        code_of(&staff.ask(invite, json!({"input": {"email": "y@toko.example", "roles": ["DONOR"]}})).await),
        "FORBIDDEN"
    );
    let members = boss.data("{ viewer { organization { members { id email suspended } } } }", json!({})).await;
    let all = members["viewer"]["organization"]["members"].as_array().expect("members").clone();
    let id = all.iter().find(|m| m["email"] == "staf@toko.example").expect("the member")["id"].clone();
    boss.data("mutation($id: ID!) { suspendMember(id: $id) }", json!({"id": id})).await;
    assert_eq!(staff.viewer().await, Value::Null);
    assert_eq!(code_of(&staff.signs_in("staf@toko.example", OTHER).await), "UNAUTHENTICATED");
    boss.data("mutation($id: ID!) { reinstateMember(id: $id) }", json!({"id": id})).await;
    assert!(staff.signs_in("staf@toko.example", OTHER).await["errors"].is_null());
    // Somebody else's members are nobody's one may meddle with.
    let foreign = town.store().login("a@donor.example").await.expect("read").expect("an account").user.to_string();
    let refused = boss.ask("mutation($id: ID!) { suspendMember(id: $id) }", json!({"id": foreign})).await;
    assert_eq!(code_of(&refused), "NOT_FOUND");
    // Officials are invited by an admin.
    town.data(
        Who::Admin,
        invite,
        json!({"input": {"email": "rw@kota.example", "roles": ["AREA_OFFICER"],
        "areaCode": "31.71.01.1001.001"}}),
    )
    .await;
    let officer = Browser::new(&town);
    let token = latest(&town, "rw@kota.example", "INVITATION").await;
    let joined = officer
        .data(
            "mutation($t: String!, $p: String) { acceptInvitation(token: $t, password: $p) {
        viewer { roles areaCode } } }",
            json!({"t": token, "p": OTHER}),
        )
        .await;
    assert_eq!(
        joined["acceptInvitation"]["viewer"],
        json!({"roles": ["AREA_OFFICER"], "areaCode": "31.71.01.1001.001"})
    );
    town.check_books().await;
}

async fn what_is_taken_from_a_reader_ends_their_open_subscription(db: TestDatabase) {
    let town = Town::new(db).await;
    let officer = town.store().login("dekat@rw.example").await.expect("read").expect("an account").user;
    let mut live = town.app.live().await;
    live.begin(town.key_of(Who::Officer)).await;
    live.subscribe("1", "subscription { needsChanged { id status } }", json!({})).await;
    let view = "{west: 106, south: -7, east: 107, north: -6}";
    let sums = format!("subscription {{ areaCoverageChanged(level: RT, view: {view}) {{ area {{ code }} }} }}");
    live.subscribe("2", &sums, json!({})).await;
    assert_eq!(live.next().await.expect("the connection is open")["id"], "2", "which stands");
    let revoke = "mutation($id: ID!) { revokeRole(id: $id, role: AREA_OFFICER) }";
    town.data(Who::Admin, revoke, json!({"id": officer.to_string()})).await;
    let mut ended = std::collections::BTreeSet::new();
    while ended.len() < 2 {
        let told = live.next().await.expect("the connection is open");
        if told["type"] == "next" {
            assert_eq!(told["payload"]["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{told}");
            ended.insert(text(&told["id"]));
        }
    }
    let denied = town.ask(Who::Officer, "{ overlaps { totalCount } }", json!({})).await;
    assert_eq!(code_of(&denied), "FORBIDDEN");
    // The last admin cannot be taken away.
    let admin = town.store().login("admin@kota.example").await.expect("read").expect("an account").user;
    let last = "mutation($id: ID!) { revokeRole(id: $id, role: ADMIN) }";
    assert_eq!(town.code(Who::Admin, last, json!({"id": admin.to_string()})).await, "ILLEGAL_TRANSITION");
    town.check_books().await;
}

async fn an_aggregator_whose_permit_has_lapsed_claims_and_carries_out_nothing(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let partner = town.organizations[2].to_string();
    let add = "mutation($o: ID!, $d: DocumentInput!) { addDocument(organizationId: $o, document: $d) {
        documents { kind number validUntil } } }";
    let claims = async |who: Who, more: Value| {
        let mut input = json!({"idempotencyKey": town.fresh(), "lines": claim_lines(&[(&need, 1)])});
        for (name, value) in more.as_object().expect("fields") {
            input[name] = value.clone();
        }
        town.ask(who, CLAIM, json!({"input": input})).await
    };
    assert!(claims(Who::Aggregator, json!({})).await["errors"].is_null(), "vouched for, without papers");
    let lapsed = json!({"kind": "PERMIT", "number": "P-1", "issuer": "Kemensos", "validFrom": "2019-01-01",
        "validUntil": "2019-12-31", "areaCode": "31"});
    town.data(Who::Admin, add, json!({"o": partner, "d": lapsed})).await;
    until("a lapsed permit stops its aggregator", async || {
        code_of(&claims(Who::Aggregator, json!({})).await) == "FORBIDDEN"
    })
    .await;
    let other = claims(Who::DonorA, json!({"executorId": partner})).await;
    assert_eq!(code_of(&other), "BAD_INPUT", "and whoever names it: {other}");
    let good = json!({"kind": "PERMIT", "number": "P-2", "issuer": "Kemensos", "validFrom": "2020-01-01"});
    let papers = town.data(Who::Admin, add, json!({"o": partner, "d": good})).await;
    assert_eq!(papers["addDocument"]["documents"].as_array().map(Vec::len), Some(2));
    until("a good one lets it go on", async || claims(Who::Aggregator, json!({})).await["errors"].is_null()).await;
    assert!(claims(Who::DonorA, json!({"executorId": partner})).await["errors"].is_null());
    // Papers are for those whom they concern.
    let papers = "query($o: ID!) { organization(id: $o) { name documents { number } members { email } } }";
    for who in [Who::Anonymous, Who::DonorA, Who::Officer] {
        let seen = town.data(who, papers, json!({"o": partner})).await;
        assert_eq!(seen["organization"], json!({"name": "Mitra", "documents": null, "members": null}), "{who:?}");
    }
    town.check_books().await;
}

async fn nobody_verifies_what_they_have_reported(db: TestDatabase) {
    let town = Town::new(db).await;
    let (near, _) = town.reports(RT_11, FOOD, 10, 3).await;
    let (far, _) = town.reports(FAR_RT, FOOD, 10, 3).await;
    let verify = "mutation($ids: [ID!]!) { verifyNeeds(ids: $ids) { status } }";
    assert_eq!(town.code(Who::Officer, verify, json!({"ids": [near]})).await, "FORBIDDEN");
    assert_eq!(town.code(Who::FarOfficer, verify, json!({"ids": [near]})).await, "NOT_FOUND");
    // All or none.
    assert_eq!(town.stands(&near).await["status"], "REPORTED");
    town.verifies(&[&near, &far]).await;
    assert_eq!(town.stands(&near).await["status"], "VERIFIED");
    town.check_books().await;
}

async fn an_erased_account_leaves_no_address_and_a_log_that_verifies(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    town.holds(Who::DonorA, &[(&need, 3)], json!({})).await;
    let email = with_password(&town, Who::DonorA, PASSWORD).await;
    let browser = Browser::new(&town);
    browser.signs_in(&email, PASSWORD).await;
    browser.data("mutation($e: String!) { requestPasswordReset(email: $e) }", json!({"e": email})).await;
    let claim = browser.data("{ viewer { claims { id } } }", json!({})).await["viewer"]["claims"][0]["id"].take();
    browser.data("mutation { eraseAccount }", json!({})).await;
    assert_eq!(browser.viewer().await, Value::Null);
    assert_eq!(code_of(&browser.signs_in(&email, PASSWORD).await), "UNAUTHENTICATED");
    assert_eq!(code_of(&town.ask(Who::DonorA, VIEWER, json!({})).await), "UNAUTHENTICATED", "its keys are gone, too");
    let own = connect(&town.db).await;
    lay_out_log(&town.db, &own).await;
    for sql in [
        "SELECT email AS text FROM app_user",
        "SELECT recipient AS text FROM outbox",
        "SELECT email AS text FROM one_time_link",
        "SELECT leaf || actor || subject AS text FROM audit_entry",
    ] {
        for row in crate::harness::books::rows(&town.db, &own, sql).await {
            let text: String = row.try_get("", "text").expect("a text");
            assert!(!text.contains(&email), "{sql}: {text}");
        }
    }
    let trail = "query($s: ID!) { auditTrail(subject: $s) { nodes { actor action } } }";
    let told = town.data(Who::Auditor, trail, json!({"s": claim})).await;
    assert_eq!(told["auditTrail"]["nodes"][0]["action"], "claim.open");
    let dir = town.app.home.join("log");
    salur::service::audit_log::export(town.store(), &town.app.key, &dir, &|_, _| {}).await.expect("an export");
    bundle::verify(&dir, &town.app.key.public_key(), None).expect("the log verifies");
    town.check_books().await;
    own.close().await.expect("closed");
}

async fn an_account_that_was_shut_out_for_a_year_is_erased_and_the_log_verifies(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    town.promises(Who::DonorB, &[(&need, 3)], json!({})).await;
    let members = "query($id: ID!) { organization(id: $id) { members { id email suspended } } }";
    let of_b = json!({"id": town.organizations[1].to_string()});
    let listed = town.data(Who::Admin, members, of_b.clone()).await;
    let id = listed["organization"]["members"][0]["id"].clone();
    for (mutation, days, there) in [
        ("suspendMember", 364, true),
        // Whoever was let in again begins anew.
        ("reinstateMember", 2, true),
        ("suspendMember", 364, true),
        ("suspendMember", 2, false),
    ] {
        let query = format!("mutation($id: ID!) {{ {mutation}(id: $id) }}");
        town.data(Who::Admin, &query, json!({"id": id})).await;
        town.clock.advance(Duration::from_secs(days * 86_400));
        town.store().execute(ForgetThePast).await.expect("the past is forgotten");
        let found = town.store().emails(&[UserId(number(&id))]).await.expect("addresses are read");
        let address = found.into_values().next().unwrap_or_default();
        assert_eq!(address.contains('@'), there, "{mutation}, {days} days on: {address}");
    }
    let dir = town.app.home.join("log");
    salur::service::audit_log::export(town.store(), &town.app.key, &dir, &|_, _| {}).await.expect("an export");
    bundle::verify(&dir, &town.app.key.public_key(), None).expect("the log verifies");
    town.check_books().await;
}

/// The number of an id such as `user-7`.
fn number(id: &Value) -> i64 {
    id.as_str().and_then(|id| id.rsplit('-').next()?.parse().ok()).expect("an id ends with a number")
}

async fn an_organisation_that_is_refused_or_suspended_is_told_why_and_claims_nothing(db: TestDatabase) {
    let town = Town::new(db).await;
    let need = town.need(RT_11, FOOD, 10).await;
    let browser = Browser::new(&town);
    browser.data(SIGN_UP, sign_up("x@toko.example", "Toko", json!({}))).await;
    browser.data(CONFIRM, json!({"t": latest(&town, "x@toko.example", "CONFIRM_SIGN_UP").await})).await;
    let own =
        browser.data("{ viewer { organization { id } } }", json!({})).await["viewer"]["organization"]["id"].take();
    let refuse = "mutation($id: ID!, $r: String!) { refuseOrganization(id: $id, reason: $r) { status } }";
    assert_eq!(code_of(&browser.ask(refuse, json!({"id": own, "r": "x"})).await), "FORBIDDEN");
    assert_eq!(town.code(Who::Admin, refuse, json!({"id": own, "r": " "})).await, "BAD_INPUT");
    town.data(Who::Admin, refuse, json!({"id": own, "r": "NIB tidak cocok"})).await;
    latest(&town, "x@toko.example", "ORGANIZATION_REFUSED").await;
    let why = browser.data("{ viewer { organization { status statusReason } } }", json!({})).await;
    assert_eq!(why["viewer"]["organization"], json!({"status": "SUSPENDED", "statusReason": "NIB tidak cocok"}));
    let input = json!({"idempotencyKey": town.fresh(), "lines": claim_lines(&[(&need, 1)])});
    assert_eq!(code_of(&browser.ask(CLAIM, json!({"input": input})).await), "FORBIDDEN");
    assert_eq!(town.code(Who::Admin, refuse, json!({"id": own, "r": "lagi"})).await, "ILLEGAL_TRANSITION");
    let reinstate = "mutation($id: ID!) { reinstateOrganization(id: $id) { status } }";
    town.data(Who::Admin, reinstate, json!({"id": own})).await;
    until("a reinstated organisation claims", async || {
        let input = json!({"idempotencyKey": town.fresh(), "lines": claim_lines(&[(&need, 1)])});
        browser.ask(CLAIM, json!({"input": input})).await["errors"].is_null()
    })
    .await;
    let a = town.organizations[0].to_string();
    let suspend = "mutation($id: ID!, $r: String!) { suspendOrganization(id: $id, reason: $r) { status } }";
    town.data(Who::Admin, suspend, json!({"id": a, "r": "dua kali kirim"})).await;
    let seen =
        town.data(Who::DonorB, "query($o: ID!) { organization(id: $o) { statusReason } }", json!({"o": a})).await;
    assert_eq!(seen["organization"]["statusReason"], Value::Null, "why is not everybody's business");
    town.check_books().await;
}
