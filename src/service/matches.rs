//! Match plans: what a donor's goods would do best. Nothing is held by asking.

use super::{Service, ServiceError};
use crate::atlas::{self, Filter, NeedView};
use crate::domain::actor::Actor;
use crate::domain::ids::{NeedId, OfferId};
use crate::domain::place::LonLat;
use crate::domain::quantity::Quantity;
use crate::domain::rules::is_neighbour;
use crate::matching::{Ask, Candidate, Plan, Policy, plan};
use std::collections::HashMap;

#[derive(Debug, Clone)]
pub struct PlanRequest {
    pub offer: Option<OfferId>,
    pub item: Option<String>,
    pub quantity: Option<Quantity>,
    pub filter: Filter,
    pub policy: Policy,
    pub max_areas: Option<u32>,
    pub origin: Option<LonLat>,
}

/// A plan with the needs that it names.
pub struct Proposal {
    pub plan: Plan,
    pub needs: HashMap<NeedId, NeedView>,
}

impl Service {
    pub async fn plan_match(&self, actor: &Actor, request: PlanRequest) -> Result<Proposal, ServiceError> {
        let offer = match request.offer {
            None => None,
            Some(id) => {
                let offer = self.visible_offers(actor, &[id]).await?.pop();
                Some(offer.ok_or_else(|| ServiceError::not_found("offer"))?)
            }
        };
        let named = request.item.as_deref().map(|key| self.item_by_key(key)).transpose()?;
        let item = match (named, &offer) {
            (Some(item), Some(offer)) if item != offer.item => {
                return Err(ServiceError::bad("itemKey", "is not the item of the offer"));
            }
            (Some(item), _) => item,
            (None, Some(offer)) => offer.item,
            (None, None) => return Err(ServiceError::bad("itemKey", "give an item or an offer")),
        };
        let left = offer.as_ref().map(|o| o.quantity.saturating_sub(o.claimed));
        let quantity = match (request.quantity, left) {
            (Some(asked), Some(left)) => asked.min(left),
            (Some(asked), None) => asked,
            (None, Some(left)) => left,
            (None, None) => return Err(ServiceError::bad("quantity", "give a quantity or an offer")),
        };
        if request.max_areas == Some(0) {
            return Err(ServiceError::bad("maxAreas", "must be at least 1"));
        }
        let mut filter = request.filter;
        if filter.items.as_ref().is_some_and(|items| !items.contains(&item)) {
            return Err(ServiceError::bad("where.items", "leaves out the item to be given"));
        }
        filter.items = Some(vec![item]);
        let origin = request
            .origin
            .or_else(|| offer.as_ref().and_then(|o| o.origin))
            .or_else(|| filter.near.as_ref().map(|n| n.point));
        if request.policy == Policy::Nearest && origin.is_none() {
            return Err(ServiceError::bad("origin", "must be given for NEAREST: where do the goods start from?"));
        }
        let ask = Ask { quantity, policy: request.policy, max_areas: request.max_areas };
        let atlas = self.atlas().clone();
        let found = aside(move || Ok(atlas.candidates(&filter, origin)?)).await?;
        let found = self.claimable(actor, found).await?;
        aside(move || {
            let candidates: Vec<Candidate<'_>> = found
                .iter()
                .map(|c| Candidate {
                    need: c.view.need.id,
                    area: c.view.need.area,
                    code: c.view.area.code().as_str(),
                    free: c.view.need.counters.free(),
                    required: c.view.need.counters.required(),
                    allocated: c.view.need.counters.allocated(),
                    severity: c.view.need.severity,
                    distance_m: c.distance_m,
                })
                .collect();
            let plan = plan(&candidates, &ask);
            let wanted: HashMap<NeedId, NeedView> = {
                let named: std::collections::HashSet<NeedId> = plan.lines.iter().map(|l| l.need).collect();
                found
                    .into_iter()
                    .filter(|c| named.contains(&c.view.need.id))
                    .map(|c| (c.view.need.id, c.view))
                    .collect()
            };
            Ok(Proposal { plan, needs: wanted })
        })
        .await
    }

    /// Leaves out what is still kept for neighbours, where the caller's organisation is none of them.
    async fn claimable(
        &self,
        actor: &Actor,
        mut found: Vec<atlas::Candidate>,
    ) -> Result<Vec<atlas::Candidate>, ServiceError> {
        if found.iter().all(|c| c.view.need.first_right_until.is_none()) {
            return Ok(found);
        }
        let now = self.now().await?;
        let own = actor.organization();
        let own = self.organizations(own.as_slice()).await?.pop();
        let home = own.as_ref().and_then(|o| o.home_area.as_ref());
        found.retain(|c| c.view.need.kept_until(now).is_none() || is_neighbour(home, c.view.area.code()));
        Ok(found)
    }
}

/// Runs what takes a while beside what others wait for.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ServiceError::fault(format!("planning stopped: {e}")))?
}
