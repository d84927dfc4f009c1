//! The queues of `jaego serve`: commands from a stream of Redis, events into one.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use clap::Args;
use jaego_client::Trust;
use jaego_domain::Sequence;
use jaego_queue::{Intake, IntakeOptions, Outbox, OutboxOptions, Server, StreamName};
use jaego_server::{
    Metrics, Tokens,
    tokens::{TokenId, TokenInfo},
};
use jaego_store::Store;
use tokio::{sync::watch, task::JoinSet};

use crate::{exit::Usage, settings::Settings};

/// The stream of events if nobody says otherwise.
const OUTBOX_STREAM: &str = "jaego:events";

#[derive(Args)]
#[command(next_help_heading = "Queues")]
pub(crate) struct QueueOptions {
    /// Take commands from a stream of this Redis or Valkey server, such as redis://user:password@host:6379/0, with
    /// rediss:// over TLS and redis+sentinel://host,host/mymaster for what sentinels call the master
    #[arg(long, env = "JAEGO_INTAKE", hide_env_values = true, value_name = "URL")]
    intake: Option<String>,
    /// The stream of commands.
    #[arg(long, env = "JAEGO_STREAM", value_name = "NAME")]
    stream: Option<String>,
    /// The token that commands from the stream are given with: its id or its name.
    #[arg(long, env = "JAEGO_INTAKE_TOKEN", value_name = "TOKEN")]
    intake_token: Option<String>,
    /// The stream of replies [default: STREAM:replies]
    #[arg(long, env = "JAEGO_REPLIES", value_name = "NAME")]
    replies: Option<String>,
    /// The stream of messages that nobody can decide [default: STREAM:dead]
    #[arg(long, env = "JAEGO_DEAD_LETTERS", value_name = "NAME")]
    dead_letters: Option<String>,
    /// The consumer group [default: jaego]
    #[arg(long, env = "JAEGO_GROUP", value_name = "NAME")]
    group: Option<String>,
    /// The name within the group, which has to be the same after a restart [default: jaego]
    #[arg(long, env = "JAEGO_CONSUMER", value_name = "NAME")]
    consumer: Option<String>,
    /// Replies that are kept, about [default: 100000]
    #[arg(long, env = "JAEGO_REPLIES_MAX", value_name = "COUNT")]
    replies_max: Option<u64>,
    /// Dead letters that are kept, about [default: 10000]
    #[arg(long, env = "JAEGO_DEAD_LETTERS_MAX", value_name = "COUNT")]
    dead_letters_max: Option<u64>,
    /// Seconds after which a message of another consumer is taken over [default: 60]
    #[arg(long, env = "JAEGO_CLAIM_IDLE_S", value_name = "SECONDS")]
    claim_idle_s: Option<u64>,
    /// Leave messages in their stream when they are answered, instead of deleting them.
    #[arg(long)]
    keep_messages: bool,
    /// Publish events to a stream of this Redis or Valkey server.
    #[arg(long, env = "JAEGO_OUTBOX", hide_env_values = true, value_name = "URL")]
    outbox: Option<String>,
    /// The stream of events [default: jaego:events]
    #[arg(long, env = "JAEGO_OUTBOX_STREAM", value_name = "NAME")]
    outbox_stream: Option<String>,
    /// Events that are kept in the stream, about; 0 keeps them all [default: 1000000]
    #[arg(long, env = "JAEGO_OUTBOX_MAX", value_name = "COUNT")]
    outbox_max: Option<u64>,
    /// Publish events of this kind only; may be said more than once.
    #[arg(long, env = "JAEGO_OUTBOX_KIND", value_name = "KIND", value_delimiter = ',')]
    outbox_kind: Vec<String>,
    /// Begin a stream that has no events yet after this one [default: 0]
    #[arg(long, env = "JAEGO_OUTBOX_AFTER", value_name = "SEQUENCE")]
    outbox_after: Option<u64>,
}

/// The queues that were asked for.
#[derive(Default)]
pub(crate) struct Queues {
    intake: Option<IntakeOptions>,
    outbox: Option<OutboxOptions>,
}

