//! The public API. Resolvers parse, ask the service, and present; rules live elsewhere.

pub mod context;
mod enums;
pub mod errors;
pub mod guard;
mod inputs;
mod mutation;
mod query;
mod scalars;
mod subscription;
mod types;

use crate::domain::actor::Actor;
use crate::service::{Code, Service, ServiceError};
use async_graphql::parser::types::DocumentOperations;
use async_graphql::{Request, Response, SDLExportOptions};

pub type Schema = async_graphql::Schema<query::Query, mutation::Mutation, subscription::Subscription>;

/// The schema with the service behind it. Suggestions are off: they would repeat what was sent.
pub fn schema() -> Schema {
    async_graphql::Schema::build(query::Query, mutation::Mutation, subscription::Subscription)
        .disable_suggestions()
        .finish()
}

/// The schema as text, its fields and arguments in a fixed order.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    schema().sdl_with_options(options)
}

/// Admits a request past the guard and puts its caller beside it.
pub fn admit(mut request: Request, service: &Service, actor: Actor) -> Result<Request, ServiceError> {
    guard::admit(&mut request, &guard::Limits::default()).map_err(|refusal| {
        let code = match refusal.code {
            guard::RefusalCode::TooComplex => Code::TooComplex,
            guard::RefusalCode::BadInput => Code::BadInput,
        };
        ServiceError::new(code, refusal.message)
    })?;
    if let Some(name) = operation_name(&mut request) {
        tracing::Span::current().record("operation", name);
    }
    Ok(context::attach(request, service, actor))
}

/// The name of the operation that is asked for, as the log takes it: short, and with no long number in
/// it, which might be somebody's.
fn operation_name(request: &mut Request) -> Option<String> {
    let asked = request.operation_name.clone();
    let DocumentOperations::Multiple(operations) = &request.parsed_query().ok()?.operations else { return None };
    let name = match asked {
        Some(asked) => operations.keys().find(|name| **name == asked)?,
        None => operations.keys().next()?,
    };
    Some(errors::mask_numbers(&name.chars().take(60).collect::<String>()))
}

/// Answers one request, whatever it is.
pub async fn answer(schema: &Schema, request: Request, service: &Service, actor: Actor) -> Response {
    let mut response = match admit(request, service, actor) {
        Ok(request) => schema.execute(request).await,
        Err(refusal) => errors::refused(refusal),
    };
    errors::finish(&mut response);
    response
}
