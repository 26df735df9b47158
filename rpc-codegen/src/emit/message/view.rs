//! The view of a message: one accessor a field.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{Emitter, Part};
use crate::emit::attr;
use crate::emit::context::{Role, ident};
use crate::model::{Field, Shape, Type};

impl Emitter<'_> {
    pub(super) fn view(&self) -> TokenStream {
        let rt = &self.cx.rt;
        let (name, owned) = (self.name(Role::View), self.name(Role::Owned));
        let docs = format!(
            " Reads {} in place.",
            attr::link(&self.names.owned, "struct")
        );
        let accessors = self.parts.iter().map(|part| match part {
            Part::Field(field, index, position) => self.accessor(field, *index, *position),
            Part::Oneof { index, slot, .. } => self.oneof_accessor(*index, *slot),
        });
        let names = self.names.fields.iter().map(String::as_str);
        let names =
            attr::accessor_names(names.chain(self.names.oneofs.iter().map(|o| o.field.as_str())));
        let (pure, allow) = (attr::pure_functions(), self.allow_deprecated());
        let accessors = (!self.parts.is_empty()).then(|| {
            quote! {
                #names
                #pure
                #allow
                impl<'a> #name<'a> {
                    #(#accessors)*
                }
            }
        });
        quote! {
            #[doc = #docs]
            #[derive(Clone, Copy, PartialEq)]
            #allow
            pub struct #name<'a>(#rt::Table<'a, #owned>);

            #accessors

            #rt::message!(#owned, #name);
        }
    }

    fn accessor(&self, field: &Field, index: usize, position: usize) -> TokenStream {
        let docs = attr::short_docs(&field.docs, "Field", &field.name, "message");
        let deprecated = attr::deprecated(field.deprecated);
        let name = ident(&self.names.fields[index]);
        let ty = self.types.view(field);
        let element = self.types.element(&field.ty);
        let at = Literal::usize_unsuffixed(position);
        let read = match field.shape {
            Shape::List { .. } => quote!(self.0.list::<#at, #element>()),
            Shape::Map { key } => {
                let key = self.types.element(&Type::Scalar(key));
                quote!(self.0.map::<#at, #key, #element>())
            }
            _ if self.types.is_nullable(field) => {
                let read = quote!(self.0.nullable::<#at, #element>());
                match self.cx.wrapper(&field.ty) {
                    Some(_) => quote!(#read.map(|wrapper| wrapper.value())),
                    None => read,
                }
            }
            Shape::Optional => quote!(self.0.optional::<#at, #element>()),
            Shape::Plain | Shape::Arm => quote!(self.0.plain::<#at, #element>()),
        };
        quote! {
            #docs
            #deprecated
            #[inline]
            pub fn #name(self) -> #ty {
                #read
            }
        }
    }

    fn oneof_accessor(&self, index: usize, slot: usize) -> TokenStream {
        let oneof = &self.message.oneofs[index];
        let docs = attr::short_docs(&oneof.docs, "Oneof", &oneof.name, "message");
        let name = ident(&self.names.oneofs[index].field);
        let view = self.oneof_path(index, Role::View);
        let ty = self.types.option(&quote!(#view<'a>));
        let (some, none) = (self.types.some(), self.types.none());
        let at = Literal::usize_unsuffixed(slot);
        let long = attr::long_function(oneof.fields.len());
        let Some(Part::Oneof { arms, .. }) = self
            .parts
            .iter()
            .find(|part| matches!(part, Part::Oneof { index: i, .. } if *i == index))
        else {
            return TokenStream::new();
        };
        let arms = arms.iter().map(|(field, index, position)| {
            let number = Literal::u32_unsuffixed(field.number);
            let variant = ident(&self.names.variants[*index]);
            let element = self.types.element(&field.ty);
            let position = Literal::usize_unsuffixed(*position);
            quote!(#number => #some(#view::#variant(self.0.arm::<#position, #element>())))
        });
        quote! {
            #docs
            #[inline]
            #long
            pub fn #name(self) -> #ty {
                match self.0.oneof::<#at>() {
                    0 => #none,
                    #(#arms,)*
                    number => #some(#view::Unknown(number)),
                }
            }
        }
    }
}
