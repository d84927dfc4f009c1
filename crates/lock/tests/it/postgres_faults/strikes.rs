use crate::postgres_faults::ground::OnPostgres;
use crate::postgres_faults::{ms, rounds};
use crate::struck::End;
use crate::struck::servers::{Blow, strikes};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stopped_in_the_middle_of_any_step_makes_no_two() {
    strikes(rounds(1), OnPostgres::start, &[Blow::Stop(ms(100)), Blow::Stop(ms(2_000))]).await;
}

/// Longer than anything that anybody waits for or remembers.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes more than a minute"]
async fn a_server_stopped_for_a_minute_in_the_middle_of_any_step_makes_no_two() {
    strikes(1, OnPostgres::start, &[Blow::Stop(ms(60_000))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_in_the_middle_of_any_step_makes_no_two() {
    strikes(rounds(1), OnPostgres::start, &[Blow::End(End::Killed), Blow::End(End::Asked)]).await;
}
