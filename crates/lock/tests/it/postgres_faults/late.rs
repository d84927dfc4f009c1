use crate::late_way;
use crate::postgres_faults::ground::OnPostgres;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_of_a_process_takes_nothing_when_it_arrives_late() {
    late_way::the_first_request_of_a_process_takes_nothing(&OnPostgres::start()).await;
}
