//! Any text as a manifest: one that is accepted has the content that a generic JSON reader finds in
//! it.

#![no_main]

use ecr_registry::manifest::{Manifest, MediaType};
use ecr_registry::names::Digest;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const LAYERS: u64 = 5;

fuzz_target!(|text: &str| {
    let Ok(manifest) = Manifest::parse(text, None, LAYERS) else { return };
    // A value that the service does not read may hold an escaped lone surrogate, which this reader
    // rejects.
    let Ok(json) = serde_json::from_str::<Value>(text) else { return };
    let digests = |member: &str, name: &str| -> Vec<String> {
        let array = json[member].as_array().unwrap();
        array.iter().map(|element| element[name].as_str().unwrap().to_owned()).collect()
    };
    let (version, mut expected) = match manifest.media_type {
        MediaType::DockerSchema1 | MediaType::DockerSchema1Signed => {
            (1, digests("fsLayers", "blobSum"))
        }
        MediaType::DockerList | MediaType::OciIndex => (2, digests("manifests", "digest")),
        MediaType::DockerImage | MediaType::OciImage => {
            let layers = json["layers"].as_array().unwrap();
            assert!((1..=LAYERS as usize).contains(&layers.len()));
            let needed = layers.iter().filter(|layer| {
                let media_type = layer["mediaType"].as_str().unwrap();
                let foreign =
                    media_type.contains("foreign") || media_type.contains("nondistributable");
                !(foreign && layer["urls"].as_array().is_some_and(|urls| !urls.is_empty()))
            });
            let digests = [&json["config"]].into_iter().chain(needed);
            (2, digests.map(|it| it["digest"].as_str().unwrap().to_owned()).collect())
        }
    };
    assert_eq!(json["schemaVersion"], version);
    let mut seen = std::collections::HashSet::new();
    expected.retain(|digest| seen.insert(digest.clone()));
    let found: Vec<&str> =
        manifest.layers().iter().chain(manifest.children()).map(Digest::as_str).collect();
    assert_eq!(found, expected);
    // The manifest's own type and the request's must be equal.
    if let Some(own) = json["mediaType"].as_str() {
        assert_eq!(own, manifest.media_type.as_str());
        assert_eq!(Manifest::parse(text, Some(own), LAYERS).as_ref(), Ok(&manifest));
        assert!(Manifest::parse(text, Some("text/plain"), LAYERS).is_err());
    }
});
