//! National ID numbers (NIK): sixteen digits that name a person, the seventh to twelfth by the day of
//! birth. Salur asks for none; people write them all the same where they may write freely.

/// What whoever wrote one is told.
pub const REFUSAL: &str =
    "seems to hold a national ID number (NIK, 16 digits); leave it out, nobody is named by it here";

const DIGITS: usize = 16;

/// True where the text holds sixteen digits in a row, or in groups with one blank, dot or hyphen between
/// them and a day of birth where a NIK has it: two dates beside each other are sixteen digits, too. So
/// is the code of an RT, which is known by its groups.
pub fn is_in(text: &str) -> bool {
    let mut groups: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let between = &rest[..start];
        let joins = between.chars().count() == 1 && between.chars().all(|c| c.is_whitespace() || ".-".contains(c));
        if !joins {
            groups.clear();
        }
        let digits = &rest[start..];
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (group, behind) = digits.split_at(end);
        groups.push(group);
        if ends_with_one(&groups) {
            return true;
        }
        rest = behind;
    }
    false
}

/// Whether the last group is one, or the last some are one together.
fn ends_with_one(groups: &[&str]) -> bool {
    let (mut number, mut lengths) = (String::new(), Vec::new());
    for group in groups.iter().rev() {
        number.insert_str(0, group);
        lengths.push(group.len());
        if number.len() >= DIGITS {
            break;
        }
    }
    let is_rt = lengths == [3, 3, 4, 2, 2, 2];
    number.len() == DIGITS && (lengths.len() == 1 || (has_birthday(&number) && !is_rt))
}

/// Forty is added to the day of birth of women.
fn has_birthday(number: &str) -> bool {
    let part = |at: usize| number.get(at..at + 2).and_then(|digits| digits.parse::<u8>().ok());
    let day = part(6).is_some_and(|day| matches!(day, 1..=31 | 41..=71));
    day && part(8).is_some_and(|month| (1..=12).contains(&month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nik_is_found_however_it_is_written() {
        for text in [
            "9901011503850001",
            "atas nama Siti, NIK 9901015503850001.",
            "(9901019999990001)",
            "9901 0115 0385 0001",
            "99.01.01.150385.0001",
            "990101-150385-0001",
            "RT 003 9901-0115-0385-0001 sakit",
            "12 9901 0115 0385 0001",
        ] {
            assert!(is_in(text), "{text}");
        }
    }

    #[test]
    fn what_people_write_otherwise_is_left_alone() {
        for text in [
            "",
            "20 paket untuk RT 003",
            "2020-04-01 2020-12-05",
            "2020-04-01 - 2020-04-30",
            "0812-3456-7890 0813-4567-8901",
            "Rp 1.500.000.000.000.000",
            "31.71.01.1001.003.007",
            "990101150385000",
            "99010115038500012",
            "9901011503, 850001",
        ] {
            assert!(!is_in(text), "{text}");
        }
    }
}
