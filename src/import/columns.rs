//! Which column of a file means what. Known names are tried; `--map` has the last word.

use super::ImportError;
use super::source::SourceFile;
use super::table::{is_column, listed};
use crate::domain::area::AreaLevel;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Whose codes a file holds. The two look alike and mean different places: 3171 is Jakarta Pusat in
/// the one and Jakarta Selatan in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeSystem {
    /// The Ministry of Home Affairs.
    Kemendagri,
    /// Statistics Indonesia.
    Bps,
}

impl FromStr for CodeSystem {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "kemendagri" => Ok(CodeSystem::Kemendagri),
            "bps" => Ok(CodeSystem::Bps),
            _ => Err("code systems are kemendagri (the Ministry's) and bps (Statistics Indonesia's)".into()),
        }
    }
}

/// What a column may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// A code of the row's area, or of the village it lies in.
    Code,
    /// The area's own name, from the province down to the village; of RW and RT a name beside their number.
    Name,
    Level,
    City,
    District,
    Village,
    Rw,
    Rt,
    /// The code's four parts, each a number that may have lost its zeros.
    PartProvince,
    PartCity,
    PartDistrict,
    PartVillage,
    Lon,
    Lat,
    Wkt,
    Households,
    PoorHouseholds,
    /// The BPS code, beside the Ministry's.
    Bps,
}

impl Field {
    pub const ALL: [Field; 18] = [
        Field::Code,
        Field::Name,
        Field::Level,
        Field::City,
        Field::District,
        Field::Village,
        Field::Rw,
        Field::Rt,
        Field::PartProvince,
        Field::PartCity,
        Field::PartDistrict,
        Field::PartVillage,
        Field::Lon,
        Field::Lat,
        Field::Wkt,
        Field::Households,
        Field::PoorHouseholds,
        Field::Bps,
    ];

    /// The word in `--map` and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Field::Code => "code",
            Field::Name => "name",
            Field::Level => "level",
            Field::City => "city",
            Field::District => "district",
            Field::Village => "village",
            Field::Rw => "rw",
            Field::Rt => "rt",
            Field::PartProvince => "no_prop",
            Field::PartCity => "no_kab",
            Field::PartDistrict => "no_kec",
            Field::PartVillage => "no_kel",
            Field::Lon => "lon",
            Field::Lat => "lat",
            Field::Wkt => "wkt",
            Field::Households => "households",
            Field::PoorHouseholds => "poor_households",
            Field::Bps => "bps",
        }
    }

    pub(super) const PARTS: [Field; 4] =
        [Field::PartProvince, Field::PartCity, Field::PartDistrict, Field::PartVillage];
}

/// What `--map` says: `code=KODE,rw=NO_RW`. A field given as `-` is looked for in no column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMap(BTreeMap<Field, String>);

impl FromStr for ColumnMap {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut map = BTreeMap::new();
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (word, column) =
                pair.split_once('=').ok_or_else(|| format!("--map takes FIELD=COLUMN, not {pair:?}"))?;
            let field = Field::ALL.into_iter().find(|f| is_column(word, f.word())).ok_or_else(|| {
                let words: Vec<&str> = Field::ALL.iter().map(|f| f.word()).collect();
                format!("--map does not know {:?}; its fields are {}", word.trim(), words.join(", "))
            })?;
            if column.trim().is_empty() {
                return Err(format!("--map {}= needs a column, or - for none", field.word()));
            }
            if map.insert(field, column.trim().to_owned()).is_some() {
                return Err(format!("--map gives {} twice", field.word()));
            }
        }
        Ok(ColumnMap(map))
    }
}

/// A file's columns by meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mapping(BTreeMap<Field, usize>);

impl Mapping {
    pub fn column(&self, field: Field) -> Option<usize> {
        self.0.get(&field).copied()
    }

    pub fn has(&self, field: Field) -> bool {
        self.0.contains_key(&field)
    }

    pub fn used(&self) -> Vec<usize> {
        self.0.values().copied().collect()
    }

    /// From our word to the file's.
    pub fn described(&self, header: &[String]) -> BTreeMap<&'static str, String> {
        self.0.iter().filter_map(|(field, at)| Some((field.word(), header.get(*at)?.clone()))).collect()
    }
}

