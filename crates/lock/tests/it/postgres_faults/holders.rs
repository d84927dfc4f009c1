use jaego_lock::conformance::Size;

use crate::postgres_faults::ground::OnPostgres;
use crate::struck::holders::{Strikes, hold, strike_all, wanted};

const TEST: &str = "postgres_faults::holders::a_holder_killed_or_stopped_at_any_step_never_makes_two";
const STOPS: Strikes = Strikes { lanes: 3, rounds: Size { everyday: 17, soak: 200 } };
const KILLS: Strikes = Strikes { lanes: 3, rounds: Size { everyday: 17, soak: 200 } };

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_killed_or_stopped_at_any_step_never_makes_two() {
    if let Some(what) = wanted() {
        return hold::<OnPostgres>(&what).await;
    }
    strike_all(&OnPostgres::start(), TEST, STOPS, KILLS).await;
}
