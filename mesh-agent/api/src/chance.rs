//! The one place of this crate that draws randomness.

use std::hash::{BuildHasher, RandomState};

/// A number that nobody can guess and that is another one each time.
pub(crate) fn number() -> u64 {
    RandomState::new().hash_one(0_u8)
}
