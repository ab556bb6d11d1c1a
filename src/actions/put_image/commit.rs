//! What a push writes: one conditional transaction.
//!
//! | # | action | condition | where |
//! |---|---|---|---|
//! | 1 | META: `imageCount + 1` | the settings are those that were read, the quota holds | the image is new |
//! | 1' | META: check | the settings are those that were read | the image exists |
//! | 2 | IMAGE put | it does not exist | the image is new |
//! | 2' | IMAGE: `tagCount + 1` | it exists, the quota holds | the image exists |
//! | 3 | MANIFEST put | it does not exist | the image is new, its body is not in S3 |
//! | 4 | TAG put | it does not exist | the tag is new |
//! | 4' | TAG put | it is the one that was read | the tag moves |
//! | 5 | the old IMAGE: `tagCount - 1` | it exists | the tag moves |
//! | 6 | each child: `refCount + 1` | it exists | a new index, not a big one |
//! | 7 | on row 1: `ADD bigIndexes` | no image was deleted since the read, fewer than 100 of them | a big index |

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::body::Place;
use super::push::Push;
use super::snapshot::Snapshot;
use crate::ecr::manifest::MediaType;
use crate::ecr::repository::{BIG_INDEXES_PER_REPOSITORY, Quotas, RepositoryRecord};
use crate::failure::Failure;
use crate::stores::table::items::{Item, image_key, manifest_key, n, repository_key, s, tag_key};
use crate::stores::table::transaction::{ABSENT, Outcome, PRESENT, check, put, update};
use crate::stores::table::{Table, Usage};

const SAME_SETTINGS: &str = "rev = :rev";

/// Everything that a commit is built from.
#[derive(Debug)]
pub(super) struct Commit<'a> {
    pub(super) push: &'a Push,
    /// The repository, as it was read.
    pub(super) record: &'a RepositoryRecord,
    /// The other items, as they were read.
    pub(super) snapshot: &'a Snapshot,
    /// Where a new image's manifest goes.
    pub(super) place: Option<&'a Place>,
    /// Names the call: 32 hex digits.
    pub(super) put_id: &'a str,
    /// Names the attempt within the call.
    pub(super) attempt: u32,
    /// When the push happens, in milliseconds since 1970.
    pub(super) at: u64,
    pub(super) quotas: &'a Quotas,
}

impl Commit<'_> {
    /// # Errors
    /// A failure of the service, or an outcome that stays unknown.
    pub(super) async fn send(&self, table: &Table, usage: &mut Usage) -> Result<Outcome, Failure> {
        let token = format!("{}-{}", self.put_id, self.attempt);
        table.transact("committing a push", self.actions(&table.name), token, usage).await
    }

    fn actions(&self, table: &str) -> Result<Vec<TransactWriteItem>, BuildError> {
        let Self { push, record, snapshot, .. } = self;
        let repo_id = record.repo_id.as_str();
        let is_new = snapshot.image.is_none();
        let moved_from = snapshot.tag.as_ref().map(|tag| &tag.digest);
        let mut actions = Vec::new();

        if is_new {
            actions.push(self.count_image(table)?);
            actions.push(put(table, self.image_item(), ABSENT, [])?);
            if let Some(Place::Inline(bytes)) = self.place {
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
            // DynamoDB rejects two actions on one item, and the tag's old image may be a child of
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

    /// The image's type: that of the push that stored it.
    pub(super) fn media_type(&self) -> MediaType {
        self.snapshot.image.as_ref().map_or(self.push.manifest.media_type, |image| image.media_type)
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

    /// Row 2's item. Of the manifest's content it has only the two types, because the manifest may
    /// be sealed and a tag's move is charged for the whole item.
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
            ("encryption".into(), s(record.encryption.kind().as_str())),
            ("registryId".into(), s(push.repository.registry.as_str())),
            ("repositoryName".into(), s(push.repository.name.as_str())),
        ]);
        self.insert_artifact_media_type(&mut item);
        if let Some(Place::Spilled(key)) = self.place {
            item.insert("bodyKey".into(), s(key));
        }
        item
    }

    fn insert_artifact_media_type(&self, item: &mut Item) {
        if let Some(name) = &self.push.manifest.artifact_media_type {
            item.insert("artifactMediaType".into(), s(name));
        }
    }

    /// Rows 4 and 4'. The tag's item repeats attributes of the image for readers of the table's
    /// stream, which see one item at a time.
    fn put_tag(&self, table: &str) -> Result<Option<TransactWriteItem>, BuildError> {
        let Self { push, record, .. } = self;
        let Some(tag) = &push.tag else { return Ok(None) };
        let mut item = tag_key(&record.repo_id, tag);
        item.extend([
            ("digest".into(), s(push.digest.as_str())),
            ("tag".into(), s(tag.as_str())),
            ("putId".into(), s(self.put_id)),
            ("at".into(), n(self.at)),
            ("mediaType".into(), s(self.media_type().as_str())),
            ("registryId".into(), s(push.repository.registry.as_str())),
            ("repositoryName".into(), s(push.repository.name.as_str())),
        ]);
        self.insert_artifact_media_type(&mut item);
        match &self.snapshot.tag {
            None => put(table, item, ABSENT, []),
            Some(seen) => put(table, item, "putId = :seenPutId", [(":seenPutId", s(&seen.put_id))]),
        }
        .map(Some)
    }
}
