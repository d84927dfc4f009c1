//! Holds.

use std::{borrow::Cow, fmt};

use jaego_domain::{Code, Command, Quantity, Refusal, Strategy, command, query, row::HoldStatus};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
    ser::SerializeMap,
};

use crate::{
    line_number::LineNumber,
    stock::HeldAt,
    time::Time,
    value::{Choice, Lines, Partial, Text, Whole, Word, code_if_any, lines_if_any, quantity_if_any},
};

/// Places a hold. The id is the hold's key, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct PlaceHold<'a> {
    /// The hold's id.
    pub id: Text<'a>,
    /// Whom the caller holds for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Text<'a>>,
    /// What is held.
    pub lines: Lines<HoldLine<'a>>,
    /// The hold's life in seconds; without one it stays until somebody ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_622_400))]
    pub expires_in_s: Option<Whole>,
    /// Whether a part is better than nothing; `forbid` if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<Choice<Partial>>,
    /// How positions are chosen; the site's own way if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Choice<Strategy>>,
}

/// A line of a hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct HoldLine<'a> {
    /// The site.
    pub site: Text<'a>,
    /// What.
    pub sku: Text<'a>,
    /// How much.
    #[schemars(range(min = 1))]
    pub quantity: Whole,
    /// From this location only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Text<'a>>,
    /// Of this lot only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<Text<'a>>,
}

impl PlaceHold<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::PlaceHold(command::PlaceHold {
            id: self.id.code("id")?,
            owner: code_if_any(self.owner.as_ref(), "owner")?,
            lines: self.lines.map(HoldLine::line)?,
            expires_in_ms: self.expires_in_s.map(|life| life.seconds_as_ms("expires_in_s")).transpose()?,
            partial: is_partial(self.partial.as_ref(), Partial::Forbid)?,
            strategy: strategy_if_any(self.strategy.as_ref())?,
        }))
    }
}

impl HoldLine<'_> {
    fn line(&self) -> Result<command::HoldLine, Refusal> {
        Ok(command::HoldLine {
            site: self.site.code("site")?,
            sku: self.sku.code("sku")?,
            quantity: self.quantity.quantity("quantity")?,
            location: code_if_any(self.location.as_ref(), "location")?,
            lot: code_if_any(self.lot.as_ref(), "lot")?,
        })
    }
}

pub(crate) fn is_partial(partial: Option<&Choice<Partial>>, default: Partial) -> Result<bool, Refusal> {
    let partial = partial.map_or(Ok(default), |partial| partial.get("partial"))?;
    Ok(partial == Partial::Allow)
}

pub(crate) fn strategy_if_any(strategy: Option<&Choice<Strategy>>) -> Result<Option<Strategy>, Refusal> {
    strategy.map(|strategy| strategy.get("strategy")).transpose()
}

/// A part of a hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldPart {
    /// The line's number, from 1, as a number or as the text that outcomes have.
    pub line: LineNumber,
    /// How much of it; all that is held if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub quantity: Option<Whole>,
}

impl HoldPart {
    fn part(&self) -> Result<command::HoldPart, Refusal> {
        Ok(command::HoldPart {
            line: self.line.get("line")?,
            quantity: quantity_if_any(self.quantity, "quantity")?,
        })
    }
}

/// Confirms a hold: takes the goods out. What is not named stays held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ConfirmHold<'a> {
    /// The hold.
    pub hold: Text<'a>,
    /// Which parts; all that is held if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines<HoldPart>>,
    /// Where the goods go; to the customer if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Destination<'a>>,
    /// Whether what is not named is released.
    #[serde(default)]
    pub release_rest: bool,
}

impl ConfirmHold<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ConfirmHold(command::ConfirmHold {
            id: self.hold.code("hold")?,
            lines: lines_if_any(self.lines.as_ref(), HoldPart::part)?,
            to: self.to.as_ref().map_or(Ok(None), Destination::location)?,
            release_rest: self.release_rest,
        }))
    }
}

/// Where confirmed goods go: `"customer"`, or a location of the same site as `{"location": "A-01"}`, so that a
/// location called `customer` is no riddle.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination<'a> {
    /// Out of the house.
    Customer,
    /// To a location of the same site.
    Location(Text<'a>),
    /// Another word than `customer`, which is refused.
    Unknown(Word),
}

