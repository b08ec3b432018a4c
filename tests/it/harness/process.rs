//! The real server as a process that can be killed, and a client who outlives it.

use std::fs::{self, File};
use std::future::Future;
use std::io::{BufRead, BufReader, Error, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::app::{LONG, code_of, request_text};

/// Waits until `holds`; panics where it does not come true on any machine that is not broken.
pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl FnMut() -> F) {
    within(LONG, what, holds).await;
}

/// As [`until`], where the time is part of what is promised.
pub async fn within<F: Future<Output = bool>>(time: Duration, what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + time;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within {time:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends a signal, by its name, to those of the processes that are still there.
pub fn signal(name: &str, processes: &[u32]) {
    let mut command = Command::new("kill");
    command.args(["-s", name]).args(processes.iter().map(u32::to_string));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("there is a program kill");
}

/// The state letter and the parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it, in brackets, may hold anything.
    let mut rest = text.rsplit_once(')')?.1.split_whitespace();
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

/// False for a process that is gone, or dead and waiting to be asked how it ended.
pub fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

pub fn children_of(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

/// Waits for a child that is about to end.
pub async fn ended(child: &mut Child) -> ExitStatus {
    until("a process ends", || {
        let over = child.try_wait().expect("a child can be waited for").is_some();
        async move { over }
    })
    .await;
    child.wait().expect("it has ended")
}

/// Whether a server says of itself that it can answer truthfully.
pub async fn is_ready(server: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(request_text("GET", "/health/ready", &[], "").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    let answer = tokio::time::timeout(LONG, ask).await.expect("it answers in time");
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

/// `salur serve` on a port of its own; dropping it kills it.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    log: PathBuf,
    pub address: SocketAddr,
}

impl ServerProcess {
    /// The command that starts a server on `database`, with its keys in `home`, for tests that change it.
    pub fn command(database: &str, home: &Path) -> Command {
        Self::command_of(Path::new(env!("CARGO_BIN_EXE_salur")), database, home)
    }

    /// The same for the program of another release.
    pub fn command_of(program: &Path, database: &str, home: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--database", database, "--data-dir"]).arg(home);
        command.current_dir(home).env_clear();
        // The bug that this build is to have, if it is one that has bugs.
        command.envs(std::env::var("SALUR_PLANT").map(|bug| ("SALUR_PLANT", bug)));
        command
    }

    pub async fn start(database: &str, home: &Path) -> ServerProcess {
        Self::spawn(Self::command(database, home), home).await
    }

    /// Starts and waits for the line with the address. What it logs is added to `server.log` in `home`.
    pub async fn spawn(mut command: Command, home: &Path) -> ServerProcess {
        let log = home.join("server.log");
        let stderr = File::options().create(true).append(true).open(&log).expect("a log file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(LONG, line).await.expect("the server starts in time").expect("no panic");
        let line = line.expect("a pipe can be read");
        let address = line.trim_end().rsplit_once("//").and_then(|(_, address)| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}: {}", last_lines(&log)));
        ServerProcess { child, log, address }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with no warning.
    pub fn kill9(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("a killed child ends");
    }

    /// Asks it to leave in its own time.
    pub fn terminate(&self) {
        signal("TERM", &[self.id()]);
    }

    pub async fn wait(&mut self) -> ExitStatus {
        ended(&mut self.child).await
    }

    pub fn is_running(&self) -> bool {
        is_running(self.id())
    }

    pub async fn is_ready(&self) -> bool {
        is_ready(self.address).await
    }

    /// The end of what it has logged.
    pub fn last_words(&self) -> String {
        last_lines(&self.log)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's last words:\n{}", self.last_words());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A caller with one connection, kept open as long as it works. Where the server is, it reads anew
/// before each connection.
pub struct Client {
    server: watch::Receiver<SocketAddr>,
    bearer: String,
    stream: Option<TcpStream>,
}

impl Client {
    pub fn new(server: watch::Receiver<SocketAddr>, key: &str) -> Self {
        Client { server, bearer: key.to_owned(), stream: None }
    }

    /// One request and its status and body. After any error nobody knows what became of it.
    pub async fn post(&mut self, body: &str) -> Result<(u16, Value), Error> {
        let answer = tokio::time::timeout(LONG, self.exchange(body)).await;
        let answer = answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::TimedOut, "no answer")));
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    /// Sends a request and leaves after `patience`, whatever came of it; with `reset`, rudely.
    pub async fn leave_after(&mut self, body: &str, patience: Duration, reset: bool) -> Result<(), Error> {
        let mut stream = TcpStream::connect(self.current()).await?;
        stream.write_all(self.request(body).as_bytes()).await?;
        let _ = tokio::time::timeout(patience, stream.readable()).await;
        if reset {
            stream.set_zero_linger()?;
        }
        Ok(())
    }

    fn current(&mut self) -> SocketAddr {
        *self.server.borrow_and_update()
    }

    fn request(&self, body: &str) -> String {
        format!(
            "POST /graphql HTTP/1.1\r\nhost: salur.test\r\ncontent-type: application/json\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.bearer,
            body.len()
        )
    }

    async fn exchange(&mut self, body: &str) -> Result<(u16, Value), Error> {
        let request = self.request(body);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.current()).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        let wrong = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
        loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let length = length.ok_or_else(|| wrong("an answer without its length"))?;
            if answer.len() < end + 4 + length {
                continue;
            }
            let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| wrong("no status"))?;
            let body = serde_json::from_slice(&answer[end + 4..]).map_err(|_| wrong("a body that is no JSON"))?;
            self.stream = (!head.contains("connection: close")).then_some(stream);
            return Ok((status, body));
        }
    }
}

mod tests {
    use super::*;
    use crate::harness::database::TestDatabase;
    use crate::on_both_databases;

    on_both_databases!(a_killed_server_starts_again_on_its_database_and_leaves_when_asked);

    async fn a_killed_server_starts_again_on_its_database_and_leaves_when_asked(db: TestDatabase) {
        let home = crate::cli::Home::new();
        let mut server = ServerProcess::start(db.url(), &home.path("")).await;
        let (place, places) = watch::channel(server.address);
        let mut client = Client::new(places, "no-key-of-anybody");
        let question = r#"{"query": "{ __typename }"}"#;
        let refused = client.post(question).await.expect("an answer");
        assert_eq!((refused.0, code_of(&refused.1).as_str()), (200, "UNAUTHENTICATED"));
        server.kill9();
        client.post(question).await.expect_err("nobody is there");
        assert!(!server.is_running());
        let mut server = ServerProcess::start(db.url(), &home.path("")).await;
        place.send_replace(server.address);
        client.post(question).await.expect("an answer");
        server.terminate();
        assert!(server.wait().await.success(), "{}", server.last_words());
    }
}