const CITY: &[&str] = &[
    "city",
    "kab_name",
    "kab_kota",
    "nama_kota",
    "nama_kab",
    "nama_kabkota",
    "kabupaten_kota",
    "kota_kabupaten",
    "wadmkk",
    "wilayah",
    "kota",
    "kabupaten",
    "regency",
    "is_in:city",
];
const DISTRICT: &[&str] = &[
    "district",
    "kec_name",
    "kecamatan",
    "nama_kecamatan",
    "nama_kec",
    "wadmkc",
    "is_in:municipality",
    "subdistricts",
];
const VILLAGE: &[&str] = &[
    "village",
    "kel_name",
    "kelurahan",
    "nama_kelurahan",
    "nama_kel",
    "desa",
    "nama_desa",
    "desa_kelur",
    "desa_kelurahan",
    "wadmkd",
    "is_in:village",
    "villages",
];
const PROVINCE: &[&str] = &["province", "provinsi", "nama_provinsi", "nama_prop", "wadmpr", "prov_name"];
const BPS: &[&str] = &["bps", "bps_code", "kode_bps", "kdebps", "kode_bps_2020"];
const VILLAGE_CODE: &[&str] =
    &["kode_desa", "kode_kel", "kode_kelurahan", "id_kel", "kelurahan_", "village_code", "kdepum"];

/// Column names seen in real files, the surest first.
fn known(field: Field, level: Option<AreaLevel>, codes: Option<CodeSystem>) -> Vec<&'static str> {
    use AreaLevel::{City, District, Province, Rt, Rw, Village};
    let mut names: Vec<&'static str> = Vec::new();
    match field {
        Field::Code => {
            if codes == Some(CodeSystem::Bps) {
                names.extend(BPS);
            }
            names.push("code");
            names.extend(match level {
                Some(Province) => &["kode_prov", "kode_provinsi", "province_code"][..],
                Some(City) => &["kode_kab", "kode_kota", "kode_kabkota", "regency_code", "city_code", "kdpkab"],
                Some(District) => &["kode_kec", "kode_kecamatan", "district_code", "id_kec", "kdcpum"],
                Some(Village) => VILLAGE_CODE,
                Some(Rw) => &["kode_rw", "rw_code", "rw_id"],
                Some(Rt) => &["kode_rt", "rt_code", "id_rt_ar"],
                None => &[],
            });
            names.extend(["kode", "kode_wilayah", "area_code"]);
            if matches!(level, Some(Rw | Rt)) {
                names.extend(VILLAGE_CODE);
            }
        }
        Field::Name => {
            names.extend(match level {
                Some(Province) => PROVINCE,
                Some(City) => CITY,
                Some(District) => DISTRICT,
                Some(Village) => VILLAGE,
                Some(Rw | Rt) | None => &[],
            });
            // At RW and RT a column NAMA may well name a person.
            names.push("name");
            if !matches!(level, Some(Rw | Rt)) {
                names.push("nama");
            }
        }
        Field::Level => names.push("level"),
        Field::City if level > Some(City) => names.extend(CITY),
        Field::District if level > Some(District) => names.extend(DISTRICT),
        Field::Village if level > Some(Village) => names.extend(VILLAGE),
        Field::City | Field::District | Field::Village => {}
        Field::Rw => names.extend(["rw", "no_rw", "nama_rw", "rw_name"]),
        Field::Rt => names.extend(["rt", "no_rt", "nama_rt", "rt_name"]),
        Field::Lon => names.extend(["lon", "lng", "long", "longitude", "bujur"]),
        Field::Lat => names.extend(["lat", "latitude", "lintang"]),
        Field::Wkt => names.push("wkt"),
        Field::Households => names.extend(["households", "jumlah_kk", "jml_kk"]),
        Field::PoorHouseholds => names.extend(["poor_households", "jumlah_kk_miskin", "kk_miskin"]),
        Field::Bps => names.extend(BPS),
        Field::PartProvince | Field::PartCity | Field::PartDistrict | Field::PartVillage => names.push(field.word()),
    }
    names
}

