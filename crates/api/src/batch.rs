//! The answers to a batch.

use jaego_domain::{Refusal, outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    body::{BatchFormat, BatchRequest},
    outcome::Outcome,
    problem::Problem,
    value::{Choice, Named, Word},
    write,
};

/// The answers to a batch, in the order of its commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Batch {
    /// One for each command.
    pub items: Vec<BatchItem>,
}

/// The answer to one command of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchItem {
    /// The command's index, from 0.
    pub index: usize,
    /// What the command is about; empty where its values could not be read.
    pub id: Word,
    /// Whether it was done.
    pub status: Choice<BatchStatus>,
    /// What came of it, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why not, if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Whether a command of a batch was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStatus {
    /// It was.
    Done,
    /// It was refused.
    Refused,
}

impl Named for BatchStatus {
    const ALL: &'static [Self] = &[Self::Done, Self::Refused];

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// What a store said to one request: what came of it and whether that was a repeat, or why not.
pub type Said<'a> = Result<(&'a outcome::Outcome, bool), &'a Refusal>;

/// Bytes that an answer of one pick takes, about.
const ITEM_BYTES: usize = 256;

impl BatchRequest {
    /// Writes the answers: `said` has one for each of [`BatchRequest::requests`], in order.
    ///
    /// # Panics
    /// If it has fewer.
    pub fn answer<'a>(&self, format: BatchFormat, said: impl IntoIterator<Item = Said<'a>>) -> Vec<u8> {
        // Each line has its end behind it, so that an answer without lines is empty.
        let (begin, between, behind, end): (&[u8], &[u8], &[u8], &[u8]) = match format {
            BatchFormat::Json => (br#"{"items":["#, b",", b"", b"]}"),
            BatchFormat::Ndjson => (b"", b"", b"\n", b""),
        };
        let mut said = said.into_iter();
        let mut refused = self.refused.iter().peekable();
        let mut json = Vec::with_capacity(self.ids.len() * ITEM_BYTES);
        json.extend_from_slice(begin);
        for (index, id) in self.ids.iter().enumerate() {
            let answer = match refused.next_if(|(at, _)| *at == index) {
                Some((_, refusal)) => Err(refusal),
                None => said.next().expect("each request that was made has an answer"),
            };
            if index > 0 {
                json.extend_from_slice(between);
            }
            match answer {
                Ok((outcome, repeat)) => write::done(&mut json, index, id, outcome, repeat),
                Err(refusal) => {
                    let item = refused_item(index, id.into(), refusal);
                    serde_json::to_writer(&mut json, &item).expect("an answer has text for keys");
                }
            }
            json.extend_from_slice(behind);
        }
        json.extend_from_slice(end);
        json
    }

    /// The problem of an atomic batch, all of whose commands became requests, that a store refused as a whole for these
    /// of them.
    ///
    /// # Panics
    /// If they are none.
    pub fn refused_by_store(&self, refused: &[(usize, Refusal)]) -> Problem {
        self.refused_as_a_whole(refused).expect("a request refused it")
    }

    /// The problem of an atomic batch with commands that were refused for their values, if there are any.
    pub fn refused_by_value(&self) -> Option<Problem> {
        self.refused_as_a_whole(&self.refused)
    }

    /// The first refusal with its `index`, and the others as items of a batch.
    fn refused_as_a_whole(&self, refused: &[(usize, Refusal)]) -> Option<Problem> {
        let ((index, first), others) = refused.split_first()?;
        let problem = Problem::from(first).with("index", *index);
        if others.is_empty() {
            return Some(problem);
        }
        let item = |(index, refusal): &(usize, Refusal)| {
            let id = self.ids.get(*index).into();
            serde_json::to_value(refused_item(*index, id, refusal)).expect("an answer has text for keys")
        };
        Some(problem.with("also_refused", others.iter().map(item).collect::<Vec<_>>()))
    }
}

fn refused_item(index: usize, id: Word, refusal: &Refusal) -> BatchItem {
    BatchItem { index, id, status: BatchStatus::Refused.into(), outcome: None, problem: Some(refusal.into()) }
}
