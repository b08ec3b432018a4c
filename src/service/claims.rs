//! Offers and claims.

use super::access::{Operation, Permit, authorize};
use super::{Service, ServiceError, keyed, optional_words};
use crate::domain::actor::Actor;
use crate::domain::calendar::Day;
use crate::domain::claim::{Claim, Offer};
use crate::domain::ids::{ClaimId, ClaimLineId, ItemId, NeedId, OfferId, OrganizationId};
use crate::domain::place::LonLat;
use crate::domain::quantity::Quantity;
use crate::domain::rules::OnConflict;
use crate::store::{ClaimAccess, ConfirmClaim, CreateOffer, OpenClaim, Opened, ReleaseClaim, RenewClaim, Scope};
use serde_json::json;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

/// Lines of one claim at most.
pub const MAX_LINES: usize = 500;

#[derive(Debug, Clone)]
pub struct ClaimRequest {
    pub key: String,
    pub lines: Vec<(NeedId, Quantity)>,
    pub on_conflict: OnConflict,
    pub offer: Option<OfferId>,
    pub executor: Option<OrganizationId>,
    pub hold_seconds: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct OfferRequest {
    pub key: String,
    pub item: String,
    pub quantity: Quantity,
    pub available_from: Option<Day>,
    pub available_until: Option<Day>,
    pub origin: Option<LonLat>,
}

impl Service {
    pub async fn create_offer(&self, actor: &Actor, request: OfferRequest) -> Result<OfferId, ServiceError> {
        let permit = authorize(actor, Operation::CreateOffer)?;
        let (user, organization) = (permit.user()?, self.acting_organization(&permit).await?);
        let item = self.item_by_key(&request.item)?;
        if request.quantity.is_zero() {
            return Err(ServiceError::bad("quantity", "must be at least 1"));
        }
        if let (Some(from), Some(until)) = (request.available_from, request.available_until)
            && from > until
        {
            return Err(ServiceError::bad("availableUntil", "lies before availableFrom"));
        }
        let normalised = json!({
            "item": item.0, "quantity": request.quantity.get(),
            "from": request.available_from.map(|d| d.to_string()),
            "until": request.available_until.map(|d| d.to_string()),
            "origin": request.origin.map(|o| [o.lon(), o.lat()]),
        });
        let keyed = keyed(Scope::Organization(organization), "createOffer", request.key, &normalised)?;
        let command = CreateOffer {
            author: Some(user.id),
            keyed,
            organization,
            item,
            quantity: request.quantity,
            available_from: request.available_from,
            available_until: request.available_until,
            origin: request.origin,
        };
        Ok(self.store().execute(command).await?)
    }

    pub(super) fn item_by_key(&self, key: &str) -> Result<ItemId, ServiceError> {
        let ground = self.atlas().ground();
        ground.item_by_key(key).map(|i| i.id).ok_or_else(|| ServiceError::bad("item", "there is no item of this key"))
    }

    /// Holds quantities of needs for the caller's organisation. A refusal is an answer, not an error.
    pub async fn claim_needs(&self, actor: &Actor, request: ClaimRequest) -> Result<Opened, ServiceError> {
        let permit = authorize(actor, Operation::ClaimNeeds)?;
        let (user, organization) = (permit.user()?, self.acting_organization(&permit).await?);
        let lines = merged(&request.lines)?;
        let normalised = json!({
            "lines": lines.iter().map(|(need, quantity)| [need.0, quantity.get()]).collect::<Vec<_>>(),
            "takeFree": request.on_conflict == OnConflict::TakeFree,
            "offer": request.offer.map(|o| o.0), "executor": request.executor.map(|e| e.0),
            "hold": request.hold_seconds,
        });
        let keyed = keyed(Scope::Organization(organization), "claimNeeds", request.key, &normalised)?;
        let claim = OpenClaim {
            author: Some(user.id),
            keyed,
            organization,
            executor: request.executor,
            offer: request.offer,
            lines,
            on_conflict: request.on_conflict,
            hold_seconds: request.hold_seconds,
        };
        let opened = self.store().open_claim(claim).await?;
        self.count_claim(&opened.outcome);
        Ok(opened)
    }

    pub async fn confirm_claim(&self, actor: &Actor, id: ClaimId) -> Result<Claim, ServiceError> {
        let (author, access) = self.claim_access(actor, Operation::ConfirmClaim).await?;
        self.store().execute(ConfirmClaim { author, id, access }).await?;
        self.claim_after(id).await
    }

    pub async fn renew_claim(
        &self,
        actor: &Actor,
        id: ClaimId,
        hold_seconds: Option<i64>,
    ) -> Result<Claim, ServiceError> {
        let (author, access) = self.claim_access(actor, Operation::RenewClaim).await?;
        self.store().execute(RenewClaim { author, id, access, hold_seconds }).await?;
        self.claim_after(id).await
    }

    pub async fn release_claim(&self, actor: &Actor, id: ClaimId, reason: Option<&str>) -> Result<Claim, ServiceError> {
        let reason = optional_words("reason", reason)?;
        let (author, access) = self.claim_access(actor, Operation::ReleaseClaim).await?;
        self.store().execute(ReleaseClaim { author, id, access, reason }).await?;
        self.claim_after(id).await
    }

