//! What the program tells of the service and of itself, and the service with which it shows itself.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use jaego_testkit::{Ready, Server, ServerOptions};
use serde_json::Value;

use super::{House, PROGRAM, WAIT, ran, serve};

#[test]
fn events_status_and_tokens_tell_what_there_is() {
    let house = House::furnished();
    let events = house.done("events --kind sku_set");
    assert_eq!(events.lines().count(), 2, "{events}");
    let ahead = house.run("events --after 999");
    assert!(ahead.code == 3 && ahead.err.contains("(cursor_ahead)\ntry: say --after with"), "{}", ahead.err);
    assert!(house.done("status").starts_with("state       ready\n"));
    let data = house.data().display().to_string();
    let made = house.run(&format!("token create kim --role reader --rate 500 --data {data}"));
    assert!(made.out.starts_with("jaego_"), "{}", made.err);
    let list = house.done(&format!("token list --data {data} --json"));
    let list: Value = serde_json::from_str(&list).unwrap();
    // Tokens of the same second stand in the order of their ids.
    let kim =
        list["items"].as_array().unwrap().iter().find(|token| token["name"] == "kim").expect("it is listed");
    assert_eq!(kim["role"], "reader");
    assert_eq!(kim["rate"], serde_json::json!({"per_s": 500, "burst": 500}));
    assert!(house.done(&format!("token list --data {data}")).contains("500/s, 500 at once"));
    let id = kim["id"].as_str().unwrap().to_owned();
    // The running server sees a new token by itself.
    let token_file = house.file("kim.token", &made.out);
    let seen = jaego_testkit::wait_until("the token is known", WAIT, || {
        (house.run(&format!("site list --token-file {token_file}")).code == 0).then_some(())
    });
    seen.unwrap();
    assert_eq!(house.run(&format!("site set GMP --token-file {token_file}")).code, 3);
    house.done(&format!("token revoke {id} --data {data}"));
    let gone = jaego_testkit::wait_until("the token is unknown", WAIT, || {
        (house.run(&format!("site list --token-file {token_file}")).code == 3).then_some(())
    });
    gone.unwrap();
}

#[test]
fn exit_codes_are_those_that_are_documented() {
    let house = House::start();
    assert_eq!(house.run("help exit-codes").code, 0);
    assert_eq!(house.run("hold place").code, 2);
    assert_eq!(house.run("stock adjust A1 mug@A-01=1").code, 2);
    // What would only come back as a field of the API is told as it is typed.
    for (line, told) in [
        ("hold place H1 --site ICN mug", "how much of mug? Say mug=QUANTITY"),
        ("stock adjust A1 --site ICN mug=+5", "where is mug? Say mug@LOCATION=5"),
        ("stock count C1 --site ICN mug@A-01", "how much of mug? Say mug@A-01=QUANTITY"),
        ("transfer request T1 --from ICN --to GMP mug", "how much of mug? Say mug=QUANTITY"),
        ("order place O1 --site ICN mug", "how much of mug? Say mug=QUANTITY"),
        ("sku set mug --price KRW=1 --price KRW=2", "--price KRW is said twice, 1 and 2"),
        ("sku set mug --safety-stock ICN=1 --safety-stock ICN=2", "--safety-stock ICN is said twice"),
        ("audit show --kind nix", "the kinds are opened, cut, suppressed, denied,"),
        ("serve --log nonsense=zz", "cannot understand the log filter \"nonsense=zz\""),
    ] {
        let ran = house.run(line);
        assert_eq!((ran.code, &*ran.out), (2, ""), "{line}: {}", ran.err);
        assert!(ran.err.contains(told), "{line}: {}", ran.err);
    }
    assert_eq!(house.run("site show NOWHERE").code, 3);
    assert_eq!(house.run("site list --url http://127.0.0.1:1").code, 4);
    assert_eq!(house.run("verify --data /dev/null/none").code, 1);
    // A file of settings is the last to be asked.
    let config = house.file("config.toml", "url = \"http://127.0.0.1:1\"\n");
    assert_eq!(house.run(&format!("site list --config {config}")).code, 0);
    let bad = house.file("bad.toml", "adress = \"x\"\n");
    assert_eq!(house.run(&format!("site list --config {bad}")).code, 2);
}

#[test]
fn a_demo_serves_its_sample() {
    let demo = Server::start(ServerOptions {
        program: PROGRAM.into(),
        args: vec!["demo".into()],
        env: Vec::new(),
        ready: Some(Ready::Line("Press Ctrl-C".to_owned())),
    });
    let mut demo = demo.unwrap();
    let said = demo.stdout();
    let variable = |name: &str| {
        let start = format!("  export {name}=");
        said.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["transfer", "show", "PO-0002"]).env_clear().env("HOME", folder.path());
    command.env("JAEGO_URL", variable("JAEGO_URL")).env("JAEGO_TOKEN", variable("JAEGO_TOKEN"));
    let shown = ran(command);
    assert!(shown.out.contains("HJ-1213"), "{}{}", shown.out, shown.err);
    assert!(demo.terminate().unwrap().success());
}

#[test]
fn a_backup_under_load_has_every_hold_that_was_acknowledged() {
    let mut house = House::furnished();
    house.done("stock adjust S9 --site ICN mug@A-02=+1000000");
    let placed = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let folder = house.folder.path().to_owned();
    let mut known = Vec::new();
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::SeqCst) {
                house.done(&format!("hold place L{number} --site ICN mug=1"));
                number += 1;
                placed.store(number, Ordering::SeqCst);
            }
        });
        for round in 0..3 {
            jaego_testkit::wait_until("some holds", WAIT, || {
                (placed.load(Ordering::SeqCst) > round * 5 + 5).then_some(())
            })
            .unwrap();
            known.push(placed.load(Ordering::SeqCst));
            let to = folder.join(format!("backup-{round}"));
            let said = house.done(&format!("backup --data {} --to {}", house.data().display(), to.display()));
            assert!(said.ends_with(&format!("backed up and proven: {}\n", to.display())), "{said}");
        }
        is_over.store(true, Ordering::SeqCst);
        load.join().unwrap();
    });
    for (round, known) in known.into_iter().enumerate() {
        let (from, to) = (folder.join(format!("backup-{round}")), folder.join(format!("restored-{round}")));
        house.done(&format!("restore --from {} --data {}", from.display(), to.display()));
        let proven = house.done(&format!("verify --json --data {}", to.display()));
        let proven: Value = serde_json::from_str(&proven).unwrap();
        assert!(
            proven["sequence"].as_u64() > Some(0) && proven["state"].as_str().unwrap().len() == 32,
            "{proven}"
        );
        let again = house.run(&format!("restore --from {} --data {}", from.display(), to.display()));
        assert_eq!(again.code, 1);
        assert!(again.err.contains("is not empty: choose a new folder, or remove this one"), "{}", again.err);
        // The tokens came along.
        let (server, addr) = serve(&to);
        let first = house.addr;
        house.addr = addr;
        for number in 0..known {
            house.done(&format!("hold show L{number}"));
        }
        house.addr = first;
        drop(server);
    }
    drop(house.server.take());
}
