//! The enums of a oneof: owned, read in place, and borrowed to send.

use proc_macro2::TokenStream;
use quote::quote;

use super::attr;
use super::context::{Context, ident};
use super::message::Emitter;
use crate::error::Error;
use crate::model::{Scalar, Type};

/// Emits the three enums of oneof `index`, as seen from the message's own module.
pub(super) fn emit(
    emitter: &Emitter<'_>,
    index: usize,
    _inner: &[String],
) -> Result<TokenStream, Error> {
    let (cx, message, names) = (emitter.cx, emitter.message, emitter.names);
    let rt = &cx.rt;
    let oneof = &message.oneofs[index];
    let of = &names.oneofs[index];
    let (owned, view, args) = (ident(&of.owned), ident(&of.view), ident(&of.args));
    let full_name = format!("{}.{}", message.full_name, oneof.name);
    let attributes = Context::attributes(&cx.options.type_attributes, &full_name)?;
    let fields = || {
        oneof
            .fields
            .iter()
            .map(|&index| (&message.fields[index], index))
    };
    let docs = |field: &crate::model::Field| {
        let docs = attr::docs(&field.docs, &format!("Field `{}`.", field.name));
        let deprecated = attr::deprecated(field.deprecated);
        quote!(#docs #deprecated)
    };
    let variant = |index: usize| ident(&names.variants[index]);
    let owned_arms = fields().map(|(field, at)| {
        let (docs, variant, ty) = (docs(field), variant(at), emitter.types.owned(field));
        quote!(#docs #variant(#ty))
    });
    let view_arms = fields().map(|(field, at)| {
        let (docs, variant, ty) = (docs(field), variant(at), emitter.types.view(field));
        quote!(#docs #variant(#ty))
    });
    let args_arms = fields().map(|(field, at)| {
        let (variant, ty) = (variant(at), emitter.types.args(field));
        let deprecated = attr::deprecated(field.deprecated);
        let docs = format!(" See [`{}::{variant}`].", of.owned);
        quote!(#[doc = #docs] #deprecated #variant(#ty))
    });
    let copies = fields().map(|(field, at)| {
        let variant = variant(at);
        let value = copy(emitter, field);
        quote!(#view::#variant(value) => Self::#variant(#value))
    });
    // An arm that only borrows needs the lifetime; one of numbers alone still has it.
    let borrows = |field: &crate::model::Field| {
        matches!(
            field.ty,
            Type::Message(_) | Type::Scalar(Scalar::String | Scalar::Bytes)
        )
    };
    let phantom = (!oneof
        .fields
        .iter()
        .any(|&index| borrows(&message.fields[index])))
    .then(|| {
        quote! {
            #[doc(hidden)]
            Borrowed_(::core::convert::Infallible, ::core::marker::PhantomData<&'a ()>),
        }
    });
    let phantom_copy = phantom
        .as_ref()
        .map(|_| quote!(#view::Borrowed_(never, _) => match never {},));
    let (allow, lints) = (emitter.allow_deprecated(), attr::oneof_enum());
    let own_docs = attr::docs(&oneof.docs, &format!("Oneof `{full_name}`."));
    let view_docs = format!(" Reads [`{}`] in place.", of.owned);
    let args_docs = format!(" Borrowed contents of [`{}`], to send.", of.owned);
    let text = &of.args;
    let needs_origin = oneof.fields.iter().any(|&index| {
        matches!(
            message.fields[index].ty,
            Type::Message(_) | Type::Scalar(Scalar::Bytes)
        )
    });
    let origin = if needs_origin {
        quote!(origin)
    } else {
        quote!(_)
    };
    let option = emitter.types.option(&quote!(Self));
    let (some, none) = (emitter.types.some(), emitter.types.none());
    Ok(quote! {
        #own_docs
        #[derive(Clone, Debug, PartialEq)]
        #lints
        #allow
        #(#attributes)*
        pub enum #owned {
            #(#owned_arms,)*
        }

        #[doc = #view_docs]
        #[derive(Clone, Copy, Debug, PartialEq)]
        #lints
        #allow
        pub enum #view<'a> {
            #(#view_arms,)*
            /// An arm that this schema does not know, by its field number.
            Unknown(u32),
            #phantom
        }

        #[doc = #args_docs]
        #lints
        #allow
        pub enum #args<'a> {
            #(#args_arms,)*
            #phantom
        }

        #allow
        impl #owned {
            /// Copies an arm out; one that this schema does not know is none.
            #[must_use]
            pub fn from_view(view: #view<'_>, #origin: &#rt::Origin<'_>) -> #option {
                #some(match view {
                    #(#copies,)*
                    #view::Unknown(_) => return #none,
                    #phantom_copy
                })
            }
        }

        impl ::core::fmt::Debug for #args<'_> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(#text)
            }
        }
    })
}

fn copy(emitter: &Emitter<'_>, field: &crate::model::Field) -> TokenStream {
    let rt = &emitter.cx.rt;
    let value = match &field.ty {
        Type::Scalar(Scalar::String) => {
            let string = emitter.types.string();
            quote!(#string::from(value))
        }
        Type::Scalar(Scalar::Bytes) => quote!(origin.bytes(value)),
        Type::Message(_) => {
            let message = emitter.types.element(&field.ty);
            quote!(<#message as #rt::Message>::from_view(value, origin))
        }
        Type::Scalar(_) | Type::Enum(_) => quote!(value),
    };
    if field.boxed {
        let boxed = emitter.types.boxed();
        quote!(#boxed::new(#value))
    } else {
        value
    }
}
