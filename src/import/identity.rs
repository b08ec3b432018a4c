//! Which area a row is about: by its code, else by the four parts of a code, else by names; and from
//! there down to the RW and the RT by their numbers.

use super::areas::AreaOptions;
use super::cells::{filled, quote, text, tidy};
use super::columns::{CodeSystem, Field, Mapping};
use super::names::{NameIndex, Told, same};
use super::reference::{KnownArea, Reference};
use super::report::Spot;
use crate::domain::area::{AreaCode, AreaLevel};
use serde_json::value::RawValue;
use std::cell::OnceCell;
use std::collections::HashMap;

/// Why a row is not taken. `File` means the whole file where the row is the first of its kind: what is
/// wrong with it is then wrong with the file.
pub(super) enum Wrong {
    Row(String),
    File(String),
}

impl From<String> for Wrong {
    fn from(reason: String) -> Self {
        Wrong::Row(reason)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Code,
    Name,
    Alias,
}

/// A row before it is understood.
pub(super) struct Entry<'r> {
    pub spot: Spot,
    pub mapping: &'r Mapping,
    pub cell: &'r dyn Fn(usize) -> String,
    pub geometry: Option<&'r RawValue>,
}

impl Entry<'_> {
    pub fn get(&self, field: Field) -> Option<String> {
        let cell = (self.cell)(self.mapping.column(field)?);
        filled(&cell).map(str::to_owned)
    }
}

/// The area that a row is about, and how it was found.
pub(super) struct Identity {
    pub code: AreaCode,
    pub how: How,
    pub label: Option<String>,
    pub repairs: Vec<String>,
    pub notes: Vec<String>,
}

/// Finds the areas that rows are about among those that stand. The indexes are made when first asked for.
pub(super) struct Identifier<'a> {
    options: &'a AreaOptions,
    reference: &'a Reference,
    names: OnceCell<NameIndex<'a>>,
    bps: OnceCell<HashMap<&'a str, &'a AreaCode>>,
}

impl<'a> Identifier<'a> {
    pub fn new(options: &'a AreaOptions, reference: &'a Reference) -> Self {
        Identifier { options, reference, names: OnceCell::new(), bps: OnceCell::new() }
    }

    pub fn identify(&self, entry: &Entry) -> Result<Identity, Wrong> {
        let wanted = self.options.level;
        let said = entry.get(Field::Level);
        let said_level =
            match &said {
                None => None,
                Some(word) => Some(word.parse::<AreaLevel>().map_err(|_| {
                    format!("level {} is none of province, city, district, village, rw, rt", quote(word))
                })?),
            };
        if let (Some(said), Some(wanted)) = (said_level, wanted)
            && said != wanted
        {
            return Err(Wrong::Row(format!("the row is about {}, and --level is {}", one(said), wanted.word())));
        }
        let mut identity = match self.coded(entry)? {
            Some((code, doubtful)) => self.check_names(entry, code, doubtful)?,
            None => self.named(entry)?,
        };
        let level = match (wanted, said_level) {
            (Some(level), _) | (None, Some(level)) => level,
            (None, None) => return Ok(identity),
        };
        self.descend(entry, &mut identity, level)?;
        Ok(identity)
    }

    /// The code that the row gives, and whether a wrong system could pass for a right code here.
    fn coded(&self, entry: &Entry) -> Result<Option<(AreaCode, bool)>, Wrong> {
        if let Some(text) = entry.get(Field::Code) {
            return self.read_code(&text).map(Some);
        }
        let depth = self.options.level.map_or(4, |level| (level.number() as usize).min(4));
        let parts: Vec<Option<String>> = Field::PARTS[..depth].iter().map(|f| entry.get(*f)).collect();
        if !Field::PARTS[..depth].iter().all(|f| entry.mapping.has(*f)) || parts.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut code = String::new();
        for ((part, field), digits) in parts.iter().zip(Field::PARTS).zip([2, 2, 2, 4]) {
            let part = part.as_deref().unwrap_or("");
            let number = whole(part).ok_or_else(|| format!("{} {} is not a number", field.word(), quote(part)))?;
            if !code.is_empty() {
                code.push('.');
            }
            code.push_str(&format!("{number:0digits$}"));
        }
        // Villages of the Ministry are numbered from 1001; BPS numbers them from 001.
        let village = parts.get(3).and_then(|p| whole(p.as_deref().unwrap_or("")));
        if village.is_some_and(|number| number < 1000) {
            return Err(Wrong::Row(format!(
                "{code} is no Ministry code: its village part is below 1000; are these BPS codes?"
            )));
        }
        let code = code.parse().map_err(|e| format!("{}: {e}", quote(&code)))?;
        Ok(Some((code, true)))
    }

