//! Payload format version 2, as HTTP APIs and function URLs send it.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{API_ID, USER_ID, encode, proxy, query, request_time, source_ip, values};
use crate::DEFAULT_ACCOUNT;
use crate::api_gateway::Api;
use crate::api_gateway::credential::Credential;
use crate::api_gateway::error::ApiError;
use crate::api_gateway::route::{PROXY, Route};

pub(super) fn build(
    api: &Api,
    parts: &Parts,
    route: &Route<'_>,
    body: Vec<u8>,
) -> Result<Value, ApiError> {
    let headers = headers(&parts.headers)?;
    let route_key = if parts.method == Method::POST && route.resource != PROXY {
        format!("POST {}", route.resource)
    } else {
        "$default".to_owned()
    };
    let path = path(api, parts, route);
    let (time, epoch) = request_time();
    let mut context = json!({
        "accountId": DEFAULT_ACCOUNT,
        "apiId": API_ID,
        "domainName": headers.get("host"),
        "http": {
            "method": parts.method.as_str(),
            "path": path,
            "protocol": format!("{:?}", parts.version),
            "sourceIp": source_ip(parts),
            "userAgent": headers.get("user-agent"),
        },
        "requestId": Uuid::new_v4().to_string(),
        "routeKey": route_key,
        "stage": api.stage.unwrap_or("$default"),
        "time": time,
        "timeEpoch": epoch,
    });
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
    });
    if let Some(credential) = Credential::of(&parts.headers) {
        insert(&mut context, "authorizer", json!({ "iam": identity(credential) }));
    }
    insert(&mut event, "requestContext", context);
    let cookies = cookies(&parts.headers)?;
    if !cookies.is_empty() {
        insert(&mut event, "cookies", json!(cookies));
    }
    let parameters = parameters(parts);
    if !parameters.is_empty() {
        insert(&mut event, "queryStringParameters", Value::Object(parameters));
    }
    if route.resource == PROXY {
        insert(&mut event, "pathParameters", json!({ "proxy": proxy(route) }));
    }
    let as_text = body.is_empty() || is_text(&parts.headers);
    let (body, is_base64_encoded) = encode(body, as_text);
    if !body.is_empty() {
        insert(&mut event, "body", json!(body));
    }
    insert(&mut event, "isBase64Encoded", json!(is_base64_encoded));
    Ok(event)
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// The path with the named stage in front, and without the base path: "If you use an API mapping to
/// connect your stage to a custom domain name, `rawPath` won't provide the API mapping value."
fn path(api: &Api, parts: &Parts, route: &Route<'_>) -> String {
    match api.named_stage() {
        Some(stage) if api.base_path.is_some() => format!("/{stage}{}", route.below),
        Some(_) => parts.uri.path().to_owned(),
        None => route.below.to_owned(),
    }
}

fn identity(credential: Credential<'_>) -> Value {
    json!({
        "accessKey": credential.access_key,
        "accountId": credential.account(),
        "callerId": USER_ID,
        "cognitoIdentity": null,
        "principalOrgId": null,
        "userArn": credential.user_arn(),
        "userId": USER_ID,
    })
}

/// The values of a name are joined by commas. Cookies have a member of their own.
fn headers(headers: &HeaderMap) -> Result<Map<String, Value>, ApiError> {
    let names = headers.keys().filter(|name| **name != header::COOKIE);
    names.map(|name| Ok((name.to_string(), json!(values(headers, name)?.join(","))))).collect()
}

fn cookies(headers: &HeaderMap) -> Result<Vec<&str>, ApiError> {
    let values = values(headers, &header::COOKIE)?;
    let cookies = values.into_iter().flat_map(|value| value.split(';')).map(str::trim);
    Ok(cookies.filter(|cookie| !cookie.is_empty()).collect())
}

fn parameters(parts: &Parts) -> Map<String, Value> {
    let mut joined = Map::new();
    for (name, value) in query(parts) {
        let values = match joined.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        joined.insert(name, json!(values));
    }
    joined
}

/// The media types that HTTP APIs do not encode in Base64. AWS does not document them. These were
/// measured on a real API. `application/x-amz-json-1.1` is not one of them.
/// <https://github.com/ministackorg/ministack/pull/766>
fn is_text(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        || matches!(
            media_type.as_str(),
            "application/json" | "application/javascript" | "application/xml"
        )
}
