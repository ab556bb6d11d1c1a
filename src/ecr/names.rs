//! The names in a request, each parsed once into a type that cannot hold an invalid one.
//!
//! The grammars are those of the PutImage API reference, except [`RepositoryName`]'s, which is the
//! newer and wider one of the ECR model. On failure `parse` returns the constraint's text as AWS
//! words it; the caller adds the parameter name.

use std::fmt;

use super::partition::Region;

/// The constraint that a parameter fails to satisfy. [`Display`](fmt::Display) is AWS's wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// A required member is missing or null.
    NotNull,
    /// The least number of characters or elements.
    MinLength(usize),
    /// The greatest number of characters or elements.
    MaxLength(usize),
    /// Any other, as AWS prints it.
    Text(&'static str),
}

impl std::error::Error for Constraint {}

impl From<Constraint> for String {
    fn from(constraint: Constraint) -> Self {
        constraint.to_string()
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull => f.write_str("must not be null"),
            Self::MinLength(min) => write!(f, "must have length greater than or equal to {min}"),
            Self::MaxLength(max) => write!(f, "must have length less than or equal to {max}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// An AWS account id that names a registry: `[0-9]{12}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RegistryId(String);

impl RegistryId {
    /// # Errors
    /// The constraint that `text` does not meet.
    pub fn parse(text: String) -> Result<Self, Constraint> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text))
        } else {
            Err(Constraint::Text("must satisfy regular expression [0-9]{12}"))
        }
    }
}

/// A repository's name: 2–256 characters of path components joined by `/`, where a component is
/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryName(String);

impl RepositoryName {
    const MIN: usize = 2;
    const MAX: usize = 256;

    /// # Errors
    /// The constraint that `text` does not meet, length before pattern.
    pub fn parse(text: String) -> Result<Self, Constraint> {
        match text.chars().count() {
            ..Self::MIN => Err(Constraint::MinLength(Self::MIN)),
            length if length > Self::MAX => Err(Constraint::MaxLength(Self::MAX)),
            _ if text.split('/').all(is_path_component) => Ok(Self(text)),
            // AWS prints the pattern of its reference, which is narrower than the one it checks.
            _ => Err(Constraint::Text(
                "must satisfy regular expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*\
                 [a-z0-9]+(?:[._-][a-z0-9]+)*'",
            )),
        }
    }
}

fn is_path_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    bytes.first().is_some_and(|&b| is_word(b))
        && bytes.last().is_some_and(|&b| is_word(b))
        && component.split(|c: char| c.is_ascii() && is_word(c as u8)).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

/// An image tag: 1–300 characters of `[a-zA-Z0-9-_.]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageTag(String);

impl ImageTag {
    const MAX: usize = 300;

    /// # Errors
    /// The constraint that `text` does not meet, length before pattern.
    pub fn parse(text: String) -> Result<Self, Constraint> {
        match text.chars().count() {
            0 => Err(Constraint::MinLength(1)),
            length if length > Self::MAX => Err(Constraint::MaxLength(Self::MAX)),
            _ if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) => {
                Ok(Self(text))
            }
            _ => Err(Constraint::Text("must satisfy regular expression '[a-zA-Z0-9-_.]+'")),
        }
    }
}

/// The digest that a client expects its image to have: `[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+`.
///
/// Wider than [`Digest`], because the API compares it byte for byte and returns
/// `ImageDigestDoesNotMatchException` for whatever differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedDigest(String);

impl ExpectedDigest {
    /// # Errors
    /// The constraint that `text` does not meet.
    pub fn parse(text: String) -> Result<Self, Constraint> {
        let well_formed = text.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty()
                && algorithm.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+.".contains(&b))
                && !hex.is_empty()
                && hex.bytes().all(|b| b.is_ascii_hexdigit())
        });
        if well_formed {
            Ok(Self(text))
        } else {
            Err(Constraint::Text("must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"))
        }
    }
}

/// A content digest: `sha256:` and 64, or `sha512:` and 128, lower-case hex digits (OCI image
/// spec, "Digests"; its two registered algorithms).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest(String);

