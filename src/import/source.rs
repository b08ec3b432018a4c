//! A file as it was handed in: its bytes, unpacked where they were gzipped, and what they look like.

use super::ImportError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest file that is read, packed or unpacked: 1 GiB. All villages of the country at full
/// precision fit; a small archive that unpacks without end does not.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// A file's name, for messages, and its unpacked bytes.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: String,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    GeoJson,
}

impl SourceFile {
    /// Bytes that came from anywhere; gzipped ones, known by their first two bytes, are unpacked.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, ImportError> {
        let name = name.into();
        let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
            bounded(MultiGzDecoder::new(bytes.as_slice()), &name)?
        } else {
            bytes
        };
        Ok(SourceFile { name, bytes })
    }

    /// Reads the file at `path`; its last part becomes the name.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let name = path.file_name().map_or_else(|| path.to_string_lossy(), |n| n.to_string_lossy()).into_owned();
        let file =
            File::open(path).map_err(|e| ImportError::new(path.to_string_lossy(), format!("cannot be opened: {e}")))?;
        if file.metadata().is_ok_and(|m| m.is_dir()) {
            return Err(ImportError::new(name, "is a folder; name the files in it"));
        }
        let bytes = bounded(file, &name)?;
        SourceFile::new(name, bytes)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes as text without byte order mark.
    pub(super) fn text(&self) -> Result<&str, ImportError> {
        let bytes = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes);
        std::str::from_utf8(bytes).map_err(|e| {
            let line = 1 + bytes.iter().take(e.valid_up_to()).filter(|b| **b == b'\n').count();
            self.refuse(format!("line {line} is not UTF-8 text; save the file as UTF-8 and import it again"))
        })
    }

    /// What the content is, whatever the name says; a sentence where it is nothing that is read here.
    pub(super) fn format(&self) -> Result<Format, ImportError> {
        let bytes = self.bytes.as_slice();
        let holds = |needle: &[u8]| bytes.windows(needle.len()).take(1 << 20).any(|w| w == needle);
        let name = self.name.to_ascii_lowercase();
        let seen = if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
            if name.ends_with(".xlsx") || holds(b"[Content_Types].xml") {
                "is an Excel workbook; save the sheet as CSV (UTF-8) and import that"
            } else if name.contains(".shp") || holds(b".shp") {
                "is a zipped shapefile; convert it to GeoJSON in WGS 84 (ogr2ogr -t_srs EPSG:4326 areas.geojson LAYER.shp) and import that"
            } else {
                "is a zip archive; unpack it and import the CSV or GeoJSON file in it"
            }
        } else if bytes.starts_with(&[0x00, 0x00, 0x27, 0x0a]) {
            "is a shapefile; convert it to GeoJSON in WGS 84 (ogr2ogr -t_srs EPSG:4326 areas.geojson LAYER.shp) and import that"
        } else if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
            "is an old Excel workbook; save the sheet as CSV (UTF-8) and import that"
        } else if bytes.starts_with(b"SQLite format 3") {
            "is a GeoPackage or another SQLite file; convert the layer to GeoJSON in WGS 84 and import that"
        } else if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            "is UTF-16 text; save it as UTF-8 and import that"
        } else if bytes.iter().take(4096).any(|b| *b == 0) {
            "is neither CSV nor GeoJSON but some binary format; export it as one of the two"
        } else {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            match text.iter().find(|b| !b.is_ascii_whitespace()) {
                None => "is empty; name a CSV or GeoJSON file with rows",
                Some(b'{') => return Ok(Format::GeoJson),
                Some(b'[') => "is a JSON list; areas come as a GeoJSON FeatureCollection or as CSV",
                Some(b'<') => "is XML, KML or HTML; convert it to GeoJSON in WGS 84 or to CSV and import that",
                Some(_) => return Ok(Format::Table),
            }
        };
        Err(self.refuse(seen))
    }

    pub(super) fn refuse(&self, reason: impl Into<String>) -> ImportError {
        ImportError::new(self.name.clone(), reason)
    }
}

fn bounded(from: impl Read, name: &str) -> Result<Vec<u8>, ImportError> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| ImportError::new(name, format!("cannot be read to its end: {e}; fetch it again")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ImportError::new(name, "holds more than 1 GiB; split it, for example by city"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn refusal(name: &str, bytes: &[u8]) -> String {
        SourceFile::new(name, bytes.to_vec()).and_then(|f| f.format()).expect_err("not a readable format").to_string()
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_a_broken_one_is_refused() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(b"code,name\n31,DKI\n").expect("writes to memory");
        let packed = packed.finish().expect("writes to memory");
        let file = SourceFile::new("x.bin", packed.clone()).expect("unpacks");
        assert_eq!(file.text(), Ok("code,name\n31,DKI\n"));
        assert_eq!(file.format(), Ok(Format::Table));
        let cut = SourceFile::new("x.gz", packed[..packed.len() - 9].to_vec()).expect_err("cut short");
        assert!(cut.to_string().contains("cannot be read to its end"), "{cut}");
    }

    #[test]
    fn formats_that_are_not_read_are_named_with_what_to_do() {
        assert!(refusal("a.xlsx", b"PK\x03\x04....").contains("Excel workbook; save the sheet as CSV"));
        assert!(refusal("a.zip", b"PK\x03\x04..layer.shp..").contains("zipped shapefile; convert it to GeoJSON"));
        assert!(refusal("a.shp", &[0, 0, 0x27, 0x0a, 0]).contains("shapefile"));
        assert!(refusal("a.csv", b"\xff\xfec\0o\0").contains("UTF-16"));
        assert!(refusal("a.csv", b" \n").contains("empty"));
        assert!(refusal("a.kml", b"<kml>").contains("KML"));
        assert!(refusal("a.json", b"[1]").contains("JSON list"));
        let latin = SourceFile::new("a.csv", b"code,name\n31,Caf\xe9\n".to_vec()).expect("bytes");
        assert!(latin.text().expect_err("not UTF-8").to_string().contains("line 2 is not UTF-8"));
    }
}
