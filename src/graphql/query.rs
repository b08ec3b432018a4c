//! Questions. All about areas and needs are answered from the atlas, all others from the database.

use super::context::{actor, claim, offer, organization, service, sight};
use super::enums::{AreaLevel, MatchPolicy, NeedOrder, OrganizationStatus, OverlapKind, OverlapStatus};
use super::errors::Answer;
use super::inputs::{BBoxInput, NeedFilter, PlanMatchInput, area_code, first, id};
use super::types::Node;
use super::types::account::{Member, WaysIn};
use super::types::area::{self, Area, AreaCoverage, Coverage};
use super::types::audit::{AuditCheckpoint, AuditConnection, AuditEntry, Overlap, OverlapConnection};
use super::types::claim::{Claim, ClaimLine, Offer};
use super::types::delivery::Delivery;
use super::types::evidence::AreaOverlaps;
use super::types::matching::MatchPlan;
use super::types::need::{Need, NeedConnection, PageInfo};
use super::types::organization::Organization;
use super::types::program::{Item, Program};
use super::types::viewer::Viewer;
use super::written::Rows;
use crate::atlas::NeedQuery;
use crate::domain::ids::AnyId;
use crate::domain::overlap::OverlapStatus as Taken;
use crate::service::matches::PlanRequest;
use crate::service::{HistoryPlace, OverlapFilter, ServiceError};
use async_graphql::{Context, ID, Object};

/// Rows of a choropleth at most.
pub(super) const MOST_AREAS: usize = 5_000;

pub struct Query;

