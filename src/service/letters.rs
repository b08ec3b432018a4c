//! Letters: what waits in the outbox is handed to the carrier, by every server that has one.

use super::Service;
use crate::domain::message::Letter;
use crate::mail::{Carrier, Undelivered};
use crate::metrics::{Carried, Stopwatch};
use crate::store::{Posted, SettleMessage, StoreError, TakeMessages};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Letters that are under way at once at most.
const AT_ONCE: u32 = 4;
/// How often the outbox is looked into.
const LOOK: Duration = Duration::from_millis(1_000);
/// How often, and for how long, it is tried to write down that a letter is out: less than the pause in
/// which nobody else takes it.
const SETTLE_AGAIN: Duration = Duration::from_millis(500);
const SETTLE_FOR: Duration = Duration::from_secs(10);

pub(super) struct Letters {
    carrier: OnceLock<Carrier>,
    under_way: Arc<Semaphore>,
}

impl Default for Letters {
    fn default() -> Self {
        Letters { carrier: OnceLock::new(), under_way: Arc::new(Semaphore::new(AT_ONCE as usize)) }
    }
}

impl Service {
    /// Names the one who carries letters out, before the service is started. Without one they wait for
    /// another server, or for `salur outbox`. Only the first call counts.
    pub fn send_by(&self, carrier: Carrier) {
        let _ = self.0.letters.carrier.set(carrier);
    }

    pub(super) fn carry_letters(&self) -> Option<JoinHandle<()>> {
        let carrier = self.0.letters.carrier.get()?.clone();
        let service = self.clone();
        Some(tokio::spawn(async move {
            let mut fails = false;
            loop {
                tokio::time::sleep(LOOK).await;
                let sent = service.send_what_is_due(&carrier).await;
                if let Err(error) = &sent
                    && !fails
                {
                    tracing::warn!(%error, "the outbox cannot be read; messages wait");
                }
                fails = sent.is_err();
            }
        }))
    }

    /// Takes as many messages as may be under way, each sent by a task of its own.
    async fn send_what_is_due(&self, carrier: &Carrier) -> Result<(), StoreError> {
        let under_way = &self.0.letters.under_way;
        loop {
            let most = under_way.available_permits();
            if most == 0 || !self.store().has_due_messages().await? {
                return Ok(());
            }
            let taken = self.store().execute(TakeMessages { most: most as i64 }).await?;
            if taken.given_up > 0 {
                self.metrics().carried(Carried::GivenUp, taken.given_up);
                tracing::warn!(messages = taken.given_up, "messages were not sent for a day; see `salur outbox`");
            }
            // Others may hold what is due.
            let all = taken.messages.len() < most;
            for posted in taken.messages {
                // Closed: the server leaves, and the message is somebody else's after its pause.
                let Ok(permit) = under_way.clone().acquire_owned().await else { return Ok(()) };
                tokio::spawn(self.clone().send(carrier.clone(), posted, permit));
            }
            if all {
                return Ok(());
            }
        }
    }

    async fn send(self, carrier: Carrier, posted: Posted, _permit: OwnedSemaphorePermit) {
        let message = posted.id;
        let Some(letter) = posted.message.as_ref().map(|message| message.letter()) else {
            return tracing::warn!(message, "a message of a newer release waits for a newer server");
        };
        match carry(&carrier, &posted, &letter).await {
            Ok(()) => {
                self.metrics().carried(Carried::Sent, 1);
                self.settle(message, true).await;
            }
            Err(error @ Undelivered::Later(_)) => {
                self.metrics().carried(Carried::Failed, 1);
                tracing::warn!(message, %error, "a message was not handed over; it is tried again");
            }
            Err(error @ Undelivered::Address(_)) => {
                self.metrics().carried(Carried::GivenUp, 1);
                tracing::warn!(message, %error, "a message is given up; see `salur outbox`");
                self.settle(message, false).await;
            }
        }
    }

    async fn settle(&self, id: i64, sent: bool) {
        let begun = Stopwatch::start();
        while let Err(error) = self.store().execute(SettleMessage { id, sent }).await {
            if begun.elapsed() > SETTLE_FOR {
                return tracing::warn!(message = id, %error, "a message may be sent once more: it cannot be noted down");
            }
            tokio::time::sleep(SETTLE_AGAIN).await;
        }
    }

    /// Waits for letters under way; from now on none is begun.
    pub(super) async fn letters_are_out(&self) {
        let under_way = &self.0.letters.under_way;
        if under_way.acquire_many(AT_ONCE).await.is_ok() {
            under_way.close();
        }
    }
}

async fn carry(carrier: &Carrier, posted: &Posted, letter: &Letter) -> Result<(), Undelivered> {
    let name = format!("salur-{}-{}", posted.id, posted.created_at.0);
    carrier.deliver(&posted.recipient, &name, letter).await
}
