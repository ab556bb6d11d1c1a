//! The PutImage action of Amazon ECR as an AWS Lambda function on DynamoDB, S3 and KMS.
//!
//! A request's way, and where each step lives:
//!
//! 1. [`gateway`]: API Gateway's event → an action; its answer → HTTP. Who calls, until when.
//! 2. [`put_image`]: the operation as a story. [`put_image::input`] reads the request,
//!    [`put_image::push`] the manifest in it ([`manifest`], [`names`]), [`put_image::decision`]
//!    holds it against what is stored ([`repository`], [`access`]).
//!    [`create_repository`] is its smaller sister.
//! 3. [`table`] reads and commits in DynamoDB; [`layers`] looks for layers and [`bodies`] keeps
//!    large manifests in S3; [`data_key`] has KMS give the keys that encrypt.
//! 4. [`error`]: what the API answers when it does not do what was asked; [`call`]: what the log
//!    says.
//!
//! Beside it stands [`sweeper`], a function of its own: it deletes the bodies that no image refers to.
//!
//! The parts of step 2 and [`error`] are the core: no SDK, no clock, no environment. `docs/SEMANTICS.md`
//! says what the whole promises, `docs/PROTOCOL.md` how the commit keeps it.

pub mod access;
pub mod backoff;
pub mod bodies;
pub mod call;
pub mod clock;
pub mod config;
pub mod create_repository;
pub mod data_key;
pub mod error;
pub mod gateway;
pub mod json;
pub mod layers;
pub mod manifest;
pub mod names;
pub mod put_image;
pub mod repository;
pub mod sdk;
pub mod sweeper;
pub mod table;

use aws_config::SdkConfig;

use crate::bodies::Bodies;
use crate::config::Config;
use crate::data_key::DataKeys;
use crate::layers::Layers;
use crate::table::Table;

pub use crate::gateway::handle;

/// The service: its configuration and its four ways out.
#[derive(Debug)]
pub struct App {
    config: Config,
    table: Table,
    layers: Layers,
    bodies: Bodies,
    data_keys: DataKeys,
}

impl App {
    /// The service in the account and region that `aws` names. Makes no call.
    #[must_use]
    pub fn new(config: Config, aws: &SdkConfig) -> Self {
        Self {
            table: Table::new(aws, config.table.clone()),
            layers: Layers::new(aws, config.layer_bucket.clone()),
            bodies: Bodies::new(aws, config.manifest_bucket.clone()),
            data_keys: DataKeys::new(aws),
            config,
        }
    }
}
