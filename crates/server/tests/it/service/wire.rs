//! Commands and queries as a caller would write them by hand, and answers as the scenarios tell them. It knows the
//! documents of the API as JSON and none of its types, so that a field that changes its name is seen.

use jaego_api::Time;
use jaego_domain::{
    Code, Command, Name, Query,
    command::{Change, HoldLine, HoldPart, HolderName, Payment, Release, ShortReason, TransferPart},
    query::Period,
    row::HolderKind,
};
use jaego_store::conformance::{LookBack, START, Told};
use serde_json::{Map, Value, json};

/// Marks a name that an object has already, until it is [`text`]. No code has it.
const AGAIN: &str = "~";

/// A request as it goes over the wire.
pub(super) fn text(fields: Map<String, Value>) -> String {
    Value::Object(fields).to_string().replace(AGAIN, "")
}

/// The fields of a command, those of its path included. See [`text`].
pub(super) fn fields(command: &Command) -> Map<String, Value> {
    let hold_line = |line: &HoldLine| {
        json!({"site": line.site.as_str(), "sku": line.sku.as_str(), "quantity": line.quantity.get(),
            "location": line.location.as_ref().map(|at| at.as_str()), "lot": line.lot.as_ref().map(|lot| lot.as_str())})
    };
    // Lines of a hold are named by their numbers, as such and as outcomes tell them.
    let hold_parts = |parts: &Option<Vec<HoldPart>>| {
        parts.as_ref().map(|parts| {
            all(parts, |part| {
                let line =
                    if part.quantity.is_some() { json!(part.line) } else { json!(part.line.to_string()) };
                json!({"line": line, "quantity": part.quantity.map(|q| q.get())})
            })
        })
    };
    let parts = |parts: &Option<Vec<TransferPart>>| {
        parts.as_ref().map(|parts| {
            all(parts, |part| json!({"line": part.line.as_str(), "quantity": part.quantity.map(|q| q.get())}))
        })
    };
    let partial = |partial: bool| if partial { "allow" } else { "forbid" };
    let said = |code: &Option<Code>| code.as_ref().map(|code| code.as_str().to_owned());
    let paid = |payment: &Payment| {
        json!({"owner": payment.owner.as_str(), "currency": payment.currency.as_str(),
            "amount": payment.amount.get(), "reason": payment.reason.as_str(), "reference": said(&payment.reference)})
    };
    let fields = match command {
        Command::SetSite(site) => json!({"site": site.site.as_str(), "name": site.name.as_str(),
            "time_zone": site.time_zone.name(), "strategy": site.strategy.name()}),
        Command::SetLocation(at) => json!({"site": at.site.as_str(), "location": at.location.as_str(),
            "zone": at.zone.as_str(), "pick_order": at.pick_order, "kind": at.kind.name()}),
        Command::SetSku(sku) => {
            let levels = sku.safety_stock.iter().enumerate();
            // A site that is said twice is said under another name, since an object here has each name once.
            let levels = levels.map(|(at, (site, level))| {
                let before = sku.safety_stock[..at].iter().filter(|(earlier, _)| earlier == site).count();
                (format!("{site}{}", AGAIN.repeat(before)), Value::from(level.get()))
            });
            let prices = sku.prices.iter().enumerate().map(|(at, (currency, price))| {
                let before = sku.prices[..at].iter().filter(|(earlier, _)| earlier == currency).count();
                (format!("{currency}{}", AGAIN.repeat(before)), Value::from(price.get()))
            });
            json!({"sku": sku.sku.as_str(), "name": sku.name.as_str(), "tracking": sku.tracking.name(),
                "safety_stock": levels.collect::<Map<_, Value>>(), "prices": prices.collect::<Map<_, Value>>()})
        }
        Command::SetLot(lot) => {
            json!({"sku": lot.sku.as_str(), "lot": lot.lot.as_str(), "blocked": lot.blocked,
            "received_on": lot.received_on.map(|day| day.to_string()),
            "expires_on": lot.expires_on.map(|day| day.to_string())})
        }
        Command::Adjust(adjust) => {
            let lines = all(&adjust.lines, |line| {
                let signed = |quantity: u64| i64::try_from(quantity).unwrap();
                let (change, counted, account) = match line.change {
                    Change::Add(quantity, outside) => {
                        (Some(signed(quantity.get())), None, Some(outside.name()))
                    }
                    Change::Remove(quantity, outside) => {
                        (Some(-signed(quantity.get())), None, Some(outside.name()))
                    }
                    Change::Counted(quantity) => (None, Some(quantity.get()), None),
                };
                json!({"site": line.site.as_str(), "location": line.location.as_str(), "sku": line.sku.as_str(),
                    "lot": said(&line.lot), "change": change, "counted": counted, "account": account})
            });
            let named = match &adjust.release {
                Some(Release::Of(names)) => Some(names),
                _ => None,
            };
            let named = named.map(|names| {
                let name = |name: &HolderName| json!({"kind": kind(name.kind), "id": name.id.as_str()});
                names.iter().map(name).collect::<Vec<_>>()
            });
            json!({"id": adjust.id.as_str(), "reason": adjust.reason.as_str(), "lines": lines,
                "release_holds": adjust.release == Some(Release::All), "release": named})
        }
        Command::Move(shift) => {
            let lines = all(&shift.lines, |line| {
                json!({"sku": line.sku.as_str(), "lot": said(&line.lot), "quantity": line.quantity.get(),
                    "from": line.from.as_str(), "to": line.to.as_str()})
            });
            json!({"id": shift.id.as_str(), "site": shift.site.as_str(), "reason": shift.reason.as_str(),
                "lines": lines, "with_holds": shift.with_holds})
        }
        Command::Reverse(reverse) => json!({"movement": reverse.movement.to_string()}),
        Command::PlaceHold(hold) => json!({"id": hold.id.as_str(), "owner": said(&hold.owner),
            "lines": all(&hold.lines, hold_line), "expires_in_s": hold.expires_in_ms.map(seconds),
            "partial": partial(hold.partial), "strategy": hold.strategy.map(|strategy| strategy.name())}),
        Command::ChangeHold(hold) => json!({"hold": hold.id.as_str(), "lines": all(&hold.lines, hold_line),
            "partial": partial(hold.partial), "strategy": hold.strategy.map(|strategy| strategy.name())}),
        Command::ConfirmHold(hold) => {
            let to = hold.to.as_ref().map_or(json!("customer"), |to| json!({"location": to.as_str()}));
            json!({"hold": hold.id.as_str(), "lines": hold_parts(&hold.lines), "to": to,
                "release_rest": hold.release_rest})
        }
        Command::ReleaseHold(hold) => json!({"hold": hold.id.as_str(), "lines": hold_parts(&hold.lines)}),
        Command::ExtendHold(hold) => {
            json!({"hold": hold.id.as_str(), "expires_in_s": seconds(hold.expires_in_ms)})
        }
        Command::RequestTransfer(transfer) => {
            let lines = all(&transfer.lines, |line| {
                json!({"line": line.line.as_str(), "sku": line.sku.as_str(), "quantity": line.quantity.get(),
                    "lot": said(&line.lot)})
            });
            json!({"id": transfer.id.as_str(), "from": transfer.from.as_str(), "to": transfer.to.as_str(),
                "priority": transfer.priority, "lines": lines})
        }
        Command::AllocateTransfer(transfer) => {
            let lines = transfer.lines.as_ref().map(|lines| {
                all(lines, |line| {
                    json!({"line": line.line.as_str(), "quantity": line.quantity.map(|q| q.get()),
                        "location": said(&line.location), "lot": said(&line.lot)})
                })
            });
            json!({"transfer": transfer.id.as_str(), "strategy": transfer.strategy.map(|strategy| strategy.name()),
                "partial": partial(transfer.partial), "lines": lines, "dry_run": transfer.dry_run})
        }
        Command::ReleaseTransfer(transfer) => {
            json!({"transfer": transfer.id.as_str(), "lines": parts(&transfer.lines)})
        }
        Command::CancelTransfer(transfer) => {
            json!({"transfer": transfer.id.as_str(), "release": transfer.release})
        }
        Command::PickTransfer(transfer) => {
            let lines = transfer.lines.as_ref().map(|lines| {
                all(lines, |line| {
                    let short = line.short.map(|(quantity, reason)| {
                        let reason = match reason {
                            ShortReason::NotFound => "not_found",
                            ShortReason::Damaged => "damaged",
                        };
                        json!({"quantity": quantity.get(), "reason": reason})
                    });
                    json!({"line": line.line.as_str(), "location": said(&line.location), "lot": said(&line.lot),
                        "quantity": line.quantity.get(), "short": short})
                })
            });
            let claimant = transfer.claimant.as_ref();
            json!({"transfer": transfer.id.as_str(), "lines": lines, "staging": said(&transfer.staging),
                "worker": claimant.map(|claimant| claimant.worker.as_str()),
                "fence": claimant.map(|claimant| claimant.fence.0)})
        }
        Command::UnpickTransfer(transfer) => json!({"transfer": transfer.id.as_str(),
            "lines": parts(&transfer.lines), "to": said(&transfer.to)}),
        Command::ShipTransfer(transfer) => json!({"transfer": transfer.id.as_str(),
            "shipment": transfer.shipment.as_str(), "lines": parts(&transfer.lines)}),
        Command::ReceiveTransfer(transfer) => {
            let lines = transfer.lines.as_ref().map(|lines| {
                all(lines, |line| {
                    json!({"line": line.line.as_str(), "lot": said(&line.lot), "quantity": line.quantity.get(),
                        "damaged": line.damaged.get()})
                })
            });
            json!({"transfer": transfer.id.as_str(), "lines": lines, "location": said(&transfer.location),
                "quarantine": said(&transfer.quarantine)})
        }
        Command::CloseTransfer(transfer) => json!({"transfer": transfer.id.as_str()}),
        Command::Charge(payment) | Command::Pay(payment) | Command::Refund(payment) => paid(payment),
        Command::SetWalletLimit(set) => {
            json!({"owner": set.owner.as_str(), "currency": set.currency.as_str(), "limit": set.limit})
        }
        Command::Authorize(authorize) => {
            let mut fields = paid(&authorize.payment);
            fields["id"] = authorize.id.as_str().into();
            fields
        }
        Command::Capture(capture) => json!({"owner": capture.owner.as_str(),
            "authorization": capture.authorization.as_str(), "amount": capture.amount.map(|amount| amount.get()),
            "release_rest": capture.release_rest}),
        Command::Void(void) => {
            json!({"owner": void.owner.as_str(), "authorization": void.authorization.as_str()})
        }
        Command::SetOrderAllocation(setting) => {
            json!({"site": setting.site.as_str(), "allocation": setting.allocation.name()})
        }
        Command::PlaceOrder(order) => {
            let lines = all(
                &order.lines,
                |line| json!({"sku": line.sku.as_str(), "quantity": line.quantity.get(), "lot": said(&line.lot)}),
            );
            json!({"id": order.id.as_str(), "site": order.site.as_str(), "lines": lines,
                "customer": said(&order.customer), "priority": order.priority, "backorder": order.backorder})
        }
        Command::AllocateOrder(order) => json!({"order": order.id.as_str()}),
        Command::CancelOrder(order) => json!({"order": order.id.as_str()}),
        Command::ClaimOrder(claim) => json!({"order": claim.id.as_str(), "worker": claim.worker.as_str(),
            "lease_s": claim.lease_ms.map(seconds)}),
        Command::RefundOrder(refund) => json!({"order": refund.id.as_str(),
            "amount": refund.amount.map(|amount| amount.get()), "reason": refund.reason.as_str()}),
        Command::ClaimOrders(claim) => json!({"site": claim.site.as_str(), "worker": claim.worker.as_str(),
            "policy": claim.policy.name(), "count": claim.count, "lease_s": claim.lease_ms.map(seconds)}),
        Command::ExtendClaim(claim) => json!({"order": claim.id.as_str(),
            "worker": claim.claimant.worker.as_str(), "fence": claim.claimant.fence.0,
            "lease_s": claim.lease_ms.map(seconds)}),
        Command::UnclaimOrder(claim) => json!({"order": claim.id.as_str(),
            "worker": claim.claimant.worker.as_str(), "fence": claim.claimant.fence.0}),
        Command::CompleteOrder(order) => {
            let claimant = order.claimant.as_ref();
            json!({"order": order.id.as_str(), "worker": claimant.map(|claimant| claimant.worker.as_str()),
                "fence": claimant.map(|claimant| claimant.fence.0)})
        }
        Command::RaiseFence(raise) => {
            json!({"resource": raise.fenced.resource().as_str(), "fence": raise.fenced.fence()})
        }
        Command::SetPriceTiers(tiers) => json!({"from": all(&tiers.from, |bound| bound.get().into())}),
        Command::SetCard(card) => {
            json!({"card": card.card.as_str(), "owner": card.owner.as_str(), "price": card.price.get(),
                "from_owner": card.from_owner.as_ref().map(|owner| owner.as_str())})
        }
        Command::Propose(propose) => json!({"id": propose.id.as_str(), "owner": propose.owner.as_str(),
            "from_card": propose.from_card.as_str(), "to_card": propose.to_card.as_str()}),
        Command::AcceptProposal(answer)
        | Command::RejectProposal(answer)
        | Command::WithdrawProposal(answer) => {
            json!({"proposal": answer.id.as_str(), "owner": answer.owner.as_str()})
        }
        Command::ClaimTransfer(claim) => json!({"transfer": claim.id.as_str(),
            "worker": claim.worker.as_str(), "zone": named(claim.zone.as_ref()),
            "lease_s": claim.lease_ms.map(seconds)}),
        Command::ClaimPicks(claim) => json!({"site": claim.site.as_str(), "worker": claim.worker.as_str(),
            "work": "picks", "zone": named(claim.zone.as_ref()), "policy": claim.policy.name(),
            "count": claim.count, "lease_s": claim.lease_ms.map(seconds)}),
        Command::ExtendTransferClaim(claim) => json!({"transfer": claim.id.as_str(),
            "worker": claim.claimant.worker.as_str(), "fence": claim.claimant.fence.0,
            "zone": named(claim.zone.as_ref()), "lease_s": claim.lease_ms.map(seconds)}),
        Command::UnclaimTransfer(claim) => json!({"transfer": claim.id.as_str(),
            "worker": claim.claimant.worker.as_str(), "fence": claim.claimant.fence.0,
            "zone": named(claim.zone.as_ref())}),
        Command::SetCart(cart) => json!({"cart": cart.id.as_str(), "site": cart.site.as_str(),
            "owner": cart.owner.as_str(), "hold_s": cart.hold_s}),
        Command::SetCartItem(item) => {
            json!({"cart": item.id.as_str(), "sku": item.sku.as_str(), "quantity": item.quantity.get()})
        }
        Command::DiscardCart(cart) => json!({"cart": cart.id.as_str()}),
        Command::Checkout(checkout) => json!({"cart": checkout.id.as_str(),
            "currency": checkout.currency.as_str(), "order": said(&checkout.order),
            "expected_total": checkout.expected_total.map(|total| total.get())}),
    };
    let Value::Object(fields) = without_nulls(fields) else { unreachable!("the fields are an object") };
    fields
}

