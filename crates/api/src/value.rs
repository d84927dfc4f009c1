//! The values that requests and answers are made of.
//!
//! Reading tells two troubles apart. A value of the wrong JSON type is an error of the reader: the request has
//! not the shape that it must have. A value of the right type and out of its range is read, and found out when
//! the command is made of it: that is an ordinary refusal, `invalid_value`, the same as the decisions give.

use std::{borrow::Cow, fmt, iter, marker::PhantomData, ops::Deref};

use compact_str::CompactString;
use jaego_domain::{
    Code, Date, Name, Outside, Quantity, Refusal, Strategy,
    command::{ClaimPolicy, ShortReason},
    query::Verdict,
    row::{
        AuthorizationStatus, CartStatus, CloseReason, HoldStatus, HolderKind, LocationKind, OrderAllocation,
        OrderStatus, ProposalKind, ProposalStatus, Tracking, TransferStatus,
    },
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use smallvec::SmallVec;

use crate::limits::{CODE_BYTES_MAX, LINES_MAX, NAME_BYTES_MAX, QUANTITY_MAX};

/// An identifier in a request: borrowed from the body where it has no escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        self.0
    }

    /// The identifier, if it is one. Refuses with `invalid_value`, naming `field`.
    pub fn code(&self, field: &'static str) -> Result<Code, Refusal> {
        identifier(field, &self.0)
    }
}

/// The identifier, if it is one that a path can name: clients and proxies take `.` and `..` out of paths, so that nobody
/// could ask for what is called so. Refuses with `invalid_value`, naming `field`.
pub(crate) fn identifier(field: &'static str, text: &str) -> Result<Code, Refusal> {
    if matches!(text, "." | "..") {
        return Err(Refusal::invalid(field, "is . or .., which no path of a URL can name"));
    }
    Code::new(field, text)
}

/// An identifier that may be missing.
pub(crate) fn code_if_any(text: Option<&Text<'_>>, field: &'static str) -> Result<Option<Code>, Refusal> {
    text.map(|text| text.code(field)).transpose()
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Text<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": CODE_BYTES_MAX, "pattern": "^[A-Za-z0-9_.:-]+$",
            "not": { "enum": [".", ".."] },
        })
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A name, a zone or a reason in a request: text for people, in any script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label<'a>(Cow<'a, str>);

impl Label<'_> {
    /// The name, if it is one. Refuses with `invalid_value`, naming `field`.
    pub fn name(&self, field: &'static str) -> Result<Name, Refusal> {
        Name::new(field, &self.0)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) fn name_if_any(label: Option<&Label<'_>>, field: &'static str) -> Result<Option<Name>, Refusal> {
    label.map(|label| label.name(field)).transpose()
}

/// A name that is empty where it is missing.
pub(crate) fn name_or_empty(label: Option<&Label<'_>>, field: &'static str) -> Result<Name, Refusal> {
    label.map_or(Ok(Name::default()), |label| label.name(field))
}

impl<'a> From<&'a str> for Label<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Label<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Label<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

impl Serialize for Label<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Label<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": NAME_BYTES_MAX })
    }
}

/// A day in a request, written `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day<'a>(Cow<'a, str>);

impl Day<'_> {
    /// The day, if it is one. Refuses with `invalid_value`, naming `field`.
    pub fn date(&self, field: &'static str) -> Result<Date, Refusal> {
        Date::parse(field, &self.0)
    }
}

impl<'a> From<&'a str> for Day<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Day<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

impl Serialize for Day<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Day<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date" })
    }
}

/// A whole number in a request. Fractions and numbers too large are read as "not one".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole(Option<i64>);

impl Whole {
    /// The number as a quantity. Refuses with `invalid_value`, naming `field`; zero is for the command to judge.
    pub fn quantity(self, field: &'static str) -> Result<Quantity, Refusal> {
        let signed = self.signed(field)?;
        let Ok(units) = u64::try_from(signed) else { return Err(Refusal::invalid(field, "is negative")) };
        Quantity::new(field, units)
    }

    /// The number with its sign. Refuses with `invalid_value`, naming `field`.
    pub fn signed(self, field: &'static str) -> Result<i64, Refusal> {
        self.0.ok_or_else(|| Refusal::invalid(field, "is not a whole number of at most 9007199254740991"))
    }

    /// The number as a small one: a priority, a line, a place on the walk. Refuses with `invalid_value`.
    pub fn small(self, field: &'static str) -> Result<u32, Refusal> {
        let signed = self.signed(field)?;
        u32::try_from(signed).map_err(|_| Refusal::invalid(field, "is not from 0 to 4294967295"))
    }

