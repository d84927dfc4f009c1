//! The obvious version of the stock watch: after each turn what was told last of a watched SKU is how it stands.

use std::collections::BTreeMap;

use jaego_domain::{Date, LotId, Place, Quantity, SiteId, SkuId, TimeZone, Timestamp, event::Watched};

use super::Naive;

#[derive(Default)]
pub(super) struct Watch {
    watched: BTreeMap<(SiteId, SkuId), Pair>,
    /// When the last event was.
    pub(super) last: Timestamp,
}

/// A SKU at a site where it has a safety level, or once had one.
#[derive(Default)]
struct Pair {
    level: u64,
    /// Whether it was told to be low, and not since to have recovered.
    low: bool,
    /// What it depends on but the time, and since when that is so.
    ground: Option<Ground>,
    since: Timestamp,
}

#[derive(PartialEq)]
struct Ground {
    level: u64,
    zone: TimeZone,
    /// By place: what could be taken there, and what is known of its lot.
    places: Vec<(Place, u64, Option<LotState>)>,
}

/// The last day, and whether it is blocked.
type LotState = (Option<Date>, bool);

impl Watch {
    pub(super) fn set_levels(&mut self, sku: SkuId, levels: &[(SiteId, Quantity)]) {
        for (_, pair) in self.watched.iter_mut().filter(|((_, of), _)| *of == sku) {
            pair.level = 0;
        }
        for (site, level) in levels {
            self.watched.entry((*site, sku)).or_default().level = level.get();
        }
    }
}

impl Naive {
    /// Crossings are told: each is one, and says what there is.
    pub(super) fn crossed(&mut self, items: &[Watched], at: Timestamp) {
        for item in items {
            let available = self.available_in_all(item.site, item.sku, at);
            let pair = self.watch.watched.get_mut(&(item.site, item.sku)).expect("it is watched");
            assert_ne!(pair.low, item.low, "what was told once is not told again: {item:?}");
            assert_eq!(item.low, available < pair.level, "{item:?}");
            assert_eq!(item.level.get(), pair.level, "{item:?}");
            // Where nothing is watched any more, nobody adds up what there is.
            assert!(item.available.get() == available || pair.level == 0, "{item:?}, not {available}");
            pair.low = item.low;
        }
    }

    /// Notes what changed with the events of a turn, which were all at the same time.
    pub(crate) fn watch_again(&mut self) {
        let at = self.watch.last;
        let grounds: Vec<_> = self.watch.watched.iter().map(|(key, pair)| self.ground(*key, pair)).collect();
        for (pair, ground) in self.watch.watched.values_mut().zip(grounds) {
            if pair.ground.as_ref() != Some(&ground) {
                (pair.ground, pair.since) = (Some(ground), at);
            }
        }
    }

    fn ground(&self, (site, sku): (SiteId, SkuId), pair: &Pair) -> Ground {
        let here = self.on_hand.keys().filter(|place| self.lies_at(place, site, sku));
        let places = here.map(|place| {
            let units = self.on_hand(*place) - self.held(*place) - self.missing(*place);
            (*place, units, (place.lot != LotId::NONE).then(|| self.lots[&place.lot]))
        });
        Ground { level: pair.level, zone: self.zones[&site].clone(), places: places.collect() }
    }

    fn lies_at(&self, place: &Place, site: SiteId, sku: SkuId) -> bool {
        place.sku == sku && self.locations[&place.location].0 == site
    }

    fn available_in_all(&self, site: SiteId, sku: SkuId, at: Timestamp) -> u64 {
        let here = self.on_hand.keys().filter(|place| self.lies_at(place, site, sku));
        here.map(|place| self.available(*place, at)).sum()
    }

    /// What was told last is how it was at the last change, or how it is now that lots may have ended.
    pub(super) fn crossings_are_told(&self, now: Timestamp) -> Result<(), String> {
        for ((site, sku), pair) in &self.watch.watched {
            let is_low = |at| self.available_in_all(*site, *sku, at) < pair.level;
            if pair.low != is_low(pair.since) && pair.low != is_low(now) {
                return Err(format!(
                    "{sku:?} at {site:?} was told to be low: {}, and is so since {}: {}",
                    pair.low,
                    pair.since,
                    is_low(pair.since)
                ));
            }
        }
        Ok(())
    }
}
