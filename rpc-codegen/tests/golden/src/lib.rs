//! Compiles the text that the compiler's golden tests pin down, under the workspace's lints.
#![forbid(unsafe_code)]

include!("gen/fixtures.rs");
