//! Why a channel could not be connected.

use std::fmt;

use dreammesh_core::call::Status;
use dreammesh_core::resolve::ResolveError;

use crate::link::address::TargetError;
use crate::tls::TlsError;

/// Why a target could not be connected.
#[derive(Debug)]
pub struct ConnectError(pub(super) Cause);

#[derive(Debug)]
pub(super) enum Cause {
    Target(TargetError),
    NoMesh,
    Resolve(ResolveError),
    NoTls,
    Host(TlsError),
    Unreachable(Status),
}

impl ConnectError {
    /// Whether the target itself is wrong, so that trying again cannot help.
    pub fn is_target(&self) -> bool {
        !matches!(self.0, Cause::Unreachable(_))
    }

    /// Whether the target is encrypted and nothing says whom to believe there.
    pub fn is_without_tls(&self) -> bool {
        matches!(self.0, Cause::NoTls)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Target(error) => write!(f, "{error}"),
            Cause::NoMesh => f.write_str("nothing says which mesh it is: see `Connector::mesh`"),
            Cause::Resolve(error) => write!(f, "{error}"),
            Cause::NoTls => {
                f.write_str("the target is encrypted, and nothing says whom to believe: see ")?;
                f.write_str("`Connector::tls`")
            }
            Cause::Host(error) => write!(f, "{error}"),
            Cause::Unreachable(status) => f.write_str(status.message()),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Cause::Target(error) => Some(error),
            Cause::NoTls | Cause::NoMesh => None,
            Cause::Resolve(error) => Some(error),
            Cause::Host(error) => Some(error),
            Cause::Unreachable(status) => Some(status),
        }
    }
}
