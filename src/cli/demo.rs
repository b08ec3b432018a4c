//! `salur demo`

use super::database::{DatabaseFlags, store_failure};
use super::keys::ClearKey;
use super::outcome::{Failure, say, show};
use super::progress::Progress;
use crate::config::Settings;
use crate::service::accounts::kept_password;
use crate::service::demo::{self, DemoFailure, Outcome, VISITORS};
use crate::store::{SetPassword, Store};
use clap::Args;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Fill an empty database with the demo city; a second time changes nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Jakarta's real codes, names and counts; shapes, needs, gifts and organisations are made up.
Keys of the demo's users are kept in demo-keys.txt beside the database.

Example:
  salur demo --database sqlite://demo.db --print-guide")]
pub struct Demo {
    /// Print the address to open, keys of the demo's users, and example queries
    #[arg(long)]
    print_guide: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

impl Demo {
    pub async fn run(self) -> Result<(), Failure> {
        let (store, settings) = self.database.open().await?;
        let progress = Arc::new(Progress::new());
        let told = progress.clone();
        let outcome = demo::fill(&store, Arc::new(move |what, done, of| told.count(what, done, of))).await;
        drop(progress);
        let outcome = outcome.map_err(|e| match e {
            DemoFailure::Store(e) => store_failure(&settings, &e),
            DemoFailure::OtherData => Failure::failed(format!("{}: {e}", settings.database_shown())),
            other => Failure::failed(other.to_string()),
        })?;
        let keys = match outcome {
            Outcome::Filled { areas, needs, claims } => {
                say(&format!("the demo city is there: {areas} areas, {needs} needs, {claims} claims"));
                fresh_keys(&store, &settings).await?
            }
            Outcome::Stands => {
                say("the demo city is there already; nothing was changed");
                if !self.print_guide {
                    return Ok(());
                }
                standing_keys(&store, &settings).await?
            }
        };
        if self.print_guide { show(&guide(&settings, &keys)) } else { Ok(()) }
    }
}

const KEYS: &str = "demo-keys.txt";

/// A visitor's e-mail address and clear key.
type VisitorKey = (String, ClearKey);

/// Issues a key to each visitor and keeps them for the next guide.
async fn fresh_keys(store: &Store, settings: &Settings) -> Result<Vec<VisitorKey>, Failure> {
    let mut keys = Vec::new();
    for email in VISITORS {
        let key = ClearKey::fresh()?;
        let issued = store.execute(key.issue_to(email.to_owned(), None)).await;
        issued.map_err(|e| store_failure(settings, &e))?;
        set_password(store, settings, email, key.password()).await?;
        keys.push((email.to_owned(), key));
    }
    let path = settings.data_dir.join(KEYS);
    let text: String = keys.iter().map(|(email, key)| format!("{email} {}\n", key.0)).collect();
    let written = fs::create_dir_all(&settings.data_dir).and_then(|()| replace(&path, &text));
    written.map_err(|e| {
        Failure::failed(format!("{} cannot be written: {e}; check --data-dir, then repeat the command", path.display()))
    })?;
    Ok(keys)
}

async fn set_password(store: &Store, settings: &Settings, email: &str, password: &str) -> Result<(), Failure> {
    let login = store.login(email).await.map_err(|e| store_failure(settings, &e))?;
    let login = login.ok_or_else(|| Failure::failed(format!("{email}: there is no such user in the demo city")))?;
    let kept = kept_password(password.to_owned()).await.map_err(|e| Failure::failed(e.message))?;
    let set = SetPassword { user: login.user, password_hash: kept, keep: None };
    store.execute(set).await.map_err(|e| store_failure(settings, &e))
}

/// Replaces a file that only its owner may read.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    // A draft that an interrupted run left may have other permissions.
    let _ = fs::remove_file(&draft);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// The kept keys where all of them still open this database, else new ones.
async fn standing_keys(store: &Store, settings: &Settings) -> Result<Vec<VisitorKey>, Failure> {
    let text = fs::read_to_string(settings.data_dir.join(KEYS)).unwrap_or_default();
    let mut keys = Vec::new();
    for email in VISITORS {
        let Some(key) = text.lines().find_map(|l| l.strip_prefix(email)?.strip_prefix(' ')) else { break };
        let key = ClearKey(key.to_owned());
        let user = store.user_by_key(&key.hash()).await.map_err(|e| store_failure(settings, &e))?;
        if user.is_none_or(|u| u.email != email) {
            break;
        }
        keys.push((email.to_owned(), key));
    }
    if keys.len() == VISITORS.len() {
        for (email, key) in &keys {
            let login = store.login(email).await.map_err(|e| store_failure(settings, &e))?;
            if login.is_some_and(|login| login.password_hash.is_none()) {
                set_password(store, settings, email, key.password()).await?;
            }
        }
        return Ok(keys);
    }
    say(&format!("{KEYS} is missing or belongs to another database; new keys are issued"));
    fresh_keys(store, settings).await
}

fn guide(settings: &Settings, keys: &[VisitorKey]) -> String {
    let address = format!("http://{}", settings.listen);
    let donor = keys.first().map(|(_, key)| key.0.as_str()).unwrap_or_default();
    let query = |text: &str, header: &str| {
        format!("curl -s {address}/graphql -H 'content-type: application/json'{header} -d '{{\"query\":\"{text}\"}}'")
    };
    let urgent = query(
        "{ needs(where: {items: [\\\"SEMBAKO\\\"], areaCode: \\\"31.73.01\\\", service: [UNSERVED]}, orderBy: PRIORITY, first: 5) \
         { totalCount nodes { severity unmet area { code name } } } \
         coverage(where: {items: [\\\"SEMBAKO\\\"], areaCode: \\\"31.73.01\\\"}) { needCount unservedCount required unmet } }",
        "",
    );
    let cities = query(
        "{ areaCoverage(level: CITY, where: {items: [\\\"SEMBAKO\\\"]}) \
         { area { code name } coverage { needCount unservedCount unmet } } }",
        "",
    );
    let viewer =
        query("{ viewer { email roles organization { id name } } }", &format!(" -H 'authorization: Bearer {donor}'"));
    let keys: String = keys.iter().map(|(email, key)| format!("  {email:<24} {}\n", key.0)).collect();
    format!(
        "Open {address} once `salur serve --database {}` runs.\n\n\
         Keys of the demo's users, sent as `Authorization: Bearer KEY`; on the page they sign in with their address and, as \
         password, the last 12 letters of their key:\n{keys}\n\
         The five most urgent unserved needs for staple food in Cengkareng, and how far the district is served:\n  {urgent}\n\n\
         Coverage city by city:\n  {cities}\n\n\
         Who the donor's key belongs to:\n  {viewer}",
        settings.database_shown()
    )
}
