//! A page of a list.

use anyhow::Result;
use clap::Args;
use jaego_api::list::List;
use serde::de::DeserializeOwned;

use crate::{remote::Service, table::Table};

/// Which page of a list.
#[derive(Args)]
pub(crate) struct Page {
    /// Rows at the most, from 1 to 1000.
    #[arg(long, value_name = "ROWS", default_value = "100")]
    limit: String,
    /// The cursor that the page before ended with.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

/// Which time of a list.
#[derive(Args)]
pub(crate) struct Period {
    /// At this time or later: 2026-03-01T00:00:00+09:00
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

impl Page {
    /// Reads the page of the list called `name` and shows it as a table.
    pub(crate) async fn show<T: DeserializeOwned>(
        &self,
        service: &Service,
        name: &str,
        parameters: &[(&str, Option<&str>)],
        table: impl FnOnce(&[T]) -> Table,
    ) -> Result<()> {
        let page = [("limit", Some(&*self.limit)), ("after", self.after.as_deref())];
        let said: Vec<_> =
            parameters.iter().chain(&page).filter_map(|(name, value)| Some((*name, (*value)?))).collect();
        service
            .show(name, &said, |list: &List<T>| {
                if let Some(next) = &list.next {
                    eprintln!("there may be more: --after {next}");
                }
                table(&list.items).text()
            })
            .await
    }
}
