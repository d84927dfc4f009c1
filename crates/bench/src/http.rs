//! Just enough of HTTP/1.1: requests written once, answers read as far as a load needs them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::Error;
use crate::error::quoted;
use crate::limits::{ANSWER_BYTES_MAX, CONNECT_WAIT_MAX, HEAD_BYTES_MAX, READ_BUFFER_BYTES, SETUP_WAIT_MAX};
use crate::load::{Caller, Heard};
use crate::template::Template;

/// A server, and what opens its door.
#[derive(Clone)]
pub struct Target {
    /// Where it listens.
    pub addr: SocketAddr,
    /// A token with the role `admin`: the benchmarks make their own SKUs and sites.
    pub token: String,
}

// The token stays out of logs and panics.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// A whole request around a body of JSON.
pub(crate) fn request(target: &Target, method: &str, path: &Template, body: &Template) -> Template {
    let head = format!(
        " HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        target.addr,
        target.token,
        body.len()
    );
    Template::new().text(method).text(" ").then(path).text(head).then(body)
}

/// Reads one answer as it arrives; what it found of the head is kept between two looks.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    head: Option<Head>,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    status: u16,
    len: usize,
    body: Body,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Length(usize),
    /// Where the next chunk's size line begins, counted from the start of the answer.
    Chunks(usize),
}

/// What has come of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    Partial,
    /// The status and the body; a chunked body is given with its chunk sizes still in it.
    Whole(u16, &'a [u8]),
    Broken(String),
}

impl AnswerReader {
    /// Looks at all that was received of the answer.
    pub(crate) fn read<'a>(&mut self, received: &'a [u8]) -> Answer<'a> {
        let mut head = match self.head {
            Some(head) => head,
            None => match read_head(received) {
                Ok(Some(head)) => head,
                Ok(None) if received.len() > HEAD_BYTES_MAX => {
                    return Answer::Broken(format!("a head of more than {HEAD_BYTES_MAX} bytes"));
                }
                Ok(None) => return Answer::Partial,
                Err(detail) => return Answer::Broken(detail),
            },
        };
        let end = match &mut head.body {
            Body::Length(len) => head.len + *len,
            Body::Chunks(at) => match skip_chunks(received, at) {
                Ok(Some(end)) => end,
                Ok(None) => usize::MAX,
                Err(detail) => return Answer::Broken(detail),
            },
        };
        if received.len() < end {
            self.head = Some(head);
            return Answer::Partial;
        }
        if received.len() > end {
            return Answer::Broken("more bytes than the answer has".to_owned());
        }
        self.head = None;
        Answer::Whole(head.status, &received[head.len..end])
    }
}

/// The head of an answer, or nothing while it is not all there.
fn read_head(received: &[u8]) -> Result<Option<Head>, String> {
    let Some(end) = memchr::memmem::find(received, b"\r\n\r\n") else {
        return Ok(None);
    };
    let broken = || format!("no HTTP/1.1 head: {}", quoted(&received[..end]));
    let status = received
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok())
        .ok_or_else(broken)?;

    let len = end + 4;
    let mut body = None;
    let mut line_start = memchr::memchr(b'\n', &received[..len]).map_or(len, |at| at + 1);
    while line_start < end {
        let line_end = memchr::memchr(b'\r', &received[line_start..]).map_or(end, |at| line_start + at);
        let line = &received[line_start..line_end];
        if let Some(value) = field(line, b"content-length:") {
            let bytes = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
            body = Some(Body::Length(bytes.filter(|bytes| *bytes <= ANSWER_BYTES_MAX).ok_or_else(broken)?));
        } else if let Some(value) = field(line, b"transfer-encoding:") {
            if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(broken());
            }
            body = Some(Body::Chunks(len));
        }
        line_start = line_end + 2;
    }
    let empty = status == 204 || status == 304;
    let body = body.or(empty.then_some(Body::Length(0))).ok_or_else(broken)?;
    Ok(Some(Head { status, len, body }))
}

