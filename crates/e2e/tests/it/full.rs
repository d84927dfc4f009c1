//! A disk without room: writes are refused with a reason, reads go on, and it resumes when there is room again.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use jaego_testkit::wait_until;
use serde_json::json;

use crate::{
    jaego::{Jaego, hold, ok, program, stock},
    seeds::skipped,
};

/// Size of the disk: a few segments of 64 MiB.
const DISK_BYTES: u64 = 400 << 20;

/// A small disk in memory, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self, String> {
        fs::create_dir(at).unwrap();
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(at.to_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_goes_on_reading_and_resumes() {
    let folder = tempfile::Builder::new().prefix("jaego-e2e-").tempdir().unwrap();
    let disk = folder.path().join("disk");
    let _disk = match SmallDisk::mount(&disk) {
        Ok(disk) => disk,
        Err(why) => {
            skipped(&format!("a small disk cannot be mounted here ({why}); run as root to have this tested"));
            return;
        }
    };
    let jaego = Jaego::start_as(folder, disk.join("data"), program(), Vec::new());
    let mut connection = jaego.connect();
    stock(&mut connection, &["mug".into()], 1_000);
    ok(connection.post("/v1/holds", &hold("before", "mug", 1)).unwrap());

    // Somebody else takes all the room, and what was set aside is used up by long names.
    let filler = disk.join("filler");
    let file = File::create(&filler).unwrap();
    let piece = vec![1; 1 << 20];
    while std::io::Write::write_all(&mut &file, &piece).is_ok() {}
    let name = "x".repeat(120);
    let mut batches = 0;
    let problem = loop {
        let commands: Vec<_> = (0..5_000)
            .map(|number| json!({"op": "set_site", "site": "PUS", "name": format!("{batches}-{number}-{name}")}))
            .collect();
        let (status, answer) = connection.post("/v1/batch", &json!({"commands": commands})).unwrap();
        if status != 200 {
            assert_eq!(status, 507, "{answer}");
            break answer;
        }
        batches += 1;
        assert!(batches < 500, "the disk is never full");
    };
    println!("full after {batches} batches: {}", problem["detail"]);
    assert_eq!(problem["code"], "store_full");
    let (status, answer) = connection.post("/v1/holds", &hold("full", "mug", 1)).unwrap();
    assert_eq!((status, &answer["code"]), (507, &json!("store_full")));
    // Reads go on, and tell of nothing that was refused.
    assert_eq!(ok(connection.get("/v1/holds/before").unwrap())["status"], "held");
    assert_eq!(connection.get("/v1/holds/full").unwrap().0, 404);
    let status = ok(connection.get("/v1/status").unwrap());
    assert_eq!((&status["full"], &status["failed"]), (&json!(true), &json!(null)), "{status}");
    assert_eq!(connection.send("GET", "/readyz", None, "").unwrap().status, 503);

    drop(file);
    fs::remove_file(&filler).unwrap();
    let resumed = || match connection.post("/v1/holds", &hold("after", "mug", 1)).unwrap() {
        (507, _) => None,
        answer => Some(ok(answer)),
    };
    wait_until("the store to resume", Duration::from_secs(10), resumed).unwrap();
    assert_eq!(connection.send("GET", "/readyz", None, "").unwrap().status, 200);
    jaego.end();
}
