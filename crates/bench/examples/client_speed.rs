//! What the client itself can do: the closed loop against a server that only answers.
//!
//! Without arguments it loads a bare responder of its own; with `ADDRESS TOKEN PATH` a server that is there, such
//! as that of `cargo run --release -p jaego-server --example shell_speed`.

use std::error::Error;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use jaego_bench::load::{Bound, Load, drive};
use jaego_bench::{Target, repeating};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"done\":true}";
const CONNECTIONS: usize = 64;

/// Answers whatever comes in one read, on a thread of its own.
fn responder() -> std::io::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let addr = listener.local_addr()?;
    thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((mut stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                tokio::spawn(async move {
                    let mut received = [0; 4096];
                    while stream.read(&mut received).await.is_ok_and(|read| read > 0) {
                        if stream.write_all(ANSWER).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    });
    Ok(addr)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (target, path) = match args.as_slice() {
        [] => (Target { addr: responder()?, token: "none".to_owned() }, "/"),
        [addr, token, path] => (Target { addr: addr.parse()?, token: token.clone() }, path.as_str()),
        _ => return Err("give nothing, or ADDRESS TOKEN PATH".into()),
    };
    for _ in 0..3 {
        let callers =
            (0..CONNECTIONS).map(|_| repeating(&target, "POST", path, r#"{"id":"H1","quantity":3}"#));
        let bound = Bound::Time { warm_up: Duration::from_millis(500), measured: Duration::from_secs(3) };
        let (round, _) = drive(&Load { addr: target.addr, threads: 1, bound }, callers.collect())?;
        println!(
            "{:.0} requests/s over {CONNECTIONS} connections, p50 {} µs, p99 {} µs{}",
            round.rate(),
            round.latency.value_at_quantile(0.5) / 1_000,
            round.latency.value_at_quantile(0.99) / 1_000,
            if round.is_valid() { String::new() } else { format!(", INVALID: {:?}", round.unexpected) },
        );
    }
    Ok(())
}
