//! The errors that API Gateway returns without calling the function.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html>

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

const ECR_CONTENT_TYPE: &str = "application/x-amz-json-1.1";

#[derive(Debug)]
pub(super) enum ApiError {
    /// There is no API at this stage, or no base path mapping. So no gateway response applies.
    Forbidden,
    /// template.yaml's gateway response `MISSING_AUTHENTICATION_TOKEN`, which also covers methods and
    /// paths that the API does not have.
    UnknownOperation,
    /// template.yaml's gateway response `INVALID_SIGNATURE`.
    WrongService,
    TooLong,
    /// The request does not fit into an event, for this reason.
    Unreadable(String),
    /// The function's response cannot be written as HTTP.
    BadGateway,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        use StatusCode as S;
        let (status, code, message) = match &self {
            Self::Forbidden => (S::FORBIDDEN, "ForbiddenException", "Forbidden"),
            Self::UnknownOperation => (
                S::NOT_FOUND,
                "UnknownOperationException",
                "The requested operation is not recognized by the service",
            ),
            Self::WrongService => (
                S::FORBIDDEN,
                "InvalidSignatureException",
                // It does end in a space.
                "Credential should be scoped to correct service: 'execute-api'. ",
            ),
            Self::TooLong => {
                (S::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", "Request too long")
            }
            Self::Unreadable(message) => {
                (S::BAD_REQUEST, "SerializationException", message.as_str())
            }
            Self::BadGateway => {
                (S::BAD_GATEWAY, "InternalServerErrorException", "Internal server error")
            }
        };
        let (content_type, body) = match &self {
            Self::Forbidden => ("application/json", json!({ "message": message })),
            _ => (ECR_CONTENT_TYPE, json!({ "__type": code, "message": message })),
        };
        let request_id = Uuid::new_v4().to_string();
        let headers = [
            ("content-type", content_type),
            ("x-amzn-errortype", code),
            ("x-amzn-requestid", &request_id),
        ];
        (status, headers, body.to_string()).into_response()
    }
}
