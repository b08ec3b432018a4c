//! Needs: reported, revised, verified and closed by the area's side.

use super::access::{Operation, authorize};
use super::{Code, Service, ServiceError, keyed, words};
use crate::atlas::{NeedView, Sight};
use crate::domain::actor::Actor;
use crate::domain::area::AreaCode;
use crate::domain::calendar::Period;
use crate::domain::ids::NeedId;
use crate::domain::need::Severity;
use crate::domain::quantity::Quantity;
use crate::store::{CloseNeed, NeedAccess, ReportNeed, ReviseNeed, Scope, VerifyNeeds};
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub struct ReportRequest {
    pub key: String,
    pub area: AreaCode,
    pub program: String,
    pub item: String,
    pub period: Period,
    pub required: Quantity,
    pub severity: Severity,
}

/// Needs verified in one request at most.
pub const MAX_VERIFY: usize = 500;

impl Service {
    pub async fn report_need(&self, actor: &Actor, request: ReportRequest) -> Result<NeedView, ServiceError> {
        let permit = authorize(actor, Operation::ReportNeed)?;
        let (user, scope) = (permit.user()?, permit.area()?);
        // A foreign area answers as a missing one.
        let ground = self.atlas().ground();
        let area = ground.area(&request.area).filter(|_| scope.is_none_or(|own| own.covers(&request.area)));
        let area = area.ok_or_else(|| ServiceError::not_found("area in your charge"))?;
        let program = ground
            .program_by_key(&request.program)
            .ok_or_else(|| ServiceError::bad("program", "there is no program of this key"))?;
        let item = ground
            .item_by_key(&request.item)
            .filter(|i| i.program == program.id)
            .ok_or_else(|| ServiceError::bad("item", "the program has no item of this key"))?;
        if request.required.is_zero() {
            return Err(ServiceError::bad("required", "must be at least 1"));
        }
        let normalised = json!({
            "area": request.area.as_str(), "program": program.id.0, "item": item.id.0,
            "start": request.period.start.to_string(), "end": request.period.end.to_string(),
            "required": request.required.get(), "severity": request.severity.get(),
        });
        let keyed = keyed(Scope::User(user.id), "reportNeed", request.key, &normalised)?;
        let command = ReportNeed {
            author: Some(user.id),
            keyed,
            area: area.id(),
            program: program.id,
            item: item.id,
            period: request.period,
            required: request.required,
            severity: request.severity,
        };
        let id = self.store().execute(command).await?;
        self.need_after(id).await
    }

    pub async fn revise_need(
        &self,
        actor: &Actor,
        id: NeedId,
        expected_version: i64,
        required: Option<Quantity>,
        severity: Option<Severity>,
    ) -> Result<NeedView, ServiceError> {
        let permit = authorize(actor, Operation::ReviseNeed)?;
        let (user, access) = (permit.user()?, NeedAccess { area: permit.area()? });
        if required.is_none() && severity.is_none() {
            return Err(ServiceError::bad("input", "give required, severity, or both"));
        }
        if required.is_some_and(Quantity::is_zero) {
            return Err(ServiceError::bad("required", "must be at least 1; close a need that no longer stands"));
        }
        let author = Some(user.id);
        self.store().execute(ReviseNeed { author, access, id, expected_version, required, severity }).await?;
        self.need_after(id).await
    }

    pub async fn verify_needs(&self, actor: &Actor, ids: Vec<NeedId>) -> Result<Vec<NeedView>, ServiceError> {
        let permit = authorize(actor, Operation::VerifyNeeds)?;
        let (user, access) = (permit.user()?, NeedAccess { area: permit.area()? });
        if ids.is_empty() || ids.len() > MAX_VERIFY {
            return Err(ServiceError::bad("ids", format!("must hold 1 to {MAX_VERIFY} ids")));
        }
        let distinct: BTreeSet<NeedId> = ids.iter().copied().collect();
        self.store().execute(VerifyNeeds { author: Some(user.id), access, ids: distinct }).await?;
        let mut views = Vec::with_capacity(ids.len());
        for id in ids {
            views.push(self.need_after(id).await?);
        }
        Ok(views)
    }

    pub async fn close_need(
        &self,
        actor: &Actor,
        id: NeedId,
        expected_version: i64,
        reason: &str,
    ) -> Result<NeedView, ServiceError> {
        let permit = authorize(actor, Operation::CloseNeed)?;
        let (user, access) = (permit.user()?, NeedAccess { area: permit.area()? });
        let reason = words("reason", reason)?;
        self.store().execute(CloseNeed { author: Some(user.id), access, id, expected_version, reason }).await?;
        self.need_after(id).await
    }

    /// The need as the atlas holds it; it has taken in the commit before the caller is answered.
    async fn need_after(&self, id: NeedId) -> Result<NeedView, ServiceError> {
        if let Some(view) = self.atlas().need(id, &Sight::All) {
            return Ok(view);
        }
        // A need on an area of an edition that this server is still reading.
        Err(ServiceError::new(Code::Unavailable, "the need is stored; the map is being read anew, ask again shortly"))
    }

    /// The need, where the caller may see it.
    pub fn visible_need(&self, sight: &Sight, id: NeedId) -> Option<NeedView> {
        self.atlas().need(id, sight).filter(|view| sight.sees(view))
    }
}
