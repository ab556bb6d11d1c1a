//! The service as the users of AWS's SDK for Rust see it, over HTTP. The table of cases is shared
//! with the suites of the other clients (`clients/test`). The other tests concern only this client.

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
