//! The constant field table of a message.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::context::{Context, ident};
use crate::layout::{LayoutHash, Slot};
use crate::model::{Message, Scalar, Shape, Type};

/// Emits the static that holds the layout, which checks itself at compile time.
pub(super) fn emit(cx: &Context<'_>, message: &Message, module: &[String]) -> TokenStream {
    let Some(names) = cx.names.messages.get(&message.full_name) else {
        return TokenStream::new();
    };
    let rt = &cx.rt;
    let name = ident(&names.layout);
    let full_name = &message.full_name;
    let oneofs = oneofs(message);
    let fields = message.layout.live().map(|(slot, index)| {
        let field = &message.fields[index];
        let (proto_name, json_name) = (&field.name, &field.json_name);
        let number = Literal::u32_unsuffixed(slot.number);
        let offset = Literal::u32_unsuffixed(slot.offset);
        let kind = kind(cx, module, &slot.ty);
        let shape = shape(cx, slot, &oneofs);
        quote!(#rt::Field::new(#number, #proto_name, #json_name, #kind, #shape, #offset))
    });
    let arms = oneofs.iter().map(|oneof| {
        let (name, offset) = (&message.oneofs[oneof.index].name, oneof.offset);
        let offset = Literal::u32_unsuffixed(offset);
        let arms = oneof.arms.iter().map(|arm| Literal::usize_unsuffixed(*arm));
        quote!(#rt::Oneof { name: #name, offset: #offset, arms: &[#(#arms),*] })
    });
    let docs = format!(" Where each field of `{full_name}` lies.");
    let size = Literal::u32_unsuffixed(message.layout.size);
    let chain = message.layout.chain.iter().map(|link| number(*link));
    quote! {
        #[doc = #docs]
        pub(crate) static #name: #rt::Layout = #rt::Layout::new(
            #full_name,
            &[#(#fields),*],
            &[#(#arms),*],
            #size,
            &#rt::LayoutHash::chain([#(#chain),*]),
        );
    }
}

/// A oneof as the table lists it.
pub(crate) struct OneofSlot {
    /// Its index in the message.
    pub(crate) index: usize,
    pub(crate) offset: u32,
    /// Indices into the table's fields.
    pub(crate) arms: Vec<usize>,
}

/// Lists the oneofs in the order of their slots.
pub(crate) fn oneofs(message: &Message) -> Vec<OneofSlot> {
    let mut list: Vec<OneofSlot> = Vec::new();
    for (position, (slot, _)) in message.layout.live().enumerate() {
        let Some(index) = slot.oneof else { continue };
        match list.iter_mut().find(|oneof| oneof.index == index) {
            Some(oneof) => oneof.arms.push(position),
            None => list.push(OneofSlot {
                index,
                offset: slot.offset,
                arms: vec![position],
            }),
        }
    }
    list.sort_by_key(|oneof| oneof.offset);
    list
}

pub(super) fn hash(cx: &Context<'_>, hash: LayoutHash) -> TokenStream {
    let rt = &cx.rt;
    let number = number(hash);
    quote!(#rt::LayoutHash::from_u128(#number))
}

/// One number reads better than sixteen, and costs the compiler less.
fn number(hash: LayoutHash) -> Literal {
    format!("0x{hash}")
        .parse()
        .unwrap_or_else(|_| Literal::u128_unsuffixed(0))
}

fn kind(cx: &Context<'_>, module: &[String], ty: &Type) -> TokenStream {
    let rt = &cx.rt;
    match ty {
        Type::Enum(name) => {
            let path = cx.enum_path(module, name);
            quote!(#rt::Kind::open::<#path>())
        }
        Type::Message(name) => cx.message_kind(module, name),
        Type::Scalar(scalar) => {
            let name = ident(variant(*scalar));
            quote!(#rt::Kind::#name)
        }
    }
}

fn shape(cx: &Context<'_>, slot: &Slot, oneofs: &[OneofSlot]) -> TokenStream {
    let rt = &cx.rt;
    match slot.shape {
        Shape::List { .. } => quote!(#rt::Shape::List),
        Shape::Map { key } => {
            let key = ident(variant(key));
            quote!(#rt::Shape::Map(#rt::MapKey::#key))
        }
        Shape::Arm => {
            let index = oneofs
                .iter()
                .position(|oneof| Some(oneof.index) == slot.oneof);
            let index = Literal::usize_unsuffixed(index.unwrap_or_default());
            quote!(#rt::Shape::Arm(#index))
        }
        Shape::Plain | Shape::Optional => match slot.bit {
            Some(bit) => {
                let bit = Literal::u32_unsuffixed(bit);
                quote!(#rt::Shape::Optional { bit: #bit })
            }
            None if slot.form() == "nullable" => quote!(#rt::Shape::Nullable),
            None => quote!(#rt::Shape::Plain),
        },
    }
}

fn variant(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Double => "Double",
        Scalar::Float => "Float",
        Scalar::Int32 => "Int32",
        Scalar::Int64 => "Int64",
        Scalar::Uint32 => "Uint32",
        Scalar::Uint64 => "Uint64",
        Scalar::Sint32 => "Sint32",
        Scalar::Sint64 => "Sint64",
        Scalar::Fixed32 => "Fixed32",
        Scalar::Fixed64 => "Fixed64",
        Scalar::Sfixed32 => "Sfixed32",
        Scalar::Sfixed64 => "Sfixed64",
        Scalar::Bool => "Bool",
        Scalar::String => "String",
        Scalar::Bytes => "Bytes",
    }
}
