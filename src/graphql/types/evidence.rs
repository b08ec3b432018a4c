//! What findings rest on, and how many there are where.

use super::area::Area;
use super::claim::Claim;
use super::organization::Organization;
use super::program::{Item, Program, in_locale};
use crate::domain::evidence as domain;
use crate::domain::overlap::{Rule, Source};
use crate::graphql::context::{claim, organization, service};
use crate::graphql::enums::{DeliveryStatus, EvidenceKind, Locale};
use crate::graphql::errors::Answer;
use crate::graphql::scalars::{Date, DateTime, Quantity};
use crate::service::ServiceError;
use async_graphql::{Context, ID, Object, SimpleObject};

/// A record that a finding rests on: who gave what, when, how much.
pub struct EvidenceRecord(pub domain::Evidence);

#[Object]
impl EvidenceRecord {
    /// As in Overlap.evidence; the log knows the record by it.
    async fn id(&self) -> ID {
        match self.0.source {
            Source::ClaimLine(id) | Source::Opening(id) => id.into(),
            Source::Outside(id) => id.into(),
        }
    }

    async fn kind(&self) -> EvidenceKind {
        match self.0.source {
            Source::ClaimLine(_) => EvidenceKind::ClaimLine,
            Source::Opening(_) => EvidenceKind::Opening,
            Source::Outside(_) => EvidenceKind::Outside,
        }
    }

    /// Who gave it; null where nobody knows.
    async fn organization(&self, ctx: &Context<'_>) -> Answer<Option<Organization>> {
        match self.0.giver {
            None => Ok(None),
            Some(id) => Ok(Some(Organization(organization(ctx, id).await?))),
        }
    }

    /// Who brought it, where it came by a claim.
    async fn executor(&self, ctx: &Context<'_>) -> Answer<Option<Organization>> {
        match self.0.carrier {
            None => Ok(None),
            Some(id) => Ok(Some(Organization(organization(ctx, id).await?))),
        }
    }

    async fn program(&self, ctx: &Context<'_>) -> Answer<Program> {
        let ground = service(ctx)?.atlas().ground();
        let program = ground.program(self.0.program).cloned();
        let program = program.ok_or_else(|| ServiceError::fault("the program of a record is missing"))?;
        Ok(Program { ground, program })
    }

    async fn item(&self, ctx: &Context<'_>) -> Answer<Item> {
        let item = service(ctx)?.atlas().ground().item(self.0.item).cloned();
        Ok(Item(item.ok_or_else(|| ServiceError::fault("the item of a record is missing"))?))
    }

    /// Delivered.
    async fn quantity(&self) -> Quantity {
        Quantity(self.0.quantity)
    }

    /// First day of the period that it counts for.
    async fn period_start(&self) -> Date {
        Date(self.0.period.start)
    }

    /// Last day of the period that it counts for.
    async fn period_end(&self) -> Date {
        Date(self.0.period.end)
    }

    /// The claim that it came by, where it is the caller's to see.
    async fn claim(&self, ctx: &Context<'_>) -> Answer<Option<Claim>> {
        match self.0.claim {
            None => Ok(None),
            Some(id) => Ok(claim(ctx, id).await?.map(Claim)),
        }
    }

    /// Of OUTSIDE: whose file told of it.
    async fn source(&self) -> Option<&str> {
        self.0.told.as_ref().map(|told| told.source.as_str())
    }

    /// Of OUTSIDE: what that file calls it.
    async fn external_id(&self) -> Option<&str> {
        self.0.told.as_ref().map(|told| told.external_id.as_str())
    }

    /// The trips that brought it, as they arrived.
    async fn hand_overs(&self) -> Vec<HandOver> {
        let all = self.0.hand_overs.iter().map(|h| HandOver {
            delivery_id: h.delivery.into(),
            status: h.status.into(),
            at: DateTime(h.at),
            quantity: Quantity(h.quantity),
            accepted: h.answer.map(|(accepted, _)| Quantity(accepted)),
            rejected: h.answer.map(|(_, rejected)| Quantity(rejected)),
        });
        all.collect()
    }
}

/// What one trip brought of one record.
#[derive(SimpleObject)]
pub struct HandOver {
    pub delivery_id: ID,
    pub status: DeliveryStatus,
    /// When it was first said that it had arrived.
    pub at: DateTime,
    pub quantity: Quantity,
    /// What arrived whole, once the area's officer has answered.
    pub accepted: Option<Quantity>,
    /// What did not.
    pub rejected: Option<Quantity>,
}

/// A written, dated rule on what may be combined.
pub struct OverlapRule(pub Rule);

#[Object]
impl OverlapRule {
    /// The office that answers for it.
    async fn owner(&self) -> &str {
        &self.0.owner
    }

    async fn valid_from(&self) -> Date {
        Date(self.0.valid_from)
    }

    /// The last day on which it holds; null: until further notice.
    async fn valid_until(&self) -> Option<Date> {
        self.0.valid_until.map(Date)
    }

    async fn reason(&self, #[graphql(default_with = "Some(Locale::Id)")] locale: Option<Locale>) -> &str {
        in_locale(locale, &self.0.reason_id, &self.0.reason_en)
    }
}

/// How many findings stand below an area.
#[derive(SimpleObject)]
pub struct AreaOverlaps {
    pub area: Area,
    pub suspected: i64,
    pub permitted: i64,
    pub confirmed: i64,
}
