//! The page: its files are built into the program, squeezed beforehand; while one works on it they are
//! read from disk instead. Everything it needs comes from here, and the browser is told to hold it to that.

use super::Door;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::Embed;
use std::borrow::Cow;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Embed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

/// The page's settings.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    /// Read the files from here at each request.
    pub directory: Option<PathBuf>,
    /// The address of a style to lie under the map; its host is then allowed to be asked.
    pub basemap: Option<String>,
}

/// Addresses that the page itself takes care of, by their first part.
const SCREENS: [&str; 15] = [
    "",
    "w",
    "keranjang",
    "klaim",
    "penyaluran",
    "rw",
    "tawaran",
    "audit",
    "admin",
    "masuk",
    "daftar",
    "sandi",
    "undangan",
    "akun",
    "lembaga",
];

struct File {
    bytes: Cow<'static, [u8]>,
    tag: String,
}

/// The plain page about the API.
pub async fn api() -> Html<&'static str> {
    Html(include_str!("api.html"))
}

/// A file of the page, or the page itself at one of its addresses.
pub async fn page(State(door): State<Door>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return not_found();
    }
    let path = uri.path().trim_start_matches('/');
    if SCREENS.contains(&path.split('/').next().unwrap_or_default()) && path.split('/').count() <= 2 {
        if door.pages.file("index.html").await.is_none() {
            return not_built();
        }
        let mut response = door.pages.send("index.html", "no-cache", &headers).await;
        if path.is_empty() && door.pages.directory.is_none() {
            response.headers_mut().extend(map_ahead().map(|link| (LINK, link)));
        }
        return response;
    }
    // A name with a fingerprint in it always has the same bytes.
    let keep = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    door.pages.send(path, keep, &headers).await
}

/// The map's scripts and looks, for a browser to fetch while it reads the page: the first screen has one, others
/// seldom. Its worker is fetched by whoever runs it.
fn map_ahead() -> impl Iterator<Item = HeaderValue> {
    let of_map = |name: &str| {
        (name.starts_with("assets/Map-") || name.starts_with("assets/maplibre-")) && !name.contains("worker")
    };
    Built::iter().filter(move |name| of_map(name)).filter_map(|name| {
        let how = match name.rsplit_once('.')?.1 {
            "js" => "modulepreload",
            "css" => "preload; as=style",
            _ => return None,
        };
        HeaderValue::try_from(format!("</{name}>; rel={how}")).ok()
    })
}

pub(super) fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "there is no such page; the map is /, the API is POST /graphql\n").into_response()
}

