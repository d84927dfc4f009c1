//! Old history goes to another folder, and the store goes on without it; put back, it is there again.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::json;

use crate::{
    http::Connection,
    jaego::{Jaego, hold, ok, program, stock},
};

/// Batches of long names until there is a checkpoint, at the most: five pieces of 64 MiB and what else there is.
const BATCHES_MAX: usize = 1_500;

fn archive(data: &Path, to: &Path, before: &str) -> Output {
    let mut command = Command::new(program());
    command.arg("archive").arg("--data").arg(data).arg("--to").arg(to).args(["--before", before]);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn journals(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".journal")).collect();
    names.sort();
    names
}

/// The event that the newest checkpoint goes up to; 0 where there is none.
fn checkpoint(connection: &mut Connection) -> f64 {
    let metrics = String::from_utf8(connection.send("GET", "/metrics", None, "").unwrap().body).unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("jaego_checkpoint_sequence "));
    line.unwrap().parse().unwrap()
}

#[test]
fn old_history_goes_elsewhere_and_comes_back() {
    let mut jaego = Jaego::start();
    let mut connection = jaego.connect();
    stock(&mut connection, &["mug".into()], 1_000);
    let first = ok(connection.post("/v1/holds", &hold("first", "mug", 4)).unwrap());
    let long_ago = first["at"].as_str().unwrap().to_owned();
    std::thread::sleep(Duration::from_millis(5));

    let to = tempfile::tempdir().unwrap();
    let busy = archive(&jaego.data, to.path(), "2100-01-01");
    assert_eq!(busy.status.code(), Some(1), "{}", said(&busy));
    assert!(said(&busy).contains("is another jaego running on it?"), "{}", said(&busy));

    let name = "x".repeat(200);
    let mut batches = 0;
    // Two checkpoints: with one there would be nothing to fall back to, and nothing would go.
    let mut checkpoints = Vec::new();
    while checkpoints.len() < 2 {
        let commands: Vec<_> = (0..8_000)
            .map(|number| json!({"op": "set_site", "site": "PUS", "name": format!("{batches}-{number}-{name}")}))
            .collect();
        ok(connection.post("/v1/batch", &json!({"commands": commands})).unwrap());
        batches += 1;
        let newest = checkpoint(&mut connection);
        if newest > checkpoints.last().copied().unwrap_or_default() {
            checkpoints.push(newest);
        }
        assert!(batches < BATCHES_MAX, "no two checkpoints after {batches} batches");
    }
    ok(connection.post("/v1/holds", &hold("second", "mug", 3)).unwrap());
    let as_it_was = format!("/v1/stock?sku=mug&as_of={long_ago}");
    assert_eq!(ok(connection.get(&as_it_was).unwrap())["items"][0]["on_hand"], 1_000);
    jaego.terminate();
    jaego.verify();

    let store = jaego.data.join("store");
    let before = journals(&store);
    let nothing = archive(&jaego.data, to.path(), "1");
    assert!(nothing.status.success() && said(&nothing).contains("nothing to archive"), "{}", said(&nothing));
    let done = archive(&jaego.data, to.path(), "2100-01-01");
    assert!(done.status.success(), "{}", said(&done));
    println!("{}", said(&done));
    let (kept, moved) = (journals(&store), journals(to.path()));
    assert!(moved.len() >= 4 && !kept.is_empty(), "{moved:?} {kept:?}");
    assert_eq!([moved.clone(), kept].concat(), before);
    jaego.verify();

    jaego.server.restart().unwrap();
    let mut connection = jaego.connect();
    let (status, problem) = connection.get(&as_it_was).unwrap();
    assert_eq!((status, &problem["code"]), (410, &json!("history_archived")), "{problem}");
    // It stands, and a repeat does nothing again; what it was answered the first time is in the archive.
    assert_eq!(ok(connection.get("/v1/holds/first").unwrap())["status"], "held");
    let (status, problem) = connection.post("/v1/holds", &hold("first", "mug", 4)).unwrap();
    assert_eq!((status, &problem["code"]), (410, &json!("outcome_archived")), "{problem}");
    let begins_with = problem["first"].as_u64().unwrap();
    assert!(problem["event"].as_u64().unwrap() < begins_with, "{problem}");
    // A setting that is set again is answered, and so is what came with an old repeat in one batch.
    let (mut old, mut new) = (hold("first", "mug", 4), hold("with-it", "mug", 1));
    (old["op"], new["op"]) = ("hold".into(), "hold".into());
    let batch = json!({"commands": [{"op": "set_sku", "sku": "mug"}, old, new]});
    let set = ok(connection.post("/v1/batch", &batch).unwrap());
    let again = &set["items"][0]["outcome"];
    assert_eq!((&again["repeat"], &again["id"]), (&json!(true), &json!("mug")));
    assert_eq!(set["items"][1]["problem"]["code"], "outcome_archived");
    assert_eq!(set["items"][2]["outcome"]["repeat"], false);
    // The feed begins with what is kept, by whose number a reader knows what it missed.
    let page = ok(connection.get("/v1/events?after=0&limit=1").unwrap());
    assert_eq!(page["items"][0]["sequence"], begins_with);
    assert_eq!(ok(connection.get("/v1/skus/mug/stock").unwrap())["items"][0]["held"], 8);
    ok(connection.post("/v1/holds", &hold("third", "mug", 2)).unwrap());
    jaego.terminate();
    jaego.verify();

    for name in &moved {
        fs::copy(to.path().join(name), store.join(name)).unwrap();
    }
    jaego.verify();
    jaego.server.restart().unwrap();
    let mut connection = jaego.connect();
    assert_eq!(ok(connection.get(&as_it_was).unwrap())["items"][0]["on_hand"], 1_000);
    let mut again = ok(connection.post("/v1/holds", &hold("first", "mug", 4)).unwrap());
    again["repeat"] = json!(false);
    assert_eq!(again, first);
    jaego.end();
}
