//! Whether the process lives, whether it can answer truthfully, and what it has counted.

use super::Door;
use crate::service::ServiceError;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

pub async fn live() -> &'static str {
    "ok\n"
}

/// 200 only where the map is current and the database answers.
pub async fn ready(State(door): State<Door>) -> Response {
    if door.drain.is_leaving() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is about to stop\n").into_response();
    }
    if !door.service.is_current() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the map is not current\n").into_response();
    }
    if !door.service.is_reachable().await {
        return (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response();
    }
    "ready\n".into_response()
}

/// Prometheus text.
pub async fn metrics(State(door): State<Door>) -> Response {
    let readings = door.service.readings().await;
    match door.service.metrics().page(readings) {
        Ok(page) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response(),
        Err(error) => {
            let error = ServiceError::fault(format!("the figures cannot be written: {error}"));
            (StatusCode::INTERNAL_SERVER_ERROR, error.message).into_response()
        }
    }
}
