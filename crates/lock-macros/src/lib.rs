//! The attribute `#[distributed_lock]`. It is documented, and meant to be used, as
//! `jaego_lock::distributed_lock` (feature `macros` of `jaego-lock`).

mod arguments;
mod expand;
mod template;

use proc_macro::TokenStream;

/// Holds a distributed lock while an async function runs.
#[proc_macro_attribute]
pub fn distributed_lock(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let arguments = syn::parse_macro_input!(arguments as arguments::Arguments);
    let function = syn::parse_macro_input!(function as syn::ItemFn);
    expand::expand(&arguments, &function).unwrap_or_else(|error| error.to_compile_error()).into()
}
