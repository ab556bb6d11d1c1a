//! Events of every payload version and source: which request they carry, who the caller is, and the
//! response to an event that carries no request.

use serde_json::{Value, json};

use crate::harness::*;
use crate::log::{listen, logged};

const UNKNOWN: &str = "The requested operation is not recognized by the service";
const NO_REQUEST: &str =
    "The request could not be read: the event that carries it is not an HTTP request";

/// The event with the members at these pointers replaced. Null stands for an absent member.
fn with(mut event: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[member] = value.clone();
    }
    event
}

fn create(name: &str) -> String {
    json!({ "repositoryName": name }).to_string()
}

async fn exists(service: &Service, account: &str, name: &str) -> bool {
    let pk = format!("REPO#{account}#{name}");
    service.items().await.iter().any(|item| s(item, "PK") == pk)
}

#[tokio::test]
async fn payload_2_gets_a_response_of_payload_2() {
    let service = Service::start().await;
    let manifest = image("a");
    service.upload_layers_of("app", &manifest).await;
    let body = request("app", &manifest, Some("v1")).to_string();
    let response = service.invoke(event_2("PutImage", ACCOUNT, &body)).await;
    assert_eq!(response["cookies"], json!([]), "cargo-lambda does not read a response without it");
    assert_eq!(Response::read(&response).digest(), sha256(&manifest));
    assert!(service.tag_item("app", "v1").await.is_some());

    let rejected = service.invoke(event_2("PutImage", ACCOUNT, &body)).await;
    assert_eq!(rejected["cookies"], json!([]));
    let message = already_exists(&sha256(&manifest), Some("v1"));
    Response::read(&rejected).is_error(400, "ImageAlreadyExistsException", &message);

    let first = service.invoke(event("PutImage", ACCOUNT, &body)).await;
    assert_eq!(first.get("cookies"), None, "payload 1.0 has no cookies");
}

#[tokio::test]
async fn payload_2_is_routed_by_its_route_or_else_by_the_path_below_the_stage() {
    let service = Service::with(|_| {}).await;
    let route = |route: Value, path: &str, stage: &str| {
        let name = format!("app-{}", uuid::Uuid::new_v4());
        let event = with(
            event_2("CreateRepository", ACCOUNT, &create(&name)),
            &[
                ("/routeKey", route),
                ("/rawPath", json!(path)),
                ("/requestContext/stage", json!(stage)),
            ],
        );
        (name, event)
    };
    for (key, path, stage) in [
        (json!("$default"), "/", "$default"),
        (Value::Null, "/", "$default"),
        (json!("$default"), "/live", "live"),
        (json!("$default"), "/live/", "live"),
        (json!("POST /"), "/ecr/", "$default"),
        (json!("ANY /"), "/live/ecr", "live"),
    ] {
        let (name, event) = route(key.clone(), path, stage);
        assert_eq!(service.send(event).await.status, 200, "{key} {path}");
        assert!(exists(&service, ACCOUNT, &name).await);
    }
    for (key, path, stage) in [
        (json!("$default"), "/v2/", "$default"),
        (json!("$default"), "/live/", "$default"),
        (json!("$default"), "/lively/", "live"),
        (json!("POST /other"), "/", "$default"),
    ] {
        let (_, event) = route(key, path, stage);
        service.rejects_event(event, 404, "UnknownOperationException", UNKNOWN).await;
    }
    let (_, get) = route(json!("$default"), "/", "$default");
    let get = with(get, &[("/requestContext/http/method", json!("GET"))]);
    service.rejects_event(get, 404, "UnknownOperationException", UNKNOWN).await;
}

