//! `jaego fence`: which lock's holder came last.

use anyhow::Result;
use clap::{Args, Subcommand};
use jaego_api::fence::Fence;
use serde_json::json;

use crate::{
    master::said,
    outcome,
    remote::{Remote, Service},
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the highest fence that was seen for a resource.
    Show { resource: String },
    /// Shut out whoever had the lock before: jaego fence raise product:42 1764000000000000
    Raise {
        resource: String,
        fence: u64,
        /// A request key, so that giving it again does it once.
        #[arg(long)]
        key: Option<String>,
    },
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.remote.run(async |service: Service| match &options.command {
        Command::Show { resource } => service.show("fence", &[("resource", resource)], shown).await,
        Command::Raise { resource, fence, key } => {
            let fields = said(json!({ "resource": resource, "fence": fence, "key": key }));
            let what = format!("fences of {resource} below {fence} are stale");
            service.submit("raise_fence", &fields, |done| outcome::text(&what, done)).await
        }
    })
}

fn shown(fence: &Fence) -> String {
    let Fence { resource, fence, sequence } = fence;
    format!("resource  {resource}\nfence     {fence}\nevent     {sequence}\n")
}
