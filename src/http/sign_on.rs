//! The way to a city's single sign-on and back. A browser keeps the flow's secret in a cookie of ten
//! minutes; its answer ends in the same session as any other.

use super::Door;
use super::callers::{self, From};
use crate::service::visits::Visit;
use crate::service::{Code, ServiceError};
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

const FLOW: &str = "__Host-salur-sign-on";
const FLOW_SECONDS: u32 = 600;

#[derive(Deserialize)]
pub struct Start {
    #[serde(rename = "return")]
    return_to: Option<String>,
}

#[derive(Deserialize)]
pub struct Callback {
    code: Option<String>,
    #[serde(default)]
    state: String,
}

/// A page of ours, or the front page: nobody is sent elsewhere by a link that begins here.
fn own(path: Option<&str>) -> &str {
    let sound = |path: &&str| {
        path.len() <= 500
            && path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    path.filter(sound).unwrap_or("/")
}

pub async fn start(State(door): State<Door>, from: From, headers: HeaderMap, Query(asked): Query<Start>) -> Response {
    let visit = callers::visit(&headers, from.address);
    match door.service.begin_sign_on(&visit).await {
        Ok(Some(departure)) => {
            let kept = format!("{}.{}", departure.secret, URL_SAFE_NO_PAD.encode(own(asked.return_to.as_deref())));
            gone_to(&departure.address, &kept, FLOW_SECONDS)
        }
        Ok(None) => super::pages::not_found().into_response(),
        Err(error) => refused(error),
    }
}

pub async fn callback(
    State(door): State<Door>,
    from: From,
    headers: HeaderMap,
    Query(brought): Query<Callback>,
) -> Response {
    let visit = callers::visit(&headers, from.address);
    let kept = callers::cookie(&headers, FLOW).and_then(|kept| kept.split_once('.'));
    let path = kept.and_then(|(_, path)| String::from_utf8(URL_SAFE_NO_PAD.decode(path).ok()?).ok());
    let secret = kept.map(|(secret, _)| secret);
    match end(&door, &visit, secret, brought).await {
        Ok(()) => {
            let mut response = gone_to(own(path.as_deref()), "", 0);
            callers::hand_over(&visit, &mut response);
            response
        }
        Err(error) => refused(error),
    }
}

async fn end(door: &Door, visit: &Visit, secret: Option<&str>, brought: Callback) -> Result<(), ServiceError> {
    let none = || ServiceError::new(Code::Forbidden, "your city's sign-on did not sign you in; begin it again");
    let code = brought.code.ok_or_else(none)?;
    door.service.end_sign_on(visit, secret, &brought.state, code).await.map(|_| ())
}

/// Sends the browser on, and sets the flow's cookie.
fn gone_to(address: &str, kept: &str, seconds: u32) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let cookie = format!("{FLOW}={kept}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    let headers = response.headers_mut();
    for (name, value) in [(LOCATION, address), (SET_COOKIE, &cookie), (CACHE_CONTROL, "no-store")] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// A page for people. What it says is ours; nothing that was sent is in it.
fn refused(error: ServiceError) -> Response {
    let status = match error.code {
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::FORBIDDEN,
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"id\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Salur</title>\n<h1>Anda belum masuk</h1>\n<p>Masuk lewat akun kota tidak berhasil. Silakan coba lagi, atau \
         hubungi pengelola lembaga Anda.</p>\n<p lang=\"en\">You are not signed in: {}.</p>\n<p><a href=\"/\">Salur</a></p>\n",
        error.message
    );
    let mut response = (status, [(CACHE_CONTROL, "no-store")], Html(page)).into_response();
    let cookie = format!("{FLOW}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::own;

    #[test]
    fn nobody_is_sent_away_from_here() {
        assert_eq!(own(Some("/peta?area=31.71#x")), "/peta?area=31.71#x");
        for elsewhere in
            ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil", "", "/ä"]
        {
            assert_eq!(own(Some(elsewhere)), "/", "{elsewhere:?}");
        }
        assert_eq!(own(None), "/");
    }
}
