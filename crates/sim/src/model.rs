//! The plain model that histories are replayed on: stock in one bin for each SKU, holds, receipts. It shares no code
//! with the decisions.

use std::collections::BTreeMap;

use crate::history::{Ask, HoldState, Told};

/// Stock of one SKU.
#[derive(Debug, Clone, Copy, Default)]
struct Stock {
    on_hand: u64,
    held: u64,
}

#[derive(Debug, Clone)]
struct Hold {
    sku: usize,
    units: u64,
    state: HoldState,
    event: u64,
}

/// What should be so after some events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    stock: Vec<Stock>,
    holds: BTreeMap<u64, Hold>,
    receipts: BTreeMap<u64, (usize, u64, u64)>,
    keys: BTreeMap<u64, (bool, u64, u64)>,
}

impl Model {
    pub(crate) fn new(skus: usize, on_hand: u64) -> Self {
        Self { stock: vec![Stock { on_hand, held: 0 }; skus], ..Self::default() }
    }

    /// What has to be answered now. A new event's number is `event`.
    pub(crate) fn expects(&self, asked: &Ask, event: u64) -> Told {
        let new = |units| Told::Done { event, repeat: false, units };
        match *asked {
            Ask::Hold { id, sku, units } => match self.holds.get(&id) {
                Some(hold) if (hold.sku, hold.units) == (sku, units) => {
                    Told::Done { event: hold.event, repeat: true, units }
                }
                Some(_) => refused("id_taken"),
                None => {
                    let available = self.stock[sku].on_hand - self.stock[sku].held;
                    if available < units {
                        return Told::Refused { code: "insufficient_stock", available: Some(available) };
                    }
                    new(units)
                }
            },
            Ask::Release { id, key } => self.ends(false, id, key, event),
            Ask::Confirm { id, key } => self.ends(true, id, key, event),
            Ask::Receive { id, sku, units } => match self.receipts.get(&id) {
                Some((old_sku, old_units, event)) if (*old_sku, *old_units) == (sku, units) => {
                    Told::Done { event: *event, repeat: true, units: 0 }
                }
                Some(_) => refused("id_taken"),
                None => new(0),
            },
            Ask::Read { sku } => {
                let Stock { on_hand, held } = self.stock[sku];
                Told::Stock { on_hand, held, available: on_hand - held }
            }
            Ask::ReadHold { id } => Told::Hold(self.holds.get(&id).map(|hold| hold.state)),
        }
    }

    fn ends(&self, confirms: bool, id: u64, key: u64, event: u64) -> Told {
        match self.keys.get(&key) {
            Some((did, of, event)) if (*did, *of) == (confirms, id) => {
                return Told::Done { event: *event, repeat: true, units: 0 };
            }
            Some(_) => return refused("idempotency_conflict"),
            None => {}
        }
        match self.holds.get(&id) {
            None => refused("hold_not_found"),
            Some(hold) if hold.state != HoldState::Open => refused("hold_ended"),
            Some(_) => Told::Done { event, repeat: false, units: 0 },
        }
    }

    /// Something new happened.
    pub(crate) fn apply(&mut self, asked: &Ask, event: u64) {
        match *asked {
            Ask::Hold { id, sku, units } => {
                self.stock[sku].held += units;
                self.holds.insert(id, Hold { sku, units, state: HoldState::Open, event });
            }
            Ask::Release { id, key } => self.end(false, id, key, event),
            Ask::Confirm { id, key } => self.end(true, id, key, event),
            Ask::Receive { id, sku, units } => {
                self.stock[sku].on_hand += units;
                self.receipts.insert(id, (sku, units, event));
            }
            Ask::Read { .. } | Ask::ReadHold { .. } => {}
        }
    }

    fn end(&mut self, confirms: bool, id: u64, key: u64, event: u64) {
        self.keys.insert(key, (confirms, id, event));
        let Some(hold) = self.holds.get_mut(&id) else { return };
        let stock = &mut self.stock[hold.sku];
        stock.held -= hold.units;
        if confirms {
            stock.on_hand -= hold.units;
        }
        hold.state = if confirms { HoldState::Confirmed } else { HoldState::Released };
    }
}

fn refused(code: &'static str) -> Told {
    Told::Refused { code, available: None }
}