/// The value of a header line if it has this name, which is given in lower case with its colon.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// Goes over the chunks that are there, from `at`. The end of the answer, or nothing if there is more to come.
fn skip_chunks(received: &[u8], at: &mut usize) -> Result<Option<usize>, String> {
    loop {
        let Some(rest) = received.get(*at..) else {
            return Ok(None);
        };
        let Some(line_len) = memchr::memmem::find(rest, b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&rest[..line_len])
            .ok()
            .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
            .filter(|size| *size <= ANSWER_BYTES_MAX)
            .ok_or_else(|| format!("no chunk size: {}", quoted(&rest[..line_len])))?;
        if size == 0 {
            // Without trailers, which we do not ask for, an empty line ends it.
            let end = *at + line_len + 4;
            return Ok((received.len() >= end).then_some(end));
        }
        *at += line_len + 2 + size + 2;
    }
}

/// What a caller of the HTTP interface makes of a whole answer.
pub(crate) trait Judge: Send {
    /// The next request: changes the numbers in it. `false`: there is none.
    fn next(&mut self) -> bool;

    /// The request.
    fn request(&self) -> &[u8];

    /// How many units a good answer stands for; anything else is unexpected, and this is its kind.
    fn judge(&mut self, status: u16, body: &[u8]) -> Result<u64, String>;
}

/// A [`Caller`] that speaks HTTP.
pub(crate) struct HttpCaller<J> {
    pub(crate) judge: J,
    reader: AnswerReader,
}

impl<J> HttpCaller<J> {
    pub(crate) fn new(judge: J) -> Self {
        Self { judge, reader: AnswerReader::default() }
    }
}

impl<J: Judge> Caller for HttpCaller<J> {
    fn ask(&mut self) -> bool {
        self.judge.next()
    }

    fn request(&self) -> &[u8] {
        self.judge.request()
    }

    fn hear(&mut self, received: &[u8]) -> Heard {
        match self.reader.read(received) {
            Answer::Partial => Heard::Partial,
            Answer::Broken(detail) => Heard::Broken(detail),
            Answer::Whole(status, body) => match self.judge.judge(status, body) {
                Ok(units) => Heard::Done(units),
                Err(kind) => Heard::Unexpected(kind),
            },
        }
    }
}

/// A caller that sends the same request over and over and wants a success: what a client costs at the least.
#[must_use]
pub fn repeating(target: &Target, method: &str, path: &str, body: &str) -> impl Caller + use<> {
    let request = request(target, method, &Template::new().text(path), &Template::new().text(body));
    HttpCaller::new(Repeating { request })
}

struct Repeating {
    request: Template,
}

impl Judge for Repeating {
    fn next(&mut self) -> bool {
        true
    }

    fn request(&self) -> &[u8] {
        self.request.bytes()
    }

    fn judge(&mut self, status: u16, body: &[u8]) -> Result<u64, String> {
        if (200..300).contains(&status) { Ok(1) } else { Err(problem_kind(status, body)) }
    }
}

/// The kind of an answer that is not a success: its status and, of a problem, its code.
pub(crate) fn problem_kind(status: u16, body: &[u8]) -> String {
    let problem: Option<Value> = serde_json::from_slice(body).ok();
    match problem.as_ref().and_then(|problem| problem.get("code")?.as_str()) {
        Some(code) => format!("{status} {code}"),
        None => format!("{status} {}", quoted(body)),
    }
}

