//! The stores of `serve`: S3 to upload layers, and DynamoDB to add many images at once.

use std::collections::HashMap;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use ecr_registry::items::{Item, image_key, manifest_key, n, repository_key, s, tag_key};
use ecr_registry::layer_key;
use ecr_registry::names::{Digest, ImageTag, RegistryId, RepositoryName, RepositoryRef};
use futures_util::stream::{self, StreamExt as _};
use tokio::runtime::Runtime;

use crate::image::Blob;

/// `BatchWriteItem`'s limit.
const BATCH_ITEMS: usize = 25;
const BATCHES_AT_ONCE: usize = 4;

/// The table and the layer bucket of a running `serve`.
pub(crate) struct Stack {
    runtime: Runtime,
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    table: String,
    layer_bucket: String,
}

impl Stack {
    /// The stores that the lines printed by `serve` name.
    pub(crate) fn new(exports: &HashMap<String, String>) -> Self {
        let credentials = Credentials::new(
            &exports["AWS_ACCESS_KEY_ID"],
            &exports["AWS_SECRET_ACCESS_KEY"],
            None,
            None,
            "serve",
        );
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .endpoint_url(&exports["AWS_ENDPOINT_URL_DYNAMODB"])
            .region(aws_sdk_dynamodb::config::Region::new(exports["AWS_REGION"].clone()))
            .credentials_provider(credentials.clone())
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .endpoint_url(&exports["AWS_ENDPOINT_URL_S3"])
            .region(aws_sdk_s3::config::Region::new(exports["AWS_REGION"].clone()))
            .credentials_provider(credentials)
            .build();
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            s3: aws_sdk_s3::Client::from_conf(s3),
            table: exports["TABLE_NAME"].clone(),
            layer_bucket: exports["LAYER_BUCKET"].clone(),
        }
    }

    pub(crate) fn put_layers(&self, repository: &str, blobs: Vec<Blob>) {
        self.runtime.block_on(async {
            for blob in blobs {
                let key = layer_key(&named(repository), &blob.digest);
                let put = self.s3.put_object().bucket(&self.layer_bucket).key(key);
                put.body(blob.bytes.into()).send().await.unwrap();
            }
        });
    }

    /// Fills a repository that has an image with a tag up to `images` images, the first `tags` of
    /// them with a tag each, by copies of that image's items under other digests and tags.
    pub(crate) fn fill(&self, repository: &str, images: u64, tags: u64) {
        self.runtime.block_on(async {
            let key = repository_key(&named(repository));
            let get = self.dynamodb.get_item().table_name(&self.table).consistent_read(true);
            let meta = get.set_key(Some(key.clone())).send().await.unwrap().item.unwrap();
            let repo_id = meta["repoId"].as_s().unwrap();
            let image_count: u64 = meta["imageCount"].as_n().unwrap().parse().unwrap();

            let tag = self.first(repo_id, "TAG#").await;
            let digest = Digest::parse(tag["digest"].as_s().unwrap()).unwrap();
            let image = self.first(repo_id, &format!("IMAGE#{digest}")).await;
            let manifest = self.first(repo_id, &format!("MANIFEST#{digest}")).await;

            let copies: Vec<Item> = (image_count..images)
                .flat_map(|number| {
                    let digest = Digest::of(format!("{repository} {number}").as_bytes());
                    let name = ImageTag::parse(format!("copy-{number}")).unwrap();
                    let is_tagged = number < tags;
                    let tag_count = ("tagCount".into(), n(u64::from(is_tagged)));
                    let named = ("digest".into(), s(digest.as_str()));
                    let key = image_key(repo_id, &digest);
                    let image = copy(&image, key, [named.clone(), tag_count]);
                    let manifest = copy(&manifest, manifest_key(repo_id, &digest), []);
                    let tagged = [named, ("tag".into(), s(name.as_str()))];
                    let tag = is_tagged.then(|| copy(&tag, tag_key(repo_id, &name), tagged));
                    [image, manifest].into_iter().chain(tag)
                })
                .collect();
            stream::iter(copies.chunks(BATCH_ITEMS).map(|batch| self.put(batch)))
                .buffer_unordered(BATCHES_AT_ONCE)
                .collect::<()>()
                .await;

            let update = self.dynamodb.update_item().table_name(&self.table).set_key(Some(key));
            let update = update.update_expression("SET imageCount = :images");
            update.expression_attribute_values(":images", n(images)).send().await.unwrap();
        });
    }

    /// The first item of the repository whose sort key begins with `prefix`.
    async fn first(&self, repo_id: &str, prefix: &str) -> Item {
        let query = self.dynamodb.query().table_name(&self.table).consistent_read(true).limit(1);
        let query = query.key_condition_expression("PK = :pk AND begins_with(SK, :prefix)");
        let query = query.expression_attribute_values(":pk", s(format!("R#{repo_id}")));
        let query = query.expression_attribute_values(":prefix", s(prefix));
        query.send().await.unwrap().items.unwrap().remove(0)
    }

    async fn put(&self, items: &[Item]) {
        let put = |item: &Item| {
            let put = PutRequest::builder().set_item(Some(item.clone())).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        };
        let requests = items.iter().map(put).collect();
        let batch = self.dynamodb.batch_write_item().request_items(&self.table, requests);
        let left = batch.send().await.unwrap().unprocessed_items.unwrap_or_default();
        assert!(left.is_empty(), "the embedded engine takes whole batches");
    }
}

fn copy<const N: usize>(item: &Item, key: Item, changes: [(String, AttributeValue); N]) -> Item {
    let mut copy = item.clone();
    copy.extend(key);
    copy.extend(changes);
    copy
}

fn named(repository: &str) -> RepositoryRef {
    RepositoryRef {
        registry: RegistryId::parse(local_aws::api_gateway::DEFAULT_ACCOUNT.into()).unwrap(),
        name: RepositoryName::parse(repository.into()).unwrap(),
    }
}
