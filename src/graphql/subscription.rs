//! Changes as they happen, after they are committed.

use super::context::{service, sight};
use super::errors::Fault;
use super::inputs::NeedFilter;
use super::types::need::Need;
use crate::service::watch::Behind;
use crate::service::{Code, ServiceError};
use async_graphql::{Context, Subscription};
use futures_util::Stream;
use futures_util::stream;

pub struct Subscription;

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
                Err(Behind) => {
                    let behind = ServiceError::new(
                        Code::Unavailable,
                        "the reader has fallen behind; read the needs anew, then subscribe again",
                    );
                    Some((Err(super::errors::to_graphql(behind)), None))
                }
            }
        }))
    }
}
