//! The deployed binaries as Lambda runs them: a process that fetches events from the Runtime API
//! and posts responses to it. Here an emulation of that API stands in front of the embedded stack.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod function;
mod prepared;
mod runtime_api;

mod connections;
mod events;
mod process;
mod sweeper;
