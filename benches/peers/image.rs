//! The images that are pushed: fifteen layers and a config, and a manifest that is new each time.

use std::sync::atomic::{AtomicU64, Ordering};

use ecr_registry::names::Digest;
use serde_json::json;

pub(crate) const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYERS: usize = 15;
/// The placeholder for the number that makes each manifest new.
const NUMBER: &str = "0000000000000000";

/// A layer or a config.
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

/// The blobs of every image, the config first.
pub(crate) fn blobs() -> Vec<Blob> {
    let blob = |number| {
        let bytes = format!("the bytes of blob {number:02}").into_bytes();
        Blob { digest: Digest::of(&bytes), bytes }
    };
    (0..=LAYERS).map(blob).collect()
}

/// Manifests of one size.
pub(crate) struct Manifests(String);

impl Manifests {
    /// Manifests of `size` bytes, padded with annotations of about a hundred bytes each.
    pub(crate) fn of_size(size: usize) -> Self {
        let descriptor = |kind: &str, blob: &Blob| {
            json!({
                "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": blob.digest.as_str(),
                "size": blob.bytes.len(),
            })
        };
        let blobs = blobs();
        let (config, layers) = blobs.split_first().unwrap();
        let layers: Vec<_> = layers.iter().map(|blob| descriptor("layer.v1.tar", blob)).collect();
        let image = json!({
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE,
            "config": descriptor("config.v1+json", config),
            "layers": layers,
        });
        let image = image.to_string();
        let end = format!("}},{}", image.strip_prefix('{').unwrap());
        let mut text = format!("{{\"annotations\":{{\"number\":\"{NUMBER}\"");
        for entry in 0.. {
            let name = format!(",\"org.example.annotation.{entry:06}\":");
            let left = size - text.len() - name.len() - "\"\"".len() - end.len();
            // The last annotation takes the rest.
            let value = "x".repeat(if left < 200 { left } else { 98 });
            text = text + &name + "\"" + &value + "\"";
            if left < 200 {
                break;
            }
        }
        Self(text + &end)
    }

    /// A manifest that no registry has yet, and a tag for it.
    pub(crate) fn next(&self) -> (String, String) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = format!("{:016}", NEXT.fetch_add(1, Ordering::Relaxed));
        let tag = format!("v{number}");
        (self.0.replacen(NUMBER, &number, 1), tag)
    }
}
