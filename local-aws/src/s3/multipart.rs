//! Objects that come in parts. An upload that is under way does not survive a restart.
//!
//! s3s-fs 0.14.1 verifies nothing of a part, and joins only parts that are numbered without gaps.
//! So each part is written under a number of its own, and an upload knows its parts: the checks are
//! made here, and the parts of an upload get s3s-fs's numbers when it is completed.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Checksum, ChecksumAlgorithm,
    ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedMultipartUpload, CompletedPart, CopySource, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, ListPartsInput, ListPartsOutput, Part, Timestamp,
    UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::checksums::{Algorithm, Declared, bad_digest, checksum_of, digest, give_checksum};
use super::conditions::{WriteConditions, take_source_conditions};
use super::index::Index;
use super::objects::new_blob;
use super::record::{Headers, give_encryption, take_headers};
use super::service::Objects;
use crate::clock;

/// In bytes, of every part but the last.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MIN_PART: u64 = 5 * 1024 * 1024;
const MAX_PARTS: i32 = 10_000;
/// The largest page of `ListParts`, and the page where none is asked for.
const PAGE: i32 = 1000;

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
    /// The number of the part that was written last. These numbers go down from 0, because s3s-fs
    /// has no bound in that direction.
    last_file: i32,
}

/// What the creation of an upload says of its checksums.
#[derive(Clone, Copy, Debug)]
struct UploadChecksum {
    algorithm: Algorithm,
    /// Of the parts' checksums instead of the object's bytes.
    is_composite: bool,
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
        let checksum = upload_checksum(algorithm.as_ref(), input.checksum_type.as_ref())?;
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

    pub(super) async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let declared = Declared::read(&request.headers)?;
        let trailers = request.trailing_headers.clone();
        let input = &mut request.input;
        let (id, number) = (input.upload_id.clone(), check_number(input.part_number)?);
        let upload = self.next_part(&id, &input.bucket, &input.key)?;
        check_algorithm(upload.checksum, declared.algorithm)?;
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

    pub(super) async fn upload_part_copy(
        &self,
        mut request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = &mut request.input;
        let (id, number) = (input.upload_id.clone(), check_number(input.part_number)?);
        let upload = self.next_part(&id, &input.bucket, &input.key)?;
        input.key.clone_from(&upload.blob);
        input.part_number = upload.last_file;
        let conditions = take_source_conditions!(input);
        let mut output = {
            let index = self.index.read().await;
            if let Some(range) = input.copy_source_range.as_deref() {
                check_copy_range(range, source_size(&index, &input.copy_source)?)?;
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
    pub(super) async fn list_parts(
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

    pub(super) async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &mut request.input;
        let (id, bucket, key) = (input.upload_id.clone(), input.bucket.clone(), input.key.clone());
        let upload = self.upload(&id, &bucket, &key)?;
        let conditions = WriteConditions::new(input.if_match.take(), input.if_none_match.take())?;
        let wanted = input.multipart_upload.take().and_then(|upload| upload.parts);
        let parts = chosen_parts(&upload, wanted.as_deref().unwrap_or_default())?;
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
            return Err(no_such_upload());
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

    /// An upload is known only together with its bucket and key.
    fn upload(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        let uploads = self.uploads();
        let upload = uploads.get(id).filter(|upload| upload.bucket == bucket && upload.key == key);
        upload.cloned().ok_or_else(no_such_upload)
    }

    /// The upload with `last_file` for one more part.
    fn next_part(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        self.upload(id, bucket, key)?;
        let mut uploads = self.uploads();
        let upload = uploads.get_mut(id).ok_or_else(no_such_upload)?;
        upload.last_file -= 1;
        Ok(upload.clone())
    }

    /// Makes the written `file` the part `number`, and removes the one that it replaces.
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
        if replaced == Some(file) { Err(no_such_upload()) } else { Ok(()) }
    }

    /// As s3s-fs 0.14.1 names it.
    fn part_path(&self, id: &str, number: i32) -> PathBuf {
        self.root.join(format!(".upload_id-{id}.part-{number}"))
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

    /// Compares what the client says of the whole object.
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

impl UploadChecksum {
    fn checksum_type(self) -> ChecksumType {
        let name =
            if self.is_composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
        ChecksumType::from_static(name)
    }
}

fn upload_checksum(
    algorithm: Option<&ChecksumAlgorithm>,
    kind: Option<&ChecksumType>,
) -> S3Result<Option<UploadChecksum>> {
    let Some(name) = algorithm.map(ChecksumAlgorithm::as_str) else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm \
                 header."
            )),
        };
    };
    let algorithm = Algorithm::parse(name)
        .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))?;
    let is_composite = match kind.map(ChecksumType::as_str) {
        None => algorithm != Algorithm::Crc64Nvme,
        Some(ChecksumType::COMPOSITE) => true,
        Some(ChecksumType::FULL_OBJECT) => false,
        Some(_) => {
            return Err(s3_error!(
                InvalidRequest,
                "Value for x-amz-checksum-type header is invalid."
            ));
        }
    };
    let exists = match algorithm {
        Algorithm::Crc32 | Algorithm::Crc32c => true,
        Algorithm::Crc64Nvme => !is_composite,
        Algorithm::Sha1 | Algorithm::Sha256 => is_composite,
    };
    if !exists {
        let kind = if is_composite { "COMPOSITE" } else { "FULL_OBJECT" };
        let name = algorithm.lower_case_name();
        return Err(s3_error!(
            InvalidRequest,
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        ));
    }
    Ok(Some(UploadChecksum { algorithm, is_composite }))
}

