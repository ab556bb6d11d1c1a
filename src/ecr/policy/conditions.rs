//! The conditions of a statement: which operators and keys there are, and whether they hold.
//!
//! Sources: the IAM user guide, "Condition operators" and "Global condition context keys". Keys are
//! compared without regard to letter case; operators are not, because IAM rejects `stringEquals` as
//! `Invalid Condition type`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use wildmatch::WildMatch;

use super::caller::Request;
use super::principals::{Arn, Identity};
use crate::json::Json;

/// How an operator compares, and whether it holds where the comparison does not. Each but `Null`
/// may end in [`IF_EXISTS`].
const OPERATORS: [(&str, Comparison, bool); 14] = [
    ("StringEquals", Comparison::Equal, IS),
    ("StringNotEquals", Comparison::Equal, IS_NOT),
    ("StringEqualsIgnoreCase", Comparison::EqualIgnoringCase, IS),
    ("StringNotEqualsIgnoreCase", Comparison::EqualIgnoringCase, IS_NOT),
    ("StringLike", Comparison::Like, IS),
    ("StringNotLike", Comparison::Like, IS_NOT),
    ("ArnEquals", Comparison::ArnLike, IS),
    ("ArnLike", Comparison::ArnLike, IS),
    ("ArnNotEquals", Comparison::ArnLike, IS_NOT),
    ("ArnNotLike", Comparison::ArnLike, IS_NOT),
    ("IpAddress", Comparison::Within, IS),
    ("NotIpAddress", Comparison::Within, IS_NOT),
    ("Bool", Comparison::Bool, IS),
    ("Null", Comparison::Null, IS),
];

const IS: bool = false;
const IS_NOT: bool = true;

const IF_EXISTS: &str = "IfExists";

/// The keys, and the comparisons that suit their values. `Null` suits every key.
const KEYS: [(&str, Key, &[Comparison]); 5] = [
    ("aws:PrincipalOrgID", Key::Organization, &STRINGS),
    ("aws:PrincipalArn", Key::PrincipalArn, &STRINGS_AND_ARNS),
    ("aws:PrincipalAccount", Key::Account, &STRINGS),
    ("aws:SourceIp", Key::SourceIp, &[Comparison::Within]),
    ("aws:SecureTransport", Key::SecureTransport, &[Comparison::Bool]),
];

const STRINGS: [Comparison; 3] =
    [Comparison::Equal, Comparison::EqualIgnoringCase, Comparison::Like];
const STRINGS_AND_ARNS: [Comparison; 4] =
    [Comparison::Equal, Comparison::EqualIgnoringCase, Comparison::Like, Comparison::ArnLike];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    EqualIgnoringCase,
    Like,
    ArnLike,
    Within,
    Bool,
    Null,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Organization,
    PrincipalArn,
    Account,
    SourceIp,
    SecureTransport,
}

/// One operator's one key: the key's value has to be one of `expected`, or none of them.
pub(super) struct Condition {
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
    key: Key,
    /// `None` where a value is not understood.
    expected: Vec<Option<Expected>>,
}

/// What a policy says of a key's value.
enum Expected {
    Text(String),
    TextIgnoringCase(String),
    Pattern(WildMatch),
    /// A pattern for each of an ARN's six parts.
    ArnPattern(Vec<WildMatch>),
    Network(IpNet),
    Flag(bool),
}

/// A key's value in a request.
enum Actual<'a> {
    Text(Cow<'a, str>),
    Address(IpAddr),
    Flag(bool),
    /// AWS leaves the key out of such a request.
    Absent,
    /// AWS would have a value, but the event does not say it.
    Unknown,
}

/// True where a part is, false where all are, otherwise unknown.
pub(super) fn any(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(false);
    for part in parts {
        match part {
            Some(true) => return Some(true),
            Some(false) => {}
            None => result = None,
        }
    }
    result
}

/// False where a part is, true where all are, otherwise unknown.
pub(super) fn all(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    any(parts.into_iter().map(|part| part.map(|it| !it))).map(|it| !it)
}

