//! The public API. Resolvers parse, ask the service, and present; rules live elsewhere.

mod account_mutation;
pub mod context;
mod enums;
pub mod errors;
pub mod guard;
mod inputs;
mod known;
mod mutation;
mod query;
mod roots;
mod scalars;
mod subscription;
mod types;
mod written;

use crate::domain::actor::Actor;
use crate::service::access;
use crate::service::follow::Freshness;
use crate::service::visits::Visit;
use crate::service::{Code, Service, ServiceError, noting_commits};
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{Request, Response, SDLExportOptions, ValidationMode};
use known::Known;
use std::sync::Arc;
use written::AsText;

pub use written::to_json;

pub type Schema = async_graphql::Schema<query::Query, mutation::Mutation, subscription::Subscription>;

/// The schema with the service behind it. Suggestions are off: they would repeat what was sent.
pub fn schema() -> Schema {
    schema_with(ValidationMode::Strict)
}

fn schema_with(validation: ValidationMode) -> Schema {
    async_graphql::Schema::build(query::Query, mutation::Mutation::default(), subscription::Subscription)
        .disable_suggestions()
        .validation_mode(validation)
        .finish()
}

/// The schema, and what is known of documents that were asked before. Clones are cheap and know the same.
#[derive(Clone)]
pub struct Engine {
    pub schema: Schema,
    /// For documents that are known to be valid.
    trusting: Schema,
    known: Arc<Known>,
}

impl Default for Engine {
    fn default() -> Self {
        Engine { schema: schema(), trusting: schema_with(ValidationMode::Fast), known: Arc::default() }
    }
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
    guard::admit(&mut request, &guard::Limits::default()).map_err(refused_by_guard)?;
    beside(request, service, actor, visit)
}

fn refused_by_guard(refusal: guard::Refusal) -> ServiceError {
    let code = match refusal.code {
        guard::RefusalCode::TooComplex => Code::TooComplex,
        guard::RefusalCode::BadInput => Code::BadInput,
    };
    ServiceError::new(code, refusal.message)
}

/// Puts its caller beside a request that has passed the guard, where the caller may ask that at all.
fn beside(mut request: Request, service: &Service, actor: Actor, visit: Arc<Visit>) -> Result<Request, ServiceError> {
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
pub async fn answer(engine: &Engine, request: Request, service: &Service, actor: Actor, visit: Arc<Visit>) -> Response {
    let mut response = match admit(request, service, actor, visit) {
        Ok(request) => run(&engine.schema, request, service).await,
        Err(refusal) => errors::refused(refusal),
    };
    errors::finish(&mut response);
    response
}

/// As [`answer`], as JSON; a document that is known is not parsed and validated again. What changes something is run
/// once, whatever comes of it.
pub async fn answer_as_text(
    engine: &Engine,
    request: Request,
    service: &Service,
    actor: Actor,
    visit: Arc<Visit>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut response = match engine.known.find(&request.query, &request.variables) {
        Some((document, true)) => match admit_known(request, &document, service, actor, visit) {
            Ok(request) => run(&engine.trusting, request.data(AsText), service).await,
            Err(refusal) => errors::refused(refusal),
        },
        Some((document, false)) => {
            let mut again = Request::new(request.query.as_str()).variables(request.variables.clone());
            again.operation_name.clone_from(&request.operation_name);
            let found = match admit_known(again, &document, service, actor.clone(), visit.clone()) {
                Ok(again) => Some(run(&engine.trusting, again.data(AsText), service).await).filter(Response::is_ok),
                Err(_) => None,
            };
            match found {
                Some(found) => found,
                // Nothing is changed by a question: what went wrong is said in the words of the validation.
                None => answer_anew(engine, request, service, actor, visit).await,
            }
        }
        None => answer_anew(engine, request, service, actor, visit).await,
    };
    errors::finish(&mut response);
    to_json(&response)
}

/// As [`admit`], with the document that is known of the request's text.
fn admit_known(
    mut request: Request,
    document: &ExecutableDocument,
    service: &Service,
    actor: Actor,
    visit: Arc<Visit>,
) -> Result<Request, ServiceError> {
    guard::admit_parsed(&mut request, document.clone(), &guard::Limits::default()).map_err(refused_by_guard)?;
    beside(request, service, actor, visit)
}

/// Parses and validates the document, and remembers it where it was valid.
async fn answer_anew(
    engine: &Engine,
    request: Request,
    service: &Service,
    actor: Actor,
    visit: Arc<Visit>,
) -> Response {
    let mut request = match admit(request, service, actor, visit) {
        Ok(request) => request,
        Err(refusal) => return errors::refused(refusal),
    };
    let (query, variables) = (request.query.clone(), request.variables.clone());
    let note = request.parsed_query().ok().and_then(|d| engine.known.note(&query, &variables, d));
    let response = run(&engine.schema, request.data(AsText), service).await;
    if let Some(note) = note.filter(|_| response.is_ok()) {
        engine.known.keep(note);
    }
    response
}

async fn run(schema: &Schema, mut request: Request, service: &Service) -> Response {
    let fresh = service.freshness();
    let changes = is_mutation(&mut request);
    let (mut response, commits) = noting_commits(schema.execute(request)).await;
    tell_freshness(&mut response, fresh);
    if changes {
        response.extensions.insert("readToken".into(), service.position_after(commits).to_string().into());
    }
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
