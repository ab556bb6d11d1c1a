//! The principals of a statement: whom a policy can name, and whether it means the caller.
//!
//! Sources: the IAM user guide, "AWS JSON policy elements: Principal" and "IAM identifiers".

use crate::ecr::partition::is_partition;
use crate::json::Json;

/// All of a `Principal` element; `None` stands for what is not understood.
pub(super) fn read(element: &Json) -> Vec<Option<Principal<'_>>> {
    if matches!(element, Json::Text(text) if text == "*") {
        return vec![Some(Principal::Everyone)];
    }
    let Some(kinds) = element.members() else { return vec![None] };
    let principals = kinds.iter().flat_map(|(kind, names)| match (kind.as_str(), names.texts()) {
        ("AWS", Some(names)) => names.into_iter().map(Principal::parse).collect(),
        ("Service", Some(_)) => vec![Some(Principal::Nobody)],
        _ => vec![None],
    });
    principals.collect()
}

/// Whom a statement is about.
pub(super) enum Principal<'a> {
    Everyone,
    /// A service. It does not sign with an account's credentials.
    Nobody,
    Account(&'a str),
    Arn(Arn<'a>),
}

impl<'a> Principal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        match text {
            "*" => Some(Self::Everyone),
            _ if is_account(text) => Some(Self::Account(text)),
            _ => Arn::parse(text)
                .filter(|arn| is_partition(arn.partition) && arn.identity.is_some())
                .map(Self::Arn),
        }
    }

    /// Whether it means the caller of this account, whose own ARN may be unknown.
    pub(super) fn means(&self, account: &str, own: Option<&Arn<'_>>) -> Option<bool> {
        let named = match self {
            Self::Everyone => return Some(true),
            Self::Nobody => return Some(false),
            Self::Account(named) => return Some(*named == account),
            Self::Arn(named) if named.account != account => return Some(false),
            Self::Arn(named) => named,
        };
        match own {
            Some(own) if own.partition != named.partition => Some(false),
            own => named.identity.as_ref()?.means(own.and_then(|own| own.identity.as_ref())),
        }
    }
}

/// An ARN that can name a caller: `arn:PARTITION:iam::ACCOUNT:RESOURCE`, or `sts`.
pub(super) struct Arn<'a> {
    pub(super) partition: &'a str,
    pub(super) account: &'a str,
    /// `None` where the resource is of another form than [`Identity`] knows.
    pub(super) identity: Option<Identity<'a>>,
}

#[derive(PartialEq, Eq)]
pub(super) enum Identity<'a> {
    Root,
    /// With its path.
    User(&'a str),
    /// Without its path: a role's name is unique in its account, and its sessions do not say it.
    Role(&'a str),
    RoleSession {
        role: &'a str,
        session: &'a str,
    },
    FederatedUser(&'a str),
}

impl<'a> Arn<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service @ ("iam" | "sts"), "", account, resource] = parts[..] else {
            return None;
        };
        let names: Vec<&str> = resource.split('/').collect();
        // A policy cannot name principals by a wildcard or a variable.
        let is_name = |name: &&str| !name.is_empty() && !name.contains(['*', '?', '$']);
        let identity = match (service, names.as_slice()) {
            _ if !names.iter().all(is_name) => None,
            ("iam", ["root"]) => Some(Identity::Root),
            ("iam", ["user", _, ..]) => resource.strip_prefix("user/").map(Identity::User),
            ("iam", ["role", .., role]) => Some(Identity::Role(role)),
            ("sts", ["assumed-role", role, session]) => {
                Some(Identity::RoleSession { role, session })
            }
            ("sts", ["federated-user", name]) => Some(Identity::FederatedUser(name)),
            _ => None,
        };
        is_account(account).then_some(Self { partition, account, identity })
    }
}

