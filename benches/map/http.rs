//! A connection that stays open, and as little HTTP as answers need.

use super::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Connection {
    address: String,
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Outcome<Self> {
        let stream = connect(address).await?;
        Ok(Connection { address: address.to_owned(), stream, answer: Vec::with_capacity(1 << 16) })
    }

    /// Sends the request and gives the body of its answer; anything but success is an error.
    pub async fn send(&mut self, request: &[u8]) -> Outcome<&[u8]> {
        self.answer.clear();
        let sent = self.stream.write_all(request).await.is_ok();
        // A server may have closed a connection on which nothing came for a while.
        if !sent || self.stream.read_buf(&mut self.answer).await.unwrap_or(0) == 0 {
            self.stream = connect(&self.address).await?;
            self.answer.clear();
            self.stream.write_all(request).await?;
        }
        let (from, to) = loop {
            let end = self.answer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = std::str::from_utf8(&self.answer[..end])?.to_ascii_lowercase();
                if head.starts_with("http/1.1 204") {
                    break (0, 0);
                }
                if !head.starts_with("http/1.1 200") {
                    return Err(String::from_utf8_lossy(&self.answer).into());
                }
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.ok_or_else(|| format!("an answer without its length: {head}"))?.parse()?;
                break (end + 4, end + 4 + length);
            }
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        };
        while self.answer.len() < to {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        Ok(&self.answer[from..to])
    }
}

async fn connect(address: &str) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A POST of a GraphQL document with its variables, ready to be sent.
pub fn post(host: &str, document: &str, variables: &serde_json::Value) -> Vec<u8> {
    post_as(host, None, document, variables)
}

/// The same of somebody with a key.
pub fn post_as(host: &str, key: Option<&str>, document: &str, variables: &serde_json::Value) -> Vec<u8> {
    let who = key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
    let body = serde_json::json!({ "query": document, "variables": variables }).to_string();
    let length = body.len();
    format!("POST /graphql HTTP/1.1\r\nhost: {host}\r\n{who}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The data of an answer without errors.
pub fn data(body: &[u8]) -> Outcome<serde_json::Value> {
    let mut answer: serde_json::Value = serde_json::from_slice(body)?;
    match answer.get("errors") {
        None => Ok(answer["data"].take()),
        Some(errors) => Err(format!("answered with errors: {errors}").into()),
    }
}

/// Whether the answer has no errors, without reading it.
pub fn sound(body: &[u8]) -> Outcome<()> {
    let holds_errors = || body.windows(9).take(200).any(|w| w == b"\"errors\":");
    if body.starts_with(b"{\"data\":{") && !holds_errors() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&body[..body.len().min(500)]).into())
    }
}
