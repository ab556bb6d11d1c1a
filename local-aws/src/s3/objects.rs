//! Objects, whole: put, read, copied, restored, deleted.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, PutObjectInput, PutObjectOutput, RestoreObjectInput,
    RestoreObjectOutput, Tier, Timestamp, TimestampFormat,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use uuid::Uuid;

use super::index::Index;
use super::record::{Headers, Record, give_encryption, give_record, take_headers};
use super::service::Objects;
use crate::clock;

/// `If-Match` and `If-None-Match` of a write, which hold at the moment it happens.
#[derive(Debug, Default)]
pub(super) struct Preconditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

/// A name for new bytes: short, because s3s-fs makes its file names from it.
pub(super) fn new_blob() -> String {
    Uuid::new_v4().simple().to_string()
}

impl Objects {
    pub(super) async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &mut request.input;
        let headers = take_headers!(input)?;
        let preconditions = Preconditions {
            if_match: input.if_match.take(),
            if_none_match: input.if_none_match.take(),
        };
        let bucket = input.bucket.clone();
        self.index.read().await.bucket(&bucket)?;
        let blob = new_blob();
        let key = std::mem::replace(&mut input.key, blob.clone());

        let mut response = match self.blobs.put_object(request).await {
            Ok(response) => response,
            Err(error) => {
                self.remove_blob(&bucket, &blob).await;
                return Err(error);
            }
        };
        let e_tag = response.output.e_tag.clone();
        self.commit(&bucket, &key, blob, e_tag, &headers, &preconditions).await?;
        give_encryption!(headers => response.output);
        Ok(response)
    }

    pub(super) async fn head_object(
        &self,
        mut request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let index = self.index.read().await;
        let record = index.object(&request.input.bucket, &request.input.key)?;
        // Bytes never change under their name, so their first HEAD, which reads three files,
        // answers all others.
        let mut output = if let Some(output) = record.head.get() {
            output.clone()
        } else {
            request.input.key.clone_from(&record.blob);
            let output = self.blobs.head_object(request).await?.output;
            record.head.get_or_init(|| output).clone()
        };
        give_record!(record => output);
        Ok(S3Response::new(output))
    }

    pub(super) async fn get_object(
        &self,
        mut request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let index = self.index.read().await;
        let record = index.object(&request.input.bucket, &request.input.key)?;
        if !record.readable() {
            return Err(s3_error!(
                InvalidObjectState,
                "The operation is not valid for the object's storage class"
            ));
        }
        request.input.key.clone_from(&record.blob);
        let mut response = self.blobs.get_object(request).await?;
        give_record!(record => response.output);
        Ok(response)
    }

    pub(super) async fn copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = &mut request.input;
        let headers = take_headers!(input)?;
        let bucket = input.bucket.clone();
        let blob = new_blob();
        let key = std::mem::replace(&mut input.key, blob.clone());
        let response = {
            let index = self.index.read().await;
            index.to_blob(&mut input.copy_source)?;
            self.blobs.copy_object(request).await?
        };
        let result = response.output.copy_object_result.as_ref();
        let e_tag = result.and_then(|result| result.e_tag.clone());
        self.commit(&bucket, &key, blob, e_tag, &headers, &Preconditions::default()).await?;
        Ok(response)
    }

    /// Restores at once, but for `Bulk`, which stays ongoing for good.
    pub(super) async fn restore_object(
        &self,
        request: S3Request<RestoreObjectInput>,
    ) -> S3Result<S3Response<RestoreObjectOutput>> {
        let input = request.input;
        let wanted = input.restore_request.unwrap_or_default();
        let mut index = self.index.write().await;
        let mut record = index.object(&input.bucket, &input.key)?.clone();
        if !record.headers.archived() {
            return Err(s3_error!(
                InvalidObjectState,
                "Restore is not allowed for the object's current storage class"
            ));
        }
        let tier = wanted.glacier_job_parameters.map(|job| job.tier).or(wanted.tier);
        record.restore = Some(if tier.is_some_and(|tier| tier.as_str() == Tier::BULK) {
            r#"ongoing-request="true""#.to_owned()
        } else {
            // Dates end with the year 9999.
            let days =
                wanted.days.and_then(|days| u32::try_from(days).ok()).unwrap_or(1).min(36_500);
            let expiry = Timestamp::from(clock::now() + Duration::from_hours(24) * days);
            let mut date = Vec::new();
            expiry.format(TimestampFormat::HttpDate, &mut date).map_err(S3Error::internal_error)?;
            let date = String::from_utf8_lossy(&date);
            format!(r#"ongoing-request="false", expiry-date="{date}""#)
        });
        index.put(&input.bucket, &input.key, record)?;
        Ok(S3Response::new(RestoreObjectOutput::default()))
    }

    pub(super) async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.delete(&request.input.bucket, &request.input.key).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    pub(super) async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut deleted = Vec::new();
        for object in request.input.delete.objects {
            self.delete(&request.input.bucket, &object.key).await?;
            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
        }
        let deleted = (request.input.delete.quiet != Some(true)).then_some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        let mut index = self.index.write().await;
        if let Some(record) = index.remove(bucket, key)? {
            self.remove_blob(bucket, &record.blob).await;
        }
        Ok(())
    }

    /// Makes the bytes that were written as `blob` the object `key`, or removes them.
    pub(super) async fn commit(
        &self,
        bucket: &str,
        key: &str,
        blob: String,
        e_tag: Option<ETag>,
        headers: &Headers,
        preconditions: &Preconditions,
    ) -> S3Result<()> {
        let size = match tokio::fs::metadata(self.root.join(bucket).join(&blob)).await {
            Ok(metadata) => metadata.len(),
            Err(error) => return Err(S3Error::internal_error(error)),
        };
        let e_tag = e_tag.map(ETag::into_value).unwrap_or_default();
        let record = Record::new(blob.clone(), size, e_tag, headers.clone());
        let mut index = self.index.write().await;
        let put =
            check(&index, bucket, key, preconditions).and_then(|()| index.put(bucket, key, record));
        match put {
            Ok(None) => Ok(()),
            Ok(Some(replaced)) => {
                self.remove_blob(bucket, &replaced.blob).await;
                Ok(())
            }
            Err(error) => {
                self.remove_blob(bucket, &blob).await;
                Err(error)
            }
        }
    }

    /// Removes bytes that no record names, with the two files that s3s-fs 0.14.1 writes beside
    /// them and leaves. What stays after a failure is only space.
    pub(super) async fn remove_blob(&self, bucket: &str, blob: &str) {
        let encode = |name: &str| URL_SAFE_NO_PAD.encode(name);
        let beside = format!(".bucket-{}.object-{}", encode(bucket), encode(blob));
        let _ = tokio::fs::remove_file(self.root.join(bucket).join(blob)).await;
        let _ = tokio::fs::remove_file(self.root.join(format!("{beside}.metadata.json"))).await;
        let _ = tokio::fs::remove_file(self.root.join(format!("{beside}.internal.json"))).await;
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
fn check(index: &Index, bucket: &str, key: &str, conditions: &Preconditions) -> S3Result<()> {
    let found = index.object(bucket, key).ok().map(Record::e_tag);
    let unwanted = conditions.if_none_match.is_some() && found.is_some();
    let missed = conditions.if_match.as_ref().is_some_and(|wanted| match (wanted, &found) {
        (_, None) => true,
        (ETagCondition::Any, Some(_)) => false,
        (ETagCondition::ETag(wanted), Some(found)) => !found.strong_cmp(wanted),
    });
    if unwanted || missed { Err(s3_error!(PreconditionFailed)) } else { Ok(()) }
}
