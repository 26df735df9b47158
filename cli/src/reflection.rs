//! The schema of a server, asked of the server itself (`grpc.reflection.v1`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dreammesh_core::call::{CallError, Code, Receiver, Sender};
use dreammesh_core::channel::Channel;
use dreammesh_services::proto::reflection_v1::{
    ServerReflectionClient, ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::outcome::{Failure, call_failed};

/// Asks for the files of one service, or of all, and gives them as an encoded `FileDescriptorSet`.
pub(crate) async fn descriptor_set(
    channel: &Channel,
    service: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    let client = ServerReflectionClient::new(channel.clone());
    let call = client.server_reflection_info().timeout(PATIENCE);
    let (asks, answers) = call.await.map_err(|error| failed(&error))?;
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
    async fn services(&mut self) -> Result<Vec<String>, Failure> {
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
            _ => Err(nonsense()),
        }
    }

    /// Asks for a file, and takes in what comes with it.
    async fn take(&mut self, request: MessageRequest) -> Result<(), Failure> {
        let wanted = match &request {
            MessageRequest::FileByFilename(name) => Some(name.clone()),
            _ => None,
        };
        let Some(MessageResponse::FileDescriptorResponse(files)) = self.ask(request).await? else {
            return Err(nonsense());
        };
        for encoded in files.file_descriptor_proto {
            self.bytes += encoded.len();
            if self.bytes > BYTES_MAX {
                let text = format!("the server's schema is larger than {BYTES_MAX} bytes");
                return Err(Failure::input(text));
            }
            let (name, imports) = names(&encoded).ok_or_else(nonsense)?;
            let encoded = encoded.to_vec();
            self.files.entry(name).or_insert(File { encoded, imports });
        }
        // Who is sent another file than the one asked for would ask for ever.
        match wanted {
            Some(wanted) if !self.files.contains_key(&wanted) => Err(nonsense()),
            _ => Ok(()),
        }
    }

    async fn ask(&mut self, request: MessageRequest) -> Result<Option<MessageResponse>, Failure> {
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
        let answer = self.answers.next().await.map_err(|error| failed(&error))?;
        let answer = answer.ok_or_else(nonsense)?.into_owned();
        match answer.message_response {
            Some(MessageResponse::ErrorResponse(error)) => {
                let text = format!("the server does not know {asked}: {}", error.error_message);
                Err(Failure::input(text))
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

fn failed(error: &CallError) -> Failure {
    if error.code() == Code::Unimplemented {
        let text = "the server does not tell its schema: name it with --proto or --descriptor-set";
        return Failure::input(text);
    }
    call_failed(error)
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
