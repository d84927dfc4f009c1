use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tempfile::TempDir;

use crate::limits::{START_TRIES_MAX, START_WAIT_MAX};
use crate::process::{self, Process};
use crate::{Error, free_port, redis};

/// A private Redis Sentinel on 127.0.0.1 that watches one master and decides alone. It calls a server down
/// after half a second. Ended and deleted when dropped.
#[derive(Debug)]
pub struct RedisSentinel {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl RedisSentinel {
    /// Starts it and waits until it watches the master of that name.
    pub fn start(master: SocketAddr, name: &str) -> Result<Self, Error> {
        Self::start_at(master, name, 0)
    }

    /// The same of one that has seen the failover of this number (its config epoch), which made that server the master.
    pub fn start_at(master: SocketAddr, name: &str, epoch: u64) -> Result<Self, Error> {
        Self::start_with(master, name, epoch, &[])
    }

    /// The same with more settings, such as `tls-port` beside its plain port. With `tls-replication yes` it speaks TLS to
    /// the master.
    pub fn start_with(
        master: SocketAddr,
        name: &str,
        epoch: u64,
        settings: &[(String, String)],
    ) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            match Self::launch(master, name, epoch, settings) {
                // Perhaps somebody else took the port; a wrong name fails again and is shown then.
                Err(Error::Ended { .. }) if tries < START_TRIES_MAX => tries += 1,
                outcome => return outcome,
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Stops it where it stands (SIGSTOP), and waits until it does: connections are accepted, and nothing is answered.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.process.stop().map(drop)
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn cont(&mut self) -> Result<(), Error> {
        self.process.cont()
    }

    fn launch(
        master: SocketAddr,
        name: &str,
        epoch: u64,
        settings: &[(String, String)],
    ) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("jaego-sentinel-")
            .tempdir()
            .map_err(Error::io("make a folder in", std::env::temp_dir()))?;
        let port = free_port()?;
        let config = folder.path().join("sentinel.conf");
        let (ip, master_port) = (master.ip(), master.port());
        let mut text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {name} {ip} {master_port} 1\n\
             sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 3000\n\
             sentinel config-epoch {name} {epoch}\nsentinel current-epoch {epoch}\n",
            folder.path().display()
        );
        for (setting, value) in settings {
            text += &format!("{setting} {value}\n");
        }
        fs::write(&config, text).map_err(Error::io("write", &config))?;
        let program = redis::program()?;
        let mut command = process::command(&program, None);
        command.current_dir(folder.path()).arg(&config).arg("--sentinel");
        let log = folder.path().join("sentinel.log");
        let mut process = Process::spawn("redis-sentinel", command, &log, &log)?;
        process.wait_ready(START_WAIT_MAX, || watches(&log))?;
        Ok(Self { process, port, _folder: folder })
    }
}

fn watches(log: &Path) -> bool {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).contains("+monitor master")
}
