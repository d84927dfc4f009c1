//! A plain HTTP/1.1 client that blocks and never retries: a test wants to know what happened.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// Longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection of somebody with a token.
pub(crate) struct Connection {
    stream: TcpStream,
    token: String,
}

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the headers, in small letters.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(addr: SocketAddr, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, token: token.to_owned() })
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<(u16, Value)> {
        self.send("GET", path, None, "").map(|answer| answer.json())
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.send("POST", path, None, &body.to_string()).map(|answer| answer.json())
    }

    pub(crate) fn put(&mut self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.send("PUT", path, None, &body.to_string()).map(|answer| answer.json())
    }

    /// Sends one request, with a request key if there is one, and reads its answer.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &str,
    ) -> io::Result<Answer> {
        let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n{key}content-length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        self.stream.write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut read = Vec::new();
        let mut piece = [0; 16 * 1024];
        let end = loop {
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.more(&mut read, &mut piece)?;
        };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
        let len = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let len: usize = len.ok_or_else(|| io::Error::other(format!("no length in {head:?}")))?;
        while read.len() < end + len {
            self.more(&mut read, &mut piece)?;
        }
        Ok(Answer { status, head, body: read[end..].to_vec() })
    }

    fn more(&mut self, read: &mut Vec<u8>, piece: &mut [u8]) -> io::Result<()> {
        match self.stream.read(piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                read.extend_from_slice(&piece[..len]);
                Ok(())
            }
        }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> (u16, Value) {
        (self.status, serde_json::from_slice(&self.body).unwrap_or(Value::Null))
    }
}
