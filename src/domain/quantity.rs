//! Whole numbers of an item's smallest unit.

/// The largest quantity: 2^53 - 1, the last whole number that every JSON reader keeps exact.
pub const MAX_QUANTITY: i64 = (1 << 53) - 1;

/// A quantity below zero or above [`MAX_QUANTITY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quantity is a whole number from 0 to 9007199254740991")]
pub struct QuantityOutOfRange;

/// A non-negative whole number of an item's smallest unit, at most [`MAX_QUANTITY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i64);

impl Quantity {
    pub const ZERO: Quantity = Quantity(0);
    /// The least that is told of anything small enough to point at somebody, besides nothing.
    pub const LEAST_SHOWN: Quantity = Quantity(5);

    pub fn new(value: i64) -> Result<Self, QuantityOutOfRange> {
        if (0..=MAX_QUANTITY).contains(&value) { Ok(Quantity(value)) } else { Err(QuantityOutOfRange) }
    }

    pub fn get(self) -> i64 {
        self.0
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        Quantity::new(self.0.checked_add(other.0)?).ok()
    }

    /// `None` where `other` is the larger one.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Quantity::new(self.0 - other.0).ok()
    }

    /// Never below zero.
    pub fn saturating_sub(self, other: Self) -> Self {
        Quantity((self.0 - other.0).max(0))
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