    fn read_code(&self, text: &str) -> Result<(AreaCode, bool), Wrong> {
        let bad = |e: &dyn std::fmt::Display| Wrong::Row(format!("code {}: {e}", quote(text)));
        let undotted = text.bytes().all(|b| b.is_ascii_digit());
        match self.options.codes {
            Some(CodeSystem::Bps) if !undotted => Err(Wrong::File(format!(
                "the code {} is not one of BPS, whose codes are digits without dots; leave --codes bps out if these are the \
                 Ministry's",
                quote(text)
            ))),
            Some(CodeSystem::Bps) => {
                let by_bps = self.bps.get_or_init(|| {
                    self.reference.areas().iter().filter_map(|a| Some((a.bps_code.as_deref()?, &a.code))).collect()
                });
                if by_bps.is_empty() {
                    return Err(Wrong::File(
                        "no area here carries a BPS code yet, so --codes bps finds nothing; first import a list with the \
                         Ministry's code and the BPS code side by side (--map code=COLUMN,bps=COLUMN)"
                            .into(),
                    ));
                }
                let found = by_bps.get(text).map(|code| ((*code).clone(), false));
                found.ok_or_else(|| Wrong::Row(format!("no area is known by the BPS code {}", quote(text))))
            }
            _ if !undotted => Ok((text.parse().map_err(|e| bad(&e))?, false)),
            // Two digits are a province, written alike with and without dots.
            None if text.len() == 2 => Ok((text.parse().map_err(|e| bad(&e))?, false)),
            None => Err(Wrong::File(format!(
                "the code {} has no dots, so it may be the Ministry's (Kemendagri) or that of Statistics Indonesia (BPS), and \
                 the two mean different places; say --codes kemendagri or --codes bps",
                quote(text)
            ))),
            Some(CodeSystem::Kemendagri) => {
                let cuts: &[usize] = match text.len() {
                    2 => &[2],
                    4 => &[2, 2],
                    6 => &[2, 2, 2],
                    10 => &[2, 2, 2, 4],
                    13 => &[2, 2, 2, 4, 3],
                    16 => &[2, 2, 2, 4, 3, 3],
                    n => {
                        return Err(Wrong::Row(format!(
                            "code {} has {n} digits; the Ministry's have 2, 4, 6 or 10, with RW 13, with RT 16",
                            quote(text)
                        )));
                    }
                };
                let mut rest = text;
                let mut parts = Vec::new();
                for cut in cuts {
                    let (part, after) = rest.split_at(*cut);
                    parts.push(part);
                    rest = after;
                }
                Ok((parts.join(".").parse().map_err(|e| bad(&e))?, true))
            }
        }
    }

    /// Holds a code against the names beside it. A city of another name means codes of another system;
    /// so does a village of another name, where the code's form is `doubtful`.
    fn check_names(&self, entry: &Entry, code: AreaCode, doubtful: bool) -> Result<Identity, Wrong> {
        let mut notes = Vec::new();
        let called = |area: &KnownArea, name: &str| {
            same(area.code.level(), &area.name, name) || self.options.aliases.holds(&area.code, name)
        };
        let own = |level: AreaLevel| self.options.level.unwrap_or(code.level()) == level;
        for (level, field) in [
            (AreaLevel::City, Field::City),
            (AreaLevel::City, Field::Name),
            (AreaLevel::District, Field::Name),
            (AreaLevel::Village, Field::Name),
            (AreaLevel::Village, Field::Village),
        ] {
            if field == Field::Name && !own(level) {
                continue;
            }
            let Some(area) = code.at(level).and_then(|c| self.reference.area(&c)) else { continue };
            let Some(name) = entry.get(field).filter(|name| !called(area, name)) else { continue };
            let (code, stands, name) = (&area.code, &area.name, quote(&name));
            if field == Field::City || doubtful {
                return Err(Wrong::Row(format!(
                    "code {code} is {stands}, and the row says {name}; are these BPS codes? If it is another spelling, add it to \
                     an alias file"
                )));
            }
            if field == Field::Village {
                notes.push(format!("the row says {name} where {code} is {stands}; the code counts"));
            }
        }
        Ok(Identity { code, how: How::Code, label: None, repairs: Vec::new(), notes })
    }

