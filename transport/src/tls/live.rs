//! Values that are replaced while connections use them.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// A [`Certificate`](super::Certificate) or [`Roots`](super::Roots) that may be replaced at any
/// time.
///
/// Every handshake uses the latest one; connections that are made already go on as they are. A
/// clone is the same value: replacing it in one place replaces it everywhere.
///
/// ```no_run
/// use dreammesh_transport::tls::{Certificate, Live, ServerTls};
///
/// # fn run() -> Result<(), dreammesh_transport::tls::TlsError> {
/// let certificate = Live::new(Certificate::from_pem_files("chain.pem", "key.pem")?);
/// let tls = ServerTls::new(certificate.clone());
/// // Later, with the server running:
/// certificate.replace(Certificate::from_pem_files("new-chain.pem", "new-key.pem")?);
/// # Ok(()) }
/// ```
pub struct Live<T>(Arc<RwLock<Arc<T>>>);

impl<T> Live<T> {
    /// Begins with a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// Sets what handshakes use from now on.
    pub fn replace(&self, value: T) {
        let value = Arc::new(value);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }

    /// What a handshake would use now.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same value without keeping it, for what replaces it as long as somebody uses it.
    pub(super) fn downgrade(&self) -> WeakLive<T> {
        WeakLive(Arc::downgrade(&self.0))
    }
}

/// A [`Live`] that does not keep its value.
pub(super) struct WeakLive<T>(Weak<RwLock<Arc<T>>>);

impl<T> WeakLive<T> {
    /// The value, if anybody still uses it.
    pub(super) fn upgrade(&self) -> Option<Live<T>> {
        self.0.upgrade().map(Live)
    }
}

impl<T> From<T> for Live<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Live").field(&self.current()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_sees_what_the_original_was_replaced_by() {
        let live = Live::new(1);
        let (clone, weak) = (live.clone(), live.downgrade());
        live.replace(2);
        assert_eq!(*clone.current(), 2);
        drop((live, clone));
        assert!(weak.upgrade().is_none());
    }
}
