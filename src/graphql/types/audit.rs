//! Overlap findings and the audit log.

use super::area::Area;
use super::evidence::{EvidenceRecord, OverlapRule};
use super::need::PageInfo;
use super::organization::Organization;
use super::program::{Item, Program};
use crate::domain::calendar::Moment;
use crate::domain::overlap as domain;
use crate::domain::overlap::Source;
use crate::graphql::context::{evidence, organization, overlap_rule, service};
use crate::graphql::enums::{OverlapKind, OverlapStatus};
use crate::graphql::errors::Answer;
use crate::graphql::scalars::{Date, DateTime, Quantity, Version};
use crate::service::{AuditRow, Checkpoint, ServiceError, to_hex};
use async_graphql::{Context, ID, Object, SimpleObject};

/// Aid that met aid: who, where, when, how much, by which records.
#[derive(Clone)]
pub struct Overlap(pub domain::Overlap);

#[Object]
impl Overlap {
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn kind(&self) -> OverlapKind {
        self.0.finding.kind.into()
    }

    async fn status(&self) -> OverlapStatus {
        self.0.status.into()
    }

    async fn area(&self, ctx: &Context<'_>) -> Answer<Area> {
        let area = service(ctx)?.atlas().ground().area_by_id(self.0.finding.area);
        Ok(Area(area.ok_or_else(|| ServiceError::fault("an overlap's area is missing"))?))
    }

    async fn item(&self, ctx: &Context<'_>) -> Answer<Option<Item>> {
        let ground = service(ctx)?.atlas().ground();
        Ok(self.0.finding.item.and_then(|id| ground.item(id).cloned()).map(Item))
    }

    async fn organizations(&self, ctx: &Context<'_>) -> Answer<Vec<Organization>> {
        let mut found = Vec::with_capacity(self.0.finding.organizations.len());
        for id in &self.0.finding.organizations {
            found.push(Organization(organization(ctx, *id).await?));
        }
        Ok(found)
    }

    async fn quantity(&self) -> Option<Quantity> {
        self.0.finding.quantity.map(Quantity)
    }

    async fn excess(&self) -> Option<Quantity> {
        self.0.finding.excess.map(Quantity)
    }

    async fn period_start(&self) -> Date {
        Date(self.0.finding.period.start)
    }

    async fn period_end(&self) -> Date {
        Date(self.0.finding.period.end)
    }

    /// The ids of the records it rests on: claim lines, opening balances, distributions from outside.
    async fn evidence(&self) -> Vec<String> {
        self.0.finding.evidence.iter().map(Source::to_string).collect()
    }

    /// These records: who gave what, when, how much. Those of another's area are left out.
    async fn evidence_records(&self, ctx: &Context<'_>) -> Answer<Vec<EvidenceRecord>> {
        let found = evidence(ctx, &self.0.finding.evidence).await?;
        Ok(found.into_iter().map(EvidenceRecord).collect())
    }

    /// Of EXCLUSIVE_PROGRAMS: which two; else empty.
    async fn programs(&self, ctx: &Context<'_>) -> Answer<Vec<Program>> {
        let ground = service(ctx)?.atlas().ground();
        let ids = self.0.finding.programs.map(|(a, b)| [a, b]).into_iter().flatten();
        let known = ids.filter_map(|id| ground.program(id).cloned());
        Ok(known.map(|program| Program { ground: ground.clone(), program }).collect())
    }

    /// The written rule that makes it a finding; null where it needs none.
    async fn rule(&self, ctx: &Context<'_>) -> Answer<Option<OverlapRule>> {
        let Some(place) = self.0.finding.rule else { return Ok(None) };
        Ok(overlap_rule(ctx, place).await?.map(OverlapRule))
    }

    /// The written rule that permits it, where there is one.
    async fn permitted_by(&self, ctx: &Context<'_>) -> Answer<Option<OverlapRule>> {
        let Some(place) = self.0.finding.permitted_by else { return Ok(None) };
        Ok(overlap_rule(ctx, place).await?.map(OverlapRule))
    }

    /// Why an auditor chose the status; null where the computation did.
    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }

    async fn version(&self) -> Version {
        Version(self.0.version)
    }
}

/// A page of findings, by area code.
#[derive(SimpleObject)]
pub struct OverlapConnection {
    pub nodes: Vec<Overlap>,
    pub page_info: PageInfo,
    pub total_count: i64,
}

/// One change of one record.
pub struct AuditEntry(pub AuditRow);

#[Object]
impl AuditEntry {
    /// Its place in the log, from 1; empty until the entry has got one, which takes about a second.
    async fn sequence(&self) -> String {
        self.0.sequence.map(|s| s.to_string()).unwrap_or_default()
    }

    async fn at(&self) -> DateTime {
        DateTime(Moment(self.0.at))
    }

    /// The user's number, as the log holds it; "system" where nobody did it by hand.
    async fn actor(&self) -> &str {
        &self.0.actor
    }

    async fn action(&self) -> &str {
        &self.0.action
    }

    async fn subject(&self) -> ID {
        ID(self.0.subject.clone())
    }

    /// What the record was from then on, as the log holds it: JSON, and no person in it.
    async fn state(&self) -> &str {
        &self.0.state
    }
}

/// A page of entries, oldest first.
#[derive(SimpleObject)]
pub struct AuditConnection {
    pub nodes: Vec<AuditEntry>,
    pub page_info: PageInfo,
}

/// The signed head of the append-only log.
#[derive(SimpleObject)]
pub struct AuditCheckpoint {
    pub size: String,
    pub root_hash: String,
    pub at: DateTime,
    pub signature: String,
}

impl From<Checkpoint> for AuditCheckpoint {
    fn from(c: Checkpoint) -> Self {
        AuditCheckpoint {
            size: c.head.size.to_string(),
            root_hash: to_hex(&c.head.root),
            at: DateTime(Moment(c.head.at_micros)),
            signature: c.signature,
        }
    }
}
