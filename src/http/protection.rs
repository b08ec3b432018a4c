//! What every answer tells a browser to refuse: to guess at types, to be framed, to tell other sites
//! where one came from. The page says besides what it may load (`pages`); whatever is no page loads
//! nothing.

use super::Door;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;

const ALWAYS: [(HeaderName, &str); 6] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // A phone at a hand-over may say where it is and take a picture; nothing else is asked of a device.
    (HeaderName::from_static("permissions-policy"), "geolocation=(self), camera=(self), microphone=(), payment=()"),
];

/// Where nothing else was said.
const ELSE: [(HeaderName, &str); 2] =
    [(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"), (CACHE_CONTROL, "no-store")];

/// A year.
const TLS_ONLY: &str = "max-age=31536000";

pub async fn protect(State(door): State<Door>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in ELSE {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if door.service.is_reached_by_tls() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TLS_ONLY));
    }
    response
}
