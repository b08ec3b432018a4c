//! Callers of the real server, who claim as fast as they are answered, repeat a key until its outcome
//! is definite, and keep what they were told outside of every process that gets killed.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use salur::clock::Clock;
use salur::domain::actor::Role;
use salur::store::{AddUser, IssueKey, NewUser};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::{Home, run, salur};
use crate::harness::actors::{claim_lines, text};
use crate::harness::books::{check_books_of, connect, count, rows};
use crate::harness::database::{Kind, TestDatabase};
use crate::harness::dice::Dice;
use crate::harness::how_far::HowFar;
use crate::harness::process::{Client, ServerProcess, until};
use crate::harness::world::{World, open};

/// Callers at the same time.
pub const CALLERS: usize = 16;

/// Needs that have enough for everybody.
const PLENTY: usize = 12;

/// What is required of the one need that runs out.
const SCARCE: i64 = 300;

const CLAIM: &str = "mutation($input: ClaimNeedsInput!) { claimNeeds(input: $input) { __typename
    ... on ClaimAccepted { replayed claim { id lines { quantity need { id } } } }
    ... on ClaimRefused { replayed refusals { needId requested reason } } } }";

/// A database with needs in it and people who may claim, a directory for the server's keys, and all
/// that the callers were told. Nobody is connected to the database.
pub struct Site {
    pub db: TestDatabase,
    pub home: Home,
    pub crowd: Arc<Crowd>,
    place: watch::Sender<SocketAddr>,
    _how_far: HowFar,
}

/// What callers share.
pub struct Crowd {
    place: watch::Receiver<SocketAddr>,
    bearers: Vec<String>,
    plenty: Vec<String>,
    scarce: String,
    told: Mutex<HashMap<String, (Wish, Outcome)>>,
    pub definite: AtomicU64,
    /// Answers that asked for the same request once more.
    pub unavailable: AtomicU64,
    /// Requests that nobody answered.
    pub unanswered: AtomicU64,
    over: AtomicBool,
}

/// A claim that somebody asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    key: String,
    donor: usize,
    /// Needs and quantities, ascending by need.
    lines: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Accepted { claim: String, lines: BTreeMap<String, i64> },
    Refused(Vec<String>),
}

impl Wish {
    pub fn body(&self) -> String {
        let lines: Vec<(&str, i64)> = self.lines.iter().map(|(need, n)| (need.as_str(), *n)).collect();
        let input = json!({"idempotencyKey": self.key, "lines": claim_lines(&lines)});
        json!({"query": CLAIM, "variables": {"input": input}}).to_string()
    }
}

impl Site {
    /// Tells the callers where they are served.
    pub fn served_at(&self, address: SocketAddr) {
        self.place.send_replace(address);
    }

    pub async fn settle(db: TestDatabase) -> Site {
        let world = World::new(db).await;
        let mut bearers = Vec::new();
        for (i, organization) in world.donors.into_iter().enumerate() {
            let email = format!("donor-{i}@donor.example");
            let user =
                NewUser { email: email.clone(), role: Role::Donor, organization: Some(organization), area: None };
            world.store.execute(AddUser { author: None, user }).await.expect("a user is taken");
            let bearer = format!("slr_fire_{i}");
            let hash = Sha256::digest(bearer.as_bytes()).into();
            let issue = IssueKey {
                author: None,
                email,
                prefix: "slr_fire".into(),
                hash,
                expires_days: None,
                label: None,
                scopes: salur::domain::actor::KeyScope::ALL.to_vec(),
            };
            world.store.execute(issue).await.expect("a key is taken");
            bearers.push(bearer);
        }
        let mut required = vec![1 << 40; PLENTY];
        required.push(SCARCE);
        let mut plenty: Vec<String> = world.needs(&required).await.iter().map(ToString::to_string).collect();
        let scarce = plenty.pop().expect("the last one is scarce");
        // The store is closed with the rest of the world.
        let db = { world }.db;
        if db.kind() == Kind::Sqlite {
            until("nobody of ours has the file open, whose recovery is at stake", || async { !is_open(&db) }).await;
        }
        let (place, places) = watch::channel(([127, 0, 0, 1], 0).into());
        let crowd = Crowd {
            place: places,
            bearers,
            plenty,
            scarce,
            told: Mutex::default(),
            definite: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            over: AtomicBool::new(false),
        };
        let crowd = Arc::new(crowd);
        let told = crowd.clone();
        let how_far = HowFar::of("definite answers", move || told.definite.load(Relaxed));
        Site { db, home: Home::new(), crowd, place, _how_far: how_far }
    }

    /// Starts the real server and tells the callers where it is.
    pub async fn serve(&self) -> ServerProcess {
        self.serve_over(self.db.url()).await
    }

