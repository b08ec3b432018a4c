//! Areas, and what their needs come to.

use super::help::AreaHelp;
use super::need::NeedConnection;
use crate::atlas::{self, AreaRef, NeedQuery, Order};
use crate::domain::area::AreaCode;
use crate::domain::quantity::Quantity as Amount;
use crate::graphql::context::{now, service, sight};
use crate::graphql::enums::{AreaLevel, PointSource};
use crate::graphql::errors::Answer;
use crate::graphql::inputs::{NeedFilter, first};
use crate::graphql::scalars::{GeoJSON, Quantity};
use crate::graphql::written::{Asked, Plan, Record, Write, json, plain, quoted, within, word};
use crate::service::{Code, ServiceError};
use async_graphql::{Context, ID, Object, SimpleObject};

/// One administrative area. `code` is the Ministry code, dotted, continued below the village by zero-padded RW and RT:
/// 31.71.01.1001 (village), 31.71.01.1001.003 (RW 003), 31.71.01.1001.003.007 (RT 007).
pub struct Area(pub AreaRef);

impl Area {
    /// The filter narrowed to this area and all below it.
    async fn narrowed(&self, ctx: &Context<'_>, filter: Option<NeedFilter>) -> Answer<Option<atlas::Filter>> {
        let mut filter = filter.unwrap_or_default().into_filter(service(ctx)?, sight(ctx).await?)?;
        let own = self.0.code();
        filter.area = match filter.area.take() {
            None => Some(own.clone()),
            Some(asked) if own.covers(&asked) => Some(asked),
            Some(asked) if asked.covers(own) => Some(own.clone()),
            Some(_) => return Ok(None),
        };
        Ok(Some(filter))
    }
}

#[Object]
impl Area {
    pub async fn id(&self) -> ID {
        self.0.id().into()
    }

    async fn code(&self) -> &str {
        self.0.code().as_str()
    }

    async fn name(&self) -> &str {
        self.0.name()
    }

    /// The name as the area's publisher wrote it, e.g. "RW. 001", where it differs from `name`.
    async fn label(&self) -> Option<&str> {
        self.0.label()
    }

    async fn level(&self) -> AreaLevel {
        self.0.level().into()
    }

    async fn parent(&self) -> Option<Area> {
        self.0.parent().map(Area)
    }

    /// The areas right below, by code.
    async fn children(&self) -> Vec<Area> {
        self.0.children().into_iter().map(Area).collect()
    }

    /// [west, south, east, north] in degrees; null where the area has no geometry.
    async fn bbox(&self) -> Option<Vec<f64>> {
        self.0.bounds().map(|b| b.to_array().to_vec())
    }

    async fn geometry(&self) -> Option<GeoJSON> {
        self.0.shape().map(|s| GeoJSON(s.to_geojson()))
    }

    /// True where nobody surveyed the geometry: it was made for a demo.
    async fn geometry_is_generated(&self) -> bool {
        self.0.shape_is_generated()
    }

    /// [longitude, latitude] of a point inside the area; an area without a shape of its own has its parent's.
    async fn point(&self) -> Option<Vec<f64>> {
        self.0.point().map(|(p, _)| vec![p.lon(), p.lat()])
    }

    /// Whether `point` is the area's own or its parent's.
    async fn point_source(&self) -> Option<PointSource> {
        self.0.point().map(|(_, source)| source.into())
    }

    /// Null where nobody knows, or where `householdsHidden`.
    async fn households(&self, ctx: &Context<'_>) -> Answer<Option<i64>> {
        Ok(self.0.households(sight(ctx).await?))
    }

    async fn poor_households(&self, ctx: &Context<'_>) -> Answer<Option<i64>> {
        Ok(self.0.poor_households(sight(ctx).await?))
    }

    /// True where the caller is not told of households: here or in a neighbouring area they are so few that a
    /// count would point at a door.
    async fn households_hidden(&self, ctx: &Context<'_>) -> Answer<bool> {
        Ok(self.0.hides_households(sight(ctx).await?))
    }

    /// Totals over the needs of this area and of all areas below it.
    async fn coverage(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "where")] filter: Option<NeedFilter>,
    ) -> Answer<Coverage> {
        match self.narrowed(ctx, filter).await? {
            Some(filter) => Coverage::of(service(ctx)?.atlas().coverage(&filter).map_err(ServiceError::from)?),
            None => Ok(Coverage::nothing()),
        }
    }

    /// Who helps here and in the areas below, when more comes, and what arrived; null above villages.
    async fn help(&self, ctx: &Context<'_>) -> Answer<Option<AreaHelp>> {
        let help = service(ctx)?.help_in(&self.0, sight(ctx).await?, now(ctx).await?).await?;
        Ok(help.map(|help| AreaHelp::of(&self.0, help)))
    }

    /// Needs of this area and of all areas below it, the most urgent first.
    async fn needs(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "where")] filter: Option<NeedFilter>,
        #[graphql(name = "first", default_with = "Some(50)")] count: Option<i32>,
        after: Option<String>,
    ) -> Answer<NeedConnection> {
        let count = first(count, 50, 1_000)?;
        let Some(filter) = self.narrowed(ctx, filter).await? else { return Ok(NeedConnection::empty()) };
        NeedConnection::read(ctx, NeedQuery { filter, order: Order::Priority, first: count, after })
    }
}

