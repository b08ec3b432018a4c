//! `salur audit`

use super::database::{DatabaseFlags, store_failure};
use super::outcome::{Failure, say, show};
use super::progress::Progress;
use crate::audit::bundle::{self, Problem, Report};
use crate::audit::signing::{Head, PublicKey, SigningKey};
use crate::audit::tree::to_hex;
use crate::config::Settings;
use crate::service::audit_log::{self, ExportFailure};
use crate::store::Store;
use clap::{Args, Subcommand};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Hand out the audit log, and check one that was handed out
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  salur audit export --out audit-2026-03
  salur audit verify audit-2026-03 --public-key audit-key.pem.pub
  salur audit check --public-key audit-key.pem.pub")]
pub enum Audit {
    Export(Export),
    Verify(Verify),
    Check(Check),
}

/// Sign the log and write all of it into a new directory
#[derive(Debug, Args)]
#[command(after_help = "\
Give the directory and audit-key.pem.pub, which lies beside the database, to whoever shall check it.

Example:
  salur audit export --out audit-2026-03")]
pub struct Export {
    /// A directory that is empty or not there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Check a log that was handed out; needs no database
#[derive(Debug, Args)]
#[command(after_help = "\
With --old-head, the heads.jsonl of an earlier export, it also shows that nothing of that export was changed since.

Examples:
  salur audit verify audit-2026-03 --public-key audit-key.pem.pub
  salur audit verify audit-2026-03 --public-key audit-key.pem.pub --old-head audit-2026-02/heads.jsonl")]
pub struct Verify {
    /// The directory that `salur audit export` wrote
    dir: PathBuf,
    #[command(flatten)]
    against: Against,
}

/// Check the log in the database, and the tables beside it
#[derive(Debug, Args)]
#[command(after_help = "\
Every need, offer, claim, claim line, trip, distribution and organisation must be what the log says of it
last. Changes nothing.

Examples:
  salur audit check --public-key audit-key.pem.pub
  salur audit check --public-key audit-key.pem.pub --old-head audit-2026-02/heads.jsonl")]
pub struct Check {
    #[command(flatten)]
    against: Against,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// What a log is held against.
#[derive(Debug, Args)]
struct Against {
    /// The public key, from a source that the giver of the log cannot change
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// The heads.jsonl of an earlier export
    #[arg(long, value_name = "FILE")]
    old_head: Option<PathBuf>,
    /// The public key of then, where the key was lost since
    #[arg(long, value_name = "FILE", requires = "old_head")]
    old_public_key: Option<PathBuf>,
}

impl Against {
    fn load(self) -> Result<(PublicKey, Option<Head>), Failure> {
        let key = PublicKey::load(&self.public_key).map_err(|e| Failure::failed(e.to_string()))?;
        let old_key = self.old_public_key.map(|path| PublicKey::load(&path)).transpose();
        let old_key = old_key.map_err(|e| Failure::failed(e.to_string()))?;
        let old_key = old_key.as_ref().unwrap_or(&key);
        let old_head = self.old_head.map(|path| bundle::last_head_of(&path, old_key)).transpose();
        Ok((key, old_head.map_err(|problem| Failure::failed(problem.to_string()))?))
    }
}

impl Audit {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Audit::Export(export) => export.run().await,
            Audit::Verify(verify) => verify.run(),
            Audit::Check(check) => check.run().await,
        }
    }
}

/// The key that signs the log. It is made where there is none yet, and nothing that it would have signed.
pub(super) async fn signing_key(settings: &Settings, store: &Store) -> Result<Arc<SigningKey>, Failure> {
    let file = settings.data_dir.join("audit-key.pem");
    let other = || {
        let (database, file) = (settings.database_shown(), file.display());
        Failure::failed(format!(
            "{database}: the log is signed with another key than {file}; put its audit-key.pem there, or name the \
             directory that holds it with --data-dir; if it is lost, docs/operations.md says how to go on"
        ))
    };
    let signed = store.audit_checkpoint().await.map_err(|e| store_failure(settings, &e))?;
    if signed.is_some() && !file.exists() {
        return Err(other());
    }
    let fail = |e: String| Failure::failed(e);
    fs::create_dir_all(&settings.data_dir)
        .map_err(|e| fail(format!("{} cannot be made: {e}; check --data-dir", settings.data_dir.display())))?;
    let key = SigningKey::create_or_load(&file).map_err(|e| fail(e.to_string()))?;
    match signed {
        Some(head) if !head.is_signed_by(&key) => Err(other()),
        _ => Ok(Arc::new(key)),
    }
}

impl Export {
    async fn run(self) -> Result<(), Failure> {
        let (store, settings) = self.database.open().await?;
        let key = signing_key(&settings, &store).await?;
        let progress = Progress::new();
        let exported = audit_log::export(&store, &key, &self.out, &|done, of| {
            if of >= 10_000 {
                progress.count("writing the log", done, of);
            }
        })
        .await;
        drop(progress);
        let exported = exported.map_err(|e| match e {
            ExportFailure::Store(e) => store_failure(&settings, &e),
            other => Failure::failed(other.to_string()),
        })?;
        show(&format!("{} entries, head {}", exported.totals.leaves, to_hex(&exported.head.root)))
    }
}

impl Verify {
    fn run(self) -> Result<(), Failure> {
        let (key, old_head) = self.against.load()?;
        show_sound(&bundle::verify(&self.dir, &key, old_head).map_err(shown)?)
    }
}

impl Check {
    async fn run(self) -> Result<(), Failure> {
        let (key, old_head) = self.against.load()?;
        let (store, settings) = self.database.open_as_it_is().await?;
        let checked = store.check_audit(&key, old_head).await.map_err(|e| store_failure(&settings, &e))?;
        let checked = checked.map_err(shown)?;
        show_sound(&checked.report)?;
        show(&format!("{} rows are what the log says", checked.rows))
    }
}

/// Says what is wrong, one line each.
fn shown(problems: Vec<Problem>) -> Failure {
    problems.iter().for_each(|problem| say(&problem.to_string()));
    Failure::shown()
}

fn show_sound(report: &Report) -> Result<(), Failure> {
    let totals = report.totals;
    show(&format!("OK: {} entries, {} signed heads, root {}", totals.leaves, report.heads, to_hex(&report.root)))?;
    show(&format!(
        "{} needs: {} required, {} reserved, {} delivered; {} claim lines",
        totals.needs, totals.required, totals.reserved, totals.delivered, totals.lines
    ))
}
