//! Objects that come in parts. An upload that is under way does not survive a restart.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    ListPartsInput, ListPartsOutput, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::objects::{Preconditions, new_blob};
use super::record::{Headers, give_encryption, take_headers};
use super::service::Objects;

/// The uploads under way, by upload id.
pub(super) type Uploads = Mutex<HashMap<String, Upload>>;

/// What the first call of an upload says about the object.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    blob: String,
    headers: Headers,
}

impl Objects {
    pub(super) async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = &mut request.input;
        let headers = take_headers!(input)?;
        self.index.read().await.bucket(&input.bucket)?;
        let upload = Upload { blob: new_blob(), headers };
        let key = std::mem::replace(&mut input.key, upload.blob.clone());
        let mut response = self.blobs.create_multipart_upload(request).await?;
        response.output.key = Some(key);
        give_encryption!(upload.headers => response.output);
        let upload_id = response.output.upload_id.clone().unwrap_or_default();
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).insert(upload_id, upload);
        Ok(response)
    }

    pub(super) async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        request.input.key = self.upload(&request.input.upload_id)?.blob;
        self.blobs.upload_part(request).await
    }

    pub(super) async fn upload_part_copy(
        &self,
        mut request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        request.input.key = self.upload(&request.input.upload_id)?.blob;
        let index = self.index.read().await;
        index.to_blob(&mut request.input.copy_source)?;
        self.blobs.upload_part_copy(request).await
    }

    pub(super) async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.upload(&request.input.upload_id)?;
        self.blobs.list_parts(request).await
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &mut request.input;
        let upload_id = input.upload_id.clone();
        let upload = self.upload(&upload_id)?;
        let preconditions = Preconditions {
            if_match: input.if_match.take(),
            if_none_match: input.if_none_match.take(),
        };
        let bucket = input.bucket.clone();
        let key = std::mem::replace(&mut input.key, upload.blob.clone());

        let mut output = self.blobs.complete_multipart_upload(request).await?.output;
        if let Some(rest) = output.future.take() {
            output = rest.await?;
        }
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(&upload_id);
        let e_tag = output.e_tag.clone();
        self.commit(&bucket, &key, upload.blob, e_tag, &upload.headers, &preconditions).await?;
        output.key = Some(key);
        give_encryption!(upload.headers => output);
        Ok(S3Response::new(output))
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let upload_id = request.input.upload_id.clone();
        request.input.key = self.upload(&upload_id)?.blob;
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(&upload_id);
        self.blobs.abort_multipart_upload(request).await
    }

    fn upload(&self, upload_id: &str) -> S3Result<Upload> {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.get(upload_id).cloned().ok_or_else(|| s3_error!(NoSuchUpload))
    }
}
