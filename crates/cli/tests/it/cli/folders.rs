//! Data folders: who may read them, what a restore leaves, and output that cannot be written.

use std::{
    fs::{self, File},
    io::pipe,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::UNIX_EPOCH,
};

use jaego_domain::{Code, Quantity, Row, Tables};
use jaego_engine::{Config, checkpoint, disk::RealDisk, open, verify};
use jaego_testkit::{free_port, wait_until};
use serde_json::Value;

use super::{House, PROGRAM, Ran, WAIT, ran, serve};

/// A standard output that takes nothing.
#[derive(Clone, Copy, Debug)]
enum Deaf {
    /// Its disk is full.
    Full,
    /// Whoever read it has gone.
    Closed,
}

impl Deaf {
    fn stdout(self) -> Stdio {
        match self {
            Self::Full => File::options().write(true).open("/dev/full").unwrap().into(),
            Self::Closed => pipe().unwrap().1.into(),
        }
    }

    fn command(self, arguments: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments.split_whitespace()).env_clear().stdin(Stdio::null()).stdout(self.stdout());
        command.stderr(Stdio::piped());
        command
    }

    fn run(self, arguments: &str) -> Ran {
        let child = self.command(arguments).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        Ran { out: String::new(), err, code: output.status.code().unwrap() }
    }
}

/// A process that ends with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> SocketAddr {
    free_port().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_first_token_that_cannot_be_printed_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for deaf in [Deaf::Full, Deaf::Closed] {
        let ran = deaf.run(&format!("serve --data {} --listen {}", data.display(), free_address()));
        assert_eq!(ran.code, 1, "{deaf:?}: {}", ran.err);
        assert!(ran.err.contains("which was taken back: the next start makes another"), "{}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        assert!(!data.join("tokens.json").exists(), "{deaf:?}");
    }
    let (server, _) = serve(&data);
    server.wait_line("admin token: ", WAIT).unwrap();
    drop(server);
    // Who cannot be told that it listens is served all the same.
    for deaf in [Deaf::Full, Deaf::Closed] {
        let address = free_address();
        let serving = format!("serve --data {} --listen {address}", data.display());
        let mut child = Killed(deaf.command(&serving).stderr(Stdio::null()).spawn().unwrap());
        wait_until("the service", WAIT, || TcpStream::connect(address).ok().map(drop)).unwrap();
        wait_until("an answer", WAIT, || {
            let mut ask = Command::new(PROGRAM);
            ask.args(["status", "--url", &format!("http://{address}")])
                .env_clear()
                .env("JAEGO_TOKEN", "none");
            // It has been asked and says no: it is up, and whoever has a token is let in.
            (ran(ask).code == 3).then_some(())
        })
        .unwrap();
        assert!(child.0.try_wait().unwrap().is_none(), "{deaf:?}");
    }
}