    fn named(&self, entry: &Entry) -> Result<Identity, Wrong> {
        let level = self
            .options
            .level
            .ok_or("the row has no code, and without --level nothing else tells its area".to_owned())?;
        let level = level.min(AreaLevel::Village);
        let own = if self.options.level > Some(AreaLevel::Village) { Field::Village } else { Field::Name };
        let name =
            entry.get(own).ok_or_else(|| format!("the row has neither a code nor the name of {}", one(level)))?;
        let (city, district) = (entry.get(Field::City), entry.get(Field::District));
        let missing = match level {
            AreaLevel::District => city.is_none(),
            AreaLevel::Village => city.is_none() && district.is_none(),
            _ => false,
        };
        if missing {
            let word = level.word();
            return Err(Wrong::Row(format!("{word} {} alone tells no place: its city is empty", quote(&name))));
        }
        let names = self.names.get_or_init(|| NameIndex::new(self.reference, &self.options.aliases));
        let found = names.find(level, &name, Told { city: city.as_deref(), district: district.as_deref() })?;
        let how = if found.by_alias { How::Alias } else { How::Name };
        let repairs = found.despite.into_iter().collect();
        Ok(Identity { code: found.code, how, label: None, repairs, notes: Vec::new() })
    }

    /// Goes from the code that was found down to `level` by the RW's and the RT's number.
    fn descend(&self, entry: &Entry, identity: &mut Identity, level: AreaLevel) -> Result<(), String> {
        let given = identity.code.level();
        if given > level {
            return Err(format!("{} is the code of {}, not of {}", identity.code, one(given), one(level)));
        }
        for (step, field) in [(AreaLevel::Rw, Field::Rw), (AreaLevel::Rt, Field::Rt)] {
            if identity.code.level() >= step || level < step {
                continue;
            }
            if identity.code.level() < AreaLevel::Village || !entry.mapping.has(field) {
                break;
            }
            let cell = entry.get(field).unwrap_or_default();
            let number = neighbourhood_number(step, &cell)?;
            identity.code =
                identity.code.child(number).ok_or_else(|| format!("{} has no {}", identity.code, step.word()))?;
            identity.label = Some(text(&cell, step.word())?);
        }
        if identity.code.level() < level {
            return Err(format!("{} is the code of {}, not of {}", identity.code, one(given), one(level)));
        }
        Ok(())
    }
}

/// A number without sign, up to four digits, perhaps as a spreadsheet writes whole numbers (`1.0`).
fn whole(cell: &str) -> Option<u32> {
    let digits = cell.trim();
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    let plain = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The number of an RW or RT: `1`, `01`, `001`, `RW 01`, `RW. 001` and `RW13` are one form.
fn neighbourhood_number(level: AreaLevel, cell: &str) -> Result<u32, String> {
    let word = level.word().to_ascii_uppercase();
    let text = tidy(cell).to_ascii_uppercase();
    if text.is_empty() {
        return Err(format!("the number of the {word} is empty"));
    }
    let rest = text.strip_prefix(word.as_str()).unwrap_or(&text);
    let rest = rest.trim_start_matches([' ', '.', ':', '_', '-']);
    match whole(rest).filter(|n| (1..=999).contains(n)) {
        Some(number) => Ok(number),
        None if rest.contains([',', ';', '/', '&', '+']) => {
            Err(format!("{} names several {word}; write one row for each", quote(cell)))
        }
        None => Err(format!("{} is no number of an {word}, 1 to 999", quote(cell))),
    }
}

/// A level in a sentence.
fn one(level: AreaLevel) -> &'static str {
    match level {
        AreaLevel::Province => "a province",
        AreaLevel::City => "a city",
        AreaLevel::District => "a district",
        AreaLevel::Village => "a village",
        AreaLevel::Rw => "an RW",
        AreaLevel::Rt => "an RT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rw_and_rt_numbers_are_read_in_all_their_forms_and_no_others() {
        for label in ["3", "03", "003", "RW 03", "RW. 003", "RW03", "RW 003", "rw_3", "3.0"] {
            assert_eq!(neighbourhood_number(AreaLevel::Rw, label), Ok(3), "{label}");
        }
        assert_eq!(neighbourhood_number(AreaLevel::Rw, "RW 010"), Ok(10));
        for (label, part) in [
            ("", "is empty"),
            ("09, 10, 11", "names several RW"),
            ("001/002", "names several"),
            ("RW 03 (4)", "no number"),
            ("Kawasan Industri Pulogadung", "no number"),
            ("RW 000", "no number"),
            ("1000", "no number"),
            ("1.5", "no number"),
            ("IV", "no number"),
            ("RT 3", "no number"),
        ] {
            let reason = neighbourhood_number(AreaLevel::Rw, label).expect_err(label);
            assert!(reason.contains(part), "{label}: {reason}");
        }
    }
}
