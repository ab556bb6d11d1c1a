//! One service per test, with a stack of its own, and what it has stored.

mod clock;
mod requests;
mod responses;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use aws_sdk_s3::primitives::ByteStream;
use ecr_registry::repository::Quotas;
use ecr_registry::{App, Config, Event};
use lambda_runtime::{Context, LambdaEvent};
use local_aws::{Faults, Options, Stack};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::second_engine::{self, SecondEngine};

pub(crate) use clock::*;
pub(crate) use requests::*;
pub(crate) use responses::*;
pub(crate) use testing::*;

/// How long an invocation may last. This is less than the longest time that a call may take.
pub(crate) const CUT_OFF: Duration = Duration::from_secs(20);
/// The two seconds that a call leaves unused, less the millisecond to which timers round up.
pub(crate) const MARGIN: Duration = Duration::from_millis(1_999);

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The function and the stack that it runs against.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) app: Arc<App>,
    /// Faults of the function's requests. The tests' own requests bypass them.
    pub(crate) faults: Faults,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) kms: aws_sdk_kms::Client,
    pub(crate) stack: Arc<Stack>,
    config: Config,
    _second_engine: Option<Arc<SecondEngine>>,
}

/// Everything that the service has stored.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    /// Sorted by key.
    pub(crate) items: Vec<Item>,
    pub(crate) layers: Vec<String>,
    pub(crate) bodies: Vec<String>,
}

impl Service {
    /// With repository `app`.
    pub(crate) async fn start() -> Self {
        let service = Self::with(|_| {}).await;
        service.create_repository("app", json!({})).await;
        service
    }

    /// With small quotas and repository `app`.
    pub(crate) async fn with_quotas(images: u64, tags: u64, layers: u64) -> Self {
        let quotas = Quotas {
            images_per_repository: images,
            tags_per_image: tags,
            layers_per_image: layers,
        };
        let service = Self::with(|config| config.quotas = quotas).await;
        service.create_repository("app", json!({})).await;
        service
    }