fn all<'a, T: 'a>(items: impl IntoIterator<Item = &'a T>, show: impl Fn(&T) -> Value) -> Value {
    items.into_iter().map(show).collect()
}

fn named(name: Option<&Name>) -> Option<&str> {
    name.map(Name::as_str)
}

/// The work of a zone, as the scenarios tell it.
fn picking(work: &Value) -> String {
    let claim = match &work["claim"] {
        Value::Null => String::new(),
        claim => format!("/{}{}", word(&claim["worker"]), time(&claim["expires_at"])),
    };
    format!("{}:{}{claim}", word(&work["zone"]), work["line_count"])
}

/// What a claim is on: an order, or a transfer.
fn claimed(claim: &Value) -> &str {
    claim["order"].as_str().unwrap_or_else(|| word(&claim["transfer"]))
}

fn seconds(ms: u64) -> u64 {
    assert_eq!(ms % 1_000, 0, "the wire counts lives in whole seconds");
    ms / 1_000
}

/// What is not said is left out, as a person would.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// The URL of a query.
pub(super) fn url(query: &Query) -> String {
    match query {
        Query::Stock { site, location, sku, lot, page } => {
            let filters = [("site", site), ("location", location), ("sku", sku), ("lot", lot)];
            let said = filters.iter().filter_map(|(name, code)| Some(format!("{name}={}&", code.as_ref()?)));
            format!("/v1/stock?{}limit={}", said.collect::<String>(), page.limit)
        }
        Query::SkuStock(sku) => format!("/v1/skus/{sku}/stock"),
        Query::Hold(hold) => format!("/v1/holds/{hold}"),
        Query::Transfer(transfer) => format!("/v1/transfers/{transfer}"),
        Query::Explain { transfer, line: None } => format!("/v1/transfers/{transfer}/explain"),
        Query::Explain { transfer, line: Some(line) } => {
            format!("/v1/transfers/{transfer}/explain?line={line}")
        }
        Query::Trace { sku, lot } => format!("/v1/skus/{sku}/lots/{lot}/trace"),
        Query::Site(site) => format!("/v1/sites/{site}"),
        Query::Location { site, location } => format!("/v1/sites/{site}/locations/{location}"),
        Query::Sku(sku) => format!("/v1/skus/{sku}"),
        Query::Lot { sku, lot } => format!("/v1/skus/{sku}/lots/{lot}"),
        Query::Wallet(owner) => format!("/v1/wallets/{owner}"),
        Query::Authorization(id) => format!("/v1/authorizations/{id}"),
        Query::Fence(resource) => format!("/v1/fences/{resource}"),
        Query::Order(order) => format!("/v1/orders/{order}"),
        Query::Orders { site, status, customer, worker, allocated, placed, page } => {
            let allocated = allocated.map(|flag| Code::new("allocated", &flag.to_string()).unwrap());
            let status = status.map(|status| Code::new("status", status.name()).unwrap());
            let filters = [
                ("site", site),
                ("status", &status),
                ("customer", customer),
                ("worker", worker),
                ("allocated", &allocated),
            ];
            let said = filters.iter().filter_map(|(name, code)| Some(format!("{name}={}&", code.as_ref()?)));
            format!("/v1/orders?{}{}limit={}", said.collect::<String>(), period(placed), page.limit)
        }
        Query::PriceTiers => "/v1/price-tiers".to_owned(),
        Query::Card(card) => format!("/v1/cards/{card}"),
        Query::Cards { owner, page } => {
            let owner = owner.as_ref().map(|owner| format!("owner={owner}&"));
            format!("/v1/cards?{}limit={}", owner.unwrap_or_default(), page.limit)
        }
        Query::Proposal(proposal) => format!("/v1/proposals/{proposal}"),
        Query::Proposals { card, owner, status, page } => {
            let status = status.map(|status| Code::new("status", status.name()).unwrap());
            let filters = [("card", card), ("owner", owner), ("status", &status)];
            let said = filters.iter().filter_map(|(name, code)| Some(format!("{name}={}&", code.as_ref()?)));
            format!("/v1/proposals?{}limit={}", said.collect::<String>(), page.limit)
        }
        Query::Cart(cart) => format!("/v1/carts/{cart}"),
        Query::Carts { site, owner, page } => {
            let filters = [("site", site), ("owner", owner)];
            let said = filters.iter().filter_map(|(name, code)| Some(format!("{name}={}&", code.as_ref()?)));
            format!("/v1/carts?{}limit={}", said.collect::<String>(), page.limit)
        }
        Query::Holds { sku, lot, site, owner, page } => {
            let after = page.after.map(|after| Code::new("after", &format!("p{after}")).unwrap());
            let filters = [("sku", sku), ("lot", lot), ("site", site), ("owner", owner), ("after", &after)];
            let said = filters.iter().filter_map(|(name, code)| Some(format!("{name}={}&", code.as_ref()?)));
            format!("/v1/holds?{}limit={}", said.collect::<String>(), page.limit)
        }
        Query::LotHolders { sku, lot, site, page } => {
            let after = page.after.map(|after| Code::new("after", &format!("p{after:x}")).unwrap());
            let filters = [("site", site), ("after", &after)];
            let said = filters.iter().filter_map(|(name, code)| Some(format!("{name}={}&", code.as_ref()?)));
            format!("/v1/skus/{sku}/lots/{lot}/holders?{}limit={}", said.collect::<String>(), page.limit)
        }
        Query::Transfers { status: None, from, to, worker, requested, page } => {
            let filters = [("from", from), ("to", to), ("worker", worker)];
            let said = filters.iter().filter_map(|(name, code)| Some(format!("{name}={}&", code.as_ref()?)));
            format!("/v1/transfers?{}{}limit={}", said.collect::<String>(), period(requested), page.limit)
        }
        Query::Authorizations { owner, page } => {
            let after = page.after.as_ref().map(|after| format!("after={after}&"));
            format!("/v1/wallets/{owner}/authorizations?{}limit={}", after.unwrap_or_default(), page.limit)
        }
        Query::Accounts(page) => format!("/v1/accounts?limit={}", page.limit),
        Query::ExplainOrder { order, line: None } => format!("/v1/orders/{order}/explain"),
        Query::ExplainOrder { order, line: Some(line) } => format!("/v1/orders/{order}/explain?line={line}"),
        other => panic!("no scenario looks at {other:?}"),
    }
}

