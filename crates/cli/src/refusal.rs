//! Refusals as people read them: what happened, to which thing, the numbers, and what to try.

use jaego_api::{
    Problem,
    stock::{Holding, Shortage},
};

use crate::{
    table::{Table, right},
    typed::Given,
};

/// What to try when a command is refused for this, if there is something to try: flags that it has, and other commands.
fn advice(code: &str, command: &clap::Command) -> Option<&'static str> {
    let has = |flag: &str| command.get_arguments().any(|argument| argument.get_long() == Some(flag));
    Some(match code {
        "insufficient_stock" if has("partial") => {
            "ask for less, or say --partial allow to take what there is; `jaego stock list --sku SKU` shows where it lies"
        }
        "insufficient_stock" if has("backorder") => {
            "ask for less, or say --backorder to wait for what is missing; `jaego stock list --sku SKU` shows where it lies"
        }
        "insufficient_stock" => {
            "ask for less, or wait until there is more; `jaego stock list --sku SKU` shows where it lies"
        }
        "not_stocked_here" => "`jaego stock totals SKU` shows which sites have it",
        "stock_held" if has("release-holds") => {
            "release those holds first, or name them with --release, or say --release-holds"
        }
        "stock_held" if has("with-holds") => {
            "release those holds first, or say --with-holds and they go along"
        }
        "stock_held" => "release those holds first",
        "held_by_others" if has("release-holds") => {
            "name those as well with --release, adjust by less, or say --release-holds to cut anybody's"
        }
        "unauthorized" if has("token-file") => {
            "set JAEGO_TOKEN, or --token-file; `jaego token create` makes a token"
        }
        "forbidden" => {
            "use a token of a higher role, or of that site: `jaego token list` shows what there is"
        }
        "site_not_found" => "`jaego site list` shows the sites, `jaego site set` makes one",
        "location_not_found" => {
            "`jaego location list SITE` shows the locations, `jaego location set` makes one"
        }
        "no_location" => {
            "`jaego location set SITE LOCATION --kind KIND` makes one, of the kind that is named here"
        }
        "wrong_location_kind" => "`jaego location list SITE` shows their kinds",
        "sku_not_found" => "`jaego sku list` shows the SKUs, `jaego sku set` makes one",
        "lot_not_found" => "`jaego lot list SKU` shows the lots, `jaego lot set` makes one",
        "transfer_not_found" => "`jaego transfer list` shows the transfers",
        "transfer_allocated" if has("release") => "say --release to give up what it holds",
        "transfer_allocated" => "`jaego transfer release ID` gives up what it holds",
        "transfer_picked" | "transfer_shipped" | "nothing_lacking" => {
            "`jaego transfer show ID` shows how far it is"
        }
        "nothing_allocated" => {
            "`jaego transfer allocate ID` first; `jaego transfer explain ID` shows what is in the way"
        }
        "nothing_picked" => "`jaego transfer pick ID` first",
        "nothing_in_transit" => "`jaego transfer ship ID SHIPMENT` first",
        "id_taken" => "choose another id; ids are never used twice",
        "insufficient_funds" => "`jaego wallet show OWNER` shows what is available and what is held",
        "authorization_not_found" => "`jaego wallet show OWNER` shows the open authorizations",
        "idempotency_conflict" if has("key") => "choose another --key",
        "hold_ended" => "place a new hold under a new id",
        "lot_blocked" | "lot_expired" => {
            "take goods of another lot: `jaego order allocate ORDER` swaps an order's, `jaego hold change` a hold's; of a transfer `jaego transfer release` them, and allocate again"
        }
        "lot_required" => "name the lot: SKU/LOT=QUANTITY",
        "location_required" => "name the location: SKU@LOCATION=QUANTITY",
        "cursor_ahead" if has("follow") => {
            "say --after with the last event that is known to be in the backup, or leave it out: that begins with the first event, and with --follow from now on"
        }
        "history_archived" => {
            "ask for a later time or event; older ones are in the pieces that were archived"
        }
        "outcome_archived" => "there is nothing to do: it was done",
        "history_unreadable" => {
            "stop the service and run `jaego verify --data FOLDER`, which names the damage; then `jaego restore`"
        }
        "order_not_found" => "`jaego order list` shows the orders",
        "order_short" => {
            "`jaego order show ID` shows what it lacks; `jaego order allocate ID` once there is stock"
        }
        "order_claimed" => "wait until the claim is over, or claim another with `jaego claim next SITE`",
        "transfer_claimed" => {
            "pick under your own claim, or claim another with `jaego claim next SITE --work picks`"
        }
        "location_claimed" => "wait until it is picked, or give the claim up with `jaego transfer unclaim`",
        "claim_lost" => {
            "leave the goods: `jaego order show ID` or `jaego transfer show ID` tells who has it now"
        }
        "stale_fence" => "the lock is another's by now: stop, and ask for it again",
        "fence_not_found" => {
            "`jaego fence raise RESOURCE FENCE` is how it begins, or a command that carries one"
        }
        "nothing_to_claim" if has("work") => {
            "`jaego order list --site SITE --status waiting` shows what orders wait for; with --work picks, `jaego transfer list --status allocated` and `jaego transfer show ID` what is to be picked, and who has it"
        }
        "nothing_to_claim" => {
            "`jaego order list --site SITE --status waiting` shows what waits, and for what; of transfers, those that are allocated"
        }
        "card_not_found" => "`jaego card list` shows the cards, `jaego card set` makes one",
        "card_not_owned" => {
            "`jaego card show CARD` shows whose it is; `jaego card set --from OWNER` gives it to another"
        }
        "proposal_not_found" => "`jaego proposal list` shows the proposals",
        "pair_proposed" => "answer the one that is open, or wait until it has ended",
        "too_many_proposals" => {
            "`jaego proposal list --card CARD --status open` shows which could be answered"
        }
        "proposal_ended" => "make a new one: `jaego card show CARD` shows how the cards are now",
        "cart_not_found" => "`jaego cart list` shows the open carts, `jaego cart set` opens one",
        "cart_ordered" => "`jaego order show ORDER` shows the order; open a new cart under a new id",
        "cart_discarded" => "open a new cart under a new id",
        "cart_empty" => "`jaego cart item CART SKU QUANTITY` puts something in",
        "price_not_set" => "`jaego sku set SKU --price KRW=5000` sets a price, and all else of the SKU",
        "price_changed" => "`jaego cart show CART` shows what it costs now",
        "checkout_blocked" => {
            "take out what there is too little of, and charge the wallet: `jaego cart show CART`, `jaego wallet show OWNER`"
        }
        "too_many_failures" | "rate_limited" | "busy" => "wait a moment and give it again",
        "request_timeout" | "store_failed" | "internal" if has("key") => {
            "look whether it took effect before you give it again; with the same id, or a --key of your own, giving it again tells"
        }
        "request_timeout" | "store_failed" | "internal" => {
            "look whether it took effect before you give it again; with the same id, giving it again tells"
        }
        _ => return None,
    })
}

