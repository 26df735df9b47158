//! A message: the owned struct, its view, its arguments and what ties them to the runtime.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::attr;
use super::context::{Context, Role, ident};
use super::names::MessageNames;
use super::types::Types;
use super::{oneof, table};
use crate::error::Error;
use crate::model::{Field, Message, Scalar, Shape, Type};

/// One message being emitted, as seen from the module it lies in.
pub(super) struct Emitter<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) message: &'a Message,
    pub(super) names: &'a MessageNames,
    pub(super) types: Types<'a>,
    /// What has a slot, in the order of the slots.
    pub(super) parts: Vec<Part<'a>>,
    /// Whether the generated code names something deprecated.
    pub(super) deprecated: bool,
}

/// What has one slot in the body.
pub(super) enum Part<'a> {
    /// A field and its index in the table.
    Field(&'a Field, usize, usize),
    /// A oneof: its index in the message and in the table, and its arms.
    Oneof {
        index: usize,
        slot: usize,
        arms: Vec<(&'a Field, usize, usize)>,
    },
}

/// Emits everything about one message except what is declared inside it.
pub(super) fn emit(
    cx: &Context<'_>,
    message: &Message,
    module: &[String],
) -> Result<TokenStream, Error> {
    let Some(names) = cx.names.messages.get(&message.full_name) else {
        return Ok(TokenStream::new());
    };
    let emitter = Emitter {
        cx,
        message,
        names,
        types: Types { cx, from: module },
        parts: parts(message),
        deprecated: names_deprecated(cx, message),
    };
    let owned = emitter.owned()?;
    let view = emitter.view();
    let args = emitter.args();
    let ties = emitter.ties();
    let table = table::emit(cx, message, module);
    Ok(quote!(#owned #view #args #ties #table))
}

/// Lists what has a slot, by offset.
fn parts(message: &Message) -> Vec<Part<'_>> {
    let live: Vec<_> = message.layout.live().collect();
    let mut parts: Vec<(u32, Part<'_>)> = Vec::new();
    for (position, (slot, field)) in live.iter().enumerate() {
        if slot.oneof.is_none() {
            let part = Part::Field(&message.fields[*field], *field, position);
            parts.push((slot.offset, part));
        }
    }
    for (slot, oneof) in table::oneofs(message).into_iter().enumerate() {
        let arms = oneof.arms.iter().map(|&position| {
            let field = live[position].1;
            (&message.fields[field], field, position)
        });
        let part = Part::Oneof {
            index: oneof.index,
            slot,
            arms: arms.collect(),
        };
        parts.push((oneof.offset, part));
    }
    parts.sort_by_key(|(offset, _)| *offset);
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Says whether code about the message uses something that is marked deprecated.
fn names_deprecated(cx: &Context<'_>, message: &Message) -> bool {
    let is_deprecated = |ty: &Type| match ty {
        Type::Message(name) => cx.schema.messages.get(name).is_some_and(|m| m.deprecated),
        Type::Enum(name) => cx.schema.enums.get(name).is_some_and(|e| e.deprecated),
        Type::Scalar(_) => false,
    };
    message.deprecated
        || message
            .fields
            .iter()
            .any(|f| f.deprecated || is_deprecated(&f.ty))
}

impl Emitter<'_> {
    pub(super) fn name(&self, role: Role) -> proc_macro2::Ident {
        ident(match role {
            Role::Owned => &self.names.owned,
            Role::View => &self.names.view,
            Role::Args => &self.names.args,
        })
    }

    pub(super) fn allow_deprecated(&self) -> Option<TokenStream> {
        attr::allow_deprecated(self.deprecated)
    }

    /// The path of one of a oneof's enums, which lie in the message's own module.
    pub(super) fn oneof_path(&self, index: usize, role: Role) -> TokenStream {
        let names = &self.names.oneofs[index];
        let name = ident(match role {
            Role::Owned => &names.owned,
            Role::View => &names.view,
            Role::Args => &names.args,
        });
        let inner = ident(&self.names.inner);
        quote!(#inner::#name)
    }

    fn owned(&self) -> Result<TokenStream, Error> {
        let rt = &self.cx.rt;
        let name = self.name(Role::Owned);
        let docs = attr::docs(
            &self.message.docs,
            &format!("Message `{}`.", self.message.full_name),
        );
        let mut fields = Vec::new();
        for (index, field) in self.message.fields.iter().enumerate() {
            if field.oneof.is_none() {
                fields.push(self.owned_field(index, field)?);
            } else if let Some(oneof) = self.oneof_at(index) {
                fields.push(self.owned_oneof(oneof));
            }
        }
        let attributes =
            Context::attributes(&self.cx.options.type_attributes, &self.message.full_name)?;
        let (open, allow) = (attr::open_struct(), self.allow_deprecated());
        let deprecated = attr::deprecated(self.message.deprecated);
        Ok(quote! {
            #docs
            #[derive(Clone, Debug, Default, PartialEq)]
            #deprecated
            #open
            #allow
            #(#attributes)*
            pub struct #name {
                #(#fields,)*
                /// Fields a protobuf peer sent that this schema does not know.
                pub unknown_fields: #rt::UnknownFields,
            }
        })
    }

    /// The oneof whose first declared arm is the field, so that it is listed once and in its place.
    fn oneof_at(&self, field: usize) -> Option<usize> {
        self.message
            .oneofs
            .iter()
            .position(|oneof| oneof.fields.first() == Some(&field))
    }

    fn owned_field(&self, index: usize, field: &Field) -> Result<TokenStream, Error> {
        let docs = attr::docs(&field.docs, &format!("Field `{}`.", field.name));
        let deprecated = attr::deprecated(field.deprecated);
        let name = ident(&self.names.fields[index]);
        let ty = self.types.owned(field);
        let path = format!("{}.{}", self.message.full_name, field.name);
        let attributes = Context::attributes(&self.cx.options.field_attributes, &path)?;
        Ok(quote!(#docs #deprecated #(#attributes)* pub #name: #ty))
    }

    fn owned_oneof(&self, index: usize) -> TokenStream {
        let oneof = &self.message.oneofs[index];
        let docs = attr::docs(&oneof.docs, &format!("Oneof `{}`.", oneof.name));
        let name = ident(&self.names.oneofs[index].field);
        let ty = self.types.option(&self.oneof_path(index, Role::Owned));
        quote!(#docs pub #name: #ty)
    }

    fn view(&self) -> TokenStream {
        let rt = &self.cx.rt;
        let (name, owned) = (self.name(Role::View), self.name(Role::Owned));
        let docs = format!(" Reads [`{}`] in place.", self.names.owned);
        let accessors = self.parts.iter().map(|part| match part {
            Part::Field(field, index, position) => self.accessor(field, *index, *position),
            Part::Oneof { index, slot, .. } => self.oneof_accessor(*index, *slot),
        });
        let names = self.names.fields.iter().map(String::as_str);
        let names =
            attr::accessor_names(names.chain(self.names.oneofs.iter().map(|o| o.field.as_str())));
        let allow = self.allow_deprecated();
        quote! {
            #[doc = #docs]
            #[derive(Clone, Copy, PartialEq)]
            #allow
            pub struct #name<'a>(#rt::Table<'a, #owned>);

            #names
            #allow
            impl<'a> #name<'a> {
                #(#accessors)*

                /// The protobuf fields that this schema does not know, tags included.
                #[must_use]
                pub fn unknown_fields(self) -> &'a [u8] {
                    self.0.unknown_fields()
                }

                /// Copies everything out.
                #[must_use]
                pub fn into_owned(self) -> #owned {
                    <#owned as #rt::Message>::from_view(self, &#rt::Origin::COPY)
                }
            }

            #allow
            impl ::core::fmt::Debug for #name<'_> {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Debug::fmt(&self.0, f)
                }
            }
        }
    }

    fn accessor(&self, field: &Field, index: usize, position: usize) -> TokenStream {
        let docs = attr::docs(&field.docs, &format!("Field `{}`.", field.name));
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
            #[must_use]
            #[inline]
            pub fn #name(self) -> #ty {
                #read
            }
        }
    }

    fn oneof_accessor(&self, index: usize, slot: usize) -> TokenStream {
        let oneof = &self.message.oneofs[index];
        let docs = attr::docs(&oneof.docs, &format!("Oneof `{}`.", oneof.name));
        let name = ident(&self.names.oneofs[index].field);
        let view = self.oneof_path(index, Role::View);
        let ty = self.types.option(&quote!(#view<'a>));
        let (some, none) = (self.types.some(), self.types.none());
        let at = Literal::usize_unsuffixed(slot);
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
            #[must_use]
            pub fn #name(self) -> #ty {
                match self.0.oneof::<#at>() {
                    0 => #none,
                    #(#arms,)*
                    number => #some(#view::Unknown(number)),
                }
            }
        }
    }

    fn args(&self) -> TokenStream {
        let name = self.name(Role::Args);
        let docs_of = |field: &str| {
            let field = field.trim_start_matches("r#");
            let docs = format!(" See [`{0}::{field}`].", self.names.owned);
            quote!(#[doc = #docs])
        };
        let mut fields = Vec::new();
        for (index, field) in self.message.fields.iter().enumerate() {
            if field.oneof.is_none() {
                let docs = docs_of(&self.names.fields[index]);
                let deprecated = attr::deprecated(field.deprecated);
                let (name, ty) = (ident(&self.names.fields[index]), self.types.args(field));
                fields.push(quote!(#docs #deprecated pub #name: #ty));
            } else if let Some(index) = self.oneof_at(index) {
                let docs = docs_of(&self.names.oneofs[index].field);
                let name = ident(&self.names.oneofs[index].field);
                let args = self.oneof_path(index, Role::Args);
                let ty = self.types.option(&quote!(#args<'a>));
                fields.push(quote!(#docs pub #name: #ty));
            }
        }
        let docs = format!(" Borrowed contents of [`{}`], to send.", self.names.owned);
        let (open, allow) = (attr::open_struct(), self.allow_deprecated());
        let text = name.to_string();
        // Without a field that borrows, the lifetime would be unused.
        let fill = fields.is_empty() || !self.borrows();
        let phantom = fill.then(|| {
            quote! {
                #[doc(hidden)]
                pub borrowed: ::core::marker::PhantomData<&'a ()>,
            }
        });
        quote! {
            #[doc = #docs]
            #[derive(Default)]
            #open
            #allow
            pub struct #name<'a> {
                #(#fields,)*
                #phantom
            }

            impl ::core::fmt::Debug for #name<'_> {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct(#text).finish_non_exhaustive()
                }
            }
        }
    }

    /// Says whether any field of the arguments has a lifetime.
    fn borrows(&self) -> bool {
        self.message.fields.iter().any(|field| {
            field.oneof.is_some()
                || matches!(field.shape, Shape::List { .. } | Shape::Map { .. })
                || match self
                    .cx
                    .wrapper(&field.ty)
                    .map_or(&field.ty, |inner| &inner.ty)
                {
                    Type::Scalar(Scalar::String | Scalar::Bytes) | Type::Message(_) => true,
                    Type::Scalar(_) | Type::Enum(_) => false,
                }
        })
    }

    /// The implementations of the runtime's traits.
    fn ties(&self) -> TokenStream {
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
        let from_view = self.parts.iter().map(|part| self.copy_out(part));
        let encode_owned = self.parts.iter().map(|part| self.encode_owned(part));
        let encode_args = self.parts.iter().map(|part| self.encode_args(part));
        quote! {
            #allow
            impl #rt::Element for #owned {
                type Via = #rt::via::Message;
            }

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

                fn from_view(view: #view<'_>, origin: &#rt::Origin<'_>) -> Self {
                    Self {
                        #(#from_view,)*
                        unknown_fields: origin.unknown_fields(view.0.unknown_fields()),
                    }
                }
            }

            #allow
            impl #rt::Encode<#owned> for #owned {
                fn encode(&self, table: &mut #rt::TableWriter<'_, #owned>) {
                    #(#encode_owned)*
                    table.unknown_fields(&self.unknown_fields);
                }
            }

            #allow
            impl #rt::Encode<#owned> for #args<'_> {
                fn encode(&self, #table: &mut #rt::TableWriter<'_, #owned>) {
                    #(#encode_args)*
                }
            }

            #allow
            impl #rt::Encode<#owned> for #view<'_> {
                fn encode(&self, table: &mut #rt::TableWriter<'_, #owned>) {
                    table.copy(self.0);
                }
            }

            #allow
            impl ::core::convert::From<#view<'_>> for #owned {
                fn from(view: #view<'_>) -> Self {
                    view.into_owned()
                }
            }
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
            Shape::List { .. } => match self.copy_value(&field.ty) {
                Some(copy) => quote!(#read.iter().map(#copy).collect()),
                None => quote!(#read.iter().collect()),
            },
            Shape::Map { key } => {
                let key = match key {
                    Scalar::String => {
                        let string = self.types.string();
                        quote!(#string::from(key))
                    }
                    _ => quote!(key),
                };
                match self.copy_value(&field.ty) {
                    Some(copy) => {
                        quote!(#read.iter().map(|(key, value)| (#key, (#copy)(value))).collect())
                    }
                    None => quote!(#read.iter().map(|(key, value)| (#key, value)).collect()),
                }
            }
            _ if self.types.is_nullable(field) => {
                let ty = self
                    .cx
                    .wrapper(&field.ty)
                    .map_or(&field.ty, |inner| &inner.ty);
                let copied = match self.copy_value(ty) {
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
            _ => match &field.ty {
                Type::Scalar(Scalar::String) => {
                    let string = self.types.string();
                    quote!(#string::from(#read))
                }
                Type::Scalar(Scalar::Bytes) => quote!(origin.bytes(#read)),
                _ => read.clone(),
            },
        }
    }

    /// A function from the view of a value to its owned form, if they differ.
    pub(super) fn copy_value(&self, ty: &Type) -> Option<TokenStream> {
        let rt = &self.cx.rt;
        match ty {
            Type::Scalar(Scalar::String) => {
                let string = self.types.string();
                Some(quote!(#string::from))
            }
            Type::Scalar(Scalar::Bytes) => Some(quote!(|value| origin.bytes(value))),
            Type::Message(_) => {
                let message = self.types.element(ty);
                Some(quote!(|value| <#message as #rt::Message>::from_view(value, origin)))
            }
            Type::Scalar(_) | Type::Enum(_) => None,
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
                quote!(table.list_with::<#at, #element>(|list| self.#name.write(list));)
            }
            Shape::Map { key } => {
                let key = self.types.element(&Type::Scalar(key));
                quote!(table.map_with::<#at, #key, #element>(|map| self.#name.write(map));)
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
        name: &proc_macro2::Ident,
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
            _ => quote!(value: *value, ..::core::default::Default::default()),
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
            }
        }
    }

    /// Emits the enums of the oneofs, which lie in the message's own module.
    pub(super) fn oneofs(&self, inner: &[String]) -> Result<TokenStream, Error> {
        let all = (0..self.message.oneofs.len()).map(|index| oneof::emit(self, index, inner));
        all.collect()
    }
}

/// Emits what lies in the message's own module because of its oneofs.
pub(super) fn emit_oneofs(
    cx: &Context<'_>,
    message: &Message,
    inner: &[String],
) -> Result<TokenStream, Error> {
    let Some(names) = cx.names.messages.get(&message.full_name) else {
        return Ok(TokenStream::new());
    };
    let emitter = Emitter {
        cx,
        message,
        names,
        types: Types { cx, from: inner },
        parts: parts(message),
        deprecated: names_deprecated(cx, message),
    };
    emitter.oneofs(inner)
}
