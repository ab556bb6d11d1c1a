//! OCI image layouts, whole and broken.

use std::fs;

use ecr_registry::names::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// `sha256:` and the hexadecimal digest.
pub(crate) fn digest(content: &[u8]) -> String {
    Digest::of(content).to_string()
}

/// A layout in a temporary directory.
pub(crate) struct Layout {
    directory: TempDir,
    /// The descriptors of its manifests, in the order in which they are written.
    manifests: Vec<Value>,
    /// The digests of configs and layers.
    blobs: Vec<String>,
}

impl Layout {
    /// An index of two images that share a layer, 17 bytes in every blob.
    pub(crate) fn of_two_platforms(name: &str) -> Self {
        let mut layout = Self::empty();
        let mut children = Vec::new();
        for (number, platform) in [
            (1, json!({ "os": "linux", "architecture": "amd64" })),
            (2, json!({ "os": "linux", "architecture": "arm64", "variant": "v8" })),
        ] {
            let config = layout.blob(CONFIG, &format!(r#"{{"config":     {number}}}"#));
            let own = layout.blob(LAYER, &format!("the own layer, {number} "));
            let shared = layout.blob(LAYER, "the shared layer ");
            let mut child = layout.image(&config, &[shared, own]);
            child["platform"] = platform;
            children.push(child);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children });
        let mut index = layout.manifest(INDEX, &format!("{index:#}\n"));
        index["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        layout.index(&[index]);
        layout
    }

    /// Unrelated images, named or unnamed.
    pub(crate) fn of_images(names: &[Option<&str>]) -> Self {
        let mut layout = Self::empty();
        let mut images = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let config = layout.blob(CONFIG, "{}");
            let layer = layout.blob(LAYER, &format!("layer {number}"));
            let mut image = layout.image(&config, &[layer]);
            if let Some(name) = name {
                image["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
            }
            images.push(image);
        }
        layout.index(&images);
        layout
    }

    /// An image whose layer is named by sha512; the layer is `content`.
    pub(crate) fn of_a_sha512_layer(content: &str) -> Self {
        let mut layout = Self::empty();
        let config = layout.blob(CONFIG, "{}");
        // The SHA-512 digest of the bytes "layer".
        let digest = concat!(
            "sha512:",
            "b030eade3c76066e854afde060a58d562e103878b92ba17586070c1373c0c31f",
            "8c80389eeabbc1370284d983fb066f2c1cee3ad22fd5c580223a13efc5e31832",
        )
        .to_owned();
        fs::create_dir(layout.directory.path().join("blobs/sha512")).unwrap();
        layout.write(&Self::file_of(&digest), content);
        layout.blobs.push(digest.clone());
        let layer = json!({ "mediaType": LAYER, "digest": digest, "size": content.len() });
        let image = layout.image(&config, &[layer]);
        layout.index(&[image]);
        layout
    }

    fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
        let layout = Self { directory, manifests: Vec::new(), blobs: Vec::new() };
        layout.write("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        layout
    }

    pub(crate) fn path(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    /// The digests of its manifests.
    pub(crate) fn manifests<const N: usize>(&self) -> [&str; N] {
        let digests = self.manifests.iter().map(|manifest| manifest["digest"].as_str().unwrap());
        digests.collect::<Vec<_>>().try_into().unwrap()
    }

    /// The keys of its blobs under a repository's prefix, sorted.
    pub(crate) fn keys(&self, repository: &str) -> Vec<String> {
        let keys = self.blobs.iter().map(|d| format!("{repository}/{}", d.replace(':', "/")));
        let mut keys: Vec<_> = keys.collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn image(&mut self, config: &Value, layers: &[Value]) -> Value {
        let image = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers
        });
        self.manifest(IMAGE, &image.to_string())
    }

    fn manifest(&mut self, media_type: &str, text: &str) -> Value {
        let descriptor = self.descriptor(media_type, text.as_bytes());
        self.manifests.push(descriptor.clone());
        descriptor
    }

    fn blob(&mut self, media_type: &str, content: &str) -> Value {
        self.blobs.push(digest(content.as_bytes()));
        self.descriptor(media_type, content.as_bytes())
    }

    /// Writes a file under its digest.
    fn descriptor(&self, media_type: &str, content: &[u8]) -> Value {
        let digest = digest(content);
        self.write(&format!("blobs/{}", digest.replace(':', "/")), content);
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    }

    fn index(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        self.write("index.json", index.to_string());
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.directory.path().join(name), content).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).unwrap();
    }

    fn file_of(digest: &str) -> String {
        format!("blobs/{}", digest.replace(':', "/"))
    }

    fn last_blob(&self) -> String {
        Self::file_of(self.blobs.last().unwrap())
    }

    /// Makes a manifest of these bytes the layout's only one.
    fn only(&mut self, media_type: &str, content: &[u8]) {
        let manifest = self.descriptor(media_type, content);
        self.index(&[manifest]);
    }
}

type Break = fn(&mut Layout);

/// Ways to break a layout of two platforms, and the message for each.
pub(crate) const WAYS_TO_BREAK: [(Break, &str); 17] = [
    (|layout| layout.remove("oci-layout"), "not an OCI image layout: oci-layout: No such file"),
    (|layout| layout.write("oci-layout", "1.0.0"), "not an OCI image layout"),
    (
        |layout| layout.write("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#),
        "version 2.0.0 of the layout is unknown",
    ),
    (|layout| layout.remove("index.json"), "index.json: No such file"),
    (|layout| layout.write("index.json", "{"), "index.json: "),
    (|layout| layout.index(&[]), "index.json names no image"),
    (|layout| layout.remove(&layout.last_blob()), "is missing"),
    (
        |layout| layout.write(&layout.last_blob(), "the shared layer, longer"),
        "24 bytes, and not 17",
    ),
    (|layout| layout.write(&layout.last_blob(), "the xhared layer "), "its digest is sha256:"),
    (
        |layout| {
            let [first, ..]: [&str; 3] = layout.manifests();
            layout.remove(&Layout::file_of(first));
        },
        "is missing",
    ),
    (
        |layout| {
            let [_, second, _] = layout.manifests();
            let file = Layout::file_of(second);
            let text = fs::read_to_string(layout.directory.path().join(&file)).unwrap();
            layout.write(&file, text.replace("config", "konfig"));
        },
        "its digest is sha256:",
    ),
    (
        |layout| {
            let mut index = layout.manifests[2].clone();
            index["size"] = json!(1);
            layout.index(&[index]);
        },
        "bytes, and not 1",
    ),
    (
        |layout| {
            let mut index = layout.manifests[2].clone();
            index["digest"] = json!("sha256:../../index.json");
            layout.index(&[index]);
        },
        "index.json: ",
    ),
    (
        |layout| {
            // The index says that it is an image, but its bytes are an index.
            let mut index = layout.manifests[2].clone();
            index["mediaType"] = json!(IMAGE);
            layout.index(&[index]);
        },
        "Invalid JSON syntax",
    ),
    (|layout| layout.only(IMAGE, b"{"), "Invalid JSON syntax"),
    (|layout| layout.only(IMAGE, b"{\"schemaVersion\":2,\"\xff\":1}"), "invalid utf-8"),
    (
        |layout| {
            let empty = layout.blob(CONFIG, "{}");
            layout.image(&empty, &[]);
            layout.index(&[layout.manifests[3].clone()]);
        },
        "Image has to have at least 1 layer",
    ),
];