/// The parameters of a period.
fn period(period: &Period) -> String {
    let ends = [("since", period.since), ("until", period.until)];
    ends.into_iter().filter_map(|(name, at)| Some(format!("{name}={}&", Time::from(at?)))).collect()
}

/// The URL of a question about the past.
pub(super) fn past_url(past: &LookBack) -> String {
    let said = |filters: &[(&str, Option<String>)]| -> String {
        let said = filters.iter().filter_map(|(name, value)| Some(format!("{name}={}&", value.as_ref()?)));
        said.collect()
    };
    let code = |code: &Option<Code>| code.as_ref().map(Code::to_string);
    let time = |time: Option<jaego_domain::Timestamp>| time.map(|time| Time::from(time).to_string());
    match past {
        LookBack::Stock(filter) => {
            let filters = [
                ("site", code(&filter.site)),
                ("location", code(&filter.location)),
                ("sku", code(&filter.sku)),
                ("lot", code(&filter.lot)),
                ("as_of", time(Some(filter.as_of))),
            ];
            format!("/v1/stock?{}limit={}", said(&filters), filter.limit)
        }
        LookBack::Balance(filter) => {
            let filters =
                [("site", code(&filter.site)), ("since", time(filter.since)), ("until", time(filter.until))];
            format!("/v1/skus/{}/history?{}limit={}", filter.sku, said(&filters), filter.limit)
        }
        LookBack::Statement(filter) => {
            let currency = filter.currency.map(|currency| currency.to_string());
            let filters =
                [("currency", currency), ("since", time(filter.since)), ("until", time(filter.until))];
            format!("/v1/wallets/{}/statement?{}limit={}", filter.owner, said(&filters), filter.limit)
        }
        LookBack::Watched(_) => "/v1/events?kind=stock_watched&limit=1000".to_owned(),
    }
}

