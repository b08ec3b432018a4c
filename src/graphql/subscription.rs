//! Changes as they happen, after they are committed.

use super::context::{service, sight};
use super::enums::AreaLevel;
use super::errors::{Answer, Fault};
use super::inputs::{BBoxInput, NeedFilter};
use super::query::MOST_AREAS;
use super::types::area::{Area, AreaCoverage, Coverage};
use super::types::need::Need;
use crate::service::watch::Behind;
use crate::service::{Code, ServiceError};
use async_graphql::{Context, Subscription};
use futures_util::stream;
use futures_util::{Stream, StreamExt};

pub struct Subscription;

impl From<Behind> for Fault {
    fn from(_: Behind) -> Self {
        let words = "the reader has fallen behind; read the needs anew, then subscribe again";
        ServiceError::new(Code::Unavailable, words).into()
    }
}

#[Subscription]
impl Subscription {
    /// Every change to a need that the filter takes in, before or after the change. Over graphql-transport-ws. Ends with
    /// UNAVAILABLE where the reader has fallen too far behind: read anew, then subscribe again.
    async fn needs_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "where")] filter: Option<NeedFilter>,
    ) -> Result<impl Stream<Item = Result<Vec<Need>, async_graphql::Error>>, Fault> {
        let service = service(ctx)?.clone();
        let sight = sight(ctx).await?.clone();
        let filter = filter.unwrap_or_default().into_filter(&service, &sight)?;
        let watch = service.watch(&filter);
        Ok(stream::unfold(Some((service, sight, watch)), |state| async move {
            let (service, sight, mut watch) = state?;
            match watch.next().await {
                Ok(ids) => {
                    let views = service.atlas().needs_of_ids(&ids, &sight);
                    let needs = views.into_iter().flatten().map(Need).collect();
                    Some((Ok(needs), Some((service, sight, watch))))
                }
                Err(behind) => Some((Err(Fault::from(behind).into()), None)),
            }
        }))
    }

    /// The sums of those areas of `level` that the view shows (the same areas as the query `areaCoverage` lists for it) in
    /// which a need that the filter takes in has changed, before or after; as they stand now, each area once however often
    /// it changed meanwhile. The first answer comes at once and is empty: nothing is missed by who reads `areaCoverage`
    /// after it. More than 5,000 areas are TOO_COMPLEX. Ends with UNAVAILABLE where everything was read anew: subscribe
    /// again, then read.
    async fn area_coverage_changed(
        &self,
        ctx: &Context<'_>,
        level: AreaLevel,
        #[graphql(name = "where")] filter: Option<NeedFilter>,
        view: BBoxInput,
    ) -> Result<impl Stream<Item = Result<Vec<AreaCoverage>, async_graphql::Error>>, Fault> {
        let service = service(ctx)?;
        let filter = filter.unwrap_or_default().into_filter(service, sight(ctx).await?)?;
        let watch = service.watch_areas(level.into(), &filter, view.bounds("view")?, MOST_AREAS)?;
        let changes = stream::unfold(Some(watch), |watch| async move {
            let mut watch = watch?;
            let rows = watch.next().await.map_err(Fault::from).and_then(|rows| {
                let row = |(area, sums)| Ok(AreaCoverage { area: Area(area), coverage: Coverage::of(sums)? });
                rows.into_iter().map(row).collect::<Answer<Vec<_>>>()
            });
            let goes_on = rows.is_ok().then_some(watch);
            Some((rows.map_err(async_graphql::Error::from), goes_on))
        });
        Ok(stream::iter([Ok(Vec::new())]).chain(changes))
    }
}
