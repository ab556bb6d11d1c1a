//! Manifests from registries, and digests published by other projects, from the folder `../shared`.
//! They belong to other projects, so this repository holds no copy of them.
//!
//! `cargo test --test service real_manifests -- --ignored`

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::*;

const CODE: &str = "InvalidParameterException";

fn shared(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path)
}

/// Stores everything that a manifest refers to in the repository. Children are stored as images.
async fn provide(service: &Service, manifest: &Value) {
    let blobs = manifest["layers"].as_array().into_iter().flatten().chain([&manifest["config"]]);
    let blobs = blobs.map(|descriptor| &descriptor["digest"]);
    let fs_layers = manifest["fsLayers"].as_array().into_iter().flatten();
    for digest in blobs.chain(fs_layers.map(|layer| &layer["blobSum"])).filter_map(Value::as_str) {
        if ecr_registry::names::Digest::parse(digest).is_some() {
            service.upload_layer("app", digest).await;
        }
    }
    let children = manifest["manifests"].as_array().into_iter().flatten();
    for digest in children.filter_map(|child| child["digest"].as_str()) {
        service.put_image_item("app", digest).await;
    }
}

#[tokio::test]
#[ignore = "reads the folder ../shared, which is not part of the repository"]
async fn real_manifests_have_their_recorded_outcome() {
    let folder = shared("manifests");
    let table = std::fs::read_to_string(folder.join("outcomes.tsv")).unwrap();
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let [file, requested, outcome, digest, text, needed] =
            row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let manifest = std::fs::read_to_string(folder.join(file)).unwrap();
        let service = Service::start().await;
        if let Ok(json) = serde_json::from_str(&manifest) {
            provide(&service, &json).await;
        }
        let mut body = request("app", &manifest, Some("v1"));
        if requested != "-" {
            body["imageManifestMediaType"] = json!(requested);
        }
        if outcome == "refuse" {
            service.rejects(body, CODE, &invalid("ImageManifest", text)).await;
        } else {
            let parsed = ecr_registry::manifest::Manifest::parse(
                &manifest,
                (requested != "-").then_some(requested),
                500,
            );
            let parsed = parsed.unwrap();
            let count = parsed.layers().len() + parsed.children().len();
            assert_eq!(count.to_string(), needed, "{file}");
            let response = service.put(body).await;
            assert_eq!(response.digest(), digest, "{file}");
            assert_eq!(response.json["image"]["imageManifestMediaType"], text, "{file}");
            assert_eq!(response.json["image"]["imageManifest"], manifest.as_str(), "{file}");
            let body = service.manifest_item("app", digest).await;
            match body {
                Some(item) => {
                    assert_eq!(item["body"].as_b().unwrap().as_ref(), manifest.as_bytes());
                }
                None => assert_eq!(service.stored().await.bodies.len(), 1, "{file}"),
            }
        }
        rows += 1;
    }
    assert!(rows > 40, "{rows} rows");
}

#[tokio::test]
#[ignore = "reads the folder ../shared, which is not part of the repository"]
async fn published_digests_are_reproduced() {
    let vectors = std::fs::read_to_string(shared("spec/digest-vectors.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&vectors).unwrap();
    assert!(!vectors.is_empty());
    let service = Service::start().await;
    for vector in vectors {
        let manifest = vector["imageManifest"].as_str().unwrap();
        let response = service.push("app", manifest, Some("v1")).await;
        assert_eq!(response.digest(), vector["imageDigest"], "{}", vector["source"]);
    }
}
