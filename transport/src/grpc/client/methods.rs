//! The URI of each method that was called on a connection.

use dreammesh_core::call::{MethodInfo, Status};
use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};

/// The URIs of one connection.
#[derive(Debug)]
pub(super) struct Methods {
    scheme: Scheme,
    authority: Authority,
    /// In the order of the addresses of the methods' statics; methods are compiled in, so their
    /// number bounds it.
    known: Vec<(usize, Uri)>,
}

impl Methods {
    pub(super) fn new(scheme: Scheme, authority: Authority) -> Self {
        let known = Vec::new();
        Self {
            scheme,
            authority,
            known,
        }
    }

    pub(super) fn uri(&mut self, method: &'static MethodInfo) -> Result<Uri, Status> {
        let address = std::ptr::from_ref(method).addr();
        let at = self.known.binary_search_by_key(&address, |known| known.0);
        match at {
            Ok(at) => Ok(self.known[at].1.clone()),
            Err(at) => {
                let uri = self.make(method)?;
                self.known.insert(at, (address, uri.clone()));
                Ok(uri)
            }
        }
    }

    fn make(&self, method: &'static MethodInfo) -> Result<Uri, Status> {
        let path = PathAndQuery::try_from(method.path());
        let unfit = |_| Status::internal(format!("no URI has the path {}", method.path()));
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.map_err(unfit)?);
        Uri::from_parts(parts).map_err(|error| Status::internal(error.to_string()))
    }
}