/// All of a `Condition` element; `None` stands for what is not understood.
pub(super) fn read(element: &Json) -> Vec<Option<Condition>> {
    let Some(operators) = element.members() else { return vec![None] };
    let conditions = operators.iter().flat_map(|(operator, keys)| {
        let Some(keys) = keys.members() else { return vec![None] };
        let distinct: BTreeSet<_> = keys.keys().map(|key| key.to_ascii_lowercase()).collect();
        if distinct.len() < keys.len() {
            return vec![None];
        }
        keys.iter().map(|(key, values)| Condition::read(operator, key, values)).collect()
    });
    conditions.collect()
}

impl Condition {
    fn read(operator: &str, key: &str, values: &Json) -> Option<Self> {
        let (name, if_exists) = match operator.strip_suffix(IF_EXISTS) {
            Some("Null") => return None,
            Some(name) => (name, true),
            None => (operator, false),
        };
        let (_, comparison, negated) = OPERATORS.into_iter().find(|(it, ..)| *it == name)?;
        let (_, key, suitable) =
            KEYS.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(key))?;
        if comparison != Comparison::Null && !suitable.contains(&comparison) {
            return None;
        }
        let expected = values.one_or_many().iter();
        let expected: Vec<_> = expected.map(|it| Expected::read(comparison, key, it)).collect();
        (!expected.is_empty()).then_some(Self { comparison, negated, if_exists, key, expected })
    }

    pub(super) fn is_understood(&self) -> bool {
        self.expected.iter().all(Option::is_some)
    }

    pub(super) fn holds(&self, request: &Request<'_>) -> Option<bool> {
        let actual = match (self.comparison, self.key.value(request)) {
            (_, Actual::Unknown) => return None,
            (Comparison::Null, actual) => Actual::Flag(matches!(actual, Actual::Absent)),
            // A value that is not understood may have made AWS ignore the whole statement.
            (_, Actual::Absent) => {
                return self.is_understood().then_some(self.negated || self.if_exists);
            }
            (_, actual) => actual,
        };
        let is_expected = self.expected.iter().map(|it| it.as_ref()?.is(&actual));
        any(is_expected).map(|it| it != self.negated)
    }
}

impl Key {
    fn value<'a>(self, request: &'a Request<'_>) -> Actual<'a> {
        let text = |text| Actual::Text(Cow::Borrowed(text));
        let caller = request.caller;
        match self {
            Self::Organization => caller.organization.as_deref().map_or(Actual::Absent, text),
            Self::Account => text(caller.account.as_str()),
            Self::SecureTransport => Actual::Flag(true),
            // AWS has none for a request through a VPC endpoint.
            Self::SourceIp => caller
                .source_ip
                .map_or(Actual::Absent, |address| Actual::Address(address.to_canonical())),
            Self::PrincipalArn => principal_arn(request).map_or(Actual::Unknown, Actual::Text),
        }
    }
}

/// `aws:PrincipalArn`: of a role session that of its role, without the role's path, which a session
/// does not say. AWS has the key in every signed request.
fn principal_arn<'a>(request: &'a Request<'_>) -> Option<Cow<'a, str>> {
    let Arn { partition, account, identity } = request.arn.as_ref()?;
    match identity.as_ref()? {
        Identity::RoleSession { role, .. } => {
            Some(format!("arn:{partition}:iam::{account}:role/{role}").into())
        }
        Identity::Root | Identity::User(_) | Identity::FederatedUser(_) => {
            request.caller.arn.as_deref().map(Cow::Borrowed)
        }
        Identity::Role(_) => None,
    }
}

impl Expected {
    /// Strings, and the numbers and Booleans that the grammar lets stand without quotation marks.
    fn read(comparison: Comparison, key: Key, value: &Json) -> Option<Self> {
        let text = match value {
            Json::Text(text) => text.clone(),
            Json::Flag(flag) => flag.to_string(),
            Json::Number(number) => number.to_string(),
            Json::Other | Json::List(_) | Json::Object(_) => return None,
        };
        // A policy variable.
        if text.contains("${") {
            return None;
        }
        let text = if key == Key::PrincipalArn { without_role_path(text)? } else { text };
        match comparison {
            Comparison::Equal => Some(Self::Text(text)),
            Comparison::EqualIgnoringCase => Some(Self::TextIgnoringCase(text)),
            Comparison::Like => Some(Self::Pattern(WildMatch::new(&text))),
            Comparison::ArnLike => {
                let parts: Vec<_> = text.splitn(6, ':').map(WildMatch::new).collect();
                (text.starts_with("arn:") && parts.len() == 6).then_some(Self::ArnPattern(parts))
            }
            Comparison::Within => network(&text).map(Self::Network),
            Comparison::Bool | Comparison::Null => text.parse().ok().map(Self::Flag),
        }
    }

