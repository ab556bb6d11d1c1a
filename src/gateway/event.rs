//! The events that Lambda delivers, as far as the function reads them. A member that is not read
//! may hold anything.

use std::fmt;

use aws_lambda_events::http::HeaderValue;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use super::response::Payload;

/// An event as Lambda delivers it: a request, or anything else that the function was invoked with.
///
/// Reading it cannot fail, because a failure would be Lambda's response instead of this service's.
/// The reason why an event is not a request is dropped, because serde's message may quote all of
/// it.
#[derive(Debug)]
pub struct Event(pub(super) Option<Request>);

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Request::deserialize(deserializer).ok()))
    }
}

/// The members of both payload versions.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Request {
    version: Value,
    resource: Value,
    path: Value,
    http_method: Value,
    route_key: Value,
    raw_path: Value,
    headers: Option<Target>,
    multi_value_headers: Option<Target>,
    request_context: Value,
    body: Value,
    is_base64_encoded: Value,
}

/// The signer of a request, as the event describes it.
#[derive(Debug)]
pub(super) struct Identity<'a> {
    pub(super) account_id: Option<&'a str>,
    pub(super) user_arn: Option<&'a str>,
    pub(super) organization: Option<&'a str>,
    pub(super) source_ip: Option<&'a str>,
}

impl Request {
    pub(super) fn payload(&self) -> Payload {
        if self.version == "2.0" { Payload::V2 } else { Payload::V1 }
    }

    /// API Gateway's id, so that its logs and the function's name the same request; a new id if the
    /// event's is missing or cannot be a header's value.
    pub(super) fn request_id(&self) -> String {
        match self.context("/requestId") {
            Some(id) if HeaderValue::from_str(id).is_ok() => id.to_owned(),
            _ => Uuid::new_v4().to_string(),
        }
    }

    /// # Errors
    /// The member that is missing.
    pub(super) fn method(&self) -> Result<&str, &'static str> {
        match self.payload() {
            Payload::V1 => self.http_method.as_str().ok_or("httpMethod"),
            Payload::V2 => self.context("/http/method").ok_or("requestContext.http.method"),
        }
    }

    /// The path of the API's resource, such as `/push`. The request's path, which a custom domain
    /// changes, is used only where the event has no resource: from load balancers and function
    /// URLs.
    ///
    /// # Errors
    /// The member that is missing.
    pub(super) fn resource(&self) -> Result<&str, &'static str> {
        match (self.payload(), self.route_key.as_str()) {
            (Payload::V1, _) => {
                let resource = self.context("/resourcePath").or(self.resource.as_str());
                // An HTTP API's default route is no resource.
                let resource = resource.filter(|resource| !resource.ends_with("$default"));
                let path = || self.path.as_str().map(|path| without_slash(self.below_stage(path)));
                resource.or_else(path).ok_or("requestContext.resourcePath")
            }
            (Payload::V2, None | Some("$default")) => {
                let path = self.raw_path.as_str().ok_or("rawPath")?;
                Ok(without_slash(self.below_stage(path)))
            }
            // `POST /push`
            (Payload::V2, Some(route)) => Ok(route.split_once(' ').map_or(route, |(_, path)| path)),
        }
    }

    /// An HTTP API's path begins with the name of the stage, unless that is `$default`.
    fn below_stage<'a>(&'a self, path: &'a str) -> &'a str {
        let stage = self.context("/stage").unwrap_or("$default");
        match path.strip_prefix('/').and_then(|path| path.strip_prefix(stage)) {
            Some("") => "/",
            Some(below) if below.starts_with('/') => below,
            _ => path,
        }
    }

    /// The header `X-Amz-Target`.
    pub(super) fn target(&self) -> Option<&str> {
        let headers = self.headers.iter().chain(&self.multi_value_headers);
        headers.into_iter().find_map(|target| target.0.as_deref())
    }

    /// Not `requestContext.accountId`: that is the API's owner.
    pub(super) fn identity(&self) -> Identity<'_> {
        match self.payload() {
            Payload::V1 => Identity {
                account_id: self.context("/identity/accountId"),
                user_arn: self.context("/identity/userArn"),
                organization: self.context("/identity/principalOrgId"),
                source_ip: self.context("/identity/sourceIp"),
            },
            Payload::V2 => Identity {
                account_id: self.context("/authorizer/iam/accountId"),
                user_arn: self.context("/authorizer/iam/userArn"),
                organization: self.context("/authorizer/iam/principalOrgId"),
                source_ip: self.context("/http/sourceIp"),
            },
        }
    }

    /// The body, and whether it is in Base64.
    pub(super) fn into_body(self) -> (String, bool) {
        let is_base64 = self.is_base64_encoded == true;
        match self.body {
            Value::String(body) => (body, is_base64),
            _ => (String::new(), is_base64),
        }
    }

    /// A string of the request context. An empty one counts as absent.
    fn context(&self, pointer: &str) -> Option<&str> {
        let text = self.request_context.pointer(pointer)?.as_str()?;
        (!text.is_empty()).then_some(text)
    }
}

/// A request's path without the slash that the SDKs for JavaScript and Rust add to the path of an
/// endpoint. REST APIs ignore it, too. An empty path is the root.
fn without_slash(path: &str) -> &str {
    match path.strip_suffix('/').unwrap_or(path) {
        "" => "/",
        path => path,
    }
}

/// The value of `X-Amz-Target` among headers, whose names are compared without regard to case. If
/// there are several values, it is the last.
#[derive(Debug)]
struct Target(Option<String>);

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut headers: A) -> Result<Target, A::Error> {
        let mut target = None;
        while let Some(IsTarget(is_target)) = headers.next_key()? {
            if !is_target {
                headers.next_value::<IgnoredAny>()?;
                continue;
            }
            target = match headers.next_value()? {
                Value::String(value) => Some(value),
                Value::Array(values) => values.last().and_then(Value::as_str).map(str::to_owned),
                _ => None,
            };
        }
        Ok(Target(target))
    }
}

/// Whether a header's name is that of the target.
struct IsTarget(bool);

impl<'de> Deserialize<'de> for IsTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IsTargetVisitor)
    }
}

struct IsTargetVisitor;

impl Visitor<'_> for IsTargetVisitor {
    type Value = IsTarget;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<IsTarget, E> {
        Ok(IsTarget(name.eq_ignore_ascii_case("x-amz-target")))
    }
}
