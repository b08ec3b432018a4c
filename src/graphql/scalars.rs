//! The scalars of the schema, each with one text form, checked while a request is parsed. What
//! was sent is never repeated in a complaint about it.

use crate::domain::calendar::{Day, Moment};
use crate::domain::quantity::Quantity as Amount;
use async_graphql::{InputValueError, InputValueResult, Number, Scalar, ScalarType, Value};

/// RFC 3339, UTC.
pub struct DateTime(pub Moment);

#[Scalar]
impl ScalarType for DateTime {
    fn parse(_: Value) -> InputValueResult<Self> {
        Err(InputValueError::custom("a moment is only ever answered, never asked for"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A calendar day, YYYY-MM-DD.
pub struct Date(pub Day);

#[Scalar]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => text.parse().map(Date).map_err(InputValueError::custom),
            _ => Err(InputValueError::custom("a date is written YYYY-MM-DD")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A GeoJSON geometry object (RFC 7946, lon/lat, WGS 84).
pub struct GeoJSON(pub serde_json::Value);

#[Scalar]
impl ScalarType for GeoJSON {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::Object(_) => value.into_json().map(GeoJSON).map_err(|_| InputValueError::custom("not JSON")),
            _ => Err(InputValueError::custom("a GeoJSON geometry is an object with type and coordinates")),
        }
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or(Value::Null)
    }
}

/// A non-negative whole number of the item's smallest unit, at most 2^53 - 1, written as a JSON number. Money is in
/// rupiah.
#[derive(Clone, Copy)]
pub struct Quantity(pub Amount);

#[Scalar]
impl ScalarType for Quantity {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match value {
            Value::Number(number) => number.as_i64(),
            _ => None,
        };
        let amount = number.and_then(|n| Amount::new(n).ok());
        amount
            .map(Quantity)
            .ok_or_else(|| InputValueError::custom("a quantity is a whole number from 0 to 9007199254740991"))
    }

    fn to_value(&self) -> Value {
        Value::Number(Number::from(self.0.get()))
    }
}

/// Opaque, changes with every change of the record; a client only compares it for equality.
#[derive(Clone, Copy)]
pub struct Version(pub i64);

#[Scalar]
impl ScalarType for Version {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::String(text) => text.strip_prefix('v').and_then(|digits| digits.parse().ok()),
            _ => None,
        };
        number.map(Version).ok_or_else(|| InputValueError::custom("a version is a text that this API has answered"))
    }

    fn to_value(&self) -> Value {
        Value::String(format!("v{}", self.0))
    }
}
