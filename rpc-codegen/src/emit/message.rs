//! A message: the owned struct, its view, its arguments and what ties them to the runtime.

mod args;
mod ties;
mod view;

use proc_macro2::TokenStream;
use quote::quote;

use super::attr;
use super::context::{Context, Role, ident};
use super::names::MessageNames;
use super::types::Types;
use super::{oneof, table};
use crate::error::Error;
use crate::model::{Field, Message, Type};

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
        types: Types {
            cx,
            from: module,
            this: None,
        },
        parts: parts(message),
        deprecated: names_deprecated(cx, message),
    };
    let as_owned = emitter.within(Role::Owned);
    let owned = as_owned.owned()?;
    let view = emitter.within(Role::View).view();
    let args = emitter.args();
    let ties = as_owned.ties(&emitter);
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

impl<'a> Emitter<'a> {
    /// The same emitter where `Self` stands for one of the message's types.
    fn within(&'a self, role: Role) -> Self {
        Self {
            cx: self.cx,
            message: self.message,
            names: self.names,
            types: self.types.within(&self.message.full_name, role),
            parts: parts(self.message),
            deprecated: self.deprecated,
        }
    }

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

    /// Emits the enums of the oneofs, which lie in the message's own module.
    pub(super) fn oneofs(&self) -> Result<TokenStream, Error> {
        let all = (0..self.message.oneofs.len()).map(|index| oneof::emit(self, index));
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
        types: Types {
            cx,
            from: inner,
            this: None,
        },
        parts: parts(message),
        deprecated: names_deprecated(cx, message),
    };
    emitter.oneofs()
}