#[Object]
impl Query {
    /// The record of that id; null where there is none or the caller may not see it.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Node>> {
        let Ok(any) = id.parse::<AnyId>() else { return Ok(None) };
        let (service, actor) = (service(ctx)?, actor(ctx)?);
        let ground = service.atlas().ground();
        Ok(match any {
            AnyId::AreaId(id) => ground.area_by_id(id).map(|a| Node::Area(Area(a))),
            AnyId::ProgramId(id) => {
                ground.program(id).cloned().map(|program| Node::Program(Program { ground: ground.clone(), program }))
            }
            AnyId::ItemId(id) => ground.item(id).cloned().map(|i| Node::Item(Item(i))),
            AnyId::NeedId(id) => service.visible_need(sight(ctx).await?, id).map(|n| Node::Need(Need(n))),
            AnyId::OrganizationId(id) => {
                let found = service.organizations(&[id]).await?.pop();
                found.map(|o| Node::Organization(Organization(o)))
            }
            AnyId::OfferId(id) => offer(ctx, id).await?.map(|o| Node::Offer(Offer(o))),
            AnyId::ClaimId(id) => claim(ctx, id).await?.map(|c| Node::Claim(Claim(c))),
            AnyId::ClaimLineId(id) => service.visible_line(actor, id).await?.map(|l| Node::ClaimLine(ClaimLine(l))),
            AnyId::DeliveryId(id) => service.visible_delivery(actor, id).await?.map(|d| Node::Delivery(Delivery(d))),
            AnyId::OverlapId(id) => service.visible_overlap(actor, id).await?.map(|o| Node::Overlap(Overlap(o))),
            AnyId::UserId(_)
            | AnyId::DistributionId(_)
            | AnyId::SessionId(_)
            | AnyId::ApiKeyId(_)
            | AnyId::DocumentId(_) => None,
        })
    }

    /// Null for an anonymous caller.
    async fn viewer(&self, ctx: &Context<'_>) -> Answer<Option<Viewer>> {
        Ok(actor(ctx)?.user().cloned().map(Viewer))
    }

    /// All programs, by key.
    async fn programs(&self, ctx: &Context<'_>) -> Answer<Vec<Program>> {
        let ground = service(ctx)?.atlas().ground();
        let all = ground.programs().iter();
        Ok(all.map(|program| Program { ground: ground.clone(), program: program.clone() }).collect())
    }

    /// The area of that code; null where there is none.
    async fn area(&self, ctx: &Context<'_>, code: String) -> Answer<Option<Area>> {
        area::find(ctx, &area_code("code", &code)?)
    }

    /// Needs that the filter takes in; at most 1,000 a page.
    async fn needs(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "where")] filter: Option<NeedFilter>,
        #[graphql(default_with = "Some(NeedOrder::Priority)")] order_by: Option<NeedOrder>,
        #[graphql(name = "first", default_with = "Some(50)")] count: Option<i32>,
        after: Option<String>,
    ) -> Answer<NeedConnection> {
        let service = service(ctx)?;
        let count = first(count, 50, 1_000)?;
        let filter = filter.unwrap_or_default().into_filter(service, sight(ctx).await?)?;
        let order = order_by.unwrap_or(NeedOrder::Priority).into();
        NeedConnection::read(ctx, NeedQuery { filter, order, first: count, after })
    }

    /// Totals over the needs that the filter takes in.
    async fn coverage(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "where")] filter: Option<NeedFilter>,
    ) -> Answer<Coverage> {
        let service = service(ctx)?;
        let filter = filter.unwrap_or_default().into_filter(service, sight(ctx).await?)?;
        Coverage::of(service.atlas().coverage(&filter).map_err(ServiceError::from)?)
    }

    /// Areas that people may mean by the words, the larger ones first: `kapuk`, `rt 7 rw 03 gambir`, `31.71.01`. At most
    /// 50.
    async fn search_areas(
        &self,
        ctx: &Context<'_>,
        text: String,
        #[graphql(name = "first", default_with = "Some(10)")] count: Option<i32>,
    ) -> Answer<Vec<Area>> {
        let count = first(count, 10, 50)?;
        if text.chars().count() > 200 {
            return Err(ServiceError::bad("text", "has more than 200 characters").into());
        }
        Ok(service(ctx)?.atlas().ground().search(&text, count).into_iter().map(Area).collect())
    }

    /// What parts the areas of a level into fifths, by the unmet quantity of the item per 100 households: the borders
    /// between a map's colours. At most four, ascending; fewer where fifths are alike.
    async fn coverage_breaks(&self, ctx: &Context<'_>, level: AreaLevel, item: String) -> Answer<Vec<f64>> {
        let atlas = service(ctx)?.atlas();
        let item = atlas.ground().item_by_key(&item).map(|item| item.id);
        let item = item.ok_or_else(|| ServiceError::bad("item", "there is no item of that key"))?;
        Ok(atlas.breaks(level.into(), item))
    }

    /// At most 5,000 rows; beyond that TOO_COMPLEX: narrow the filter or the view, or draw from tiles. `view` leaves out
    /// areas beyond the box, and counts those that are left as a whole; a box in the filter counts only what lies in it.
    async fn area_coverage(
        &self,
        ctx: &Context<'_>,
        level: AreaLevel,
        #[graphql(name = "where")] filter: Option<NeedFilter>,
        view: Option<BBoxInput>,
    ) -> Answer<Rows<AreaCoverage>> {
        let service = service(ctx)?;
        let filter = filter.unwrap_or_default().into_filter(service, sight(ctx).await?)?;
        let view = view.map(|view| view.bounds("view")).transpose()?;
        let rows = service.atlas().area_coverage(level.into(), &filter, view.as_ref(), MOST_AREAS);
        let rows = rows.map_err(ServiceError::from)?;
        rows.into_iter()
            .map(|(area, coverage)| Ok(AreaCoverage { area: Area(area), coverage: Coverage::of(coverage)? }))
            .collect()
    }

    /// What a quantity of one item would do best. Nothing is held by asking.
    async fn plan_match(&self, ctx: &Context<'_>, input: PlanMatchInput) -> Answer<MatchPlan> {
        let service = service(ctx)?;
        let actor = actor(ctx)?;
        let max_areas = input.max_areas.map(u32::try_from).transpose();
        let request = PlanRequest {
            offer: input.offer_id.map(|offer| id("offerId", &offer)).transpose()?,
            item: input.item_key,
            quantity: input.quantity.map(|q| q.0),
            filter: input.filter.unwrap_or_default().into_filter(service, sight(ctx).await?)?,
            policy: input.policy.unwrap_or(MatchPolicy::Priority).into(),
            max_areas: max_areas.map_err(|_| ServiceError::bad("maxAreas", "must be at least 1"))?,
            origin: input.origin.map(|o| o.point("origin")).transpose()?,
        };
        Ok(service.plan_match(actor, request).await?.into())
    }

    /// Organisations of a status, or all, by number; at most 100, those after `after`.
    async fn organizations(
        &self,
        ctx: &Context<'_>,
        status: Option<OrganizationStatus>,
        #[graphql(name = "first", default_with = "Some(50)")] count: Option<i32>,
        after: Option<ID>,
    ) -> Answer<Vec<Organization>> {
        let after = after.map(|after| id("after", &after)).transpose()?;
        let (count, status) = (first(count, 50, 100)?, status.map(Into::into));
        let found = service(ctx)?.organization_list(actor(ctx)?, status, count, after).await?;
        Ok(found.into_iter().map(Organization).collect())
    }

    /// Officers, auditors and admins, by number; at most 100, those after `after`.
    async fn officials(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "first", default_with = "Some(50)")] count: Option<i32>,
        after: Option<ID>,
    ) -> Answer<Vec<Member>> {
        let after = after.map(|after| id("after", &after)).transpose()?;
        let found = service(ctx)?.officials(actor(ctx)?, first(count, 50, 100)?, after).await?;
        Ok(found.into_iter().map(Member).collect())
    }

    /// The claim of that id; null where there is none or it is not the caller's to see.
    async fn claim(&self, ctx: &Context<'_>, #[graphql(name = "id")] claim_id: ID) -> Answer<Option<Claim>> {
        let Ok(claim_id) = claim_id.parse() else { return Ok(None) };
        Ok(claim(ctx, claim_id).await?.map(Claim))
    }

    /// The delivery of that id; null where there is none or it is not the caller's to see.
    async fn delivery(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Delivery>> {
        let Ok(id) = id.parse() else { return Ok(None) };
        Ok(service(ctx)?.visible_delivery(actor(ctx)?, id).await?.map(Delivery))
    }

    /// Findings of the overlap audit, by area code; for auditors, and for officers those of their area.
    async fn overlaps(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "areaCode")] code: Option<String>,
        kinds: Option<Vec<OverlapKind>>,
        status: Option<Vec<OverlapStatus>>,
        #[graphql(name = "first", default_with = "Some(50)")] count: Option<i32>,
        after: Option<String>,
    ) -> Answer<OverlapConnection> {
        let count = first(count, 50, 500)?;
        let filter = overlap_filter(code, kinds, status)?;
        let bad = || ServiceError::bad("after", "is not a cursor of this list");
        let previous = after.is_some();
        let after = match after {
            None => None,
            Some(cursor) => {
                let (code, id) = cursor.split_once('/').ok_or_else(bad)?;
                Some((code.parse().map_err(|_| bad())?, id.parse().map_err(|_| bad())?))
            }
        };
        let service = service(ctx)?;
        let (mut found, total) = service.overlaps(actor(ctx)?, filter, count + 1, after).await?;
        let more = found.len() > count;
        found.truncate(count);
        let ground = service.atlas().ground();
        let cursor = |o: &crate::domain::overlap::Overlap| {
            ground.area_by_id(o.finding.area).map(|a| format!("{}/{}", a.code(), o.id))
        };
        let cursors: Vec<String> = found.iter().filter_map(cursor).collect();
        Ok(OverlapConnection {
            nodes: found.into_iter().map(Overlap).collect(),
            page_info: PageInfo::of(more, previous, &cursors),
            total_count: total,
        })
    }

    /// How many findings stand below each area of the level, by code; areas without any are left out, and so are findings
    /// of areas above the level. For auditors, and for officers those of their area.
    async fn overlap_counts(
        &self,
        ctx: &Context<'_>,
        level: AreaLevel,
        #[graphql(name = "areaCode")] code: Option<String>,
        kinds: Option<Vec<OverlapKind>>,
    ) -> Answer<Vec<AreaOverlaps>> {
        let service = service(ctx)?;
        let filter = overlap_filter(code, kinds, None)?;
        let counts = service.overlap_counts(actor(ctx)?, level.into(), filter).await?;
        let ground = service.atlas().ground();
        let mut rows: Vec<AreaOverlaps> = Vec::new();
        for count in counts {
            let Some(area) = ground.area(&count.area) else { continue };
            if rows.last().is_none_or(|row| row.area.0.code() != &count.area) {
                rows.push(AreaOverlaps { area: Area(area), suspected: 0, permitted: 0, confirmed: 0 });
            }
            let Some(row) = rows.last_mut() else { continue };
            match count.status {
                Taken::Suspected => row.suspected = count.findings,
                Taken::Permitted => row.permitted = count.findings,
                Taken::Confirmed => row.confirmed = count.findings,
            }
        }
        Ok(rows)
    }

    /// The changes of all records of a village, an RW or an RT: of its needs, the claims and trips that serve them, aid from
    /// outside, findings; oldest first, at most 500 a page. For auditors.
    async fn area_history(
        &self,
        ctx: &Context<'_>,
        code: String,
        #[graphql(name = "first", default_with = "Some(50)")] count: Option<i32>,
        after: Option<String>,
    ) -> Answer<AuditConnection> {
        let (area, count) = (area_code("code", &code)?, first(count, 50, 500)?);
        let bad = || ServiceError::bad("after", "is not a cursor of this list");
        let place = |cursor: &str| -> Option<HistoryPlace> {
            let (pack, place) = cursor.split_once('/')?;
            Some(HistoryPlace { pack: pack.parse().ok()?, place: place.parse().ok()? })
        };
        let from = after.as_deref().map(|a| place(a).ok_or_else(bad)).transpose()?.unwrap_or_default();
        let page = service(ctx)?.area_history(actor(ctx)?, &area, count, from).await?;
        let cursors: Vec<String> = page.more.iter().map(|m| format!("{}/{}", m.pack, m.place)).collect();
        Ok(AuditConnection {
            nodes: page.entries.into_iter().map(AuditEntry).collect(),
            page_info: PageInfo::of(page.more.is_some(), after.is_some(), &cursors),
        })
    }

    /// The changes of one record, oldest first; for auditors.
    async fn audit_trail(
        &self,
        ctx: &Context<'_>,
        subject: ID,
        #[graphql(name = "first", default_with = "Some(50)")] count: Option<i32>,
        after: Option<String>,
    ) -> Answer<AuditConnection> {
        let count = first(count, 50, 500)?;
        let bad = || ServiceError::bad("after", "is not a cursor of this list");
        let from = after.as_deref().map(|a| a.parse::<i64>().map_err(|_| bad())).transpose()?.unwrap_or(0);
        let mut rows = service(ctx)?.audit_trail(actor(ctx)?, &subject, count + 1, from).await?;
        let more = rows.len() > count;
        rows.truncate(count);
        let cursors: Vec<String> = (1..=rows.len() as i64).map(|i| (from + i).to_string()).collect();
        Ok(AuditConnection {
            nodes: rows.into_iter().map(AuditEntry).collect(),
            page_info: PageInfo::of(more, after.is_some(), &cursors),
        })
    }

    /// The latest signed head of the log. Keep one: with the public key it shows later that nothing before it changed.
    async fn audit_checkpoint(&self, ctx: &Context<'_>) -> Answer<AuditCheckpoint> {
        Ok(service(ctx)?.audit_checkpoint().await?.into())
    }

    /// By which ways people get into this server.
    async fn ways_in(&self, ctx: &Context<'_>) -> Answer<WaysIn> {
        Ok(WaysIn { single_sign_on: service(ctx)?.has_sign_on() })
    }

    /// An organisation by id: collaborators are public.
    async fn organization(&self, ctx: &Context<'_>, #[graphql(name = "id")] org: ID) -> Answer<Option<Organization>> {
        let Ok(wanted) = org.parse() else { return Ok(None) };
        let known = service(ctx)?.organizations(&[wanted]).await?;
        if known.is_empty() {
            return Ok(None);
        }
        Ok(Some(Organization(organization(ctx, wanted).await?)))
    }
}

fn overlap_filter(
    code: Option<String>,
    kinds: Option<Vec<OverlapKind>>,
    status: Option<Vec<OverlapStatus>>,
) -> Answer<OverlapFilter> {
    let empty = |field: &str| ServiceError::bad(field, "an empty list takes in nothing; leave it out");
    if kinds.as_ref().is_some_and(Vec::is_empty) {
        return Err(empty("kinds").into());
    }
    if status.as_ref().is_some_and(Vec::is_empty) {
        return Err(empty("status").into());
    }
    Ok(OverlapFilter {
        area: code.map(|code| area_code("areaCode", &code)).transpose()?,
        kinds: kinds.unwrap_or_default().into_iter().map(Into::into).collect(),
        statuses: status.unwrap_or_default().into_iter().map(Into::into).collect(),
    })
}
