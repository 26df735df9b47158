//! Hostile archives: each kind is refused with a reason, and none is read beyond its end.
