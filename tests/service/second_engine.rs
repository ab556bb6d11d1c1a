//! Amazon's DynamoDB Local in place of the embedded engine, if `DYNAMODB_LOCAL_DIR` names the
//! directory of its jar. It is opt-in because its licence requires an AWS account, and because it
//! listens on all interfaces.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

/// One process per test, in memory. It ends with the test.
pub(crate) struct SecondEngine {
    process: Child,
    port: u16,
}

impl SecondEngine {
    pub(crate) fn if_named() -> Option<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the environment of a test run chooses the engine"
        )]
        let directory = std::env::var("DYNAMODB_LOCAL_DIR").ok()?;
        let directory = Path::new(&directory);
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut process = Command::new("java")
            .arg(format!("-Djava.library.path={}", directory.join("DynamoDBLocal_lib").display()))
            .arg("-jar")
            .arg(directory.join("DynamoDBLocal.jar"))
            .args(["-inMemory", "-sharedDb", "-disableTelemetry", "-port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("DYNAMODB_LOCAL_DIR needs java");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(process.try_wait().unwrap(), None, "DynamoDB Local has ended");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(Self { process, port })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The table as template.yaml defines it.
pub(crate) async fn create_table(dynamodb: &Client, name: &str) {
    let mut create = dynamodb.create_table().table_name(name);
    for (attribute, kind) in [("PK", KeyType::Hash), ("SK", KeyType::Range)] {
        let definition = AttributeDefinition::builder().attribute_name(attribute);
        let definition = definition.attribute_type(ScalarAttributeType::S).build().unwrap();
        let key = KeySchemaElement::builder().attribute_name(attribute).key_type(kind);
        create = create.attribute_definitions(definition).key_schema(key.build().unwrap());
    }
    create.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}
