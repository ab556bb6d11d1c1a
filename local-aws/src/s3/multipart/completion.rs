//! Completes uploads.

use s3s::dto::{
    Checksum, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedMultipartUpload, CompletedPart,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::rules::UploadChecksum;
use super::{Upload, UploadedPart, rules};
use crate::s3::checksums::{bad_digest, checksum_of, digest};
use crate::s3::conditions::WriteConditions;
use crate::s3::record::give_encryption;
use crate::s3::service::Objects;

impl Objects {
    pub(in crate::s3) async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &mut request.input;
        let (id, bucket, key) = (input.upload_id.clone(), input.bucket.clone(), input.key.clone());
        let upload = self.upload(&id, &bucket, &key)?;
        let conditions = WriteConditions::new(input.if_match.take(), input.if_none_match.take())?;
        let wanted = input.multipart_upload.take().and_then(|upload| upload.parts);
        let parts = rules::chosen_parts(&upload, wanted.as_deref().unwrap_or_default())?;
        let size = parts.iter().map(|part| part.size).sum::<u64>();
        if input.mpu_object_size.is_some_and(|wanted| u64::try_from(wanted).ok() != Some(size)) {
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header does not match what was computed"
            ));
        }
        self.check_object_checksum(&id, upload.checksum, &parts, &checksum_of!(input)).await?;
        conditions.check(&*self.index.read().await, &bucket, &key)?;

        if self.uploads().remove(&id).is_none() {
            return Err(rules::no_such_upload());
        }
        let numbers = self.join(&id, &upload, &parts).await?;
        let numbered =
            numbers.map(|number| CompletedPart { part_number: Some(number), ..Default::default() });
        input.multipart_upload = Some(CompletedMultipartUpload { parts: Some(numbered.collect()) });
        input.key.clone_from(&upload.blob);
        let mut output = self.blobs.complete_multipart_upload(request).await?.output;
        if let Some(rest) = output.future.take() {
            output = rest.await?;
        }
        let e_tag = output.e_tag.take();
        let (blob, headers) = (upload.blob, &upload.headers);
        let written = self.commit(&bucket, &key, blob, e_tag, headers, &conditions).await?;
        output.e_tag = Some(written.e_tag);
        output.key = Some(key);
        give_encryption!(headers => output);
        Ok(S3Response::new(output))
    }

    /// Numbers the chosen parts from 1, and removes the others.
    async fn join(
        &self,
        id: &str,
        upload: &Upload,
        chosen: &[&UploadedPart],
    ) -> S3Result<std::ops::RangeInclusive<i32>> {
        for part in upload.parts.values() {
            if !chosen.iter().any(|chosen| chosen.file == part.file) {
                let _ = tokio::fs::remove_file(self.part_path(id, part.file)).await;
            }
        }
        let mut last = 0;
        for (number, part) in (1..).zip(chosen) {
            let (from, to) = (self.part_path(id, part.file), self.part_path(id, number));
            tokio::fs::rename(from, to).await.map_err(S3Error::internal_error)?;
            last = number;
        }
        Ok(1..=last)
    }

    /// # Errors
    /// `BadDigest` if the checksum of the whole object differs from the given one.
    async fn check_object_checksum(
        &self,
        id: &str,
        upload: Option<UploadChecksum>,
        parts: &[&UploadedPart],
        given: &Checksum,
    ) -> S3Result<()> {
        let Some(UploadChecksum { algorithm, is_composite }) = upload else { return Ok(()) };
        let Some(given) = algorithm.of(given) else { return Ok(()) };
        let computed = if is_composite {
            let checksums: Vec<_> =
                parts.iter().filter_map(|part| algorithm.of(&part.checksum)).collect();
            let checksum = algorithm.of_checksums(&checksums);
            checksum.map(|checksum| format!("{checksum}-{}", parts.len()))
        } else {
            let files: Vec<_> = parts.iter().map(|part| self.part_path(id, part.file)).collect();
            let (checksum, _) = digest(&files, Some(algorithm)).await?;
            algorithm.of(&checksum).map(str::to_owned)
        };
        if computed.as_deref() == Some(given) { Ok(()) } else { Err(bad_digest(algorithm)) }
    }
}
