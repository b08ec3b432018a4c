//! How leaves that resemble each other are kept: the first as it is, others by the numbers in which they differ
//! from the one before.
//!
//! A claim of twenty lines makes forty-one leaves of some 250 bytes, and from one to the next hardly more than three
//! numbers change. A folded text has one line for each leaf. A line that begins with `{` is the leaf itself. Any
//! other names, between commas, the runs of digits that take the places of those of the leaf before, from left
//! to right; where nothing stands the run stays, and commas at the end are left out:
//!
//! ```text
//! {"at":5,"actor":"user-3","action":"claim.open","subject":"line-12","version":1,"state":{"need":"need-9","quantity":40}}
//! ,,13,,10
//! ```
//!
//! What is hashed, signed and exported are the leaves; nobody outside the database meets this form.

/// Appends `leaf` behind `previous`, or as it is where there is none or it does not resemble it. `folded` ends where
/// the line before ends.
pub fn fold(folded: &mut String, previous: Option<&str>, leaf: &str) {
    if let Some(previous) = previous {
        folded.push('\n');
        let begin = folded.len();
        if fold_numbers(folded, previous.as_bytes(), leaf) {
            folded.truncate(begin + folded[begin..].trim_end_matches(',').len());
            return;
        }
        folded.truncate(begin);
    }
    folded.push_str(leaf);
}

/// False where the two differ in more than their numbers; something may have been written then.
fn fold_numbers(out: &mut String, previous: &[u8], leaf: &str) -> bool {
    let bytes = leaf.as_bytes();
    let (mut i, mut j) = (0, 0);
    loop {
        let same = words(&previous[i..]);
        if bytes.get(j..j + same) != Some(&previous[i..i + same]) {
            return false;
        }
        (i, j) = (i + same, j + same);
        if i == previous.len() {
            return j == bytes.len();
        }
        let (old, new) = (digits(&previous[i..]), digits(&bytes[j..]));
        if new == 0 {
            return false;
        }
        if previous[i..i + old] != bytes[j..j + new] {
            out.push_str(&leaf[j..j + new]);
        }
        out.push(',');
        (i, j) = (i + old, j + new);
    }
}

/// How many digits there are before anything else.
fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// How much there is before a digit.
fn words(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| !byte.is_ascii_digit()).count()
}

/// The leaves that [`fold`] was given, one after another. A line that says nothing about the leaf before it comes
/// out as it stands, and is no leaf.
pub fn unfold(folded: &str) -> impl Iterator<Item = String> {
    let mut unfolded = Unfolded::default();
    folded.split('\n').map(move |line| unfolded.next(line).to_owned())
}

/// As [`unfold`], for those who look at each leaf once.
pub fn each_leaf(folded: &str, mut look: impl FnMut(&str)) {
    let mut unfolded = Unfolded::default();
    folded.split('\n').for_each(|line| look(unfolded.next(line)));
}

/// The last two leaves.
#[derive(Default)]
struct Unfolded {
    previous: String,
    leaf: String,
    begun: bool,
}

impl Unfolded {
    fn next(&mut self, line: &str) -> &str {
        std::mem::swap(&mut self.previous, &mut self.leaf);
        self.leaf.clear();
        let begun = std::mem::replace(&mut self.begun, true);
        if !begun || line.starts_with('{') || !unfold_numbers(&mut self.leaf, &self.previous, line) {
            self.leaf.clear();
            self.leaf.push_str(line);
        }
        &self.leaf
    }
}

/// False where the line says nothing about the leaf before it; something may have been written then.
fn unfold_numbers(leaf: &mut String, previous: &str, line: &str) -> bool {
    let mut numbers = line.split(',');
    let mut rest = previous;
    loop {
        let (same, behind) = rest.split_at(words(rest.as_bytes()));
        leaf.push_str(same);
        if behind.is_empty() {
            return numbers.all(str::is_empty);
        }
        let (old, behind) = behind.split_at(digits(behind.as_bytes()));
        let new = numbers.next().filter(|number| !number.is_empty()).unwrap_or(old);
        if digits(new.as_bytes()) != new.len() {
            return false;
        }
        leaf.push_str(new);
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(leaves: &[impl AsRef<str>]) -> String {
        let mut text = String::new();
        let mut previous: Option<&str> = None;
        for leaf in leaves {
            fold(&mut text, previous, leaf.as_ref());
            previous = Some(leaf.as_ref());
        }
        text
    }

    fn line(line: u64, need: u64, quantity: u64, status: &str) -> String {
        format!(
            r#"{{"at":5,"actor":"user-3","action":"claim.open","subject":"line-{line}","version":1,"state":{{"need":"need-{need}","quantity":{quantity},"status":"{status}"}}}}"#
        )
    }

    #[test]
    fn leaves_that_differ_in_numbers_are_kept_by_these() {
        let leaves = [line(12, 9, 40, "HELD"), line(13, 9, 5, "HELD"), line(13, 10, 5, "HELD"), line(7, 10, 5, "X")];
        let text = folded(&leaves);
        assert_eq!(text.lines().collect::<Vec<_>>(), [leaves[0].as_str(), ",,13,,,5", ",,,,10", leaves[3].as_str()]);
        assert_eq!(unfold(&text).collect::<Vec<_>>(), leaves);
    }

    #[test]
    fn a_line_that_fits_no_leaf_before_it_comes_out_as_it_stands() {
        let leaf = line(12, 9, 40, "HELD");
        for torn in [",,13,,,,,,1", ",,x", "13-", ",,1 3", "none"] {
            let text = format!("{leaf}\n{torn}");
            assert_eq!(unfold(&text).collect::<Vec<_>>(), [leaf.as_str(), torn], "{torn}");
            assert_eq!(unfold(torn).collect::<Vec<_>>(), [torn]);
        }
    }

    #[test]
    fn leaves_as_they_were_kept_before_are_read_as_they_are() {
        let leaves = [line(12, 9, 40, "HELD"), line(13, 9, 5, "HELD")];
        assert_eq!(unfold(&leaves.join("\n")).collect::<Vec<_>>(), leaves);
    }

    #[test]
    fn whatever_is_folded_comes_back() {
        // A generator of its own: any texts of these pieces, many of which resemble each other.
        let mut state: u64 = 7;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let pieces = ["a", "1", "23", "007", ",", "-", "é", "\"", "x9"];
        for _ in 0..20_000 {
            let leaves: Vec<String> = (0..1 + next(5))
                .map(|_| format!("{{{}}}", (0..next(6)).map(|_| pieces[next(pieces.len())]).collect::<String>()))
                .collect();
            assert_eq!(unfold(&folded(&leaves)).collect::<Vec<_>>(), leaves);
        }
    }
}
