//! Manifests of images and indexes.

use ecr_registry::names::Digest;
use serde_json::{Value, json};

/// The media type of OCI image manifests.
pub const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of OCI image indexes.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// `sha256:` and the hash of `text`.
#[must_use]
pub fn sha256(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

/// The descriptor of the layer with this content.
#[must_use]
pub fn layer(content: &str) -> Value {
    let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    json!({ "mediaType": media_type, "digest": sha256(content), "size": 5 })
}

/// An image of this name, with a config and a layer of its own.
#[must_use]
pub fn image(name: &str) -> String {
    image_of(&[layer(&format!("layer of {name}"))], name)
}

/// An image of these layers, with a config of its own.
#[must_use]
pub fn image_of(layers: &[Value], name: &str) -> String {
    let config = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": sha256(&format!("config of {name}")),
        "size": 5,
    });
    json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE, "config": config, "layers": layers })
        .to_string()
}

/// An index of the images with these manifests.
#[must_use]
pub fn index(children: &[&str]) -> String {
    let child = |child: &&str| json!({ "mediaType": OCI_IMAGE, "digest": sha256(child), "size": child.len() });
    let children: Vec<Value> = children.iter().map(child).collect();
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children }).to_string()
}

/// The digests of an image's config and layers, each once.
#[must_use]
pub fn digests_in(manifest: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(manifest).unwrap_or_default();
    let layers = json.get("layers").and_then(Value::as_array).into_iter().flatten();
    let of = |descriptor: &Value| Some(descriptor.get("digest")?.as_str()?.to_owned());
    let config = json.get("config").and_then(of);
    let mut digests: Vec<String> = config.into_iter().chain(layers.filter_map(of)).collect();
    digests.dedup();
    digests
}