/// What was told of the past.
pub(super) fn past_view(past: &LookBack, json: &Value) -> Told {
    let items = json["items"].as_array().unwrap();
    match past {
        LookBack::Stock(_) => match items.as_slice() {
            [] => Told::new("none"),
            [one] => {
                assert!(one.get("held").is_none() && one.get("available").is_none(), "{one}");
                Told::new("").with("on_hand", &one["on_hand"])
            }
            many => panic!("a scenario looks at one position, and there were {}", many.len()),
        },
        LookBack::Balance(_) => {
            let points = list(&json["items"], |point| {
                format!("{:+}:{}", point["change"].as_i64().unwrap(), point["on_hand"])
            });
            let reasons = list(&json["items"], |point| word(&point["reason"]).replace(' ', "_"));
            Told::new("").with("points", or_none(points)).with("reasons", or_none(reasons))
        }
        LookBack::Statement(_) => {
            let lines = list(&json["items"], |line| {
                format!("{:+}:{}", line["change"].as_i64().unwrap(), line["balance"])
            });
            let reasons = list(&json["items"], |line| word(&line["reason"]).replace(' ', "_"));
            Told::new("").with("lines", or_none(lines)).with("reasons", or_none(reasons))
        }
        LookBack::Watched(sku) => {
            let crossings = items.iter().flat_map(|event| event["watched"].as_array().unwrap());
            let crossings = crossings.filter(|item| item["sku"] == sku.as_str()).map(|item| {
                let low = if item["low"] == true { "low" } else { "enough" };
                format!("{}:{}:{low}", word(&item["site"]), item["available"])
            });
            Told::new("").with("told", or_none(crossings.collect::<Vec<_>>().join(",")))
        }
    }
}

