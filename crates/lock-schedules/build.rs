//! Copies the sources of the locks, with the faults of `planted.rs` put in behind their switches.

#[path = "src/planted.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library has the rest of it")]
mod planted;

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

/// All but the backends that need a server. `rt` is ours.
const MODULES: [&str; 20] = [
    "acquisition",
    "backend",
    "clock",
    "counters",
    "error",
    "guard",
    "held",
    "inner",
    "key",
    "limits",
    "line",
    "locks",
    "look",
    "memory",
    "mode",
    "multi",
    "request",
    "settings",
    "table",
    "tenure",
];

/// What the explorer asks and nobody else.
const ADDITIONS: [(&str, &str); 3] = [
    (
        "memory",
        "impl Memory {
            pub(crate) fn in_queue(&self, key: &LockKey) -> Vec<crate::backend::Owner> {
                self.table().look(self.now(), key).waiters.iter().map(|waiter| waiter.owner).collect()
            }
            pub(crate) fn would_grant(&self, request: &Acquire) -> bool {
                matches!(self.table().clone().acquire(self.now(), request), Acquired::Granted { .. })
            }
            /// In a quarantine only those are granted something who hold it.
            pub(crate) fn acquire_unless(
                &self,
                quarantine: impl FnOnce() -> std::time::Duration,
                request: &Acquire,
            ) -> Acquired {
                let mut table = self.table();
                let (now, remaining) = (self.now(), quarantine());
                let holds = |key| table.holders(now, key).iter().any(|(owner, _)| *owner == request.owner);
                if !remaining.is_zero()
                    && !request.keys.iter().all(holds)
                    && table.clone().acquire(now, request) != Acquired::Ended
                {
                    return Acquired::Quarantined { remaining };
                }
                let (acquired, next) = table.acquire_and_tell(now, request);
                drop(table);
                self.tell(next.into_iter().collect());
                acquired
            }
            /// It is another server, or the same one again, with what it knew or without.
            pub(crate) fn start_anew(&self, forgets: bool, begin: impl FnOnce()) {
                let mut table = self.table();
                begin();
                if forgets {
                    *table = Table::default();
                }
                drop(table);
                let _ = self.shared.notices.send(Notice::Gap);
            }
        }",
    ),
    (
        "line",
        "impl Lines {
            pub(crate) fn has(&self, owner: Owner) -> bool {
                self.lock().values().flat_map(|line| line.waiters.values()).any(|waiter| waiter.owner == owner)
            }
        }",
    ),
    (
        "locks",
        "impl Locks {
            pub(crate) fn waits(&self, owner: Owner) -> bool {
                self.inner.lines.has(owner)
            }
        }",
    ),
];

const SELECT: &str = "tokio::select! {";

fn main() -> Result<(), Box<dyn Error>> {
    let sources = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../lock/src");
    let copies = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=src/planted.rs");
    let mut root = String::new();
    for module in MODULES {
        let source = sources.join(module).with_extension("rs");
        println!("cargo::rerun-if-changed={}", source.display());
        let whole = fs::read_to_string(&source)?;
        // Unit tests run where they are written.
        let mut text = whole.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        for fault in planted::FAULTS.iter().filter(|fault| fault.module == module) {
            if text.matches(fault.sound).count() != 1 {
                let Some(line) = fault.sound.lines().next() else { continue };
                return Err(format!("{}: {module} has no single place like: {line}", fault.name).into());
            }
            text = text.replace(fault.sound, fault.faulty);
        }
        // Which branch is looked at first would be Tokio's own dice, and a schedule could not be replayed.
        let mut pieces = text.split(SELECT);
        let mut copied = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            copied.push_str(SELECT);
            copied.push_str(if piece.trim_start().starts_with("biased;") { "" } else { " biased;" });
            copied.push_str(piece);
        }
        for (_, addition) in ADDITIONS.iter().filter(|(of, _)| *of == module) {
            copied.push('\n');
            copied.push_str(addition);
        }
        let copy = copies.join(module).with_extension("rs");
        fs::write(&copy, copied)?;
        let public = if matches!(module, "backend" | "limits" | "table") { "pub " } else { "" };
        root.push_str(&format!("#[path = {copy:?}]\n#[allow(clippy::all, dead_code, unexpected_cfgs, unused_imports)]\n{public}mod {module};\n"));
    }
    fs::write(copies.join("locks_root.rs"), root)?;
    Ok(())
}
