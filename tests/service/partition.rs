//! Regions of every partition: their ARNs and host names in every text.

use ecr_registry::partition::Region;
use local_aws::Call;
use serde_json::{Value, json};

use crate::harness::*;

/// A region of each partition, with the partition's name and DNS suffix.
const PARTITIONS: [(&str, &str, &str); 8] = [
    ("eu-central-1", "aws", "amazonaws.com"),
    ("cn-northwest-1", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
    ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
    ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
    ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
    ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
    ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
];

const OTHER: &str = "111122223333";

#[tokio::test]
async fn every_text_follows_the_regions_partition() {
    for (region, partition, suffix) in PARTITIONS {
        let service = Service::with(|config| config.region = Region::new(region.to_owned())).await;
        let key = service.kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
        let encryption = json!({ "encryptionType": "KMS", "kmsKey": key });
        let created = service
            .create_repository("app", json!({ "encryptionConfiguration": encryption }))
            .await;
        let arn = format!("arn:{partition}:ecr:{region}:{ACCOUNT}:repository/app");
        assert_eq!(created["repositoryArn"], arn);
        let uri = format!("{ACCOUNT}.dkr.ecr.{region}.{suffix}/app");
        assert_eq!(created["repositoryUri"], uri);

        service.push("app", &image("a"), Some("v1")).await;
        let is_data_key = |call: &Call| call.operation == "GenerateDataKey";
        let calls = service.faults.calls();
        let data_key: Value =
            serde_json::from_slice(&calls.iter().find(|call| is_data_key(call)).unwrap().body)
                .unwrap();
        assert_eq!(data_key["EncryptionContext"], json!({ "aws:ecr:arn": arn }));

        let mut foreign = request("app", &image("a"), Some("v2"));
        foreign["registryId"] = json!(ACCOUNT);
        let mut denied = event("PutImage", OTHER, &foreign.to_string());
        denied["requestContext"]["identity"]["userArn"] = Value::Null;
        let message = format!(
            "User: arn:{partition}:iam::{OTHER}:root is not authorized to perform: ecr:PutImage on \
             resource: {arn} because no resource-based policy allows the ecr:PutImage action"
        );
        service.rejects_event(denied, 400, "AccessDeniedException", &message).await;
    }
}

#[tokio::test]
async fn a_policys_principals_are_those_of_the_partition() {
    for (region, partition, _) in PARTITIONS {
        let service = Service::with(|config| config.region = Region::new(region.to_owned())).await;
        service.create_repository("app", json!({})).await;
        let principal = format!("arn:{partition}:iam::{OTHER}:root");
        let policy = json!({ "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "ecr:PutImage" },
        ]});
        let text = aws_sdk_dynamodb::types::AttributeValue::S(policy.to_string());
        service.change_repository("app", "policy", text).await;

        let manifest = image("a");
        service.upload_layers_of("app", &manifest).await;
        let mut body = request("app", &manifest, Some("v1"));
        body["registryId"] = json!(ACCOUNT);
        let mut push = event("PutImage", OTHER, &body.to_string());
        push["requestContext"]["identity"]["userArn"] =
            json!(format!("arn:{partition}:iam::{OTHER}:user/ci"));
        assert_eq!(service.send(push).await.digest(), sha256(&manifest), "{partition}");
        assert!(service.tag_item("app", "v1").await.is_some());
    }
}
