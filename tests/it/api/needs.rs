//! What may be done with a need, in every state that it can be in.

use serde_json::{Value, json};

use crate::harness::actors::{FOOD, RT_11, Town, Who};
use crate::harness::app::code_of;
use crate::harness::database::TestDatabase;
use crate::on_both_databases;

on_both_databases!(a_need_takes_exactly_the_events_of_its_table);

/// States of a need of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reported,
    Verified,
    /// Six of it are promised.
    Promised,
    /// Six of it are delivered.
    Served,
    /// All of it is delivered.
    Filled,
    Closed,
    /// Closed while six of it were promised.
    ClosedPromised,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Verify,
    ReviseSeverity,
    /// To twelve.
    AskForMore,
    /// To seven.
    AskForLess,
    /// To five.
    AskForTooLittle,
    Close,
    /// One of it.
    Claim,
    Deliver,
    Release,
}

const STATES: [State; 7] = [
    State::Reported,
    State::Verified,
    State::Promised,
    State::Served,
    State::Filled,
    State::Closed,
    State::ClosedPromised,
];

const EVENTS: [Event; 9] = [
    Event::Verify,
    Event::ReviseSeverity,
    Event::AskForMore,
    Event::AskForLess,
    Event::AskForTooLittle,
    Event::Close,
    Event::Claim,
    Event::Deliver,
    Event::Release,
];

