//! The images that a history pushes, and what the table must hold about them.

use std::collections::BTreeSet;

use ecr_registry::INLINE_BYTES;
use ecr_registry::names::Digest;
use serde_json::json;

use crate::spec::{IMAGES, Image, Repository, TAGS};
use crate::writers::{Item, named, number, string};

/// The manifest of each. The last is an index of the first.
#[derive(Debug)]
pub(crate) struct Images(Vec<String>);

impl Images {
    /// `count` images that need `layer`. If they are `large`, they are stored in S3.
    pub(crate) fn new(count: usize, layer: &Digest, large: bool) -> Self {
        let mut manifests: Vec<String> = (0..count).map(|n| image(layer, n, large)).collect();
        let child = manifests.first().map(String::as_str).unwrap_or_default();
        let index = index(&Digest::of(child.as_bytes()));
        if let Some(last) = manifests.last_mut() {
            *last = index;
        }
        Self(manifests)
    }

    pub(crate) fn manifest(&self, image: Image) -> &str {
        self.0.get(image).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn digest(&self, image: Image) -> String {
        Digest::of(self.manifest(image).as_bytes()).to_string()
    }

    pub(crate) fn digests(&self) -> impl Iterator<Item = String> {
        (0..self.0.len()).map(|image| self.digest(image))
    }

    /// The images that this one refers to.
    pub(crate) fn children(&self, image: Image) -> Vec<String> {
        if image + 1 == self.0.len() { vec![self.digest(0)] } else { Vec::new() }
    }

    fn position(&self, digest: &str) -> Option<Image> {
        self.digests().position(|it| it == digest)
    }

    /// The state of an empty repository.
    pub(crate) fn nothing(&self) -> Repository {
        let index = self.0.len().checked_sub(1).map(|last| (last, 0));
        Repository { index, ..Repository::default() }
    }

    /// The state that the items describe.
    pub(crate) fn state(&self, items: &[Item]) -> Repository {
        let meta = named(items, "#META");
        let tag = |(tag, item): (String, &Item)| {
            Some((tag.strip_prefix('t')?.parse().ok()?, self.position(&string(item, "digest"))?))
        };
        Repository {
            immutable: meta
                .first()
                .is_some_and(|(_, meta)| string(meta, "mutability") == "IMMUTABLE"),
            images: named(items, "IMAGE#").iter().filter_map(|(d, _)| self.position(d)).collect(),
            tags: named(items, "TAG#").into_iter().filter_map(tag).collect(),
            ..self.nothing()
        }
    }

    /// The first invariant that the items break.
    pub(crate) fn broken(&self, items: &[Item]) -> Option<String> {
        let state = self.state(items);
        let (meta, images, tags) =
            (named(items, "#META"), named(items, "IMAGE#"), named(items, "TAG#"));
        let bodies: BTreeSet<String> =
            named(items, "MANIFEST#").into_iter().map(|(digest, _)| digest).collect();
        let counted = meta.first().map_or(0, |(_, meta)| number(meta, "imageCount"));
        let mut broken = Vec::new();
        if counted != images.len() {
            broken.push(format!("imageCount is {counted} of {} images", images.len()));
        }
        if images.len() > IMAGES {
            broken.push(format!("{} images, and the quota is {IMAGES}", images.len()));
        }
        let has_index = state.index.is_some_and(|(index, _)| state.images.contains(&index));
        for (digest, item) in &images {
            let tagged = tags.iter().filter(|(_, tag)| string(tag, "digest") == *digest).count();
            let referrers = usize::from(has_index && self.position(digest) == Some(0));
            if number(item, "tagCount") != tagged || tagged > TAGS {
                broken.push(format!("tagCount of {digest} is not {tagged}, or above {TAGS}"));
            }
            if number(item, "refCount") != referrers {
                broken.push(format!("refCount of {digest} is not {referrers}"));
            }
            if !bodies.contains(digest) && string(item, "bodyKey").is_empty() {
                broken.push(format!("{digest} has no body"));
            }
        }
        if tags.len() != state.tags.len() || state.tags.values().any(|i| !state.images.contains(i))
        {
            broken.push("a tag names an image that does not exist".to_owned());
        }
        if has_index && !state.images.contains(&0) {
            broken.push("a child of an index does not exist".to_owned());
        }
        broken.into_iter().next()
    }
}

/// An image's manifest; a `large` one is stored in S3.
fn image(layer: &Digest, number: usize, large: bool) -> String {
    let filler = "x".repeat(if large { INLINE_BYTES } else { 0 });
    let blob = json!({ "mediaType": "layer", "digest": layer.as_str(), "size": 5 });
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob,
        "layers": [blob],
        "annotations": { "number": number.to_string(), "filler": filler },
    })
    .to_string()
}

fn index(child: &Digest) -> String {
    let child = json!({ "mediaType": "image", "digest": child.as_str(), "size": 1 });
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [child],
    })
    .to_string()
}
