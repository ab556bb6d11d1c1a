//! Which registry a call means, and which callers may write to it.

use aws_sdk_dynamodb::types::AttributeValue;
use ecr_registry::names::RegistryId;
use serde_json::{Value, json};

use crate::harness::*;

const OTHER: &str = "444455556666";
const CODE: &str = "AccessDeniedException";

fn denied(account: &str, repository: &str) -> String {
    format!(
        "User: arn:aws:iam::{account}:user/tester is not authorized to perform: ecr:PutImage on \
         resource: arn:aws:ecr:us-west-2:{ACCOUNT}:repository/{repository} because no \
         resource-based policy allows the ecr:PutImage action"
    )
}

/// A push to [`ACCOUNT`]'s registry by another account.
fn foreign(repository: &str, manifest: &str) -> Value {
    let mut body = request(repository, manifest, Some("v1"));
    body["registryId"] = json!(ACCOUNT);
    event("PutImage", OTHER, &body.to_string())
}

async fn set_policy(service: &Service, policy: &str) {
    service.change_repository("app", "policy", AttributeValue::S(policy.into())).await;
}

/// [`foreign`], with members of the event's identity added or replaced.
fn foreign_as(identity: &Value, manifest: &str) -> Value {
    let mut event = foreign("app", manifest);
    for (name, value) in identity.as_object().unwrap() {
        event["requestContext"]["identity"][name] = value.clone();
    }
    event
}

/// Sets this policy, and asserts which identities' pushes succeed and which are denied.
async fn check(policy: &str, allowed: &[Value], rejected: &[Value]) {
    let service = Service::start().await;
    set_policy(&service, policy).await;
    service.upload_layers_of("app", &image("a")).await;
    for identity in rejected {
        let user = format!("arn:aws:iam::{OTHER}:user/tester");
        let root = format!("arn:aws:iam::{OTHER}:root");
        let arn = match identity.get("userArn") {
            None => user.as_str(),
            Some(arn) => arn.as_str().filter(|arn| !arn.is_empty()).unwrap_or(&root),
        };
        let message = denied(OTHER, "app").replace(&user, arn);
        service.rejects_event(foreign_as(identity, &image("a")), 400, CODE, &message).await;
    }
    for (n, identity) in allowed.iter().enumerate() {
        let image = image(&n.to_string());
        service.upload_layers_of("app", &image).await;
        let response = service.send(foreign_as(identity, &image)).await;
        assert_eq!(response.status, 200, "{identity}: {}", response.text);
    }
}

fn allow_everyone_if(condition: &Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "push", "Effect": "Allow", "Principal": "*", "Action": "ecr:PutImage",
        "Condition": condition,
    }]})
    .to_string()
}

#[tokio::test]
async fn a_policy_lets_an_organization_push() {
    let policy = allow_everyone_if(&json!({
        "StringEquals": { "aws:PrincipalOrgID": "o-a1b2c3d4e5" }
    }));
    let allowed = [json!({ "principalOrgId": "o-a1b2c3d4e5" })];
    let rejected = [
        json!({}),
        json!({ "principalOrgId": null }),
        json!({ "principalOrgId": "" }),
        json!({ "principalOrgId": "o-a1b2c3d4e6" }),
        json!({ "principalOrgId": ["o-a1b2c3d4e5"] }),
    ];
    check(&policy, &allowed, &rejected).await;
}

#[tokio::test]
async fn a_policy_lets_a_network_push() {
    let policy = allow_everyone_if(&json!({
        "IpAddress": { "aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"] },
        "NotIpAddress": { "aws:SourceIp": "203.0.113.9" },
    }));
    let allowed = [
        json!({ "sourceIp": "203.0.113.7" }),
        json!({ "sourceIp": "2001:db8::7" }),
        json!({ "sourceIp": "::ffff:203.0.113.7" }),
    ];
    let rejected = [
        json!({}),
        json!({ "sourceIp": "203.0.113.9" }),
        json!({ "sourceIp": "198.51.100.7" }),
        json!({ "sourceIp": "203.0.113.7, 198.51.100.7" }),
        json!({ "sourceIp": "" }),
    ];
    check(&policy, &allowed, &rejected).await;
}

