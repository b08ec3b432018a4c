//! What is done around every request: its reference, its line in the log, its place in the figures,
//! and its end where it takes too long.
//!
//! A line names the route and never the address as it came, the operation and never the document or
//! its variables: what a caller sends may name a person.

use super::Door;
use super::graphql::with_status;
use crate::metrics::{Counted, Metrics, Stopwatch};
use crate::service::{Code, ServiceError};
use crate::telemetry;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use std::any::Any;
use std::time::Duration;
use tracing::{Instrument, Span, field};

const REFERENCE: HeaderName = HeaderName::from_static("x-request-id");

/// The routes that figures and lines name; everything else is `other`.
const ROUTES: [&str; 10] = [
    "/graphql",
    "/graphql/ws",
    "/",
    "/api",
    "/health/live",
    "/health/ready",
    "/health/atlas",
    "/metrics",
    "/auth/oidc/start",
    "/auth/oidc/callback",
];

/// The same for addresses of which there are many.
const BELOW: [&str; 2] = ["/tiles/", "/assets/"];

/// How a request ends whose caller hangs up; a number that others use for it, too.
const HUNG_UP: u16 = 499;

/// The outermost layer.
pub async fn observe(State(door): State<Door>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let route = ROUTES.into_iter().find(|route| *route == path);
    let route = route.or_else(|| BELOW.into_iter().find(|route| path.starts_with(route))).unwrap_or("other");
    let reference = telemetry::fresh_reference();
    let span = tracing::info_span!(
        "request",
        reference,
        method = known(request.method()),
        route,
        operation = field::Empty,
        status = field::Empty
    );
    telemetry::continues(&span, request.headers().get("traceparent").and_then(|header| header.to_str().ok()));
    let metrics = door.service.metrics();
    let mut open =
        Open { _counted: metrics.opened(), metrics: metrics.clone(), route, watch: Stopwatch::start(), status: None };
    let id = HeaderValue::try_from(&reference);
    let answered = async move {
        let mut response = next.run(request).await;
        open.answered(response.status());
        let headers = response.headers_mut();
        if let Ok(id) = id {
            headers.insert(REFERENCE, id);
        }
        if door.drain.is_leaving() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    };
    telemetry::under_reference(reference, answered.instrument(span)).await
}

/// A method is a word of the caller's, too.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::OPTIONS => method.as_str(),
        _ => "other",
    }
}

/// A request under way. It is counted and logged when it is dropped, answered or not.
struct Open {
    metrics: Metrics,
    route: &'static str,
    watch: Stopwatch,
    status: Option<u16>,
    _counted: Counted,
}

impl Open {
    fn answered(&mut self, status: StatusCode) {
        self.status = Some(status.as_u16());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let took = self.watch.elapsed();
        let status = self.status.unwrap_or(HUNG_UP);
        self.metrics.answered(self.route, status, took);
        Span::current().record("status", status);
        let ms = took.as_micros() as f64 / 1e3;
        // Whoever looks every second whether we live would drown the rest.
        if self.route.starts_with("/health/") || self.route == "/metrics" {
            tracing::debug!(ms, "request");
        } else {
            tracing::info!(ms, "request");
        }
    }
}

/// Ends a request that takes longer than `limit`. A claim's transaction, which has limits of its own
/// far below that, goes on by itself, and its key tells the outcome.
pub async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!("the request took too long");
            let message = "the request took too long and its outcome is open; send it again with the same key";
            let error = ServiceError {
                reference: Some(telemetry::reference()),
                ..ServiceError::new(Code::Unavailable, message)
            };
            with_status(StatusCode::GATEWAY_TIMEOUT, error)
        }
    }
}

/// Refuses what is asked of a map that has not been read yet: no answer is better than an empty one.
pub async fn once_loaded(State(door): State<Door>, request: Request, next: Next) -> Response {
    let Some(stage) = door.service.loading() else { return next.run(request).await };
    let message = format!(
        "the server is starting: it has read {} % of the areas and {} % of the needs; send it again in a moment",
        stage.areas, stage.needs
    );
    with_status(StatusCode::SERVICE_UNAVAILABLE, ServiceError::new(Code::Unavailable, message))
}

/// A panic is our fault, and is answered like any other; what it says stays in the log.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let words =
        panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    let error = ServiceError::fault(format!("a panic: {}", words.unwrap_or_default()));
    with_status(StatusCode::INTERNAL_SERVER_ERROR, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body, HttpBody};
    use axum::routing::get;
    use tower::ServiceExt;

    async fn answer_of(router: Router) -> (StatusCode, String) {
        let request = Request::builder().uri("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        let status = response.status();
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
            text.extend(frame.expect("a body").into_data().expect("data"));
        }
        (status, String::from_utf8(text).expect("text"))
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_told_to_come_back_with_its_key() {
        let never = Router::new().route("/", get(std::future::pending::<String>));
        let limited = never.layer(axum::middleware::from_fn_with_state(Duration::ZERO, in_time));
        let (status, body) = answer_of(limited).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let extensions = &json["errors"][0]["extensions"];
        assert_eq!((&extensions["code"], &extensions["retry"]), (&"UNAVAILABLE".into(), &"SAME_KEY".into()), "{body}");
        assert!(extensions["reference"].is_string(), "{body}");
    }

    #[tokio::test]
    async fn a_panic_is_answered_without_its_words() {
        let broken = Router::new().route("/", get(|| async { if true { panic!("3171012345678901") } else { "" } }));
        let caught = broken.layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked));
        let (status, body) = answer_of(caught).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("\"INTERNAL\"") && !body.contains("3171"), "{body}");
    }
}
