//! An image manifest: its type, and the layers or images that must exist before it.
//!
//! The bytes are read once and never written again, because the digest is over what the client
//! sent. Only the members that the result depends on are read. Every other member may hold
//! anything, as the OCI image spec requires of registries.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::names::{Constraint, Digest};
use crate::json::{AtMost, Object};

/// Not a manifest of a known type. skopeo and podman depend on this exact text.
const INVALID: Constraint = Constraint::Text("Invalid JSON syntax");
const NO_LAYERS: Constraint = Constraint::Text("Image has to have at least 1 layer");
const TOO_MANY_LAYERS: Constraint =
    Constraint::Text("Limit on number of layers per image exceeded");

/// The longest artifact media type that is kept, in bytes. OCI image spec, "Guidelines for artifact
/// usage", asks for an RFC 6838 media type, whose two names have at most 127 characters each.
const MAX_ARTIFACT_MEDIA_TYPE: usize = 255;

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
    /// Every media type of a manifest that ECR stores.
    pub const ALL: [Self; 6] = [
        Self::DockerSchema1,
        Self::DockerSchema1Signed,
        Self::DockerImage,
        Self::DockerList,
        Self::OciImage,
        Self::OciIndex,
    ];

    /// The type as manifests and requests name it.
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

    /// Whether it is schema 1, whose images may be pushed with neither tag nor digest.
    #[must_use]
    pub fn is_schema_1(self) -> bool {
        matches!(self, Self::DockerSchema1 | Self::DockerSchema1Signed)
    }

    /// The type of this name, which is compared byte for byte.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// A manifest that ECR would store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The type that the manifest names, else the one that the request names.
    pub media_type: MediaType,
    /// Whether the manifest names its type itself, so that every push of it has the same type.
    pub names_its_type: bool,
    /// The `artifactType`, else an image's config type. Only strings of 1 to 255 printable ASCII
    /// characters without quotes and backslashes count. `None` for schema 1.
    pub artifact_media_type: Option<String>,
    /// What must exist in the repository before the image.
    pub references: References,
}

/// What must exist in the repository before a manifest: each digest once, in manifest order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum References {
    /// The config and layers of an image, without foreign layers, which other servers distribute.
    Layers(Vec<Digest>),
    /// The manifests of an index or list.
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
        match serde_json::from_str::<Schema2>(text) {
            Ok(document) if document.schema_version == 2 => {
                document.into_manifest(requested, layer_limit)
            }
            // In schema 1 the members of schema 2 may hold anything, so a text that does not parse
            // as schema 2 may still be schema 1.
            _ => {
                let Object(document) =
                    serde_json::from_str::<Object<Schema1>>(text).map_err(|_| INVALID)?;
                document.into_manifest(requested, layer_limit)
            }
        }
    }

    /// The children of an index; empty for an image.
    #[must_use]
    pub fn children(&self) -> &[Digest] {
        match &self.references {
            References::Children(children) => children,
            References::Layers(_) => &[],
        }
    }

    /// The config and layers that an image needs; empty for an index.
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

/// The type that the manifest names, else the one that the request names. They must not differ.
fn media_type(own: Option<&str>, requested: Option<&str>) -> Result<Option<MediaType>, Constraint> {
    if own.is_some() && requested.is_some() && own != requested {
        return Err(INVALID);
    }
    own.or(requested).map(|name| MediaType::parse(name).ok_or(INVALID)).transpose()
}

fn distinct<T: Into<Digest>>(descriptors: impl Iterator<Item = T>) -> Vec<Digest> {
    let mut digests: Vec<Digest> = descriptors.map(Into::into).collect();
    // A set of copies would allocate every digest twice.
    let mut seen = HashSet::with_capacity(digests.len());
    let is_first: Vec<bool> = digests.iter().map(|digest| seen.insert(digest)).collect();
    let mut is_first = is_first.into_iter();
    digests.retain(|_| is_first.next().unwrap_or_default());
    digests
}

/// A schema 2 or OCI document. [`Member`] lists the members that are read.
struct Schema2<'a> {
    schema_version: u64,
    media_type: Option<String>,
    artifact_type: Option<&'a RawValue>,
    config: Option<Descriptor<'a>>,
    layers: Option<Vec<Object<Descriptor<'a>>>>,
    manifests: Option<Vec<Object<Descriptor<'a>>>>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Member {
    SchemaVersion,
    MediaType,
    Config,
    Layers,
    Manifests,
    Subject,
    FsLayers,
    Signatures,
    ArtifactType,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Schema2<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Schema2Visitor)
    }
}

struct Schema2Visitor;

impl<'de> Visitor<'de> for Schema2Visitor {
    type Value = Schema2<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    /// Written by hand, because `derive` would reject an `artifactType` that is named twice or is
    /// not a string. No result depends on that member, so it may hold anything. The others may
    /// occur once.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut schema_version, mut media_type, mut artifact_type) = (None, None, None);
        let (mut config, mut layers, mut manifests) = (None, None, None);
        let (mut subject, mut fs_layers, mut signatures) = (None, None, None);
        while let Some(member) = members.next_key()? {
            match member {
                Member::SchemaVersion => once(&mut schema_version, members.next_value()?)?,
                Member::MediaType => once(&mut media_type, members.next_value()?)?,
                Member::Config => {
                    let Object(descriptor) = members.next_value()?;
                    once(&mut config, descriptor)?;
                }
                Member::Layers => once(&mut layers, members.next_value()?)?,
                Member::Manifests => once(&mut manifests, members.next_value()?)?,
                Member::Subject => {
                    once(&mut subject, members.next_value::<Option<Object<Descriptor>>>()?)?;
                }
                Member::FsLayers => {
                    once(&mut fs_layers, members.next_value::<Vec<Object<FsLayer>>>()?)?;
                }
                Member::Signatures => once(&mut signatures, members.next_value::<IgnoredAny>()?)?,
                Member::ArtifactType => artifact_type = Some(members.next_value()?),
                Member::Other => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        let schema_version =
            schema_version.ok_or_else(|| A::Error::missing_field("schemaVersion"))?;
        let media_type = media_type.flatten();
        Ok(Schema2 { schema_version, media_type, artifact_type, config, layers, manifests })
    }
}

fn once<T, E: serde::de::Error>(member: &mut Option<T>, value: T) -> Result<(), E> {
    match member.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom("a member is named twice")),
    }
}

