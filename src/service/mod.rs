//! Use cases: who may, one call to the store, then the answer. One file per noun.
//!
//! Nothing here decides about quantities (see `store::ledger` and `domain::rules`), and nothing
//! here knows GraphQL or HTTP. Every use case takes an [`Actor`], and the actor comes from the
//! caller's key, never from input.

pub mod access;
pub mod accounts;
pub mod audit_log;
pub mod claims;
pub mod deliveries;
pub mod demo;
pub mod error;
pub mod exports;
pub mod follow;
mod fresh;
pub mod help;
pub mod imports;
mod letters;
pub mod loading;
pub mod matches;
pub mod needs;
pub mod organizations;
pub mod overlaps;
mod passwords;
pub mod people;
pub mod sign_on;
pub mod tiles;
pub mod traffic;
pub mod visits;
pub mod watch;

pub use error::{Code, Retry, ServiceError};

// What use cases take and answer with, under one roof for those who call them.
pub use crate::audit::tree::to_hex;
pub use crate::matching::{Locale, PlanLine, Policy, Reason};
pub use crate::store::{
    Answer as LineAnswer, AreaHistory, AuditRow, Checkpoint, ClaimOutcome, HistoryPlace, OverlapCount, OverlapFilter,
    noting_commits,
};
pub use crate::store::{ApiKey, Member, OpenSession};

use crate::atlas::{Atlas, Sight};
use crate::audit::signing::SigningKey;
use crate::domain::actor::{Actor, Role, User};
use crate::domain::calendar::Moment;
use crate::domain::ids::OrganizationId;
use crate::domain::nik;
use crate::domain::organization::Standing;
use crate::metrics::{Claimed, Metrics, Readings};
use crate::oidc::Provider;
use crate::spatial::Shape;
use crate::store::{Keyed, Scope, Store};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;

#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    store: Store,
    atlas: Atlas,
    key: Arc<SigningKey>,
    public_url: OnceLock<String>,
    watchers: watch::Watchers,
    following: follow::Following,
    /// Users by the digest of their key or their session.
    users: fresh::Fresh<[u8; 32], User>,
    standings: fresh::Fresh<OrganizationId, Standing>,
    letters: letters::Letters,
    tiles: tiles::Shelf,
    traffic: traffic::Traffic,
    traffic_limits: OnceLock<traffic::TrafficLimits>,
    sign_on: OnceLock<Provider>,
    exports: Semaphore,
}

/// Whoever reads the figures waits no longer for the database.
const READING: Duration = Duration::from_secs(2);

impl Service {
    pub fn new(store: Store, key: Arc<SigningKey>) -> Self {
        Self::with_patience(store, key, follow::STALE_AFTER)
    }

    /// A service that passes off no map as the present one that is older than `stale_after`.
    pub fn with_patience(store: Store, key: Arc<SigningKey>, stale_after: Duration) -> Self {
        let service = Service(Arc::new(Inner {
            store,
            atlas: Atlas::new(),
            key,
            public_url: OnceLock::new(),
            watchers: watch::Watchers::default(),
            following: follow::Following::new(stale_after),
            users: fresh::Fresh::default(),
            standings: fresh::Fresh::default(),
            letters: letters::Letters::default(),
            tiles: tiles::Shelf::default(),
            traffic: traffic::Traffic::default(),
            traffic_limits: OnceLock::new(),
            sign_on: OnceLock::new(),
            exports: Semaphore::new(exports::AT_ONCE),
        }));
        service.listen_to_commits();
        service
    }

