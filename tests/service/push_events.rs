//! The pipe in template.yaml publishes one event per committed push, from the table's stream.
//!
//! The pipe itself exists only in AWS. Its filter and its template are read from template.yaml.
//! They are applied here, by the rules that they use, to the records of the engine's stream.

use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;

use crate::harness::*;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

struct Pipe {
    filters: Vec<Value>,
    template: String,
}

impl Pipe {
    fn of_the_template() -> Self {
        let template: Yaml = serde_yaml_ng::from_str(include_str!("../../template.yaml")).unwrap();
        let pipe = &template["Resources"]["PushPipe"]["Properties"];
        let filters = pipe["SourceParameters"]["FilterCriteria"]["Filters"].as_sequence().unwrap();
        let pattern = |filter: &Yaml| serde_json::from_str(filter["Pattern"].as_str().unwrap());
        let target = &pipe["TargetParameters"];
        Self {
            filters: filters.iter().map(|filter| pattern(filter).unwrap()).collect(),
            template: target["InputTemplate"].as_str().unwrap().to_owned(),
        }
    }

    /// The detail of the event that a record becomes, or `None` if no filter matches.
    fn event(&self, record: &Value) -> Option<Value> {
        if !self.filters.iter().any(|filter| matches(filter, record)) {
            return None;
        }
        let mut pieces = self.template.split("<$");
        let mut detail = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let (path, rest) = piece.split_once('>').unwrap();
            // A missing attribute becomes empty text inside its quotes.
            let value = record.pointer(&path.replace('.', "/")).and_then(Value::as_str);
            detail.push_str(value.unwrap_or_default());
            detail.push_str(rest);
        }
        Some(serde_json::from_str(&detail).unwrap())
    }
}

/// EventBridge's content filter. All members of an object must match. One element of an array must
/// match: a value if it is equal, `{"prefix": …}` by its beginning.
fn matches(pattern: &Value, value: &Value) -> bool {
    match pattern {
        Value::Object(members) => {
            members.iter().all(|(name, pattern)| matches(pattern, &value[name]))
        }
        Value::Array(choices) => choices.iter().any(|choice| match choice["prefix"].as_str() {
            Some(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix)),
            None => choice == value,
        }),
        _ => false,
    }
}

/// A record as Lambda and EventBridge deliver it.
fn delivered(record: &Record) -> Value {
    let change = record.dynamodb.as_ref().unwrap();
    let item = |item: &std::collections::HashMap<String, AttributeValue>| -> Value {
        item.iter()
            .map(|(name, value)| {
                let value = match value {
                    AttributeValue::S(text) => json!({ "S": text }),
                    AttributeValue::N(number) => json!({ "N": number }),
                    other => json!({ "other": format!("{other:?}") }),
                };
                (name.clone(), value)
            })
            .collect()
    };
    json!({
        "eventName": record.event_name.as_ref().unwrap().as_str(),
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": change.keys.as_ref().map(item),
            "NewImage": change.new_image.as_ref().map(item),
        },
    })
}

/// All records of the table's stream.
async fn records(service: &Service) -> Vec<Value> {
    let config = aws_sdk_dynamodbstreams::config::Builder::from(&service.stack.sdk_config());
    let config = config.endpoint_url(service.stack.dynamodb_url()).build();
    let streams = aws_sdk_dynamodbstreams::Client::from_conf(config);
    let arn = streams.list_streams().send().await.unwrap().streams.unwrap()[0].stream_arn.clone();
    let stream = streams.describe_stream().set_stream_arn(arn.clone()).send().await.unwrap();
    let mut records = Vec::new();
    for shard in stream.stream_description.unwrap().shards.unwrap() {
        let iterator = streams.get_shard_iterator().set_stream_arn(arn.clone());
        let iterator = iterator.shard_id(shard.shard_id.unwrap());
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon);
        let mut next = iterator.send().await.unwrap().shard_iterator;
        while let Some(iterator) = next {
            let page = streams.get_records().shard_iterator(iterator).send().await.unwrap();
            let page_records = page.records.unwrap_or_default();
            next = page.next_shard_iterator.filter(|_| !page_records.is_empty());
            records.extend(page_records.iter().map(delivered));
        }
    }
    records
}

#[tokio::test]
async fn each_committed_push_publishes_one_event_and_nothing_else_does() {
    let service = Service::start().await;
    let view = StreamSpecification::builder().stream_enabled(true);
    let view = view.stream_view_type(StreamViewType::NewImage).build().unwrap();
    let update = service.dynamodb.update_table().table_name(&service.stack.options().table);
    update.stream_specification(view).send().await.unwrap();

    service.push("app", &image("a"), Some("v1")).await;
    service.push("app", &image("b"), None).await;
    service.put(request("app", &image("b"), Some("v2"))).await;
    service.push("app", &image("c"), Some("v1")).await;
    let index = index(&[&image("a"), &image("b")]);
    service.put(request("app", &index, Some("all"))).await;
    // A signature, an artifact type that contains a quote, and an image that names no type and is
    // pushed again with another type.
    let with = |change: &dyn Fn(&mut Value)| {
        let mut manifest: Value = serde_json::from_str(&image("a")).unwrap();
        change(&mut manifest);
        manifest.to_string()
    };
    let signature = with(&|manifest| {
        manifest["artifactType"] = json!("application/vnd.example.signature");
        manifest["subject"] = layer("subject");
    });
    let quoted = with(&|manifest| manifest["artifactType"] = json!(r#"a","action-type":"DELETE"#));
    let untyped = with(&|manifest| drop(manifest.as_object_mut().unwrap().remove("mediaType")));
    service.put(request("app", &signature, Some("signature"))).await;
    service.put(request("app", &quoted, Some("quoted"))).await;
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    for (tag, media_type) in [("typed", OCI_IMAGE), ("retagged", docker)] {
        let mut body = request("app", &untyped, Some(tag));
        body["imageManifestMediaType"] = json!(media_type);
        service.put(body).await;
    }
    // These pushes write nothing, so they publish no event.
    service.put(request("app", &image("a"), None)).await;
    service.put(request("app", &image("none"), Some("v9"))).await;
    service.create_repository("other", json!({})).await;

    let pipe = Pipe::of_the_template();
    let records = records(&service).await;
    let events: Vec<Value> = records.iter().filter_map(|record| pipe.event(record)).collect();
    let pushed = |manifest: &str, tag: &str, media_type: &str, artifact: &str| {
        json!({
            "result": "SUCCESS",
            "action-type": "PUSH",
            "registry-id": ACCOUNT,
            "repository-name": "app",
            "image-digest": sha256(manifest),
            "image-tag": tag,
            "manifest-media-type": media_type,
            "artifact-media-type": artifact,
        })
    };
    assert_eq!(
        events,
        [
            pushed(&image("a"), "v1", OCI_IMAGE, CONFIG),
            pushed(&image("b"), "", OCI_IMAGE, CONFIG),
            pushed(&image("b"), "v2", OCI_IMAGE, CONFIG),
            pushed(&image("c"), "v1", OCI_IMAGE, CONFIG),
            pushed(&index, "all", OCI_INDEX, ""),
            pushed(&signature, "signature", OCI_IMAGE, "application/vnd.example.signature"),
            pushed(&quoted, "quoted", OCI_IMAGE, CONFIG),
            pushed(&untyped, "typed", OCI_IMAGE, CONFIG),
            pushed(&untyped, "retagged", OCI_IMAGE, CONFIG),
        ]
    );
    assert!(records.len() > events.len(), "counts and bodies change, too");
}
