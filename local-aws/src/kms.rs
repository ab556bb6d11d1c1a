//! KMS over HTTP, protocol JSON 1.1: the operations that the function calls, and those that bring a
//! key into each of its states. Signatures are not verified. Messages follow KMS's own.
//!
//! No permissively licensed crate has this.

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

pub(crate) use error::KmsError;
use store::Store;

/// The alias of the default key, which stands for the one that template.yaml creates.
pub(crate) const DEFAULT_ALIAS: &str = "alias/ecr-registry";

/// The keys, as the other services use them.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<Store>);

impl Keys {
    /// Opens the keys in `directory`, or starts in memory. Creates a symmetric key under
    /// [`DEFAULT_ALIAS`] unless that alias exists.
    pub(crate) fn open(directory: Option<&Path>, region: &str) -> io::Result<Self> {
        let store = Store::open(directory.map(|directory| directory.join("kms.json")), region)?;
        let created = operations::ensure_alias(&store, DEFAULT_ALIAS);
        created.map_err(|error| io::Error::other(error.message))?;
        Ok(Self(Arc::new(store)))
    }

    pub(crate) fn service(&self) -> Router {
        Router::new().fallback(respond).with_state(Arc::clone(&self.0))
    }

    /// The ARN of the key that `reference` names.
    ///
    /// # Errors
    /// That of `GenerateDataKey`, if S3 cannot generate a data key under it.
    pub(crate) fn generate_for_s3(&self, reference: &str) -> Result<String, KmsError> {
        operations::check_data_key(&self.0, reference)
    }

    /// # Errors
    /// That of `Decrypt`, if S3 cannot decrypt data keys under this key.
    pub(crate) fn decrypt_for_s3(&self, arn: &str) -> Result<(), KmsError> {
        operations::check_decryption(&self.0, arn)
    }
}

async fn respond(State(store): State<Arc<Store>>, headers: HeaderMap, body: Bytes) -> Response {
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

/// The operations that this KMS has.
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
