//! Deliveries: planned and carried out by the giver's side, answered for by the area's.

use super::access::{Operation, authorize};
use super::{Code, Service, ServiceError, keyed, optional_words, words};
use crate::domain::actor::Actor;
use crate::domain::calendar::Day;
use crate::domain::delivery::{Delivery, DeliveryStatus};
use crate::domain::ids::{ClaimId, ClaimLineId, DeliveryId};
use crate::domain::quantity::Quantity;
use crate::store::{
    AcknowledgeDelivery, Answer, CancelDelivery, DispatchDelivery, RecordDelivery, ScheduleDelivery, Scope,
};
use serde_json::json;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
pub struct ScheduleRequest {
    pub key: String,
    pub claim: ClaimId,
    pub lines: Vec<(ClaimLineId, Quantity)>,
    pub scheduled_for: Option<Day>,
}

impl Service {
    pub async fn schedule_delivery(&self, actor: &Actor, request: ScheduleRequest) -> Result<DeliveryId, ServiceError> {
        let (author, access) = self.claim_access(actor, Operation::ScheduleDelivery).await?;
        if request.lines.is_empty() || request.lines.len() > super::claims::MAX_LINES {
            return Err(ServiceError::bad("lines", "must hold 1 to 500 lines"));
        }
        let mut lines: BTreeMap<ClaimLineId, Quantity> = BTreeMap::new();
        for (place, (line, quantity)) in (1..).zip(&request.lines) {
            if quantity.is_zero() {
                return Err(ServiceError::bad("lines", format!("the quantity of line {place} must be at least 1")));
            }
            if lines.insert(*line, *quantity).is_some() {
                return Err(ServiceError::bad(
                    "lines",
                    format!("line {place} names a claim line that is named before"),
                ));
            }
        }
        let lines: Vec<(ClaimLineId, Quantity)> = lines.into_iter().collect();
        let normalised = json!({
            "claim": request.claim.0,
            "lines": lines.iter().map(|(line, quantity)| [line.0, quantity.get()]).collect::<Vec<_>>(),
            "for": request.scheduled_for.map(|d| d.to_string()),
        });
        let organization =
            access.organization.ok_or_else(|| ServiceError::new(Code::Forbidden, "no organisation acts here"))?;
        let keyed = keyed(Scope::Organization(organization), "scheduleDelivery", request.key, &normalised)?;
        let scheduled_for = request.scheduled_for;
        let command = ScheduleDelivery { author, keyed, claim: request.claim, access, lines, scheduled_for };
        Ok(self.store().execute(command).await?)
    }

    pub async fn dispatch_delivery(&self, actor: &Actor, id: DeliveryId) -> Result<Delivery, ServiceError> {
        let (author, access) = self.claim_access(actor, Operation::DispatchDelivery).await?;
        self.store().execute(DispatchDelivery { author, id, access }).await?;
        self.delivery_after(id).await
    }

    pub async fn record_delivery(
        &self,
        actor: &Actor,
        id: DeliveryId,
        note: Option<&str>,
    ) -> Result<Delivery, ServiceError> {
        let note = optional_words("note", note)?;
        let (author, access) = self.claim_access(actor, Operation::RecordDelivery).await?;
        self.store().execute(RecordDelivery { author, id, access, note }).await?;
        self.delivery_after(id).await
    }

    pub async fn cancel_delivery(&self, actor: &Actor, id: DeliveryId, reason: &str) -> Result<Delivery, ServiceError> {
        let reason = words("reason", reason)?;
        let (author, access) = self.claim_access(actor, Operation::CancelDelivery).await?;
        self.store().execute(CancelDelivery { author, id, access, reason }).await?;
        self.delivery_after(id).await
    }

