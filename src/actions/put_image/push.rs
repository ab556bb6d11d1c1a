//! A parsed push: the image that a request describes, and the response to it. Both are known before
//! the table is read.

use bytes::Bytes;
use serde::Serialize;

use super::input::Input;
use crate::api::call::MAX_RESPONSE;
use crate::api::error::Error;
use crate::ecr::manifest::{Manifest, MediaType};
use crate::ecr::names::{Digest, ImageTag, RepositoryRef};
use crate::ecr::repository::COUNTED_CHILDREN;

/// An image to be stored, tagged or both.
#[derive(Debug)]
pub(crate) struct Push {
    pub repository: RepositoryRef,
    /// The manifest as it was sent: these bytes are the image.
    pub manifest_bytes: Bytes,
    pub manifest: Manifest,
    pub digest: Digest,
    pub tag: Option<ImageTag>,
    /// The body of the response, for the media type that the request gives the image.
    response: String,
}

impl Push {
    /// Parses the manifest. `response_limit` is the most bytes that the response's body may take as
    /// a JSON string.
    ///
    /// # Errors
    /// In this order: a manifest that ECR does not store, neither tag nor digest where one is
    /// required, a response that would not fit, a digest that does not match.
    pub(crate) fn new(
        input: Input,
        repository: RepositoryRef,
        layer_limit: u64,
        response_limit: usize,
    ) -> Result<Self, Error> {
        let Input { image_manifest, image_manifest_media_type, image_tag: tag, .. } = input;
        let requested = image_manifest_media_type.as_deref();
        let manifest = Manifest::parse(&image_manifest, requested, layer_limit)
            .map_err(|constraint| Error::invalid("ImageManifest", constraint))?;
        if tag.is_none() && input.image_digest.is_none() && !manifest.media_type.is_schema_1() {
            let constraint = "You must specify the image tag for this image type";
            return Err(Error::invalid("ImageTag", constraint));
        }
        let digest = Digest::of(image_manifest.as_bytes());
        let image_id = ImageId::new(&digest, tag.as_ref());
        let response = response(&repository, image_id, &image_manifest, manifest.media_type);
        if escaped_len(&response) + longer_type(&manifest) > response_limit {
            let constraint = format!("must fit in a response of {MAX_RESPONSE} bytes");
            return Err(Error::invalid("imageManifest", constraint));
        }
        if let Some(supplied) = input.image_digest
            && supplied.as_str() != digest.as_str()
        {
            return Err(Error::ImageDigestDoesNotMatch { repository, supplied });
        }
        let manifest_bytes = Bytes::from(image_manifest);
        Ok(Self { repository, manifest_bytes, manifest, digest, tag, response })
    }

    /// Whether it is an index of more children than one transaction can count.
    #[must_use]
    pub(crate) fn is_big_index(&self) -> bool {
        self.manifest.children().len() > COUNTED_CHILDREN
    }

    /// The children whose references its commit counts: all, or none of a big index.
    #[must_use]
    pub(crate) fn counted_children(&self) -> &[Digest] {
        if self.is_big_index() { &[] } else { self.manifest.children() }
    }

    /// The body of the response, where the image has this media type.
    #[must_use]
    pub(crate) fn into_response(self, media_type: MediaType) -> String {
        if media_type == self.manifest.media_type {
            return self.response;
        }
        let image_id = ImageId::new(&self.digest, self.tag.as_ref());
        // These bytes are those of a string.
        let text = String::from_utf8_lossy(&self.manifest_bytes);
        response(&self.repository, image_id, &text, media_type)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageId<'a> {
    image_digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tag: Option<&'a str>,
}

impl<'a> ImageId<'a> {
    fn new(digest: &'a Digest, tag: Option<&'a ImageTag>) -> Self {
        Self { image_digest: digest.as_str(), image_tag: tag.map(ImageTag::as_str) }
    }
}

/// `{"image":{…}}` as the API reference shows it, with `imageManifestMediaType`.
fn response(
    repository: &RepositoryRef,
    image_id: ImageId<'_>,
    image_manifest: &str,
    media_type: MediaType,
) -> String {
    #[derive(Serialize)]
    struct Response<'a> {
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

    let image = Image {
        registry_id: repository.registry.as_str(),
        repository_name: repository.name.as_str(),
        image_id,
        image_manifest,
        image_manifest_media_type: media_type.as_str(),
    };
    // A struct of strings always serialises.
    serde_json::to_string(&Response { image }).unwrap_or_default()
}

/// How many bytes longer the response may become, if the image is already stored as another type.
fn longer_type(manifest: &Manifest) -> usize {
    if manifest.names_its_type {
        return 0;
    }
    let longest = MediaType::ALL.map(|media_type| media_type.as_str().len()).into_iter().max();
    longest.unwrap_or_default().saturating_sub(manifest.media_type.as_str().len())
}

/// How many bytes `json` takes as a JSON string, quotes included. JSON text has no control
/// characters left to escape: only quotes and backslashes grow.
fn escaped_len(json: &str) -> usize {
    // Sums in `u8` let the compiler add sixteen bytes at a time.
    let escapes =
        |chunk: &[u8]| chunk.iter().map(|b| u8::from(matches!(b, b'"' | b'\\'))).sum::<u8>();
    let grown: usize = json.as_bytes().chunks(255).map(|chunk| usize::from(escapes(chunk))).sum();
    json.len() + grown + 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecr::names::{RegistryId, RepositoryName};
    use proptest::prelude::*;

    fn repository() -> RepositoryRef {
        RepositoryRef {
            registry: RegistryId::parse("012345678910".into()).unwrap(),
            name: RepositoryName::parse("app/web".into()).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn the_computed_size_is_the_real_one(text in "(\\PC|[\"\\\\\n\r\t\u{0}\u{1f}\u{7f}é😀]){0,200}") {
            let digest = Digest::of(b"");
            let image_id = ImageId::new(&digest, None);
            let response = response(&repository(), image_id, &text, MediaType::OciImage);
            prop_assert_eq!(escaped_len(&response), serde_json::to_string(&response).unwrap().len());
            let read: serde_json::Value = serde_json::from_str(&response).unwrap();
            prop_assert_eq!(read["image"]["imageManifest"].as_str(), Some(text.as_str()));
        }
    }
}