    fn is(&self, actual: &Actual<'_>) -> Option<bool> {
        match (self, actual) {
            (Self::Text(expected), Actual::Text(actual)) => Some(expected == actual),
            (Self::TextIgnoringCase(expected), Actual::Text(actual)) => {
                Some(expected.eq_ignore_ascii_case(actual))
            }
            (Self::Pattern(pattern), Actual::Text(actual)) => Some(pattern.matches(actual)),
            (Self::ArnPattern(patterns), Actual::Text(actual)) => {
                let parts = actual.splitn(6, ':');
                Some(patterns.iter().zip(parts).all(|(pattern, part)| pattern.matches(part)))
            }
            (Self::Network(network), Actual::Address(address)) => Some(network.contains(address)),
            (Self::Flag(expected), Actual::Flag(actual)) => Some(expected == actual),
            _ => None,
        }
    }
}

/// The path of a role is ignored, because [`principal_arn`] has none. `None` where nothing else
/// tells roles apart: `role/team/*` would mean every role.
fn without_role_path(text: String) -> Option<String> {
    const ROLE: &str = ":role/";
    let Some(at) = text.to_ascii_lowercase().find(ROLE) else { return Some(text) };
    let (before, role) = text.split_at(at + ROLE.len());
    match role.rsplit_once('/') {
        None => Some(text),
        Some((_, name)) if name.chars().all(|c| matches!(c, '*' | '?')) => None,
        Some((_, name)) => Some(format!("{before}{name}")),
    }
}

/// An address, or a network in CIDR notation.
fn network(text: &str) -> Option<IpNet> {
    // `ipnet` alone would read the octal-looking 010.0.0.1, which the standard library rejects.
    let address: IpAddr = text.split('/').next()?.parse().ok()?;
    if text.contains('/') { text.parse().ok() } else { Some(address.into()) }
}

#[cfg(test)]
mod tests {
    use super::super::Caller;
    use super::*;
    use crate::ecr::names::RegistryId;
    use serde_json::{Value, json};

    const USER: &str = "arn:aws:iam::111122223333:user/ci";
    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deploy/run-7";

    fn caller(arn: Option<&str>) -> Caller {
        Caller {
            account: RegistryId::parse("111122223333".into()).unwrap(),
            arn: arn.map(str::to_owned),
            organization: Some("o-a1b2c3d4e5".into()),
            source_ip: Some("203.0.113.7".parse().unwrap()),
        }
    }

    fn holds(caller: &Caller, element: &Value) -> Option<bool> {
        let element: Json = serde_json::from_str(&element.to_string()).unwrap();
        let request = Request::new(caller, "ecr:PutImage");
        all(read(&element).iter().map(|condition| condition.as_ref()?.holds(&request)))
    }

    fn is_understood(element: &Value) -> bool {
        let element: Json = serde_json::from_str(&element.to_string()).unwrap();
        read(&element).iter().all(|it| it.as_ref().is_some_and(Condition::is_understood))
    }

    /// Each row is an operator, a value, and whether the operator holds; its negation has to be the
    /// contrary.
    fn check(caller: &Caller, key: &str, negate: fn(&str) -> String, rows: &[(&str, Value, bool)]) {
        for (operator, value, expected) in rows {
            for suffix in ["", "IfExists"] {
                let it = |operator: &str| json!({ format!("{operator}{suffix}"): { key: value } });
                assert_eq!(holds(caller, &it(operator)), Some(*expected), "{operator} {value}");
                let negated = negate(operator);
                assert_eq!(holds(caller, &it(&negated)), Some(!expected), "{negated} {value}");
            }
        }
    }