impl Digest {
    /// `None` when `text` is not such a digest.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (algorithm, hex) = text.split_at_checked("sha256:".len())?;
        let digits = match algorithm {
            "sha256:" => 64,
            "sha512:" => 128,
            _ => return None,
        };
        // Without an early exit the compiler can check sixteen digits at a time.
        let is_no_digit = |b: u8| u8::from(!(b.is_ascii_digit() | (b'a'..=b'f').contains(&b)));
        let all_hex = hex.bytes().fold(0, |found, b| found | is_no_digit(b)) == 0;
        (hex.len() == digits && all_hex).then(|| Self(text.to_owned()))
    }

    /// The digest of the image whose manifest has these bytes.
    #[must_use]
    pub fn of(manifest: &[u8]) -> Self {
        use fmt::Write as _;
        use sha2::Digest as _;
        let mut text = String::with_capacity("sha256:".len() + 64);
        text.push_str("sha256:");
        for byte in sha2::Sha256::digest(manifest) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// `sha256` or `sha512`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    /// The hex digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// The hash that the digits encode.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        self.hex().as_bytes().chunks(2).filter_map(byte).collect()
    }
}

macro_rules! text_of {
    ($($name:ty),*) => {$(
        impl $name {
            /// The text as it was sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
text_of!(RegistryId, RepositoryName, ImageTag, ExpectedDigest, Digest);

/// Names a repository: its registry, and its name there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryRef {
    /// The account whose registry has the repository.
    pub registry: RegistryId,
    /// The name, unique in that registry.
    pub name: RepositoryName,
}

impl RepositoryRef {
    /// `arn:PARTITION:ecr:REGION:REGISTRY:repository/NAME`
    #[must_use]
    pub fn arn(&self, region: &Region) -> String {
        let Self { registry, name } = self;
        format!("arn:{}:ecr:{region}:{registry}:repository/{name}", region.partition())
    }

    /// `REGISTRY.dkr.ecr.REGION.SUFFIX/NAME`, which clients put into image references.
    #[must_use]
    pub fn uri(&self, region: &Region) -> String {
        let Self { registry, name } = self;
        format!("{registry}.dkr.ecr.{region}.{}/{name}", region.dns_suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    const REPOSITORY: &str =
        r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$";

    fn agrees(pattern: &str, text: &str, parsed: bool) {
        let expected = Regex::new(pattern).unwrap().is_match(text) && !text.ends_with('\n');
        assert_eq!(parsed, expected, "{text:?}");
    }

    proptest! {
        #[test]
        fn repository_names_follow_the_pattern(text in "[a-b0A./_-]{2,12}|\\PC{2,8}") {
            agrees(REPOSITORY, &text, RepositoryName::parse(text.clone()).is_ok());
        }

        #[test]
        fn tags_follow_the_pattern(text in "[a-zA-Z0-9_.-]{1,9}|\\PC{1,5}|[a/:-]{1,4}") {
            agrees("^[a-zA-Z0-9-_.]+$", &text, ImageTag::parse(text.clone()).is_ok());
        }

        #[test]
        fn expected_digests_follow_the_pattern(text in "[a-gG+:_.0-]{0,9}|sha256:[0-9a-fA-F]{1,70}") {
            agrees("^[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+$", &text, ExpectedDigest::parse(text.clone()).is_ok());
        }

        #[test]
        fn registry_ids_follow_the_pattern(text in "[0-9]{11,13}|\\PC{12}") {
            agrees("^[0-9]{12}$", &text, RegistryId::parse(text.clone()).is_ok());
        }

        #[test]
        fn digests_follow_the_pattern(text in "sha256:[0-9a-fA]{63,65}|sha512:[0-9a-f]{127,129}|sha(256|512|1):[a-f]{64}") {
            agrees("^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$", &text, Digest::parse(&text).is_some());
        }
    }

    #[test]
    fn lengths_count_characters_and_come_before_patterns() {
        let too_short = Constraint::MinLength(2);
        let too_long = Constraint::MaxLength(256);
        assert_eq!(RepositoryName::parse("A".into()), Err(too_short));
        assert_eq!(RepositoryName::parse("é".into()), Err(too_short));
        assert_eq!(RepositoryName::parse("É".repeat(257)), Err(too_long));
        assert!(RepositoryName::parse("a".repeat(256)).is_ok());
        assert!(
            RepositoryName::parse("É".repeat(256))
                .is_err_and(|e| e.to_string().contains("regular"))
        );
        assert!(ImageTag::parse("t".repeat(300)).is_ok());
        assert_eq!(ImageTag::parse("t".repeat(301)), Err(Constraint::MaxLength(300)));
        assert_eq!(ImageTag::parse(String::new()), Err(Constraint::MinLength(1)));
    }

    #[test]
    fn the_digest_is_the_sha_256_of_the_bytes() {
        // FIPS 180-2, appendix B.1.
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), abc);
        assert_eq!(Digest::of(b"abc").algorithm(), "sha256");
        assert_eq!(Digest::of(b"abc").hex().len(), 64);
    }
}
