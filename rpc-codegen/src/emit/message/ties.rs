//! What ties a message's types to the runtime: reading out and writing.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::{Emitter, Part};
use crate::emit::attr;
use crate::emit::context::{Role, ident};
use crate::model::{Field, Scalar, Shape, Type};

impl Emitter<'_> {
    /// The implementations of the runtime's traits.
    ///
    /// `outside` writes what is implemented for other types than the owned struct.
    pub(super) fn ties(&self, outside: &Self) -> TokenStream {
        let rt = &self.cx.rt;
        let allow = self.allow_deprecated();
        let (owned, view, args) = (
            self.name(Role::Owned),
            self.name(Role::View),
            self.name(Role::Args),
        );
        let layout = ident(&self.names.layout);
        let table = if self.parts.is_empty() {
            quote!(_)
        } else {
            quote!(table)
        };
        let json = self.cx.options.json;
        let json = json.then(|| quote!(#allow impl #rt::Json for #owned {}));
        let long = attr::long_function(self.message.fields.len());
        let from_view = self.parts.iter().map(|part| self.copy_out(part));
        let encode_owned = self.parts.iter().map(|part| self.encode_owned(part));
        let encode_args = outside.parts.iter().map(|part| outside.encode_args(part));
        quote! {
            #allow
            impl #rt::Message for #owned {
                type View<'a> = #view<'a>;
                const LAYOUT: &'static #rt::Layout = &#layout;

                #[inline]
                fn view(table: #rt::Table<'_, Self>) -> #view<'_> {
                    #view(table)
                }

                #[inline]
                fn table<'a>(view: Self::View<'a>) -> #rt::Table<'a, Self> {
                    view.0
                }

                #[inline]
                #long
                fn from_view(view: #view<'_>, origin: &#rt::Origin<'_>) -> Self {
                    Self {
                        #(#from_view,)*
                        unknown_fields: origin.unknown_fields(view.0.unknown_fields()),
                    }
                }
            }

            #allow
            impl #rt::Encode<Self> for #owned {
                #[inline]
                #long
                fn encode(&self, table: &mut #rt::TableWriter<'_, Self>) {
                    table.unknown_fields(&self.unknown_fields);
                    #(#encode_owned)*
                }
            }

            #allow
            impl #rt::Encode<#owned> for #args<'_> {
                #[inline]
                #long
                fn encode(&self, #table: &mut #rt::TableWriter<'_, #owned>) {
                    #(#encode_args)*
                }
            }

            #json
        }
    }

    /// One field of the struct that `from_view` builds.
    fn copy_out(&self, part: &Part<'_>) -> TokenStream {
        match part {
            Part::Field(field, index, _) => {
                let name = ident(&self.names.fields[*index]);
                let value = self.copy_field(field, &quote!(view.#name()));
                quote!(#name: #value)
            }
            Part::Oneof { index, .. } => {
                let name = ident(&self.names.oneofs[*index].field);
                let path = self.oneof_path(*index, Role::Owned);
                quote!(#name: view.#name().and_then(|arm| #path::from_view(arm, origin)))
            }
        }
    }

    fn copy_field(&self, field: &Field, read: &TokenStream) -> TokenStream {
        match field.shape {
            Shape::List { .. } => match self.copier(&field.ty) {
                Some(_) if matches!(field.ty, Type::Message(_)) => quote!(origin.list(#read)),
                Some(copy) => quote!(#read.iter().map(#copy).collect()),
                None => quote!(#read.iter().collect()),
            },
            Shape::Map { key } => {
                let key_type = Type::Scalar(key);
                if self.copier(&key_type).is_none() && self.copier(&field.ty).is_none() {
                    return quote!(#read.iter().collect());
                }
                let key = self.copy(&key_type, &quote!(key));
                let value = self.copy(&field.ty, &quote!(value));
                quote!(#read.iter().map(|(key, value)| (#key, #value)).collect())
            }
            _ if self.types.is_nullable(field) => {
                let ty = self
                    .cx
                    .wrapper(&field.ty)
                    .map_or(&field.ty, |inner| &inner.ty);
                let copied = match self.copier(ty) {
                    Some(_) if matches!(ty, Type::Message(_)) => quote!(origin.optional(#read)),
                    Some(copy) => quote!(#read.map(#copy)),
                    None => read.clone(),
                };
                if field.boxed {
                    let boxed = self.types.boxed();
                    quote!(#copied.map(#boxed::new))
                } else {
                    copied
                }
            }
            _ => self.copy(&field.ty, read),
        }
    }

    /// A function from the view of a value to its owned form, if they differ.
    fn copier(&self, ty: &Type) -> Option<TokenStream> {
        match ty {
            Type::Scalar(Scalar::String) => {
                let string = self.types.string();
                Some(quote!(#string::from))
            }
            Type::Scalar(Scalar::Bytes) | Type::Message(_) => {
                let value = self.copy(ty, &quote!(value));
                Some(quote!(|value| #value))
            }
            Type::Scalar(_) | Type::Enum(_) => None,
        }
    }

    /// The owned form of a value that was read.
    pub(in crate::emit) fn copy(&self, ty: &Type, read: &TokenStream) -> TokenStream {
        match ty {
            Type::Scalar(Scalar::String) => {
                let string = self.types.string();
                quote!(#string::from(#read))
            }
            Type::Scalar(Scalar::Bytes) => quote!(origin.bytes(#read)),
            Type::Message(_) => quote!(origin.message(#read)),
            Type::Scalar(_) | Type::Enum(_) => read.clone(),
        }
    }

    fn encode_owned(&self, part: &Part<'_>) -> TokenStream {
        let (field, index, position) = match part {
            Part::Field(field, index, position) => (field, index, position),
            Part::Oneof { index, arms, .. } => return self.encode_oneof(*index, arms, Role::Owned),
        };
        let name = ident(&self.names.fields[*index]);
        let at = Literal::usize_unsuffixed(*position);
        let element = self.types.element(&field.ty);
        match field.shape {
            Shape::List { .. } => quote!(table.list::<#at, #element>(&self.#name);),
            Shape::Map { key } => {
                let key = self.types.element(&Type::Scalar(key));
                quote!(table.map::<#at, #key, #element>(&self.#name);)
            }
            _ if self.types.is_nullable(field) => match self.cx.wrapper(&field.ty) {
                Some(inner) => self.encode_wrapper(field, inner, &name, &at),
                None if field.boxed => {
                    quote!(table.nullable::<#at, #element>(self.#name.as_deref());)
                }
                None => quote!(table.nullable::<#at, #element>(self.#name.as_ref());),
            },
            Shape::Optional => quote!(table.optional::<#at, #element>(self.#name);),
            Shape::Plain | Shape::Arm => quote!(table.plain::<#at, #element>(&self.#name);),
        }
    }

    fn encode_args(&self, part: &Part<'_>) -> TokenStream {
        let (field, index, position) = match part {
            Part::Field(field, index, position) => (field, index, position),
            Part::Oneof { index, arms, .. } => return self.encode_oneof(*index, arms, Role::Args),
        };
        let name = ident(&self.names.fields[*index]);
        let at = Literal::usize_unsuffixed(*position);
        let element = self.types.element(&field.ty);
        match field.shape {
            Shape::List { .. } => {
                quote!(table.list_arg::<#at, #element>(&self.#name);)
            }
            Shape::Map { key } => {
                let key = self.types.element(&Type::Scalar(key));
                quote!(table.map_arg::<#at, #key, #element>(&self.#name);)
            }
            _ if self.types.is_nullable(field) => match self.cx.wrapper(&field.ty) {
                Some(inner) => self.encode_wrapper(field, inner, &name, &at),
                None => quote!(table.nullable::<#at, #element>(self.#name.as_ref());),
            },
            Shape::Optional => quote!(table.optional::<#at, #element>(self.#name);),
            Shape::Plain | Shape::Arm => quote!(table.plain::<#at, #element>(&self.#name);),
        }
    }

    fn encode_wrapper(
        &self,
        field: &Field,
        inner: &Field,
        name: &Ident,
        at: &Literal,
    ) -> TokenStream {
        let Type::Message(wrapper) = &field.ty else {
            return TokenStream::new();
        };
        let element = self.types.element(&field.ty);
        let args = self.cx.message_path(self.types.from, wrapper, Role::Args);
        // A reference to an owned value or to a borrowed one coerces; a number is copied, and its
        // wrapper has a hidden field besides.
        let fields = match &inner.ty {
            Type::Scalar(Scalar::String | Scalar::Bytes) => quote!(value),
            _ => quote!(value: *value, ..#args::default()),
        };
        quote! {
            table.nullable::<#at, #element>(
                self.#name.as_ref().map(|value| #args { #fields }).as_ref(),
            );
        }
    }

    fn encode_oneof(
        &self,
        index: usize,
        arms: &[(&Field, usize, usize)],
        role: Role,
    ) -> TokenStream {
        let name = ident(&self.names.oneofs[index].field);
        let path = self.oneof_path(index, role);
        let (some, none) = (self.types.some(), self.types.none());
        let borrows = arms.iter().any(|(field, _, _)| field.ty.borrows());
        let never = (role == Role::Args && !borrows)
            .then(|| quote!(#some(#path::Borrowed_(never, _)) => match *never {},));
        let arms = arms.iter().map(|(field, index, position)| {
            let variant = ident(&self.names.variants[*index]);
            let at = Literal::usize_unsuffixed(*position);
            let element = self.types.element(&field.ty);
            quote!(#some(#path::#variant(value)) => table.arm::<#at, #element>(value))
        });
        quote! {
            match &self.#name {
                #none => {}
                #(#arms,)*
                #never
            }
        }
    }
}
