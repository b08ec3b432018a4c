//! A server as outsiders meet it: the real routes over a socket, spoken to with a small HTTP/1.1
//! client and a `graphql-transport-ws` client of our own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use salur::audit::signing::SigningKey;
use salur::service::Service;
use salur::service::follow::Background;
use salur::store::Store;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Whatever is waited for has come long before, on any machine that is not broken.
pub const LONG: Duration = Duration::from_secs(60);

/// A running server with its background tasks; dropping it ends both.
pub struct App {
    pub service: Service,
    pub key: Arc<SigningKey>,
    pub address: SocketAddr,
    /// A directory of this server's own, with the key of its log in it.
    pub home: PathBuf,
    server: JoinHandle<()>,
    _background: Option<Background>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// The status line and the headers, as they came.
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// A header's value, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_end())
    }

    /// The code of the first error.
    pub fn code(&self) -> String {
        code_of(&self.json())
    }
}

/// The code of an answer's first error; empty where there is none.
pub fn code_of(answer: &Value) -> String {
    code_among(&answer["errors"])
}

fn code_among(errors: &Value) -> String {
    errors[0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
}

impl App {
    /// Serves a migrated store that holds areas and programs.
    pub async fn serve(store: Store) -> App {
        App::begin(store, true).await
    }

    /// As `serve`; without `background` it does nothing but answer.
    pub async fn begin(store: Store, background: bool) -> App {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("salur_app_{}_{count}", std::process::id()));
        std::fs::create_dir(&home).expect("the directory's name is unique");
        let key = SigningKey::create_or_load(&home.join("audit-key.pem")).expect("a key is made");
        let key = Arc::new(key);
        let service = Service::new(store, key.clone());
        service.load().await.expect("the map is read");
        let background = background.then(|| service.start());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let router = salur::http::router(service.clone());
        let server = tokio::spawn(async move {
            let router = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, router).await.expect("the server runs");
        });
        App { service, key, address, home, server, _background: background }
    }

    /// See [`raw`].
    pub async fn raw(&self, request: &[u8]) -> String {
        raw(self.address, request).await
    }

    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        request(self.address, method, path, headers, body).await
    }

    /// POST of a JSON text to /graphql.
    pub async fn post(&self, key: Option<&str>, body: &str) -> Reply {
        let bearer = key.map(|key| format!("Bearer {key}"));
        let mut headers = vec![("content-type", "application/json")];
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer));
        }
        self.request("POST", "/graphql", &headers, body).await
    }

    /// One GraphQL request; the whole answer.
    pub async fn ask(&self, key: Option<&str>, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables}).to_string();
        let reply = self.post(key, &body).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        reply.json()
    }

    /// See [`Live::open`].
    pub async fn live(&self) -> Live {
        Live::open(self.address).await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
        if let Err(error) = std::fs::remove_dir_all(&self.home) {
            eprintln!("{} could not be removed: {error}", self.home.display());
        }
    }
}

/// Sends bytes as they are and reads until the server closes. A server that answers before it has
/// read everything may close while we still write.
pub async fn raw(server: SocketAddr, request: &[u8]) -> String {
    raw_from(IpAddr::V4(Ipv4Addr::LOCALHOST), server, request).await
}

/// As [`raw`], from an address of this machine's.
pub async fn raw_from(from: IpAddr, server: SocketAddr, request: &[u8]) -> String {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(from, 0)).expect("every 127.x.x.x is ours");
    let mut stream = socket.connect(server).await.expect("the server takes connections");
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = async {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(LONG, read).await.expect("the server answers in time");
    String::from_utf8_lossy(&answer).into_owned()
}

pub async fn request(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    request_from(IpAddr::V4(Ipv4Addr::LOCALHOST), server, method, path, headers, body).await
}

/// As [`request`], from an address of this machine's.
pub async fn request_from(
    from: IpAddr,
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let answer = raw_from(from, server, request_text(method, path, headers, body).as_bytes()).await;
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {method} {path}: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line");
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "the small client reads no chunks: {head}");
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

/// A request after which the connection closes.
pub fn request_text(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: salur.test\r\nconnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + &format!("content-length: {}\r\n\r\n{body}", body.len())
}

/// An open WebSocket.
pub struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Live {
    /// A connection for subscriptions, before its first message.
    pub async fn open(server: SocketAddr) -> Live {
        let url = format!("ws://{server}/graphql/ws");
        let mut request = url.into_client_request().expect("an address is a request");
        let protocol = "graphql-transport-ws".parse().expect("a header's value");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, _) = tokio_tungstenite::connect_async(request).await.expect("the upgrade is taken");
        Live { socket }
    }

    /// Reads to the end, and answers with the code that the server closed with.
    pub async fn close_code(&mut self) -> Option<u16> {
        let end = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(LONG, end).await.expect("the server closes in time")
    }

    pub async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("the connection is open");
    }

    /// Says who calls, and waits until that is accepted.
    pub async fn begin(&mut self, key: Option<&str>) {
        assert!(self.may_begin(key).await, "the connection is accepted");
    }

    /// The same; false where the server closes instead.
    pub async fn may_begin(&mut self, key: Option<&str>) -> bool {
        let payload = key.map_or(json!({}), |key| json!({"Authorization": format!("Bearer {key}")}));
        self.send(json!({"type": "connection_init", "payload": payload})).await;
        let Some(answer) = self.next().await else { return false };
        assert_eq!(answer["type"], "connection_ack", "{answer}");
        true
    }

    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        self.send(json!({"type": "subscribe", "id": id, "payload": {"query": query, "variables": variables}})).await;
    }

    /// What a subscription that comes to nothing is refused with: the code of its error, before or with its end. The
    /// connection stays open.
    pub async fn refusal(&mut self, id: &str, query: &str, variables: Value) -> String {
        self.subscribe(id, query, variables).await;
        let mut code = String::new();
        loop {
            let message = self.next().await.expect("the connection stays open");
            assert_eq!(message["id"], id, "{message}");
            let payload = &message["payload"];
            assert!(payload["data"].is_null(), "{message}");
            match message["type"].as_str() {
                Some("complete") => return code,
                Some("error") => return code_among(payload),
                _ => code = code_of(payload),
            }
        }
    }

    /// The next message of the protocol; `None` where the server has closed.
    pub async fn next(&mut self) -> Option<Value> {
        self.next_within(LONG).await.expect("a message comes in time")
    }

    /// `Err` where nothing comes within `time`.
    pub async fn next_within(&mut self, time: Duration) -> Result<Option<Value>, ()> {
        let text = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Some(serde_json::from_str(&text).expect("messages are JSON"));
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(time, text).await.map_err(|_| ())
    }
}