#[tokio::test]
async fn requests_are_routed_by_the_resource_and_not_by_the_path() {
    let service = Service::with(|_| {}).await;
    let custom_domain = |path: &str, resource: &str, resource_path: Value| {
        with(
            event("CreateRepository", ACCOUNT, &create("app")),
            &[
                ("/path", json!(path)),
                ("/resource", json!(resource)),
                ("/requestContext/resourcePath", resource_path),
            ],
        )
    };
    for event in [
        custom_domain("/", "/v2/", json!("/{proxy+}")),
        custom_domain("/", "/{proxy+}", Value::Null),
        custom_domain("/", "/", json!("/push/")),
    ] {
        service.rejects_event(event, 404, "UnknownOperationException", UNKNOWN).await;
    }
    let response = service.send(custom_domain("/ecr", "/", json!("/"))).await;
    assert_eq!(response.status, 200, "{}", response.text);
    // An HTTP API with payload 1.0 has a default route, too.
    for event in [
        custom_domain("/ecr/", "/", Value::Null),
        custom_domain("/", "$default", json!("$default")),
    ] {
        let again = service.send(event).await;
        assert_eq!(again.json["__type"], "RepositoryAlreadyExistsException", "it was served");
    }
}

#[tokio::test]
async fn a_load_balancers_event_has_only_a_path_and_no_signer() {
    let event = |path: &str| {
        json!({
            "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:…" } },
            "httpMethod": "POST",
            "path": path,
            "queryStringParameters": {},
            "headers": {
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.CreateRepository",
            },
            "body": create("app"),
            "isBase64Encoded": false,
        })
    };
    let service = Service::with(|_| {}).await;
    let message = "User: anonymous is not authorized to perform: ecr:CreateRepository on resource: \
        arn:aws:ecr:us-west-2::repository/app because no resource-based policy allows the \
        ecr:CreateRepository action";
    service.rejects_event(event("/"), 400, "AccessDeniedException", message).await;
    service.rejects_event(event("/x"), 404, "UnknownOperationException", UNKNOWN).await;

    let account = ecr_registry::names::RegistryId::parse(ACCOUNT.to_owned()).unwrap();
    let with_default = Service::with(|config| config.default_registry = Some(account)).await;
    assert_eq!(with_default.send(event("/")).await.status, 200);
    assert!(exists(&with_default, ACCOUNT, "app").await);
}

#[tokio::test]
async fn an_action_outside_its_resource_is_denied_before_the_body_is_read() {
    let service = Service::start().await;
    let manifest = image("a");
    service.upload_layers_of("app", &manifest).await;
    let put = request("app", &manifest, Some("v1")).to_string();
    let at = |action: &str, body: &str, resource: &str| {
        let resource = json!(resource);
        let first = with(
            event(action, ACCOUNT, body),
            &[("/resource", resource.clone()), ("/requestContext/resourcePath", resource.clone())],
        );
        let second = with(event_2(action, ACCOUNT, body), &[("/rawPath", resource)]);
        [first, second]
    };
    for (action, resource) in
        [("PutImage", "/pull"), ("CreateRepository", "/pull"), ("CreateRepository", "/push")]
    {
        for event in at(action, "{", resource) {
            let message = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/tester is not authorized to perform: \
                 ecr:{action} on resource: * because no identity-based policy allows the \
                 ecr:{action} action"
            );
            service.rejects_event(event, 400, "AccessDeniedException", &message).await;
        }
    }
    let [first, second] = at("PutImage", &put, "/push");
    assert_eq!(service.send(first).await.digest(), sha256(&manifest));
    let again = service.send(second).await;
    assert_eq!(again.json["__type"], "ImageAlreadyExistsException", "it was served");
    // The SDKs for JavaScript and Rust append a slash to the path of an endpoint.
    let [_, second] = at("PutImage", &put, "/push/");
    let again = service.send(second).await;
    assert_eq!(again.json["__type"], "ImageAlreadyExistsException", "it was served");
}

