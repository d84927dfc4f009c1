//! `jaego token`: who may come in. It works on the data folder, beside a running server as well.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use jaego_api::Time;
use jaego_server::{
    Role, Tokens,
    audit::Kind,
    tokens::{Rate, TokenGrant, TokenId},
};
use serde_json::json;

use crate::{
    audit::write_down,
    data,
    exit::Usage,
    remote::print,
    settings::{DataFolder, SettingsFile},
    table::Table,
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataFolder,
    #[command(flatten)]
    settings: SettingsFile,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token and print it, the only time that it is seen.
    Create {
        /// Who holds it; it stands as `by` on what the holder changes.
        name: String,
        /// What the holder may do: reader, worker, operator or admin, each what those before it may.
        #[arg(long, value_parser = role)]
        role: Role,
        /// The sites where the holder may do it [default: all]
        #[arg(long, value_delimiter = ',')]
        sites: Option<Vec<String>>,
        /// Commands and reads a second that it is good for; a batch counts as its commands [default: no limit]
        #[arg(long, value_name = "N")]
        rate: Option<u32>,
        /// How many of them at once, after a time without any [default: those of one second]
        #[arg(long, value_name = "N", requires = "rate")]
        burst: Option<u32>,
    },
    /// List the tokens, without their secrets.
    List,
    /// Take a token back. A running server refuses it within a second.
    Revoke {
        /// Its id, as the list shows it.
        id: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    let role = Role::ALL.into_iter().find(|role| role.as_str() == text);
    role.ok_or_else(|| format!("{text:?} is none of reader, worker, operator, admin"))
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = options.data.get(&options.settings.read()?)?;
    let file = data::tokens_file(&folder);
    if !folder.is_dir() {
        return Err(Usage(format!("there is no data folder {}", folder.display())).into());
    }
    let tokens = Tokens::open(file).context("cannot open the tokens")?;
    match &options.command {
        Command::Create { name, role, sites, rate, burst } => {
            let rate = rate.map(|per_s| Rate { per_s, burst: burst.unwrap_or(per_s) });
            let grant = TokenGrant { name: name.clone(), role: *role, sites: sites.clone(), rate };
            let (id, token) = tokens.create(grant)?;
            let sites = sites.as_ref().map(|sites| format!(" at {}", sites.join(","))).unwrap_or_default();
            let rate = rate.map(|rate| format!(" {rate}")).unwrap_or_default();
            let what = format!("{id} {name} {}{sites}{rate}", role.as_str());
            write_down(&folder, Kind::TokenCreated, what);
            if options.json {
                return print(&format!("{}\n", json!({ "id": id.to_string(), "token": token.reveal() })));
            }
            eprintln!("token {id} for {name}; it is shown only now");
            print(&format!("{}\n", token.reveal()))
        }
        Command::List => list(&tokens, options.json),
        Command::Revoke { id } => {
            let parsed = TokenId::parse(id).ok_or_else(|| {
                Usage(format!("{id:?} is no token's id: 16 hexadecimal digits, see `token list`"))
            })?;
            tokens.revoke(parsed)?;
            write_down(&folder, Kind::TokenRevoked, parsed.to_string());
            match options.json {
                true => print(&format!("{}\n", json!({ "id": id }))),
                false => print(&format!("token {id} is revoked\n")),
            }
        }
    }
}

fn list(tokens: &Tokens, is_json: bool) -> Result<()> {
    let list = tokens.list();
    let made = |seconds: u64| Time(seconds.saturating_mul(1_000)).to_string();
    if is_json {
        let items: Vec<_> = list
            .iter()
            .map(|info| {
                json!({
                    "id": info.id.to_string(), "name": info.grant.name, "role": info.grant.role.as_str(),
                    "sites": info.grant.sites, "rate": info.grant.rate, "created_at": made(info.created_at_s),
                })
            })
            .collect();
        return print(&format!("{}\n", json!({ "items": items })));
    }
    let mut table = Table::new(&["TOKEN", "NAME", "ROLE", "SITES", "RATE", "CREATED"]);
    for info in list {
        let sites = info.grant.sites.map_or_else(|| "all".to_owned(), |sites| sites.join(" "));
        let rate = info.grant.rate.map_or_else(|| "any".to_owned(), |rate| rate.to_string());
        table.row([
            &info.id.to_string(),
            &info.grant.name,
            info.grant.role.as_str(),
            &sites,
            &rate,
            &made(info.created_at_s),
        ]);
    }
    print(&table.text())
}
