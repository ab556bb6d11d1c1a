//! DynamoDB: the one table. [`items`] has keys and attributes, [`read`] how items are read and
//! [`transaction`] how they are written. Each action decides which items it reads and writes.

pub mod items;
pub(crate) mod read;
pub(crate) mod transaction;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ConsumedCapacity;

use super::sdk;

#[derive(Debug)]
pub(crate) struct Table {
    /// Retries as the SDK's standard mode does: for everything but transactions.
    client: Client,
    /// Never retries: for commits, which the protocol repeats itself. A retry inside the SDK would
    /// hide an unknown first outcome behind a definite second response.
    commits: Client,
    pub(crate) name: String,
}

impl Table {
    /// The table `name` in the account and region that `aws` names.
    pub(crate) fn new(aws: &SdkConfig, name: String) -> Self {
        let (client, commits) = sdk::dynamodb(aws);
        Self { client, commits, name }
    }
}

/// What calls to the table have cost, and how they went. It is updated while a call runs, so that
/// the log also has it for a call that its deadline cuts off.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) read_units: f64,
    /// As far as DynamoDB reports them: the response to a cancelled transaction does not.
    pub(crate) write_units: f64,
    /// Commits that conflicted with another transaction or were throttled.
    pub(crate) conflicts: u32,
    /// Commits sent again because their response was lost.
    pub(crate) replays: u32,
    /// Whether a commit was sent whose outcome is not known.
    pub(crate) outcome_unknown: bool,
}

impl Usage {
    pub(crate) fn add(&mut self, other: &Self) {
        self.read_units += other.read_units;
        self.write_units += other.write_units;
        self.conflicts += other.conflicts;
        self.replays += other.replays;
        self.outcome_unknown |= other.outcome_unknown;
    }
}

fn units<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> f64 {
    consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum()
}
