use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::limits::{START_TRIES_MAX, START_WAIT_MAX};
use crate::postgres::user_in;
use crate::process::{self, Process, User};
use crate::{Error, free_port};

/// A private MariaDB server on 127.0.0.1, ended and deleted when dropped.
///
/// Its superuser is `root`, without a password; there is one database, `test`. It runs as the user `mysql` or
/// `nobody` when we are root.
#[derive(Debug)]
pub struct MariaDb {
    process: Option<Process>,
    user: Option<User>,
    port: u16,
    folder: TempDir,
}

impl MariaDb {
    /// Makes the files, starts a server on them and waits until it accepts connections.
    pub fn start() -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("jaego-mariadb-")
            .tempdir()
            .map_err(Error::io("make a folder in", std::env::temp_dir()))?;
        let user = if geteuid().is_root() { Some(server_user()?) } else { None };
        if let Some(User { uid, gid }) = user {
            chown(folder.path(), Some(uid), Some(gid)).map_err(Error::io("hand over", folder.path()))?;
        }
        let mut mariadb = Self { process: None, user, port: free_port()?, folder };
        mariadb.make_temporary()?;
        mariadb.init()?;
        for _ in 1..START_TRIES_MAX {
            match mariadb.launch() {
                // Perhaps somebody else took the port.
                Err(Error::Ended { .. }) => mariadb.port = free_port()?,
                outcome => return outcome.map(|()| mariadb),
            }
        }
        mariadb.launch().map(|()| mariadb)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Runs SQL in one session of the database `test` and returns the rows: a line each, the columns parted by tabs.
    pub fn execute(&self, sql: &str) -> Result<String, Error> {
        let client = program("mariadb")?;
        let port = self.port.to_string();
        let output = Command::new(&client)
            .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--port", &port, "--user=root"])
            // Otherwise the locale of whoever runs the test says which text its own names become.
            .arg("--default-character-set=utf8mb4")
            .args(["--batch", "--skip-column-names", "--database=test", "--execute", sql])
            .output()
            .map_err(Error::io("run", &client))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            return Err(Error::Ended { name: "mariadb".to_owned(), status: output.status, log });
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where it keeps its temporary tables. At its start a server deletes all that it finds there, so that one folder
    /// for several servers would cost them the tables that they work with.
    fn temporary(&self) -> PathBuf {
        self.folder.path().join("temporary")
    }

    fn make_temporary(&self) -> Result<(), Error> {
        let temporary = self.temporary();
        fs::create_dir(&temporary).map_err(Error::io("make", &temporary))?;
        let Some(User { uid, gid }) = self.user else { return Ok(()) };
        chown(&temporary, Some(uid), Some(gid)).map_err(Error::io("hand over", &temporary))
    }

    fn init(&self) -> Result<(), Error> {
        let install = program("mariadb-install-db")?;
        let mut command = process::command(&install, self.user);
        // It is a shell script, which wants the value behind an equals sign.
        command.current_dir(self.folder.path()).env("TMPDIR", self.temporary()).arg("--no-defaults");
        command.arg(format!("--datadir={}", self.data().display()));
        command.args(["--auth-root-authentication-method=normal", "--skip-name-resolve"]);
        let output = command.output().map_err(Error::io("run", &install))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            return Err(Error::Ended { name: "mariadb-install-db".to_owned(), status: output.status, log });
        }
        let database = self.data().join("test");
        if !database.is_dir() {
            fs::create_dir(&database).map_err(Error::io("make", &database))?;
            if let Some(User { uid, gid }) = self.user {
                chown(&database, Some(uid), Some(gid)).map_err(Error::io("hand over", &database))?;
            }
        }
        Ok(())
    }

    fn launch(&mut self) -> Result<(), Error> {
        let server = program("mariadbd")?;
        let mut command = process::command(&server, self.user);
        let folder = self.folder.path();
        let log = folder.join("mariadb.log");
        command.current_dir(folder).env("TMPDIR", self.temporary());
        command.arg("--no-defaults").arg("--datadir").arg(self.data());
        command.args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-buffer-pool-size=32M"]);
        command.arg("--port").arg(self.port.to_string());
        command.arg("--socket").arg(folder.join("socket")).arg("--pid-file").arg(folder.join("pid"));
        let mut process = Process::spawn("mariadbd", command, &log, &log)?;
        let addr = self.addr();
        process.wait_ready(START_WAIT_MAX, || TcpStream::connect(addr).is_ok())?;
        self.process = Some(process);
        Ok(())
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // If it does not end in good order, the process is killed as it is dropped.
        if let Some(mut process) = self.process.take() {
            drop(process.end(Signal::TERM));
        }
    }
}

/// Debian keeps the server out of a plain user's PATH.
fn program(name: &'static str) -> Result<PathBuf, Error> {
    let debian = PathBuf::from("/usr/sbin").join(name);
    let found = if debian.is_file() { Some(debian) } else { process::find(name) };
    found.ok_or_else(|| Error::ProgramMissing { program: "mariadb-server".to_owned() })
}

/// Who runs the server when we are root.
fn server_user() -> Result<User, Error> {
    let passwd = fs::read_to_string("/etc/passwd").map_err(Error::io("read", "/etc/passwd"))?;
    let user = ["mysql", "nobody"].into_iter().find_map(|name| user_in(&passwd, name));
    user.ok_or_else(|| Error::ProgramMissing { program: "mariadb-server".to_owned() })
}
