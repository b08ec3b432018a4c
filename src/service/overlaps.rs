//! Overlap findings, for those who audit.

use super::access::{Operation, authorize};
use super::{Code, Service, ServiceError, words};
use crate::domain::actor::Actor;
use crate::domain::area::AreaCode;
use crate::domain::ids::OverlapId;
use crate::domain::overlap::{Overlap, OverlapStatus};
use crate::store::{AuditRow, Checkpoint, OverlapFilter, ResolveOverlap};

impl Service {
    /// One page of findings by area code, and how many there are in all. An officer sees those of
    /// their own area.
    pub async fn overlaps(
        &self,
        actor: &Actor,
        mut filter: OverlapFilter,
        first: usize,
        after: Option<(AreaCode, OverlapId)>,
    ) -> Result<(Vec<Overlap>, i64), ServiceError> {
        if let Some(own) = authorize(actor, Operation::ReadOverlaps)?.area()? {
            let own = &own;
            filter.area = match filter.area {
                None => Some(own.clone()),
                Some(asked) if own.covers(&asked) => Some(asked),
                // An area above one's own: only one's own part of it; a foreign one: nothing.
                Some(asked) if asked.covers(own) => Some(own.clone()),
                Some(_) => return Ok((Vec::new(), 0)),
            };
        }
        let (ids, total) = self.store().overlap_page(&filter, after, first as i64).await?;
        let mut found = self.store().overlaps(&ids).await?;
        found.sort_by_key(|o| ids.iter().position(|id| *id == o.id));
        Ok((found, total))
    }

    pub async fn visible_overlap(&self, actor: &Actor, id: OverlapId) -> Result<Option<Overlap>, ServiceError> {
        let Ok(permit) = authorize(actor, Operation::ReadOverlaps) else { return Ok(None) };
        let Some(overlap) = self.store().overlaps(&[id]).await?.pop() else { return Ok(None) };
        let area = self.atlas().ground().area_by_id(overlap.finding.area);
        let own = area.is_some_and(|a| permit.sees_area().is_some_and(|own| own.covers(a.code())));
        Ok((permit.everything() || own).then_some(overlap))
    }

    pub async fn resolve_overlap(
        &self,
        actor: &Actor,
        id: OverlapId,
        expected_version: i64,
        status: OverlapStatus,
        note: &str,
    ) -> Result<Overlap, ServiceError> {
        let user = authorize(actor, Operation::ResolveOverlap)?.user()?;
        let note = words("note", note)?;
        let salt = crate::random::bytes().ok_or_else(|| ServiceError::fault("no random numbers to be had"))?;
        let author = Some(user.id);
        self.store().execute(ResolveOverlap { author, id, expected_version, status, note, salt }).await?;
        self.store().overlaps(&[id]).await?.pop().ok_or_else(|| ServiceError::fault("a changed overlap is gone"))
    }

    /// The entries of one record, oldest first.
    pub async fn audit_trail(
        &self,
        actor: &Actor,
        subject: &str,
        first: usize,
        after: i64,
    ) -> Result<Vec<AuditRow>, ServiceError> {
        authorize(actor, Operation::ReadAudit)?;
        Ok(self.store().audit_trail(subject, after, first as i64).await?)
    }

    /// The latest signed head. Everybody may have it: it is what an outsider keeps to check later.
    pub async fn audit_checkpoint(&self) -> Result<Checkpoint, ServiceError> {
        if let Some(checkpoint) = self.store().audit_checkpoint().await? {
            return Ok(checkpoint);
        }
        self.sequence(true).await?;
        let checkpoint = self.store().audit_checkpoint().await?;
        checkpoint
            .ok_or_else(|| ServiceError::new(Code::Unavailable, "the log's first head is being signed; ask again"))
    }
}
