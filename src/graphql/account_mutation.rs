//! Getting in and out, and who belongs where.
//!
//! What signs in gives the browser its session as a cookie; the answer holds no secret but a new API key.

use super::context::{actor, service, visit};
use super::enums::Role;
use super::errors::Answer;
use super::inputs::{CreateApiKeyInput, DocumentInput, InviteMemberInput, SignUpInput, area_code, id};
use super::types::account::{ApiKey, CreatedApiKey, SignedIn};
use super::types::organization::Organization;
use crate::service::accounts::{KeyRequest, SignUpRequest};
use crate::service::organizations::{InviteRequest, Verdict};
use async_graphql::{Context, ID, Object};

#[derive(Default)]
pub struct Accounts;

async fn decide(ctx: &Context<'_>, organization: &ID, verdict: Verdict<'_>) -> Answer<Organization> {
    let organization = id("id", organization)?;
    Ok(Organization(service(ctx)?.decide_organization(actor(ctx)?, organization, verdict).await?))
}

#[Object]
impl Accounts {
    /// Signs an organisation up with its first member, who is sent a link. The answer is the same whether the address
    /// has an account or not.
    async fn sign_up(&self, ctx: &Context<'_>, input: SignUpInput) -> Answer<bool> {
        let organization = input.organization;
        let documents = organization.documents.unwrap_or_default().into_iter().map(DocumentInput::document);
        let request = SignUpRequest {
            email: input.email,
            password: input.password,
            organization: organization.name,
            category: organization.category.into(),
            aggregator: organization.aggregator,
            documents: documents.collect::<Answer<_>>()?,
            home_area: organization.home_area_code.map(|c| area_code("organization.homeAreaCode", &c)).transpose()?,
        };
        service(ctx)?.sign_up(visit(ctx)?, request).await?;
        Ok(true)
    }

    /// Follows the link of a sign-up: makes the account and its organisation, which waits for an admin's approval, and
    /// signs in. `token`: what stands behind the # of the link; it works once.
    async fn confirm_sign_up(&self, ctx: &Context<'_>, token: String) -> Answer<SignedIn> {
        Ok(SignedIn(service(ctx)?.confirm_sign_up(visit(ctx)?, &token).await?))
    }

    /// Signs a browser in. UNAUTHENTICATED where the address or the password is wrong, whichever it is.
    async fn sign_in(&self, ctx: &Context<'_>, email: String, password: String) -> Answer<SignedIn> {
        Ok(SignedIn(service(ctx)?.sign_in(visit(ctx)?, &email, password).await?))
    }

    /// Ends the session that this request came with.
    async fn sign_out(&self, ctx: &Context<'_>) -> Answer<bool> {
        service(ctx)?.sign_out(actor(ctx)?, visit(ctx)?).await?;
        Ok(true)
    }

    /// Sends a link for a new password to whoever has an account of this address. The answer is always the same.
    async fn request_password_reset(&self, ctx: &Context<'_>, email: String) -> Answer<bool> {
        service(ctx)?.request_password_reset(visit(ctx)?, &email).await?;
        Ok(true)
    }

    /// Follows that link: all sessions end, and this browser is signed in.
    async fn reset_password(&self, ctx: &Context<'_>, token: String, password: String) -> Answer<SignedIn> {
        Ok(SignedIn(service(ctx)?.reset_password(visit(ctx)?, &token, password).await?))
    }

    /// Follows an invitation, and signs in. An address that has no account yet chooses a password.
    async fn accept_invitation(&self, ctx: &Context<'_>, token: String, password: Option<String>) -> Answer<SignedIn> {
        Ok(SignedIn(service(ctx)?.accept_invitation(visit(ctx)?, &token, password).await?))
    }

    /// All other sessions end.
    async fn change_password(&self, ctx: &Context<'_>, old_password: String, new_password: String) -> Answer<bool> {
        service(ctx)?.change_password(actor(ctx)?, old_password, new_password).await?;
        Ok(true)
    }

    /// Signs one of the caller's browsers out.
    async fn end_session(&self, ctx: &Context<'_>, #[graphql(name = "id")] session: ID) -> Answer<bool> {
        service(ctx)?.end_session(actor(ctx)?, id("id", &session)?).await?;
        Ok(true)
    }

