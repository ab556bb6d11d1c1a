//! A container registry with the API of Amazon ECR, as an AWS Lambda function on DynamoDB, S3 and
//! KMS.
//!
//! How a request passes through the code:
//!
//! 1. `gateway` turns an API Gateway event into a call and its body, and the result into HTTP.
//! 2. `actions` is the table of the API's actions. Each has a file of its own, which reads like the
//!    API's documentation: parse, find the repository, check access, act.
//! 3. `api` is what all actions share: the call and its log event, the exceptions, request members.
//! 4. `ecr` has the rules of the domain: names, manifests, settings, policies. No SDK, no clock.
//! 5. `stores` is DynamoDB, S3 and KMS.
//!
//! `sweeper` is a second function, which deletes manifest bodies that no image refers to.
//!
//! ARCHITECTURE.md has the map of the whole repository, `docs/SEMANTICS.md` what the service
//! promises and `docs/PROTOCOL.md` how the commit keeps it. What is public here is for the two
//! binaries, tests, benchmarks and fuzz targets.

mod actions;
mod app;
mod background;
mod clock;
mod config;
mod failure;
mod gateway;
mod json;
mod retry;
mod sweeper;

mod api {
    pub(crate) mod call;
    pub(crate) mod error;
    pub(crate) mod log;
    pub(crate) mod members;
}

mod ecr {
    pub mod manifest;
    pub mod mutability;
    pub mod names;
    pub mod partition;
    pub mod policy;
    pub mod repository;
}

mod stores {
    pub(crate) mod kms;
    pub(crate) mod layers;
    pub(crate) mod manifests;
    pub(crate) mod repo_ids;
    pub(crate) mod sdk;
    pub(crate) mod seal;
    pub(crate) mod table;
}

pub use actions::put_image::body::INLINE_BYTES;
pub use app::App;
pub use clock::{since_1970, time_left};
pub use config::{Config, ConfigError, SweeperConfig};
pub use ecr::{manifest, mutability, names, partition, policy, repository};
pub use failure::Failure;
pub use gateway::{Event, Response, handle, push_without_calls};
pub use stores::layers::object_key as layer_key;
pub use stores::sdk::from_environment as aws_from_environment;
pub use stores::table::items;
pub use sweeper::{SWEPT_AFTER, Sweeper, Swept};
