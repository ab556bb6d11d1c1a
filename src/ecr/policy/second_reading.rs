//! The rules of repository policies a second time, for a comparison over random policies.
//!
//! It shares nothing with the evaluator: it knows two values instead of three, and reads each
//! policy twice. Once what is unknown counts as false, to see whether an Allow certainly applies;
//! once as true, to see whether a Deny certainly does not. It uses regular expressions for ARNs,
//! recursion for wildcards, and strings of bits for networks.

use std::net::IpAddr;
use std::sync::LazyLock;

use proptest::collection::{hash_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Caller, Verdict, is_understood};
use crate::ecr::names::RegistryId;

const ACTION: &str = "ecr:PutImage";

fn verdict(policy: &Value, caller: &Caller) -> Verdict {
    let known = |name: &String| ["Version", "Id", "Statement"].contains(&name.as_str());
    let policy = policy.as_object().unwrap();
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(one) => vec![one.clone()],
        None => return Verdict::Deny,
    };
    let effects: Vec<_> = statements.iter().map(|it| it["Effect"].as_str()).collect();
    if !policy.keys().all(known)
        || effects.iter().any(|effect| !matches!(effect, Some("Allow" | "Deny")))
    {
        return Verdict::Deny;
    }
    let some = |effect: &str, doubt: bool| {
        let reader = Reader { caller, doubt };
        statements.iter().any(|it| it["Effect"] == effect && reader.applies(it))
    };
    if some("Deny", true) {
        Verdict::Deny
    } else if some("Allow", false) {
        Verdict::Allow
    } else {
        Verdict::Silent
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| regex("^[0-9]{12}$"));
static LENGTH: LazyLock<Regex> = LazyLock::new(|| regex("^[0-9]{1,3}$"));
static ROLE_PATH: LazyLock<Regex> = LazyLock::new(|| regex("(?i)^(.*?:role/).*/(.*)$"));
static ARN_FORM: LazyLock<Regex> = LazyLock::new(|| regex("^arn(:[^:]*){4}:"));
static ARN: LazyLock<Regex> = LazyLock::new(|| regex("^arn:([^:]*):(iam|sts)::([0-9]{12}):(.*)$"));
static FORMS: LazyLock<[(&str, Regex); 5]> = LazyLock::new(|| {
    [
        ("root", regex("^iam:root()$")),
        ("user", regex("^iam:user((?:/[^/*?$]+)+)$")),
        ("role", regex("^iam:role((?:/[^/*?$]+)+)$")),
        ("session", regex("^sts:assumed-role/([^/*?$]+/[^/*?$]+)$")),
        ("federated", regex("^sts:federated-user/([^/*?$]+)$")),
    ]
});

struct Reader<'a> {
    caller: &'a Caller,
    /// What becomes of a part that is unknown.
    doubt: bool,
}

