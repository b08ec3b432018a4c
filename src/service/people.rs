//! Users and organisations.

use super::{Service, ServiceError};
use crate::domain::actor::Actor;
use crate::domain::ids::{OrganizationId, UserId};
use crate::domain::organization::Organization;
use std::collections::HashMap;

impl Service {
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
