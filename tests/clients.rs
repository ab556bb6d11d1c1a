//! The service as the users of AWS's SDK for Rust meet it, over HTTP: the table of cases that the
//! suites of the other clients run, too (`clients/test`), and what only this client shows.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "clients/calls.rs"]
mod calls;
#[path = "clients/endpoints.rs"]
mod endpoints;
#[path = "clients/rust_sdk.rs"]
mod rust_sdk;
#[path = "../clients/rust/sign_for_execute_api.rs"]
mod sign_for_execute_api;
#[path = "clients/table.rs"]
mod table;
