use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::limits::{START_TRIES_MAX, START_WAIT_MAX};
use crate::process::{self, Process, User};
use crate::{Error, free_port};

/// How a [`Postgres`] server is set up.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Settings by their names in `postgresql.conf`, such as `("max_connections", "200")`. Durability
    /// is PostgreSQL's default (`fsync` and `synchronous_commit` on) unless named here.
    pub settings: Vec<(String, String)>,
}

/// A private PostgreSQL server on 127.0.0.1 and on a unix socket, ended and deleted when dropped.
///
/// Its superuser is `postgres`, without a password; there is one database, `postgres`. As PostgreSQL
/// refuses to run as root, it runs as the user `postgres` or `nobody` when we are root.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    options: PostgresOptions,
    programs: PathBuf,
    user: Option<User>,
    port: u16,
    folder: TempDir,
}

impl Postgres {
    /// Makes a cluster, starts a server on it and waits until it accepts connections.
    pub fn start(options: &PostgresOptions) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("jaego-postgres-")
            .tempdir()
            .map_err(Error::io("make a folder in", std::env::temp_dir()))?;
        let user = if geteuid().is_root() { Some(server_user()?) } else { None };
        if let Some(User { uid, gid }) = user {
            chown(folder.path(), Some(uid), Some(gid)).map_err(Error::io("hand over", folder.path()))?;
        }
        let options = options.clone();
        let programs = programs()?;
        let mut postgres = Self { process: None, options, programs, user, port: free_port()?, folder };
        postgres.init()?;

