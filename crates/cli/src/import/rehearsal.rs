//! What the service would refuse, without a change.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use jaego_api::Problem;
use jaego_client::Client;
use serde_json::{Map, Value, json};

use super::{
    command::Command,
    load::{body, chunks},
    random_name,
    refused::{Refused, lines_refused, refusals},
};

/// How many lines of refused documents are tried alone, at the most: as many as errors of a file are kept.
const LINES_ALONE_MAX: usize = 100_000;

/// Finds what the service would refuse, and changes nothing.
pub(super) async fn rehearse_all(
    client: &Client,
    chunks: &[Vec<&Command>],
    bar: &ProgressBar,
    refused: &mut Vec<Refused>,
) -> Result<()> {
    for chunk in chunks {
        rehearse(client, chunk, refused).await?;
        bar.inc(chunk.len() as u64);
    }
    Ok(())
}

/// The same for one batch: an atomic one whose last command is refused in any case.
async fn rehearse(client: &Client, chunk: &[&Command], refused: &mut Vec<Refused>) -> Result<()> {
    let error = match client.batch_of_json(body(chunk, true, Some(&doomed()))).await {
        Ok(_) => bail!("the rehearsal of this load was carried out: it closed a transfer of a random name"),
        Err(error) => error,
    };
    let refusals = refusals(&error);
    if refusals.is_empty() {
        return Err(error).context("cannot check the file against the store");
    }
    refused.extend(lines_refused(chunk, refusals));
    Ok(())
}

/// Finds what else is wrong with documents that were refused for one of their lines, and changes nothing: each line is
/// tried as the only one of a document. Those behind the first [`LINES_ALONE_MAX`] are left out.
pub(super) async fn rehearse_each_line(
    client: &Client,
    commands: &[Command],
    refused: &mut [Refused],
) -> Result<()> {
    let documents = commands.iter().filter(|command| command.lines > 1);
    let documents: HashMap<u64, &Command> = documents.map(|command| (command.line, command)).collect();
    // Each line alone, and whose it is: which of the refused, and which of its lines.
    let (mut alone, mut origins) = (Vec::new(), Vec::new());
    let name = format!("rehearsal-{}", random_name());
    for (at, one) in refused.iter().enumerate().filter(|(_, one)| one.is_for_a_line()) {
        let Some(document) = documents.get(&one.begin) else { continue };
        for (index, json) in lines_alone(document, &name, LINES_ALONE_MAX - alone.len()) {
            let (line, id) = (alone.len() as u64, String::new());
            alone.push(Command { line, id, lines: 1, rows: 1, line_rows: Vec::new(), lot: None, json });
            origins.push((at, index));
        }
    }
    let mut found = Vec::new();
    for chunk in chunks(&alone) {
        rehearse(client, &chunk, &mut found).await?;
    }
    let mut by_document: BTreeMap<usize, Vec<(usize, Problem)>> = BTreeMap::new();
    for one in found {
        let (at, index) = usize::try_from(one.begin)
            .ok()
            .and_then(|line| origins.get(line))
            .copied()
            .expect("one of these lines");
        by_document.entry(at).or_default().push((index, one.into_first()));
    }
    for (at, lines) in by_document {
        let document = documents[&refused[at].begin];
        refused[at].add(document, lines);
    }
    Ok(())
}

/// The first `max` lines of a document with their indexes, each as a document of its own, whose id begins with `name`.
fn lines_alone(document: &Command, name: &str, max: usize) -> Vec<(usize, String)> {
    let mut fields: Map<String, Value> = serde_json::from_str(&document.json).expect("it was written here");
    let Some(Value::Array(lines)) = fields.remove("lines") else { return Vec::new() };
    let of_one = |(index, line): (usize, Value)| {
        fields.insert("id".to_owned(), format!("{name}-{}-{index}", document.line).into());
        fields.insert("lines".to_owned(), Value::Array(vec![line]));
        (index, json!(fields).to_string())
    };
    lines.into_iter().enumerate().take(max).map(of_one).collect()
}

/// A command that is refused: it closes a transfer that there is not.
fn doomed() -> String {
    let name = format!("rehearsal-{}", random_name());
    json!({ "op": "close_transfer", "transfer": name, "key": name }).to_string()
}
