//! P4: one key in many hands at once, on two servers, with the first input and with others, and again
//! after both servers were opened anew. `SALUR_COUNT` counts requests.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use salur::audit::signing::SigningKey;
use salur::domain::actor::{Actor, KeyScope, Role, User, Via};
use salur::domain::ids::{ClaimId, NeedId, OrganizationId};
use salur::domain::rules::OnConflict;
use salur::service::claims::ClaimRequest;
use salur::service::{ClaimOutcome, Code, Service};
use salur::store::{AddUser, NewUser};
use tokio::task::JoinSet;

use super::{figures, times};
use crate::cli::Home;
use crate::harness::books::{check_books, count};
use crate::harness::database::TestDatabase;
use crate::harness::dice::Dice;
use crate::harness::world::{World, q};
use crate::on_both_databases;

on_both_databases!(a_key_has_one_effect_and_one_answer_on_every_server_for_ever);

const TASKS: usize = 64;
/// Rounds after which both servers are opened anew.
const LIFE: u64 = 5;

/// What a key led to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Claim(ClaimId),
    Refusal,
}

/// A key as its first user sent it.
#[derive(Clone)]
struct Known {
    lines: Vec<(NeedId, i64)>,
    answer: Answer,
}

async fn giver(world: &World, organization: OrganizationId, email: &str) -> Actor {
    let user = NewUser { email: email.into(), role: Role::Donor, organization: Some(organization), area: None };
    let id = world.store.execute(AddUser { author: None, user }).await.expect("a user is taken");
    let organization = Some(organization);
    Actor::User(User {
        id,
        email: email.into(),
        roles: vec![Role::Donor],
        organization,
        area: None,
        manager: false,
        via: Via::Key(KeyScope::ALL.to_vec()),
    })
}

async fn servers(world: &World, key: &Arc<SigningKey>) -> [Service; 2] {
    let server = async || {
        let service = Service::new(world.replica().await, key.clone());
        service.load().await.expect("the map is read");
        service
    };
    [server().await, server().await]
}

/// The same values in another order, and a line in two parts where it can be.
fn said_otherwise(lines: &[(NeedId, i64)], dice: &mut Dice) -> Vec<(NeedId, i64)> {
    let halves = lines.iter().flat_map(|(need, n)| [(*need, n / 2), (*need, n - n / 2)]).filter(|(_, n)| *n > 0);
    let mut lines: Vec<_> = if dice.chance(50) { halves.collect() } else { lines.to_vec() };
    dice.shuffle(&mut lines);
    lines
}

fn request(key: &str, lines: &[(NeedId, i64)]) -> ClaimRequest {
    ClaimRequest {
        key: key.to_owned(),
        lines: lines.iter().map(|(need, n)| (*need, q(*n))).collect(),
        on_conflict: OnConflict::Refuse,
        offer: None,
        executor: None,
        hold_seconds: None,
    }
}

/// `None`: the key was used with other input. Else what it led to, and whether it had before.
async fn send(service: &Service, actor: &Actor, request: ClaimRequest) -> Option<(Answer, bool)> {
    match service.claim_needs(actor, request).await.map(|opened| opened.outcome) {
        Ok(ClaimOutcome::Accepted { claim, replayed, .. }) => Some((Answer::Claim(claim), replayed)),
        Ok(ClaimOutcome::Refused { replayed, .. }) => Some((Answer::Refusal, replayed)),
        Err(error) if error.code == Code::KeyReused => None,
        Err(error) => panic!("an error reached a caller: {error:?}"),
    }
}

