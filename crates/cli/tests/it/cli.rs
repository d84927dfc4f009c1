//! The binary, as people use it: a real server in a folder of its own, and the commands that speak to it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use jaego_testkit::{Ready, Server, ServerOptions, free_port};
use tempfile::TempDir;

mod export;
mod folders;
mod import;
mod master;
mod money;
mod orders;
mod service;
mod stock;
mod transfers;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jaego");
const WAIT: Duration = Duration::from_secs(30);

/// A server, and whoever types commands beside it.
struct House {
    server: Option<Server>,
    addr: SocketAddr,
    token: String,
    folder: TempDir,
}

/// What a command printed, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: i32,
}

impl House {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let (server, addr) = serve(&data);
        let token = server.wait_line("admin token: ", WAIT).unwrap();
        Self { server: Some(server), addr, token, folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn run(&self, arguments: &str) -> Ran {
        self.run_words(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    fn run_words(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().env("HOME", self.folder.path()).stdin(Stdio::null());
        command.env("JAEGO_URL", format!("http://{}", self.addr)).env("JAEGO_TOKEN", &self.token);
        ran(command)
    }

    /// Runs a command that must succeed, and gives what it printed without times and numbers of events.
    fn done(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments}: {}{}", ran.out, ran.err);
        timeless(&ran.out)
    }

    /// A site with two bins, two SKUs and some stock.
    fn furnished() -> Self {
        let house = Self::start();
        for line in [
            "site set ICN --time-zone Asia/Seoul",
            "site set GMP --time-zone Asia/Seoul",
            "location set ICN A-01 --pick-order 1",
            "location set ICN A-02 --pick-order 2",
            "location set ICN OUT --kind staging",
            "location set ICN BAD --kind quarantine",
            "location set GMP IN --kind receiving",
            "location set GMP BAD --kind quarantine",
            "sku set mug --safety-stock ICN=5",
            "sku set cup",
            "stock adjust S1 --site ICN --account opening mug@A-01=8 cup@A-02=3",
        ] {
            house.done(line);
        }
        house
    }
}

fn serve(data: &Path) -> (Server, SocketAddr) {
    let addr: SocketAddr = free_port().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    let args =
        ["serve", "--data", &data.display().to_string(), "--listen", &addr.to_string(), "--log", "warn"];
    let server = Server::start(ServerOptions {
        program: PROGRAM.into(),
        args: args.iter().map(Into::into).collect(),
        env: Vec::new(),
        // `/healthz` answers already while the store is opened.
        ready: Some(Ready::Line("listening on ".into())),
    });
    (server.unwrap(), addr)
}

fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { out: text(output.stdout), err: text(output.stderr), code: output.status.code().unwrap() }
}

/// The output without what differs from run to run, times, and without the numbers of events.
fn timeless(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words: Vec<&str> = line.split(' ').collect();
        for index in 0..words.len() {
            let word = words[index];
            if word.len() > 18 && word.starts_with("20") && word.contains('T') && word.ends_with('Z') {
                words[index] = "TIME";
            }
            if index > 0 && words[index - 1] == "(event" {
                words[index] = if word.ends_with(',') { "N," } else { "N)" };
            }
        }
        lines.push(words.join(" "));
    }
    lines.join("\n") + "\n"
}
