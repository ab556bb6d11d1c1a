//! A `BatchGetItem` of which `DynamoDB` reads only a part.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use super::response;

/// Takes the last `count` keys of each table out of a request. Returns them as `UnprocessedKeys`.
pub(super) fn take_keys(request: &mut HttpRequest, count: usize) -> Result<Value, ConnectorError> {
    let body = request.body().bytes().unwrap_or_default();
    let mut body: Value = serde_json::from_slice(body).map_err(malformed)?;
    let mut unprocessed = body.get("RequestItems").cloned().unwrap_or_default();
    for (table, left_out) in unprocessed.as_object_mut().into_iter().flatten() {
        let asked = body.get_mut("RequestItems").and_then(|tables| tables.get_mut(table));
        let asked = asked.and_then(|of_table| of_table.get_mut("Keys"));
        let Some(keys) = asked.and_then(Value::as_array_mut) else { continue };
        let last = keys.split_off(keys.len().saturating_sub(count));
        if let Some(left_out) = left_out.as_object_mut() {
            left_out.insert("Keys".into(), last.into());
        }
    }
    let body = body.to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    Ok(unprocessed)
}

/// The response with these `UnprocessedKeys`.
pub(super) fn with_unprocessed(
    response: &HttpResponse,
    unprocessed: Value,
) -> Result<HttpResponse, ConnectorError> {
    let status = response.status().as_u16();
    let body = response.body().bytes().unwrap_or_default();
    let mut body: Value = serde_json::from_slice(body).map_err(malformed)?;
    if let Some(body) = body.as_object_mut() {
        body.insert("UnprocessedKeys".into(), unprocessed);
    }
    response::response(status, "application/x-amz-json-1.0", body.to_string())
}

fn malformed(error: serde_json::Error) -> ConnectorError {
    ConnectorError::user(error.into())
}
