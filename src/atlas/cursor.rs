//! Cursors: a row's place in an order as a text that says nothing to its reader.
//!
//! The text is base64url of a letter for the order, three numbers of 16 hexadecimal digits (the two parts
//! of the sort key, the need's id) and the area's code. A code and not a slot, so that a cursor outlives
//! the edition it was given in.

use super::first::Key;
use super::ground::Ground;
use super::query::{Order, QueryError};
use crate::domain::area::AreaCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A cursor that was read, not yet placed on a ground.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    first: u64,
    second: u64,
    id: u64,
    code: AreaCode,
}

fn letter(order: Order) -> char {
    match order {
        Order::Priority => 'p',
        Order::Nearest => 'n',
        Order::Unmet => 'u',
        Order::Code => 'c',
    }
}

pub(super) fn write(order: Order, key: &Key, code: &AreaCode) -> String {
    let Key { first, second, id, .. } = key;
    URL_SAFE_NO_PAD.encode(format!("{}{first:016x}{second:016x}{id:016x}{code}", letter(order)))
}

/// Takes exactly what [`write`] gives for the order.
pub(super) fn read(order: Order, text: &str) -> Result<Cursor, QueryError> {
    parse(order, text).ok_or(QueryError::BadCursor)
}

fn parse(order: Order, text: &str) -> Option<Cursor> {
    // A letter, 48 digits and a code of at most 21 characters are 94 characters of base64.
    if text.len() > 94 {
        return None;
    }
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut rest = plain.strip_prefix(letter(order))?;
    let mut number = || {
        let (digits, after) = rest.split_at_checked(16)?;
        rest = after;
        let plain = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if plain { u64::from_str_radix(digits, 16).ok() } else { None }
    };
    let (first, second, id) = (number()?, number()?, number()?);
    Some(Cursor { first, second, id, code: rest.parse().ok()? })
}

impl Cursor {
    /// Its place among the areas of this ground. Where the code is no longer an area's, it is between two.
    pub fn key(&self, ground: &Ground) -> Key {
        let place = ground.place_of(&self.code);
        let place = place.map_or_else(|next| u64::from(next) * 2, |slot| u64::from(slot) * 2 + 1);
        Key { first: self.first, second: self.second, place, id: self.id.cast_signed() }
    }
}
