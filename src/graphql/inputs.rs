//! Inputs, and their way into domain types. Bad shape is answered with the field's name.

use super::enums::{
    AreaLevel, DocumentKind, KeyScope, MatchPolicy, NeedStatus, OnConflict, OrganizationCategory, Role, ServiceStatus,
};
use super::errors::Answer;
use super::scalars::{Date, GeoJSON, Quantity, Version};
use crate::atlas::{Filter, Near, Sight};
use crate::domain::area::AreaCode;
use crate::domain::calendar::Period;
use crate::domain::need::Severity;
use crate::domain::organization::Document;
use crate::domain::place::{Bounds, LonLat};
use crate::service::{Service, ServiceError};
use async_graphql::{ID, InputObject};
use std::str::FromStr;

/// A box in degrees; borders belong to it.
#[derive(InputObject)]
#[graphql(name = "BBoxInput")]
pub struct BBoxInput {
    pub west: f64,
    pub south: f64,
    pub east: f64,
    pub north: f64,
}

impl BBoxInput {
    pub(super) fn bounds(&self, field: &str) -> Answer<Bounds> {
        let bounds = Bounds::new(self.west, self.south, self.east, self.north);
        Ok(bounds.map_err(|e| ServiceError::bad(field, e))?)
    }
}

/// A point, and how far around it.
#[derive(InputObject)]
pub struct NearInput {
    pub lon: f64,
    pub lat: f64,
    pub radius_meters: Option<f64>,
}

impl NearInput {
    pub(super) fn point(&self, field: &str) -> Answer<LonLat> {
        Ok(LonLat::new(self.lon, self.lat).map_err(|e| ServiceError::bad(field, e))?)
    }
}

/// All given conditions hold together. Anonymous callers and donors see VERIFIED needs only.
#[derive(InputObject, Default)]
pub struct NeedFilter {
    pub programs: Option<Vec<String>>,
    pub items: Option<Vec<String>>,
    /// An area's code: that area and all below it.
    pub area_code: Option<String>,
    pub levels: Option<Vec<AreaLevel>>,
    /// Areas whose geometry intersects the box.
    pub bbox: Option<BBoxInput>,
    /// A Polygon or MultiPolygon; areas whose geometry intersects it.
    pub within: Option<GeoJSON>,
    /// Areas whose geometry comes within radiusMeters of the point.
    pub near: Option<NearInput>,
    pub service: Option<Vec<ServiceStatus>>,
    pub min_severity: Option<i32>,
    pub active_on: Option<Date>,
    /// Without it: REPORTED and VERIFIED, as far as the caller may see them. Ask for CLOSED to see what is closed.
    pub status: Option<Vec<NeedStatus>>,
}

fn list<T, U>(field: &str, list: Option<Vec<T>>, each: impl Fn(T) -> Answer<U>) -> Answer<Option<Vec<U>>> {
    match list {
        Some(list) if list.is_empty() => {
            Err(ServiceError::bad(field, "an empty list takes in nothing; leave it out to take in everything").into())
        }
        Some(list) if list.len() > 100 => Err(ServiceError::bad(field, "holds more than 100 entries").into()),
        Some(list) => list.into_iter().map(each).collect::<Answer<Vec<U>>>().map(Some),
        None => Ok(None),
    }
}

pub(super) fn area_code(field: &str, text: &str) -> Answer<AreaCode> {
    Ok(text.parse().map_err(|e| ServiceError::bad(field, e))?)
}

pub(super) fn severity(field: &str, value: i32) -> Answer<Severity> {
    Ok(Severity::new(i64::from(value)).ok_or_else(|| ServiceError::bad(field, "must be between 1 and 5"))?)
}

/// An id of one kind; another kind or another text is bad input.
pub(super) fn id<T: FromStr<Err = crate::domain::ids::WrongId>>(field: &str, id: &ID) -> Answer<T> {
    Ok(id.parse::<T>().map_err(|e| ServiceError::bad(field, e))?)
}

