//! The constraints of the API's model on single members. KMS checks all of them first and reports
//! every violation in one message.

use std::ops::RangeInclusive;

use super::error::KmsError;
use super::names::Named;

#[derive(Debug, Default)]
pub(super) struct Constraints(Vec<String>);

impl Constraints {
    /// A key id, key ARN, alias or alias ARN. Empty where it is missing.
    pub(super) fn key_id<'a>(&mut self, member: &str, value: Option<&'a str>) -> &'a str {
        let Some(value) = self.required(member, value) else { return "" };
        self.length(member, value, 1..=2048);
        self.pattern(member, value, r"^\p{ASCII}+$", !value.is_empty() && value.is_ascii());
        value
    }

    /// Empty where it is missing.
    pub(super) fn alias_name<'a>(&mut self, value: Option<&'a str>) -> &'a str {
        let Some(value) = self.required("aliasName", value) else { return "" };
        self.length("aliasName", value, 1..=256);
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":/_-".contains(c);
        let matches = !value.is_empty() && value.chars().all(allowed);
        self.pattern("aliasName", value, "^[a-zA-Z0-9:/_-]+$", matches);
        value
    }

    /// One of an enumeration's names.
    pub(super) fn named<T: Named>(&mut self, member: &str, value: Option<&str>) -> Option<T> {
        let value = value?;
        let parsed = T::parse(value);
        if parsed.is_none() {
            let names: Vec<_> = T::ALL.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            self.violation(
                &format!("'{value}' at '{member}'"),
                &format!("Member must satisfy enum value set: [{names}]"),
            );
        }
        parsed
    }

    pub(super) fn required<T>(&mut self, member: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.violation(&format!("null at '{member}'"), "Member must not be null");
        }
        value
    }

    /// In characters.
    pub(super) fn length(&mut self, member: &str, value: &str, bounds: RangeInclusive<usize>) {
        let length = value.chars().count();
        self.bounds(&format!("'{value}' at '{member}'"), "length ", length, bounds);
    }

    /// Of a list or of bytes. The message does not quote the value.
    pub(super) fn size(&mut self, member: &str, size: usize, bounds: RangeInclusive<usize>) {
        self.bounds(&format!("at '{member}'"), "length ", size, bounds);
    }

    pub(super) fn value(&mut self, member: &str, value: i64, bounds: RangeInclusive<i64>) {
        self.bounds(&format!("'{value}' at '{member}'"), "value ", value, bounds);
    }

    pub(super) fn pattern(&mut self, member: &str, value: &str, pattern: &str, matches: bool) {
        if !matches {
            let constraint = format!("Member must satisfy regular expression pattern: {pattern}");
            self.violation(&format!("'{value}' at '{member}'"), &constraint);
        }
    }

    /// # Errors
    /// `ValidationException` with every violation.
    pub(super) fn check(self) -> Result<(), KmsError> {
        let Self(violations) = self;
        let errors = match violations.len() {
            0 => return Ok(()),
            1 => "error",
            _ => "errors",
        };
        Err(KmsError::validation(format!(
            "{} validation {errors} detected: {}",
            violations.len(),
            violations.join("; ")
        )))
    }

    fn bounds<T: Copy + PartialOrd + std::fmt::Display>(
        &mut self,
        what: &str,
        kind: &str,
        value: T,
        bounds: RangeInclusive<T>,
    ) {
        if value < *bounds.start() {
            let bound =
                format!("Member must have {kind}greater than or equal to {}", bounds.start());
            self.violation(what, &bound);
        }
        if value > *bounds.end() {
            let bound = format!("Member must have {kind}less than or equal to {}", bounds.end());
            self.violation(what, &bound);
        }
    }

    fn violation(&mut self, what: &str, constraint: &str) {
        self.0.push(format!("Value {what} failed to satisfy constraint: {constraint}"));
    }
}
