//! Puts and reads objects.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    ChecksumAlgorithm, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    PutObjectInput, PutObjectOutput, Range, Timestamp,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use uuid::Uuid;

use super::checksums::{Declared, give_checksum};
use super::conditions::{WriteConditions, take_read_conditions};
use super::record::{Headers, Record, give_encryption, give_record, take_headers};
use super::service::Objects;

pub(super) struct Written {
    pub(super) e_tag: ETag,
    pub(super) modified: Timestamp,
}

/// A file name for new bytes. It is short because s3s-fs makes longer names from it.
pub(super) fn new_blob() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Every object has the version `null`, because no bucket here is versioned.
pub(super) fn check_version(id: Option<&str>) -> S3Result<()> {
    match id {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid version id specified")),
    }
}

fn check_part(part_number: Option<i32>) -> S3Result<()> {
    match part_number {
        None => Ok(()),
        Some(_) => Err(s3_error!(NotImplemented, "partNumber is not implemented here")),
    }
}

impl Objects {
    pub(super) async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let declared = Declared::read(&request.headers)?;
        let input = &mut request.input;
        // s3s-fs computes a checksum that follows the body only if this is set.
        input.checksum_algorithm =
            declared.algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name()));
        let headers = self.with_key(take_headers!(input)?)?;
        let conditions = WriteConditions::new(input.if_match.take(), input.if_none_match.take())?;
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
        let e_tag = response.output.e_tag.take();
        let written = self.commit(&bucket, &key, blob, e_tag, &headers, &conditions).await?;
        response.output.e_tag = Some(written.e_tag);
        give_encryption!(headers => response.output);
        Ok(response)
    }

    pub(super) async fn head_object(
        &self,
        mut request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let index = self.index.read().await;
        let input = &mut request.input;
        check_version(input.version_id.as_deref())?;
        check_part(input.part_number)?;
        let record = index.object(&input.bucket, &input.key)?;
        take_read_conditions!(input).check(record)?;
        if input.range.is_some() {
            return Err(s3_error!(NotImplemented, "Range of a HEAD is not implemented here"));
        }
        let with_checksum = input.checksum_mode.take().is_some();
        // A HEAD reads three files. The first one's output stays valid, because bytes never change
        // under their name.
        let mut output = if let Some(output) = record.head.get() {
            output.clone()
        } else {
            input.key.clone_from(&record.blob);
            let output = self.blobs.head_object(request).await?.output;
            record.head.get_or_init(|| output).clone()
        };
        if !with_checksum {
            give_checksum!(s3s::dto::Checksum::default() => output);
        }
        give_record!(record => output);
        Ok(S3Response::new(output))
    }

    pub(super) async fn get_object(
        &self,
        mut request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let index = self.index.read().await;
        let input = &mut request.input;
        check_version(input.version_id.as_deref())?;
        check_part(input.part_number)?;
        let record = index.object(&input.bucket, &input.key)?;
        take_read_conditions!(input).check(record)?;
        if !record.readable() {
            return Err(s3_error!(
                InvalidObjectState,
                "The operation is not valid for the object's storage class"
            ));
        }
        self.check_decryption(&record.headers)?;
        if let Some(range) = input.range {
            // s3s-fs 0.14.1 fails on a suffix that is longer than the object.
            let bytes = range.check(record.size)?;
            input.range = Some(Range::Int { first: bytes.start, last: Some(bytes.end - 1) });
        }
        let with_checksum = input.checksum_mode.take().is_some();
        input.key.clone_from(&record.blob);
        let mut response = self.blobs.get_object(request).await?;
        if !with_checksum {
            give_checksum!(s3s::dto::Checksum::default() => response.output);
        }
        give_record!(record => response.output);
        Ok(response)
    }

    /// Makes the written `blob` the object `key`. Removes the blob on an error.
    pub(super) async fn commit(
        &self,
        bucket: &str,
        key: &str,
        blob: String,
        e_tag: Option<ETag>,
        headers: &Headers,
        conditions: &WriteConditions,
    ) -> S3Result<Written> {
        let size = match tokio::fs::metadata(self.root.join(bucket).join(&blob)).await {
            Ok(metadata) => metadata.len(),
            Err(error) => return Err(S3Error::internal_error(error)),
        };
        let e_tag = match e_tag {
            Some(e_tag) if !headers.has_kms_encryption() => e_tag.into_value(),
            // The entity tag of an object under a KMS key is not an MD5.
            _ => Uuid::new_v4().simple().to_string(),
        };
        let record = Record::new(blob.clone(), size, e_tag, headers.clone());
        let written = Written { e_tag: record.e_tag(), modified: record.modified() };
        let mut index = self.index.write().await;
        let put =
            conditions.check(&index, bucket, key).and_then(|()| index.put(bucket, key, record));
        match put {
            Ok(None) => Ok(written),
            Ok(Some(replaced)) => {
                self.remove_blob(bucket, &replaced.blob).await;
                Ok(written)
            }
            Err(error) => {
                self.remove_blob(bucket, &blob).await;
                Err(error)
            }
        }
    }

    /// Removes bytes that no record names, and the two files that s3s-fs 0.14.1 writes for them and
    /// never removes. A failure only costs disk space.
    pub(super) async fn remove_blob(&self, bucket: &str, blob: &str) {
        let encode = |name: &str| URL_SAFE_NO_PAD.encode(name);
        let beside = format!(".bucket-{}.object-{}", encode(bucket), encode(blob));
        let _ = tokio::fs::remove_file(self.root.join(bucket).join(blob)).await;
        let _ = tokio::fs::remove_file(self.root.join(format!("{beside}.metadata.json"))).await;
        let _ = tokio::fs::remove_file(self.root.join(format!("{beside}.internal.json"))).await;
    }
}
