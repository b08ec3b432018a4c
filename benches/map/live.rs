//! What claims take from the readers beside them, and how soon open maps hear of them.
//!
//! Claims come at a steady rate, whether or not those before are answered; each takes one each of twenty needs
//! about one place. Open maps watch a place each, over connections of their own.

use super::Outcome;
use super::http::{Connection, data, post_as};
use super::measure::{Dice, Round, Spread, work_of};
use super::ours::Ours;
use super::questions::{Kind, Question};
use super::town::Town;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const LINES: usize = 20;

/// Callers who take turns, so that a claim that waits holds up no other.
const CALLERS: u64 = 16;

/// Needs that are claimed have so much left at least: nothing runs out.
const LEFT: i64 = 20;

const AROUND: &str = "query($where:NeedFilter!){needs(where:$where,first:100){nodes{id unmet}}}";
const CLAIM: &str = "mutation($input:ClaimNeedsInput!){claimNeeds(input:$input){__typename \
    ...on ClaimRefused{refusals{needId free reason}}}}";
const WATCH: &str = "subscription($where:NeedFilter!){needsChanged(where:$where){id unmet service}}";

/// Somebody who claims, and where.
pub struct Giver {
    host: String,
    key: String,
    places: Vec<Place>,
    /// Of `places`, where there is enough to claim.
    rich: Vec<usize>,
    /// When each need was last asked for.
    sent: Mutex<HashMap<String, Instant>>,
    /// What was claimed, by place.
    claimed: Mutex<Vec<HashSet<String>>>,
    /// What has run out.
    spent: Mutex<HashSet<String>>,
    refused: AtomicUsize,
    runs: AtomicUsize,
}

struct Place {
    bbox: Value,
    needs: Vec<String>,
}

impl Giver {
    /// A giver with an account of its own, and the places that the questions of `kind` are about.
    pub async fn enter(town: &Town, ours: &Ours, questions: &[Question]) -> Outcome<Self> {
        let name = format!("Giver {}", std::process::id());
        let giver = town.salur(&["organization", "add", "--name", &name, "--category", "BUSINESS"])?;
        let email = format!("giver{}@donor.example", std::process::id());
        town.salur(&["user", "add", "--email", &email, "--role", "DONOR", "--organization", &giver])?;
        let key = town.salur(&["key", "issue", "--email", &email])?;
        let host = ours.address().to_owned();
        let mut connection = Connection::open(&host).await?;
        let mut places = Vec::new();
        for question in questions {
            let Question::Viewport(bbox) = question else { continue };
            let variables = json!({ "where": { "bbox": bbox.json(), "service": ["UNSERVED"] } });
            let answer = data(connection.send(&post_as(&host, None, AROUND, &variables)).await?)?;
            let nodes = answer["needs"]["nodes"].as_array().ok_or("needs are a list")?;
            let needs = nodes.iter().filter(|need| need["unmet"].as_i64().is_some_and(|unmet| unmet >= LEFT));
            let needs: Vec<String> = needs.filter_map(|need| Some(need["id"].as_str()?.to_owned())).collect();
            places.push(Place { bbox: bbox.json(), needs });
        }
        let rich: Vec<usize> = (0..places.len()).filter(|place| places[*place].needs.len() >= LINES).collect();
        if rich.is_empty() {
            return Err("nowhere are there twenty needs to be claimed".into());
        }
        let claimed = Mutex::new(vec![HashSet::new(); places.len()]);
        let (sent, spent, refused, runs) = Default::default();
        Ok(Giver { host, key, places, rich, sent, claimed, spent, refused, runs })
    }

