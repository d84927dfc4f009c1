//! A Redis client of two calls, enough to see whether a server remembers and answers.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub(crate) fn set_patience(&self, patience: Duration) {
        self.stream.get_ref().set_read_timeout(Some(patience)).unwrap();
    }

    /// Sends a command of plain words without waiting for its answer.
    pub(crate) fn send(&mut self, command: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{command}\r\n").as_bytes())
    }

    /// Reads one answer: a simple string, an integer or a bulk string, `nil` for none.
    pub(crate) fn answer(&mut self) -> io::Result<String> {
        let line = self.line()?;
        match line.split_at(1) {
            ("$", "-1") => Ok("nil".to_owned()),
            ("$", _) => self.line(),
            ("+" | ":" | "-", rest) => Ok(rest.to_owned()),
            _ => Err(io::Error::other(format!("no answer of Redis: {line}"))),
        }
    }

    pub(crate) fn call(&mut self, command: &str) -> io::Result<String> {
        self.send(command)?;
        self.answer()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
