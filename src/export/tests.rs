//! Small tables, read back as others read them.

use super::*;
use serde_json::json;

fn about() -> About {
    About { title: "needs", said: vec![("read_at", "2026-03-01T00:00:00Z".into()), ("area", "31.71".into())] }
}

const COLUMNS: [Column; 4] = [
    Column { name: "code", tag: Some("#adm4+code") },
    Column { name: "name", tag: None },
    Column { name: "unmet", tag: Some("#value") },
    Column { name: "lat", tag: Some("#geo+lat") },
];

fn row(name: &str, number: i64, lat: f64) -> Row {
    let cells = vec![Cell::text("31.71.01.1001"), Cell::text(name), Cell::Number(number), Cell::Degrees(lat)];
    Row { cells, place: Some(json!({"type": "Point", "coordinates": [106.8, lat]})) }
}

fn written(format: Format, rows: Vec<Row>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = rows.len();
    let told = write(format, &about(), &COLUMNS, rows.into_iter(), &mut bytes).expect("memory takes it");
    assert_eq!(told, count);
    bytes
}

#[test]
fn a_text_that_looks_like_a_formula_is_a_text_and_a_negative_number_a_number() {
    let rows = ["=1+1", "+62", "-x", "@SUM(A1)", "\tx", "\rx"].map(|name| row(name, -5, -6.25)).to_vec();
    let text = String::from_utf8(written(Format::Csv, rows)).expect("UTF-8");
    let mut read = ::csv::Reader::from_reader(text.as_bytes());
    let records: Vec<::csv::StringRecord> = read.records().map(|r| r.expect("a record")).collect();
    assert_eq!(&records[0], &::csv::StringRecord::from(vec!["#adm4+code", "", "#value", "#geo+lat"]));
    for record in &records[1..] {
        assert!(record[1].starts_with('\''), "{record:?}");
        assert_eq!((&record[2], &record[3]), ("-5", "-6.25"));
    }
}

#[test]
fn a_table_without_tags_has_no_row_of_them() {
    let columns = [Column { name: "a", tag: None }];
    let mut bytes = Vec::new();
    let rows = vec![Row { cells: vec![Cell::Empty], place: None }];
    write(Format::Csv, &about(), &columns, rows.into_iter(), &mut bytes).expect("memory takes it");
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), "a\n\"\"\n");
}

#[test]
fn geojson_has_a_feature_a_row_and_says_what_it_is() {
    for count in [0, 1, 3] {
        let rows = (0..count).map(|n| row("=x", n, -6.2)).collect();
        let read: Value = serde_json::from_slice(&written(Format::Geojson, rows)).expect("JSON");
        let features = read["features"].as_array().expect("features");
        assert_eq!(features.len() as i64, count);
        for (n, feature) in features.iter().enumerate() {
            assert_eq!(feature["properties"]["unmet"], json!(n));
            assert_eq!(feature["properties"]["name"], "=x");
            assert_eq!(feature["geometry"]["coordinates"], json!([106.8, -6.2]));
        }
        assert_eq!(read["about"]["rows"], json!(count));
        assert_eq!(read["about"]["area"], "31.71");
        assert_eq!(read["about"]["hxl"]["code"], "#adm4+code");
    }
}

#[test]
fn a_workbook_is_a_zip_with_both_sheets() {
    let bytes = written(Format::Xlsx, vec![row("=cmd()", 9_007_199_254_740_991, -6.2)]);
    assert_eq!(&bytes[..2], b"PK");
}
