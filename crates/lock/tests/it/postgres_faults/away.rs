use crate::postgres_faults::ground::OnPostgres;

crate::away::scenarios!(OnPostgres::start());