/// How many records a caller may ask for at once.
pub(super) fn first(value: Option<i32>, usual: usize, most: usize) -> Answer<usize> {
    let Some(value) = value else { return Ok(usual) };
    match usize::try_from(value) {
        Ok(first) if first <= most => Ok(first),
        _ => Err(ServiceError::bad("first", format!("must be between 0 and {most}")).into()),
    }
}

impl NeedFilter {
    pub(super) fn into_filter(self, service: &Service, sight: &Sight) -> Answer<Filter> {
        let ground = service.atlas().ground();
        let program = |key: String| {
            let found = ground.program_by_key(&key).map(|p| p.id);
            Ok(found.ok_or_else(|| ServiceError::bad("where.programs", "there is no program of one of these keys"))?)
        };
        let item = |key: String| {
            let found = ground.item_by_key(&key).map(|i| i.id);
            Ok(found.ok_or_else(|| ServiceError::bad("where.items", "there is no item of one of these keys"))?)
        };
        let bounds = self.bbox.map(|b| b.bounds("where.bbox")).transpose()?;
        let within = self.within.map(|g| service.drawn_shape("where.within", &g.0)).transpose()?;
        let near = match self.near {
            None => None,
            Some(near) => {
                let radius_m = near.radius_meters;
                if radius_m.is_some_and(|r| !(r.is_finite() && r >= 0.0)) {
                    return Err(ServiceError::bad("where.near.radiusMeters", "must not be negative").into());
                }
                Some(Near { point: near.point("where.near")?, radius_m })
            }
        };
        Ok(Filter {
            sight: sight.clone(),
            statuses: list("where.status", self.status, |s| Ok(s.into()))?,
            programs: list("where.programs", self.programs, program)?,
            items: list("where.items", self.items, item)?,
            area: self.area_code.map(|c| area_code("where.areaCode", &c)).transpose()?,
            levels: list("where.levels", self.levels, |l| Ok(l.into()))?,
            bounds,
            within,
            near,
            service: list("where.service", self.service, |s| Ok(s.into()))?,
            min_severity: self.min_severity.map(|s| severity("where.minSeverity", s)).transpose()?,
            active_on: self.active_on.map(|d| d.0),
        })
    }
}

/// A need as an area officer reports it.
#[derive(InputObject)]
pub struct ReportNeedInput {
    pub idempotency_key: String,
    pub area_code: String,
    pub program: String,
    pub item: String,
    pub period_start: Date,
    pub period_end: Date,
    pub required: Quantity,
    pub severity: i32,
}

impl ReportNeedInput {
    pub(super) fn period(&self) -> Answer<Period> {
        let period = Period::new(self.period_start.0, self.period_end.0);
        Ok(period.ok_or_else(|| ServiceError::bad("periodEnd", "lies before periodStart"))?)
    }
}

/// What shall change; what is left out stays.
#[derive(InputObject)]
pub struct ReviseNeedInput {
    pub id: ID,
    pub expected_version: Version,
    pub required: Option<Quantity>,
    pub severity: Option<i32>,
}

/// What a donor pledges.
#[derive(InputObject)]
pub struct CreateOfferInput {
    pub idempotency_key: String,
    pub item_key: String,
    pub quantity: Quantity,
    pub available_from: Option<Date>,
    pub available_until: Option<Date>,
    /// Where the goods start from.
    pub origin: Option<NearInput>,
}

/// What to plan for: an offer, or an item and a quantity.
#[derive(InputObject)]
pub struct PlanMatchInput {
    pub offer_id: Option<ID>,
    pub item_key: Option<String>,
    pub quantity: Option<Quantity>,
    #[graphql(name = "where")]
    pub filter: Option<NeedFilter>,
    #[graphql(default_with = "Some(MatchPolicy::Priority)")]
    pub policy: Option<MatchPolicy>,
    /// At most so many areas, for a donor who can only make so many stops.
    pub max_areas: Option<i32>,
    pub origin: Option<NearInput>,
}

