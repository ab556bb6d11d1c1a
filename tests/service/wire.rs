//! Requests and responses as HTTP carries them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::*;

const UNREADABLE: &str = "The request body could not be read: it is not one JSON object";
const WRONG_MEMBER: &str =
    "The request body could not be read: a member is named twice or has another type";
const UNKNOWN: &str = "The requested operation is not recognized by the service";

fn put_event(body: &str) -> Value {
    event("PutImage", ACCOUNT, body)
}

#[tokio::test]
async fn the_references_sample_gets_the_references_response() {
    let service = Service::with(|_| {}).await;
    service.create_repository("amazonlinux", json!({})).await;
    let event: Value = serde_json::from_str(include_str!("../../events/put-image.json")).unwrap();
    let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    let manifest = body["imageManifest"].as_str().unwrap();
    service.upload_layers_of("amazonlinux", manifest).await;

    let response = service.send(event.clone()).await;
    assert_eq!(response.status, 200);
    response.has_the_common_headers();
    assert_eq!(response.headers["x-amzn-requestid"], "084038f1-c3cc-11e6-8d10-9da51cf53fd3");
    assert!(!response.headers.contains_key("x-amzn-errortype"));
    let digest = "sha256:f1d4ae3f7261a72e98c6ebefe9985cf10a0ea5bd762585a43e0700ed99863807";
    assert_eq!(
        response.json,
        json!({ "image": {
            "imageId": { "imageDigest": digest, "imageTag": "2016.09" },
            "imageManifest": manifest,
            "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "registryId": ACCOUNT,
            "repositoryName": "amazonlinux",
        }})
    );
    let stored = service.manifest_item("amazonlinux", digest).await.unwrap();
    assert_eq!(stored["body"].as_b().unwrap().as_ref(), manifest.as_bytes());
    assert_eq!(s(&service.tag_item("amazonlinux", "2016.09").await.unwrap(), "digest"), digest);
}

