//! The one place of this crate that draws randomness that need not be secret.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// A number that nobody else draws at the same time, for ids and epochs.
pub(crate) fn number() -> u64 {
    // The keys of a hasher are drawn once a thread and counted up; what they make of the time and
    // the process keeps two agents apart that began alike.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
