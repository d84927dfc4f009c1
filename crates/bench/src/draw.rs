//! Which SKU a request is about.

use std::str::FromStr;
use std::sync::Arc;

use crate::limits::DRAWN_AHEAD;

/// How requests are spread over the SKUs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Skew {
    /// Every SKU as often as any other.
    #[default]
    Uniform,
    /// The one of rank `r` as often as 1/`r` to the power of this exponent; 0.99 is YCSB's.
    Zipf(f64),
}

impl FromStr for Skew {
    type Err = String;

    /// `uniform`, `zipf` (0.99) or `zipf:EXPONENT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not uniform, zipf or zipf:EXPONENT (above 0, at most 4)");
        match text.split_once(':') {
            None if text == "uniform" => Ok(Self::Uniform),
            None if text == "zipf" => Ok(Self::Zipf(0.99)),
            Some(("zipf", exponent)) => match exponent.parse::<f64>() {
                Ok(exponent) if exponent > 0.0 && exponent <= 4.0 => Ok(Self::Zipf(exponent)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Skew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

/// Numbers drawn ahead of the load, so that drawing costs nothing during it. Clones share them and go on
/// from places of their own.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    numbers: Arc<[u32]>,
    next: usize,
}

impl Draw {
    /// Draws from `0..count`.
    pub(crate) fn new(count: u32, skew: Skew, seed: u64) -> Self {
        assert!(count > 0, "there is something to draw from");
        let mut random = fastrand::Rng::with_seed(seed);
        let numbers = match skew {
            Skew::Uniform => {
                // Whole shuffled rounds: no number is drawn twice before all were drawn once.
                let mut numbers: Vec<u32> = (0..count).collect();
                random.shuffle(&mut numbers);
                numbers
            }
            Skew::Zipf(exponent) => {
                let mut sum = 0.0;
                let sums: Vec<f64> = (1..=count)
                    .map(|rank| {
                        sum += f64::from(rank).powf(-exponent);
                        sum
                    })
                    .collect();
                let numbers = (0..DRAWN_AHEAD).map(|_| {
                    let at = random.f64() * sum;
                    let rank = sums.partition_point(|sum| *sum <= at).min(sums.len() - 1);
                    u32::try_from(rank).expect("there are as many ranks as numbers")
                });
                numbers.collect()
            }
        };
        Self { numbers: numbers.into(), next: 0 }
    }

    /// The same numbers from another place, for caller `index` of `callers`.
    pub(crate) fn share(&self, index: usize, callers: usize) -> Self {
        Self { numbers: Arc::clone(&self.numbers), next: self.numbers.len() / callers.max(1) * index }
    }

    /// Goes to another place for every round, a seventh of all further.
    pub(crate) fn skip(&mut self, rounds: u64) {
        let stride = self.numbers.len() / 7 + 1;
        let rounds = usize::try_from(rounds % 7).expect("it is below seven");
        self.next = (self.next + stride * rounds) % self.numbers.len();
    }

    pub(crate) fn next(&mut self) -> u32 {
        let number = self.numbers[self.next % self.numbers.len()];
        self.next += 1;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(skew: Skew) -> Vec<u32> {
        let mut draw = Draw::new(100, skew, 1).share(1, 4);
        let mut counts = vec![0; 100];
        for _ in 0..10_000 {
            counts[draw.next() as usize] += 1;
        }
        counts
    }

    #[test]
    fn uniform_draws_each_as_often() {
        assert!(counts(Skew::Uniform).iter().all(|count| *count == 100));
    }

    #[test]
    fn zipf_draws_the_first_most() {
        let counts = counts(Skew::Zipf(1.0));
        // The harmonic number of 100 is 5.187: the first gets 19 %, the second half of that.
        assert!((1_700..2_200).contains(&counts[0]), "{counts:?}");
        assert!((800..1_200).contains(&counts[1]), "{counts:?}");
        assert!(counts[99] < 100, "{counts:?}");
    }

    #[test]
    fn a_skew_is_read_as_it_is_written() {
        for text in ["uniform", "zipf:0.99", "zipf:1.2"] {
            assert_eq!(text.parse::<Skew>().map(|skew| skew.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("zipf".parse(), Ok(Skew::Zipf(0.99)));
        for wrong in ["", "zipf:", "zipf:0", "zipf:5", "zipf:nan", "pareto"] {
            assert!(wrong.parse::<Skew>().is_err(), "{wrong}");
        }
    }
}
