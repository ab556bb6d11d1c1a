//! Access to repositories.
//!
//! The function's role can write every registry of the table, so only this check separates the
//! accounts. A caller may use its own registry, and a repository of another account only if the
//! repository's policy, the JSON text of an ECR repository policy, allows it. Whatever this
//! evaluator does not understand counts against the caller: an Allow with unknown members grants
//! nothing, a Deny with unknown members denies unless it is certainly about another action or
//! caller, and a text that does not parse denies.

use serde_json::{Map, Value};
use wildmatch::WildMatch;

use crate::ecr::names::{RegistryId, RepositoryRef};

/// The signer of a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its account.
    pub account: RegistryId,
    /// Its user or role session.
    pub arn: Option<String>,
    /// Its organization's id.
    pub organization: Option<String>,
    /// The address that it calls from.
    pub source_ip: Option<std::net::IpAddr>,
}

impl Caller {
    /// Whether the caller may do `action` to `repository`, whose policy text this is.
    #[must_use]
    pub fn may(&self, action: &str, repository: &RepositoryRef, policy: Option<&str>) -> bool {
        self.account == repository.registry
            || policy.is_some_and(|policy| self.is_allowed(action, policy))
    }

    fn is_allowed(&self, action: &str, policy: &str) -> bool {
        let Ok(Value::Object(mut policy)) = serde_json::from_str::<Value>(policy) else {
            return false;
        };
        let statements = match policy.remove("Statement") {
            Some(Value::Array(statements)) => statements,
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return false,
        };
        let verdicts = statements.iter().map(|statement| self.verdict(action, statement));
        verdicts.fold(Verdict::Silent, Verdict::and) == Verdict::Allow
    }

    fn verdict(&self, action: &str, statement: &Value) -> Verdict {
        let Value::Object(statement) = statement else { return Verdict::Deny };
        let known = ["Sid", "Effect", "Principal", "Action"];
        let understood = statement.keys().all(|member| known.contains(&member.as_str()));
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow")
                if understood
                    && names_action(statement, action) == Some(true)
                    && self.is_principal(statement) == Some(true) =>
            {
                Verdict::Allow
            }
            Some("Allow") => Verdict::Silent,
            // A Deny is ignored only if it is certainly about another action or caller.
            Some("Deny")
                if names_action(statement, action) == Some(false)
                    || self.is_principal(statement) == Some(false) =>
            {
                Verdict::Silent
            }
            _ => Verdict::Deny,
        }
    }

    /// `None` where the statement names no `Principal`, or one of a form that is not understood.
    fn is_principal(&self, statement: &Map<String, Value>) -> Option<bool> {
        let principals = match statement.get("Principal")? {
            Value::String(any) if any == "*" => return Some(true),
            Value::Object(kinds) if kinds.len() == 1 => texts(kinds.get("AWS")?)?,
            _ => return None,
        };
        let answers: Vec<_> = principals.into_iter().map(|principal| self.is(principal)).collect();
        if answers.contains(&Some(true)) {
            Some(true)
        } else {
            answers.into_iter().all(|answer| answer == Some(false)).then_some(false)
        }
    }

    fn is(&self, principal: &str) -> Option<bool> {
        if principal == "*" {
            return Some(true);
        }
        if RegistryId::parse(principal.to_owned()).is_ok() {
            return Some(principal == self.account.as_str());
        }
        let rest =
            principal.strip_prefix("arn:aws:iam::").or(principal.strip_prefix("arn:aws:sts::"))?;
        let (account, resource) = rest.split_once(':')?;
        if principal.contains('*') {
            return None;
        }
        Some(
            Some(principal) == self.arn.as_deref()
                || account == self.account.as_str()
                    && (resource == "root"
                        || resource
                            .strip_prefix("role/")
                            .is_some_and(|role| self.is_session_of(role))),
        )
    }

    /// A role's sessions call as `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`, without the
    /// role's path.
    fn is_session_of(&self, role: &str) -> bool {
        let name = role.rsplit('/').next().unwrap_or(role);
        let account = self.account.as_str();
        self.arn
            .as_deref()
            .unwrap_or_default()
            .strip_prefix("arn:aws:sts::")
            .and_then(|rest| rest.strip_prefix(account))
            .and_then(|rest| rest.strip_prefix(":assumed-role/"))
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(role, _session)| !name.is_empty() && role == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Silent,
    Allow,
    Deny,
}

