//! Wallets, authorizations and the outside accounts of money.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
    ops::Bound,
};

use hashbrown::DefaultHashBuilder;

use super::slab::{Index, Recent, Slab};
use crate::{
    Code, Currency, MoneyOutside, Row, Sequence,
    row::{Authorization, AuthorizationStatus, Wallet},
};

#[derive(Default)]
pub(super) struct Wallets {
    hasher: DefaultHashBuilder,
    rows: Slab<(Code, Wallet)>,
    by_owner: Index,
    /// The wallet that was found last.
    recent: Recent,
    /// In the order in which they were opened: how they are listed.
    by_opening: BTreeMap<Sequence, u32>,
    outside: BTreeMap<(Currency, MoneyOutside), i64>,
    authorizations: Slab<(Code, Box<Authorization>)>,
    by_id: Index,
    /// Owners and ids of those that are open.
    open: BTreeSet<(Code, Code)>,
}

impl Wallets {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn wallet(&self, owner: &Code) -> Option<&Wallet> {
        self.slot(owner).map(|slot| &self.rows.get(slot).1)
    }

    /// Wallets that were opened after an event, in that order.
    pub(super) fn opened_after(&self, after: Sequence) -> impl Iterator<Item = &(Code, Wallet)> {
        self.by_opening.range(after.next()..).map(|(_, slot)| self.rows.get(*slot))
    }

    pub(super) fn outside(&self, currency: Currency, outside: MoneyOutside) -> i64 {
        self.outside.get(&(currency, outside)).copied().unwrap_or_default()
    }

    pub(super) fn authorization(&self, id: &Code) -> Option<&Authorization> {
        self.authorization_slot(id).map(|slot| &*self.authorizations.get(slot).1)
    }

    /// The ids of an owner's open authorizations behind one, or from the first on, in order.
    pub(super) fn open_authorizations<'a>(
        &'a self,
        owner: &'a Code,
        after: Option<&Code>,
    ) -> impl Iterator<Item = &'a Code> {
        let from = match after {
            Some(after) => Bound::Excluded((owner.clone(), after.clone())),
            // A hyphen alone sorts before every other code.
            None => Bound::Included((owner.clone(), Code::new("id", "-").expect("a hyphen is a code"))),
        };
        let open = self.open.range((from, Bound::Unbounded));
        open.take_while(move |(other, _)| other == owner).map(|(_, id)| id)
    }

    pub(super) fn open_authorization_count(&self) -> u64 {
        self.open.len() as u64
    }

    /// The outside accounts that have something, by currency.
    pub(super) fn outside_accounts(&self) -> impl Iterator<Item = (Currency, MoneyOutside, i64)> {
        self.outside.iter().map(|((currency, outside), balance)| (*currency, *outside, *balance))
    }

    /// All authorizations, in no particular order.
    pub(super) fn authorizations(&self) -> impl Iterator<Item = (&Code, &Authorization)> {
        self.authorizations.iter().map(|(_, (id, row))| (id, &**row))
    }

    /// A slot that this owner's wallet may have: nearly always the right one.
    pub(super) fn slot_near(&self, owner: &Code) -> Option<u32> {
        self.by_owner.find(self.hasher.hash_one(owner), |_| true)
    }

    /// Whether the first balance of a slot's wallet is more or less than nothing.
    pub(super) fn has_first_balance(&self, slot: u32) -> bool {
        self.rows.get(slot).1.balances.first().is_some_and(|balance| balance.balance != 0)
    }

    fn slot(&self, owner: &Code) -> Option<u32> {
        self.recent.find(
            |slot| self.rows.find(slot).is_some_and(|row| row.0 == *owner),
            || self.by_owner.find(self.hasher.hash_one(owner), |slot| self.rows.get(slot).0 == *owner),
        )
    }

    fn authorization_slot(&self, id: &Code) -> Option<u32> {
        self.by_id.find(self.hasher.hash_one(id), |slot| self.authorizations.get(slot).0 == *id)
    }

    pub(super) fn put_wallet(&mut self, owner: &Code, wallet: Option<Wallet>) -> Option<Wallet> {
        match (self.slot(owner), wallet) {
            (None, None) => None,
            (Some(slot), Some(wallet)) => Some(std::mem::replace(&mut self.rows.get_mut(slot).1, wallet)),
            (None, Some(wallet)) => {
                let opened = wallet.opened;
                let slot = self.rows.insert((owner.clone(), wallet));
                self.by_opening.insert(opened, slot);
                let (rows, hasher) = (&self.rows, &self.hasher);
                self.by_owner.insert(hasher.hash_one(owner), slot, |slot| hasher.hash_one(&rows.get(slot).0));
                None
            }
            (Some(slot), None) => {
                self.by_owner.remove(self.hasher.hash_one(owner), slot);
                let (_, wallet) = self.rows.remove(slot);
                self.by_opening.remove(&wallet.opened);
                Some(wallet)
            }
        }
    }

    pub(super) fn put_outside(&mut self, currency: Currency, outside: MoneyOutside, balance: i64) -> i64 {
        let before = match balance {
            0 => self.outside.remove(&(currency, outside)),
            _ => self.outside.insert((currency, outside), balance),
        };
        before.unwrap_or_default()
    }

    pub(super) fn put_authorization(
        &mut self,
        id: &Code,
        row: Option<Box<Authorization>>,
    ) -> Option<Box<Authorization>> {
        let found = self.authorization_slot(id);
        if let Some(slot) = found {
            let owner = self.authorizations.get(slot).1.owner.clone();
            self.open.remove(&(owner, id.clone()));
        }
        if let Some(row) = &row
            && row.status() == AuthorizationStatus::Open
        {
            self.open.insert((row.owner.clone(), id.clone()));
        }
        match (found, row) {
            (None, None) => None,
            (Some(slot), Some(row)) => Some(std::mem::replace(&mut self.authorizations.get_mut(slot).1, row)),
            (None, Some(row)) => {
                let slot = self.authorizations.insert((id.clone(), row));
                let (rows, hasher) = (&self.authorizations, &self.hasher);
                self.by_id.insert(hasher.hash_one(id), slot, |slot| hasher.hash_one(&rows.get(slot).0));
                None
            }
            (Some(slot), None) => {
                self.by_id.remove(self.hasher.hash_one(id), slot);
                Some(self.authorizations.remove(slot).1)
            }
        }
    }

    /// Every row of money.
    pub(super) fn wallets(&self) -> impl Iterator<Item = (&Code, &Wallet)> {
        self.rows.iter().map(|(_, (owner, row))| (owner, row))
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let wallets = self.wallets().map(|(owner, row)| Row::Wallet(owner.clone(), Some(row.clone())));
        let outside = self
            .outside
            .iter()
            .map(|((currency, outside), sum)| Row::MoneyOutside(*currency, *outside, *sum));
        let authorizations = self
            .authorizations()
            .map(|(id, row)| Row::Authorization(id.clone(), Some(Box::new(row.clone()))));
        wallets.chain(outside).chain(authorizations)
    }
}