    /// A key for a machine that acts for the caller. It is shown once.
    async fn create_api_key(&self, ctx: &Context<'_>, input: CreateApiKeyInput) -> Answer<CreatedApiKey> {
        let scopes = input.scopes.into_iter().map(Into::into).collect();
        let request = KeyRequest { label: input.label, scopes, expires_days: i64::from(input.expires_in_days) };
        let (key, made) = service(ctx)?.create_api_key(actor(ctx)?, request).await?;
        Ok(CreatedApiKey { key, api_key: ApiKey(made) })
    }

    /// The key opens nothing any more, within seconds, on every server.
    async fn revoke_api_key(&self, ctx: &Context<'_>, #[graphql(name = "id")] key: ID) -> Answer<bool> {
        service(ctx)?.revoke_api_key(actor(ctx)?, id("id", &key)?).await?;
        Ok(true)
    }

    /// Erases the caller's account, or, for an admin, the one of that id. What was done under it stays in the log, under
    /// a number.
    async fn erase_account(&self, ctx: &Context<'_>, #[graphql(name = "id")] user: Option<ID>) -> Answer<bool> {
        let user = user.map(|user| id("id", &user)).transpose()?;
        service(ctx)?.erase_account(actor(ctx)?, visit(ctx)?, user).await?;
        Ok(true)
    }

    /// Names one more paper of the caller's organisation, or, for an admin, of any.
    async fn add_document(
        &self,
        ctx: &Context<'_>,
        organization_id: Option<ID>,
        document: DocumentInput,
    ) -> Answer<Organization> {
        let organization = organization_id.map(|o| id("organizationId", &o)).transpose()?;
        let document = document.document()?;
        Ok(Organization(service(ctx)?.add_document(actor(ctx)?, organization, document).await?))
    }

    /// Sends an invitation. The answer is the same whether the address has an account or not.
    async fn invite_member(&self, ctx: &Context<'_>, input: InviteMemberInput) -> Answer<bool> {
        let request = InviteRequest {
            email: input.email,
            roles: input.roles.into_iter().map(Into::into).collect(),
            organization: input.organization_id.map(|o| id("organizationId", &o)).transpose()?,
            area: input.area_code.map(|code| area_code("areaCode", &code)).transpose()?,
            manager: input.manager,
        };
        service(ctx)?.invite_member(actor(ctx)?, request).await?;
        Ok(true)
    }

    /// Shuts a member out within seconds: sessions end, keys are revoked.
    async fn suspend_member(&self, ctx: &Context<'_>, #[graphql(name = "id")] user: ID) -> Answer<bool> {
        service(ctx)?.suspend_member(actor(ctx)?, id("id", &user)?, true).await?;
        Ok(true)
    }

    async fn reinstate_member(&self, ctx: &Context<'_>, #[graphql(name = "id")] user: ID) -> Answer<bool> {
        service(ctx)?.suspend_member(actor(ctx)?, id("id", &user)?, false).await?;
        Ok(true)
    }

    async fn grant_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] user: ID,
        role: Role,
        area_code: Option<String>,
    ) -> Answer<bool> {
        let area = area_code.map(|code| super::inputs::area_code("areaCode", &code)).transpose()?;
        service(ctx)?.grant_role(actor(ctx)?, id("id", &user)?, role.into(), area).await?;
        Ok(true)
    }

    /// Takes a role away within seconds, open subscriptions included.
    async fn revoke_role(&self, ctx: &Context<'_>, #[graphql(name = "id")] user: ID, role: Role) -> Answer<bool> {
        service(ctx)?.revoke_role(actor(ctx)?, id("id", &user)?, role.into()).await?;
        Ok(true)
    }

    /// PENDING becomes VERIFIED. `aggregator`: as it was applied for where absent. Its managers are told by letter.
    async fn approve_organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] organization: ID,
        aggregator: Option<bool>,
    ) -> Answer<Organization> {
        decide(ctx, &organization, Verdict::Approve { aggregator }).await
    }

    /// PENDING becomes SUSPENDED, with the reason that its managers are told by letter.
    async fn refuse_organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] organization: ID,
        reason: String,
    ) -> Answer<Organization> {
        decide(ctx, &organization, Verdict::Refuse { reason: &reason }).await
    }

    /// Nothing more may be claimed by it, within seconds; what it has promised may still be delivered by others.
    async fn suspend_organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] organization: ID,
        reason: String,
    ) -> Answer<Organization> {
        decide(ctx, &organization, Verdict::Suspend { reason: &reason }).await
    }

    /// SUSPENDED becomes VERIFIED.
    async fn reinstate_organization(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "id")] organization: ID,
    ) -> Answer<Organization> {
        decide(ctx, &organization, Verdict::Reinstate).await
    }
}
