//! The outcome of a call as it travels.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use dreammesh_wire::{IntoMessage, Limits, Message, Msg, WireError};

use super::{Code, Metadata};
use crate::{message, rpc, wkt};

/// The outcome of a call: a canonical code, a message for people, and typed details.
///
/// Success is one null pointer and costs nothing.
#[derive(Clone, Default, PartialEq)]
pub struct Status(Option<Box<Failure>>);

#[derive(Clone, PartialEq)]
struct Failure {
    code: Code,
    message: Cow<'static, str>,
    details: Vec<Detail>,
    trailers: Metadata,
}

/// One typed detail of a status: the `google.protobuf.Any` it travels in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Detail {
    type_url: String,
    value: Bytes,
}

impl Detail {
    /// A detail from the URL of its type and its protobuf bytes.
    pub fn new(type_url: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            type_url: type_url.into(),
            value: value.into(),
        }
    }

    /// A detail of a message.
    ///
    /// # Errors
    /// When the message exceeds what an archive can hold.
    pub fn of<M: Message>(detail: impl IntoMessage<M>) -> Result<Self, WireError> {
        let encoded = detail.into_message(&message::send_limits())?;
        let value = message::encoded_to_protobuf(encoded)?;
        Ok(Self::new(
            format!("type.googleapis.com/{}", M::LAYOUT.name),
            value,
        ))
    }

    /// The detail as a message; none when it is of another type or its bytes are not of it.
    pub fn read<M: Message>(&self) -> Option<Msg<M>> {
        if self.type_name() != M::LAYOUT.name {
            return None;
        }
        message::from_protobuf_bytes(&self.value, &Limits::default()).ok()
    }

    /// The URL of its type, `type.googleapis.com/` and the full name of the message.
    pub fn type_url(&self) -> &str {
        &self.type_url
    }

    /// The full name of the message: what follows the last slash of the URL.
    pub fn type_name(&self) -> &str {
        self.type_url.rsplit('/').next().unwrap_or_default()
    }

    /// Its protobuf bytes.
    pub fn value(&self) -> &Bytes {
        &self.value
    }
}

impl Status {
    /// Success.
    pub const fn ok() -> Self {
        Self(None)
    }

    /// A status of a code and a message; with [`Code::Ok`] it is success, whatever the message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        if code == Code::Ok {
            return Self::ok();
        }
        Self(Some(Box::new(Failure {
            code,
            message: message.into(),
            details: Vec::new(),
            trailers: Metadata::new(),
        })))
    }

    /// Whether it is success.
    pub const fn is_ok(&self) -> bool {
        self.0.is_none()
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.as_ref().map_or(Code::Ok, |failure| failure.code)
    }

    /// The message for people, empty on success.
    pub fn message(&self) -> &str {
        self.0.as_ref().map_or("", |failure| &failure.message)
    }

    /// The typed details as they travel.
    pub fn details(&self) -> &[Detail] {
        self.0.as_ref().map_or(&[], |failure| &failure.details)
    }

    /// Attaches a detail in the form it travels in; success carries none.
    #[must_use]
    pub fn with_raw_detail(mut self, detail: Detail) -> Self {
        if let Some(failure) = &mut self.0 {
            failure.details.push(detail);
        }
        self
    }

    /// Attaches a typed detail, such as one of [`google.rpc`](crate::rpc); success carries none.
    ///
    /// A detail too large for an archive is left out, since a failure must not fail.
    #[must_use]
    pub fn with_detail<M: Message>(self, detail: impl IntoMessage<M>) -> Self {
        match Detail::of(detail) {
            Ok(detail) => self.with_raw_detail(detail),
            Err(_) => self,
        }
    }

    /// The first detail of a type; none when there is none or its bytes are not of the type.
    pub fn detail<M: Message>(&self) -> Option<Msg<M>> {
        self.details().iter().find_map(Detail::read)
    }

    /// Attaches the metadata that a failed call ends with; success carries none.
    ///
    /// A handler returns it so, and its caller finds it in
    /// [`CallError::trailers`](super::CallError::trailers). It is sent on by one hop alone: a
    /// status made of a caller's error has none. Metadata beyond what the peer takes is left
    /// out, since the failure says more than what goes with it.
    #[must_use]
    pub fn with_trailers(mut self, trailers: Metadata) -> Self {
        if let Some(failure) = &mut self.0 {
            failure.trailers = trailers;
        }
        self
    }

    /// The metadata that a failed call ends with, as attached by [`Self::with_trailers`].
    pub fn trailers(&self) -> Option<&Metadata> {
        let failure = self.0.as_ref()?;
        Some(&failure.trailers).filter(|trailers| !trailers.is_empty())
    }

    pub(crate) fn take_trailers(&mut self) -> Metadata {
        let failure = self.0.as_mut();
        failure.map_or_else(Metadata::new, |failure| {
            std::mem::take(&mut failure.trailers)
        })
    }

    /// The protobuf bytes of a `google.rpc.Status`, as `grpc-status-details-bin` carries them.
    pub fn to_proto_bytes(&self) -> Bytes {
        let details = self.details().iter().map(|detail| wkt::Any {
            type_url: detail.type_url.clone(),
            value: detail.value.clone(),
            ..Default::default()
        });
        let proto = rpc::Status {
            code: self.code().number() as i32,
            message: self.message().to_owned(),
            details: details.collect(),
            ..Default::default()
        };
        // Within the absolute bounds of an archive, which no real status nears.
        message::to_protobuf_bytes(&proto).unwrap_or_default()
    }

    /// Reads the protobuf bytes of a `google.rpc.Status`.
    ///
    /// # Errors
    /// When the bytes are not such a message or exceed the limits.
    pub fn from_proto_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, WireError> {
        let proto: Msg<rpc::Status> = message::from_protobuf_bytes(bytes, limits)?;
        let view = proto.view();
        let code = u32::try_from(view.code()).map_or(Code::Unknown, Code::from_number);
        let mut status = Self::new(code, view.message().to_owned());
        for any in view.details().iter() {
            let value = Bytes::copy_from_slice(any.value());
            status = status.with_raw_detail(Detail::new(any.type_url(), value));
        }
        Ok(status)
    }

    /// Success as `Ok`, anything else as `Err`.
    ///
    /// # Errors
    /// The status itself unless it is success.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }
}

