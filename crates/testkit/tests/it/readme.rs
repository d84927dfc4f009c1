//! Holds the Korean README against the English one: the same commands and output, the same documents.

use std::{collections::BTreeSet, fs, path::Path};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {name}: {error}"))
}

/// What stands in the blocks of a document, without the comments behind commands, which are translated.
fn blocks(text: &str) -> Vec<String> {
    let inside = text.split("```").skip(1).step_by(2);
    let lines = inside.flat_map(str::lines);
    lines.map(|line| line.split(" # ").next().unwrap_or(line).trim_end().to_owned()).collect()
}

/// Where a document leads to, the other language's apart.
fn links(text: &str) -> BTreeSet<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.starts_with("README")).collect()
}

#[test]
fn both_languages_say_the_same() {
    let (english, korean) = (read("README.md"), read("README.ko.md"));
    assert!(blocks(&english).len() > 20, "the tour has output");
    assert_eq!(blocks(&english), blocks(&korean));
    assert_eq!(links(&english), links(&korean));
    let headings = |text: &str| text.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(headings(&english), headings(&korean));
    let rows = |text: &str| text.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows(&english), rows(&korean), "the words");
}
