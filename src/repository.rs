//! A repository as the table keeps it: its settings and its counts.

use wildmatch::WildMatch;

use crate::names::ImageTag;

/// Quotas, ECR's own by default. Exact: no race overshoots one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Images in a repository.
    pub images_per_repository: u64,
    /// Tags on an image.
    pub tags_per_image: u64,
    /// Layers in an image's manifest.
    pub layers_per_image: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { images_per_repository: 100_000, tags_per_image: 1_000, layers_per_image: 500 }
    }
}

/// Indexes of more than [`COUNTED_CHILDREN`] children that a repository may hold. Ours: their
/// digests are kept in the repository's item.
pub const BIG_INDEXES_PER_REPOSITORY: u64 = 100;

/// The most children whose reference counts a commit raises. DynamoDB takes 100 actions in a
/// transaction, and a push needs five for itself; five are left over.
pub const COUNTED_CHILDREN: usize = 90;

/// One life of a repository, as one read of its item gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRecord {
    /// Names this life: a new UUID at every create, part of the keys of all that is inside.
    pub repo_id: String,
    /// Names these settings: a new UUID at every change of settings, policy or status.
    pub rev: String,
    /// Neither being deleted nor in any other state but `ACTIVE`.
    pub active: bool,
    /// Which tags may move.
    pub tag_mutability: TagMutability,
    /// What encrypts its manifests.
    pub encryption: Encryption,
    /// The JSON text of its policy.
    pub policy: Option<String>,
    /// Images it holds.
    pub image_count: u64,
    /// Counts the images ever deleted from it.
    pub del_epoch: u64,
    /// Indexes of more than [`COUNTED_CHILDREN`] children that it holds.
    pub big_indexes: u64,
}

/// Which tags of a repository may be moved to another image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagMutability {
    /// The rule.
    pub mode: MutabilityMode,
    /// The tags that the rule excludes: 1–5 wildcards in the `…_WITH_EXCLUSION` modes, else none.
    pub filters: Vec<String>,
}

/// `imageTagMutability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutabilityMode {
    /// Every tag may move. ECR's default.
    Mutable,
    /// No tag may.
    Immutable,
    /// Only tags that match a filter may.
    ImmutableWithExclusion,
    /// Only tags that match no filter may.
    MutableWithExclusion,
}

impl MutabilityMode {
    /// Every mode, in the order in which the API names them.
    pub const ALL: [Self; 4] =
        [Self::Mutable, Self::Immutable, Self::ImmutableWithExclusion, Self::MutableWithExclusion];

    /// The API's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutable => "MUTABLE",
            Self::Immutable => "IMMUTABLE",
            Self::ImmutableWithExclusion => "IMMUTABLE_WITH_EXCLUSION",
            Self::MutableWithExclusion => "MUTABLE_WITH_EXCLUSION",
        }
    }

    /// The mode that the API calls `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }

    /// Whether the mode goes with filters.
    #[must_use]
    pub fn has_exclusions(self) -> bool {
        matches!(self, Self::ImmutableWithExclusion | Self::MutableWithExclusion)
    }
}

impl TagMutability {
    /// Whether `tag`, once it names an image, names it for good.
    #[must_use]
    pub fn is_immutable(&self, tag: &ImageTag) -> bool {
        let excluded = || self.filters.iter().any(|filter| matches(filter, tag.as_str()));
        match self.mode {
            MutabilityMode::Mutable => false,
            MutabilityMode::Immutable => true,
            MutabilityMode::ImmutableWithExclusion => !excluded(),
            MutabilityMode::MutableWithExclusion => excluded(),
        }
    }
}

/// Whether an exclusion filter covers the whole of `tag`: `*` is any run of characters, empty
/// included, everything else is itself.
fn matches(filter: &str, tag: &str) -> bool {
    WildMatch::new(filter).matches(tag)
}

/// Whether `filter` is one that ECR takes: `^[0-9a-zA-Z._*-]{1,128}$`, at most two `*`.
#[must_use]
pub fn is_exclusion_filter(filter: &str) -> bool {
    (1..=128).contains(&filter.len())
        && filter.bytes().all(|b| b.is_ascii_alphanumeric() || b"._*-".contains(&b))
        && filter.bytes().filter(|&b| b == b'*').count() <= 2
}

/// `encryptionConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// The stores' own encryption. ECR's default.
    Aes256,
    /// Under a KMS key, whose ARN this is.
    Kms(String),
    /// The same, asked for as dual-layer encryption.
    KmsDsse(String),
}

impl Encryption {
    /// The API's word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::Kms(_) => "KMS",
            Self::KmsDsse(_) => "KMS_DSSE",
        }
    }

    /// The ARN of its KMS key.
    #[must_use]
    pub fn kms_key(&self) -> Option<&str> {
        match self {
            Self::Aes256 => None,
            Self::Kms(key) | Self::KmsDsse(key) => Some(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag(text: &str) -> ImageTag {
        ImageTag::parse(text.into()).unwrap()
    }

    fn naive(filter: &[u8], text: &[u8]) -> bool {
        match filter.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            Some((literal, rest)) => text
                .split_first()
                .is_some_and(|(first, text)| first == literal && naive(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn filters_match_as_the_naive_matcher_does(filter in "[ab.]{0,3}\\*?[ab._-]{0,3}\\*?[abA]{0,3}", text in "[abA._-]{1,9}") {
            prop_assume!(is_exclusion_filter(&filter));
            prop_assert_eq!(matches(&filter, &text), naive(filter.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn each_mode_reads_its_filters_its_own_way() {
        let immutable = |mode, text: &str| {
            let filters = vec!["dev-*".to_owned(), "*.latest".to_owned()];
            TagMutability { mode, filters }.is_immutable(&tag(text))
        };
        for (text, excluded) in [
            ("dev-1", true),
            ("dev-", true),
            ("a.latest", true),
            ("v1", false),
            ("Dev-1", false),
            ("alatest", false),
        ] {
            assert!(!immutable(MutabilityMode::Mutable, text));
            assert!(immutable(MutabilityMode::Immutable, text));
            assert_eq!(
                immutable(MutabilityMode::ImmutableWithExclusion, text),
                !excluded,
                "{text}"
            );
            assert_eq!(immutable(MutabilityMode::MutableWithExclusion, text), excluded, "{text}");
        }
    }

    #[test]
    fn filters_are_short_and_hold_two_stars_at_most() {
        assert!(is_exclusion_filter("*"));
        assert!(is_exclusion_filter("a*b*"));
        assert!(is_exclusion_filter(&"a".repeat(128)));
        for bad in ["", "***", "a?b", "a/b", "é", &"a".repeat(129)] {
            assert!(!is_exclusion_filter(bad), "{bad}");
        }
    }
}
