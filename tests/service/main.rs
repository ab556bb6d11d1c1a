//! The service as its users see it: events through `handle`, against the embedded stack.
//!
//! One file per action or family of behaviour. [`harness::Service::rejects`] asserts more than the
//! error: the table and both buckets must be unchanged.

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
