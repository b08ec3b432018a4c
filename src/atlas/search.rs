//! Areas by what people call them: `kapuk`, `rt 7 rw 03 gambir`, `31.71.01`.
//!
//! Every word must begin a word of the area's name or of a name above it, and at least one of the area's
//! own. Case and accents do not count, and a number is a number: `RW 3` finds `RW 003`. A text that
//! begins like a code finds the areas whose codes begin so.

use super::ground::Ground;
use crate::domain::area::AreaLevel;

/// More words than that are none that anybody types.
const MOST_WORDS: usize = 8;

/// One word that is looked for.
enum Word {
    /// Begins a word of a name.
    Letters(String),
    /// Is a number in a name.
    Number(u32),
    /// `RW 3`: both stand in one name.
    Unit(String, u32),
}

/// The larger areas first; among those of one level the ones called exactly so, then by code.
pub(super) fn find(ground: &Ground, text: &str, most: usize) -> Vec<u32> {
    let text = text.trim();
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return by_code(ground, text, most);
    }
    let text = folded(text);
    let words = words_of(&text);
    if words.is_empty() {
        return Vec::new();
    }
    let all = (1u16 << words.len()) - 1;
    // By name: of a nation's areas most are called like thousands of others.
    let in_name: Vec<u16> = ground.names().map(|name| found_in(name, &words)).collect();
    // The words found from the top down to an area; an area comes after all those above it.
    let mut found: Vec<u16> = Vec::with_capacity(ground.area_count());
    let mut hits: Vec<(AreaLevel, bool, u32)> = Vec::new();
    for slot in ground.all() {
        let own = in_name[ground.name_number(slot) as usize];
        let above = ground.parent(slot).map_or(0, |parent| found[parent as usize]);
        found.push(own | above);
        if own != 0 && own | above == all {
            hits.push((ground.level(slot), folded(ground.name(slot)) != text, slot));
        }
    }
    hits.sort_unstable();
    hits.into_iter().take(most).map(|(_, _, slot)| slot).collect()
}

fn words_of(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut parts = text.split(' ').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let unit = part.get(..2).filter(|unit| ["rw", "rt"].contains(unit));
        let joined = unit.and_then(|unit| Some((unit, number(&part[unit.len()..])?)));
        words.push(match (unit, joined, number(part)) {
            (_, Some((unit, number)), _) => Word::Unit(unit.into(), number),
            (_, _, Some(number)) => Word::Number(number),
            (Some(unit), _, _) if unit == part => match parts.peek().and_then(|next| number(next)) {
                Some(number) => {
                    parts.next();
                    Word::Unit(unit.into(), number)
                }
                None => Word::Letters(part.into()),
            },
            _ => Word::Letters(part.into()),
        });
    }
    words.truncate(MOST_WORDS);
    words
}

/// One bit for each of the words that the name has.
fn found_in(name: &str, words: &[Word]) -> u16 {
    let parts = || name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    let begun = |word: &str| {
        parts().any(|part| {
            let mut letters = part.chars().flat_map(fold);
            word.chars().all(|c| letters.next() == Some(c))
        })
    };
    let numbered = |asked: u32| parts().any(|part| number(part) == Some(asked));
    let has = |word: &Word| match word {
        Word::Letters(word) => begun(word),
        Word::Number(asked) => numbered(*asked),
        Word::Unit(unit, asked) => begun(unit) && numbered(*asked),
    };
    words.iter().enumerate().fold(0, |bits, (bit, word)| bits | u16::from(has(word)) << bit)
}

fn number(word: &str) -> Option<u32> {
    word.parse().ok()
}

fn by_code(ground: &Ground, text: &str, most: usize) -> Vec<u32> {
    let begun = ground.begun_by(text);
    let hits = AreaLevel::ALL.into_iter().flat_map(|level| ground.level_in(level, &begun).iter().copied());
    hits.take(most).collect()
}

fn folded(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    let words: Vec<String> = words.map(|word| word.chars().flat_map(fold).collect()).collect();
    words.join(" ")
}

/// Small letters without accents, as far as names in Latin letters have them.
fn fold(letter: char) -> impl Iterator<Item = char> {
    letter.to_lowercase().filter_map(|c| {
        Some(match c {
            '\u{300}'..='\u{36f}' => return None,
            'à'..='å' | 'ā' | 'ă' => 'a',
            'ç' | 'č' => 'c',
            'è'..='ë' | 'ē' | 'ĕ' => 'e',
            'ì'..='ï' | 'ī' => 'i',
            'ñ' => 'n',
            'ò'..='ö' | 'ō' => 'o',
            'š' => 's',
            'ù'..='ü' | 'ū' => 'u',
            'ý' | 'ÿ' => 'y',
            other => other,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::{AreaRecord, Atlas, Contents};
    use crate::domain::ids::AreaId;

    fn codes(text: &str) -> Vec<String> {
        let areas = [
            ("31", "DKI Jakarta"),
            ("31.71", "Kota Jakarta Pusat"),
            ("31.71.01", "Gambir"),
            ("31.71.01.1001", "Gambir"),
            ("31.71.01.1001.003", "RW 003"),
            ("31.71.01.1001.003.007", "RT 007"),
            ("31.71.01.1001.013", "RW 013"),
            ("31.71.01.1002", "Café Hulu"),
            ("31.71.01.1002.003", "RW 003"),
        ];
        let record = |(id, (code, name)): (i64, (&str, &str))| AreaRecord {
            id: AreaId(id),
            code: code.parse().expect("a code"),
            name: name.into(),
            label: None,
            shape: None,
            generated: false,
            point: None,
            households: None,
            poor_households: None,
        };
        let atlas = Atlas::new();
        let areas = (1..).zip(areas).map(record).collect();
        atlas.load(Contents { areas, ..Contents::default() }).expect("a map");
        atlas.ground().search(text, 5).iter().map(|a| a.code().to_string()).collect()
    }

    #[test]
    fn areas_are_found_by_their_names_whatever_the_case_and_the_accents() {
        for text in ["gambir", "GAMB", " Gambír "] {
            assert_eq!(codes(text), ["31.71.01", "31.71.01.1001"], "{text}");
        }
        assert_eq!(codes("cafe"), ["31.71.01.1002"]);
        assert_eq!(codes("pusat"), ["31.71"]);
        assert_eq!(codes("jakarta"), ["31", "31.71"]);
        assert!(codes("bandung").is_empty() && codes(" . ").is_empty());
    }

    #[test]
    fn a_number_is_a_number_and_names_above_narrow_the_search() {
        for text in ["rw 3", "RW003", "rw. 03"] {
            assert_eq!(codes(text), ["31.71.01.1001.003", "31.71.01.1002.003"], "{text}");
        }
        assert_eq!(codes("RW 03 gambir hulu"), ["31.71.01.1002.003"]);
        assert!(codes("rt 3").is_empty() && codes("rw 3 bandung").is_empty());
        assert_eq!(codes("cafe rw 003"), ["31.71.01.1002.003"]);
        assert_eq!(codes("RT 7 RW 3 Gambir"), ["31.71.01.1001.003.007"]);
    }

    #[test]
    fn a_code_finds_what_begins_so_the_larger_areas_first() {
        assert_eq!(codes("31.71.01.1001.0"), ["31.71.01.1001.003", "31.71.01.1001.013", "31.71.01.1001.003.007"]);
        assert_eq!(codes("31")[0], "31");
        assert_eq!(codes("31").len(), 5);
    }
}
