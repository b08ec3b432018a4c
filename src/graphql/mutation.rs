//! Changes. A resolver parses, asks the service once, and presents.
//!
//! One claiming mutation per document is promised to be atomic; several run one after another,
//! each in a transaction of its own.

use super::account_mutation::Accounts;
use super::context::{actor, as_of, offer, service};
use super::enums::{OnConflict, OverlapStatus};
use super::errors::Answer;
use super::inputs::{
    AcknowledgeLineInput, ClaimNeedsInput, CreateOfferInput, ReportNeedInput, ReviseNeedInput, ScheduleDeliveryInput,
    area_code, id, severity,
};
use super::scalars::Version;
use super::types::audit::Overlap;
use super::types::claim::{self, Claim, ClaimAccepted, ClaimNeedsResult, ClaimRefused, Offer};
use super::types::delivery::Delivery;
use super::types::need::Need;
use crate::domain::delivery::Delivery as DomainDelivery;
use crate::domain::ids::DeliveryId;
use crate::service::claims::{ClaimRequest, OfferRequest};
use crate::service::deliveries::ScheduleRequest;
use crate::service::needs::ReportRequest;
use crate::service::{ClaimOutcome, LineAnswer, ServiceError};
use async_graphql::{Context, ID, MergedObject, Object};

/// At most one claiming mutation per document is promised to be atomic; several run one after another.
#[derive(MergedObject, Default)]
pub struct Mutation(Aid, Accounts);

/// What moves aid.
#[derive(Default)]
pub struct Aid;

#[Object]
impl Aid {
    /// Pledges a quantity of one item; an offer cannot be promised twice.
    async fn create_offer(&self, ctx: &Context<'_>, input: CreateOfferInput) -> Answer<Offer> {
        let request = OfferRequest {
            key: input.idempotency_key,
            item: input.item_key,
            quantity: input.quantity.0,
            available_from: input.available_from.map(|d| d.0),
            available_until: input.available_until.map(|d| d.0),
            origin: input.origin.map(|o| o.point("origin")).transpose()?,
        };
        let made = service(ctx)?.create_offer(actor(ctx)?, request).await?;
        let made = offer(ctx, made).await?;
        Ok(Offer(made.ok_or_else(|| ServiceError::fault("an offer just made is missing"))?))
    }

    /// Holds quantities of needs, all lines in one transaction. A refusal is an answer: it names each refused line, what
    /// is free of it, and when a hold on it ends.
    async fn claim_needs(&self, ctx: &Context<'_>, input: ClaimNeedsInput) -> Answer<ClaimNeedsResult> {
        let lines = input.lines.iter().map(|l| Ok((id("lines.needId", &l.need_id)?, l.quantity.0)));
        let request = ClaimRequest {
            key: input.idempotency_key,
            lines: lines.collect::<Answer<_>>()?,
            on_conflict: input.on_conflict.unwrap_or(OnConflict::Refuse).into(),
            offer: input.offer_id.map(|offer| id("offerId", &offer)).transpose()?,
            executor: input.executor_id.map(|executor| id("executorId", &executor)).transpose()?,
            hold_seconds: input.hold_seconds.map(i64::from),
        };
        let opened = service(ctx)?.claim_needs(actor(ctx)?, request).await?;
        match opened.outcome {
            ClaimOutcome::Accepted { claim, shortfalls, replayed } => {
                let claim = match opened.made {
                    Some(made) => {
                        as_of(ctx, made.created_at)?;
                        Claim(made)
                    }
                    None => claim::own(ctx, claim).await?,
                };
                let shortfalls = shortfalls.into_iter().map(Into::into).collect();
                Ok(ClaimNeedsResult::ClaimAccepted(ClaimAccepted { claim, replayed, shortfalls }))
            }
            ClaimOutcome::Refused { refusals, replayed } => {
                let refusals = refusals.into_iter().map(Into::into).collect();
                Ok(ClaimNeedsResult::ClaimRefused(ClaimRefused { refusals, replayed }))
            }
        }
    }

    /// HELD becomes CONFIRMED. Confirming again changes nothing.
    async fn confirm_claim(&self, ctx: &Context<'_>, #[graphql(name = "id")] claim: ID) -> Answer<Claim> {
        Ok(Claim(service(ctx)?.confirm_claim(actor(ctx)?, id("id", &claim)?).await?))
    }