/// An outcome.
pub(super) fn done(outcome: &Value) -> Told {
    let mut told = Told::new(if outcome["repeat"] == true { "repeat" } else { "accepted" })
        .with("sequence", &outcome["sequence"])
        .with("at", time(&outcome["at"]));
    if !outcome["id"].is_null() {
        told = told.with("id", word(&outcome["id"]));
    }
    if !outcome["expires_at"].is_null() {
        told = told.with("expires", time(&outcome["expires_at"]));
    }
    if !outcome["balance"].is_null() {
        told = told.with("balance", &outcome["balance"]);
    }
    if !outcome["proposal_kind"].is_null() {
        told = told.with("kind", word(&outcome["proposal_kind"]));
    }
    for (name, items, show) in [
        ("picks", &outcome["picks"], pick as fn(&Value) -> String),
        ("short", &outcome["shortages"], short),
        ("holders", &outcome["holders"], holding),
        ("claims", &outcome["claims"], |claim| {
            let zone = claim["zone"].as_str().map(|zone| format!("/{zone}")).unwrap_or_default();
            format!("{}{zone}:{}", claimed(claim), time(&claim["expires_at"]))
        }),
        ("fences", &outcome["claims"], |claim| format!("{}:{}", claimed(claim), claim["fence"])),
        ("closed", &outcome["closed"], |closed| {
            format!("{}:{}", word(&closed["proposal"]), word(&closed["reason"]))
        }),
    ] {
        let text = list(items, show);
        if !text.is_empty() {
            told = told.with(name, text);
        }
    }
    told
}