#[test]
fn a_demo_that_cannot_tell_its_token_keeps_none() {
    for (deaf, code) in [(Deaf::Full, 1), (Deaf::Closed, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let child = deaf.command("demo --keep").env("TMPDIR", folder.path()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{deaf:?}: {}", String::from_utf8_lossy(&output.stderr));
        let kept = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        assert!(kept.join("store").exists() && !kept.join("tokens.json").exists(), "{deaf:?}");
    }
}

#[test]
fn no_command_panics_where_its_output_cannot_be_written() {
    let mut house = House::furnished();
    house.server.take();
    let (data, folder) = (house.data(), house.folder.path());
    let data = data.display();
    for deaf in [Deaf::Full, Deaf::Closed] {
        let path = |name: &str| folder.join(format!("{name}-{deaf:?}")).display().to_string();
        for command in [
            format!("verify --data {data}"),
            format!("backup --data {data} --to {}", path("backup")),
            format!("restore --from {} --data {}", path("backup"), path("restored")),
            format!("archive --data {data} --before 2020-01-01 --to {}", path("archive")),
        ] {
            let ran = deaf.run(&command);
            let code = if matches!(deaf, Deaf::Full) { 1 } else { 0 };
            assert_eq!(ran.code, code, "{deaf:?}: {command}: {}", ran.err);
            let told = ran.err.contains("cannot write to standard output");
            assert!(told == (code == 1) && !ran.err.contains("panicked"), "{command}: {}", ran.err);
        }
    }
}

#[test]
fn a_restore_that_is_not_what_was_backed_up_leaves_nothing() {
    let mut house = House::furnished();
    house.server.take();
    let (backup, restored) = (house.folder.path().join("backup"), house.folder.path().join("restored"));
    house.done(&format!("backup --data {} --to {}", house.data().display(), backup.display()));
    let manifest = backup.join("backup.json");
    assert_eq!((mode(&backup), mode(&manifest)), (0o700, 0o600));
    let right = fs::read_to_string(&manifest).unwrap();
    let state = right.split("\"state\": \"").nth(1).unwrap();
    fs::write(&manifest, right.replace(&state[..32], &"0".repeat(32))).unwrap();
    let restore = format!("restore --from {} --data {}", backup.display(), restored.display());
    let ran = house.run(&restore);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains(&format!("nothing was restored, and {} is empty again", restored.display())));
    assert!(ran.err.contains("take another backup"), "{}", ran.err);
    assert_eq!((fs::read_dir(&restored).unwrap().count(), mode(&restored)), (0, 0o700));
    fs::write(&manifest, right).unwrap();
    house.done(&restore);
    assert_eq!(mode(&restored), 0o700);
}

#[test]
fn a_backup_that_fails_leaves_its_folder_to_the_next_try() {
    let mut house = House::furnished();
    house.server.take();
    let tokens = house.data().join("tokens.json");
    let (backup, aside) = (house.folder.path().join("backup"), house.folder.path().join("aside"));
    // A folder in the place of a file fails to be copied, after the store was.
    fs::rename(&tokens, &aside).unwrap();
    fs::create_dir(&tokens).unwrap();
    let command = format!("backup --data {} --to {}", house.data().display(), backup.display());
    let ran = house.run(&command);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains(&format!("nothing was backed up, and {} is empty again", backup.display())));
    assert!(ran.err.contains("cannot copy"), "{}", ran.err);
    assert_eq!(fs::read_dir(&backup).unwrap().count(), 0);
    fs::remove_dir(&tokens).unwrap();
    fs::rename(&aside, &tokens).unwrap();
    house.done(&command);
    assert!(backup.join("backup.json").exists());
}

#[test]
fn a_restore_says_that_its_tokens_are_those_of_the_backup() {
    let mut house = House::furnished();
    let data = house.data().display().to_string();
    let folder = |name: &str| house.folder.path().join(name).display().to_string();
    let (backup, bare, restored, again) =
        (folder("backup"), folder("bare"), folder("restored"), folder("again"));
    house.done(&format!("token create gone --role reader --data {data}"));
    let list: Value = serde_json::from_str(&house.done(&format!("token list --json --data {data}"))).unwrap();
    let tokens = list["items"].as_array().unwrap();
    let gone = tokens.iter().find(|token| token["name"] == "gone").unwrap()["id"].as_str().unwrap();
    house.done(&format!("backup --data {data} --to {backup}"));
    house.done(&format!("token revoke {gone} --data {data}"));
    let manifest: Value =
        serde_json::from_slice(&fs::read(Path::new(&backup).join("backup.json")).unwrap()).unwrap();
    let ran = house.run(&format!("restore --from {backup} --data {restored}"));
    let told =
        format!("{} tokens as of {}: revoke again", tokens.len(), manifest["made_at"].as_str().unwrap());
    assert!(ran.code == 0 && ran.err.contains(&told), "{}", ran.err);
    assert!(house.done(&format!("token list --data {restored}")).contains(gone), "it is valid again");
    // Where there are none, nothing is said of them.
    house.server.take();
    fs::remove_file(house.data().join("tokens.json")).unwrap();
    house.done(&format!("backup --data {data} --to {bare}"));
    let ran = house.run(&format!("restore --from {bare} --data {again}"));
    assert!(ran.code == 0 && !ran.err.contains("revoke"), "{}", ran.err);
    let (single, alone) = (folder("single"), folder("alone"));
    house.done(&format!("token create only --role reader --data {data}"));
    house.done(&format!("backup --data {data} --to {single}"));
    let ran = house.run(&format!("restore --from {single} --data {alone}"));
    assert!(ran.code == 0 && ran.err.contains("one token as of 2"), "{}", ran.err);
}

