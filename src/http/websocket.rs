//! GET /graphql/ws: subscriptions over graphql-transport-ws. The key comes in the first message's
//! payload, `{"Authorization": "Bearer KEY"}`, or in the header of the upgrade.

use super::Door;
use super::callers::{self, From};
use crate::graphql::{Engine, admit, errors, tell_freshness};
use crate::service::visits::{Credential, Rights};
use crate::service::{Code, Service, ServiceError};
use crate::telemetry;
use async_graphql::{Data, Executor, Request, Response as Answer};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream::{self, BoxStream};
use futures_util::{SinkExt, StreamExt, sink};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tracing::Instrument;

/// A reader that does not answer pings for so long is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long a reader may take for the last message.
const LAST_WORD: Duration = Duration::from_secs(2);

pub async fn subscribe(
    State(door): State<Door>,
    from: From,
    headers: HeaderMap,
    protocol: GraphQLProtocol,
    upgrade: WebSocketUpgrade,
) -> Response {
    let shown = callers::credential(&headers).and_then(|credential| match credential {
        Credential::Session(_) => callers::of_our_own_origin(&headers).map(|()| credential),
        _ => Ok(credential),
    });
    let caller: Arc<OnceLock<Credential>> = Arc::default();
    let executor = Guarded { engine: door.engine.clone(), service: door.service.clone(), caller: caller.clone(), from };
    let upgrade = upgrade.max_message_size(super::MAX_BODY).protocols(["graphql-transport-ws"]);
    let (reference, span) = (telemetry::reference(), tracing::Span::current());
    upgrade.on_upgrade(move |socket| {
        let conversation = async move {
            let (_open, _counted) = (door.drain.open_socket(), door.service.metrics().connected());
            converse(socket, &door, executor, protocol, shown).await;
        };
        telemetry::under_reference(reference, conversation.instrument(span))
    })
}

/// Serves a connection until its reader goes, or the server does.
async fn converse(
    socket: WebSocket,
    door: &Door,
    executor: Guarded,
    protocol: GraphQLProtocol,
    shown: Result<Credential, ServiceError>,
) {
    let (out, incoming) = socket.split();
    // Shared, so that the last word can still be said when the conversation is broken off.
    let out = Arc::new(Mutex::new(out));
    let outgoing = sink::unfold(out.clone(), |out, message| async move {
        out.lock().await.send(message).await?;
        Ok::<_, axum::Error>(out)
    });
    let (service, caller) = (door.service.clone(), executor.caller.clone());
    let conversation = GraphQLWebSocket::new_with_pair(outgoing, incoming, executor, protocol)
        .on_connection_init(move |payload| async move {
            let named = ["Authorization", "authorization"].iter().find_map(|name| payload[*name].as_str());
            let told = |e: ServiceError| async_graphql::Error::new(e.message);
            let credential = match (named, shown.map_err(told)?) {
                (Some(_), Credential::Session(_)) => {
                    return Err(async_graphql::Error::new("send an API key or a session's cookie, not both"));
                }
                (Some(bearer), _) => callers::by_bearer(bearer).map_err(told)?,
                (None, shown) => shown,
            };
            service.who_is(&credential, None).await.map_err(told)?;
            // The first message alone says who calls; a second one is refused by the protocol.
            let _ = caller.set(credential);
            Ok(Data::default())
        })
        .keepalive_timeout(KEEP_ALIVE)
        .serve();
    tokio::select! {
        () = conversation => {}
        () = door.drain.closing() => {
            let elsewhere = CloseFrame { code: close_code::AWAY, reason: "the server stops; connect again".into() };
            let said = async { out.lock().await.send(Message::Close(Some(elsewhere))).await };
            // A reader that takes nothing is not waited for.
            let _ = tokio::time::timeout(LAST_WORD, said).await;
        }
    }
}

/// The schema behind the guard: each operation of a connection is admitted by itself.
#[derive(Clone)]
struct Guarded {
    engine: Engine,
    service: Service,
    caller: Arc<OnceLock<Credential>>,
    from: From,
}

impl Guarded {
    fn credential(&self) -> Credential {
        self.caller.get().cloned().unwrap_or(Credential::Nobody)
    }
}

impl Executor for Guarded {
    async fn execute(&self, request: Request) -> Answer {
        // Asked anew each time: what was taken from somebody meanwhile is gone.
        match self.service.who_is(&self.credential(), None).await {
            Ok(actor) => match self.service.admit_traffic(&actor, self.from.address) {
                Ok(()) => crate::graphql::answer(&self.engine, request, &self.service, actor, Arc::default()).await,
                Err(error) => errors::refused(error),
            },
            Err(error) => errors::refused(error),
        }
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Answer> {
        let (this, credential) = (self.clone(), self.credential());
        let begun = async move {
            // From before the subscription begins: what changes meanwhile ends it.
            let rights = match this.service.rights_of(&credential).await {
                Ok(rights) => rights,
                Err(error) => return stream::once(async move { errors::refused(error) }).boxed(),
            };
            let actor = match this.service.who_is(&credential, None).await {
                Ok(actor) => actor,
                Err(error) => return stream::once(async move { errors::refused(error) }).boxed(),
            };
            let admitted = this.service.admit_traffic(&actor, this.from.address);
            let request = match admitted.and_then(|()| admit(request, &this.service, actor, Arc::default())) {
                Ok(request) => request,
                Err(refusal) => return stream::once(async move { errors::refused(refusal) }).boxed(),
            };
            let answers = this.engine.schema.execute_stream_with_session_data(request, session.unwrap_or_default());
            while_unchanged(answers.boxed(), this.service.clone(), credential, rights).boxed()
        };
        stream::once(begun).flatten().boxed()
    }
}

/// How often an open subscription looks whether its reader is still who they were.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Passes answers on for as long as the caller's rights are those that the subscription began with. When
/// they change it ends and says so; a reader that subscribes again gets what is due to them now.
fn while_unchanged(
    answers: BoxStream<'static, Answer>,
    service: Service,
    credential: Credential,
    rights: Rights,
) -> impl futures_util::Stream<Item = Answer> {
    let look = tokio::time::interval(LOOK_AGAIN);
    stream::unfold(Some((answers, service, credential, rights, look)), |state| async move {
        let (mut answers, service, credential, rights, mut look) = state?;
        loop {
            tokio::select! {
                biased;
                _ = look.tick() => match service.rights_of(&credential).await {
                    Ok(now) if now == rights => {}
                    // The database is away: nothing comes from it, and nobody can have been shut out there.
                    Err(error) if error.code == Code::Unavailable => {}
                    _ => {
                        let changed = ServiceError::new(
                            Code::Unauthenticated,
                            "your account or its rights have changed; sign in if need be, then subscribe again",
                        );
                        return Some((errors::refused(changed), None));
                    }
                },
                answer = answers.next() => {
                    let mut answer = answer?;
                    errors::finish(&mut answer);
                    tell_freshness(&mut answer, service.freshness());
                    return Some((answer, Some((answers, service, credential, rights, look))));
                }
            }
        }
    })
}