impl Identity<'_> {
    /// Whether a principal of this identity means a caller of the same account. The account's root
    /// means all of them.
    fn means(&self, caller: Option<&Self>) -> Option<bool> {
        use Identity::{FederatedUser, Role, RoleSession, Root, User};
        match (self, caller) {
            (Root, _) => Some(true),
            (User(named), Some(User(user))) if named == user => Some(true),
            // A user's name is unique in its account, so one of the two paths is wrong.
            (User(named), Some(User(user))) if last(named) == last(user) => None,
            (Role(named), Some(RoleSession { role, .. })) => Some(named == role),
            (RoleSession { .. }, Some(RoleSession { .. }))
            | (FederatedUser(_), Some(FederatedUser(_))) => Some(Some(self) == caller),
            (User(_), Some(User(_) | RoleSession { .. }))
            | (Role(_), Some(User(_)))
            | (RoleSession { .. }, Some(User(_) | FederatedUser(_)))
            | (FederatedUser(_), Some(User(_) | RoleSession { .. })) => Some(false),
            // A federated session does not say whose it is, and any other caller says nothing of a
            // user or role.
            (User(_) | Role(_), Some(FederatedUser(_))) | (_, Some(Root | Role(_)) | None) => None,
        }
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::{Caller, Verdict};
    use crate::ecr::names::RegistryId;
    use serde_json::{Value, json};

    const PARTITIONS: [&str; 8] = [
        "aws",
        "aws-cn",
        "aws-eusc",
        "aws-iso",
        "aws-iso-b",
        "aws-iso-e",
        "aws-iso-f",
        "aws-us-gov",
    ];
    const USER: &str = "arn:aws:iam::111122223333:user/ci";
    const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deploy/run-7";
    const FEDERATED: &str = "arn:aws:sts::111122223333:federated-user/ci";
    const ROOT: &str = "arn:aws:iam::111122223333:root";

    fn caller(arn: Option<&str>) -> Caller {
        Caller {
            account: RegistryId::parse("111122223333".into()).unwrap(),
            arn: arn.map(str::to_owned),
            organization: None,
            source_ip: None,
        }
    }

    /// Whether a principal means a caller, as an Allow and a Deny of it show.
    fn means(principal: &Value, caller: &Caller) -> Option<bool> {
        let verdict = |effect: &str| {
            let mut statements =
                vec![json!({ "Effect": "Allow", "Principal": "*", "Action": "*" })];
            if effect == "Allow" {
                statements.clear();
            }
            statements.push(json!({ "Effect": effect, "Principal": principal, "Action": "*" }));
            caller.verdict("ecr:PutImage", &json!({ "Statement": statements }).to_string())
        };
        match (verdict("Allow"), verdict("Deny")) {
            (Verdict::Allow, Verdict::Deny) => Some(true),
            (Verdict::Silent, Verdict::Allow) => Some(false),
            (Verdict::Silent, Verdict::Deny) => None,
            other => panic!("{principal}: {other:?}"),
        }
    }

    #[test]
    fn principals_match_as_iam_writes_them() {
        let aws = |names: Value| json!({ "AWS": names });
        let (user, session) = (caller(Some(USER)), caller(Some(SESSION)));
        let rows = [
            (&user, json!("*"), Some(true)),
            (&user, aws(json!("*")), Some(true)),
            (&user, aws(json!("111122223333")), Some(true)),
            (&user, aws(json!(["999999999999", ROOT])), Some(true)),
            (&user, aws(json!(USER)), Some(true)),
            (&user, aws(json!("arn:aws:iam::111122223333:user/other")), Some(false)),
            (&user, aws(json!("arn:aws:iam::111122223333:user/c")), Some(false)),
            (&user, aws(json!("arn:aws:iam::111122223333:user/CI")), Some(false)),
            (&user, aws(json!("arn:aws:iam::111122223333:role/ci")), Some(false)),
            (&user, aws(json!(SESSION)), Some(false)),
            (&user, aws(json!(FEDERATED)), Some(false)),
            (&user, aws(json!("999999999999")), Some(false)),
            (&user, aws(json!("arn:aws:iam::999999999999:root")), Some(false)),
            (&user, aws(json!("arn:aws:iam::999999999999:user/ci")), Some(false)),
            (&session, aws(json!("arn:aws:iam::111122223333:role/deploy")), Some(true)),
            (&session, aws(json!("arn:aws:iam::111122223333:role/ci/deploy")), Some(true)),
            (&session, aws(json!("arn:aws:iam::111122223333:role/other")), Some(false)),
            (&session, aws(json!("arn:aws:iam::111122223333:role/dep")), Some(false)),
            (&session, aws(json!("arn:aws:iam::999999999999:role/deploy")), Some(false)),
            (&session, aws(json!(SESSION)), Some(true)),
            (&session, aws(json!(format!("{SESSION}8"))), Some(false)),
            (&session, aws(json!(ROOT)), Some(true)),
            (&session, aws(json!("arn:aws:iam::111122223333:user/deploy")), Some(false)),
            (&session, aws(json!(FEDERATED)), Some(false)),
            // Services do not sign with an account's credentials.
            (&user, json!({"Service": "ecs.amazonaws.com"}), Some(false)),
            (
                &user,
                json!({"Service": ["ecs.amazonaws.com", "a"], "AWS": "999999999999"}),
                Some(false),
            ),
            // Several kinds decide together.
            (&user, json!({"AWS": USER, "Service": "ecs.amazonaws.com"}), Some(true)),
            (&user, json!({"AWS": USER, "Federated": "x"}), Some(true)),
            (&user, json!({"AWS": "999999999999", "Federated": "x"}), None),
            (&user, json!({"CanonicalUser": "x"}), None),
            (&user, json!({"Other": "x"}), None),
            (&user, json!({"Service": 7}), None),
            // Of other forms.
            (&user, json!("111122223333"), None),
            (&user, json!(["*"]), None),
            (&user, json!({}), None),
            (&user, json!(null), None),
            (&user, aws(json!(111_122_223_333_u64)), None),
            (&user, aws(json!([USER, 7])), None),
            (&user, aws(json!([])), None),
            (&user, aws(json!("")), None),
            (&user, aws(json!("AIDACKCEVSQ6C2EXAMPLE")), None),
            (&user, aws(json!(["999999999999", "AIDACKCEVSQ6C2EXAMPLE"])), None),
            (&user, aws(json!([USER, "AIDACKCEVSQ6C2EXAMPLE"])), Some(true)),
            (&user, aws(json!("11112222333")), None),
            (&user, aws(json!("arn:aws:iam::111122223333:*")), None),
            (&user, aws(json!("arn:aws:iam::111122223333:user/*")), None),
            (&user, aws(json!("arn:aws:iam::111122223333:user/c?")), None),
            (&user, aws(json!("arn:aws:iam::999999999999:user/*")), None),
            (&user, aws(json!("arn:aws:iam::*:root")), None),
            (&user, aws(json!("arn:aws:iam::111122223333:user/${aws:username}")), None),
            (&user, aws(json!("arn:aws:iam::111122223333:user/")), None),
            (&user, aws(json!("arn:aws:iam::111122223333:user")), None),
            (&user, aws(json!("arn:aws:iam::111122223333:group/ci")), None),
            (&user, aws(json!("arn:aws:iam::111122223333:root/x")), None),
            (&user, aws(json!("arn:aws:iam:us-west-2:111122223333:root")), None),
            (&user, aws(json!("arn:aws:sts::111122223333:root")), None),
            (&user, aws(json!("arn:aws:s3::111122223333:root")), None),
            (&user, aws(json!("arn:other:iam::111122223333:root")), None),
            (&session, aws(json!("arn:aws:sts::111122223333:assumed-role/deploy")), None),
            (&session, aws(json!("arn:aws:sts::111122223333:assumed-role/deploy/*")), None),
            (&session, aws(json!("arn:aws:sts::111122223333:assumed-role/a/deploy/run-7")), None),
            (&session, aws(json!("arn:aws:iam::111122223333:role/")), None),
        ];
        for (caller, principal, expected) in rows {
            assert_eq!(means(&principal, caller), expected, "{principal}");
        }
    }

    #[test]
    fn a_caller_who_may_be_the_one_named_is_not_certainly_somebody_else() {
        let user = caller(Some(USER));
        let path = caller(Some("arn:aws:iam::111122223333:user/team/ci"));
        let other = caller(Some("arn:aws:iam::999999999999:user/ci"));
        let (federated, root) = (caller(Some(FEDERATED)), caller(Some(ROOT)));
        let role = "arn:aws:iam::111122223333:role/deploy";
        let rows = [
            // A federated session is a user's, and does not say whose.
            (&federated, USER, None),
            (&federated, "arn:aws:iam::111122223333:user/other", None),
            (&federated, role, None),
            (&federated, FEDERATED, Some(true)),
            (&federated, "arn:aws:sts::111122223333:federated-user/other", Some(false)),
            (&federated, SESSION, Some(false)),
            (&federated, ROOT, Some(true)),
            (&federated, "111122223333", Some(true)),
            // Nothing is known of a caller without an ARN but its account.
            (&caller(None), USER, None),
            (&caller(None), role, None),
            (&caller(None), SESSION, None),
            (&caller(None), FEDERATED, None),
            (&caller(None), ROOT, Some(true)),
            (&caller(None), "111122223333", Some(true)),
            (&caller(None), "*", Some(true)),
            (&caller(None), "arn:aws:iam::999999999999:user/ci", Some(false)),
            (&caller(Some("")), USER, None),
            (&caller(Some("arn:aws:sts::111122223333:other/ci")), USER, None),
            (&root, USER, None),
            (&root, ROOT, Some(true)),
            // An ARN of another account than the one that signed says nothing.
            (&other, "arn:aws:iam::999999999999:user/ci", Some(false)),
            (&other, USER, None),
            (&other, ROOT, Some(true)),
            // A user's name is unique in its account, so a wrong path may be a mistake.
            (&path, "arn:aws:iam::111122223333:user/team/ci", Some(true)),
            (&path, USER, None),
            (&user, "arn:aws:iam::111122223333:user/team/ci", None),
            (&path, "arn:aws:iam::111122223333:user/team/other", Some(false)),
        ];
        for (caller, principal, expected) in rows {
            assert_eq!(means(&json!({ "AWS": principal }), caller), expected, "{principal}");
        }
    }

    #[test]
    fn an_arn_of_another_partition_is_somebody_else() {
        for partition in PARTITIONS {
            let arn = |resource: &str| format!("arn:{partition}:{resource}");
            let user = caller(Some(&arn("iam::111122223333:user/ci")));
            let session = caller(Some(&arn("sts::111122223333:assumed-role/deploy/run-7")));
            for caller in [&user, &session, &caller(None)] {
                let root = json!({ "AWS": arn("iam::111122223333:root") });
                assert_eq!(means(&root, caller), Some(true), "{partition}");
                assert_eq!(means(&json!({ "AWS": "111122223333" }), caller), Some(true));
            }
            let role = json!({ "AWS": arn("iam::111122223333:role/deploy") });
            assert_eq!(means(&role, &session), Some(true), "{partition}");
            for other in PARTITIONS.into_iter().filter(|it| *it != partition) {
                for resource in ["root", "user/ci", "role/deploy"] {
                    let other =
                        json!({ "AWS": format!("arn:{other}:iam::111122223333:{resource}") });
                    assert_eq!(means(&other, &user), Some(false), "{partition} {other}");
                    assert_eq!(means(&other, &session), Some(false), "{partition} {other}");
                }
            }
        }
    }
}
