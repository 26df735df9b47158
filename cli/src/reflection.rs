//! The schema of a server, asked of the server itself (`grpc.reflection.v1`, or `v1alpha`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dreammesh_core::call::{CallError, Code, MethodInfo, MethodKind, Receiver, Sender, WireOption};
use dreammesh_core::channel::{BidiCall, Channel};
use dreammesh_core::wire::Message;
use dreammesh_services::proto::reflection_v1::{
    SERVER_REFLECTION_METHODS, ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::outcome::{Failure, call_failed};

/// Asks for the files of one service, or of all, and gives them as an encoded `FileDescriptorSet`.
///
/// A server that does not know the service under its name of today is asked by the older one.
pub(crate) async fn descriptor_set(
    channel: &Channel,
    service: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    match asked(channel, &SERVER_REFLECTION_METHODS[0], service).await {
        Err(Refusal::Unimplemented) => {}
        other => return other.map_err(Failure::from),
    }
    asked(channel, &OLDER, service).await.map_err(Failure::from)
}

/// The same messages under the name that the service had before it was declared stable. Their own
/// names differ, so that archives would not be understood.
static OLDER: MethodInfo = MethodInfo::new(
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    MethodKind::Bidi,
    <ServerReflectionRequest as Message>::LAYOUT,
    <ServerReflectionResponse as Message>::LAYOUT,
)
.with_wire(WireOption::Protobuf);

async fn asked(
    channel: &Channel,
    method: &'static MethodInfo,
    service: Option<&str>,
) -> Result<Vec<u8>, Refusal> {
    let call = BidiCall::new(channel, method).timeout(PATIENCE);
    let (asks, answers) = call.await.map_err(|error| refused(&error))?;
    let mut server = Server {
        asks,
        answers,
        files: BTreeMap::new(),
        bytes: 0,
    };
    let services = match service {
        Some(service) => vec![service.to_owned()],
        None => server.services().await?,
    };
    for service in services {
        server
            .take(MessageRequest::FileContainingSymbol(service))
            .await?;
    }
    while let Some(missing) = server.missing() {
        server.take(MessageRequest::FileByFilename(missing)).await?;
    }
    Ok(server.into_set())
}

/// Why a server does not tell its schema.
enum Refusal {
    Unimplemented,
    Failed(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failed(failure) => failure,
            Refusal::Unimplemented => Self::input(
                "the server does not tell its schema: name it with --proto or --descriptor-set",
            ),
        }
    }
}

fn refused(error: &CallError) -> Refusal {
    if error.code() == Code::Unimplemented {
        return Refusal::Unimplemented;
    }
    Refusal::Failed(call_failed(error))
}

struct Server {
    asks: Sender<ServerReflectionRequest, CallError>,
    answers: Receiver<ServerReflectionResponse, CallError>,
    /// What was learnt, by name.
    files: BTreeMap<String, File>,
    /// Of all of them; at most [`BYTES_MAX`].
    bytes: usize,
}

struct File {
    encoded: Vec<u8>,
    imports: Vec<String>,
}

impl Server {
    async fn services(&mut self) -> Result<Vec<String>, Refusal> {
        match self
            .ask(MessageRequest::ListServices(String::new()))
            .await?
        {
            Some(MessageResponse::ListServicesResponse(list)) => {
                let names = list.service.into_iter().map(|service| service.name);
                // That a server can be asked is not what anybody asks it for.
                Ok(names
                    .filter(|name| !name.starts_with("grpc.reflection."))
                    .collect())
            }
            _ => Err(nonsense().into()),
        }
    }

