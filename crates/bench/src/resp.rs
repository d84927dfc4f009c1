//! Just enough of Redis' protocol (RESP 2).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::Error;
use crate::error::quoted;
use crate::limits::{CONNECT_WAIT_MAX, READ_BUFFER_BYTES, SETUP_WAIT_MAX};
use crate::template::Template;

/// A command, written as the array of strings that Redis reads.
pub(crate) fn command(words: &[Template]) -> Template {
    let start = Template::new().text(format!("*{}\r\n", words.len()));
    words
        .iter()
        .fold(start, |command, word| command.text(format!("${}\r\n", word.len())).then(word).text("\r\n"))
}

/// A command of plain words.
pub(crate) fn plain(words: &[&str]) -> Template {
    command(&words.iter().map(|word| Template::new().text(word)).collect::<Vec<_>>())
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Text(Vec<u8>),
    Integer(i64),
    Nothing,
    Error(String),
    Array(Vec<Reply>),
}

/// Reads one reply from the front: it and how long it was, or nothing while it is not all there.
pub(crate) fn reply(received: &[u8]) -> Result<Option<(Reply, usize)>, String> {
    let Some(line_len) = memchr::memchr(b'\r', received) else {
        return Ok(None);
    };
    let mut at = line_len + 2;
    if received.len() < at {
        return Ok(None);
    }
    let (kind, rest) = received[..line_len].split_at(1);
    let broken = || format!("no reply: {}", quoted(&received[..line_len]));
    let number =
        || std::str::from_utf8(rest).ok().and_then(|text| text.parse::<i64>().ok()).ok_or_else(broken);
    let whole = match kind {
        b"+" => Reply::Text(rest.to_vec()),
        b"-" => Reply::Error(String::from_utf8_lossy(rest).into_owned()),
        b":" => Reply::Integer(number()?),
        b"$" => match usize::try_from(number()?) {
            Err(_) => Reply::Nothing,
            Ok(len) => {
                let Some(text) = received.get(at..at + len + 2) else {
                    return Ok(None);
                };
                at += len + 2;
                Reply::Text(text[..len].to_vec())
            }
        },
        b"*" => match usize::try_from(number()?) {
            Err(_) => Reply::Nothing,
            Ok(count) => {
                let mut items = Vec::new();
                for _ in 0..count {
                    let Some((item, len)) = reply(&received[at..])? else {
                        return Ok(None);
                    };
                    items.push(item);
                    at += len;
                }
                Reply::Array(items)
            }
        },
        _ => return Err(broken()),
    };
    Ok(Some((whole, at)))
}

/// A blocking client for the set-up and the check, where nothing is measured.
pub(crate) struct Client {
    addr: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Result<Self, Error> {
        let open = || -> io::Result<TcpStream> {
            let stream = TcpStream::connect_timeout(&addr, CONNECT_WAIT_MAX)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SETUP_WAIT_MAX))?;
            stream.set_write_timeout(Some(SETUP_WAIT_MAX))?;
            Ok(stream)
        };
        Ok(Self { addr, stream: open().map_err(Error::net("connect to", addr))?, buffer: Vec::new() })
    }

    /// Asks, and gives back the reply unless it is an error.
    pub(crate) fn call(&mut self, words: &[&str]) -> Result<Reply, Error> {
        let addr = self.addr;
        self.stream.write_all(plain(words).bytes()).map_err(Error::net("write to", addr))?;
        self.buffer.clear();
        let mut chunk = vec![0; READ_BUFFER_BYTES];
        loop {
            let read = self.stream.read(&mut chunk).map_err(Error::net("read from", addr))?;
            if read == 0 {
                return Err(Error::net("read on from", addr)(io::ErrorKind::UnexpectedEof.into()));
            }
            self.buffer.extend_from_slice(&chunk[..read]);
            match reply(&self.buffer).map_err(|detail| Error::Protocol { addr, protocol: "RESP", detail })? {
                None => {}
                Some((Reply::Error(answer), _)) => {
                    let doing = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
                    return Err(Error::Setup { doing, answer });
                }
                Some((whole, _)) => return Ok(whole),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_strings() {
        let mut command = command(&[Template::new().text("GET"), Template::new().text("sku:").number(2)]);
        command.set(0, 42);
        assert_eq!(command.bytes(), b"*2\r\n$3\r\nGET\r\n$6\r\nsku:42\r\n");
    }

    #[test]
    fn replies_are_read_when_they_are_whole() {
        let cases: [(&str, Reply); 6] = [
            ("+OK\r\n", Reply::Text(b"OK".to_vec())),
            (":-1\r\n", Reply::Integer(-1)),
            ("$-1\r\n", Reply::Nothing),
            ("$2\r\n\r\n\r\n", Reply::Text(b"\r\n".to_vec())),
            ("-ERR no\r\n", Reply::Error("ERR no".to_owned())),
            ("*2\r\n:1\r\n$1\r\na\r\n", Reply::Array(vec![Reply::Integer(1), Reply::Text(b"a".to_vec())])),
        ];
        for (text, expected) in cases {
            for end in 0..text.len() {
                assert_eq!(reply(&text.as_bytes()[..end]), Ok(None), "{text:?} up to {end}");
            }
            assert_eq!(reply(text.as_bytes()), Ok(Some((expected, text.len()))));
        }
        assert!(reply(b"hello\r\n").is_err());
    }
}
