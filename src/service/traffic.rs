//! How much one caller may ask in a minute, all servers together: by address for those without an
//! account, by account, and by organisation.
//!
//! Each server counts what it serves and once a second tells the database, which adds up and tells it
//! the sum; so a caller who turns to several servers is told to wait a second late at most. Where the
//! database is away, each server holds its callers to what it has counted itself.

use super::visits::digest;
use super::{Code, Service, ServiceError};
use crate::domain::actor::Actor;
use crate::metrics::Stopwatch;
use crate::store::{AddUp, Counted, Digest};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Requests of a minute at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficLimits {
    /// Of one address (of IPv6 its /64) without an account: there may be a whole neighbourhood behind it.
    pub address: i64,
    pub account: i64,
    pub organization: i64,
}

impl Default for TrafficLimits {
    /// More than any person, page or script of one office asks for, and less than a script that has lost
    /// its mind.
    fn default() -> Self {
        TrafficLimits { address: 60_000, account: 300_000, organization: 600_000 }
    }
}

/// In seconds.
const WINDOW: i64 = 60;
/// How often servers tell each other.
const ADD_UP: Duration = Duration::from_secs(1);
/// Callers that are told apart at once; beyond, the quiet ones are forgotten.
const MOST: usize = 100_000;

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    /// Since the last sum.
    fresh: i64,
    /// All servers', as of the last sum.
    sum: i64,
    /// Since this server saw the window begin.
    begun: Option<Stopwatch>,
}

#[derive(Default)]
pub(super) struct Traffic {
    tallies: Mutex<HashMap<Digest, Tally>>,
}

impl Traffic {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one request; false where the minute is used up.
    fn takes(&self, bucket: Digest, most: i64) -> bool {
        let mut tallies = self.lock();
        if tallies.len() >= MOST && !tallies.contains_key(&bucket) {
            tallies.retain(|_, tally| tally.fresh > 0);
        }
        let tally = tallies.entry(bucket).or_default();
        let over = |begun: &Stopwatch| begun.elapsed() >= Duration::from_secs(WINDOW as u64);
        if tally.begun.as_ref().is_none_or(over) {
            *tally = Tally { begun: Some(Stopwatch::start()), ..Tally::default() };
        }
        tally.fresh += 1;
        tally.sum + tally.fresh <= most
    }

    /// What was counted since the last time.
    fn fresh(&self) -> Vec<Counted> {
        let mut tallies = self.lock();
        let over = |begun: &Stopwatch| begun.elapsed() >= Duration::from_secs(2 * WINDOW as u64);
        tallies.retain(|_, tally| tally.fresh > 0 || !tally.begun.as_ref().is_none_or(over));
        let counted = tallies.iter_mut().filter(|(_, tally)| tally.fresh > 0);
        counted.map(|(bucket, tally)| Counted { bucket: *bucket, count: tally.fresh }).collect()
    }

    /// The sums that the database has come to, of what was told to it.
    fn learn(&self, told: &[Counted], sums: Vec<Counted>) {
        let mut tallies = self.lock();
        for Counted { bucket, count } in told {
            if let Some(tally) = tallies.get_mut(bucket) {
                tally.fresh = (tally.fresh - count).max(0);
            }
        }
        for Counted { bucket, count } in sums {
            if let Some(tally) = tallies.get_mut(&bucket) {
                tally.sum = count;
            }
        }
    }
}

impl Service {
    /// Sets how much callers may ask. Only the first call counts.
    pub fn limit_traffic(&self, limits: TrafficLimits) {
        let _ = self.0.traffic_limits.set(limits);
    }

    /// Counts a request, and refuses it where its caller has used their minute up.
    pub fn admit_traffic(&self, actor: &Actor, address: Option<IpAddr>) -> Result<(), ServiceError> {
        let limits = self.0.traffic_limits.get().copied().unwrap_or_default();
        let traffic = &self.0.traffic;
        let admitted = match actor.user() {
            None => {
                let from = super::accounts::neighbourhood(address);
                traffic.takes(digest(&format!("traffic\n{from}")), limits.address)
            }
            Some(user) => {
                let whole = user.organization.is_none_or(|organization| {
                    traffic.takes(digest(&format!("traffic\n{organization}")), limits.organization)
                });
                traffic.takes(digest(&format!("traffic\n{}", user.id)), limits.account) && whole
            }
        };
        match admitted {
            true => Ok(()),
            false => Err(ServiceError::new(
                Code::RateLimited,
                "more requests than one caller is served in a minute; wait a minute, then send fewer",
            )),
        }
    }

    /// Tells the other servers, by way of the database, until the task is ended.
    pub(super) async fn add_traffic_up(&self) {
        loop {
            tokio::time::sleep(ADD_UP).await;
            let told = self.0.traffic.fresh();
            if told.is_empty() || !self.store().is_shared() {
                continue;
            }
            match self.store().execute(AddUp { counted: told.clone(), seconds: WINDOW }).await {
                Ok(sums) => self.0.traffic.learn(&told, sums),
                Err(error) => tracing::debug!(%error, "requests could not be added up"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_used_up_by_all_servers_together() {
        let (one, two) = (Traffic::default(), Traffic::default());
        let bucket = [1; 32];
        assert!((0..6).all(|_| one.takes(bucket, 10)));
        let told = one.fresh();
        one.learn(&told, vec![Counted { bucket, count: 6 }]);
        assert!((0..3).all(|_| two.takes(bucket, 10)));
        let told = two.fresh();
        two.learn(&told, vec![Counted { bucket, count: 9 }]);
        assert!(two.takes(bucket, 10) && !two.takes(bucket, 10));
        assert!((0..4).all(|_| one.takes(bucket, 10)) && !one.takes(bucket, 10), "until it hears of the others");
        assert!(one.takes([2; 32], 10), "somebody else is not concerned");
        assert_eq!(one.fresh().len(), 2);
    }
}
