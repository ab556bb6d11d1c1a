//! What tests, benchmarks and fuzz targets of the service have in common: API events, manifests,
//! and AWS in memory.

mod canned;
mod manifests;

use serde_json::{Value, json};

pub use canned::Canned;
pub use manifests::{OCI_IMAGE, OCI_INDEX, digests_in, image, image_of, index, layer, sha256};

/// The registry and the caller's account by default.
pub const ACCOUNT: &str = "012345678910";

/// The event of a request to the REST API's root, as API Gateway sends it: payload 1.0, signed by a
/// user of `account`.
#[must_use]
pub fn event(action: &str, account: &str, body: &str) -> Value {
    json!({
        "resource": "/",
        "path": "/",
        "httpMethod": "POST",
        "headers": {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": target(action),
        },
        "multiValueHeaders": {},
        "requestContext": {
            "httpMethod": "POST",
            "resourcePath": "/",
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

/// The same request as in [`event`], through an HTTP API or a function URL with IAM: payload 2.0.
#[must_use]
pub fn event_2(action: &str, account: &str, body: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": target(action),
        },
        "requestContext": {
            "accountId": "999999999999",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "stage": "$default",
            "http": { "method": "POST", "path": "/", "sourceIp": "127.0.0.1" },
            "authorizer": {
                "iam": {
                    "accountId": account,
                    "userArn": format!("arn:aws:iam::{account}:user/tester"),
                },
            },
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

fn target(action: &str) -> String {
    format!("AmazonEC2ContainerRegistry_V20150921.{action}")
}
