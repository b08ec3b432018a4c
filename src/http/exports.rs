//! GET /export/SUBJECT.FORMAT: tables as files, for people who follow a link and for machines with a key.
//!
//! Nothing is changed by asking, so a session needs no header of our own page; another site's page cannot
//! read what a browser is given here, and is refused where the browser says who asks.

use super::Door;
use super::callers::{self, From};
use super::graphql::with_status;
use crate::export::Format;
use crate::service::exports::{ExportQuery, Subject};
use crate::service::visits::Credential;
use crate::service::{Code, ServiceError};
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;

/// Rows of one file at most; `salur export` has no such bound.
pub const MOST_ROWS: usize = 250_000;

pub async fn file(
    State(door): State<Door>,
    from: From,
    Path(name): Path<String>,
    Query(asked): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    match answer(&door, from, &name, asked, &headers).await {
        Ok(response) => response,
        Err(error) => with_status(status_of(error.code), error),
    }
}

async fn answer(
    door: &Door,
    from: From,
    name: &str,
    asked: HashMap<String, String>,
    headers: &HeaderMap,
) -> Result<Response, ServiceError> {
    let (subject, format) = name
        .split_once('.')
        .and_then(|(subject, format)| Some((Subject::from_word(subject)?, Format::from_word(format)?)))
        .ok_or_else(|| {
            let subjects = Subject::ALL.map(Subject::word).join(", ");
            let formats = Format::ALL.map(Format::word).join(", ");
            ServiceError::new(
                Code::NotFound,
                format!("there is no such file; ask for one of {subjects}, a dot, and one of {formats}"),
            )
        })?;
    let query = query(asked)?;
    let visit = callers::visit(headers, from.address);
    let credential = callers::credential(headers)?;
    if matches!(credential, Credential::Session(_)) {
        callers::of_our_own_origin(headers)?;
    }
    let actor = door.service.who_is(&credential, Some(&visit)).await?;
    door.service.admit_traffic(&actor, from.address)?;
    let (bytes, day) = door.service.export_file(&actor, subject, format, &query, MOST_ROWS).await?;
    let file = format!("attachment; filename=\"salur-{}-{day}.{}\"", subject.word(), format.word());
    let kept = [(CACHE_CONTROL, "no-store".to_owned()), (CONTENT_DISPOSITION, file)];
    let mut response = (kept, [(CONTENT_TYPE, format.media_type())], bytes).into_response();
    callers::hand_over(&visit, &mut response);
    Ok(response)
}

fn query(asked: HashMap<String, String>) -> Result<ExportQuery, ServiceError> {
    let mut query = ExportQuery::default();
    for (name, value) in asked {
        match name.as_str() {
            "area" => {
                let code = value.parse().map_err(|_| ServiceError::bad("area", "must be a code such as 31.71.01"))?;
                query.area = Some(code);
            }
            "program" => query.program = Some(value),
            "item" => query.item = Some(value),
            _ => return Err(ServiceError::bad("query", "takes area, program and item, and nothing else")),
        }
    }
    Ok(query)
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::BadInput => StatusCode::BAD_REQUEST,
        Code::TooComplex => StatusCode::PAYLOAD_TOO_LARGE,
        Code::KeyReused | Code::VersionConflict | Code::IllegalTransition => StatusCode::CONFLICT,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
