//! Conditional requests.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use super::index::Index;
use super::record::Record;
use crate::clock;

/// The conditions of a GET or a HEAD, or on a copy's source.
#[derive(Debug)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// [`ReadConditions`] out of the input of a GET or a HEAD.
macro_rules! take_read_conditions {
    ($input:expr) => {
        $crate::s3::conditions::ReadConditions {
            if_match: $input.if_match.take(),
            if_none_match: $input.if_none_match.take(),
            if_modified_since: $input.if_modified_since.take(),
            if_unmodified_since: $input.if_unmodified_since.take(),
        }
    };
}

/// [`ReadConditions`] out of the input of a copy.
macro_rules! take_source_conditions {
    ($input:expr) => {
        $crate::s3::conditions::ReadConditions {
            if_match: $input.copy_source_if_match.take(),
            if_none_match: $input.copy_source_if_none_match.take(),
            if_modified_since: $input.copy_source_if_modified_since.take(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}

pub(super) use {take_read_conditions, take_source_conditions};

impl ReadConditions {
    pub(super) fn check(&self, record: &Record) -> S3Result<()> {
        if self.is_not_matched(record) {
            return Err(failed());
        }
        if self.is_not_modified(record) { Err(s3_error!(NotModified)) } else { Ok(()) }
    }

    /// A copy has no response "not modified".
    pub(super) fn check_source(&self, record: &Record) -> S3Result<()> {
        if self.is_not_matched(record) || self.is_not_modified(record) {
            return Err(failed());
        }
        Ok(())
    }

    /// The date is ignored if there is an entity tag.
    fn is_not_matched(&self, record: &Record) -> bool {
        match &self.if_match {
            Some(ETagCondition::Any) => false,
            Some(ETagCondition::ETag(wanted)) => !record.e_tag().strong_cmp(wanted),
            None => self.if_unmodified_since.as_ref().is_some_and(|date| record.modified() > *date),
        }
    }

    /// The date is ignored if there is an entity tag, and if it is in the future.
    fn is_not_modified(&self, record: &Record) -> bool {
        match &self.if_none_match {
            Some(ETagCondition::Any) => true,
            Some(ETagCondition::ETag(unwanted)) => record.e_tag().weak_cmp(unwanted),
            None => self.if_modified_since.as_ref().is_some_and(|date| {
                record.modified() <= *date && *date <= Timestamp::from(clock::now())
            }),
        }
    }
}

/// The conditions of a write. They are checked at the moment at which the write takes effect.
#[derive(Debug, Default)]
pub(super) struct WriteConditions {
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// S3 has two conditions: no object at all, and an object with this entity tag.
    pub(super) fn new(
        if_match: Option<ETagCondition>,
        if_none_match: Option<ETagCondition>,
    ) -> S3Result<Self> {
        let unknown = matches!(
            (&if_match, &if_none_match),
            (Some(_), Some(_)) | (Some(ETagCondition::Any), _) | (_, Some(ETagCondition::ETag(_)))
        );
        if unknown {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented"
            ));
        }
        Ok(Self { if_match, if_none_match })
    }

    pub(super) fn check(&self, index: &Index, bucket: &str, key: &str) -> S3Result<()> {
        if self.if_none_match.is_some() && index.bucket(bucket)?.contains_key(key) {
            return Err(failed());
        }
        check_match(self.if_match.as_ref(), index, bucket, key)
    }
}

/// `If-Match` of a write or a deletion.
///
/// # Errors
/// `NoSuchKey` or `PreconditionFailed`.
pub(super) fn check_match(
    if_match: Option<&ETagCondition>,
    index: &Index,
    bucket: &str,
    key: &str,
) -> S3Result<()> {
    match if_match {
        None => Ok(()),
        Some(ETagCondition::Any) => index.object(bucket, key).map(drop),
        Some(ETagCondition::ETag(wanted)) => {
            let found = index.object(bucket, key)?.e_tag();
            if found.strong_cmp(wanted) { Ok(()) } else { Err(failed()) }
        }
    }
}

fn failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}
