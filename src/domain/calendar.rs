//! Days and moments. Both are plain numbers with one text form each, the same in both
//! databases and in the API; nothing here asks what time it is.

use std::fmt;
use std::str::FromStr;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date is written YYYY-MM-DD")]
pub struct NotADay;

/// A calendar day, counted from 1970-01-01. Text form: `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

const EPOCH_JULIAN: i32 = 2_440_588;

impl Day {
    pub fn number(self) -> i32 {
        self.0
    }

    pub fn from_number(number: i32) -> Option<Self> {
        Date::from_julian_day(number.checked_add(EPOCH_JULIAN)?).ok().map(|_| Day(number))
    }

    pub fn plus(self, days: i32) -> Self {
        Day(self.0.saturating_add(days))
    }
}

impl FromStr for Day {
    type Err = NotADay;
    fn from_str(text: &str) -> Result<Self, NotADay> {
        let date = Date::parse(text, format_description!("[year]-[month]-[day]")).map_err(|_| NotADay)?;
        Ok(Day(date.to_julian_day() - EPOCH_JULIAN))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Date::from_julian_day(self.0.saturating_add(EPOCH_JULIAN)) {
            // Not by `write!` where it can be helped: every entry of the log about a need holds two days.
            Ok(d) if (1000..=9999).contains(&d.year()) => {
                f.write_str(itoa::Buffer::new().format(d.year()))?;
                for part in [u8::from(d.month()), d.day()] {
                    f.write_str(if part < 10 { "-0" } else { "-" })?;
                    f.write_str(itoa::Buffer::new().format(part))?;
                }
                Ok(())
            }
            Ok(d) => write!(f, "{:04}-{:02}-{:02}", d.year(), u8::from(d.month()), d.day()),
            Err(_) => f.write_str("0000-00-00"),
        }
    }
}

/// First and last day, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    pub start: Day,
    pub end: Day,
}

impl Period {
    /// `None` where the end lies before the start.
    pub fn new(start: Day, end: Day) -> Option<Self> {
        (start <= end).then_some(Period { start, end })
    }

    pub fn contains(self, day: Day) -> bool {
        self.start <= day && day <= self.end
    }

    pub fn intersects(self, other: Period) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// A moment: microseconds since 1970-01-01T00:00:00Z. Text form: RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Moment(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The day in UTC.
    pub fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(86_400_000_000)).unwrap_or(i32::MAX))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .ok()
            .and_then(|t| t.format(&Rfc3339).ok());
        f.write_str(text.as_deref().unwrap_or("out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_keep_their_text_form() {
        assert_eq!("1970-01-01".parse::<Day>().map(Day::number), Ok(0));
        for text in ["2020-11-26", "2024-02-29", "1999-12-31", "1000-01-09", "9999-10-10", "0999-01-02"] {
            assert_eq!(text.parse::<Day>().map(|d| d.to_string()), Ok(text.to_string()));
        }
        for wrong in ["2023-02-29", "26-11-2020", "2020-1-1", ""] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
        assert_eq!(Moment(1_606_348_800_000_000).to_string(), "2020-11-26T00:00:00Z");
        assert_eq!(Moment(1_606_348_800_000_000).day().to_string(), "2020-11-26");
        assert_eq!(Moment(-1).day().number(), -1);
    }
}
