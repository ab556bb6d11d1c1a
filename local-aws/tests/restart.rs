//! What a killed stack has acknowledged is there after a restart.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::types::{DataKeySpec, KeyState};
use aws_sdk_s3::types::{Object, ServerSideEncryption, StorageClass};
use aws_types::SdkConfig;
use local_aws::{Options, Stack};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// The data directory of the child that is to be killed. It is set for that child only.
const CHILD: &str = "LOCAL_AWS_TEST_CHILD";

async fn start(data: &Path) -> Stack {
    Stack::start(Options { data: Some(data.to_owned()), ..Options::default() }).await.unwrap()
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Writes number after number to all three services, and prints each when it is acknowledged.
///
/// This is the child process, not a test.
#[tokio::test]
async fn child() {
    let Some(data) = std::env::var_os(CHILD) else { return };
    let stack = start(&PathBuf::from(data)).await;
    let config = stack.sdk_config();
    let database = aws_sdk_dynamodb::Client::new(&config);
    let objects = aws_sdk_s3::Client::new(&config);
    let keys = aws_sdk_kms::Client::new(&config);
    for number in 0.. {
        let item = database.put_item().table_name("ecr").item("PK", s("item"));
        item.item("SK", s(format!("{number:06}"))).send().await.unwrap();

        for key in [format!("{number:06}"), "overwritten".to_owned()] {
            let put = objects.put_object().bucket("layers").key(key);
            let put = put.storage_class(StorageClass::Glacier);
            let put = put.server_side_encryption(ServerSideEncryption::Aes256);
            put.body(body(number).into()).send().await.unwrap();
        }

        let key = keys.create_key().send().await.unwrap().key_metadata.unwrap();
        let alias = keys.create_alias().alias_name(format!("alias/{number}"));
        alias.target_key_id(&key.key_id).send().await.unwrap();
        let sealed = keys.generate_data_key().key_id(&key.key_id).key_spec(DataKeySpec::Aes256);
        let blob = sealed.send().await.unwrap().ciphertext_blob.unwrap();
        let item = database.put_item().table_name("ecr").item("PK", s("blob"));
        let item = item.item("SK", s(format!("{number:06}")));
        item.item("blob", AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(blob)))
            .send()
            .await
            .unwrap();
        println!("acknowledged {number}");
    }
}

/// Bytes that contain the number of their put.
fn body(number: usize) -> Vec<u8> {
    format!("{number:06}").repeat(5000).into_bytes()
}

struct Victim {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Victim {
    fn start(data: &Path) -> Victim {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Victim { process, lines }
    }

    /// The number that was acknowledged next.
    async fn acknowledged(&mut self) -> Option<usize> {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if let Some((_, number)) = line.split_once("acknowledged ") {
                return Some(number.parse().unwrap());
            }
        }
        None
    }
}

#[tokio::test]
async fn everything_acknowledged_survives_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let mut victim = Victim::start(data.path());
    let mut last = 0;
    while last < 20 {
        last = victim.acknowledged().await.unwrap();
    }
    victim.process.kill().await.unwrap();
    while let Some(number) = victim.acknowledged().await {
        last = number;
    }

    let stack = start(data.path()).await;
    let config = stack.sdk_config();
    items_are_there(&config, last).await;
    objects_are_there(&config, last).await;
    stack.stop().await;
}

async fn items_are_there(config: &SdkConfig, last: usize) {
    let database = aws_sdk_dynamodb::Client::new(config);
    let keys = aws_sdk_kms::Client::new(config);
    for number in 0..=last {
        for pk in ["item", "blob"] {
            let key = [("PK", s(pk)), ("SK", s(format!("{number:06}")))];
            let key: HashMap<_, _> = key.map(|(name, value)| (name.to_owned(), value)).into();
            let get = database.get_item().table_name("ecr").set_key(Some(key));
            let item = get.send().await.unwrap().item.unwrap();
            if let Some(blob) = item.get("blob") {
                let blob = aws_sdk_kms::primitives::Blob::new(blob.as_b().unwrap().as_ref());
                keys.decrypt().ciphertext_blob(blob).send().await.unwrap();
            }
        }
        keys.describe_key().key_id(format!("alias/{number}")).send().await.unwrap();
    }
}

