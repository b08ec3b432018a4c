//! GeoJSON feature collections. Geometries stay text until their row is known to be wanted, so that a
//! large file is held once.

use super::ImportError;
use super::cells::quote;
use super::source::SourceFile;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashSet;

#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    crs: Option<Value>,
    #[serde(borrow)]
    features: Option<Vec<Feature<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Feature<'a> {
    properties: Option<Map<String, Value>>,
    /// The geometry's text; `None` where it is null or missing.
    #[serde(borrow)]
    pub geometry: Option<&'a RawValue>,
}

impl Feature<'_> {
    /// A property as text; empty where it is missing, null, a list or an object.
    pub fn get(&self, property: &str) -> String {
        match self.properties.as_ref().and_then(|p| p.get(property)) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            _ => String::new(),
        }
    }
}

/// The features in their order, and the names of all their properties, each once.
pub(super) fn read(file: &SourceFile) -> Result<(Vec<Feature<'_>>, Vec<String>), ImportError> {
    let collection: Collection = serde_json::from_str(file.text()?).map_err(|e| {
        file.refuse(format!("is not well-formed GeoJSON: {e}; export it again, or mend that place in an editor"))
    })?;
    if collection.kind.as_deref() != Some("FeatureCollection") {
        let seen = collection.kind.map_or_else(|| "no type".into(), |kind| format!("the type {}", quote(&kind)));
        return Err(file.refuse(format!("has {seen}; a GeoJSON FeatureCollection is needed")));
    }
    if let Some(system) = collection.crs.as_ref().and_then(foreign_system) {
        let seen = quote(&system);
        return Err(file.refuse(format!(
            "declares the coordinate system {seen}; export it in WGS 84 degrees (EPSG:4326) and import that"
        )));
    }
    let features = collection.features.ok_or_else(|| file.refuse("is a FeatureCollection without features"))?;
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for name in features.iter().filter_map(|f| f.properties.as_ref()).flat_map(Map::keys) {
        if seen.insert(name.as_str()) {
            names.push(name.clone());
        }
    }
    Ok((features, names))
}

/// The declared coordinate system, if it is not WGS 84 in degrees.
fn foreign_system(crs: &Value) -> Option<String> {
    let name = crs.pointer("/properties/name").or_else(|| crs.pointer("/properties/code"))?;
    let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
    let plain = name.to_ascii_uppercase();
    let degrees = plain.ends_with("CRS84") || plain.rsplit([':', '/']).next() == Some("4326");
    (!degrees).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let file = SourceFile::new("f.geojson", text.as_bytes().to_vec()).expect("bytes");
        read(&file).map(|_| ()).expect_err("not a collection of ours").to_string()
    }

    #[test]
    fn properties_become_text_and_codes_keep_all_their_digits() {
        let text = r#"{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}},
            "features":[{"type":"Feature","id":1,"properties":{"K":3171011001003007,"N":null,"R":1.0,"S":"x"},"geometry":null},
            {"type":"Feature","properties":null,"geometry":{"type":"Point","coordinates":[1,2]}}]}"#;
        let file = SourceFile::new("f.geojson", text.as_bytes().to_vec()).expect("bytes");
        let (features, names) = read(&file).expect("a collection");
        assert_eq!(names, ["K", "N", "R", "S"]);
        let cells: Vec<String> = names.iter().map(|n| features[0].get(n)).collect();
        assert_eq!(cells, ["3171011001003007", "", "1.0", "x"]);
        assert!(features[0].geometry.is_none() && features[1].geometry.is_some());
    }

    #[test]
    fn what_is_no_collection_in_degrees_is_refused_with_the_place() {
        assert!(refusal(r#"{"type":"FeatureCollection","features":[}"#).contains("line 1 column"));
        assert!(refusal(r#"{"type":"Topology"}"#).contains("the type \"Topology\""));
        assert!(refusal(r#"{"type":"FeatureCollection"}"#).contains("without features"));
        let utm =
            r#"{"type":"FeatureCollection","crs":{"properties":{"name":"urn:ogc:def:crs:EPSG::32749"}},"features":[]}"#;
        assert!(refusal(utm).contains("EPSG::32749"));
        assert!(refusal(&("{\"type\":".to_owned() + &"[".repeat(100_000))).contains("not well-formed"));
    }
}
