//! Sites.

use jaego_domain::{Command, Refusal, Strategy, TimeZone, command, query, row::OrderAllocation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Choice, Label, Text, Word, name_or_empty};

/// Sets a site: makes it, or replaces its name, time zone and strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetSite<'a> {
    /// The site.
    pub site: Text<'a>,
    /// Its name, for people; empty if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Label<'a>>,
    /// Whose midnight ends a lot's last day: a name of the IANA database; `UTC` if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Label<'a>>,
    /// How positions are chosen when a request does not say; `fefo` if not said. `explicit` is for a request to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Choice<Strategy>>,
}

impl SetSite<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetSite(command::SetSite {
            site: self.site.code("site")?,
            name: name_or_empty(self.name.as_ref(), "name")?,
            time_zone: TimeZone::new(self.time_zone.as_ref().map_or("UTC", Label::as_str))?,
            strategy: self
                .strategy
                .as_ref()
                .map_or(Ok(Strategy::Fefo), |strategy| strategy.get("strategy"))?,
        }))
    }
}

/// A site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Site {
    /// The site.
    pub site: Word,
    /// Its name, for people.
    pub name: Word,
    /// Whose midnight ends a lot's last day.
    pub time_zone: Word,
    /// How positions are chosen when a request does not say.
    pub strategy: Choice<Strategy>,
    /// When its orders are allocated.
    pub order_allocation: Choice<OrderAllocation>,
}

impl From<&query::SiteView> for Site {
    fn from(view: &query::SiteView) -> Self {
        Self {
            site: (&view.site).into(),
            name: (&view.name).into(),
            time_zone: view.time_zone.as_str().into(),
            strategy: view.strategy.into(),
            order_allocation: view.order_allocation.into(),
        }
    }
}
