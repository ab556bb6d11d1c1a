//! Repository policies: what a caller may do with another account's repository.
//!
//! The function's role can write every registry of the table, so this is the only wall between
//! accounts. A caller may use its own registry, and another account's only where the repository's
//! policy allows it. Each part of a statement is true, false or unknown (`None`). An Allow grants
//! only where every part is certainly true; a Deny spares the caller only where some part is
//! certainly false; a text that is not a policy denies.
//!
//! The language is that of the IAM user guide, "IAM JSON policy elements reference".

mod conditions;
mod principals;
#[cfg(test)]
mod second_reading;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use wildmatch::WildMatch;

use crate::names::{RegistryId, Repository};
use conditions::Condition;
use principals::{Arn, Principal};

/// Who signed a request, as far as the event says.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its account.
    pub account: RegistryId,
    /// Its user, role session or federated session.
    pub arn: Option<String>,
    /// The id of its account's organization.
    pub organization: Option<String>,
    /// Where the request came from.
    pub source_ip: Option<IpAddr>,
}

impl Caller {
    /// Whether the caller may do `action` to `repository`, whose policy text this is.
    #[must_use]
    pub fn may(&self, action: &str, repository: &Repository, policy: Option<&str>) -> bool {
        self.account == repository.registry
            || policy.is_some_and(|text| self.verdict(action, text) == Verdict::Allow)
    }

    /// What a policy text says about this caller and `action`, whoever owns the repository.
    #[must_use]
    pub fn verdict(&self, action: &str, policy: &str) -> Verdict {
        let Ok(document) = serde_json::from_str::<Json>(policy) else { return Verdict::Deny };
        let Some(statements) = statements(&document) else { return Verdict::Deny };
        let request = Request::new(self, action);
        let verdicts = statements.iter().map(|statement| statement.verdict(&request));
        verdicts.max().unwrap_or(Verdict::Silent)
    }

    /// The caller as error messages name it: by its account where the event gave no ARN.
    #[must_use]
    pub fn arn_or_root(&self, partition: &str) -> String {
        let root = || format!("arn:{partition}:iam::{}:root", self.account);
        self.arn.clone().unwrap_or_else(root)
    }
}

/// What a policy or one of its statements says of a request. Of several statements the greatest
/// decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing.
    Silent,
    /// It grants.
    Allow,
    /// It forbids.
    Deny,
}

/// Whether [`Caller::verdict`] understands every part of a policy text, so that only the caller can
/// make a part of it unknown.
#[must_use]
pub fn is_understood(policy: &str) -> bool {
    let document = serde_json::from_str::<Json>(policy).ok();
    let statements = document.as_ref().and_then(statements);
    statements.is_some_and(|all| !all.is_empty() && all.iter().all(Statement::is_understood))
}

/// True where a part is, false where all are, otherwise unknown.
fn any(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
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
fn all(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    any(parts.into_iter().map(|part| part.map(|it| !it))).map(|it| !it)
}

/// What statements are held against.
struct Request<'a> {
    caller: &'a Caller,
    /// The caller's ARN, where it is of the caller's account.
    arn: Option<Arn<'a>>,
    action: String,
}

impl<'a> Request<'a> {
    fn new(caller: &'a Caller, action: &str) -> Self {
        let arn = caller.arn.as_deref().and_then(Arn::parse);
        let arn = arn.filter(|arn| arn.account == caller.account.as_str());
        Self { caller, arn, action: action.to_ascii_lowercase() }
    }
}

/// A policy's statements; `None` where the document is not a policy.
fn statements(document: &Json) -> Option<Vec<Statement<'_>>> {
    let mut statements = None;
    for (name, value) in document.members()? {
        match (name.as_str(), value) {
            ("Version", Json::Text(version)) if VERSIONS.contains(&version.as_str()) => {}
            ("Id", Json::Text(_)) => {}
            ("Statement", _) => {
                statements = value.one_or_many().iter().map(Statement::read).collect();
            }
            _ => return None,
        }
    }
    statements
}

const VERSIONS: [&str; 2] = ["2008-10-17", "2012-10-17"];

/// A statement. An element that is `None` is one that is not understood.
struct Statement<'a> {
    effect: Effect,
    /// The statement is about a caller that one of them means,
    principals: Vec<Option<Principal<'a>>>,
    /// about an action that one of them matches, in lower case,
    actions: Vec<Option<WildMatch>>,
    /// and applies where all of these hold.
    conditions: Vec<Option<Condition>>,
}