async fn a_key_has_one_effect_and_one_answer_on_every_server_for_ever(db: TestDatabase) {
    let mut dice = Dice::from_environment("a_key_has_one_effect_and_one_answer_on_every_server_for_ever");
    let world = World::with_map(db).await;
    let actor = giver(&world, world.donors[0], "a@donor.example").await;
    let stranger = giver(&world, world.donors[1], "b@donor.example").await;
    // Of the last there is too little for anybody.
    let needs = world.needs(&[1_000_000_000, 1_000_000_000, 1_000_000_000, 1]).await;
    let home = Home::new();
    let key = Arc::new(SigningKey::create_or_load(&home.path("key.pem")).expect("a key is made"));
    let mut servers_now = servers(&world, &key).await;
    let mut known: HashMap<String, Known> = HashMap::new();
    let mut names = Vec::new();
    let mut claims = HashSet::new();
    let (mut sent, mut reused, mut round) = (0, 0, 0);
    while sent < times(800) {
        if round % LIFE == LIFE - 1 {
            servers_now = servers(&world, &key).await;
        }
        let name = world.key();
        let mut lines: Vec<(NeedId, i64)> = needs[..3].iter().map(|need| (*need, dice.between(1, 9))).collect();
        if round % 3 == 2 {
            lines.push((needs[3], 2));
        }
        let mut other = lines.clone();
        other[0].1 += 1;
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let changed = dice.chance(20);
            let said = said_otherwise(if changed { &other } else { &lines }, &mut dice);
            let (service, actor) = (servers_now[task % 2].clone(), actor.clone());
            let request = request(&name, &said);
            tasks.spawn(async move { (changed, send(&service, &actor, request).await) });
        }
        let mut answers: [Vec<Option<(Answer, bool)>>; 2] = Default::default();
        while let Some(done) = tasks.join_next().await {
            let (changed, answer) = done.expect("no task panics");
            answers[usize::from(changed)].push(answer);
        }
        sent += TASKS as u64;
        // Whoever came first has made the key theirs; all who said the same share one answer, the others get none.
        let winner = usize::from(answers[1].iter().any(Option::is_some));
        assert!(answers[1 - winner].iter().all(Option::is_none), "{name} stands for two inputs: {answers:?}");
        reused += answers[1 - winner].len();
        let given: Vec<_> = answers[winner].iter().map(|a| a.clone().expect("the input is the key's own")).collect();
        let fresh: Vec<_> = given.iter().filter(|(_, replayed)| !replayed).collect();
        assert_eq!(fresh.len(), 1, "one of them was the first: {given:?}");
        let answer = fresh[0].0.clone();
        assert!(given.iter().all(|(own, _)| *own == answer), "{name} has two answers: {given:?}");
        if let Answer::Claim(id) = answer {
            assert!(claims.insert(id), "{id} answers two keys");
        }
        let lines = if winner == 1 { other } else { lines };
        known.insert(name.clone(), Known { lines, answer });
        names.push(name.clone());

        // Another organisation's key of the same name is another key.
        if dice.chance(20) {
            let own = send(&servers_now[0], &stranger, request(&name, &[(needs[0], 1)])).await;
            let Some((Answer::Claim(id), false)) = own else { panic!("{name} belongs to others: {own:?}") };
            assert!(claims.insert(id), "{id} answers two keys");
            sent += 1;
        }
        // Old keys still answer as they did, on servers that never saw them used.
        for _ in 0..8 {
            let name = dice.pick(&names);
            let first = &known[name];
            let service = dice.pick(&servers_now);
            let said = said_otherwise(&first.lines, &mut dice);
            assert_eq!(send(service, &actor, request(name, &said)).await, Some((first.answer.clone(), true)), "{name}");
            let mut said = first.lines.clone();
            said[1].1 += 1;
            assert_eq!(send(service, &actor, request(name, &said)).await, None, "{name}");
            sent += 2;
        }
        round += 1;
    }
    assert_eq!(count(&world.db, "SELECT count(*) AS n FROM claim").await, claims.len() as i64);
    assert_eq!(count(&world.db, "SELECT count(*) AS n FROM every_line WHERE quantity > 10").await, 0);
    assert!(reused > 0 && known.values().any(|k| k.answer == Answer::Refusal), "every kind of answer was seen");
    check_books(&world).await;
    let more = format!("keys={} claims={} reused={reused} restarts={}", known.len(), claims.len(), round / LIFE);
    figures("keys", &world.db, sent, more);
}
