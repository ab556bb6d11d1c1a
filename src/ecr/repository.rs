//! A repository and its contents, as the table keeps them.

use super::manifest::MediaType;
use super::mutability::TagMutability;
use super::names::Digest;

/// Quotas, ECR's own by default. Exact: concurrent calls never exceed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// ECR: 100,000.
    pub images_per_repository: u64,
    /// ECR: 1,000.
    pub tags_per_image: u64,
    /// ECR: 500.
    pub layers_per_image: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { images_per_repository: 100_000, tags_per_image: 1_000, layers_per_image: 500 }
    }
}

/// Big indexes, those of more than [`COUNTED_CHILDREN`] children, that a repository may hold. A
/// quota of this service: their digests are kept in the repository's item.
pub const BIG_INDEXES_PER_REPOSITORY: u64 = 100;

/// The most children whose reference counts a commit raises. DynamoDB takes 100 actions in a
/// transaction, and a push needs five for itself; five are left over.
pub const COUNTED_CHILDREN: usize = 90;

/// One incarnation of a repository, as one read of its item gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRecord {
    /// Names the incarnation: a new UUID at every creation, part of the keys of all items inside.
    pub repo_id: String,
    /// Names the settings: a new UUID at every change of settings, policy or status.
    pub rev: String,
    /// Whether the status is `ACTIVE`.
    pub active: bool,
    /// Which tags may move to another image.
    pub tag_mutability: TagMutability,
    /// Fixed at the creation.
    pub encryption: Encryption,
    /// The JSON text of the repository policy.
    pub policy: Option<String>,
    /// Images that it holds now.
    pub image_count: u64,
    /// Counts the images ever deleted from it.
    pub del_epoch: u64,
    /// Indexes of more than [`COUNTED_CHILDREN`] children that it holds.
    pub big_indexes: u64,
}

/// A tag as the table keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRecord {
    /// The image that it names.
    pub digest: Digest,
    /// The call that made it do so.
    pub put_id: String,
}

/// An image as the table keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// Tags that name it.
    pub tag_count: u64,
    /// The manifest's own type, else the type that the push which stored it gave.
    pub media_type: MediaType,
}

/// `encryptionConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    kind: EncryptionType,
    kms_key: Option<String>,
}

/// `encryptionType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionType {
    /// The stores' own encryption. ECR's default.
    Aes256,
    /// Under a KMS key.
    Kms,
    /// Under a KMS key; S3 encrypts in two layers.
    KmsDsse,
}

impl EncryptionType {
    /// Every type, in the order in which the API names them.
    pub const ALL: [Self; 3] = [Self::Aes256, Self::Kms, Self::KmsDsse];

    /// The type as the API names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::Kms => "KMS",
            Self::KmsDsse => "KMS_DSSE",
        }
    }

    /// The type that the API names so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Encryption {
    /// ECR's default.
    pub const AES_256: Self = Self { kind: EncryptionType::Aes256, kms_key: None };

    /// `None` if the type needs a key and there is none, or the other way round.
    #[must_use]
    pub fn new(kind: EncryptionType, kms_key: Option<String>) -> Option<Self> {
        let needs_key = kind != EncryptionType::Aes256;
        (needs_key == kms_key.is_some()).then_some(Self { kind, kms_key })
    }

    /// `encryptionType`.
    #[must_use]
    pub fn kind(&self) -> EncryptionType {
        self.kind
    }

    /// The key's ARN; in a request, its id, ARN or alias.
    #[must_use]
    pub fn kms_key(&self) -> Option<&str> {
        self.kms_key.as_deref()
    }
}
