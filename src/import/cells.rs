//! Single cells: what counts as empty, and how numbers and dates are written.

use crate::domain::calendar::{Day, Period};
use crate::domain::nik;
use crate::domain::quantity::{MAX_QUANTITY, Quantity};

/// The longest name, key or label that is taken, in characters.
pub(super) const MAX_TEXT: usize = 200;

/// A cell without blanks around it; line breaks and runs of blanks inside become one blank.
pub(super) fn tidy(cell: &str) -> String {
    cell.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `None` for what publishers write where they know nothing.
pub(super) fn filled(cell: &str) -> Option<&str> {
    let cell = cell.trim();
    let empty = ["", "-", "nan", "null", "none", "n/a"].iter().any(|e| cell.eq_ignore_ascii_case(e));
    (!empty).then_some(cell)
}

/// A cell in a sentence: in quotes, in one line, cut after 40 characters. Sixteen digits may be a person's
/// number (NIK) in a column that should not hold one; they are never repeated.
pub(super) fn quote(cell: &str) -> String {
    let mut text = tidy(cell);
    let mut digits = 0;
    let longest = text.chars().fold(0, |longest: usize, c| {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        longest.max(digits)
    });
    if longest >= 16 {
        return format!("(a number of {longest} digits)");
    }
    if nik::is_in(&text) {
        return "(a number of 16 digits)".into();
    }
    if let Some((at, _)) = text.char_indices().nth(40) {
        text.truncate(at);
        text.push('…');
    }
    format!("\"{text}\"")
}

/// A text of its own: filled, not too long, and naming nobody by number.
pub(super) fn text(cell: &str, column: &str) -> Result<String, String> {
    let text = tidy(cell);
    if text.is_empty() {
        return Err(format!("{column} is empty"));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(format!("{column} is longer than {MAX_TEXT} characters"));
    }
    if nik::is_in(&text) {
        return Err(format!("{column} {}", nik::REFUSAL));
    }
    Ok(text)
}

/// Digits alone. Signs, separators and fractions are refused with what is wrong about them.
pub(super) fn quantity(cell: &str, column: &str) -> Result<Quantity, String> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Err(format!("{column} is empty"));
    }
    if cell.bytes().all(|b| b.is_ascii_digit()) {
        let too_large = || format!("{column} {} is larger than {MAX_QUANTITY}", quote(cell));
        return cell.parse().ok().and_then(|n| Quantity::new(n).ok()).ok_or_else(too_large);
    }
    let seen = quote(cell);
    let digits_and = |marks: &[char]| cell.chars().all(|c| c.is_ascii_digit() || marks.contains(&c));
    Err(if cell.starts_with('-') && cell.len() > 1 {
        format!("{column} {seen} is negative")
    } else if digits_and(&['.', ',', ' ', '\u{a0}', '\u{202f}', '\'']) {
        format!("{column} {seen} has a separator; write digits alone, 1250000 and not 1.250.000 or 1,5")
    } else {
        format!("{column} {seen} is not a whole number written in digits")
    })
}

/// A count of households: digits alone, or digits and `.0` as databases export whole numbers.
pub(super) fn count(cell: &str, column: &str) -> Result<Option<i64>, String> {
    match filled(cell) {
        None => Ok(None),
        Some(cell) => match quantity(cell.strip_suffix(".0").unwrap_or(cell), column)?.get() {
            n if n <= MAX_HOUSEHOLDS => Ok(Some(n)),
            n => Err(format!("{column} {n} is more households than the country has")),
        },
    }
}

const MAX_HOUSEHOLDS: i64 = 200_000_000;

fn day(cell: &str, column: &str) -> Result<Day, String> {
    let cell = cell.trim();
    let shape = |b: (usize, u8)| if matches!(b.0, 4 | 7) { b.1 == b'-' } else { b.1.is_ascii_digit() };
    if cell.is_empty() {
        Err(format!("{column} is empty"))
    } else if cell.len() != 10 || !cell.bytes().enumerate().all(shape) {
        Err(format!("{column} {} is not a date written YYYY-MM-DD, such as 2020-11-26", quote(cell)))
    } else {
        let known = |d: &Day| (FIRST_DAY..=LAST_DAY).contains(&d.number());
        let wrong = || format!("{column} {} is no day between 1970 and 2199", quote(cell));
        cell.parse().ok().filter(known).ok_or_else(wrong)
    }
}

const FIRST_DAY: i32 = 0;
/// 2199-12-31.
const LAST_DAY: i32 = 84_005;

/// Both days of a period, the first not after the last.
pub(super) fn period(start: &str, end: &str) -> Result<Period, String> {
    let (start, end) = (day(start, "period_start")?, day(end, "period_end")?);
    Period::new(start, end).ok_or_else(|| format!("period_end {end} lies before period_start {start}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_digits_alone_and_each_other_form_is_named() {
        assert_eq!(quantity(" 0120 ", "q").map(Quantity::get), Ok(120));
        assert_eq!(quantity("9007199254740991", "q").map(Quantity::get), Ok(MAX_QUANTITY));
        for (cell, part) in [
            ("", "is empty"),
            ("-5", "negative"),
            ("1.000", "separator"),
            ("1,5", "separator"),
            ("1 000", "separator"),
            ("12 dus", "not a whole number"),
            ("+3", "not a whole number"),
            ("1e3", "not a whole number"),
            ("9007199254740992", "larger than"),
            ("99999999999999999999999", "larger than"),
            ("٣", "not a whole number"),
        ] {
            let reason = quantity(cell, "required").expect_err(cell);
            assert!(reason.contains(part), "{cell}: {reason}");
        }
        assert_eq!(count("7255.0", "households"), Ok(Some(7255)));
        assert_eq!(count("nan", "households"), Ok(None));
        assert!(count("1.000", "households").is_err());
    }

    #[test]
    fn a_period_is_two_iso_days_in_order() {
        assert!(period("2020-11-01", "2020-11-01").is_ok());
        for (start, end, part) in [
            ("26/11/2020", "2020-12-01", "YYYY-MM-DD"),
            ("2020-11-1", "2020-12-01", "YYYY-MM-DD"),
            ("2020-02-30", "2020-12-01", "no day"),
            ("0001-01-01", "2020-12-01", "no day"),
            ("2020-11-02", "2020-11-01", "lies before"),
            ("2020-11-02", "", "period_end is empty"),
        ] {
            let reason = period(start, end).expect_err(start);
            assert!(reason.contains(part), "{reason}");
        }
        let last: Day = "2199-12-31".parse().expect("a day");
        assert_eq!(last.number(), LAST_DAY);
    }

    #[test]
    fn quoted_cells_are_short_in_one_line_and_hold_no_nik() {
        assert_eq!(quote(" a\n b "), "\"a b\"");
        assert_eq!(quote(&"é".repeat(60)).chars().count(), 43);
        assert_eq!(quote("NIK 9971012345678901"), "(a number of 16 digits)");
    }
}
