//! Whether the process lives, whether it can answer truthfully, and a few numbers of it.

use super::Door;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

pub async fn live() -> &'static str {
    "ok\n"
}

/// 200 only where the map is current and the database answers.
pub async fn ready(State(door): State<Door>) -> Response {
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
    let ground = door.service.atlas().ground();
    let ready = u8::from(door.service.is_current());
    let body = format!(
        "# HELP salur_ready 1 where the map is current.\n# TYPE salur_ready gauge\nsalur_ready {ready}\n\
         # HELP salur_areas Areas in the map.\n# TYPE salur_areas gauge\nsalur_areas {}\n\
         # HELP salur_edition The edition of areas that the map shows.\n# TYPE salur_edition gauge\nsalur_edition {}\n",
        ground.area_count(),
        ground.edition(),
    );
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], body).into_response()
}
