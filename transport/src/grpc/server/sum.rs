//! What has come of requests that are not whole, in sum over a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dreammesh_core::call::Status;

/// The sum of one connection.
#[derive(Debug, Default)]
pub(crate) struct Sum(AtomicUsize);

/// What one request has in it; dropping it takes that out.
#[derive(Debug)]
pub(crate) struct Share {
    sum: Arc<Sum>,
    bytes: usize,
}

impl Share {
    pub(crate) const fn new(sum: Arc<Sum>) -> Self {
        Self { sum, bytes: 0 }
    }

    /// Adds what has come.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the sum is more than it may be. To wait for others instead could be
    /// to wait for ever, since they may wait for the same window.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Status> {
        self.bytes += bytes;
        let before = self.sum.0.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= BYTES_MAX {
            return Ok(());
        }
        Err(Status::resource_exhausted(format!(
            "the requests of this connection that have not come whole exceed {BYTES_MAX} bytes \
             together"
        )))
    }

    /// As [`add`](Self::add), up to what has come in all.
    ///
    /// # Errors
    /// As there.
    pub(super) fn reach(&mut self, bytes: usize) -> Result<(), Status> {
        match bytes.checked_sub(self.bytes) {
            Some(0) | None => Ok(()),
            Some(more) => self.add(more),
        }
    }

    /// Takes all of it out.
    pub(crate) fn clear(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.sum.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

/// As much as answers that nobody reads may come to: 64 of the largest messages by default, or 256 KiB
/// for each of 1024 calls.
pub(super) const BYTES_MAX: usize = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use dreammesh_core::call::Code;

    #[test]
    fn shares_fill_the_sum_and_one_byte_more_is_refused() {
        let sum = Arc::<Sum>::default();
        let share = || Share::new(Arc::clone(&sum));
        let (mut one, mut other) = (share(), share());
        assert!(one.add(BYTES_MAX - 1).is_ok());
        assert!(other.add(1).is_ok());
        let mut late = share();
        assert_eq!(late.add(1).unwrap_err().code(), Code::ResourceExhausted);
        drop(late);
        one.clear();
        assert!(share().add(BYTES_MAX - 1).is_ok());
        drop((one, other));
        assert_eq!(sum.0.load(Ordering::Relaxed), 0);
    }
}
