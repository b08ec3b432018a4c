//! Who calls, as far as the headers say: a key, a browser's session, an address.
//!
//! A browser sends its cookies along wherever a page asks it to. So a request that comes with a
//! session must also say that it comes from our own page: with a header that no foreign page can set
//! without asking, and, where the browser names it, with our own origin.

use crate::service::visits::{Credential, Keepsake, Visit, digest};
use crate::service::{Code, ServiceError};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, SET_COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

/// Only over TLS or to this machine, for the whole site and no other: what `__Host-` makes browsers hold.
const SESSION: &str = "__Host-salur";
const DEVICE: &str = "__Host-salur-device";

/// Must be there, whatever it says, where a session is.
const OUR_OWN: &str = "salur-page";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// A browser is known again for a year.
const DEVICE_SECONDS: i64 = 365 * 86_400;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct From {
    pub address: Option<IpAddr>,
}

/// Said by the operator: the last hop is a proxy of ours that names whom it answers.
#[derive(Debug, Clone, Copy)]
pub struct BehindProxy;

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let named = parts.extensions.get::<BehindProxy>().and_then(|_| {
            // The last one is what our proxy added; those before it say what they like.
            let all = parts.headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            all.rsplit(',').next()?.trim().parse().ok()
        });
        Ok(From { address: named.or(peer) })
    }
}

/// A cookie's value. Where there are two of one name, somebody meddles, and neither counts.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut found = all.flat_map(|header| header.split(';')).filter_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name && !value.is_empty()).then_some(value)
    });
    found.next().filter(|_| found.next().is_none())
}

/// What the caller shows. Both a key and a session are one too many: it would not be clear for whom it is
/// done.
pub fn credential(headers: &HeaderMap) -> Result<Credential, ServiceError> {
    let bearer = headers.get(AUTHORIZATION).map(|header| header.to_str().unwrap_or_default());
    match (bearer, cookie(headers, SESSION)) {
        (Some(_), Some(_)) => {
            Err(ServiceError::bad("authorization", "send an API key or a session's cookie, not both"))
        }
        (Some(header), None) => by_bearer(header),
        (None, Some(token)) => Ok(Credential::Session(digest(token))),
        (None, None) => Ok(Credential::Nobody),
    }
}

/// The key of `Bearer KEY`.
pub fn by_bearer(header: &str) -> Result<Credential, ServiceError> {
    match header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        Some((_, key)) => Ok(Credential::Key(digest(key.trim()))),
        None => Err(ServiceError::new(Code::Unauthenticated, "the API key is unknown, expired or revoked")),
    }
}

/// Refuses a session's request that a foreign page may have made the browser send.
pub fn of_our_own_page(headers: &HeaderMap) -> Result<(), ServiceError> {
    if !headers.contains_key(OUR_OWN) {
        return Err(ServiceError::new(Code::Forbidden, "a request with a session needs the header Salur-Page: 1"));
    }
    of_our_own_origin(headers)
}

/// As [`of_our_own_page`], for what can send no header of its own: a WebSocket.
pub fn of_our_own_origin(headers: &HeaderMap) -> Result<(), ServiceError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(SEC_FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    let host = text(HOST.as_str()).unwrap_or_default();
    let origin = text(ORIGIN.as_str()).is_none_or(|origin| {
        let bare = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        bare.is_some_and(|bare| bare.eq_ignore_ascii_case(host))
    });
    if site && origin {
        return Ok(());
    }
    Err(ServiceError::new(Code::Forbidden, "another site's page may not use this session"))
}

/// What else matters of a request.
pub fn visit(headers: &HeaderMap, address: Option<IpAddr>) -> Visit {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Visit::new(address, label(agent), cookie(headers, DEVICE).map(digest))
}

/// A browser and its machine in two words, for people who look for their own; no more of it is kept.
fn label(agent: &str) -> String {
    let first =
        |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox", "Firefox"),
        ("Chrome", "Chrome"),
        ("Safari", "Safari"),
    ]);
    let machine = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, machine) {
        (Some(browser), Some(machine)) => format!("{browser}, {machine}"),
        (Some(one), None) | (None, Some(one)) => one.into(),
        (None, None) => "?".into(),
    }
}

/// Gives the browser what it is to keep, and keeps the answer out of every cache.
pub fn hand_over(visit: &Visit, response: &mut Response) {
    for keepsake in visit.take_keepsakes() {
        let (name, value, seconds) = match &keepsake {
            Keepsake::Session { token, seconds } => (SESSION, token.as_str(), *seconds),
            Keepsake::NoSession => (SESSION, "", 0),
            Keepsake::Device(device) => (DEVICE, device.as_str(), DEVICE_SECONDS),
        };
        let cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_request_shows_a_key_or_a_session_and_never_both() {
        assert_eq!(credential(&headers(&[])).ok(), Some(Credential::Nobody));
        let session = credential(&headers(&[("cookie", "a=b; __Host-salur=token; c=d")]));
        assert_eq!(session.ok(), Some(Credential::Session(digest("token"))));
        assert_eq!(credential(&headers(&[("authorization", "bearer k")])).ok(), Some(Credential::Key(digest("k"))));
        let both = credential(&headers(&[("authorization", "Bearer k"), ("cookie", "__Host-salur=t")]));
        assert_eq!(both.map_err(|e| e.code), Err(Code::BadInput));
        let twice = credential(&headers(&[("cookie", "__Host-salur=a; __Host-salur=b")]));
        assert_eq!(twice.ok(), Some(Credential::Nobody));
        assert!(credential(&headers(&[("authorization", "Basic k")])).is_err());
    }

    #[test]
    fn a_session_serves_our_own_page_alone() {
        let own = [("salur-page", "1"), ("host", "salur.example"), ("origin", "https://salur.example")];
        assert_eq!(of_our_own_page(&headers(&own)), Ok(()));
        assert_eq!(of_our_own_page(&headers(&own[..2])), Ok(()));
        assert!(of_our_own_page(&headers(&own[1..])).is_err());
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "https://salur.example.evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let pairs = [("salur-page", "1"), ("host", "salur.example"), (name, value)];
            assert!(of_our_own_page(&headers(&pairs)).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn a_browser_is_kept_in_two_words() {
        let phone = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile Safari/537.36";
        assert_eq!(label(phone), "Chrome, Android");
        assert_eq!(label("curl/8"), "?");
    }
}
