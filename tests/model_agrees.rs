//! The model and the function send the same transactions, with the same conditions and updates, in
//! every situation. What `push-model` proves about its rows therefore holds for the function's.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::primitives::ByteStream;
use ecr_registry::names::{Digest, RegistryId, RepositoryName, RepositoryRef};
use ecr_registry::{App, Config, layer_key};
use lambda_runtime::{Context, LambdaEvent};
use local_aws::{Faults, Options, Stack};
use push_model::commit::SITUATIONS;
use push_model::rows::{ROWS, Row};
use serde_json::{Value, json};
use testing::{ACCOUNT, index};

const OCI: &str = "application/vnd.oci.image";

/// The function, and its requests to the table.
struct Service {
    app: App,
    calls: Faults,
    s3: aws_sdk_s3::Client,
    stack: Stack,
}

impl Service {
    /// With repository `app`. All of its images have the same uploaded layer.
    async fn start() -> Self {
        let stack = Stack::start(Options::default()).await.unwrap();
        let options = stack.options();
        let config = Config::read(|name| options.variable(name)).unwrap();
        let calls = Faults::new();
        let app = App::new(config, &calls.sdk_config(&stack));
        let s3 = aws_sdk_s3::Client::new(&stack.sdk_config());
        let service = Self { app, calls, s3, stack };
        service.call("CreateRepository", &json!({ "repositoryName": "app" })).await;
        service.upload_layer().await;
        service
    }

    async fn call(&self, action: &str, body: &Value) {
        let event = testing::event(action, ACCOUNT, &body.to_string());
        let event = LambdaEvent::new(event, Context::default());
        let response = local::invoke(&self.app, event).await;
        assert_eq!(response["statusCode"], 200, "{}", response["body"]);
    }

    async fn upload_layer(&self) {
        let repository = RepositoryRef {
            registry: RegistryId::parse(ACCOUNT.into()).unwrap(),
            name: RepositoryName::parse("app".into()).unwrap(),
        };
        let key = layer_key(&repository, &Digest::of(b"layer"));
        let bucket = &self.stack.options().layer_bucket;
        let body = ByteStream::from_static(b"layer");
        self.s3.put_object().bucket(bucket).key(key).body(body).send().await.unwrap();
    }

    async fn put(&self, manifest: &str, tag: Option<&str>) {
        let digest = Digest::of(manifest.as_bytes()).to_string();
        let mut body = json!({
            "repositoryName": "app",
            "imageManifest": manifest,
            "imageDigest": digest,
        });
        if let Some(tag) = tag {
            body["imageTag"] = json!(tag);
        }
        self.call("PutImage", &body).await;
    }

    /// Pushes, and returns the rows that were sent.
    async fn rows_of(&self, manifest: &str, tag: Option<&str>) -> Vec<&'static str> {
        self.calls.reset_calls();
        self.put(manifest, tag).await;
        let calls = self.calls.calls();
        let mut commits = calls.iter().filter(|call| call.operation == "TransactWriteItems");
        let commit: Value = serde_json::from_slice(&commits.next().unwrap().body).unwrap();
        assert!(commits.next().is_none(), "nobody else was there");
        let actions = commit["TransactItems"].as_array().unwrap();
        actions.iter().map(|action| row_of(action).name).collect()
    }
}

/// An image of this name.
fn image(name: &str) -> String {
    let layer = |kind: &str| {
        let media_type = format!("{OCI}.{kind}");
        json!({ "mediaType": media_type, "digest": Digest::of(b"layer").to_string(), "size": 5 })
    };
    json!({
        "schemaVersion": 2,
        "mediaType": format!("{OCI}.manifest.v1+json"),
        "config": layer("config.v1+json"),
        "layers": [layer("layer.v1.tar+gzip")],
        "annotations": { "name": name },
    })
    .to_string()
}

/// The model's row for an action of a transaction. An action without a row is not checked by the
/// model.
fn row_of(action: &Value) -> &'static Row {
    let (operation, action) = action.as_object().unwrap().iter().next().unwrap();
    let key = action.get("Item").or(action.get("Key")).unwrap();
    let sort_key = key["SK"]["S"].as_str().unwrap();
    let condition = action["ConditionExpression"].as_str();
    let update = action.get("UpdateExpression").map(|text| text.as_str().unwrap().to_owned());
    let is_it = |row: &&&Row| {
        *operation == format!("{:?}", row.operation)
            && sort_key.starts_with(row.item.sort_key_prefix())
            && condition == Some(row.condition_expression().as_str())
            && update == row.update_expression()
    };
    ROWS.iter().find(is_it).unwrap_or_else(|| {
        unreachable!("the model has no {operation} of {sort_key}: {condition:?}, {update:?}")
    })
}

#[tokio::test]
async fn the_function_sends_exactly_the_rows_of_the_model() {
    let service = Service::start().await;
    let (new, large) = (image("new"), image(&"large ".repeat(12_000)));
    let (x, y) = (image("x"), image("y"));
    service.put(&x, Some("x")).await;
    service.put(&y, None).await;
    let small = index(&[&x, &y]);
    let mut children = Vec::new();
    for n in 0..91 {
        let child = image(&format!("child {n}"));
        service.put(&child, None).await;
        children.push(child);
    }

    // The order matters: each push finds what earlier ones stored and tagged.
    let pushes = [
        ("new", &new, None),
        ("new, with a new tag", &image("tagged"), Some("tag")),
        ("new, and takes a tag", &image("takes"), Some("tag")),
        ("stored, with a new tag", &new, Some("other")),
        ("stored, and takes a tag", &new, Some("tag")),
        ("new and spilled", &large, Some("large")),
        ("an index", &index(&[&y, &new]), Some("index")),
        ("an index that takes a child's tag", &small, Some("x")),
        (
            "a big index",
            &index(&children.iter().map(String::as_str).collect::<Vec<_>>()),
            Some("big"),
        ),
    ];
    let mut sent = BTreeMap::new();
    for (situation, manifest, tag) in pushes {
        sent.insert(situation, service.rows_of(manifest, tag).await);
    }
    service.put(&x, Some("back")).await;
    let situation = "a stored index, and takes a child's tag";
    sent.insert(situation, service.rows_of(&small, Some("back")).await);

    let expected = SITUATIONS.iter().map(|situation| (situation.name, situation.rows.to_vec()));
    assert_eq!(sent, expected.collect());

    let all: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    let used: BTreeSet<&str> = sent.into_values().flatten().collect();
    assert_eq!(used, all, "a row that is never sent");
}