    pub(super) async fn claim_access(
        &self,
        actor: &Actor,
        operation: Operation,
    ) -> Result<(crate::store::Author, ClaimAccess), ServiceError> {
        let permit = authorize(actor, operation)?;
        let (user, organization) = (permit.user()?, self.acting_organization(&permit).await?);
        Ok((Some(user.id), ClaimAccess { organization: Some(organization) }))
    }

    /// A line of a claim that the caller may see, with its claim.
    pub async fn visible_line(
        &self,
        actor: &Actor,
        id: ClaimLineId,
    ) -> Result<Option<crate::domain::claim::ClaimLine>, ServiceError> {
        // There is no claim 0, and it costs what any other costs.
        let claim = self.store().claim_of_line(id).await?.unwrap_or(ClaimId(0));
        let claim = self.visible_claims(actor, &[claim]).await?.pop();
        Ok(claim.and_then(|claim| claim.lines.into_iter().find(|line| line.id == id)))
    }

    /// The claim behind a delivery that the caller has been shown.
    pub async fn claim_of_shown_delivery(&self, id: ClaimId) -> Result<Claim, ServiceError> {
        let found = self.store().claims(&[id]).await?.pop();
        found.ok_or_else(|| ServiceError::fault("a delivery's claim is missing"))
    }

    async fn claim_after(&self, id: ClaimId) -> Result<Claim, ServiceError> {
        self.store().claims(&[id]).await?.pop().ok_or_else(|| ServiceError::fault("a changed claim is gone"))
    }

    /// The claims among `ids` that the caller may see: those of their organisation, made or carried
    /// out; for an officer those that bring something to their area; all for auditors and admins.
    pub async fn visible_claims(&self, actor: &Actor, ids: &[ClaimId]) -> Result<Vec<Claim>, ServiceError> {
        let permit = authorize(actor, Operation::ReadClaim)?;
        let mut claims = self.store().claims(ids).await?;
        // As much is asked where there is none as where it is somebody else's: time tells nothing either.
        let near = match permit.sees_area() {
            Some(area) if !permit.everything() => self.store().claims_in_area(ids, area).await?,
            _ => HashSet::new(),
        };
        claims.retain(|c| near.contains(&c.id) || permit.reaches_organization(&[c.organization, c.executor]));
        Ok(claims)
    }

    /// The caller's organisation's claims, newest first; one more than `first` tells of a next page.
    pub async fn own_claims(
        &self,
        actor: &Actor,
        first: usize,
        after: Option<ClaimId>,
    ) -> Result<Vec<Claim>, ServiceError> {
        let organization = own_organization(&authorize(actor, Operation::ReadOwnClaims)?)?;
        let ids = self.store().claims_of(organization, after, first as i64).await?;
        let mut claims = self.store().claims(&ids).await?;
        claims.sort_by_key(|claim| Reverse(claim.id));
        Ok(claims)
    }

    /// The offers among `ids` that the caller may see.
    pub async fn visible_offers(&self, actor: &Actor, ids: &[OfferId]) -> Result<Vec<Offer>, ServiceError> {
        let permit = authorize(actor, Operation::ReadClaim)?;
        let offers = self.store().offers(ids).await?;
        Ok(offers.into_iter().filter(|o| permit.reaches_organization(&[o.organization])).collect())
    }

    pub async fn own_offers(
        &self,
        actor: &Actor,
        first: usize,
        after: Option<OfferId>,
    ) -> Result<Vec<Offer>, ServiceError> {
        let organization = own_organization(&authorize(actor, Operation::ReadOwnOffers)?)?;
        let ids = self.store().offers_of(organization, after, first as i64).await?;
        let mut offers = self.store().offers(&ids).await?;
        offers.sort_by_key(|offer| Reverse(offer.id));
        Ok(offers)
    }
}

pub(super) fn own_organization(permit: &Permit<'_>) -> Result<OrganizationId, ServiceError> {
    permit.organization()?.ok_or_else(|| ServiceError::fault("this is granted on no organisation"))
}

/// Lines on one need added up, ascending by need. An empty list is an error, not everything.
fn merged(lines: &[(NeedId, Quantity)]) -> Result<Vec<(NeedId, Quantity)>, ServiceError> {
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err(ServiceError::bad("lines", format!("must hold 1 to {MAX_LINES} lines, not {}", lines.len())));
    }
    let mut sums: BTreeMap<NeedId, Quantity> = BTreeMap::new();
    // Lines are named by their place: what stands in an id that the caller sent is not repeated.
    for (place, (need, quantity)) in (1..).zip(lines) {
        if quantity.is_zero() {
            return Err(ServiceError::bad("lines", format!("the quantity of line {place} must be at least 1")));
        }
        let sum = sums.entry(*need).or_default();
        *sum = sum.checked_add(*quantity).ok_or_else(|| {
            ServiceError::bad("lines", format!("line {place} and others on its need add up to too much"))
        })?;
    }
    Ok(sums.into_iter().collect())
}