    pub fn atlas(&self) -> &Atlas {
        &self.0.atlas
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Where people reach this service, without a `/` at the end: links in letters begin with it. Only the
    /// first call counts.
    pub fn reached_at(&self, url: String) {
        let _ = self.0.public_url.set(url);
    }

    /// Whether people reach it over TLS, and may hold on to that.
    pub fn is_reached_by_tls(&self) -> bool {
        self.public_url().starts_with("https://")
    }

    fn public_url(&self) -> &str {
        self.0.public_url.get().map_or("http://127.0.0.1:8080", String::as_str)
    }

    pub fn metrics(&self) -> &Metrics {
        self.store().metrics()
    }

    fn count_claim(&self, outcome: &ClaimOutcome) {
        self.metrics().claimed(match outcome {
            ClaimOutcome::Accepted { replayed: true, .. } | ClaimOutcome::Refused { replayed: true, .. } => {
                Claimed::Replayed
            }
            ClaimOutcome::Accepted { .. } => Claimed::Accepted,
            ClaimOutcome::Refused { .. } => Claimed::Refused,
        });
    }

    /// What is read for a page of figures. Ends soon, also where the database is away.
    pub async fn readings(&self) -> Readings {
        let ground = self.atlas().ground();
        let read = async { (self.store().audit_lag().await.ok(), self.store().outbox_lag().await.ok()) };
        let (audit, outbox) = tokio::time::timeout(READING, read).await.unwrap_or_default();
        let (connections_used, connections_idle) = self.store().connections();
        Readings {
            ready: self.is_current(),
            lag: self.freshness().lag,
            areas: ground.area_count(),
            edition: ground.edition(),
            connections_used,
            connections_idle,
            audit,
            outbox,
        }
    }

    /// Waits for letters under way and for transactions that outlive their callers, and leaves the
    /// database.
    pub async fn close(&self) {
        self.letters_are_out().await;
        self.store().close().await;
    }

    /// The database's clock.
    pub async fn now(&self) -> Result<Moment, ServiceError> {
        Ok(self.store().now().await?)
    }

    /// A polygon that a caller draws around what they ask for.
    pub fn drawn_shape(&self, field: &str, geojson: &serde_json::Value) -> Result<Shape, ServiceError> {
        Shape::query_geojson(geojson).map_err(|problem| ServiceError::bad(field, problem))
    }

    /// What of the needs a caller may see. Exact small counts are for those who need them to give: a
    /// verified organisation's people, and officials.
    pub async fn sight(&self, actor: &Actor) -> Result<Sight, ServiceError> {
        if actor.reads_all() {
            return Ok(Sight::All);
        }
        if let Some(area) = actor.officer_area() {
            return Ok(Sight::Officer(area.clone()));
        }
        let gives = actor.has(Role::Donor) || actor.has(Role::Aggregator);
        let standing = match actor.organization().filter(|_| gives) {
            Some(id) => self.standing(id).await?,
            None => None,
        };
        let verified = matches!(standing, Some(Standing::Good | Standing::PermitLapsed));
        Ok(if verified { Sight::Giver } else { Sight::Public })
    }

    async fn standing(&self, id: OrganizationId) -> Result<Option<Standing>, ServiceError> {
        let read = async { Ok(self.store().standing(id).await?) };
        self.0.standings.or_read(id, read).await
    }

    /// The caller's organisation, where it may act: verified, not suspended, its permit good.
    async fn acting_organization(&self, permit: &access::Permit<'_>) -> Result<OrganizationId, ServiceError> {
        let id = permit.organization()?.ok_or_else(|| ServiceError::fault("this is granted on no organisation"))?;
        let problem = match self.standing(id).await? {
            Some(Standing::Good) => return Ok(id),
            Some(Standing::Pending) => "your organisation has not been verified yet",
            Some(Standing::Suspended) => "your organisation is suspended",
            Some(Standing::PermitLapsed) => {
                "your organisation's permit has lapsed; name one that is good today under documents"
            }
            None => return Err(ServiceError::fault("a user's organisation is missing")),
        };
        Err(ServiceError::new(Code::Forbidden, problem))
    }
}

/// A key as a client chose it: 1 to 200 characters.
fn keyed(
    scope: Scope,
    operation: &'static str,
    key: String,
    normalised: &serde_json::Value,
) -> Result<Keyed, ServiceError> {
    if key.is_empty() || key.chars().count() > 200 {
        return Err(ServiceError::bad("idempotencyKey", "must have 1 to 200 characters"));
    }
    // PostgreSQL keeps no such text, and a key that cannot be written would fail all who are decided with it.
    if key.contains('\0') {
        return Err(ServiceError::bad("idempotencyKey", "must not contain the character U+0000"));
    }
    Ok(Keyed::new(scope, operation, key, normalised))
}

/// Words that a person typed: not empty, at most 2,000 characters, naming nobody by number.
fn words(field: &str, text: &str) -> Result<String, ServiceError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ServiceError::bad(field, "must not be empty; say why"));
    }
    optional_words(field, Some(text)).map(Option::unwrap_or_default)
}

fn optional_words(field: &str, text: Option<&str>) -> Result<Option<String>, ServiceError> {
    match text {
        Some(text) if text.chars().count() > 2_000 => Err(ServiceError::bad(field, "has more than 2000 characters")),
        Some(text) if nik::is_in(text) => Err(ServiceError::bad(field, nik::REFUSAL)),
        // PostgreSQL keeps no such text.
        Some(text) if text.contains('\0') => Err(ServiceError::bad(field, "must not contain the character U+0000")),
        other => Ok(other.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)),
    }
}