async fn objects_are_there(config: &SdkConfig, last: usize) {
    let objects = aws_sdk_s3::Client::new(config);
    let listed = objects.list_objects_v2().bucket("layers").send().await.unwrap();
    let keys: Vec<_> = listed.contents().iter().filter_map(Object::key).collect();
    for number in 0..=last {
        assert!(keys.contains(&&*format!("{number:06}")), "{number}");
    }
    assert!(keys.contains(&"overwritten"));
    // Everything that is listed is complete, also if it was not acknowledged.
    for object in listed.contents() {
        let key = object.key().unwrap();
        let head = objects.head_object().bucket("layers").key(key).send().await.unwrap();
        assert_eq!(head.storage_class, Some(StorageClass::Glacier));
        objects.restore_object().bucket("layers").key(key).send().await.unwrap();
        let read = objects.get_object().bucket("layers").key(key).send().await.unwrap();
        let bytes = read.body.collect().await.unwrap().to_vec();
        let number =
            std::str::from_utf8(bytes.first_chunk::<6>().unwrap()).unwrap().parse().unwrap();
        assert_eq!(bytes, body(number));
        match key.parse::<usize>() {
            Ok(key) => assert_eq!(key, number),
            Err(_) => assert!(number >= last, "the overwritten object went back to {number}"),
        }
    }
}

#[tokio::test]
async fn a_stopped_stack_goes_on_where_it_was() {
    let data = tempfile::tempdir().unwrap();
    let stack = start(data.path()).await;
    let keys = aws_sdk_kms::Client::new(&stack.sdk_config());
    let key = keys.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
    keys.disable_key().key_id(&key).send().await.unwrap();
    let objects = aws_sdk_s3::Client::new(&stack.sdk_config());
    objects.create_bucket().bucket("more").send().await.unwrap();
    objects.put_object().bucket("more").key("k").body(b"b".to_vec().into()).send().await.unwrap();
    objects.put_object().bucket("layers").key("k").body(b"b".to_vec().into()).send().await.unwrap();
    objects.delete_object().bucket("layers").key("k").send().await.unwrap();
    stack.stop().await;

    let stack = start(data.path()).await;
    let keys = aws_sdk_kms::Client::new(&stack.sdk_config());
    let described = keys.describe_key().key_id(key).send().await.unwrap().key_metadata.unwrap();
    assert!(!described.enabled);
    let objects = aws_sdk_s3::Client::new(&stack.sdk_config());
    objects.head_object().bucket("more").key("k").send().await.unwrap();
    objects.head_object().bucket("layers").key("k").send().await.unwrap_err();
    stack.stop().await;
}

#[tokio::test]
async fn the_default_key_is_created_once() {
    let data = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let stack = start(data.path()).await;
        let keys = aws_sdk_kms::Client::new(&stack.sdk_config());
        let alias = stack.options().variable("DEFAULT_KMS_KEY").unwrap();
        let key = keys.describe_key().key_id(alias).send().await.unwrap().key_metadata.unwrap();
        seen.push((key.key_id.clone(), key.key_state.unwrap()));
        assert_eq!(keys.list_keys().send().await.unwrap().keys.unwrap().len(), 1);
        // A key that its owner has disabled stays disabled, and no other key replaces it.
        keys.disable_key().key_id(key.key_id).send().await.unwrap();
        stack.stop().await;
    }
    let [(first, enabled), (second, disabled), (third, _)] = seen.as_slice() else { panic!() };
    assert_eq!((first, first), (second, third));
    assert_eq!((enabled, disabled), (&KeyState::Enabled, &KeyState::Disabled));
}

#[tokio::test]
async fn a_stack_that_is_dropped_is_gone() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let urls = [stack.dynamodb_url(), stack.s3_url(), stack.kms_url()];
    let idle = aws_sdk_kms::Client::new(&stack.sdk_config());
    idle.list_keys().send().await.unwrap();
    drop(stack);
    for url in urls {
        let address = url.strip_prefix("http://").unwrap();
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_directory_has_one_stack_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(data.path().to_owned()), ..Options::default() };
    let first = Stack::start(options()).await.unwrap();
    let second = Stack::start(options()).await.unwrap_err();
    assert_eq!(second.to_string(), "another stack is using it");
    first.stop().await;
    Stack::start(options()).await.unwrap().stop().await;
}