impl Reader<'_> {
    fn applies(&self, statement: &Value) -> bool {
        let known = ["Sid", "Effect", "Principal", "Action", "Condition"];
        let members = statement.as_object().unwrap();
        let stranger = members.keys().any(|name| !known.contains(&name.as_str()));
        (self.doubt || !stranger)
            && self.is_action(&statement["Action"])
            && self.is_principal(&statement["Principal"])
            && statement.get("Condition").is_none_or(|it| self.condition(it))
    }

    fn is_action(&self, action: &Value) -> bool {
        let Some(patterns) = strings(action) else { return self.doubt };
        let action = ACTION.to_lowercase();
        patterns.iter().any(|pattern| wildcard(&pattern.to_lowercase(), &action))
    }

    fn is_principal(&self, principal: &Value) -> bool {
        if principal == "*" {
            return true;
        }
        let Some(kinds) = principal.as_object().filter(|kinds| !kinds.is_empty()) else {
            return self.doubt;
        };
        kinds.iter().any(|(kind, names)| match (kind.as_str(), strings(names)) {
            ("AWS", Some(names)) => names.iter().any(|name| self.is_named(name)),
            ("Service", Some(_)) => false,
            _ => self.doubt,
        })
    }

    /// The caller's ARN, where it is one of the caller's account.
    fn own(&self) -> Option<Arn> {
        let arn = self.caller.arn.as_deref().and_then(read_arn)?;
        (arn.account == self.caller.account.as_str()).then_some(arn)
    }

    fn is_named(&self, name: &str) -> bool {
        let account = self.caller.account.as_str();
        if name == "*" || name == account {
            return true;
        }
        if ACCOUNT.is_match(name) {
            return false;
        }
        let known = "aws aws-cn aws-us-gov aws-iso aws-iso-b aws-iso-e aws-iso-f aws-eusc";
        let understood = |arn: &Arn| {
            arn.form != "other" && known.split(' ').any(|partition| partition == arn.partition)
        };
        let Some(named) = read_arn(name).filter(understood) else { return self.doubt };
        let own = self.own();
        let partition = own.as_ref().map_or(&named.partition, |own| &own.partition);
        if named.account != account || *partition != named.partition {
            return false;
        }
        if named.form == "root" {
            return true;
        }
        let Some(own) = own else { return self.doubt };
        let base = |name: &str| name.rsplit('/').next().unwrap().to_owned();
        match (named.form, own.form) {
            ("user", "user") if base(&named.name) == base(&own.name) => {
                named.name == own.name || self.doubt
            }
            ("role", "session") => own.name.starts_with(&format!("{}/", base(&named.name))),
            (_, "root" | "other") | ("user" | "role", "federated") => self.doubt,
            _ => named.form == own.form && named.name == own.name,
        }
    }

    fn condition(&self, condition: &Value) -> bool {
        let Some(operators) = condition.as_object().filter(|it| !it.is_empty()) else {
            return self.doubt;
        };
        operators.iter().all(|(operator, keys)| {
            let Some(keys) = keys.as_object().filter(|it| !it.is_empty()) else {
                return self.doubt;
            };
            let mut lower: Vec<_> = keys.keys().map(|key| key.to_lowercase()).collect();
            lower.sort();
            lower.dedup();
            if lower.len() != keys.len() {
                return self.doubt;
            }
            keys.iter().all(|(key, values)| self.holds(operator, &key.to_lowercase(), values))
        })
    }

    fn holds(&self, operator: &str, key: &str, values: &Value) -> bool {
        let values = match values {
            Value::Array(values) => values.clone(),
            one => vec![one.clone()],
        };
        let strings = ["aws:principalorgid", "aws:principalarn", "aws:principalaccount"];
        let suitable = match operator.trim_end_matches("IfExists") {
            "StringEquals"
            | "StringNotEquals"
            | "StringLike"
            | "StringNotLike"
            | "StringEqualsIgnoreCase"
            | "StringNotEqualsIgnoreCase" => strings.contains(&key),
            "ArnEquals" | "ArnLike" | "ArnNotEquals" | "ArnNotLike" => key == "aws:principalarn",
            "IpAddress" | "NotIpAddress" => key == "aws:sourceip",
            "Bool" => key == "aws:securetransport",
            "Null" => {
                !operator.ends_with("IfExists")
                    && (strings.contains(&key)
                        || key == "aws:sourceip"
                        || key == "aws:securetransport")
            }
            _ => false,
        };
        if !suitable || operator.matches("IfExists").count() > 1 || values.is_empty() {
            return self.doubt;
        }
        let caller = self.caller;
        let actual = match key {
            "aws:principalorgid" => caller.organization.clone(),
            "aws:sourceip" => caller.source_ip.map(|ip| ip.to_string()),
            "aws:principalaccount" => Some(caller.account.to_string()),
            "aws:securetransport" => Some("true".into()),
            _ => match self.own() {
                Some(Arn { form: "session", partition, account, name }) => {
                    let (role, _) = name.split_once('/').unwrap();
                    Some(format!("arn:{partition}:iam::{account}:role/{role}"))
                }
                Some(Arn { form: "user" | "root" | "federated", .. }) => caller.arn.clone(),
                _ => return self.doubt,
            },
        };
        // For a negation, what is unknown has to be assumed to match where doubt is false.
        let negated = operator.contains("Not");
        let unknown = self.doubt != negated;
        if operator == "Null" {
            let absent = actual.is_none().to_string();
            return values.iter().any(|value| match text(value).as_deref() {
                Some(value @ ("true" | "false")) => value == absent,
                _ => unknown,
            });
        }
        let Some(actual) = actual else {
            let readable = |value| matches(operator, key, "", value).is_some();
            let met = negated || operator.ends_with("IfExists");
            return if values.iter().all(readable) { met } else { self.doubt };
        };
        let matches =
            values.iter().any(|value| matches(operator, key, &actual, value).unwrap_or(unknown));
        matches != negated
    }
}

