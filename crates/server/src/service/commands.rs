//! Commands that come from elsewhere than HTTP, one by one: read, allowed, decided and counted as those of a batch are.

use std::{collections::HashMap, sync::Arc};

use jaego_api::{COMMANDS, Problem, read_command};
use jaego_domain::{Code, Request};
use jaego_store::{Batch, Done, Results, Store};

use super::{CommandCounters, by, may_give, problem_of, scope};
use crate::{Caller, Metrics};

/// The way into a store for commands from elsewhere.
pub struct Commands {
    store: Arc<dyn Store>,
    counters: HashMap<&'static str, CommandCounters>,
}

/// Why commands were not decided. Those of them that make documents or have request keys can be handed in again: what
/// was decided already is a repeat.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Undecided {
    /// The store has too much to do or no room: it will take them later.
    #[error("{}", .0.detail)]
    Later(Box<Problem>),
    /// The store has failed, or is closed.
    #[error("{}", .0.detail)]
    Ended(Box<Problem>),
}

impl Commands {
    /// A way into `store` that counts in `metrics`, together with what comes over HTTP.
    pub fn new(store: Arc<dyn Store>, metrics: &Metrics) -> Self {
        let counters = COMMANDS.iter().map(|row| (row.op, CommandCounters::new(metrics, row.op))).collect();
        Self { store, counters }
    }

    /// Reads a command in the form that it has in a batch, and looks whether the caller's role allows it. The inner
    /// problem is a refusal: of its values, or `forbidden`.
    ///
    /// `key` becomes its request key if it names none and needs one.
    ///
    /// # Errors
    /// The problem of what cannot be read.
    pub fn read(
        &self,
        caller: &Caller,
        command: &[u8],
        key: &Code,
    ) -> Result<Result<Request, Box<Problem>>, Box<Problem>> {
        let mut batch = read_command(command, key, &by(caller)?)?;
        if let Err(problem) = may_give(caller, batch.role) {
            return Ok(Err(problem));
        }
        Ok(match batch.refused.pop() {
            Some((_, refusal)) => Err(Box::new(Problem::from(&refusal))),
            None => Ok(batch.requests.pop().expect("a command that was read is a request or refused")),
        })
    }

    /// Decides requests one after the other, all of them in one step of the store where the caller is bound to no site.
    /// An answer for each, in order: what came of it, or the problem that it was refused with.
    ///
    /// # Errors
    /// [`Undecided`]; some of the requests may have been decided all the same.
    pub async fn decide(
        &self,
        caller: &Caller,
        requests: &[Request],
    ) -> Result<Vec<Result<Done, Box<Problem>>>, Undecided> {
        // Whose a document is, is asked before its command is decided. So that a command may be about what the one before
        // it brought, each of them waits for that.
        if caller.sites().is_some() {
            return self.decide_each(caller, requests).await;
        }
        match self.submit(requests).await {
            Ok(mut answers) => {
                // What is refused because of how much the others of the batch touch is decided alone.
                for (request, answer) in requests.iter().zip(&mut answers).filter(|_| requests.len() > 1) {
                    if matches!(answer, Err(problem) if problem.code == "too_many_lines_touched") {
                        let alone = self.submit(std::slice::from_ref(request)).await;
                        *answer = match alone {
                            Ok(alone) => alone.into_iter().next().expect("one answer for one request"),
                            Err(problem) => Err(of_store(problem)?),
                        };
                    }
                }
                Ok(answers)
            }
            Err(problem) => match of_store(problem)? {
                problem if requests.len() == 1 => Ok(vec![Err(problem)]),
                // Together they are too much, or one of them asks for what cannot be read any more.
                _ => self.decide_each(caller, requests).await,
            },
        }
    }

    async fn decide_each(
        &self,
        caller: &Caller,
        requests: &[Request],
    ) -> Result<Vec<Result<Done, Box<Problem>>>, Undecided> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let request = std::slice::from_ref(request);
            let answer = match scope::commands(caller, &self.store, request, false).await {
                Ok(()) => self.submit(request).await,
                Err(problem) => Err(problem),
            };
            match answer {
                Ok(answer) => answers.extend(answer),
                Err(problem) => answers.push(Err(of_store(problem)?)),
            }
        }
        Ok(answers)
    }

    async fn submit(&self, requests: &[Request]) -> Result<Vec<Result<Done, Box<Problem>>>, Box<Problem>> {
        let batch = Batch { requests: requests.to_vec(), atomic: false };
        let answers = self.store.submit(batch).await.map_err(|failure| problem_of(&failure))?;
        let Results::Each(results) = answers.results else { unreachable!("the batch is not atomic") };
        for (request, result) in requests.iter().zip(&results) {
            self.counters[request.command().name()].count(std::iter::once(result));
        }
        let told = results.into_iter().map(|result| {
            result.map_err(|refusal| Box::new(Problem::from(&refusal).at_sequence(answers.sequence)))
        });
        Ok(told.collect())
    }
}

/// Gives back a problem of the requests; one of the store is an error.
fn of_store(problem: Box<Problem>) -> Result<Box<Problem>, Undecided> {
    match &*problem.code {
        "busy" | "store_full" => Err(Undecided::Later(problem)),
        "closed" | "store_failed" => Err(Undecided::Ended(problem)),
        _ => Ok(problem),
    }
}
