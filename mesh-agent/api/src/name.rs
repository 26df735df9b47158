//! What services are called, and how targets name them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The namespace of services whose namespace is not said.
pub const DEFAULT_NAMESPACE: &str = "default";

/// How long a label of a name may be, as in DNS (RFC 1035, 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// A service: its name and its namespace, each a DNS label.
///
/// ```
/// use dreammesh_agent_api::name::ServiceName;
///
/// let name: ServiceName = "catalog.shop".parse()?;
/// assert_eq!((name.name(), name.namespace()), ("catalog", "shop"));
/// assert_eq!("catalog".parse::<ServiceName>()?.to_string(), "catalog.default");
/// # Ok::<(), dreammesh_agent_api::name::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName {
    // The namespace is first, so that services are ordered by it.
    namespace: Arc<str>,
    name: Arc<str>,
}

impl ServiceName {
    /// A service of a namespace; an empty namespace means the default one.
    ///
    /// # Errors
    /// When either is not a DNS label.
    pub fn new(name: &str, namespace: &str) -> Result<Self, NameError> {
        let namespace = if namespace.is_empty() {
            DEFAULT_NAMESPACE
        } else {
            namespace
        };
        check_label("service", name)?;
        check_label("namespace", namespace)?;
        Ok(Self {
            namespace: namespace.into(),
            name: name.into(),
        })
    }

    /// The name without its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    /// Takes `service` or `service.namespace`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('.') {
            Some((_, "")) => Err(NameError::Empty { what: "namespace" }),
            Some((name, namespace)) => Self::new(name, namespace),
            None => Self::new(text, DEFAULT_NAMESPACE),
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.namespace)
    }
}

/// A target that the mesh resolves: `mesh://service[.namespace][:port-name]`.
///
/// ```
/// use dreammesh_agent_api::name::MeshTarget;
///
/// let target: MeshTarget = "mesh://catalog.shop:admin".parse()?;
/// assert_eq!(target.service().to_string(), "catalog.shop");
/// assert_eq!(target.port(), Some("admin"));
/// # Ok::<(), dreammesh_agent_api::name::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeshTarget {
    service: ServiceName,
    port: Option<Arc<str>>,
}

impl MeshTarget {
    /// What targets of the mesh begin with.
    pub const SCHEME: &str = "mesh://";

    /// The service.
    pub const fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The name of the port, if one is asked for.
    pub fn port(&self) -> Option<&str> {
        self.port.as_deref()
    }
}

impl FromStr for MeshTarget {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let rest = text.strip_prefix(Self::SCHEME).ok_or(NameError::Scheme)?;
        let (service, port) = match rest.split_once(':') {
            Some((service, port)) => {
                check_label("port", port)?;
                (service, Some(port.into()))
            }
            None => (rest, None),
        };
        Ok(Self {
            service: service.parse()?,
            port,
        })
    }
}

impl fmt::Display for MeshTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::SCHEME)?;
        f.write_str(self.service.name())?;
        if self.service.namespace() != DEFAULT_NAMESPACE {
            write!(f, ".{}", self.service.namespace())?;
        }
        match &self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Checks that a text is a DNS label: lower case letters, digits, and hyphens in between.
///
/// # Errors
/// Why it is none; `what` says in the error what it was meant to be.
pub fn check_label(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > LABEL_BYTES_MAX {
        return Err(NameError::Long { what });
    }
    let wrong = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-');
    if let Some(character) = text.chars().find(wrong) {
        return Err(NameError::Character { what, character });
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(NameError::Hyphen { what });
    }
    Ok(())
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// A part of it is missing.
    Empty {
        /// The part.
        what: &'static str,
    },
    /// A part of it has more than [`LABEL_BYTES_MAX`] bytes.
    Long {
        /// The part.
        what: &'static str,
    },
    /// A part of it has a character that is neither lower case letter, digit nor hyphen.
    Character {
        /// The part.
        what: &'static str,
        /// The first such character.
        character: char,
    },
    /// A part of it begins or ends with a hyphen.
    Hyphen {
        /// The part.
        what: &'static str,
    },
    /// It is no target of the mesh.
    Scheme,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { what } => write!(f, "the name of the {what} is empty"),
            Self::Long { what } => {
                write!(
                    f,
                    "the name of the {what} has more than {LABEL_BYTES_MAX} bytes"
                )
            }
            Self::Character { what, character } => write!(
                f,
                "the name of the {what} has {character:?}; \
                 only lower case letters, digits and hyphens may be in it"
            ),
            Self::Hyphen { what } => {
                write!(f, "the name of the {what} begins or ends with a hyphen")
            }
            Self::Scheme => f.write_str("a target of the mesh begins with mesh://"),
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_as_long_as_a_label_of_dns() {
        let longest = "a".repeat(LABEL_BYTES_MAX);
        assert_eq!(
            longest.parse::<ServiceName>().map(|it| it.name().len()),
            Ok(63)
        );
        let what = "service";
        let longer = "a".repeat(LABEL_BYTES_MAX + 1);
        assert_eq!(longer.parse::<ServiceName>(), Err(NameError::Long { what }));
        let what = "namespace";
        let longer = format!("catalog.{longer}");
        assert_eq!(longer.parse::<ServiceName>(), Err(NameError::Long { what }));
    }

    #[test]
    fn what_is_no_label_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "the name of the service is empty"),
            ("catalog.", "the name of the namespace is empty"),
            (".shop", "the name of the service is empty"),
            (
                "-catalog",
                "the name of the service begins or ends with a hyphen",
            ),
            (
                "catalog-",
                "the name of the service begins or ends with a hyphen",
            ),
        ] {
            let error = text.parse::<ServiceName>().unwrap_err();
            assert_eq!(error.to_string(), reason, "{text:?}");
        }
        for text in [
            "Catalog",
            "cata log",
            "catalog.shop.eu",
            "catalog/x",
            "catälog",
            "a\0",
        ] {
            let error = text.parse::<ServiceName>().unwrap_err();
            assert!(matches!(error, NameError::Character { .. }), "{text:?}");
        }
    }

    #[test]
    fn targets_are_written_as_they_are_read() {
        for text in [
            "mesh://catalog",
            "mesh://catalog.shop",
            "mesh://a:b",
            "mesh://a.c:b-1",
        ] {
            assert_eq!(text.parse::<MeshTarget>().unwrap().to_string(), text);
        }
        let spelt_out: MeshTarget = "mesh://catalog.default".parse().unwrap();
        assert_eq!(spelt_out.to_string(), "mesh://catalog");
        for text in [
            "mesh://",
            "mesh://a:",
            "mesh://:a",
            "mesh://a:7443/",
            "mesh:a",
            "grpc://a",
            "mesh://a:B",
        ] {
            assert!(text.parse::<MeshTarget>().is_err(), "{text:?}");
        }
    }
}
