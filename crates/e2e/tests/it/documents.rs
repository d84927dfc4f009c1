//! The examples of the documents, typed: the `sh` blocks of a page go through a shell beside a server of their own, section by
//! section, and have to print what the page shows. Blocks that nobody can type here are `console`.
//!
//! Where the output of the service has changed on purpose, `JAEGO_DOCS=write` writes what is printed into the pages.

use std::{
    env, fs,
    ops::Range,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

use crate::jaego::{Jaego, program};

/// How many sections of a page are typed at a time, each beside a server of its own.
const TYPISTS: usize = 4;

/// Tokens are listed by the second in which they were made, and nobody types two in one.
const TYPED_SLOWLY: &str = "jaego token create ";

/// Folders that pages name. They lie in the test's own folder, and are shown without it.
const FOLDERS: [&str; 2] = ["/var/lib/", "/backup/"];

/// A page whose examples are typed, and what it has to have.
struct Guide {
    path: &'static str,
    /// The section that is typed first in the store of each other one.
    first: Option<&'static str>,
    /// The sections with something to type.
    typed: &'static [&'static str],
    /// How many blocks nobody can type.
    untyped_max: usize,
}

const API: Guide = Guide {
    path: "docs/API.md",
    first: Some("Following the examples"),
    typed: &[
        "Following the examples",
        "Who asks",
        "When the answer is no",
        "Many at once",
        "Stock",
        "Holds",
        "Transfers",
        "Orders and workers",
        "Fences",
        "Picking transfers, zone by zone",
        "Carts and checkout",
        "What was",
        "Money",
        "Cards and proposals",
    ],
    // The server that the examples are typed beside, and its address.
    untyped_max: 2,
};

const OPERATING: Guide = Guide {
    path: "docs/OPERATING.md",
    first: None,
    typed: &[
        "Starting",
        "Tokens",
        "Audit log",
        "A transfer from beginning to end",
        "Working with stock",
        "Import and export",
        "Backup and restore",
        "Exit codes",
    ],
    // The server itself, three about certificates that wait for one another, and an archive of a large store.
    untyped_max: 5,
};

/// A command of a page, and where the lines stand that it prints.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) section: String,
    pub(crate) command: String,
    output: Range<usize>,
}

/// A page by its lines, with what there is to type.
pub(crate) struct Page {
    pub(crate) lines: Vec<String>,
    pub(crate) steps: Vec<Step>,
    pub(crate) untyped: usize,
}