    /// Claims so many times a second until told to stop. How long each took from when it was due.
    async fn claim(self: Arc<Self>, rate: u64, stop: Arc<AtomicBool>) -> Outcome<Vec<Duration>> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let mut callers = JoinSet::new();
        for number in 0..CALLERS {
            let (giver, stop) = (self.clone(), stop.clone());
            callers.spawn(async move {
                let mut connection = Connection::open(&giver.host).await?;
                let mut dice = Dice(run as u64 * CALLERS + number);
                let mut took = Vec::new();
                for count in (number..).step_by(CALLERS as usize) {
                    let due = begun + Duration::from_micros(count * 1_000_000 / rate);
                    tokio::time::sleep_until(due.into()).await;
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (place, needs) = giver.choose(&mut dice);
                    let request = giver.claim_of(&needs, &format!("{run}-{count}-{}", std::process::id()));
                    let asked = Instant::now();
                    held(&giver.sent).extend(needs.iter().map(|need| (need.clone(), asked)));
                    let answer = data(connection.send(&request).await?)?;
                    match answer["claimNeeds"]["refusals"].as_array() {
                        Some(refusals) => {
                            giver.refused.fetch_add(1, Ordering::Relaxed);
                            let spent = refusals.iter().filter_map(|refusal| refusal["needId"].as_str());
                            held(&giver.spent).extend(spent.map(str::to_owned));
                        }
                        None => {
                            took.push(due.elapsed());
                            held(&giver.claimed)[place].extend(needs);
                        }
                    }
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(took)
            });
        }
        let mut took = Vec::new();
        while let Some(done) = callers.join_next().await {
            took.extend(done??);
        }
        Ok(took)
    }

    /// A place, and needs of it that have not run out, as far as is known.
    fn choose(&self, dice: &mut Dice) -> (usize, Vec<String>) {
        let spent = held(&self.spent);
        loop {
            let number = self.rich[dice.below(self.rich.len())];
            let left: Vec<&String> = self.places[number].needs.iter().filter(|need| !spent.contains(*need)).collect();
            if left.len() >= LINES {
                let from = dice.below(left.len());
                return (number, left.into_iter().cycle().skip(from).take(LINES).cloned().collect());
            }
        }
    }

    fn claim_of(&self, needs: &[String], key: &str) -> Vec<u8> {
        let lines: Vec<Value> = needs.iter().map(|need| json!({ "needId": need, "quantity": 1 })).collect();
        post_as(&self.host, Some(&self.key), CLAIM, &json!({ "input": { "idempotencyKey": key, "lines": lines } }))
    }
}

fn held<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Readers alone and beside claims, in turn.
pub async fn readers_beside_claims<R, F>(
    giver: &Arc<Giver>,
    rate: u64,
    rounds: usize,
    kind: Kind,
    connections: usize,
    mut read: R,
) -> Outcome<()>
where
    R: FnMut(usize) -> F,
    F: Future<Output = Outcome<Round>>,
{
    let (mut alone, mut beside, mut claims) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        alone.push(read(round).await?);
        let stop = Arc::new(AtomicBool::new(false));
        let claiming = tokio::spawn(giver.clone().claim(rate, stop.clone()));
        beside.push(read(round).await?);
        stop.store(true, Ordering::Relaxed);
        claims.extend(claiming.await??);
    }
    let of = |rounds: &[Round], figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
    let p99 = |round: &Round| round.percentile(99);
    let [quiet, busy] = [&alone, &beside];
    let pairs = || quiet.iter().zip(busy);
    println!(
        "| {kind} | {connections} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} |",
        of(quiet, Round::rate),
        of(busy, Round::rate),
        Spread::of(pairs().map(|(quiet, busy)| busy.rate() / quiet.rate())),
        of(quiet, p99),
        of(busy, p99),
        Spread::of(pairs().map(|(quiet, busy)| p99(busy) / p99(quiet))),
    );
    let claims = Round::new(claims, Duration::from_secs(1), Duration::ZERO);
    println!(
        "  {} claims of {LINES} needs beside them, {} refused because a need had run out; from when due: p50 {:.1} ms, \
         p99 {:.1} ms",
        claims.count,
        giver.refused.swap(0, Ordering::Relaxed),
        claims.percentile(50),
        claims.percentile(99)
    );
    Ok(())
}

