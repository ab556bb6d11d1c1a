//! What KMS refuses, in its words.

use axum::http::StatusCode;
use serde_json::json;

/// A refusal, the code in `__type`.
#[derive(Debug)]
pub(super) struct KmsError {
    code: &'static str,
    message: String,
}

impl KmsError {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        KmsError { code, message: message.into() }
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        KmsError::new("ValidationException", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        KmsError::new("NotFoundException", message)
    }

    pub(super) fn invalid_state(message: impl Into<String>) -> Self {
        KmsError::new("KMSInvalidStateException", message)
    }

    /// A ciphertext that is not ours, was changed, or has another encryption context: KMS does
    /// not say which.
    pub(super) fn invalid_ciphertext() -> Self {
        KmsError::new("InvalidCiphertextException", "")
    }

    /// The state could not be stored, or the random source failed.
    pub(super) fn internal() -> Self {
        KmsError::new("KMSInternalException", "The request failed because of an internal error.")
    }

    /// KMS's model calls this one a fault of its own.
    pub(super) fn status(&self) -> StatusCode {
        match self.code {
            "KMSInternalException" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn to_json(&self) -> String {
        json!({"__type": self.code, "message": self.message}).to_string()
    }
}
