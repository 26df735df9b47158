//! A service: the trait a server implements, the client, and the method table both use.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::attr;
use super::context::{Context, Role, ident};
use super::names::ServiceNames;
use super::table;
use crate::layout::closure_hash;
use crate::model::{Idempotency, Method, Priority, Service, Wire};

/// Emits what the options ask for of a service.
pub(super) fn emit(cx: &Context<'_>, service: &Service, module: &[String]) -> TokenStream {
    let (client, server) = (cx.options.client, cx.options.server);
    let Some(names) = cx.names.services.get(&service.full_name) else {
        return TokenStream::new();
    };
    if !client && !server {
        return TokenStream::new();
    }
    let emitter = Emitter {
        cx,
        service,
        names,
        module,
        allow: deprecated(cx, service),
    };
    let table = emitter.table();
    let server = server.then(|| emitter.server());
    let client = client.then(|| emitter.client());
    quote!(#table #server #client)
}

fn deprecated(cx: &Context<'_>, service: &Service) -> bool {
    let types = service
        .methods
        .iter()
        .flat_map(|method| [&method.input, &method.output]);
    let mut messages = types.filter_map(|name| cx.schema.messages.get(name));
    service.deprecated
        || service.methods.iter().any(|method| method.deprecated)
        || messages.any(|message| message.deprecated)
}

struct Emitter<'a> {
    cx: &'a Context<'a>,
    service: &'a Service,
    names: &'a ServiceNames,
    module: &'a [String],
    /// Whether the generated code names something deprecated.
    allow: bool,
}

/// One method with what the parts of the emitter need of it.
struct MethodParts<'a> {
    method: &'a Method,
    on_server: Ident,
    on_client: Ident,
    request: TokenStream,
    response: TokenStream,
    /// Its index in the method table.
    at: Literal,
    docs: TokenStream,
}

