//! `jaego demo`: a warehouse to try things in, gone when it ends.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use jaego_client::Client;
use jaego_server::logs;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{
    exit::Usage,
    import::{self, LOAD_DEFAULT, Loaded, Noun, load, prepare},
    queues::Queues,
    remote::print,
    rows::{Errors, Format},
    serve::{self, Folder, Service, listen_on, runtime},
    settings::address,
};

macro_rules! sample {
    ($($noun:ident $format:ident $file:literal)*) => {
        /// The sample, in the order in which it is loaded.
        const SAMPLE: &[(Noun, Format, &[u8])] =
            &[$((Noun::$noun, Format::$format, include_bytes!(concat!("../../../examples/adventureworks/", $file)))),*];
    };
}

sample! {
    Sites Csv "sites.csv"
    Locations Csv "locations.csv"
    Skus Csv "skus.csv"
    Stock Csv "stock.csv"
    Transfers Jsonl "transfers.jsonl"
}

#[derive(Args)]
pub(crate) struct Options {
    /// The address to listen on [default: a free port of this machine]
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:0", hide_default_value = true)]
    listen: SocketAddr,
    /// Keep the data folder, and say where it is.
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    logs::init(logs::Format::Text, "warn").map_err(|error| anyhow!("cannot start the logs: {error}"))?;
    let folder = TempDir::with_prefix("jaego-demo-").context("cannot make a temporary folder")?;
    let (data, _folder): (PathBuf, Option<TempDir>) = match options.keep {
        true => (folder.keep(), None),
        false => (folder.path().to_owned(), Some(folder)),
    };
    let service = Service::take(&data)?;
    let runtime = runtime()?;
    let opened = service.opened();
    let served = runtime.block_on(async {
        let listener = listen_on(options.listen).await?;
        let url = format!("http://{}", listener.local_addr().context("cannot tell the address")?);
        // A load that failed ends the service, and so does a demo of which nobody is told; otherwise it goes on.
        let (failed, has_failed) = oneshot::channel();
        let ended = async move {
            if has_failed.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let (begun, beginning) = oneshot::channel();
        let begin = |folder: &Folder| {
            // Nobody waits for it any more if the service has ended.
            let (id, token) = folder.first_token()?.context("a new folder has no tokens")?;
            let _ = begun.send((folder.clone(), id, token));
            Ok(Queues::default())
        };
        let fill = async {
            // Where there is none, the service says why.
            let Ok((folder, id, token)) = beginning.await else { return Ok(()) };
            let mut filled = fill(&url, &token).await;
            if filled.is_ok() {
                filled = tell(&url, &token, options.keep.then_some(&data));
            }
            if filled.is_err() {
                if options.keep {
                    // The folder outlives a token that nobody was told.
                    filled = folder.take_back(id).and(filled);
                }
                // Nobody listens any more if the service has ended by itself.
                let _ = failed.send(());
            }
            filled
        };
        let (served, filled) = tokio::join!(service.serve(listener, begin, ended), fill);
        served.and(filled)
    });
    serve::end(runtime, &opened, served)
}

async fn fill(url: &str, token: &str) -> Result<()> {
    let client = Client::new(url, token)?;
    for (noun, format, bytes) in SAMPLE {
        let mut errors = Errors::default();
        let commands = prepare(*noun, *format, bytes, LOAD_DEFAULT, &mut errors);
        if !errors.is_empty() {
            return Err(Usage(format!("the sample is wrong:\n{}", errors.text(noun.name()))).into());
        }
        let bar = import::progress(commands.len(), noun.name());
        let mut loaded = Loaded::new(false);
        let sent = load(&client, &commands, &bar, &mut loaded).await;
        bar.finish_and_clear();
        sent.with_context(|| format!("cannot load the sample's {}", noun.name()))?;
        if let Some((line, problem)) = loaded.refused.first().map(|refused| refused.first()) {
            return Err(anyhow!("the sample's {} are refused in line {line}: {problem}", noun.name()));
        }
        eprint!("{}", loaded.text(*noun));
    }
    Ok(())
}

fn tell(url: &str, token: &str, kept: Option<&PathBuf>) -> Result<()> {
    let end = match kept {
        Some(folder) => format!("The data stays in {}. Press Ctrl-C to end.", folder.display()),
        None => "Press Ctrl-C to end; everything is deleted then.".to_owned(),
    };
    print(&format!(
        "
Jaego answers at {url}

  export JAEGO_URL={url}
  export JAEGO_TOKEN={token}

Read and try the API: {url}/docs

Try, in another terminal:

  jaego stock list --sku HN-5400
  jaego hold place H1 --site ICN HN-5400=4 --expires 10m
  jaego transfer allocate BULK-2014 --dry-run

{end}
"
    ))
}