#[derive(Clone, Copy)]
enum Effect {
    Allow,
    Deny,
}

impl<'a> Statement<'a> {
    /// `None` where it is not an object or has no effect.
    fn read(statement: &'a Json) -> Option<Self> {
        let mut effect = None;
        let mut principals = vec![None];
        let mut actions = vec![None];
        let mut conditions = Vec::new();
        for (name, value) in statement.members()? {
            match (name.as_str(), value) {
                ("Sid", Json::Text(_)) => {}
                ("Effect", Json::Text(text)) if text == "Allow" => effect = Some(Effect::Allow),
                ("Effect", Json::Text(text)) if text == "Deny" => effect = Some(Effect::Deny),
                ("Principal", _) => principals = principals::read(value),
                ("Action", _) => actions = actions_of(value),
                ("Condition", _) => conditions.extend(conditions::read(value)),
                // Whatever it is, it may restrict the statement, as a condition does.
                _ => conditions.push(None),
            }
        }
        Some(Self { effect: effect?, principals, actions, conditions })
    }

    fn is_understood(&self) -> bool {
        self.principals.iter().all(Option::is_some)
            && self.actions.iter().all(Option::is_some)
            && self.conditions.iter().all(|it| it.as_ref().is_some_and(Condition::is_understood))
    }

    fn verdict(&self, request: &Request<'_>) -> Verdict {
        match (self.effect, self.applies(request)) {
            (Effect::Allow, Some(true)) => Verdict::Allow,
            (Effect::Allow, _) | (Effect::Deny, Some(false)) => Verdict::Silent,
            (Effect::Deny, _) => Verdict::Deny,
        }
    }

    fn applies(&self, request: &Request<'_>) -> Option<bool> {
        let is_caller = self.principals.iter().map(|it| it.as_ref()?.means(request));
        let is_action = self.actions.iter().map(|it| Some(it.as_ref()?.matches(&request.action)));
        let holds = self.conditions.iter().map(|it| it.as_ref()?.holds(request));
        all([any(is_caller), any(is_action), all(holds)])
    }
}

/// IAM compares actions without regard to letter case.
fn actions_of(element: &Json) -> Vec<Option<WildMatch>> {
    let Some(patterns) = element.texts() else { return vec![None] };
    patterns.iter().map(|text| Some(WildMatch::new(&text.to_ascii_lowercase()))).collect()
}

/// A JSON value in which no object names a member twice.
enum Json {
    Text(String),
    Flag(bool),
    Number(u64),
    /// Null, or a number of another form.
    Other,
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

impl Json {
    /// The elements of an array; any other value is its own only element.
    fn one_or_many(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            one => std::slice::from_ref(one),
        }
    }