impl Emitter<'_> {
    fn methods(&self) -> Vec<MethodParts<'_>> {
        let named = self
            .service
            .methods
            .iter()
            .zip(&self.names.methods)
            .enumerate();
        named
            .map(|(at, (method, names))| MethodParts {
                method,
                on_server: ident(&names.server),
                on_client: ident(&names.client),
                request: self
                    .cx
                    .message_path(self.module, &method.input, Role::Owned),
                response: self
                    .cx
                    .message_path(self.module, &method.output, Role::Owned),
                at: Literal::usize_unsuffixed(at),
                docs: attr::docs(&method.docs, &format!("Method `{}`.", method.name)),
            })
            .collect()
    }

    fn allow(&self) -> Option<TokenStream> {
        attr::allow_deprecated(self.allow)
    }

    fn table(&self) -> TokenStream {
        let rt = &self.cx.rt;
        let name = ident(&self.names.table);
        let docs = format!(" The methods of `{}`.", self.service.full_name);
        let count = Literal::usize_unsuffixed(self.service.methods.len());
        let entries = self.methods();
        let entries = entries.iter().map(|parts| self.entry(parts));
        let allow = self.allow();
        quote! {
            #[doc = #docs]
            #allow
            pub static #name: [#rt::MethodInfo; #count] = [#(#entries),*];
        }
    }

    fn entry(&self, parts: &MethodParts<'_>) -> TokenStream {
        let rt = &self.cx.rt;
        let method = parts.method;
        let path = format!("/{}/{}", self.service.full_name, method.name);
        let kind = ident(match (method.client_streaming, method.server_streaming) {
            (false, false) => "Unary",
            (false, true) => "ServerStreaming",
            (true, false) => "ClientStreaming",
            (true, true) => "Bidi",
        });
        let (request, response) = (&parts.request, &parts.response);
        let closure =
            |name: &str| table::hash(self.cx, closure_hash(&self.cx.schema.closure(name)));
        let (asks, answers) = (closure(&method.input), closure(&method.output));
        let options = self.options(method);
        quote! {
            #rt::MethodInfo::new(
                #path,
                #rt::MethodKind::#kind,
                <#request as #rt::Message>::LAYOUT,
                <#response as #rt::Message>::LAYOUT,
            )
            .with_closures(#asks, #answers)
            #options
        }
    }

    fn options(&self, method: &Method) -> TokenStream {
        let rt = &self.cx.rt;
        let options = method.options;
        let deadline = options.deadline_ms.map(|milliseconds| {
            let milliseconds = Literal::u64_unsuffixed(milliseconds);
            quote!(.with_deadline(::core::time::Duration::from_millis(#milliseconds)))
        });
        let idempotency = match options.idempotency {
            Idempotency::Unknown => None,
            Idempotency::NoSideEffects => Some(quote!(NoSideEffects)),
            Idempotency::Idempotent => Some(quote!(Idempotent)),
        };
        let idempotency =
            idempotency.map(|level| quote!(.with_idempotency(#rt::Idempotency::#level)));
        let priority = options.priority.map(|priority| {
            let priority = ident(match priority {
                Priority::Background => "BACKGROUND",
                Priority::Normal => "NORMAL",
                Priority::High => "HIGH",
                Priority::Critical => "CRITICAL",
            });
            quote!(.with_priority(#rt::Priority::#priority))
        });
        let wire = match options.wire {
            Wire::Auto => None,
            Wire::Archive => Some(quote!(.with_wire(#rt::WireOption::Archive))),
            Wire::Protobuf => Some(quote!(.with_wire(#rt::WireOption::Protobuf))),
        };
        let spawn = options.spawn.then(|| quote!(.with_spawn()));
        quote!(#deadline #idempotency #priority #wire #spawn)
    }

    fn server(&self) -> TokenStream {
        let rt = &self.cx.rt;
        let (name, server) = (ident(&self.names.name), ident(&self.names.server));
        let table = ident(&self.names.table);
        let full_name = &self.service.full_name;
        let docs = attr::docs(&self.service.docs, &format!("Service `{full_name}`."));
        let deprecated = attr::deprecated(self.service.deprecated);
        let methods = self.methods();
        let declared = methods.iter().map(|parts| self.declaration(parts));
        let handlers = methods
            .iter()
            .map(|parts| self.handler(parts, &name, &table));
        let lints = attr::accessor_names(self.names.methods.iter().map(|m| m.server.as_str()));
        let server_docs = format!(" Serves a {}.", attr::link(&self.names.name, "trait"));
        let text = &self.names.server;
        let allow = self.allow();
        quote! {
            #docs
            #deprecated
            #lints
            #allow
            pub trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
                #(#declared)*
            }

            #[doc = #server_docs]
            #allow
            pub struct #server<S> {
                service: ::std::sync::Arc<S>,
            }

            #allow
            impl<S: #name> #server<S> {
                /// Serves `service`.
                #[must_use]
                pub fn new(service: S) -> Self {
                    Self::from_arc(::std::sync::Arc::new(service))
                }

                /// Serves a service that is shared with others.
                #[must_use]
                pub const fn from_arc(service: ::std::sync::Arc<S>) -> Self {
                    Self { service }
                }
            }

            #allow
            impl<S: #name> #rt::Service for #server<S> {
                fn name(&self) -> &'static str {
                    #full_name
                }

                #[allow(clippy::too_many_lines, reason = "it has some for each method")]
                fn handlers(&self) -> ::std::vec::Vec<::std::sync::Arc<dyn #rt::Handler>> {
                    ::std::vec::Vec::from([#(#handlers),*])
                }

                fn file_descriptor_set(&self) -> &'static [u8] {
                    FILE_DESCRIPTOR_SET
                }
            }

            impl<S> ::core::clone::Clone for #server<S> {
                fn clone(&self) -> Self {
                    Self { service: ::std::sync::Arc::clone(&self.service) }
                }
            }

            impl<S> ::core::fmt::Debug for #server<S> {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct(#text).finish_non_exhaustive()
                }
            }
        }
    }

    /// A method of the server's trait.
    fn declaration(&self, parts: &MethodParts<'_>) -> TokenStream {
        let rt = &self.cx.rt;
        let MethodParts {
            method,
            on_server: name,
            request,
            response,
            docs,
            ..
        } = parts;
        let deprecated = attr::deprecated(method.deprecated);
        let takes = if method.client_streaming {
            quote!(requests: #rt::Receiver<#request>)
        } else {
            quote!(request: #rt::Request<#request>)
        };
        let (responses, gives) = if method.server_streaming {
            (
                Some(quote!(, responses: #rt::Sender<#response>)),
                quote!(()),
            )
        } else {
            (None, quote!(#rt::Response<#response>))
        };
        quote! {
            #docs
            #deprecated
            fn #name(
                &self,
                #takes #responses
            ) -> impl ::core::future::Future<
                Output = ::core::result::Result<#gives, #rt::Status>,
            > + ::core::marker::Send;
        }
    }

    fn handler(&self, parts: &MethodParts<'_>, name: &Ident, table: &Ident) -> TokenStream {
        let rt = &self.cx.rt;
        let MethodParts {
            method,
            on_server,
            request,
            response,
            at,
            ..
        } = parts;
        let (make, typed, passed) = match (method.client_streaming, method.server_streaming) {
            (false, false) => (
                quote!(unary),
                quote!(request: #rt::Request<#request>),
                quote!(request),
            ),
            (false, true) => (
                quote!(server_streaming),
                quote!(request: #rt::Request<#request>, responses: #rt::Sender<#response>),
                quote!(request, responses),
            ),
            (true, false) => (
                quote!(client_streaming),
                quote!(requests: #rt::Receiver<#request>),
                quote!(requests),
            ),
            (true, true) => (
                quote!(bidi),
                quote!(requests: #rt::Receiver<#request>, responses: #rt::Sender<#response>),
                quote!(requests, responses),
            ),
        };
        // Spelt as identifiers: the words belong to the generated code, and this module is pure.
        let (begin, wait) = (ident("async"), ident("await"));
        quote! {
            #rt::#make(
                &self.service,
                &#table[#at],
                |service: ::std::sync::Arc<S>, #typed| #begin move {
                    <S as #name>::#on_server(&service, #passed).#wait
                },
            )
        }
    }

    fn client(&self) -> TokenStream {
        let rt = &self.cx.rt;
        let client = ident(&self.names.client);
        let table = ident(&self.names.table);
        let full_name = &self.service.full_name;
        let docs = attr::docs(&self.service.docs, &format!("Calls `{full_name}`."));
        let deprecated = attr::deprecated(self.service.deprecated);
        let in_process = self.cx.options.server.then(|| self.in_process());
        let methods = self.methods();
        let methods = methods.iter().map(|parts| self.call(parts, &table));
        let lints = attr::accessor_names(self.names.methods.iter().map(|m| m.client.as_str()));
        let allow = self.allow();
        quote! {
            #docs
            #[derive(Clone, Debug)]
            #deprecated
            #allow
            pub struct #client {
                channel: #rt::Channel,
            }

            #lints
            #allow
            impl #client {
                /// Calls the service through `channel`.
                #[must_use]
                pub const fn new(channel: #rt::Channel) -> Self {
                    Self { channel }
                }

                #in_process

                /// The channel that calls go through.
                #[must_use]
                pub const fn channel(&self) -> &#rt::Channel {
                    &self.channel
                }

                #(#methods)*
            }
        }
    }

    fn in_process(&self) -> TokenStream {
        let rt = &self.cx.rt;
        let (name, server) = (ident(&self.names.name), ident(&self.names.server));
        quote! {
            /// Calls `service` in this process, without a network.
            #[must_use]
            pub fn in_process(service: impl #name) -> Self {
                Self::new(#rt::in_process(&#server::new(service)))
            }
        }
    }

    /// A method of the client.
    fn call(&self, parts: &MethodParts<'_>, table: &Ident) -> TokenStream {
        let rt = &self.cx.rt;
        let MethodParts {
            method,
            on_client: name,
            request,
            response,
            at,
            docs,
            ..
        } = parts;
        let deprecated = attr::deprecated(method.deprecated);
        let (call, types) = match (method.client_streaming, method.server_streaming) {
            (false, false) => (quote!(UnaryCall), quote!(#response)),
            (false, true) => (quote!(ServerStreamingCall), quote!(#response)),
            (true, false) => (quote!(ClientStreamingCall), quote!(#request, #response)),
            (true, true) => (quote!(BidiCall), quote!(#request, #response)),
        };
        if method.client_streaming {
            return quote! {
                #docs
                #deprecated
                pub fn #name(&self) -> #rt::#call<#types> {
                    #rt::#call::new(&self.channel, &#table[#at])
                }
            };
        }
        quote! {
            #docs
            #deprecated
            pub fn #name(
                &self,
                request: impl #rt::IntoMessage<#request>,
            ) -> #rt::#call<#types> {
                #rt::#call::new::<#request>(&self.channel, &#table[#at], request)
            }
        }
    }
}