/// What comes of an event: the status, and what is required, allocated and delivered afterwards; or why not.
type Outcome = Result<(&'static str, [i64; 3]), &'static str>;

/// `None`: there is nothing of that kind to be done.
fn table(state: State, event: Event) -> Option<Outcome> {
    use State::{Closed, ClosedPromised, Filled, Promised, Reported, Served, Verified};
    let illegal = Some(Err("ILLEGAL_TRANSITION"));
    let (status, [required, allocated, delivered]) = match state {
        Reported => ("REPORTED", [10, 0, 0]),
        Verified => ("VERIFIED", [10, 0, 0]),
        Promised => ("VERIFIED", [10, 6, 0]),
        Served => ("VERIFIED", [10, 6, 6]),
        Filled => ("VERIFIED", [10, 10, 10]),
        Closed => ("CLOSED", [10, 0, 0]),
        ClosedPromised => ("CLOSED", [10, 6, 0]),
    };
    let closed = status == "CLOSED";
    let of = |required| Some(Ok((status, [required, allocated, delivered])));
    match event {
        Event::Verify | Event::ReviseSeverity | Event::AskForMore | Event::AskForLess | Event::AskForTooLittle
            if closed =>
        {
            illegal
        }
        Event::Verify => Some(Ok(("VERIFIED", [required, allocated, delivered]))),
        Event::ReviseSeverity => of(required),
        Event::AskForMore => of(12),
        // Never below what is spoken for already.
        Event::AskForLess => {
            if allocated <= 7 {
                of(7)
            } else {
                illegal
            }
        }
        Event::AskForTooLittle => {
            if allocated <= 5 {
                of(5)
            } else {
                illegal
            }
        }
        Event::Close if closed => illegal,
        // Nothing more may be claimed; what is promised may still be delivered.
        Event::Close => Some(Ok(("CLOSED", [required, allocated, delivered]))),
        Event::Claim if status != "VERIFIED" => Some(Err("NOT_OPEN")),
        Event::Claim if allocated == required => Some(Err("NOT_ENOUGH_FREE")),
        Event::Claim => Some(Ok((status, [required, allocated + 1, delivered]))),
        Event::Deliver if matches!(state, Promised | ClosedPromised) => Some(Ok((status, [required, 6, 6]))),
        Event::Release if matches!(state, Promised | ClosedPromised) => Some(Ok((status, [required, 0, 0]))),
        // Of what was delivered nothing is given back.
        Event::Release if matches!(state, Served | Filled) => illegal,
        Event::Deliver | Event::Release => None,
    }
}

/// A need in that state, and the claim on it where there is one.
async fn bring(town: &Town, state: State) -> (String, Option<Value>) {
    if state == State::Reported {
        return (town.reports(RT_11, FOOD, 10, 3).await.0, None);
    }
    let need = town.need(RT_11, FOOD, 10).await;
    let quantity = match state {
        State::Promised | State::Served | State::ClosedPromised => 6,
        State::Filled => 10,
        State::Reported | State::Verified | State::Closed => 0,
    };
    let claim = match quantity {
        0 => None,
        quantity => Some(town.promises(Who::DonorA, &[(&need, quantity)], json!({})).await),
    };
    if let (Some(claim), State::Served | State::Filled) = (&claim, state) {
        town.delivers(Who::DonorA, claim, &[(&claim["lines"][0]["id"], quantity)]).await;
    }
    if matches!(state, State::Closed | State::ClosedPromised) {
        assert_eq!(happens(town, &need, claim.as_ref(), Event::Close).await, "");
    }
    (need, claim)
}

/// The code of what was refused; empty where it happened.
async fn happens(town: &Town, need: &str, claim: Option<&Value>, event: Event) -> String {
    let version = town.stands(need).await["version"].take();
    let revise = "mutation($input: ReviseNeedInput!) { reviseNeed(input: $input) { id } }";
    let revised = |field: &str, value: i64| json!({"input": {"id": need, "expectedVersion": version, field: value}});
    let answer = match event {
        Event::Verify => {
            let verify = "mutation($ids: [ID!]!) { verifyNeeds(ids: $ids) { id } }";
            town.ask(Who::Admin, verify, json!({"ids": [need]})).await
        }
        Event::ReviseSeverity => town.ask(Who::Officer, revise, revised("severity", 5)).await,
        Event::AskForMore => town.ask(Who::Officer, revise, revised("required", 12)).await,
        Event::AskForLess => town.ask(Who::Officer, revise, revised("required", 7)).await,
        Event::AskForTooLittle => town.ask(Who::Officer, revise, revised("required", 5)).await,
        Event::Close => {
            let close = "mutation($id: ID!, $version: Version!) {
                closeNeed(id: $id, expectedVersion: $version, reason: \"pindah\") { id } }";
            town.ask(Who::Officer, close, json!({"id": need, "version": version})).await
        }
        Event::Claim => {
            let claimed = town.claims(Who::DonorB, &[(need, 1)], json!({})).await;
            return claimed["refusals"][0]["reason"].as_str().unwrap_or_default().to_owned();
        }
        Event::Deliver => {
            let claim = claim.expect("there is something to deliver");
            town.delivers(Who::DonorA, claim, &[(&claim["lines"][0]["id"], 6)]).await;
            return String::new();
        }
        Event::Release => {
            let release = "mutation($id: ID!) { releaseClaim(id: $id) { id } }";
            let id = &claim.expect("there is something to release")["id"];
            town.ask(Who::DonorA, release, json!({"id": id})).await
        }
    };
    code_of(&answer)
}

async fn a_need_takes_exactly_the_events_of_its_table(db: TestDatabase) {
    let town = Town::new(db).await;
    let mut cells = 0;
    for state in STATES {
        for event in EVENTS {
            let Some(expected) = table(state, event) else { continue };
            let (need, claim) = bring(&town, state).await;
            let before = town.stands(&need).await;
            let code = happens(&town, &need, claim.as_ref(), event).await;
            let after = town.stands(&need).await;
            match expected {
                Ok((status, counts)) => {
                    assert_eq!(code, "", "{state:?}, {event:?}");
                    let counts = counts.map(Value::from);
                    let found = ["required", "allocated", "delivered"].map(|name| after[name].clone());
                    assert_eq!((&after["status"], found), (&json!(status), counts), "{state:?}, {event:?}");
                    let severity = if event == Event::ReviseSeverity { 5 } else { 3 };
                    assert_eq!(after["severity"], severity, "{state:?}, {event:?}");
                }
                Err(reason) => {
                    assert_eq!(code, reason, "{state:?}, {event:?}");
                    assert_eq!(after, before, "{state:?}, {event:?} was refused and changed something");
                }
            }
            cells += 1;
        }
    }
    assert_eq!(cells, 7 * 7 + 2 + 4, "every cell of the table has been tried");
    town.check_books().await;
}
