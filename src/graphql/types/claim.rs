//! Offers, claims and what a claim is answered with.

use super::delivery::Delivery;
use super::need::Need;
use super::organization::Organization;
use super::program::Item;
use crate::domain::claim as domain;
use crate::domain::ids::{ClaimId, NeedId};
use crate::domain::refusal;
use crate::graphql::context::{claim, now, offer, organization, service, sight};
use crate::graphql::enums::{ClaimStatus, RefusalReason};
use crate::graphql::errors::Answer;
use crate::graphql::scalars::{Date, DateTime, Quantity, Version};
use crate::service::{Code, ServiceError};
use async_graphql::{Context, ID, Object, SimpleObject, Union};

/// What a donor pledges: a quantity of one item, from a place, under its own conditions.
pub struct Offer(pub domain::Offer);

#[Object]
impl Offer {
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn organization(&self, ctx: &Context<'_>) -> Answer<Organization> {
        Ok(Organization(organization(ctx, self.0.organization).await?))
    }

    async fn item(&self, ctx: &Context<'_>) -> Answer<Item> {
        let item = service(ctx)?.atlas().ground().item(self.0.item).cloned();
        Ok(Item(item.ok_or_else(|| ServiceError::fault("an offer's item is missing"))?))
    }

    async fn quantity(&self) -> Quantity {
        Quantity(self.0.quantity)
    }

    async fn claimed(&self) -> Quantity {
        Quantity(self.0.claimed)
    }

    async fn remaining(&self) -> Quantity {
        Quantity(self.0.quantity.saturating_sub(self.0.claimed))
    }

    async fn available_from(&self) -> Option<Date> {
        self.0.available_from.map(Date)
    }

    async fn available_until(&self) -> Option<Date> {
        self.0.available_until.map(Date)
    }

    /// [longitude, latitude] of where the goods start from.
    async fn origin(&self) -> Option<Vec<f64>> {
        self.0.origin.map(|p| vec![p.lon(), p.lat()])
    }
}

/// An organisation's promise over one or many needs. HELD until expiresAt, then EXPIRED unless confirmed.
pub struct Claim(pub domain::Claim);

#[Object]
impl Claim {
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn organization(&self, ctx: &Context<'_>) -> Answer<Organization> {
        Ok(Organization(organization(ctx, self.0.organization).await?))
    }

    /// Who carries it out: the organisation itself or an aggregator.
    async fn executor(&self, ctx: &Context<'_>) -> Answer<Organization> {
        Ok(Organization(organization(ctx, self.0.executor).await?))
    }

    /// The offer that it draws on, where the caller may see it.
    async fn offer(&self, ctx: &Context<'_>) -> Answer<Option<Offer>> {
        match self.0.offer {
            None => Ok(None),
            Some(id) => Ok(offer(ctx, id).await?.map(Offer)),
        }
    }

    async fn status(&self, ctx: &Context<'_>) -> Answer<ClaimStatus> {
        Ok(self.0.status_at(now(ctx).await?).into())
    }

    /// Ascending by need.
    async fn lines(&self) -> Vec<ClaimLine> {
        self.0.lines.iter().copied().map(ClaimLine).collect()
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at().map(DateTime)
    }

    /// How often its hold has been renewed.
    async fn renewals(&self) -> i64 {
        self.0.renewals
    }

    /// Its trips, oldest first.
    async fn deliveries(&self, ctx: &Context<'_>) -> Answer<Vec<Delivery>> {
        let deliveries = service(ctx)?.deliveries_of_claim(self.0.id).await?;
        Ok(deliveries.into_iter().map(Delivery).collect())
    }

    async fn version(&self) -> Version {
        Version(self.0.version())
    }
}

/// A quantity of one need, promised by a claim.
pub struct ClaimLine(pub domain::ClaimLine);

#[Object]
impl ClaimLine {
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn need(&self, ctx: &Context<'_>) -> Answer<Need> {
        need(ctx, self.0.need).await
    }

    async fn quantity(&self) -> Quantity {
        Quantity(self.0.quantity)
    }

    /// On trips that are planned or on their way.
    async fn scheduled(&self) -> Quantity {
        Quantity(self.0.scheduled)
    }

    async fn delivered(&self) -> Quantity {
        Quantity(self.0.delivered)
    }

    async fn status(&self, ctx: &Context<'_>) -> Answer<ClaimStatus> {
        Ok(self.0.status_at(now(ctx).await?).into())
    }
}

/// The need under a line that the caller may see.
async fn need(ctx: &Context<'_>, id: NeedId) -> Answer<Need> {
    let view = service(ctx)?.atlas().need(id, sight(ctx).await?);
    Ok(Need(view.ok_or_else(|| ServiceError::new(Code::Unavailable, "the map is being read anew; ask again shortly"))?))
}

/// A claim that the caller has just changed or asked for by a key of their own.
pub async fn own(ctx: &Context<'_>, id: ClaimId) -> Answer<Claim> {
    let found = claim(ctx, id).await?;
    Ok(Claim(found.ok_or_else(|| ServiceError::fault("a claim of the caller's own is missing"))?))
}

/// What `claimNeeds` answers: a claim, or why there is none.
#[derive(Union)]
pub enum ClaimNeedsResult {
    ClaimAccepted(ClaimAccepted),
    ClaimRefused(ClaimRefused),
}

/// The claim stands.
#[derive(SimpleObject)]
pub struct ClaimAccepted {
    pub claim: Claim,
    /// True where the key had been used before and this is that answer.
    pub replayed: bool,
    /// Under TAKE_FREE: the lines that were cut or left out, as they stood when the claim was decided.
    pub shortfalls: Vec<LineRefusal>,
}

/// There is no claim, and nothing is held.
#[derive(SimpleObject)]
pub struct ClaimRefused {
    pub refusals: Vec<LineRefusal>,
    pub replayed: bool,
}

/// Why one line was refused, and what could be had instead.
#[derive(SimpleObject)]
pub struct LineRefusal {
    pub need_id: ID,
    pub requested: Quantity,
    pub free: Quantity,
    pub reason: RefusalReason,
    /// The earliest moment at which a hold on this need runs out.
    pub frees_at: Option<DateTime>,
}

impl From<refusal::LineRefusal> for LineRefusal {
    fn from(r: refusal::LineRefusal) -> Self {
        LineRefusal {
            need_id: r.need.into(),
            requested: Quantity(r.requested),
            free: Quantity(r.free),
            reason: r.reason.into(),
            frees_at: r.frees_at.map(DateTime),
        }
    }
}
