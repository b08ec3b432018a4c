//! Administrative areas and their codes.

use std::fmt;
use std::str::FromStr;

/// From the nation's largest part down to the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AreaLevel {
    Province = 1,
    City = 2,
    District = 3,
    Village = 4,
    Rw = 5,
    Rt = 6,
}

impl AreaLevel {
    pub const ALL: [AreaLevel; 6] =
        [AreaLevel::Province, AreaLevel::City, AreaLevel::District, AreaLevel::Village, AreaLevel::Rw, AreaLevel::Rt];

    /// 1 (province) to 6 (RT), as stored.
    pub fn number(self) -> i64 {
        self as i64
    }

    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n.wrapping_sub(1)).copied())
    }

    pub fn parent(self) -> Option<Self> {
        Self::from_number(self.number() - 1)
    }

    /// Digits of each part of a code down to this level: 2.2.2.4.3.3.
    const PART_DIGITS: [usize; 6] = [2, 2, 2, 4, 3, 3];

    /// The lower-case word used on the command line and in files.
    pub fn word(self) -> &'static str {
        match self {
            AreaLevel::Province => "province",
            AreaLevel::City => "city",
            AreaLevel::District => "district",
            AreaLevel::Village => "village",
            AreaLevel::Rw => "rw",
            AreaLevel::Rt => "rt",
        }
    }
}

impl FromStr for AreaLevel {
    type Err = BadCode;
    fn from_str(text: &str) -> Result<Self, BadCode> {
        Self::ALL.into_iter().find(|l| l.word().eq_ignore_ascii_case(text.trim())).ok_or(BadCode)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an area code is written like 31, 31.71, 31.71.01, 31.71.01.1001, 31.71.01.1001.003 or 31.71.01.1001.003.007")]
pub struct BadCode;

/// A Ministry (Kemendagri) code, dotted, continued below the village by RW and RT of three
/// digits each: `31.71.01.1001.003.007`. Always text: a code is never a number. It is kept where it
/// stands, since a nation has more than a million of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaCode {
    /// Followed by zeros, which sort before every sign of a code.
    text: [u8; AreaCode::LONGEST],
    length: u8,
}

impl AreaCode {
    /// An RT's: sixteen digits and five dots.
    const LONGEST: usize = 21;

    fn of(text: &str) -> Option<Self> {
        let mut code = AreaCode { text: [0; AreaCode::LONGEST], length: u8::try_from(text.len()).ok()? };
        code.text.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(code)
    }

    pub fn as_str(&self) -> &str {
        // It was copied from a text of ASCII digits and dots.
        std::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default()
    }

    pub fn level(&self) -> AreaLevel {
        const LENGTHS: [u8; 5] = [2, 5, 8, 13, 17];
        LENGTHS.iter().position(|length| *length == self.length).map_or(AreaLevel::Rt, |at| AreaLevel::ALL[at])
    }

    pub fn parent(&self) -> Option<AreaCode> {
        self.as_str().rsplit_once('.').and_then(|(up, _)| AreaCode::of(up))
    }

    /// The code of the ancestor (or of the area itself) at `level`; `None` below the area.
    pub fn at(&self, level: AreaLevel) -> Option<AreaCode> {
        let mut code = self.clone();
        while code.level() > level {
            code = code.parent()?;
        }
        (code.level() == level).then_some(code)
    }

    /// True for the area itself and for all areas below it.
    pub fn covers(&self, other: &AreaCode) -> bool {
        let (whole, start) = (&other.text[..usize::from(other.length)], &self.text[..usize::from(self.length)]);
        whole.strip_prefix(start).is_some_and(|rest| rest.first().is_none_or(|next| *next == b'.'))
    }

    /// The area below this one with the given number, padded as its level asks.
    pub fn child(&self, number: u32) -> Option<AreaCode> {
        let level = self.level();
        let digits = *AreaLevel::PART_DIGITS.get(level as usize)?;
        format!("{self}.{number:0digits$}").parse().ok()
    }
}

impl FromStr for AreaCode {
    type Err = BadCode;
    fn from_str(text: &str) -> Result<Self, BadCode> {
        for (level, part) in text.split('.').enumerate() {
            let digits = AreaLevel::PART_DIGITS.get(level).ok_or(BadCode)?;
            if part.len() != *digits || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(BadCode);
            }
        }
        AreaCode::of(text).ok_or(BadCode)
    }
}

impl fmt::Display for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AreaCode({:?})", self.as_str())
    }
}

/// Where an area's point comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PointSource {
    /// A point given for it, or one inside its own shape.
    Own,
    /// Its parent's: it has neither shape nor point.
    Parent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_know_their_level_their_parents_and_what_lies_below() {
        let rt: AreaCode = "31.71.01.1001.003.007".parse().expect("a code");
        assert_eq!(rt.level(), AreaLevel::Rt);
        assert_eq!(rt.at(AreaLevel::Village).map(|c| c.to_string()).as_deref(), Some("31.71.01.1001"));
        let village: AreaCode = "31.71.01.1001".parse().expect("a code");
        assert!(village.covers(&rt) && village.covers(&village) && !rt.covers(&village));
        assert_eq!(village.child(3).map(|c| c.to_string()).as_deref(), Some("31.71.01.1001.003"));
        for wrong in ["", "31.", "3171", "31.7.01", "31.71.01.1001.3", "31.71.01.1001.003.007.1", "31.7a"] {
            assert!(wrong.parse::<AreaCode>().is_err(), "{wrong}");
        }
    }
}
