//! Reading items, always consistently: one, a batch, or several at one instant.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::types::{Get, KeysAndAttributes, ReturnConsumedCapacity, TransactGetItem};

use super::items::{Item, repository_from_item, repository_key};
use super::transaction::{are_temporary, failed};
use super::{Table, Usage, units};
use crate::ecr::names::RepositoryRef;
use crate::ecr::repository::RepositoryRecord;
use crate::failure::Failure;
use crate::retry::Backoff;
use crate::stores::sdk::failure;

/// DynamoDB's limit on the items of one transaction.
pub(crate) const TRANSACTION_ITEMS: usize = 100;

impl Table {
    /// # Errors
    /// The read failed, retries included.
    pub(crate) async fn get(
        &self,
        doing: &'static str,
        key: Item,
        usage: &mut Usage,
    ) -> Result<Option<Item>, Failure> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let response = get.set_key(Some(key)).send().await;
        let response = response.map_err(|error| failure(doing, error))?;
        usage.read_units += units(response.consumed_capacity());
        Ok(response.item)
    }

    /// Reads a repository's item.
    ///
    /// # Errors
    /// The read failed, retries included.
    pub(crate) async fn repository(
        &self,
        repository: &RepositoryRef,
        usage: &mut Usage,
    ) -> Result<Option<RepositoryRecord>, Failure> {
        let item = self.get("reading a repository", repository_key(repository), usage).await?;
        item.as_ref().map(repository_from_item).transpose()
    }

    /// Reads up to 100 items, each consistently, but not all at one instant.
    ///
    /// # Errors
    /// The read failed, retries included.
    pub(crate) async fn batch(
        &self,
        keys: Vec<Item>,
        usage: &mut Usage,
    ) -> Result<Vec<Item>, Failure> {
        let mut unread = keys;
        let mut found = Vec::new();
        let mut backoff = Backoff::default();
        loop {
            let request = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(unread));
            let request =
                request.build().map_err(|error| Failure::caused("building a read", error))?;
            let batch = self.client.batch_get_item().request_items(&self.name, request);
            let batch = batch.return_consumed_capacity(ReturnConsumedCapacity::Total).send();
            let response = batch.await.map_err(|error| failure("reading the table", error))?;
            usage.read_units += units(response.consumed_capacity());
            found.extend(response.responses.unwrap_or_default().into_values().flatten());
            let left = response.unprocessed_keys.unwrap_or_default();
            unread = left.into_values().flat_map(|request| request.keys).collect();
            if unread.is_empty() {
                return Ok(found);
            }
            backoff.pause().await;
        }
    }

    /// Reads up to [`TRANSACTION_ITEMS`] items at one instant. Repeats the read while another
    /// transaction holds one of them.
    ///
    /// # Errors
    /// The read failed, retries included.
    pub(crate) async fn together(
        &self,
        keys: Vec<Item>,
        usage: &mut Usage,
    ) -> Result<Vec<Item>, Failure> {
        let gets = keys.into_iter().map(|key| {
            let get = Get::builder().table_name(&self.name).set_key(Some(key)).build()?;
            Ok(TransactGetItem::builder().get(get).build())
        });
        let gets = gets.collect::<Result<Vec<_>, BuildError>>();
        let gets = gets.map_err(|error| Failure::caused("building a read", error))?;
        let request = self
            .client
            .transact_get_items()
            .set_transact_items(Some(gets))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut backoff = Backoff::default();
        loop {
            match request.clone().send().await {
                Ok(response) => {
                    usage.read_units += units(response.consumed_capacity());
                    let found = response.responses.unwrap_or_default().into_iter();
                    return Ok(found.filter_map(|found| found.item).collect());
                }
                Err(error) if error.as_service_error().is_some_and(is_conflict) => {
                    backoff.pause().await;
                }
                Err(error) => return Err(failure("reading the table in a transaction", error)),
            }
        }
    }
}

/// Whether a transactional read conflicted with another transaction or was throttled, so that it is
/// sent again.
fn is_conflict(error: &TransactGetItemsError) -> bool {
    let TransactGetItemsError::TransactionCanceledException(cancelled) = error else {
        return false;
    };
    are_temporary(&failed(cancelled.cancellation_reasons()))
}
