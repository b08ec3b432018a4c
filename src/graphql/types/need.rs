//! Needs and lists of them.

use super::area::Area;
use super::program::{Item, Program};
use crate::atlas::{NeedQuery, NeedView};
use crate::domain::need::NeedStatus as Standing;
use crate::graphql::context::{now, reported_by_caller, service};
use crate::graphql::enums::{NeedStatus, ServiceStatus};
use crate::graphql::errors::Answer;
use crate::graphql::scalars::{Date, DateTime, Quantity, Version};
use crate::graphql::written::{Asked, Record, Rows, Write, json, plain, quoted, within, word};
use crate::service::ServiceError;
use async_graphql::{Context, ID, Object, SimpleObject};

/// How much of one item one area asks for in one period, and how much is spoken for.
#[derive(Clone)]
pub struct Need(pub NeedView);

#[Object]
impl Need {
    pub async fn id(&self) -> ID {
        self.0.need.id.into()
    }

    async fn area(&self) -> Area {
        Area(self.0.area.clone())
    }

    async fn program(&self) -> Answer<Program> {
        let ground = self.0.area.ground();
        let program = ground.program(self.0.need.program).cloned();
        let program = program.ok_or_else(|| ServiceError::fault("a need's program is missing"))?;
        Ok(Program { ground: ground.clone(), program })
    }

    async fn item(&self) -> Answer<Item> {
        let item = self.0.area.ground().item(self.0.need.item).cloned();
        Ok(Item(item.ok_or_else(|| ServiceError::fault("a need's item is missing"))?))
    }

    /// First day of the period that the need stands for.
    async fn period_start(&self) -> Date {
        Date(self.0.need.period.start)
    }

    /// Last day of the period that the need stands for.
    async fn period_end(&self) -> Date {
        Date(self.0.need.period.end)
    }

    async fn required(&self) -> Quantity {
        Quantity(self.0.need.counters.required())
    }

    /// Held, confirmed and delivered quantity together: what is no longer free.
    async fn allocated(&self) -> Quantity {
        Quantity(self.0.need.counters.allocated())
    }

    async fn delivered(&self) -> Quantity {
        Quantity(self.0.need.counters.delivered())
    }

    /// required - allocated
    async fn unmet(&self) -> Quantity {
        Quantity(self.0.need.counters.free())
    }

    /// 1 (low) to 5 (critical)
    async fn severity(&self) -> i32 {
        i32::from(self.0.need.severity.get())
    }

    async fn status(&self) -> NeedStatus {
        self.0.need.status.into()
    }

    async fn service(&self) -> ServiceStatus {
        self.0.need.counters.service().into()
    }

    /// True where the caller is not told of fewer than five: where five are required it may be less, and what is taken
    /// or delivered of it is told once it is all. So it is with needs of an RT, for whoever is neither an official nor
    /// of a verified organisation.
    async fn small_counts_rounded(&self) -> bool {
        self.0.rounded
    }

    /// Until then only organisations registered in the need's own RW may claim it; null where everybody may.
    async fn first_right_until(&self, ctx: &Context<'_>) -> Answer<Option<DateTime>> {
        match self.0.need.first_right_until {
            None => Ok(None),
            Some(_) => Ok(self.0.need.kept_until(now(ctx).await?).map(DateTime)),
        }
    }

    /// True where the caller reported it and nobody has verified it yet: somebody else has to.
    async fn reported_by_viewer(&self, ctx: &Context<'_>) -> Answer<bool> {
        Ok(self.0.need.status == Standing::Reported && reported_by_caller(ctx, self.0.need.id).await?)
    }

    async fn version(&self) -> Version {
        Version(self.0.need.version)
    }
}

impl Record for Need {
    const TYPE: &'static str = "Need";

