//! What a server offers, for tools that learn it from the server.
//!
//! The protocol is that of gRPC's documents, `doc/server-reflection.md`. It has two names on the
//! wire: `v1`, and `v1alpha`, by which older tools ask.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use dreammesh_core::call::{Code, Receiver, Sender, Status};
use dreammesh_core::server::Service;
use dreammesh_core::wire::WireError;

use crate::files::Index;

/// What a server offers; a clone shares it.
#[derive(Clone, Debug)]
pub struct Reflection(Arc<Offer>);

#[derive(Debug)]
struct Offer {
    /// The full names, in order.
    services: Vec<String>,
    index: Index,
}

/// A descriptor set that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReflectionError {
    service: String,
    error: WireError,
}

impl Reflection {
    /// Takes in the full name of each service and the serialised `FileDescriptorSet` of its files,
    /// which is empty for a service that has none to show.
    ///
    /// The two services of reflection are part of it, whether they are named or not.
    ///
    /// # Errors
    /// Whose descriptor set cannot be read.
    pub fn new<'a>(
        services: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, ReflectionError> {
        let ours = [
            (V1, reflection_v1::FILE_DESCRIPTOR_SET),
            (V1_ALPHA, reflection_v1alpha::FILE_DESCRIPTOR_SET),
        ];
        let mut offer = Offer {
            services: Vec::new(),
            index: Index::default(),
        };
        for (service, set) in services.into_iter().chain(ours) {
            offer.index.add_set(set).map_err(|error| ReflectionError {
                service: service.to_owned(),
                error,
            })?;
            offer.services.push(service.to_owned());
        }
        offer.services.sort();
        offer.services.dedup();
        Ok(Self(Arc::new(offer)))
    }

    /// `grpc.reflection.v1.ServerReflection`.
    pub fn service(&self) -> impl Service + use<> {
        reflection_v1::ServerReflectionServer::new(self.clone())
    }

    /// `grpc.reflection.v1alpha.ServerReflection`, for tools that ask by the older name.
    pub fn service_v1alpha(&self) -> impl Service + use<> {
        reflection_v1alpha::ServerReflectionServer::new(self.clone())
    }
}

impl fmt::Display for ReflectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, error } = self;
        write!(f, "the descriptors of {service} cannot be read: {error}")
    }
}

impl std::error::Error for ReflectionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A question, in whichever name it came.
enum Asked<'a> {
    File(&'a str),
    Symbol(&'a str),
    Extension(&'a str, i32),
    Extensions(&'a str),
    Services,
    /// By an arm that the protocol got later, or by none.
    Unknown,
}

/// Its answer.
enum Said<'a> {
    Files(Vec<Bytes>),
    Extensions(&'a str, Vec<i32>),
    Services(&'a [String]),
    Nothing(Code, String),
}

impl Offer {
    fn answer<'a>(&'a self, asked: Asked<'a>, sent: &mut HashSet<usize>) -> Said<'a> {
        let index = &self.index;
        let file = match asked {
            Asked::File(name) => index
                .file(name)
                .ok_or_else(|| format!("file {}", shown(name))),
            Asked::Symbol(name) => {
                // Some tools put a dot in front, as descriptors do.
                let full = name.strip_prefix('.').unwrap_or(name);
                let file = index.declaring(full);
                file.ok_or_else(|| format!("symbol {}", shown(name)))
            }
            Asked::Extension(message, number) => index
                .extending(message, number)
                .ok_or_else(|| format!("extension {number} of {}", shown(message))),
            Asked::Extensions(message) => {
                return match index.extension_numbers(message) {
                    Some(numbers) => Said::Extensions(message, numbers),
                    None => not_found(&format!("message {}", shown(message))),
                };
            }
            Asked::Services => return Said::Services(&self.services),
            Asked::Unknown => {
                let message = "the request asks for nothing that is known here".to_owned();
                return Said::Nothing(Code::InvalidArgument, message);
            }
        };
        match file {
            Ok(file) => Said::Files(index.with_imports(file, sent)),
            Err(what) => not_found(&what),
        }
    }
}

fn not_found(what: &str) -> Said<'static> {
    Said::Nothing(Code::NotFound, format!("there is no {what}"))
}

/// What came from the peer and may be long, bounded.
fn shown(name: &str) -> String {
    let shown: String = name.chars().take(NAME_SHOWN_CHARS).collect();
    format!("{shown:?}")
}

/// Long enough for any real name.
const NAME_SHOWN_CHARS: usize = 200;

const V1: &str = "grpc.reflection.v1.ServerReflection";
const V1_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";

/// The service in one of its two names, whose messages are alike and yet of different types.
macro_rules! reflect {
    ($proto:ident) => {
        impl $proto::ServerReflection for Reflection {
            async fn server_reflection_info(
                &self,
                mut requests: Receiver<$proto::ServerReflectionRequest>,
                responses: Sender<$proto::ServerReflectionResponse>,
            ) -> Result<(), Status> {
                let mut sent = HashSet::new();
                while let Some(request) = requests.next().await? {
                    let request = request.into_owned();
                    let response = $proto::ServerReflectionResponse {
                        valid_host: request.host.clone(),
                        message_response: Some($proto::answer(&self.0, &request, &mut sent)),
                        original_request: Some(request),
                        ..Default::default()
                    };
                    responses.send(response).await?;
                }
                Ok(())
            }
        }

        mod $proto {
            use std::collections::HashSet;

            use super::{Asked, Offer, Said};
            pub(super) use crate::proto::$proto::*;
            use server_reflection_request::MessageRequest as Question;
            use server_reflection_response::MessageResponse as Answer;

            pub(super) fn answer(
                offer: &Offer,
                request: &ServerReflectionRequest,
                sent: &mut HashSet<usize>,
            ) -> Answer {
                let asked = match &request.message_request {
                    Some(Question::FileByFilename(name)) => Asked::File(name),
                    Some(Question::FileContainingSymbol(name)) => Asked::Symbol(name),
                    Some(Question::FileContainingExtension(it)) => {
                        Asked::Extension(&it.containing_type, it.extension_number)
                    }
                    Some(Question::AllExtensionNumbersOfType(name)) => Asked::Extensions(name),
                    Some(Question::ListServices(_)) => Asked::Services,
                    _ => Asked::Unknown,
                };
                match offer.answer(asked, sent) {
                    Said::Files(files) => Answer::FileDescriptorResponse(FileDescriptorResponse {
                        file_descriptor_proto: files,
                        ..Default::default()
                    }),
                    Said::Extensions(message, numbers) => {
                        Answer::AllExtensionNumbersResponse(ExtensionNumberResponse {
                            base_type_name: message.to_owned(),
                            extension_number: numbers,
                            ..Default::default()
                        })
                    }
                    Said::Services(services) => {
                        let named = |name: &String| ServiceResponse {
                            name: name.clone(),
                            ..Default::default()
                        };
                        Answer::ListServicesResponse(ListServiceResponse {
                            service: services.iter().map(named).collect(),
                            ..Default::default()
                        })
                    }
                    Said::Nothing(code, message) => Answer::ErrorResponse(ErrorResponse {
                        error_code: code.number() as i32,
                        error_message: message,
                        ..Default::default()
                    }),
                }
            }
        }
    };
}

reflect!(reflection_v1);
reflect!(reflection_v1alpha);

#[cfg(test)]
mod tests;
