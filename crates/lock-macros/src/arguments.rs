//! What stands in the brackets: `#[distributed_lock(key = "product:{id}", wait = "5s", fair)]`.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprCall, ExprLit, Lit, LitStr, Result, Token};

use crate::template::{KEY_BYTES_MAX, Template};

/// As `jaego_lock::limits::MODE_BYTES_MAX`; a test holds the two together.
pub(crate) const MODE_BYTES_MAX: usize = 64;

/// As `jaego_lock::limits::WAIT_MAX`, and so on; a test holds them together. A lease must be no shorter than the settings
/// of the locks say either, which only they know.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const LEASE_MIN: Duration = Duration::from_millis(100);
const LEASE_MAX_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_HOLD_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const KNOWN: &str = "`key`, `multi`, `wait`, `lease`, `max_hold`, `mode`, `shared`, `fair`, `locks`, `guard`";

pub(crate) struct Arguments {
    pub(crate) keys: Keys,
    pub(crate) wait: Option<Expr>,
    pub(crate) lease: Option<Expr>,
    pub(crate) max_hold: Option<Expr>,
    pub(crate) mode: Mode,
    pub(crate) fair: bool,
    /// Where the locks come from.
    pub(crate) locks: Option<Expr>,
    /// How the body calls the guard.
    pub(crate) guard: Option<Ident>,
}

pub(crate) enum Keys {
    One(Key),
    Several(Vec<Key>),
}

pub(crate) enum Key {
    Text(Template),
    Unordered(Vec<Template>, Span),
    /// Whatever else can name a lock.
    Value(Expr),
}

pub(crate) enum Mode {
    Exclusive,
    Shared,
    Named(LitStr),
}

/// One argument, before it is looked at together with the others.
struct Argument {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Self { name, value })
    }
}

/// The arguments that were given, by name; each can be taken once.
struct Given(Vec<Argument>);

impl Given {
    fn take(&mut self, name: &str) -> Option<Argument> {
        let at = self.0.iter().position(|argument| argument.name == name)?;
        Some(self.0.remove(at))
    }

    fn value(&mut self, name: &str) -> Result<Option<Expr>> {
        let Some(argument) = self.take(name) else { return Ok(None) };
        let wrong = || Error::new(argument.name.span(), format!("`{name}` needs a value: `{name} = …`"));
        argument.value.ok_or_else(wrong).map(Some)
    }

    /// A word without a value. Returns where it stands.
    fn flag(&mut self, name: &str) -> Result<Option<Span>> {
        let Some(argument) = self.take(name) else { return Ok(None) };
        match argument.value {
            None => Ok(Some(argument.name.span())),
            Some(value) => Err(Error::new(value.span(), format!("`{name}` takes no value"))),
        }
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut given: Vec<Argument> = Vec::new();
        for argument in input.parse_terminated(Argument::parse, Token![,])? {
            if given.iter().any(|other| other.name == argument.name) {
                return Err(Error::new(argument.name.span(), format!("`{}` is said twice", argument.name)));
            }
            given.push(argument);
        }
        let mut given = Given(given);
        let keys = match (given.value("key")?, given.value("multi")?) {
            (Some(key), None) => Keys::One(Key::from(key)?),
            (None, Some(Expr::Array(keys))) if !keys.elems.is_empty() => {
                Keys::Several(keys.elems.into_iter().map(Key::from).collect::<Result<_>>()?)
            }
            (None, Some(other)) => {
                return Err(Error::new(
                    other.span(),
                    "`multi` is a list of keys: `multi = [\"a:{x}\", \"b:{y}\"]`",
                ));
            }
            (Some(_), Some(multi)) => {
                return Err(Error::new(multi.span(), "either `key` or `multi`, not both"));
            }
            (None, None) => {
                let why = "a lock needs a name: `key = \"product:{product_id}\"`";
                return Err(Error::new(Span::call_site(), why));
            }
        };
        let several = matches!(keys, Keys::Several(_));
        let alone = |span, what: &str| {
            let why =
                format!("several locks are taken exclusively, and not in line: `multi` without `{what}`");
            if several { Err(Error::new(span, why)) } else { Ok(()) }
        };
        let [wait, lease, max_hold] = ["wait", "lease", "max_hold"].map(|name| given.value(name));
        let fair = given.flag("fair")?;
        fair.map_or(Ok(()), |span| alone(span, "fair"))?;
        let mode = match (given.flag("shared")?, given.value("mode")?) {
            (None, None) => Mode::Exclusive,
            (Some(span), None) => alone(span, "shared").map(|()| Mode::Shared)?,
            (None, Some(mode)) => alone(mode.span(), "mode").and_then(|()| Mode::from(mode))?,
            (Some(span), Some(_)) => {
                return Err(Error::new(span, "`shared` is a mode of its own; leave one of the two out"));
            }
        };
        let arguments = Self {
            keys,
            wait: wait?.map(|wait| duration(wait, "wait")).transpose()?,
            lease: lease?.map(|lease| duration(lease, "lease")).transpose()?,
            max_hold: max_hold?.map(|hold| duration(hold, "max_hold")).transpose()?,
            mode,
            fair: fair.is_some(),
            locks: given.value("locks")?,
            guard: given.value("guard")?.map(|guard| syn::parse2(guard.into_token_stream())).transpose()?,
        };
        match given.0.first() {
            None => Ok(arguments),
            Some(Argument { name, .. }) => {
                Err(Error::new(name.span(), format!("`{name}` is nothing that a lock knows: {KNOWN}")))
            }
        }
    }
}