    /// A string, or an array of one string or more.
    fn texts(&self) -> Option<Vec<&str>> {
        let texts = self.one_or_many().iter().map(|value| match value {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())
    }

    /// An object's members, of which there is one or more.
    fn members(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(members) if !members.is_empty() => Some(members),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Flag(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = object.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::RepositoryName;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const ACTION: &str = "ecr:PutImage";
    const USER: &str = "arn:aws:iam::111122223333:user/ci";
    const ROOT: &str = "arn:aws:iam::111122223333:root";

    fn caller(arn: Option<&str>) -> Caller {
        Caller {
            account: RegistryId::parse("111122223333".into()).unwrap(),
            arn: arn.map(str::to_owned),
            organization: None,
            source_ip: None,
        }
    }

    fn user() -> Caller {
        caller(Some(USER))
    }

    fn repository_of(account: &str) -> Repository {
        Repository {
            registry: RegistryId::parse(account.into()).unwrap(),
            name: RepositoryName::parse("app".into()).unwrap(),
        }
    }

    fn policy(statements: &Value) -> String {
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    fn allows(caller: &Caller, statements: &Value) -> bool {
        caller.may(ACTION, &repository_of("444455556666"), Some(&policy(statements)))
    }

    fn statement(effect: &str, principal: &Value, action: &Value) -> Value {
        json!({"Sid": "s", "Effect": effect, "Principal": principal, "Action": action})
    }

    fn allow(principal: &Value, action: &Value) -> Value {
        statement("Allow", principal, action)
    }

    #[test]
    fn a_registry_is_its_owners_whatever_the_policy() {
        assert!(user().may(ACTION, &repository_of("111122223333"), None));
        assert!(user().may(ACTION, &repository_of("111122223333"), Some("not json")));
        let deny = policy(&statement("Deny", &json!("*"), &json!("*")));
        assert!(user().may(ACTION, &repository_of("111122223333"), Some(&deny)));
        assert!(!user().may(ACTION, &repository_of("444455556666"), None));
    }

    #[test]
    fn actions_match_with_wildcards_and_in_any_case() {
        let rows = [
            (json!("ecr:PutImage"), true),
            (json!("ECR:putimage"), true),
            (json!("ecr:*"), true),
            (json!("*"), true),
            (json!("ecr:Put?mage"), true),
            (json!(["ecr:BatchGetImage", "ecr:Put*"]), true),
            (json!("ecr:GetImage"), false),
            (json!("ecr:PutImageTagMutability"), false),
            (json!([]), false),
            (json!(7), false),
        ];
        for (action, expected) in rows {
            let statements = json!([allow(&json!("*"), &action)]);
            assert_eq!(allows(&user(), &statements), expected, "{action}");
        }
    }

    #[test]
    fn what_is_not_understood_is_read_against_the_caller() {
        let good = allow(&json!("*"), &json!("ecr:*"));
        let with = |effect: &str, member: &str, value: Value| {
            let mut statement = good.clone();
            statement["Effect"] = json!(effect);
            statement[member] = value;
            statement
        };
        for member in
            ["Condition", "NotPrincipal", "NotAction", "Resource", "NotResource", "effect"]
        {
            assert!(!allows(&user(), &json!([with("Allow", member, json!({}))])), "{member}");
            assert!(!allows(&user(), &json!([good, with("Deny", member, json!({}))])), "{member}");
        }
        for action in [json!(1), json!([]), json!(["ecr:GetImage", 7])] {
            let deny = with("Deny", "Action", action.clone());
            assert!(!allows(&user(), &json!([good, deny])), "{action}");
        }
        let mixed = with("Allow", "Action", json!(["ecr:PutImage", 7]));
        assert!(!allows(&user(), &json!([mixed])));
        assert!(!allows(&user(), &json!([good, {"Effect": "Deny", "NotAction": "ecr:GetImage"}])));
        assert!(!allows(&user(), &json!([good, "text"])));
        assert!(!allows(&user(), &json!([good, with("deny", "Sid", json!("x"))])));
        assert!(!allows(&user(), &json!([with("Allow", "Sid", json!(7))])));
        assert!(allows(&user(), &json!([good, with("Deny", "Action", json!("ecr:GetImage"))])));
        let others = with("Deny", "Principal", json!({"AWS": "999999999999"}));
        assert!(allows(&user(), &json!([good, others])));
        assert!(allows(&user(), &good), "one statement without an array");
        // A part that is certainly false is enough, whatever else the statement says.
        for mut other in [with("Deny", "Action", json!("ecr:GetImage")), others] {
            other["Resource"] = json!("*");
            other["Condition"] = json!({"NumericEquals": {"aws:EpochTime": "1"}});
            assert!(allows(&user(), &json!([good, other])), "{other}");
        }
    }

    #[test]
    fn conditions_restrict_a_statement() {
        let good = allow(&json!("*"), &json!("ecr:*"));
        let with = |effect: &str, operator: &str, key: &str| {
            let mut statement = statement(effect, &json!("*"), &json!("ecr:*"));
            statement["Condition"] = json!({ operator: { key: "111122223333" } });
            statement
        };
        let rows = [
            ("StringEquals", "aws:PrincipalAccount", true, true),
            ("StringNotEquals", "aws:PrincipalAccount", false, false),
            ("ForAnyValue:StringEquals", "aws:PrincipalAccount", false, true),
            ("StringEquals", "ecr:ResourceTag/account", false, true),
        ];
        for (operator, key, grants, denies) in rows {
            assert_eq!(
                allows(&user(), &json!([with("Allow", operator, key)])),
                grants,
                "{operator}"
            );
            let deny = json!([good, with("Deny", operator, key)]);
            assert_eq!(!allows(&user(), &deny), denies, "{operator}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_policy_denies() {
        let grant = r#"{"Effect":"Allow","Principal":"*","Action":"*"}"#;
        assert_eq!(user().verdict(ACTION, &format!(r#"{{"Statement":{grant}}}"#)), Verdict::Allow);
        let deep = "[".repeat(100_000);
        let texts = [
            String::new(),
            "{".into(),
            "[]".into(),
            "null".into(),
            "{}".into(),
            r#"{"Statement":7}"#.into(),
            r#"{"Statement":null}"#.into(),
            format!(r#"{{"statement":{grant}}}"#),
            format!(r#"{{"Version":"2012-10-17","Statement":{grant}}} x"#),
            format!(r#"{{"Version":"2012-10-18","Statement":{grant}}}"#),
            format!(r#"{{"Version":7,"Statement":{grant}}}"#),
            format!(r#"{{"Id":7,"Statement":{grant}}}"#),
            format!(r#"{{"Other":"x","Statement":{grant}}}"#),
            format!(r#"{{"Statement":[[{grant}]]}}"#),
            format!(r#"{{"Statement":[{grant},null]}}"#),
            format!("[{grant}]"),
            grant.into(),
            format!(r#"{{"Id":{deep}"#),
        ];
        for text in texts {
            let start: String = text.chars().take(80).collect();
            assert_eq!(user().verdict(ACTION, &text), Verdict::Deny, "{start}");
            assert!(!user().may(ACTION, &repository_of("444455556666"), Some(&text)), "{start}");
            assert!(!is_understood(&text), "{start}");
        }
        let nothing = r#"{"Version":"2012-10-17","Statement":[]}"#;
        assert_eq!(user().verdict(ACTION, nothing), Verdict::Silent);
    }

    #[test]
    fn a_member_named_twice_denies() {
        let once = r#"{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"s","Effect":"Allow",
            "Principal":{"AWS":"*"},"Action":"*","Condition":{"Null":{"aws:SourceIp":"true"}}}]}"#;
        assert_eq!(user().verdict(ACTION, once), Verdict::Allow);
        let rows = [
            (r#""Effect":"Allow""#, r#""Effect":"Deny","Effect":"Allow""#),
            (r#""Effect":"Allow""#, r#""Effect":"Allow","Effect":"Allow""#),
            (r#""Effect":"Allow""#, r#""Effect":"Allow","\u0045ffect":"Allow""#),
            (r#""Statement":["#, r#""Statement":[],"Statement":["#),
            (r#""Version":"2012-10-17""#, r#""Version":"2012-10-17","Version":"2012-10-17""#),
            (r#""Sid":"s""#, r#""Sid":"s","Sid":"t""#),
            (r#""AWS":"*""#, r#""AWS":"999999999999","AWS":"*""#),
            (r#""Action":"*""#, r#""Action":"ecr:GetImage","Action":"*""#),
            (r#""Null":{"#, r#""Null":{"aws:SourceIp":"false"},"Null":{"#),
            (r#""aws:SourceIp":"true""#, r#""aws:SourceIp":"false","aws:SourceIp":"true""#),
            (r#""Sid":"s""#, r#""Sid":{"a":[{"b":1,"b":1}]}"#),
        ];
        for (member, twice) in rows {
            let text = once.replace(member, twice);
            assert_ne!(text, once);
            assert_eq!(user().verdict(ACTION, &text), Verdict::Deny, "{text}");
            assert!(!is_understood(&text), "{text}");
        }
    }

    #[test]
    fn a_policy_is_understood_where_nothing_in_it_is_unknown() {
        let good = allow(&json!({"AWS": ROOT, "Service": "ecs.amazonaws.com"}), &json!("ecr:*"));
        assert!(is_understood(&policy(&good)));
        assert!(is_understood(&policy(&json!([good, good]))));
        let with = |member: &str, value: Value| {
            let mut statement = good.clone();
            statement[member] = value;
            statement
        };
        let known = json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/ci/deploy"}});
        assert!(is_understood(&policy(&with("Condition", known))));
        for statement in [
            with("Principal", json!({"AWS": "AIDACKCEVSQ6C2EXAMPLE"})),
            with("Principal", json!({"Federated": "x"})),
            with("Action", json!([])),
            with("Condition", json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01"}})),
            with("Condition", json!({"StringEquals": {"aws:PrincipalOrgID": "${x}"}})),
            with("Resource", json!("*")),
            with("NotPrincipal", json!("*")),
            json!({"Effect": "Allow", "Principal": "*"}),
            json!({"Effect": "Allow", "Action": "*"}),
            json!([]),
        ] {
            assert!(!is_understood(&policy(&statement)), "{statement}");
        }
    }

    #[test]
    fn a_message_names_the_account_where_the_event_gives_no_arn() {
        assert_eq!(user().arn_or_root("aws"), USER);
        assert_eq!(caller(None).arn_or_root("aws-cn"), "arn:aws-cn:iam::111122223333:root");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,80}") {
            prop_assert!(!user().may(ACTION, &repository_of("444455556666"), Some(&text)));
        }
    }
}
