//! An enum: an open newtype with a constant for each value.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::attr;
use super::context::{Context, ident};
use super::types::Types;
use crate::error::Error;
use crate::model::Enum;

/// Emits an enum.
pub(super) fn emit(cx: &Context<'_>, item: &Enum, module: &[String]) -> Result<TokenStream, Error> {
    let Some(names) = cx.names.enums.get(&item.full_name) else {
        return Ok(TokenStream::new());
    };
    let rt = &cx.rt;
    let types = Types {
        cx,
        from: module,
        this: None,
    };
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
    let ties = ties(cx, item, &types, &name);
    let (name_option, self_option) = (
        types.option(&quote!(&'static str)),
        types.option(&quote!(Self)),
    );
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

            /// The value of a number, which need not have a name.
            #[must_use]
            pub const fn from_number(number: i32) -> Self {
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn number(self) -> i32 {
                self.0
            }

            /// The name in the schema, if the number has one.
            #[must_use]
            pub fn as_str_name(self) -> #name_option {
                <Self as #rt::OpenEnum>::INFO.name_of(self.0)
            }

            /// The value of a name in the schema.
            #[must_use]
            pub fn from_str_name(name: &str) -> #self_option {
                <Self as #rt::OpenEnum>::INFO.number_of(name).map(Self)
            }
        }

        #ties
    })
}

/// The implementations of the runtime's and the standard traits.
fn ties(cx: &Context<'_>, item: &Enum, types: &Types<'_>, name: &Ident) -> TokenStream {
    let rt = &cx.rt;
    let allow = attr::allow_deprecated(uses_deprecated(item));
    let full_name = &item.full_name;
    let pairs = item.values.iter().map(|value| {
        let (number, name) = (Literal::i32_unsuffixed(value.number), &value.name);
        quote!((#number, #name))
    });
    let (some, none) = (types.some(), types.none());
    quote! {
        #allow
        impl #rt::Element for #name {
            type Via = #rt::via::Enum;
        }

        #allow
        impl #rt::OpenEnum for #name {
            const INFO: &'static #rt::EnumInfo =
                &#rt::EnumInfo { name: #full_name, values: &[#(#pairs),*] };
        }

        #allow
        impl ::core::convert::From<i32> for #name {
            fn from(number: i32) -> Self {
                Self(number)
            }
        }

        #allow
        impl ::core::convert::From<#name> for i32 {
            fn from(value: #name) -> Self {
                value.0
            }
        }

        #allow
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self.as_str_name() {
                    #some(name) => f.write_str(name),
                    #none => ::core::fmt::Debug::fmt(&self.0, f),
                }
            }
        }
    }
}

fn uses_deprecated(item: &Enum) -> bool {
    item.deprecated || item.values.iter().any(|value| value.deprecated)
}
