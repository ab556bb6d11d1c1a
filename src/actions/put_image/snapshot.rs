//! What a push reads: the items that its result depends on, one by one or at one instant.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::push::Push;
use crate::ecr::names::Digest;
use crate::ecr::repository::{ImageRecord, RepositoryRecord, TagRecord};
use crate::failure::Failure;
use crate::stores::table::items::{
    Item, image_from_item, image_key, repository_from_item, repository_key, tag_from_item, tag_key,
    text,
};
use crate::stores::table::read::TRANSACTION_ITEMS;
use crate::stores::table::{Table, Usage};

/// How many of a big index's missing children [`confirm`] can read again: what META, TAG and IMAGE
/// leave of a transaction.
const CONFIRMED_CHILDREN: usize = TRANSACTION_ITEMS - 3;
/// Transactions in flight while the children of a big index are read.
const TRANSACTIONS_AT_ONCE: usize = 16;

/// The items that a push depends on, as one read gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) repository: Option<RepositoryRecord>,
    /// The tag that is being pushed, if it names an image now.
    pub(super) tag: Option<TagRecord>,
    /// The image that is being pushed, if it is stored already.
    pub(super) image: Option<ImageRecord>,
    /// Children of the index that is being pushed that are not images of this repository: each
    /// once, in manifest order.
    pub(super) missing_children: Vec<Digest>,
}

/// Reads what the result of a push depends on: the repository, the tag, the image and the children
/// whose references the commit counts. Each item is read consistently, but not all at one instant.
///
/// # Errors
/// The read failed, retries included.
pub(super) async fn read(
    table: &Table,
    push: &Push,
    repo_id: &str,
    usage: &mut Usage,
) -> Result<Snapshot, Failure> {
    let children = push.counted_children();
    let found = table.batch(keys(push, repo_id, children), usage).await?;
    Snapshot::from_items(push, repo_id, children, &found)
}

/// Reads at one instant what [`read`] read one by one; of a big index's children the first of
/// `missing`, as far as a transaction has room.
///
/// # Errors
/// The read failed, retries included.
pub(super) async fn confirm(
    table: &Table,
    push: &Push,
    repo_id: &str,
    missing: &[Digest],
    usage: &mut Usage,
) -> Result<Snapshot, Failure> {
    let children = if push.is_big_index() {
        missing.get(..CONFIRMED_CHILDREN).unwrap_or(missing)
    } else {
        push.counted_children()
    };
    let found = table.together(keys(push, repo_id, children), usage).await?;
    Snapshot::from_items(push, repo_id, children, &found)
}

/// The children of a big index that are not images of the repository. No reference count guards
/// them in the commit, so plain reads, which may see half of a deletion, are not enough.
///
/// # Errors
/// A read failed, retries included.
pub(super) async fn missing_children(
    table: &Table,
    push: &Push,
    repo_id: &str,
    usage: &mut Usage,
) -> Result<Vec<Digest>, Failure> {
    let reads = push.manifest.children().chunks(TRANSACTION_ITEMS).map(|children| async move {
        let mut usage = Usage::default();
        let keys = children.iter().map(|child| image_key(repo_id, child)).collect();
        let found = table.together(keys, &mut usage).await?;
        Ok((absent(children, &found), usage))
    });
    let reads: Vec<_> = reads.collect();
    let mut reads = stream::iter(reads).buffered(TRANSACTIONS_AT_ONCE);
    let mut missing = Vec::new();
    while let Some((absent, used)) = reads.try_next().await? {
        missing.extend(absent);
        usage.add(&used);
    }
    Ok(missing)
}

impl Snapshot {
    fn from_items(
        push: &Push,
        repo_id: &str,
        children: &[Digest],
        found: &[Item],
    ) -> Result<Self, Failure> {
        let item = |key: &Item| {
            let is =
                |item: &&Item| ["PK", "SK"].iter().all(|name| item.get(*name) == key.get(*name));
            found.iter().find(is)
        };
        let tag = push.tag.as_ref().and_then(|tag| item(&tag_key(repo_id, tag)));
        let image = item(&image_key(repo_id, &push.digest));
        let repository = item(&repository_key(&push.repository));
        Ok(Self {
            repository: repository.map(repository_from_item).transpose()?,
            tag: tag.map(tag_from_item).transpose()?,
            image: image.map(image_from_item).transpose()?,
            missing_children: absent(children, found),
        })
    }

    /// Adds to a confirmation the children of `missing` that it had no room for. Returns `false` if
    /// it shows that all the others exist by now, because then nothing is known about these.
    pub(super) fn add_unconfirmed(&mut self, missing: Vec<Digest>) -> bool {
        let unconfirmed = missing.into_iter().skip(CONFIRMED_CHILDREN);
        if unconfirmed.len() > 0 && self.missing_children.is_empty() {
            return false;
        }
        self.missing_children.extend(unconfirmed);
        true
    }
}

fn keys(push: &Push, repo_id: &str, children: &[Digest]) -> Vec<Item> {
    let mut keys = vec![repository_key(&push.repository), image_key(repo_id, &push.digest)];
    keys.extend(push.tag.as_ref().map(|tag| tag_key(repo_id, tag)));
    keys.extend(children.iter().map(|child| image_key(repo_id, child)));
    keys
}

fn absent(children: &[Digest], found: &[Item]) -> Vec<Digest> {
    let found: HashSet<&str> =
        found.iter().filter_map(|item| text(item, "SK")?.strip_prefix("IMAGE#")).collect();
    children.iter().filter(|child| !found.contains(child.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(count: usize) -> Vec<Digest> {
        (0..count).map(|n| Digest::of(n.to_string().as_bytes())).collect()
    }

    fn confirmed(missing_children: &[Digest]) -> Snapshot {
        let missing_children = missing_children.to_vec();
        Snapshot { repository: None, tag: None, image: None, missing_children }
    }

    #[test]
    fn what_a_confirmation_has_no_room_for_counts_as_missing_while_another_child_is() {
        let missing = digests(CONFIRMED_CHILDREN + 2);
        let mut snapshot = confirmed(&missing[..1]);
        assert!(snapshot.add_unconfirmed(missing.clone()));
        let expected = [&missing[..1], &missing[CONFIRMED_CHILDREN..]].concat();
        assert_eq!(snapshot.missing_children, expected);

        assert!(!confirmed(&[]).add_unconfirmed(missing.clone()), "97 exist: what of the others?");
        let mut all_exist = confirmed(&[]);
        assert!(all_exist.add_unconfirmed(missing[..CONFIRMED_CHILDREN].to_vec()));
        assert!(all_exist.missing_children.is_empty());
    }
}
