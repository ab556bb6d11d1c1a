//! API Gateway in front of a Lambda function. It turns HTTP into an event, and the function's response
//! into HTTP. Every method and every path reaches the function, unless the API has a stage and so
//! requires IAM's signatures as a deployed API does.

mod credential;
mod error;
mod event;
mod iam;
mod response;
mod route;

use std::io;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::response::IntoResponse as _;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;
use tokio::net::TcpListener;
use uuid::Uuid;

pub use crate::DEFAULT_ACCOUNT;
use crate::{clock, listener};
use error::ApiError;

/// API Gateway's largest payload: 10 MB.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const MAX_BODY: usize = 10 * 1024 * 1024;
/// Lambda's largest event of a synchronous invocation: 6 MB.
const MAX_EVENT: usize = 6 * 1024 * 1024;
/// Lambda's largest response, in bytes, as its runtime says when it rejects one.
const MAX_RESPONSE: usize = 6_291_556;
/// The function's time-out.
const TIMEOUT: Duration = Duration::from_secs(28);

/// What the API in front of the function looks like.
///
/// It has the resources `/`, `/push` and `/pull`, each with POST. Other requests reach the function
/// as `/{proxy+}`, or as the route `$default` in [`Payload::V2`].
#[derive(Clone, Debug, Default)]
pub struct Api {
    /// The stage of a deployed API with `AWS_IAM` authorization. Only POST on the three resources
    /// with a credential scope for the service `execute-api` reaches the function then. The
    /// signature is not verified. The URL begins with the stage, unless that is `$default`, which
    /// only HTTP APIs have, or there is a base path.
    ///
    /// `None`: every request reaches the function.
    pub stage: Option<&'static str>,
    /// The base path mapping of a custom domain, such as `/ecr`, in front of every resource.
    pub base_path: Option<String>,
    /// The payload format of the integration.
    pub payload: Payload,
}

/// The version of the payload format.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Payload {
    /// Of REST APIs, and of HTTP APIs that ask for it.
    #[default]
    V1,
    /// Of HTTP APIs and function URLs.
    V2,
}

/// Serves `handler` until `shutdown` completes and the calls in flight have their responses.
///
/// `handler` takes Lambda's event and returns Lambda's response.
///
/// # Errors
/// If the listener cannot be read from.
pub async fn serve<H, F>(
    listener: TcpListener,
    api: Api,
    handler: H,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    H: Fn(LambdaEvent<Value>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Value> + Send,
{
    let payload = api.payload;
    let service =
        Router::new().fallback(async move |request: Request| match receive(request, &api).await {
            Ok(event) => response::to_http(payload, handler(event).await),
            Err(error) => error.into_response(),
        });
    listener::serve(listener, service, shutdown).await
}

async fn receive(request: Request, api: &Api) -> Result<LambdaEvent<Value>, ApiError> {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    let route = route::find(api, parts.uri.path())?;
    if api.stage.is_some() {
        iam::admit(&parts, &route)?;
    }
    let event = event::build(api, &parts, &route, body)?;
    if json_length(&event).is_none_or(|length| length > MAX_EVENT) {
        return Err(ApiError::TooLong);
    }
    let mut context = Context::default();
    context.request_id = Uuid::new_v4().to_string();
    context.deadline = clock::epoch_millis(clock::now() + TIMEOUT);
    Ok(LambdaEvent::new(event, context))
}

/// Reads the body to its end, so that the client can read the response. Keeps at most
/// [`MAX_BODY`] bytes.
async fn read(mut body: Body) -> Result<Vec<u8>, ApiError> {
    // A client may announce more than it sends.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(MAX_BODY);
    let mut read = Vec::with_capacity(announced.min(MAX_BODY));
    let mut length = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| ApiError::Unreadable("The body ends early".into()))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= MAX_BODY {
            read.extend_from_slice(&data);
        }
    }
    if length <= MAX_BODY { Ok(read) } else { Err(ApiError::TooLong) }
}

/// In bytes, without writing it anywhere.
fn json_length(value: &Value) -> Option<usize> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).ok()?;
    Some(length.0)
}

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
