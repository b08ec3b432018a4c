//! Whom a city's single sign-on means: its own names for people, each with the user that it stands for.

use super::accounts::note_user;
use super::error::StoreError;
use super::write::{Command, Tx, column};
use crate::audit::state;
use crate::domain::ids::UserId;

/// The user of a provider's name for somebody. One that is not known yet becomes that of the account
/// of this address, unless the provider has another name for its owner already: then the address has
/// passed to somebody else.
#[derive(Debug, Clone)]
pub struct FindIdentity {
    pub issuer: String,
    pub subject: String,
    /// Which the provider has made sure of.
    pub email: Option<String>,
}

impl Command for FindIdentity {
    type Answer = UserId;

    async fn run(&self, tx: &mut Tx) -> Result<UserId, StoreError> {
        let now = tx.now().await?;
        let (issuer, subject) = (self.issuer.as_str(), self.subject.as_str());
        let sql = "SELECT u.id, u.disabled FROM user_identity i JOIN app_user u ON u.id = i.user_id
                   WHERE i.issuer = $1 AND i.subject = $2";
        if let Some(row) = tx.one(sql, [issuer.into(), subject.into()]).await? {
            return match column::<i64>(&row, "disabled")? {
                0 => Ok(UserId(column(&row, "id")?)),
                _ => Err(StoreError::NotFound("user")),
            };
        }
        let email = self.email.as_deref().ok_or(StoreError::NotFound("user"))?;
        let sql = format!("SELECT id FROM app_user WHERE email = $1 AND disabled = 0{}", tx.dialect.lock());
        let row = tx.one(&sql, [email.into()]).await?.ok_or(StoreError::NotFound("user"))?;
        let user = UserId(column(&row, "id")?);
        let sql = "INSERT INTO user_identity (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT DO NOTHING";
        if tx.run(sql, [issuer.into(), subject.into(), user.0.into(), now.0.into()]).await? == 0 {
            return Err(StoreError::NotFound("user"));
        }
        note_user(tx, now, Some(user), user, "user.identity", state([])).await?;
        Ok(user)
    }
}
