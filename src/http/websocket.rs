//! GET /graphql/ws: subscriptions over graphql-transport-ws. The key comes in the first message's
//! payload, `{"Authorization": "Bearer KEY"}`, or in the header of the upgrade.

use super::Door;
use super::graphql::by_bearer;
use crate::domain::actor::Actor;
use crate::graphql::{Schema, admit, errors, tell_freshness};
use crate::service::Service;
use crate::telemetry;
use async_graphql::{Data, Executor, Request, Response as Answer};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
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
    headers: HeaderMap,
    protocol: GraphQLProtocol,
    upgrade: WebSocketUpgrade,
) -> Response {
    let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let caller: Arc<OnceLock<Actor>> = Arc::default();
    let executor = Guarded { schema: door.schema.clone(), service: door.service.clone(), caller: caller.clone() };
    let upgrade = upgrade.max_message_size(super::MAX_BODY).protocols(["graphql-transport-ws"]);
    let (reference, span) = (telemetry::reference(), tracing::Span::current());
    upgrade.on_upgrade(move |socket| {
        let conversation = async move {
            let (_open, _counted) = (door.drain.open_socket(), door.service.metrics().connected());
            converse(socket, &door, executor, protocol, header).await;
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
    header: Option<String>,
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
            let actor = match named.map(str::to_owned).or(header) {
                None => Actor::Anonymous,
                Some(bearer) => by_bearer(&service, &bearer).await.map_err(|e| async_graphql::Error::new(e.message))?,
            };
            // The first message alone says who calls; a second one is refused by the protocol.
            let _ = caller.set(actor);
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
    schema: Schema,
    service: Service,
    caller: Arc<OnceLock<Actor>>,
}

impl Guarded {
    fn caller(&self) -> Actor {
        self.caller.get().cloned().unwrap_or(Actor::Anonymous)
    }
}

impl Executor for Guarded {
    async fn execute(&self, request: Request) -> Answer {
        crate::graphql::answer(&self.schema, request, &self.service, self.caller()).await
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Answer> {
        match admit(request, &self.service, self.caller()) {
            Ok(request) => {
                let answers = self.schema.execute_stream_with_session_data(request, session.unwrap_or_default());
                let service = self.service.clone();
                let finished = answers.map(move |mut answer| {
                    errors::finish(&mut answer);
                    tell_freshness(&mut answer, service.freshness());
                    answer
                });
                finished.boxed()
            }
            Err(refusal) => stream::once(async move { errors::refused(refusal) }).boxed(),
        }
    }
}
