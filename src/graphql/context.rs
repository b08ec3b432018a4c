//! What a resolver finds in its context: who asks, the service, the moment, and loaders that fetch
//! many records at once.

use super::errors::Answer;
use crate::atlas::Sight;
use crate::domain::actor::Actor;
use crate::domain::calendar::Moment;
use crate::domain::claim::{Claim, Offer};
use crate::domain::evidence::Evidence;
use crate::domain::ids::{ClaimId, NeedId, OfferId, OrganizationId, UserId};
use crate::domain::organization::Organization;
use crate::domain::overlap::{Rule, Source as Record};
use crate::service::visits::Visit;
use crate::service::{Service, ServiceError};
use crate::telemetry;
use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::{Context, Request};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// One request's view of the world.
pub struct RequestContext {
    actor: Actor,
    service: Service,
    visit: Arc<Visit>,
    now: OnceCell<Moment>,
    sight: OnceCell<Sight>,
    rules: OnceCell<Vec<Rule>>,
}

impl RequestContext {
    /// What the caller may see, where somebody has asked for it already.
    pub(super) fn sight_so_far(&self) -> Option<&Sight> {
        self.sight.get()
    }
}

struct Source {
    service: Service,
    actor: Actor,
}

impl Loader<OrganizationId> for Source {
    type Value = Organization;
    type Error = Arc<ServiceError>;

    async fn load(&self, ids: &[OrganizationId]) -> Result<HashMap<OrganizationId, Organization>, Self::Error> {
        let found = self.service.organizations(ids).await.map_err(Arc::new)?;
        Ok(found.into_iter().map(|o| (o.id, o)).collect())
    }
}

impl Loader<ClaimId> for Source {
    type Value = Claim;
    type Error = Arc<ServiceError>;

    async fn load(&self, ids: &[ClaimId]) -> Result<HashMap<ClaimId, Claim>, Self::Error> {
        let found = self.service.visible_claims(&self.actor, ids).await.map_err(Arc::new)?;
        Ok(found.into_iter().map(|c| (c.id, c)).collect())
    }
}

impl Loader<OfferId> for Source {
    type Value = Offer;
    type Error = Arc<ServiceError>;

    async fn load(&self, ids: &[OfferId]) -> Result<HashMap<OfferId, Offer>, Self::Error> {
        let found = self.service.visible_offers(&self.actor, ids).await.map_err(Arc::new)?;
        Ok(found.into_iter().map(|o| (o.id, o)).collect())
    }
}

impl Loader<UserId> for Source {
    type Value = String;
    type Error = Arc<ServiceError>;

    async fn load(&self, ids: &[UserId]) -> Result<HashMap<UserId, String>, Self::Error> {
        self.service.names_of_users(&self.actor, ids).await.map_err(Arc::new)
    }
}

impl Loader<Record> for Source {
    type Value = Evidence;
    type Error = Arc<ServiceError>;

    async fn load(&self, records: &[Record]) -> Result<HashMap<Record, Evidence>, Self::Error> {
        let found = self.service.evidence(&self.actor, records).await.map_err(Arc::new)?;
        Ok(found.into_iter().map(|e| (e.source, e)).collect())
    }
}

/// Whether the caller reported it.
impl Loader<NeedId> for Source {
    type Value = bool;
    type Error = Arc<ServiceError>;

    async fn load(&self, ids: &[NeedId]) -> Result<HashMap<NeedId, bool>, Self::Error> {
        let own = self.service.reported_by_caller(&self.actor, ids).await.map_err(Arc::new)?;
        Ok(own.into_iter().map(|id| (id, true)).collect())
    }
}

/// Puts the caller and all that resolvers need beside a request.
pub fn attach(request: Request, service: &Service, actor: Actor, visit: Arc<Visit>) -> Request {
    let source = Source { service: service.clone(), actor: actor.clone() };
    let service = service.clone();
    let (now, sight, rules) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
    request
        .data(RequestContext { actor, service, visit, now, sight, rules })
        .data(DataLoader::new(source, |load| tokio::spawn(telemetry::of_this_request(load))))
}

