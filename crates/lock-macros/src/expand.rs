use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, FnArg, ItemFn, Pat, Result, ReturnType, Type};

use crate::arguments::{Arguments, Key, Keys, Mode};

/// The function, with the lock around its body.
pub(crate) fn expand(arguments: &Arguments, function: &ItemFn) -> Result<TokenStream> {
    let ItemFn { attrs, vis, sig, block } = function;
    if sig.asyncness.is_none() {
        let why = if is_boxed(&sig.output) {
            "a distributed lock is waited for, so the function must be `async`, and this one returns a boxed future (perhaps \
             `async_trait` has made it one): put the attribute on an `async` method outside of the trait, and call that here"
        } else {
            "a distributed lock is waited for, so the function must be `async`"
        };
        return Err(Error::new(sig.fn_token.span(), why));
    }
    let output = match &sig.output {
        ReturnType::Type(_, output) => output,
        ReturnType::Default => {
            let why = "a lock that was not got is an error: the function must return `Result<_, E>` \
                       with `E: From<jaego_lock::Error>`";
            return Err(Error::new(sig.ident.span(), why));
        }
    };
    let names = names(function);
    let keys = match &arguments.keys {
        Keys::One(key) => std::slice::from_ref(key),
        Keys::Several(keys) => keys,
    };
    for template in keys.iter().flat_map(Key::templates) {
        template.check(&sig.ident, &names)?;
    }
    let locks = locks(arguments, function, &names)?;
    let request = request(arguments, &locks);

    // Not to be seen by the body, whatever it calls its own variables.
    let [guard, result] = ["guard", "result"].map(|name| Ident::new(name, Span::mixed_site()));
    let lent = arguments.guard.as_ref().map(|name| quote! { let #name = &#guard; });
    // Here the return type is found wanting, if it has no room for the lock's errors.
    let acquired = quote_spanned! { output.span() => let #guard = #request.acquire().await?; };
    // A closure gives `return` and `?` of the body the place that they had, before the release.
    Ok(quote! {
        #(#attrs)* #vis #sig {
            #acquired
            let #result = {
                #lent
                #[allow(clippy::redundant_closure_call, reason = "it bounds `return` and `?`")]
                (async move || -> #output #block)().await
            };
            ::jaego_lock::attribute::settle(#guard, #result).await
        }
    })
}

/// Whether it is a `Pin<Box<…>>`, as `async_trait` makes of each `async` function.
fn is_boxed(output: &ReturnType) -> bool {
    let ReturnType::Type(_, output) = output else { return false };
    let Type::Path(path) = &**output else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Pin")
}

/// What a key can be made of: `self`, and the variables of the arguments' patterns.
fn names(function: &ItemFn) -> Vec<Ident> {
    let mut names = Vec::new();
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => names.push(Ident::new("self", receiver.span())),
            FnArg::Typed(typed) => bound(&typed.pat, &mut names),
        }
    }
    names
}

fn bound(pattern: &Pat, names: &mut Vec<Ident>) {
    match pattern {
        Pat::Ident(pattern) => {
            names.push(pattern.ident.clone());
            if let Some((_, inner)) = &pattern.subpat {
                bound(inner, names);
            }
        }
        Pat::Paren(pattern) => bound(&pattern.pat, names),
        Pat::Reference(pattern) => bound(&pattern.pat, names),
        Pat::Slice(pattern) => pattern.elems.iter().for_each(|inner| bound(inner, names)),
        Pat::Struct(pattern) => pattern.fields.iter().for_each(|field| bound(&field.pat, names)),
        Pat::Tuple(pattern) => pattern.elems.iter().for_each(|inner| bound(inner, names)),
        Pat::TupleStruct(pattern) => pattern.elems.iter().for_each(|inner| bound(inner, names)),
        Pat::Type(pattern) => bound(&pattern.pat, names),
        _ => {}
    }
}

/// Said, or an argument named `locks`, or the field of that name.
fn locks(arguments: &Arguments, function: &ItemFn, names: &[Ident]) -> Result<TokenStream> {
    if let Some(locks) = &arguments.locks {
        return Ok(match locks {
            Expr::Path(_) | Expr::Field(_) | Expr::MethodCall(_) | Expr::Call(_) => locks.to_token_stream(),
            other => quote! { (#other) },
        });
    }
    let name = |wanted: &str| names.iter().find(|name| **name == wanted);
    match (name("locks"), name("self")) {
        (Some(argument), _) => Ok(argument.to_token_stream()),
        (None, Some(this)) => Ok(quote! { #this.locks }),
        (None, None) => {
            let why = "where do the locks come from? Give the function an argument `locks: &Locks`, or say \
                       `locks = …` in the attribute";
            Err(Error::new(function.sig.ident.span(), why))
        }
    }
}

fn request(arguments: &Arguments, locks: &TokenStream) -> TokenStream {
    let mut request = match (&arguments.keys, &arguments.mode) {
        (Keys::Several(keys), _) => {
            let keys = keys.iter().map(Key::tokens);
            quote! { #locks.multi([#(#keys),*]) }
        }
        (Keys::One(key), mode) => {
            let key = key.tokens();
            match mode {
                Mode::Exclusive => quote! { #locks.lock(#key) },
                Mode::Shared => quote! { #locks.shared(#key) },
                Mode::Named(mode) => quote! { #locks.mode(#key, #mode) },
            }
        }
    };
    let Arguments { wait, lease, max_hold, .. } = arguments;
    for (name, value) in [("wait", wait), ("lease", lease), ("max_hold", max_hold)] {
        if let Some(value) = value {
            let name = Ident::new(name, value.span());
            request.extend(quote_spanned! { value.span() => .#name(#value) });
        }
    }
    if arguments.fair {
        request.extend(quote! { .fair() });
    }
    request
}
