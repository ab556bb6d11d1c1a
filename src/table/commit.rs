//! What a push writes: one conditional transaction.
//!
//! | # | action | absent when |
//! |---|---|---|
//! | 1 | META: one image more, while the settings are those that were read and the quota holds | the image exists |
//! | 1' | META: the settings are those that were read | the image is new |
//! | 2 | IMAGE put, where there is none | the image exists |
//! | 2' | IMAGE: one tag more, while the quota holds | the image is new |
//! | 3 | MANIFEST put, where there is none | the image exists, or its body is in S3 |
//! | 4 | TAG put, where there is none | no tag, or the tag is there |
//! | 4' | TAG put, where it is the one that was read | no tag, or the tag was not there |
//! | 5 | old IMAGE: one tag less | the tag was not there |
//! | 6 | each child: one reference more, where it is there | no new index, or a big one |
//! | 7 | on row 1: no image was deleted since the read, and one big index more | no big index |

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::Table;
use super::items::{Item, image_key, manifest_key, n, repository_key, s, tag_key};
use super::transaction::{ABSENT, Outcome, PRESENT, check, put, update};
use crate::bodies::Body;
use crate::call::CallLog;
use crate::error::Failure;
use crate::put_image::decision::Snapshot;
use crate::put_image::push::Push;
use crate::repository::{BIG_INDEXES_PER_REPOSITORY, Quotas, RepositoryRecord};

const SAME_SETTINGS: &str = "rev = :rev";

/// All that a commit is made of.
#[derive(Debug)]
pub struct Commit<'a> {
    /// What is pushed.
    pub push: &'a Push,
    /// The repository, as it was read.
    pub record: &'a RepositoryRecord,
    /// The other items, as they were read.
    pub snapshot: &'a Snapshot,
    /// Where a new image's manifest goes.
    pub body: Option<&'a Body>,
    /// Names the call: 32 hex digits.
    pub put_id: &'a str,
    /// Names the attempt within the call.
    pub attempt: u32,
    /// When the push happens, in milliseconds since 1970.
    pub at: u64,
    /// What must hold after it.
    pub quotas: &'a Quotas,
}

impl Table {
    /// Commits a push.
    ///
    /// # Errors
    /// A failure of ours, or an outcome that stays unknown.
    pub async fn commit(&self, commit: &Commit<'_>, log: &mut CallLog) -> Result<Outcome, Failure> {
        let token = format!("{}-{}", commit.put_id, commit.attempt);
        self.transact("committing a push", commit.actions(&self.name), token, log).await
    }
}

