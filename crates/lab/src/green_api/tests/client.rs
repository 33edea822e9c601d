//! The smallest HTTP client: one request a connection, everything visible.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{INSTANCE, TOKEN};

pub(super) struct Client {
    address: String,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(super) fn receipt(&self) -> u64 {
        self.json()["receiptId"].as_u64().unwrap_or_else(|| panic!("no receipt in {}", self.text()))
    }
}

impl Client {
    pub(super) fn new(url: &str) -> Self {
        Self { address: url.strip_prefix("http://").expect("an http URL").to_owned() }
    }

    /// Everything the server sends until it closes, or the error that ends the connection first.
    pub(super) async fn raw(&self, verb: &str, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let head = format!(
            "{verb} {path} HTTP/1.1\r\nHost: simulator\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    }

    pub(super) async fn request(&self, verb: &str, path: &str, body: impl AsRef<[u8]>) -> Answer {
        let raw = self.raw(verb, path, body.as_ref()).await.expect("an answer");
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a complete head");
        let head = String::from_utf8(raw[..end].to_vec()).expect("an ASCII head").to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut body = raw[end + 4..].to_vec();
        if head.contains("transfer-encoding: chunked") {
            body = unchunk(&body);
        }
        Answer { status, head, body }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "").await
    }

    pub(super) async fn receive(&self) -> Answer {
        self.get(&receive_path()).await
    }

    pub(super) async fn delete(&self, receipt: u64) -> Answer {
        self.request("DELETE", &delete_path(receipt), "").await
    }

    /// Receives and deletes; the body that was received.
    pub(super) async fn take(&self) -> serde_json::Value {
        let received = self.receive().await;
        assert_eq!(self.delete(received.receipt()).await.text(), r#"{"result":true,"reason":""}"#);
        received.json()["body"].clone()
    }
}

pub(super) fn receive_path() -> String {
    format!("/waInstance{INSTANCE}/receiveNotification/{TOKEN}?receiveTimeout=5")
}

pub(super) fn delete_path(receipt: u64) -> String {
    format!("/waInstance{INSTANCE}/deleteNotification/{TOKEN}/{receipt}")
}

pub(super) fn method_path(method: &str) -> String {
    format!("/waInstance{INSTANCE}/{method}/{TOKEN}")
}

fn unchunk(mut chunked: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = chunked.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size = std::str::from_utf8(&chunked[..line]).expect("ASCII");
        let size = usize::from_str_radix(size, 16).expect("a hexadecimal size");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunked[line + 2..line + 2 + size]);
        chunked = &chunked[line + 4 + size..];
    }
}
