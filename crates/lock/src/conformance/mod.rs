//! The law of a backend, as tests. `conformance!(stage)` makes one test of each; `stage` is an expression
//! that makes a [`Stage`] with nothing in it, once for each test.
//!
//! A scenario panics where the law is broken.

mod answers;
mod history;
mod holding;
mod looking;
mod modes;
mod multi;
mod steps;
mod turns;
mod waiting;

use std::future::Future;
use std::time::Duration;

pub use answers::{ANSWERED_WITHIN, answered, busy, connected, granted, refused};
pub use history::*;
pub use holding::*;
pub use looking::*;
pub use modes::*;
pub use multi::*;
pub use steps::*;
pub use turns::*;
pub use waiting::*;

use crate::backend::Backend;
use crate::{Locks, Settings};

/// Where a scenario plays: one state of the locks, and as many processes as it wants.
pub trait Stage: Sync {
    /// What is put to the test.
    type Backend: Backend;

    /// A backend as another process would have it, on the same locks as the ones made before.
    fn backend(&self) -> impl Future<Output = Self::Backend> + Send;

    /// How many grants each of the long scenarios makes: some seconds' worth, every day.
    fn grants(&self) -> Size {
        Size { everyday: 2_000, soak: 66_000 }
    }
}

/// How much of something is tried. `JAEGO_SOAK=n` says which of the two it is: 1, which is the default, or [`SOAK`]; between
/// them and beyond, it grows evenly.
///
/// A test that only multiplied its everyday size could not have both a size that is soon done and one that proves as much
/// as is wanted of a long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Each time that the tests run. At least 1.
    pub everyday: u64,
    /// With the factor [`SOAK`]. At least as much.
    pub soak: u64,
}

/// The factor of a long run.
pub const SOAK: u64 = 33;

impl Size {
    /// As much as this run is asked for.
    #[must_use]
    pub fn now(self) -> u64 {
        self.at(soak() as u64)
    }

    /// How many parts of the everyday size that is, for what has to be kept in memory as a whole.
    #[must_use]
    pub fn parts(self) -> u64 {
        self.now().div_ceil(self.everyday)
    }

    fn at(self, factor: u64) -> u64 {
        let more = (self.soak - self.everyday) * factor.saturating_sub(1);
        self.everyday + more.div_ceil(SOAK - 1)
    }
}

fn soak() -> usize {
    std::env::var("JAEGO_SOAK").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

/// Short times, so that the scenarios are, and long enough for a machine that has other things to do.
#[must_use]
pub fn settings() -> Settings {
    let ms = Duration::from_millis;
    Settings {
        wait: ms(20_000),
        keeper_lease: ms(600),
        lease_max: ms(20_000),
        response_timeout: ms(100),
        recheck: ms(1_000),
        waiter_ttl: ms(900),
    }
}

/// How late an expectation may come true before it counts as broken: the machine is busy.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Another process with the [`settings`] of the scenarios, which has [connected](connected).
pub async fn process(stage: &impl Stage) -> Locks {
    process_with(stage, settings()).await
}

async fn process_with(stage: &impl Stage, settings: Settings) -> Locks {
    let backend = connected(stage.backend().await).await;
    Locks::with_settings(backend, settings).expect("the settings of the scenarios are in order")
}

/// A process that waits long enough for an answer to what is not asked twice, such as to break a hold.
async fn patient(stage: &impl Stage) -> Locks {
    let long = Duration::from_secs(8);
    let settings = Settings {
        response_timeout: Duration::from_secs(2),
        waiter_ttl: long,
        keeper_lease: long,
        ..settings()
    };
    process_with(stage, settings).await
}

/// Makes one Tokio test of each scenario.
#[macro_export]
macro_rules! conformance {
    ($stage:expr) => {
        $crate::conformance! { $stage;
            one_holder_at_a_time, a_waiter_is_handed_the_lock, a_wait_ends_in_time, a_busy_lock_is_not_waited_for,
            a_lease_runs_out, a_loss_is_told_by_valid_until, most_losses_are_told_in_time, a_keeper_renews, a_hold_has_an_end,
            a_lease_is_extended_and_never_shortened, a_hold_is_entered_again, a_loss_is_told_to_each_guard, fences_grow,
            a_late_release_touches_nobody, a_dropped_guard_lets_go, a_panic_lets_go, shutdown_leaves_nothing,
            bad_requests_are_refused,
            the_fair_are_served_in_order, a_dead_head_delays_for_its_time_to_live,
            a_queue_has_an_end, a_cancelled_wait_leaves_nothing, a_waiter_who_gives_up_makes_way,
            the_next_in_line_watches_the_clock, a_request_that_nobody_polls_keeps_nobody_asleep,
            nobody_stands_beside_a_plain_lock, one_mode_shuts_out_the_others,
            a_stream_of_one_mode_starves_nobody, a_dead_companion_changes_nothing,
            writers_and_readers_take_turns, a_writer_becomes_a_reader,
            a_mode_for_one_does_not_become_the_same_for_more, a_semaphore_has_n_permits,
            the_smallest_limit_counts, many_get_in_when_the_smallest_limit_goes,
            a_small_limit_blocks_nobody_behind_it, companions_write_in_any_order,
            a_turn_grows_within_a_period_when_it_must,
            a_companion_that_asked_too_early_is_told, who_lets_in_too_few_is_passed_over,
            all_behind_the_fair_are_told, who_comes_back_late_is_kept_out_by_nobody_who_came_later,
            whom_a_queue_keeps_out_hears_whose_turn_it_is,
            several_locks_or_none, several_locks_in_any_order, several_locks_share_one_lease,
            several_locks_are_all_held_when_they_are_got, a_waiter_for_several_keys_keeps_nobody_asleep, several_locks_are_entered_again,
            steps_can_be_sent_again, a_release_tells_of_every_key, a_late_acquire_takes_nothing, a_hold_lasts_for_its_lease, a_turn_that_is_not_taken_passes,
            those_behind_a_queue_are_told, answers_are_those_of_the_table,
            holders_and_waiters_are_told, locks_are_listed, a_hold_is_broken, one_of_many_is_broken,
            exclusion_under_random_leases, exclusion_under_load, modes_never_overlap
        }
    };
    ($stage:expr; $($scenario:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $scenario() {
                $crate::conformance::$scenario(&$stage).await;
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_that_of_everyday_and_of_a_soak_and_grows_in_between() {
        let size = Size { everyday: 500, soak: 20_000 };
        assert_eq!([1, 2, 17, SOAK, 65].map(|factor| size.at(factor)), [500, 1_110, 10_250, 20_000, 39_500]);
        assert_eq!(size.at(0), 500, "never less");
        let same = Size { everyday: 12, soak: 12 };
        assert_eq!([1, SOAK].map(|factor| same.at(factor)), [12, 12]);
    }
}
