//! The members of requests.

use serde::Deserialize;

use super::error::Error;
use crate::ecr::names::Constraint;
use crate::json::Object;

/// Reads a request body's members.
///
/// # Errors
/// `SerializationException` where it is not one JSON object of their types.
pub(crate) fn members<'de, T: Deserialize<'de>>(body: &'de str) -> Result<T, Error> {
    serde_json::from_str::<Object<T>>(body).map(|Object(members)| members).map_err(|error| {
        let why = match error.classify() {
            serde_json::error::Category::Data => "a member is named twice or has another type",
            _ => "it is not one JSON object",
        };
        Error::Serialization(why)
    })
}

/// A required member.
///
/// # Errors
/// `InvalidParameterException` where it is absent or does not parse.
pub(crate) fn required<T>(
    parameter: &'static str,
    value: Option<String>,
    parse: impl FnOnce(String) -> Result<T, Constraint>,
) -> Result<T, Error> {
    value
        .ok_or(Constraint::NotNull)
        .and_then(parse)
        .map_err(|unmet| Error::invalid(parameter, unmet))
}

/// An optional member.
///
/// # Errors
/// `InvalidParameterException` where it does not parse.
pub(crate) fn optional<T>(
    parameter: &'static str,
    value: Option<String>,
    parse: impl FnOnce(String) -> Result<T, Constraint>,
) -> Result<Option<T>, Error> {
    value.map(parse).transpose().map_err(|unmet| Error::invalid(parameter, unmet))
}

/// The constraint of a member that has to be one of `values`, as AWS's framework words it.
pub(crate) fn enum_constraint(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}
