//! The REST event, payload format version 1.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>

use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{DEFAULT_ACCOUNT, clock};

/// A header value that is not ASCII; the message names the header.
pub(super) struct NotAscii(pub(super) String);

/// The last value of each name, and all of its values.
type LastAndAll = [Map<String, Value>; 2];

/// The event of a request to `path` of `stage`. A header that JSON cannot carry is refused.
pub(super) fn build(
    parts: &Parts,
    path: &str,
    stage: &str,
    body: Vec<u8>,
) -> Result<Value, NotAscii> {
    let [headers, multi_value_headers] = headers(&parts.headers)?;
    let [parameters, multi_value_parameters] = query(parts.uri.query().unwrap_or_default());
    let (body, is_base64_encoded) = match String::from_utf8(body) {
        Ok(text) => (text, false),
        Err(binary) => (STANDARD.encode(binary.as_bytes()), true),
    };
    let account = account(&parts.headers);
    let now = Duration::from_millis(clock::epoch_millis(clock::now()));
    Ok(json!({
        "resource": "/",
        "path": path,
        "httpMethod": parts.method.as_str(),
        "headers": headers,
        "multiValueHeaders": multi_value_headers,
        "queryStringParameters": parameters,
        "multiValueQueryStringParameters": multi_value_parameters,
        "requestContext": {
            "accountId": DEFAULT_ACCOUNT,
            "apiId": "local",
            "httpMethod": parts.method.as_str(),
            "identity": {
                "accountId": account,
                "userArn": format!("arn:aws:iam::{account}:user/local"),
                "sourceIp": "127.0.0.1",
                "userAgent": headers.get("user-agent"),
            },
            "path": parts.uri.path(),
            "protocol": "HTTP/1.1",
            "requestId": Uuid::new_v4().to_string(),
            "requestTimeEpoch": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            "resourcePath": "/",
            "stage": stage,
        },
        "body": (!body.is_empty()).then_some(body),
        "isBase64Encoded": is_base64_encoded,
    }))
}

/// The caller's account: the access key id of the request's signature where that is an account
/// id, so that a client chooses its account by its credentials.
fn account(headers: &HeaderMap) -> &str {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|authorization| authorization.to_str().ok())
        .and_then(|authorization| authorization.strip_prefix("AWS4-HMAC-SHA256 "))
        .and_then(|fields| {
            fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="))
        })
        .and_then(|credential| credential.split('/').next())
        .filter(|key| key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit()))
        .unwrap_or(DEFAULT_ACCOUNT)
}

/// Each header's last value, and all of its values.
fn headers(headers: &HeaderMap) -> Result<LastAndAll, NotAscii> {
    let (mut last, mut all) = (Map::new(), Map::new());
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(|value| value.to_str());
        let values: Vec<&str> = values
            .collect::<Result<_, _>>()
            .map_err(|_| NotAscii(format!("The value of header {name} is not ASCII")))?;
        last.insert(name.to_string(), json!(values.last()));
        all.insert(name.to_string(), json!(values));
    }
    Ok([last, all])
}

/// Each query parameter's last value, and all of its values, decoded.
fn query(query: &str) -> LastAndAll {
    let (mut last, mut all) = (Map::new(), Map::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        last.insert(name.clone(), json!(value));
        if let Some(values) = all.entry(name).or_insert_with(|| json!([])).as_array_mut() {
            values.push(json!(value));
        }
    }
    [last, all]
}

/// Percent-decoding; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match (escaped, first) {
            (Some((high, low)), _) => decoded.push(high << 4 | low),
            (None, b'+') => decoded.push(b' '),
            (None, other) => decoded.push(*other),
        }
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
