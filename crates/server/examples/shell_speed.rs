//! The price of the shell: an echo behind a token, to be loaded with an HTTP benchmark.
//!
//! Prints the commands to run, serves for `SECONDS` (the first argument, 60 by default), and stops.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::post;
use http::Method;
use jaego_server::tokens::TokenGrant;
use jaego_server::{Access, Content, Limits, Metrics, Role, RouteRoles, Shell, Tokens, logs};
use tokio::net::TcpListener;

async fn echo(Content(body): Content) -> bytes::Bytes {
    body
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(60), |text| text.parse())?;
    logs::init(logs::Format::Text, "info")?;
    let folder = tempfile::tempdir()?;
    let tokens = Arc::new(Tokens::open(folder.path().join("tokens.json"))?);
    let grant = TokenGrant { name: "speed".to_owned(), role: Role::Operator, sites: None, rate: None };
    let (_, token) = tokens.create(grant)?;

    let table = RouteRoles::new().row(Method::POST, "/v1/echo/{id}", Access::AtLeast(Role::Operator));
    let router = axum::Router::new().route("/v1/echo/{id}", post(echo));
    let shell = Shell::new(Limits::default(), tokens, Metrics::new()).router(table, router);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;

    // Data goes to standard output: a script can take the script from here.
    println!(
        "wrk.method = \"POST\"\nwrk.body = '{{\"id\":\"H1\",\"quantity\":3}}'\nwrk.headers[\"Authorization\"] = \"Bearer {}\"",
        token.reveal()
    );
    eprintln!(
        "save the above as echo.lua, then: wrk -t1 -c64 -d10s --latency -s echo.lua http://{address}/v1/echo/H1"
    );
    let drained = shell.serve(listener, tokio::time::sleep(Duration::from_secs(seconds))).await;
    eprintln!("{drained:?}");
    Ok(())
}