    fn field<'a>(name: &str, below: Asked<'a>) -> Option<Write<'a, Self>> {
        Some(match name {
            "id" => plain(|n: &Need, out| quoted(out, n.0.need.id)),
            "area" => return within(below, |n: &Need| Some(&n.0.area)),
            "program" => return within(below, |n: &Need| n.0.area.ground().program(n.0.need.program)),
            "item" => return within(below, |n: &Need| n.0.area.ground().item(n.0.need.item)),
            "periodStart" => plain(|n: &Need, out| quoted(out, n.0.need.period.start)),
            "periodEnd" => plain(|n: &Need, out| quoted(out, n.0.need.period.end)),
            "required" => plain(|n: &Need, out| json(out, n.0.need.counters.required().get())),
            "allocated" => plain(|n: &Need, out| json(out, n.0.need.counters.allocated().get())),
            "delivered" => plain(|n: &Need, out| json(out, n.0.need.counters.delivered().get())),
            "unmet" => plain(|n: &Need, out| json(out, n.0.need.counters.free().get())),
            "severity" => plain(|n: &Need, out| json(out, n.0.need.severity.get())),
            "status" => plain(|n: &Need, out| word::<NeedStatus>(out, n.0.need.status.into())),
            "service" => plain(|n: &Need, out| word::<ServiceStatus>(out, n.0.need.counters.service().into())),
            "smallCountsRounded" => plain(|n: &Need, out| json(out, n.0.rounded)),
            "version" => plain(|n: &Need, out| quoted(out, format_args!("v{}", n.0.need.version))),
            _ => return None,
        })
    }
}

/// Where a page stands in its list.
#[derive(SimpleObject)]
pub struct PageInfo {
    pub has_next_page: bool,
    pub has_previous_page: bool,
    pub start_cursor: Option<String>,
    pub end_cursor: Option<String>,
}

impl PageInfo {
    pub fn of(has_next_page: bool, has_previous_page: bool, cursors: &[String]) -> Self {
        PageInfo {
            has_next_page,
            has_previous_page,
            start_cursor: cursors.first().cloned(),
            end_cursor: cursors.last().cloned(),
        }
    }
}

/// One need on a page.
#[derive(SimpleObject)]
pub struct NeedEdge {
    pub node: Need,
    pub cursor: String,
    /// From where.near, where that is given.
    pub distance_meters: Option<f64>,
}

impl Record for NeedEdge {
    const TYPE: &'static str = "NeedEdge";

    fn field<'a>(name: &str, below: Asked<'a>) -> Option<Write<'a, Self>> {
        Some(match name {
            "node" => return within(below, |edge: &NeedEdge| Some(&edge.node)),
            "cursor" => plain(|edge: &NeedEdge, out| json(out, &edge.cursor)),
            "distanceMeters" => plain(|edge: &NeedEdge, out| json(out, edge.distance_meters)),
            _ => return None,
        })
    }
}

/// A page of needs.
#[derive(SimpleObject)]
pub struct NeedConnection {
    pub edges: Rows<NeedEdge>,
    pub nodes: Rows<Need>,
    pub page_info: PageInfo,
    pub total_count: i64,
}

impl NeedConnection {
    pub fn read(ctx: &Context<'_>, query: NeedQuery) -> Answer<Self> {
        let page = service(ctx)?.atlas().needs(&query).map_err(ServiceError::from)?;
        let ends = [page.rows.first(), page.rows.last()];
        let cursors: Vec<String> = ends.into_iter().flatten().map(|r| r.cursor.clone()).collect();
        let wanted = |name: &str| ctx.look_ahead().field(name).exists();
        let nodes =
            if wanted("nodes") { page.rows.iter().map(|r| Need(r.view.clone())).collect() } else { Rows(Vec::new()) };
        let edges = if wanted("edges") {
            let edge =
                |r: crate::atlas::Row| NeedEdge { node: Need(r.view), cursor: r.cursor, distance_meters: r.distance_m };
            page.rows.into_iter().map(edge).collect()
        } else {
            Rows(Vec::new())
        };
        Ok(NeedConnection {
            edges,
            nodes,
            page_info: PageInfo::of(page.has_next, page.has_previous, &cursors),
            total_count: i64::try_from(page.total).unwrap_or(i64::MAX),
        })
    }

    pub fn empty() -> Self {
        NeedConnection {
            edges: Rows(Vec::new()),
            nodes: Rows(Vec::new()),
            page_info: PageInfo::of(false, false, &[]),
            total_count: 0,
        }
    }
}