/// `None` where it is unknown.
fn matches(operator: &str, key: &str, actual: &str, value: &Value) -> Option<bool> {
    let mut value = text(value).filter(|value| !value.contains("${"))?;
    if key == "aws:principalarn"
        && let Some(parts) = ROLE_PATH.captures(&value)
    {
        if parts[2].trim_matches(['*', '?']).is_empty() {
            return None;
        }
        value = format!("{}{}", &parts[1], &parts[2]);
    }
    let base = operator.trim_end_matches("IfExists").replace("Not", "");
    match base.as_str() {
        "StringEquals" => Some(value == actual),
        "StringEqualsIgnoreCase" => Some(value.to_lowercase() == actual.to_lowercase()),
        "StringLike" => Some(wildcard(&value, actual)),
        "ArnEquals" | "ArnLike" => {
            let parts = |text: &str| text.splitn(6, ':').map(str::to_owned).collect::<Vec<_>>();
            let (patterns, actual) = (parts(&value), parts(actual));
            ARN_FORM.is_match(&value).then(|| {
                patterns.iter().zip(&actual).all(|(pattern, part)| wildcard(pattern, part))
            })
        }
        "IpAddress" => {
            let (address, length) = match value.split_once('/') {
                Some((address, length)) => {
                    (address, Some(LENGTH.find(length)?.as_str().parse::<usize>().unwrap()))
                }
                None => (value.as_str(), None),
            };
            let network = bits(address.parse().ok()?);
            let length = length.unwrap_or(network.len());
            let prefix = network.get(..length)?;
            let address = actual.parse().map(bits).unwrap_or_default();
            Some(address.len() == network.len() && address.starts_with(prefix))
        }
        "Bool" => ["true", "false"].contains(&value.as_str()).then(|| value == actual),
        other => panic!("{other}"),
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    let values = match value {
        Value::Array(values) => values.clone(),
        one => vec![one.clone()],
    };
    let strings: Option<Vec<_>> = values.iter().map(|it| it.as_str().map(Into::into)).collect();
    strings.filter(|strings| !strings.is_empty())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

fn wildcard(pattern: &str, text: &str) -> bool {
    let rest = |text: &str| text.chars().skip(1).collect::<String>();
    match (pattern.chars().next(), text.chars().next()) {
        (None, first) => first.is_none(),
        (Some('*'), None) => wildcard(&rest(pattern), text),
        (Some('*'), Some(_)) => wildcard(&rest(pattern), text) || wildcard(pattern, &rest(text)),
        (Some(wanted), Some(found)) => {
            (wanted == '?' || wanted == found) && wildcard(&rest(pattern), &rest(text))
        }
        (Some(_), None) => false,
    }
}

fn bits(address: IpAddr) -> String {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bits: Vec<_> = octets.iter().map(|octet| format!("{octet:08b}")).collect();
    bits.concat()
}

/// The ARN of a caller or a principal.
struct Arn {
    partition: String,
    account: String,
    /// One of [`FORMS`], or `other`.
    form: &'static str,
    name: String,
}

fn read_arn(arn: &str) -> Option<Arn> {
    let parts = ARN.captures(arn)?;
    let resource = format!("{}:{}", &parts[2], &parts[4]);
    let form = FORMS.iter().find(|(_, pattern)| pattern.is_match(&resource));
    let (form, name) = form.map_or(("other", String::new()), |(form, pattern)| {
        (*form, pattern.captures(&resource).unwrap()[1].to_owned())
    });
    Some(Arn { partition: parts[1].into(), account: parts[3].into(), form, name })
}

/// Names of callers, as the event and the policies' principals and conditions say them.
const ARNS: [&str; 12] = [
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:user/ci",
    "arn:aws:iam::111122223333:user/team/ci",
    "arn:aws:iam::111122223333:user/other",
    "arn:aws:sts::111122223333:assumed-role/deploy/run-7",
    "arn:aws:sts::111122223333:assumed-role/deploy/run-8",
    "arn:aws:sts::111122223333:federated-user/ci",
    "arn:aws-cn:iam::111122223333:user/ci",
    "arn:aws-cn:sts::111122223333:assumed-role/deploy/run-7",
    "arn:aws:iam::999999999999:user/ci",
    "arn:aws:sts::999999999999:assumed-role/deploy/run-7",
    "arn:aws:sts::111122223333:other/ci",
];

const PRINCIPALS: [&str; 14] = [
    "*",
    "111122223333",
    "999999999999",
    "arn:aws:iam::111122223333:role/deploy",
    "arn:aws:iam::111122223333:role/team/deploy",
    "arn:aws:iam::111122223333:role/other",
    "arn:aws-cn:iam::111122223333:root",
    "arn:aws-cn:iam::111122223333:role/deploy",
    "arn:aws:iam::111122223333:user/*",
    "arn:aws:iam::111122223333:*",
    "arn:aws:iam::111122223333:group/ci",
    "arn:other:iam::111122223333:root",
    "AIDACKCEVSQ6C2EXAMPLE",
    "",
];

/// Values of conditions that most keys do something with.
const VALUES: [&str; 30] = [
    "o-1",
    "O-1",
    "o-*",
    "o-2",
    "o-?",
    "*",
    "111122223333",
    "1111*",
    "999999999999",
    "true",
    "false",
    "True",
    "192.0.2.0/24",
    "192.0.2.7",
    "192.0.2.7/31",
    "192.0.2.8/29",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8::7",
    "::/0",
    "192.0.2.0/33",
    "192.0.2.07",
    "arn:aws:iam::111122223333:user/*",
    "arn:aws:iam::*:role/deploy",
    "arn:aws:iam::*:role/team/*/dep*",
    "arn:aws:iam::111122223333:role/team/*",
    "ARN:AWS:IAM::111122223333:ROLE/TEAM/DEPLOY",
    "arn:*:role/deploy",
    "arn:*:*:*:*:*",
    "${aws:username}",
];

fn callers() -> impl Strategy<Value = Caller> {
    let account = select(vec!["111122223333", "111122223333", "999999999999"]);
    let arn = prop::option::weighted(0.8, select(&ARNS[..]));
    let organization = prop::option::of(select(vec!["o-1", "o-2"]));
    let source_ip = prop::option::of(select(vec!["192.0.2.7", "2001:db8::7"]));
    (account, arn, organization, source_ip).prop_map(|(account, arn, organization, source_ip)| {
        Caller {
            account: RegistryId::parse(account.into()).unwrap(),
            arn: arn.map(str::to_owned),
            organization: organization.map(str::to_owned),
            source_ip: source_ip.map(|ip| ip.parse().unwrap()),
        }
    })
}

/// One of the texts, or an array of up to three.
fn some_of(texts: Vec<&'static str>) -> impl Strategy<Value = Value> {
    let one = select(texts.clone()).prop_map(Value::from);
    prop_oneof![4 => one, 2 => vec(select(texts), 0..4).prop_map(Value::from)]
}

/// The text's letters, some of them in the other case.
fn in_some_case(text: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(text.to_owned()),
        1 => Just(text.to_uppercase()),
        1 => Just(text.to_lowercase()),
    ]
}

fn principal() -> impl Strategy<Value = Value> {
    let names = || some_of([ARNS.as_slice(), &PRINCIPALS].concat());
    prop_oneof![
        3 => Just(json!("*")),
        6 => names().prop_map(|names| json!({ "AWS": names })),
        1 => names().prop_map(|names| json!({ "AWS": names, "Service": "ecs.amazonaws.com" })),
        1 => names().prop_map(|names| json!({ "AWS": names, "Federated": "x" })),
        1 => select(vec![
            json!({ "Service": "ecs.amazonaws.com" }),
            json!({ "Service": 7 }),
            json!({ "AWS": [7] }),
            json!({}), json!("111122223333"), json!(null),
        ]),
    ]
}

fn condition_value() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        20 => select(&VALUES[..]).prop_map(Value::from),
        4 => select(&ARNS[..]).prop_map(Value::from),
        3 => any::<bool>().prop_map(Value::from),
        2 => select(vec![
            json!(null), json!(111_122_223_333_u64), json!(-1), json!(0.5), json!({}),
        ]),
    ];
    let one = one.boxed();
    prop_oneof![3 => one.clone(), 1 => vec(one, 0..4).prop_map(Value::from)]
}

