//! Users and organisations.

use super::{Service, ServiceError};
use crate::domain::actor::{Actor, User};
use crate::domain::ids::{OrganizationId, UserId};
use crate::domain::organization::Organization;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

impl Service {
    /// The user behind an API key; `None` where it is unknown, expired or revoked. A key that was just
    /// taken from its user may serve for a second.
    pub async fn user_by_key(&self, key: &str) -> Result<Option<User>, ServiceError> {
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let read = async { Ok(self.store().user_by_key(&hash).await?) };
        self.0.users.or_read(hash, read).await
    }

    pub async fn organizations(&self, ids: &[OrganizationId]) -> Result<Vec<Organization>, ServiceError> {
        Ok(self.store().organizations(ids).await?)
    }

    /// How users are named to the caller: by e-mail to officials and to colleagues, else by number.
    pub async fn names_of_users(&self, actor: &Actor, ids: &[UserId]) -> Result<HashMap<UserId, String>, ServiceError> {
        if actor.reads_all() {
            return Ok(self.store().emails(ids).await?);
        }
        let own = actor.user();
        let name = |id: UserId| match own {
            Some(user) if user.id == id => user.email.clone(),
            _ => id.to_string(),
        };
        Ok(ids.iter().map(|id| (*id, name(*id))).collect())
    }
}
