//! Signing in by a city's single sign-on.
//!
//! Nobody gets an account by it: whoever the provider vouches for must have been entered or invited
//! here. The first time they are found by their address, from then on by the provider's own name for
//! them, so that an address that passes to somebody else takes no account along.

use super::accounts::email_address;
use super::visits::{Visit, digest, fresh_secret};
use super::{Code, Service, ServiceError};
use crate::domain::actor::User;
use crate::oidc::{Bond, Provider, Refused};
use crate::store::{FindIdentity, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A browser on its way to the provider.
pub struct Departure {
    /// Where it is sent.
    pub address: String,
    /// What it keeps until it comes back: whoever cannot show it did not ask.
    pub secret: String,
}

/// All that binds the answer to the browser follows from its one secret, so that nothing is stored here
/// for people who may never come back, and any server can take the answer.
fn bond(secret: &str) -> Bond {
    let part = |word: &str| URL_SAFE_NO_PAD.encode(digest(&format!("{word}\n{secret}")));
    Bond { state: part("state"), nonce: part("nonce"), verifier: part("verifier") }
}

/// One answer, whoever it is that is not let in.
fn nobody_here() -> ServiceError {
    let sentence = "no account here goes with your city's sign-on; ask whoever looks after your organisation to invite \
                    the address that your city knows you by";
    ServiceError::new(Code::Forbidden, sentence)
}

fn stale() -> ServiceError {
    ServiceError::new(Code::Forbidden, "this sign-on was not begun in this browser, or took too long; begin it again")
}

fn refused(error: Refused) -> ServiceError {
    tracing::warn!(%error, "a single sign-on did not come about");
    match error {
        Refused::Away(_) => {
            ServiceError::new(Code::Unavailable, "your city's sign-on does not answer; try again in a moment")
        }
        Refused::Wrong(_) => stale(),
    }
}

impl Service {
    /// Names the provider that people may sign in by, before the service is started. Only the first call
    /// counts.
    pub fn sign_on_by(&self, provider: Provider) {
        let _ = self.0.sign_on.set(provider);
    }

    pub fn has_sign_on(&self) -> bool {
        self.0.sign_on.get().is_some()
    }

    /// `None` where there is no single sign-on.
    pub async fn begin_sign_on(&self, visit: &Visit) -> Result<Option<Departure>, ServiceError> {
        let Some(provider) = self.0.sign_on.get() else { return Ok(None) };
        self.may_sign_on(visit).await?;
        let secret = fresh_secret("")?;
        let address = provider.address(&bond(&secret)).await.map_err(refused)?;
        Ok(Some(Departure { address, secret }))
    }

    /// Signs in whoever comes back with a code, where this browser has asked for it.
    pub async fn end_sign_on(
        &self,
        visit: &Visit,
        secret: Option<&str>,
        state: &str,
        code: String,
    ) -> Result<User, ServiceError> {
        let provider = self.0.sign_on.get().ok_or_else(|| ServiceError::not_found("page"))?;
        let bond = bond(secret.ok_or_else(stale)?);
        if bond.state != state {
            return Err(stale());
        }
        self.may_sign_on(visit).await?;
        let identity = provider.identity(code, &bond).await.map_err(refused)?;
        let email = identity.email.as_deref().and_then(email_address);
        let find = FindIdentity { issuer: identity.issuer, subject: identity.subject, email };
        match self.store().execute(find).await {
            Ok(user) => self.start_session(visit, user, None).await,
            Err(StoreError::NotFound(_)) => Err(nobody_here()),
            Err(error) => Err(error.into()),
        }
    }
}
