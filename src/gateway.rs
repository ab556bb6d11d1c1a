//! API Gateway's REST event (payload version 1) ⇄ an action and its answer. The only file that
//! knows API Gateway.
//!
//! Every failure becomes an HTTP answer here. An error returned to Lambda would reach the client as
//! API Gateway's own 502, which no ECR client can read.

use std::convert::Infallible;
use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::App;
use crate::access::Caller;
use crate::call::{Call, CallLog};
use crate::clock::{since_1970, time_left};
use crate::create_repository::create_repository;
use crate::error::{Error, Failure};
use crate::names::RegistryId;
use crate::put_image::put_image;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// Lambda's bound on a synchronous answer, in bytes: 6 MiB and a hundred, as its runtime says when it
/// refuses one.
const MAX_PAYLOAD: usize = 6_291_556;

/// The longest that a call may take. The function's time-out is 28 s, and API Gateway's 29.
const SOFT_DEADLINE: Duration = Duration::from_secs(24);

/// The actions of the ECR API that this function serves.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// Makes a repository.
    CreateRepository,
    /// Stores an image.
    PutImage,
}

impl Action {
    /// `POST /` with the action's name in `X-Amz-Target`; the Content-Type is not looked at.
    fn of(request: &ApiGatewayProxyRequest) -> Option<Self> {
        if request.http_method != Method::POST || request.path.as_deref() != Some("/") {
            return None;
        }
        let target = |headers: &HeaderMap| headers.get("x-amz-target").cloned();
        let target = target(&request.headers).or_else(|| target(&request.multi_value_headers))?;
        match target.to_str().ok()?.strip_prefix("AmazonEC2ContainerRegistry_V20150921.")? {
            "CreateRepository" => Some(Self::CreateRepository),
            "PutImage" => Some(Self::PutImage),
            _ => None,
        }
    }

    async fn run(self, app: &App, call: &mut Call, body: String) -> Result<String, Error> {
        match self {
            Self::CreateRepository => {
                call.log.action = Some("CreateRepository");
                create_repository(app, call, body).await
            }
            Self::PutImage => {
                call.log.action = Some("PutImage");
                put_image(app, call, body).await
            }
        }
    }
}

/// A request that came in.
#[derive(Debug)]
pub struct Received {
    /// The id that its answer carries.
    pub request_id: String,
    /// Its call.
    pub call: Call,
    /// What it asks for, and with which body.
    pub asked: Result<(Action, String), Error>,
}

/// Reads a request as far as every action's is the same. `default` is the registry of a caller that
/// has none.
#[must_use]
pub fn receive(mut request: ApiGatewayProxyRequest, default: Option<&RegistryId>) -> Received {
    let request_id = request_id(request.request_context.request_id.take());
    let call = Call {
        caller: caller(&mut request, default),
        answer_limit: MAX_PAYLOAD.saturating_sub(envelope_len(&request_id)),
        began_at: u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX),
        log: CallLog::default(),
    };
    let action = Action::of(&request).ok_or(Error::UnknownOperation);
    let asked = action.and_then(|action| Ok((action, body(request)?)));
    Received { request_id, call, asked }
}

/// Answers one request.
///
/// # Errors
/// None: a failure is an answer too.
pub async fn handle(
    app: &App,
    event: LambdaEvent<ApiGatewayProxyRequest>,
) -> Result<ApiGatewayProxyResponse, Infallible> {
    let began = Instant::now();
    let LambdaEvent { payload: request, context } = event;
    let Received { request_id, mut call, asked } =
        receive(request, app.config.default_registry.as_ref());

    let result = match asked {
        Err(error) => Err(error),
        Ok((action, body)) => {
            let now = Duration::from_millis(call.began_at);
            let deadline = began + time_left(context.deadline, now, SOFT_DEADLINE);
            let answer = timeout_at(deadline, action.run(app, &mut call, body)).await;
            answer.unwrap_or_else(|_| Err(Failure::new("answering before the deadline").into()))
        }
    };
    call.report(&request_id, &context.request_id, result.as_ref().err(), began.elapsed());
    Ok(match result {
        Ok(body) => response(200, &request_id, None, body),
        Err(error) => refusal(&request_id, &error),
    })
}