fn condition() -> impl Strategy<Value = Value> {
    let operators = [
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
        "ArnEquals",
        "ArnLike",
        "ArnNotEquals",
        "ArnNotLike",
        "IpAddress",
        "NotIpAddress",
        "Bool",
        "Null",
    ];
    let strange =
        ["stringEquals", "ForAnyValue:StringEquals", "NumericEquals", "StringNotIpAddress"];
    let operator = prop_oneof![
        16 => select(operators.to_vec()).prop_map(str::to_owned),
        6 => select(operators.to_vec()).prop_map(|name| format!("{name}IfExists")),
        1 => select(strange.to_vec()).prop_map(str::to_owned),
    ];
    let key = prop_oneof![
        12 => select(vec![
            "aws:PrincipalOrgID", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:SourceIp",
            "aws:SecureTransport",
        ]),
        1 => select(vec!["aws:UserAgent", "ecr:ResourceTag/x", ""]),
    ]
    .prop_flat_map(in_some_case);
    let keys = vec((key, condition_value()), 1..3);
    let keys = keys.prop_map(|keys| keys.into_iter().collect::<Map<_, _>>());
    let operators = vec((operator, keys.prop_map(Value::from)), 1..3);
    operators.prop_map(|operators| operators.into_iter().collect::<Map<_, _>>().into())
}

