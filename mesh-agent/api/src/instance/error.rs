//! Why something is no instance.

use std::fmt;

use super::{
    ADDRESSES_MAX, ID_BYTES_MAX, LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX,
    LAYOUTS_MAX, NameError, PORTS_MAX, TEXT_BYTES_MAX, WEIGHT_MAX,
};

/// Why something is no instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceError {
    /// Its id is empty, has more than [`ID_BYTES_MAX`] bytes, or other than visible ASCII.
    Id,
    /// A name in it is none.
    Name(NameError),
    /// It has no port that is understood.
    NoPort,
    /// It has more than [`PORTS_MAX`] ports.
    Ports,
    /// Two ports have one name.
    SamePort(Box<str>),
    /// A port has neither a number from 1 to 65,535 nor a socket.
    PortNumber(u32),
    /// The path of a socket is not absolute.
    SocketPath(Box<str>),
    /// A port has a number, and there is no address.
    NoAddress,
    /// It has more than [`ADDRESSES_MAX`] addresses.
    Addresses,
    /// An address is neither an IP address of one host nor the name of one.
    Address(Box<str>),
    /// Its weight is more than [`WEIGHT_MAX`].
    Weight(u32),
    /// It has more than [`LABELS_MAX`] labels.
    Labels,
    /// The name of a label is empty or has more than [`LABEL_NAME_BYTES_MAX`] bytes.
    LabelName,
    /// The value of a label has more than [`LABEL_VALUE_BYTES_MAX`] bytes.
    LabelValue(Box<str>),
    /// It has more than [`LAYOUTS_MAX`] hashes of messages.
    Layouts,
    /// A hash of messages has not 16 bytes.
    LayoutHash(Box<str>),
    /// Some other text has more than [`TEXT_BYTES_MAX`] bytes, or control characters.
    Text(&'static str),
}

impl fmt::Display for InstanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => write!(f, "an id is 1 to {ID_BYTES_MAX} visible ASCII characters"),
            Self::Name(error) => error.fmt(f),
            Self::NoPort => f.write_str("it has no port whose protocol is known here"),
            Self::Ports => write!(f, "it has more than {PORTS_MAX} ports"),
            Self::SamePort(name) => write!(f, "two ports have the name {name:?}"),
            Self::PortNumber(number) => {
                write!(f, "{number} is no port, and no socket is given instead")
            }
            Self::SocketPath(path) => write!(f, "the socket {path:?} is no absolute path"),
            Self::NoAddress => f.write_str("it has a port and no address"),
            Self::Addresses => write!(f, "it has more than {ADDRESSES_MAX} addresses"),
            Self::Address(text) => write!(
                f,
                "{text:?} is neither the IP address of one host nor a host name"
            ),
            Self::Weight(weight) => write!(f, "the weight {weight} is more than {WEIGHT_MAX}"),
            Self::Labels => write!(f, "it has more than {LABELS_MAX} labels"),
            Self::LabelName => write!(
                f,
                "the name of a label is empty or has more than {LABEL_NAME_BYTES_MAX} bytes"
            ),
            Self::LabelValue(name) => write!(
                f,
                "the label {name:?} has more than {LABEL_VALUE_BYTES_MAX} bytes"
            ),
            Self::Layouts => write!(f, "it has more than {LAYOUTS_MAX} hashes of messages"),
            Self::LayoutHash(service) => {
                write!(
                    f,
                    "the hash of the messages of {service:?} has not 16 bytes"
                )
            }
            Self::Text(what) => write!(
                f,
                "the {what} has more than {TEXT_BYTES_MAX} bytes, or control characters"
            ),
        }
    }
}

impl std::error::Error for InstanceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Name(error) => Some(error),
            _ => None,
        }
    }
}

impl From<NameError> for InstanceError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}
