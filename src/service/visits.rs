//! Whoever stands at the door: how they are known, and what they are given to take along.

use super::{Code, Service, ServiceError};
use crate::atlas::Sight;
use crate::domain::actor::{Actor, User};
use crate::domain::session::{Verdict, judge};
use crate::store::{Digest, FoundSession, KeepSession};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Who somebody is and what they may see, to be compared with later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    actor: Actor,
    sight: Sight,
}

/// What a caller has shown of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Nobody,
    /// The digest of an API key.
    Key(Digest),
    /// The digest of a session's token.
    Session(Digest),
}

/// A new secret of a browser's, to be kept as a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keepsake {
    Session {
        token: String,
        seconds: i64,
    },
    /// The session is over.
    NoSession,
    /// What the browser is known by when it comes again.
    Device(String),
}

/// One request, as far as it matters who sends it and from where.
#[derive(Debug, Default)]
pub struct Visit {
    pub address: Option<IpAddr>,
    /// The kind of browser and machine, in a few words.
    pub label: String,
    pub device: Option<Digest>,
    keepsakes: Mutex<Vec<Keepsake>>,
}

impl Visit {
    pub fn new(address: Option<IpAddr>, label: String, device: Option<Digest>) -> Self {
        Visit { address, label, device, keepsakes: Mutex::default() }
    }

    pub(super) fn give(&self, keepsake: Keepsake) {
        self.lock().push(keepsake);
    }

    /// What is to be taken along, once.
    pub fn take_keepsakes(&self) -> Vec<Keepsake> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Keepsake>> {
        self.keepsakes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A secret as its owner holds it: 32 random bytes in base64url behind a word that says what it is.
pub(super) fn fresh_secret(word: &str) -> Result<String, ServiceError> {
    let bytes: [u8; 32] = crate::random::bytes().ok_or_else(|| ServiceError::fault("no random numbers to be had"))?;
    Ok(format!("{word}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is stored of a secret.
pub fn digest(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

fn unknown() -> ServiceError {
    ServiceError::new(Code::Unauthenticated, "the API key is unknown, expired or revoked")
}

impl Service {
    /// Who this is. A key or a session that was just taken from its user may serve for a second. A wrong
    /// key never becomes nobody; a session that is over does, as its browser still shows the public map.
    pub async fn who_is(&self, credential: &Credential, visit: Option<&Visit>) -> Result<Actor, ServiceError> {
        match credential {
            Credential::Nobody => Ok(Actor::Anonymous),
            Credential::Key(hash) => {
                let read = async { Ok::<_, ServiceError>(self.store().user_by_key(hash).await?) };
                self.0.users.or_read(*hash, read).await?.map(Actor::User).ok_or_else(unknown)
            }
            Credential::Session(hash) => {
                let read = self.user_by_session(hash, visit);
                let user = self.0.users.or_read(*hash, read).await?;
                if user.is_none()
                    && let Some(visit) = visit
                {
                    visit.give(Keepsake::NoSession);
                }
                Ok(user.map_or(Actor::Anonymous, Actor::User))
            }
        }
    }

    /// What the caller may do and see now; an organisation that is suspended sees less.
    pub async fn rights_of(&self, credential: &Credential) -> Result<Rights, ServiceError> {
        let actor = self.who_is(credential, None).await?;
        Ok(Rights { sight: self.sight(&actor).await?, actor })
    }

    async fn user_by_session(&self, hash: &Digest, visit: Option<&Visit>) -> Result<Option<User>, ServiceError> {
        let Some(found) = self.store().session_by_token(hash).await? else { return Ok(None) };
        match judge(&found.kept, found.shown, found.has_previous, found.now) {
            Verdict::Over => Ok(None),
            Verdict::Copied => {
                tracing::warn!(session = %found.id, "a session's old token came back; the session is ended");
                let end = crate::store::EndSessions { user: found.user.id, only: Some(found.id) };
                match self.store().execute(end).await {
                    Ok(()) | Err(crate::store::StoreError::NotFound(_)) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
            Verdict::Serve { rotate, confirm, seen } => {
                // Only a browser that can be given a new token gets one.
                let rotate = rotate && visit.is_some();
                if rotate || confirm || seen {
                    self.keep_session(&found, rotate, confirm, visit).await?;
                }
                Ok(Some(found.user))
            }
        }
    }

    async fn keep_session(
        &self,
        found: &FoundSession,
        rotate: bool,
        confirm: bool,
        visit: Option<&Visit>,
    ) -> Result<(), ServiceError> {
        let next = if rotate { Some(fresh_secret("")?) } else { None };
        let keep = KeepSession {
            id: found.id,
            rotated_at: found.kept.rotated_at,
            shown: found.shown,
            rotate_to: next.as_deref().map(digest),
            confirm,
        };
        if self.store().execute(keep).await?
            && let (Some(token), Some(visit)) = (next, visit)
        {
            let seconds = (found.kept.ends_at.0 - found.now.0) / 1_000_000;
            visit.give(Keepsake::Session { token, seconds });
        }
        Ok(())
    }
}
