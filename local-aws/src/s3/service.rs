//! The operations of S3, each of which has its own method of `Objects`.

use std::io;
use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput,
    CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput,
    DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListBucketsInput, ListBucketsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput,
    RestoreObjectInput, RestoreObjectOutput, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::RwLock;

use super::index::Index;
use super::multipart::Uploads;
use super::record::Headers;
use crate::kms::{Keys, KmsError};

/// The bytes of the objects are in `blobs`, their records in `index`.
///
/// A reader holds the index's lock until it has opened the bytes. A writer takes the lock only to
/// write its record, and then removes the bytes that no record names any more.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) blobs: FileSystem,
    /// `blobs` stores everything in it.
    pub(super) root: PathBuf,
    pub(super) index: RwLock<Index>,
    pub(super) uploads: Uploads,
    pub(super) region: String,
    /// The keys that objects may be encrypted with.
    keys: Keys,
    /// It is removed when this is dropped.
    _temporary: Option<TempDir>,
}

impl Objects {
    pub(super) fn open(directory: Option<&Path>, region: &str, keys: Keys) -> io::Result<Self> {
        let (root, temporary) = if let Some(directory) = directory {
            (directory.join("s3"), None)
        } else {
            let temporary = tempfile::Builder::new().prefix("local-aws-").tempdir()?;
            (temporary.path().to_owned(), Some(temporary))
        };
        std::fs::create_dir_all(&root)?;
        Ok(Objects {
            blobs: FileSystem::new(&root)
                .map_err(|error| io::Error::other(format!("{error:?}")))?,
            root,
            index: RwLock::new(Index::open(directory.map(|path| path.join("s3-records")))?),
            uploads: Uploads::default(),
            region: region.to_owned(),
            keys,
            _temporary: temporary,
        })
    }

    /// The headers of a write with the ARN of the KMS key that they name.
    ///
    /// # Errors
    /// If KMS would not generate a data key under it.
    pub(super) fn with_key(&self, mut headers: Headers) -> S3Result<Headers> {
        if let Some(key) = headers.kms_key() {
            headers.set_kms_key(self.keys.generate_for_s3(&key).map_err(from_kms)?);
        }
        Ok(headers)
    }

    /// # Errors
    /// If KMS would not decrypt the data key of an object with these headers.
    pub(super) fn check_decryption(&self, headers: &Headers) -> S3Result<()> {
        match headers.kms_key() {
            Some(key) => self.keys.decrypt_for_s3(&key).map_err(from_kms),
            None => Ok(()),
        }
    }
}

/// S3 puts `KMS.` in front of KMS's codes, but has a code of its own for missing rights.
fn from_kms(error: KmsError) -> S3Error {
    if error.code == "AccessDeniedException" {
        return S3Error::with_message(S3ErrorCode::AccessDenied, error.message);
    }
    let code = S3ErrorCode::Custom(format!("KMS.{}", error.code).into());
    let mut error = S3Error::with_message(code, error.message);
    error.set_status_code(StatusCode::BAD_REQUEST);
    error
}

/// The trait's methods. Each calls the inherent method of the same name.
macro_rules! operations {
    ($($name:ident: $input:ident => $output:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Objects {
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.$name(request).await
                }
            )*
        }
    };
}

operations! {
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput;
    copy_object: CopyObjectInput => CopyObjectOutput;
    create_bucket: CreateBucketInput => CreateBucketOutput;
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput;
    delete_object: DeleteObjectInput => DeleteObjectOutput;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput;
    get_object: GetObjectInput => GetObjectOutput;
    head_bucket: HeadBucketInput => HeadBucketOutput;
    head_object: HeadObjectInput => HeadObjectOutput;
    list_buckets: ListBucketsInput => ListBucketsOutput;
    list_objects: ListObjectsInput => ListObjectsOutput;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output;
    list_parts: ListPartsInput => ListPartsOutput;
    put_object: PutObjectInput => PutObjectOutput;
    restore_object: RestoreObjectInput => RestoreObjectOutput;
    upload_part: UploadPartInput => UploadPartOutput;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput;
}