    /// As [`Site::serve`], with another way to the same database.
    pub async fn serve_over(&self, url: &str) -> ServerProcess {
        let server = ServerProcess::start(url, &self.home.path("")).await;
        self.place.send_replace(server.address);
        server
    }

    /// Ends the run: every key is repeated and must lead to what it has led to, the server leaves when
    /// asked, and the database holds exactly what the callers were told, with its books in order and a
    /// log that verifies.
    pub async fn reckon(&self, mut server: ServerProcess) -> Reckoning {
        self.crowd.repeat_all().await;
        server.terminate();
        assert!(server.wait().await.success(), "{}", server.last_words());
        drop(server);
        let (accepted, refused) = self.compare().await;
        check_books_of(&open(&self.db, &Clock::default()).await, &self.db).await;
        salur(&self.home, &self.db, &["audit", "export", "--out", "log"]).ok();
        let verify = ["audit", "verify", "log", "--public-key", "audit-key.pem.pub"];
        assert!(run(&self.home, &[], &verify).ok().starts_with("OK: "));
        Reckoning {
            accepted,
            refused,
            unavailable: self.crowd.unavailable.load(Relaxed),
            unanswered: self.crowd.unanswered.load(Relaxed),
        }
    }

    /// Every claim that was acknowledged is there with its lines, and no other.
    async fn compare(&self) -> (usize, usize) {
        let mut expected: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        let mut refused = 0;
        for (wish, outcome) in self.crowd.told.lock().expect("no caller panicked").values() {
            match outcome {
                Outcome::Accepted { claim, lines } => {
                    assert_eq!(*lines, wish.lines, "{claim} is not what was asked for");
                    let other = expected.insert(claim.clone(), lines.clone());
                    assert_eq!(other, None, "{claim} answers two keys");
                }
                Outcome::Refused(_) => refused += 1,
            }
        }
        let own = connect(&self.db).await;
        let mut found: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for row in
            rows(&self.db, &own, "SELECT claim_id, need_id, quantity FROM every_line WHERE status = 'HELD'").await
        {
            let column = |name: &str| row.try_get::<i64>("", name).expect("a number");
            let lines = found.entry(format!("claim-{}", column("claim_id"))).or_default();
            lines.insert(format!("need-{}", column("need_id")), column("quantity"));
        }
        let lost: Vec<_> = expected.keys().filter(|claim| !found.contains_key(*claim)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let unasked: Vec<_> = found.keys().filter(|claim| !expected.contains_key(*claim)).collect();
        assert!(unasked.is_empty(), "nobody was told of {unasked:?}");
        assert_eq!(found, expected, "a claim does not have the lines that were acknowledged");
        let every =
            count(&self.db, "SELECT (SELECT count(*) FROM claim) + (SELECT count(*) FROM idempotency) AS n").await;
        assert_eq!(every as usize, 2 * expected.len() + refused, "each key has one outcome and each claim its lines");
        (expected.len(), refused)
    }
}

/// What a run came to; that it came to an end says that nothing was violated.
#[derive(Debug)]
pub struct Reckoning {
    accepted: usize,
    refused: usize,
    unavailable: u64,
    unanswered: u64,
}

impl Reckoning {
    /// Prints the run's one line.
    pub fn show(&self, rig: &str, db: Kind, n: u64, seed: u64, more: &str) {
        let Reckoning { accepted, refused, unavailable, unanswered } = self;
        println!(
            "rig={rig} db={db} n={n} violations=0 accepted={accepted} refused={refused} unavailable={unavailable} \
             unanswered={unanswered} {more}seed={seed}"
        );
    }
}

/// The callers at work.
pub struct Callers {
    crowd: Arc<Crowd>,
    tasks: JoinSet<()>,
}

impl Callers {
    pub fn start(site: &Site, dice: &mut Dice, count: usize) -> Callers {
        let mut tasks = JoinSet::new();
        for caller in 0..count {
            let (crowd, mut dice) = (site.crowd.clone(), dice.another());
            tasks.spawn(async move {
                let mut client = crowd.client(caller);
                for serial in 0.. {
                    if crowd.over.load(Relaxed) {
                        return;
                    }
                    let wish = crowd.wish(&mut dice, caller, serial);
                    crowd.ask(&mut client, wish).await;
                }
            });
        }
        Callers { crowd: site.crowd.clone(), tasks }
    }

    /// Waits until the callers have got so many more of something; a caller who met what must not be
    /// ends the test.
    pub async fn more(&mut self, what: &str, counter: impl Fn(&Crowd) -> &AtomicU64, by: u64) {
        let goal = counter(&self.crowd).load(Relaxed) + by;
        until(what, || {
            while let Some(ended) = self.tasks.try_join_next() {
                ended.expect("a caller met what must not be");
            }
            let reached = counter(&self.crowd).load(Relaxed) >= goal;
            async move { reached }
        })
        .await;
    }

