//! Tokens that are bound to sites: what they may touch and see.
//!
//! A bound token acts only where every site that the command touches is one of its own. A transfer has two ends:
//! the site that gives allocates, picks, ships and gives up what it allocated, the site that gets receives. Settings of
//! a SKU or a lot are for all sites, and so are the feed, wallets, cards and proposals: a bound token has none of them.
//! It fills carts of its own sites, and neither checks them out nor cancels what was paid for, which moves money. What it is shown says nothing of the stock of
//! other sites: of a transfer to its own it sees neither bins nor who picks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jaego_api::{Problem, Read, list};
use jaego_domain::{Code, Command, DocumentKey, Query, Request, View, query::TransferView};
use jaego_store::Store;

use super::problem_of;
use crate::Caller;

/// Refuses with `forbidden` what a bound token may not do.
///
/// A document that is not there is told at once and never handed to the store: it could come into being on the way
/// there, with somebody else's sites. So is a store that cannot say whose the document is.
pub(super) async fn commands(
    caller: &Caller,
    store: &Arc<dyn Store>,
    requests: &[Request],
    atomic: bool,
) -> Result<(), Box<Problem>> {
    if caller.sites().is_none() {
        return Ok(());
    }
    let mut scope = Scope {
        caller,
        store,
        atomic,
        transfers: BTreeMap::new(),
        holds: BTreeSet::new(),
        orders: BTreeSet::new(),
        carts: BTreeSet::new(),
        entered: BTreeSet::new(),
        paid: BTreeSet::new(),
        ends: BTreeMap::new(),
    };
    for request in requests {
        if request.fence().is_some() {
            // A fence shuts out whoever comes with a lower one, at whichever site.
            return Err(unbound("fences"));
        }
        scope.command(request.command()).await?;
    }
    Ok(())
}

/// What a bound token may touch while its batch is read.
struct Scope<'a> {
    caller: &'a Caller,
    store: &'a Arc<dyn Store>,
    /// Whether the batch stands or falls as one. Otherwise the command that brings a document may be refused, and a
    /// later one would find somebody else's of the same id.
    atomic: bool,
    /// The two ends of the transfers that the batch itself brings: later commands of it may be about them.
    transfers: BTreeMap<Code, Ends>,
    /// The holds that it brings. Their lines are all at the token's own sites.
    holds: BTreeSet<Code>,
    /// The orders that it brings, all of them at the token's own sites.
    orders: BTreeSet<Code>,
    /// The carts that it brings, in the same way.
    carts: BTreeSet<Code>,
    /// What was looked at and may be entered. A look shows all the lines of a document, so one is enough.
    entered: BTreeSet<DocumentKey>,
    /// The orders among them that were paid for.
    paid: BTreeSet<Code>,
    /// The two ends of the transfers that were looked at.
    ends: BTreeMap<Code, Ends>,
}

/// The two sites of a transfer, which never change, and whether the one that gives has something allocated to it.
#[derive(Clone)]
struct Ends {
    from: Code,
    to: Code,
    is_allocated: bool,
}