impl Page {
    pub(crate) fn read(path: &str) -> Self {
        let path = repository().join(path);
        let text = fs::read_to_string(&path);
        Self::parse(&text.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display())))
    }

    fn parse(text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut page = Self { lines: Vec::new(), steps: Vec::new(), untyped: 0 };
        let (mut section, mut at) = ("", 0);
        while at < lines.len() {
            let line = &lines[at];
            at += 1;
            if let Some(title) = line.strip_prefix("## ") {
                section = title;
            }
            let Some(language) = line.strip_prefix("```") else { continue };
            let end = at + lines[at..].iter().position(|line| line == "```").expect("a block ends");
            match language {
                "sh" => page.steps.extend(steps(section, &lines, at..end)),
                "console" => page.untyped += 1,
                _ => {}
            }
            at = end + 1;
        }
        Self { lines, ..page }
    }

    pub(crate) fn output(&self, step: &Step) -> &[String] {
        &self.lines[step.output.clone()]
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The steps of a block. A command goes on behind a `\`, and up to the end of what it reads (`<<'END'`).
fn steps(section: &str, lines: &[String], block: Range<usize>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = block.start;
    while at < block.end {
        let line = at;
        let first = lines[at].strip_prefix("$ ");
        let first = first.unwrap_or_else(|| panic!("line {}: a block begins with a command", line + 1));
        at += 1;
        if let Some((_, rest)) = first.split_once("<<'") {
            let (end, _) = rest.split_once('\'').expect("a quote ends");
            at += 1 + lines[at..block.end].iter().position(|line| line == end).expect("what is read ends");
        }
        while lines[at - 1].ends_with('\\') {
            at += 1;
        }
        let rest = lines[line + 1..at].iter().map(|line| format!("\n{line}"));
        let command = first.to_owned() + &rest.collect::<String>();
        let shown = lines[at..block.end].iter().take_while(|line| !line.starts_with("$ ")).count();
        steps.push(Step { section: section.to_owned(), command, output: at..at + shown });
        at += shown;
    }
    steps
}

/// What may differ from the page, where both are of the same shape.
const SHAPES: [fn(&str) -> bool; 4] = [is_instant, is_token, is_id_or_hash, is_version];

fn is_instant(word: &str) -> bool {
    // A sentence may go on behind it.
    has_shape(word.trim_end_matches(':'), "9999-99-99T99:99:99.999Z")
}

/// A token, of which a page may show the beginning only.
fn is_token(word: &str) -> bool {
    let parts = word.strip_prefix("jaego_").and_then(|rest| rest.split_once('_'));
    parts.is_some_and(|(id, secret)| is_hex(id, &[16]) && is_hex(secret.trim_end_matches('…'), &[4, 64]))
}

/// The id of a token, the state of a store, or the hash of an audit log.
fn is_id_or_hash(word: &str) -> bool {
    is_hex(word, &[16, 32, 64])
}

fn is_version(word: &str) -> bool {
    has_shape(word, "9.9.9")
}

fn is_hex(word: &str, lens: &[usize]) -> bool {
    lens.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a word has a digit wherever a shape has a 9, and is the shape elsewhere.
fn has_shape(word: &str, shape: &str) -> bool {
    word.len() == shape.len()
        && word.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'9' => byte.is_ascii_digit(),
            shape => byte == shape,
        })
}

/// A line as words, and what stands between them one by one.
fn words(line: &str) -> Vec<&str> {
    let is_of_a_word = |char: char| char.is_alphanumeric() || "_-:.…".contains(char);
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = match is_of_a_word(first) {
            true => rest.find(|char| !is_of_a_word(char)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, behind) = rest.split_at(end);
        words.push(word);
        rest = behind;
    }
    words
}

/// A line without how long something took, and without who ran it, whose number may be wider than ours.
fn anywhere(line: &str) -> String {
    let line = line.trim_end();
    if let Some((before, took)) = line.rsplit_once(", in ")
        && took.strip_suffix(" s").is_some_and(|seconds| seconds.parse::<f64>().is_ok())
    {
        return before.to_owned();
    }
    match line.split_once("  uid ") {
        Some((before, behind)) => {
            let behind = behind.trim_start_matches(|char: char| char.is_ascii_digit());
            format!("{before}  uid {}", behind.trim_start())
        }
        None => line.to_owned(),
    }
}

/// Whether a printed line is the one that a page shows, but for words of which only the shape is known.
pub(crate) fn is_as_shown(printed: &str, shown: &str) -> bool {
    let (printed, shown) = (anywhere(printed), anywhere(shown));
    let (printed, shown) = (words(&printed), words(&shown));
    // A number, such as a fence, may look like an id, and has to be the same.
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let is_same = |printed: &str, shown: &str| {
        printed == shown || !is_number(shown) && SHAPES.iter().any(|is_so| is_so(printed) && is_so(shown))
    };
    printed.len() == shown.len() && printed.iter().zip(&shown).all(|(printed, shown)| is_same(printed, shown))
}

/// What a shell prints for each of the steps, typed one after the other into an empty store.
fn typed(steps: &[&Step]) -> Vec<Vec<String>> {
    let folder = tempfile::Builder::new().prefix("jaego-documents-").tempdir().unwrap();
    let root = folder.path().to_owned();
    for made in ["bin", "home", "work", "var/lib", "backup"] {
        fs::create_dir_all(root.join(made)).unwrap();
    }
    symlink(program(), root.join("bin/jaego")).unwrap();
    let mut script = "exec 2>&1\n".to_owned();
    for Step { command, .. } in steps {
        let pause = if command.starts_with(TYPED_SLOWLY) { "sleep 1.1\n" } else { "" };
        let here = |command: String, name: &&str| command.replace(name, &format!("{}{name}", root.display()));
        let command = FOLDERS.iter().fold(command.clone(), here);
        script += &format!("{pause}printf '\\001'\n{command}\n");
    }
    fs::write(root.join("script"), script).unwrap();
    let path = env::join_paths(
        [root.join("bin")].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let jaego = Jaego::start_as(folder, root.join("var/lib/jaego"), program(), Vec::new());
    let ran = Command::new("bash")
        .arg(root.join("script"))
        .current_dir(root.join("work"))
        .env_clear()
        .env("PATH", path.unwrap())
        .env("HOME", root.join("home"))
        .env("LC_ALL", "C.UTF-8")
        .env("JAEGO_URL", format!("http://{}", jaego.addr))
        .env("JAEGO_TOKEN", &jaego.token)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(ran.stdout).unwrap().replace(root.to_str().unwrap(), "");
    let parts = printed.split('\u{1}').skip(1);
    let outputs: Vec<Vec<_>> =
        parts.map(|part| part.lines().map(|line| line.trim_end().to_owned()).collect()).collect();
    assert_eq!(outputs.len(), steps.len(), "the shell ended before the last command: {printed}");
    outputs
}

/// A step that was typed.
struct Typed<'a> {
    step: &'a Step,
    printed: Vec<String>,
    /// Where the page shows something else, and what.
    wrong: Option<String>,
}

/// The first line that is not as a page shows it.
fn difference(path: &str, page: &Page, step: &Step, printed: &[String]) -> Option<String> {
    let shown = page.output(step);
    let is_same = |at: usize| match (printed.get(at), shown.get(at)) {
        (Some(printed), Some(shown)) => is_as_shown(printed, shown),
        (printed, shown) => printed.is_none() && shown.is_none(),
    };
    let at = (0..printed.len().max(shown.len())).find(|&at| !is_same(at))?;
    let (section, command, line) = (&step.section, &step.command, step.output.start + at + 1);
    let of = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(nothing more)".to_owned());
    let (wanted, got) = (of(shown), of(printed));
    Some(format!("{path}:{line}, in \"{section}\":\n  $ {command}\n  wanted: {wanted}\n  got:    {got}"))
}

/// Types all of a page, and returns the steps in its order.
fn type_all<'a>(guide: &Guide, page: &'a Page) -> Vec<Typed<'a>> {
    let is_first = |step: &&Step| guide.first == Some(step.section.as_str());
    let first: Vec<_> = page.steps.iter().filter(is_first).collect();
    let others: Vec<_> = page.steps.iter().filter(|step| !is_first(step)).collect();
    let sections = Mutex::new(others.chunk_by(|one, next| one.section == next.section));
    let all = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some(section) = sections.lock().unwrap().next() else { return };
            let steps: Vec<_> = first.iter().chain(section).copied().collect();
            let outputs = typed(&steps);
            let tried = steps.into_iter().zip(outputs).map(|(step, printed)| {
                let wrong = difference(guide.path, page, step, &printed);
                Typed { step, printed, wrong }
            });
            all.lock().unwrap().extend(tried);
        }
    };
    thread::scope(|scope| {
        for _ in 0..TYPISTS {
            scope.spawn(work);
        }
    });
    let mut all = all.into_inner().unwrap();
    // What is typed first has been typed in each section, and is told once.
    all.sort_by_key(|typed| (typed.step.output.start, typed.wrong.is_none()));
    all.dedup_by_key(|typed| typed.step.output.start);
    all
}

/// Writes what was printed in the sections that show something else; all of such a section, so that it is of one run.
fn write(guide: &Guide, page: &Page, all: &[Typed]) {
    let is_wrong =
        |section: &str| all.iter().any(|typed| typed.wrong.is_some() && typed.step.section == section);
    let mut lines = page.lines.clone();
    for Typed { step, printed, .. } in all.iter().rev().filter(|typed| is_wrong(&typed.step.section)) {
        lines.splice(step.output.clone(), printed.iter().map(|line| without_secret(line)));
    }
    fs::write(repository().join(guide.path), lines.join("\n") + "\n").unwrap();
}

/// A line that is a token keeps the first digits of its secret, as pages show it.
fn without_secret(line: &str) -> String {
    match line.rsplit_once('_') {
        Some((id, secret)) if is_hex(secret, &[64]) => format!("{id}_{}…", &secret[..4]),
        _ => line.to_owned(),
    }
}

/// What a page has less of than it has to, or more.
fn wrong_blocks(guide: &Guide, page: &Page) -> Option<String> {
    let mut typed: Vec<&str> = page.steps.iter().map(|step| step.section.as_str()).collect();
    typed.dedup();
    let Guide { path, untyped_max, .. } = guide;
    if typed != guide.typed {
        return Some(format!(
            "{path}: the sections with something to type are {typed:?}, not {:?}",
            guide.typed
        ));
    }
    (page.untyped > *untyped_max)
        .then(|| format!("{path}: nobody types {} of its blocks, and {untyped_max} are said", page.untyped))
}

fn try_page(guide: &Guide) {
    let page = Page::read(guide.path);
    assert_eq!(wrong_blocks(guide, &page), None);
    let all = type_all(guide, &page);
    if env::var_os("JAEGO_DOCS").is_some_and(|what| what == "write") {
        return write(guide, &page, &all);
    }
    let wrong: Vec<_> = all.into_iter().filter_map(|typed| typed.wrong).collect();
    let told = wrong.join("\n");
    assert!(wrong.is_empty(), "{told}\nWhere that is meant, JAEGO_DOCS=write writes it into the page.");
}

#[test]
fn the_examples_of_the_api_print_what_it_shows() {
    try_page(&API);
}

#[test]
fn the_examples_for_operators_print_what_they_show() {
    try_page(&OPERATING);
}

#[test]
fn a_page_that_shows_something_else_is_told_by_its_line() {
    let text = "## Sites\n```sh\n$ jaego site set ICN\nsite ICN is set (event 1)\n$ jaego site set PUS\nsite PUS is set (event 7)\n\
                $ jaego site list\n```\n## Clock\n```sh\n$ date -u +%FT%T.%3NZ\n2026-11-22T05:37:16.918Z\n$ cat <<'END'\none\ntwo\nEND\n\
                one\ntwo\n$ echo here\nhere\nand there\n```\n```console\n$ sudo reboot\n```\n";
    let guide = Guide { path: "a page", first: None, typed: &["Sites", "Clock"], untyped_max: 1 };
    let page = Page::parse(text);
    assert_eq!(wrong_blocks(&guide, &page), None);
    let told: Vec<_> = type_all(&guide, &page).into_iter().filter_map(|typed| typed.wrong).collect();
    let [event, list, more] = told.as_slice() else { panic!("{told:#?}") };
    assert_eq!(
        event,
        "a page:6, in \"Sites\":\n  $ jaego site set PUS\n  wanted: site PUS is set (event 7)\n  got:    site PUS is set (event 2)"
    );
    assert!(
        list.starts_with(
            "a page:8, in \"Sites\":\n  $ jaego site list\n  wanted: (nothing more)\n  got:    SITE"
        ),
        "{list}"
    );
    assert_eq!(
        more,
        "a page:21, in \"Clock\":\n  $ echo here\n  wanted: and there\n  got:    (nothing more)"
    );
}

#[test]
fn a_section_that_nobody_types_any_more_is_told() {
    let guide = Guide { path: "a page", first: None, typed: &["Sites", "Clock"], untyped_max: 1 };
    let block = |language: &str| format!("```{language}\n$ true\n```\n");
    let wrong = |sites: &str, clock: &str| {
        wrong_blocks(&guide, &Page::parse(&format!("## Sites\n{sites}## Clock\n{clock}")))
    };
    assert_eq!(wrong(&block("sh"), &block("sh")), None);
    assert_eq!(wrong(&block("sh"), &(block("sh") + &block("console"))), None);
    assert!(
        wrong(&block("sh"), &block("console")).unwrap().contains("[\"Sites\"], not [\"Sites\", \"Clock\"]")
    );
    assert!(
        wrong(&block("sh"), &(block("sh") + &block("console").repeat(2)))
            .unwrap()
            .contains("2 of its blocks")
    );
}

#[test]
fn only_what_nobody_can_know_is_compared_by_its_shape() {
    let rows = [
        ("at 2026-11-22T05:37:16.918Z", "at 2027-01-02T00:00:00.000Z", true),
        ("\"at\":\"2026-11-22T05:37:16.918Z\"", "\"at\":\"soon\"", false),
        ("event 12", "event 13", false),
        ("movement 12.0", "movement 13.0", false),
        ("fence 1795335698115600", "fence 1795335699346018", false),
        ("token 08021074204c81e0", "token 0802107420418100", true),
        ("jaego_08021074204c81e0_244d…", &format!("jaego_08021074204c81e0_{}", "0".repeat(64)), true),
        ("2 copied, in 1.0 s", "2 copied, in 12.5 s", true),
        ("2 copied, in 1.0 s", "3 copied, in 1.0 s", false),
        ("2  started  uid 0             admin", "2  started  uid 1000          admin", true),
        ("2  started  uid 0             admin", "2  started  uid 1000          kim", false),
        ("a  b", "a b", false),
        ("a", "a  ", true),
    ];
    for (shown, printed, is_same) in rows {
        assert_eq!(is_as_shown(printed, shown), is_same, "{shown} / {printed}");
    }
}
