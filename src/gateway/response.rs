//! The responses that Lambda takes back, in the payload version of their events.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::json;

use crate::api::error::Error;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The payload format version of an event and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// REST APIs and load balancers.
    V1,
    /// HTTP APIs and function URLs.
    V2,
}

/// The function's response to an event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// To an event of payload 1.0.
    V1(ApiGatewayProxyResponse),
    /// To an event of payload 2.0.
    V2(ApiGatewayV2httpResponse),
}

impl Response {
    pub(super) fn success(payload: Payload, request_id: &str, body: String) -> Self {
        Self::new(payload, 200, request_id, None, body)
    }

    pub(super) fn error(payload: Payload, request_id: &str, error: &Error) -> Self {
        let code = error.code();
        let message = match error {
            Error::Server(_) => format!("{error} Request id: {request_id}"),
            _ => error.to_string(),
        };
        let mut body = json!({ "__type": code, "message": message });
        if let (Error::Kms { kms_error, .. }, Some(body)) = (error, body.as_object_mut()) {
            body.insert("kmsError".to_owned(), kms_error.as_str().into());
        }
        // The body's `__type` is for botocore, the header for the Rust and JavaScript SDKs.
        Self::new(payload, error.status(), request_id, Some(code), body.to_string())
    }

    /// How many bytes of Lambda's payload a success takes around its body.
    pub(super) fn envelope_len(payload: Payload, request_id: &str) -> usize {
        let empty = Self::success(payload, request_id, String::new());
        // Headers of visible ASCII and an empty text always serialise.
        serde_json::to_vec(&empty).map_or(0, |json| json.len() - r#""""#.len())
    }

    fn new(
        payload: Payload,
        status: u16,
        request_id: &str,
        error_type: Option<&'static str>,
        body: String,
    ) -> Self {
        let mut headers = HeaderMap::new();
        let mut set = |name, value| headers.insert(HeaderName::from_static(name), value);
        set("content-type", HeaderValue::from_static(CONTENT_TYPE));
        // `Request::request_id` returns only what a header can carry.
        if let Ok(request_id) = HeaderValue::from_str(request_id) {
            set("x-amzn-requestid", request_id);
        }
        if let Some(error_type) = error_type {
            set("x-amzn-errortype", HeaderValue::from_static(error_type));
        }
        let body = Some(Body::Text(body));
        match payload {
            Payload::V1 => {
                let mut response = ApiGatewayProxyResponse::default();
                response.status_code = status.into();
                response.headers = headers;
                response.body = body;
                Self::V1(response)
            }
            Payload::V2 => {
                let mut response = ApiGatewayV2httpResponse::default();
                response.status_code = status.into();
                response.headers = headers;
                response.body = body;
                Self::V2(response)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_envelope_is_what_surrounds_the_body(id in "[!-~]{1,60}", text in "\\PC{0,60}") {
            for payload in [Payload::V1, Payload::V2] {
                let body = json!({ "image": text }).to_string();
                let escaped = serde_json::to_string(&body).unwrap().len();
                let whole = Response::success(payload, &id, body);
                let whole = serde_json::to_string(&whole).unwrap().len();
                prop_assert_eq!(Response::envelope_len(payload, &id) + escaped, whole);
            }
        }
    }
}
