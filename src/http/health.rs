//! Whether the process lives, whether it can answer truthfully, and what it has counted.

use super::Door;
use crate::service::ServiceError;
use crate::service::loading::Stage;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::Duration;

pub async fn live() -> &'static str {
    "ok\n"
}

/// 200 only where the map is the present one, which it is only where the database answers.
pub async fn ready(State(door): State<Door>) -> Response {
    let service = &door.service;
    let word = match (door.drain.is_leaving(), service.is_current(), service.atlas().is_ready()) {
        (true, _, _) => "leaving",
        (_, true, _) => "ready",
        (_, _, true) => "stale",
        _ => "loading",
    };
    let fresh = service.freshness();
    let body = json!({
        "status": word,
        "asOf": fresh.as_of.map(|moment| moment.to_string()),
        "lagMs": fresh.lag.map(millis),
        "openTransactionMs": millis(fresh.open),
        "edition": service.atlas().ground().edition(),
        "loadedPercent": service.loading().map(percent),
        "renewedPercent": service.renewing().map(percent),
    });
    let status = if word == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

fn percent(stage: Stage) -> Value {
    json!({"areas": stage.areas, "needs": stage.needs})
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What the map holds, as one digest: servers that have seen the same answer the same.
pub async fn atlas(State(door): State<Door>) -> Response {
    let (edition, lag) = (door.service.atlas().ground().edition(), door.service.freshness().lag.map(millis));
    match door.service.digest().await {
        Ok(digest) => Json(json!({"digest": digest, "edition": edition, "lagMs": lag})).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.message).into_response(),
    }
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
