//! Organisations.

use super::account::{Member, OrganizationDocument};
use crate::domain::organization as domain;
use crate::graphql::context::{actor, service};
use crate::graphql::enums::{OrganizationCategory, OrganizationStatus};
use crate::graphql::errors::Answer;
use crate::graphql::types::area::{self, Area};
use async_graphql::{Context, ID, Object};

/// A collaborator: gives, carries out, or both.
pub struct Organization(pub domain::Organization);

#[Object]
impl Organization {
    pub async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn category(&self) -> OrganizationCategory {
        self.0.category.into()
    }

    async fn status(&self) -> OrganizationStatus {
        self.0.status.into()
    }

    /// May carry out other donors' claims: an official distribution partner.
    async fn aggregator(&self) -> bool {
        self.0.aggregator
    }

    /// Why it may not act. Shown to its members, auditors and admins.
    async fn status_reason(&self, ctx: &Context<'_>) -> Answer<Option<String>> {
        Ok(service(ctx)?.status_reason(actor(ctx)?, self.0.id).await?)
    }

    /// Who belongs to it. Shown to those who keep its members, and to admins; null to everybody else.
    async fn members(&self, ctx: &Context<'_>) -> Answer<Option<Vec<Member>>> {
        let members = service(ctx)?.members(actor(ctx)?, self.0.id).await?;
        Ok(members.map(|all| all.into_iter().map(Member).collect()))
    }

    /// The papers that it has named. Shown to its members, auditors and admins; null to everybody else.
    async fn documents(&self, ctx: &Context<'_>) -> Answer<Option<Vec<OrganizationDocument>>> {
        let documents = service(ctx)?.documents(actor(ctx)?, self.0.id).await?;
        Ok(documents.map(|all| all.into_iter().map(OrganizationDocument).collect()))
    }

    /// Where it is registered: needs of its own RW may be kept for it for a while.
    async fn home_area(&self, ctx: &Context<'_>) -> Answer<Option<Area>> {
        self.0.home_area.as_ref().map_or(Ok(None), |code| area::find(ctx, code))
    }
}
