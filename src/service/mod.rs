//! Use cases: who may, one call to the store, then the answer. One file per noun.
//!
//! Nothing here decides about quantities (see `store::ledger` and `domain::rules`), and nothing
//! here knows GraphQL or HTTP. Every use case takes an [`Actor`], and the actor comes from the
//! caller's key, never from input.

pub mod access;
pub mod audit_log;
pub mod claims;
pub mod deliveries;
pub mod demo;
pub mod error;
pub mod follow;
mod fresh;
pub mod imports;
pub mod matches;
pub mod needs;
pub mod overlaps;
pub mod people;

pub use error::{Code, Retry, ServiceError};

// What use cases take and answer with, under one roof for those who call them.
pub use crate::audit::tree::to_hex;
pub use crate::matching::{Locale, PlanLine, Policy, Reason};
pub use crate::store::{Answer as LineAnswer, AuditRow, Checkpoint, ClaimOutcome, OverlapFilter, noting_commits};

use crate::atlas::{Atlas, NeedChange, Sight};
use crate::audit::signing::SigningKey;
use crate::domain::actor::{Actor, Role, User};
use crate::domain::calendar::Moment;
use crate::domain::ids::OrganizationId;
use crate::domain::nik;
use crate::domain::organization::OrganizationStatus;
use crate::metrics::{Claimed, Metrics, Readings};
use crate::spatial::Shape;
use crate::store::{Keyed, Scope, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// What a batch of commits did to the needs, for open subscriptions.
pub type Changes = Arc<Vec<NeedChange>>;

#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    store: Store,
    atlas: Atlas,
    key: Arc<SigningKey>,
    changes: broadcast::Sender<Changes>,
    following: follow::Following,
    /// Users by the hash of their key.
    users: fresh::Fresh<[u8; 32], User>,
    standings: fresh::Fresh<OrganizationId, OrganizationStatus>,
}

/// Batches of changes that a slow subscriber may fall behind before it is told to read anew.
const CHANGES_KEPT: usize = 1_024;

/// Whoever reads the figures waits no longer for the database.
const READING: Duration = Duration::from_secs(2);

impl Service {
    pub fn new(store: Store, key: Arc<SigningKey>) -> Self {
        Self::with_patience(store, key, follow::STALE_AFTER)
    }

    /// A service that passes off no map as the present one that is older than `stale_after`.
    pub fn with_patience(store: Store, key: Arc<SigningKey>, stale_after: Duration) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let service = Service(Arc::new(Inner {
            store,
            atlas: Atlas::new(),
            key,
            changes,
            following: follow::Following::new(stale_after),
            users: fresh::Fresh::default(),
            standings: fresh::Fresh::default(),
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
        let audit = tokio::time::timeout(READING, self.store().audit_lag()).await;
        let (connections_used, connections_idle) = self.store().connections();
        Readings {
            ready: self.is_current(),
            lag: self.freshness().lag,
            areas: ground.area_count(),
            edition: ground.edition(),
            connections_used,
            connections_idle,
            audit: audit.ok().and_then(Result::ok),
        }
    }

    /// Waits for transactions that outlive their callers, and leaves the database.
    pub async fn close(&self) {
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

    /// Every change from now on, after it is committed.
    pub fn changes(&self) -> broadcast::Receiver<Changes> {
        self.0.changes.subscribe()
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
        Ok(if standing == Some(OrganizationStatus::Verified) { Sight::Giver } else { Sight::Public })
    }

    async fn standing(&self, id: OrganizationId) -> Result<Option<OrganizationStatus>, ServiceError> {
        let read = async { Ok(self.store().organizations(&[id]).await?.pop().map(|o| o.status)) };
        self.0.standings.or_read(id, read).await
    }

    /// The caller's organisation, where it may act: verified, not suspended.
    async fn acting_organization(&self, actor: &Actor) -> Result<OrganizationId, ServiceError> {
        let id = actor
            .organization()
            .ok_or_else(|| ServiceError::new(Code::Forbidden, "your account belongs to no organisation"))?;
        match self.standing(id).await? {
            Some(OrganizationStatus::Verified) => Ok(id),
            Some(OrganizationStatus::Pending) => {
                Err(ServiceError::new(Code::Forbidden, "your organisation has not been verified yet"))
            }
            Some(OrganizationStatus::Suspended) => {
                Err(ServiceError::new(Code::Forbidden, "your organisation is suspended"))
            }
            None => Err(ServiceError::fault("a user's organisation is missing")),
        }
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

/// An admin acts anywhere, an officer in their own area; `None` stands for anywhere.
fn officer_scope(actor: &Actor) -> Result<Option<crate::domain::area::AreaCode>, ServiceError> {
    if actor.has(Role::Admin) {
        return Ok(None);
    }
    actor
        .officer_area()
        .cloned()
        .map(Some)
        .ok_or_else(|| ServiceError::new(Code::Forbidden, "your account is not in charge of any area"))
}