impl Schema2<'_> {
    fn into_manifest(
        self,
        requested: Option<&str>,
        layer_limit: u64,
    ) -> Result<Manifest, Constraint> {
        let media_type = media_type(self.media_type.as_deref(), requested)?.ok_or(INVALID)?;
        let mut artifact_media_type = self.artifact_type.and_then(artifact_type);
        let references = match (media_type, self.config, self.layers, self.manifests) {
            (MediaType::DockerImage | MediaType::OciImage, Some(config), Some(layers), None) => {
                check_layer_count(layers.len(), layer_limit)?;
                artifact_media_type =
                    artifact_media_type.or_else(|| bounded(config.media_type.to_string()));
                let needed = layers.into_iter().filter(|Object(layer)| !layer.is_elsewhere());
                let needed = needed.map(|Object(layer)| layer);
                References::Layers(distinct(std::iter::once(config).chain(needed)))
            }
            (MediaType::DockerList | MediaType::OciIndex, None, None, Some(manifests)) => {
                References::Children(distinct(manifests.into_iter().map(|Object(child)| child)))
            }
            _ => return Err(INVALID),
        };
        let names_its_type = self.media_type.is_some();
        Ok(Manifest { media_type, names_its_type, artifact_media_type, references })
    }
}

/// A schema 1 document. The members of schema 2 are listed so that one named twice is rejected.
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

/// A value that [`bounded`] does not accept counts as absent.
fn artifact_type(raw: &RawValue) -> Option<String> {
    // Each byte may be escaped in six.
    if raw.get().len() > 6 * MAX_ARTIFACT_MEDIA_TYPE + 2 {
        return None;
    }
    bounded(serde_json::from_str(raw.get()).ok()?)
}

/// EventBridge Pipes puts the name into a JSON text without escaping it, so a quote in it would let
/// a client write members of the event.
fn bounded(name: String) -> Option<String> {
    let is_plain = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
    let is_kept = (1..=MAX_ARTIFACT_MEDIA_TYPE).contains(&name.len()) && name.bytes().all(is_plain);
    is_kept.then_some(name)
}

impl Schema1<'_> {
    fn into_manifest(
        self,
        requested: Option<&str>,
        layer_limit: u64,
    ) -> Result<Manifest, Constraint> {
        let default = match self.signatures {
            Some(_) => MediaType::DockerSchema1Signed,
            None => MediaType::DockerSchema1,
        };
        let media_type = media_type(self.media_type.as_deref(), requested)?.unwrap_or(default);
        if self.schema_version != 1 || !media_type.is_schema_1() {
            return Err(INVALID);
        }
        check_layer_count(self.fs_layers.len(), layer_limit)?;
        let layers = distinct(self.fs_layers.into_iter().map(|Object(layer)| layer));
        Ok(Manifest {
            media_type,
            names_its_type: self.media_type.is_some(),
            artifact_media_type: None,
            references: References::Layers(layers),
        })
    }
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
    /// Whether the layer is distributed by its `urls` instead of the registry.
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

/// Reads a string through the function, without keeping a copy of the string.
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
        let expected = Manifest {
            media_type: MediaType::OciImage,
            names_its_type: true,
            artifact_media_type: Some("a".to_owned()),
            references: References::Layers(digests.to_vec()),
        };
        assert_eq!(manifest, Ok(expected));
    }

    #[test]
    fn the_artifact_type_is_kept_where_it_can_be_and_rejects_nothing() {
        let image = |member: &str| {
            let descriptor = descriptor('a');
            let media_type = MediaType::OciImage.as_str();
            let text = format!(
                r#"{{"schemaVersion":2,"mediaType":"{media_type}",{member}"config":{descriptor},"layers":[{descriptor}]}}"#
            );
            Manifest::parse(&text, None, 500).map(|manifest| manifest.artifact_media_type)
        };
        let kept = |name: &str| Ok(Some(name.to_owned()));
        assert_eq!(image(""), kept("a"), "the config's");
        assert_eq!(image(r#""artifactType":"x/y","#), kept("x/y"));
        assert_eq!(image(r#""artifactType":"x/y","artifactType":"z","#), kept("z"));
        assert_eq!(
            image(&format!(r#""artifactType":"{}","#, "x".repeat(255))),
            kept(&"x".repeat(255))
        );
        for absent in [r#""""#.to_owned(), format!(r#""{}""#, "x".repeat(256))] {
            assert_eq!(image(&format!(r#""artifactType":{absent},"#)), kept("a"), "{absent}");
        }
        for odd in
            ["null", "7", "[]", r#"{"a":1}"#, r#""\ud800""#, r#""a\"b""#, r#""\\""#, r#""é""#]
        {
            assert_eq!(image(&format!(r#""artifactType":{odd},"#)), kept("a"), "{odd}");
        }
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
