//! What API Gateway's REST API does with a request for a Lambda proxy integration: HTTP into a v1
//! event, the function's answer into HTTP. Every method and every path reaches the function, unless
//! the door asks for IAM's signatures as a deployed API does.

mod event;
mod iam;

use std::io;
use std::pin::Pin;
use std::time::Duration;

use aws_lambda_events::encodings::Body as Text;
use aws_lambda_events::event::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

pub use crate::DEFAULT_ACCOUNT;
use crate::{clock, door};

/// API Gateway's largest payload: 10 MB.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const MAX_BODY: usize = 10 * 1024 * 1024;
/// Lambda's largest event of a synchronous invocation: 6 MB, and 6,291,556 only for answers.
const MAX_EVENT: usize = 6 * 1024 * 1024;
const ECR_CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// The function's time-out.
const TIMEOUT: Duration = Duration::from_secs(28);

/// Serves `handler` until `shutdown` completes and the calls in flight are answered.
///
/// With a `stage` it is an API with `AWS_IAM` authorisation that is deployed to it: only
/// `POST /STAGE` with a credential scope for the service `execute-api` reaches the function, as
/// `POST /`; all else is answered like API Gateway with the project's gateway responses. No
/// signature is verified.
///
/// # Errors
/// When the listener cannot be read from.
pub async fn serve<H, F>(
    listener: TcpListener,
    stage: Option<&'static str>,
    handler: H,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    H: Fn(LambdaEvent<ApiGatewayProxyRequest>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ApiGatewayProxyResponse> + Send,
{
    let service =
        Router::new().fallback(async move |request: Request| match receive(request, stage).await {
            Ok(event) => answer(handler(event).await),
            Err(refusal) => refusal,
        });
    door::serve(listener, service, shutdown).await
}

/// The event of a request, or the answer that the function is not asked for.
async fn receive(
    request: Request,
    stage: Option<&str>,
) -> Result<LambdaEvent<ApiGatewayProxyRequest>, Response> {
    let (parts, body) = request.into_parts();
    let body = read(body).await?.ok_or_else(too_long)?;
    let path = match stage {
        Some(stage) => iam::admit(&parts, stage).map_err(|refusal| refusal.answer())?,
        None => parts.uri.path(),
    };
    let event = event::build(&parts, path, stage.unwrap_or("local"), body);
    let event = event.map_err(|error| unreadable(&error.0))?;
    let mut length = Length(0);
    serde_json::to_writer(&mut length, &event).map_err(|_| bad_gateway())?;
    if length.0 > MAX_EVENT {
        return Err(too_long());
    }
    let payload = serde_json::from_value(event).map_err(|error| unreadable(&error.to_string()))?;
    let mut context = Context::default();
    context.request_id = Uuid::new_v4().to_string();
    context.deadline = clock::epoch_millis(clock::now() + TIMEOUT);
    Ok(LambdaEvent::new(payload, context))
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the body to its end, so that the client is there to read the answer; `None` if it is
/// longer than [`MAX_BODY`], of which no more is kept.
async fn read(mut body: Body) -> Result<Option<Vec<u8>>, Response> {
    // What the client announces, as far as it is believed.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(MAX_BODY);
    let mut read = Vec::with_capacity(announced.min(MAX_BODY));
    let mut length = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST.into_response())?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= MAX_BODY {
            read.extend_from_slice(&data);
        }
    }
    Ok((length <= MAX_BODY).then_some(read))
}

/// The function's answer as HTTP. One that cannot be written is API Gateway's own 502.
fn answer(answer: ApiGatewayProxyResponse) -> Response {
    let status = u16::try_from(answer.status_code).ok().and_then(|s| StatusCode::from_u16(s).ok());
    let body = match answer.body {
        Some(Text::Text(text)) if answer.is_base64_encoded => STANDARD.decode(text).ok(),
        Some(Text::Text(text)) => Some(text.into_bytes()),
        Some(Text::Binary(bytes)) => Some(bytes),
        Some(_) | None => Some(Vec::new()),
    };
    let (Some(status), Some(body)) = (status, body) else { return bad_gateway() };
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.extend(answer.headers);
    for (name, value) in &answer.multi_value_headers {
        headers.append(name, value.clone());
    }
    response
}

fn unreadable(message: &str) -> Response {
    error_answer(StatusCode::BAD_REQUEST, "SerializationException", message)
}

fn too_long() -> Response {
    let code = "RequestEntityTooLargeException";
    error_answer(StatusCode::PAYLOAD_TOO_LARGE, code, "Request too long")
}

fn bad_gateway() -> Response {
    let code = "InternalServerErrorException";
    error_answer(StatusCode::BAD_GATEWAY, code, "Internal server error")
}

/// An error in the protocol of ECR, which its clients can read.
fn error_answer(status: StatusCode, code: &str, message: &str) -> Response {
    refusal(status, code, ECR_CONTENT_TYPE, error_body(code, message))
}

fn error_body(code: &str, message: &str) -> String {
    json!({"__type": code, "message": message}).to_string()
}

/// An answer of API Gateway's own, which names its error type and the request in headers.
fn refusal(status: StatusCode, code: &str, content_type: &str, body: String) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let headers = [
        ("content-type", content_type),
        ("x-amzn-errortype", code),
        ("x-amzn-requestid", &request_id),
    ];
    (status, headers, body).into_response()
}
