//! The function's responses, and the API's messages.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::ACCOUNT;

/// A parsed response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: i64,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Response {
    pub(crate) fn read(response: &Value) -> Self {
        assert_eq!(response["isBase64Encoded"], false);
        let size = response.to_string().len();
        assert!(size <= 6_291_556, "a response of {size} bytes");
        let text = response["body"].as_str().unwrap().to_owned();
        let header = |(name, value): (&String, &Value)| {
            (name.to_lowercase(), value.as_str().unwrap().to_owned())
        };
        Self {
            status: response["statusCode"].as_i64().unwrap(),
            headers: response["headers"].as_object().unwrap().iter().map(header).collect(),
            json: serde_json::from_str(&text).expect("every body is JSON"),
            text,
        }
    }

    #[track_caller]
    pub(crate) fn is_error(&self, status: i64, code: &str, message: &str) {
        assert_eq!(self.json, json!({ "__type": code, "message": message }));
        assert_eq!(self.status, status);
        assert_eq!(self.headers["x-amzn-errortype"], code);
        self.has_the_common_headers();
    }

    #[track_caller]
    pub(crate) fn has_the_common_headers(&self) {
        assert_eq!(self.headers["content-type"], "application/x-amz-json-1.1");
        assert!(!self.headers["x-amzn-requestid"].is_empty());
    }

    /// An internal error that reveals nothing about its cause.
    #[track_caller]
    pub(crate) fn is_server_exception(&self) {
        let request_id = &self.headers["x-amzn-requestid"];
        let message = format!(
            "The request could not be completed because of a failure of the service. \
             Request id: {request_id}"
        );
        self.is_error(500, "ServerException", &message);
    }

    #[track_caller]
    pub(crate) fn digest(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn not_found(repository: &str) -> String {
    format!(
        "The repository with name '{repository}' does not exist in the registry with id '{ACCOUNT}'"
    )
}

pub(crate) fn already_exists(digest: &str, tag: Option<&str>) -> String {
    let tag = tag.unwrap_or("null");
    format!(
        "Image with digest '{digest}' and tag '{tag}' already exists in the repository with name \
         'app' in registry with id '{ACCOUNT}'"
    )
}

pub(crate) fn tag_immutable(tag: &str) -> String {
    format!(
        "The image tag '{tag}' already exists in the 'app' repository and cannot be overwritten \
         because the tag is immutable."
    )
}

pub(crate) fn layers_not_found(digests: &[&str]) -> String {
    format!(
        "Layers with digests '[{}]' required for pushing image into repository with name 'app' in \
         the registry with id '{ACCOUNT}' do not exist",
        digests.join(", ")
    )
}

pub(crate) fn images_not_found(digests: &[&str]) -> String {
    format!(
        "Images with digests '[{}]' required for pushing image into repository with name 'app' in \
         the registry with id '{ACCOUNT}' do not exist",
        digests.join(", ")
    )
}

pub(crate) fn invalid(parameter: &str, constraint: &str) -> String {
    format!("Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'")
}