impl Commit<'_> {
    fn actions(&self, table: &str) -> Result<Vec<TransactWriteItem>, BuildError> {
        let Self { push, record, snapshot, .. } = self;
        let repo_id = record.repo_id.as_str();
        let is_new = snapshot.image.is_none();
        let moved_from = snapshot.tag.as_ref().map(|tag| &tag.digest);
        let mut actions = Vec::new();

        if is_new {
            actions.push(self.count_image(table)?);
            actions.push(put(table, self.image_item(), ABSENT, [])?);
            if let Some(Body::Inline(bytes)) = self.body {
                let mut item = manifest_key(repo_id, &push.digest);
                item.insert("body".into(), AttributeValue::B(Blob::new(bytes.to_vec())));
                actions.push(put(table, item, ABSENT, [])?);
            }
        } else {
            actions.push(check(
                table,
                repository_key(&push.repository),
                SAME_SETTINGS,
                [(":rev", s(&record.rev))],
            )?);
            actions.push(update(
                table,
                image_key(repo_id, &push.digest),
                "SET tagCount = tagCount + :one",
                "attribute_exists(PK) AND tagCount < :tagLimit",
                [(":one", n(1)), (":tagLimit", n(self.quotas.tags_per_image))],
            )?);
        }
        actions.extend(self.put_tag(table)?);

        let children = if is_new { push.counted_children() } else { &[] };
        if let Some(old) = moved_from {
            // DynamoDB refuses two actions on one item, and the tag's old image may be a child of
            // the index that takes the tag.
            let expression = if children.contains(old) {
                "SET tagCount = tagCount - :one, refCount = refCount + :one"
            } else {
                "SET tagCount = tagCount - :one"
            };
            let key = image_key(repo_id, old);
            actions.push(update(table, key, expression, PRESENT, [(":one", n(1))])?);
        }
        for child in children.iter().filter(|&child| Some(child) != moved_from) {
            let key = image_key(repo_id, child);
            let expression = "SET refCount = refCount + :one";
            actions.push(update(table, key, expression, PRESENT, [(":one", n(1))])?);
        }
        Ok(actions)
    }

    /// Rows 1 and 7.
    fn count_image(&self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let key = repository_key(&self.push.repository);
        let rev = (":rev", s(&self.record.rev));
        let limit = (":imageLimit", n(self.quotas.images_per_repository));
        if !self.push.is_big_index() {
            return update(
                table,
                key,
                "SET imageCount = imageCount + :one",
                "rev = :rev AND imageCount < :imageLimit",
                [(":one", n(1)), rev, limit],
            );
        }
        update(
            table,
            key,
            "SET imageCount = imageCount + :one ADD bigIndexes :digests",
            "rev = :rev AND imageCount < :imageLimit AND delEpoch = :seen \
             AND (attribute_not_exists(bigIndexes) OR size(bigIndexes) < :max)",
            [
                (":one", n(1)),
                rev,
                limit,
                (":seen", n(self.record.del_epoch)),
                (":max", n(BIG_INDEXES_PER_REPOSITORY)),
                (":digests", AttributeValue::Ss(vec![self.push.digest.to_string()])),
            ],
        )
    }

    /// Row 2's item. Nothing of the manifest's content: it may be encrypted, and a tag's move is
    /// charged for the whole item.
    fn image_item(&self) -> Item {
        let Self { push, record, .. } = self;
        let mut item = image_key(&record.repo_id, &push.digest);
        item.extend([
            ("digest".into(), s(push.digest.as_str())),
            ("tagCount".into(), n(u64::from(push.tag.is_some()))),
            ("refCount".into(), n(0)),
            ("putId".into(), s(self.put_id)),
            ("mediaType".into(), s(push.manifest.media_type.as_str())),
            ("manifestBytes".into(), n(push.manifest_bytes.len() as u64)),
            ("pushedAt".into(), n(self.at)),
            ("encryption".into(), s(record.encryption.as_str())),
            ("registryId".into(), s(push.repository.registry.as_str())),
            ("repositoryName".into(), s(push.repository.name.as_str())),
        ]);
        if let Some(Body::Spilled { key }) = self.body {
            item.insert("bodyKey".into(), s(key));
        }
        item
    }

    /// Rows 4 and 4'. What the tag's item says of the image is for the readers of the table's
    /// stream, who see one item at a time.
    fn put_tag(&self, table: &str) -> Result<Option<TransactWriteItem>, BuildError> {
        let Self { push, record, .. } = self;
        let Some(tag) = &push.tag else { return Ok(None) };
        let mut item = tag_key(&record.repo_id, tag);
        item.extend([
            ("digest".into(), s(push.digest.as_str())),
            ("tag".into(), s(tag.as_str())),
            ("putId".into(), s(self.put_id)),
            ("at".into(), n(self.at)),
            ("mediaType".into(), s(push.manifest.media_type.as_str())),
            ("registryId".into(), s(push.repository.registry.as_str())),
            ("repositoryName".into(), s(push.repository.name.as_str())),
        ]);
        match &self.snapshot.tag {
            None => put(table, item, ABSENT, []),
            Some(seen) => put(table, item, "putId = :seenPutId", [(":seenPutId", s(&seen.put_id))]),
        }
        .map(Some)
    }
}
