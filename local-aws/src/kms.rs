//! KMS over HTTP, protocol JSON 1.1: the operations that the function calls and those that an
//! operator needs to bring a key into each of its states. Signatures are not checked.
//!
//! No permissively licensed crate does this. Texts follow the service's own.

mod cipher;
mod constraints;
mod error;
mod keys;
mod names;
mod operations;
mod policy;
mod store;

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use error::KmsError;
use store::Store;

/// Opens the keys in `directory`, or starts with none in memory.
pub(crate) fn open(directory: Option<&Path>, region: &str) -> io::Result<Router> {
    let store = Store::open(directory.map(|directory| directory.join("kms.json")), region)?;
    Ok(Router::new().fallback(answer).with_state(Arc::new(store)))
}

async fn answer(State(store): State<Arc<Store>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix("TrentService."));
    let (status, body) = match dispatch(&store, operation.unwrap_or_default(), &body) {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (error.status(), error.to_json()),
    };
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/x-amz-json-1.1".to_owned()),
        ("x-amzn-requestid", Uuid::new_v4().to_string()),
    ];
    (status, headers, body).into_response()
}

/// Every operation this KMS has.
fn dispatch(store: &Store, operation: &str, body: &[u8]) -> Result<String, KmsError> {
    match operation {
        "CancelKeyDeletion" => call(store, body, operations::cancel_key_deletion),
        "CreateAlias" => call(store, body, operations::create_alias),
        "CreateKey" => call(store, body, operations::create_key),
        "Decrypt" => call(store, body, operations::decrypt),
        "DeleteAlias" => call(store, body, operations::delete_alias),
        "DescribeKey" => call(store, body, operations::describe_key),
        "DisableKey" => call(store, body, operations::disable_key),
        "EnableKey" => call(store, body, operations::enable_key),
        "GenerateDataKey" => call(store, body, operations::generate_data_key),
        "ListAliases" => call(store, body, operations::list_aliases),
        "ListKeys" => call(store, body, operations::list_keys),
        "PutKeyPolicy" => call(store, body, operations::put_key_policy),
        "ScheduleKeyDeletion" => call(store, body, operations::schedule_key_deletion),
        "UpdateAlias" => call(store, body, operations::update_alias),
        _ => Err(KmsError::new("UnknownOperationException", "")),
    }
}

/// Parses the request, runs the operation, writes the answer.
fn call<I: DeserializeOwned, O: Serialize>(
    store: &Store,
    body: &[u8],
    operation: fn(&Store, &I) -> Result<O, KmsError>,
) -> Result<String, KmsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let input = serde_json::from_slice(body)
        .map_err(|error| KmsError::new("SerializationException", error.to_string()))?;
    serde_json::to_string(&operation(store, &input)?).map_err(|_| KmsError::internal())
}
