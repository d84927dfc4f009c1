//! The service that a command speaks to: where it is, on whose behalf, and how its answers are shown.

use std::{
    env, fs,
    future::Future,
    io::{self, ErrorKind, Write},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::Args;
use jaego_api::outcome::Outcome;
use jaego_client::{Client, Trust};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

use crate::{
    exit::{self, Told, Usage},
    settings::{Ca, SettingsFile, URL_DEFAULT},
};

/// The flags of every command that speaks to a service.
#[derive(Args)]
pub(crate) struct Remote {
    /// The address of the service, http:// or https:// [default: http://127.0.0.1:7878]
    #[arg(long, global = true, env = "JAEGO_URL", value_name = "URL", help_heading = "Settings")]
    url: Option<String>,
    /// A file with the token, unless JAEGO_TOKEN has it.
    #[arg(long, global = true, env = "JAEGO_TOKEN_FILE", value_name = "FILE", help_heading = "Settings")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    ca: Ca,
    #[command(flatten)]
    settings: SettingsFile,
    /// Print the service's answer as JSON.
    #[arg(long, global = true, help_heading = "Settings")]
    json: bool,
}

/// A service that is spoken to.
pub(crate) struct Service {
    pub(crate) client: Client,
    pub(crate) json: bool,
}

impl Remote {
    /// A client of the service.
    pub(crate) fn client(&self) -> Result<Client> {
        let (url, token, trust) = self.address()?;
        Ok(Client::trusting(&url, &token, &trust)?)
    }

    /// The address, the token, and whose certificates are believed.
    pub(crate) fn address(&self) -> Result<(String, String, Trust)> {
        let settings = self.settings.read()?;
        let trust = self.ca.trust(&settings);
        let url = self.url.clone().or(settings.url).unwrap_or_else(|| URL_DEFAULT.to_owned());
        // The flag and its variable cannot be told apart here, and both name a file on purpose.
        let variable = env::var("JAEGO_TOKEN").ok().filter(|token| !token.is_empty());
        let file = match (&self.token_file, &variable) {
            (Some(file), _) => Some(file.clone()),
            (None, Some(_)) => None,
            (None, None) => settings.token_file,
        };
        let token = match (file, variable) {
            (Some(file), _) => fs::read_to_string(&file)
                .with_context(|| format!("cannot read the token in {}", file.display()))?
                .trim()
                .to_owned(),
            (None, Some(token)) => token,
            (None, None) => {
                return Err(
                    Usage("who is asking? Set JAEGO_TOKEN, or say --token-file FILE; `jaego token create` makes one".to_owned()).into()
                );
            }
        };
        Ok((url, token, trust))
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Runs a conversation with the service.
    pub(crate) fn talk<T, F: Future<Output = Result<T>>>(
        &self,
        talk: impl FnOnce(Service) -> F,
    ) -> Result<T> {
        let service = Service { client: self.client()?, json: self.json };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(talk(service))
    }

    /// The same, with a refusal shown as JSON where that is asked for.
    pub(crate) fn run<F: Future<Output = Result<()>>>(&self, talk: impl FnOnce(Service) -> F) -> Result<()> {
        let ended = self.talk(talk);
        match &ended {
            Err(error) if self.json => match error.downcast_ref::<jaego_client::Error>() {
                Some(refused) if refused.problem().is_some() => {
                    exit::tell_contexts(error);
                    if let Some(problem) = refused.problem() {
                        print(&format!("{}\n", String::from_utf8_lossy(&problem.to_json())))?;
                    }
                    Err(Told(exit::code(refused)).into())
                }
                _ => ended,
            },
            _ => ended,
        }
    }
}

impl Service {
    /// Reads something and shows it.
    pub(crate) async fn show<T: DeserializeOwned>(
        &self,
        name: &str,
        parameters: &[(&str, &str)],
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        let raw: Box<RawValue> = self.client.read(name, parameters).await?;
        if self.json {
            return print(&format!("{}\n", raw.get()));
        }
        let answer =
            serde_json::from_str(raw.get()).with_context(|| format!("cannot read the answer to {name}"))?;
        print(&text(&answer))
    }

    /// Gives a command and shows what came of it.
    pub(crate) async fn submit(
        &self,
        op: &str,
        fields: &Value,
        text: impl FnOnce(&Outcome) -> String,
    ) -> Result<()> {
        let outcome = self.client.submit(op, fields).await?;
        if self.json {
            let json = serde_json::to_string(&outcome).context("cannot write the answer")?;
            return print(&format!("{json}\n"));
        }
        print(&text(&outcome))
    }
}

/// Writes to standard output.
pub(crate) fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints data. A reader who has seen enough ends the program, and that is no failure.
pub(crate) fn print(text: &str) -> Result<()> {
    match write_out(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Told(exit::DONE).into()),
        written => written.context("cannot write to standard output"),
    }
}
