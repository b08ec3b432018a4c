//! Match plans.

use super::need::Need;
use crate::graphql::enums::Locale;
use crate::graphql::scalars::Quantity;
use crate::service::matches::Proposal;
use crate::service::{PlanLine, Reason};
use async_graphql::{Object, SimpleObject};

/// A proposal: nothing is held until claimNeeds. `value` is what the plan reaches, `bound` what no plan can exceed.
#[derive(SimpleObject)]
pub struct MatchPlan {
    pub lines: Vec<MatchLine>,
    pub quantity: Quantity,
    pub unplaced: Quantity,
    pub value: f64,
    pub bound: f64,
    pub areas: i32,
}

impl From<Proposal> for MatchPlan {
    fn from(mut proposal: Proposal) -> Self {
        let plan = proposal.plan;
        let mut line = |l: &PlanLine| {
            let need = proposal.needs.remove(&l.need)?;
            Some(MatchLine { need: Need(need), quantity: Quantity(l.quantity), reason: l.reason })
        };
        MatchPlan {
            lines: plan.lines.iter().filter_map(&mut line).collect(),
            quantity: Quantity(plan.quantity),
            unplaced: Quantity(plan.unplaced),
            value: plan.value,
            bound: plan.bound,
            areas: i32::try_from(plan.areas).unwrap_or(i32::MAX),
        }
    }
}

/// So much for one need, and why.
pub struct MatchLine {
    need: Need,
    quantity: Quantity,
    reason: Reason,
}

#[Object]
impl MatchLine {
    async fn need(&self) -> Need {
        self.need.clone()
    }

    async fn quantity(&self) -> Quantity {
        self.quantity
    }

    async fn reason(&self, #[graphql(default_with = "Some(Locale::Id)")] locale: Option<Locale>) -> String {
        self.reason.sentence(locale.unwrap_or(Locale::Id).into())
    }
}