macro_rules! constructors {
    ($($name:ident $code:ident $what:literal;)*) => {
        /// One constructor a code.
        impl Status {
            $(
                #[doc = concat!("A status of code `", stringify!($code), "`: ", $what, ".")]
                pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                    Self::new(Code::$code, message)
                }
            )*
        }
    };
}

constructors! {
    cancelled Cancelled "the call was cancelled";
    unknown Unknown "an error that carries no better code";
    invalid_argument InvalidArgument "the request is wrong whatever the state of the system";
    deadline_exceeded DeadlineExceeded "the deadline passed";
    not_found NotFound "what was asked for does not exist";
    already_exists AlreadyExists "what was to be created exists";
    permission_denied PermissionDenied "the caller may not do this";
    resource_exhausted ResourceExhausted "a quota or limit is exhausted";
    failed_precondition FailedPrecondition "the system is not in the state this needs";
    aborted Aborted "a conflict ended it";
    out_of_range OutOfRange "past the valid range";
    unimplemented Unimplemented "not implemented here";
    internal Internal "an invariant was broken";
    unavailable Unavailable "not reachable now";
    data_loss DataLoss "data is lost for good";
    unauthenticated Unauthenticated "no valid credentials";
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("OK"),
            Some(failure) if failure.message.is_empty() => write!(f, "{}", failure.code),
            Some(failure) => write!(f, "{}: {}", failure.code, failure.message),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({self}")?;
        match self.details().len() {
            0 => f.write_str(")"),
            count => write!(f, "; {count} details)"),
        }
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Status {
        let retry = rpc::RetryInfo {
            retry_delay: Some(wkt::Duration {
                seconds: 3,
                ..Default::default()
            }),
            ..Default::default()
        };
        let reason = rpc::ErrorInfo {
            reason: "STOCK_EMPTY".to_owned(),
            ..Default::default()
        };
        Status::resource_exhausted("sold out")
            .with_detail(&retry)
            .with_detail(reason)
    }

    #[test]
    fn typed_details_are_found_by_their_type() {
        let status = refused();
        let retry = status.detail::<rpc::RetryInfo>().unwrap();
        assert_eq!(retry.view().retry_delay().unwrap().seconds(), 3);
        assert_eq!(
            status.detail::<rpc::ErrorInfo>().unwrap().view().reason(),
            "STOCK_EMPTY"
        );
        assert_eq!(status.detail::<rpc::DebugInfo>(), None);
        assert_eq!(status.details()[0].type_name(), "google.rpc.RetryInfo");
    }

    #[test]
    fn a_status_crosses_as_google_rpc_status() {
        let bytes = refused().to_proto_bytes();
        assert_eq!(
            Status::from_proto_bytes(&bytes, &Limits::default()).unwrap(),
            refused()
        );
        assert!(Status::from_proto_bytes(&bytes[..bytes.len() - 1], &Limits::default()).is_err());
    }

    #[test]
    fn a_detail_whose_bytes_lie_is_none() {
        let detail = Detail::new("type.googleapis.com/google.rpc.RetryInfo", vec![0xff]);
        let status = Status::internal("").with_raw_detail(detail);
        assert_eq!(status.detail::<rpc::RetryInfo>(), None);
    }

    #[test]
    fn trailers_are_taken_once() {
        let mut trailers = Metadata::new();
        trailers.append("x-shard", "7").unwrap();
        let mut status = refused().with_trailers(trailers.clone());
        assert_eq!(status.trailers(), Some(&trailers));
        assert_eq!(status.take_trailers(), trailers);
        assert_eq!(status.trailers(), None);
        assert!(status.take_trailers().is_empty());
    }

    #[test]
    fn success_carries_nothing() {
        let mut trailers = Metadata::new();
        trailers.append("x-shard", "7").unwrap();
        let status = Status::new(Code::Ok, "fine")
            .with_detail(rpc::ErrorInfo::default())
            .with_trailers(trailers);
        assert_eq!(status.trailers(), None);
        assert!(status.is_ok() && status.details().is_empty() && status.message().is_empty());
        assert_eq!(size_of::<Status>(), size_of::<usize>());
    }
}