    #[test]
    fn strings() {
        let not = |operator: &str| operator.replace("String", "StringNot");
        let rows = [
            ("StringEquals", json!("o-a1b2c3d4e5"), true),
            ("StringEquals", json!("O-A1B2C3D4E5"), false),
            ("StringEquals", json!("o-a1b2c3d4e"), false),
            ("StringEquals", json!("o-*"), false),
            ("StringEquals", json!(""), false),
            ("StringEquals", json!(["o-other", "o-a1b2c3d4e5"]), true),
            ("StringEquals", json!(["o-other", "o-third"]), false),
            ("StringEqualsIgnoreCase", json!("O-A1B2C3D4E5"), true),
            ("StringEqualsIgnoreCase", json!("O-*"), false),
            ("StringLike", json!("o-*"), true),
            ("StringLike", json!("o-a1b2c3d4e?"), true),
            ("StringLike", json!("O-*"), false),
            ("StringLike", json!("o-"), false),
            ("StringLike", json!(["o-b*", "*d4e5"]), true),
        ];
        check(&caller(Some(USER)), "aws:PrincipalOrgID", not, &rows);
        let rows = [
            ("StringEquals", json!("111122223333"), true),
            ("StringEquals", json!(111_122_223_333_u64), true),
            ("StringEquals", json!("999999999999"), false),
            ("StringLike", json!("1111*"), true),
        ];
        check(&caller(None), "aws:PrincipalAccount", not, &rows);
    }

    #[test]
    fn arns() {
        let user_rows = [
            ("ArnEquals", json!(USER), true),
            ("ArnLike", json!("arn:aws:iam::111122223333:user/*"), true),
            ("ArnEquals", json!("arn:aws:iam::*:user/c?"), true),
            ("ArnLike", json!("arn:*:*:*:*:*"), true),
            ("ArnLike", json!("arn:aws:iam::111122223333:USER/ci"), false),
            ("ArnLike", json!("arn:aws-cn:iam::111122223333:user/ci"), false),
            ("ArnLike", json!("arn:aws:iam::999999999999:*"), false),
            ("ArnLike", json!("arn:aws:iam::111122223333:root"), false),
            ("ArnLike", json!("arn:aws:iam:*:*:role/team/ci"), false),
        ];
        let not_arn = |operator: &str| operator.replace("Arn", "ArnNot");
        check(&caller(Some(USER)), "aws:PrincipalArn", not_arn, &user_rows);
        let session_rows = [
            ("ArnEquals", json!("arn:aws:iam::111122223333:role/deploy"), true),
            ("ArnEquals", json!("arn:aws:iam::111122223333:role/team/a/deploy"), true),
            ("ArnLike", json!("arn:aws:iam::*:role/team/*/dep*"), true),
            ("ArnLike", json!("arn:aws:iam::111122223333:role/*"), true),
            ("ArnLike", json!("arn:aws:iam::111122223333:role/team/other"), false),
            ("ArnLike", json!("arn:aws:iam::111122223333:role/deploy/other"), false),
            ("ArnLike", json!(SESSION), false),
            ("ArnLike", json!("arn:aws:iam::111122223333:user/*"), false),
        ];
        check(&caller(Some(SESSION)), "aws:PrincipalArn", not_arn, &session_rows);
        let not_string = |operator: &str| operator.replace("String", "StringNot");
        let rows = [
            ("StringEquals", json!("arn:aws:iam::111122223333:role/deploy"), true),
            ("StringEquals", json!("arn:aws:iam::111122223333:role/team/deploy"), true),
            ("StringEqualsIgnoreCase", json!("ARN:AWS:IAM::111122223333:ROLE/TEAM/DEPLOY"), true),
            // A wildcard of a string reaches over colons, one of an ARN does not.
            ("StringLike", json!("arn:*:role/team/deploy"), true),
            ("StringLike", json!("arn:*deploy"), true),
            ("StringLike", json!("arn:aws:iam::*:role/d"), false),
        ];
        check(&caller(Some(SESSION)), "aws:PrincipalArn", not_string, &rows);
        let federated = "arn:aws:sts::111122223333:federated-user/ci";
        let rows = [("ArnEquals", json!(federated), true), ("ArnEquals", json!(USER), false)];
        check(&caller(Some(federated)), "aws:PrincipalArn", not_arn, &rows);
    }