#[tokio::test]
async fn a_policy_names_roles_by_a_condition() {
    let policy = allow_everyone_if(&json!({
        "ArnLike": { "aws:PrincipalArn": format!("arn:aws:iam::{OTHER}:role/ci/deploy-*") },
        "Bool": { "aws:SecureTransport": "true" },
    }));
    let session = |name: &str| {
        let arn = format!("arn:aws:sts::{OTHER}:assumed-role/{name}/run-7");
        json!({ "userArn": arn })
    };
    let rejected = [json!({}), session("other"), json!({ "userArn": null })];
    check(&policy, &[session("deploy-app")], &rejected).await;
}

#[tokio::test]
async fn a_policy_of_another_partition() {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "ecr:*",
        "Principal": { "AWS": format!("arn:aws-cn:iam::{OTHER}:root") },
    }]});
    let allowed = [
        json!({ "userArn": format!("arn:aws-cn:iam::{OTHER}:user/tester") }),
        json!({ "userArn": format!("arn:aws-cn:sts::{OTHER}:assumed-role/deploy/run-7") }),
    ];
    check(&policy.to_string(), &allowed, &[json!({})]).await;
}

#[tokio::test]
async fn a_deny_spares_only_a_caller_that_it_certainly_does_not_match() {
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": OTHER }, "Action": "ecr:PutImage" },
        {
            "Effect": "Deny", "Action": "ecr:*",
            "Principal": { "AWS": format!("arn:aws:iam::{OTHER}:user/alice") },
        },
    ]});
    let allowed =
        [json!({}), json!({ "userArn": format!("arn:aws:sts::{OTHER}:assumed-role/alice/run-7") })];
    let rejected = [
        json!({ "userArn": format!("arn:aws:iam::{OTHER}:user/alice") }),
        json!({ "userArn": format!("arn:aws:sts::{OTHER}:federated-user/alice") }),
        json!({ "userArn": null }),
        json!({ "userArn": "" }),
    ];
    check(&policy.to_string(), &allowed, &rejected).await;
}

#[tokio::test]
async fn a_deny_with_an_unknown_condition_denies() {
    let deny_if = |condition: &Value| {
        let allow = json!({ "Effect": "Allow", "Principal": "*", "Action": "*" });
        let mut deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage" });
        deny["Condition"] = condition.clone();
        json!({ "Statement": [allow, deny] }).to_string()
    };
    for unknown in [
        json!({ "DateGreaterThan": { "aws:CurrentTime": "2026-01-01T00:00:00Z" } }),
        json!({ "ForAnyValue:StringLike": { "aws:PrincipalOrgPaths": "o-1/*" } }),
        json!({ "StringEquals": { "aws:PrincipalOrgID": "${aws:PrincipalTag/org}" } }),
    ] {
        check(&deny_if(&unknown), &[], &[json!({})]).await;
        check(&allow_everyone_if(&unknown), &[], &[json!({})]).await;
    }
    check(&deny_if(&json!({ "Bool": { "aws:SecureTransport": "false" } })), &[json!({})], &[])
        .await;
}

