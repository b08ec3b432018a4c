//! Held while the program is built: every field of the schema's roots has a line in the table of
//! rights. A new operation that nobody has thought about does not compile.

use crate::service::access::TABLE;

const SCHEMA: &str = include_str!("../../schema.graphql");

const _: () = assert!(all_are_named(SCHEMA.as_bytes()), "a field of a root type has no line in service/access.rs");

/// Goes through the schema line by line: within `type Query {` and the like, a field is a line that is
/// indented once and begins with its name.
const fn all_are_named(sdl: &[u8]) -> bool {
    let (mut at, mut in_root, mut in_words, mut found) = (0, false, false, 0);
    while at < sdl.len() {
        let end = end_of_line(sdl, at);
        if starts(sdl, at, b"type Query {")
            || starts(sdl, at, b"type Mutation {")
            || starts(sdl, at, b"type Subscription {")
        {
            in_root = true;
        } else if starts(sdl, at, b"}") {
            in_root = false;
        } else if in_root && starts(sdl, at, b"\t\"\"\"") {
            in_words = !in_words;
        } else if in_root && !in_words && at + 1 < end && sdl[at] == b'\t' && sdl[at + 1].is_ascii_alphabetic() {
            if !is_named(sdl, at + 1) {
                return false;
            }
            found += 1;
        }
        at = end + 1;
    }
    // A schema that is written in another way must not pass unread.
    found > 20
}

const fn end_of_line(text: &[u8], mut at: usize) -> usize {
    while at < text.len() && text[at] != b'\n' {
        at += 1;
    }
    at
}

const fn starts(text: &[u8], at: usize, with: &[u8]) -> bool {
    let mut i = 0;
    while i < with.len() {
        if at + i >= text.len() || text[at + i] != with[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn is_named(sdl: &[u8], at: usize) -> bool {
    let mut row = 0;
    while row < TABLE.len() {
        let name = TABLE[row].name.as_bytes();
        let end = at + name.len();
        if starts(sdl, at, name) && end < sdl.len() && (sdl[end] == b'(' || sdl[end] == b':') {
            return true;
        }
        row += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_without_a_line_in_the_table_is_found() {
        assert!(all_are_named(SCHEMA.as_bytes()));
        for (from, to) in
            [("\tclaimNeeds(", "\tclaimNeedsToo("), ("\tviewer:", "\tviewers:"), ("\tneedsChanged(", "\tx(")]
        {
            assert!(SCHEMA.contains(from), "{from}");
            assert!(!all_are_named(SCHEMA.replacen(from, to, 1).as_bytes()), "{to}");
        }
        assert!(!all_are_named(b"type Query {\n  claim: Claim\n}\n"), "a schema in another form");
    }
}
