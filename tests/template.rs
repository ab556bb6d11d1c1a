//! The permissions, resources and responses that template.yaml declares.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_yaml_ng::Value;

fn template() -> Value {
    serde_yaml_ng::from_str(include_str!("../template.yaml")).unwrap()
}

/// A value as YAML, with its tags such as `!Ref Api`.
fn yaml(value: &Value) -> String {
    serde_yaml_ng::to_string(value).unwrap().trim().to_owned()
}

/// The actions that a role allows, each with its resource.
fn allowed(role: &str) -> Vec<(String, String)> {
    let policies = &template()["Resources"][role]["Properties"]["Policies"];
    let mut allowed = Vec::new();
    for policy in policies.as_sequence().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_sequence().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            let actions = match &statement["Action"] {
                Value::Sequence(actions) => actions.clone(),
                one => vec![one.clone()],
            };
            let resource = yaml(&statement["Resource"]);
            for action in actions {
                let action = action.as_str().unwrap().to_owned();
                assert!(!action.contains('*'), "{action}");
                allowed.push((action, resource.clone()));
            }
        }
    }
    allowed
}

#[test]
fn only_the_sweeper_deletes_and_only_bodies() {
    let deletes = |(action, _): &(String, String)| action.contains("Delete");
    assert!(!allowed("FunctionRole").iter().any(deletes));
    let sweeper = allowed("SweeperRole");
    let deletions: Vec<_> = sweeper.iter().filter(|allowed| deletes(allowed)).collect();
    let bodies = "!Sub ${ManifestBucket.Arn}/manifests/*";
    assert_eq!(deletions, [&("s3:DeleteObject".to_owned(), bodies.to_owned())]);
    // The sweeper writes nothing.
    let actions: Vec<&str> = sweeper.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "s3:ListBucket",
            "s3:DeleteObject",
            "dynamodb:GetItem",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
        ]
    );
}

#[test]
fn each_function_has_its_own_binary_and_role() {
    let template = template();
    for (function, binary, role) in
        [("Function", "ecr-registry", "FunctionRole"), ("Sweeper", "sweeper", "SweeperRole")]
    {
        let function = &template["Resources"][function];
        assert_eq!(function["Metadata"]["BuildProperties"]["Binary"], binary);
        assert_eq!(yaml(&function["Properties"]["Role"]), format!("!GetAtt {role}.Arn"));
    }
}

#[test]
fn a_changed_parameter_creates_a_new_version() {
    let template = template();
    let function = &template["Resources"]["Function"]["Properties"];
    let made_of =
        [&template["Globals"]["Function"], &function["MemorySize"], &function["Environment"]];
    let made_of: String = made_of.into_iter().map(yaml).collect();
    let description = yaml(&function["VersionDescription"]);
    let parameters = template["Parameters"].as_mapping().unwrap().keys();
    let parameters = parameters.map(|name| name.as_str().unwrap());
    let used: Vec<&str> =
        parameters.filter(|name| made_of.contains(&format!("!Ref {name}"))).collect();
    assert!(used.contains(&"MemorySize") && used.contains(&"ExistingLayerBucket"), "{used:?}");
    for parameter in used {
        // Only sam local sets EndpointUrl, and sam local has no versions.
        if parameter != "EndpointUrl" {
            let named = [format!("${{{parameter}}}"), format!("!Ref {parameter}")];
            assert!(named.iter().any(|name| description.contains(name)), "{parameter}");
        }
    }
}

#[test]
fn the_three_resources_take_signed_posts() {
    let template = template();
    let mut resources = Vec::new();
    let events = template["Resources"]["Function"]["Properties"]["Events"].as_mapping().unwrap();
    for event in events.values() {
        assert_eq!(event["Type"], "Api");
        let properties = &event["Properties"];
        assert_eq!(yaml(&properties["RestApiId"]), "!Ref Api");
        // A resource without an authorizer has the API's default one.
        assert!(properties.get("Auth").is_none(), "{}", yaml(event));
        resources.push([&properties["Method"], &properties["Path"]].map(|v| v.as_str().unwrap()));
    }
    assert_eq!(resources, [["POST", "/"], ["POST", "/push"], ["POST", "/pull"]]);
    let auth = &template["Resources"]["Api"]["Properties"]["Auth"];
    assert_eq!(auth["DefaultAuthorizer"], "AWS_IAM");
}

