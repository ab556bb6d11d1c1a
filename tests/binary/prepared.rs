//! The state that the files of `events/` need. `scripts/prepare` creates the same.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use local_aws::{Options, Stack};
use serde_json::{Value, json};

use testing::ACCOUNT;

use crate::function::Function;

const CONFIG: &str = "5b52b314511a611975c2c65e695d920acdf8ae8848fe0ef00b7d018d1f118b64";
const LAYER: &str = "8e3fa21c4cc40232e835a6761332d225c7af3235c5755f44ada2ed9d0e4ab7e8";

pub(crate) struct Prepared {
    pub(crate) function: Function,
    /// The ARN of `alias/images`.
    pub(crate) key: String,
    /// The API reference's.
    pub(crate) sample_manifest: String,
    _stack: Stack,
}

impl Prepared {
    pub(crate) async fn start() -> Self {
        let stack = Stack::start(Options::default()).await.unwrap();
        let function = Function::start_with(&stack, &[("DEFAULT_REGISTRY_ID", ACCOUNT)]).await;
        let key = create_key(&stack, Some("alias/images")).await;
        let disabled = create_key(&stack, None).await;
        for (repository, settings) in [
            ("amazonlinux", json!({})),
            ("released", json!({ "imageTagMutability": "IMMUTABLE" })),
            ("full", json!({})),
            (
                "sealed",
                json!({ "encryptionConfiguration":
                { "encryptionType": "KMS", "kmsKey": disabled } }),
            ),
        ] {
            let mut body = settings;
            body["repositoryName"] = json!(repository);
            function.call("CreateRepository", &body).await;
            upload_layers(&stack, repository).await;
        }
        let sample_manifest = sample_manifest();
        let push = json!({
            "repositoryName": "released",
            "imageTag": "2016.09",
            "imageManifest": sample_manifest,
        });
        function.call("PutImage", &push).await;
        let kms = aws_sdk_kms::Client::new(&stack.sdk_config());
        kms.disable_key().key_id(disabled).send().await.unwrap();
        fill_and_damage(&stack).await;
        Self { function, key, sample_manifest, _stack: stack }
    }
}

/// The `imageManifest` of `events/put-image.json`.
fn sample_manifest() -> String {
    let event: Value = serde_json::from_str(include_str!("../../events/put-image.json")).unwrap();
    let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    body["imageManifest"].as_str().unwrap().to_owned()
}

async fn create_key(stack: &Stack, alias: Option<&str>) -> String {
    let kms = aws_sdk_kms::Client::new(&stack.sdk_config());
    let key = kms.create_key().send().await.unwrap().key_metadata.unwrap();
    if let Some(alias) = alias {
        kms.create_alias().alias_name(alias).target_key_id(&key.key_id).send().await.unwrap();
    }
    key.arn.unwrap()
}

async fn upload_layers(stack: &Stack, repository: &str) {
    let s3 = aws_sdk_s3::Client::new(&stack.sdk_config());
    for hex in [CONFIG, LAYER] {
        let bucket = &stack.options().layer_bucket;
        let key = format!("012345678910/{repository}/sha256/{hex}");
        let body = ByteStream::from_static(b"layer");
        s3.put_object().bucket(bucket).key(key).body(body).send().await.unwrap();
    }
}

/// Fills `full` with as many images as the quota allows, and empties the item of `damaged`.
async fn fill_and_damage(stack: &Stack) {
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk_config());
    let pk = |name| AttributeValue::S(format!("REPO#012345678910#{name}"));
    let sk = || AttributeValue::S("#META".into());
    let table = &stack.options().table;
    dynamodb
        .update_item()
        .table_name(table)
        .key("PK", pk("full"))
        .key("SK", sk())
        .update_expression("SET imageCount = :quota")
        .expression_attribute_values(":quota", AttributeValue::N("100000".into()))
        .send()
        .await
        .unwrap();
    let put = dynamodb.put_item().table_name(table).item("PK", pk("damaged")).item("SK", sk());
    put.send().await.unwrap();
}
