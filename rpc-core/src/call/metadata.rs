//! Key-value pairs beside a message.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// Key-value pairs beside a message, in the order they were added.
///
/// Names are lower case. A name that ends in `-bin` carries bytes, any other printable ASCII.
/// A name may occur several times. Empty metadata is one null pointer and costs nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(Option<Box<Entries>>);

#[derive(Clone, Default, PartialEq, Eq)]
struct Entries {
    list: Vec<(Cow<'static, str>, MetadataValue)>,
    /// The sum of [`entry_size`] over the list.
    size_bytes: usize,
}

/// One value of a metadata entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "gRPC knows exactly these two forms"
)]
pub enum MetadataValue {
    /// Printable ASCII.
    Text(Cow<'static, str>),
    /// Any bytes, under a name that ends in `-bin`.
    Binary(Bytes),
}

impl MetadataValue {
    /// The bytes of either form.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// Why an entry or a whole set of metadata is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataError {
    /// The name is empty or holds something other than letters, digits, `_`, `-` and `.`.
    Name(String),
    /// The name starts with `grpc-`, which belongs to the protocol.
    Reserved(String),
    /// A value of text that is not printable ASCII; holds the name.
    Text(String),
    /// Bytes under a name that does not end in `-bin`, or text under one that does.
    Form(String),
    /// All entries together exceed the limit.
    TooLarge {
        /// What they come to.
        size_bytes: usize,
        /// What is allowed.
        limit_bytes: usize,
    },
}

impl Metadata {
    /// The bound on one set of metadata unless configured otherwise.
    ///
    /// Twice the 8 KiB that common gRPC servers allow for headers by default; the session
    /// reserves no memory for it, so raising it costs only what is used.
    pub const DEFAULT_LIMIT_BYTES: usize = 16 * 1024;

    /// What an entry counts besides its name and value, as in HTTP/2's header list size, so that
    /// many empty entries are bounded too.
    pub const ENTRY_OVERHEAD_BYTES: usize = 32;

    /// No entries.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Adds an entry of text after those that are there.
    ///
    /// # Errors
    /// When the name or the value breaks the rules of the type.
    pub fn append(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<(), MetadataError> {
        let (name, value) = (checked_name(name.into())?, value.into());
        if name.ends_with("-bin") {
            return Err(MetadataError::Form(name.into_owned()));
        }
        if !value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
            return Err(MetadataError::Text(name.into_owned()));
        }
        self.push(name, MetadataValue::Text(value));
        Ok(())
    }

    /// Adds an entry of bytes after those that are there; the name must end in `-bin`.
    ///
    /// # Errors
    /// When the name breaks the rules of the type.
    pub fn append_bin(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Bytes>,
    ) -> Result<(), MetadataError> {
        let name = checked_name(name.into())?;
        if !name.ends_with("-bin") {
            return Err(MetadataError::Form(name.into_owned()));
        }
        self.push(name, MetadataValue::Binary(value.into()));
        Ok(())
    }

    /// Adds an entry that came from a peer, copying it, under the same rules.
    ///
    /// # Errors
    /// When the name or the value breaks the rules of the type.
    pub fn append_received(&mut self, name: &[u8], value: &[u8]) -> Result<(), MetadataError> {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = std::str::from_utf8(name).map_err(|_| MetadataError::Name(lossy(name)))?;
        if name.ends_with("-bin") {
            return self.append_bin(name.to_owned(), Bytes::copy_from_slice(value));
        }
        let text = std::str::from_utf8(value).map_err(|_| MetadataError::Text(name.to_owned()))?;
        self.append(name.to_owned(), text.to_owned())
    }

    /// Sets an entry of text, removing all others of that name.
    ///
    /// # Errors
    /// When the name or the value breaks the rules of the type.
    pub fn insert(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<(), MetadataError> {
        let name = checked_name(name.into())?;
        self.remove(&name);
        self.append(name, value)
    }

    /// Removes all entries of a name and says whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(entries) = &mut self.0 else {
            return false;
        };
        let before = entries.list.len();
        entries
            .list
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        entries.size_bytes = entries.list.iter().map(|(n, v)| entry_size(n, v)).sum();
        entries.list.len() < before
    }

