//! Comments and attributes of generated items.

use proc_macro2::TokenStream;
use quote::quote;

/// Turns a text into doc attributes, one a line; `fallback` stands in for no text.
pub(super) fn docs(text: &str, fallback: &str) -> TokenStream {
    let text = if text.trim().is_empty() {
        fallback
    } else {
        text
    };
    let lines = text.lines().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        }
    });
    quote!(#(#[doc = #lines])*)
}

/// The short form of a comment that stands in full at the `owned` form of the same thing.
pub(super) fn short_docs(text: &str, what: &str, name: &str, owned: &str) -> TokenStream {
    if text.trim().lines().count() > 1 {
        return docs("", &format!("See `{name}` of the owned {owned}."));
    }
    docs(text, &format!("{what} `{name}`."))
}

/// Links to an item, and says which kind it is where rustdoc would think of a derive macro.
pub(super) fn link(name: &str, kind: &str) -> String {
    if DERIVES.contains(&name) {
        format!("[`{kind}@{name}`]")
    } else {
        format!("[`{name}`]")
    }
}

pub(super) fn deprecated(yes: bool) -> Option<TokenStream> {
    yes.then(|| quote!(#[deprecated]))
}

/// Lets generated code use what it marks as deprecated itself.
pub(super) fn allow_deprecated(yes: bool) -> Option<TokenStream> {
    yes.then(|| quote!(#[allow(deprecated, reason = "what is deprecated still travels")]))
}

/// Says why a struct can be built by anyone.
pub(super) fn open_struct() -> TokenStream {
    quote! {
        #[allow(clippy::exhaustive_structs, reason = "built with `..Default::default()`")]
    }
}

/// Quiets what clippy says of a function whose length follows from the number of fields.
pub(super) fn long_function(fields: usize) -> Option<TokenStream> {
    (fields > FIELDS_SHORT_MAX).then(
        || quote!(#[allow(clippy::too_many_lines, reason = "it does one thing for each field")]),
    )
}

/// Says why an accessor is not marked as one whose value must be used.
pub(super) fn pure_functions() -> TokenStream {
    quote!(#[allow(clippy::must_use_candidate, reason = "what only reads is rarely called in vain")])
}

/// Quiets what clippy says of oneofs, all of which lie in their message's module.
pub(super) fn inner_module(same_name: bool) -> TokenStream {
    let same_name = same_name.then(|| quote!(clippy::module_inception,));
    quote! {
        #[allow(
            #same_name
            clippy::exhaustive_enums,
            clippy::enum_variant_names,
            clippy::large_enum_variant,
            reason = "names, arms and their sizes are the schema's"
        )]
    }
}

/// Quiets what clippy says of method names that the schema has chosen, where it would.
pub(super) fn accessor_names<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<TokenStream> {
    let judged = |name: &str| {
        let name = name.trim_start_matches("r#");
        let prefixes = ["as_", "from_", "into_", "is_", "to_"];
        prefixes.iter().any(|prefix| name.starts_with(prefix)) || TRAIT_METHODS.contains(&name)
    };
    names.any(judged).then(|| {
        quote! {
            #[allow(
                clippy::len_without_is_empty,
                clippy::new_ret_no_self,
                clippy::should_implement_trait,
                clippy::wrong_self_convention,
                reason = "the names are the schema's"
            )]
        }
    })
}

/// The names clippy expects of a trait, and two it has rules of their own for.
const TRAIT_METHODS: [&str; 32] = [
    "add",
    "as_mut",
    "as_ref",
    "bitand",
    "bitor",
    "bitxor",
    "borrow",
    "borrow_mut",
    "clone",
    "cmp",
    "default",
    "deref",
    "deref_mut",
    "div",
    "drop",
    "eq",
    "from_iter",
    "from_str",
    "hash",
    "index",
    "index_mut",
    "into_iter",
    "len",
    "mul",
    "neg",
    "new",
    "next",
    "not",
    "rem",
    "shl",
    "shr",
    "sub",
];

/// The derive macros that are always in scope.
const DERIVES: [&str; 9] = [
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Eq",
    "Hash",
    "Ord",
    "PartialEq",
    "PartialOrd",
];

/// With at most this many fields, seven lines each, a function stays below the limits in use.
const FIELDS_SHORT_MAX: usize = 8;
