//! The public API. Resolvers parse, ask the service, and present; rules live elsewhere.

mod account_mutation;
pub mod context;
mod enums;
pub mod errors;
pub mod guard;
mod inputs;
mod mutation;
mod query;
mod roots;
mod scalars;
mod subscription;
mod types;

use crate::domain::actor::Actor;
use crate::service::access;
use crate::service::follow::Freshness;
use crate::service::visits::Visit;
use crate::service::{Code, Service, ServiceError, noting_commits};
use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{Request, Response, SDLExportOptions};
use std::sync::Arc;

pub type Schema = async_graphql::Schema<query::Query, mutation::Mutation, subscription::Subscription>;

/// The schema with the service behind it. Suggestions are off: they would repeat what was sent.
pub fn schema() -> Schema {
    async_graphql::Schema::build(query::Query, mutation::Mutation::default(), subscription::Subscription)
        .disable_suggestions()
        .finish()
}

/// The schema as text, its fields and arguments in a fixed order.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    schema().sdl_with_options(options)
}

/// Admits a request past the guard and puts its caller beside it.
pub fn admit(
    mut request: Request,
    service: &Service,
    actor: Actor,
    visit: Arc<Visit>,
) -> Result<Request, ServiceError> {
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
    for name in guard::root_fields(&mut request) {
        access::admit(&actor, &name)?;
    }
    Ok(context::attach(request, service, actor, visit))
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

/// Answers one request, whatever it is, and says how old the map is that it was answered from, and to a
/// mutation, what to wait for who wants to see it from another server.
pub async fn answer(schema: &Schema, request: Request, service: &Service, actor: Actor, visit: Arc<Visit>) -> Response {
    let mut response = match admit(request, service, actor, visit) {
        Ok(mut request) => {
            let fresh = service.freshness();
            let changes = is_mutation(&mut request);
            let (mut response, commits) = noting_commits(schema.execute(request)).await;
            tell_freshness(&mut response, fresh);
            if changes {
                response.extensions.insert("readToken".into(), service.position_after(commits).to_string().into());
            }
            response
        }
        Err(refusal) => errors::refused(refusal),
    };
    errors::finish(&mut response);
    response
}

fn is_mutation(request: &mut Request) -> bool {
    let name = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else { return false };
    let mut operations = document.operations.iter();
    operations.any(|(called, operation)| {
        operation.node.ty == OperationType::Mutation
            && (name.is_none() || name.as_deref() == called.map(|c| c.as_str()))
    })
}

/// Nothing is silently stale: every answer says how old the map may have been.
pub fn tell_freshness(response: &mut Response, fresh: Freshness) {
    let (Some(as_of), Some(lag)) = (fresh.as_of, fresh.lag) else { return };
    let lag = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
    let told = async_graphql::value!({"asOf": as_of.to_string(), "lagMs": lag});
    response.extensions.insert("freshness".into(), told);
}