/// Quantities are summed only over needs of one item; where the filter takes in several items they are null and the
/// counts stand alone. They are the sums of what `needs` shows to the same caller: see Need.smallCountsRounded.
#[derive(SimpleObject)]
pub struct Coverage {
    pub need_count: i64,
    /// Needs of which nobody has taken anything.
    pub unserved_count: i64,
    /// Areas (of the needs' own level) with at least one unserved need.
    pub unserved_area_count: i64,
    pub required: Option<Quantity>,
    pub allocated: Option<Quantity>,
    pub delivered: Option<Quantity>,
    pub unmet: Option<Quantity>,
}

impl Coverage {
    pub fn of(coverage: atlas::Coverage) -> Answer<Self> {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let sum = |pick: fn(&atlas::Sums) -> i128| -> Answer<Option<Quantity>> {
            let Some(sums) = coverage.sums.as_ref() else { return Ok(None) };
            let amount = i64::try_from(pick(sums)).ok().and_then(|n| Amount::new(n).ok());
            let amount = amount.ok_or_else(|| {
                ServiceError::new(Code::TooComplex, "a sum is beyond 9007199254740991; narrow the filter")
            })?;
            Ok(Some(Quantity(amount)))
        };
        Ok(Coverage {
            need_count: count(coverage.needs),
            unserved_count: count(coverage.unserved),
            unserved_area_count: count(coverage.unserved_areas),
            required: sum(|s| s.required)?,
            allocated: sum(|s| s.allocated)?,
            delivered: sum(|s| s.delivered)?,
            unmet: sum(|s| s.unmet)?,
        })
    }

    fn nothing() -> Self {
        Coverage {
            need_count: 0,
            unserved_count: 0,
            unserved_area_count: 0,
            required: None,
            allocated: None,
            delivered: None,
            unmet: None,
        }
    }
}

impl Record for AreaRef {
    const TYPE: &'static str = "Area";

    fn field<'a>(name: &str, below: Asked<'a>) -> Option<Write<'a, Self>> {
        let sight = below.sight;
        Some(match name {
            "id" => plain(|area: &AreaRef, out| quoted(out, area.id())),
            "code" => plain(|area: &AreaRef, out| quoted(out, area.code())),
            "name" => plain(|area: &AreaRef, out| json(out, area.name())),
            "label" => plain(|area: &AreaRef, out| json(out, area.label())),
            "level" => plain(|area: &AreaRef, out| word::<AreaLevel>(out, area.level().into())),
            "parent" => {
                let plan = Plan::<AreaRef>::of(below)?;
                Box::new(move |area: &AreaRef, out| match area.parent() {
                    Some(parent) => plan.write(&parent, out),
                    None => {
                        json(out, None::<&str>);
                        Some(())
                    }
                })
            }
            "bbox" => plain(|area: &AreaRef, out| json(out, area.bounds().map(|b| b.to_array()))),
            "geometryIsGenerated" => plain(|area: &AreaRef, out| json(out, area.shape_is_generated())),
            "point" => plain(|area: &AreaRef, out| json(out, area.point().map(|(p, _)| [p.lon(), p.lat()]))),
            "households" => plain(move |area: &AreaRef, out| json(out, area.households(sight))),
            "poorHouseholds" => plain(move |area: &AreaRef, out| json(out, area.poor_households(sight))),
            "householdsHidden" => plain(move |area: &AreaRef, out| json(out, area.hides_households(sight))),
            _ => return None,
        })
    }
}

impl Record for Coverage {
    const TYPE: &'static str = "Coverage";

    fn field<'a>(name: &str, _: Asked<'a>) -> Option<Write<'a, Self>> {
        let sum = |pick: fn(&Coverage) -> &Option<Quantity>| {
            plain(move |c: &Coverage, out| json(out, pick(c).as_ref().map(|q| q.0.get())))
        };
        Some(match name {
            "needCount" => plain(|c: &Coverage, out| json(out, c.need_count)),
            "unservedCount" => plain(|c: &Coverage, out| json(out, c.unserved_count)),
            "unservedAreaCount" => plain(|c: &Coverage, out| json(out, c.unserved_area_count)),
            "required" => sum(|c| &c.required),
            "allocated" => sum(|c| &c.allocated),
            "delivered" => sum(|c| &c.delivered),
            "unmet" => sum(|c| &c.unmet),
            _ => return None,
        })
    }
}

impl Record for AreaCoverage {
    const TYPE: &'static str = "AreaCoverage";

    fn field<'a>(name: &str, below: Asked<'a>) -> Option<Write<'a, Self>> {
        match name {
            "area" => within(below, |row: &AreaCoverage| Some(&row.area.0)),
            "coverage" => within(below, |row: &AreaCoverage| Some(&row.coverage)),
            _ => None,
        }
    }
}

/// One row of a choropleth: an area of the asked level and what stands below it.
#[derive(SimpleObject)]
pub struct AreaCoverage {
    pub area: Area,
    pub coverage: Coverage,
}

/// The area of that code, if there is one.
pub fn find(ctx: &Context<'_>, code: &AreaCode) -> Answer<Option<Area>> {
    Ok(service(ctx)?.atlas().ground().area(code).map(Area))
}