/// A problem, its facts by the names that the refusals have for them.
pub(super) fn refusal(problem: &Value) -> Told {
    let code = word(&problem["code"]);
    let mut told = Told::new(code);
    let standard = ["type", "title", "status", "code", "detail", "sequence", "index", "shortages", "holders"];
    for (name, fact) in problem.as_object().expect("a problem is an object") {
        if standard.contains(&name.as_str()) {
            continue;
        }
        let of_fact = fact;
        let fact = fact.as_str().map_or_else(|| fact.to_string(), str::to_owned);
        told = match name.as_str() {
            "skus" => told.with("skus", list(of_fact, |sku| word(sku).to_owned())),
            "funds" if of_fact.is_null() => told.with("funds", "none"),
            "funds" => {
                let (owner, currency) = (word(&of_fact["owner"]), word(&of_fact["currency"]));
                let (requested, available) = (&of_fact["requested"], &of_fact["available"]);
                told.with("funds", format!("{owner}:{currency}:{requested}/{available}"))
            }
            "hold_status" | "authorization_status" | "proposal_status" => told.with("status", fact),
            "expires_at" => told.with("expires", time(&problem["expires_at"])),
            "current_fence" if problem["current_fence"].is_null() => told.with(name, "none"),
            "reason" => told.with("reason", fact.replace(' ', "_")),
            name => told.with(name, fact),
        };
    }
    if code == "checkout_blocked" && problem["shortages"].is_null() {
        told = told.with("short", "none");
    }
    if let Some(shortages) = problem["shortages"].as_array() {
        told = told.with("short", list(&problem["shortages"], short));
        if let [one] = shortages.as_slice() {
            for name in ["line", "site", "sku", "requested", "available"] {
                let fact = one[name].as_str().map_or_else(|| one[name].to_string(), str::to_owned);
                told = told.with(name, fact);
            }
        }
    }
    if !problem["holders"].is_null() {
        told = told.with("holders", list(&problem["holders"], holding));
    }
    told
}

