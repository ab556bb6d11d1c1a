//! An image manifest: what kind it is, what it hashes to and what it needs to be there.
//!
//! The bytes are read once and never written again: an image's digest is over what the client
//! sent. Only the members that decide something are looked at; every other member may hold
//! anything, as the OCI image spec asks of registries.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::{Error as _, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};

use crate::json::{AtMost, Object};
use crate::names::{Constraint, Digest};

/// Not a manifest of a known type. skopeo and podman depend on this very text.
pub const INVALID: Constraint = "Invalid JSON syntax";
/// An image without layers.
pub const NO_LAYERS: Constraint = "Image has to have at least 1 layer";
/// An image with more layers than the quota allows.
pub const TOO_MANY_LAYERS: Constraint = "Limit on number of layers per image exceeded";

/// The manifest media types that ECR stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// Docker Image Manifest V2 Schema 1.
    DockerSchema1,
    /// The same with signatures.
    DockerSchema1Signed,
    /// Docker Image Manifest V2 Schema 2.
    DockerImage,
    /// Docker manifest list.
    DockerList,
    /// OCI image manifest.
    OciImage,
    /// OCI image index.
    OciIndex,
}

impl MediaType {
    const ALL: [Self; 6] = [
        Self::DockerSchema1,
        Self::DockerSchema1Signed,
        Self::DockerImage,
        Self::DockerList,
        Self::OciImage,
        Self::OciIndex,
    ];

    /// Its registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerSchema1 => "application/vnd.docker.distribution.manifest.v1+json",
            Self::DockerSchema1Signed => {
                "application/vnd.docker.distribution.manifest.v1+prettyjws"
            }
            Self::DockerImage => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciImage => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
        }
    }

    /// Schema 1, whose images may be stored with neither tag nor digest named.
    #[must_use]
    pub fn is_schema_1(self) -> bool {
        matches!(self, Self::DockerSchema1 | Self::DockerSchema1Signed)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// A manifest that ECR would store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its type, by its own word or the request's.
    pub media_type: MediaType,
    /// What must be in the repository before it.
    pub references: References,
}

/// What a manifest refers to: each digest once, in manifest order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum References {
    /// An image's config and layers, save the foreign ones that others distribute.
    Layers(Vec<Digest>),
    /// An index's or list's manifests.
    Children(Vec<Digest>),
}

impl Manifest {
    /// Reads a manifest. `requested` is the request's `imageManifestMediaType`, `layer_limit` the
    /// quota of layers per image.
    ///
    /// # Errors
    /// The constraint of `ImageManifest` that it does not meet: syntax, types and descriptors
    /// first, then the two rules on the number of layers.
    pub fn parse(
        text: &str,
        requested: Option<&str>,
        layer_limit: u64,
    ) -> Result<Self, Constraint> {
        match serde_json::from_str::<Object<Schema2>>(text) {
            Ok(Object(document)) if document.schema_version == 2 => {
                let media_type =
                    media_type(document.media_type.as_deref(), requested)?.ok_or(INVALID)?;
                let references =
                    match (media_type, document.config, document.layers, document.manifests) {
                        (
                            MediaType::DockerImage | MediaType::OciImage,
                            Some(config),
                            Some(layers),
                            None,
                        ) => {
                            check_layer_count(layers.len(), layer_limit)?;
                            let needed =
                                layers.into_iter().filter(|Object(layer)| !layer.is_elsewhere());
                            References::Layers(distinct(std::iter::once(config).chain(needed)))
                        }
                        (
                            MediaType::DockerList | MediaType::OciIndex,
                            None,
                            None,
                            Some(manifests),
                        ) => References::Children(distinct(manifests)),
                        _ => return Err(INVALID),
                    };
                Ok(Self { media_type, references })
            }
            // In schema 1 the members of schema 2 may hold anything, so what does not parse as
            // the one may still be the other.
            _ => {
                let Object(document) =
                    serde_json::from_str::<Object<Schema1>>(text).map_err(|_| INVALID)?;
                let media_type =
                    media_type(document.media_type.as_deref(), requested)?.unwrap_or({
                        if document.signatures.is_some() {
                            MediaType::DockerSchema1Signed
                        } else {
                            MediaType::DockerSchema1
                        }
                    });
                if document.schema_version != 1 || !media_type.is_schema_1() {
                    return Err(INVALID);
                }
                check_layer_count(document.fs_layers.len(), layer_limit)?;
                Ok(Self {
                    media_type,
                    references: References::Layers(distinct(document.fs_layers)),
                })
            }
        }
    }

    /// The children of an index; an image has none.
    #[must_use]
    pub fn children(&self) -> &[Digest] {
        match &self.references {
            References::Children(children) => children,
            References::Layers(_) => &[],
        }
    }

    /// The layers that an image needs; an index needs none.
    #[must_use]
    pub fn layers(&self) -> &[Digest] {
        match &self.references {
            References::Layers(layers) => layers,
            References::Children(_) => &[],
        }
    }
}