    /// The first value of text under a name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| match value {
            MetadataValue::Text(text) if known.eq_ignore_ascii_case(name) => Some(&**text),
            _ => None,
        })
    }

    /// The first value of bytes under a name.
    pub fn binary(&self, name: &str) -> Option<&Bytes> {
        self.iter().find_map(|(known, value)| match value {
            MetadataValue::Binary(bytes) if known.eq_ignore_ascii_case(name) => Some(bytes),
            _ => None,
        })
    }

    /// All entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &MetadataValue)> {
        let list = self.0.as_ref().map_or(&[][..], |entries| &entries.list);
        list.iter().map(|(name, value)| (&**name, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |entries| entries.list.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names and values together, and [`Self::ENTRY_OVERHEAD_BYTES`] for each entry.
    pub fn size_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |entries| entries.size_bytes)
    }

    /// Checks the whole set against a limit.
    ///
    /// # Errors
    /// [`MetadataError::TooLarge`] when it exceeds the limit.
    pub fn check_size(&self, limit_bytes: usize) -> Result<(), MetadataError> {
        let size_bytes = self.size_bytes();
        if size_bytes > limit_bytes {
            return Err(MetadataError::TooLarge {
                size_bytes,
                limit_bytes,
            });
        }
        Ok(())
    }

    fn push(&mut self, name: Cow<'static, str>, value: MetadataValue) {
        let entries = self.0.get_or_insert_default();
        entries.size_bytes += entry_size(&name, &value);
        entries.list.push((name, value));
    }
}

fn entry_size(name: &str, value: &MetadataValue) -> usize {
    name.len() + value.as_bytes().len() + Metadata::ENTRY_OVERHEAD_BYTES
}

fn checked_name(name: Cow<'static, str>) -> Result<Cow<'static, str>, MetadataError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || !name.bytes().all(legal) {
        return Err(MetadataError::Name(name.into_owned()));
    }
    let name = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => name,
    };
    if name.starts_with("grpc-") {
        return Err(MetadataError::Reserved(name.into_owned()));
    }
    Ok(name)
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} is not a metadata name"),
            Self::Reserved(name) => write!(f, "metadata name {name:?} is reserved"),
            Self::Text(name) => write!(f, "metadata {name:?} is not printable ASCII"),
            Self::Form(name) => {
                write!(
                    f,
                    "metadata {name:?}: bytes belong under a name in -bin, text elsewhere"
                )
            }
            Self::TooLarge {
                size_bytes,
                limit_bytes,
            } => {
                write!(
                    f,
                    "metadata of {size_bytes} bytes exceeds the limit of {limit_bytes}"
                )
            }
        }
    }
}

impl std::error::Error for MetadataError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_may_repeat() {
        let mut metadata = Metadata::new();
        metadata.append("X-Tenant", "a").unwrap();
        metadata.append("x-tenant", "b").unwrap();
        assert_eq!(metadata.text("X-TENANT"), Some("a"));
        assert_eq!(metadata.len(), 2);
        metadata.insert("x-tenant", "c").unwrap();
        assert_eq!(
            metadata.iter().map(|(n, _)| n).collect::<Vec<_>>(),
            ["x-tenant"]
        );
        assert_eq!(metadata.size_bytes(), "x-tenant".len() + 1 + 32);
        assert!(metadata.remove("x-tenant") && !metadata.remove("x-tenant"));
        assert_eq!(metadata.size_bytes(), 0);
    }

    #[test]
    fn bytes_and_text_stay_apart() {
        let mut metadata = Metadata::new();
        metadata.append_bin("sum-bin", vec![0, 255]).unwrap();
        assert_eq!(
            metadata.binary("sum-bin").map(|b| &b[..]),
            Some(&[0, 255][..])
        );
        assert_eq!(metadata.text("sum-bin"), None);
        assert!(matches!(
            metadata.append("sum-bin", "x"),
            Err(MetadataError::Form(_))
        ));
        assert!(matches!(
            metadata.append_bin("sum", vec![1]),
            Err(MetadataError::Form(_))
        ));
    }

    #[test]
    fn bad_names_and_values_are_refused() {
        let mut metadata = Metadata::new();
        for name in ["", ":path", "a b", "é", "a\0"] {
            assert!(
                matches!(metadata.append(name, "x"), Err(MetadataError::Name(_))),
                "{name}"
            );
        }
        assert!(matches!(
            metadata.append("GRPC-status", "0"),
            Err(MetadataError::Reserved(_))
        ));
        for value in ["\n", "\u{7f}", "é"] {
            assert!(matches!(
                metadata.append("a", value),
                Err(MetadataError::Text(_))
            ));
        }
        assert!(matches!(
            metadata.append_received(&[0xff], b"x"),
            Err(MetadataError::Name(_))
        ));
        assert!(matches!(
            metadata.append_received(b"a", &[0xff]),
            Err(MetadataError::Text(_))
        ));
        assert!(metadata.is_empty());
    }

    #[test]
    fn the_size_is_bounded_at_the_limit() {
        let mut metadata = Metadata::new();
        metadata.append("a", "x".repeat(16 * 1024 - 33)).unwrap();
        assert_eq!(metadata.check_size(Metadata::DEFAULT_LIMIT_BYTES), Ok(()));
        metadata.insert("a", "x".repeat(16 * 1024 - 32)).unwrap();
        let refused = MetadataError::TooLarge {
            size_bytes: 16 * 1024 + 1,
            limit_bytes: 16 * 1024,
        };
        assert_eq!(
            metadata.check_size(Metadata::DEFAULT_LIMIT_BYTES),
            Err(refused)
        );
    }
}
