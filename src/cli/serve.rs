//! `salur serve`

use super::database::{DatabaseFlags, cannot_open, connect, load, open, start_log};
use super::outcome::Failure;
use crate::config::{Given, Secret, Settings};
use crate::http::Pages;
use crate::mail::Carrier;
use crate::service::Service;
use crate::store::Store;
use crate::telemetry::Traces;
use clap::Args;
use std::time::Duration;

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
    /// Where people reach this server; links in messages begin with it [default: http:// and where it listens]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The mail server: smtps://USER:PASSWORD@HOST, or smtp://…?tls=required; others see flags, so better in SALUR_SMTP
    #[arg(long, value_name = "URL")]
    smtp: Option<String>,
    /// Who writes the mails, like 'Salur <salur@city.example>'
    #[arg(long, value_name = "ADDRESS")]
    smtp_from: Option<String>,
    /// For a demo: write messages into the log, with their links, instead of sending them
    #[arg(long)]
    print_messages: bool,
    /// Leave the database's shape as it is: somebody else brings it up to date
    #[arg(long)]
    no_migrate: bool,
    /// How lines of the log are written: text, or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// How old the map may be before /health/ready says 503
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    stale_seconds: u64,
    /// When asked to stop: how long requests are still taken while /health/ready says 503
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3_600))]
    notice_seconds: u64,
    /// When asked to stop: how long what is under way may take before it is cut off
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(..=3_600))]
    drain_seconds: u64,
}

impl Serve {
    pub async fn run(self) -> Result<(), Failure> {
        let given = Given {
            listen: self.listen.clone(),
            public_url: self.public_url.clone(),
            smtp: self.smtp.clone().map(Secret),
            smtp_from: self.smtp_from.clone(),
            log_format: self.log_format.clone(),
            ..self.database.given()
        };
        let settings = load(given)?;
        let carrier = self.carrier(&settings)?;
        let traces = settings.traces.as_deref().map(Traces::to).transpose();
        let traces = traces.map_err(|error| Failure::usage(format!("OpenTelemetry cannot be set up: {error}")))?;
        start_log(&settings, "warn,salur=info", traces.as_ref())?;
        let served = self.start(settings, carrier).await;
        if let Some(traces) = traces {
            let _ = tokio::task::spawn_blocking(|| traces.finish()).await;
        }
        served
    }

    /// Who takes messages to their readers, if anybody.
    fn carrier(&self, settings: &Settings) -> Result<Option<Carrier>, Failure> {
        match &settings.smtp {
            Some(_) if self.print_messages => {
                Err(Failure::usage("--print-messages is for a demo without a mail server; take it or SALUR_SMTP away"))
            }
            Some((server, from)) => {
                Carrier::smtp(&server.0, from).map(Some).map_err(|error| Failure::usage(error.to_string()))
            }
            None => Ok(self.print_messages.then_some(Carrier::Log)),
        }
    }

    async fn start(self, settings: Settings, carrier: Option<Carrier>) -> Result<(), Failure> {
        let store = if self.no_migrate { as_it_stands(&settings).await? } else { open(&settings).await? };
        let key = super::audit::signing_key(&settings, &store).await?;
        let service = Service::with_patience(store, key, Duration::from_secs(self.stale_seconds));
        service.reached_at(settings.public_url.clone());
        if let Some(carrier) = carrier {
            service.send_by(carrier);
        }
        self.listen(settings, service).await
    }

    /// The one place where the command line meets the transport.
    async fn listen(self, settings: Settings, service: Service) -> Result<(), Failure> {
        let options = crate::http::ServeOptions {
            listen: settings.listen,
            pages: Pages { directory: settings.web_dir, basemap: settings.basemap },
            service,
            shutdown: asked_to_stop()?,
            // Listens from when it is waited on: the first signal is not the second one, too.
            hurry: async {
                match asked_to_stop() {
                    Ok(again) => again.await,
                    Err(_) => std::future::pending().await,
                }
            },
            notice: Duration::from_secs(self.notice_seconds),
            patience: Duration::from_secs(self.drain_seconds),
        };
        crate::http::serve(options).await.map_err(|error| Failure::failed(error.to_string()))
    }
}

/// A database that somebody else brings up to date, and that is fit to be served.
async fn as_it_stands(settings: &Settings) -> Result<Store, Failure> {
    let store = connect(settings, false).await?;
    store.check_shape().await.map_err(|error| cannot_open(settings, error))?;
    Ok(store)
}

/// Ends when the process is asked to stop: Ctrl-C, or SIGTERM from whoever runs it. A signal counts
/// from this call on, also before the answer is waited on.
#[cfg(unix)]
fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let fail = |e| Failure::failed(format!("the system does not pass signals on: {e}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        // Where the signal cannot be listened for, nothing ends the wait.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
