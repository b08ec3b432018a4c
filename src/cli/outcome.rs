//! What a command comes to, and how it is shown.

use std::io::{ErrorKind, Write, stderr, stdout};

/// Why a command did not do what it was asked for, in one line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// It was used wrongly.
    pub fn usage(text: impl Into<String>) -> Self {
        Failure { text: text.into(), code: 2 }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Failure { text: text.into(), code: 1 }
    }

    /// A failure that has been shown already, line by line.
    pub fn shown() -> Self {
        Failure::failed("")
    }
}

/// Writes a failure to stderr, in one line, and answers its exit code.
pub fn show_error(failure: &Failure) -> u8 {
    if !failure.text.is_empty() {
        say(&failure.text);
    }
    failure.code
}

/// Writes one line about what is going on to stderr.
pub fn say(text: &str) {
    let words: Vec<&str> = text.split_whitespace().collect();
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(stderr(), "salur: {}", words.join(" "));
}

/// Writes a line of data to stdout. A reader who has seen enough is no failure.
pub fn show(text: &str) -> Result<(), Failure> {
    match writeln!(stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("stdout cannot be written: {error}; check the free space")))
        }
        _ => Ok(()),
    }
}
