//! Names and exclusion filters: those are accepted that match the API reference's patterns.

#![no_main]

use std::sync::LazyLock;

use ecr_registry::mutability::{ExclusionFilter, FilterKind, MutabilityMode, TagMutability};
use ecr_registry::names::{Digest, ExpectedDigest, ImageTag, RegistryId, RepositoryName};
use libfuzzer_sys::fuzz_target;
use regex::Regex;

fn pattern(pattern: &str) -> Regex {
    Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap()
}

static REPOSITORY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/)*[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
});
static REGISTRY: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9]{12}"));
static TAG: LazyLock<Regex> = LazyLock::new(|| pattern("[a-zA-Z0-9-_.]+"));
static EXPECTED: LazyLock<Regex> = LazyLock::new(|| pattern("[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"));
static DIGEST: LazyLock<Regex> =
    LazyLock::new(|| pattern("sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"));
static FILTER: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9a-zA-Z._*-]{1,128}"));

fn in_length(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count())
}

fn exclusion_filter(text: &str) -> Option<ExclusionFilter> {
    ExclusionFilter::parse(FilterKind::Wildcard, text.to_owned())
}

fuzz_target!(|text: &str| {
    let (first, rest) = text.split_once('\n').unwrap_or((text, text));
    for text in [text, first] {
        let owned = || text.to_owned();
        let repository = in_length(text, 2, 256) && REPOSITORY.is_match(text);
        assert_eq!(RepositoryName::parse(owned()).is_ok(), repository, "{text:?}");
        assert_eq!(RegistryId::parse(owned()).is_ok(), REGISTRY.is_match(text), "{text:?}");
        let tag = in_length(text, 1, 300) && TAG.is_match(text);
        assert_eq!(ImageTag::parse(owned()).is_ok(), tag, "{text:?}");
        assert_eq!(ExpectedDigest::parse(owned()).is_ok(), EXPECTED.is_match(text), "{text:?}");
        assert_eq!(Digest::parse(text).is_some(), DIGEST.is_match(text), "{text:?}");
        let filter = FILTER.is_match(text) && text.matches('*').count() <= 2;
        assert_eq!(exclusion_filter(text).is_some(), filter, "{text:?}");
    }
    // A filter covers the same tags as the pattern that it stands for.
    if let Ok(tag) = ImageTag::parse(rest.to_owned())
        && let Some(filter) = exclusion_filter(first)
    {
        let meaning = pattern(&regex::escape(first).replace(r"\*", ".*"));
        let mode = MutabilityMode::MutableWithExclusion;
        let covered = TagMutability { mode, filters: vec![filter] };
        assert_eq!(covered.is_immutable(&tag), meaning.is_match(tag.as_str()), "{text:?}");
    }
});
