//! Every file of `events/` and the whole response to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::prepared::Prepared;

#[test]
fn every_file_has_its_expectation() {
    let files: Vec<String> = files().into_keys().collect();
    let mut expected: Vec<&str> = expectations("", "").iter().map(|(file, ..)| *file).collect();
    expected.sort_unstable();
    assert_eq!(files, expected);
}

#[tokio::test]
async fn every_file_gets_its_response() {
    let prepared = Prepared::start().await;
    for (file, event) in files() {
        prepared.responds_as_expected(&file, &event).await;
    }
}

#[tokio::test]
async fn the_order_of_the_files_does_not_matter() {
    let prepared = Prepared::start().await;
    for (file, event) in files().into_iter().rev() {
        prepared.responds_as_expected(&file, &event).await;
    }
}

/// The events, by the names of their files without `.json`.
fn files() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let events = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "json"));
    events
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        })
        .collect()
}

impl Prepared {
    async fn responds_as_expected(&self, file: &str, event: &Value) {
        let expectations = expectations(&self.sample_manifest, &self.key);
        let (_, status, body) = expectations.iter().find(|(name, ..)| *name == file).unwrap();

        let mut response = self.function.response_to(event).await;
        let text = response["body"].take();
        let mut actual: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        if let Some(created) = actual.get_mut("repository").and_then(Value::as_object_mut) {
            let created_at = created.remove("createdAt").expect("when it was created");
            assert!(created_at.is_f64(), "{file}: seconds since 1970, not {created_at}");
        }
        assert_eq!(actual, *body, "{file}");

        let mut headers = json!({
            "content-type": "application/x-amz-json-1.1",
            "x-amzn-requestid": event["requestContext"]["requestId"],
        });
        if headers["x-amzn-requestid"].is_null() {
            let new = response["headers"]["x-amzn-requestid"].take();
            assert!(uuid::Uuid::parse_str(new.as_str().unwrap()).is_ok(), "{file}: {new}");
        }
        if let Some(code) = body.get("__type") {
            headers["x-amzn-errortype"] = code.clone();
        }
        let mut expected = json!({
            "statusCode": status,
            "headers": headers,
            "multiValueHeaders": {},
            "body": null,
            "isBase64Encoded": false,
        });
        if event["version"] == "2.0" {
            expected["cookies"] = json!([]);
        }
        assert_eq!(response, expected, "{file}");
    }
}

