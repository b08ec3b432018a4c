//! Leaving without losing anything: first the health check says so, then nothing new is taken, and
//! what is under way comes to its end.

use std::sync::Arc;
use tokio::sync::watch;

/// How far a server is on its way out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    #[default]
    Serving,
    /// Not ready any more, while requests are still taken: whoever spreads them has time to see it.
    Leaving,
    /// No new connections; open ones end with the request that they are in.
    Closing,
}

/// Shared by all who have to know that the server leaves.
#[derive(Clone, Default)]
pub struct Drain(Arc<Parts>);

#[derive(Default)]
struct Parts {
    phase: watch::Sender<Phase>,
    /// Has a receiver for each open WebSocket, which no server counts once it is upgraded.
    sockets: watch::Sender<()>,
}

/// An open WebSocket.
pub struct OpenSocket(#[expect(dead_code, reason = "it counts while it lives")] watch::Receiver<()>);

impl Drain {
    pub fn enter(&self, phase: Phase) {
        self.0.phase.send_replace(phase);
    }

    pub fn is_leaving(&self) -> bool {
        *self.0.phase.borrow() >= Phase::Leaving
    }

    /// Ends when nothing new is to be begun.
    pub async fn closing(&self) {
        // The sender is ours: it outlives the wait.
        let _ = self.0.phase.subscribe().wait_for(|phase| *phase >= Phase::Closing).await;
    }

    pub fn open_socket(&self) -> OpenSocket {
        OpenSocket(self.0.sockets.subscribe())
    }

    /// Ends when no WebSocket is open.
    pub async fn sockets_closed(&self) {
        self.0.sockets.closed().await;
    }
}
