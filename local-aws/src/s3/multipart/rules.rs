//! S3's rules for uploads and their parts.

use s3s::dto::{Checksum, ChecksumAlgorithm, ChecksumType, CompletedPart, CopySource};
use s3s::{S3Error, S3Result, s3_error};

use super::{Upload, UploadedPart};
use crate::s3::checksums::{Algorithm, checksum_of};
use crate::s3::index::Index;

/// In bytes, of every part but the last.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MIN_PART: u64 = 5 * 1024 * 1024;
const MAX_PARTS: i32 = 10_000;

/// The checksums that were chosen when an upload was created.
#[derive(Clone, Copy, Debug)]
pub(super) struct UploadChecksum {
    pub(super) algorithm: Algorithm,
    /// Whether the object's checksum is that of its parts' checksums instead of its bytes.
    pub(super) is_composite: bool,
}

impl UploadChecksum {
    pub(super) fn checksum_type(self) -> ChecksumType {
        let name =
            if self.is_composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
        ChecksumType::from_static(name)
    }
}

pub(super) fn upload_checksum(
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

/// An upload with an algorithm only takes parts with a checksum of that algorithm.
pub(super) fn check_algorithm(
    upload: Option<UploadChecksum>,
    part: Option<Algorithm>,
) -> S3Result<()> {
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

pub(super) fn check_number(number: i32) -> S3Result<i32> {
    if (1..=MAX_PARTS).contains(&number) {
        return Ok(number);
    }
    Err(s3_error!(
        InvalidArgument,
        "Part number must be an integer between 1 and {MAX_PARTS}, inclusive"
    ))
}

/// `bytes=FIRST-LAST`, both inside the source.
pub(super) fn check_copy_range(range: &str, size: u64) -> S3Result<()> {
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

pub(super) fn source_size(index: &Index, source: &CopySource) -> S3Result<u64> {
    match source {
        CopySource::Bucket { bucket, key, .. } => Ok(index.object(bucket, key)?.size),
        _ => Err(s3_error!(NotImplemented)),
    }
}

/// The parts that the client lists, in its order.
pub(super) fn chosen_parts<'a>(
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

pub(super) fn no_such_upload() -> S3Error {
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
