//! `salur key`, and what a key is made of.

use super::database::{DatabaseFlags, store_failure};
use super::outcome::{Failure, show};
use crate::domain::actor::KeyScope;
use crate::random;
use crate::store::IssueKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use sha2::{Digest, Sha256};

/// Issue keys for machines
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example:
  salur key issue --email dian@donor.example --expires-days 90")]
pub enum Key {
    Issue(IssueFlags),
}

/// Issue a key for a user and print it: it is stored nowhere and shown once
#[derive(Debug, Args)]
#[command(after_help = "\
The key goes into the header of a request: Authorization: Bearer KEY

Examples:
  salur key issue --email dian@donor.example
  salur key issue --email dian@donor.example --expires-days 90")]
pub struct IssueFlags {
    /// The user's e-mail address
    #[arg(long, value_parser = super::people::email)]
    email: String,
    /// After so many days it opens nothing any more [default: never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    expires_days: Option<i64>,
    #[command(flatten)]
    database: DatabaseFlags,
}

impl Key {
    pub async fn run(self) -> Result<(), Failure> {
        let Key::Issue(flags) = self;
        let (store, settings) = flags.database.open().await?;
        let key = ClearKey::fresh()?;
        let issued = store.execute(key.issue_to(flags.email, flags.expires_days)).await;
        issued.map_err(|e| store_failure(&settings, &e))?;
        show(&key.0)
    }
}

/// A key as its owner holds it: `slr_` and 32 random bytes in base64url.
pub struct ClearKey(pub String);

impl ClearKey {
    pub fn fresh() -> Result<Self, Failure> {
        let bytes: [u8; 32] =
            random::bytes().ok_or_else(|| Failure::failed("the system gives no random numbers; repeat the command"))?;
        Ok(ClearKey(format!("slr_{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// What is stored of it: the SHA-256 of its whole text.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    pub fn issue_to(&self, email: String, expires_days: Option<i64>) -> IssueKey {
        let prefix = self.0.chars().take(8).collect();
        let (hash, scopes) = (self.hash(), KeyScope::ALL.to_vec());
        IssueKey { author: None, email, prefix, hash, expires_days, label: None, scopes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_long_new_each_time_and_not_in_what_is_stored() {
        let (one, two) = (ClearKey::fresh().expect("random"), ClearKey::fresh().expect("random"));
        assert!(one.0.starts_with("slr_") && one.0.len() == 4 + 43 && one.0 != two.0);
        let stored = one.issue_to("a@b.c".into(), None);
        assert_eq!(stored.prefix, one.0[..8]);
        assert_eq!(stored.hash, one.hash());
        assert_ne!(one.hash(), two.hash());
    }
}