    /// An empty service.
    pub(crate) async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let second_engine = SecondEngine::if_named();
        let dynamodb = second_engine.as_ref().map(SecondEngine::url);
        let stack = Stack::start(Options { dynamodb, ..Options::default() }).await.unwrap();
        let options = stack.options();
        let mut config = Config::read(|name| options.variable(name)).unwrap();
        configure(&mut config);
        let faults = Faults::new();
        let aws = stack.sdk_config();
        let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
        if second_engine.is_some() {
            second_engine::create_table(&dynamodb, &options.table).await;
        }
        Self {
            app: Arc::new(App::new(config.clone(), &faults.sdk_config(&stack))),
            config,
            faults,
            dynamodb,
            s3: aws_sdk_s3::Client::new(&aws),
            kms: aws_sdk_kms::Client::new(&aws),
            stack: Arc::new(stack),
            _second_engine: second_engine.map(Arc::new),
        }
    }

    /// A new process with empty caches, on the same stored state.
    pub(crate) fn restarted(&self) -> Self {
        let app = App::new(self.config.clone(), &self.faults.sdk_config(&self.stack));
        Self { app: Arc::new(app), ..self.clone() }
    }

    pub(crate) async fn send(&self, event: Value) -> Response {
        self.send_until(event, 0).await
    }

    /// `deadline` in milliseconds since 1970.
    pub(crate) async fn send_until(&self, event: Value, deadline: u64) -> Response {
        let mut context = Context::default();
        context.deadline = deadline;
        Response::read(&local::invoke(&self.app, LambdaEvent::new(event, context)).await)
    }

    /// The response to an invocation that `ends` after so long. The clock stands still until
    /// `ready` completes and then jumps from timer to timer. Also returns how long the call took by
    /// that clock.
    pub(crate) async fn send_until_cut_off(
        &self,
        event: Value,
        ends: Duration,
        ready: impl Future<Output = ()>,
    ) -> (Response, Duration) {
        let clock = StoppedClock::stop();
        let ready = async {
            ready.await;
            clock.jump();
        };
        let began = tokio::time::Instant::now();
        let deadline = u64::try_from((since_1970() + ends).as_millis()).unwrap();
        let (response, ()) = tokio::join!(self.send_until(event, deadline), ready);
        let took = began.elapsed();
        tokio::time::resume();
        (response, took)
    }

    /// The whole response, as Lambda receives it.
    pub(crate) async fn invoke(&self, event: Value) -> Value {
        local::invoke(&self.app, LambdaEvent::new(event, Context::default())).await
    }

    /// The response to an event that is parsed from its text, as the runtime parses it.
    pub(crate) async fn read_as_the_runtime_does(&self, event: &str) -> Value {
        let event = Event::deserialize(&mut serde_json::Deserializer::from_str(event)).unwrap();
        let event = LambdaEvent::new(event, Context::default());
        let Ok(response) = ecr_registry::handle(&self.app, event).await;
        serde_json::to_value(response).unwrap()
    }

    pub(crate) async fn call(&self, action: &str, body: &Value) -> Response {
        self.send(event(action, ACCOUNT, &body.to_string())).await
    }

    pub(crate) async fn put(&self, body: Value) -> Response {
        self.call("PutImage", &body).await
    }

    /// Sends a push that must be rejected with exactly this error, and asserts that nothing
    /// changed.
    pub(crate) async fn rejects(&self, body: Value, code: &str, message: &str) {
        self.rejects_event(event("PutImage", ACCOUNT, &body.to_string()), 400, code, message).await;
    }

    pub(crate) async fn rejects_event(&self, event: Value, status: i64, code: &str, message: &str) {
        let before = self.stored().await;
        let response = self.send(event).await;
        response.is_error(status, code, message);
        assert_eq!(self.stored().await, before, "something was written after {code}");
    }

    pub(crate) async fn create_repository(&self, name: &str, mut settings: Value) -> Value {
        settings["repositoryName"] = json!(name);
        let response = self.call("CreateRepository", &settings).await;
        assert_eq!(response.status, 200, "{}", response.text);
        response.json["repository"].clone()
    }

    /// Uploads a layer to a repository of [`ACCOUNT`].
    pub(crate) async fn upload_layer(&self, repository: &str, digest: &str) {
        let key = layer_key(repository, digest);
        let bucket = &self.stack.options().layer_bucket;
        let body = ByteStream::from_static(b"layer");
        self.s3.put_object().bucket(bucket).key(key).body(body).send().await.unwrap();
    }

    /// Uploads all layers that an image's manifest needs.
    pub(crate) async fn upload_layers_of(&self, repository: &str, manifest: &str) {
        for digest in digests_in(manifest) {
            self.upload_layer(repository, &digest).await;
        }
    }

    /// Uploads an image's layers and puts it.
    pub(crate) async fn push(
        &self,
        repository: &str,
        manifest: &str,
        tag: Option<&str>,
    ) -> Response {
        self.upload_layers_of(repository, manifest).await;
        let response = self.put(request(repository, manifest, tag)).await;
        assert_eq!(response.status, 200, "{}", response.text);
        response
    }

    pub(crate) async fn stored(&self) -> Stored {
        let options = self.stack.options();
        Stored {
            items: self.items().await,
            layers: self.objects(&options.layer_bucket).await,
            bodies: self.objects(&options.manifest_bucket).await,
        }
    }

    /// The whole table, sorted by key.
    pub(crate) async fn items(&self) -> Vec<Item> {
        let scan = self.dynamodb.scan().table_name(&self.stack.options().table);
        let mut pages = scan.into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            items.extend(page.unwrap().items.unwrap_or_default());
        }
        let key = |item: &Item| (s(item, "PK"), s(item, "SK"));
        items.sort_by_key(key);
        items
    }

    /// Restores the table. Objects in buckets stay.
    pub(crate) async fn restore(&self, before: &[Item]) {
        let now = self.items().await;
        let key = |item: &Item| -> Item {
            ["PK", "SK"].map(|name| (name.to_owned(), item[name].clone())).into()
        };
        let mut writes = Vec::new();
        for item in now.iter().filter(|item| !before.iter().any(|kept| key(kept) == key(item))) {
            let delete = DeleteRequest::builder().set_key(Some(key(item))).build().unwrap();
            writes.push(WriteRequest::builder().delete_request(delete).build());
        }
        for item in before.iter().filter(|item| !now.contains(item)) {
            let put = PutRequest::builder().set_item(Some(item.clone())).build().unwrap();
            writes.push(WriteRequest::builder().put_request(put).build());
        }
        for writes in writes.chunks(25) {
            let batch = self.dynamodb.batch_write_item();
            let batch = batch.request_items(&self.stack.options().table, writes.to_vec());
            assert!(batch.send().await.unwrap().unprocessed_items.unwrap_or_default().is_empty());
        }
    }

    async fn objects(&self, bucket: &str) -> Vec<String> {
        let mut pages = self.s3.list_objects_v2().bucket(bucket).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let contents = page.unwrap().contents.unwrap_or_default();
            keys.extend(contents.into_iter().filter_map(|object| object.key));
        }
        keys
    }

    pub(crate) async fn repository_item(&self, name: &str) -> Item {
        self.item(repository_key(name)).await.expect("the repository is there")
    }

    pub(crate) async fn image_item(&self, repository: &str, digest: &str) -> Option<Item> {
        self.inner_item(repository, format!("IMAGE#{digest}")).await
    }

    pub(crate) async fn manifest_item(&self, repository: &str, digest: &str) -> Option<Item> {
        self.inner_item(repository, format!("MANIFEST#{digest}")).await
    }

    pub(crate) async fn tag_item(&self, repository: &str, tag: &str) -> Option<Item> {
        self.inner_item(repository, format!("TAG#{tag}")).await
    }

    async fn inner_item(&self, repository: &str, sk: String) -> Option<Item> {
        let repo_id = s(&self.repository_item(repository).await, "repoId");
        self.item(key(format!("R#{repo_id}"), sk)).await
    }

    async fn item(&self, key: Item) -> Option<Item> {
        let get = self.dynamodb.get_item().table_name(&self.stack.options().table);
        get.set_key(Some(key)).consistent_read(true).send().await.unwrap().item
    }

    /// Stores only an image's item, which is all that an index needs.
    pub(crate) async fn put_image_item(&self, repository: &str, digest: &str) {
        let repo_id = s(&self.repository_item(repository).await, "repoId");
        let zero = || AttributeValue::N("0".into());
        let mut item = key(format!("R#{repo_id}"), format!("IMAGE#{digest}"));
        item.extend([("tagCount".into(), zero()), ("refCount".into(), zero())]);
        item.insert("mediaType".into(), AttributeValue::S(OCI_IMAGE.into()));
        let put = self.dynamodb.put_item().table_name(&self.stack.options().table);
        put.set_item(Some(item)).send().await.unwrap();
    }

    /// Waits until `count` attempts of an operation were sent.
    pub(crate) async fn sent(&self, operation: &str, count: usize) {
        while self.faults.count(operation) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Changes a repository's item and its `rev`, as every writer of settings must.
    pub(crate) async fn change_repository(
        &self,
        name: &str,
        attribute: &str,
        value: AttributeValue,
    ) {
        let rev = AttributeValue::S(uuid::Uuid::new_v4().to_string());
        self.dynamodb
            .update_item()
            .table_name(&self.stack.options().table)
            .set_key(Some(repository_key(name)))
            .update_expression("SET #attribute = :value, rev = :rev")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":value", value)
            .expression_attribute_values(":rev", rev)
            .send()
            .await
            .unwrap();
    }

    /// Asserts that the counts of a repository match its items.
    pub(crate) async fn counts_are_exact(&self, repository: &str) {
        counts_are_exact(&self.items().await, repository);
    }
}

