//! The tour of the README, taken: its commands are read from the page, typed into a shell beside what `make run` starts, and
//! have to print what the page says.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use jaego_testkit::{Server, ServerOptions};

use crate::jaego::program;

/// How long the sample may take to load.
const LOAD_MAX: Duration = Duration::from_secs(60);

/// A command of the page, and the lines that it prints.
#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    output: Vec<String>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The steps in the console blocks of a page. What `make` does is not part of the tour.
fn steps(page: &str) -> Vec<Step> {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("console\n"));
    let mut steps: Vec<Step> = Vec::new();
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push(Step { command: command.to_owned(), output: Vec::new() }),
            None => steps.last_mut().expect("a block begins with a command").output.push(line.to_owned()),
        }
    }
    steps.retain(|step| !step.command.starts_with("make "));
    steps
}

/// A line without what differs from run to run: times, and the digest of the state, in which times are.
fn timeless(line: &str) -> String {
    let is_time = |word: &str| word.len() > 18 && word.starts_with("20") && word.ends_with('Z');
    let is_digest = |word: &str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = line.trim_end().split(' ').map(|word| match word {
        word if is_time(word) => "TIME",
        word if is_digest(word) => "DIGEST",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether lines are those that a page shows; `…` stands there for any number of them.
fn are_shown(printed: &[String], shown: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=printed.len()).any(|left_out| are_shown(&printed[left_out..], rest))
        }
        Some((first, rest)) => printed.first() == Some(first) && are_shown(&printed[1..], rest),
    }
}

#[test]
fn the_tour_of_the_readme_prints_what_it_shows() {
    let tour = steps("README.md");
    assert_eq!(tour, steps("README.ko.md"), "the Korean page has another tour");
    let folder = tempfile::Builder::new().prefix("jaego-tour-").tempdir().unwrap();
    let data = folder.path().join("data");
    // The page's commands name the binary and the data as they lie in the repository.
    fs::create_dir_all(folder.path().join("target/release")).unwrap();
    symlink(program(), folder.path().join("target/release/jaego")).unwrap();
    let mut sample = Server::start(ServerOptions {
        program: repository().join("scripts/run-sample.sh"),
        args: Vec::new(),
        env: vec![
            ("DATA".into(), data.into()),
            ("LISTEN".into(), "127.0.0.1:0".into()),
            ("JAEGO".into(), program().into()),
        ],
        ready: None,
    })
    .unwrap();
    let said = jaego_testkit::wait_until("the sample", LOAD_MAX, || {
        assert!(sample.exit_status().unwrap().is_none(), "{}", sample.stderr());
        Some(sample.stderr()).filter(|said| said.contains("Press Ctrl-C"))
    });
    let said = said.unwrap();
    let url = said.lines().find_map(|line| line.strip_prefix("Jaego answers at ")).unwrap();

    let mut prepared = "shopt -s expand_aliases\n".to_owned();
    let mut tried = 0;
    for Step { command, output } in &tour {
        if command.starts_with("export ") || command.starts_with("alias ") {
            // `make run` would be at the usual address, which others may have.
            prepared += &command.replace("http://127.0.0.1:7878", url);
            prepared.push('\n');
            continue;
        }
        if command.starts_with("jaego verify ") && sample.exit_status().unwrap().is_none() {
            sample.terminate().unwrap();
        }
        let script = format!("{prepared}exec 2>&1\n{command}\n");
        let ran = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        let lines = |lines: &mut dyn Iterator<Item = &str>| lines.map(timeless).collect::<Vec<_>>();
        let shown = lines(&mut output.iter().map(String::as_str));
        assert!(
            are_shown(&lines(&mut printed.lines()), &shown),
            "$ {command}\nprints\n{printed}\nand the page shows\n{}",
            output.join("\n")
        );
        tried += 1;
    }
    assert_eq!(tried, 5, "{tour:?}");
}
