//! Watches the server's clock against ours, so that it does not jump unnoticed.

use std::time::Duration;

use crate::clock::BootTime;

/// A difference that no network and no ordinary drift between two looks explains.
const JUMP_MIN: Duration = Duration::from_millis(500);

/// How far the server's clock is ahead of ours, in microseconds, as an interval: the server read its clock some time
/// between the sending of a command and the arrival of its answer.
#[derive(Clone, Copy, Debug)]
struct Look {
    received: BootTime,
    least: i128,
    most: i128,
}

/// What the answers said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drift {
    last: Option<Look>,
}

impl Drift {
    /// Takes an answer into account. Returns by how many ms the clock has jumped, if it has.
    ///
    /// Answers may come in another order than they were given in. One that was asked for before the last one came is perhaps
    /// older than that: it can show no more than a jump forward, whichever of the two was first.
    pub(crate) fn observe(&mut self, sent: BootTime, received: BootTime, server_us: u64) -> Option<i64> {
        let server = i128::from(server_us);
        let least = server - i128::from(received.as_micros());
        let most = server - i128::from(sent.as_micros());
        let look = Look { received, least, most };
        let Some(last) = self.last else {
            self.last = Some(look);
            return None;
        };
        let gap = if least > last.most {
            least - last.most
        } else if most < last.least {
            most - last.least
        } else {
            0
        };
        let jumped = gap.unsigned_abs() >= JUMP_MIN.as_micros();
        let in_order = sent >= last.received;
        if in_order || (jumped && gap > 0) {
            self.last = Some(look);
        } else {
            return None;
        }
        jumped.then(|| i64::try_from(gap / 1_000).unwrap_or(if gap > 0 { i64::MAX } else { i64::MIN }))
    }

    /// The latest that the server's clock can show at `time`; nothing before the first look.
    pub(crate) fn server_us(&self, time: BootTime) -> Option<u64> {
        let most = self.last?.most;
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

    /// On several connections one answer may overtake another.
    #[test]
    fn answers_that_overtake_each_other_show_a_jump_once() {
        let mut drift = Drift::default();
        assert_eq!(drift.observe(at(1_000_000), at(1_001_000), 50_000_500), None);
        // The clock jumps forward; the answer from before it comes last.
        assert_eq!(drift.observe(at(2_000_000), at(2_002_000), 91_000_500), Some(39_998));
        assert_eq!(drift.observe(at(2_000_500), at(2_003_000), 51_000_900), None);
        assert_eq!(drift.observe(at(2_001_000), at(2_004_000), 91_001_900), None);
        assert_eq!(drift.observe(at(3_000_000), at(3_001_000), 92_000_500), None);
        // Asked for before the last one came, and given after the jump.
        assert_eq!(drift.observe(at(3_000_500), at(3_005_000), 132_002_000), Some(39_996));
        // And back: the first one that was surely asked for later shows it.
        assert_eq!(drift.observe(at(3_004_000), at(3_006_000), 53_000_500), None);
        assert_eq!(drift.observe(at(3_007_000), at(3_008_000), 53_002_000), Some(-79_002));
    }
}