    /// Asks for a file, and takes in what comes with it.
    async fn take(&mut self, request: MessageRequest) -> Result<(), Refusal> {
        let wanted = match &request {
            MessageRequest::FileByFilename(name) => Some(name.clone()),
            _ => None,
        };
        let Some(MessageResponse::FileDescriptorResponse(files)) = self.ask(request).await? else {
            return Err(nonsense().into());
        };
        for encoded in files.file_descriptor_proto {
            self.bytes += encoded.len();
            if self.bytes > BYTES_MAX {
                let text = format!("the server's schema is larger than {BYTES_MAX} bytes");
                return Err(Failure::input(text).into());
            }
            let (name, imports) = names(&encoded).ok_or_else(nonsense)?;
            let encoded = encoded.to_vec();
            self.files.entry(name).or_insert(File { encoded, imports });
        }
        // Who is sent another file than the one asked for would ask for ever.
        match wanted {
            Some(wanted) if !self.files.contains_key(&wanted) => Err(nonsense().into()),
            _ => Ok(()),
        }
    }

    async fn ask(&mut self, request: MessageRequest) -> Result<Option<MessageResponse>, Refusal> {
        let asked = match &request {
            MessageRequest::FileContainingSymbol(name) => format!("`{name}`"),
            MessageRequest::FileByFilename(name) => format!("its file `{name}`"),
            _ => "its services".to_owned(),
        };
        let request = ServerReflectionRequest {
            message_request: Some(request),
            ..Default::default()
        };
        // The answers say why a call has ended, where sending says that it has.
        let _ = self.asks.send(request).await;
        let answer = self.answers.next().await.map_err(|error| refused(&error))?;
        let answer = answer.ok_or_else(nonsense)?.into_owned();
        match answer.message_response {
            Some(MessageResponse::ErrorResponse(error)) => {
                let text = format!("the server does not know {asked}: {}", error.error_message);
                Err(Failure::input(text).into())
            }
            other => Ok(other),
        }
    }

    /// An import that has not been sent.
    fn missing(&self) -> Option<String> {
        let imports: BTreeSet<&String> = self.files.values().flat_map(|it| &it.imports).collect();
        let mut missing = imports
            .into_iter()
            .filter(|name| !self.files.contains_key(*name));
        missing.next().cloned()
    }

    fn into_set(self) -> Vec<u8> {
        let mut set = Vec::with_capacity(self.bytes);
        for file in self.files.into_values() {
            set.push(0x0a);
            let mut length = file.encoded.len();
            while length >= 0x80 {
                set.push(0x80 | (length & 0x7f) as u8);
                length >>= 7;
            }
            set.push(length as u8);
            set.extend(file.encoded);
        }
        set
    }
}

/// The name of an encoded `FileDescriptorProto` (field 1) and what it imports (field 3); none if it
/// is not well-formed.
fn names(encoded: &[u8]) -> Option<(String, Vec<String>)> {
    let (mut name, mut imports) = (None, Vec::new());
    let mut rest = encoded;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let skipped = match tag & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, after) = rest.split_at_checked(skipped)?;
        rest = after;
        match tag {
            0x0a => name = Some(String::from_utf8(value.to_vec()).ok()?),
            0x1a => imports.push(String::from_utf8(value.to_vec()).ok()?),
            _ => {}
        }
    }
    Some((name?, imports))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn nonsense() -> Failure {
    Failure::input("the server's answer about its schema makes no sense")
}

/// How long a server may take to tell all of its schema.
const PATIENCE: Duration = Duration::from_secs(10);
/// The files of one server: the largest published schemas are a tenth of it.
const BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_and_imports_are_found_and_rubbish_is_none() {
        let file = b"\x0a\x01a\x12\x01p\x1a\x01b\x1a\x01c\x50\x00";
        let found = names(file).unwrap();
        assert_eq!(
            found,
            ("a".to_owned(), vec!["b".to_owned(), "c".to_owned()])
        );
        for end in [1, 2, 4, 5, 7, 13] {
            assert_eq!(names(&file[..end]), None, "{end}");
        }
        assert_eq!(names(&[0x80; 11]), None);
        assert_eq!(names(b"\x0b"), None);
    }
}