/// What to claim.
#[derive(InputObject)]
pub struct ClaimNeedsInput {
    /// Chosen by the client. The same key with the same input answers with the same claim; with other input it is
    /// KEY_REUSED.
    pub idempotency_key: String,
    /// 1 to 500 lines; lines on one need are added up.
    pub lines: Vec<ClaimLineInput>,
    #[graphql(default_with = "Some(OnConflict::Refuse)")]
    pub on_conflict: Option<OnConflict>,
    pub offer_id: Option<ID>,
    pub executor_id: Option<ID>,
    /// How long the hold lasts, from 2 s; the program's own default where absent.
    pub hold_seconds: Option<i32>,
}

/// A quantity of one need.
#[derive(InputObject)]
pub struct ClaimLineInput {
    pub need_id: ID,
    pub quantity: Quantity,
}

/// A trip over lines of one confirmed claim.
#[derive(InputObject)]
pub struct ScheduleDeliveryInput {
    pub idempotency_key: String,
    pub claim_id: ID,
    pub lines: Vec<DeliveryLineInput>,
    pub scheduled_for: Option<Date>,
}

/// So much of one line of the claim.
#[derive(InputObject)]
pub struct DeliveryLineInput {
    pub claim_line_id: ID,
    pub quantity: Quantity,
}

/// What arrived whole of one line and what did not; together all that was brought.
#[derive(InputObject)]
pub struct AcknowledgeLineInput {
    pub claim_line_id: ID,
    pub accepted: Quantity,
    pub rejected: Quantity,
    pub note: Option<String>,
}

/// Signs an organisation up with its first member.
#[derive(InputObject)]
pub struct SignUpInput {
    pub email: String,
    /// 10 to 200 characters that are not soon guessed.
    pub password: String,
    pub organization: SignUpOrganizationInput,
}

#[derive(InputObject)]
pub struct SignUpOrganizationInput {
    pub name: String,
    pub category: OrganizationCategory,
    /// It wants to carry out what others give; name its permit under documents.
    #[graphql(default)]
    pub aggregator: bool,
    /// At most 20.
    pub documents: Option<Vec<DocumentInput>>,
    /// Where it is registered, as for a neighbourhood's own group: its RW.
    pub home_area_code: Option<String>,
}

/// A paper, by what is written on it.
#[derive(InputObject)]
pub struct DocumentInput {
    pub kind: DocumentKind,
    pub number: String,
    pub issuer: String,
    /// The first day it is good on.
    pub valid_from: Option<Date>,
    /// The last day it is good on. An aggregator whose permits have all lapsed can claim nothing more.
    pub valid_until: Option<Date>,
    /// Where it is good.
    pub area_code: Option<String>,
}

impl DocumentInput {
    pub(super) fn document(self) -> Answer<Document> {
        Ok(Document {
            kind: self.kind.into(),
            number: self.number,
            issuer: self.issuer,
            valid_from: self.valid_from.map(|d| d.0),
            valid_until: self.valid_until.map(|d| d.0),
            area: self.area_code.map(|code| area_code("areaCode", &code)).transpose()?,
        })
    }
}

#[derive(InputObject)]
pub struct InviteMemberInput {
    pub email: String,
    /// DONOR and AGGREGATOR join an organisation; officials are invited by an admin.
    pub roles: Vec<Role>,
    /// The caller's own where absent.
    pub organization_id: Option<ID>,
    /// Of an AREA_OFFICER: that area and all below it.
    pub area_code: Option<String>,
    /// Keeps the organisation's members, too.
    #[graphql(default)]
    pub manager: bool,
}

#[derive(InputObject)]
pub struct CreateApiKeyInput {
    /// What its owner calls it.
    pub label: String,
    /// At least one.
    pub scopes: Vec<KeyScope>,
    /// 1 to 730.
    #[graphql(default = 365)]
    pub expires_in_days: i32,
}
