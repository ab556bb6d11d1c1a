//! Repository policies: what a caller may do with another account's repository.
//!
//! The function's role can write every registry of the table, so this is the only wall between
//! accounts. A caller may use its own registry, and another account's only where the repository's
//! policy allows it. Each part of a statement is true, false or unknown (`None`). An Allow grants
//! only where every part is certainly true; a Deny spares the caller only where some part is
//! certainly false; a text that is not a policy denies.
//!
//! The language is that of the IAM user guide, "IAM JSON policy elements reference".

mod caller;
mod conditions;
mod principals;
#[cfg(test)]
mod second_reading;

use wildmatch::WildMatch;

use crate::ecr::names::RepositoryRef;
use crate::json::Json;
pub use caller::Caller;
use caller::Request;
use conditions::{Condition, all, any};
use principals::Principal;

impl Caller {
    /// Whether the caller may do `action` to `repository`, whose policy text this is.
    #[must_use]
    pub fn may(&self, action: &str, repository: &RepositoryRef, policy: Option<&str>) -> bool {
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
        let is_caller = self
            .principals
            .iter()
            .map(|it| it.as_ref()?.means(request.caller.account.as_str(), request.arn.as_ref()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecr::names::{RegistryId, RepositoryName};
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

    fn repository_of(account: &str) -> RepositoryRef {
        RepositoryRef {
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
