//! How one value is written. `layout` says which values stand where.

use jaego_domain::{
    Amount, Code, Currency, Date, LocationId, LotId, Name, Quantity, Sequence, SiteId, SkuId, TimeZone,
    Timestamp,
};
use smallvec::SmallVec;

use super::{
    bytes::{Reader, Writer},
    error::{Error, Problem, Result},
};

/// A value that can be put and got back.
pub(super) trait Field: Sized {
    /// The fewest bytes that it takes, never 0: what a list's length is checked against.
    const LEN_MIN: usize = 1;

    fn put(&self, w: &mut Writer);

    /// Gets it back; `what` names it in errors.
    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self>;
}

/// A `u64` of its own is a fingerprint: random bits, which no varint makes shorter.
impl Field for u64 {
    const LEN_MIN: usize = 8;

    #[inline]
    fn put(&self, w: &mut Writer) {
        w.raw(&self.to_le_bytes());
    }

    #[inline]
    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        r.array(what).map(Self::from_le_bytes)
    }
}

impl Field for u32 {
    #[inline]
    fn put(&self, w: &mut Writer) {
        w.varint(u64::from(*self));
    }

    #[inline]
    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        r.varint_u32(what)
    }
}

impl Field for i64 {
    fn put(&self, w: &mut Writer) {
        w.zigzag(*self);
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        r.zigzag(what)
    }
}

impl Field for bool {
    fn put(&self, w: &mut Writer) {
        w.byte(u8::from(*self));
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let at = r.at();
        match r.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::new(what, at, Problem::Flag(other))),
        }
    }
}

macro_rules! numbers {
    ($($name:ident)*) => {$(
        impl Field for $name {
            #[inline]
            fn put(&self, w: &mut Writer) {
                w.varint(u64::from(self.0));
            }

            #[inline]
            fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
                r.varint_u32(what).map(Self)
            }
        }
    )*};
}

numbers! { SiteId LocationId SkuId LotId }

impl Field for Sequence {
    fn put(&self, w: &mut Writer) {
        w.varint(self.0);
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        r.varint(what).map(Self)
    }
}

impl Field for Timestamp {
    fn put(&self, w: &mut Writer) {
        w.varint(self.0);
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        r.varint(what).map(Self)
    }
}

impl Field for Quantity {
    #[inline]
    fn put(&self, w: &mut Writer) {
        w.varint(self.get());
    }

    #[inline]
    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let at = r.at();
        Self::new(what, r.varint(what)?).map_err(|refusal| Error::refused(what, at, refusal))
    }
}

impl Field for Amount {
    fn put(&self, w: &mut Writer) {
        w.varint(self.get());
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let at = r.at();
        Self::new(what, r.varint(what)?).map_err(|refusal| Error::refused(what, at, refusal))
    }
}

/// Its three letters.
impl Field for Currency {
    const LEN_MIN: usize = 3;

    fn put(&self, w: &mut Writer) {
        w.raw(self.as_str().as_bytes());
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let at = r.at();
        let letters: [u8; 3] = r.array(what)?;
        let text = std::str::from_utf8(&letters).map_err(|_| Error::new(what, at, Problem::NotText))?;
        Self::new(what, text).map_err(|refusal| Error::refused(what, at, refusal))
    }
}

impl Field for Date {
    fn put(&self, w: &mut Writer) {
        w.zigzag(i64::from(self.days()));
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let at = r.at();
        let days = i32::try_from(r.zigzag(what)?).map_err(|_| Error::new(what, at, Problem::TooLarge))?;
        Ok(Self::stored(days))
    }
}

impl Field for TimeZone {
    fn put(&self, w: &mut Writer) {
        w.text(self.name());
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let at = r.at();
        let name = r.text(what)?;
        let zone = Self::new(name).map_err(|refusal| Error::refused(what, at, refusal))?;
        // The database also finds a zone by `asia/seoul`.
        if zone.name() != name {
            return Err(Error::new(what, at, Problem::NotShortest));
        }
        Ok(zone)
    }
}

impl Field for Name {
    fn put(&self, w: &mut Writer) {
        w.text(self.as_str());
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let at = r.at();
        Self::new(what, r.text(what)?).map_err(|refusal| Error::refused(what, at, refusal))
    }
}

/// Stands where a code's length does, which is 64 at the most: 16 bytes of a UUID follow.
const UUID: u8 = 65;
const UUID_TEXT_LEN: usize = 36;

/// A length and the text, or, for a UUID in lower case with its hyphens, [`UUID`] and its 16 bytes.
impl Field for Code {
    const LEN_MIN: usize = 2;

    #[inline]
    fn put(&self, w: &mut Writer) {
        let text = self.as_str().as_bytes();
        if text.len() == UUID_TEXT_LEN
            && let Some(bytes) = uuid_bytes(text)
        {
            w.byte(UUID);
            w.raw(&bytes);
            return;
        }
        w.byte(u8::try_from(text.len()).expect("a code has 64 bytes at the most"));
        w.raw(text);
    }

