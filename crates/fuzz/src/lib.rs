//! Feeds every reader of Jaego bytes that nobody wrote: files of the store, what comes over the wire and from queues,
//! settings, imported files.
//!
//! Each [`Target`] is a function of bytes. It panics where the reader breaks a promise; whether it ends in time and
//! with how little memory is for the caller to watch. The tests of this crate play the corpus and changes of it;
//! `fuzz/` at the top of the project feeds the same functions from a fuzzer that sees which code they reach.

// What the command line reads is in a binary, which nobody can import: its readers are built into this crate as well.
#[allow(dead_code, missing_docs, reason = "the command line uses the rest")]
#[path = "../../cli/src/lines.rs"]
mod lines;
#[allow(dead_code, missing_docs, reason = "the command line uses the rest")]
#[path = "../../cli/src/rows.rs"]
mod rows;
#[allow(dead_code, missing_docs, reason = "the command line uses the rest")]
#[path = "../../cli/src/settings.rs"]
mod settings;

mod exit;
mod files;
mod mutation;
mod text;
mod wire;

pub use mutation::Mutator;

/// A reader, and the name of its corpus.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The folder below `fuzz/corpus`, and the binary of the fuzzer.
    pub name: &'static str,
    /// Reads these bytes. Panics where the reader breaks a promise.
    pub run: fn(&[u8]),
    /// Words that the changes of the corpus are made with.
    pub words: &'static [&'static str],
    /// Bytes of an input: longer ones are not made.
    pub len_max: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "journal", run: jaego_engine::fuzz::journal, words: &[], len_max: 24 << 10 },
    Target { name: "checkpoint", run: jaego_engine::fuzz::checkpoint, words: &[], len_max: 4 << 10 },
    Target { name: "archive", run: jaego_engine::fuzz::archive, words: &[], len_max: 8 << 10 },
    Target { name: "index", run: jaego_engine::fuzz::index, words: &[], len_max: 40 << 10 },
    Target { name: "events", run: files::events, words: &[], len_max: 4 << 10 },
    Target { name: "rows", run: files::rows, words: &[], len_max: 4 << 10 },
    Target { name: "request", run: wire::request, words: wire::WORDS, len_max: 4 << 10 },
    Target { name: "batch", run: wire::batch, words: wire::WORDS, len_max: 8 << 10 },
    Target { name: "story", run: wire::story, words: wire::WORDS, len_max: 8 << 10 },
    Target { name: "queue", run: wire::queue, words: wire::WORDS, len_max: 4 << 10 },
    Target { name: "tokens", run: text::tokens, words: text::WORDS, len_max: 4 << 10 },
    Target { name: "settings", run: text::settings, words: text::WORDS, len_max: 4 << 10 },
    Target { name: "import", run: text::import, words: text::WORDS, len_max: 4 << 10 },
    Target { name: "typed", run: text::typed, words: text::WORDS, len_max: 256 },
];

/// Runs one target.
///
/// # Panics
/// If there is none of this name, or its reader breaks a promise.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).run)(bytes);
}
