//! A push, understood: the image that a request describes and the answer that would tell of it.
//!
//! All of this is known before the table is asked for anything.

use bytes::Bytes;
use serde::Serialize;

use super::input::Input;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::names::{Digest, ImageTag, Repository};
use crate::repository::COUNTED_CHILDREN;

/// An image to be stored, tagged or both.
#[derive(Debug)]
pub struct Push {
    /// Where.
    pub repository: Repository,
    /// The manifest as it was sent: these bytes are the image.
    pub manifest_bytes: Bytes,
    /// What they say.
    pub manifest: Manifest,
    /// What they hash to.
    pub digest: Digest,
    /// The tag to give the image, if any.
    pub tag: Option<ImageTag>,
    /// The body of the answer, once the push is committed.
    pub answer: String,
}

impl Push {
    /// Looks into the manifest. `answer_limit` is how many bytes the answer's body may take as a
    /// JSON string.
    ///
    /// # Errors
    /// In this order: a manifest that ECR does not store, neither tag nor digest where one is
    /// needed, an answer that would not fit, a digest that does not match.
    pub fn new(
        input: Input,
        repository: Repository,
        layer_limit: u64,
        answer_limit: usize,
    ) -> Result<Self, Error> {
        let Input { image_manifest, image_manifest_media_type, image_tag: tag, .. } = input;
        let requested = image_manifest_media_type.as_deref();
        let manifest = Manifest::parse(&image_manifest, requested, layer_limit)
            .map_err(|unmet| Error::invalid("ImageManifest", unmet))?;
        if tag.is_none() && input.image_digest.is_none() && !manifest.media_type.is_schema_1() {
            let unmet = "You must specify the image tag for this image type";
            return Err(Error::invalid("ImageTag", unmet));
        }
        let digest = Digest::of(image_manifest.as_bytes());
        let answer = answer(&repository, &digest, tag.as_ref(), &image_manifest, &manifest);
        if escaped_len(&answer) > answer_limit {
            let unmet = "must fit in a response of 6291556 bytes";
            return Err(Error::invalid("imageManifest", unmet));
        }
        if let Some(supplied) = input.image_digest
            && supplied.as_str() != digest.as_str()
        {
            return Err(Error::ImageDigestDoesNotMatch { repository, supplied });
        }
        let manifest_bytes = Bytes::from(image_manifest);
        Ok(Self { repository, manifest_bytes, manifest, digest, tag, answer })
    }

    /// Whether it is an index of more children than one transaction can count.
    #[must_use]
    pub fn is_big_index(&self) -> bool {
        self.manifest.children().len() > COUNTED_CHILDREN
    }

    /// The children whose references its commit counts: all, or none of a big index.
    #[must_use]
    pub fn counted_children(&self) -> &[Digest] {
        if self.is_big_index() { &[] } else { self.manifest.children() }
    }
}

/// `{"image":{…}}` as the API reference shows it, with `imageManifestMediaType`.
fn answer(
    repository: &Repository,
    digest: &Digest,
    tag: Option<&ImageTag>,
    manifest_text: &str,
    manifest: &Manifest,
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        image: Image<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Image<'a> {
        registry_id: &'a str,
        repository_name: &'a str,
        image_id: ImageId<'a>,
        image_manifest: &'a str,
        image_manifest_media_type: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ImageId<'a> {
        image_digest: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_tag: Option<&'a str>,
    }

    let image = Image {
        registry_id: repository.registry.as_str(),
        repository_name: repository.name.as_str(),
        image_id: ImageId { image_digest: digest.as_str(), image_tag: tag.map(ImageTag::as_str) },
        image_manifest: manifest_text,
        image_manifest_media_type: manifest.media_type.as_str(),
    };
    // Strings alone always serialise.
    serde_json::to_string(&Answer { image }).unwrap_or_default()
}

/// How many bytes `json` takes as a JSON string, quotes included. JSON text has no control
/// characters left to escape: only quotes and backslashes grow.
fn escaped_len(json: &str) -> usize {
    // Counted in bytes first, which a processor adds up sixteen at a time.
    let escapes =
        |chunk: &[u8]| chunk.iter().map(|b| u8::from(matches!(b, b'"' | b'\\'))).sum::<u8>();
    let grown: usize = json.as_bytes().chunks(255).map(|chunk| usize::from(escapes(chunk))).sum();
    json.len() + grown + 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{MediaType, References};
    use crate::names::{RegistryId, RepositoryName};
    use proptest::prelude::*;

    fn repository() -> Repository {
        Repository {
            registry: RegistryId::parse("012345678910".into()).unwrap(),
            name: RepositoryName::parse("app/web".into()).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn the_computed_size_is_the_real_one(text in "(\\PC|[\"\\\\\n\r\t\u{0}\u{1f}\u{7f}é😀]){0,200}") {
            let manifest = Manifest {
                media_type: MediaType::OciImage,
                references: References::Layers(vec![]),
            };
            let answer = answer(&repository(), &Digest::of(b""), None, &text, &manifest);
            prop_assert_eq!(escaped_len(&answer), serde_json::to_string(&answer).unwrap().len());
            let read: serde_json::Value = serde_json::from_str(&answer).unwrap();
            prop_assert_eq!(read["image"]["imageManifest"].as_str(), Some(text.as_str()));
        }
    }
}