    #[test]
    fn addresses() {
        let not = |_: &str| "NotIpAddress".to_owned();
        let rows = [
            ("IpAddress", json!("203.0.113.0/24"), true),
            ("IpAddress", json!("203.0.113.99/24"), true),
            ("IpAddress", json!("203.0.113.7/32"), true),
            ("IpAddress", json!("203.0.113.7"), true),
            ("IpAddress", json!("0.0.0.0/0"), true),
            ("IpAddress", json!("203.0.113.8"), false),
            ("IpAddress", json!("203.0.113.8/29"), false),
            ("IpAddress", json!("203.0.112.0/24"), false),
            ("IpAddress", json!("::/0"), false),
            ("IpAddress", json!(["198.51.100.0/24", "203.0.113.0/28"]), true),
        ];
        check(&caller(None), "aws:SourceIp", not, &rows);
        let mapped = Caller { source_ip: "::ffff:203.0.113.7".parse().ok(), ..caller(None) };
        check(&mapped, "aws:SourceIp", not, &rows);
        let rows = [
            ("IpAddress", json!("2001:DB8:1234:5678::/64"), true),
            ("IpAddress", json!("2001:db8:1234:5678::9"), true),
            ("IpAddress", json!("2001:db8:1234:5678::8"), false),
            ("IpAddress", json!("2001:db8:1234:5679::/64"), false),
            ("IpAddress", json!("0.0.0.0/0"), false),
        ];
        let source_ip = "2001:db8:1234:5678::9".parse().ok();
        check(&Caller { source_ip, ..caller(None) }, "aws:SourceIp", not, &rows);
    }

    #[test]
    fn booleans_and_null() {
        let absent = Caller { organization: None, source_ip: None, ..caller(Some(USER)) };
        let rows = [
            ("Bool", "aws:SecureTransport", json!("true"), true),
            ("Bool", "aws:SecureTransport", json!(true), true),
            ("Bool", "aws:SecureTransport", json!("false"), false),
            ("Bool", "aws:SecureTransport", json!(false), false),
            ("BoolIfExists", "aws:SecureTransport", json!(["false", "true"]), true),
            ("Null", "aws:SecureTransport", json!("false"), true),
            ("Null", "aws:PrincipalAccount", json!(true), false),
            ("Null", "aws:PrincipalArn", json!("false"), true),
            ("Null", "aws:PrincipalOrgID", json!("true"), true),
            ("Null", "aws:PrincipalOrgID", json!("false"), false),
            ("Null", "aws:SourceIp", json!(["false", "true"]), true),
        ];
        for (operator, key, value, expected) in rows {
            let element = json!({ operator: { key: value } });
            assert_eq!(holds(&absent, &element), Some(expected), "{element}");
        }
        let present = json!({ "Null": { "aws:PrincipalOrgID": "false", "aws:SourceIp": "false" } });
        assert_eq!(holds(&caller(None), &present), Some(true));
    }

    #[test]
    fn an_absent_key_meets_negations_and_if_exists() {
        let absent = Caller { organization: None, source_ip: None, ..caller(None) };
        let rows = [
            ("StringEquals", "aws:PrincipalOrgID", "o-1", false),
            ("StringEqualsIgnoreCase", "aws:PrincipalOrgID", "o-1", false),
            ("StringLike", "aws:PrincipalOrgID", "*", false),
            ("StringNotEquals", "aws:PrincipalOrgID", "o-1", true),
            ("StringNotEqualsIgnoreCase", "aws:PrincipalOrgID", "o-1", true),
            ("StringNotLike", "aws:PrincipalOrgID", "*", true),
            ("IpAddress", "aws:SourceIp", "0.0.0.0/0", false),
            ("NotIpAddress", "aws:SourceIp", "0.0.0.0/0", true),
        ];
        for (operator, key, value, expected) in rows {
            let element = json!({ operator: { key: value } });
            assert_eq!(holds(&absent, &element), Some(expected), "{element}");
            let element = json!({ format!("{operator}IfExists"): { key: value } });
            assert_eq!(holds(&absent, &element), Some(true), "{element}");
        }
    }

