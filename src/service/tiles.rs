//! Tiles of the map, drawn when they are first asked for and kept while there is room.

use super::{Service, ServiceError};
use crate::domain::place::Bounds;
use crate::tiles::{self, TileId};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Bytes of tiles that are kept; a city's are a few million.
const KEPT: usize = 64 << 20;

/// Tiles drawn at once: claims need the processor, too.
const HANDS: usize = 2;

/// A tile as it is sent, gzipped; empty where nothing lies in it.
pub type TileBytes = Arc<[u8]>;

/// What a map must know before it asks for tiles.
#[derive(Debug, Clone, Copy)]
pub struct Ground {
    pub edition: i64,
    /// Around all areas; `None` where none has a shape.
    pub bounds: Option<Bounds>,
}

/// Tiles of one edition, the oldest ones given up for new ones.
#[derive(Debug)]
pub(super) struct Shelf {
    tiles: Mutex<Kept>,
    hands: Semaphore,
}

#[derive(Debug, Default)]
struct Kept {
    edition: i64,
    tiles: HashMap<TileId, TileBytes>,
    order: VecDeque<TileId>,
    bytes: usize,
}

impl Default for Shelf {
    fn default() -> Self {
        Shelf { tiles: Mutex::default(), hands: Semaphore::new(HANDS) }
    }
}

impl Kept {
    fn put(&mut self, edition: i64, tile: TileId, bytes: TileBytes) {
        if edition > self.edition {
            *self = Kept { edition, ..Kept::default() };
        }
        if edition < self.edition || self.tiles.contains_key(&tile) {
            return;
        }
        self.bytes += bytes.len();
        self.tiles.insert(tile, bytes);
        self.order.push_back(tile);
        while self.bytes > KEPT {
            let Some(oldest) = self.order.pop_front().and_then(|oldest| self.tiles.remove(&oldest)) else { return };
            self.bytes -= oldest.len();
        }
    }
}

impl Shelf {
    fn get(&self, edition: i64, tile: TileId) -> Option<TileBytes> {
        let kept = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.edition == edition).then(|| kept.tiles.get(&tile).cloned()).flatten()
    }

    fn put(&self, edition: i64, tile: TileId, bytes: TileBytes) {
        self.tiles.lock().unwrap_or_else(PoisonError::into_inner).put(edition, tile, bytes);
    }
}

impl Service {
    /// What the tiles are of.
    pub fn ground_of_tiles(&self) -> Ground {
        let ground = self.atlas().ground();
        Ground { edition: ground.edition(), bounds: ground.bounds() }
    }

    /// The tile; `None` where the areas are of another edition by now.
    pub async fn tile(&self, edition: i64, tile: TileId) -> Result<Option<TileBytes>, ServiceError> {
        let shelf = &self.0.tiles;
        let ground = self.atlas().ground();
        if ground.edition() != edition {
            return Ok(None);
        }
        if let Some(bytes) = shelf.get(edition, tile) {
            return Ok(Some(bytes));
        }
        let turn = shelf.hands.acquire().await.map_err(|_| ServiceError::fault("tiles are drawn no longer"))?;
        // Somebody else may have drawn it meanwhile.
        if let Some(bytes) = shelf.get(edition, tile) {
            return Ok(Some(bytes));
        }
        let drawn = tokio::task::spawn_blocking(move || -> Result<TileBytes, String> {
            let bytes = tiles::encode(&ground, tile).map_err(|error| error.to_string())?;
            if bytes.is_empty() {
                return Ok(Arc::default());
            }
            let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
            zipped.write_all(&bytes).and_then(|()| zipped.finish()).map(Arc::from).map_err(|error| error.to_string())
        });
        let drawn = drawn.await.map_err(|error| error.to_string()).and_then(|drawn| drawn);
        drop(turn);
        let bytes = drawn.map_err(|error| ServiceError::fault(format!("a tile cannot be drawn: {error}")))?;
        shelf.put(edition, tile, bytes.clone());
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(x: u32) -> TileId {
        TileId::new(14, x, 0).expect("a tile")
    }

    #[test]
    fn the_shelf_gives_up_its_oldest_tiles_and_those_of_older_editions() {
        let shelf = Shelf::default();
        let large: TileBytes = vec![0; KEPT / 3].into();
        (0..4).for_each(|x| shelf.put(1, tile(x), large.clone()));
        assert!(shelf.get(1, tile(0)).is_none() && shelf.get(1, tile(1)).is_some() && shelf.get(1, tile(3)).is_some());
        shelf.put(2, tile(9), large.clone());
        shelf.put(1, tile(8), large);
        assert!(shelf.get(1, tile(3)).is_none() && shelf.get(2, tile(9)).is_some() && shelf.get(2, tile(8)).is_none());
    }
}
