//! What a push reads: one consistent batch, and a transaction where items must be seen together.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Get, KeysAndAttributes, ReturnConsumedCapacity, TransactGetItem,
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::items::{self, Item, image_key, repository_key, tag_key};
use super::transaction::{are_temporary, failed};
use super::{Table, units};
use crate::backoff::Backoff;
use crate::call::CallLog;
use crate::error::Failure;
use crate::names::{Digest, Repository};
use crate::put_image::decision::{ImageRecord, Snapshot, TagRecord};
use crate::put_image::push::Push;
use crate::repository::RepositoryRecord;
use crate::sdk::failure;

/// DynamoDB's bound on the items of one transaction.
const TRANSACTION_ITEMS: usize = 100;
/// How many of a big index's missing children [`Table::confirm`] can see again: what META, TAG
/// and IMAGE leave.
pub const CONFIRMED_CHILDREN: usize = TRANSACTION_ITEMS - 3;
/// Transactions in flight while the children of a big index are read.
const TRANSACTIONS_AT_ONCE: usize = 16;

impl Table {
    /// Reads a repository's item, consistently.
    ///
    /// # Errors
    /// The read failed, retries included.
    pub async fn repository(
        &self,
        repository: &Repository,
        log: &mut CallLog,
    ) -> Result<Option<RepositoryRecord>, Failure> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let get = get.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = get.set_key(Some(repository_key(repository))).send().await;
        let answer = answer.map_err(|error| failure("reading a repository", error))?;
        log.read_units += units(answer.consumed_capacity());
        answer.item().map(RepositoryRecord::from_item).transpose()
    }

    /// The key of the body that an image's item refers to, read consistently; `None` where there is
    /// no such image, or its manifest stands in the table.
    ///
    /// # Errors
    /// The read failed, retries included.
    pub async fn body_key(
        &self,
        repo_id: &str,
        digest: &Digest,
    ) -> Result<Option<String>, Failure> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = get.set_key(Some(image_key(repo_id, digest))).send().await;
        let item = answer.map_err(|error| failure("reading an image", error))?.item;
        match item.and_then(|mut item| item.remove("bodyKey")) {
            None => Ok(None),
            Some(AttributeValue::S(key)) => Ok(Some(key)),
            Some(_) => Err(Failure::new("reading an image's item")),
        }
    }

    /// Reads what decides about a push: the repository, the tag, the image and, up to
    /// [`COUNTED_CHILDREN`](crate::repository::COUNTED_CHILDREN), the children. Each item is read consistently, but not all at one
    /// instant.
    ///
    /// # Errors
    /// The read failed, retries included.
    pub async fn snapshot(
        &self,
        push: &Push,
        repo_id: &str,
        log: &mut CallLog,
    ) -> Result<Snapshot, Failure> {
        let children = push.counted_children();
        let mut unread = keys(push, repo_id, children);
        let mut found = Vec::new();
        let mut backoff = Backoff::default();
        loop {
            let request = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(unread));
            let request =
                request.build().map_err(|error| Failure::caused("building a read", error))?;
            let batch = self.client.batch_get_item().request_items(&self.name, request);
            let batch = batch.return_consumed_capacity(ReturnConsumedCapacity::Total).send();
            let answer = batch.await.map_err(|error| failure("reading the table", error))?;
            log.read_units += units(answer.consumed_capacity());
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let left = answer.unprocessed_keys.unwrap_or_default();
            unread = left.into_values().flat_map(|request| request.keys).collect();
            if unread.is_empty() {
                return snapshot(push, repo_id, children, &found);
            }
            backoff.pause().await;
        }
    }

    /// Reads at one instant what [`snapshot`](Self::snapshot) read one by one; of a big index's
    /// children the first [`CONFIRMED_CHILDREN`] of `missing`.
    ///
    /// # Errors
    /// The read failed, retries included.
    pub async fn confirm(
        &self,
        push: &Push,
        repo_id: &str,
        missing: &[Digest],
        log: &mut CallLog,
    ) -> Result<Snapshot, Failure> {
        let children = if push.is_big_index() {
            missing.get(..CONFIRMED_CHILDREN).unwrap_or(missing)
        } else {
            push.counted_children()
        };
        let (found, units) = self.read_together(keys(push, repo_id, children)).await?;
        log.read_units += units;
        snapshot(push, repo_id, children, &found)
    }

    /// The children of a big index that are no images of the repository. Plain reads are not
    /// enough here: no reference count guards these children in the commit.
    ///
    /// # Errors
    /// A read failed, retries included.
    pub async fn missing_children(
        &self,
        push: &Push,
        repo_id: &str,
        log: &mut CallLog,
    ) -> Result<Vec<Digest>, Failure> {
        let reads = push.manifest.children().chunks(TRANSACTION_ITEMS).map(|children| async move {
            let keys = children.iter().map(|child| image_key(repo_id, child)).collect();
            let (found, units) = self.read_together(keys).await?;
            Ok((absent(children, &found), units))
        });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffered(TRANSACTIONS_AT_ONCE);
        let mut missing = Vec::new();
        while let Some((absent, units)) = reads.try_next().await? {
            missing.extend(absent);
            log.read_units += units;
        }
        Ok(missing)
    }

    /// Reads items at one instant, again while another transaction is at one of them; the items,
    /// and the read units.
    async fn read_together(&self, keys: Vec<Item>) -> Result<(Vec<Item>, f64), Failure> {
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
                Ok(answer) => {
                    let units = units(answer.consumed_capacity());
                    let found = answer.responses.unwrap_or_default().into_iter();
                    return Ok((found.filter_map(|found| found.item).collect(), units));
                }
                Err(error) if error.as_service_error().is_some_and(is_conflict) => {
                    backoff.pause().await;
                }
                Err(error) => return Err(failure("reading the table in a transaction", error)),
            }
        }
    }
}

fn keys(push: &Push, repo_id: &str, children: &[Digest]) -> Vec<Item> {
    let mut keys = vec![repository_key(&push.repository), image_key(repo_id, &push.digest)];
    keys.extend(push.tag.as_ref().map(|tag| tag_key(repo_id, tag)));
    keys.extend(children.iter().map(|child| image_key(repo_id, child)));
    keys
}

fn snapshot(
    push: &Push,
    repo_id: &str,
    children: &[Digest],
    found: &[Item],
) -> Result<Snapshot, Failure> {
    let item = |key: &Item| {
        found.iter().find(|item| item.get("SK") == key.get("SK") && item.get("PK") == key.get("PK"))
    };
    let tag = push.tag.as_ref().and_then(|tag| item(&tag_key(repo_id, tag)));
    let image = item(&image_key(repo_id, &push.digest));
    let repository = item(&repository_key(&push.repository));
    Ok(Snapshot {
        repository: repository.map(RepositoryRecord::from_item).transpose()?,
        tag: tag.map(TagRecord::from_item).transpose()?,
        image: image.map(ImageRecord::from_item).transpose()?,
        missing_children: absent(children, found),
    })
}

fn absent(children: &[Digest], found: &[Item]) -> Vec<Digest> {
    let found: std::collections::HashSet<&str> =
        found.iter().filter_map(|item| items::text(item, "SK")?.strip_prefix("IMAGE#")).collect();
    children.iter().filter(|child| !found.contains(child.as_str())).cloned().collect()
}

/// Whether a transactional read met another transaction, or was throttled: to be asked again.
fn is_conflict(error: &TransactGetItemsError) -> bool {
    let TransactGetItemsError::TransactionCanceledException(cancelled) = error else {
        return false;
    };
    are_temporary(&failed(cancelled.cancellation_reasons()))
}
