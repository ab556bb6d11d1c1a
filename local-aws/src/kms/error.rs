//! KMS's errors with their messages.

use axum::http::StatusCode;
use serde_json::json;

/// The code is `__type` on the wire.
#[derive(Debug)]
pub(crate) struct KmsError {
    pub(crate) code: &'static str,
    /// Empty where KMS has no message.
    pub(crate) message: String,
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

    pub(super) fn invalid_key_usage(message: impl Into<String>) -> Self {
        KmsError::new("InvalidKeyUsageException", message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        KmsError::new("UnsupportedOperationException", message)
    }

    /// For a ciphertext of another KMS, a changed ciphertext, and another encryption context. KMS
    /// does not distinguish them.
    pub(super) fn invalid_ciphertext() -> Self {
        KmsError::new("InvalidCiphertextException", "")
    }

    /// If the state could not be stored or the random source failed.
    pub(super) fn internal() -> Self {
        KmsError::new("KMSInternalException", "The request failed because of an internal error.")
    }

    pub(super) fn status(&self) -> StatusCode {
        match self.code {
            "KMSInternalException" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn to_json(&self) -> String {
        let Self { code, message } = self;
        if message.is_empty() {
            return json!({ "__type": code }).to_string();
        }
        json!({ "__type": code, "message": message }).to_string()
    }
}
