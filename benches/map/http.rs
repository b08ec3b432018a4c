//! A connection that stays open, and as little HTTP as answers need.

use super::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, answer: Vec::with_capacity(1 << 16) })
    }

    /// Sends the request and gives the body of its answer; anything but success is an error.
    pub async fn send(&mut self, request: &[u8]) -> Outcome<&[u8]> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let (from, to) = loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
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
        };
        while self.answer.len() < to {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        Ok(&self.answer[from..to])
    }
}

/// A POST of a GraphQL document with its variables, ready to be sent.
pub fn post(host: &str, document: &str, variables: &serde_json::Value) -> Vec<u8> {
    let body = serde_json::json!({ "query": document, "variables": variables }).to_string();
    let length = body.len();
    format!("POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
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