/// A blocking client for the set-up and the check, where nothing is measured.
pub(crate) struct Client {
    target: Target,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(target: &Target) -> Result<Self, Error> {
        let open = || -> io::Result<TcpStream> {
            let stream = TcpStream::connect_timeout(&target.addr, CONNECT_WAIT_MAX)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SETUP_WAIT_MAX))?;
            stream.set_write_timeout(Some(SETUP_WAIT_MAX))?;
            Ok(stream)
        };
        let stream = open().map_err(Error::net("connect to", target.addr))?;
        Ok(Self { target: target.clone(), stream, buffer: Vec::new() })
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<Value, Error> {
        let body = serde_json::to_vec(body).expect("a JSON value can be written");
        self.call("POST", path, &body)
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Value, Error> {
        self.call("GET", path, b"")
    }

    /// Asks, and gives back the answer of a success.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Value, Error> {
        let addr = self.target.addr;
        let whole = request(&self.target, method, &Template::new().text(path), &Template::new().text(body));
        self.stream.write_all(whole.bytes()).map_err(Error::net("write to", addr))?;
        self.buffer.clear();
        let mut chunk = vec![0; READ_BUFFER_BYTES];
        let mut reader = AnswerReader::default();
        loop {
            let read = self.stream.read(&mut chunk).map_err(Error::net("read from", addr))?;
            if read == 0 {
                return Err(Error::net("read on from", addr)(io::ErrorKind::UnexpectedEof.into()));
            }
            self.buffer.extend_from_slice(&chunk[..read]);
            if self.buffer.len() > ANSWER_BYTES_MAX {
                let detail = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
                return Err(Error::Protocol { addr, protocol: "an answer of a reasonable size", detail });
            }
            match reader.read(&self.buffer) {
                Answer::Partial => {}
                Answer::Broken(detail) => return Err(Error::Protocol { addr, protocol: "HTTP/1.1", detail }),
                Answer::Whole(status, body) => {
                    let refused = || Error::Setup {
                        doing: format!("{method} {path}"),
                        answer: format!("{status}: {}", quoted(body)),
                    };
                    if !(200..300).contains(&status) {
                        return Err(refused());
                    }
                    return json(&self.buffer, body).ok_or_else(refused);
                }
            }
        }
    }
}

/// The body as JSON, out of its chunks if it came in such.
fn json(answer: &[u8], body: &[u8]) -> Option<Value> {
    let head = &answer[..answer.len() - body.len()];
    let chunked = matches!(read_head(head), Ok(Some(Head { body: Body::Chunks(_), .. })));
    if !chunked {
        return if body.is_empty() { Some(Value::Null) } else { serde_json::from_slice(body).ok() };
    }
    let mut joined = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let line = memchr::memmem::find(rest, b"\r\n")?;
        let text = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(text.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return serde_json::from_slice(&joined).ok();
        }
        joined.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 2 + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands the answer over byte by byte, which is the worst that a network can do.
    fn read(text: &str) -> Result<(u16, String), String> {
        let mut reader = AnswerReader::default();
        for end in 1..=text.len() {
            match reader.read(&text.as_bytes()[..end]) {
                Answer::Partial => {}
                Answer::Whole(status, body) => {
                    assert_eq!(end, text.len(), "whole before its end");
                    return Ok((status, String::from_utf8_lossy(body).into_owned()));
                }
                Answer::Broken(detail) => return Err(detail),
            }
        }
        Err("it never became whole".to_owned())
    }

    #[test]
    fn answers_are_read_as_they_arrive() {
        let ok = |status, body: &str| Ok((status, body.to_owned()));
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nDate: now\r\n\r\n{ }\n";
        assert_eq!(read(length), ok(200, "{ }\n"));
        assert_eq!(read("HTTP/1.1 409 Conflict\r\ncontent-length:0\r\n\r\n"), ok(409, ""));
        assert_eq!(read("HTTP/1.1 204 No Content\r\n\r\n"), ok(204, ""));
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[1\r\n1;x\r\n]\r\n0\r\n\r\n";
        assert_eq!(read(chunks), ok(200, "2\r\n[1\r\n1;x\r\n]\r\n0\r\n\r\n"));
    }

    #[test]
    fn what_is_no_answer_is_broken() {
        for wrong in [
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        let more = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nmore";
        assert!(matches!(AnswerReader::default().read(more), Answer::Broken(_)));
    }

    #[test]
    fn json_comes_out_of_its_chunks() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let body = "2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n";
        assert_eq!(
            json(format!("{head}{body}").as_bytes(), body.as_bytes()),
            Some(serde_json::json!([1, 2]))
        );
    }

    #[test]
    fn a_problem_is_known_by_its_code() {
        let body = br#"{"title":"too little","code":"insufficient_stock"}"#;
        assert_eq!(problem_kind(409, body), "409 insufficient_stock");
        assert_eq!(problem_kind(502, b"bad gateway"), "502 bad gateway");
    }
}
