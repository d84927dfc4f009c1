//! The tour of the README, taken: its commands are read from the page, typed into a shell beside what `make run` starts, and
//! have to print what the page says.

use std::{fs, os::unix::fs::symlink, process::Command, time::Duration};

use jaego_testkit::{Server, ServerOptions};

use crate::{
    documents::{Page, is_as_shown, repository},
    jaego::program,
};

/// How long the sample may take to load.
const LOAD_MAX: Duration = Duration::from_secs(60);

/// Of the README: `make run` and `make test`.
const UNTYPED_MAX: usize = 1;

/// Whether lines are those that a page shows; `…` stands there for any number of them.
fn are_shown(printed: &[String], shown: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=printed.len()).any(|left_out| are_shown(&printed[left_out..], rest))
        }
        Some((first, rest)) => {
            printed.first().is_some_and(|printed| is_as_shown(printed, first))
                && are_shown(&printed[1..], rest)
        }
    }
}

/// The commands of a page, and what each of them prints.
fn steps(page: &Page) -> Vec<(&str, &[String])> {
    assert_eq!(page.untyped, UNTYPED_MAX, "blocks that nobody types");
    page.steps.iter().map(|step| (step.command.as_str(), page.output(step))).collect()
}

#[test]
fn the_tour_of_the_readme_prints_what_it_shows() {
    let (page, korean) = (Page::read("README.md"), Page::read("README.ko.md"));
    let tour = steps(&page);
    assert_eq!(tour, steps(&korean), "the Korean page has another tour");
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
    for &(command, output) in &tour {
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
        let lines: Vec<_> = printed.lines().map(str::to_owned).collect();
        assert!(
            are_shown(&lines, output),
            "$ {command}\nprints\n{printed}\nand the page shows\n{}",
            output.join("\n")
        );
        tried += 1;
    }
    assert_eq!(tried, 5, "{tour:?}");
}
