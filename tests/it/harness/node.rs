//! Servers of others that run on Node.js: a mail server, and a city's single sign-on.

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A program of `tests/node/`; dropping it ends it, and so does the end of the test.
struct Node(Child);

impl Node {
    /// Starts it and waits for its first line.
    fn start(program: &str, arguments: &[&str]) -> (Node, Value, Lines<BufReader<ChildStdout>>) {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        assert!(place.join("node_modules").exists(), "run scripts/node-modules.sh tests/node, as `make test` does");
        let mut command = Command::new("node");
        command.arg(place.join(program)).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("there is Node.js");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        let node = Node(child);
        let first = lines.next().unwrap_or_else(|| panic!("{program} ended at once")).expect("a line");
        (node, serde_json::from_str(&first).expect("it writes JSON"), lines)
    }
}

/// What a program of `tests/node/` that comes to an end writes.
pub fn run(program: &str, arguments: &[&str]) -> Value {
    let (mut node, told, _) = Node::start(program, arguments);
    let ended = node.0.wait().expect("it can be waited for");
    assert!(ended.success(), "{program} {arguments:?}: {ended}");
    told
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Debug, Clone)]
pub struct Mail {
    pub to: String,
    /// A line for each header.
    pub head: String,
    pub body: String,
}

/// A mail server, as `tests/node/mail-server.js` describes it.
pub struct MailServer {
    _node: Node,
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl MailServer {
    /// Port 0 stands for one that is free.
    pub fn start(port: u16) -> MailServer {
        let (node, port, lines) = Node::start("mail-server.js", &[&port.to_string()]);
        let mails = Arc::new(Mutex::new(Vec::new()));
        let taken = mails.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mail: Value = serde_json::from_str(&line).expect("it writes JSON");
                let text = |name: &str| mail[name].as_str().expect("a text").to_owned();
                let mail = Mail { to: text("to"), head: text("head"), body: text("body") };
                taken.lock().expect("nobody panics with it").push(mail);
            }
        });
        let port = port.as_u64().and_then(|port| port.try_into().ok()).expect("a port");
        MailServer { _node: node, port, mails }
    }

    /// Its address, with the password that it asks for.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// All that it took.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("nobody panics with it").clone()
    }

    pub fn mails_to(&self, recipient: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to == recipient).collect()
    }
}

/// The address of a mail server on this port.
pub fn url(port: u16) -> String {
    format!("smtp://salur:geheim@127.0.0.1:{port}")
}

/// A city's single sign-on, as `tests/node/sign-on.js` describes it.
pub struct SignOnServer {
    _node: Node,
    pub address: SocketAddr,
}

impl SignOnServer {
    /// It sends people back to `callback` and nowhere else.
    pub fn start(callback: &str) -> SignOnServer {
        let (node, port, _) = Node::start("sign-on.js", &[callback]);
        let port: u16 = port.as_u64().and_then(|port| port.try_into().ok()).expect("a port");
        SignOnServer { _node: node, address: ([127, 0, 0, 1], port).into() }
    }
}
