//! Identifiers. Each kind of record has its own type, so that a claim's number can never be
//! taken for a need's, and its own prefix, so that a global id says what it points at.

use std::fmt;
use std::str::FromStr;

/// A text that is not an id of the expected kind. Holds the kind that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of a {0}")]
pub struct WrongId(pub &'static str);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub i64);

            impl $name {
                /// The word before the number in the text form.
                pub const PREFIX: &'static str = $prefix;
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    // Not by `write!`: a claim's entries in the log hold a hundred of them.
                    f.write_str(concat!($prefix, "-"))?;
                    f.write_str(itoa::Buffer::new().format(self.0))
                }
            }

            impl FromStr for $name {
                type Err = WrongId;
                fn from_str(text: &str) -> Result<Self, WrongId> {
                    text.strip_prefix(concat!($prefix, "-"))
                        .and_then(canonical_number)
                        .map($name)
                        .ok_or(WrongId($prefix))
                }
            }
        )*

        /// An id of any kind, as `node(id:)` takes it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AnyId { $($name($name),)* }

        impl FromStr for AnyId {
            type Err = WrongId;
            fn from_str(text: &str) -> Result<Self, WrongId> {
                $(if let Ok(id) = text.parse::<$name>() { return Ok(AnyId::$name(id)); })*
                Err(WrongId("record"))
            }
        }

        impl fmt::Display for AnyId {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(AnyId::$name(id) => id.fmt(f),)* }
            }
        }
    };
}

ids! {
    AreaId = "area";
    ProgramId = "program";
    ItemId = "item";
    NeedId = "need";
    OrganizationId = "organization";
    UserId = "user";
    OfferId = "offer";
    ClaimId = "claim";
    ClaimLineId = "line";
    DeliveryId = "delivery";
    OverlapId = "overlap";
    DistributionId = "distribution";
    SessionId = "session";
    ApiKeyId = "key";
    DocumentId = "document";
}

/// Digits of a positive number without sign or leading zero, so that one record has one text.
fn canonical_number(digits: &str) -> Option<i64> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form_and_no_other_text_is_taken() {
        assert_eq!("need-12".parse(), Ok(NeedId(12)));
        assert_eq!(NeedId(12).to_string(), "need-12");
        for wrong in ["need-012", "need-+1", "need--1", "need-", "claim-1", "12", "need-99999999999999999999"] {
            assert!(wrong.parse::<NeedId>().is_err(), "{wrong}");
        }
        assert_eq!("claim-7".parse(), Ok(AnyId::ClaimId(ClaimId(7))));
    }
}