impl Scope<'_> {
    async fn command(&mut self, command: &Command) -> Result<(), Box<Problem>> {
        let caller = self.caller;
        match command {
            Command::SetSite(command) => enter(caller, &command.site),
            Command::SetLocation(command) => enter(caller, &command.site),
            Command::SetSku(_) | Command::SetLot(_) => Err(unbound("settings of SKUs and lots")),
            Command::Adjust(command) => command.lines.iter().try_for_each(|line| enter(caller, &line.site)),
            Command::Move(command) => enter(caller, &command.site),
            Command::Reverse(_) => Err(unbound("reversals")),
            Command::PlaceHold(command) => {
                command.lines.iter().try_for_each(|line| enter(caller, &line.site))?;
                self.holds.insert(command.id.clone());
                Ok(())
            }
            Command::ChangeHold(command) => {
                command.lines.iter().try_for_each(|line| enter(caller, &line.site))?;
                self.holder(&command.id).await
            }
            Command::ConfirmHold(command) => self.holder(&command.id).await,
            Command::ReleaseHold(command) => self.holder(&command.id).await,
            Command::ExtendHold(command) => self.holder(&command.id).await,
            Command::RequestTransfer(command) => {
                // Whoever wants goods asks for them: one of the two ends is enough.
                enter(caller, &command.to).or_else(|_| enter(caller, &command.from))?;
                let (from, to) = (command.from.clone(), command.to.clone());
                self.transfers.insert(command.id.clone(), Ends { from, to, is_allocated: false });
                Ok(())
            }
            Command::AllocateTransfer(command) => self.giver(&command.id).await,
            Command::ReleaseTransfer(command) => self.giver(&command.id).await,
            Command::PickTransfer(command) => self.giver(&command.id).await,
            Command::UnpickTransfer(command) => self.giver(&command.id).await,
            Command::ShipTransfer(command) => self.giver(&command.id).await,
            Command::CancelTransfer(command) if command.release => self.giver(&command.id).await,
            Command::CancelTransfer(command) => self.either(&command.id).await,
            Command::CloseTransfer(command) => self.closer(&command.id).await,
            Command::ReceiveTransfer(command) => own(caller, &self.transfer(&command.id).await?.to),
            Command::Charge(_)
            | Command::Pay(_)
            | Command::Refund(_)
            | Command::SetWalletLimit(_)
            | Command::Authorize(_)
            | Command::Capture(_)
            | Command::Void(_) => Err(unbound("wallets")),
            Command::SetOrderAllocation(command) => enter(caller, &command.site),
            Command::PlaceOrder(command) => {
                enter(caller, &command.site)?;
                self.orders.insert(command.id.clone());
                Ok(())
            }
            Command::ClaimOrders(command) => enter(caller, &command.site),
            Command::AllocateOrder(command) => self.fulfiller(&command.id).await,
            Command::RefundOrder(_) => Err(unbound("wallets")),
            Command::CancelOrder(command) => self.refunder(&command.id).await,
            Command::ClaimOrder(command) => self.fulfiller(&command.id).await,
            Command::ExtendClaim(command) => self.fulfiller(&command.id).await,
            Command::UnclaimOrder(command) => self.fulfiller(&command.id).await,
            Command::CompleteOrder(command) => self.fulfiller(&command.id).await,
            Command::RaiseFence(_) => Err(unbound("fences")),
            Command::SetPriceTiers(_)
            | Command::SetCard(_)
            | Command::Propose(_)
            | Command::AcceptProposal(_)
            | Command::RejectProposal(_)
            | Command::WithdrawProposal(_) => Err(unbound("cards and proposals")),
            Command::ClaimPicks(command) => enter(caller, &command.site),
            Command::ClaimTransfer(command) => self.giver(&command.id).await,
            Command::ExtendTransferClaim(command) => self.giver(&command.id).await,
            Command::UnclaimTransfer(command) => self.giver(&command.id).await,
            Command::SetCart(command) => {
                enter(caller, &command.site)?;
                self.carts.insert(command.id.clone());
                Ok(())
            }
            Command::SetCartItem(command) => self.seller(&command.id).await,
            Command::DiscardCart(command) => self.seller(&command.id).await,
            Command::Checkout(_) => Err(unbound("wallets")),
        }
    }

    /// The site of a cart, which never changes.
    async fn seller(&mut self, cart: &Code) -> Result<(), Box<Problem>> {
        let key = DocumentKey::Cart(cart.clone());
        if self.entered.contains(&key) {
            return Ok(());
        }
        match look(self.store, Query::Cart(cart.clone())).await {
            Ok(View::Cart(view)) => own(self.caller, &view.summary.site)?,
            Err(problem) if self.brings(&problem, "cart_not_found", self.carts.contains(cart)) => {}
            other => return Err(refused(other)),
        }
        self.entered.insert(key);
        Ok(())
    }

    /// The site of an order that nobody paid for: cancelling it gives no money back. Whether it was never changes.
    async fn refunder(&mut self, order: &Code) -> Result<(), Box<Problem>> {
        self.fulfiller(order).await?;
        if self.paid.contains(order) { Err(unbound("wallets")) } else { Ok(()) }
    }

    /// The site of an order, which never changes.
    async fn fulfiller(&mut self, order: &Code) -> Result<(), Box<Problem>> {
        let key = DocumentKey::Order(order.clone());
        if self.entered.contains(&key) {
            return Ok(());
        }
        match look(self.store, Query::Order(order.clone())).await {
            Ok(View::Order(view)) => {
                own(self.caller, &view.summary.site)?;
                if view.sale.is_some() {
                    self.paid.insert(order.clone());
                }
            }
            Err(problem) if self.brings(&problem, "order_not_found", self.orders.contains(order)) => {}
            other => return Err(refused(other)),
        }
        self.entered.insert(key);
        Ok(())
    }

    async fn giver(&mut self, transfer: &Code) -> Result<(), Box<Problem>> {
        own(self.caller, &self.transfer(transfer).await?.from)
    }

    async fn either(&mut self, transfer: &Code) -> Result<(), Box<Problem>> {
        let Ends { from, to, .. } = self.transfer(transfer).await?;
        own(self.caller, &from).or_else(|_| own(self.caller, &to))
    }

    /// Closing ends what is on the way, which either site may, and gives up what is allocated, which is the giver's.
    /// What is allocated between this look and the decision is given up all the same.
    async fn closer(&mut self, transfer: &Code) -> Result<(), Box<Problem>> {
        match self.transfer(transfer).await?.is_allocated {
            true => self.giver(transfer).await,
            false => self.either(transfer).await,
        }
    }

    async fn transfer(&mut self, transfer: &Code) -> Result<Ends, Box<Problem>> {
        if let Some(ends) = self.ends.get(transfer) {
            return Ok(ends.clone());
        }
        let ends = match (ends(self.store, transfer).await, self.transfers.get(transfer)) {
            (Err(problem), Some(ends)) if self.brings(&problem, "transfer_not_found", true) => ends.clone(),
            (found, _) => found?,
        };
        self.ends.insert(transfer.clone(), ends.clone());
        Ok(ends)
    }

    async fn holder(&mut self, hold: &Code) -> Result<(), Box<Problem>> {
        let key = DocumentKey::Hold(hold.clone());
        if self.entered.contains(&key) {
            return Ok(());
        }
        match look(self.store, Query::Hold(hold.clone())).await {
            Ok(View::Hold(view)) => view.lines.iter().try_for_each(|line| own(self.caller, &line.site))?,
            Err(problem) if self.brings(&problem, "hold_not_found", self.holds.contains(hold)) => {}
            other => return Err(refused(other)),
        }
        self.entered.insert(key);
        Ok(())
    }

    /// Whether a document is not there yet because the batch itself brings it.
    fn brings(&self, problem: &Problem, not_found: &str, has_it: bool) -> bool {
        self.atomic && has_it && problem.code == not_found
    }
}

