//! GET /tiles/…: what a map draws. A tile's address names the edition, so its bytes never change and may
//! be kept for ever; `areas.json` tells which edition is the present one.

use super::Door;
use super::graphql::with_status;
use super::pages::{accepts, unchanged};
use crate::service::{Code, ServiceError};
use crate::tiles::{LAYOUT, MAX_ZOOM, TileId, layers};
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, body};
use flate2::read::GzDecoder;
use serde_json::json;
use std::io::Read;
use std::sync::Arc;

/// TileJSON, with the basemap that this server is set up with.
pub async fn description(State(door): State<Door>) -> Response {
    let ground = door.service.ground_of_tiles();
    let edition = ground.edition;
    let layers = layers().into_iter().map(|layer| {
        let fields: serde_json::Map<_, _> =
            layer.fields.iter().map(|(name, kind)| ((*name).into(), json!(kind))).collect();
        json!({ "id": layer.id, "fields": fields, "minzoom": layer.zooms.0, "maxzoom": layer.zooms.1 })
    });
    let described = json!({
        "tilejson": "3.0.0",
        "name": "Salur",
        "tiles": [format!("/tiles/{edition}/{{z}}/{{x}}/{{y}}.mvt?layout={LAYOUT}")],
        "minzoom": 0,
        "maxzoom": MAX_ZOOM,
        "vector_layers": layers.collect::<Vec<_>>(),
        "bounds": ground.bounds.map(|bounds| bounds.to_array()),
        "edition": edition,
        "basemap": door.pages.basemap,
    });
    ([(CACHE_CONTROL, "no-cache")], Json(described)).into_response()
}

pub async fn tile(
    State(door): State<Door>,
    Path((edition, z, x, y)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let wrong = || {
        let error = ServiceError::bad("path", "must be /tiles/EDITION/Z/X/Y.mvt of a tile that there is");
        with_status(StatusCode::NOT_FOUND, error)
    };
    let y = y.strip_suffix(".mvt").and_then(|y| y.parse().ok());
    let parsed = (|| Some((edition.parse::<i64>().ok()?, TileId::new(z.parse().ok()?, x.parse().ok()?, y?)?)))();
    let Some((edition, tile)) = parsed else { return wrong() };
    let bytes = match door.service.tile(edition, tile).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let error = ServiceError::new(Code::NotFound, "the areas have a newer edition; read /tiles/areas.json");
            return with_status(StatusCode::NOT_FOUND, error);
        }
        Err(error) => return with_status(StatusCode::INTERNAL_SERVER_ERROR, error),
    };
    let tag = format!("\"{edition}-{LAYOUT}\"");
    let kept =
        [(CACHE_CONTROL, "public, max-age=31536000, immutable"), (ETAG, tag.as_str()), (VARY, "accept-encoding")];
    if unchanged(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    if bytes.is_empty() {
        return (StatusCode::NO_CONTENT, kept).into_response();
    }
    let kind = [(CONTENT_TYPE, "application/vnd.mapbox-vector-tile")];
    if accepts(&headers, "gzip") {
        return (kept, kind, [(CONTENT_ENCODING, "gzip")], body::Bytes::from_owner(bytes)).into_response();
    }
    match unzipped(bytes) {
        Ok(plain) => (kept, kind, plain).into_response(),
        Err(error) => with_status(StatusCode::INTERNAL_SERVER_ERROR, ServiceError::fault(error.to_string())),
    }
}

fn unzipped(bytes: Arc<[u8]>) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut plain)?;
    Ok(plain)
}