/// An operator on a key that it suits, with a value that is understood most of the time: of the
/// conditions above most are unknown.
fn suitable_condition() -> impl Strategy<Value = Value> {
    let rows: Vec<(&str, Vec<&str>, Vec<&str>)> = vec![
        (
            "aws:PrincipalOrgID",
            vec!["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotLike"],
            vec!["o-1", "O-1", "o-2", "o-*"],
        ),
        (
            "aws:PrincipalArn",
            vec!["ArnEquals", "ArnNotLike", "StringLike", "StringNotEqualsIgnoreCase"],
            [&ARNS[..7], &VALUES[22..29]].concat(),
        ),
        ("aws:SourceIp", vec!["IpAddress", "NotIpAddress"], VALUES[12..20].to_vec()),
        ("aws:SecureTransport", vec!["Bool", "Null"], vec!["true", "false"]),
        ("aws:PrincipalOrgID", vec!["Null"], vec!["true", "false"]),
    ];
    select(rows).prop_flat_map(|(key, operators, values)| {
        let if_exists = select(vec!["", "", "IfExists"]);
        (in_some_case(key), select(operators), if_exists, some_of(values)).prop_map(
            |(key, operator, if_exists, values)| {
                let if_exists = if operator == "Null" { "" } else { if_exists };
                json!({ format!("{operator}{if_exists}"): { key: values } })
            },
        )
    })
}

