//! Locations.

use jaego_domain::{Command, Refusal, command, query, row::LocationKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Choice, Label, Text, Whole, Word, name_or_empty};

/// Sets a location: makes it, or replaces its zone, pick order and kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetLocation<'a> {
    /// The site.
    pub site: Text<'a>,
    /// The location.
    pub location: Text<'a>,
    /// The part of the site that it is in; empty if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Label<'a>>,
    /// Its place on the walk through the site; 0 if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    pub pick_order: Option<Whole>,
    /// What it is for. It is fixed while something lies there.
    pub kind: Choice<LocationKind>,
}

impl SetLocation<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetLocation(command::SetLocation {
            site: self.site.code("site")?,
            location: self.location.code("location")?,
            zone: name_or_empty(self.zone.as_ref(), "zone")?,
            pick_order: self.pick_order.map_or(Ok(0), |order| order.small("pick_order"))?,
            kind: self.kind.get("kind")?,
        }))
    }
}

/// A location.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    /// The site.
    pub site: Word,
    /// The location.
    pub location: Word,
    /// The part of the site that it is in; may be empty.
    pub zone: Word,
    /// Its place on the walk through the site.
    pub pick_order: u32,
    /// What it is for.
    pub kind: Choice<LocationKind>,
}

impl From<&query::LocationView> for Location {
    fn from(view: &query::LocationView) -> Self {
        Self {
            site: (&view.site).into(),
            location: (&view.location).into(),
            zone: (&view.zone).into(),
            pick_order: view.pick_order,
            kind: view.kind.into(),
        }
    }
}
