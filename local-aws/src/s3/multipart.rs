//! Multipart uploads. An upload under way does not survive a restart.
//!
//! s3s-fs 0.14.1 does not verify parts, and joins only parts whose numbers have no gaps. So the
//! checks are made here: each part is written under a new number, an upload has a list of its parts,
//! and its completion renumbers the parts for s3s-fs.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

mod completion;
mod parts;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Checksum, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, Timestamp,
};
use s3s::{S3, S3Request, S3Response, S3Result};

use super::objects::new_blob;
use super::record::{Headers, give_encryption, take_headers};
use super::service::Objects;
use rules::UploadChecksum;

/// The uploads under way, by upload id.
pub(super) type Uploads = Mutex<HashMap<String, Upload>>;

#[derive(Clone, Debug)]
pub(super) struct Upload {
    bucket: String,
    key: String,
    blob: String,
    headers: Headers,
    checksum: Option<UploadChecksum>,
    parts: BTreeMap<i32, UploadedPart>,
    /// The number of the latest written part for s3s-fs. These numbers are negative and go down,
    /// because s3s-fs limits positive numbers to 10,000.
    last_file: i32,
}

#[derive(Clone, Debug)]
struct UploadedPart {
    /// Its number for s3s-fs.
    file: i32,
    e_tag: ETag,
    size: u64,
    modified: Timestamp,
    checksum: Checksum,
}

impl Objects {
    pub(super) async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = &mut request.input;
        let headers = self.with_key(take_headers!(input)?)?;
        let algorithm = input.checksum_algorithm.take();
        let checksum = rules::upload_checksum(algorithm.as_ref(), input.checksum_type.as_ref())?;
        self.index.read().await.bucket(&input.bucket)?;
        let upload = Upload {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            blob: new_blob(),
            headers,
            checksum,
            parts: BTreeMap::new(),
            last_file: 0,
        };
        input.key.clone_from(&upload.blob);
        let mut response = self.blobs.create_multipart_upload(request).await?;
        let output = &mut response.output;
        output.key = Some(upload.key.clone());
        output.checksum_type = checksum.map(UploadChecksum::checksum_type);
        output.checksum_algorithm = algorithm;
        give_encryption!(upload.headers => output);
        let upload_id = output.upload_id.clone().unwrap_or_default();
        self.uploads().insert(upload_id, upload);
        Ok(response)
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = &mut request.input;
        let upload = self.upload(&input.upload_id, &input.bucket, &input.key)?;
        self.uploads().remove(&input.upload_id);
        input.key = upload.blob;
        self.blobs.abort_multipart_upload(request).await
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Upload>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// `NoSuchUpload`, also if the upload belongs to another bucket or key.
    fn upload(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        let uploads = self.uploads();
        let upload = uploads.get(id).filter(|upload| upload.bucket == bucket && upload.key == key);
        upload.cloned().ok_or_else(rules::no_such_upload)
    }

    /// The name that s3s-fs 0.14.1 gives a part.
    fn part_path(&self, id: &str, number: i32) -> PathBuf {
        self.root.join(format!(".upload_id-{id}.part-{number}"))
    }
}