fn key(pk: String, sk: String) -> Item {
    [("PK", pk), ("SK", sk)].map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).into()
}

/// The key of a repository of [`ACCOUNT`].
pub(crate) fn repository_key(name: &str) -> Item {
    key(format!("REPO#{ACCOUNT}#{name}"), "#META".into())
}

/// What a push stores, without ids, times and bodies, which differ from push to push.
pub(crate) fn lasting(items: Vec<Item>) -> Vec<Item> {
    let random = ["putId", "at", "pushedAt", "body", "bodyKey"];
    let lasting = |item: Item| item.into_iter().filter(|(name, _)| !random.contains(&&**name));
    items.into_iter().map(|item| lasting(item).collect()).collect()
}

/// Asserts that the counts of a repository match its items.
pub(crate) fn counts_are_exact(items: &[Item], repository: &str) {
    let pk = format!("REPO#{ACCOUNT}#{repository}");
    let meta = items.iter().find(|item| s(item, "PK") == pk).expect("the repository");
    let partition = format!("R#{}", s(meta, "repoId"));
    let within = |prefix: &str| -> Vec<&Item> {
        let is = |item: &&Item| s(item, "PK") == partition && s(item, "SK").starts_with(prefix);
        items.iter().filter(is).collect()
    };
    let (images, tags) = (within("IMAGE#"), within("TAG#"));
    assert_eq!(n(meta, "imageCount"), images.len(), "imageCount");
    for image in &images {
        let digest = s(image, "SK").trim_start_matches("IMAGE#").to_owned();
        let named = tags.iter().filter(|tag| s(tag, "digest") == digest).count();
        assert_eq!(n(image, "tagCount"), named, "tagCount of {digest}");
    }
    for tag in &tags {
        let sk = format!("IMAGE#{}", s(tag, "digest"));
        assert!(images.iter().any(|image| s(image, "SK") == sk), "{sk} has a tag");
    }
}

#[track_caller]
pub(crate) fn s(item: &Item, attribute: &str) -> String {
    item[attribute].as_s().unwrap().clone()
}

#[track_caller]
pub(crate) fn n(item: &Item, attribute: &str) -> usize {
    item[attribute].as_n().unwrap().parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "what the service reads is compared with it")]
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
