use jaego_lock::conformance::Size;
use jaego_testkit::Durability;

use crate::ground::OnRedis;
use crate::struck::holders::{Strikes, hold, strike_all, wanted};

const TEST: &str = "holders::a_holder_killed_or_stopped_at_any_step_never_makes_two";
const STOPS: Strikes = Strikes { lanes: 4, rounds: Size { everyday: 16, soak: 625 } };
const KILLS: Strikes = Strikes { lanes: 4, rounds: Size { everyday: 13, soak: 200 } };

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_killed_or_stopped_at_any_step_never_makes_two() {
    if let Some(what) = wanted() {
        return hold::<OnRedis>(&what).await;
    }
    strike_all(&OnRedis::start(Durability::None), TEST, STOPS, KILLS).await;
}
