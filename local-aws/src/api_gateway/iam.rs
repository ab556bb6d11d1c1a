//! What a deployed REST API with `AWS_IAM` refuses before its function is asked: a stage that does
//! not exist, any method and path but `POST /`, and a signature for a service other than
//! `execute-api`. The signature itself is not verified.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html>

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;

use super::{ECR_CONTENT_TYPE, error_answer, error_body, refusal};

/// Why a request does not pass.
pub(super) enum Refusal {
    /// There is no API at the stage, and so no gateway response to shape the answer.
    NoSuchStage,
    /// template.yaml's gateway response `MISSING_AUTHENTICATION_TOKEN`, which is also the one for
    /// methods and paths that the API does not have.
    NoSuchMethod,
    /// template.yaml's gateway response `INVALID_SIGNATURE`.
    WrongService,
}

impl Refusal {
    pub(super) fn answer(&self) -> Response {
        match self {
            Self::NoSuchStage => {
                let body = r#"{"message":"Forbidden"}"#.to_owned();
                let status = StatusCode::FORBIDDEN;
                refusal(status, "ForbiddenException", "application/json", body)
            }
            Self::NoSuchMethod => {
                let message = "The requested operation is not recognized by the service";
                let body = error_body("UnknownOperationException", message);
                // As the template has it answered.
                let code = "UnknownOperationException";
                refusal(StatusCode::NOT_FOUND, code, ECR_CONTENT_TYPE, body)
            }
            Self::WrongService => {
                // It does end in a space.
                let message = "Credential should be scoped to correct service: 'execute-api'. ";
                error_answer(StatusCode::FORBIDDEN, "InvalidSignatureException", message)
            }
        }
    }
}

/// The path below the stage of a request that may pass.
pub(super) fn admit<'a>(parts: &'a Parts, stage: &str) -> Result<&'a str, Refusal> {
    let path = below(parts.uri.path(), stage).ok_or(Refusal::NoSuchStage)?;
    if parts.method != Method::POST || path != "/" {
        return Err(Refusal::NoSuchMethod);
    }
    let authorization = parts.headers.get(header::AUTHORIZATION).ok_or(Refusal::NoSuchMethod)?;
    let scope = authorization.to_str().ok().and_then(credential_scope);
    match scope.and_then(|scope| scope.split('/').nth(2)) {
        Some("execute-api") => Ok(path),
        _ => Err(Refusal::WrongService),
    }
}

/// `/` for `/STAGE` and `/STAGE/`, which are one resource; `None` outside the stage.
fn below<'a>(path: &'a str, stage: &str) -> Option<&'a str> {
    match path.strip_prefix('/')?.strip_prefix(stage)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// `DATE/REGION/SERVICE/aws4_request` of a Signature Version 4.
fn credential_scope(authorization: &str) -> Option<&str> {
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let mut fields = fields.split(',').map(str::trim);
    let credential = fields.find_map(|field| field.strip_prefix("Credential="))?;
    credential.split_once('/').map(|(_, scope)| scope)
}
