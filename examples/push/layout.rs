//! An image in an OCI image layout, read and verified:
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Algorithm, Context, SHA256, SHA512};
use ecr_registry::manifest::{Manifest as Parsed, References};
use ecr_registry::names::{Digest, ImageTag};
use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, ImageIndex, ImageManifest, OciLayout, Platform,
};

/// ECR's largest manifest, in bytes.
const MAX_MANIFEST: u64 = 4_194_304;
/// S3's largest object of a single PUT, in bytes.
const MAX_BLOB: u64 = 5 * 1024 * 1024 * 1024;

/// The image to push, with all its manifests.
pub(crate) struct Image {
    /// The tag of [`Image::root`].
    pub(crate) tag: ImageTag,
    /// The requested image or index.
    pub(crate) root: Digest,
    /// Each manifest after those that it refers to, so the root last.
    pub(crate) manifests: Vec<Manifest>,
}

/// A manifest of the image.
pub(crate) struct Manifest {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    /// The manifest, byte for byte.
    pub(crate) text: String,
    /// `os/architecture`, and a variant if there is one, from the index that lists the manifest.
    pub(crate) platform: Option<String>,
    pub(crate) content: Content,
}

/// What a manifest refers to.
pub(crate) enum Content {
    /// An image's config and layers.
    Blobs(Vec<Blob>),
    /// The number of manifests in an index.
    Children(usize),
}

/// A file of the layout.
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) path: PathBuf,
}

/// Reads the image named `tag`, or the only one, from the layout in `directory`, and verifies the
/// sizes and digests of all its manifests and blobs.
///
/// # Errors
/// One sentence that says what is broken, or lists the images to choose from.
pub(crate) fn read(directory: &Path, tag: Option<ImageTag>) -> Result<Image, String> {
    let not_a_layout = |error| format!("not an OCI image layout: oci-layout: {error}");
    let file = File::open(directory.join("oci-layout")).map_err(|e| not_a_layout(e.to_string()))?;
    let layout = OciLayout::from_reader(file).map_err(|e| not_a_layout(e.to_string()))?;
    if layout.image_layout_version() != "1.0.0" {
        return Err(format!("version {} of the layout is unknown", layout.image_layout_version()));
    }
    let unreadable = |error| format!("index.json: {error}");
    let file = File::open(directory.join("index.json")).map_err(|e| unreadable(e.to_string()))?;
    let index = ImageIndex::from_reader(file).map_err(|e| unreadable(e.to_string()))?;

    let root = choose(index.manifests(), tag.as_ref())?;
    let tag = match (tag, name(root)) {
        (Some(tag), _) => Ok(tag),
        (None, Some(name)) => ImageTag::parse(name.to_owned())
            .map_err(|_| format!("the image's name {name:?} is no tag: say REPOSITORY:TAG")),
        (None, None) => ImageTag::parse("latest".to_owned()).map_err(|unmet| unmet.to_string()),
    }?;
    let mut reader = Reader { directory, verified: HashSet::new(), manifests: Vec::new() };
    let root = reader.read_manifest(root)?;
    Ok(Image { tag, root, manifests: reader.manifests })
}

/// The manifest that the layout names `tag`, else its only manifest.
fn choose<'a>(
    manifests: &'a [Descriptor],
    tag: Option<&ImageTag>,
) -> Result<&'a Descriptor, String> {
    let named = tag.and_then(|tag| manifests.iter().find(|m| name(m) == Some(tag.as_str())));
    match (named, manifests) {
        (Some(manifest), _) | (None, [manifest]) => Ok(manifest),
        (None, []) => Err("index.json names no image".to_owned()),
        (None, several) => {
            let choices = several.iter().map(|m| name(m).unwrap_or("(unnamed)"));
            let choices = choices.collect::<Vec<_>>().join(", ");
            Err(format!("choose one of its images with REPOSITORY:TAG: {choices}"))
        }
    }
}

fn name(manifest: &Descriptor) -> Option<&str> {
    manifest.annotations().as_ref()?.get(ANNOTATION_REF_NAME).map(String::as_str)
}

struct Reader<'a> {
    directory: &'a Path,
    /// The blobs whose digests were verified.
    verified: HashSet<Digest>,
    manifests: Vec<Manifest>,
}