/// Why a command was refused, as people read it, with a newline at its end.
pub(crate) fn text(problem: &Problem, given: &Given<'_>) -> String {
    let mut text = format!("jaego: refused: {} ({})\n", given.detail(problem), problem.code);
    text += &shortages(&problem.shortages);
    text += &holders(&problem.holders);
    if let Some(advice) = advice(&problem.code, given.command()) {
        text += &format!("try: {advice}\n");
    }
    text
}

/// What lines lacked; empty if there are none.
pub(crate) fn shortages(shortages: &[Shortage]) -> String {
    let mut table = Table::new(&["LINE", "SKU", "SITE", right!("REQUESTED"), right!("AVAILABLE")]);
    for short in shortages {
        table.row([
            &*short.line,
            &*short.sku,
            &*short.site,
            &short.requested.to_string(),
            &short.available.to_string(),
        ]);
    }
    table.text_if_any("short:")
}

/// Who holds what; empty if nobody does.
pub(crate) fn holders(holders: &[Holding]) -> String {
    let mut table = Table::new(&["HELD BY", "ID", "LINE", right!("QUANTITY")]);
    for holding in holders {
        table.row([holding.kind.as_str(), &*holding.id, &*holding.line, &holding.quantity.to_string()]);
    }
    table.text_if_any("holders:")
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};
    use jaego_api::problem::ProblemKind;

    use super::*;

    fn program() -> Command {
        let mut program = crate::Cli::command();
        program.build();
        program
    }

    fn each_command<'a>(command: &'a Command, visit: &mut impl FnMut(&'a Command)) {
        if !command.has_subcommands() {
            visit(command);
        }
        command.get_subcommands().for_each(|inner| each_command(inner, visit));
    }

    fn find<'a>(program: &'a Command, path: &str) -> &'a Command {
        let inner = |command: &'a Command, name| command.find_subcommand(name).expect("it is a command");
        path.split(' ').fold(program, inner)
    }

    /// Flags in a text, which the command has to have.
    fn check_flags(text: &str, command: &Command, advice: &str) {
        let words = text.split(|letter: char| letter.is_whitespace() || ",;()=:".contains(letter));
        for flag in words.filter_map(|word| word.strip_prefix("--")) {
            let has = command.get_arguments().any(|argument| argument.get_long() == Some(flag));
            assert!(has, "{} has no --{flag}: {advice}", command.get_name());
        }
    }

    /// A command that an advice quotes: it is there, and has the flags that are named.
    fn check_quoted(program: &Command, quoted: &str, advice: &str) {
        let mut words = quoted.split(' ');
        assert_eq!(words.next(), Some("jaego"), "{advice}");
        let mut command = program;
        for word in words {
            match command.find_subcommand(word) {
                Some(inner) => command = inner,
                None => break,
            }
        }
        assert!(!command.has_subcommands(), "`{quoted}` is no command: {advice}");
        check_flags(quoted, command, advice);
    }

    #[test]
    fn what_is_advised_is_there() {
        let program = program();
        each_command(&program, &mut |command| {
            for kind in ProblemKind::all() {
                let Some(advice) = advice(kind.code, command) else { continue };
                for (index, part) in advice.split('`').enumerate() {
                    match index % 2 {
                        0 => check_flags(part, command, advice),
                        _ => check_quoted(&program, part, advice),
                    }
                }
            }
        });
    }

    #[test]
    fn what_is_advised_is_for_the_command_that_was_given() {
        let program = program();
        for (path, code, expected) in [
            ("hold place", "insufficient_stock", Some("--partial allow")),
            ("hold change", "insufficient_stock", Some("--partial allow")),
            ("transfer allocate", "insufficient_stock", Some("--partial allow")),
            ("order place", "insufficient_stock", Some("--backorder")),
            ("cart item", "insufficient_stock", None),
            ("stock adjust", "stock_held", Some("--release-holds")),
            ("stock count", "stock_held", Some("--release-holds")),
            ("stock move", "stock_held", Some("--with-holds")),
            ("transfer cancel", "transfer_allocated", Some("--release")),
        ] {
            let advice = advice(code, find(&program, path)).expect("there is something to try");
            let own = advice.split('`').next().expect("a text has a first part");
            assert!(expected.map_or(!own.contains("--"), |flag| own.contains(flag)), "{path}: {advice}");
        }
    }
}
