//! Payload format version 1, as REST APIs send it.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>

use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{API_ID, USER_ID, encode, proxy, query, request_time, source_ip, values};
use crate::DEFAULT_ACCOUNT;
use crate::api_gateway::Api;
use crate::api_gateway::credential::Credential;
use crate::api_gateway::error::ApiError;
use crate::api_gateway::route::{PROXY, Route};

/// The last value of each name, and all of its values.
type LastAndAll = [Map<String, Value>; 2];

pub(super) fn build(
    api: &Api,
    parts: &Parts,
    route: &Route<'_>,
    body: Vec<u8>,
) -> Result<Value, ApiError> {
    let [headers, multi_value_headers] = headers(&parts.headers)?;
    let [parameters, multi_value_parameters] = parameters(parts);
    // The API has no binary media types, so that every body is text.
    let (body, is_base64_encoded) = encode(body, true);
    let signed = Credential::of(&parts.headers);
    // A request without credentials comes from the default account, for clients such as curl.
    let credential = signed.unwrap_or_default();
    let (time, epoch) = request_time();
    Ok(json!({
        "resource": route.resource,
        "path": route.path,
        "httpMethod": parts.method.as_str(),
        "headers": headers,
        "multiValueHeaders": multi_value_headers,
        "queryStringParameters": or_null(parameters),
        "multiValueQueryStringParameters": or_null(multi_value_parameters),
        "pathParameters": (route.resource == PROXY).then(|| json!({ "proxy": proxy(route) })),
        "stageVariables": null,
        "requestContext": {
            "accountId": DEFAULT_ACCOUNT,
            "apiId": API_ID,
            "domainName": headers.get("host"),
            "httpMethod": parts.method.as_str(),
            "identity": {
                "accessKey": signed.map(|signed| signed.access_key),
                "accountId": credential.account(),
                "caller": signed.map(|_| USER_ID),
                "principalOrgId": null,
                "sourceIp": source_ip(parts),
                "user": signed.map(|_| USER_ID),
                "userAgent": headers.get("user-agent"),
                "userArn": credential.user_arn(),
            },
            "path": parts.uri.path(),
            "protocol": format!("{:?}", parts.version),
            "requestId": Uuid::new_v4().to_string(),
            "requestTime": time,
            "requestTimeEpoch": epoch,
            "resourcePath": route.resource,
            "stage": api.stage.unwrap_or("local"),
        },
        "body": (!body.is_empty()).then_some(body),
        "isBase64Encoded": is_base64_encoded,
    }))
}

fn headers(headers: &HeaderMap) -> Result<LastAndAll, ApiError> {
    let (mut last, mut all) = (Map::new(), Map::new());
    for name in headers.keys() {
        let values = values(headers, name)?;
        last.insert(name.to_string(), json!(values.last()));
        all.insert(name.to_string(), json!(values));
    }
    Ok([last, all])
}

fn parameters(parts: &Parts) -> LastAndAll {
    let (mut last, mut all) = (Map::new(), Map::new());
    for (name, value) in query(parts) {
        last.insert(name.clone(), json!(value));
        if let Some(values) = all.entry(name).or_insert_with(|| json!([])).as_array_mut() {
            values.push(json!(value));
        }
    }
    [last, all]
}

fn or_null(map: Map<String, Value>) -> Value {
    if map.is_empty() { Value::Null } else { Value::Object(map) }
}