/// An event as Lambda delivers it: a request, or something else that somebody invoked the function
/// with (or a header that HTTP has no room for).
///
/// Reading it cannot fail, for a failure would be answered by Lambda instead of by us. Why it is no
/// request is dropped: serde's message quotes what it met, up to the whole event.
#[derive(Debug)]
pub struct Event(Option<ApiGatewayProxyRequest>);

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(ApiGatewayProxyRequest::deserialize(deserializer).ok()))
    }
}

/// Answers one event.
///
/// # Errors
/// None, as [`handle`].
pub async fn handle_event(
    app: &App,
    LambdaEvent { payload: Event(event), context }: LambdaEvent<Event>,
) -> Result<ApiGatewayProxyResponse, Infallible> {
    let Some(request) = event else {
        let request_id = request_id(None);
        let lambda_request_id = context.request_id;
        tracing::info!(request_id, lambda_request_id, "the event is not a REST request");
        return Ok(refusal(&request_id, &Error::Serialization("the event is not a REST request")));
    };
    handle(app, LambdaEvent::new(request, context)).await
}

/// API Gateway's, so that its logs and ours tell of the same request; a new one where there is none
/// that a header can carry.
fn request_id(given: Option<String>) -> String {
    given
        .filter(|id| !id.is_empty() && HeaderValue::from_str(id).is_ok())
        .unwrap_or_else(|| Uuid::new_v4().to_string())
}

/// Who signed the request. Not `requestContext.accountId`: that is the API's owner.
fn caller(request: &mut ApiGatewayProxyRequest, default: Option<&RegistryId>) -> Option<Caller> {
    let identity = &mut request.request_context.identity;
    let signed = identity.account_id.take().and_then(|id| RegistryId::parse(id).ok());
    let account = signed.or_else(|| default.cloned())?;
    let organization = identity.other.remove("principalOrgId");
    let organization = organization.and_then(|id| id.as_str().map(str::to_owned));
    Some(Caller {
        account,
        arn: identity.user_arn.take().filter(|arn| !arn.is_empty()),
        organization: organization.filter(|id| !id.is_empty()),
        source_ip: identity.source_ip.take().and_then(|ip| ip.parse().ok()),
    })
}

fn body(request: ApiGatewayProxyRequest) -> Result<String, Error> {
    let text = request.body.unwrap_or_default();
    if !request.is_base64_encoded {
        return Ok(text);
    }
    let bytes = BASE64_STANDARD.decode(text).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or(Error::Serialization("it is not UTF-8 in Base64"))
}

fn refusal(request_id: &str, error: &Error) -> ApiGatewayProxyResponse {
    let message = match error {
        Error::Server(_) => format!("{error} Request id: {request_id}"),
        _ => error.to_string(),
    };
    let code = error.code();
    let body = match error {
        Error::Kms { kms_error, .. } => {
            json!({ "__type": code, "message": message, "kmsError": kms_error })
        }
        _ => json!({ "__type": code, "message": message }),
    };
    // The body's `__type` is for botocore, the header for the Rust and JavaScript SDKs.
    response(error.status(), request_id, Some(code), body.to_string())
}

/// The answer that API Gateway gives the client.
#[must_use]
pub fn response(
    status: u16,
    request_id: &str,
    error_type: Option<&'static str>,
    body: String,
) -> ApiGatewayProxyResponse {
    let mut headers = HeaderMap::new();
    let mut set = |name, value| headers.insert(HeaderName::from_static(name), value);
    set("content-type", HeaderValue::from_static(CONTENT_TYPE));
    // `request_id` is made of what a header can carry.
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        set("x-amzn-requestid", request_id);
    }
    if let Some(error_type) = error_type {
        set("x-amzn-errortype", HeaderValue::from_static(error_type));
    }
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = status.into();
    response.headers = headers;
    response.body = Some(Body::Text(body));
    response
}

/// How many bytes of Lambda's answer a success takes around its body.
fn envelope_len(request_id: &str) -> usize {
    let empty = response(200, request_id, None, String::new());
    // Headers of visible ASCII and an empty text always serialise.
    serde_json::to_vec(&empty).map_or(0, |json| json.len() - r#""""#.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_envelope_is_what_surrounds_the_body(id in "[!-~]{1,60}", text in "\\PC{0,60}") {
            let body = json!({ "image": text }).to_string();
            let escaped = serde_json::to_string(&body).unwrap().len();
            let whole = serde_json::to_string(&response(200, &id, None, body)).unwrap().len();
            prop_assert_eq!(envelope_len(&id) + escaped, whole);
        }
    }
}
