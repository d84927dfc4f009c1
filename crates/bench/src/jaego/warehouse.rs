//! The master data that a workload works on, made and checked through the interface.

use serde_json::{Value, json};

use crate::Error;
use crate::http::{Client, Target};
use crate::limits::{PAGE_LEN, SETUP_COMMANDS, SETUP_LINES};
use crate::progress::Progress;

/// Digits of a SKU's number.
pub(crate) const SKU_DIGITS: usize = 8;
/// What SKUs begin with. They are shared by all workloads; sites are not.
pub(crate) const SKU_PREFIX: &str = "bench-";
/// What sites begin with.
pub(crate) const SITE_PREFIX: &str = "bench-";
const BIN: &str = "A-01";

/// A site with some of every SKU in one bin.
#[derive(Debug)]
pub(crate) struct Warehouse {
    pub(crate) target: Target,
    pub(crate) site: String,
    skus: u32,
}

/// What lies in a warehouse, summed over its positions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) positions: usize,
    pub(crate) on_hand: u64,
    pub(crate) held: u64,
    pub(crate) available: u64,
}

pub(crate) fn sku(number: u32) -> String {
    format!("{SKU_PREFIX}{number:0SKU_DIGITS$}")
}

impl Warehouse {
    /// Makes the site, the SKUs `0..skus` and their stock.
    pub(crate) fn build(
        target: &Target,
        site: &str,
        skus: u32,
        stock: u64,
        progress: &mut Progress,
    ) -> Result<Self, Error> {
        let mut client = Client::connect(target)?;
        let mut commands = vec![
            json!({ "op": "set_site", "site": site, "name": "Benchmark" }),
            json!({ "op": "set_location", "site": site, "location": BIN, "kind": "storage" }),
        ];
        for number in 0..skus {
            commands.push(json!({ "op": "set_sku", "sku": sku(number) }));
            if commands.len() == SETUP_COMMANDS {
                batch(&mut client, std::mem::take(&mut commands))?;
                progress.step(&format!("{site}: SKUs"), number as usize + 1, skus as usize);
            }
        }
        batch(&mut client, commands)?;

        let numbers: Vec<u32> = (0..skus).collect();
        for (index, numbers) in numbers.chunks(SETUP_LINES).enumerate() {
            let lines: Vec<Value> = numbers
                .iter()
                .map(|number| {
                    json!({ "site": site, "location": BIN, "sku": sku(*number), "change": stock, "account": "opening" })
                })
                .collect();
            let id = format!("{site}-stock-{index}");
            client.post("/v1/adjustments", &json!({ "id": id, "reason": "benchmark", "lines": lines }))?;
            progress.step(&format!("{site}: stock"), (index + 1) * SETUP_LINES, skus as usize);
        }
        progress.say(&format!("{site}: {skus} SKUs, {stock} of each"));
        Ok(Self { target: target.clone(), site: site.to_owned(), skus })
    }

    /// Makes a site without stock.
    pub(crate) fn build_empty(target: &Target, site: &str) -> Result<(), Error> {
        let commands = vec![
            json!({ "op": "set_site", "site": site, "name": "Benchmark" }),
            json!({ "op": "set_location", "site": site, "location": BIN, "kind": "storage" }),
            json!({ "op": "set_location", "site": site, "location": "RECEIVING", "kind": "receiving" }),
        ];
        batch(&mut Client::connect(target)?, commands)
    }

    /// What the ids of its documents begin with, where they shall be no longer than a shop's own.
    pub(crate) fn id_prefix(&self) -> &str {
        self.site.strip_prefix(SITE_PREFIX).unwrap_or(&self.site)
    }

    /// Goes over every position of the site. `each` gets the SKU's number and what is held of it.
    pub(crate) fn books(&self, mut each: impl FnMut(u32, u64)) -> Result<Books, Error> {
        let mut client = Client::connect(&self.target)?;
        let path = format!("/v1/stock?site={}&limit={PAGE_LEN}", self.site);
        let mut books = Books::default();
        pages(&mut client, &path, |position| {
            let number = |name: &str| position.get(name).and_then(Value::as_u64);
            let sku =
                position.get("sku").and_then(Value::as_str).and_then(|sku| sku.strip_prefix(SKU_PREFIX));
            let (Some(sku), Some(on_hand), Some(held), Some(available)) = (
                sku.and_then(|sku| sku.parse().ok()),
                number("on_hand"),
                number("held"),
                number("available"),
            ) else {
                return Err(self.wrong(format!("this is no position of ours: {position}")));
            };
            if held + available > on_hand {
                return Err(self.wrong(format!("more is held and available than is there: {position}")));
            }
            books.positions += 1;
            books.on_hand += on_hand;
            books.held += held;
            books.available += available;
            each(sku, held);
            Ok(())
        })?;
        if books.positions != self.skus as usize {
            return Err(
                self.wrong(format!("{} positions were made and {} are there", self.skus, books.positions))
            );
        }
        Ok(books)
    }

    pub(crate) fn wrong(&self, detail: String) -> Error {
        Error::Books { subject: self.site.clone(), detail }
    }
}

/// Goes over all the pages of a list.
pub(crate) fn pages(
    client: &mut Client,
    path: &str,
    mut each: impl FnMut(&Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = client.get(&format!("{path}{after}"))?;
        for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            each(item)?;
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(()),
        }
    }
}

/// Runs commands of which each must be done.
fn batch(client: &mut Client, commands: Vec<Value>) -> Result<(), Error> {
    if commands.is_empty() {
        return Ok(());
    }
    let answer = client.post("/v1/batch", &json!({ "commands": commands }))?;
    let items = answer.get("items").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let refused = items.iter().find(|item| item.get("status").and_then(Value::as_str) != Some("done"));
    if refused.is_some() || items.len() != commands.len() {
        let answer = refused.map_or_else(
            || format!("{} answers to {} commands", items.len(), commands.len()),
            Value::to_string,
        );
        return Err(Error::Setup { doing: "POST /v1/batch".to_owned(), answer });
    }
    Ok(())
}
