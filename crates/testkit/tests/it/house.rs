//! Holds the manifests against the house of ARCHITECTURE.md: who may import whom.

use std::{collections::BTreeMap, fs, path::Path};

/// A crate, and the crates of ours that it may depend on. Development dependencies are free.
const HOUSE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("engine", &["domain", "store"]),
    ("api", &["domain"]),
    ("tls", &[]),
    ("server", &["api", "domain", "store", "tls"]),
    ("queue", &["api", "domain", "server", "store", "tls"]),
    ("client", &["api", "tls"]),
    ("lock", &["lock-macros"]),
    ("lock-macros", &[]),
    ("lock-schedules", &[]),
    ("testkit", &[]),
    ("sim", &["domain", "engine", "store"]),
    ("bench", &["testkit"]),
    ("e2e", &[]),
    ("fuzz", &["api", "client", "domain", "engine", "queue", "server", "store"]),
    ("cli", &["api", "bench", "client", "domain", "engine", "lock", "queue", "server", "store", "tls"]),
];

/// Our crates among the `[dependencies]` of a manifest.
fn imports(manifest: &str) -> Vec<String> {
    let section =
        manifest.split("\n[").find(|section| section.starts_with("dependencies]")).unwrap_or_default();
    let names = section.lines().filter_map(|line| line.strip_prefix("jaego-")?.split([' ', '.', '=']).next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_crate_imports_only_what_the_house_allows() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the crates");
    let house: BTreeMap<_, _> = HOUSE.iter().copied().collect();
    for entry in fs::read_dir(crates).expect("the crates can be listed") {
        let folder = entry.expect("the crates can be listed").path();
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let name = folder.file_name().expect("a crate has a name").to_string_lossy().into_owned();
        let allowed = house.get(name.as_str()).unwrap_or_else(|| panic!("the house has no room for {name}"));
        for import in imports(&manifest) {
            assert!(
                allowed.contains(&import.as_str()),
                "{name} imports {import}, which the house does not allow"
            );
        }
    }
}

#[test]
fn an_import_is_seen() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\njaego-domain = { workspace = true }\nserde = \"1\"\n\n[dev-dependencies]\njaego-sim.workspace = true\n";
    assert_eq!(imports(manifest), ["domain"]);
}
