//! Tokens that are bound to sites: what they may touch and see.
//!
//! A bound token acts only where every site that the command touches is one of its own. A transfer has two ends:
//! the site that gives allocates, picks and ships, the site that gets receives. Settings of a SKU or a lot are for
//! all sites, and so is the feed: a bound token has neither.

use std::sync::Arc;

use jaego_api::{Problem, Read};
use jaego_domain::{Code, Command, Query, Request, View};
use jaego_store::Store;

use crate::Caller;

/// Refuses with `forbidden` what a bound token may not do.
pub(super) async fn commands(
    caller: &Caller,
    store: &Arc<dyn Store>,
    requests: &[Request],
) -> Result<(), Box<Problem>> {
    if caller.sites().is_none() {
        return Ok(());
    }
    for request in requests {
        command(caller, store, request.command()).await?;
    }
    Ok(())
}

async fn command(caller: &Caller, store: &Arc<dyn Store>, command: &Command) -> Result<(), Box<Problem>> {
    match command {
        Command::SetSite(command) => enter(caller, &command.site),
        Command::SetLocation(command) => enter(caller, &command.site),
        Command::SetSku(_) | Command::SetLot(_) => Err(unbound("settings of SKUs and lots")),
        Command::Adjust(command) => command.lines.iter().try_for_each(|line| enter(caller, &line.site)),
        Command::Move(command) => enter(caller, &command.site),
        Command::Reverse(_) => Err(unbound("reversals")),
        Command::PlaceHold(command) => command.lines.iter().try_for_each(|line| enter(caller, &line.site)),
        Command::ChangeHold(command) => {
            command.lines.iter().try_for_each(|line| enter(caller, &line.site))?;
            holder(caller, store, &command.id).await
        }
        Command::ConfirmHold(command) => holder(caller, store, &command.id).await,
        Command::ReleaseHold(command) => holder(caller, store, &command.id).await,
        Command::ExtendHold(command) => holder(caller, store, &command.id).await,
        Command::RequestTransfer(command) => {
            // Whoever wants goods asks for them: one of the two ends is enough.
            enter(caller, &command.to).or_else(|_| enter(caller, &command.from))
        }
        Command::AllocateTransfer(command) => giver(caller, store, &command.id).await,
        Command::ReleaseTransfer(command) => giver(caller, store, &command.id).await,
        Command::PickTransfer(command) => giver(caller, store, &command.id).await,
        Command::UnpickTransfer(command) => giver(caller, store, &command.id).await,
        Command::ShipTransfer(command) => giver(caller, store, &command.id).await,
        Command::CancelTransfer(command) => either(caller, store, &command.id).await,
        Command::CloseTransfer(command) => either(caller, store, &command.id).await,
        Command::ReceiveTransfer(command) => match ends(store, &command.id).await {
            Some((_, to)) => enter(caller, &to),
            None => Ok(()),
        },
    }
}

async fn giver(caller: &Caller, store: &Arc<dyn Store>, transfer: &Code) -> Result<(), Box<Problem>> {
    match ends(store, transfer).await {
        Some((from, _)) => enter(caller, &from),
        // There is no such transfer: the decision says so.
        None => Ok(()),
    }
}

async fn either(caller: &Caller, store: &Arc<dyn Store>, transfer: &Code) -> Result<(), Box<Problem>> {
    match ends(store, transfer).await {
        Some((from, to)) => enter(caller, &from).or_else(|_| enter(caller, &to)),
        None => Ok(()),
    }
}

/// The two sites of a transfer, which never change.
async fn ends(store: &Arc<dyn Store>, transfer: &Code) -> Option<(Code, Code)> {
    match store.query(Query::Transfer(transfer.clone())).await.ok()?.value.ok()? {
        View::Transfer(view) => Some((view.summary.from, view.summary.to)),
        _ => None,
    }
}

async fn holder(caller: &Caller, store: &Arc<dyn Store>, hold: &Code) -> Result<(), Box<Problem>> {
    match store.query(Query::Hold(hold.clone())).await.map(|answer| answer.value) {
        Ok(Ok(View::Hold(view))) => view.lines.iter().try_for_each(|line| enter(caller, &line.site)),
        // There is no such hold, or no answer: the decision says so.
        _ => Ok(()),
    }
}

/// Refuses with `forbidden` what a bound token may not ask for.
pub(super) fn read(caller: &Caller, read: &Read) -> Result<(), Box<Problem>> {
    if caller.sites().is_none() {
        return Ok(());
    }
    match read {
        Read::Query(Query::Site(site) | Query::Location { site, .. } | Query::Locations { site, .. }) => {
            enter(caller, site)
        }
        Read::Query(Query::Stock { site, .. }) => named(caller, site.as_ref()),
        Read::Query(Query::Transfers { from, to, .. }) => {
            named(caller, from.as_ref()).or_else(|problem| named(caller, to.as_ref()).map_err(|_| problem))
        }
        Read::Movements(filter) => named(caller, filter.site.as_ref()),
        Read::Events(_) => Err(unbound("the feed of events")),
        Read::Query(Query::SkuStock(_) | Query::Trace { .. }) => Err(unbound("stock of all sites")),
        Read::Query(_) | Read::Status => Ok(()),
    }
}

/// Refuses with `forbidden` what a bound token may not see, now that it is known where it is.
pub(super) fn view(caller: &Caller, view: &View) -> Result<(), Box<Problem>> {
    if caller.sites().is_none() {
        return Ok(());
    }
    match view {
        View::Hold(hold) => hold.lines.iter().try_for_each(|line| enter(caller, &line.site)),
        View::Transfer(transfer) => {
            let summary = &transfer.summary;
            enter(caller, &summary.from).or_else(|_| enter(caller, &summary.to))
        }
        View::Explain(lines) => lines
            .iter()
            .flat_map(|line| &line.candidates)
            .try_for_each(|candidate| enter(caller, &candidate.position.site)),
        _ => Ok(()),
    }
}

fn enter(caller: &Caller, site: &Code) -> Result<(), Box<Problem>> {
    if caller.may_enter(site.as_str()) {
        return Ok(());
    }
    Err(Box::new(Problem::forbidden(format!("the token is not for site {site}"))))
}

fn named(caller: &Caller, site: Option<&Code>) -> Result<(), Box<Problem>> {
    match site {
        Some(site) => enter(caller, site),
        None => Err(Box::new(Problem::forbidden("the token is bound to sites: name one of them"))),
    }
}

fn unbound(what: &str) -> Box<Problem> {
    Box::new(Problem::forbidden(format!("the token is bound to sites, and {what} are for all of them")))
}
