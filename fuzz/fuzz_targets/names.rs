//! Names and exclusion filters: what is taken is what the API reference's patterns take.

#![no_main]

use std::sync::LazyLock;

use ecr_registry::names::{Digest, ExpectedDigest, ImageTag, RegistryId, RepositoryName};
use ecr_registry::repository::{MutabilityMode, TagMutability, is_exclusion_filter};
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
        assert_eq!(is_exclusion_filter(text), filter, "{text:?}");
    }
    // Whether a filter covers a tag, as a pattern says it.
    if let Ok(tag) = ImageTag::parse(rest.to_owned())
        && is_exclusion_filter(first)
    {
        let meaning = pattern(&regex::escape(first).replace(r"\*", ".*"));
        let filters = vec![first.to_owned()];
        let covered = TagMutability { mode: MutabilityMode::MutableWithExclusion, filters };
        assert_eq!(covered.is_immutable(&tag), meaning.is_match(tag.as_str()), "{text:?}");
    }
});
