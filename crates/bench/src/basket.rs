//! What is ordered together.

use crate::draw::{Draw, Skew};
use crate::limits::ORDER_LINES_MAX;

/// How fast popularity falls behind the first SKU: the exponent that YCSB has.
const EXPONENT: f64 = 0.99;

/// Orders of one to [`ORDER_LINES_MAX`] lines, each as likely. The first SKU is in half of all orders, as a shop's
/// best-seller is; all others come as often as their rank by Zipf's law says, and no SKU comes twice in an order.
#[derive(Clone, Debug)]
pub(crate) struct Baskets {
    /// The ranks behind the first SKU.
    others: Draw,
    others_len: u32,
    random: fastrand::Rng,
    /// What the randomness of all shares is made from.
    seed: u64,
    skus: Vec<u32>,
}

impl Baskets {
    /// Baskets from the SKUs `0..skus`.
    ///
    /// # Panics
    /// If there are not more SKUs than an order has lines.
    pub(crate) fn new(skus: u32, seed: u64) -> Self {
        assert!(skus as usize > ORDER_LINES_MAX, "an order has no SKU twice");
        let others = Draw::new(skus - 1, Skew::Zipf(EXPONENT), seed);
        let random = fastrand::Rng::with_seed(seed);
        Self { others, others_len: skus - 1, random, seed, skus: Vec::with_capacity(ORDER_LINES_MAX) }
    }

    /// Baskets of caller `index` of `callers` in this round: like the others, and not the same.
    pub(crate) fn share(&self, index: usize, callers: usize, round: u64) -> Self {
        let mut others = self.others.share(index, callers);
        others.skip(round);
        let own = self.seed.wrapping_add((round << 16).wrapping_add(index as u64 + 1));
        Self { others, random: fastrand::Rng::with_seed(own), ..self.clone() }
    }

    /// How many lines an order has.
    pub(crate) fn len(&mut self) -> usize {
        self.random.usize(1..=ORDER_LINES_MAX)
    }

    /// Which of so many there are.
    pub(crate) fn choose(&mut self, count: usize) -> usize {
        self.random.usize(..count)
    }

    /// The SKUs of an order of so many lines.
    pub(crate) fn skus(&mut self, len: usize) -> &[u32] {
        self.skus.clear();
        if self.random.bool() {
            self.skus.push(0);
        }
        while self.skus.len() < len {
            let mut rank = self.others.next();
            // What is in the basket already leaves its place to the next in rank.
            while self.skus.contains(&(rank + 1)) {
                rank = (rank + 1) % self.others_len;
            }
            self.skus.push(rank + 1);
        }
        &self.skus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sku_is_in_half_of_all_orders_and_none_twice_in_one() {
        let mut baskets = Baskets::new(1_000, 7).share(1, 4, 0);
        let mut counts = vec![0_u32; 1_000];
        let mut lines = 0;
        for _ in 0..10_000 {
            let len = baskets.len();
            let skus = baskets.skus(len);
            assert_eq!(skus.len(), len);
            lines += len;
            for sku in skus {
                counts[*sku as usize] += 1;
            }
            let mut distinct = skus.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), len);
        }
        assert!((4_850..5_150).contains(&counts[0]), "{}", counts[0]);
        assert!((100_000..110_000).contains(&lines), "{lines}");
        // Beyond the best-seller the ranks fall off, and the last ones are still asked for.
        assert!(counts[1] > 4 * counts[20] && counts[20] > counts[500], "{counts:?}");
        assert!(counts[900..].iter().sum::<u32>() > 0);
    }

    #[test]
    fn callers_and_rounds_have_baskets_of_their_own() {
        let baskets = Baskets::new(100, 1);
        let first = |index, round| baskets.share(index, 2, round).skus(20).to_vec();
        assert_eq!(first(0, 0), first(0, 0));
        assert_ne!(first(0, 0), first(1, 0));
        assert_ne!(first(0, 0), first(0, 1));
    }

    #[test]
    fn the_smallest_choice_fills_the_largest_order() {
        let mut baskets = Baskets::new(21, 1);
        assert_eq!(baskets.skus(20).len(), 20);
    }
}
