//! The service: its configuration and its stores.

use aws_config::SdkConfig;

use crate::config::Config;
use crate::stores::kms::Kms;
use crate::stores::layers::Layers;
use crate::stores::manifests::Manifests;
use crate::stores::repo_ids::RepoIds;
use crate::stores::table::Table;

/// The service, shared by all calls of a process.
#[derive(Debug)]
pub struct App {
    pub(crate) config: Config,
    pub(crate) table: Table,
    pub(crate) repo_ids: RepoIds,
    pub(crate) layers: Layers,
    pub(crate) manifests: Manifests,
    pub(crate) kms: Kms,
}

impl App {
    /// The service in the account and region that `aws` names. Makes no call.
    #[must_use]
    pub fn new(config: Config, aws: &SdkConfig) -> Self {
        Self {
            table: Table::new(aws, config.table.clone()),
            repo_ids: RepoIds::default(),
            layers: Layers::new(aws, config.layer_bucket.clone()),
            manifests: Manifests::new(aws, config.manifest_bucket.clone()),
            kms: Kms::new(aws),
            config,
        }
    }
}