/// An upload with an algorithm takes no part without a checksum of it.
fn check_algorithm(upload: Option<UploadChecksum>, part: Option<Algorithm>) -> S3Result<()> {
    let Some(UploadChecksum { algorithm: expected, .. }) = upload else { return Ok(()) };
    if part == Some(expected) {
        return Ok(());
    }
    let expected = expected.lower_case_name();
    let actual = part.map_or_else(|| "null".to_owned(), Algorithm::lower_case_name);
    Err(s3_error!(
        InvalidRequest,
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum \
         Type: {actual}"
    ))
}

fn check_number(number: i32) -> S3Result<i32> {
    if (1..=MAX_PARTS).contains(&number) {
        return Ok(number);
    }
    Err(s3_error!(
        InvalidArgument,
        "Part number must be an integer between 1 and {MAX_PARTS}, inclusive"
    ))
}

/// `bytes=FIRST-LAST`, both inside the source.
fn check_copy_range(range: &str, size: u64) -> S3Result<()> {
    let ends = range.strip_prefix("bytes=").and_then(|ends| ends.split_once('-'));
    let ends = ends.and_then(|(first, last)| first.parse().ok().zip(last.parse().ok()));
    let Some((first, last)): Option<(u64, u64)> = ends else {
        return Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy"
        ));
    };
    if first > last || last >= size {
        return Err(s3_error!(
            InvalidArgument,
            "Range specified is not valid for source object of size: {size}"
        ));
    }
    Ok(())
}

fn source_size(index: &Index, source: &CopySource) -> S3Result<u64> {
    match source {
        CopySource::Bucket { bucket, key, .. } => Ok(index.object(bucket, key)?.size),
        _ => Err(s3_error!(NotImplemented)),
    }
}

/// The parts that the client wants the object to be made of, in its order.
fn chosen_parts<'a>(
    upload: &'a Upload,
    wanted: &[CompletedPart],
) -> S3Result<Vec<&'a UploadedPart>> {
    if wanted.is_empty() {
        return Err(malformed());
    }
    let numbers = wanted.iter().map(|part| part.part_number.ok_or_else(malformed));
    let numbers: Vec<i32> = numbers.collect::<S3Result<_>>()?;
    if !numbers.is_sorted_by(|one, next| one < next) {
        return Err(s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        ));
    }
    let mut parts = Vec::new();
    for (number, wanted) in numbers.iter().zip(wanted) {
        let e_tag = wanted.e_tag.as_ref().ok_or_else(malformed)?;
        let part = upload.parts.get(number).filter(|part| part.e_tag.value() == e_tag.value());
        let part = part.ok_or_else(invalid_part)?;
        check_part_checksum(upload.checksum, *number, part, &checksum_of!(wanted))?;
        parts.push(part);
    }
    let (_, all_but_last) = parts.split_last().unzip();
    if all_but_last.unwrap_or(&[]).iter().any(|part| part.size < MIN_PART) {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        ));
    }
    Ok(parts)
}

fn check_part_checksum(
    upload: Option<UploadChecksum>,
    number: i32,
    part: &UploadedPart,
    given: &Checksum,
) -> S3Result<()> {
    let Some(UploadChecksum { algorithm, is_composite }) = upload else { return Ok(()) };
    match algorithm.of(given) {
        None if is_composite => {
            let name = algorithm.lower_case_name();
            Err(s3_error!(
                InvalidRequest,
                "The upload was created using a {name} checksum. The complete request must include \
                 the checksum for each part. It was missing for part {number} in the request."
            ))
        }
        given if given.is_some() && given != algorithm.of(&part.checksum) => Err(invalid_part()),
        _ => Ok(()),
    }
}

fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have \
         been aborted or completed."
    )
}

fn invalid_part() -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found.  The part may not have been \
         uploaded, or the specified entity tag may not match the part's entity tag."
    )
}

fn malformed() -> S3Error {
    s3_error!(
        MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
}
