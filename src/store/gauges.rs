//! What is asked of the database only to be watched: how far the audit log is behind, and how many
//! connections are in use.

use super::Store;
use super::dialect::Dialect;
use super::error::StoreError;
use super::write::column;
use crate::metrics::AuditLag;

impl Store {
    /// Audit entries that have no number yet, and how old the oldest is.
    pub async fn audit_lag(&self) -> Result<AuditLag, StoreError> {
        let now = self.now().await?;
        let sql = "SELECT CAST(COALESCE(sum(entries), 0) AS BIGINT) AS entries, min(at) AS oldest FROM audit_pack
            WHERE first_sequence IS NULL";
        let row = self.read_one(sql, []).await?.ok_or_else(|| StoreError::corrupt("audit log"))?;
        let oldest: Option<i64> = column(&row, "oldest")?;
        let seconds = oldest.map_or(0.0, |at| (now.0 - at).max(0) as f64 / 1e6);
        Ok(AuditLag { entries: column(&row, "entries")?, seconds })
    }

    /// Connections that are in use, and those that wait for work; those of followers are not among them.
    pub fn connections(&self) -> (u32, u32) {
        let count = |size: u32, idle: usize| {
            let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
            (size - idle, idle)
        };
        match self.dialect {
            Dialect::Postgres => {
                let pools = [&self.writer, &self.opener].map(|pool| pool.get_postgres_connection_pool());
                let swift = u32::from(self.swift.is_connected());
                count(swift + pools.iter().map(|p| p.size()).sum::<u32>(), pools.iter().map(|p| p.num_idle()).sum())
            }
            Dialect::Sqlite => {
                let (writer, reader) =
                    (self.writer.get_sqlite_connection_pool(), self.reader.get_sqlite_connection_pool());
                count(writer.size() + reader.size(), writer.num_idle() + reader.num_idle())
            }
        }
    }
}
