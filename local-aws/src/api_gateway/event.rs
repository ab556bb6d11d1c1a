//! The event of a request: what both payload versions share.

mod v1;
mod v2;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::error::ApiError;
use super::route::Route;
use super::{Api, Payload};
use crate::clock;

/// The API's id, in every event.
const API_ID: &str = "local";
/// The unique id of the one user that signs.
const USER_ID: &str = "AIDALOCALAWS000000001";

/// # Errors
/// [`ApiError::Unreadable`] for a header that JSON cannot carry.
pub(super) fn build(
    api: &Api,
    parts: &Parts,
    route: &Route<'_>,
    body: Vec<u8>,
) -> Result<Value, ApiError> {
    match api.payload {
        Payload::V1 => v1::build(api, parts, route, body),
        Payload::V2 => v2::build(api, parts, route, body),
    }
}

/// The values of a header in their order.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Vec<&'a str>, ApiError> {
    let values = headers.get_all(name).iter().map(|value| value.to_str());
    values
        .collect::<Result<_, _>>()
        .map_err(|_| ApiError::Unreadable(format!("The value of header {name} is not ASCII")))
}

/// The query's pairs in their order, decoded.
fn query(parts: &Parts) -> Vec<(String, String)> {
    let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(&name.replace('+', " ")), decode(&value.replace('+', " "))))
        .collect()
}

/// The value of `{proxy+}`, which has no leading slash.
fn proxy(route: &Route<'_>) -> String {
    decode(route.below.trim_start_matches('/'))
}

/// Decodes percent-encoding. Malformed escapes are kept.
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match (escaped, first) {
            (Some((high, low)), _) => decoded.push(high << 4 | low),
            (None, other) => decoded.push(*other),
        }
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The body in an event, and whether it is Base64. A body that is not UTF-8 is always Base64.
fn encode(body: Vec<u8>, as_text: bool) -> (String, bool) {
    match String::from_utf8(body) {
        Ok(text) if as_text => (text, false),
        Ok(text) => (STANDARD.encode(text), true),
        Err(binary) => (STANDARD.encode(binary.as_bytes()), true),
    }
}

/// The client's address, without a port.
fn source_ip(parts: &Parts) -> Option<String> {
    let ConnectInfo(address) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip().to_canonical().to_string())
}

/// `12/Mar/2020:19:03:58 +0000` and milliseconds since 1970.
fn request_time() -> (String, u64) {
    let millis = clock::epoch_millis(clock::now());
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    // `Thu, 12 Mar 2020 19:03:58 GMT`: the same words.
    let date = DateTime::from(time).fmt(Format::HttpDate).unwrap_or_default();
    let mut words = date.split([' ', '.']).skip(1);
    let mut word = || words.next().unwrap_or_default();
    (format!("{}/{}/{}:{} +0000", word(), word(), word(), word()), millis)
}
