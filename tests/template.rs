//! What template.yaml promises of its functions' roles.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_yaml_ng::Value;

/// The actions that a role allows, with the resources they are allowed on.
fn allowed(role: &str) -> Vec<(String, String)> {
    let template: Value = serde_yaml_ng::from_str(include_str!("../template.yaml")).unwrap();
    let policies = &template["Resources"][role]["Properties"]["Policies"];
    let mut allowed = Vec::new();
    for policy in policies.as_sequence().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_sequence().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            let actions = match &statement["Action"] {
                Value::Sequence(actions) => actions.clone(),
                one => vec![one.clone()],
            };
            let resource = serde_yaml_ng::to_string(&statement["Resource"]).unwrap();
            for action in actions {
                let action = action.as_str().unwrap().to_owned();
                assert!(!action.contains('*'), "{action}");
                allowed.push((action, resource.trim().to_owned()));
            }
        }
    }
    allowed
}

#[test]
fn the_sweeper_alone_deletes_and_it_deletes_bodies_alone() {
    let deletes = |(action, _): &(String, String)| action.contains("Delete");
    assert!(!allowed("FunctionRole").iter().any(deletes));
    let sweeper = allowed("SweeperRole");
    let deletions: Vec<_> = sweeper.iter().filter(|allowed| deletes(allowed)).collect();
    let bodies = "!Sub ${ManifestBucket.Arn}/manifests/*";
    assert_eq!(deletions, [&("s3:DeleteObject".to_owned(), bodies.to_owned())]);
    // It writes nothing.
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
fn both_functions_run_as_themselves() {
    let template: Value = serde_yaml_ng::from_str(include_str!("../template.yaml")).unwrap();
    for (function, binary, role) in
        [("Function", "ecr-put-image", "FunctionRole"), ("Sweeper", "sweeper", "SweeperRole")]
    {
        let function = &template["Resources"][function];
        assert_eq!(function["Metadata"]["BuildProperties"]["Binary"], binary);
        let own = serde_yaml_ng::to_string(&function["Properties"]["Role"]).unwrap();
        assert_eq!(own.trim(), format!("!GetAtt {role}.Arn"));
    }
}
