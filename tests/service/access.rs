//! Whose registry, and who may write to it.

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

/// A push by another account to [`ACCOUNT`]'s registry.
fn foreign(repository: &str, manifest: &str) -> Value {
    let mut body = request(repository, manifest, Some("v1"));
    body["registryId"] = json!(ACCOUNT);
    event("PutImage", OTHER, &body.to_string())
}

#[tokio::test]
async fn a_foreign_caller_learns_nothing() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    for repository in ["app", "nowhere"] {
        for manifest in [image("a").as_str(), "not json"] {
            let event = foreign(repository, manifest);
            service.refuses_event(event, 400, CODE, &denied(OTHER, repository)).await;
        }
    }
    // Warm, too, and when the repository is being deleted.
    service.push("app", &image("b"), Some("b")).await;
    service.refuses_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;
    service.change_repository("app", "status", AttributeValue::S("DELETING".into())).await;
    service.refuses_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;
}

#[tokio::test]
async fn a_repositorys_policy_lets_others_push() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    let set_policy = async |policy: Value| {
        service.change_repository("app", "policy", AttributeValue::S(policy.to_string())).await;
    };
    let allow = |principal: &str, action: &str| {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": principal }, "Action": action }
        ]})
    };
    set_policy(allow("999999999999", "ecr:PutImage")).await;
    service.refuses_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;
    set_policy(allow(OTHER, "ecr:BatchGetImage")).await;
    service.refuses_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;

    set_policy(allow(OTHER, "ecr:PutImage")).await;
    let answer = service.send(foreign("app", &image("a"))).await;
    assert_eq!(answer.json["image"]["registryId"], ACCOUNT, "{}", answer.text);
    assert!(service.tag_item("app", "v1").await.is_some());
    // What it may, it is told of like the owner.
    let broken = foreign("app", "not json");
    let message = invalid("ImageManifest", "Invalid JSON syntax");
    service.refuses_event(broken, 400, "InvalidParameterException", &message).await;
    // The owner needs no policy, whatever it says.
    set_policy(json!({ "Statement": { "Effect": "Deny", "Principal": "*", "Action": "*" } })).await;
    service.refuses_event(foreign("app", &image("b")), 400, CODE, &denied(OTHER, "app")).await;
    assert_eq!(service.push("app", &image("b"), Some("v2")).await.status, 200);
}

#[tokio::test]
async fn the_registry_is_the_callers_own_by_default() {
    let service = Service::start().await;
    let body = request("app", &image("a"), Some("v1")).to_string();
    let message = not_found("app").replace(ACCOUNT, OTHER);
    let event = event("PutImage", OTHER, &body);
    service.refuses_event(event, 400, "RepositoryNotFoundException", &message).await;
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
        service.send(anonymous(body)).await.is_refusal(400, CODE, &message);
    }
    assert_eq!(service.stored().await, before);
    let bad = json!({ "repositoryName": "A" });
    assert_eq!(service.send(anonymous(bad)).await.json["__type"], "InvalidParameterException");

    // Locally it may be given one.
    let local = Service::with(|config| {
        config.default_registry = Some(RegistryId::parse(ACCOUNT.into()).unwrap());
    })
    .await;
    local.create_repository("app", json!({})).await;
    local.upload_layers_of("app", &image("a")).await;
    let answer = local.send(anonymous(body)).await;
    assert_eq!(answer.json["image"]["registryId"], ACCOUNT, "{}", answer.text);
    // Who has signed is who signed.
    local.refuses_event(foreign("app", &image("a")), 400, CODE, &denied(OTHER, "app")).await;
}