/// Looks at a document. A refusal says what it rests on, as those of the store do.
async fn look(store: &Arc<dyn Store>, query: Query) -> Result<View, Box<Problem>> {
    let answer = store.query(query).await.map_err(|failure| problem_of(&failure))?;
    answer.value.map_err(|refusal| Box::new(Problem::from(&refusal).at_sequence(answer.sequence)))
}

/// Why a look showed nothing to enter.
fn refused(look: Result<View, Box<Problem>>) -> Box<Problem> {
    look.expect_err("a look shows a view of what was asked for")
}

async fn ends(store: &Arc<dyn Store>, transfer: &Code) -> Result<Ends, Box<Problem>> {
    match look(store, Query::Transfer(transfer.clone())).await? {
        View::Transfer(view) => {
            let summary = view.summary;
            let is_allocated = !summary.totals.allocated.is_zero();
            Ok(Ends { from: summary.from, to: summary.to, is_allocated })
        }
        _ => unreachable!("a transfer was asked for"),
    }
}

/// Refuses with `forbidden` what a bound token may not ask for.
pub(super) async fn read(caller: &Caller, store: &Arc<dyn Store>, read: &Read) -> Result<(), Box<Problem>> {
    if caller.sites().is_none() {
        return Ok(());
    }
    match read {
        Read::Query(Query::Location { site, .. } | Query::Locations { site, .. }) => enter(caller, site),
        Read::Query(
            Query::Stock { site, .. }
            | Query::Orders { site, .. }
            | Query::Carts { site, .. }
            // A hold may hold elsewhere as well: the list tells what it holds at the site, and of the rest how many lines.
            | Query::Holds { site, .. }
            | Query::LotHolders { site, .. },
        ) => named(caller, site.as_ref()),
        // Who picks is the business of the site that gives.
        Read::Query(Query::Transfers { from, worker: Some(_), .. }) => named(caller, from.as_ref()),
        Read::Query(Query::Transfers { from, to, .. }) => {
            named(caller, from.as_ref()).or_else(|problem| named(caller, to.as_ref()).map_err(|_| problem))
        }
        // It shows the stock of the site that gives.
        Read::Query(Query::Explain { transfer, .. }) => {
            own(caller, &ends(store, transfer).await?.from)
        }
        Read::Movements(filter) => named(caller, filter.site.as_ref()),
        Read::StockAsOf(filter) => named(caller, filter.site.as_ref()),
        Read::Balances(filter) => named(caller, filter.site.as_ref()),
        Read::Events(_) => Err(unbound("the feed of events")),
        Read::Query(Query::ExplainOrder { order, .. }) => {
            match look(store, Query::Order(order.clone())).await? {
                View::Order(view) => own(caller, &view.summary.site),
                _ => unreachable!("an order was asked for"),
            }
        }
        Read::Query(
            Query::Wallet(_)
            | Query::Wallets(_)
            | Query::Authorization(_)
            | Query::Authorizations { .. }
            | Query::Accounts(_),
        )
        | Read::Statement(_) => Err(unbound("wallets")),
        Read::Query(Query::Fence(_)) => Err(unbound("fences")),
        Read::Query(
            Query::PriceTiers
            | Query::Card(_)
            | Query::Cards { .. }
            | Query::Proposal(_)
            | Query::Proposals { .. },
        ) => Err(unbound("cards and proposals")),
        Read::Query(Query::SkuStock(_) | Query::Trace { .. }) => Err(unbound("stock of all sites")),
        // Settings are for all to see, those of sites too, one by one as in their list.
        Read::Query(_) | Read::Status => Ok(()),
    }
}