impl Key {
    fn from(value: Expr) -> Result<Self> {
        if let Some(text) = text(&value) {
            return Template::parse(text).map(Self::Text);
        }
        match value {
            Expr::Call(ExprCall { func, args, .. }) if func.to_token_stream().to_string() == "unordered" => {
                if args.len() < 2 {
                    return Err(Error::new(func.span(), "`unordered` names two things or more"));
                }
                let part = |part: &Expr| match text(part) {
                    Some(text) => Template::parse(text),
                    None => {
                        Err(Error::new(part.span(), "a part of an unordered key is a text: \"card:{id}\""))
                    }
                };
                Ok(Self::Unordered(args.iter().map(part).collect::<Result<_>>()?, func.span()))
            }
            value => Ok(Self::Value(value)),
        }
    }

    pub(crate) fn templates(&self) -> &[Template] {
        match self {
            Self::Text(template) => std::slice::from_ref(template),
            Self::Unordered(templates, _) => templates,
            Self::Value(_) => &[],
        }
    }

    /// An expression that makes the key, or says what is wrong with it.
    pub(crate) fn tokens(&self) -> TokenStream {
        match self {
            Self::Text(template) => {
                let text = template.text();
                let key = quote! { ::jaego_lock::LockKey::new(#text) };
                counted(&key, template.pattern())
            }
            Self::Unordered(templates, span) => {
                let texts = templates.iter().map(Template::text);
                let key = quote_spanned! { *span => ::jaego_lock::LockKey::unordered([#(#texts),*]) };
                let mut patterns: Vec<&str> = templates.iter().map(Template::pattern).collect();
                patterns.sort_unstable();
                counted(&key, &patterns.join("|"))
            }
            Self::Value(value) => quote_spanned! { value.span() => ::jaego_lock::IntoKey::into_key(#value) },
        }
    }
}

/// The key, counted under a pattern. Of an endless one none is said: its key has hardly room for what differs.
fn counted(key: &TokenStream, pattern: &str) -> TokenStream {
    if pattern.len() > KEY_BYTES_MAX {
        return key.clone();
    }
    quote! { #key.and_then(|key| key.with_pattern(#pattern)) }
}

impl Mode {
    fn from(value: Expr) -> Result<Self> {
        let Some(name) = text(&value) else {
            return Err(Error::new(value.span(), "a mode is a text: `mode = \"allocate\"`"));
        };
        let text = name.value();
        let why = match text.as_str() {
            "" => "a mode's name cannot be empty".to_owned(),
            "exclusive" => "a lock is exclusive unless a `mode` is named; leave it out".to_owned(),
            "shared" => return Ok(Self::Shared),
            _ if text.len() > MODE_BYTES_MAX => {
                format!("a mode's name has at most {MODE_BYTES_MAX} bytes, this one has {}", text.len())
            }
            _ if text.contains(char::is_control) => "a mode's name has no control characters".to_owned(),
            _ => return Ok(Self::Named(name.clone())),
        };
        Err(Error::new(name.span(), why))
    }
}

fn text(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

/// A text with a unit becomes a `Duration`; any expression but a literal is taken for one.
fn duration(value: Expr, name: &str) -> Result<Expr> {
    let text = match &value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text,
        Expr::Lit(other) => {
            return Err(Error::new(other.span(), format!("a duration has a unit: `{name} = \"5s\"`")));
        }
        _ => return Ok(value),
    };
    let Some(duration) = parse_duration(&text.value()) else {
        let why = format!("a duration is a whole number and `ms`, `s`, `m` or `h`: `{name} = \"500ms\"`");
        return Err(Error::new(text.span(), why));
    };
    if duration.is_zero() && name != "wait" {
        return Err(Error::new(text.span(), format!("`{name}` cannot be zero")));
    }
    let (min, max) = match name {
        "lease" => (LEASE_MIN, LEASE_MAX_MAX),
        // No shorter than the lease.
        "max_hold" => (LEASE_MIN, MAX_HOLD_MAX),
        _ => (Duration::ZERO, WAIT_MAX),
    };
    if duration < min || duration > max {
        let said = text.value();
        let why = match duration < min {
            true => format!("`{name}` is {min:?} at the least, not {said}"),
            false => format!("`{name}` is {}h at the most, not {said}", max.as_secs() / 3_600),
        };
        return Err(Error::new(text.span(), why));
    }
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    syn::parse2(quote_spanned! { text.span() => ::core::time::Duration::from_millis(#ms) })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|char: char| !char.is_ascii_digit())?;
    let count: u64 = text[..unit_at].parse().ok()?;
    let ms = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    count.checked_mul(ms).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_locks() {
        assert_eq!(KEY_BYTES_MAX, jaego_lock::limits::KEY_BYTES_MAX);
        assert_eq!(MODE_BYTES_MAX, jaego_lock::limits::MODE_BYTES_MAX);
        assert_eq!(WAIT_MAX, jaego_lock::limits::WAIT_MAX);
        assert_eq!(LEASE_MIN, jaego_lock::limits::LEASE_MIN);
        assert_eq!(LEASE_MAX_MAX, jaego_lock::limits::LEASE_MAX_MAX);
        assert_eq!(MAX_HOLD_MAX, jaego_lock::limits::MAX_HOLD_MAX);
    }

    #[test]
    fn durations_that_no_lock_takes_are_refused() {
        let made = |name, text: &str| {
            let made = duration(syn::parse_quote!(#text), name);
            made.map(|made| made.to_token_stream().to_string()).map_err(|error| error.to_string())
        };
        for (name, text) in [
            ("lease", "100ms"),
            ("lease", "24h"),
            ("wait", "0s"),
            ("wait", "24h"),
            ("max_hold", "100ms"),
            ("max_hold", "720h"),
        ] {
            assert!(made(name, text).is_ok(), "{name} {text}");
        }
        for (name, text, why) in [
            ("lease", "99ms", "`lease` is 100ms at the least, not 99ms"),
            ("lease", "86400001ms", "`lease` is 24h at the most, not 86400001ms"),
            ("wait", "86400001ms", "`wait` is 24h at the most, not 86400001ms"),
            ("max_hold", "99ms", "`max_hold` is 100ms at the least, not 99ms"),
            ("max_hold", "721h", "`max_hold` is 720h at the most, not 721h"),
        ] {
            assert_eq!(made(name, text).unwrap_err(), why);
        }
    }

    #[test]
    fn durations_have_a_unit() {
        let ms = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("0s"), Some(0));
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("5s"), Some(5_000));
        assert_eq!(ms("2m"), Some(120_000));
        assert_eq!(ms("1h"), Some(3_600_000));
        for wrong in
            ["", "5", "s", "5 s", "1.5s", "-1s", "5d", "99999999999999999999s", "18446744073709551615s"]
        {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }
}
