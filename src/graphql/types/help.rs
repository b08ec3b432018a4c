//! Who helps in an area.

use super::organization::Organization;
use super::program::Item;
use crate::atlas::AreaRef;
use crate::domain::help as domain;
use crate::graphql::context::organization;
use crate::graphql::errors::Answer;
use crate::graphql::scalars::{Date, DateTime, Quantity};
use crate::service::{ServiceError, help};
use async_graphql::{Context, Object, SimpleObject};

/// Who helps in an area and in the areas below it.
#[derive(SimpleObject)]
pub struct AreaHelp {
    /// The largest promise first.
    pub rows: Vec<Help>,
    /// True where help for small needs is left out, because the caller is not told of fewer than five: see
    /// Need.smallCountsRounded.
    pub partly_hidden: bool,
}

impl AreaHelp {
    pub fn of(area: &AreaRef, help: help::AreaHelp) -> Self {
        let rows = help.rows.into_iter().map(|help| Help { area: area.clone(), help }).collect();
        AreaHelp { rows, partly_hidden: help.partly_hidden }
    }
}

/// What one organisation gives of one item.
pub struct Help {
    area: AreaRef,
    help: domain::Help,
}

#[Object]
impl Help {
    /// Who gives.
    async fn organization(&self, ctx: &Context<'_>) -> Answer<Organization> {
        Ok(Organization(organization(ctx, self.help.organization).await?))
    }

    /// Who brings it: the giver, or an aggregator.
    async fn executor(&self, ctx: &Context<'_>) -> Answer<Organization> {
        Ok(Organization(organization(ctx, self.help.executor).await?))
    }

    async fn item(&self) -> Answer<Item> {
        let item = self.area.ground().item(self.help.item).cloned();
        Ok(Item(item.ok_or_else(|| ServiceError::fault("a promised item is missing"))?))
    }

    /// How many needs it goes to.
    async fn need_count(&self) -> i64 {
        self.help.needs
    }

    /// Held, confirmed and delivered together.
    async fn promised(&self) -> Quantity {
        Quantity(self.help.promised)
    }

    /// Of it, what is only held and may still be given up.
    async fn held(&self) -> Quantity {
        Quantity(self.help.held)
    }

    /// On its way at present.
    async fn under_way(&self) -> Quantity {
        Quantity(self.help.under_way)
    }

    /// Handed over.
    async fn delivered(&self) -> Quantity {
        Quantity(self.help.delivered)
    }

    /// Of it, what the neighbourhood has said arrived whole.
    async fn accepted(&self) -> Quantity {
        Quantity(self.help.accepted)
    }

    /// The first day for which something more is planned.
    async fn next_trip(&self) -> Option<Date> {
        self.help.next_trip.map(Date)
    }

    /// When something was last handed over.
    async fn last_arrival(&self) -> Option<DateTime> {
        self.help.last_arrival.map(DateTime)
    }
}
