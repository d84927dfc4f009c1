//! A way to the server on which some of its notices are lost, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How a message to a subscriber begins, in the older and in the newer protocol.
const NOTICES: [&[u8]; 2] = [b"*3\r\n$7\r\nmessage\r\n", b">3\r\n$7\r\nmessage\r\n"];

/// Ended when dropped, with all its connections.
pub(crate) struct LossyWay {
    addr: SocketAddr,
    counts: Arc<Counts>,
    acceptor: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    passed: AtomicU64,
    lost: AtomicU64,
}

impl LossyWay {
    /// Loses such a part of the notices, each by the dice.
    pub(crate) async fn start(server: SocketAddr, part: f64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, counts) = (listener.local_addr().unwrap(), Arc::<Counts>::default());
        let told = Arc::clone(&counts);
        let acceptor = tokio::spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                for socket in [&client, &server] {
                    socket.set_nodelay(true).unwrap();
                }
                let ((mut asked, answers), (answered, mut asks)) = (client.into_split(), server.into_split());
                let counts = Arc::clone(&told);
                ways.spawn(async move {
                    tokio::select! {
                        _ = copy(&mut asked, &mut asks) => {}
                        () = pass_answers(answered, answers, part, &counts) => {}
                    }
                });
            }
        });
        Self { addr, counts, acceptor }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many notices have come through, and how many were lost.
    pub(crate) fn notices(&self) -> [u64; 2] {
        [&self.counts.passed, &self.counts.lost].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for LossyWay {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Passes one answer after the other, until one side ends.
async fn pass_answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, part: f64, counts: &Counts) {
    let (mut read, mut passed) = (Vec::new(), Vec::new());
    while from.read_buf(&mut read).await.is_ok_and(|len| len > 0) {
        let mut at = 0;
        while let Some(len) = answer_len(&read[at..]) {
            let answer = &read[at..at + len];
            at += len;
            if NOTICES.iter().any(|notice| answer.starts_with(notice)) {
                let lost = fastrand::f64() < part;
                (if lost { &counts.lost } else { &counts.passed }).fetch_add(1, Ordering::Relaxed);
                if lost {
                    continue;
                }
            }
            passed.extend_from_slice(answer);
        }
        read.drain(..at);
        if to.write_all(&passed).await.is_err() {
            return;
        }
        passed.clear();
    }
}

/// The bytes of the answer at the beginning, if all of it is there. See <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
fn answer_len(bytes: &[u8]) -> Option<usize> {
    let line_len = bytes.windows(2).position(|end| end == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..line_len - 2]).ok()?.parse::<i64>().ok();
    let count = |number: i64| usize::try_from(number).unwrap_or_default();
    let parts = match bytes[0] {
        b'$' | b'=' | b'!' => {
            let len = number().expect("a length");
            let whole = if len < 0 { line_len } else { line_len + count(len) + 2 };
            return (bytes.len() >= whole).then_some(whole);
        }
        b'*' | b'>' | b'~' => count(number().expect("a count")),
        b'%' | b'|' => 2 * count(number().expect("a count")),
        _ => 0,
    };
    let mut at = line_len;
    for _ in 0..parts {
        at += answer_len(&bytes[at..])?;
    }
    Some(at)
}

#[test]
fn answers_are_told_from_one_another() {
    let answers: [&[u8]; 6] = [
        b"+OK\r\n",
        b":17\r\n",
        b"$-1\r\n",
        b"$4\r\na\r\nb\r\n",
        b"*3\r\n:1\r\n*2\r\n+a\r\n$0\r\n\r\n$1\r\nx\r\n",
        b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n",
    ];
    let all = answers.concat();
    let mut at = 0;
    for answer in answers {
        assert_eq!(answer_len(&all[at..]), Some(answer.len()));
        assert!((0..answer.len()).all(|len| answer_len(&answer[..len]).is_none()), "{answer:?}");
        at += answer.len();
    }
    assert!(NOTICES.iter().any(|notice| answers[5].starts_with(notice)));
}
