//! The binary under test on a data folder of its own.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use jaego_testkit::{Ready, Server, ServerOptions, free_port};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Connection;

/// How long a service may take to end when it is asked to.
const END_MAX: Duration = Duration::from_secs(10);

/// What Linux counts processor time in for programs, on every machine (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// A service, its data and its first token. The address stays the same over restarts.
pub(crate) struct Jaego {
    pub(crate) server: Server,
    pub(crate) addr: SocketAddr,
    pub(crate) token: String,
    pub(crate) data: PathBuf,
    _folder: TempDir,
}

impl Jaego {
    /// Starts it on an empty folder.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("jaego-e2e-").tempdir().unwrap();
        let data = folder.path().join("data");
        Self::start_as(folder, data, program(), Vec::new())
    }

    /// Starts it on an empty folder with more arguments.
    pub(crate) fn start_with(after: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("jaego-e2e-").tempdir().unwrap();
        let data = folder.path().join("data");
        Self::launch(folder, data, program(), Vec::new(), after)
    }

    /// Starts it on `data` as `runner` with `before` among its arguments: the binary itself, or a tool that runs it.
    pub(crate) fn start_as(folder: TempDir, data: PathBuf, runner: &Path, before: Vec<String>) -> Self {
        Self::launch(folder, data, runner, before, &[])
    }

    fn launch(folder: TempDir, data: PathBuf, runner: &Path, before: Vec<String>, after: &[&str]) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let mut args = before;
        args.extend(["serve".into(), "--listen".into(), addr.to_string(), "--data".into()]);
        args.push(data.to_str().expect("temporary folders have plain names").to_owned());
        args.extend(after.iter().map(|word| (*word).to_owned()));
        let server = Server::start(ServerOptions {
            program: runner.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            ready: Some(Ready::Line("listening on ".into())),
        })
        .unwrap();
        let token = server.wait_line("admin token: ", END_MAX).unwrap();
        Self { server, addr, token, data, _folder: folder }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.addr, &self.token).unwrap()
    }

    /// Asks it to end, and proves that it does so soon and well.
    pub(crate) fn terminate(&mut self) {
        let begun = Instant::now();
        let status = self.server.terminate().unwrap();
        assert!(status.success(), "{status}: {}", self.server.stderr());
        assert!(begun.elapsed() < END_MAX, "it took {:?} to end", begun.elapsed());
    }

    /// Proves the books. It must not be running.
    pub(crate) fn verify(&self) {
        let verified = Command::new(program()).arg("verify").arg("--data").arg(&self.data).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stdout);
        let wrong = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success(), "{}: {said}{wrong}", verified.status);
        assert!(said.contains("the books balance"), "{said}{wrong}");
    }

    /// Ends it and proves the books.
    pub(crate) fn end(mut self) {
        self.terminate();
        self.verify();
    }

    /// Processor time that it has had, in seconds, threads that ended included.
    pub(crate) fn work(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.server.id())).unwrap();
        // The name of the program, in parentheses, may hold anything; `utime` and `stime` are fields 14 and 15 of all.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
        ticks.sum::<f64>() / TICKS_A_SECOND
    }

    /// Kilobytes of memory that it has.
    pub(crate) fn memory_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Does something that has to be done.
pub(crate) fn ok((status, answer): (u16, Value)) -> Value {
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Two sites, and `units` of each of `skus` at one place of `ICN`.
pub(crate) fn stock(connection: &mut Connection, skus: &[String], units: u64) {
    let mut commands = vec![
        json!({"op": "set_site", "site": "ICN"}),
        json!({"op": "set_site", "site": "PUS"}),
        json!({"op": "set_location", "site": "ICN", "location": "A-01", "kind": "storage"}),
    ];
    commands.extend(skus.iter().map(|sku| json!({"op": "set_sku", "sku": sku})));
    let lines: Vec<_> = skus
        .iter()
        .map(|sku| json!({"site": "ICN", "location": "A-01", "sku": sku, "change": units, "account": "opening"}))
        .collect();
    commands.push(json!({"op": "adjust", "id": "opening", "lines": lines}));
    ok(connection.post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap());
}

/// The body of a hold of one line.
pub(crate) fn hold(id: &str, sku: &str, quantity: u64) -> Value {
    json!({"id": id, "lines": [{"site": "ICN", "sku": sku, "quantity": quantity}]})
}

/// The binary: what `JAEGO_BIN` names, or the one beside this test's own folder in cargo's target folder.
///
/// Cargo tells a test where the binaries of its own package are, and these tests have none. So the place is worked out
/// from the test's own path; and because an old binary would prove nothing, one that is missing or older than a source
/// that went into it is built first, with the same profile.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(program) = env::var_os("JAEGO_BIN") {
            return program.into();
        }
        let test = env::current_exe().unwrap();
        let folder = test.parent().and_then(Path::parent).expect("tests lie in deps of a profile's folder");
        let program = folder.join("jaego");
        if !is_fresh(&program) {
            build(folder);
        }
        assert!(program.is_file(), "there is no {}", program.display());
        program
    })
}

/// Whether a binary is as new as every source that went into it, as the list that cargo leaves beside it says; without one,
/// as every source that there is. A run of all tests builds the binary with all else, and leaves no list.
fn is_fresh(program: &Path) -> bool {
    let Some(built) = changed(program) else { return false };
    let is_older = |source: &Path| changed(source).is_some_and(|changed| changed <= built);
    match fs::read_to_string(program.with_extension("d")) {
        Ok(list) => {
            let Some((_, sources)) = list.split_once(": ") else { return false };
            sources.split_whitespace().all(|source| is_older(Path::new(source)))
        }
        Err(_) => {
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let crates = fs::read_dir(workspace.join("crates")).unwrap().map(|entry| entry.unwrap().path());
            let sources =
                crates.flat_map(|one| [one.join("src"), one.join("Cargo.toml"), one.join("build.rs")]);
            let settings = ["Cargo.toml", "Cargo.lock"].map(|name| workspace.join(name));
            sources.chain(settings).filter(|path| path.exists()).all(|path| all_of(&path, &is_older))
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// Whether something is true of a file, or of all files in a folder.
fn all_of(path: &Path, is_true: &impl Fn(&Path) -> bool) -> bool {
    if !path.is_dir() {
        return is_true(path);
    }
    fs::read_dir(path).unwrap().all(|entry| all_of(&entry.unwrap().path(), is_true))
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let target = folder.parent().expect("a profile's folder lies in the target folder");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "jaego-cli", "--profile", profile])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .status()
        .unwrap();
    assert!(status.success(), "cannot build jaego: {status}");
}