/// Maps columns for areas of `level` (`None`: each row's code says its own). `Ok(None)` where no column
/// could tell an area; `Err` holds a doubled column's name.
fn detect(
    columns: &[&str],
    level: Option<AreaLevel>,
    codes: Option<CodeSystem>,
    given: &ColumnMap,
) -> Result<Option<Mapping>, String> {
    let places = |name: &str| -> Vec<usize> {
        let written = |c: &str| is_column(c, name) || is_column(&c.replace([' ', '.'], "_"), name);
        (0..columns.len()).filter(|at| written(columns[*at])).collect()
    };
    let mut mapping = Mapping::default();
    for field in Field::ALL {
        let found = match given.0.get(&field).map(String::as_str) {
            Some("-") => Vec::new(),
            Some(column) => match places(column) {
                none if none.is_empty() => return Ok(None),
                found => found,
            },
            None => {
                let names = known(field, level, codes);
                names.into_iter().map(places).find(|found| !found.is_empty()).unwrap_or_default()
            }
        };
        match found.as_slice() {
            [] => {}
            [at] => {
                mapping.0.insert(field, *at);
            }
            [at, ..] => return Err(columns[*at].to_owned()),
        }
    }
    if mapping.column(Field::Bps) == mapping.column(Field::Code) {
        mapping.0.remove(&Field::Bps);
    }
    // An RW layer may hold the number in a column that is just called name.
    let wants_number = matches!(level, Some(AreaLevel::Rw)) && !mapping.has(Field::Rw) && !mapping.has(Field::Code);
    if wants_number && !given.0.contains_key(&Field::Rw) {
        let label = ["namaobj", "name", "nama"].into_iter().map(places).find(|found| found.len() == 1);
        if let Some(&[at]) = label.as_deref() {
            mapping.0.insert(Field::Rw, at);
            mapping.0.remove(&Field::Name);
        }
    }
    Ok(tells_an_area(&mapping, level).then_some(mapping))
}

/// Whether the columns can tell an area at all.
fn tells_an_area(mapping: &Mapping, level: Option<AreaLevel>) -> bool {
    let has = |fields: &[Field]| fields.iter().all(|f| mapping.has(*f));
    let above = mapping.has(Field::City) || mapping.has(Field::District);
    if mapping.has(Field::Code) {
        return true;
    }
    match level {
        None => false,
        Some(AreaLevel::Province) => has(&[Field::Name]) || has(&Field::PARTS[..1]),
        Some(AreaLevel::City) => has(&[Field::Name]) || has(&Field::PARTS[..2]),
        Some(AreaLevel::District) => has(&[Field::Name, Field::City]) || has(&Field::PARTS[..3]),
        Some(AreaLevel::Village) => (has(&[Field::Name]) && above) || has(&Field::PARTS),
        Some(AreaLevel::Rw) => has(&[Field::Rw]) && ((has(&[Field::Village]) && above) || has(&Field::PARTS)),
        Some(AreaLevel::Rt) => {
            has(&[Field::Rw, Field::Rt]) && ((has(&[Field::Village]) && above) || has(&Field::PARTS))
        }
    }
}

/// How many of the columns are understood, if they make a header for areas.
pub(super) fn recognised(
    columns: &[&str],
    level: Option<AreaLevel>,
    codes: Option<CodeSystem>,
    given: &ColumnMap,
) -> Option<usize> {
    match detect(columns, level, codes, given) {
        Ok(mapping) => mapping.map(|m| m.0.len()),
        Err(_) => Some(1),
    }
}

/// The mapping for a header, or the whole file refused.
pub(super) fn map(
    file: &SourceFile,
    header: &[String],
    level: Option<AreaLevel>,
    codes: Option<CodeSystem>,
    given: &ColumnMap,
) -> Result<Mapping, ImportError> {
    let columns: Vec<&str> = header.iter().map(String::as_str).collect();
    match detect(&columns, level, codes, given) {
        Ok(Some(mapping)) => Ok(mapping),
        Ok(None) => Err(unknown_layout(file, header, level, given)),
        Err(twice) => {
            Err(file.refuse(format!("the column {twice} is there twice; rename one, or name another with --map")))
        }
    }
}

