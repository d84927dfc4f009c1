//! Allocating many transfers after an import, and what was short in sum.

use std::collections::BTreeMap;

use anyhow::Result;
use jaego_api::{batch::BatchItem, limits::BATCH_LINES_MAX, status::Status, stock::Shortage};
use jaego_client::Client;
use serde_json::{Value, json};

use crate::{
    import::{Command, progress},
    lines::counted,
    table::{Table, right},
};

/// Transfers in one batch.
const BATCH_TRANSFERS_MAX: usize = 500;
/// SKUs in the table of what was short.
const SHORT_SHOWN_MAX: usize = 20;

/// What came of allocating.
#[derive(Default)]
pub(crate) struct Allocated {
    transfers: usize,
    /// Transfers that lacked nothing any more: an earlier load allocated them.
    already: usize,
    /// Transfers that got nothing.
    empty_handed: usize,
    units: u64,
    short_units: u64,
    short: BTreeMap<(String, String), u64>,
    refused: Vec<(String, String)>,
}

/// Allocates the transfers in the order of their file. A part is better than nothing.
pub(crate) async fn all(client: &Client, commands: &[&Command]) -> Result<Allocated> {
    let bar = progress(commands.len(), "allocate");
    let begin = client.read::<Status>("status", &[]).await?.sequence;
    let mut allocated = Allocated::default();
    let mut rest = commands;
    while !rest.is_empty() {
        let mut lines = 0;
        let count = rest.iter().take(BATCH_TRANSFERS_MAX).take_while(|command| {
            lines += command.lines;
            lines <= BATCH_LINES_MAX
        });
        let (chunk, next) = rest.split_at(count.count().max(1));
        let batch = chunk.iter().map(|command| json!({ "op": "allocate_transfer", "transfer": command.id }));
        // Each gets a new request key: allocating a second time takes only what is still lacking.
        allocated.count(client.batch(batch.collect(), false).await?.items, begin);
        bar.inc(chunk.len() as u64);
        rest = next;
    }
    bar.finish_and_clear();
    Ok(allocated)
}

impl Allocated {
    /// Counts the answers to a batch that was given after the event `begin`.
    fn count(&mut self, items: Vec<BatchItem>, begin: u64) {
        for item in items {
            match (item.outcome, item.problem) {
                // A batch whose answer was lost is given again, and what it did comes as repeats of younger events.
                (Some(outcome), _) if outcome.repeat && outcome.sequence <= begin => self.already += 1,
                (Some(outcome), _) => {
                    self.transfers += 1;
                    self.units += outcome.picks.iter().map(|pick| pick.quantity).sum::<u64>();
                    self.lack(&outcome.shortages);
                }
                // Nothing at all was available: a shortage like the others.
                (None, Some(problem)) if !problem.shortages.is_empty() => {
                    self.empty_handed += 1;
                    self.lack(&problem.shortages);
                }
                (None, Some(problem)) => self.refused.push((item.id.to_string(), problem.detail)),
                (None, None) => {}
            }
        }
    }

    fn lack(&mut self, shortages: &[Shortage]) {
        for short in shortages {
            let units = short.requested.saturating_sub(short.available);
            self.short_units += units;
            *self.short.entry((short.site.to_string(), short.sku.to_string())).or_default() += units;
        }
    }

    pub(crate) fn has_refusals(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(crate) fn json(&self) -> Value {
        let short: Vec<_> = self
            .short
            .iter()
            .map(|((site, sku), units)| json!({ "site": site, "sku": sku, "quantity": units }))
            .collect();
        let refused: Vec<_> =
            self.refused.iter().map(|(id, detail)| json!({ "transfer": id, "detail": detail })).collect();
        json!({
            "transfers": self.transfers, "already": self.already, "empty_handed": self.empty_handed, "quantity": self.units, "short_quantity": self.short_units,
            "short": short, "refused": refused,
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "allocated: {} for {}, nothing for {}; {} of {} {} short\n",
            counted(self.units, "unit"),
            counted(self.transfers as u64, "transfer"),
            self.empty_handed,
            counted(self.short_units, "unit"),
            counted(self.short.len() as u64, "SKU"),
            if self.short_units == 1 { "is" } else { "are" },
        );
        if self.already > 0 {
            let were = if self.already == 1 { "was" } else { "were" };
            text += &format!("{} {were} allocated before\n", counted(self.already as u64, "transfer"));
        }
        let mut short: Vec<_> = self.short.iter().collect();
        short.sort_by_key(|(_, units)| std::cmp::Reverse(**units));
        let mut table = Table::new(&["SITE", "SKU", right!("SHORT")]);
        for ((site, sku), units) in short.iter().take(SHORT_SHOWN_MAX) {
            table.row([site, sku, &units.to_string()]);
        }
        text += &table.text_if_any("most of it:");
        for (id, detail) in self.refused.iter().take(SHORT_SHOWN_MAX) {
            text += &format!("transfer {id} was not allocated: {detail}\n");
        }
        if self.refused.len() > SHORT_SHOWN_MAX {
            text += &format!("and {} transfers more\n", self.refused.len() - SHORT_SHOWN_MAX);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_of_what_this_run_did_is_no_earlier_allocation() {
        let item = |sequence: u64, repeat: bool| -> BatchItem {
            let pick = json!({
                "line": "1", "site": "ICN", "location": "A-01", "sku": "mug", "lot": null, "quantity": 3,
            });
            let outcome = json!({
                "id": "T1", "sequence": sequence, "at": "2026-03-01T00:00:00Z", "repeat": repeat, "picks": [pick],
            });
            let item = json!({ "index": 0, "id": "T1", "status": "done", "outcome": outcome });
            serde_json::from_value(item).unwrap()
        };
        let mut allocated = Allocated::default();
        allocated.count(vec![item(10, true), item(11, true), item(12, false)], 10);
        assert_eq!((allocated.already, allocated.transfers, allocated.units), (1, 2, 6));
    }
}
