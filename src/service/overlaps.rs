//! Overlap findings, what they rest on, and the log, for those who audit.

use super::access::{Operation, authorize};
use super::{Code, Service, ServiceError, words};
use crate::domain::actor::Actor;
use crate::domain::area::{AreaCode, AreaLevel};
use crate::domain::evidence::Evidence;
use crate::domain::ids::OverlapId;
use crate::domain::overlap::{Overlap, OverlapStatus, Rule, Source};
use crate::store::{AreaHistory, AuditRow, Checkpoint, HistoryPlace, OverlapCount, OverlapFilter, ResolveOverlap};

/// What of an asked area an officer may read: all where none is asked for, their own part of an area above theirs;
/// `None` where it is foreign.
fn narrowed(own: AreaCode, asked: Option<AreaCode>) -> Option<AreaCode> {
    match asked {
        Some(asked) if own.covers(&asked) => Some(asked),
        Some(asked) if !asked.covers(&own) => None,
        _ => Some(own),
    }
}

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
            let Some(area) = narrowed(own, filter.area) else { return Ok((Vec::new(), 0)) };
            filter.area = Some(area);
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

    /// How many findings stand below each area of a level. An officer sees those of their own area.
    pub async fn overlap_counts(
        &self,
        actor: &Actor,
        level: AreaLevel,
        mut filter: OverlapFilter,
    ) -> Result<Vec<OverlapCount>, ServiceError> {
        if let Some(own) = authorize(actor, Operation::ReadOverlapCounts)?.area()? {
            let Some(area) = narrowed(own, filter.area) else { return Ok(Vec::new()) };
            filter.area = Some(area);
        }
        Ok(self.store().overlap_counts(level, &filter).await?)
    }

    /// The records that findings name, as far as they are the caller's to see: an officer's lie in their own area.
    pub async fn evidence(&self, actor: &Actor, sources: &[Source]) -> Result<Vec<Evidence>, ServiceError> {
        let own = authorize(actor, Operation::ReadEvidence)?.area()?;
        let mut found = self.store().evidence(sources).await?;
        if let Some(own) = own {
            let ground = self.atlas().ground();
            found.retain(|e| ground.area_by_id(e.area).is_some_and(|area| own.covers(area.code())));
        }
        Ok(found)
    }

    /// The written rules, in the order in which findings number them.
    pub async fn overlap_rules(&self, actor: &Actor) -> Result<Vec<Rule>, ServiceError> {
        authorize(actor, Operation::ReadOverlaps)?;
        Ok(self.store().overlap_rules().await?)
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

    /// The entries of all records of an area, oldest first. Of a village or smaller: what lies above has too many.
    pub async fn area_history(
        &self,
        actor: &Actor,
        area: &AreaCode,
        first: usize,
        after: HistoryPlace,
    ) -> Result<AreaHistory, ServiceError> {
        authorize(actor, Operation::ReadAreaHistory)?;
        if area.level() < AreaLevel::Village {
            return Err(ServiceError::new(Code::TooComplex, "name a village, an RW or an RT"));
        }
        Ok(self.store().area_history(area, after, first).await?)
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