impl Reader<'_> {
    /// Reads a manifest after those that it refers to.
    fn read_manifest(&mut self, descriptor: &Descriptor) -> Result<Digest, String> {
        let Blob { digest, size, path } = self.find(descriptor)?;
        if self.manifests.iter().any(|manifest| manifest.digest == digest) {
            return Ok(digest);
        }
        let faulty = |why: &dyn fmt::Display| format!("manifest {digest}: {why}");
        if size > MAX_MANIFEST {
            return Err(faulty(&format_args!("longer than ECR's {MAX_MANIFEST} bytes")));
        }
        let bytes = fs::read(path).map_err(|error| faulty(&error))?;
        let actual = Digest::of(&bytes);
        if actual != digest {
            return Err(faulty(&format_args!("its digest is {actual}")));
        }
        let text = String::from_utf8(bytes).map_err(|error| faulty(&error))?;
        let media_type = descriptor.media_type().to_string();
        // Parsed as the service does, so that it does not reject an image that is half pushed.
        let parsed = Parsed::parse(&text, Some(&media_type), u64::MAX);
        let content = match parsed.map_err(|unmet| faulty(&unmet))?.references {
            References::Layers(needed) => {
                let manifest =
                    ImageManifest::from_reader(text.as_bytes()).map_err(|error| faulty(&error))?;
                Content::Blobs(self.read_blobs(&manifest, &needed)?)
            }
            References::Children(_) => {
                let index =
                    ImageIndex::from_reader(text.as_bytes()).map_err(|error| faulty(&error))?;
                for child in index.manifests() {
                    self.read_manifest(child)?;
                }
                Content::Children(index.manifests().len())
            }
        };
        let platform = descriptor.platform().as_ref().map(platform);
        self.manifests.push(Manifest {
            digest: digest.clone(),
            media_type,
            text,
            platform,
            content,
        });
        Ok(digest)
    }

    /// The blobs of an image, except those that the registry does not need, because other servers
    /// distribute them.
    fn read_blobs(
        &mut self,
        manifest: &ImageManifest,
        needed: &[Digest],
    ) -> Result<Vec<Blob>, String> {
        let mut blobs: Vec<Blob> = Vec::new();
        for descriptor in std::iter::once(manifest.config()).chain(manifest.layers()) {
            if !needed.iter().any(|digest| digest.as_str() == descriptor.digest().to_string()) {
                continue;
            }
            let blob = self.find(descriptor)?;
            if blob.size > MAX_BLOB {
                return Err(format!("blob {}: longer than {MAX_BLOB} bytes", blob.digest));
            }
            if self.verified.insert(blob.digest.clone()) {
                verify(&blob).map_err(|why| format!("blob {}: {why}", blob.digest))?;
            }
            if blobs.iter().all(|other| other.digest != blob.digest) {
                blobs.push(blob);
            }
        }
        Ok(blobs)
    }

    /// The file of a blob, if it exists and has the right size.
    fn find(&self, descriptor: &Descriptor) -> Result<Blob, String> {
        let digest = descriptor.digest().to_string();
        let digest = Digest::parse(&digest).ok_or_else(|| format!("unknown digest {digest}"))?;
        let path = self.directory.join("blobs").join(digest.algorithm()).join(digest.hex());
        let size = match fs::metadata(&path) {
            Ok(file) if file.is_file() => file.len(),
            Ok(_) => return Err(format!("blob {digest}: not a file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!("blob {digest} is missing"));
            }
            Err(error) => return Err(format!("blob {digest}: {error}")),
        };
        if size != descriptor.size() {
            return Err(format!("blob {digest}: {size} bytes, and not {}", descriptor.size()));
        }
        Ok(Blob { digest, size, path })
    }
}

/// Reads a blob, a piece at a time, and compares its digest.
fn verify(Blob { digest, path, .. }: &Blob) -> Result<(), String> {
    let algorithm = if digest.algorithm() == "sha512" { &SHA512 } else { &SHA256 };
    let hex = hash(algorithm, path).map_err(|error| error.to_string())?;
    if hex == digest.hex() {
        Ok(())
    } else {
        Err(format!("its digest is {}:{hex}", digest.algorithm()))
    }
}

/// The digest of a file in hexadecimal digits. The crate `sha2` would take seconds for a layer in a
/// debug build.
fn hash(algorithm: &'static Algorithm, path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = Context::new(algorithm);
    let mut piece = vec![0; 128 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => context.update(piece.get(..read).unwrap_or_default()),
        }
    }
    Ok(context.finish().as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

fn platform(platform: &Platform) -> String {
    let variant = platform.variant().as_ref().map(|variant| format!("/{variant}"));
    format!("{}/{}{}", platform.os(), platform.architecture(), variant.unwrap_or_default())
}
