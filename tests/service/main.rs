//! The service as its users meet it: events through `handle`, against the embedded stack.
//!
//! One file per family of behaviour. A refusal is not only an answer: [`harness::Service::refuses`]
//! also sees that the table and both buckets are as they were.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod harness;
mod second_engine;

mod contention;
mod cost;
mod crash;
mod create_repository;
mod encryption;
mod gateway;
mod indexes;
mod large;
mod layers;
mod limits;
mod log;
mod manifest;
mod outcomes;
mod parameters;
mod partition;
mod policy;
mod push_events;
mod races;
mod real_manifests;
mod retries;
mod sweeper;
mod wire;