/// What is revoked while the copy is proven is among its tokens, so the time to revoke from is earlier.
#[test]
fn a_backup_is_dated_before_its_tokens_are_read() {
    let house = House::furnished();
    let backup = house.folder.path().join("backup");
    house.done(&format!("backup --data {} --to {}", house.data().display(), backup.display()));
    let manifest: Value = serde_json::from_slice(&fs::read(backup.join("backup.json")).unwrap()).unwrap();
    // The proof takes files away from there.
    let proven = fs::metadata(backup.join("store")).unwrap().modified().unwrap();
    let proven = proven.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let proven = jaego_api::Time(u64::try_from(proven).unwrap()).to_string();
    let made_at = manifest["made_at"].as_str().unwrap();
    assert!(made_at < proven.as_str(), "made at {made_at}, and proven at {proven}");
}

#[test]
fn a_backup_from_before_wallets_counted_what_was_for_orders_is_restored() {
    let mut house = House::furnished();
    for line in [
        "sku set mug --price KRW=6000",
        "cart set C1 --site ICN --owner kim",
        "cart item C1 mug 2",
        "wallet charge kim KRW 20000",
        "cart checkout C1 KRW",
    ] {
        house.done(line);
    }
    house.server.take();
    let folder = |name: &str| house.folder.path().join(name);
    let (backup, other, restored) = (folder("backup"), folder("other"), folder("restored"));
    house.done(&format!("backup --data {} --to {}", house.data().display(), backup.display()));
    let disk = RealDisk::open(house.data().join("store")).unwrap();
    let verified = verify(disk, Config::default().journal, |_| {}).unwrap();
    assert_ne!(verified.hash, verified.hash_without_sold);
    let path = backup.join("backup.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(manifest["state"], format!("{:032x}", verified.hash));
    manifest.as_object_mut().unwrap().remove("counts_sold").unwrap();
    fs::write(&path, manifest.to_string()).unwrap();
    let ran = house.run(&format!("restore --from {} --data {}", backup.display(), other.display()));
    assert!(ran.code == 1 && ran.err.contains("take another backup"), "{}", ran.err);
    manifest["state"] = format!("{:032x}", verified.hash_without_sold).into();
    fs::write(&path, manifest.to_string()).unwrap();
    house.done(&format!("restore --from {} --data {}", backup.display(), restored.display()));
}

#[test]
fn books_that_are_wrong_are_not_proven() {
    let mut house = House::furnished();
    house.server.take();
    let (data, store) = (house.data(), house.data().join("store"));
    let code = |text| Code::new("code", text).unwrap();
    let line = format!("verify --data {}", data.display());
    assert!(house.done(&line).ends_with("the books balance\n"));
    // The newest checkpoint is written again, of tables in which one more is held than anybody holds.
    let mut recovered = open(RealDisk::open(&store).unwrap(), Config::default().journal, |_| {}).unwrap();
    let memory = &mut recovered.memory;
    let (site, sku) = (memory.site_id(&code("ICN")).unwrap(), memory.sku_id(&code("mug")).unwrap());
    let (place, mut position) = memory.positions(site, sku).next().unwrap();
    position.held += Quantity::ONE;
    memory.put(Row::Position(place, Some(position)));
    checkpoint::write(&*recovered.disk, recovered.journal.store(), memory, &[]).unwrap();
    recovered.journal.close().unwrap();
    drop(recovered.disk);
    let ran = house.run(&line);
    assert_eq!((ran.code, &*ran.out), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("is not proven"), "{}", ran.err);
    assert!(ran.err.contains("the books are wrong: "), "{}", ran.err);
    assert!(ran.err.contains("1 are held, and the holders hold 0"), "{}", ran.err);
}
