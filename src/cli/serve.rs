//! `salur serve`

use super::database::{DatabaseFlags, open, start_log};
use super::outcome::Failure;
use crate::audit::signing::SigningKey;
use crate::config::Settings;
use crate::service::Service;
use crate::store::Store;
use clap::Args;
use std::sync::Arc;

/// Serve the map, the API and the subscriptions
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  salur serve
  salur serve --database postgres://salur@db.example/salur --listen 0.0.0.0:8080")]
pub struct Serve {
    #[command(flatten)]
    database: DatabaseFlags,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Leave the database's shape as it is: somebody else brings it up to date
    #[arg(long)]
    no_migrate: bool,
}

impl Serve {
    pub async fn run(self) -> Result<(), Failure> {
        let settings = self.database.settings(self.listen.clone())?;
        start_log(&settings, "warn,salur=info")?;
        let store = open(&settings, !self.no_migrate).await?;
        let key = super::audit::signing_key(&settings)?;
        listen(settings, store, key).await
    }
}

/// The one place where the command line meets the transport.
async fn listen(settings: Settings, store: Store, key: Arc<SigningKey>) -> Result<(), Failure> {
    let options =
        crate::http::ServeOptions { listen: settings.listen, service: Service::new(store, key), shutdown: shutdown() };
    crate::http::serve(options).await.map_err(|error| Failure::failed(error.to_string()))
}

/// Ends when the process is asked to stop: Ctrl-C, or SIGTERM from whoever runs it.
async fn shutdown() {
    let interrupt = async {
        // Where the signal cannot be listened for, only the other one ends the wait.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
