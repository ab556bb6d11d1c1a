//! What a deployed API with `AWS_IAM` rejects before it calls its function: any method and path but
//! POST on a resource, and a signature for a service other than `execute-api`. The signature itself
//! is not verified.

use axum::http::request::Parts;
use axum::http::{Method, header};

use super::credential::Credential;
use super::error::ApiError;
use super::route::{PROXY, Route};

pub(super) fn admit(parts: &Parts, route: &Route<'_>) -> Result<(), ApiError> {
    if parts.method != Method::POST || route.resource == PROXY {
        return Err(ApiError::UnknownOperation);
    }
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        return Err(ApiError::UnknownOperation);
    }
    match Credential::of(&parts.headers) {
        Some(credential) if credential.service == "execute-api" => Ok(()),
        _ => Err(ApiError::WrongService),
    }
}