    /// The number of seconds as milliseconds. Refuses with `invalid_value`, naming `field`.
    pub fn seconds_as_ms(self, field: &'static str) -> Result<u64, Refusal> {
        let signed = self.signed(field)?;
        let Ok(seconds) = u64::try_from(signed) else { return Err(Refusal::invalid(field, "is negative")) };
        // The command refuses what is longer than a year, which this certainly is where it saturates.
        Ok(seconds.saturating_mul(1_000))
    }
}

/// A quantity that may be missing.
pub(crate) fn quantity_if_any(
    number: Option<Whole>,
    field: &'static str,
) -> Result<Option<Quantity>, Refusal> {
    number.map(|number| number.quantity(field)).transpose()
}

impl From<i64> for Whole {
    fn from(number: i64) -> Self {
        Self(Some(number))
    }
}

impl From<u32> for Whole {
    fn from(number: u32) -> Self {
        Self(Some(number.into()))
    }
}

impl From<i32> for Whole {
    fn from(number: i32) -> Self {
        Self(Some(number.into()))
    }
}

impl From<u64> for Whole {
    fn from(number: u64) -> Self {
        Self(i64::try_from(number).ok())
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;

        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole::from(number))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole::from(number))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Whole, E> {
                Ok(Whole(None))
            }
        }

        deserializer.deserialize_i64(WholeVisitor)
    }
}

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(number) => serializer.serialize_i64(number),
            None => Err(serde::ser::Error::custom("a number is too large to be sent")),
        }
    }
}

impl JsonSchema for Whole {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "maximum": QUANTITY_MAX })
    }
}

/// One of a few names, on the way in and out.
pub trait Named: Copy + PartialEq + 'static {
    /// All of them.
    const ALL: &'static [Self];
    /// The name on the wire.
    fn name(self) -> &'static str;
}

macro_rules! named {
    ($($kind:ty),* $(,)?) => {$(
        impl Named for $kind {
            const ALL: &'static [Self] = &<$kind>::ALL;

            fn name(self) -> &'static str {
                self.name()
            }
        }
    )*};
}

named!(
    Strategy,
    LocationKind,
    Tracking,
    Outside,
    HoldStatus,
    TransferStatus,
    OrderStatus,
    OrderAllocation,
    ClaimPolicy,
    AuthorizationStatus,
    ProposalKind,
    ProposalStatus,
    CloseReason,
    CartStatus,
);

impl Named for ShortReason {
    const ALL: &'static [Self] = &[Self::NotFound, Self::Damaged];

    fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Damaged => "damaged",
        }
    }
}

impl Named for HolderKind {
    const ALL: &'static [Self] = &[Self::Hold, Self::Transfer, Self::Order, Self::Cart];

    fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Transfer => "transfer",
            Self::Order => "order",
            Self::Cart => "cart",
        }
    }
}

impl Named for Verdict {
    const ALL: &'static [Self] = &[
        Self::Available,
        Self::Held,
        Self::Missing,
        Self::Receiving,
        Self::Quarantine,
        Self::Staging,
        Self::LotBlocked,
        Self::LotExpired,
        Self::OtherLot,
    ];

    fn name(self) -> &'static str {
        self.name()
    }
}

/// Whether a part is better than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// Per unit, it is.
    Allow,
    /// All or nothing.
    Forbid,
}

impl Named for Partial {
    const ALL: &'static [Self] = &[Self::Allow, Self::Forbid];

    fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Forbid => "forbid",
        }
    }
}

/// A name that should be one of `K`'s.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice<K> {
    /// It is.
    Known(K),
    /// It is not, or not yet in this version.
    Unknown(Word),
}

impl<K: Named> Choice<K> {
    /// The one that is named. Refuses with `invalid_value`, naming `field` and what there is.
    pub fn get(&self, field: &'static str) -> Result<K, Refusal> {
        match self {
            Self::Known(known) => Ok(*known),
            Self::Unknown(_) => Err(Refusal::invalid(field, format!("is none of {}", names::<K>()))),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known.name(),
            Self::Unknown(word) => word,
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Self {
        match K::ALL.iter().find(|known| known.name() == name) {
            Some(known) => Self::Known(*known),
            None => Self::Unknown(Word::from(name)),
        }
    }
}

fn names<K: Named>() -> String {
    K::ALL.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ")
}

impl<K> From<K> for Choice<K> {
    fn from(known: K) -> Self {
        Self::Known(known)
    }
}

impl<'de, K: Named> Deserialize<'de> for Choice<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChoiceVisitor<K>(PhantomData<K>);

        impl<K: Named> Visitor<'_> for ChoiceVisitor<K> {
            type Value = Choice<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "one of {}", names::<K>())
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Choice<K>, E> {
                Ok(Choice::parse(name))
            }
        }

        deserializer.deserialize_str(ChoiceVisitor(PhantomData))
    }
}