fn statement() -> impl Strategy<Value = Value> {
    let effect = prop_oneof![30 => Just("Allow"), 20 => Just("Deny"), 1 => Just("Maybe")];
    let action = prop_oneof![
        9 => some_of(vec!["ecr:PutImage", "ECR:put*", "*", "ecr:PutImag?"]),
        3 => some_of(vec!["ecr:GetImage", "ecr:Put", "s3:*"]),
        1 => select(vec![json!(7), json!(null), json!(["*", 7])]),
    ];
    let condition = prop_oneof![
        2 => Just(None),
        2 => suitable_condition().prop_map(Some),
        1 => condition().prop_map(Some),
        1 => select(vec![json!({}), json!([]), json!({ "Bool": {} })]).prop_map(Some),
    ];
    let strange = select(vec!["Resource", "NotPrincipal", "NotAction", "condition"]);
    let strange = prop::option::weighted(0.1, strange);
    (effect, principal(), action, condition, strange).prop_map(
        |(effect, principal, action, condition, strange)| {
            let mut statement =
                json!({ "Effect": effect, "Principal": principal, "Action": action });
            if let Some(condition) = condition {
                statement["Condition"] = condition;
            }
            if let Some(strange) = strange {
                statement[strange] = json!("*");
            }
            statement
        },
    )
}

fn policies() -> impl Strategy<Value = Value> {
    let statements = prop_oneof![
        1 => statement(),
        6 => vec(statement(), 0..4).prop_map(Value::from),
    ];
    let more = hash_set(select(vec!["Version", "Id", "Other"]), 0..3);
    let more = prop_oneof![8 => Just(None), 1 => more.prop_map(Some)];
    (statements, more).prop_map(|(statements, more)| {
        let mut policy = json!({ "Statement": statements });
        for name in more.into_iter().flatten() {
            policy[name] = json!("2008-10-17");
        }
        policy
    })
}

/// The JSON of `value`, in which the `nth` member from the end is named twice.
fn twice(value: &Value, nth: &mut usize) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(|value| twice(value, nth)).collect();
            format!("[{}]", values.join(","))
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                let member = format!("{}:{}", json!(name), twice(value, nth));
                let again = *nth == 0;
                *nth = nth.wrapping_sub(1);
                if again { format!("{member},{}:null", json!(name)) } else { member }
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn members_in(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(members_in).sum(),
        Value::Object(members) => members.values().map(|value| 1 + members_in(value)).sum(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_readings_agree(policy in policies(), caller in callers()) {
        let expected = verdict(&policy, &caller);
        prop_assert_eq!(caller.verdict(ACTION, &policy.to_string()), expected);
    }

    #[test]
    fn a_caller_allowed_without_an_arn_is_allowed_with_any(
        policy in policies(), caller in callers(), arn in select(&ARNS[..7])
    ) {
        let unknown = Caller { arn: None, ..caller.clone() };
        let known = Caller { arn: Some(arn.into()), ..caller };
        let text = policy.to_string();
        // Without an ARN, nothing tells the caller's partition.
        if !text.contains("arn:aws-cn:") && unknown.verdict(ACTION, &text) == Verdict::Allow {
            prop_assert_eq!(known.verdict(ACTION, &text), Verdict::Allow);
        }
    }

    #[test]
    fn what_is_understood_is_not_in_doubt(policy in policies(), caller in callers()) {
        let known = caller.arn.as_deref().is_some_and(|arn| {
            ["user/other", "assumed-role/deploy/run-7"].iter().any(|end| arn.ends_with(end))
                && arn.contains(caller.account.as_str())
        });
        if known && is_understood(&policy.to_string()) {
            let statements = match &policy["Statement"] {
                Value::Array(statements) => statements.clone(),
                one => vec![one.clone()],
            };
            for statement in statements {
                let applies = |doubt| Reader { caller: &caller, doubt }.applies(&statement);
                prop_assert_eq!(applies(true), applies(false), "{}", statement);
            }
        }
    }

    #[test]
    fn a_member_named_twice_denies(
        policy in policies(), caller in callers(), nth in any::<prop::sample::Index>()
    ) {
        let mut nth = nth.index(members_in(&policy));
        let text = twice(&policy, &mut nth);
        prop_assert_eq!(caller.verdict(ACTION, &text), Verdict::Deny, "{}", text);
        prop_assert!(!is_understood(&text));
    }
}
