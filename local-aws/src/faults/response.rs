//! Responses in the services' shapes that the services did not send.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::json;
use uuid::Uuid;

use super::Call;

/// An error of the call's service.
pub(super) fn error(
    call: &Call,
    status: u16,
    code: &str,
    message: &str,
) -> Result<HttpResponse, ConnectorError> {
    match call.service {
        "s3" => {
            let body = if call.operation.starts_with("Head") {
                String::new()
            } else {
                format!(
                    r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"#
                )
            };
            response(status, "application/xml", body)
        }
        "kms" => json(status, "application/x-amz-json-1.1", code, message),
        _ => json(
            status,
            "application/x-amz-json-1.0",
            &format!("com.amazonaws.dynamodb.v20120810#{code}"),
            message,
        ),
    }
}

/// `DynamoDB`'s cancellation of a transaction.
pub(super) fn cancelled<S: AsRef<str>>(codes: &[S]) -> Result<HttpResponse, ConnectorError> {
    let codes: Vec<&str> = codes.iter().map(AsRef::as_ref).collect();
    let reasons: Vec<_> = codes
        .iter()
        .map(|code| match message(code) {
            Some(message) => json!({"Code": code, "Message": message}),
            None => json!({"Code": code}),
        })
        .collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons": reasons,
        "Message": format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        ),
    });
    response(400, "application/x-amz-json-1.0", body.to_string())
}

/// What a proxy in between would return.
pub(super) fn page(status: u16) -> Result<HttpResponse, ConnectorError> {
    response(status, "text/html", "<html>arn:aws:dynamodb:us-west-2:1:table/ecr</html>".to_owned())
}

/// The messages of the reasons, from the API reference of `TransactWriteItems`.
fn message(code: &str) -> Option<&'static str> {
    match code {
        "ConditionalCheckFailed" => Some("The conditional request failed"),
        "ItemCollectionSizeLimitExceeded" => Some("Collection size exceeded."),
        "ProvisionedThroughputExceeded" => {
            Some("Throughput exceeds the current capacity of your table or index.")
        }
        "ThrottlingError" => Some(
            "Throughput exceeds the current capacity for one or more global secondary indexes.",
        ),
        "TransactionConflict" => Some("Transaction is ongoing for the item"),
        "ValidationError" => {
            Some("The provided expression refers to an attribute that does not exist in the item")
        }
        _ => None,
    }
}

fn json(
    status: u16,
    content_type: &'static str,
    code: &str,
    message: &str,
) -> Result<HttpResponse, ConnectorError> {
    response(status, content_type, json!({"__type": code, "message": message}).to_string())
}

pub(super) fn response(
    status: u16,
    content_type: &'static str,
    body: String,
) -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(status).map_err(|error| ConnectorError::user(error.into()))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", content_type);
    response.headers_mut().insert("x-amzn-requestid", Uuid::new_v4().to_string());
    Ok(response)
}
