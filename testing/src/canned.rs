//! AWS in memory, for one call of the service at a time. Every repository and every layer exists,
//! and so do the images and tags whose names end in an even byte. Every write is counted and
//! succeeds.
#![expect(clippy::indexing_slicing, reason = "JSON yields null for a missing member")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use ecr_registry::partition::Region;
use ecr_registry::repository::Quotas;
use ecr_registry::{App, Config};
use serde_json::{Value, json};

const TABLE: &str = "secret-table";

/// The services' responses, and how often the table was written.
#[derive(Clone, Debug, Default)]
pub struct Canned {
    writes: Arc<AtomicUsize>,
}

impl Canned {
    /// The service on these responses.
    #[must_use]
    pub fn app(&self) -> App {
        let config = Config {
            region: Region::new("us-west-2".to_owned()),
            table: TABLE.into(),
            layer_bucket: "secret-layers".into(),
            manifest_bucket: "secret-manifests".into(),
            default_kms_key: None,
            default_registry: None,
            quotas: Quotas::default(),
        };
        App::new(config, &self.sdk_config())
    }

    /// How often the table was written since the last call of this.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.writes.swap(0, Ordering::Relaxed)
    }

    fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new("AKIDCANNED", "secret", None, None, "canned");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(aws_config::Region::new("us-west-2"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .time_source(aws_smithy_async::time::SystemTimeSource::new())
            .http_client(self.clone())
            .build()
    }

    fn response(&self, request: &HttpRequest) -> (u16, Value) {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match target.rsplit('.').next().unwrap_or_default() {
            "GetItem" => (200, json!({ "Item": item(&body["Key"]) })),
            "BatchGetItem" => {
                let keys = body["RequestItems"][TABLE]["Keys"].as_array();
                let items: Vec<Value> = keys.into_iter().flatten().filter_map(item).collect();
                (200, json!({ "Responses": { TABLE: items }, "UnprocessedKeys": {} }))
            }
            "TransactGetItems" => {
                let gets = body["TransactItems"].as_array().into_iter().flatten();
                let found = gets.map(|get| json!({ "Item": item(&get["Get"]["Key"]) }));
                (200, json!({ "Responses": found.collect::<Vec<_>>() }))
            }
            "TransactWriteItems" => {
                self.writes.fetch_add(1, Ordering::Relaxed);
                (200, json!({}))
            }
            "" => (200, Value::Null),
            _ => (400, json!({ "__type": "NotFoundException", "message": "arn:aws:kms:secret" })),
        }
    }
}

/// The item with a key.
fn item(key: &Value) -> Option<Value> {
    let mut item = key.clone();
    let sk = key["SK"]["S"].as_str()?;
    let (kind, name) = sk.split_once('#')?;
    let more = match kind {
        "" => json!({
            "repoId": { "S": "6a4f2f0e-27b5-4bd0-9f0a-5f6c0b2f3a11" }, "rev": { "S": "1" },
            "status": { "S": "ACTIVE" }, "mutability": { "S": "MUTABLE" },
            "encryption": { "S": "AES256" }, "imageCount": { "N": "0" }, "delEpoch": { "N": "0" },
        }),
        _ if name.bytes().last()? % 2 == 1 => return None,
        "IMAGE" => json!({
            "tagCount": { "N": "0" }, "refCount": { "N": "0" },
            "mediaType": { "S": "application/vnd.oci.image.manifest.v1+json" },
        }),
        "TAG" => {
            let digest = format!("sha256:{}", "0".repeat(64));
            json!({ "digest": { "S": digest }, "putId": { "S": "1" } })
        }
        _ => return None,
    };
    item.as_object_mut()?.extend(more.as_object()?.clone());
    Some(item)
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, body) = self.response(&request);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let status =
            StatusCode::try_from(status).unwrap_or_else(|_| unreachable!("a valid status"));
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}

impl HttpClient for Canned {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
