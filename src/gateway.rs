//! API Gateway's event ⇄ a call and its body, a result ⇄ HTTP. The only code that knows Lambda's
//! payloads: 1.0 of REST APIs and load balancers, 2.0 of HTTP APIs and function URLs.
//!
//! Every failure becomes an HTTP response here. An error returned to Lambda would reach the client
//! as API Gateway's own 502, which no ECR client can read.

mod event;
mod response;

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lambda_runtime::LambdaEvent;
use tokio::time::{Instant, timeout_at};

use crate::actions::{Action, Rights, put_image};
use crate::api::call::{Call, MAX_RESPONSE};
use crate::api::error::Error;
use crate::api::log::{CallLog, Ended};
use crate::app::App;
use crate::clock::{since_1970, time_left};
use crate::config::Config;
use crate::ecr::names::RegistryId;
use crate::ecr::policy::Caller;
use crate::failure::Failure;

pub use event::Event;
use event::{Identity, Request};
use response::Payload;
pub use response::Response;

/// The longest that a call may take. The function's time-out is 28 s, and API Gateway's 29.
const SOFT_DEADLINE: Duration = Duration::from_secs(24);

/// Handles one event.
///
/// # Errors
/// It cannot fail: every failure becomes a response.
pub async fn handle(
    app: &App,
    LambdaEvent { payload: event, context }: LambdaEvent<Event>,
) -> Result<Response, Infallible> {
    let began = Instant::now();
    let mut received = receive(event, &app.config);
    let result = match received.asked {
        Err(error) => Err(error),
        Ok((action, body)) => {
            let call = &mut received.call;
            let now = Duration::from_millis(call.began_at);
            let deadline = began + time_left(context.deadline, now, SOFT_DEADLINE);
            let response = timeout_at(deadline, (action.run)(app, call, body)).await;
            response.unwrap_or_else(|_| Err(Failure::new("responding before the deadline").into()))
        }
    };
    let Received { request_id, payload, call, .. } = received;
    call.log.write(&Ended {
        request_id: &request_id,
        lambda_request_id: &context.request_id,
        caller: call.caller.as_ref(),
        action: (!call.action.is_empty()).then_some(call.action),
        error: result.as_ref().err(),
        total: began.elapsed(),
    });
    Ok(match result {
        Ok(body) => Response::success(payload, &request_id, body),
        Err(error) => Response::error(payload, &request_id, &error),
    })
}

/// A successful push without its calls to services, from the event's bytes to the response's. Only
/// `benches/cpu.rs` uses it.
#[doc(hidden)]
#[must_use]
pub fn push_without_calls(event: &[u8], config: &Config) -> Option<Vec<u8>> {
    let Received { request_id, payload, mut call, asked } =
        receive(serde_json::from_slice(event).ok()?, config);
    let (_, body) = asked.ok()?;
    let push = put_image::parse(&mut call, body, &config.quotas).ok()?.1.ok()?;
    let media_type = push.manifest.media_type;
    let response = Response::success(payload, &request_id, push.into_response(media_type));
    serde_json::to_vec(&response).ok()
}

/// A request, read as far as is the same for every action.
struct Received {
    request_id: String,
    payload: Payload,
    call: Call,
    /// The requested action and the body.
    asked: Result<(&'static Action, String), Error>,
}

fn receive(Event(request): Event, config: &Config) -> Received {
    let request = request.unwrap_or_default();
    let (request_id, payload) = (request.request_id(), request.payload());
    let envelope = Response::envelope_len(payload, &request_id);
    let action = action(&request);
    let call = Call {
        action: action.as_ref().map_or("", |(action, _)| action.name),
        caller: caller(&request.identity(), config.default_registry.as_ref()),
        region: config.region.clone(),
        response_limit: MAX_RESPONSE.saturating_sub(envelope),
        began_at: u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX),
        log: CallLog::default(),
    };
    let asked = action.and_then(|(action, rights)| {
        if action.rights > rights {
            return Err(call.denied("*".to_owned(), "identity"));
        }
        Ok((action, body(request)?))
    });
    Received { request_id, payload, call, asked }
}

/// `POST` to one of the API's resources, with the action's name in `X-Amz-Target`; the Content-Type
/// is not checked. The rights are the resource's.
fn action(request: &Request) -> Result<(&'static Action, Rights), Error> {
    let method = request.method().map_err(Error::NoRequest)?;
    let resource = request.resource().map_err(Error::NoRequest)?;
    if method != "POST" {
        return Err(Error::UnknownOperation);
    }
    let rights = Rights::of_resource(resource).ok_or(Error::UnknownOperation)?;
    let action = request.target().and_then(Action::of_target).ok_or(Error::UnknownOperation)?;
    Ok((action, rights))
}

/// The account that signed the request, or the configured account if the event does not name one. A
/// malformed account id counts as no caller.
fn caller(identity: &Identity<'_>, default: Option<&RegistryId>) -> Option<Caller> {
    let account = match identity.account_id {
        Some(id) => RegistryId::parse(id.to_owned()).ok(),
        None => default.cloned(),
    };
    Some(Caller {
        account: account?,
        arn: identity.user_arn.map(str::to_owned),
        organization: identity.organization.map(str::to_owned),
        source_ip: identity.source_ip.and_then(|address| address.parse().ok()),
    })
}

fn body(request: Request) -> Result<String, Error> {
    let (text, is_base64) = request.into_body();
    if !is_base64 {
        return Ok(text);
    }
    let bytes = BASE64_STANDARD.decode(text);
    let bytes = bytes.map_err(|_| Error::Serialization("it did not arrive as valid Base64"))?;
    String::from_utf8(bytes).map_err(|error| {
        // RFC 1952, section 2.3.1.
        Error::Serialization(if error.as_bytes().starts_with(&[0x1f, 0x8b]) {
            "it is compressed with gzip, which is not supported"
        } else {
            "it is not UTF-8 text"
        })
    })
}
