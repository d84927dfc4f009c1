//! SKUs, their safety levels and their prices.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use jaego_domain::{Amount, Code, Command, Currency, Quantity, Refusal, command, query, row::Tracking};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};

use crate::cart::amounts;
use crate::value::{Choice, Label, Text, Whole, Word, name_or_empty};

/// Sets a SKU: makes it, or replaces its name, tracking, safety levels and prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetSku<'a> {
    /// The SKU.
    pub sku: Text<'a>,
    /// Its name, for people; empty if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Label<'a>>,
    /// How its stock is told apart; `none` if not said. It is fixed once the SKU was stocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Choice<Tracking>>,
    /// For each site, the level below which available stock is low. Replaces the levels of all sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_stock: Option<Levels<'a>>,
    /// For each currency, what one unit costs, in the currency's minor unit. Replaces the prices in all currencies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<Levels<'a>>,
}

impl SetSku<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetSku(command::SetSku {
            sku: self.sku.code("sku")?,
            name: name_or_empty(self.name.as_ref(), "name")?,
            tracking: self
                .tracking
                .as_ref()
                .map_or(Ok(Tracking::None), |tracking| tracking.get("tracking"))?,
            safety_stock: self.safety_stock.as_ref().map_or(Ok(Vec::new()), Levels::checked)?,
            prices: self.prices.as_ref().map_or(Ok(Vec::new()), Levels::prices)?,
        }))
    }
}

/// A whole number for each name, in the order of the request: a quantity for a site, or an amount for a currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels<'a>(Vec<(Text<'a>, Whole)>);

impl Levels<'_> {
    fn checked(&self) -> Result<Vec<(Code, Quantity)>, Refusal> {
        self.0
            .iter()
            .map(|(site, level)| Ok((site.code("safety_stock")?, level.quantity("safety_stock")?)))
            .collect()
    }

    fn prices(&self) -> Result<Vec<(Currency, Amount)>, Refusal> {
        let price = |price: &Whole| Amount::new("prices", price.quantity("prices")?.get());
        let prices = self.0.iter();
        prices.map(|(name, one)| Ok((Currency::new("prices", name.as_str())?, price(one)?))).collect()
    }
}

impl<'a> FromIterator<(Text<'a>, Whole)> for Levels<'a> {
    fn from_iter<I: IntoIterator<Item = (Text<'a>, Whole)>>(levels: I) -> Self {
        Self(levels.into_iter().collect())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Levels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelsVisitor;

        impl<'de> Visitor<'de> for LevelsVisitor {
            type Value = Levels<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and whole numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Levels<'de>, A::Error> {
                let mut levels = Vec::new();
                // What is named twice is kept twice here: the command refuses it.
                while let Some(level) = map.next_entry()? {
                    levels.push(level);
                }
                Ok(Levels(levels))
            }
        }

        deserializer.deserialize_map(LevelsVisitor)
    }
}

impl Serialize for Levels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(site, level)| (site, level)))
    }
}

impl JsonSchema for Levels<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Levels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 } })
    }
}

/// A SKU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sku {
    /// The SKU.
    pub sku: Word,
    /// Its name, for people.
    pub name: Word,
    /// How its stock is told apart.
    pub tracking: Choice<Tracking>,
    /// For each site, the level below which available stock is low.
    pub safety_stock: BTreeMap<Word, u64>,
    /// For each currency, what one unit costs, in the currency's minor unit.
    #[serde(default)]
    pub prices: BTreeMap<Word, u64>,
}

impl From<&query::SkuView> for Sku {
    fn from(view: &query::SkuView) -> Self {
        Self {
            sku: (&view.sku).into(),
            name: (&view.name).into(),
            tracking: view.tracking.into(),
            prices: amounts(&view.prices),
            safety_stock: view.safety_stock.iter().map(|(site, level)| (site.into(), level.get())).collect(),
        }
    }
}