fn not_built() -> Response {
    let words = "The page is not in this build of Salur: `make run` builds it (or `make web`, then build again). \
                 The API works: see /api\n";
    (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
}

impl Pages {
    async fn file(&self, path: &str) -> Option<File> {
        match &self.directory {
            None => {
                let file = Built::get(path)?;
                let tag = file.metadata.sha256_hash()[..12].iter().fold(String::new(), |mut tag, byte| {
                    let _ = write!(tag, "{byte:02x}");
                    tag
                });
                Some(File { bytes: file.data, tag })
            }
            Some(directory) => {
                let plain = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
                let bytes = if plain { tokio::fs::read(directory.join(path)).await.ok()? } else { return None };
                Some(File { bytes: bytes.into(), tag: String::new() })
            }
        }
    }

    async fn send(&self, path: &str, keep: &'static str, headers: &HeaderMap) -> Response {
        let Some(kind) = kind(path) else { return not_found() };
        let mut found = None;
        for (coding, ending) in [("br", ".br"), ("gzip", ".gz")] {
            if self.directory.is_none() && accepts(headers, coding) {
                found = self.file(&format!("{path}{ending}")).await.map(|file| (file, Some(coding)));
                if found.is_some() {
                    break;
                }
            }
        }
        if found.is_none() {
            found = self.file(path).await.map(|file| (file, None));
        }
        let Some((file, coding)) = found else { return not_found() };
        let tag = (!file.tag.is_empty()).then(|| format!("\"{}\"", file.tag));
        let mut response = match tag.as_deref().is_some_and(|tag| unchanged(headers, tag)) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => Body::from(file.bytes).into_response(),
        };
        let sent = response.headers_mut();
        sent.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        sent.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
        sent.insert(VARY, HeaderValue::from_static("accept-encoding"));
        sent.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(coding) = coding {
            sent.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        if let Some(tag) = tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
            sent.insert(ETAG, tag);
        }
        if path == "index.html" {
            sent.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        }
        // A worker is held to what came with its own script: the map's asks for tiles.
        if (path == "index.html" || kind == SCRIPT)
            && let Ok(policy) = HeaderValue::try_from(self.policy())
        {
            sent.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    /// Whom the page may ask, and what it may run: this server, and the host of a basemap where one is set.
    fn policy(&self) -> String {
        let host = self.basemap.as_deref().and_then(origin).map(|origin| format!(" {origin}")).unwrap_or_default();
        format!(
            "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:{host}; \
             connect-src 'self'{host}; font-src 'self'{host}; worker-src 'self'; object-src 'none'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'"
        )
    }
}

fn origin(address: &str) -> Option<&str> {
    let host = address.find("://")? + 3;
    let end = address[host..].find('/').map_or(address.len(), |slash| host + slash);
    address.get(..end)
}

const SCRIPT: &str = "text/javascript";

fn kind(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => SCRIPT,
        "css" => "text/css",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// True where the caller takes the coding; one that is given no weight is refused.
pub(super) fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let all = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case(coding) && !refused
    })
}

/// True where the caller holds what the tag stands for.
pub(super) fn unchanged(headers: &HeaderMap, tag: &str) -> bool {
    let held = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    held.flat_map(|value| value.split(',')).any(|held| held.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(axum::http::HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_coding_is_sent_to_those_who_take_it() {
        for (offered, brotli) in [("gzip, br", true), ("gzip, BR;q=0.5", true), ("br;q=0", false), ("gzip", false)] {
            assert_eq!(accepts(&headers("accept-encoding", offered), "br"), brotli, "{offered}");
        }
        assert!(!accepts(&HeaderMap::new(), "gzip"));
    }

    #[test]
    fn the_page_may_ask_the_host_of_a_basemap_and_no_other() {
        let policy = |basemap: Option<&str>| Pages { directory: None, basemap: basemap.map(Into::into) }.policy();
        assert!(!policy(None).contains("http"), "{}", policy(None));
        let with = policy(Some("https://maps.example/styles/quiet.json"));
        assert!(with.contains("connect-src 'self' https://maps.example;"), "{with}");
        assert!(with.contains("script-src 'self';"), "{with}");
    }

    #[tokio::test]
    async fn a_script_that_runs_as_a_worker_may_ask_what_the_page_may() {
        let directory = std::env::temp_dir().join(format!("salur_pages_{}", std::process::id()));
        std::fs::create_dir(&directory).expect("the directory's name is unique");
        std::fs::write(directory.join("worker.js"), "fetch('/tiles/areas.json')").expect("a file is written");
        let pages = Pages { directory: Some(directory.clone()), basemap: None };
        let response = pages.send("worker.js", "no-cache", &HeaderMap::new()).await;
        let policy = response.headers().get(CONTENT_SECURITY_POLICY).and_then(|p| p.to_str().ok()).unwrap_or_default();
        assert!(policy.contains("connect-src 'self'"), "{policy}");
        std::fs::remove_dir_all(directory).expect("the directory is there");
    }

    #[tokio::test]
    async fn nothing_outside_of_the_directory_is_read() {
        let pages = Pages { directory: Some(PathBuf::from("src/http")), basemap: None };
        assert!(pages.file("api.html").await.is_some());
        for path in ["../lib.rs", "../http/api.html", "/etc/hostname", "./../../Cargo.toml", ""] {
            assert!(pages.file(path).await.is_none(), "{path}");
        }
    }
}
