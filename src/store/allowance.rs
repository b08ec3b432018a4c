//! How often something may be tried, counted where all servers see it.

use super::accounts::Digest;
use super::error::StoreError;
use super::write::{Command, Tx, column};
use crate::domain::calendar::Moment;

/// So many tries of one kind within a time that begins with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowance {
    /// What is counted, and of whom; nobody can be told from it.
    pub bucket: Digest,
    pub most: i64,
    pub seconds: i64,
}

/// Takes one of each allowance. Tries that are refused count, too.
#[derive(Debug, Clone)]
pub struct Spend(pub Vec<Allowance>);

impl Command for Spend {
    /// When the first allowance that is used up begins anew; `None`: nothing was used up.
    type Answer = Option<(Digest, Moment)>;

    async fn run(&self, tx: &mut Tx) -> Result<Self::Answer, StoreError> {
        let now = tx.now().await?;
        let mut takes = self.0.clone();
        // In one order, so that two callers never wait for each other.
        takes.sort_unstable();
        let mut used_up = None;
        for take in takes {
            let row = tx
                .one(
                    "INSERT INTO allowance (bucket, used, ends_at) VALUES ($1, 1, $2)
                     ON CONFLICT (bucket) DO UPDATE SET
                     used = CASE WHEN allowance.ends_at <= $3 THEN 1 ELSE allowance.used + 1 END,
                     ends_at = CASE WHEN allowance.ends_at <= $3 THEN excluded.ends_at ELSE allowance.ends_at END
                     RETURNING used, ends_at",
                    [take.bucket.to_vec().into(), now.plus_seconds(take.seconds).0.into(), now.0.into()],
                )
                .await?
                .ok_or_else(|| StoreError::corrupt("allowance"))?;
            if column::<i64>(&row, "used")? > take.most {
                used_up.get_or_insert((take.bucket, Moment(column(&row, "ends_at")?)));
            }
        }
        Ok(used_up)
    }
}

/// Gives allowances back in full: whoever tried was who they said they were.
#[derive(Debug, Clone)]
pub struct Refund(pub Vec<Digest>);

impl Command for Refund {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let mut buckets = self.0.clone();
        buckets.sort_unstable();
        for bucket in buckets {
            tx.run("DELETE FROM allowance WHERE bucket = $1", [bucket.to_vec().into()]).await?;
        }
        Ok(())
    }
}
