//! Master data: sites, locations, SKUs and lots.

use super::{distinct, line_count};
use crate::{
    Amount, Code, Currency, Date, Digest, Name, Quantity, Refusal, Strategy, TimeZone,
    limits::PRICES_MAX,
    row::{LocationKind, Tracking},
};

/// Sets a site: makes it, or changes its name, time zone or strategy.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetSite {
    pub site: Code,
    pub name: Name,
    pub time_zone: TimeZone,
    pub strategy: Strategy,
}

impl SetSite {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        if self.strategy == Strategy::Explicit {
            // Whoever names no positions would get some all the same.
            return Err(Refusal::invalid("strategy", "is explicit, which a request says for itself"));
        }
        Ok(())
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(1).text(self.site.as_str()).text(self.name.as_str());
        d.text(self.time_zone.name()).text(self.strategy.name());
    }
}

/// Sets a location. Its kind is fixed while something lies there.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetLocation {
    pub site: Code,
    pub location: Code,
    pub zone: Name,
    pub pick_order: u32,
    pub kind: LocationKind,
}

impl SetLocation {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(2).text(self.site.as_str()).text(self.location.as_str());
        d.text(self.zone.as_str()).number(self.pick_order.into()).text(self.kind.name());
    }
}

/// Sets a SKU. Its tracking is fixed once it was stocked. `safety_stock` replaces the levels of all sites, `prices`
/// those in all currencies.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetSku {
    pub sku: Code,
    pub name: Name,
    pub tracking: Tracking,
    pub safety_stock: Vec<(Code, Quantity)>,
    /// What one unit costs; may be nothing.
    pub prices: Vec<(Currency, Amount)>,
}

impl SetSku {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        line_count(self.safety_stock.len().max(1))?;
        distinct(self.safety_stock.iter().map(|(site, _)| site))?;
        if self.prices.len() > PRICES_MAX {
            return Err(Refusal::invalid("prices", format!("are in more than {PRICES_MAX} currencies")));
        }
        let currency = |(currency, _): &(Currency, Amount)| currency_code(*currency);
        distinct(self.prices.iter().map(currency).collect::<Vec<_>>().iter())
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(3).text(self.sku.as_str()).text(self.name.as_str()).text(self.tracking.name());
        for (site, level) in &self.safety_stock {
            d.text(site.as_str()).number(level.get());
        }
        // Fingerprints of what was asked before there were prices stay what they are.
        if !self.prices.is_empty() {
            d.number(51);
        }
        for (currency, price) in &self.prices {
            d.text(currency.as_str()).number(price.get());
        }
    }
}

/// Sets a lot or serial number; `blocked` recalls it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetLot {
    pub sku: Code,
    pub lot: Code,
    pub received_on: Option<Date>,
    pub expires_on: Option<Date>,
    pub blocked: bool,
}

impl SetLot {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(4).text(self.sku.as_str()).text(self.lot.as_str());
        for day in [self.received_on, self.expires_on] {
            d.maybe_text(day.map(|day| day.to_string()).as_deref());
        }
        d.flag(self.blocked);
    }
}

fn currency_code(currency: Currency) -> Code {
    Code::new("currency", currency.as_str()).expect("capital letters are a code")
}
