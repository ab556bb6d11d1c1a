//! The metadata of an object.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use s3s::dto::{
    BucketKeyEnabled, ETag, HeadObjectOutput, ObjectStorageClass, SSEKMSKeyId,
    ServerSideEncryption, StorageClass, Timestamp,
};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use crate::clock;

/// The file of an object's bytes, and the metadata that s3s-fs does not store.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Record {
    /// The name of the file with the bytes, which is new for every put.
    pub(super) blob: String,
    pub(super) size: u64,
    pub(super) e_tag: String,
    /// Milliseconds since 1970.
    modified: u64,
    pub(super) headers: Headers,
    /// `x-amz-restore` of an archived object that was restored.
    pub(super) restore: Option<String>,
    /// s3s-fs's response to the first HEAD.
    #[serde(skip)]
    pub(super) head: OnceLock<HeadObjectOutput>,
}

/// The request headers of a put that every read returns.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Headers {
    storage_class: String,
    encryption: String,
    kms_key: Option<SSEKMSKeyId>,
    bucket_key: Option<BucketKeyEnabled>,
}

/// `StorageClass` of the API, without the classes of Outposts, Snow and directory buckets.
const STORAGE_CLASSES: [&str; 8] = [
    StorageClass::STANDARD,
    StorageClass::REDUCED_REDUNDANCY,
    StorageClass::STANDARD_IA,
    StorageClass::ONEZONE_IA,
    StorageClass::INTELLIGENT_TIERING,
    StorageClass::GLACIER_IR,
    StorageClass::GLACIER,
    StorageClass::DEEP_ARCHIVE,
];

impl Headers {
    /// The defaults are STANDARD and encryption with S3's own keys.
    pub(super) fn new(
        storage_class: Option<StorageClass>,
        encryption: Option<ServerSideEncryption>,
        kms_key: Option<SSEKMSKeyId>,
        bucket_key: Option<BucketKeyEnabled>,
    ) -> S3Result<Self> {
        let storage_class =
            storage_class.map_or(StorageClass::STANDARD.into(), |class| class.as_str().to_owned());
        if !STORAGE_CLASSES.contains(&storage_class.as_str()) {
            return Err(s3_error!(InvalidStorageClass));
        }
        let encryption = encryption.map_or(ServerSideEncryption::AES256.into(), |encryption| {
            encryption.as_str().to_owned()
        });
        let headers = Headers { storage_class, encryption, kms_key, bucket_key };
        let is_known = headers.encryption == ServerSideEncryption::AES256;
        if !is_known && !headers.has_kms_encryption() {
            return Err(s3_error!(
                InvalidArgument,
                "The encryption method specified is not supported"
            ));
        }
        if headers.kms_key.is_some() && !headers.has_kms_encryption() {
            return Err(s3_error!(
                InvalidArgument,
                "Server Side Encryption with AWS KMS managed key requires HTTP header \
                 x-amz-server-side-encryption : aws:kms"
            ));
        }
        Ok(headers)
    }

    pub(super) fn has_kms_encryption(&self) -> bool {
        [ServerSideEncryption::AWS_KMS, ServerSideEncryption::AWS_KMS_DSSE]
            .contains(&self.encryption.as_str())
    }

    pub(super) fn set_kms_key(&mut self, arn: String) {
        self.kms_key = Some(arn);
    }

    pub(super) fn encryption(&self) -> ServerSideEncryption {
        ServerSideEncryption::from(self.encryption.clone())
    }

    pub(super) fn kms_key(&self) -> Option<SSEKMSKeyId> {
        self.kms_key.clone()
    }

    pub(super) fn bucket_key(&self) -> Option<BucketKeyEnabled> {
        self.bucket_key
    }

    /// S3 does not send the header for STANDARD.
    pub(super) fn storage_class(&self) -> Option<StorageClass> {
        (self.storage_class != StorageClass::STANDARD)
            .then(|| StorageClass::from(self.storage_class.clone()))
    }

    pub(super) fn archived(&self) -> bool {
        [StorageClass::GLACIER, StorageClass::DEEP_ARCHIVE].contains(&self.storage_class.as_str())
    }
}

/// [`Headers`] out of the input of a put, copy or upload, which have the same fields.
macro_rules! take_headers {
    ($input:expr) => {
        $crate::s3::record::Headers::new(
            $input.storage_class.take(),
            $input.server_side_encryption.take(),
            $input.ssekms_key_id.take(),
            $input.bucket_key_enabled.take(),
        )
    };
}

/// The encryption in [`Headers`] into an output. All outputs have the same fields.
macro_rules! give_encryption {
    ($headers:expr => $output:expr) => {
        $output.server_side_encryption = Some($headers.encryption());
        $output.ssekms_key_id = $headers.kms_key();
        $output.bucket_key_enabled = $headers.bucket_key();
    };
}

/// The members of a [`Record`] in the output of a HEAD or a GET.
macro_rules! give_record {
    ($record:expr => $output:expr) => {
        $crate::s3::record::give_encryption!($record.headers => $output);
        $output.storage_class = $record.headers.storage_class();
        $output.restore.clone_from(&$record.restore);
        $output.e_tag = Some($record.e_tag());
        $output.last_modified = Some($record.modified());
    };
}

pub(super) use {give_encryption, give_record, take_headers};

impl Record {
    pub(super) fn new(blob: String, size: u64, e_tag: String, headers: Headers) -> Self {
        let modified = clock::epoch_millis(clock::now());
        Record { blob, size, e_tag, modified, headers, restore: None, head: OnceLock::new() }
    }

    pub(super) fn e_tag(&self) -> ETag {
        ETag::Strong(self.e_tag.clone())
    }

    /// In whole seconds, as HTTP has it.
    pub(super) fn modified(&self) -> Timestamp {
        Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(self.modified / 1000))
    }

    /// In listings STANDARD has a name too.
    pub(super) fn listed_class(&self) -> ObjectStorageClass {
        ObjectStorageClass::from(self.headers.storage_class.clone())
    }

    /// Whether the bytes can be read. Archived objects must be restored first.
    pub(super) fn readable(&self) -> bool {
        let restored =
            self.restore.as_ref().is_some_and(|restore| restore.contains(r#"request="false""#));
        !self.headers.archived() || restored
    }
}
