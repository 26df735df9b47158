//! The application's side against an agent that says what a test has it say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test is the home of its clock")]

mod agent;
mod attaching;
mod file;
mod hostile;
mod serving;
