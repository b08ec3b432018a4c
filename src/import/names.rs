//! Names of areas, compared by their letters alone, and the reviewed other spellings.
//!
//! Case, blanks and punctuation say nothing in a name: PALMERAH is Pal Merah. Words that only say
//! what kind of area it is (Kelurahan, Kec., Kota Administrasi) are left out, except that a
//! Kabupaten is not the Kota of the same name. Everything else that differs is another name, unless
//! the alias table holds it for that area. Nothing is compared by likeness.

use super::ImportError;
use super::cells::{filled, quote};
use super::reference::{KnownArea, Reference};
use super::source::SourceFile;
use super::table::Sheet;
use crate::domain::area::{AreaCode, AreaLevel};
use std::collections::{BTreeSet, HashMap};

/// Lower-case letters and digits of a text.
pub fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Kota,
    Kabupaten,
}

/// A name as it is compared: letters without the words for its kind, and the kind of a city.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: Option<Kind>,
    letters: String,
}

/// Words in front of a name that say only what it is. `KAB.ADM.` and `KAB ADM` are the same words.
fn key(level: AreaLevel, name: &str) -> Key {
    let words: Vec<String> =
        name.split(|c: char| !c.is_alphanumeric()).map(letters).filter(|w| !w.is_empty()).collect();
    let kind_of = |word: &str| match word {
        "kota" | "kotamadya" => Some(Kind::Kota),
        "kabupaten" | "kab" => Some(Kind::Kabupaten),
        _ => None,
    };
    let is_front = |at: usize, word: &str| match level {
        AreaLevel::Province => matches!(word, "provinsi" | "prov" | "propinsi"),
        AreaLevel::City => {
            (at == 0 && kind_of(word).is_some())
                || (at == 1 && matches!(word, "administrasi" | "adm" | "administratif"))
        }
        AreaLevel::District => at == 0 && matches!(word, "kecamatan" | "kec"),
        _ => at == 0 && matches!(word, "kelurahan" | "kel" | "desa"),
    };
    let front = words.iter().enumerate().take_while(|(at, word)| is_front(*at, word)).count();
    // A name that is nothing but such a word is that word: there is a village called Kelurahan.
    let front = if front == words.len() { 0 } else { front };
    let kind = if level == AreaLevel::City && front > 0 { kind_of(&words[0]) } else { None };
    let full =
        |word: &str| if level == AreaLevel::City && word == "kep" { "kepulauan".into() } else { word.to_owned() };
    Key { kind, letters: words[front..].iter().map(|w| full(w)).collect() }
}

/// Whether two names of one level are the same by their letters.
pub fn same(level: AreaLevel, a: &str, b: &str) -> bool {
    let (a_key, b_key) = (key(level, a), key(level, b));
    let kinds_agree = a_key.kind.is_none() || b_key.kind.is_none() || a_key.kind == b_key.kind;
    (kinds_agree && a_key.letters == b_key.letters) || letters(a) == letters(b)
}

const VILLAGES: &str = include_str!("../../seed/aliases/villages.csv");
const DISTRICTS: &str = include_str!("../../seed/aliases/districts.csv");

/// Other spellings of areas, each reviewed by a person. Files have the columns `code` and `alias`.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    codes: HashMap<(AreaLevel, String), BTreeSet<AreaCode>>,
}

impl Aliases {
    /// The table that comes with the program.
    pub fn built_in() -> Self {
        let mut aliases = Aliases::default();
        for (name, text) in [("villages.csv", VILLAGES), ("districts.csv", DISTRICTS)] {
            // A test keeps these files readable.
            let _ = SourceFile::new(name, text.as_bytes().to_vec()).and_then(|file| aliases.add(&file));
        }
        aliases
    }

    /// Adds a city's own table. Refused as a whole where a line is wrong: an alias decides where aid goes.
    pub fn add(&mut self, file: &SourceFile) -> Result<(), ImportError> {
        let mut added = Vec::new();
        Sheet::open(file, &["code", "alias"], &[])?.each(|row| {
            let code: AreaCode =
                row.get("code").parse().map_err(|e| format!("code {}: {e}", quote(row.get("code"))))?;
            let alias = filled(row.get("alias")).ok_or("alias is empty")?;
            let letters = key(code.level(), alias).letters;
            added.push((code, letters));
            Ok(())
        })?;
        for (code, letters) in added {
            self.codes.entry((code.level(), letters)).or_default().insert(code);
        }
        Ok(())
    }

    /// The areas of `level` that the name is another spelling of.
    fn of(&self, level: AreaLevel, name: &str) -> impl Iterator<Item = &AreaCode> {
        self.codes.get(&(level, key(level, name).letters)).into_iter().flatten()
    }

    /// Whether the name is another spelling of the area.
    pub fn holds(&self, code: &AreaCode, name: &str) -> bool {
        self.of(code.level(), name).any(|c| c == code)
    }
}