/// So many open maps while claims are made for so long.
pub async fn watchers(giver: &Arc<Giver>, ours: &Ours, count: usize, rate: u64, time: Duration) -> Outcome<()> {
    let arrived: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let heard: Arc<Mutex<Vec<HashSet<String>>>> = Arc::new(Mutex::new(vec![HashSet::new(); giver.places.len()]));
    *held(&giver.claimed) = vec![HashSet::new(); giver.places.len()];
    held(&giver.sent).clear();
    let messages = Arc::new(AtomicUsize::new(0));
    let bytes = Arc::new(AtomicUsize::new(0));
    let mut maps = JoinSet::new();
    for number in 0..count {
        let place = number % giver.places.len();
        let mut socket = open(&giver.host, &giver.places[place].bbox).await?;
        let (giver, arrived, heard) = (giver.clone(), arrived.clone(), heard.clone());
        let (messages, bytes) = (messages.clone(), bytes.clone());
        maps.spawn(async move {
            while let Some(message) = socket.next().await {
                let Message::Text(text) = message? else { continue };
                let now = Instant::now();
                messages.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(text.len(), Ordering::Relaxed);
                let answer: Value = serde_json::from_str(&text)?;
                let Some(needs) = answer["payload"]["data"]["needsChanged"].as_array() else {
                    return Err(format!("not a change: {text}").into());
                };
                let ids: Vec<&str> = needs.iter().filter_map(|need| need["id"].as_str()).collect();
                let latest = ids.iter().filter_map(|id| held(&giver.sent).get(*id).copied()).max();
                held(&arrived).extend(latest.map(|sent| now - sent));
                held(&heard)[place].extend(ids.into_iter().map(str::to_owned));
            }
            Err::<(), Box<dyn std::error::Error + Send + Sync>>("the server ended a subscription".into())
        });
    }
    let stop = Arc::new(AtomicBool::new(false));
    let before = work_of(&[ours.process()]);
    let claiming = tokio::spawn(giver.clone().claim(rate, stop.clone()));
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let claims = claiming.await??;
    // What was claimed last may still be on its way.
    let end = Instant::now() + Duration::from_secs(10);
    let missing = loop {
        let watched = giver.places.len().min(count);
        let missing: usize = {
            let (claimed, heard) = (held(&giver.claimed), held(&heard));
            claimed
                .iter()
                .zip(heard.iter())
                .take(watched)
                .map(|(claimed, heard)| claimed.difference(heard).count())
                .sum()
        };
        if missing == 0 || Instant::now() > end {
            break missing;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let work = work_of(&[ours.process()]).saturating_sub(before);
    let early = maps.try_join_next();
    if let Some(done) = early {
        done??;
    }
    if missing > 0 {
        return Err(format!("{missing} claimed needs were told to nobody who watches them").into());
    }
    let arrived = std::mem::take(&mut *held(&arrived));
    let most = arrived.iter().max().copied().unwrap_or_default();
    let deliveries = Round::new(arrived, time, work);
    let claims = Round::new(claims, time, Duration::ZERO);
    println!(
        "{count} open maps at {} places while {} claims of {LINES} needs came in {} s: {} messages of {} bytes on the \
         average, every change told to who watches it; from sending a claim to a map's hand p50 {:.0} ms, p99 {:.0} ms, at most \
         {:.0} ms; the claims p99 {:.0} ms; the server used {:.0} % of one core",
        giver.places.len().min(count),
        claims.count,
        time.as_secs(),
        messages.load(Ordering::Relaxed),
        bytes.load(Ordering::Relaxed) / messages.load(Ordering::Relaxed).max(1),
        deliveries.percentile(50),
        deliveries.percentile(99),
        most.as_secs_f64() * 1e3,
        claims.percentile(99),
        work.as_secs_f64() * 100.0 / time.as_secs_f64(),
    );
    maps.shutdown().await;
    Ok(())
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A map over this box, its subscription begun.
async fn open(host: &str, bbox: &Value) -> Outcome<Socket> {
    let mut request = format!("ws://{host}/graphql/ws").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
    socket.send(Message::text(r#"{"type":"connection_init"}"#)).await?;
    let ready = socket.next().await.ok_or("the server closed the connection")??;
    if !ready.to_text()?.contains("connection_ack") {
        return Err(format!("not acknowledged: {ready}").into());
    }
    let payload = json!({ "query": WATCH, "variables": { "where": { "bbox": bbox } } });
    socket.send(Message::text(json!({ "id": "1", "type": "subscribe", "payload": payload }).to_string())).await?;
    Ok(socket)
}
