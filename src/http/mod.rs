//! The door: routes, limits, who is calling, health, and the plain front page.

mod graphql;
mod health;
mod pages;
mod websocket;

use crate::graphql::Schema;
use crate::service::{Service, ServiceError};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

/// The largest body of a request to the API.
pub const MAX_BODY: usize = 256 * 1024;

/// A request that takes longer is answered with 504. A claim's transaction, which has time limits
/// of its own far below this, goes on by itself, and its key tells the outcome.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What every handler shares.
#[derive(Clone)]
pub struct Door {
    pub schema: Schema,
    pub service: Service,
}

/// All routes over one service.
pub fn router(service: Service) -> Router {
    let door = Door { schema: crate::graphql::schema(), service };
    let api = Router::new()
        .route("/graphql", post(graphql::answer).fallback(graphql::wrong_method))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let pages = Router::new()
        .route("/", get(pages::front))
        .route("/graphiql", get(pages::graphiql))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(pages::not_found);
    let timed = api
        .merge(pages)
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CompressionLayer::new());
    // A subscription lives as long as its reader: no time limit, no compression of its own.
    let live = Router::new().route("/graphql/ws", get(websocket::subscribe));
    timed.merge(live).layer(CatchPanicLayer::new()).with_state(door)
}

pub struct ServeOptions<F> {
    pub listen: SocketAddr,
    pub service: Service,
    /// Ends the server when it is ready: no new connections, open requests finish.
    pub shutdown: F,
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

/// Serves until `shutdown` is ready. Prints one line with the address once it answers truthfully.
pub async fn serve<F>(options: ServeOptions<F>) -> Result<(), ServeError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listen = options.listen;
    let listener = TcpListener::bind(listen).await.map_err(|cause| ServeError::Listen { listen, cause })?;
    let address = listener.local_addr().map_err(ServeError::Io)?;
    let service = options.service;
    service.load().await.map_err(ServiceError::from)?;
    let background = service.start();
    #[expect(clippy::print_stdout, reason = "the address is what whoever started the server waits for")]
    {
        println!("Salur listens on http://{address}");
    }
    let served = axum::serve(listener, router(service)).with_graceful_shutdown(options.shutdown).await;
    drop(background);
    served.map_err(ServeError::Io)
}
