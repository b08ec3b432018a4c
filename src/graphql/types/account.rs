//! Accounts, their sessions and keys, and the members and papers of organisations.

use crate::domain::actor::User;
use crate::domain::organization as domain;
use crate::graphql::context::actor;
use crate::graphql::enums::{DocumentKind, KeyScope, Role};
use crate::graphql::errors::Answer;
use crate::graphql::scalars::{Date, DateTime};
use crate::graphql::types::viewer::Viewer;
use crate::service::{ApiKey as StoredKey, Member as StoredMember, OpenSession};
use async_graphql::{Context, ID, Object, SimpleObject};

/// Who signed in. A browser has been given its session as a cookie; what only this user may see is answered from the next
/// request on.
pub struct SignedIn(pub User);

#[Object]
impl SignedIn {
    async fn viewer(&self) -> Viewer {
        Viewer(self.0.clone())
    }
}

/// A browser that is signed in.
pub struct Session(pub OpenSession);

#[Object]
impl Session {
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The kind of browser and machine.
    async fn label(&self) -> &str {
        &self.0.label
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// To the minute.
    async fn seen_at(&self) -> DateTime {
        DateTime(self.0.seen_at)
    }

    /// The latest end; it ends earlier where nobody comes.
    async fn ends_at(&self) -> DateTime {
        DateTime(self.0.ends_at)
    }

    /// True where this very request came with it.
    async fn current(&self, ctx: &Context<'_>) -> Answer<bool> {
        Ok(actor(ctx)?.session().is_some_and(|(_, id)| id == self.0.id))
    }
}

/// A key for a machine that acts for its user.
pub struct ApiKey(pub StoredKey);

#[Object]
impl ApiKey {
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Its first letters: enough to know it by.
    async fn prefix(&self) -> &str {
        &self.0.prefix
    }

    async fn label(&self) -> Option<&str> {
        self.0.label.as_deref()
    }

    async fn scopes(&self) -> Vec<KeyScope> {
        self.0.scopes.iter().map(|scope| (*scope).into()).collect()
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }
}

/// A key, and the only moment at which it is shown.
#[derive(SimpleObject)]
pub struct CreatedApiKey {
    /// To be sent as `Authorization: Bearer KEY`. It cannot be shown again.
    pub key: String,
    pub api_key: ApiKey,
}

/// Somebody who belongs to an organisation.
pub struct Member(pub StoredMember);

#[Object]
impl Member {
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn email(&self) -> &str {
        &self.0.email
    }

    async fn roles(&self) -> Vec<Role> {
        self.0.roles.iter().map(|role| (*role).into()).collect()
    }

    /// Invites and suspends the others.
    async fn manager(&self) -> bool {
        self.0.manager
    }

    async fn suspended(&self) -> bool {
        self.0.suspended
    }

    /// Of an AREA_OFFICER: that area and all below it are in their charge.
    async fn area_code(&self) -> Option<&str> {
        self.0.area.as_ref().map(|code| code.as_str())
    }
}

/// A paper that an organisation has named. The paper itself is not here.
pub struct OrganizationDocument(pub domain::FiledDocument);

#[Object]
impl OrganizationDocument {
    async fn id(&self) -> ID {
        self.0.id.into()
    }

    async fn kind(&self) -> DocumentKind {
        self.0.document.kind.into()
    }

    async fn number(&self) -> &str {
        &self.0.document.number
    }

    async fn issuer(&self) -> &str {
        &self.0.document.issuer
    }

    /// The first day it is good on.
    async fn valid_from(&self) -> Option<Date> {
        self.0.document.valid_from.map(Date)
    }

    /// The last day it is good on.
    async fn valid_until(&self) -> Option<Date> {
        self.0.document.valid_until.map(Date)
    }

    /// Where it is good, where it says so.
    async fn area_code(&self) -> Option<&str> {
        self.0.document.area.as_ref().map(|code| code.as_str())
    }
}

/// How people get in, besides by address and password.
#[derive(SimpleObject)]
pub struct WaysIn {
    /// True where the city's own sign-on is set up: it begins at /auth/oidc/start.
    pub single_sign_on: bool,
}
