//! Writes, copies and lists the parts of an upload.

use s3s::dto::{
    Checksum, ETag, ListPartsInput, ListPartsOutput, Part, Timestamp, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::{Upload, UploadedPart, rules};
use crate::clock;
use crate::s3::checksums::{Declared, digest, give_checksum};
use crate::s3::conditions::take_source_conditions;
use crate::s3::record::give_encryption;
use crate::s3::service::Objects;

/// The largest page of `ListParts`, and the default.
const PAGE: i32 = 1000;

impl Objects {
    pub(in crate::s3) async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let declared = Declared::read(&request.headers)?;
        let trailers = request.trailing_headers.clone();
        let input = &mut request.input;
        let (id, number) = (input.upload_id.clone(), rules::check_number(input.part_number)?);
        let upload = self.next_part(&id, &input.bucket, &input.key)?;
        rules::check_algorithm(upload.checksum, declared.algorithm)?;
        input.key.clone_from(&upload.blob);
        input.part_number = upload.last_file;

        let mut output = self.blobs.upload_part(request).await?.output;
        let path = self.part_path(&id, upload.last_file);
        let trailers = trailers.and_then(|trailers| trailers.take());
        let algorithm = upload.checksum.map(|checksum| checksum.algorithm);
        let checksum = match declared.verify(&path, trailers.as_ref(), algorithm).await {
            Ok(checksum) => checksum,
            Err(error) => {
                let _ = tokio::fs::remove_file(path).await;
                return Err(error);
            }
        };
        give_checksum!(checksum => output);
        give_encryption!(upload.headers => output);
        self.keep_part(&id, number, upload.last_file, output.e_tag.clone(), checksum).await?;
        Ok(S3Response::new(output))
    }

    pub(in crate::s3) async fn upload_part_copy(
        &self,
        mut request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = &mut request.input;
        let (id, number) = (input.upload_id.clone(), rules::check_number(input.part_number)?);
        let upload = self.next_part(&id, &input.bucket, &input.key)?;
        input.key.clone_from(&upload.blob);
        input.part_number = upload.last_file;
        let conditions = take_source_conditions!(input);
        let mut output = {
            let index = self.index.read().await;
            if let Some(range) = input.copy_source_range.as_deref() {
                rules::check_copy_range(range, rules::source_size(&index, &input.copy_source)?)?;
            }
            self.source(&index, &mut input.copy_source, &conditions)?;
            self.blobs.upload_part_copy(request).await?.output
        };
        let path = self.part_path(&id, upload.last_file);
        let algorithm = upload.checksum.map(|checksum| checksum.algorithm);
        let (checksum, _) = digest(&[path], algorithm).await?;
        let e_tag = output.copy_part_result.as_ref().and_then(|result| result.e_tag.clone());
        if let Some(result) = output.copy_part_result.as_mut() {
            give_checksum!(checksum => result);
        }
        give_encryption!(upload.headers => output);
        self.keep_part(&id, number, upload.last_file, e_tag, checksum).await?;
        Ok(S3Response::new(output))
    }

    #[expect(clippy::unused_async, reason = "the shape of the trait's methods")]
    pub(in crate::s3) async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let upload = self.upload(&input.upload_id, &input.bucket, &input.key)?;
        let marker = input.part_number_marker.unwrap_or(0);
        let max_parts = input.max_parts.unwrap_or(PAGE);
        if marker < 0 || max_parts < 0 {
            return Err(s3_error!(
                InvalidArgument,
                "max-parts and part-number-marker must be integers between 0 and 2147483647"
            ));
        }
        let max_parts = max_parts.min(PAGE);
        let mut rest = upload.parts.iter().filter(|(number, _)| **number > marker).peekable();
        let mut parts = Vec::new();
        while parts.len() < usize::try_from(max_parts).unwrap_or_default() {
            let Some((number, uploaded)) = rest.next() else { break };
            let mut part = Part {
                e_tag: Some(uploaded.e_tag.clone()),
                last_modified: Some(uploaded.modified.clone()),
                part_number: Some(*number),
                size: i64::try_from(uploaded.size).ok(),
                ..Default::default()
            };
            give_checksum!(uploaded.checksum => part);
            parts.push(part);
        }
        let next = parts.last().and_then(|part: &Part| part.part_number);
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(max_parts > 0 && rest.peek().is_some()),
            key: Some(input.key),
            max_parts: Some(max_parts),
            next_part_number_marker: next,
            part_number_marker: Some(marker),
            parts: Some(parts),
            upload_id: Some(input.upload_id),
            ..Default::default()
        }))
    }

    /// The upload, with a new `last_file` for one more part.
    fn next_part(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        self.upload(id, bucket, key)?;
        let mut uploads = self.uploads();
        let upload = uploads.get_mut(id).ok_or_else(rules::no_such_upload)?;
        upload.last_file -= 1;
        Ok(upload.clone())
    }

    /// Makes the written `file` the part `number` and removes the file that it replaces.
    async fn keep_part(
        &self,
        id: &str,
        number: i32,
        file: i32,
        e_tag: Option<ETag>,
        checksum: Checksum,
    ) -> S3Result<()> {
        let path = self.part_path(id, file);
        let size = tokio::fs::metadata(&path).await.map_err(S3Error::internal_error)?.len();
        let e_tag = e_tag.ok_or_else(|| s3_error!(InternalError))?;
        let modified = Timestamp::from(clock::now());
        let part = UploadedPart { file, e_tag, size, modified, checksum };
        let replaced = match self.uploads().get_mut(id) {
            Some(upload) => upload.parts.insert(number, part).map(|replaced| replaced.file),
            // It was completed or aborted meanwhile.
            None => Some(file),
        };
        if let Some(replaced) = replaced {
            let _ = tokio::fs::remove_file(self.part_path(id, replaced)).await;
        }
        if replaced == Some(file) { Err(rules::no_such_upload()) } else { Ok(()) }
    }
}