        for _ in 1..START_TRIES_MAX {
            match postgres.launch() {
                // Perhaps somebody else took the port; a wrong setting fails again and is shown then.
                Err(Error::Ended { .. }) => postgres.port = free_port()?,
                outcome => return outcome.map(|()| postgres),
            }
        }
        postgres.launch().map(|()| postgres)
    }

    /// Where it listens. The same for the whole life of the value, restarts included.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The address of a database as clients want it: `postgres://postgres@127.0.0.1:PORT/DATABASE`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_through(self.addr(), database)
    }

    /// The same through another address, that of a [`FaultProxy`](crate::FaultProxy) for instance.
    #[must_use]
    pub fn url_through(&self, addr: SocketAddr, database: &str) -> String {
        format!("postgres://postgres@{addr}/{database}")
    }

    /// The folder with its unix socket, for clients that name it as the host.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file that it logs to.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    /// Runs SQL through `psql`, each statement in a transaction of its own unless it says otherwise,
    /// and returns the rows: a line each, the columns parted by `|`.
    pub fn execute(&self, database: &str, sql: &str) -> Result<String, Error> {
        let psql = self.programs.join("psql");
        let output = Command::new(&psql)
            .args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set=ON_ERROR_STOP=1"])
            .args(["--dbname", &self.url(database), "--command", sql])
            .output()
            .map_err(Error::io("run", &psql))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            return Err(Error::Ended { name: "psql".to_owned(), status: output.status, log });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Kills the server and all its backends at one point in time, as a crash of the machine would
    /// but for the page cache, which survives.
    pub fn kill_9(&mut self) -> Result<(), Error> {
        self.process.take().ok_or_else(not_running)?.kill_9()
    }

    /// Stops it and its backends where they stand (SIGSTOP): connections stay open and nothing is
    /// answered.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.running()?.stop().map(drop)
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn cont(&mut self) -> Result<(), Error> {
        self.running()?.cont()
    }

    /// Shuts it down in good order: sessions are ended, open transactions rolled back (SIGINT,
    /// PostgreSQL's "fast" shutdown).
    pub fn shut_down(&mut self) -> Result<(), Error> {
        self.process.take().ok_or_else(not_running)?.end(Signal::INT).map(drop)
    }

    /// Starts it again on the same port and files, and waits until it has recovered and accepts
    /// connections. One that still runs is shut down first.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.process.is_some() {
            self.shut_down()?;
        }
        self.launch()
    }

    fn running(&mut self) -> Result<&mut Process, Error> {
        self.process.as_mut().ok_or_else(not_running)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn init(&self) -> Result<(), Error> {
        let mut command = process::command(&self.programs.join("initdb"), self.user);
        command.current_dir(self.folder.path()).arg("--pgdata").arg(self.data());
        command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
        // Only the making of the cluster goes without syncs; the server itself syncs as it should.
        command.args(["--no-sync", "--no-instructions"]);
        let output = command.output().map_err(Error::io("run", self.programs.join("initdb")))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            return Err(Error::Ended { name: "initdb".to_owned(), status: output.status, log });
        }
        Ok(())
    }

    fn launch(&mut self) -> Result<(), Error> {
        let mut command = process::command(&self.programs.join("postgres"), self.user);
        command.current_dir(self.folder.path()).arg("-D").arg(self.data());
        let port = self.port.to_string();
        let folder = self.folder.path().display().to_string();
        let ours = [
            ("listen_addresses", "127.0.0.1"),
            ("port", port.as_str()),
            ("unix_socket_directories", folder.as_str()),
            // In the data folder rather than in /dev/shm, so that a killed server leaves nothing there.
            ("dynamic_shared_memory_type", "mmap"),
        ];
        let theirs = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in ours.into_iter().chain(theirs) {
            command.arg("-c").arg(format!("{name}={value}"));
        }

        let log = self.log_path();
        let mut process = Process::spawn("postgres", command, &log, &log)?;
        let (id, pid_file) = (process.id().to_string(), self.pid_file());
        process.wait_ready(START_WAIT_MAX, || {
            // The first line names the server, the eighth its state; a killed one's file is still there.
            let text = fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = text.lines();
            lines.next() == Some(&id) && lines.nth(6).is_some_and(|state| state.trim_end() == "ready")
        })?;
        self.process = Some(process);
        Ok(())
    }

    fn pid_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    /// Gives back the small System V segment with which PostgreSQL guards its data folder. A server
    /// that was killed could not, and the system has only a few thousand of them.
    fn remove_shared_memory(&self) {
        let Ok(text) = fs::read_to_string(self.pid_file()) else {
            return;
        };
        // The seventh line: the key and the id.
        if let Some(id) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
            drop(Command::new("ipcrm").args(["--shmem-id", id]).output());
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // "Immediate": no checkpoint, but it cleans up its shared memory. If that fails, the process
        // is killed as it is dropped.
        if let Some(mut process) = self.process.take() {
            drop(process.cont().and_then(|()| process.end(Signal::QUIT)));
            drop(process);
        }
        self.remove_shared_memory();
    }
}

fn not_running() -> Error {
    Error::NotRunning { name: "postgres".to_owned() }
}

/// The folder with `postgres`, `initdb` and `psql`: the newest in Debian's place, else the one in PATH.
fn programs() -> Result<PathBuf, Error> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(|version| {
        let folder = version.ok()?;
        let number: u32 = folder.file_name().to_str()?.parse().ok()?;
        let bin = folder.path().join("bin");
        bin.join("postgres").is_file().then_some((number, bin))
    });
    if let Some((_, bin)) = debian.max() {
        return Ok(bin);
    }
    let found = process::find("postgres").and_then(|program| program.parent().map(Path::to_owned));
    found.ok_or_else(|| Error::ProgramMissing { program: "postgresql".to_owned() })
}

/// Who runs the server when we are root.
fn server_user() -> Result<User, Error> {
    let passwd = fs::read_to_string("/etc/passwd").map_err(Error::io("read", "/etc/passwd"))?;
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| user_in(&passwd, name))
        .ok_or_else(|| Error::ProgramMissing { program: "postgresql".to_owned() })
}

pub(crate) fn user_in(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nnobody2:x:7:7::/:/bin/sh\nnobody:x:65534:65533::/:/bin/sh\n";
        let user = user_in(passwd, "nobody").unwrap();
        assert_eq!((user.uid, user.gid), (65534, 65533));
        assert!(user_in(passwd, "postgres").is_none());
    }
}