#[tokio::test]
async fn the_caller_is_the_signer() {
    let service = Service::with(|_| {}).await;
    let other = "111122223333";
    // The API's owner is not the caller.
    let first = with(
        event("CreateRepository", other, &create("first")),
        &[("/requestContext/accountId", json!(ACCOUNT))],
    );
    assert_eq!(service.send(first).await.json["repository"]["registryId"], other);
    let second = event_2("CreateRepository", other, &create("second"));
    assert_eq!(service.send(second).await.json["repository"]["registryId"], other);

    // Members of the other payload version are ignored.
    let identity = json!({ "accountId": ACCOUNT, "userArn": "arn:aws:iam::012345678910:root" });
    let mixed = with(
        event_2("CreateRepository", other, &create("third")),
        &[("/requestContext/identity", identity), ("/requestContext/authorizer", Value::Null)],
    );
    let response = service.send(mixed).await;
    assert_eq!(response.json["__type"], "AccessDeniedException");
    assert!(response.json["message"].as_str().unwrap().starts_with("User: anonymous is not"));
    assert!(!exists(&service, ACCOUNT, "third").await);
}

#[tokio::test]
async fn a_malformed_account_is_anonymous_and_never_the_default_one() {
    let default = ecr_registry::names::RegistryId::parse(ACCOUNT.to_owned()).unwrap();
    let service = Service::with(|config| config.default_registry = Some(default)).await;
    for event in [event as fn(&str, &str, &str) -> Value, event_2]
        .map(|of| of("CreateRepository", "1111-2222-3333", &create("app")))
    {
        let response = service.send(event).await;
        assert_eq!(response.json["__type"], "AccessDeniedException", "{}", response.text);
    }
    assert!(!exists(&service, ACCOUNT, "app").await);
}

#[tokio::test]
async fn an_event_without_a_request_gets_an_error_and_the_log_names_what_is_missing() {
    let service = Service::start().await;
    let first = event("PutImage", ACCOUNT, "secret");
    let second = event_2("PutImage", ACCOUNT, "secret");
    let no_path = [
        ("/resource", Value::Null),
        ("/path", Value::Null),
        ("/requestContext/resourcePath", Value::Null),
    ];
    for (event, missing) in [
        (with(first.clone(), &[("/httpMethod", Value::Null)]), "httpMethod"),
        (with(first.clone(), &no_path), "requestContext.resourcePath"),
        (json!({ "httpMethod": 7, "body": "secret" }), "httpMethod"),
        (
            with(second.clone(), &[("/requestContext/http", Value::Null)]),
            "requestContext.http.method",
        ),
        (with(second, &[("/rawPath", Value::Null)]), "rawPath"),
        (json!({ "version": "2.0", "body": "secret" }), "requestContext.http.method"),
        (json!({}), "httpMethod"),
        (json!(null), "httpMethod"),
        (json!("secret"), "httpMethod"),
        (json!([["secret"]]), "httpMethod"),
        (with(first, &[("/headers", json!("secret"))]), "httpMethod"),
    ] {
        listen();
        let response = service.read_as_the_runtime_does(&event.to_string()).await;
        let response = Response::read(&response);
        response.is_error(400, "SerializationException", NO_REQUEST);
        let (text, _) = logged();
        assert!(text.contains(&response.headers["x-amzn-requestid"]), "{text}");
        assert!(text.contains(&format!("{missing} is missing")), "{missing}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn members_that_are_not_read_may_have_any_value() {
    let service = Service::with(|_| {}).await;
    let mut events = [event, event_2].map(|of| of("CreateRepository", ACCOUNT, &create("app")));
    for event in &mut events {
        let event = event.as_object_mut().unwrap();
        event["requestContext"].as_object_mut().unwrap().remove("httpMethod");
        event["headers"]["Strange"] = json!({ "no": ["header", 1e300] });
        event["headers"]["Authorization"] = json!("not\u{1}a header");
        for member in ["queryStringParameters", "multiValueQueryStringParameters", "cookies"] {
            event.insert(member.to_owned(), json!([{ "odd": 1.5 }]));
        }
        event.insert("multiValueHeaders".to_owned(), Value::Null);
    }
    let [first, second] = events;
    assert_eq!(service.send(first).await.status, 200);
    let again = service.send(second).await;
    assert_eq!(again.json["__type"], "RepositoryAlreadyExistsException", "it was served");
}
