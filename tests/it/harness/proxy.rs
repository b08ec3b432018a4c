//! A wire between a server and PostgreSQL that can be cut where it hurts: around COMMIT.
//!
//! Of the protocol it knows what it needs: that a message says its length, which statements are
//! prepared under which names, and what a COMMIT looks like.

use std::collections::HashSet;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::dice::Dice;

/// Where a connection is cut, and what then becomes of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// COMMIT never reaches the database, which takes everything back.
    Before,
    /// COMMIT is on its way; nobody waits for what comes of it.
    Behind,
    /// The database has committed; its answer is lost.
    Unanswered,
}

impl Cut {
    const ALL: [Cut; 3] = [Cut::Before, Cut::Behind, Cut::Unanswered];
}

/// What the connections share.
struct Plan {
    target: SocketAddr,
    /// Transactions with a statement that holds this text are the ones that are cut.
    marker: &'static str,
    /// So many of a hundred.
    percent: i64,
    dice: std::sync::Mutex<Dice>,
    counts: [AtomicU64; 3],
}

impl Plan {
    fn decide(&self) -> Option<Cut> {
        let mut dice = self.dice.lock().expect("nobody panics with the dice in hand");
        dice.chance(self.percent).then(|| *dice.pick(&Cut::ALL))
    }
}

/// The running wire; dropping it cuts every connection.
pub struct Proxy {
    pub address: SocketAddr,
    plan: Arc<Plan>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn before(target: SocketAddr, marker: &'static str, percent: i64, dice: Dice) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let plan = Plan { target, marker, percent, dice: dice.into(), counts: Default::default() };
        let plan = Arc::new(plan);
        let task = tokio::spawn({
            let plan = plan.clone();
            async move {
                let mut open = tokio::task::JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    while open.try_join_next().is_some() {}
                    let plan = plan.clone();
                    // However a connection ends, both its ends are told by its end.
                    open.spawn(async move { Wire::new(&plan).run(client).await.err() });
                }
            }
        });
        Proxy { address, plan, task }
    }

    /// How often it has cut there.
    pub fn count(&self, cut: Cut) -> u64 {
        self.plan.counts[cut as usize].load(Ordering::Relaxed)
    }

    pub fn cuts(&self) -> u64 {
        Cut::ALL.into_iter().map(|cut| self.count(cut)).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, and what has been seen of it.
struct Wire<'a> {
    plan: &'a Plan,
    /// The client has said who it is; from there on messages have a type.
    begun: bool,
    /// Names of prepared statements with the marker.
    marked: HashSet<Vec<u8>>,
    /// The open transaction has run one of them.
    meant: bool,
}

impl<'a> Wire<'a> {
    fn new(plan: &'a Plan) -> Self {
        Wire { plan, begun: false, marked: HashSet::new(), meant: false }
    }

    async fn run(mut self, mut client: TcpStream) -> Result<(), Error> {
        let mut server = TcpStream::connect(self.plan.target).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        loop {
            tokio::select! {
                read = client.read_buf(&mut asked) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    while let Some(length) = self.message(&asked) {
                        let cut = self.look(&asked[..length]);
                        if let Some(cut) = cut {
                            self.plan.counts[cut as usize].fetch_add(1, Ordering::Relaxed);
                        }
                        if cut == Some(Cut::Before) {
                            return Ok(());
                        }
                        server.write_all(&asked[..length]).await?;
                        if cut == Some(Cut::Unanswered) {
                            server.read_buf(&mut answered).await?;
                        }
                        if cut.is_some() {
                            return Ok(());
                        }
                        asked.drain(..length);
                    }
                }
                read = server.read_buf(&mut answered) => {
                    if read? == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    client.write_all(&answered).await?;
                    answered.clear();
                }
            }
        }
    }

    /// The length of the first message, where all of it is there.
    fn message(&self, bytes: &[u8]) -> Option<usize> {
        let kind = usize::from(self.begun);
        let length = bytes.get(kind..kind + 4)?.try_into().ok().map(u32::from_be_bytes)?;
        let length = kind + length as usize;
        (bytes.len() >= length).then_some(length)
    }

    /// Learns from a message, and decides on a COMMIT.
    fn look(&mut self, message: &[u8]) -> Option<Cut> {
        if !self.begun {
            // 80877103 asks for encryption, after which the client says anew who it is.
            self.begun = message[4..8] != 80_877_103_u32.to_be_bytes();
            return None;
        }
        let mut texts = message[5..].split(|byte| *byte == 0);
        let mut text = || texts.next().unwrap_or_default();
        match message[0] {
            // Parse: the statement's name, its text.
            b'P' => {
                let (name, sql) = (text(), text());
                if String::from_utf8_lossy(sql).contains(self.plan.marker) {
                    self.marked.insert(name.to_vec());
                } else {
                    self.marked.remove(name);
                }
            }
            // Bind: the portal's name, the statement's name.
            b'B' => {
                let (_, name) = (text(), text());
                self.meant |= self.marked.contains(name);
            }
            b'Q' => {
                let sql = text();
                let ends = [b"COMMIT".as_slice(), b"ROLLBACK"].contains(&sql);
                let meant = self.meant;
                self.meant &= !ends;
                if meant && sql == b"COMMIT" {
                    return self.plan.decide();
                }
            }
            _ => {}
        }
        None
    }
}