fn here<'a>(ctx: &Context<'a>) -> Answer<&'a RequestContext> {
    ctx.data::<RequestContext>().map_err(|_| ServiceError::fault("a request came without its context").into())
}

pub(super) fn actor<'a>(ctx: &Context<'a>) -> Answer<&'a Actor> {
    Ok(&here(ctx)?.actor)
}

/// What came with the request beside its document.
pub(super) fn visit<'a>(ctx: &Context<'a>) -> Answer<&'a Visit> {
    Ok(&here(ctx)?.visit)
}

pub(super) fn service<'a>(ctx: &Context<'a>) -> Answer<&'a Service> {
    Ok(&here(ctx)?.service)
}

/// What of areas and needs the caller may see.
pub(super) async fn sight<'a>(ctx: &Context<'a>) -> Answer<&'a Sight> {
    let here = here(ctx)?;
    Ok(here.sight.get_or_try_init(|| here.service.sight(&here.actor)).await?)
}

/// The database's clock, asked once a request: holds that have run out are shown as expired
/// before anybody has swept them.
pub(super) async fn now(ctx: &Context<'_>) -> Answer<Moment> {
    let here = here(ctx)?;
    let now = here.now.get_or_try_init(|| async { here.service.now().await }).await;
    Ok(*now?)
}

/// The moment of what this request has just done, unless the clock was asked already.
pub(super) fn as_of(ctx: &Context<'_>, moment: Moment) -> Answer<()> {
    let _ = here(ctx)?.now.set(moment);
    Ok(())
}

async fn load<K, V>(ctx: &Context<'_>, key: K) -> Answer<Option<V>>
where
    K: Send + Sync + std::hash::Hash + Eq + Clone + 'static,
    V: Send + Sync + Clone + 'static,
    Source: Loader<K, Value = V, Error = Arc<ServiceError>>,
{
    let loader = ctx.data::<DataLoader<Source>>();
    let loader = loader.map_err(|_| ServiceError::fault("a request came without its loaders"))?;
    Ok(loader.load_one(key).await.map_err(|e| (*e).clone())?)
}

pub(super) async fn organization(ctx: &Context<'_>, id: OrganizationId) -> Answer<Organization> {
    let found = load(ctx, id).await?;
    Ok(found.ok_or_else(|| ServiceError::fault("an organisation that is referred to is missing"))?)
}

/// `None` where the caller may not see it.
pub(super) async fn claim(ctx: &Context<'_>, id: ClaimId) -> Answer<Option<Claim>> {
    load(ctx, id).await
}

/// `None` where the caller may not see it.
pub(super) async fn offer(ctx: &Context<'_>, id: OfferId) -> Answer<Option<Offer>> {
    load(ctx, id).await
}

pub(super) async fn user_name(ctx: &Context<'_>, id: UserId) -> Answer<String> {
    Ok(load(ctx, id).await?.unwrap_or_else(|| id.to_string()))
}

/// The records that a finding names, in the finding's order, as far as the caller may see them; those of all findings of
/// an answer are read at once.
pub(super) async fn evidence(ctx: &Context<'_>, records: &[Record]) -> Answer<Vec<Evidence>> {
    let loader = ctx.data::<DataLoader<Source>>();
    let loader = loader.map_err(|_| ServiceError::fault("a request came without its loaders"))?;
    let mut found = loader.load_many(records.iter().copied()).await.map_err(|e| (*e).clone())?;
    Ok(records.iter().filter_map(|record| found.remove(record)).collect())
}

/// The written rule at that place, as findings number them; read once a request.
pub(super) async fn overlap_rule(ctx: &Context<'_>, place: usize) -> Answer<Option<Rule>> {
    let here = here(ctx)?;
    let rules = here.rules.get_or_try_init(|| here.service.overlap_rules(&here.actor)).await?;
    Ok(rules.get(place).cloned())
}

pub(super) async fn reported_by_caller(ctx: &Context<'_>, id: NeedId) -> Answer<bool> {
    Ok(load(ctx, id).await?.unwrap_or(false))
}
