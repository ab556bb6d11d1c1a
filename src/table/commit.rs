//! What a push writes: one conditional transaction, and what its answers mean.
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

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Put, ReturnConsumedCapacity,
    TransactWriteItem, Update,
};

use super::items::{Item, image_key, manifest_key, n, repository_key, s, tag_key};
use super::read::is_big_index;
use super::{Table, units};
use crate::backoff::Backoff;
use crate::bodies::Body;
use crate::call::CallLog;
use crate::error::Failure;
use crate::put_image::decision::Snapshot;
use crate::put_image::push::Push;
use crate::repository::{BIG_INDEXES_PER_REPOSITORY, Quotas, RepositoryRecord};
use crate::sdk::failure;

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

/// What became of a commit.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is written.
    Committed,
    /// It is not, and never will be: read again and decide again.
    StartAgain,
}

impl Table {
    /// Sends the transaction until its outcome is known. A repetition is the same request under
    /// the same token, which DynamoDB applies at most once; only the caller's deadline bounds
    /// their number.
    ///
    /// # Errors
    /// A failure of ours, or an outcome that stays unknown.
    pub async fn commit(&self, commit: &Commit<'_>, log: &mut CallLog) -> Result<Outcome, Failure> {
        let actions = commit.actions(&self.name).map_err(|error| Failure {
            doing: "building a commit",
            aws_code: None,
            source: Some(error.into()),
        })?;
        let request = self
            .commits
            .transact_write_items()
            .set_transact_items(Some(actions))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .client_request_token(format!("{}-{}", commit.put_id, commit.attempt));
        let mut backoff = Backoff::default();
        let mut unknown = false;
        loop {
            // Should the call be cut off in here, nobody will know.
            log.outcome_unknown = true;
            let answer = request.clone().send().await;
            let (answer, error) = match answer {
                Ok(answer) => {
                    log.write_units += units(answer.consumed_capacity());
                    (Answer::Committed, None)
                }
                Err(error) => (Answer::of(&error), Some(error)),
            };
            unknown |= answer == Answer::Unknown;
            log.outcome_unknown = unknown;
            log.conflicts += u32::from(matches!(answer, Answer::Conflict | Answer::Refused));
            let next = answer.next(unknown);
            match (next, error) {
                (Next::Done, _) => {
                    log.outcome_unknown = false;
                    return Ok(Outcome::Committed);
                }
                (Next::StartAgain, _) => return Ok(Outcome::StartAgain),
                (Next::Replay, _) => {
                    log.replays += 1;
                    backoff.pause().await;
                }
                (Next::Stop, Some(error)) => return Err(failure("committing a push", error)),
                (Next::Stop, None) => return Err(Failure::new("committing a push")),
            }
        }
    }
}

/// What one answer to the transaction says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It is applied.
    Committed,
    /// Cancelled, because a condition does not hold (any more).
    ConditionFailed,
    /// Cancelled, because another transaction was at one of the items, or by a throttle.
    Conflict,
    /// Refused whole by a throttle.
    Refused,
    /// Nothing: no answer, none that can be read, or one that leaves it open.
    Unknown,
    /// A request that we should not have sent.
    Fault,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Done,
    StartAgain,
    Replay,
    Stop,
}

impl Answer {
    fn of(error: &SdkError<TransactWriteItemsError>) -> Self {
        let SdkError::ServiceError(answer) = error else {
            return match error {
                SdkError::ConstructionFailure(_) => Self::Fault,
                _ => Self::Unknown,
            };
        };
        let status = answer.raw().status().as_u16();
        match answer.err() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                Self::of_reasons(cancelled.cancellation_reasons())
            }
            error => match error.code() {
                // A success that could not be read, an error that says nothing.
                _ if !(400..500).contains(&status) => Self::Unknown,
                None | Some("TransactionInProgressException" | "InternalServerError") => {
                    Self::Unknown
                }
                Some(
                    "ThrottlingException"
                    | "RequestLimitExceeded"
                    | "ProvisionedThroughputExceededException",
                ) => Self::Refused,
                Some(_) => Self::Fault,
            },
        }
    }

    fn of_reasons(reasons: &[CancellationReason]) -> Self {
        let codes: Vec<&str> =
            reasons.iter().filter_map(|reason| reason.code()).filter(|&c| c != "None").collect();
        let is_conflict = |&code: &&str| {
            matches!(
                code,
                "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"
            )
        };
        if codes.contains(&"ConditionalCheckFailed") {
            Self::ConditionFailed
        } else if !codes.is_empty() && codes.iter().all(is_conflict) {
            Self::Conflict
        } else {
            Self::Fault
        }
    }

    /// `unknown`: whether an earlier answer of the attempt, or this one, left the outcome open.
    fn next(self, unknown: bool) -> Next {
        match self {
            Self::Committed => Next::Done,
            Self::Unknown => Next::Replay,
            Self::Fault => Next::Stop,
            // A cancelled repetition does not prove that the delayed original is dead: it may
            // land later, and starting again could commit twice.
            Self::ConditionFailed if unknown => Next::Stop,
            Self::Conflict | Self::Refused if unknown => Next::Replay,
            Self::ConditionFailed | Self::Conflict | Self::Refused => Next::StartAgain,
        }
    }
}

