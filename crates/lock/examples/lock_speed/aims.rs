//! What the locks aim at, beside what, and what one run has reached.

use std::fmt::Write as _;
use std::time::Duration;

use jaego_lock::Locks;

use crate::rates::{self, Bare};
use crate::{Size, Trouble, at, ms};

/// What one run has reached.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    turns: Turns,
    /// How many times the pairs of one task with the bare scripts of the locks 64 tasks make over one connection.
    pub(crate) by_many: f64,
    /// The p50 of each number of waiters, plain and fair.
    pub(crate) hand_overs: [Vec<Duration>; 2],
}

/// How many times the pairs of bare scripts one task of the locks makes, in each of many short turns, sorted. What else the
/// machine does changes from second to second, and is the same for all of a turn.
#[derive(Debug, Default)]
struct Turns {
    beside_own_scripts: Vec<f64>,
    beside_simple_scripts: Vec<f64>,
    each: Duration,
}

impl Reached {
    pub(crate) async fn measure_turns(
        &mut self,
        locks: &Locks,
        bare: &Bare,
        size: Size,
    ) -> Result<(), Trouble> {
        self.turns.each = size.turn();
        for turn in 0..size.turns {
            let mut pairs_per_s = [0.0; 3];
            for step in 0..pairs_per_s.len() {
                // Each is as often the first as the last, and comes as often before another one as after it.
                let step = if turn % 2 == 0 { step } else { pairs_per_s.len() - step };
                let whose = (turn / 2 + step) % pairs_per_s.len();
                let rate = match whose {
                    0 => {
                        rates::rate(1, size.turn(), |task, clock| {
                            rates::with_locks(locks.clone(), task, clock)
                        })
                        .await
                    }
                    1 => {
                        rates::rate(1, size.turn(), |task, clock| bare.clone().with_own_scripts(task, clock))
                            .await
                    }
                    _ => {
                        rates::rate(1, size.turn(), |task, clock| {
                            bare.clone().with_simple_scripts(task, clock)
                        })
                        .await
                    }
                };
                pairs_per_s[whose] = rate?.pairs_per_s;
            }
            let [of_locks, of_own_scripts, of_simple_scripts] = pairs_per_s;
            self.turns.beside_own_scripts.push(of_locks / of_own_scripts);
            self.turns.beside_simple_scripts.push(of_locks / of_simple_scripts);
        }
        for ratios in [&mut self.turns.beside_own_scripts, &mut self.turns.beside_simple_scripts] {
            ratios.sort_unstable_by(f64::total_cmp);
        }
        Ok(())
    }

    pub(crate) fn table(&self) -> Result<String, Trouble> {
        let mut table = String::new();
        writeln!(table, "| what | beside what | aim | reached |")?;
        writeln!(table, "|---|---|---|---|")?;
        let Turns { beside_own_scripts, beside_simple_scripts, each } = &self.turns;
        writeln!(
            table,
            "| pairs of acquire and release by one task | our own two scripts, bare, on such a connection: what the library \
             adds | 0.95 × | {} |",
            ratio(beside_own_scripts)
        )?;
        writeln!(
            table,
            "| the same | `SET NX PX` and compare-and-delete, bare, on such a connection: what fences, queues, \
             notices and quarantine cost | | {} |",
            ratio(beside_simple_scripts)
        )?;
        writeln!(
            table,
            "| the same by 64 tasks over one connection | one task with our own two scripts, bare | 5 × | {:.1} × |",
            self.by_many
        )?;
        let [plain, fair] = self.hand_overs.each_ref().map(|p50s| range(p50s));
        writeln!(
            table,
            "| from a release to the next grant, p50, 2 to 1,000 waiters | | under 1 ms | {plain}; fair {fair} |"
        )?;
        writeln!(
            table,
            "\nWhere two numbers stand in brackets: the middle half of {} turns of {each:?} each, in which all three are \
             measured one after the other; the median stands before them.",
            beside_own_scripts.len()
        )?;
        Ok(table)
    }
}

fn ratio(sorted: &[f64]) -> String {
    format!("{:.2} × ({:.2} to {:.2})", at(sorted, 50), at(sorted, 25), at(sorted, 75))
}

fn range(p50s: &[Duration]) -> String {
    let [least, most] = [p50s.iter().min(), p50s.iter().max()].map(|p50| p50.copied().unwrap_or_default());
    if least == most { ms(least) } else { format!("{} to {}", ms(least), ms(most)) }
}