/// API Gateway admits a caller of the API's own account if its role's policy *or* the resource
/// policy allows it. A statement for `*` must therefore exclude that account. A statement for the
/// account's root allows only what the role's policy allows.
#[test]
fn the_resource_policy_adds_no_rights_within_the_account() {
    let template = template();
    let auth = &template["Resources"]["Api"]["Properties"]["Auth"];
    let mut wildcards = 0;
    for statement in auth["ResourcePolicy"]["CustomStatements"].as_sequence().unwrap() {
        let statement = match statement {
            Value::Tagged(condition) => &condition.value[1],
            unconditional => unconditional,
        };
        assert_eq!(statement["Effect"], "Allow");
        match yaml(&statement["Principal"]).as_str() {
            "'*'" => {
                let except = &statement["Condition"]["StringNotEquals"]["aws:PrincipalAccount"];
                assert_eq!(yaml(except), "!Ref AWS::AccountId");
                wildcards += 1;
            }
            "AWS: !Ref CallerAccounts" => {}
            own => assert_eq!(own, "AWS: !Sub arn:${AWS::Partition}:iam::${AWS::AccountId}:root"),
        }
    }
    assert_eq!(wildcards, 1);
}

#[test]
fn no_partition_is_a_literal() {
    let text = include_str!("../template.yaml");
    assert!(!text.contains("arn:aws"));
    // A service principal has this suffix in every partition. An endpoint does not.
    for line in text.lines().filter(|line| line.contains("amazonaws")) {
        let service = line.trim().strip_prefix("Principal: { Service: ");
        let service = service.and_then(|rest| rest.strip_suffix(".amazonaws.com }"));
        assert!(service.is_some_and(|service| !service.contains('.')), "{line}");
    }
}

#[test]
fn a_push_event_has_the_form_of_ecrs() {
    let template = template();
    let target = &template["Resources"]["PushPipe"]["Properties"]["TargetParameters"];
    let event = &target["EventBridgeEventBusParameters"];
    assert_eq!(event["DetailType"], "ECR Image Action");
    assert_eq!(event["Source"], "ecr-registry");
    let detail = target["InputTemplate"].as_str().unwrap();
    // Each path is inside quotes, so that a missing attribute becomes an empty text.
    let detail: serde_json::Value = serde_json::from_str(detail).unwrap();
    let attribute = |name: &str| format!("<$.dynamodb.NewImage.{name}.S>");
    assert_eq!(
        detail,
        serde_json::json!({
            "result": "SUCCESS",
            "action-type": "PUSH",
            "registry-id": attribute("registryId"),
            "repository-name": attribute("repositoryName"),
            "image-digest": attribute("digest"),
            "image-tag": attribute("tag"),
            "manifest-media-type": attribute("mediaType"),
            "artifact-media-type": attribute("artifactMediaType"),
        })
    );
}

#[test]
fn api_gateways_own_responses_have_the_form_of_ecrs() {
    let template = template();
    let responses = &template["Resources"]["Api"]["Properties"]["GatewayResponses"];
    for (kind, response) in responses.as_mapping().unwrap() {
        let body = response["ResponseTemplates"]["application/json"].as_str().unwrap();
        let body = body.replace("$context.error.messageString", r#""text""#);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let headers = &response["ResponseParameters"]["Headers"];
        assert_eq!(headers["Content-Type"], "'application/x-amz-json-1.1'", "{kind:?}");
        let code = body["__type"].as_str().unwrap();
        assert_eq!(headers["x-amzn-ErrorType"], format!("'{code}'"), "{kind:?}");
        assert!(body["message"].is_string(), "{kind:?}");
    }
    for (kind, status, code, message) in [
        ("THROTTLED", 400, "ThrottlingException", "Rate exceeded"),
        ("QUOTA_EXCEEDED", 400, "ThrottlingException", "Rate exceeded"),
        ("REQUEST_TOO_LARGE", 413, "RequestEntityTooLargeException", "Request too long"),
        (
            "MISSING_AUTHENTICATION_TOKEN",
            404,
            "UnknownOperationException",
            "The requested operation is not recognized by the service",
        ),
        (
            "DEFAULT_5XX",
            500,
            "ServerException",
            "The request could not be completed because of a failure of the service. Request id: \
             $context.requestId",
        ),
    ] {
        assert_eq!(responses[kind]["StatusCode"], status, "{kind}");
        let body = responses[kind]["ResponseTemplates"]["application/json"].as_str().unwrap();
        let expected = serde_json::json!({ "__type": code, "message": message });
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), expected);
    }
}