/// Something that was looked at.
pub(super) fn view(query: &Query, json: &Value) -> Told {
    let facts = |told: Told, of: &Value, names: &[&str]| {
        names.iter().fold(told, |told, name| {
            assert!(of[name].is_number() || of[name].is_boolean(), "{name} in {of}");
            told.with(name, &of[name])
        })
    };
    let lines = || json["lines"].as_array().unwrap().iter();
    let picked = |name: &str| {
        let at = lines().flat_map(|line| {
            line[name].as_array().unwrap().iter().map(move |held| place(&line["line"], held))
        });
        or_none(at.collect::<Vec<_>>().join(","))
    };
    match query {
        Query::Stock { .. } => match json["items"].as_array().unwrap().as_slice() {
            [] => Told::new("none"),
            [one] => facts(Told::new(""), one, &["on_hand", "held", "unavailable", "available"]),
            many => panic!("a scenario looks at one position, and there are {}", many.len()),
        },
        Query::Site(_) => Told::new("")
            .with("time_zone", word(&json["time_zone"]))
            .with("strategy", word(&json["strategy"]))
            .with("order_allocation", word(&json["order_allocation"])),
        Query::Location { .. } => Told::new(word(&json["kind"]))
            .with("order", &json["pick_order"])
            .with("zone", word(&json["zone"])),
        Query::Sku(_) => {
            let levels = json["safety_stock"].as_object().unwrap().iter();
            let levels: Vec<_> = levels.map(|(site, level)| format!("{site}:{level}")).collect();
            Told::new(word(&json["tracking"]))
                .with("name", word(&json["name"]))
                .with("safety", levels.join(","))
                .with("prices", or_none(amounts(&json["prices"])))
        }
        Query::Lot { .. } => {
            let told = Told::new(if json["blocked"] == true { "blocked" } else { "open" });
            facts(told, json, &["inside"])
        }
        Query::Hold(_) => {
            let expires =
                if json["expires_at"].is_null() { "never".into() } else { time(&json["expires_at"]) };
            Told::new(word(&json["status"]))
                .with("picks", picked("picks"))
                .with("owner", json["owner"].as_str().unwrap_or("none"))
                .with(
                    "lines",
                    list(&json["lines"], |line| format!("{}:{}", word(&line["sku"]), line["quantity"])),
                )
                .with("expires", expires)
        }
        Query::Transfer(_) => {
            let totals = &json["totals"];
            let [requested, rest @ ..] = ["requested", "allocated", "picked", "shipped", "closed_short"]
                .map(|name| totals[name].as_u64().unwrap());
            let told = Told::new(word(&json["status"]))
                .with("picks", picked("picks"))
                .with("staged", picked("staged"))
                .with("priority", &json["priority"])
                .with("work", or_none(list(&json["picking"], picking)))
                .with("open", requested - rest.iter().sum::<u64>());
            let names = [
                "requested",
                "allocated",
                "picked",
                "shipped",
                "in_transit",
                "received",
                "damaged",
                "lost",
                "closed_short",
            ];
            facts(told, totals, &names)
        }
        Query::Order(_) => {
            let name = |field: &str, none: &str| json[field].as_str().unwrap_or(none).to_owned();
            let lines = list(&json["lines"], |line| format!("{}:{}", word(&line["sku"]), line["quantity"]));
            let told = facts(Told::new(word(&json["status"])), json, &["priority", "allocated"])
                .with("picks", picked("picks"))
                .with("customer", name("customer", "none"))
                .with("completed_by", name("completed_by", "nobody"))
                .with("lines", lines);
            let told = match &json["total"] {
                Value::Null => told.with("sold", "no"),
                total => {
                    let sum = json["paid"].as_u64().unwrap() + json["refunded"].as_u64().unwrap();
                    assert_eq!(*total, sum, "{json}");
                    told.with("sold", format!("{}:{total}", word(&json["currency"])))
                        .with("prices", list(&json["lines"], |line| line["price"].to_string()))
                        .with("refunded", &json["refunded"])
                }
            };
            match &json["claim"] {
                Value::Null => told.with("worker", "none"),
                claim => told
                    .with("worker", word(&claim["worker"]))
                    .with("fence", &claim["fence"])
                    .with("expires", time(&claim["expires_at"])),
            }
        }
        Query::Orders { .. } => {
            let shown = |order: &Value| format!("{}:{}", word(&order["id"]), word(&order["status"]));
            Told::new("").with("orders", or_none(list(&json["items"], shown)))
        }
        Query::PriceTiers => Told::new("").with("from", list(&json["from"], Value::to_string)),
        Query::Card(_) => {
            facts(Told::new(""), json, &["price", "open_proposals"]).with("owner", word(&json["owner"]))
        }
        Query::Cards { .. } => {
            let shown =
                |card: &Value| format!("{}:{}:{}", word(&card["card"]), word(&card["owner"]), card["price"]);
            Told::new("").with("cards", or_none(list(&json["items"], shown)))
        }
        Query::Proposal(_) => {
            let told = facts(Told::new(word(&json["status"])), json, &["from_price", "to_price"])
                .with("proposed", time(&json["proposed_at"]))
                .with("reason", json["reason"].as_str().unwrap_or("none"));
            let names = ["kind", "from_card", "to_card", "from_owner", "to_owner"];
            names.iter().fold(told, |told, name| told.with(name, word(&json[*name])))
        }
        Query::Proposals { .. } => {
            let shown = |one: &Value| format!("{}:{}", word(&one["id"]), word(&one["status"]));
            Told::new("").with("proposals", or_none(list(&json["items"], shown)))
        }
        Query::Cart(_) => {
            let name = |field: &str, none: &str| json[field].as_str().unwrap_or(none).to_owned();
            let items = || json["items"].as_array().unwrap().iter();
            let picks = items().flat_map(|item| {
                item["picks"].as_array().unwrap().iter().map(move |held| place(&item["sku"], held))
            });
            let expires =
                if json["expires_at"].is_null() { "never".into() } else { time(&json["expires_at"]) };
            let shown =
                |item: &Value| format!("{}:{}/{}", word(&item["sku"]), item["quantity"], item["held"]);
            Told::new(word(&json["status"]))
                .with("owner", name("owner", "none"))
                .with("hold", json["hold_s"].as_u64().map_or("none".into(), |seconds| format!("{seconds}s")))
                .with("expires", expires)
                .with("order", name("order", "none"))
                .with("items", or_none(list(&json["items"], shown)))
                .with("picks", or_none(picks.collect::<Vec<_>>().join(",")))
                .with("totals", or_none(amounts(&json["totals"])))
        }
        Query::Carts { .. } => {
            let ids = list(&json["items"], |cart| word(&cart["id"]).to_owned());
            Told::new("").with("carts", or_none(ids))
        }
        Query::Explain { .. } | Query::ExplainOrder { .. } => {
            match json["items"].as_array().unwrap().as_slice() {
                [] => Told::new("none"),
                [line] => facts(Told::new(""), line, &["requested", "open", "available"])
                    .with("candidates", list(&line["candidates"], candidate)),
                _ => Told::new("").with(
                    "lines",
                    list(&json["items"], |line| format!("{}:{}", word(&line["line"]), line["open"])),
                ),
            }
        }
        Query::Wallet(_) => {
            let balances = list(&json["balances"], |one| {
                let sums = ["balance", "held", "limit", "available"].map(|name| one[name].to_string());
                format!("{}:{}", word(&one["currency"]), sums.join("/"))
            });
            let open = list(&json["authorizations"], |id| word(id).to_owned());
            Told::new("").with("balances", or_none(balances)).with("authorizations", or_none(open))
        }
        Query::Transfers { .. } => {
            let shown = |one: &Value| format!("{}:{}", word(&one["id"]), word(&one["status"]));
            Told::new("").with("transfers", or_none(list(&json["items"], shown)))
        }
        Query::Authorizations { .. } => {
            let shown = |one: &Value| format!("{}:{}", word(&one["id"]), one["held"]);
            let told = Told::new("").with("open", or_none(list(&json["items"], shown)));
            told.with("next", json["next"].as_str().unwrap_or("none"))
        }
        Query::Holds { .. } => {
            let shown = |one: &Value| match one["held"].as_u64() {
                Some(held) => format!("{}:{held}", word(&one["id"])),
                None => word(&one["id"]).to_owned(),
            };
            let next = if json["next"].is_null() { "none" } else { "more" };
            Told::new("").with("holds", or_none(list(&json["items"], shown))).with("next", next)
        }
        Query::LotHolders { .. } => {
            let shown = |one: &Value| format!("{}:{}:{}", word(&one["kind"]), word(&one["id"]), one["held"]);
            let next = if json["next"].is_null() { "none" } else { "more" };
            Told::new("").with("holders", or_none(list(&json["items"], shown))).with("next", next)
        }
        Query::Accounts(_) => {
            let shown = |one: &Value| {
                format!("{}/{}:{}", word(&one["currency"]), word(&one["account"]), one["balance"])
            };
            Told::new("").with("accounts", or_none(list(&json["items"], shown)))
        }
        Query::Authorization(_) => {
            let told = Told::new(word(&json["status"]))
                .with("owner", word(&json["owner"]))
                .with("currency", word(&json["currency"]));
            facts(told, json, &["amount", "captured", "held"])
        }
        Query::Fence(_) => facts(Told::new(""), json, &["fence"]),
        Query::Trace { .. } => {
            let on_way = |one: &Value| {
                let [transfer, line, from, to] =
                    ["transfer", "line", "from", "to"].map(|name| word(&one[name]).to_owned());
                format!("{transfer}/{line}:{}:{from}-{to}", one["quantity"])
            };
            facts(Told::new(""), &json["lot"], &["inside"])
                .with("positions", or_none(list(&json["positions"], candidate)))
                .with("in_transit", or_none(list(&json["in_transit"], on_way)))
                .with("in_transit_total", json["in_transit_total"].to_string())
        }
        Query::SkuStock(_) => match json["items"].as_array().unwrap().as_slice() {
            [] => Told::new("none"),
            sites => sites.iter().fold(Told::new(""), |told, at| {
                ["on_hand", "held", "unavailable", "available", "safety_level", "low"]
                    .iter()
                    .fold(told, |told, name| told.with(&format!("{}.{name}", word(&at["site"])), &at[name]))
            }),
        },
        other => panic!("no scenario looks at {other:?}"),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn time(value: &Value) -> String {
    let at = Time::parse("time", word(value)).unwrap().0;
    let ms = i128::from(at) - i128::from(START.0);
    let sign = if ms < 0 { '-' } else { '+' };
    let ms = ms.unsigned_abs();
    if ms % 1_000 == 0 { format!("{sign}{}s", ms / 1_000) } else { format!("{sign}{ms}ms") }
}

fn list(items: &Value, show: impl Fn(&Value) -> String) -> String {
    items.as_array().map(|items| items.iter().map(show).collect::<Vec<_>>().join(",")).unwrap_or_default()
}

/// `KRW:5000,USD:4`.
fn amounts(amounts: &Value) -> String {
    let amounts = amounts.as_object().unwrap().iter();
    amounts.map(|(currency, amount)| format!("{currency}:{amount}")).collect::<Vec<_>>().join(",")
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

/// `A-01:4` for line 1, `2/A-01:4` for others, `A-01#L1:4` for a lot.
fn place(line: &Value, held: &Value) -> String {
    let line = line.as_str().map_or_else(|| line.to_string(), str::to_owned);
    let line = if line == "1" { String::new() } else { format!("{line}/") };
    let lot = held["lot"].as_str().map(|lot| format!("#{lot}")).unwrap_or_default();
    format!("{line}{}{lot}:{}", word(&held["location"]), held["quantity"])
}

fn pick(pick: &Value) -> String {
    place(&pick["line"], pick)
}

fn short(shortage: &Value) -> String {
    format!("{}:{}/{}", word(&shortage["line"]), shortage["requested"], shortage["available"])
}

fn holding(holding: &Value) -> String {
    format!(
        "{}:{}/{}:{}",
        word(&holding["kind"]),
        word(&holding["id"]),
        word(&holding["line"]),
        holding["quantity"]
    )
}

fn candidate(candidate: &Value) -> String {
    let position = &candidate["position"];
    let lot = position["lot"].as_str().map(|lot| format!("#{lot}")).unwrap_or_default();
    format!("{}{lot}:{}", word(&position["location"]), word(&candidate["verdict"]))
}

/// A kind of document that holds stock.
fn kind(kind: HolderKind) -> &'static str {
    match kind {
        HolderKind::Hold => "hold",
        HolderKind::Transfer => "transfer",
        HolderKind::Order => "order",
        HolderKind::Cart => "cart",
    }
}
