//! An enum: an open newtype with a constant for each value.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::attr;
use super::context::{Context, ident};
use crate::error::Error;
use crate::model::Enum;

/// Emits an enum.
pub(super) fn emit(cx: &Context<'_>, item: &Enum) -> Result<TokenStream, Error> {
    let Some(names) = cx.names.enums.get(&item.full_name) else {
        return Ok(TokenStream::new());
    };
    let rt = &cx.rt;
    let name = ident(&names.name);
    let docs = attr::docs(&item.docs, &format!("Enum `{}`.", item.full_name));
    let deprecated = attr::deprecated(item.deprecated);
    let attributes = Context::attributes(&cx.options.type_attributes, &item.full_name)?;
    let allow = attr::allow_deprecated(uses_deprecated(item));
    let constants = item
        .values
        .iter()
        .zip(&names.values)
        .map(|(value, constant)| {
            let docs = attr::docs(&value.docs, &format!("Value `{}`.", value.name));
            let deprecated = attr::deprecated(value.deprecated);
            let (constant, number) = (ident(constant), Literal::i32_unsuffixed(value.number));
            quote!(#docs #deprecated pub const #constant: Self = Self(#number);)
        });
    let full_name = &item.full_name;
    let pairs = item.values.iter().map(|value| {
        let (number, name) = (Literal::i32_unsuffixed(value.number), &value.name);
        quote!((#number, #name))
    });
    Ok(quote! {
        #docs
        ///
        /// Any number is kept; the constants are those with a name.
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(transparent)]
        #deprecated
        #allow
        #(#attributes)*
        pub struct #name(i32);

        #allow
        impl #name {
            #(#constants)*
        }

        #rt::open_enum!(#name, #full_name, [#(#pairs),*]);
    })
}

fn uses_deprecated(item: &Enum) -> bool {
    item.deprecated || item.values.iter().any(|value| value.deprecated)
}
