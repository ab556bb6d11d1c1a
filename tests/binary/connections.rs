//! The connections of a process's first push: they are opened concurrently, and one per service.

use std::sync::Arc;

use ecr_registry::names::Digest;
use local_aws::{Options, Stack};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use testing::{ACCOUNT, event};

use crate::function::Function;

/// A proxy of a service. It counts connections, and forwards bytes once it is opened.
#[derive(Clone)]
struct Proxy {
    url: String,
    connections: Arc<watch::Sender<usize>>,
    open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    async fn to(service: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self { url, connections: Arc::default(), open: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                accepting.connections.send_modify(|count| *count += 1);
                let (mut open, service) = (accepting.open.subscribe(), service.clone());
                tokio::spawn(async move {
                    open.wait_for(|open| *open).await.unwrap();
                    let address = service.trim_start_matches("http://");
                    let mut to = TcpStream::connect(address).await.unwrap();
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        proxy
    }

    async fn connected(&self) {
        self.connections.subscribe().wait_for(|&count| count > 0).await.unwrap();
    }

    fn count(&self) -> usize {
        *self.connections.borrow()
    }
}

/// A push of an image of one blob, `layer`.
fn push(padding: usize) -> Value {
    let digest = Digest::of(b"layer").to_string();
    let descriptor = json!({ "mediaType": "any/type", "digest": digest, "size": 5 });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor, "layers": [descriptor],
        "annotations": { "padding": " ".repeat(padding) },
    });
    json!({ "repositoryName": "app", "imageTag": "v1", "imageManifest": manifest.to_string() })
}

#[tokio::test]
async fn a_first_push_connects_to_all_services_concurrently_and_once() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let setting_up = Function::start(&stack).await;
    let kms = aws_sdk_kms::Client::new(&stack.sdk_config());
    let key = kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
    let encryption = json!({ "encryptionType": "KMS", "kmsKey": key });
    let create = json!({ "repositoryName": "app", "encryptionConfiguration": encryption });
    setting_up.call("CreateRepository", &create).await;
    let s3 = aws_sdk_s3::Client::new(&stack.sdk_config());
    let layer = format!("012345678910/app/sha256/{}", Digest::of(b"layer").hex());
    let put = s3.put_object().bucket(&stack.options().layer_bucket).key(layer);
    put.send().await.unwrap();

    let dynamodb = Proxy::to(stack.dynamodb_url()).await;
    let s3 = Proxy::to(stack.s3_url()).await;
    let kms = Proxy::to(stack.kms_url()).await;
    let ways = [
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url.as_str()),
        ("AWS_ENDPOINT_URL_S3", &s3.url),
        ("AWS_ENDPOINT_URL_KMS", &kms.url),
    ];
    let function = Function::start_with(&stack, &ways).await;
    let one_after_another = async {
        // The table does not respond before the layers are requested, nor S3 before KMS is.
        s3.connected().await;
        dynamodb.open.send_replace(true);
        kms.connected().await;
        s3.open.send_replace(true);
        kms.open.send_replace(true);
    };
    let first = push(0);
    tokio::join!(one_after_another, function.call("PutImage", &first));
    assert_eq!([dynamodb.count(), s3.count(), kms.count()], [1, 1, 1]);

    // Reads, commits, layers and bodies share the open connections.
    function.call("PutImage", &push(1)).await;
    function.call("PutImage", &push(70_000)).await;
    assert_eq!([dynamodb.count(), s3.count(), kms.count()], [1, 1, 1]);
}

#[tokio::test]
async fn requests_use_the_proxy_that_the_environment_names() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let proxy = Proxy::to(stack.dynamodb_url()).await;
    proxy.open.send_replace(true);
    let environment = [
        ("HTTP_PROXY", proxy.url.as_str()),
        // Only the proxy can reach this name.
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://dynamodb.invalid"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let function = Function::start_with(&stack, &environment).await;
    function.call("CreateRepository", &json!({ "repositoryName": "app" })).await;
    let response = function.response_to(&event("PutImage", ACCOUNT, &push(0).to_string())).await;
    assert_eq!(response["headers"]["x-amzn-errortype"], "LayersNotFoundException", "{response}");
    // A request to S3 through the proxy would be a second connection.
    assert_eq!(proxy.count(), 1);
}
