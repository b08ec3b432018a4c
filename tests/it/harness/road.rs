//! A way to servers that can be led elsewhere, as by a virtual address before a pair of databases, or
//! to several by turns, as by a balancer before replicas.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

#[derive(Clone)]
struct Ways {
    targets: Vec<SocketAddr>,
    /// How often it was led elsewhere.
    turns: u64,
    /// Connections from before this turn are closed.
    closed_before: u64,
    /// Nothing moves any more on connections from before this turn, and nobody is told.
    dead_before: u64,
}

/// The running way; dropping it closes every connection.
pub struct Road {
    pub address: SocketAddr,
    ways: watch::Sender<Ways>,
    task: JoinHandle<()>,
}

impl Road {
    /// New connections go to each target in turn.
    pub async fn to(targets: &[SocketAddr]) -> Road {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let ways = Ways { targets: targets.to_vec(), turns: 0, closed_before: 0, dead_before: 0 };
        let (ways, seen) = watch::channel(ways);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            for count in 0.. {
                let Ok((client, _)) = listener.accept().await else { return };
                while open.try_join_next().is_some() {}
                open.spawn(travel(client, seen.clone(), count));
            }
        });
        Road { address, ways, task }
    }

    /// From now on it leads to `target`; who is on the way is told by the end of the connection.
    pub fn lead_to(&self, target: SocketAddr) {
        self.turn(target, |ways| ways.closed_before = ways.turns);
    }

    /// As [`Road::lead_to`], where the old target's machine has vanished: who is on the way hears nothing.
    pub fn lose(&self, target: SocketAddr) {
        self.turn(target, |ways| ways.dead_before = ways.turns);
    }

    fn turn(&self, target: SocketAddr, old: impl Fn(&mut Ways)) {
        self.ways.send_modify(|ways| {
            ways.targets = vec![target];
            ways.turns += 1;
            old(ways);
        });
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn travel(mut client: TcpStream, mut ways: watch::Receiver<Ways>, count: usize) {
    let Ways { targets, turns, .. } = ways.borrow_and_update().clone();
    let Ok(mut server) = TcpStream::connect(targets[count % targets.len()]).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a socket takes the option");
    }
    tokio::select! {
        // However it ends, both ends are told by its end.
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = ways.wait_for(|ways| ways.closed_before > turns || ways.dead_before > turns) => {}
    }
    // Both ends stay open here as long as they are to believe in each other.
    let _ = ways.wait_for(|ways| ways.closed_before > turns).await;
}