    #[inline]
    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let at = r.at();
        let len = r.byte(what)?;
        let uuid;
        let bytes = match len {
            ..UUID => r.raw(what, usize::from(len))?,
            UUID => {
                uuid = uuid_text(r.array(what)?);
                &uuid
            }
            _ => return Err(Error::new(what, at, Problem::Tag(len))),
        };
        if len != UUID && bytes.len() == UUID_TEXT_LEN && uuid_bytes(bytes).is_some() {
            return Err(Error::new(what, at, Problem::NotShortest));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Error::new(what, at, Problem::NotText))?;
        Self::new(what, text).map_err(|refusal| Error::refused(what, at, refusal))
    }
}

/// The hyphens of a UUID's text stand behind these of its 16 bytes.
const HYPHEN_BEFORE: [usize; 4] = [4, 6, 8, 10];

/// The bytes of a UUID, if this is one the way that RFC 9562 writes it.
fn uuid_bytes(text: &[u8]) -> Option<[u8; 16]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut rest = text;
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        if HYPHEN_BEFORE.contains(&index) {
            rest = rest.strip_prefix(b"-")?;
        }
        let (pair, behind) = rest.split_first_chunk::<2>()?;
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        rest = behind;
    }
    rest.is_empty().then_some(bytes)
}

fn uuid_text(bytes: [u8; 16]) -> [u8; UUID_TEXT_LEN] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; UUID_TEXT_LEN];
    let mut at = 0;
    for (index, byte) in bytes.into_iter().enumerate() {
        at += usize::from(HYPHEN_BEFORE.contains(&index));
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 0xf)];
        at += 2;
    }
    text
}

impl<T: Field> Field for Option<T> {
    #[inline]
    fn put(&self, w: &mut Writer) {
        w.byte(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(w);
        }
    }

    #[inline]
    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        bool::get(r, what)?.then(|| T::get(r, what)).transpose()
    }
}

impl<T: Field> Field for Box<T> {
    const LEN_MIN: usize = T::LEN_MIN;

    fn put(&self, w: &mut Writer) {
        T::put(self, w);
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        T::get(r, what).map(Self::new)
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    const LEN_MIN: usize = A::LEN_MIN + B::LEN_MIN;

    fn put(&self, w: &mut Writer) {
        self.0.put(w);
        self.1.put(w);
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        Ok((A::get(r, what)?, B::get(r, what)?))
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, w: &mut Writer) {
        put_list(self, w);
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let count = r.count(what, T::LEN_MIN)?;
        let mut list = Self::with_capacity(count);
        for _ in 0..count {
            list.push(T::get(r, what)?);
        }
        Ok(list)
    }
}

impl<T: Field> Field for SmallVec<[T; 1]> {
    fn put(&self, w: &mut Writer) {
        put_list(self, w);
    }

    fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
        let count = r.count(what, T::LEN_MIN)?;
        let mut list = Self::with_capacity(count);
        for _ in 0..count {
            list.push(T::get(r, what)?);
        }
        Ok(list)
    }
}

fn put_list<T: Field>(list: &[T], w: &mut Writer) {
    w.varint(list.len() as u64);
    for item in list {
        item.put(w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_its_text_unless_it_is_a_uuid() {
        let uuid = "0190163d-8694-739b-aea5-966c26f8ad91";
        let rows = [
            ("a", 2),
            ("H-00000001", 11),
            (uuid, 17),
            (&uuid.to_uppercase(), 37),
            (&uuid.replace('-', ""), 33),
            (&uuid.replace('-', "_"), 37),
            (&uuid.replace("0190163d-", "0190163-d"), 37),
            (&"x".repeat(64), 65),
        ];
        for (text, len) in rows {
            let code = Code::new("id", text).unwrap();
            let mut w = Writer::default();
            code.put(&mut w);
            assert_eq!(w.bytes.len(), len, "{text}");
            assert_eq!(Code::get(&mut Reader::new(&w.bytes), "id"), Ok(code));
        }
    }

    #[test]
    fn a_code_that_no_one_wrote_is_refused() {
        let uuid = [&[36], "0190163d-8694-739b-aea5-966c26f8ad91".as_bytes()].concat();
        let rows: [(&[u8], &str); 7] = [
            (&[], "cannot read id at byte 0: the bytes end before it does"),
            (&[0], "cannot read id at byte 0: it is empty"),
            (&[2, b'a'], "cannot read id at byte 1: the bytes end before it does"),
            (
                &[1, b' '],
                "cannot read id at byte 0: it is \" \", which has a character other than letters, digits and -_.:",
            ),
            (&[1, 0xff], "cannot read id at byte 0: it is not UTF-8"),
            (&[66], "cannot read id at byte 0: tag 66 is unknown: was it written by a later version?"),
            (&uuid, "cannot read id at byte 0: it is not written the shortest way"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(Code::get(&mut Reader::new(bytes), "id").unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_list_never_reserves_more_than_the_bytes_could_fill() {
        let mut w = Writer::default();
        w.varint(u64::MAX);
        w.raw(&[0; 100]);
        let error = Vec::<Code>::get(&mut Reader::new(&w.bytes), "ids").unwrap_err();
        assert_eq!(error.problem(), &Problem::Count { count: u64::MAX, room: 100 });
    }
}
