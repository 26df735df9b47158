//! The outcome of a call as it travels.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::Code;

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
