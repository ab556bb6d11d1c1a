//! The events, requests and manifests that tests send.

use ecr_put_image::names::{Digest, RegistryId, Repository, RepositoryName};
use serde_json::{Value, json};

use super::ACCOUNT;

pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A REST v1 event as API Gateway makes it of a request.
pub(crate) fn event(action: &str, account: &str, body: &str) -> Value {
    json!({
        "resource": "/",
        "path": "/",
        "httpMethod": "POST",
        "headers": {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": format!("AmazonEC2ContainerRegistry_V20150921.{action}"),
        },
        "multiValueHeaders": {},
        "requestContext": {
            "httpMethod": "POST",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {
                "accountId": account,
                "userArn": format!("arn:aws:iam::{account}:user/tester"),
            },
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

pub(crate) fn request(repository: &str, manifest: &str, tag: Option<&str>) -> Value {
    let mut request = json!({ "repositoryName": repository, "imageManifest": manifest });
    match tag {
        Some(tag) => request["imageTag"] = json!(tag),
        None => request["imageDigest"] = json!(sha256(manifest)),
    }
    request
}

pub(crate) fn sha256(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

/// A layer of this name, as a descriptor.
pub(crate) fn layer(name: &str) -> Value {
    let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    json!({ "mediaType": media_type, "digest": sha256(name), "size": 5 })
}

/// An image of this name: one config, one layer, both its own.
pub(crate) fn image(name: &str) -> String {
    image_of(&[layer(&format!("layer of {name}"))], name)
}

pub(crate) fn image_of(layers: &[Value], name: &str) -> String {
    let mut config = layer(&format!("config of {name}"));
    config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
    json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE, "config": config, "layers": layers })
        .to_string()
}

/// An index of these manifests.
pub(crate) fn index(children: &[&str]) -> String {
    let child = |child: &&str| json!({ "mediaType": OCI_IMAGE, "digest": sha256(child), "size": child.len() });
    let children: Vec<Value> = children.iter().map(child).collect();
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children }).to_string()
}

/// The config's and the layers' digests, each once.
pub(crate) fn digests_in(manifest: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(manifest).unwrap();
    let layers = json["layers"].as_array().into_iter().flatten();
    let of = |descriptor: &Value| descriptor["digest"].as_str().map(str::to_owned);
    let mut digests: Vec<String> =
        of(&json["config"]).into_iter().chain(layers.filter_map(of)).collect();
    digests.dedup();
    digests
}

pub(crate) fn layer_key(repository: &str, digest: &str) -> String {
    let repository = Repository {
        registry: RegistryId::parse(ACCOUNT.into()).unwrap(),
        name: RepositoryName::parse(repository.into()).unwrap(),
    };
    let digest = Digest::parse(digest).unwrap();
    ecr_put_image::layers::object_key(&repository, &digest)
}