impl<K: Named> Serialize for Choice<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<K: Named> JsonSchema for Choice<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Choice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = K::ALL.iter().map(|known| known.name()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// The lines of a request: JSON objects, most often a single one.
///
/// Lines past the limit are counted and not kept, so that a document too long is refused with its true length
/// and costs no memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines<T> {
    items: SmallVec<[T; 1]>,
    count: usize,
}

impl<T> Lines<T> {
    /// How many there are, with those past the limit.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Makes something of each line. A refusal of a value names the line that it is in, counted from 0.
    pub fn map<U, C: FromIterator<U>>(&self, make: impl Fn(&T) -> Result<U, Refusal>) -> Result<C, Refusal> {
        self.map_in("lines", make)
    }

    /// As [`map`](Self::map), for lines that the document has under another name.
    pub fn map_in<U, C: FromIterator<U>>(
        &self,
        field: &str,
        make: impl Fn(&T) -> Result<U, Refusal>,
    ) -> Result<C, Refusal> {
        if self.count > LINES_MAX {
            return Err(Refusal::TooManyLines { lines: self.count, max: LINES_MAX });
        }
        // Most documents have a single line, which needs no growing collection.
        if let [only] = self.items.as_slice() {
            return make(only)
                .map(|line| iter::once(line).collect())
                .map_err(|refusal| in_line(field, 0, refusal));
        }
        let lines = self.items.iter().enumerate();
        lines.map(|(index, line)| make(line).map_err(|refusal| in_line(field, index, refusal))).collect()
    }
}

/// A refusal of a value that says in which line the value is.
#[cold]
fn in_line(field: &str, index: usize, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::InvalidValue { field: inner, reason } => {
            Refusal::InvalidValue { field: format!("{field}[{index}].{inner}"), reason }
        }
        other => other,
    }
}

/// Lines that may be missing.
pub(crate) fn lines_if_any<T, U>(
    lines: Option<&Lines<T>>,
    make: impl Fn(&T) -> Result<U, Refusal>,
) -> Result<Option<Vec<U>>, Refusal> {
    lines.map(|lines| lines.map(make)).transpose()
}

impl<T> FromIterator<T> for Lines<T> {
    fn from_iter<I: IntoIterator<Item = T>>(lines: I) -> Self {
        let items: SmallVec<[T; 1]> = lines.into_iter().collect();
        let count = items.len();
        Self { items, count }
    }
}

impl<T> From<Vec<T>> for Lines<T> {
    fn from(lines: Vec<T>) -> Self {
        lines.into_iter().collect()
    }
}

impl<T, const N: usize> From<[T; N]> for Lines<T> {
    fn from(lines: [T; N]) -> Self {
        lines.into_iter().collect()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lines<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LinesVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for LinesVisitor<T> {
            type Value = Lines<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Lines<T>, A::Error> {
                let mut items = SmallVec::new();
                while items.len() < LINES_MAX {
                    let Some(Object(item)) = seq.next_element()? else {
                        return Ok(Lines { count: items.len(), items });
                    };
                    items.push(item);
                }
                let mut count = items.len();
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Lines { items, count })
            }
        }

        deserializer.deserialize_seq(LinesVisitor(PhantomData))
    }
}

impl<T: Serialize> Serialize for Lines<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.items)
    }
}

impl<T: JsonSchema> JsonSchema for Lines<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Lines".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({ "type": "array", "minItems": 1, "maxItems": LINES_MAX, "items": items })
    }
}

/// Something that is a JSON object and nothing else: derived readers would take an array of its fields as well.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

/// Text in an answer, kept in place up to 24 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Word(CompactString);

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for Word {
    fn eq(&self, other: &str) -> bool {
        &**self == other
    }
}

impl PartialEq<&str> for Word {
    fn eq(&self, other: &&str) -> bool {
        &**self == *other
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(CompactString::new(text))
    }
}

impl From<&Code> for Word {
    fn from(code: &Code) -> Self {
        Self::from(code.as_str())
    }
}

impl From<&Name> for Word {
    fn from(name: &Name) -> Self {
        Self::from(name.as_str())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl JsonSchema for Word {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