    /// Answers for lines in the caller's area. Nobody answers for what their own organisation brought.
    pub async fn acknowledge_delivery(
        &self,
        actor: &Actor,
        id: DeliveryId,
        answers: Vec<Answer>,
    ) -> Result<Delivery, ServiceError> {
        let permit = authorize(actor, Operation::AcknowledgeDelivery)?;
        let (user, area) = (permit.user()?, permit.area()?);
        if answers.is_empty() || answers.len() > super::claims::MAX_LINES {
            return Err(ServiceError::bad("lines", "must hold 1 to 500 lines"));
        }
        let distinct: BTreeSet<ClaimLineId> = answers.iter().map(|a| a.line).collect();
        if distinct.len() != answers.len() {
            return Err(ServiceError::bad("lines", "a line is named twice"));
        }
        for answer in &answers {
            optional_words("lines.note", answer.note.as_deref())?;
        }
        let parties = self.store().parties_of_delivery(id).await?;
        if parties.is_some_and(|(giver, executor)| user.organization.is_some_and(|o| o == giver || o == executor)) {
            return Err(ServiceError::new(Code::Forbidden, "nobody acknowledges what their own organisation brought"));
        }
        self.store().execute(AcknowledgeDelivery { author: Some(user.id), id, area, answers }).await?;
        self.delivery_after(id).await
    }

    async fn delivery_after(&self, id: DeliveryId) -> Result<Delivery, ServiceError> {
        self.store().deliveries(&[id]).await?.pop().ok_or_else(|| ServiceError::fault("a changed delivery is gone"))
    }

    /// The delivery, where the caller may see it: a side of its claim, an officer whose area it
    /// serves, an auditor, an admin.
    pub async fn visible_delivery(&self, actor: &Actor, id: DeliveryId) -> Result<Option<Delivery>, ServiceError> {
        let permit = authorize(actor, Operation::ReadDelivery)?;
        // As much is asked where there is none as where it is somebody else's: time tells nothing either.
        let delivery = self.store().deliveries(&[id]).await?.pop();
        let parties = self.store().parties_of_delivery(id).await?;
        let own = parties.is_some_and(|(giver, executor)| permit.reaches_organization(&[giver, executor]));
        let served = match permit.sees_area() {
            Some(area) if !own => self.store().areas_of_delivery(id).await?.iter().any(|code| area.covers(code)),
            _ => false,
        };
        Ok(delivery.filter(|_| own || served))
    }

    /// Deliveries of a claim that the caller has been shown.
    pub async fn deliveries_of_claim(&self, claim: ClaimId) -> Result<Vec<Delivery>, ServiceError> {
        let ids = self.store().deliveries_of_claim(claim).await?;
        let mut deliveries = self.store().deliveries(&ids).await?;
        deliveries.sort_by_key(|d| d.id);
        Ok(deliveries)
    }

    /// Trips over the claims of the caller's organisation, newest first, of the states asked for or of all.
    pub async fn own_deliveries(
        &self,
        actor: &Actor,
        states: Option<&[DeliveryStatus]>,
        first: usize,
        after: Option<DeliveryId>,
    ) -> Result<Vec<Delivery>, ServiceError> {
        let permit = authorize(actor, Operation::ReadOwnDeliveries)?;
        let states = states.unwrap_or(&DeliveryStatus::ALL);
        if states.is_empty() {
            return Err(ServiceError::bad("status", "an empty list asks for nothing; leave it out for all"));
        }
        let ids =
            self.store().deliveries_of(super::claims::own_organization(&permit)?, states, after, first as i64).await?;
        let mut deliveries = self.store().deliveries(&ids).await?;
        deliveries.sort_by_key(|delivery| Reverse(delivery.id));
        Ok(deliveries)
    }

    /// What is coming to the caller's area, or has come, newest first.
    pub async fn deliveries_to_own_area(
        &self,
        actor: &Actor,
        first: usize,
        after: Option<DeliveryId>,
    ) -> Result<Vec<Delivery>, ServiceError> {
        let area = authorize(actor, Operation::ReadIncoming)?.area()?;
        let area = area.ok_or_else(|| ServiceError::fault("this is granted on an area"))?;
        let ids = self.store().deliveries_to(&area, after, first as i64).await?;
        let mut deliveries = self.store().deliveries(&ids).await?;
        deliveries.sort_by_key(|delivery| Reverse(delivery.id));
        Ok(deliveries)
    }
}
