//! The borrowed contents of a message.

use proc_macro2::TokenStream;
use quote::quote;

use super::Emitter;
use crate::emit::attr;
use crate::emit::context::{Role, ident};
use crate::model::Shape;

impl Emitter<'_> {
    pub(super) fn args(&self) -> TokenStream {
        let name = self.name(Role::Args);
        let docs_of = |field: &str| attr::docs("", &format!("See `{field}` of the owned message."));
        let mut fields = Vec::new();
        for (index, field) in self.message.fields.iter().enumerate() {
            if field.oneof.is_none() {
                let docs = docs_of(self.names.fields[index].trim_start_matches("r#"));
                let deprecated = attr::deprecated(field.deprecated);
                let (name, ty) = (ident(&self.names.fields[index]), self.types.args(field));
                fields.push(quote!(#docs #deprecated pub #name: #ty));
            } else if let Some(index) = self.oneof_at(index) {
                let docs = docs_of(self.names.oneofs[index].field.trim_start_matches("r#"));
                let name = ident(&self.names.oneofs[index].field);
                let args = self.oneof_path(index, Role::Args);
                let ty = self.types.option(&quote!(#args<'a>));
                fields.push(quote!(#docs pub #name: #ty));
            }
        }
        let docs = format!(
            " Borrowed contents of {}, to send.",
            attr::link(&self.names.owned, "struct")
        );
        let (open, allow) = (attr::open_struct(), self.allow_deprecated());
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
            #[derive(Debug, Default)]
            #open
            #allow
            pub struct #name<'a> {
                #(#fields,)*
                #phantom
            }
        }
    }

    /// Says whether any field of the arguments has a lifetime.
    fn borrows(&self) -> bool {
        self.message.fields.iter().any(|field| {
            field.oneof.is_some()
                || matches!(field.shape, Shape::List { .. } | Shape::Map { .. })
                || self
                    .cx
                    .wrapper(&field.ty)
                    .map_or(&field.ty, |inner| &inner.ty)
                    .borrows()
        })
    }
}
