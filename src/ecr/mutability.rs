//! `imageTagMutability`: which tags of a repository may be moved to another image.

use wildmatch::WildMatch;

use super::names::ImageTag;

/// A repository's rule, with what it excludes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagMutability {
    /// The rule, before its exclusions.
    pub mode: MutabilityMode,
    /// 1–5 in the `…_WITH_EXCLUSION` modes, none in the others.
    pub filters: Vec<ExclusionFilter>,
}

/// `imageTagMutability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutabilityMode {
    /// Every tag may move. ECR's default.
    Mutable,
    /// No tag may move once it names an image.
    Immutable,
    /// Only tags that match a filter may move.
    ImmutableWithExclusion,
    /// Only tags that match no filter may move.
    MutableWithExclusion,
}

impl MutabilityMode {
    /// Every mode, in the order in which the API names them.
    pub const ALL: [Self; 4] =
        [Self::Immutable, Self::Mutable, Self::MutableWithExclusion, Self::ImmutableWithExclusion];

    /// The mode as the API names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutable => "MUTABLE",
            Self::Immutable => "IMMUTABLE",
            Self::ImmutableWithExclusion => "IMMUTABLE_WITH_EXCLUSION",
            Self::MutableWithExclusion => "MUTABLE_WITH_EXCLUSION",
        }
    }

    /// The mode that the API names so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }

    /// Whether the mode comes with exclusion filters.
    #[must_use]
    pub fn has_exclusions(self) -> bool {
        matches!(self, Self::ImmutableWithExclusion | Self::MutableWithExclusion)
    }
}

impl TagMutability {
    /// Whether `tag`, once it names an image, always names that image.
    #[must_use]
    pub fn is_immutable(&self, tag: &ImageTag) -> bool {
        let excluded = || self.filters.iter().any(|filter| filter.matches(tag));
        match self.mode {
            MutabilityMode::Mutable => false,
            MutabilityMode::Immutable => true,
            MutabilityMode::ImmutableWithExclusion => !excluded(),
            MutabilityMode::MutableWithExclusion => excluded(),
        }
    }
}

/// An element of `imageTagMutabilityExclusionFilters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExclusionFilter {
    /// How the pattern is read.
    pub kind: FilterKind,
    /// `^[0-9a-zA-Z._*-]{1,128}$` with at most two `*`.
    pattern: String,
}

/// `filterType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    /// `*` is any run of characters, empty included; everything else is itself.
    Wildcard,
}

impl FilterKind {
    /// Every kind, in the order in which the API names them.
    pub const ALL: [Self; 1] = [Self::Wildcard];

    /// The kind as the API names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wildcard => "WILDCARD",
        }
    }

    /// The kind that the API names so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl ExclusionFilter {
    /// `None` where ECR does not accept the pattern.
    #[must_use]
    pub fn parse(kind: FilterKind, pattern: String) -> Option<Self> {
        let accepted = (1..=128).contains(&pattern.len())
            && pattern.bytes().all(|b| b.is_ascii_alphanumeric() || b"._*-".contains(&b))
            && pattern.bytes().filter(|&b| b == b'*').count() <= 2;
        accepted.then_some(Self { kind, pattern })
    }

    /// The pattern as it was sent, 1–128 characters.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether the filter covers the whole of `tag`.
    fn matches(&self, tag: &ImageTag) -> bool {
        match self.kind {
            FilterKind::Wildcard => WildMatch::new(&self.pattern).matches(tag.as_str()),
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

    fn filter(pattern: &str) -> Option<ExclusionFilter> {
        ExclusionFilter::parse(FilterKind::Wildcard, pattern.to_owned())
    }

    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            Some((literal, rest)) => text
                .split_first()
                .is_some_and(|(first, text)| first == literal && naive(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn filters_match_as_the_naive_matcher_does(pattern in "[ab.]{0,3}\\*?[ab._-]{0,3}\\*?[abA]{0,3}", text in "[abA._-]{1,9}") {
            prop_assume!(!pattern.is_empty());
            let filter = filter(&pattern).unwrap();
            prop_assert_eq!(filter.matches(&tag(&text)), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn each_mode_reads_its_filters_its_own_way() {
        let immutable = |mode, text: &str| {
            let filters = ["dev-*", "*.latest"].map(|pattern| filter(pattern).unwrap()).to_vec();
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
    fn filters_are_short_and_have_at_most_two_stars() {
        assert!(filter("*").is_some());
        assert!(filter("a*b*").is_some());
        assert!(filter(&"a".repeat(128)).is_some());
        for bad in ["", "***", "a?b", "a/b", "é", &"a".repeat(129)] {
            assert_eq!(filter(bad), None, "{bad}");
        }
    }
}