    /// Only while HELD and before expiresAt; as often as the program's rules allow. It never shortens a hold.
    async fn renew_claim(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] claim: ID,
        hold_seconds: Option<i32>,
    ) -> Answer<Claim> {
        let hold_seconds = hold_seconds.map(i64::from);
        Ok(Claim(service(ctx)?.renew_claim(actor(ctx)?, id("id", &claim)?, hold_seconds).await?))
    }

    /// Gives back what was not delivered. Releasing again changes nothing.
    async fn release_claim(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] claim: ID,
        reason: Option<String>,
    ) -> Answer<Claim> {
        Ok(Claim(service(ctx)?.release_claim(actor(ctx)?, id("id", &claim)?, reason.as_deref()).await?))
    }

    /// Plans a trip over lines of a confirmed claim.
    async fn schedule_delivery(&self, ctx: &Context<'_>, input: ScheduleDeliveryInput) -> Answer<Delivery> {
        let lines = input.lines.iter().map(|l| Ok((id("lines.claimLineId", &l.claim_line_id)?, l.quantity.0)));
        let request = ScheduleRequest {
            key: input.idempotency_key,
            claim: id("claimId", &input.claim_id)?,
            lines: lines.collect::<Answer<_>>()?,
            scheduled_for: input.scheduled_for.map(|d| d.0),
        };
        let made: DeliveryId = service(ctx)?.schedule_delivery(actor(ctx)?, request).await?;
        let made: Option<DomainDelivery> = service(ctx)?.visible_delivery(actor(ctx)?, made).await?;
        Ok(Delivery(made.ok_or_else(|| ServiceError::fault("a delivery just planned is missing"))?))
    }

    /// The trip is on its way.
    async fn dispatch_delivery(&self, ctx: &Context<'_>, #[graphql(name = "id")] delivery: ID) -> Answer<Delivery> {
        Ok(Delivery(service(ctx)?.dispatch_delivery(actor(ctx)?, id("id", &delivery)?).await?))
    }

    /// The giver says: handed over. Counts as delivered.
    async fn record_delivery(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] delivery: ID,
        note: Option<String>,
    ) -> Answer<Delivery> {
        Ok(Delivery(service(ctx)?.record_delivery(actor(ctx)?, id("id", &delivery)?, note.as_deref()).await?))
    }

    /// The area's officer says what arrived whole and what did not; what was rejected is owed again, and the delivery
    /// DISPUTED. Lines of other areas are left for their officers; the delivery is settled with the last answer.
    async fn acknowledge_delivery(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] delivery: ID,
        lines: Vec<AcknowledgeLineInput>,
    ) -> Answer<Delivery> {
        let answers = lines.into_iter().map(|l| {
            Ok(LineAnswer {
                line: id("lines.claimLineId", &l.claim_line_id)?,
                accepted: l.accepted.0,
                rejected: l.rejected.0,
                note: l.note,
            })
        });
        let answers = answers.collect::<Answer<Vec<_>>>()?;
        Ok(Delivery(service(ctx)?.acknowledge_delivery(actor(ctx)?, id("id", &delivery)?, answers).await?))
    }

    /// The trip is called off; what it carried may be scheduled anew.
    async fn cancel_delivery(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] delivery: ID,
        reason: String,
    ) -> Answer<Delivery> {
        Ok(Delivery(service(ctx)?.cancel_delivery(actor(ctx)?, id("id", &delivery)?, &reason).await?))
    }

    /// Enters a need as REPORTED; it opens to donors once it is verified.
    async fn report_need(&self, ctx: &Context<'_>, input: ReportNeedInput) -> Answer<Need> {
        let period = input.period()?;
        let request = ReportRequest {
            area: area_code("areaCode", &input.area_code)?,
            period,
            severity: severity("severity", input.severity)?,
            required: input.required.0,
            key: input.idempotency_key,
            program: input.program,
            item: input.item,
        };
        Ok(Need(service(ctx)?.report_need(actor(ctx)?, request).await?))
    }

    /// ILLEGAL_TRANSITION where required would fall below allocated.
    async fn revise_need(&self, ctx: &Context<'_>, input: ReviseNeedInput) -> Answer<Need> {
        let severity = input.severity.map(|s| severity("severity", s)).transpose()?;
        let required = input.required.map(|q| q.0);
        let need = id("id", &input.id)?;
        let version = input.expected_version.0;
        Ok(Need(service(ctx)?.revise_need(actor(ctx)?, need, version, required, severity).await?))
    }

    /// REPORTED becomes VERIFIED; all or none.
    async fn verify_needs(&self, ctx: &Context<'_>, ids: Vec<ID>) -> Answer<Vec<Need>> {
        let ids = ids.iter().map(|need| id("ids", need)).collect::<Answer<Vec<_>>>()?;
        let views = service(ctx)?.verify_needs(actor(ctx)?, ids).await?;
        Ok(views.into_iter().map(Need).collect())
    }

    /// Nothing more may be claimed of it; what is promised already may still be delivered.
    async fn close_need(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] need: ID,
        expected_version: Version,
        reason: String,
    ) -> Answer<Need> {
        Ok(Need(service(ctx)?.close_need(actor(ctx)?, id("id", &need)?, expected_version.0, &reason).await?))
    }

    /// An auditor decides what a finding is, and says why.
    async fn resolve_overlap(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] overlap: ID,
        expected_version: Version,
        status: OverlapStatus,
        note: String,
    ) -> Answer<Overlap> {
        let overlap = id("id", &overlap)?;
        let version = expected_version.0;
        Ok(Overlap(service(ctx)?.resolve_overlap(actor(ctx)?, overlap, version, status.into(), &note).await?))
    }
}