impl Verdict {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Deny, _) | (_, Self::Deny) => Self::Deny,
            (Self::Allow, _) | (_, Self::Allow) => Self::Allow,
            (Self::Silent, Self::Silent) => Self::Silent,
        }
    }
}

/// `None` where the statement has no `Action` of a form that is understood. IAM compares actions
/// without regard to letter case.
fn names_action(statement: &Map<String, Value>, action: &str) -> Option<bool> {
    let patterns = texts(statement.get("Action")?)?;
    let action = action.to_ascii_lowercase();
    let matches = |pattern: &str| WildMatch::new(&pattern.to_ascii_lowercase()).matches(&action);
    Some(patterns.into_iter().any(matches))
}

/// A string or an array of strings.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(values) => values.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecr::names::RepositoryName;
    use proptest::prelude::*;
    use serde_json::json;

    const ACTION: &str = "ecr:PutImage";

    fn caller(arn: &str) -> Caller {
        Caller {
            account: RegistryId::parse("111122223333".into()).unwrap(),
            arn: Some(arn.into()),
            organization: None,
            source_ip: None,
        }
    }

    fn user() -> Caller {
        caller("arn:aws:iam::111122223333:user/ci")
    }

    fn repository_of(account: &str) -> RepositoryRef {
        RepositoryRef {
            registry: RegistryId::parse(account.into()).unwrap(),
            name: RepositoryName::parse("app".into()).unwrap(),
        }
    }

    fn allows(caller: &Caller, statements: &Value) -> bool {
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        caller.may(ACTION, &repository_of("444455556666"), Some(&policy))
    }

    fn allow(principal: &Value, action: &Value) -> Value {
        json!({"Sid": "s", "Effect": "Allow", "Principal": principal, "Action": action})
    }

    #[test]
    fn a_registry_is_its_owners_whatever_the_policy() {
        assert!(user().may(ACTION, &repository_of("111122223333"), None));
        assert!(user().may(ACTION, &repository_of("111122223333"), Some("not json")));
        assert!(!user().may(ACTION, &repository_of("444455556666"), None));
    }

    #[test]
    fn principals_match_as_iam_writes_them() {
        let session = caller("arn:aws:sts::111122223333:assumed-role/deploy/run-7");
        let rows = [
            (user(), json!("*"), true),
            (user(), json!({"AWS": "*"}), true),
            (user(), json!({"AWS": "111122223333"}), true),
            (user(), json!({"AWS": ["999999999999", "arn:aws:iam::111122223333:root"]}), true),
            (user(), json!({"AWS": "arn:aws:iam::111122223333:user/ci"}), true),
            (user(), json!({"AWS": "arn:aws:iam::111122223333:user/other"}), false),
            (user(), json!({"AWS": "arn:aws:iam::111122223333:user/c"}), false),
            (user(), json!({"AWS": "arn:aws:iam::999999999999:root"}), false),
            (user(), json!({"AWS": "arn:aws:iam::111122223333:*"}), false),
            (user(), json!({"Service": "ecs.amazonaws.com"}), false),
            (user(), json!("111122223333"), false),
            (user(), json!({"AWS": 111_122_223_333_u64}), false),
            (session.clone(), json!({"AWS": "arn:aws:iam::111122223333:role/deploy"}), true),
            (session.clone(), json!({"AWS": "arn:aws:iam::111122223333:role/ci/deploy"}), true),
            (session.clone(), json!({"AWS": "arn:aws:iam::111122223333:role/other"}), false),
            (session.clone(), json!({"AWS": "arn:aws:iam::111122223333:role/dep"}), false),
            (session.clone(), json!({"AWS": "arn:aws:iam::999999999999:role/deploy"}), false),
            (session, json!({"AWS": "arn:aws:sts::111122223333:assumed-role/deploy/run-7"}), true),
        ];
        for (caller, principal, expected) in rows {
            let statement = allow(&principal, &json!(ACTION));
            assert_eq!(allows(&caller, &json!([statement])), expected, "{principal}");
        }
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
            assert_eq!(
                allows(&user(), &json!([allow(&json!("*"), &action)])),
                expected,
                "{action}"
            );
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
        for member in ["Condition", "NotPrincipal", "NotAction", "Resource", "Other"] {
            assert!(!allows(&user(), &json!([with("Allow", member, json!({}))])), "{member}");
            assert!(!allows(&user(), &json!([good, with("Deny", member, json!({}))])), "{member}");
        }
        for principal in [
            json!({"AWS": "AIDAX"}),
            json!({"AWS": ["999999999999", "AIDAX"]}),
            json!({"AWS": "999999999999", "Federated": "x"}),
            json!({"AWS": "arn:aws:iam::111122223333:*"}),
        ] {
            let deny = with("Deny", "Principal", principal.clone());
            assert!(!allows(&user(), &json!([good, deny])), "{principal}");
        }
        for action in [json!(1), json!(["ecr:GetImage", 7])] {
            let deny = with("Deny", "Action", action.clone());
            assert!(!allows(&user(), &json!([good, deny])), "{action}");
        }
        let mixed = with("Allow", "Action", json!(["ecr:PutImage", 7]));
        assert!(!allows(&user(), &json!([mixed])));
        assert!(!allows(&user(), &json!([good, {"Effect": "Deny", "NotAction": "ecr:GetImage"}])));
        assert!(!allows(&user(), &json!([good, "text"])));
        assert!(!allows(&user(), &json!([good, with("deny", "Sid", json!("x"))])));
        assert!(allows(&user(), &json!([good, with("Deny", "Action", json!("ecr:GetImage"))])));
        assert!(allows(
            &user(),
            &json!([good, with("Deny", "Principal", json!({"AWS": "999999999999"}))])
        ));
        assert!(allows(&user(), &good), "one statement without an array");
        for text in ["", "{", "[]", "null", r#"{"Statement":7}"#, "{}"] {
            assert!(!user().may(ACTION, &repository_of("444455556666"), Some(text)), "{text}");
        }
    }

    fn statement() -> impl Strategy<Value = Value> {
        let effect = prop_oneof![Just("Allow"), Just("Deny"), Just("Maybe")];
        let principal = prop_oneof![
            Just(json!("*")),
            Just(json!({"AWS": "111122223333"})),
            Just(json!({"AWS": "arn:aws:iam::111122223333:user/ci"})),
            Just(json!({"AWS": ["999999999999"]})),
            Just(json!({"AWS": "AIDA"})),
            Just(Value::Null),
        ];
        let action = prop_oneof![
            Just(json!("ecr:PutImage")),
            Just(json!(["ecr:*"])),
            Just(json!("ecr:Get*")),
            Just(Value::Null),
        ];
        let extra = prop_oneof![3 => Just(None), 1 => Just(Some("Condition")), 1 => Just(Some("NotAction"))];
        (effect, principal, action, extra).prop_map(|(effect, principal, action, extra)| {
            let mut statement = json!({"Effect": effect, "Principal": principal, "Action": action});
            if let Some(extra) = extra {
                statement[extra] = json!({});
            }
            statement
        })
    }

    /// Whether the statement is a plain one that names the caller and the action, read off the
    /// generator's own alphabet.
    fn plainly_covers(statement: &Value) -> bool {
        let principal = statement["Principal"].to_string();
        let action = statement["Action"].to_string();
        (principal == "\"*\"" || principal.contains("111122223333"))
            && (action.contains("PutImage") || action.contains("ecr:*"))
    }

    proptest! {
        #[test]
        fn never_allows_what_no_statement_allows_and_deny_wins(
            statements in prop::collection::vec(statement(), 0..5)
        ) {
            let allowed = allows(&user(), &json!(statements));
            let granting = statements.iter().any(|s| {
                s["Effect"] == "Allow" && plainly_covers(s)
                    && s.get("Condition").is_none() && s.get("NotAction").is_none()
            });
            let denying = statements.iter().any(|s| s["Effect"] == "Deny" && plainly_covers(s));
            prop_assert!(!allowed || granting);
            prop_assert!(!allowed || !denying);
            let silent = statements.iter().all(|s| s["Effect"] == "Allow");
            prop_assert!(!(granting && silent) || allowed);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,80}") {
            prop_assert!(!user().may(ACTION, &repository_of("444455556666"), Some(&text)));
        }
    }
}