    #[test]
    fn a_caller_without_an_arn_has_one_that_is_not_known() {
        let other_account = "arn:aws:iam::999999999999:user/ci";
        for arn in [None, Some("ci"), Some(other_account), Some("arn:aws:iam::111122223333:x/y")] {
            for operator in ["ArnEquals", "ArnNotLike", "StringLikeIfExists", "StringNotEquals"] {
                let element = json!({ operator: { "aws:PrincipalArn": USER } });
                assert_eq!(holds(&caller(arn), &element), None, "{operator} {arn:?}");
            }
            let null = json!({ "Null": { "aws:PrincipalArn": "true" } });
            assert_eq!(holds(&caller(arn), &null), None, "{arn:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        let org =
            |operator: &str, value: Value| json!({ operator: { "aws:PrincipalOrgID": value } });
        let arn = |operator: &str, value: &str| json!({ operator: { "aws:PrincipalArn": value } });
        let ip = |value: Value| json!({ "IpAddress": { "aws:SourceIp": value } });
        let rows = [
            // Operators.
            org("ForAnyValue:StringEquals", json!("o-a1b2c3d4e5")),
            org("ForAllValues:StringLike", json!("*")),
            org("stringEquals", json!("o-a1b2c3d4e5")),
            org("StringEqualsIfexists", json!("o-a1b2c3d4e5")),
            org("StringEqualsIfExistsIfExists", json!("o-a1b2c3d4e5")),
            org("NumericEquals", json!("1")),
            org("DateLessThan", json!("2026-01-01T00:00:00Z")),
            org("NullIfExists", json!("true")),
            org("", json!("o-a1b2c3d4e5")),
            org("IfExists", json!("o-a1b2c3d4e5")),
            // Keys.
            json!({ "StringEquals": { "aws:PrincipalOrgPaths": "o-a1b2c3d4e5" } }),
            json!({ "StringEquals": { "PrincipalOrgID": "o-a1b2c3d4e5" } }),
            json!({ "Bool": { "aws:MultiFactorAuthPresent": "true" } }),
            json!({ "Null": { "aws:TokenIssueTime": "true" } }),
            json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1", "AWS:principalorgid": "o-1" } }),
            // Operators that do not suit the key.
            json!({ "StringEquals": { "aws:SourceIp": "203.0.113.7" } }),
            json!({ "StringEquals": { "aws:SecureTransport": "true" } }),
            json!({ "ArnLike": { "aws:PrincipalAccount": "111122223333" } }),
            json!({ "IpAddress": { "aws:PrincipalAccount": "203.0.113.7" } }),
            json!({ "Bool": { "aws:PrincipalOrgID": "true" } }),
            // Values.
            org("StringEquals", json!("${aws:PrincipalTag/org}")),
            org("StringNotLike", json!("${*}")),
            org("StringEquals", json!(null)),
            org("StringEquals", json!([])),
            org("StringEquals", json!([["o-a1b2c3d4e5"]])),
            org("StringEquals", json!({ "o-a1b2c3d4e5": 1 })),
            org("StringEquals", json!(1.5)),
            org("StringEquals", json!(-1)),
            org("Null", json!("True")),
            org("Null", json!("")),
            json!({ "Bool": { "aws:SecureTransport": "yes" } }),
            json!({ "Bool": { "aws:SecureTransport": 1 } }),
            arn("ArnLike", "*"),
            arn("ArnLike", "arn:*:user/ci"),
            arn("ArnLike", "*:aws:iam::111122223333:user/ci"),
            arn("ArnEquals", "AIDACKCEVSQ6C2EXAMPLE"),
            arn("ArnLike", "arn:aws:iam::111122223333:role/team/*"),
            arn("StringLike", "arn:aws:iam::111122223333:role/team/?*"),
            arn("StringEquals", "arn:aws:iam::111122223333:role/team/"),
            ip(json!("203.0.113.7/33")),
            ip(json!("203.0.113/24")),
            ip(json!("203.0.113.007/24")),
            ip(json!("203.0.113.7/+8")),
            ip(json!("203.0.113.7/")),
            ip(json!("203.0.113.7/24/24")),
            ip(json!("2001:db8::/129")),
            ip(json!("fe80::1%eth0")),
            ip(json!("*")),
            ip(json!("")),
            // The whole element.
            json!({}),
            json!([]),
            json!("StringEquals"),
            json!({ "StringEquals": {} }),
            json!({ "StringEquals": ["aws:PrincipalOrgID"] }),
        ];
        for element in rows {
            for arn in [USER, SESSION] {
                assert_eq!(holds(&caller(Some(arn)), &element), None, "{element}");
            }
            assert!(!is_understood(&element), "{element}");
        }
        // Not even where the key is absent.
        let absent = Caller { organization: None, ..caller(None) };
        for operator in ["StringEquals", "StringNotEquals", "StringEqualsIfExists"] {
            assert_eq!(holds(&absent, &org(operator, json!("${aws:username}"))), None);
        }
    }

    #[test]
    fn all_conditions_have_to_hold_and_one_value_is_enough() {
        let known = "aws:PrincipalOrgID";
        let rows = [
            (json!({ "StringLike": { known: "o-*", "aws:PrincipalAccount": "1*" } }), Some(true)),
            (json!({ "StringLike": { known: "o-*", "aws:PrincipalAccount": "9*" } }), Some(false)),
            (
                json!({ "StringLike": { known: "o-*" }, "Bool": { "aws:SecureTransport": true } }),
                Some(true),
            ),
            (
                json!({ "StringLike": { known: "o-*" }, "Bool": { "aws:SecureTransport": false } }),
                Some(false),
            ),
            (
                json!({ "StringLike": { known: "o-*" }, "StringLikeIfExists": { known: "x" } }),
                Some(false),
            ),
            (json!({ "StringNotLike": { known: ["x", "y"] } }), Some(true)),
            (json!({ "StringNotLike": { known: ["x", "o-*"] } }), Some(false)),
            // What is certain in spite of what is unknown.
            (json!({ "StringLike": { known: "x" }, "Other": { known: "x" } }), Some(false)),
            (json!({ "StringLike": { known: "o-*" }, "Other": { known: "x" } }), None),
            (json!({ "StringLike": { known: ["o-*", "${x}"] } }), Some(true)),
            (json!({ "StringLike": { known: ["x", "${x}"] } }), None),
            (json!({ "StringNotLike": { known: ["o-*", "${x}"] } }), Some(false)),
            (json!({ "StringNotLike": { known: ["x", "${x}"] } }), None),
        ];
        for (element, expected) in rows {
            assert_eq!(holds(&caller(None), &element), expected, "{element}");
        }
    }

    #[test]
    fn keys_have_no_letter_case() {
        for key in ["AWS:PRINCIPALORGID", "aws:principalorgid", "Aws:PrincipalOrgId"] {
            let element = json!({ "StringEquals": { key: "o-a1b2c3d4e5" } });
            assert_eq!(holds(&caller(None), &element), Some(true), "{key}");
        }
    }

    #[test]
    fn every_operator_is_understood_on_every_key_that_it_suits() {
        let understood = |operator: &str, key: &str| {
            let values = ["arn:aws:iam::111122223333:user/ci", "true", "10.0.0.0/8"];
            let understood = |value| is_understood(&json!({ operator: { key: value } }));
            values.into_iter().any(understood)
        };
        let strings = ["aws:PrincipalOrgID", "aws:PrincipalArn", "aws:PrincipalAccount"];
        let all = [strings.as_slice(), &["aws:SourceIp", "aws:SecureTransport"]].concat();
        for (operator, keys) in [
            ("StringEquals", strings.as_slice()),
            ("StringNotEquals", &strings),
            ("StringEqualsIgnoreCase", &strings),
            ("StringNotEqualsIgnoreCase", &strings),
            ("StringLike", &strings),
            ("StringNotLike", &strings),
            ("ArnEquals", &["aws:PrincipalArn"]),
            ("ArnLike", &["aws:PrincipalArn"]),
            ("ArnNotEquals", &["aws:PrincipalArn"]),
            ("ArnNotLike", &["aws:PrincipalArn"]),
            ("IpAddress", &["aws:SourceIp"]),
            ("NotIpAddress", &["aws:SourceIp"]),
            ("Bool", &["aws:SecureTransport"]),
            ("Null", &all),
        ] {
            for key in &all {
                assert_eq!(understood(operator, key), keys.contains(key), "{operator} {key}");
                let if_exists = keys.contains(key) && operator != "Null";
                assert_eq!(understood(&format!("{operator}IfExists"), key), if_exists);
            }
        }
    }
}