const ABSENT: &str = "attribute_not_exists(PK)";
const PRESENT: &str = "attribute_exists(PK)";
const SAME_SETTINGS: &str = "rev = :rev";

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

        let children = if is_new && !is_big_index(push) { push.manifest.children() } else { &[] };
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
        if !is_big_index(self.push) {
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

type Values<const N: usize> = [(&'static str, AttributeValue); N];

fn values<const N: usize>(values: Values<N>) -> Option<Item> {
    (N > 0).then(|| values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn put<const N: usize>(
    table: &str,
    item: Item,
    condition: &str,
    bound: Values<N>,
) -> Result<TransactWriteItem, BuildError> {
    let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression(condition);
    let put = put.set_expression_attribute_values(values(bound)).build()?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn update<const N: usize>(
    table: &str,
    key: Item,
    expression: &str,
    condition: &str,
    bound: Values<N>,
) -> Result<TransactWriteItem, BuildError> {
    let update = Update::builder()
        .table_name(table)
        .set_key(Some(key))
        .update_expression(expression)
        .condition_expression(condition)
        .set_expression_attribute_values(values(bound))
        .build()?;
    Ok(TransactWriteItem::builder().update(update).build())
}

fn check<const N: usize>(
    table: &str,
    key: Item,
    condition: &str,
    bound: Values<N>,
) -> Result<TransactWriteItem, BuildError> {
    let check = ConditionCheck::builder()
        .table_name(table)
        .set_key(Some(key))
        .condition_expression(condition)
        .set_expression_attribute_values(values(bound))
        .build()?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    #[test]
    fn cancellation_reasons_are_read_in_the_protocols_order() {
        let rows: [(&[&str], Answer); 10] = [
            (&["None", "ConditionalCheckFailed"], Answer::ConditionFailed),
            (&["ConditionalCheckFailed", "TransactionConflict"], Answer::ConditionFailed),
            (&["ConditionalCheckFailed", "ValidationError"], Answer::ConditionFailed),
            (&["None", "TransactionConflict"], Answer::Conflict),
            (&["ThrottlingError", "None", "ProvisionedThroughputExceeded"], Answer::Conflict),
            (&["TransactionConflict", "ValidationError"], Answer::Fault),
            (&["ItemCollectionSizeLimitExceeded"], Answer::Fault),
            (&["SomethingNew"], Answer::Fault),
            (&["None", "None"], Answer::Fault),
            (&[], Answer::Fault),
        ];
        for (codes, expected) in rows {
            assert_eq!(Answer::of_reasons(&reasons(codes)), expected, "{codes:?}");
        }
    }

    #[test]
    fn after_an_unknown_outcome_nothing_starts_again() {
        let rows = [
            (Answer::Committed, Next::Done, Next::Done),
            (Answer::ConditionFailed, Next::StartAgain, Next::Stop),
            (Answer::Conflict, Next::StartAgain, Next::Replay),
            (Answer::Refused, Next::StartAgain, Next::Replay),
            (Answer::Unknown, Next::Replay, Next::Replay),
            (Answer::Fault, Next::Stop, Next::Stop),
        ];
        for (answer, first, later) in rows {
            assert_eq!(answer.next(false), first, "{answer:?}");
            assert_eq!(answer.next(true), later, "{answer:?}");
        }
    }
}