/// The refusal for a file none of whose columns tells an area.
pub(super) fn unknown_layout(
    file: &SourceFile,
    seen: &[String],
    level: Option<AreaLevel>,
    given: &ColumnMap,
) -> ImportError {
    let missing: Vec<&String> =
        given.0.values().filter(|c| *c != "-" && !seen.iter().any(|s| is_column(s, c))).collect();
    let seen = listed(seen);
    if let Some(column) = missing.first() {
        return file.refuse(format!("has no column {column:?} as --map says; the columns seen are {seen}"));
    }
    let form = match level {
        Some(AreaLevel::Rw) => "village=COLUMN,district=COLUMN,city=COLUMN,rw=COLUMN",
        Some(AreaLevel::Rt) => "village=COLUMN,district=COLUMN,city=COLUMN,rw=COLUMN,rt=COLUMN",
        _ => "code=COLUMN,name=COLUMN",
    };
    file.refuse(format!(
        "no column tells which area a row is about; the columns seen are {seen}; if these are no column names, add a \
         header row, else say which is which with --map {form}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(columns: &str, level: AreaLevel, map: &str) -> Result<BTreeMap<&'static str, String>, String> {
        let file = SourceFile::new("a.csv", Vec::new()).expect("bytes");
        let header: Vec<String> = columns.split(',').map(str::to_owned).collect();
        let given: ColumnMap = map.parse()?;
        let mapping = super::map(&file, &header, Some(level), None, &given).map_err(|e| e.to_string())?;
        Ok(mapping.described(&header))
    }

    fn is_mapped(columns: &str, level: AreaLevel, expected: &[(&'static str, &str)]) {
        let expected: BTreeMap<&str, String> = expected.iter().map(|(k, v)| (*k, v.to_string())).collect();
        assert_eq!(mapped(columns, level, "").as_ref(), Ok(&expected), "{columns}");
    }

    #[test]
    fn the_layouts_of_real_files_are_known() {
        is_mapped("code,province_code,name", AreaLevel::City, &[("code", "code"), ("name", "name")]);
        is_mapped("code,district_code,name", AreaLevel::Village, &[("code", "code"), ("name", "name")]);
        is_mapped(
            "OBJECTID,KAB_NAME,KEC_NAME,KEL_NAME,RW,FLOODPRONE",
            AreaLevel::Rw,
            &[("city", "KAB_NAME"), ("district", "KEC_NAME"), ("village", "KEL_NAME"), ("rw", "RW")],
        );
        is_mapped(
            "OBJECT_ID,KODE_DESA,DESA,KODE,PROVINSI,KAB_KOTA,KECAMATAN,DESA_KELUR,JUMLAH_KK",
            AreaLevel::Village,
            &[
                ("code", "KODE_DESA"),
                ("name", "DESA"),
                ("city", "KAB_KOTA"),
                ("district", "KECAMATAN"),
                ("households", "JUMLAH_KK"),
            ],
        );
        is_mapped(
            "WADMKK,WADMKC,WADMKD,NAMOBJ,namaobj",
            AreaLevel::Rw,
            &[("city", "WADMKK"), ("district", "WADMKC"), ("village", "WADMKD"), ("rw", "namaobj")],
        );
        is_mapped(
            "kode_kel,no_rw,lat,lng",
            AreaLevel::Rw,
            &[("code", "kode_kel"), ("rw", "no_rw"), ("lat", "lat"), ("lon", "lng")],
        );
    }

    #[test]
    fn the_map_overrides_and_can_turn_a_column_off() {
        let map = mapped("code,KODE2,name", AreaLevel::Village, "code=kode2").expect("mapped");
        assert_eq!(map.get("code").map(String::as_str), Some("KODE2"));
        let map = mapped("code,kelurahan,kota", AreaLevel::Village, "code=-").expect("mapped");
        assert!(!map.contains_key("code") && map.contains_key("city"));
        assert!(mapped("code,name", AreaLevel::Village, "code=KD").expect_err("absent").contains("no column \"KD\""));
        assert!(mapped("code,name", AreaLevel::Village, "kode=KD").expect_err("unknown").contains("fields are code"));
        assert!(mapped("code,name", AreaLevel::Village, "code").expect_err("no =").contains("FIELD=COLUMN"));
        assert!(mapped("code,name", AreaLevel::Village, "code=a,code=b").expect_err("twice").contains("twice"));
    }

    #[test]
    fn a_layout_that_tells_no_area_is_refused_with_the_columns_seen() {
        let refusal = mapped("GAMBIR,1,1", AreaLevel::Rt, "").expect_err("no header");
        assert!(refusal.contains("\"GAMBIR\", \"1\", \"1\"") && refusal.contains("--map village=COLUMN"), "{refusal}");
        assert!(mapped("kelurahan,rw,rt", AreaLevel::Rt, "").is_err(), "a village's name alone tells no place");
        assert!(mapped("code,name,Code", AreaLevel::Village, "").expect_err("twice").contains("there twice"));
    }

    #[test]
    fn a_column_nama_of_rw_and_rt_is_not_read_as_a_name() {
        let map = mapped("kode_rw,NAMA", AreaLevel::Rw, "").expect("mapped");
        assert!(!map.contains_key("name"));
    }
}
