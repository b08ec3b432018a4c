//! GET /graphql/ws: subscriptions over graphql-transport-ws. The key comes in the first message's
//! payload, `{"Authorization": "Bearer KEY"}`, or in the header of the upgrade.

use super::Door;
use super::graphql::by_bearer;
use crate::domain::actor::Actor;
use crate::graphql::{Schema, admit, errors};
use crate::service::Service;
use async_graphql::{Data, Executor, Request, Response as Answer};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A reader that does not answer pings for so long is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

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
    upgrade.on_upgrade(move |socket| async move {
        let service = door.service.clone();
        GraphQLWebSocket::new(socket, executor, protocol)
            .on_connection_init(move |payload| async move {
                let named = ["Authorization", "authorization"].iter().find_map(|name| payload[*name].as_str());
                let actor = match named.map(str::to_owned).or(header) {
                    None => Actor::Anonymous,
                    Some(bearer) => {
                        by_bearer(&service, &bearer).await.map_err(|e| async_graphql::Error::new(e.message))?
                    }
                };
                // The first message alone says who calls; a second one is refused by the protocol.
                let _ = caller.set(actor);
                Ok(Data::default())
            })
            .keepalive_timeout(KEEP_ALIVE)
            .serve()
            .await;
    })
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
                let finished = answers.map(|mut answer| {
                    errors::finish(&mut answer);
                    answer
                });
                finished.boxed()
            }
            Err(refusal) => stream::once(async move { errors::refused(refusal) }).boxed(),
        }
    }
}
