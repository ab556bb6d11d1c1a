//! Any text as a repository's policy: it allows only callers that an Allow names, and none that a
//! Deny names.

#![no_main]

use std::sync::LazyLock;

use ecr_registry::names::{RegistryId, RepositoryName, RepositoryRef};
use ecr_registry::policy::Caller;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const ACTION: &str = "ecr:PutImage";
const CALLER: &str = "111122223333";

static REPOSITORY: LazyLock<RepositoryRef> = LazyLock::new(|| RepositoryRef {
    registry: RegistryId::parse("012345678910".into()).unwrap(),
    name: RepositoryName::parse("app".into()).unwrap(),
});

fn may(account: &str, arn: &str, policy: &str) -> bool {
    let account = RegistryId::parse(account.into()).unwrap();
    let caller = Caller { account, arn: Some(arn.into()), organization: None, source_ip: None };
    caller.may(ACTION, &REPOSITORY, Some(policy))
}

fuzz_target!(|policy: &str| {
    let user = "arn:aws:iam::111122223333:user/ci";
    let allowed = may(CALLER, user, policy);
    let role = may(CALLER, "arn:aws:sts::111122223333:assumed-role/ci/session", policy);
    assert!(may("012345678910", user, policy), "a registry's own account needs no policy");
    if !(allowed || role) {
        return;
    }
    let json: Value = serde_json::from_str(policy).expect("an allowing policy is JSON");
    let statements = match &json["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    };
    let allows = |statement: &Value| {
        let known = ["Sid", "Effect", "Principal", "Action"];
        let members = statement.as_object().unwrap();
        statement["Effect"] == "Allow" && members.keys().all(|name| known.contains(&name.as_str()))
    };
    let granting: Vec<&Value> = statements.iter().filter(|statement| allows(statement)).collect();
    let named = |statement: &&&Value| {
        let text = statement["Principal"].to_string();
        text.contains('*') || text.contains(CALLER)
    };
    let action = |statement: &&Value| {
        let text = statement["Action"].to_string().to_ascii_lowercase();
        text.contains('*') || text.contains('?') || text.contains("ecr:putimage")
    };
    assert!(granting.iter().filter(named).any(|statement| action(statement)), "{policy}");
    // With a Deny of everything added, it denies.
    let mut statements = statements;
    statements.push(json!({ "Effect": "Deny", "Principal": "*", "Action": "*" }));
    let mut denied = json;
    denied["Statement"] = Value::Array(statements);
    let denied = denied.to_string();
    assert!(!may(CALLER, user, &denied));
    assert!(!may(CALLER, "arn:aws:sts::111122223333:assumed-role/ci/session", &denied));
});
