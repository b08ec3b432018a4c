//! The pass over text and variables before anything recursive sees them: linear, iterative, without allocation.

use async_graphql::{Value, Variables};

use super::{Limits, Refusal};

/// What a document's text holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Names, numbers, strings and punctuation; `...` is one.
    pub tokens: usize,
    /// The most brackets open at once.
    pub nesting: usize,
}

/// What the variables hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VariableStats {
    /// Every scalar, list and object.
    pub values: usize,
    /// The most lists and objects around one value.
    pub nesting: usize,
}

/// Counts tokens and open brackets of a GraphQL document as the engine's grammar divides it.
///
/// Accepts what is no GraphQL where the parser stops at the same point and says so better: an unclosed `"` string, a
/// stray character, a bracket that closes nothing. A token is never longer here than in the grammar, so the counts are
/// never too low: `007` are three numbers, `1-1` two.
///
/// # Errors
///
/// TOO_COMPLEX beyond `document_bytes`, `tokens`, `nesting` or `word_bytes`; BAD_INPUT for a block string without end,
/// whose rest the grammar would read as code.
pub fn scan(document: &str, limits: &Limits) -> Result<ScanStats, Refusal> {
    let text = document.as_bytes();
    if text.len() > limits.document_bytes {
        return Err(Refusal::too_complex(format!(
            "The document is {} bytes long; at most {} are read. Pass large values as variables or split the request.",
            text.len(),
            limits.document_bytes
        )));
    }
    let mut stats = ScanStats::default();
    let mut open: Vec<u8> = Vec::with_capacity(limits.nesting.min(256));
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let end = match byte {
            b' ' | b',' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'#' => {
                at =
                    text[at..].iter().position(|b| matches!(b, b'\n' | b'\r')).map_or(text.len(), |length| at + length);
                continue;
            }
            0xEF if text[at..].starts_with("\u{feff}".as_bytes()) => {
                at += 3;
                continue;
            }
            b'"' if text[at..].starts_with(b"\"\"\"") => match block_string_end(text, at + 3) {
                Some(end) => end,
                None => return Err(Refusal::bad_input("A block string is not closed. Close it with three quotes.")),
            },
            b'"' => match string_end(text, at + 1) {
                Some(end) => end,
                // Nothing but a string starts with a quote: the parser ends here, whatever follows.
                None => return Ok(stats),
            },
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                let end = run_end(text, at, |b| b.is_ascii_alphanumeric() || b == b'_');
                check_word(end - at, limits)?;
                end
            }
            b'-' | b'0'..=b'9' => {
                let end = number_end(text, at);
                check_word(end - at, limits)?;
                end
            }
            b'.' if text[at..].starts_with(b"...") => at + 3,
            b'{' | b'[' | b'(' => {
                open.push(byte);
                if open.len() > limits.nesting {
                    return Err(Refusal::too_complex(format!(
                        "The document nests brackets deeper than {} levels. Use fewer levels, or pass nested values as \
                         variables.",
                        limits.nesting
                    )));
                }
                stats.nesting = stats.nesting.max(open.len());
                at + 1
            }
            b'}' | b']' | b')' => {
                let partner = match byte {
                    b'}' => b'{',
                    b']' => b'[',
                    _ => b'(',
                };
                // A bracket that closes nothing must not make room for another one.
                if open.last() == Some(&partner) {
                    open.pop();
                }
                at + 1
            }
            _ => at + 1,
        };
        stats.tokens += 1;
        if stats.tokens > limits.tokens {
            return Err(Refusal::too_complex(format!(
                "The document has more than {} tokens. Pass lists and shapes as variables, or split the request.",
                limits.tokens
            )));
        }
        at = end;
    }
    Ok(stats)
}

/// Counts the values of a request's variables and how deeply they nest.
///
/// The JSON reader has stopped at 128 levels by then, which every recursion over a value bears; this is the bound that
/// the API promises.
///
/// # Errors
///
/// TOO_COMPLEX beyond `variable_values`, `variable_nesting` or `variable_key_bytes`.
pub fn scan_variables(variables: &Variables, limits: &Limits) -> Result<VariableStats, Refusal> {
    let mut stats = VariableStats::default();
    let mut ahead: Vec<(&Value, usize)> = Vec::new();
    for (name, value) in variables.iter() {
        check_key(name, limits)?;
        ahead.push((value, 0));
    }
    while let Some((value, depth)) = ahead.pop() {
        stats.values += 1;
        let depth = match value {
            Value::List(_) | Value::Object(_) => depth + 1,
            _ => depth,
        };
        stats.nesting = stats.nesting.max(depth);
        if depth > limits.variable_nesting {
            return Err(Refusal::too_complex(format!(
                "The variables nest lists and objects deeper than {} levels. Use fewer levels.",
                limits.variable_nesting
            )));
        }
        match value {
            Value::List(items) => ahead.extend(items.iter().map(|item| (item, depth))),
            Value::Object(fields) => {
                for (key, field) in fields {
                    check_key(key, limits)?;
                    ahead.push((field, depth));
                }
            }
            _ => {}
        }
        if stats.values + ahead.len() > limits.variable_values {
            return Err(Refusal::too_complex(format!(
                "The variables hold more than {} values. Simplify the shape or split the request.",
                limits.variable_values
            )));
        }
    }
    Ok(stats)
}

fn check_word(length: usize, limits: &Limits) -> Result<(), Refusal> {
    if length <= limits.word_bytes {
        return Ok(());
    }
    Err(Refusal::too_complex(format!(
        "A name or number of the document is {length} bytes long; at most {} are read. Shorten it.",
        limits.word_bytes
    )))
}

fn check_key(key: &str, limits: &Limits) -> Result<(), Refusal> {
    if key.len() <= limits.variable_key_bytes {
        return Ok(());
    }
    Err(Refusal::too_complex(format!(
        "A key of the variables is {} bytes long; at most {} are read. Shorten it.",
        key.len(),
        limits.variable_key_bytes
    )))
}

fn run_end(text: &[u8], from: usize, belongs: impl Fn(u8) -> bool) -> usize {
    text[from..].iter().position(|&byte| !belongs(byte)).map_or(text.len(), |length| from + length)
}

/// The end of the number at `at`: an optional sign, `0` or digits without leading zero, fraction, exponent.
fn number_end(text: &[u8], at: usize) -> usize {
    let digits = |from| run_end(text, from, |byte| byte.is_ascii_digit());
    let whole = if text[at] == b'-' { at + 1 } else { at };
    let mut end = match text.get(whole) {
        Some(b'0') => whole + 1,
        _ => digits(whole),
    };
    if text.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let exponent = if matches!(text.get(end + 1), Some(b'+' | b'-')) { end + 2 } else { end + 1 };
        if digits(exponent) > exponent {
            end = digits(exponent);
        }
    }
    end
}

/// The position after the closing quote, or none where the line or the text ends first.
fn string_end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\n' | b'\r' => return None,
            // An escaped line end is none for the parser either.
            b'\\' if matches!(text.get(at + 1), Some(b'\n' | b'\r')) => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The position after the closing three quotes, or none where the text ends first.
fn block_string_end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < text.len() {
        if text[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if text[at..].starts_with(b"\"\"\"") {
            return Some(at + 3);
        } else {
            at += 1;
        }
    }
    None
}