fn check_layer_count(count: usize, limit: u64) -> Result<(), Constraint> {
    match count {
        0 => Err(NO_LAYERS),
        _ if count as u64 > limit => Err(TOO_MANY_LAYERS),
        _ => Ok(()),
    }
}

/// The type that the manifest names, else the one that the request names; they must not differ.
fn media_type(own: Option<&str>, requested: Option<&str>) -> Result<Option<MediaType>, Constraint> {
    if own.is_some() && requested.is_some() && own != requested {
        return Err(INVALID);
    }
    own.or(requested).map(|name| MediaType::parse(name).ok_or(INVALID)).transpose()
}

fn distinct<T: Into<Digest>>(descriptors: impl IntoIterator<Item = Object<T>>) -> Vec<Digest> {
    let digests = descriptors.into_iter().map(|Object(descriptor)| descriptor.into());
    let mut digests: Vec<Digest> = digests.collect();
    // A set of copies would allocate every digest twice.
    let mut seen = HashSet::with_capacity(digests.len());
    let is_first: Vec<bool> = digests.iter().map(|digest| seen.insert(digest)).collect();
    let mut is_first = is_first.into_iter();
    digests.retain(|_| is_first.next().unwrap_or_default());
    digests
}

/// A schema 2 or OCI document. A member named twice is refused by `derive(Deserialize)`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema2<'a> {
    schema_version: u64,
    media_type: Option<String>,
    #[serde(borrow, default, deserialize_with = "not_null")]
    config: Option<Object<Descriptor<'a>>>,
    #[serde(borrow, default, deserialize_with = "not_null")]
    layers: Option<Vec<Object<Descriptor<'a>>>>,
    #[serde(borrow, default, deserialize_with = "not_null")]
    manifests: Option<Vec<Object<Descriptor<'a>>>>,
    #[serde(borrow, rename = "subject")]
    _subject: Option<Object<Descriptor<'a>>>,
    #[serde(default, rename = "fsLayers", deserialize_with = "not_null")]
    _fs_layers: Option<Vec<Object<FsLayer>>>,
    #[serde(rename = "signatures")]
    _signatures: Option<IgnoredAny>,
}

/// A schema 1 document, in which the members of schema 2 are only counted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema1<'a> {
    schema_version: u64,
    media_type: Option<String>,
    fs_layers: Vec<Object<FsLayer>>,
    #[serde(default, deserialize_with = "not_null")]
    signatures: Option<IgnoredAny>,
    #[serde(rename = "config")]
    _config: Option<IgnoredAny>,
    #[serde(rename = "layers")]
    _layers: Option<IgnoredAny>,
    #[serde(rename = "manifests")]
    _manifests: Option<IgnoredAny>,
    #[serde(borrow, rename = "subject")]
    _subject: Option<Object<Descriptor<'a>>>,
}

/// A content descriptor (OCI image spec, "Content Descriptors").
#[derive(Deserialize)]
struct Descriptor<'a> {
    #[serde(borrow, rename = "mediaType")]
    media_type: Cow<'a, str>,
    #[serde(deserialize_with = "digest")]
    digest: Digest,
    #[serde(rename = "size", deserialize_with = "size")]
    _size: (),
    urls: Option<AtMost<1, String>>,
}

impl Descriptor<'_> {
    /// A layer that its `urls` serve instead of the registry.
    fn is_elsewhere(&self) -> bool {
        self.urls.as_ref().is_some_and(|AtMost(urls)| !urls.is_empty())
            && ["foreign", "nondistributable"].iter().any(|word| self.media_type.contains(word))
    }
}

impl From<Descriptor<'_>> for Digest {
    fn from(descriptor: Descriptor) -> Self {
        descriptor.digest
    }
}

#[derive(Deserialize)]
struct FsLayer {
    #[serde(rename = "blobSum", deserialize_with = "digest")]
    blob_sum: Digest,
}

impl From<FsLayer> for Digest {
    fn from(layer: FsLayer) -> Self {
        layer.blob_sum
    }
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    deserializer.deserialize_str(Text(Digest::parse))
}

/// An integer from 0 to 2^63 − 1, the OCI image spec's int64 without its negative half.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let size = u64::deserialize(deserializer)?;
    i64::try_from(size).map(drop).map_err(D::Error::custom)
}

fn not_null<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Reads a string as what the function makes of it, without keeping a copy.
struct Text<F>(F);

impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string of its grammar")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &"another"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use serde_json::{Value, json};

    fn parse(manifest: &Value) -> Result<Manifest, Constraint> {
        Manifest::parse(&manifest.to_string(), None, 500)
    }

    fn descriptor(digit: char) -> Value {
        json!({ "mediaType": "a", "digest": digest_of(digit), "size": 1 })
    }

    fn digest_of(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn config_and_layers_are_required_once_and_in_order() {
        let manifest = parse(&json!({
            "layers": [descriptor('b'), descriptor('a'), descriptor('b')],
            "config": descriptor('a'),
            "schemaVersion": 2,
            "mediaType": MediaType::OciImage.as_str(),
        }));
        let digests = ['a', 'b'].map(|digit| Digest::parse(&digest_of(digit)).unwrap());
        let references = References::Layers(digests.to_vec());
        assert_eq!(manifest, Ok(Manifest { media_type: MediaType::OciImage, references }));
    }

    /// Manifests that are nearly right: each member right, wrong or absent.
    fn nearly_a_manifest() -> impl Strategy<Value = String> {
        let odd = prop_oneof![
            Just(json!(null)),
            Just(json!(7)),
            Just(json!(-1)),
            Just(json!([])),
            Just(json!({})),
            Just(json!("sha256:12")),
        ];
        let digest = prop_oneof![
            20 => "[0-9a-f]".prop_map(|digit| json!(format!("sha256:{}", digit.repeat(64)))),
            2 => "[0-9a-f]".prop_map(|digit| json!(format!("sha512:{}", digit.repeat(128)))),
            1 => odd.clone(),
        ];
        let size =
            prop_oneof![20 => any::<u64>().prop_map(|size| json!(size >> 1)), 1 => odd.clone()];
        let layer_type =
            prop_oneof![8 => Just(json!("foreign")), 8 => Just(json!("layer")), 1 => odd.clone()];
        let urls = prop_oneof![8 => Just(json!(["u"])), 8 => Just(json!(null)), 1 => odd.clone()];
        let descriptor = (layer_type, digest, size, urls).prop_map(|(media_type, digest, size, urls)| {
            json!({ "mediaType": media_type, "digest": digest, "size": size, "urls": urls })
        });
        let descriptors = prop_oneof![6 => prop::collection::vec(descriptor.clone(), 0..4).prop_map(Value::from), 1 => odd.clone()];
        let media_type = prop_oneof![
            8 => prop::sample::select(MediaType::ALL.to_vec()).prop_map(|known| json!(known.as_str())),
            1 => Just(json!(null)),
            1 => Just(json!("text/plain")),
        ];
        let members = (
            prop_oneof![12 => Just(json!(2)), 4 => Just(json!(1)), 1 => odd.clone()],
            media_type,
            prop::option::weighted(0.6, descriptor.clone()),
            prop::option::weighted(0.6, descriptors.clone()),
            prop::option::weighted(0.4, descriptors),
            prop::option::weighted(0.1, descriptor),
            prop::option::weighted(0.05, odd),
        );
        members.prop_map(|(version, media_type, config, layers, manifests, subject, fs_layers)| {
            let mut manifest = json!({ "schemaVersion": version, "mediaType": media_type });
            for (member, value) in [
                ("config", config),
                ("layers", layers),
                ("manifests", manifests),
                ("subject", subject),
                ("fsLayers", fs_layers),
            ] {
                if let Some(value) = value {
                    manifest[member] = value;
                }
            }
            manifest.to_string()
        })
    }

    fn is_well_formed(digest: &Digest) -> bool {
        Digest::parse(digest.as_str()).as_ref() == Some(digest)
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = String::from_utf8_lossy(&bytes);
            prop_assert_eq!(Manifest::parse(&text, None, 500), Err(INVALID));
        }

        #[test]
        fn what_is_accepted_is_well_formed(text in nearly_a_manifest(), limit in 1..4_u64) {
            if let Ok(manifest) = Manifest::parse(&text, None, limit) {
                let document: Value = serde_json::from_str(&text).unwrap();
                prop_assert!(manifest.layers().iter().chain(manifest.children()).all(is_well_formed));
                let named = |member: &str| document[member].as_array().map_or(0, Vec::len) as u64;
                match manifest.references {
                    References::Layers(_) => {
                        let count = named("layers").max(named("fsLayers"));
                        prop_assert!((1..=limit).contains(&count));
                    }
                    References::Children(_) => prop_assert!(document.get("layers").is_none()),
                }
                // The type that was found is the one that is named.
                if let Some(media_type) = document["mediaType"].as_str() {
                    prop_assert_eq!(media_type, manifest.media_type.as_str());
                }
            }
        }
    }

    #[test]
    fn the_generator_reaches_both_kinds() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut kinds = [0; 2];
        for _ in 0..3000 {
            let text = nearly_a_manifest().new_tree(&mut runner).unwrap().current();
            match Manifest::parse(&text, None, 500) {
                Ok(Manifest { references: References::Layers(_), .. }) => kinds[0] += 1,
                Ok(Manifest { references: References::Children(_), .. }) => kinds[1] += 1,
                Err(_) => {}
            }
        }
        assert!(kinds.iter().all(|&count| count > 10), "{kinds:?}");
    }
}
