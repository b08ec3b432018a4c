//! The door: routes, limits, who is calling, health, tiles, and the page.

mod callers;
mod drain;
mod exports;
mod graphql;
mod health;
mod pages;
mod protection;
mod requests;
mod sign_on;
mod tiles;
mod websocket;

use crate::graphql::Engine;
use crate::service::{Service, ServiceError};
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Extension, Router};
use callers::BehindProxy;
use drain::{Drain, Phase};
pub use pages::Pages;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

/// The largest body of a request to the API.
pub const MAX_BODY: usize = 256 * 1024;

/// A request that takes longer is answered with 504.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What every handler shares.
#[derive(Clone)]
pub struct Door {
    pub engine: Engine,
    pub service: Service,
    drain: Drain,
    pages: Arc<Pages>,
}

/// All routes over one service.
pub fn router(service: Service) -> Router {
    routes(service, Drain::default(), Pages::default())
}

fn routes(service: Service, drain: Drain, pages: Pages) -> Router {
    let door = Door { engine: Engine::default(), service, drain, pages: Arc::new(pages) };
    let api = Router::new()
        .route("/graphql", post(graphql::answer).fallback(graphql::wrong_method))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route("/tiles/areas.json", get(tiles::description))
        .route("/tiles/{edition}/{z}/{x}/{y}", get(tiles::tile))
        .route("/export/{file}", get(exports::file))
        .route_layer(from_fn_with_state(door.clone(), requests::once_loaded));
    let pages = Router::new()
        .route("/api", get(pages::api))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/atlas", get(health::atlas))
        .route("/metrics", get(health::metrics))
        .route("/auth/oidc/start", get(sign_on::start))
        .route("/auth/oidc/callback", get(sign_on::callback))
        .fallback(pages::page);
    let timed =
        api.merge(pages).layer(from_fn_with_state(REQUEST_TIMEOUT, requests::in_time)).layer(CompressionLayer::new());
    // A subscription lives as long as its reader: no time limit, no compression of its own.
    let live = Router::new()
        .route("/graphql/ws", get(websocket::subscribe))
        .route_layer(from_fn_with_state(door.clone(), requests::once_loaded));
    timed
        .merge(live)
        .layer(CatchPanicLayer::custom(requests::panicked))
        .layer(from_fn_with_state(door.clone(), protection::protect))
        .layer(from_fn_with_state(door.clone(), requests::observe))
        .with_state(door)
}

pub struct ServeOptions<F, G> {
    pub listen: SocketAddr,
    pub service: Service,
    pub pages: Pages,
    /// Callers come through a proxy of ours, which names their address in X-Forwarded-For.
    pub behind_proxy: bool,
    /// Ends the server when it is ready: see [`serve`].
    pub shutdown: F,
    /// Waited on from then on: ends the server at once.
    pub hurry: G,
    /// How long requests are still taken while the health check says that the server leaves.
    pub notice: Duration,
    /// How long what is under way may then take.
    pub patience: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{listen}: cannot listen there: {cause}; choose another address with --listen")]
    Listen { listen: SocketAddr, cause: std::io::Error },
    #[error("database: {0}")]
    Map(#[from] ServiceError),
    #[error("server: {0}")]
    Io(std::io::Error),
}

/// Serves until `shutdown` is ready, then leaves in three steps: the health check says so for
/// `notice`; nothing new is taken, WebSockets are told to go elsewhere, requests under way are
/// answered; transactions that outlived their request end. Prints one line with the address once it
/// answers truthfully.
pub async fn serve<F, G>(options: ServeOptions<F, G>) -> Result<(), ServeError>
where
    F: Future<Output = ()> + Send + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let listen = options.listen;
    let listener = TcpListener::bind(listen).await.map_err(|cause| ServeError::Listen { listen, cause })?;
    let address = listener.local_addr().map_err(ServeError::Io)?;
    let service = options.service;
    let drain = Drain::default();
    let closing = drain.clone();
    let router = routes(service.clone(), drain.clone(), options.pages);
    let router = if options.behind_proxy { router.layer(Extension(BehindProxy)) } else { router };
    // Answers at once, so that whoever starts it sees how far it is.
    let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move { closing.closing().await })
        .into_future();
    let mut serving = tokio::spawn(serving);
    let loading = async {
        service.load().await.map_err(ServiceError::from)?;
        let background = service.start();
        #[expect(clippy::print_stdout, reason = "the address is what whoever started the server waits for")]
        {
            println!("Salur listens on http://{address}");
        }
        Ok::<_, ServeError>(background)
    };
    let leaving = async {
        options.shutdown.await;
        tracing::info!("asked to stop; finishing what is under way");
        let steps = async {
            drain.enter(Phase::Leaving);
            tokio::time::sleep(options.notice).await;
            drain.enter(Phase::Closing);
            tokio::time::sleep(options.patience).await;
        };
        // Somebody may not want to wait.
        tokio::select! {
            () = steps => {}
            () = options.hurry => {}
        }
    };
    let finished = async {
        let loaded = tokio::select! {
            background = loading => Some(background?),
            () = drain.closing() => None,
        };
        let ended = (&mut serving).await.map_err(|error| ServeError::Io(std::io::Error::other(error)))?;
        ended.map_err(ServeError::Io)?;
        drain.sockets_closed().await;
        drop(loaded);
        service.close().await;
        Ok(())
    };
    tokio::select! {
        finished = finished => finished,
        () = leaving => {
            tracing::warn!("not everything came to its end in time; keys of open requests tell their outcome");
            Ok(())
        }
    }
}
