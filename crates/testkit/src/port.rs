use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;
use crate::limits::PORT_TRIES_MAX;

/// The ports to choose from end below 32,768, where Linux begins to take the local ports of outgoing
/// connections. So nobody's connection sits on a port while its server is down for a restart.
const FIRST: u32 = 11_000;
const COUNT: u32 = 21_000;

/// Test processes that run side by side begin this far apart.
const PROCESS_STRIDE: u32 = 97;

/// A port on 127.0.0.1 that nothing listens on, and that this process has not handed out recently.
///
/// Another process may take it before the caller does, which is unlikely; who starts a server on it
/// looks whether the start worked.
pub fn free_port() -> Result<u16, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..PORT_TRIES_MAX {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = process::id().wrapping_mul(PROCESS_STRIDE).wrapping_add(turn) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("FIRST + COUNT is below 65,536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::NoFreePort { tries: PORT_TRIES_MAX })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_differ_and_taken_ones_are_passed_over() {
        let ports: BTreeSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);

        // The ports whose turn is next are taken, so the ones behind them are handed out.
        let last = ports.last().unwrap();
        let taken: Vec<TcpListener> = (1..4)
            .map(|step| TcpListener::bind((Ipv4Addr::LOCALHOST, last + step)))
            .filter_map(Result::ok)
            .collect();
        for listener in &taken {
            let port = listener.local_addr().unwrap().port();
            assert!((0..4).all(|_| free_port().unwrap() != port));
        }
    }
}