    /// Lets everybody bring what they have begun to a definite end.
    pub async fn finish(mut self) {
        self.crowd.over.store(true, Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a caller met what must not be");
        }
    }
}

impl Crowd {
    pub fn client(&self, caller: usize) -> Client {
        Client::new(self.place.clone(), &self.bearers[caller % self.bearers.len()])
    }

    /// Mostly of what there is plenty; some race for what runs out, some ask for more than there ever was.
    pub fn wish(&self, dice: &mut Dice, caller: usize, serial: usize) -> Wish {
        let count = dice.between(1, 4);
        let mut lines: BTreeMap<String, i64> =
            (0..count).map(|_| (dice.pick(&self.plenty).clone(), dice.between(1, 9))).collect();
        if dice.chance(10) {
            lines.insert(self.scarce.clone(), dice.between(1, 3));
        } else if dice.chance(5) {
            lines.insert(self.scarce.clone(), SCARCE + 1);
        }
        Wish { key: format!("{caller}-{serial}"), donor: caller, lines }
    }

    /// The claims that were acknowledged so far.
    pub fn acknowledged(&self) -> Vec<String> {
        let told = self.told.lock().expect("no caller panicked");
        let claim = |(_, outcome): &(Wish, Outcome)| match outcome {
            Outcome::Accepted { claim, .. } => Some(claim.clone()),
            Outcome::Refused(_) => None,
        };
        told.values().filter_map(claim).collect()
    }

    /// Asks until the outcome is definite, and keeps it. True where the key had led to it before.
    pub async fn ask(&self, client: &mut Client, wish: Wish) -> bool {
        let (outcome, replayed) = self.outcome(client, &wish).await;
        self.told.lock().expect("no caller panicked").insert(wish.key.clone(), (wish, outcome));
        self.definite.fetch_add(1, Relaxed);
        replayed
    }

    /// What a wish comes to, and whether that was an answer given before.
    async fn outcome(&self, client: &mut Client, wish: &Wish) -> (Outcome, bool) {
        let body = wish.body();
        loop {
            match client.post(&body).await {
                Ok((status, answer)) => {
                    if let Some(found) = read(status, &answer) {
                        return found;
                    }
                    self.unavailable.fetch_add(1, Relaxed);
                }
                Err(_) => {
                    self.unanswered.fetch_add(1, Relaxed);
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every key leads to what it has led to.
    async fn repeat_all(self: &Arc<Self>) {
        let told: Vec<(Wish, Outcome)> = self.told.lock().expect("no caller panicked").values().cloned().collect();
        let mut tasks = JoinSet::new();
        for part in told.chunks(told.len().div_ceil(CALLERS).max(1)) {
            let (part, crowd) = (part.to_vec(), self.clone());
            tasks.spawn(async move {
                for (wish, before) in part {
                    let (after, replayed) = crowd.outcome(&mut crowd.client(wish.donor), &wish).await;
                    assert!(replayed, "{wish:?} was not known any more");
                    assert_eq!(after, before, "{wish:?}");
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect("a repeated key contradicts its first answer");
        }
    }
}

/// The outcome in an answer and whether it was given before; `None` where the caller is told to send
/// the same request again. Panics where it says anything else.
fn read(status: u16, answer: &Value) -> Option<(Outcome, bool)> {
    if let Some(errors) = answer.get("errors") {
        for error in errors.as_array().expect("errors are a list") {
            let [code, retry] = ["code", "retry"].map(|name| &error["extensions"][name]);
            assert!(code == "UNAVAILABLE" && retry == "SAME_KEY", "{answer}");
        }
        return None;
    }
    assert_eq!(status, 200, "{answer}");
    let found = &answer["data"]["claimNeeds"];
    let list = |value: &Value| value.as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    let outcome = match found["__typename"].as_str() {
        Some("ClaimAccepted") => {
            let claim = &found["claim"];
            let line = |line: &Value| (text(&line["need"]["id"]), line["quantity"].as_i64().expect("a quantity"));
            Outcome::Accepted { claim: text(&claim["id"]), lines: list(&claim["lines"]).iter().map(line).collect() }
        }
        Some("ClaimRefused") => Outcome::Refused(list(&found["refusals"]).iter().map(Value::to_string).collect()),
        _ => panic!("{answer}"),
    };
    Some((outcome, found["replayed"] == true))
}

/// True where this process has the database's file open.
fn is_open(db: &TestDatabase) -> bool {
    let file = db.url().trim_start_matches("sqlite://");
    let open = std::fs::read_dir("/proc/self/fd").expect("there is /proc").flatten();
    open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|path| path.to_string_lossy().starts_with(file))
}
