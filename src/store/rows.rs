//! Rows as they come from the database, and their way into domain types. A row that breaks a
//! type's promise is a fault, not a panic.

use super::error::StoreError;
use crate::domain::calendar::{Day, Moment, Period};
use crate::domain::claim::{Claim, ClaimLine, ClaimStatus, Offer};
use crate::domain::ids::{AreaId, ClaimId, ClaimLineId, ItemId, NeedId, OfferId, OrganizationId, ProgramId};
use crate::domain::need::{Counters, Need, NeedStatus, Severity};
use crate::domain::organization::{Organization, OrganizationCategory, OrganizationStatus};
use crate::domain::place::LonLat;
use crate::domain::quantity::Quantity;
use sea_orm::{FromQueryResult, Value};
use serde_json::json;

pub(super) fn quantity(value: i64) -> Result<Quantity, StoreError> {
    Quantity::new(value).map_err(|_| StoreError::corrupt("quantity"))
}

pub(super) fn day(text: &str) -> Result<Day, StoreError> {
    text.parse().map_err(|_| StoreError::corrupt("day"))
}

pub(super) fn period(start: &str, end: &str) -> Result<Period, StoreError> {
    Period::new(day(start)?, day(end)?).ok_or_else(|| StoreError::corrupt("period"))
}

/// A batch as the one parameter that [`super::dialect::Dialect::rows`] and
/// [`super::dialect::Dialect::numbers`] read.
pub(super) fn batch<T>(items: impl IntoIterator<Item = T>, row: impl Fn(T) -> serde_json::Value) -> Value {
    serde_json::Value::Array(items.into_iter().map(row).collect()).to_string().into()
}

pub(super) fn ids(ids: impl IntoIterator<Item = i64>) -> Value {
    batch(ids, |id| json!(id))
}

#[derive(FromQueryResult)]
pub(super) struct IdRow {
    pub id: i64,
}

#[derive(FromQueryResult)]
pub(super) struct NeedRow {
    pub id: i64,
    pub area_id: i64,
    pub program_id: i64,
    pub item_id: i64,
    pub period_start: String,
    pub period_end: String,
    pub required: i64,
    pub reserved: i64,
    pub delivered: i64,
    pub severity: i64,
    pub status: String,
    pub first_right_until: Option<i64>,
    pub last_line: Option<i64>,
    pub version: i64,
}

pub(super) const NEED_COLUMNS: &str = "id, area_id, program_id, item_id, period_start, period_end, required, \
    reserved, delivered, severity, status, first_right_until, last_line, version";

impl NeedRow {
    pub fn into_need(self) -> Result<Need, StoreError> {
        let counters = Counters::new(quantity(self.required)?, quantity(self.reserved)?, quantity(self.delivered)?);
        Ok(Need {
            id: NeedId(self.id),
            area: AreaId(self.area_id),
            program: ProgramId(self.program_id),
            item: ItemId(self.item_id),
            period: period(&self.period_start, &self.period_end)?,
            counters: counters.ok_or_else(|| StoreError::corrupt("counter"))?,
            severity: Severity::new(self.severity).ok_or_else(|| StoreError::corrupt("severity"))?,
            status: NeedStatus::from_word(&self.status).ok_or_else(|| StoreError::corrupt("status"))?,
            first_right_until: self.first_right_until.map(Moment),
            last_line: self.last_line.map(ClaimLineId),
            version: self.version,
        })
    }
}

#[derive(FromQueryResult)]
pub(super) struct LineRow {
    pub id: i64,
    pub claim_id: i64,
    pub need_id: i64,
    pub quantity: i64,
    pub scheduled: i64,
    pub delivered: i64,
    pub status: String,
    pub expires_at: Option<i64>,
    pub version: i64,
}

pub(super) const LINE_COLUMNS: &str =
    "id, claim_id, need_id, quantity, scheduled, delivered, status, expires_at, version";

impl LineRow {
    pub fn into_line(self) -> Result<ClaimLine, StoreError> {
        Ok(ClaimLine {
            id: ClaimLineId(self.id),
            claim: ClaimId(self.claim_id),
            need: NeedId(self.need_id),
            quantity: quantity(self.quantity)?,
            scheduled: quantity(self.scheduled)?,
            delivered: quantity(self.delivered)?,
            status: ClaimStatus::from_word(&self.status).ok_or_else(|| StoreError::corrupt("status"))?,
            expires_at: self.expires_at.map(Moment),
            version: self.version,
        })
    }
}

#[derive(FromQueryResult)]
pub(super) struct ClaimRow {
    pub id: i64,
    pub organization_id: i64,
    pub executor_id: i64,
    pub offer_id: Option<i64>,
    pub opening: i64,
    pub created_at: i64,
    pub renewals: i64,
    pub version: i64,
}

pub(super) const CLAIM_COLUMNS: &str =
    "id, organization_id, executor_id, offer_id, opening, created_at, renewals, version";

impl ClaimRow {
    pub fn into_claim(self, lines: Vec<ClaimLine>) -> Claim {
        Claim {
            id: ClaimId(self.id),
            organization: OrganizationId(self.organization_id),
            executor: OrganizationId(self.executor_id),
            offer: self.offer_id.map(OfferId),
            opening: self.opening != 0,
            created_at: Moment(self.created_at),
            renewals: self.renewals,
            own_version: self.version,
            lines,
        }
    }
}

#[derive(FromQueryResult)]
pub(super) struct OfferRow {
    pub id: i64,
    pub organization_id: i64,
    pub item_id: i64,
    pub quantity: i64,
    pub claimed: i64,
    pub available_from: Option<String>,
    pub available_until: Option<String>,
    pub lon: Option<f64>,
    pub lat: Option<f64>,
    pub version: i64,
}

pub(super) const OFFER_COLUMNS: &str =
    "id, organization_id, item_id, quantity, claimed, available_from, available_until, lon, lat, version";

impl OfferRow {
    pub fn into_offer(self) -> Result<Offer, StoreError> {
        let origin = match (self.lon, self.lat) {
            (Some(lon), Some(lat)) => Some(LonLat::new(lon, lat).map_err(|_| StoreError::corrupt("place"))?),
            _ => None,
        };
        Ok(Offer {
            id: OfferId(self.id),
            organization: OrganizationId(self.organization_id),
            item: ItemId(self.item_id),
            quantity: quantity(self.quantity)?,
            claimed: quantity(self.claimed)?,
            available_from: self.available_from.as_deref().map(day).transpose()?,
            available_until: self.available_until.as_deref().map(day).transpose()?,
            origin,
            version: self.version,
        })
    }
}

#[derive(FromQueryResult)]
pub(super) struct OrganizationRow {
    pub id: i64,
    pub name: String,
    pub category: String,
    pub status: String,
    pub aggregator: i64,
    pub home_area: Option<String>,
}

pub(super) const ORGANIZATION_COLUMNS: &str = "id, name, category, status, aggregator, home_area";

impl OrganizationRow {
    pub fn into_organization(self) -> Result<Organization, StoreError> {
        let home = self.home_area.as_deref().map(str::parse).transpose();
        Ok(Organization {
            id: OrganizationId(self.id),
            name: self.name,
            category: OrganizationCategory::from_word(&self.category).ok_or_else(|| StoreError::corrupt("category"))?,
            status: OrganizationStatus::from_word(&self.status).ok_or_else(|| StoreError::corrupt("status"))?,
            aggregator: self.aggregator != 0,
            home_area: home.map_err(|_| StoreError::corrupt("area code"))?,
        })
    }
}