/// A view as JSON, without what a bound token may not see of it. Refuses with `forbidden` what it may not see at all, now
/// that it is known where it is.
pub(super) fn show(caller: &Caller, mut view: View) -> Result<Vec<u8>, Box<Problem>> {
    if caller.sites().is_none() {
        return Ok(list::to_json(&view));
    }
    match &mut view {
        View::Order(order) => own(caller, &order.summary.site)?,
        View::Cart(cart) => own(caller, &cart.summary.site)?,
        View::Hold(hold) => hold.lines.iter().try_for_each(|line| own(caller, &line.site))?,
        View::Transfer(transfer) if own(caller, &transfer.summary.from).is_err() => {
            own(caller, &transfer.summary.to)?;
            hide_giver(transfer);
        }
        _ => {}
    }
    Ok(list::to_json_of_some_sites(&view))
}

/// Takes out of a transfer what lies where at the site that gives, and who picks it there. How far each line is stays.
fn hide_giver(transfer: &mut TransferView) {
    for line in &mut transfer.lines {
        line.picks.clear();
        line.staged.clear();
    }
    transfer.picking.clear();
}

fn enter(caller: &Caller, site: &Code) -> Result<(), Box<Problem>> {
    if caller.may_enter(site.as_str()) {
        return Ok(());
    }
    Err(Box::new(Problem::forbidden(format!("the token is not for site {site}"))))
}

/// As [`enter`], of a site that is known from a document only: which one it is, is not told.
fn own(caller: &Caller, site: &Code) -> Result<(), Box<Problem>> {
    let elsewhere = "the token is bound to sites, and this is for another one";
    enter(caller, site).map_err(|_| Box::new(Problem::forbidden(elsewhere)))
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