/// A place told by names, as far as a row tells it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told<'a> {
    pub city: Option<&'a str>,
    pub district: Option<&'a str>,
}

/// How a place told by names was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub code: AreaCode,
    pub by_alias: bool,
    /// What was passed over, to be reported.
    pub despite: Option<String>,
}

/// Finds standing areas down to the village by their names.
pub(super) struct NameIndex<'a> {
    reference: &'a Reference,
    aliases: &'a Aliases,
    by_name: HashMap<(AreaLevel, String), Vec<&'a KnownArea>>,
}

impl<'a> NameIndex<'a> {
    pub fn new(reference: &'a Reference, aliases: &'a Aliases) -> Self {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for area in reference.areas().iter().filter(|a| a.code.level() <= AreaLevel::Village) {
            let level = area.code.level();
            by_name.entry((level, key(level, &area.name).letters)).or_default().push(area);
        }
        NameIndex { reference, aliases, by_name }
    }

    /// Areas of the level that carry the name; for cities of the told kind, if one is told.
    fn named(&self, level: AreaLevel, name: &str) -> Vec<&'a KnownArea> {
        let told = key(level, name);
        let alike = |letters: &str| self.by_name.get(&(level, letters.to_owned())).cloned().unwrap_or_default();
        let mut found = alike(&told.letters);
        if told.kind.is_some() {
            found.retain(|a| key(level, &a.name).kind.is_none_or(|k| Some(k) == told.kind));
        }
        // "Kota Baru" may be the kota of Baru, or the whole name of Kabupaten Kotabaru.
        if found.is_empty() { alike(&letters(name)) } else { found }
    }

    fn aliased(&self, level: AreaLevel, name: &str) -> Vec<&'a KnownArea> {
        self.aliases.of(level, name).filter_map(|code| self.reference.area(code)).collect()
    }

    /// Whether the standing area is called so, by letters or by alias.
    pub fn is_called(&self, area: &KnownArea, name: &str) -> bool {
        same(area.code.level(), &area.name, name) || self.aliases.holds(&area.code, name)
    }

    /// The one standing area of `level` that the names tell, or why there is none.
    pub fn find(&self, level: AreaLevel, own: &str, told: Told) -> Result<Found, String> {
        let cities = match told.city {
            Some(city) if level > AreaLevel::City => Some(self.cities(city)?),
            _ => None,
        };
        let in_city = |area: &&KnownArea| {
            cities.as_ref().is_none_or(|cities: &Vec<&KnownArea>| cities.iter().any(|c| c.code.covers(&area.code)))
        };
        let by_name: Vec<_> = self.named(level, own).into_iter().filter(|a| in_city(a)).collect();
        let by_alias: Vec<_> = self.aliased(level, own).into_iter().filter(|a| in_city(a)).collect();
        let given_district = if level > AreaLevel::District { told.district } else { None };
        let fits = |area: &&&KnownArea| match (given_district, area.code.at(AreaLevel::District)) {
            (Some(name), Some(code)) => self.reference.area(&code).is_some_and(|d| self.is_called(d, name)),
            _ => true,
        };
        let word = level.word();
        for (found, by_alias) in [(&by_name, false), (&by_alias, true)] {
            match found.iter().filter(fits).collect::<Vec<_>>().as_slice() {
                [one] => return Ok(Found { code: one.code.clone(), by_alias, despite: None }),
                [] => {}
                [first, second, ..] => {
                    let (a, b) = (&first.code, &second.code);
                    return Err(format!(
                        "{word} {} may be {a} or {b}; give its code, or more of its parents",
                        quote(own)
                    ));
                }
            }
        }
        // The district is wrong on the row; city and village say enough if both are unmistakable.
        if let (Some(district), Some([city])) = (given_district, cities.as_deref()) {
            for (found, by_alias) in [(&by_name, false), (&by_alias, true)] {
                if let [one] = found.as_slice() {
                    let right = one.code.at(AreaLevel::District).and_then(|c| self.reference.area(&c));
                    let right = right.map_or("another", |d| d.name.as_str());
                    let despite = format!(
                        "district {} on the row; {} ({}) is the only one of its name in {} and lies in {right}",
                        quote(district),
                        one.name,
                        one.code,
                        city.name,
                    );
                    return Ok(Found { code: one.code.clone(), by_alias, despite: Some(despite) });
                }
            }
        }
        let place = match (cities.as_deref(), given_district) {
            (Some([city]), _) => format!(" in {} ({})", city.name, city.code),
            (_, Some(district)) => format!(" in district {}", quote(district)),
            _ => String::new(),
        };
        Err(format!("no {word} {} is known{place}; if it is another spelling, add it to an alias file", quote(own)))
    }

    fn cities(&self, name: &str) -> Result<Vec<&'a KnownArea>, String> {
        let mut found = self.named(AreaLevel::City, name);
        if found.is_empty() {
            found = self.aliased(AreaLevel::City, name);
        }
        if found.is_empty() { Err(format!("no city {} is known", quote(name))) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::known;
    use super::*;

    fn reference() -> Reference {
        Reference::new([
            known("31", "DKI Jakarta"),
            known("31.01", "Kabupaten Administrasi Kepulauan Seribu"),
            known("31.71", "Kota Administrasi Jakarta Pusat"),
            known("31.71.02", "Sawah Besar"),
            known("31.71.03", "Kemayoran"),
            known("31.71.02.1004", "Gunung Sahari Utara"),
            known("31.71.03.1003", "Harapan Mulia"),
            known("31.71.03.1006", "Gunung Sahari Selatan"),
            known("13.02", "Kabupaten Solok"),
            known("13.72", "Kota Solok"),
            known("63.02", "Kabupaten Kotabaru"),
        ])
    }

    fn find(city: &str, district: &str, village: &str) -> Result<Found, String> {
        let (reference, aliases) = (reference(), Aliases::built_in());
        let told = Told { city: filled(city), district: filled(district) };
        NameIndex::new(&reference, &aliases).find(AreaLevel::Village, village, told)
    }

    fn city(name: &str) -> Result<String, String> {
        let (reference, aliases) = (reference(), Aliases::built_in());
        let index = NameIndex::new(&reference, &aliases);
        index.find(AreaLevel::City, name, Told::default()).map(|f| f.code.to_string())
    }

    #[test]
    fn the_built_in_tables_are_read_in_full() {
        for (name, text) in [("villages.csv", VILLAGES), ("districts.csv", DISTRICTS)] {
            let file = SourceFile::new(name, text.as_bytes().to_vec()).expect("bytes");
            Aliases::default().add(&file).expect("every line is an alias");
        }
        let code: AreaCode = "31.75.04.1002".parse().expect("a code");
        assert!(Aliases::built_in().holds(&code, "Kel. Kampung-Tengah"));
    }

    #[test]
    fn case_blanks_stops_and_words_for_the_kind_do_not_matter() {
        for village in
            ["GUNUNG SAHARI UTARA", "KELURAHAN GUNUNGSAHARI UTARA.", "gunung_sahari_utara", "Kel.Gunung Sahari Utara"]
        {
            let found = find("KOTA ADM. JAKARTA PUSAT", "KEC. SAWAHBESAR", village).expect(village);
            assert_eq!((found.code.as_str(), found.by_alias, found.despite), ("31.71.02.1004", false, None));
        }
        for name in ["KAB.ADM.KEP.SERIBU", "Kepulauan Seribu", "Kab. Adm. Kepulauan Seribu"] {
            assert_eq!(city(name).as_deref(), Ok("31.01"), "{name}");
        }
    }

    #[test]
    fn a_kabupaten_is_not_the_kota_of_the_same_name() {
        assert_eq!(city("KOTA SOLOK").as_deref(), Ok("13.72"));
        assert_eq!(city("Kab. Solok").as_deref(), Ok("13.02"));
        assert!(city("Solok").expect_err("either").contains("may be 13.02 or 13.72"));
        assert_eq!(city("Kota Baru").as_deref(), Ok("63.02"));
        assert!(same(AreaLevel::City, "JAKARTA UTARA", "Kota Administrasi Jakarta Utara"));
        assert!(!same(AreaLevel::City, "Kota Solok", "Kabupaten Solok"));
        assert!(same(AreaLevel::Village, "Kelurahan", "KELURAHAN"));
    }

    #[test]
    fn an_alias_is_taken_and_a_likeness_is_not() {
        let found = find("JAKARTA PUSAT", "KEMAYORAN", "HARAPAN MULYA").expect("an alias");
        assert_eq!((found.code.as_str(), found.by_alias), ("31.71.03.1003", true));
        assert!(find("JAKARTA PUSAT", "KEMAYORAN", "HARAPAN MULJA").expect_err("unknown").contains("no village"));
        assert!(find("JAKATA PUSAT", "KEMAYORAN", "HARAPAN MULIA").expect_err("unknown").contains("no city"));
    }

    #[test]
    fn a_wrong_district_is_passed_over_only_where_city_and_village_are_unmistakable() {
        let found = find("JAKARTA PUSAT", "KEMAYORAN", "GUNUNG SAHARI UTARA").expect("unique in its city");
        assert_eq!(found.code.as_str(), "31.71.02.1004");
        assert!(found.despite.expect("said").contains("lies in Sawah Besar"));
        assert!(find("", "KEMAYORAN", "GUNUNG SAHARI UTARA").is_err(), "without a city nothing vouches for it");
    }

    #[test]
    fn an_alias_file_with_a_wrong_line_adds_nothing() {
        let mut aliases = Aliases::default();
        let file = SourceFile::new("a.csv", b"code,alias\n31.71,X\n3171,Y\n".to_vec()).expect("bytes");
        assert!(aliases.add(&file).expect_err("an undotted code").to_string().contains("a.csv: line 3"));
        assert!(!aliases.holds(&"31.71".parse().expect("a code"), "X"));
    }
}
