//! Any text as a repository's policy: it allows nobody whom no Allow names, and nobody whom it
//! denies. What an allowing policy says does not change where something is added that cannot
//! change it.

#![no_main]

use std::sync::LazyLock;

use ecr_registry::names::{RegistryId, RepositoryName, RepositoryRef};
use ecr_registry::policy::{Caller, Verdict, is_understood};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const ACTION: &str = "ecr:PutImage";
const OWNER: &str = "012345678910";
const CALLER: &str = "111122223333";

static REPOSITORY: LazyLock<RepositoryRef> = LazyLock::new(|| RepositoryRef {
    registry: RegistryId::parse(OWNER.into()).unwrap(),
    name: RepositoryName::parse("app".into()).unwrap(),
});

fn caller(account: &str, arn: Option<&str>) -> Caller {
    Caller {
        account: RegistryId::parse(account.into()).unwrap(),
        arn: arn.map(str::to_owned),
        organization: Some("o-a1b2c3d4e5".into()),
        source_ip: Some("192.0.2.1".parse().unwrap()),
    }
}

/// A user, a role session, a federated session, and one of whom the account alone is known.
static CALLERS: LazyLock<[Caller; 4]> = LazyLock::new(|| {
    [
        caller(CALLER, Some("arn:aws:iam::111122223333:user/ci")),
        caller(CALLER, Some("arn:aws:sts::111122223333:assumed-role/ci/session")),
        caller(CALLER, Some("arn:aws:sts::111122223333:federated-user/ci")),
        caller(CALLER, None),
    ]
});

fuzz_target!(|policy: &str| {
    assert!(
        caller(OWNER, None).may(ACTION, &REPOSITORY, Some(policy)),
        "the owner needs no policy"
    );
    let understood = is_understood(policy);
    let allowed = |policy: &str| {
        CALLERS.each_ref().map(|caller| caller.may(ACTION, &REPOSITORY, Some(policy)))
    };
    let before = allowed(policy);
    if !before.contains(&true) {
        return;
    }
    let json: Value = serde_json::from_str(policy).expect("an allowing policy is JSON");
    let again = json.to_string();
    assert_eq!(allowed(&again), before, "no member was dropped");
    assert_eq!(is_understood(&again), understood);

    let statements = match &json["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    };
    let allows: Vec<Value> =
        statements.iter().filter(|statement| statement["Effect"] == "Allow").cloned().collect();
    let grants = |statement: &Value| {
        let known = ["Sid", "Effect", "Principal", "Action", "Condition"];
        let mut names = statement.as_object().unwrap().keys();
        let principal = statement["Principal"].to_string();
        let action = statement["Action"].to_string().to_ascii_lowercase();
        names.all(|name| known.contains(&name.as_str()))
            && (principal.contains('*') || principal.contains(CALLER))
            && (action.contains(['*', '?']) || action.contains("ecr:putimage"))
    };
    assert!(allows.iter().any(grants), "{policy}");

    // Without an ARN, nothing tells the caller's partition.
    if before[3] && !again.contains("arn:aws-") {
        assert_eq!(before, [true; 4], "allowed without an ARN, allowed with any: {policy}");
    }

    let of = |statements: &[Value]| json!({ "Statement": statements }).to_string();
    let with = |condition: Value| {
        let deny = json!({
            "Effect": "Deny", "Principal": "*", "Action": "*", "Condition": condition,
        });
        of(&[statements.as_slice(), &[deny]].concat())
    };
    assert_eq!(allowed(&with(json!({ "Null": { "aws:principalaccount": true } }))), before);
    for denies in [
        json!({ "Null": { "aws:PrincipalAccount": "false" } }),
        json!({ "IpAddress": { "aws:SourceIp": "192.0.2.0/30" } }),
        json!({ "stringEquals": { "aws:PrincipalOrgID": "x" } }),
        json!({ "StringEquals": { "aws:PrincipalOrgID": "${x}" } }),
    ] {
        assert_eq!(allowed(&with(denies)), [false; 4]);
    }

    // Fewer Denies and fewer conditions of Allows allow more.
    let mut wider = allows;
    assert_wider(before, allowed(&of(&wider)), policy);
    for statement in &mut wider {
        statement.as_object_mut().unwrap().remove("Condition");
    }
    assert_wider(before, allowed(&of(&wider)), policy);

    let (_, members) = again.split_once('{').unwrap();
    let twice = format!("{{\"Statement\":[],{members}");
    for caller in CALLERS.iter() {
        assert_eq!(caller.verdict(ACTION, &twice), Verdict::Deny, "{twice}");
    }
});

fn assert_wider(before: [bool; 4], after: [bool; 4], policy: &str) {
    let lost = before.into_iter().zip(after).any(|(before, after)| before && !after);
    assert!(!lost, "{before:?} {after:?} {policy}");
}