/// File, status and body of each response.
fn expectations(sample: &str, key: &str) -> Vec<(&'static str, u16, Value)> {
    let mut all = vec![
        (
            "put-image-untagged",
            200,
            json!({ "image": {
                "registryId": "012345678910",
                "repositoryName": "amazonlinux",
                "imageId": { "imageDigest": UNTAGGED_DIGEST },
                "imageManifest": UNTAGGED,
                "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            }}),
        ),
        (
            "create-repository",
            200,
            json!({ "repository": {
                "repositoryArn": "arn:aws:ecr:us-west-2:012345678910:repository/team/web",
                "registryId": "012345678910",
                "repositoryName": "team/web",
                "repositoryUri": "012345678910.dkr.ecr.us-west-2.amazonaws.com/team/web",
                "imageTagMutability": "IMMUTABLE",
                "imageScanningConfiguration": { "scanOnPush": true },
                "encryptionConfiguration": { "encryptionType": "AES256" },
            }}),
        ),
        (
            "create-repository-kms",
            200,
            json!({ "repository": {
                "repositoryArn": "arn:aws:ecr:us-west-2:012345678910:repository/team/secrets",
                "registryId": "012345678910",
                "repositoryName": "team/secrets",
                "repositoryUri": "012345678910.dkr.ecr.us-west-2.amazonaws.com/team/secrets",
                "imageTagMutability": "MUTABLE",
                "imageScanningConfiguration": { "scanOnPush": false },
                "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": key },
            }}),
        ),
        (
            "kms",
            400,
            json!({
                "__type": "KmsException",
                "message": "KMS answered DisabledException for the encryption key of the \
                    repository with name 'sealed' in the registry with id '012345678910'",
                "kmsError": "DisabledException",
            }),
        ),
        (
            "server",
            500,
            json!({
                "__type": "ServerException",
                "message": "The request could not be completed because of a failure of the \
                    service. Request id: 084038f1-c3cc-11e6-8d10-000000000012",
            }),
        ),
    ];
    all.extend(SAMPLE_PUSHES.map(|(file, tag)| {
        let image = json!({
            "registryId": "012345678910",
            "repositoryName": "amazonlinux",
            "imageId": {
                "imageDigest": "sha256:f1d4ae3f7261a72e98c6ebefe9985cf10a0ea5bd762585a43e0700ed99863807",
                "imageTag": tag,
            },
            "imageManifest": sample,
            "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
        });
        (file, 200, json!({ "image": image }))
    }));
    all.extend(REJECTIONS.map(|(file, code, message)| {
        let status = if file.starts_with("unknown-operation") { 404 } else { 400 };
        (file, status, json!({ "__type": code, "message": message }))
    }));
    all
}

/// Files that push the API reference's sample, and the tag in each of them.
const SAMPLE_PUSHES: [(&str, &str); 7] = [
    ("put-image", "2016.09"),
    ("put-image-at-push", "push"),
    ("put-image-custom-domain", "custom-domain"),
    ("put-image-payload-2", "payload-2"),
    ("put-image-function-url", "function-url"),
    ("put-image-cargo-lambda", "cargo-lambda"),
    ("put-image-load-balancer", "load-balancer"),
];

/// File, code and message.
const REJECTIONS: [(&str, &str, &str); 15] = [
    (
        "image-already-exists",
        "ImageAlreadyExistsException",
        "Image with digest 'sha256:f1d4ae3f7261a72e98c6ebefe9985cf10a0ea5bd762585a43e0700ed99863807' \
         and tag '2016.09' already exists in the repository with name 'released' in registry \
         with id '012345678910'",
    ),
    (
        "image-tag-already-exists",
        "ImageTagAlreadyExistsException",
        "The image tag '2016.09' already exists in the 'released' repository and cannot be \
         overwritten because the tag is immutable.",
    ),
    (
        "image-digest-does-not-match",
        "ImageDigestDoesNotMatchException",
        "The image with digest 'sha256:0000000000000000000000000000000000000000000000000000000000000000' \
         in repository 'amazonlinux' and registry ID '012345678910' does not match the image \
         digest that Amazon ECR has calculated.",
    ),
    (
        "layers-not-found",
        "LayersNotFoundException",
        "Layers with digests '[sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, \
         sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb]' required for \
         pushing image into repository with name 'amazonlinux' in the registry with id \
         '012345678910' do not exist",
    ),
    (
        "referenced-images-not-found",
        "ReferencedImagesNotFoundException",
        "Images with digests '[sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc, \
         sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd]' required for \
         pushing image into repository with name 'amazonlinux' in the registry with id \
         '012345678910' do not exist",
    ),
    (
        "repository-not-found",
        "RepositoryNotFoundException",
        "The repository with name 'nowhere' does not exist in the registry with id '012345678910'",
    ),
    (
        "invalid-parameter",
        "InvalidParameterException",
        "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular \
         expression '[a-zA-Z0-9-_.]+''",
    ),
    (
        "access-denied",
        "AccessDeniedException",
        "User: arn:aws:iam::012345678910:user/developer is not authorized to perform: \
         ecr:PutImage on resource: arn:aws:ecr:us-west-2:109876543210:repository/amazonlinux \
         because no resource-based policy allows the ecr:PutImage action",
    ),
    ("access-denied-at-pull", "AccessDeniedException", DENIED_AT_RESOURCE),
    ("access-denied-at-push", "AccessDeniedException", DENIED_AT_RESOURCE),
    (
        "unknown-operation-at-another-path",
        "UnknownOperationException",
        "The requested operation is not recognized by the service",
    ),
    (
        "limit-exceeded",
        "LimitExceededException",
        "The repository with name 'full' in registry with id '012345678910' already has the \
         maximum allowed number of images which is '100000'",
    ),
    (
        "serialization",
        "SerializationException",
        "The request body could not be read: it is not one JSON object",
    ),
    (
        "unknown-operation",
        "UnknownOperationException",
        "The requested operation is not recognized by the service",
    ),
    (
        "repository-already-exists",
        "RepositoryAlreadyExistsException",
        "The repository with name 'amazonlinux' already exists in the registry with id \
         '012345678910'",
    ),
];

const DENIED_AT_RESOURCE: &str = "User: arn:aws:iam::012345678910:user/developer is not authorized to perform: \
     ecr:CreateRepository on resource: * because no identity-based policy allows the \
     ecr:CreateRepository action";

const UNTAGGED_DIGEST: &str =
    "sha256:029a23de272ee695e704e77ff8082302a5cd6ba18c221a45f73e96ea80144952";
const UNTAGGED: &str = r#"{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:5b52b314511a611975c2c65e695d920acdf8ae8848fe0ef00b7d018d1f118b64", "size": 1486}, "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:8e3fa21c4cc40232e835a6761332d225c7af3235c5755f44ada2ed9d0e4ab7e8", "size": 91768077}], "annotations": {"org.opencontainers.image.version": "2017.03"}}"#;
