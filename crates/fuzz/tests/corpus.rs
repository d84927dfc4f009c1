//! Row E15: the corpus of every target, and changes of it, without a crash, a hang, or memory that the input cannot
//! explain.
//!
//! `JAEGO_SEED` picks the changes, `JAEGO_SOAK=n` makes them go on n times as long. An input that fails is written to
//! a file, whose name is told: put into `fuzz/corpus/TARGET`, it is played from then on.

use std::{
    fs, panic,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jaego_fuzz::{Mutator, TARGETS, Target};
use jaego_testkit::thread_time;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How long the changes of one target go on in a soak, for each time the everyday size.
const TIME: Duration = Duration::from_millis(1_700);
/// Processor time that one input may take.
const INPUT_TIME_MAX: Duration = Duration::from_secs(1);
/// After so long an input is told to hang, and the test ends.
const HANG_AFTER: Duration = Duration::from_secs(20);
/// Memory that the process may have: the largest file that is read is a few kilobytes.
const MEMORY_MAX: u64 = 3 << 30;
/// Changed inputs of a target every day: so many and no others, so that a test that passed here passes elsewhere.
const INPUTS: u64 = 20_000;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target.name);
    let listed = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = listed.map(|entry| entry.expect("the corpus can be read").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("the corpus can be read")).collect()
}

/// Keeps an input that failed.
fn keep(target: &Target, bytes: &[u8]) -> PathBuf {
    let file = std::env::temp_dir().join(format!("jaego-fuzz-{}-{}", target.name, process::id()));
    fs::write(&file, bytes).expect("there is room for a file");
    file
}

/// The input that is being run, and since when.
type Running = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Ends the process when one input takes for ever, and says which.
struct Watch {
    input: Running,
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    fn over(target: &'static Target) -> Self {
        let input: Running = Arc::default();
        let ended = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&input), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(100));
                let input = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((since, bytes)) = &*input
                    && since.elapsed() > HANG_AFTER
                {
                    eprintln!("{} hangs on {}", target.name, keep(target, bytes).display());
                    process::abort();
                }
            }
        });
        Self { input, ended, thread: Some(thread) }
    }

    /// Runs one input, which is held against its limits.
    fn run(&self, target: &'static Target, bytes: &[u8]) {
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), bytes.to_vec()));
        let before = thread_time();
        let result = panic::catch_unwind(|| (target.run)(bytes));
        let took = thread_time().saturating_sub(before);
        self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Err(panicked) = result {
            eprintln!("{} panicked on {}", target.name, keep(target, bytes).display());
            panic::resume_unwind(panicked);
        }
        assert!(took < INPUT_TIME_MAX, "{} took {took:?} on {}", target.name, keep(target, bytes).display());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Plays the corpus of a target, and changes of it.
fn play(name: &str) {
    // An allocation beyond it ends the process: nothing here needs more than a few megabytes at a time.
    setrlimit(Resource::As, Rlimit { current: Some(MEMORY_MAX), ..getrlimit(Resource::As) })
        .expect("a process may limit itself");
    let target = TARGETS.iter().find(|target| target.name == name).expect("a test has a target");
    let seed = jaego_testkit::seed().unwrap_or(20_261_122);
    let soak = u32::try_from(jaego_testkit::soak()).expect("a soak is a small number");
    let time = if soak > 1 { TIME * soak } else { Duration::ZERO };
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    let watch = Watch::over(target);
    for bytes in &corpus {
        watch.run(target, bytes);
    }
    let mut mutator = Mutator::new(seed);
    let (since, mut inputs) = (Instant::now(), 0);
    while since.elapsed() < time || inputs < INPUTS {
        watch.run(target, &mutator.input(&corpus, target.words, target.len_max));
        inputs += 1;
    }
    println!("JAEGO_SEED={seed} {name}: {} of the corpus, {inputs} changed", corpus.len());
}

/// A test for each target, and none without one.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*

        #[test]
        fn every_target_has_a_test_and_a_binary() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), tested);
            for name in tested {
                let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
                assert!(binary.join(format!("{name}.rs")).exists(), "the fuzzer has no {name}");
            }
        }
    };
}

targets! {
    journal checkpoint archive index events rows request batch story queue tokens settings import typed
}

#[test]
fn the_corpus_is_small_and_has_no_folder_without_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut bytes = 0;
    for entry in fs::read_dir(&folder).expect("the corpus can be listed") {
        let entry = entry.expect("the corpus can be listed");
        let name = entry.file_name().into_string().expect("names are text");
        let target = TARGETS.iter().find(|target| target.name == name);
        let target = target.unwrap_or_else(|| panic!("there is no target {name}"));
        for file in corpus(target) {
            assert!(file.len() <= target.len_max, "an input of {name} has {} bytes", file.len());
            bytes += file.len();
        }
    }
    assert!(bytes < 1 << 20, "the corpus has {bytes} bytes");
}
