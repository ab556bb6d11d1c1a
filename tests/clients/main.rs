//! The service as the users of AWS's SDK for Rust meet it, over HTTP: the table of cases that the
//! suites of the other clients run, too (`clients/test`), and what only this client shows.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod calls;
mod endpoints;
mod rust_sdk;
mod table;
