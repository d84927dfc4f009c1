//! Settings: from flags, then from `JAEGO_…` variables, then from a file.

use std::{
    env, fs,
    io::ErrorKind,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use jaego_client::Trust;
use serde::Deserialize;

use crate::exit::Usage;

/// Where the service is if nobody says otherwise.
pub(crate) const URL_DEFAULT: &str = "http://127.0.0.1:7878";
/// Where the service listens if nobody says otherwise.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:7878";

/// An address to listen on, as it is typed.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("it is not like {LISTEN_DEFAULT} (an address, no name, and a port)"))
}

/// Which file has the settings.
#[derive(Args)]
pub(crate) struct SettingsFile {
    /// The file with settings; ~/.config/jaego/config.toml if it is there.
    #[arg(long, global = true, env = "JAEGO_CONFIG", value_name = "FILE", help_heading = "Settings")]
    config: Option<PathBuf>,
}

/// What the file may say.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The address of the service.
    pub(crate) url: Option<String>,
    /// A file with the token.
    pub(crate) token_file: Option<PathBuf>,
    /// The data folder of `serve` and of what works on one.
    pub(crate) data: Option<PathBuf>,
    /// The address that `serve` listens on.
    pub(crate) listen: Option<SocketAddr>,
    /// Requests of one client address that `serve` works on at a time.
    pub(crate) requests_per_peer: Option<NonZeroUsize>,
    /// A file of certificates that are trusted beside the machine's own.
    pub(crate) ca: Option<PathBuf>,
    /// The certificate that `serve` shows.
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key.
    pub(crate) tls_key: Option<PathBuf>,
    /// Where `serve` takes commands from, beside HTTP.
    #[serde(default)]
    pub(crate) intake: IntakeSettings,
    /// Where `serve` publishes events, beside HTTP.
    #[serde(default)]
    pub(crate) outbox: OutboxSettings,
}

/// What the file may say of the intake.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntakeSettings {
    pub(crate) url: Option<String>,
    pub(crate) stream: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) replies: Option<String>,
    pub(crate) dead_letters: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) consumer: Option<String>,
    pub(crate) replies_max: Option<u64>,
    pub(crate) dead_letters_max: Option<u64>,
    pub(crate) claim_idle_s: Option<u64>,
    pub(crate) keep_messages: Option<bool>,
}

/// What the file may say of the outbox.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutboxSettings {
    pub(crate) url: Option<String>,
    pub(crate) stream: Option<String>,
    pub(crate) max: Option<u64>,
    pub(crate) kinds: Option<Vec<String>>,
    pub(crate) after: Option<u64>,
}

impl SettingsFile {
    /// Reads the file; without one, nothing is set.
    pub(crate) fn read(&self) -> Result<Settings> {
        let Some(path) = self.config.clone().or_else(default_path) else { return Ok(Settings::default()) };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && self.config.is_none() => {
                return Ok(Settings::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read the settings {}", path.display()));
            }
        };
        let mut settings: Settings = toml::from_str(&text)
            .map_err(|error| Usage(format!("cannot understand the settings {}:\n{error}", path.display())))?;
        // A path in the file means the same wherever the command is given.
        let folder = path.parent().unwrap_or(Path::new("."));
        let Settings { token_file, data, ca, tls_cert, tls_key, .. } = &mut settings;
        for path in [token_file, data, ca, tls_cert, tls_key].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        Ok(settings)
    }
}

fn default_path() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("jaego/config.toml"))
}

/// A data folder, as a flag, a variable or the settings name it.
#[derive(Args)]
pub(crate) struct DataFolder {
    /// The folder of the store's files.
    #[arg(long, global = true, env = "JAEGO_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl DataFolder {
    pub(crate) fn get(&self, settings: &Settings) -> Result<PathBuf> {
        let folder = self.data.clone().or_else(|| settings.data.clone());
        folder
            .ok_or_else(|| Usage("which data folder? Say --data FOLDER, or set JAEGO_DATA".to_owned()).into())
    }
}

/// Whose certificates are believed, as a flag, a variable or the settings name it.
#[derive(Args)]
pub(crate) struct Ca {
    /// A PEM file of certificates that are trusted beside the machine's own, for https:// and rediss://
    #[arg(long, global = true, env = "JAEGO_CA", value_name = "FILE", help_heading = "Settings")]
    ca: Option<PathBuf>,
}

impl Ca {
    pub(crate) fn trust(&self, settings: &Settings) -> Trust {
        match self.ca.as_ref().or(settings.ca.as_ref()) {
            Some(file) => Trust::with_ca(file),
            None => Trust::system(),
        }
    }
}
