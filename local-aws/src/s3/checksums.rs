//! The checksums that clients send, and those of stored bytes.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use std::path::{Path, PathBuf};

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::Checksum;
use s3s::{S3Error, S3Result, s3_error};
use tokio::io::AsyncReadExt as _;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// As in `ChecksumAlgorithm` of the API.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) fn lower_case_name(self) -> String {
        self.name().to_ascii_lowercase()
    }

    fn header(self) -> String {
        format!("x-amz-checksum-{}", self.lower_case_name())
    }

    /// In bytes.
    fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    fn hasher(self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(<_>::default()),
            Self::Crc32c => hasher.crc32c = Some(<_>::default()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(<_>::default()),
            Self::Sha1 => hasher.sha1 = Some(<_>::default()),
            Self::Sha256 => hasher.sha256 = Some(<_>::default()),
        }
        hasher
    }

    /// In Base64.
    pub(super) fn of(self, checksum: &Checksum) -> Option<&str> {
        let value = match self {
            Self::Crc32 => &checksum.checksum_crc32,
            Self::Crc32c => &checksum.checksum_crc32c,
            Self::Crc64Nvme => &checksum.checksum_crc64nvme,
            Self::Sha1 => &checksum.checksum_sha1,
            Self::Sha256 => &checksum.checksum_sha256,
        };
        value.as_deref()
    }

    /// The checksum of the concatenated checksums of parts, without its `-` and their number.
    pub(super) fn of_checksums(self, parts: &[&str]) -> Option<String> {
        let mut hasher = self.hasher();
        for part in parts {
            hasher.update(&STANDARD.decode(part).ok()?);
        }
        self.of(&hasher.finalize()).map(str::to_owned)
    }
}

/// The checksums in an input of S3. All inputs have the same fields.
macro_rules! checksum_of {
    ($members:expr) => {
        s3s::dto::Checksum {
            checksum_crc32: $members.checksum_crc32.clone(),
            checksum_crc32c: $members.checksum_crc32c.clone(),
            checksum_crc64nvme: $members.checksum_crc64nvme.clone(),
            checksum_sha1: $members.checksum_sha1.clone(),
            checksum_sha256: $members.checksum_sha256.clone(),
            ..Default::default()
        }
    };
}

macro_rules! give_checksum {
    ($checksum:expr => $output:expr) => {
        $output.checksum_crc32.clone_from(&$checksum.checksum_crc32);
        $output.checksum_crc32c.clone_from(&$checksum.checksum_crc32c);
        $output.checksum_crc64nvme.clone_from(&$checksum.checksum_crc64nvme);
        $output.checksum_sha1.clone_from(&$checksum.checksum_sha1);
        $output.checksum_sha256.clone_from(&$checksum.checksum_sha256);
    };
}

pub(super) use {checksum_of, give_checksum};

/// The digests that a request declares for its body.
#[derive(Debug)]
pub(super) struct Declared {
    /// `Content-MD5`, in Base64.
    md5: Option<String>,
    pub(super) algorithm: Option<Algorithm>,
    /// In Base64. `None` if it follows the body.
    value: Option<String>,
}

impl Declared {
    pub(super) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let md5 = header("content-md5").map(str::to_owned);
        if md5.as_deref().is_some_and(|md5| !is_base64_of(md5, 16)) {
            return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."));
        }
        let given = |algorithm: &Algorithm| headers.contains_key(algorithm.header());
        let given: Vec<_> = Algorithm::ALL.into_iter().filter(given).collect();
        let trailers = header("x-amz-trailer").unwrap_or_default();
        let follows = Algorithm::ALL.into_iter().find(|algorithm| {
            trailers.split(',').any(|name| name.trim().eq_ignore_ascii_case(&algorithm.header()))
        });
        let algorithm = match (given.as_slice(), follows) {
            ([], follows) => follows,
            ([one], None) => Some(*one),
            _ => {
                return Err(s3_error!(
                    InvalidRequest,
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not \
                     allowed."
                ));
            }
        };
        let value = given.first().and_then(|algorithm| header(&algorithm.header()));
        if let (Some(algorithm), true) = (algorithm, follows.is_none())
            && !value.is_some_and(|value| is_base64_of(value, algorithm.length()))
        {
            let header = algorithm.header();
            return Err(s3_error!(InvalidRequest, "Value for {header} header is invalid."));
        }
        check_sdk_algorithm(header("x-amz-sdk-checksum-algorithm"), algorithm)?;
        Ok(Self { md5, algorithm, value: value.map(str::to_owned) })
    }

    /// The checksum of the file. Without a declared algorithm, `also` is computed.
    ///
    /// # Errors
    /// `BadDigest` if the file differs from what was declared.
    pub(super) async fn verify(
        &self,
        file: &Path,
        trailers: Option<&HeaderMap>,
        also: Option<Algorithm>,
    ) -> S3Result<Checksum> {
        let algorithm = self.algorithm.or(also);
        let (checksum, md5) = digest(&[file.to_owned()], algorithm).await?;
        if self.md5.as_ref().is_some_and(|declared| *declared != md5) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        if let Some(algorithm) = self.algorithm {
            let trailer = trailers.and_then(|trailers| trailers.get(algorithm.header()));
            let trailer = trailer.and_then(|value| value.to_str().ok());
            if self.value.as_deref().or(trailer) != algorithm.of(&checksum) {
                return Err(bad_digest(algorithm));
            }
        }
        Ok(checksum)
    }
}

pub(super) fn bad_digest(algorithm: Algorithm) -> S3Error {
    let name = algorithm.name();
    s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum.")
}

/// The checksum of the concatenated files, and their MD5 in Base64.
pub(super) async fn digest(
    files: &[PathBuf],
    algorithm: Option<Algorithm>,
) -> S3Result<(Checksum, String)> {
    let mut hasher = algorithm.map(Algorithm::hasher).unwrap_or_default();
    let mut md5 = Md5::new();
    let mut buffer = vec![0; 64 * 1024];
    for file in files {
        let mut file = tokio::fs::File::open(file).await.map_err(S3Error::internal_error)?;
        loop {
            let length = file.read(&mut buffer).await.map_err(S3Error::internal_error)?;
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            md5.update(bytes);
        }
    }
    Ok((hasher.finalize(), STANDARD.encode(md5.finalize())))
}

fn check_sdk_algorithm(named: Option<&str>, found: Option<Algorithm>) -> S3Result<()> {
    let Some(named) = named else { return Ok(()) };
    let known = Algorithm::parse(named);
    if known.is_some() && found.is_none() {
        return Err(s3_error!(
            InvalidRequest,
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
             x-amz-trailer headers were found."
        ));
    }
    if known.is_none() || known != found {
        return Err(s3_error!(
            InvalidRequest,
            "Value for x-amz-sdk-checksum-algorithm header is invalid."
        ));
    }
    Ok(())
}

fn is_base64_of(text: &str, length: usize) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == length)
}
