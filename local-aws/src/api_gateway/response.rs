//! Turns the function's response into HTTP.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::error::ApiError;
use super::{MAX_RESPONSE, Payload, json_length};

/// A response that is too long or malformed becomes API Gateway's 502.
pub(super) fn to_http(payload: Payload, response: Value) -> Response {
    if json_length(&response).is_none_or(|length| length > MAX_RESPONSE) {
        return ApiError::BadGateway.into_response();
    }
    if payload == Payload::V2 && response.get("statusCode").is_none() {
        return inferred(response);
    }
    let response = serde_json::from_value::<FunctionResponse>(response).ok();
    let response = response.and_then(|response| response.to_http(payload));
    response.unwrap_or_else(|| ApiError::BadGateway.into_response())
}

/// "API Gateway makes the following assumptions if your Lambda function returns valid JSON and
/// doesn't return a `statusCode`": 200, `application/json`, and the response is the body. A string
/// is the body itself, without its quotes.
fn inferred(response: Value) -> Response {
    let body = match response {
        Value::String(text) => text,
        other => other.to_string(),
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResponse {
    status_code: u16,
    headers: Option<BTreeMap<String, Scalar>>,
    /// Of version 1.
    multi_value_headers: Option<BTreeMap<String, Vec<Scalar>>>,
    /// Of version 2: the values of `Set-Cookie`.
    cookies: Option<Vec<String>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

/// A header's value.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Boolean(bool),
}

impl FunctionResponse {
    fn to_http(&self, payload: Payload) -> Option<Response> {
        // A 1xx status is never final.
        let status = Some(self.status_code).filter(|status| (200..=599).contains(status))?;
        let body = self.body.as_deref().unwrap_or_default();
        let body = match self.is_base64_encoded {
            Some(true) => STANDARD.decode(body).ok()?,
            Some(false) | None => body.as_bytes().to_vec(),
        };
        let mut response = (StatusCode::from_u16(status).ok()?, Body::from(body)).into_response();
        for (name, value) in self.all_headers(payload)? {
            response.headers_mut().append(name, value);
        }
        Some(response)
    }

    fn all_headers(&self, payload: Payload) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let mut all = Vec::new();
        let single = self.headers.iter().flatten();
        for (name, value) in single {
            all.push((name.parse().ok()?, value.to_header()?));
        }
        match payload {
            Payload::V1 => {
                for (name, values) in self.multi_value_headers.iter().flatten() {
                    let name: HeaderName = name.parse().ok()?;
                    let values: Option<Vec<_>> = values.iter().map(Scalar::to_header).collect();
                    // A pair that is in both maps is sent once.
                    let pairs = values?.into_iter().map(|value| (name.clone(), value));
                    let new: Vec<_> = pairs.filter(|pair| !all.contains(pair)).collect();
                    all.extend(new);
                }
            }
            Payload::V2 => {
                for cookie in self.cookies.iter().flatten() {
                    all.push((header::SET_COOKIE, cookie.parse().ok()?));
                }
            }
        }
        Some(all)
    }
}

impl Scalar {
    fn to_header(&self) -> Option<HeaderValue> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Number(number) => number.to_string().parse().ok(),
            Self::Boolean(boolean) => boolean.to_string().parse().ok(),
        }
    }
}
