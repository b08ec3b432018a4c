//! POST /graphql, and nothing else: no GET, no other content type (both are doors for forged
//! requests), no batches.

use super::Door;
use super::callers::{self, From};
use crate::graphql::{errors, to_json};
use crate::service::visits::Credential;
use crate::service::{Code, ServiceError};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The `readToken` of a mutation's answer: what it did shall be on the map that answers.
const READ_AFTER: &str = "salur-read-after";

/// Answers one GraphQL request.
pub async fn answer(
    State(door): State<Door>,
    from: From,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let error = ServiceError::bad("content-type", "must be application/json");
        return with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    }
    let body = match body {
        Ok(body) => body,
        Err(_) => {
            let error = ServiceError::new(Code::TooComplex, "the body is larger than 256 KiB; send less at once");
            return with_status(StatusCode::PAYLOAD_TOO_LARGE, error);
        }
    };
    if body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return with_status(
            StatusCode::BAD_REQUEST,
            ServiceError::bad("body", "batches are not taken; send one request"),
        );
    }
    let Ok(request) = serde_json::from_slice::<async_graphql::Request>(&body) else {
        let error = ServiceError::bad("body", "must be a JSON object with a text field \"query\"");
        return with_status(StatusCode::BAD_REQUEST, error);
    };
    let visit = Arc::new(callers::visit(&headers, from.address));
    let credential = callers::credential(&headers).and_then(|credential| match credential {
        Credential::Session(_) => callers::of_our_own_page(&headers).map(|()| credential),
        _ => Ok(credential),
    });
    let caller = async { door.service.who_is(&credential?, Some(&visit)).await };
    let actor = match caller.await {
        Ok(actor) => actor,
        Err(error) => return with_status(StatusCode::OK, error),
    };
    if let Err(error) = door.service.admit_traffic(&actor, from.address) {
        return with_status(StatusCode::OK, error);
    }
    if let Some(token) = headers.get(READ_AFTER)
        && let Err(error) = door.service.read_after(token.to_str().unwrap_or_default()).await
    {
        return with_status(StatusCode::OK, error);
    }
    let text = crate::graphql::answer_as_text(&door.engine, request, &door.service, actor, visit.clone()).await;
    let mut response = json(StatusCode::OK, text);
    callers::hand_over(&visit, &mut response);
    response
}

pub async fn wrong_method() -> Response {
    let error = ServiceError::bad("method", "send a POST with a JSON body");
    let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED, error);
    response.headers_mut().insert(ALLOW, axum::http::HeaderValue::from_static("POST"));
    response
}

pub fn with_status(status: StatusCode, error: ServiceError) -> Response {
    json(status, to_json(&errors::refused(error)))
}

fn json(status: StatusCode, text: Result<Vec<u8>, serde_json::Error>) -> Response {
    match text {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            let error = ServiceError::fault(format!("an answer cannot be written: {error}"));
            (StatusCode::INTERNAL_SERVER_ERROR, error.message).into_response()
        }
    }
}