#[tokio::test]
async fn unknown_and_null_members_are_ignored() {
    let service = Service::start().await;
    let manifest = image("a");
    service.upload_layers_of("app", &manifest).await;
    let mut body = request("app", &manifest, Some("v1"));
    body["registryId"] = Value::Null;
    body["imageDigest"] = Value::Null;
    body["imageManifestMediaType"] = Value::Null;
    body["unknown"] = json!({ "deeply": [[[{ "nested": 1e300 }]]] });
    body["ImageTag"] = json!(7);
    let mut text = body.to_string();
    text.insert_str(1, r#""other":"\ud800","other":1,"#);
    let response = service.send(put_event(&text)).await;
    assert_eq!(response.digest(), sha256(&manifest));
}

#[tokio::test]
async fn a_body_that_is_not_one_json_object_is_rejected() {
    let service = Service::start().await;
    let good = request("app", &image("a"), Some("v1")).to_string();
    for body in [
        String::new(),
        " ".into(),
        "null".into(),
        "[]".into(),
        "7".into(),
        "\"text\"".into(),
        "{".into(),
        format!("{good}x"),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        r#"{"repositoryName":"app",}"#.into(),
        r#"{"repositoryName":"\ud800"}"#.into(),
        r#"{"repositoryName":"\ude00\ud83d"}"#.into(),
        "{\"repositoryName\":\"a\nb\"}".into(),
    ] {
        let response = service.send(put_event(&body)).await;
        assert_eq!(response.json["__type"], "SerializationException", "{body}");
        service
            .rejects_event(
                put_event(&body),
                400,
                "SerializationException",
                response.json["message"].as_str().unwrap(),
            )
            .await;
    }
    service.rejects_event(put_event("{"), 400, "SerializationException", UNREADABLE).await;
    let array = r#"["app",null,"{}",null,"v1",null]"#;
    service.rejects_event(put_event(array), 400, "SerializationException", WRONG_MEMBER).await;
    let mut event = put_event("");
    event["body"] = Value::Null;
    service.rejects_event(event, 400, "SerializationException", UNREADABLE).await;
}

#[tokio::test]
async fn a_known_member_twice_or_of_another_type_is_rejected() {
    let service = Service::start().await;
    let members = [
        "repositoryName",
        "registryId",
        "imageManifest",
        "imageManifestMediaType",
        "imageTag",
        "imageDigest",
    ];
    for member in members {
        for value in [json!(7), json!(true), json!(["a"]), json!({ "a": 1 }), json!(1.5)] {
            let mut body = request("app", &image("a"), Some("v1"));
            body[member] = value;
            service.rejects(body, "SerializationException", WRONG_MEMBER).await;
        }
        let twice = format!(r#"{{"{member}":"a","x":1,"{member}":"a"}}"#);
        service.rejects_event(put_event(&twice), 400, "SerializationException", WRONG_MEMBER).await;
    }
}

#[tokio::test]
async fn base64_bodies_are_decoded() {
    let service = Service::start().await;
    let manifest = image("é");
    service.upload_layers_of("app", &manifest).await;
    let encoded = |bytes: &[u8]| {
        let mut event = put_event(&BASE64_STANDARD.encode(bytes));
        event["isBase64Encoded"] = json!(true);
        event
    };
    let body = request("app", &manifest, Some("v1")).to_string();
    assert_eq!(service.send(encoded(body.as_bytes())).await.digest(), sha256(&manifest));

    let unreadable = |why: &str| format!("The request body could not be read: {why}");
    let code = "SerializationException";
    let not_utf8 = encoded(b"{\"unknown\":\"\xff\"}");
    service.rejects_event(not_utf8, 400, code, &unreadable("it is not UTF-8 text")).await;
    let gzip = encoded(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00");
    let why = "it is compressed with gzip, which is not supported";
    service.rejects_event(gzip, 400, code, &unreadable(why)).await;
    let mut not_base64 = put_event("{}");
    not_base64["isBase64Encoded"] = json!(true);
    let why = "it did not arrive as valid Base64";
    service.rejects_event(not_base64, 400, code, &unreadable(why)).await;
}

#[tokio::test]
async fn only_known_targets_of_post_to_the_root_are_served() {
    let service = Service::start().await;
    let body = request("app", &image("a"), Some("v1")).to_string();
    let good = put_event(&body);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut event = good.clone();
        change(&mut event);
        event
    };
    let target = |target: Value| with(&|event| event["headers"]["X-Amz-Target"] = target.clone());
    for event in [
        with(&|event| event["headers"] = json!({})),
        with(&|event| event["headers"] = Value::Null),
        target(json!("AmazonEC2ContainerRegistry_V20150921.DeleteRepository")),
        target(json!("AmazonEC2ContainerRegistry_V20150921.putimage")),
        target(json!("PutImage")),
        target(json!("")),
        with(&|event| event["httpMethod"] = json!("GET")),
        with(&|event| event["httpMethod"] = json!("PUT")),
    ] {
        service.rejects_event(event, 404, "UnknownOperationException", UNKNOWN).await;
    }
}

#[tokio::test]
async fn header_names_have_no_letter_case_and_the_content_type_is_ignored() {
    let service = Service::start().await;
    let manifest = image("a");
    service.upload_layers_of("app", &manifest).await;
    let target = "AmazonEC2ContainerRegistry_V20150921.PutImage";
    let mut event = put_event(&request("app", &manifest, Some("v1")).to_string());
    event["headers"] = json!({ "x-AMZ-target": target, "content-type": "text/html" });
    assert_eq!(service.send(event.clone()).await.status, 200);

    event["body"] = json!(request("app", &manifest, Some("v2")).to_string());
    event["headers"] = Value::Null;
    event["multiValueHeaders"] = json!({ "X-AMZ-TARGET": [target] });
    assert_eq!(service.send(event).await.status, 200);
}

#[tokio::test]
async fn a_request_without_an_id_gets_a_new_one() {
    let service = Service::start().await;
    for id in [Value::Null, json!(""), json!("not\na header")] {
        let mut event = put_event("{");
        event["requestContext"]["requestId"] = id;
        let response = service.send(event).await;
        assert!(uuid::Uuid::parse_str(&response.headers["x-amzn-requestid"]).is_ok());
    }
}
