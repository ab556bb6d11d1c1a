//! JSON from clients, read strictly.

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::Error;
use crate::names::{Constraint, NOT_NULL};

/// Reads a request body's members.
///
/// # Errors
/// `SerializationException` where it is not one JSON object of their types.
pub fn members<'de, T: Deserialize<'de>>(body: &'de str) -> Result<T, Error> {
    serde_json::from_str::<Object<T>>(body).map(|Object(members)| members).map_err(|error| {
        let why = match error.classify() {
            serde_json::error::Category::Data => "a member is named twice or has another type",
            _ => "it is not one JSON object",
        };
        Error::Serialization(why)
    })
}

/// A member that must be there.
///
/// # Errors
/// `InvalidParameterException` where it is absent or does not parse.
pub fn required<T>(
    parameter: &'static str,
    value: Option<String>,
    parse: impl FnOnce(String) -> Result<T, Constraint>,
) -> Result<T, Error> {
    value.ok_or(NOT_NULL).and_then(parse).map_err(|unmet| Error::invalid(parameter, unmet))
}

/// A member that may be there.
///
/// # Errors
/// `InvalidParameterException` where it does not parse.
pub fn optional<T>(
    parameter: &'static str,
    value: Option<String>,
    parse: impl FnOnce(String) -> Result<T, Constraint>,
) -> Result<Option<T>, Error> {
    value.map(parse).transpose().map_err(|unmet| Error::invalid(parameter, unmet))
}

/// A struct that only a JSON object can fill.
///
/// `derive(Deserialize)` alone would also take an array of the members' values in order, which no
/// client means and no other implementation of these formats reads.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

/// A JSON array of any length, of which all elements are read and the first `N` kept: who may send no
/// more than some gains nothing in memory by sending more.
#[derive(Debug)]
pub struct AtMost<const N: usize, T>(pub Vec<T>);

impl<'de, const N: usize, T: Deserialize<'de>> Deserialize<'de> for AtMost<N, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AtMostVisitor(PhantomData))
    }
}

struct AtMostVisitor<const N: usize, T>(PhantomData<T>);

impl<'de, const N: usize, T: Deserialize<'de>> Visitor<'de> for AtMostVisitor<N, T> {
    type Value = AtMost<N, T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while let Some(element) = array.next_element()? {
            if kept.len() < N {
                kept.push(element);
            }
        }
        Ok(AtMost(kept))
    }
}
