//! Who is asking, and their own work.

use super::account::{ApiKey, Session};
use super::claim::{Claim, Offer};
use super::delivery::Delivery;
use super::organization::Organization;
use crate::domain::actor::User;
use crate::graphql::context::{actor, organization, service};
use crate::graphql::enums::{DeliveryStatus, Role};
use crate::graphql::errors::Answer;
use crate::graphql::inputs::{first, id};
use async_graphql::{Context, ID, Object};

/// The signed-in user.
pub struct Viewer(pub User);

#[Object]
impl Viewer {
    async fn email(&self) -> &str {
        &self.0.email
    }

    async fn roles(&self) -> Vec<Role> {
        self.0.roles.iter().map(|role| (*role).into()).collect()
    }

    async fn organization(&self, ctx: &Context<'_>) -> Answer<Option<Organization>> {
        match self.0.organization {
            None => Ok(None),
            Some(id) => Ok(Some(Organization(organization(ctx, id).await?))),
        }
    }

    /// Keeps the members of the organisation.
    async fn manager(&self) -> bool {
        self.0.manager
    }

    /// The browsers that are signed in, the latest in use first. Asked for by people, not with a key.
    async fn sessions(&self, ctx: &Context<'_>) -> Answer<Vec<Session>> {
        let sessions = service(ctx)?.own_sessions(actor(ctx)?).await?;
        Ok(sessions.into_iter().map(Session).collect())
    }

    /// Keys for machines that act for the user, the latest first. Asked for by people, not with a key.
    async fn api_keys(&self, ctx: &Context<'_>) -> Answer<Vec<ApiKey>> {
        let keys = service(ctx)?.own_api_keys(actor(ctx)?).await?;
        Ok(keys.into_iter().map(ApiKey).collect())
    }

    async fn area_code(&self) -> Option<&str> {
        self.0.area.as_ref().map(|code| code.as_str())
    }

    /// Claims that the organisation made or carries out, newest first; at most 100, those before `after`.
    async fn claims(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "first", default_with = "Some(20)")] count: Option<i32>,
        after: Option<ID>,
    ) -> Answer<Vec<Claim>> {
        let after = after.map(|after| id("after", &after)).transpose()?;
        let claims = service(ctx)?.own_claims(actor(ctx)?, first(count, 20, 100)?, after).await?;
        Ok(claims.into_iter().map(Claim).collect())
    }

    /// Trips over those claims, newest first, of the states asked for or of all; at most 100, those before `after`.
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "first", default_with = "Some(20)")] count: Option<i32>,
        after: Option<ID>,
        status: Option<Vec<DeliveryStatus>>,
    ) -> Answer<Vec<Delivery>> {
        let after = after.map(|after| id("after", &after)).transpose()?;
        let states: Option<Vec<_>> = status.map(|all| all.into_iter().map(Into::into).collect());
        let found = service(ctx)?.own_deliveries(actor(ctx)?, states.as_deref(), first(count, 20, 100)?, after).await?;
        Ok(found.into_iter().map(Delivery).collect())
    }

    /// The organisation's offers, newest first; at most 100, those before `after`.
    async fn offers(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "first", default_with = "Some(20)")] count: Option<i32>,
        after: Option<ID>,
    ) -> Answer<Vec<Offer>> {
        let after = after.map(|after| id("after", &after)).transpose()?;
        let offers = service(ctx)?.own_offers(actor(ctx)?, first(count, 20, 100)?, after).await?;
        Ok(offers.into_iter().map(Offer).collect())
    }

    /// What comes to the area in the user's charge, or has come, newest first; at most 100, those before `after`.
    async fn incoming(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "first", default_with = "Some(20)")] count: Option<i32>,
        after: Option<ID>,
    ) -> Answer<Vec<Delivery>> {
        let after = after.map(|after| id("after", &after)).transpose()?;
        let found = service(ctx)?.deliveries_to_own_area(actor(ctx)?, first(count, 20, 100)?, after).await?;
        Ok(found.into_iter().map(Delivery).collect())
    }
}