impl QueueOptions {
    /// What was asked for, with what the settings say of it.
    pub(crate) fn read(&self, settings: &Settings, tokens: &Tokens, trust: &Trust) -> Result<Queues> {
        self.read_with(settings, trust, |wanted| find(tokens, wanted))
    }

    /// Refuses what [`Self::read`] would refuse. Where there are no tokens yet, the first one will be `first`.
    pub(crate) fn check(
        &self,
        settings: &Settings,
        tokens: Option<&Tokens>,
        first: &str,
        trust: &Trust,
    ) -> Result<()> {
        let find = |wanted: &str| match tokens {
            Some(tokens) => find(tokens, wanted),
            // Which id it will have is not known; only whether it will be there is asked.
            None if wanted == first => {
                Ok(TokenId::parse(&"0".repeat(16)).expect("they are 16 hexadecimal digits"))
            }
            None => Err(no_token(wanted)),
        };
        self.read_with(settings, trust, find).map(drop)
    }

    fn read_with(
        &self,
        settings: &Settings,
        trust: &Trust,
        find: impl FnOnce(&str) -> Result<TokenId>,
    ) -> Result<Queues> {
        let (intake, outbox) = (self.intake(settings, find, trust)?, self.outbox(settings, trust)?);
        let queues = Queues { intake, outbox };
        if let Queues { intake: Some(intake), outbox: Some(outbox) } = &queues
            && intake.server.to_string() == outbox.server.to_string()
            && [&intake.stream, &intake.replies, &intake.dead_letters].contains(&&outbox.stream)
        {
            let ask = format!("the stream {} is the intake's: say another --outbox-stream", outbox.stream);
            return Err(Usage(ask).into());
        }
        Ok(queues)
    }

    fn intake(
        &self,
        settings: &Settings,
        find: impl FnOnce(&str) -> Result<TokenId>,
        trust: &Trust,
    ) -> Result<Option<IntakeOptions>> {
        let file = &settings.intake;
        let Some(url) = self.intake.as_ref().or(file.url.as_ref()) else {
            return match self.said_of_intake() {
                Some(flag) => {
                    let ask = format!("{flag}: commands from which server? Say --intake redis://…");
                    Err(Usage(ask).into())
                }
                None => Ok(None),
            };
        };
        let server = server("--intake", url, trust)?;
        let Some(stream) = self.stream.as_ref().or(file.stream.as_ref()) else {
            return Err(Usage("commands from which stream? Say --stream NAME".to_owned()).into());
        };
        let stream = name("--stream", stream)?;
        let Some(token) = self.intake_token.as_ref().or(file.token.as_ref()) else {
            let ask = "with whose rights are commands from the stream given? Say --intake-token, \
                       the id or the name of a token (`jaego token list` shows them)";
            return Err(Usage(ask.to_owned()).into());
        };
        let mut options = IntakeOptions::new(server, stream, find(token)?).map_err(usage)?;
        for (flag, own, file, to) in [
            ("--replies", &self.replies, &file.replies, &mut options.replies),
            ("--dead-letters", &self.dead_letters, &file.dead_letters, &mut options.dead_letters),
            ("--group", &self.group, &file.group, &mut options.group),
            ("--consumer", &self.consumer, &file.consumer, &mut options.consumer),
        ] {
            if let Some(text) = own.as_ref().or(file.as_ref()) {
                *to = name(flag, text)?;
            }
        }
        let number = |own: Option<u64>, file: Option<u64>, default| own.or(file).unwrap_or(default);
        options.replies_max = number(self.replies_max, file.replies_max, options.replies_max);
        options.dead_letters_max =
            number(self.dead_letters_max, file.dead_letters_max, options.dead_letters_max);
        let idle_s = number(self.claim_idle_s, file.claim_idle_s, options.claim_idle.as_secs());
        options.claim_idle = Duration::from_secs(idle_s);
        options.keep = self.keep_messages || file.keep_messages.unwrap_or(false);
        options.check().map_err(usage)?;
        Ok(Some(options))
    }

