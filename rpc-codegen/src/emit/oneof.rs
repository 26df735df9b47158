//! The enums of a oneof: owned, read in place, and borrowed to send.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::attr;
use super::context::{Context, ident};
use super::message::Emitter;
use crate::error::Error;
use crate::model::{Field, Oneof, Scalar, Type};

/// Emits the three enums of oneof `index`, as seen from the message's own module.
pub(super) fn emit(emitter: &Emitter<'_>, index: usize) -> Result<TokenStream, Error> {
    let of = &emitter.names.oneofs[index];
    let oneof = Enums {
        emitter,
        oneof: &emitter.message.oneofs[index],
        owned: ident(&of.owned),
        view: ident(&of.view),
        args: ident(&of.args),
    };
    let owned = oneof.owned()?;
    let view = oneof.view();
    let args = oneof.args();
    let copy = oneof.copy();
    Ok(quote!(#owned #view #args #copy))
}

struct Enums<'a> {
    emitter: &'a Emitter<'a>,
    oneof: &'a Oneof,
    owned: Ident,
    view: Ident,
    args: Ident,
}

impl Enums<'_> {
    fn fields(&self) -> impl Iterator<Item = (&Field, Ident)> {
        self.oneof.fields.iter().map(|&index| {
            let variant = ident(&self.emitter.names.variants[index]);
            (&self.emitter.message.fields[index], variant)
        })
    }

    fn full_name(&self) -> String {
        format!("{}.{}", self.emitter.message.full_name, self.oneof.name)
    }

    fn owned(&self) -> Result<TokenStream, Error> {
        let full_name = self.full_name();
        let attributes = Context::attributes(&self.emitter.cx.options.type_attributes, &full_name)?;
        let docs = attr::docs(&self.oneof.docs, &format!("Oneof `{full_name}`."));
        let (allow, owned) = (self.emitter.allow_deprecated(), &self.owned);
        let arms = self.fields().map(|(field, variant)| {
            let (docs, ty) = (arm_docs(field), self.emitter.types.owned(field));
            quote!(#docs #variant(#ty))
        });
        Ok(quote! {
            #docs
            #[derive(Clone, Debug, PartialEq)]
            #allow
            #(#attributes)*
            pub enum #owned {
                #(#arms,)*
            }
        })
    }

    fn view(&self) -> TokenStream {
        let (allow, view) = (self.emitter.allow_deprecated(), &self.view);
        let docs = format!(
            " Reads {} in place.",
            attr::link(&self.owned.to_string(), "enum")
        );
        let phantom = self.phantom();
        let arms = self.fields().map(|(field, variant)| {
            let docs = attr::short_docs(&field.docs, "Field", &field.name, "oneof");
            let deprecated = attr::deprecated(field.deprecated);
            let ty = self.emitter.types.view(field);
            quote!(#docs #deprecated #variant(#ty))
        });
        quote! {
            #[doc = #docs]
            #[derive(Clone, Copy, Debug, PartialEq)]
            #allow
            pub enum #view<'a> {
                #(#arms,)*
                /// An arm that this schema does not know, by its field number.
                Unknown(u32),
                #phantom
            }
        }
    }

    fn args(&self) -> TokenStream {
        let (allow, args) = (self.emitter.allow_deprecated(), &self.args);
        let docs = format!(
            " Borrowed contents of {}, to send.",
            attr::link(&self.owned.to_string(), "enum")
        );
        let phantom = self.phantom();
        let arms = self.fields().map(|(field, variant)| {
            let ty = self.emitter.types.args(field);
            let deprecated = attr::deprecated(field.deprecated);
            let docs = format!(" See `{variant}` of the owned oneof.");
            quote!(#[doc = #docs] #deprecated #variant(#ty))
        });
        quote! {
            #[doc = #docs]
            #[derive(Debug)]
            #allow
            pub enum #args<'a> {
                #(#arms,)*
                #phantom
            }
        }
    }

    /// From the view to the owned enum.
    fn copy(&self) -> TokenStream {
        let rt = &self.emitter.cx.rt;
        let (owned, view, types) = (&self.owned, &self.view, &self.emitter.types);
        let arms = self.fields().map(|(field, variant)| {
            let mut value = self.emitter.copy(&field.ty, &quote!(value));
            if field.boxed {
                let boxed = types.boxed();
                value = quote!(#boxed::new(#value));
            }
            quote!(#view::#variant(value) => Self::#variant(#value))
        });
        let never =
            (!self.borrows()).then(|| quote!(#view::Borrowed_(never, _) => match never {},));
        let shares = self
            .fields()
            .any(|(field, _)| matches!(field.ty, Type::Message(_) | Type::Scalar(Scalar::Bytes)));
        let origin = if shares { quote!(origin) } else { quote!(_) };
        let (option, some, none) = (types.option(&quote!(Self)), types.some(), types.none());
        let allow = self.emitter.allow_deprecated();
        quote! {
            #allow
            impl #owned {
                /// Copies an arm out; one that this schema does not know is none.
                #[must_use]
                #[inline]
                pub fn from_view(view: #view<'_>, #origin: &#rt::Origin<'_>) -> #option {
                    #some(match view {
                        #(#arms,)*
                        #view::Unknown(_) => return #none,
                        #never
                    })
                }
            }
        }
    }

    fn borrows(&self) -> bool {
        self.fields().any(|(field, _)| field.ty.borrows())
    }

    /// A variant that cannot be made, where no other one uses the lifetime.
    fn phantom(&self) -> Option<TokenStream> {
        (!self.borrows()).then(|| {
            quote! {
                #[doc(hidden)]
                Borrowed_(::core::convert::Infallible, ::core::marker::PhantomData<&'a ()>),
            }
        })
    }
}

fn arm_docs(field: &Field) -> TokenStream {
    let docs = attr::docs(&field.docs, &format!("Field `{}`.", field.name));
    let deprecated = attr::deprecated(field.deprecated);
    quote!(#docs #deprecated)
}
