//! Changes as they happen, after they are committed.

use super::context::{service, sight};
use super::errors::Fault;
use super::inputs::NeedFilter;
use super::types::need::Need;
use crate::service::{Code, ServiceError};
use async_graphql::{Context, Subscription};
use futures_util::Stream;
use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;

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
        let changes = service.changes();
        let compiled = service.atlas().compile(&filter);
        Ok(stream::unfold(Some((service, sight, compiled, changes)), |state| async move {
            let (service, sight, mut compiled, mut changes) = state?;
            loop {
                match changes.recv().await {
                    Ok(batch) => {
                        compiled.renew_from(service.atlas());
                        let taken_in = batch.iter().filter(|change| {
                            change.before.as_ref().is_some_and(|before| compiled.matches(before))
                                || compiled.matches(&change.after)
                        });
                        let ids: Vec<_> = taken_in.map(|change| change.after.id).collect();
                        if ids.is_empty() {
                            continue;
                        }
                        let views = service.atlas().needs_of_ids(&ids, &sight);
                        let needs = views.into_iter().flatten().map(Need).collect();
                        return Some((Ok(needs), Some((service, sight, compiled, changes))));
                    }
                    Err(RecvError::Lagged(_)) => {
                        let behind = ServiceError::new(
                            Code::Unavailable,
                            "the reader has fallen behind; read the needs anew, then subscribe again",
                        );
                        return Some((Err(super::errors::to_graphql(behind)), None));
                    }
                    Err(RecvError::Closed) => return None,
                }
            }
        }))
    }
}
