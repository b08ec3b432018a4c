//! Values and files that the tests of this room share.

use super::reference::{KnownArea, KnownItem, KnownProgram, Reference};
use super::source::SourceFile;
use crate::domain::program::ItemKind;
use std::path::PathBuf;

pub fn known(code: &str, name: &str) -> KnownArea {
    KnownArea {
        code: code.parse().expect("a code"),
        name: name.into(),
        label: None,
        bps_code: None,
        households: None,
        poor_households: None,
        point: None,
        shape: None,
        bounds: None,
    }
}

/// A village and an RW of it, with an item of food and one of money.
pub fn with_items() -> Reference {
    let item = |program: &str, key: &str, kind| KnownItem {
        program_key: program.into(),
        key: key.into(),
        name_id: key.into(),
        name_en: key.into(),
        unit: "unit".into(),
        kind,
    };
    let program =
        |key: &str| KnownProgram { key: key.into(), name_id: key.into(), name_en: key.into(), first_right_hours: 0 };
    Reference::new([known("31.71.01.1001", "Gambir"), known("31.71.01.1001.003", "RW 003")]).with_items(
        [program("PANGAN"), program("UMKM")],
        [item("PANGAN", "SEMBAKO", ItemKind::Food), item("UMKM", "MODAL", ItemKind::Capital)],
    )
}

pub fn file(name: &str, text: &str) -> SourceFile {
    SourceFile::new(name, text.as_bytes().to_vec()).expect("bytes")
}

/// A real file of the shared set, which lies outside the repository.
pub fn shared(path: &str) -> SourceFile {
    let root = std::env::var_os("SALUR_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    SourceFile::read(&root.join("data").join(path)).expect("the shared data lie in SALUR_SHARED")
}

/// A small generator for seeded tests (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }

    /// The bytes with one to eight bytes changed, dropped, doubled or exchanged for bytes that mean something.
    pub fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        const TELLING: &[u8] = b",;\t\n\r\"'{}[]:.-0919eE\\ \0\xff\xc3+\x1f";
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.roll(8) {
            let at = self.roll(bytes.len());
            match self.roll(6) {
                0 if !bytes.is_empty() => bytes[at] = self.roll(256) as u8,
                1 if !bytes.is_empty() => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, TELLING[self.roll(TELLING.len())]),
                3 if !bytes.is_empty() => bytes[at] = TELLING[self.roll(TELLING.len())],
                4 => bytes.truncate(at.max(1)),
                _ => {
                    let to = (at + self.roll(40)).min(bytes.len());
                    let part = bytes[at.min(to)..to].to_vec();
                    let into = self.roll(bytes.len());
                    bytes.splice(into..into, part);
                }
            }
        }
        bytes
    }
}
