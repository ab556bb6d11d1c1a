//! CreateRepository.

use std::time::Duration;

use aws_sdk_kms::error::ProvideErrorMetadata as _;
use aws_sdk_kms::types::{DataKeySpec, KeySpec, KeyUsageType, OriginType};
use local_aws::Fault;
use serde_json::{Value, json};

use crate::harness::*;

const CODE: &str = "InvalidParameterException";
const FILTERS: &str = "imageTagMutabilityExclusionFilters";

fn already_created(name: &str) -> String {
    format!("The repository with name '{name}' already exists in the registry with id '{ACCOUNT}'")
}

async fn rejects(service: &Service, body: Value, code: &str, message: &str) {
    let event = event("CreateRepository", ACCOUNT, &body.to_string());
    service.rejects_event(event, 400, code, message).await;
}

#[tokio::test]
async fn a_repository_is_created_with_ecrs_defaults() {
    let service = Service::with(|_| {}).await;
    let now = || since_1970().as_secs_f64();
    let before = now();
    let response = service.call("CreateRepository", &json!({ "repositoryName": "team/app" })).await;
    assert_eq!(response.status, 200);
    response.has_the_common_headers();
    let created = response.json["repository"]["createdAt"].as_f64().unwrap();
    assert!(created >= before - 0.001 && created <= now());
    assert_eq!(
        response.json,
        json!({ "repository": {
            "repositoryArn": format!("arn:aws:ecr:us-west-2:{ACCOUNT}:repository/team/app"),
            "registryId": ACCOUNT,
            "repositoryName": "team/app",
            "repositoryUri": format!("{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/team/app"),
            "createdAt": created,
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": { "scanOnPush": false },
            "encryptionConfiguration": { "encryptionType": "AES256" },
        }})
    );
    let item = service.repository_item("team/app").await;
    assert_eq!(s(&item, "status"), "ACTIVE");
    assert_eq!((n(&item, "imageCount"), n(&item, "delEpoch")), (0, 0));
    assert_ne!(s(&item, "repoId"), s(&item, "rev"));
}