    fn outbox(&self, settings: &Settings, trust: &Trust) -> Result<Option<OutboxOptions>> {
        let file = &settings.outbox;
        let Some(url) = self.outbox.as_ref().or(file.url.as_ref()) else {
            return match self.said_of_outbox() {
                Some(flag) => {
                    Err(Usage(format!("{flag}: events to which server? Say --outbox redis://…")).into())
                }
                None => Ok(None),
            };
        };
        let stream = self.outbox_stream.as_ref().or(file.stream.as_ref()).map_or(OUTBOX_STREAM, |name| name);
        let mut options =
            OutboxOptions::new(server("--outbox", url, trust)?, name("--outbox-stream", stream)?);
        if let Some(events_max) = self.outbox_max.or(file.max) {
            options.events_max = Some(events_max).filter(|events_max| *events_max > 0);
        }
        options.kinds = match (&self.outbox_kind[..], &file.kinds) {
            ([], Some(kinds)) => kinds.clone(),
            (kinds, _) => kinds.to_vec(),
        };
        options.after = Sequence(self.outbox_after.or(file.after).unwrap_or(0));
        options.check().map_err(usage)?;
        Ok(Some(options))
    }
}

impl QueueOptions {
    /// A flag that means nothing without an intake, or its variable.
    fn said_of_intake(&self) -> Option<&'static str> {
        let said = [
            ("--stream", self.stream.is_some()),
            ("--intake-token", self.intake_token.is_some()),
            ("--replies", self.replies.is_some()),
            ("--dead-letters", self.dead_letters.is_some()),
            ("--group", self.group.is_some()),
            ("--consumer", self.consumer.is_some()),
            ("--replies-max", self.replies_max.is_some()),
            ("--dead-letters-max", self.dead_letters_max.is_some()),
            ("--claim-idle-s", self.claim_idle_s.is_some()),
            ("--keep-messages", self.keep_messages),
        ];
        said.into_iter().find(|(_, is_said)| *is_said).map(|(flag, _)| flag)
    }

    /// A flag that means nothing without an outbox, or its variable.
    fn said_of_outbox(&self) -> Option<&'static str> {
        let said = [
            ("--outbox-stream", self.outbox_stream.is_some()),
            ("--outbox-max", self.outbox_max.is_some()),
            ("--outbox-kind", !self.outbox_kind.is_empty()),
            ("--outbox-after", self.outbox_after.is_some()),
        ];
        said.into_iter().find(|(_, is_said)| *is_said).map(|(flag, _)| flag)
    }
}

impl Queues {
    /// Starts them. They end when `stopping` says so.
    pub(crate) fn start(
        self,
        tasks: &mut JoinSet<()>,
        store: &Arc<dyn Store>,
        tokens: &Arc<Tokens>,
        metrics: &Metrics,
        stopping: &watch::Receiver<bool>,
    ) {
        if let Some(options) = self.intake {
            let (store, tokens) = (Arc::clone(store), Arc::clone(tokens));
            tasks.spawn(Intake::new(options, store, tokens, metrics, stopping.clone()).run());
        }
        if let Some(options) = self.outbox {
            tasks.spawn(Outbox::new(options, Arc::clone(store), metrics, stopping.clone()).run());
        }
    }
}

/// The token of this id or this name.
fn find(tokens: &Tokens, wanted: &str) -> Result<TokenId> {
    let list = tokens.list();
    let is_it = |info: &&TokenInfo| info.grant.name == wanted || info.id.to_string() == wanted;
    let mut found = list.iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.id),
        (None, _) => Err(no_token(wanted)),
        _ => Err(Usage(format!("several tokens are called {wanted:?}: name one by its id")).into()),
    }
}

fn no_token(wanted: &str) -> anyhow::Error {
    Usage(format!("there is no token {wanted:?}: `jaego token list` shows them")).into()
}

fn server(flag: &str, url: &str, trust: &Trust) -> Result<Server> {
    let server = Server::trusting(url, trust);
    Ok(server.map_err(|error| Usage(format!("{flag}: {:#}", anyhow::Error::new(error))))?)
}

fn name(flag: &str, text: &str) -> Result<StreamName> {
    Ok(StreamName::new(text).map_err(|error| Usage(format!("{flag}: {error}")))?)
}

fn usage(error: jaego_queue::OptionsError) -> anyhow::Error {
    Usage(error.to_string()).into()
}
