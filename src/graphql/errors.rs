//! The one place where errors become GraphQL: a message, a code, whether to retry, a reference.

use crate::planted::planted;
use crate::service::{Code, ServiceError};
use async_graphql::indexmap::IndexMap;
use async_graphql::{ErrorExtensionValues, Response, ServerError, Value};

pub(super) fn to_graphql(error: ServiceError) -> async_graphql::Error {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", error.code.word());
    extensions.set("retry", error.code.retry().word());
    if let Some(reference) = error.reference {
        extensions.set("reference", reference);
    }
    async_graphql::Error { message: error.message, source: None, extensions: Some(extensions) }
}

impl From<ServiceError> for Fault {
    fn from(error: ServiceError) -> Self {
        Fault(error)
    }
}

/// A service error on its way out of a resolver; `?` turns one into the other.
#[derive(Clone)]
pub struct Fault(ServiceError);

impl From<Fault> for async_graphql::Error {
    fn from(fault: Fault) -> Self {
        to_graphql(fault.0)
    }
}

/// What resolvers answer with.
pub type Answer<T> = Result<T, Fault>;

/// Errors of one answer that are shown; an engine that validates may find thousands.
const SHOWN: usize = 20;

/// Gives every error of the engine itself (unknown fields, values of a wrong type) a code, and
/// takes out of its message what the caller sent, which may be personal. Where nothing was asked for that is not
/// skipped the engine answers nothing at all, which readers take for a failure: that is an empty object.
pub fn finish(response: &mut Response) {
    if response.errors.is_empty() && response.data == Value::Null {
        response.data = Value::Object(IndexMap::new());
    }
    response.errors.truncate(SHOWN);
    for error in &mut response.errors {
        let coded = error.extensions.as_ref().is_some_and(|e| e.get("code").is_some());
        if !coded {
            if !planted!(ValuesRepeated) {
                error.message = without_values(&error.message);
            }
            let extensions = error.extensions.get_or_insert_default();
            extensions.set("code", Code::BadInput.word());
            extensions.set("retry", Code::BadInput.retry().word());
        }
    }
}

/// An answer that holds nothing but this error.
pub fn refused(error: ServiceError) -> Response {
    let error = to_graphql(error);
    let mut refused = ServerError::new(error.message, None);
    refused.extensions = error.extensions;
    Response::from_errors(vec![refused])
}

/// Keeps names of the schema and drops other quoted text and every long number.
fn without_values(message: &str) -> String {
    let mut out = String::new();
    for (i, part) in message.chars().take(400).collect::<String>().split('"').enumerate() {
        let quoted = i % 2 == 1;
        if i > 0 {
            out.push('"');
        }
        let is_name = part.len() <= 60
            && part.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '[')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_!.[]".contains(c));
        if quoted && !is_name {
            out.push('…');
        } else {
            out.push_str(&mask_numbers(part));
        }
    }
    out
}

/// Takes out every long number, which may be somebody's.
pub(super) fn mask_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        // 2^53 - 1, the bound that messages name, is the one long number of our own.
        if digits.len() > 6 && digits != "9007199254740991" {
            out.push('…');
        } else {
            out.push_str(&digits);
        }
        digits.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_engine_keep_names_and_lose_values() {
        let message = r#"Invalid value for argument "needId", expected type "ID!", "3171012345678901" is not one"#;
        let cleaned = without_values(message);
        assert!(cleaned.contains("\"needId\"") && cleaned.contains("\"ID!\""), "{cleaned}");
        assert!(!cleaned.contains("3171012345678901"), "{cleaned}");
        assert!(!without_values("value 3171012345678901 is wrong").contains("3171012"));
    }
}