#[tokio::test]
async fn a_policy_with_a_member_named_twice_denies() {
    let once = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*"}}"#;
    check(once, &[json!({})], &[]).await;
    for (member, twice) in [
        (r#""Effect":"Allow""#, r#""Effect":"Deny","Effect":"Allow""#),
        (r#""Principal":"*""#, r#""Principal":{"AWS":"999999999999","AWS":"*"}"#),
        (r#"{"Statement""#, r#"{"Statement":[],"Statement""#),
    ] {
        check(&once.replace(member, twice), &[], &[json!({})]).await;
    }
}

#[tokio::test]
async fn a_foreign_caller_learns_nothing() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    for repository in ["app", "nowhere"] {
        for manifest in [image("a").as_str(), "not json"] {
            let event = foreign(repository, manifest);
            service.rejects_event(event, 400, CODE, &denied(OTHER, repository)).await;
        }
    }
    // The same in a process that knows the repository, and while the repository is being deleted.
    service.push("app", &image("b"), Some("b")).await;
    service.rejects_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;
    service.change_repository("app", "status", AttributeValue::S("DELETING".into())).await;
    service.rejects_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;
}

#[tokio::test]
async fn a_repository_policy_lets_other_accounts_push() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    let set_policy = async |policy: Value| set_policy(&service, &policy.to_string()).await;
    let allow = |principal: &str, action: &str| {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": principal }, "Action": action }
        ]})
    };
    set_policy(allow("999999999999", "ecr:PutImage")).await;
    service.rejects_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;
    set_policy(allow(OTHER, "ecr:BatchGetImage")).await;
    service.rejects_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;

    set_policy(allow(OTHER, "ecr:PutImage")).await;
    let response = service.send(foreign("app", &image("a"))).await;
    assert_eq!(response.json["image"]["registryId"], ACCOUNT, "{}", response.text);
    assert!(service.tag_item("app", "v1").await.is_some());
    // An allowed caller gets the same errors as the owner.
    let broken = foreign("app", "not json");
    let message = invalid("ImageManifest", "Invalid JSON syntax");
    service.rejects_event(broken, 400, "InvalidParameterException", &message).await;
    // The owner needs no policy, and no policy can deny the owner.
    set_policy(json!({ "Statement": { "Effect": "Deny", "Principal": "*", "Action": "*" } })).await;
    service.rejects_event(foreign("app", &image("b")), 400, CODE, &denied(OTHER, "app")).await;
    assert_eq!(service.push("app", &image("b"), Some("v2")).await.status, 200);
}

#[tokio::test]
async fn the_default_registry_is_the_callers_own() {
    let service = Service::start().await;
    let body = request("app", &image("a"), Some("v1")).to_string();
    let message = not_found("app").replace(ACCOUNT, OTHER);
    let event = event("PutImage", OTHER, &body);
    service.rejects_event(event, 400, "RepositoryNotFoundException", &message).await;
}

#[tokio::test]
async fn a_caller_without_an_account_is_denied_after_the_constraints() {
    let service = Service::start().await;
    let anonymous = |body: Value| {
        let mut event = event("PutImage", ACCOUNT, &body.to_string());
        event["requestContext"]["accountId"] = json!(ACCOUNT);
        event["requestContext"]["identity"] = json!({ "accountId": null, "userArn": null });
        event
    };
    let body = request("app", &image("a"), Some("v1"));
    let before = service.stored().await;
    for registry in ["", ACCOUNT] {
        let mut body = body.clone();
        if !registry.is_empty() {
            body["registryId"] = json!(registry);
        }
        let message = format!(
            "User: anonymous is not authorized to perform: ecr:PutImage on resource: \
             arn:aws:ecr:us-west-2:{registry}:repository/app because no resource-based policy \
             allows the ecr:PutImage action"
        );
        service.send(anonymous(body)).await.is_error(400, CODE, &message);
    }
    assert_eq!(service.stored().await, before);
    let bad = json!({ "repositoryName": "A" });
    assert_eq!(service.send(anonymous(bad)).await.json["__type"], "InvalidParameterException");

    // A local stack may have a default account.
    let local = Service::with(|config| {
        config.default_registry = Some(RegistryId::parse(ACCOUNT.into()).unwrap());
    })
    .await;
    local.create_repository("app", json!({})).await;
    local.upload_layers_of("app", &image("a")).await;
    let response = local.send(anonymous(body)).await;
    assert_eq!(response.json["image"]["registryId"], ACCOUNT, "{}", response.text);
    // A signed request keeps its own account.
    local.rejects_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;
}
