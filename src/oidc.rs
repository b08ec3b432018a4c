//! A city's single sign-on, spoken to in OpenID Connect: the code flow with PKCE, state and nonce.
//!
//! Codes, tokens and what they say of a person are in no error of this room, and in no log.

use crate::metrics::Stopwatch;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims};
use openidconnect::reqwest;
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A question to the provider that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// The provider's addresses and keys are read anew after that: keys change.
const KNOWN_FOR: Duration = Duration::from_secs(300);

/// Where people come back to, behind the server's public address.
pub const CALLBACK: &str = "/auth/oidc/callback";

pub struct Provider {
    issuer: IssuerUrl,
    client: ClientId,
    secret: ClientSecret,
    callback: RedirectUrl,
    http: reqwest::Client,
    known: Mutex<Option<(Stopwatch, Arc<CoreProviderMetadata>)>>,
}

/// What binds an answer to the question: secrets of one browser, for one sign-in.
#[derive(Clone)]
pub struct Bond {
    pub state: String,
    pub nonce: String,
    pub verifier: String,
}

/// Somebody as the provider knows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    /// Only where the provider says that it has made sure of it.
    pub email: Option<String>,
}

/// A setting that no provider is reached by. Repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProvider {
    #[error("SALUR_OIDC_ISSUER must be the provider's address, like https://sso.city.example, as it calls itself")]
    Issuer,
    #[error("SALUR_PUBLIC_URL is no address to come back to from single sign-on")]
    Callback,
    #[error("single sign-on cannot be set up: the HTTP client does not start")]
    Client,
}

/// Why a sign-in did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The provider does not answer, or not as one.
    #[error("{0}")]
    Away(String),
    /// What came back is not the answer to this browser's question.
    #[error("{0}")]
    Wrong(String),
}

impl Provider {
    pub fn new(issuer: &str, client: &str, secret: &str, public_url: &str) -> Result<Provider, BadProvider> {
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|_| BadProvider::Issuer)?;
        let near = matches!(issuer.url().host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !(issuer.url().scheme() == "https" || issuer.url().scheme() == "http" && near) {
            return Err(BadProvider::Issuer);
        }
        let callback = RedirectUrl::new(format!("{public_url}{CALLBACK}")).map_err(|_| BadProvider::Callback)?;
        // A provider that sends us elsewhere would choose whom we talk to.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build();
        Ok(Provider {
            issuer,
            client: ClientId::new(client.to_owned()),
            secret: ClientSecret::new(secret.to_owned()),
            callback,
            http: http.map_err(|_| BadProvider::Client)?,
            known: Mutex::default(),
        })
    }

    async fn metadata(&self) -> Result<Arc<CoreProviderMetadata>, Refused> {
        let mut known = self.known.lock().await;
        if let Some((since, metadata)) = &*known
            && since.elapsed() < KNOWN_FOR
        {
            return Ok(metadata.clone());
        }
        let since = Stopwatch::start();
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let metadata = Arc::new(found.map_err(|e| Refused::Away(format!("the provider does not say who it is: {e}")))?);
        *known = Some((since, metadata.clone()));
        Ok(metadata)
    }

    /// Where to send a browser that wants to sign in.
    pub async fn address(&self, bond: &Bond) -> Result<String, Refused> {
        let metadata = self.metadata().await?.as_ref().clone();
        let client = CoreClient::from_provider_metadata(metadata, self.client.clone(), None);
        let client = client.set_redirect_uri(self.callback.clone());
        let (state, nonce) = (CsrfToken::new(bond.state.clone()), Nonce::new(bond.nonce.clone()));
        let verifier = PkceCodeVerifier::new(bond.verifier.clone());
        let (address, ..) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .add_scope(Scope::new("email".into()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(address.into())
    }

    /// Who has signed in, by the code that the browser brought back.
    pub async fn identity(&self, code: String, bond: &Bond) -> Result<Identity, Refused> {
        let wrong = |what: &str, error: &dyn std::error::Error| Refused::Wrong(format!("{what}: {error}"));
        let metadata = self.metadata().await?.as_ref().clone();
        let client = CoreClient::from_provider_metadata(metadata, self.client.clone(), Some(self.secret.clone()));
        let client = client.set_redirect_uri(self.callback.clone());
        let exchange = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| Refused::Away("the provider names no place to exchange codes".into()))?
            .set_pkce_verifier(PkceCodeVerifier::new(bond.verifier.clone()));
        let tokens = exchange.request_async(&self.http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => Refused::Wrong(format!("the code is refused: {}", said.error())),
            RequestTokenError::Request(error) => Refused::Away(format!("the provider cannot be asked: {error}")),
            _ => Refused::Away("the provider's answer to a code cannot be read".into()),
        })?;
        let token = tokens.id_token().ok_or_else(|| Refused::Wrong("there is no ID token".into()))?;
        let verifier = client.id_token_verifier();
        let claims = token.claims(&verifier, &Nonce::new(bond.nonce.clone())).map_err(|e| wrong("the ID token", &e))?;
        if let Some(expected) = claims.access_token_hash() {
            let key = token.signing_key(&verifier).map_err(|e| wrong("the ID token's key", &e))?;
            let algorithm = token.signing_alg().map_err(|e| wrong("the ID token's algorithm", &e))?;
            let found = AccessTokenHash::from_token(tokens.access_token(), algorithm, key);
            if found.map_err(|e| wrong("the access token", &e))? != *expected {
                return Err(Refused::Wrong("the access token is not this ID token's".into()));
            }
        }
        let mut email = (claims.email().cloned(), claims.email_verified());
        // Many providers tell the address only when asked for it.
        if email.0.is_none()
            && let Ok(question) = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
        {
            let told: Result<CoreUserInfoClaims, _> = question.request_async(&self.http).await;
            let told = told.map_err(|_| Refused::Away("the provider does not say who this is".into()))?;
            email = (told.email().cloned(), told.email_verified());
        }
        Ok(Identity {
            issuer: self.issuer.as_str().to_owned(),
            subject: claims.subject().as_str().to_owned(),
            email: email.0.filter(|_| email.1 == Some(true)).map(|email| email.as_str().to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_reached_over_tls_or_on_this_machine() {
        let of = |issuer: &str| Provider::new(issuer, "salur", "geheim", "https://salur.example").err();
        for good in
            ["https://sso.city.example", "https://city.example/realms/a", "http://127.0.0.1:3000", "http://localhost"]
        {
            assert_eq!(of(good), None, "{good}");
        }
        for wrong in ["sso.city.example", "http://sso.city.example", "ftp://localhost", ""] {
            assert_eq!(of(wrong), Some(BadProvider::Issuer), "{wrong}");
        }
    }
}
