//! Deliveries.

use super::claim::{Claim, ClaimLine};
use crate::domain::delivery as domain;
use crate::domain::ids::{ClaimId, ClaimLineId};
use crate::graphql::context::{claim, service, user_name};
use crate::graphql::enums::DeliveryStatus;
use crate::graphql::errors::Answer;
use crate::graphql::scalars::{Date, DateTime, Quantity, Version};
use crate::service::ServiceError;
use async_graphql::{Context, ID, Object};

/// A trip that brings what a confirmed claim promised.
pub struct Delivery(pub domain::Delivery);

#[Object]
impl Delivery {
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn claim(&self, ctx: &Context<'_>) -> Answer<Claim> {
        claim_of_trip(ctx, self.0.claim).await.map(Claim)
    }

    async fn status(&self) -> DeliveryStatus {
        self.0.status.into()
    }

    /// Ascending by line.
    async fn lines(&self) -> Vec<DeliveryLine> {
        self.0.lines.iter().map(|line| DeliveryLine { claim: self.0.claim, line: *line }).collect()
    }

    async fn scheduled_for(&self) -> Option<Date> {
        self.0.scheduled_for.map(Date)
    }

    /// What happened to it, oldest first.
    async fn events(&self) -> Vec<DeliveryEvent> {
        self.0.events.iter().cloned().map(DeliveryEvent).collect()
    }

    async fn version(&self) -> Version {
        Version(self.0.version)
    }
}

/// Whoever may see a trip may see its claim: the same people may.
async fn claim_of_trip(ctx: &Context<'_>, id: ClaimId) -> Answer<crate::domain::claim::Claim> {
    if let Some(found) = claim(ctx, id).await? {
        return Ok(found);
    }
    Ok(service(ctx)?.claim_of_shown_delivery(id).await?)
}

/// What one line of the claim gets on this trip.
pub struct DeliveryLine {
    claim: ClaimId,
    line: domain::DeliveryLine,
}

#[Object]
impl DeliveryLine {
    async fn claim_line(&self, ctx: &Context<'_>) -> Answer<ClaimLine> {
        let wanted: ClaimLineId = self.line.line;
        let claim = claim_of_trip(ctx, self.claim).await?;
        let line = claim.lines.iter().find(|l| l.id == wanted);
        Ok(ClaimLine(*line.ok_or_else(|| ServiceError::fault("a delivery's line is missing"))?))
    }

    async fn quantity(&self) -> Quantity {
        Quantity(self.line.quantity)
    }

    /// What arrived whole, once the area's officer has answered.
    async fn accepted(&self) -> Option<Quantity> {
        self.line.answer.map(|(accepted, _)| Quantity(accepted))
    }

    /// What did not; it is owed again.
    async fn rejected(&self) -> Option<Quantity> {
        self.line.answer.map(|(_, rejected)| Quantity(rejected))
    }
}

/// One step of a trip.
pub struct DeliveryEvent(domain::DeliveryEvent);

#[Object]
impl DeliveryEvent {
    async fn status(&self) -> DeliveryStatus {
        self.0.status.into()
    }

    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// By e-mail to officials, by number to others; "system" where nobody did it by hand.
    async fn by(&self, ctx: &Context<'_>) -> Answer<String> {
        match self.0.by {
            None => Ok("system".to_owned()),
            Some(user) => user_name(ctx, user).await,
        }
    }

    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }
}
