use jaego_lock::conformance::Size;
use jaego_testkit::Durability;

use crate::redis_faults::ground::OnRedis;
use crate::struck::holders::{Strikes, hold, strike_all, wanted};

const TEST: &str = "redis_faults::holders::a_holder_killed_or_stopped_at_any_step_never_makes_two";
const STOPS: Strikes = Strikes { lanes: 8, rounds: Size { everyday: 8, soak: 313 } };
const KILLS: Strikes = Strikes { lanes: 8, rounds: Size { everyday: 7, soak: 100 } };

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_killed_or_stopped_at_any_step_never_makes_two() {
    if let Some(what) = wanted() {
        return hold::<OnRedis>(&what).await;
    }
    strike_all(&OnRedis::start(Durability::None), TEST, STOPS, KILLS).await;
}
