//! Watches the server's clock against ours, so that it does not jump unnoticed.

use std::time::Duration;

use crate::clock::BootTime;

/// A difference that no network and no ordinary drift between two looks explains.
pub(super) const JUMP_MIN: Duration = Duration::from_millis(500);

/// From our clock to the server's, in microseconds, as an interval: the server read its clock some time
/// between the sending of a command and the arrival of its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drift {
    last: Option<(i128, i128)>,
}

impl Drift {
    /// Takes an answer into account. Returns by how many ms the clock has jumped, if it has.
    pub(super) fn observe(&mut self, sent: BootTime, received: BootTime, server_us: u64) -> Option<i64> {
        let server = i128::from(server_us);
        let least = server - i128::from(received.as_micros());
        let most = server - i128::from(sent.as_micros());
        let (last_least, last_most) = self.last.replace((least, most))?;
        let gap = if least > last_most {
            least - last_most
        } else if most < last_least {
            most - last_least
        } else {
            0
        };
        let jumped = gap.unsigned_abs() >= JUMP_MIN.as_micros();
        jumped.then(|| i64::try_from(gap / 1_000).unwrap_or(if gap > 0 { i64::MAX } else { i64::MIN }))
    }

    /// The latest that the server's clock can show at `time`; nothing before the first look.
    pub(super) fn server_us(&self, time: BootTime) -> Option<u64> {
        let (_, most) = self.last?;
        u64::try_from(i128::from(time.as_micros()) + most).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> BootTime {
        BootTime::from_micros(us)
    }

    #[test]
    fn only_what_the_network_cannot_explain_is_a_jump() {
        let mut drift = Drift::default();
        assert_eq!(drift.server_us(at(0)), None);
        assert_eq!(drift.observe(at(1_000_000), at(1_001_000), 50_000_500), None);
        assert_eq!(drift.server_us(at(1_000_000)), Some(50_000_500));
        // An answer that was on its way for ten seconds says little, but nothing else.
        assert_eq!(drift.observe(at(2_000_000), at(12_000_000), 51_000_700), None);
        assert_eq!(drift.observe(at(12_000_000), at(12_001_000), 61_000_900), None);
        assert_eq!(drift.observe(at(13_000_000), at(13_001_000), 62_400_000), None, "0.4 s is drift");
        assert_eq!(drift.observe(at(14_000_000), at(14_001_000), 103_400_000), Some(39_999));
        assert_eq!(drift.observe(at(15_000_000), at(15_001_000), 104_400_000), None, "told once");
        assert_eq!(drift.observe(at(3_616_000_000), at(3_616_001_000), 105_400_000), Some(-3_599_999));
        assert_eq!(drift.server_us(at(0)), None, "before the server's clock began");
    }
}
