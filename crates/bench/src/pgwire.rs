//! Just enough of PostgreSQL's protocol (version 3): prepared statements, values as text.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::Error;
use crate::error::quoted;
use crate::limits::{CONNECT_WAIT_MAX, SETUP_WAIT_MAX};
use crate::template::Template;

/// A message: its type, its length, its body.
fn message(kind: &str, body: &Template) -> Template {
    let len = u32::try_from(body.len() + 4).expect("a message has a reasonable size");
    Template::new().text(kind).text(len.to_be_bytes()).then(body)
}

/// Runs a prepared statement with these values.
pub(crate) fn execute(statement: &str, values: &[Template]) -> Template {
    let count = u16::try_from(values.len()).expect("a statement has few values").to_be_bytes();
    // The unnamed portal; all values come as text (no format codes).
    let mut bind = Template::new().text("\0").text(statement).text("\0").text([0, 0]).text(count);
    for value in values {
        let len = u32::try_from(value.len()).expect("a value has a reasonable size").to_be_bytes();
        bind = bind.text(len).then(value);
    }
    let bind = message("B", &bind.text([0, 0]));
    bind.then(&message("E", &Template::new().text([0; 5])))
}

/// Ends a flight of messages: the server answers, and is ready again.
pub(crate) fn sync() -> Template {
    message("S", &Template::new())
}

/// Says hello as user `postgres` and prepares statements, given by name and text.
pub(crate) fn greet(stream: &mut TcpStream, statements: &[(&str, &str)]) -> io::Result<()> {
    let hello = Template::new()
        .text(196_608_u32.to_be_bytes())
        .text("user\0postgres\0database\0postgres\0application_name\0jaego bench\0\0");
    stream.write_all(message("", &hello).bytes())?;
    finish(stream)?;
    for (name, sql) in statements {
        let parse = Template::new().text(name).text("\0").text(sql).text("\0").text([0, 0]);
        stream.write_all(message("P", &parse).then(&sync()).bytes())?;
        finish(stream)?;
    }
    Ok(())
}

/// Reads until the server is ready; an error that it sends is given back.
fn finish(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&chunk[..read]);
        let mut reader = AnswerReader::default();
        match reader.read(&received).map_err(io::Error::other)? {
            None => {}
            Some(Answer { error: Some(error), .. }) => return Err(io::Error::other(error)),
            Some(answer) => return Ok(answer),
        }
    }
}

/// Reads the messages of one flight as they arrive.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    at: usize,
    answer: Answer,
}

/// What came of a flight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The number of rows that each statement touched or gave, as its tag says (0 for `BEGIN` and such).
    pub(crate) rows: Vec<u64>,
    /// The first value of the last row, as text.
    pub(crate) value: Option<Vec<u8>>,
    /// The code and message of an error.
    pub(crate) error: Option<String>,
}

impl AnswerReader {
    /// Looks at all that was received; the answer is whole when the server is ready again.
    pub(crate) fn read(&mut self, received: &[u8]) -> Result<Option<Answer>, String> {
        loop {
            let rest = &received[self.at..];
            let Some(head) = rest.get(..5) else {
                return Ok(None);
            };
            let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if len < 4 {
                return Err(format!("no message: {}", quoted(head)));
            }
            let Some(body) = rest.get(5..=len) else {
                return Ok(None);
            };
            self.at += len + 1;
            match head[0] {
                b'C' => self.answer.rows.push(rows(body)),
                b'D' => self.answer.value = first_value(body),
                b'E' => self.answer.error = Some(error(body)),
                b'R' if body != [0; 4] => return Err("it wants a password".to_owned()),
                b'Z' if self.at == received.len() => {
                    self.at = 0;
                    return Ok(Some(std::mem::take(&mut self.answer)));
                }
                b'Z' => return Err("more bytes than the answer has".to_owned()),
                _ => {}
            }
        }
    }
}

/// The number at the end of a tag: `UPDATE 1`, `INSERT 0 1`.
fn rows(tag: &[u8]) -> u64 {
    let tag = tag.strip_suffix(b"\0").unwrap_or(tag);
    let digits = tag.iter().rposition(|byte| *byte == b' ').map_or(tag, |at| &tag[at + 1..]);
    digits
        .iter()
        .try_fold(0_u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
        .unwrap_or(0)
}

fn first_value(row: &[u8]) -> Option<Vec<u8>> {
    let len = u32::from_be_bytes(row.get(2..6)?.try_into().ok()?);
    Some(row.get(6..6 + len as usize)?.to_vec())
}

/// The SQL state and the message, of the fields of an error.
fn error(body: &[u8]) -> String {
    let field = |kind: u8| {
        let fields = body.split(|byte| *byte == 0);
        let found = fields.into_iter().find_map(|field| field.strip_prefix(&[kind]));
        String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
    };
    format!("{} {}", field(b'C'), field(b'M'))
}

/// A blocking client for the set-up and the check, where nothing is measured.
pub(crate) struct Client {
    addr: SocketAddr,
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Result<Self, Error> {
        let open = || -> io::Result<TcpStream> {
            let mut stream = TcpStream::connect_timeout(&addr, CONNECT_WAIT_MAX)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SETUP_WAIT_MAX))?;
            stream.set_write_timeout(Some(SETUP_WAIT_MAX))?;
            greet(&mut stream, &[])?;
            Ok(stream)
        };
        Ok(Self { addr, stream: open().map_err(Error::net("log in at", addr))? })
    }

    /// Runs one statement; the first value of its last row as text, empty if there is none.
    pub(crate) fn call(&mut self, sql: &str) -> Result<String, Error> {
        let query = message("Q", &Template::new().text(sql).text("\0"));
        self.stream.write_all(query.bytes()).map_err(Error::net("write to", self.addr))?;
        let answer = finish(&mut self.stream).map_err(|source| Error::Setup {
            doing: sql.chars().take(80).collect(),
            answer: source.to_string(),
        })?;
        Ok(String::from_utf8_lossy(&answer.value.unwrap_or_default()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_is_read_as_it_arrives() {
        let row = Template::new().text([0, 1]).text(2_u32.to_be_bytes()).text("17");
        let flight = message("2", &Template::new())
            .then(&message("C", &Template::new().text("UPDATE 1\0")))
            .then(&message("D", &row))
            .then(&message("C", &Template::new().text("INSERT 0 12\0")))
            .then(&message("Z", &Template::new().text("I")));
        let mut reader = AnswerReader::default();
        for end in 0..flight.len() {
            assert_eq!(reader.read(&flight.bytes()[..end]), Ok(None));
        }
        let expected = Answer { rows: vec![1, 12], value: Some(b"17".to_vec()), error: None };
        assert_eq!(reader.read(flight.bytes()), Ok(Some(expected)));
    }

    #[test]
    fn an_error_has_its_code() {
        let error = message("E", &Template::new().text("SERROR\0C40P01\0Mdeadlock detected\0\0"));
        let flight = error.then(&message("Z", &Template::new().text("I")));
        let answer = AnswerReader::default().read(flight.bytes()).unwrap().unwrap();
        assert_eq!(answer.error.as_deref(), Some("40P01 deadlock detected"));
    }
}
