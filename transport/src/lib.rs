//! Placeholder of the room; see ARCHITECTURE.md.
#![forbid(unsafe_code)]
