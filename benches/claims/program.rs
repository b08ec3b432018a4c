//! Ours: `salur serve`, asked over HTTP and GraphQL on connections that stay open.

use super::city::Ledger;
use super::figures::draw;
use super::measure::{Dice, Round, work_of};
use super::{LINES, Outcome};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// What a client needs to go on: the claim, whether it stands, and whether it is new.
const CLAIM: &str = "mutation($input:ClaimNeedsInput!){claimNeeds(input:$input){__typename \
    ...on ClaimAccepted{replayed claim{id status}} ...on ClaimRefused{replayed refusals{needId free reason}}}}";

pub struct Program {
    server: Child,
    address: String,
    key: String,
    needs: Arc<[i64]>,
    /// Whose processor time counts besides the server's own.
    helpers: Vec<u32>,
    ledger: Ledger,
    acknowledged: usize,
    runs: usize,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Program {
    pub async fn serve(
        home: &Path,
        url: &str,
        key: String,
        needs: Vec<i64>,
        helpers: Vec<u32>,
        ledger: Ledger,
    ) -> Outcome<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_salur"));
        command.args(["serve", "--database", url, "--listen", "127.0.0.1:0", "--data-dir", "."]).current_dir(home);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(server.stdout.take().ok_or("it was piped")?).read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").ok_or("the server did not start")?.1.to_owned();
        println!("ours: process {} at {address} on {url}", server.id());
        Ok(Program { server, address, key, needs: needs.into(), helpers, ledger, acknowledged: 0, runs: 0 })
    }

    pub async fn run(&mut self, connections: usize, time: Duration, seed: u64) -> Outcome<Round> {
        self.runs += 1;
        let start = Arc::new(Barrier::new(connections + 1));
        let mut tasks = JoinSet::new();
        for number in 0..connections {
            let mut caller = Caller::connect(&self.address, &self.key, format!("{}-{number}", self.runs)).await?;
            let (start, needs) = (start.clone(), self.needs.clone());
            let mut dice = Dice(seed ^ (number as u64 + 1) << 32);
            tasks.spawn(async move {
                let mut latencies = Vec::new();
                // The first one opens what a connection opens, and does not count.
                let warm = caller.claim(draw(&mut dice, &needs)).await.map_err(|e| e.to_string());
                start.wait().await;
                warm?;
                start.wait().await;
                let begun = Instant::now();
                while begun.elapsed() < time {
                    let asked = Instant::now();
                    caller.claim(draw(&mut dice, &needs)).await.map_err(|e| e.to_string())?;
                    latencies.push(asked.elapsed());
                }
                Ok::<_, String>((latencies, caller))
            });
        }
        start.wait().await;
        let family = [self.helpers.as_slice(), &[self.server.id()]].concat();
        let before = work_of(&family);
        start.wait().await;
        let begun = Instant::now();
        let (mut latencies, mut open) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            let (of_one, caller) = done??;
            latencies.extend(of_one);
            open.push(caller);
        }
        let round = Round::new(latencies, begun.elapsed(), work_of(&family) - before);
        self.acknowledged += round.count + connections;
        self.ledger.recount(self.acknowledged).await?;
        Ok(round)
    }
}

/// One connection that sends one request after another.
struct Caller {
    stream: TcpStream,
    /// All of a request's head but the length of its body.
    head: String,
    name: String,
    count: usize,
    body: String,
    answer: Vec<u8>,
}

impl Caller {
    async fn connect(address: &str, key: &str, name: String) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: "
        );
        Ok(Caller { stream, head, name, count: 0, body: String::new(), answer: Vec::new() })
    }

    /// Claims one of each of these needs. Anything but a new claim that stands is an error.
    async fn claim(&mut self, needs: [i64; LINES]) -> Outcome<()> {
        self.count += 1;
        self.body.clear();
        write!(
            self.body,
            r#"{{"query":"{CLAIM}","variables":{{"input":{{"idempotencyKey":"{}-{}","lines":["#,
            self.name, self.count
        )?;
        for (place, need) in needs.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(self.body, r#"{comma}{{"needId":"need-{need}","quantity":1}}"#)?;
        }
        self.body.push_str("]}}}");
        let request = format!("{}{}\r\n\r\n{}", self.head, self.body.len(), self.body);
        self.stream.write_all(request.as_bytes()).await?;
        let answer = self.read().await?;
        let made = answer.contains(r#""__typename":"ClaimAccepted","replayed":false"#)
            && answer.contains(r#""status":"HELD""#);
        if made { Ok(()) } else { Err(format!("not a new claim: {answer}").into()) }
    }

    /// The body of the next answer.
    async fn read(&mut self) -> Outcome<String> {
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let text = std::str::from_utf8(&self.answer)?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.ok_or_else(|| format!("an answer without its length: {head}"))?.parse()? {
                return Ok(body.to_owned());
            }
        }
    }
}
