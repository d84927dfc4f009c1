use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::{Error, Index, LitStr, Member, Result};

/// As `jaego_lock::limits::KEY_BYTES_MAX`; a test holds the two together.
pub(crate) const KEY_BYTES_MAX: usize = 256;

/// A text with arguments in it: `order:{order.customer.id}`.
pub(crate) struct Template {
    span: Span,
    /// As `format!` wants it, with `{}` for each of the values.
    format: String,
    values: Vec<Value>,
    /// The text with a star for each of the values.
    pattern: String,
}

/// An argument, or a field of one.
struct Value {
    root: Ident,
    members: Vec<Member>,
}

impl Template {
    pub(crate) fn parse(literal: &LitStr) -> Result<Self> {
        let (span, text) = (literal.span(), literal.value());
        let wrong = |why: String| Err(Error::new(span, why));
        if text.contains(char::is_control) {
            return wrong("a lock's key has no control characters".to_owned());
        }
        let mut template = Self { span, format: String::new(), values: Vec::new(), pattern: String::new() };
        let mut fixed_bytes = 0;
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            template.format.push_str(before);
            template.pattern.push_str(before);
            fixed_bytes += before.len();
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                template.format.push_str(&from[..2]);
                template.pattern.push_str(&from[..1]);
                fixed_bytes += 1;
                rest = after;
                continue;
            }
            let Some(inside) = from.strip_prefix('{') else {
                return wrong("a `}` without its `{`; for the character itself, write `}}`".to_owned());
            };
            let Some((path, after)) = inside.split_once('}') else {
                return wrong("a `{` without its `}`; for the character itself, write `{{`".to_owned());
            };
            template.values.push(Value::parse(path, span)?);
            template.format.push_str("{}");
            if !template.pattern.ends_with('*') {
                template.pattern.push('*');
            }
            rest = after;
        }
        template.format.push_str(rest);
        template.pattern.push_str(rest);
        fixed_bytes += rest.len();
        if fixed_bytes == 0 && template.values.is_empty() {
            return wrong("a lock's key cannot be empty".to_owned());
        }
        if fixed_bytes > KEY_BYTES_MAX {
            return wrong(format!(
                "a lock's key has at most {KEY_BYTES_MAX} bytes, this one has {fixed_bytes}"
            ));
        }
        Ok(template)
    }

    /// Under which its keys are counted: `order:*`.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Says so if something is named that the function does not have.
    pub(crate) fn check(&self, function: &Ident, names: &[Ident]) -> Result<()> {
        // `r#id` and `id` are one name.
        let is_named = |value: &&Value| names.iter().any(|name| name.unraw() == value.root.unraw());
        let Some(missing) = self.values.iter().find(|value| !is_named(value)) else { return Ok(()) };
        let root = &missing.root;
        let has = match names {
            [] => "it has no arguments".to_owned(),
            names => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!("it has {}", names.join(", "))
            }
        };
        Err(Error::new(self.span, format!("`{root}` is no argument of `{function}`: {has}")))
    }

    /// An expression that makes the `String`. Its errors point at the template.
    pub(crate) fn text(&self) -> TokenStream {
        let format = LitStr::new(&self.format, self.span);
        let values = self.values.iter().map(|Value { root, members }| {
            quote_spanned! { self.span => #root #(. #members)* }
        });
        quote_spanned! { self.span => ::std::format!(#format, #(#values),*) }
    }
}

impl Value {
    fn parse(path: &str, span: Span) -> Result<Self> {
        let wrong = |why: &str| {
            let hint = "between braces stands an argument or a field of one, as in `{order.customer.id}`";
            Err(Error::new(span, format!("`{{{path}}}` {why}: {hint}")))
        };
        if path.contains(':') {
            return wrong("has a format, which a key does not take");
        }
        let mut parts = path.split('.');
        // As it was parsed: a raw one cannot be made anew of its text.
        let named = |part: &str| {
            let mut name = syn::parse_str::<Ident>(part).ok()?;
            name.set_span(span);
            Some(name)
        };
        let root = match parts.next().unwrap_or_default() {
            "self" => Ident::new("self", span),
            root => match named(root) {
                Some(root) => root,
                None => return wrong("names nothing"),
            },
        };
        let mut members = Vec::new();
        for part in parts {
            if let Ok(index) = part.parse() {
                members.push(Member::Unnamed(Index { index, span }));
            } else if let Some(name) = named(part) {
                members.push(Member::Named(name));
            } else {
                return wrong("names nothing");
            }
        }
        Ok(Self { root, members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<String, String> {
        let template = Template::parse(&LitStr::new(text, Span::call_site()));
        template.map(|template| template.text().to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn templates_become_formats() {
        let made = |text| parse(text).unwrap();
        assert_eq!(made("nightly"), r#":: std :: format ! ("nightly" ,)"#);
        assert_eq!(made("상품:{id}"), r#":: std :: format ! ("상품:{}" , id)"#);
        assert_eq!(made("{{{a.b.0}}}"), r#":: std :: format ! ("{{{}}}" , a . b . 0)"#);
        assert_eq!(made("{r#type}/{a.r#fn}"), r#":: std :: format ! ("{}/{}" , r#type , a . r#fn)"#);
        assert_eq!(made("{self.site}/{x}"), r#":: std :: format ! ("{}/{}" , self . site , x)"#);
    }

    #[test]
    fn templates_become_patterns() {
        let made = |text| Template::parse(&LitStr::new(text, Span::call_site())).unwrap().pattern;
        assert_eq!(made("nightly:2"), "nightly:2");
        assert_eq!(made("상품:{id}"), "상품:*");
        assert_eq!(made("{{{a.b.0}}}"), "{*}");
        assert_eq!(made("{self.site}{x}/v2"), "*/v2");
    }

    #[test]
    fn templates_are_checked() {
        for (text, why) in [
            ("", "empty"),
            ("a\n", "control"),
            ("{a", "without its `}`"),
            ("a}", "without its `{`"),
            ("{}", "`{}` names nothing"),
            ("{0}", "names nothing"),
            ("{a.}", "names nothing"),
            ("{a b}", "names nothing"),
            ("{a:>3}", "has a format"),
            ("{a()}", "names nothing"),
            ("{type}", "names nothing"),
            ("{a.type}", "names nothing"),
            ("{r#}", "names nothing"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let check = |text, name| {
            let template = Template::parse(&LitStr::new(text, Span::call_site())).unwrap();
            template.check(&Ident::new("sell", Span::call_site()), &[name]).is_ok()
        };
        let raw = |name| Ident::new_raw(name, Span::call_site());
        assert!(check("{r#type}", raw("type")) && check("{r#id}", Ident::new("id", Span::call_site())));
        assert!(check("{id}", raw("id")) && !check("{r#type}", raw("kind")));
        assert!(parse(&"a".repeat(KEY_BYTES_MAX)).is_ok());
        assert!(parse(&"a".repeat(KEY_BYTES_MAX + 1)).unwrap_err().contains("257"));
    }
}
