//! The audit log handed out: put in order, signed, and written as a bundle that anyone can check.

use crate::audit::FIRST_SEQUENCE;
use crate::audit::bundle::{BundleError, BundleWriter, Totals};
use crate::audit::signing::{Head, SigningKey};
use crate::store::{Checkpoint, Store, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum ExportFailure {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log is signed with another key; name the directory that holds its audit-key.pem with --data-dir")]
    OtherKey,
    #[error("the log changed faster than it could be put in order; repeat the command when fewer write")]
    NeverQuiet,
}

/// What an export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    pub totals: Totals,
    pub head: Head,
}

/// Leaves read at once: bounds the memory.
const PAGE: i64 = 5_000;

/// Rounds of following a log that others write to, and the pause after each: half a minute in all.
const PATIENCE: u32 = 300;
const BREATH: Duration = Duration::from_millis(100);

/// Numbers every entry that is ready for it, then signs the head.
pub async fn sequence_all(store: &Store, key: &Arc<SigningKey>) -> Result<(), StoreError> {
    while store.sequence(key, false).await?.more {}
    store.sequence(key, true).await.map(|_| ())
}

/// Writes the whole log as a bundle into `dir`, which is empty or not there yet. `progress` is told
/// how many leaves of how many are written.
///
/// The bundle's totals are those of the database at its last leaf. Where others write meanwhile,
/// the log is followed until both have stood still together.
pub async fn export(
    store: &Store,
    key: &Arc<SigningKey>,
    dir: &Path,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Exported, ExportFailure> {
    if store.audit_checkpoint().await?.is_some_and(|signed| !signed.is_signed_by(key)) {
        return Err(ExportFailure::OtherKey);
    }
    let mut writer = BundleWriter::create(dir)?;
    let mut written = 0;
    for _ in 0..PATIENCE {
        sequence_all(store, key).await?;
        let Some(Checkpoint { head, .. }) = store.audit_checkpoint().await? else { continue };
        written = push_leaves(store, &mut writer, written, head.size, progress).await?;
        let [needs, lines, required, reserved, delivered] = store.audit_totals().await?;
        // Every change writes its entries with it. Where there are none beyond the head even now,
        // there were none when the totals were read.
        if store.audit_entries().await? != head.size {
            tokio::time::sleep(BREATH).await;
            continue;
        }
        for Checkpoint { head, signature } in store.audit_heads().await? {
            writer.push_head(&head, &signature)?;
        }
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        let totals =
            Totals { leaves: head.size, needs: count(needs), lines: count(lines), required, reserved, delivered };
        writer.finish(&totals)?;
        return Ok(Exported { totals, head });
    }
    Err(ExportFailure::NeverQuiet)
}

/// Appends the leaves after `written` up to `size`, and answers `size`.
async fn push_leaves(
    store: &Store,
    writer: &mut BundleWriter,
    mut written: u64,
    size: u64,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<u64, ExportFailure> {
    while written < size {
        let most = PAGE.min(i64::try_from(size - written).unwrap_or(PAGE));
        // Sequence numbers count from FIRST_SEQUENCE; what is asked for is what lies after.
        let leaves = store.audit_leaves(written + FIRST_SEQUENCE - 1, most).await?;
        if leaves.is_empty() {
            return Err(StoreError::Fault(format!("the audit log has {written} leaves where {size} are signed")).into());
        }
        for leaf in leaves {
            writer.push_leaf(written + FIRST_SEQUENCE, &leaf)?;
            written += 1;
        }
        progress(written, size);
    }
    Ok(written)
}