impl Destination<'_> {
    fn location(&self) -> Result<Option<Code>, Refusal> {
        match self {
            Self::Customer => Ok(None),
            Self::Location(location) => location.code("to.location").map(Some),
            Self::Unknown(_) => {
                Err(Refusal::invalid("to", "is not \"customer\"; a location is {\"location\": …}"))
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
struct AtLocation<'a> {
    location: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Destination<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DestinationVisitor;

        impl<'de> Visitor<'de> for DestinationVisitor {
            type Value = Destination<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"customer\" or an object with a location")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Destination<'de>, E> {
                Ok(match word {
                    "customer" => Destination::Customer,
                    other => Destination::Unknown(other.into()),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Destination<'de>, A::Error> {
                let at = AtLocation::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Destination::Location(at.location))
            }
        }

        deserializer.deserialize_any(DestinationVisitor)
    }
}

impl Serialize for Destination<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Customer => serializer.serialize_str("customer"),
            Self::Unknown(word) => serializer.serialize_str(word),
            Self::Location(location) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("location", location)?;
                map.end()
            }
        }
    }
}

impl JsonSchema for Destination<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Destination".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let code = generator.subschema_for::<Text<'_>>();
        json_schema!({
            "description": "Where confirmed goods go: to the customer, or to a location of the same site.",
            "oneOf": [
                { "const": "customer" },
                {
                    "type": "object",
                    "properties": { "location": code },
                    "required": ["location"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

/// Releases a hold, or parts of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ReleaseHold<'a> {
    /// The hold.
    pub hold: Text<'a>,
    /// Which parts; all that is held if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines<HoldPart>>,
}

impl ReleaseHold<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ReleaseHold(command::ReleaseHold {
            id: self.hold.code("hold")?,
            lines: lines_if_any(self.lines.as_ref(), HoldPart::part)?,
        }))
    }
}

/// Gives a hold a new life, counted from now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ExtendHold<'a> {
    /// The hold.
    pub hold: Text<'a>,
    /// Its life from now, in seconds.
    #[schemars(range(min = 1, max = 31_622_400))]
    pub expires_in_s: Whole,
}

impl ExtendHold<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ExtendHold(command::ExtendHold {
            id: self.hold.code("hold")?,
            expires_in_ms: self.expires_in_s.seconds_as_ms("expires_in_s")?,
        }))
    }
}

/// Changes a hold to these lines; what it held before does not count against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ChangeHold<'a> {
    /// The hold.
    pub hold: Text<'a>,
    /// What it holds from now on.
    pub lines: Lines<HoldLine<'a>>,
    /// Whether a part is better than nothing; `forbid` if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<Choice<Partial>>,
    /// How positions are chosen; the site's own way if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Choice<Strategy>>,
}

impl ChangeHold<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ChangeHold(command::ChangeHold {
            id: self.hold.code("hold")?,
            lines: self.lines.map(HoldLine::line)?,
            partial: is_partial(self.partial.as_ref(), Partial::Forbid)?,
            strategy: strategy_if_any(self.strategy.as_ref())?,
        }))
    }
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Its id.
    pub id: Word,
    /// Whether it still holds, and how it ended.
    pub status: Choice<HoldStatus>,
    /// Whom the caller holds for.
    pub owner: Option<Word>,
    /// Until when it stands.
    pub expires_at: Option<Time>,
    /// Its lines.
    pub lines: Vec<HeldLine>,
}

/// An open hold without its lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HoldSummary {
    /// Its id.
    pub id: Word,
    /// Whom the caller holds for.
    pub owner: Option<Word>,
    /// Until when it stands; null where somebody has to end it.
    pub expires_at: Option<Time>,
    /// How many lines it has.
    pub line_count: u32,
    /// How much it holds of the SKU that the list was asked for, of the lot and at the site if they were named; null
    /// where no SKU was, for units of different SKUs make no sum.
    pub held: Option<u64>,
}

impl From<&query::HoldSummary> for HoldSummary {
    fn from(view: &query::HoldSummary) -> Self {
        Self {
            id: (&view.id).into(),
            owner: view.owner.as_ref().map(Word::from),
            expires_at: view.expires_at.map(Time::from),
            line_count: view.line_count,
            held: view.held.map(Quantity::get),
        }
    }
}

/// A line of a hold, as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldLine {
    /// Its number, from 1.
    pub line: u32,
    /// The site.
    pub site: Word,
    /// What.
    pub sku: Word,
    /// How much was asked for.
    pub quantity: u64,
    /// What it holds now.
    pub picks: Vec<HeldAt>,
}

impl From<&query::HoldView> for Hold {
    fn from(view: &query::HoldView) -> Self {
        let lines = view.lines.iter().map(|line| HeldLine {
            line: line.line,
            site: (&line.site).into(),
            sku: (&line.sku).into(),
            quantity: line.quantity.get(),
            picks: line.picks.iter().map(HeldAt::from).collect(),
        });
        Self {
            id: (&view.id).into(),
            status: view.status.into(),
            owner: view.owner.as_ref().map(Word::from),
            expires_at: view.expires_at.map(Time::from),
            lines: lines.collect(),
        }
    }
}