#[tokio::test]
async fn requested_settings_are_stored_and_returned() {
    let service = Service::with(|_| {}).await;
    let key = service.kms.create_key().send().await.unwrap().key_metadata.unwrap();
    let alias = service.kms.create_alias().alias_name("alias/images");
    alias.target_key_id(&key.key_id).send().await.unwrap();
    let filters = json!([{ "filterType": "WILDCARD", "filter": "dev*" }]);
    let repository = service
        .create_repository(
            "app",
            json!({
                "registryId": ACCOUNT,
                "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                FILTERS: filters,
                "encryptionConfiguration": { "encryptionType": "KMS_DSSE", "kmsKey": "alias/images" },
                "imageScanningConfiguration": { "scanOnPush": true },
                "tags": [{ "Key": "team", "Value": "web" }],
                "unknown": 7,
            }),
        )
        .await;
    assert_eq!(repository["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(repository[FILTERS], filters);
    assert_eq!(
        repository["encryptionConfiguration"],
        json!({ "encryptionType": "KMS_DSSE", "kmsKey": key.arn })
    );
    assert_eq!(repository["imageScanningConfiguration"], json!({ "scanOnPush": true }));
    let item = service.repository_item("app").await;
    assert_eq!(item["tags"].as_m().unwrap()["team"].as_s().unwrap(), "web");
    assert_eq!(item["scanOnPush"].as_bool(), Ok(&true));
    assert_eq!(
        (s(&item, "registryId").as_str(), s(&item, "repositoryName").as_str()),
        (ACCOUNT, "app")
    );
    let created_at = Duration::from_millis(n(&item, "createdAt") as u64).as_secs_f64();
    assert_eq!(repository["createdAt"].as_f64(), Some(created_at));
    assert_eq!(Some(s(&item, "kmsKey")), key.arn);
}

#[tokio::test]
async fn the_default_key_is_used_if_the_request_names_no_key() {
    let encrypted =
        json!({ "repositoryName": "app", "encryptionConfiguration": { "encryptionType": "KMS" } });
    let service = Service::with(|config| config.default_kms_key = None).await;
    let none = invalid("encryptionConfiguration", "kmsKey can't be null: there is no default key");
    rejects(&service, encrypted.clone(), CODE, &none).await;

    let service =
        Service::with(|config| config.default_kms_key = Some("alias/default".into())).await;
    let response = service.call("CreateRepository", &encrypted).await;
    assert_eq!(response.json["kmsError"], "NotFoundException", "no such alias yet");
    let key = service.kms.create_key().send().await.unwrap().key_metadata.unwrap();
    let alias = service.kms.create_alias().alias_name("alias/default");
    alias.target_key_id(&key.key_id).send().await.unwrap();
    let response = service.call("CreateRepository", &encrypted).await;
    assert_eq!(response.json["repository"]["encryptionConfiguration"]["kmsKey"], json!(key.arn));

    // A key in the request takes precedence.
    let own = service.kms.create_key().send().await.unwrap().key_metadata.unwrap();
    let encryption = json!({ "encryptionType": "KMS", "kmsKey": own.key_id });
    let settings = json!({ "encryptionConfiguration": encryption });
    let created = service.create_repository("own", settings).await;
    assert_eq!(created["encryptionConfiguration"]["kmsKey"], json!(own.arn));
    assert_eq!(Some(s(&service.repository_item("own").await, "kmsKey")), own.arn);
}

#[tokio::test]
async fn a_name_is_created_once() {
    let service = Service::start().await;
    let code = "RepositoryAlreadyExistsException";
    let message = already_created("app");
    rejects(&service, json!({ "repositoryName": "app" }), code, &message).await;
    // Names are separate per account.
    let other = event("CreateRepository", "444455556666", r#"{"repositoryName":"app"}"#);
    assert_eq!(service.send(other).await.json["repository"]["registryId"], "444455556666");
}

#[tokio::test]
async fn every_constraint_has_its_message() {
    let service = Service::with(|_| {}).await;
    let filter = |filter: &str| json!([{ "filterType": "WILDCARD", "filter": filter }]);
    let many = |n: usize| json!(vec![json!({ "filterType": "WILDCARD", "filter": "a" }); n]);
    let pattern =
        "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$' and have at most 2 wildcards";
    let with_filters =
        |mode: &str, filters: Value| json!({ "imageTagMutability": mode, FILTERS: filters });
    let encryption = |kind: &str, key: Value| json!({ "encryptionConfiguration": { "encryptionType": kind, "kmsKey": key } });
    let mode_unset = |word: &str, mode: &str| {
        format!(
            "ImageTagMutabilityExclusionFilters can't be {word} when imageTagMutability is set as {mode}"
        )
    };
    let rows = [
        (json!({ "repositoryName": "A" }), "repositoryName", "must have length greater than or equal to 2".to_owned()),
        (json!({ "registryId": "1" }), "registryId", "must satisfy regular expression [0-9]{12}".into()),
        (
            json!({ "imageTagMutability": "mutable" }),
            "imageTagMutability",
            "Member must satisfy enum value set: [IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]".into(),
        ),
        (
            json!({ "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION" }),
            FILTERS,
            mode_unset("null", "IMMUTABLE_WITH_EXCLUSION"),
        ),
        (
            json!({ "imageTagMutability": "MUTABLE_WITH_EXCLUSION", FILTERS: null }),
            FILTERS,
            mode_unset("null", "MUTABLE_WITH_EXCLUSION"),
        ),
        (json!({ FILTERS: filter("a") }), FILTERS, mode_unset("set", "MUTABLE")),
        (with_filters("IMMUTABLE", filter("a")), FILTERS, mode_unset("set", "IMMUTABLE")),
        (with_filters("MUTABLE_WITH_EXCLUSION", json!([])), FILTERS, "must have length greater than or equal to 1".into()),
        (with_filters("MUTABLE_WITH_EXCLUSION", many(6)), FILTERS, "must have length less than or equal to 5".into()),
        (with_filters("MUTABLE_WITH_EXCLUSION", filter("***")), FILTERS, pattern.into()),
        (with_filters("MUTABLE_WITH_EXCLUSION", filter("a/b")), FILTERS, pattern.into()),
        (with_filters("MUTABLE_WITH_EXCLUSION", json!([{ "filterType": "WILDCARD" }])), FILTERS, "must not be null".into()),
        (
            with_filters("MUTABLE_WITH_EXCLUSION", json!([{ "filterType": "REGEX", "filter": "a" }])),
            FILTERS,
            "Member must satisfy enum value set: [WILDCARD]".into(),
        ),
        (
            encryption("RSA", Value::Null),
            "encryptionConfiguration",
            "Member must satisfy enum value set: [AES256, KMS, KMS_DSSE]".into(),
        ),
        (
            encryption("AES256", json!("alias/a")),
            "encryptionConfiguration",
            "kmsKey can't be set when encryptionType is set as AES256".into(),
        ),
        (
            encryption("KMS", json!("")),
            "encryptionConfiguration",
            "kmsKey must have length greater than or equal to 1".into(),
        ),
        (json!({ "tags": [{ "Key": "a" }] }), "tags", "must not be null".into()),
        (
            encryption("KMS", json!("k".repeat(2049))),
            "encryptionConfiguration",
            "kmsKey must have length less than or equal to 2048".into(),
        ),
    ];
    for (members, parameter, constraint) in rows {
        let mut body = json!({ "repositoryName": "new" });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        if parameter == "repositoryName" {
            body["repositoryName"] = json!("A");
        }
        rejects(&service, body, CODE, &invalid(parameter, &constraint)).await;
    }
    rejects(&service, json!({}), CODE, &invalid("repositoryName", "must not be null")).await;
    let wrong = "The request body could not be read: a member is named twice or has another type";
    for body in [
        json!({ "repositoryName": "new", "tags": {} }),
        json!({ "repositoryName": "new", FILTERS: [["WILDCARD", "a"]] }),
        json!({ "repositoryName": "new", "imageScanningConfiguration": { "scanOnPush": "yes" } }),
        json!({ "repositoryName": "new", "encryptionConfiguration": ["KMS"] }),
    ] {
        rejects(&service, body, "SerializationException", wrong).await;
    }
}

#[tokio::test]
async fn tags_are_rejected_with_the_models_own_exceptions() {
    let service = Service::with(|_| {}).await;
    let body = |tags: Value| json!({ "repositoryName": "new", "tags": tags });
    let message = "The list of tags on the repository is over the limit. The maximum number of tags \
        that can be applied to a repository is 50.";
    rejects(&service, body(tags(51)), "TooManyTagsException", message).await;

    let tag = |key: &str, value: &str| json!([{ "Key": key, "Value": value }]);
    let twice = json!(vec![json!({ "Key": "a", "Value": "b" }); 2]);
    for (tags, why) in [
        (tag("", "b"), "A tag key is empty."),
        (tag(&"a".repeat(129), "b"), "A tag key is too long."),
        (tag("a", &"b".repeat(257)), "A tag value is too long."),
        (tag("aws:x", "b"), "Tag keys that begin with aws: are reserved."),
        (tag("AWS:x", "b"), "Tag keys that begin with aws: are reserved."),
        (
            tag("a#", "b"),
            "Tags can have letters, digits, spaces and the characters _.:/=+-@ alone.",
        ),
        (
            tag("a", "b\n"),
            "Tags can have letters, digits, spaces and the characters _.:/=+-@ alone.",
        ),
        (twice, "A tag key is given more than once."),
    ] {
        let message = format!(
            "An invalid parameter has been specified. Tag keys can have a maximum character length \
             of 128 characters, and tag values can have a maximum length of 256 characters. {why}"
        );
        rejects(&service, body(tags), "InvalidTagParameterException", &message).await;
    }
    let unicode = json!({ "tags": tag("Kostenstelle Süd", "日本 _.:/=+-@") });
    service.create_repository("app", unicode).await;
    let item = service.repository_item("app").await;
    assert_eq!(item["tags"].as_m().unwrap()["Kostenstelle Süd"].as_s().unwrap(), "日本 _.:/=+-@");
}

/// `count` different tags of maximal length.
fn tags(count: usize) -> Value {
    let value = |n: usize| if n == 0 { String::new() } else { "v".repeat(256) };
    (0..count).map(|n| json!({ "Key": format!("{n:0>128}"), "Value": value(n) })).collect()
}

#[tokio::test]
async fn values_at_their_bounds_are_accepted() {
    let service = Service::with(|_| {}).await;
    let filters = vec![json!({ "filterType": "WILDCARD", "filter": "a" }); 5];
    let settings = json!({
        "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
        FILTERS: filters,
        "tags": tags(50),
    });
    service.create_repository("app", settings).await;
    let item = service.repository_item("app").await;
    assert_eq!(item["tags"].as_m().unwrap().len(), 50);
    assert_eq!(item["filters"].as_l().unwrap().len(), 5);
    // KMS looks up a key of the maximal length.
    let encryption = json!({ "encryptionType": "KMS", "kmsKey": "k".repeat(2048) });
    let body = json!({ "repositoryName": "long", "encryptionConfiguration": encryption });
    let response = service.call("CreateRepository", &body).await;
    assert_eq!(response.json["kmsError"], "NotFoundException", "{}", response.text);
}

#[tokio::test]
async fn repositories_are_created_only_in_the_callers_own_registry() {
    let service = Service::with(|_| {}).await;
    let body = json!({ "repositoryName": "app", "registryId": "444455556666" });
    let message = format!(
        "User: arn:aws:iam::{ACCOUNT}:user/tester is not authorized to perform: \
         ecr:CreateRepository on resource: arn:aws:ecr:us-west-2:444455556666:repository/app \
         because no resource-based policy allows the ecr:CreateRepository action"
    );
    rejects(&service, body, "AccessDeniedException", &message).await;
}

#[tokio::test]
async fn a_key_that_kms_rejects_creates_nothing() {
    let service = Service::with(|_| {}).await;
    let body = |key: &str| json!({ "repositoryName": "app", "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": key } });
    let before = service.stored().await;
    let response = service.call("CreateRepository", &body("alias/none")).await;
    assert_eq!(
        response.json,
        json!({
            "__type": "KmsException",
            "kmsError": "NotFoundException",
            "message": format!("KMS answered NotFoundException for the encryption key of the \
                repository with name 'app' in the registry with id '{ACCOUNT}'"),
        })
    );
    service.faults.always("DescribeKey", Fault::DropBefore);
    service.call("CreateRepository", &body("alias/none")).await.is_server_exception();
    assert_eq!(service.faults.count("DescribeKey"), 1 + 3);
    assert_eq!(service.stored().await, before);
}

/// A new key of this specification and usage.
async fn key(service: &Service, spec: KeySpec, usage: KeyUsageType) -> String {
    let create = service.kms.create_key().key_spec(spec).key_usage(usage);
    create.send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}

#[tokio::test]
async fn a_key_that_could_not_encrypt_manifests_creates_nothing() {
    let service = Service::with(|_| {}).await;
    let kms = &service.kms;
    let symmetric = || key(&service, KeySpec::SymmetricDefault, KeyUsageType::EncryptDecrypt);
    let disabled = symmetric().await;
    kms.disable_key().key_id(&disabled).send().await.unwrap();
    let to_be_deleted = symmetric().await;
    kms.schedule_key_deletion().key_id(&to_be_deleted).send().await.unwrap();
    let external = kms.create_key().origin(OriginType::External).send().await.unwrap();
    let without_material = external.key_metadata.unwrap().arn.unwrap();
    let other = |spec, usage| key(&service, spec, usage);
    for (key, code) in [
        (disabled, "DisabledException"),
        (to_be_deleted, "KMSInvalidStateException"),
        (without_material, "KMSInvalidStateException"),
        (other(KeySpec::Rsa2048, KeyUsageType::EncryptDecrypt).await, "InvalidKeyUsageException"),
        (other(KeySpec::Rsa2048, KeyUsageType::SignVerify).await, "InvalidKeyUsageException"),
        (other(KeySpec::EccNistP256, KeyUsageType::SignVerify).await, "InvalidKeyUsageException"),
        (other(KeySpec::EccNistP256, KeyUsageType::KeyAgreement).await, "InvalidKeyUsageException"),
        (
            other(KeySpec::Hmac256, KeyUsageType::GenerateVerifyMac).await,
            "InvalidKeyUsageException",
        ),
    ] {
        for kind in ["KMS", "KMS_DSSE"] {
            let encryption = json!({ "encryptionType": kind, "kmsKey": key });
            let body = json!({ "repositoryName": "app", "encryptionConfiguration": encryption });
            let before = service.stored().await;
            let response = service.call("CreateRepository", &body).await;
            assert_eq!(response.json["__type"], "KmsException", "{key}");
            assert_eq!(response.json["kmsError"], code, "{key}");
            assert_eq!(service.stored().await, before);
            // KMS itself returns the same code when such a key is used.
            let data_key = kms.generate_data_key().key_id(&key).key_spec(DataKeySpec::Aes256);
            let error = data_key.send().await.unwrap_err();
            assert_eq!(error.code(), Some(code), "{key}");
        }
    }
}

#[tokio::test]
async fn of_several_errors_the_first_in_order_is_returned() {
    let service = Service::start().await;
    let mut body = json!({
        "repositoryName": "A",
        "registryId": "444455556666",
        "imageTagMutability": "SOMETIMES",
        "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": "alias/none" },
        "tags": [{ "Key": "a" }],
    });
    // Members in the order of the table, then the registry, the key, the name that is taken.
    for (mended, to, expected) in [
        ("repositoryName", json!("app"), "Invalid parameter at 'repositoryName'"),
        ("imageTagMutability", json!("MUTABLE"), "Invalid parameter at 'imageTagMutability'"),
        ("tags", json!([]), "Invalid parameter at 'tags'"),
        ("registryId", json!(ACCOUNT), "is not authorized to perform: ecr:CreateRepository"),
    ] {
        let before = service.stored().await;
        let response = service.call("CreateRepository", &body).await;
        assert_eq!(response.status, 400);
        assert!(response.text.contains(expected), "{expected}: {}", response.text);
        assert_eq!(service.stored().await, before);
        body[mended] = to;
    }
    assert_eq!(service.faults.count("DescribeKey"), 0);
    let response = service.call("CreateRepository", &body).await;
    assert_eq!(response.json["kmsError"], "NotFoundException");
    body["encryptionConfiguration"] = json!({ "encryptionType": "AES256" });
    rejects(&service, body, "RepositoryAlreadyExistsException", &already_created("app")).await;
}

#[tokio::test]
async fn a_creation_whose_response_is_lost_is_recognised() {
    let service = Service::with(|_| {}).await;
    service.faults.script("TransactWriteItems", [Some(Fault::DropAfter), Some(Fault::DropBefore)]);
    let response = service.call("CreateRepository", &json!({ "repositoryName": "app" })).await;
    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(service.faults.count("TransactWriteItems"), 3);
    assert_eq!(service.stored().await.items.len(), 1);

    service.faults.always("TransactWriteItems", Fault::DropBefore);
    let event = event("CreateRepository", ACCOUNT, r#"{"repositoryName":"other"}"#);
    let (response, took) = service.send_until_cut_off(event, CUT_OFF, async {}).await;
    response.is_server_exception();
    assert!(took + MARGIN <= CUT_OFF, "{took:?}");
    assert_eq!(service.stored().await.items.len(), 1);
}

/// A call whose first request is lost, and whose second request is sent after `meanwhile`.
async fn creation_with(service: &Service, first: Fault, meanwhile: impl Future) -> Response {
    service.faults.script("TransactWriteItems", [Some(first), Some(Fault::Hold)]);
    let meanwhile = async {
        service.faults.held().await;
        meanwhile.await;
        service.faults.release();
    };
    let body = json!({ "repositoryName": "app" });
    let (response, ()) = tokio::join!(service.call("CreateRepository", &body), meanwhile);
    response
}

#[tokio::test]
async fn a_repository_deleted_meanwhile_does_not_come_back() {
    let service = Service::with(|_| {}).await;
    let table = &service.stack.options().table;
    let delete = async {
        let delete = service.dynamodb.delete_item().table_name(table);
        delete.set_key(Some(repository_key("app"))).send().await.unwrap();
    };
    let response = creation_with(&service, Fault::DropAfter, delete).await;
    assert_eq!(response.status, 200, "it was created: {}", response.text);
    assert!(service.stored().await.items.is_empty());
}

#[tokio::test]
async fn a_name_that_is_taken_after_an_unknown_outcome_is_not_rejected() {
    let service = Service::with(|_| {}).await;
    let table = &service.stack.options().table;
    let others = async {
        let put = service.dynamodb.put_item().table_name(table);
        put.set_item(Some(repository_key("app"))).send().await.unwrap();
    };
    // The first request may still arrive after the other repository was deleted.
    creation_with(&service, Fault::HeldCopy, others).await.is_server_exception();
    service.faults.settle().await;
    assert_eq!(service.repository_item("app").await, repository_key("app"));
}

#[tokio::test]
async fn a_name_that_is_being_pushed_to_is_taken() {
    let service = Service::start().await;
    service.upload_layers_of("app", &image("a")).await;
    service.faults.conflicts(Duration::ZERO..Duration::ZERO);
    service.faults.reset_calls();
    service.faults.script("TransactWriteItems", [Some(Fault::HoldResponse)]);
    let push = service.put(request("app", &image("a"), Some("v1")));
    let create = async {
        service.faults.held().await;
        service.call("CreateRepository", &json!({ "repositoryName": "app" })).await
    };
    let conflict = async {
        service.sent("TransactWriteItems", 2).await;
        service.faults.release();
    };
    let (pushed, created, ()) = tokio::join!(push, create, conflict);
    assert_eq!(pushed.status, 200, "{}", pushed.text);
    created.is_error(400, "RepositoryAlreadyExistsException", &already_created("app"));
    assert!(service.faults.conflicted() > 0);
    assert_eq!(n(&service.repository_item("app").await, "imageCount"), 1);
}
