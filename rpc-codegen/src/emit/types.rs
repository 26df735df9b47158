//! How a field's type is written in each of the generated forms.

use proc_macro2::TokenStream;
use quote::quote;

use super::context::{Context, Role};
use crate::model::{Field, Scalar, Shape, Type};

/// Writes types as they are seen from one module.
pub(super) struct Types<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) from: &'a [String],
    /// The message and role that `Self` stands for, where there is one.
    pub(super) this: Option<(&'a str, Role)>,
}

impl Types<'_> {
    /// `Option`, by its full path where the schema hides it.
    pub(super) fn option(&self, inner: &TokenStream) -> TokenStream {
        if self.hides("Option") {
            quote!(::core::option::Option<#inner>)
        } else {
            quote!(Option<#inner>)
        }
    }

    pub(super) fn some(&self) -> TokenStream {
        if self.hides("Some") {
            quote!(::core::option::Option::Some)
        } else {
            quote!(Some)
        }
    }

    pub(super) fn none(&self) -> TokenStream {
        if self.hides("None") {
            quote!(::core::option::Option::None)
        } else {
            quote!(None)
        }
    }

    pub(super) fn string(&self) -> TokenStream {
        if self.hides("String") {
            quote!(::std::string::String)
        } else {
            quote!(String)
        }
    }

    fn vec(&self, inner: &TokenStream) -> TokenStream {
        if self.hides("Vec") {
            quote!(::std::vec::Vec<#inner>)
        } else {
            quote!(Vec<#inner>)
        }
    }

    pub(super) fn boxed(&self) -> TokenStream {
        if self.hides("Box") {
            quote!(::std::boxed::Box)
        } else {
            quote!(Box)
        }
    }

    fn hides(&self, name: &str) -> bool {
        self.cx.names.declares(self.from, name)
    }

    /// The type that stands for the value in the runtime's generic accessors.
    pub(super) fn element(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Scalar(Scalar::String) => quote!(str),
            Type::Scalar(Scalar::Bytes) => quote!([u8]),
            Type::Scalar(scalar) => number(*scalar),
            Type::Enum(name) => self.cx.enum_path(self.from, name),
            Type::Message(name) => self.message(name, Role::Owned),
        }
    }

    /// The path of a message's type, or `Self`.
    fn message(&self, name: &str, role: Role) -> TokenStream {
        if self.this == Some((name, role)) {
            return quote!(Self);
        }
        self.cx.message_path(self.from, name, role)
    }

    /// The same types as they are written where `Self` stands for `role` of message `name`.
    pub(super) fn within<'b>(&'b self, name: &'b str, role: Role) -> Types<'b> {
        Types {
            cx: self.cx,
            from: self.from,
            this: Some((name, role)),
        }
    }

    /// The owned form of one value.
    pub(super) fn owned_value(&self, ty: &Type) -> TokenStream {
        let rt = &self.cx.rt;
        match ty {
            Type::Scalar(Scalar::String) => self.string(),
            Type::Scalar(Scalar::Bytes) => quote!(#rt::Bytes),
            other => self.element(other),
        }
    }

    /// The owned form of a field.
    pub(super) fn owned(&self, field: &Field) -> TokenStream {
        let value = self.owned_value(&field.ty);
        match field.shape {
            Shape::List { .. } => self.vec(&value),
            Shape::Map { key } => {
                let key = self.owned_value(&Type::Scalar(key));
                quote!(::std::collections::BTreeMap<#key, #value>)
            }
            Shape::Arm => self.in_box(field, value),
            Shape::Plain | Shape::Optional if self.is_nullable(field) => {
                if let Some(inner) = self.cx.wrapper(&field.ty) {
                    return self.option(&self.owned_value(&inner.ty));
                }
                self.option(&self.in_box(field, value))
            }
            Shape::Optional => self.option(&value),
            Shape::Plain => value,
        }
    }

    fn in_box(&self, field: &Field, value: TokenStream) -> TokenStream {
        if field.boxed {
            let boxed = self.boxed();
            quote!(#boxed<#value>)
        } else {
            value
        }
    }

    /// The form of one value that is read in place, with lifetime `'a`.
    pub(super) fn view_value(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Scalar(Scalar::String) => quote!(&'a str),
            Type::Scalar(Scalar::Bytes) => quote!(&'a [u8]),
            Type::Message(name) if self.this == Some((name.as_str(), Role::View)) => quote!(Self),
            Type::Message(name) => {
                let view = self.message(name, Role::View);
                quote!(#view<'a>)
            }
            other => self.element(other),
        }
    }

    /// What a view's accessor returns.
    pub(super) fn view(&self, field: &Field) -> TokenStream {
        let rt = &self.cx.rt;
        let element = self.element(&field.ty);
        match field.shape {
            Shape::List { .. } => quote!(#rt::ListView<'a, #element>),
            Shape::Map { key } => {
                let key = self.element(&Type::Scalar(key));
                quote!(#rt::MapView<'a, #key, #element>)
            }
            Shape::Arm => self.view_value(&field.ty),
            Shape::Plain | Shape::Optional if self.is_nullable(field) => {
                let inner = self
                    .cx
                    .wrapper(&field.ty)
                    .map_or(&field.ty, |inner| &inner.ty);
                self.option(&self.view_value(inner))
            }
            Shape::Optional => self.option(&self.view_value(&field.ty)),
            Shape::Plain => self.view_value(&field.ty),
        }
    }

    /// The borrowed form of one value, with lifetime `'a`.
    pub(super) fn args_value(&self, ty: &Type) -> TokenStream {
        let rt = &self.cx.rt;
        match ty {
            Type::Message(_) => {
                let message = self.element(ty);
                quote!(&'a dyn #rt::Encode<#message>)
            }
            other => self.view_value(other),
        }
    }

    /// The borrowed form of a field.
    pub(super) fn args(&self, field: &Field) -> TokenStream {
        let rt = &self.cx.rt;
        let element = self.element(&field.ty);
        match field.shape {
            Shape::List { .. } => quote!(#rt::ListArg<'a, #element>),
            Shape::Map { key } => {
                let key = self.element(&Type::Scalar(key));
                quote!(#rt::MapArg<'a, #key, #element>)
            }
            Shape::Arm => self.args_value(&field.ty),
            Shape::Plain | Shape::Optional if self.is_nullable(field) => {
                let inner = self
                    .cx
                    .wrapper(&field.ty)
                    .map_or(&field.ty, |inner| &inner.ty);
                self.option(&self.args_value(inner))
            }
            Shape::Optional => self.option(&self.args_value(&field.ty)),
            Shape::Plain => self.args_value(&field.ty),
        }
    }

    /// Says whether absence of a singular field is a null pointer rather than a presence bit.
    pub(super) fn is_nullable(&self, field: &Field) -> bool {
        let singular = matches!(field.shape, Shape::Plain | Shape::Optional);
        match &field.ty {
            Type::Message(_) => singular,
            Type::Scalar(Scalar::String | Scalar::Bytes) => field.shape == Shape::Optional,
            _ => false,
        }
    }
}

fn number(scalar: Scalar) -> TokenStream {
    match scalar {
        Scalar::Double => quote!(f64),
        Scalar::Float => quote!(f32),
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => quote!(i32),
        Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => quote!(i64),
        Scalar::Uint32 | Scalar::Fixed32 => quote!(u32),
        Scalar::Uint64 | Scalar::Fixed64 => quote!(u64),
        Scalar::Bool => quote!(bool),
        // These two have an element type each, and are dealt with where they differ.
        Scalar::String => quote!(str),
        Scalar::Bytes => quote!([u8]),
    }
}
