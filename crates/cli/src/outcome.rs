//! What came of a command, as people read it.

use jaego_api::outcome::Outcome;

use crate::{
    refusal,
    table::{Table, right},
};

/// `what` happened, with the quantities behind it.
pub(crate) fn text(what: &str, outcome: &Outcome) -> String {
    let repeat = if outcome.repeat { ", and was before: nothing new happened" } else { "" };
    format!("{what} (event {}{repeat})\n{}", outcome.sequence, quantities(outcome))
}

/// `what` would happen: there is no event of it.
pub(crate) fn dry_text(what: &str, outcome: &Outcome) -> String {
    format!("{what}\n{}", quantities(outcome))
}

fn quantities(outcome: &Outcome) -> String {
    picks(outcome) + &refusal::shortages(&outcome.shortages) + &refusal::holders(&outcome.holders)
}

fn picks(outcome: &Outcome) -> String {
    let mut table = Table::new(&["LINE", "SKU", "LOT", "SITE", "LOCATION", right!("QUANTITY")]);
    for pick in &outcome.picks {
        let lot = pick.lot.as_deref().unwrap_or_default();
        table.row([&pick.line, &pick.sku, lot, &pick.site, &pick.location, &pick.quantity.to_string()]);
    }
    if outcome.picks.is_empty() { String::new() } else { table.text() }
}
