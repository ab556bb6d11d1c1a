//! The API reference's sample request from end to end, with what each step leaves behind.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use ecr_registry::App;
use ecr_registry::layer_key;
use ecr_registry::manifest::{Manifest, References};
use ecr_registry::names::{Digest, RegistryId, RepositoryName, RepositoryRef};
use lambda_runtime::{Context, LambdaEvent};
use local::invoke;
use local_aws::{DEFAULT_ACCOUNT, Faults, Options, Stack};
use serde_json::{Value, json};

/// The reference's sample request, as API Gateway hands it to the function.
const REQUEST: &str = include_str!("../../events/put-image.json");

const REPOSITORY: &str = "amazonlinux";

/// The reference's sample response, without the manifest, which is the request's.
const RESPONSE: [(&str, &str); 4] = [
    ("registryId", DEFAULT_ACCOUNT),
    ("repositoryName", REPOSITORY),
    (
        "imageId/imageDigest",
        "sha256:f1d4ae3f7261a72e98c6ebefe9985cf10a0ea5bd762585a43e0700ed99863807",
    ),
    ("imageId/imageTag", "2016.09"),
];
/// ECR added this to the response after the reference's sample was published.
const MEDIA_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The attributes that are shown of an item.
const MAIN_ATTRIBUTES: [&str; 8] = [
    "mutability",
    "encryption",
    "imageCount",
    "tagCount",
    "digest",
    "mediaType",
    "manifestBytes",
    "body",
];

type Item = HashMap<String, AttributeValue>;

/// Pushes the sample into an empty registry in memory, and prints what happens.
///
/// # Errors
/// The expectations that did not hold.
pub(crate) async fn push() -> Result<(), Box<dyn Error>> {
    let stack = Stack::start(Options::default()).await?;
    let calls = Faults::new();
    let config = local::config(stack.options(), |_| None)?;
    let app = App::new(config, &calls.sdk_config(&stack));
    let request: Value = serde_json::from_str(REQUEST)?;
    let manifest = sample_manifest(&request)?;
    let mut checks = Checks::default();

    println!(
        "Amazon ECR's PutImage on an embedded DynamoDB, S3 and KMS: nothing leaves this machine."
    );
    create_repository(&app, &request, &mut checks).await?;
    put_layers(&stack, &manifest).await?;

    calls.reset_calls();
    let began = Instant::now();
    let response = invoke(&app, LambdaEvent::new(request, Context::default())).await;
    let took = began.elapsed();
    let calls = calls.calls();
    println!(
        "\n3. PutImage {REPOSITORY}:2016.09, the API reference's sample request (events/put-image.json)"
    );
    compare(status(&response), &body(&response)?, &manifest, &mut checks);

    show_table(&stack, &mut checks).await?;
    let calls = calls.iter().map(|call| format!("{} {}", service(call.service), call.operation));
    summarise(calls.collect(), took);
    stack.stop().await;
    checks.all_held()
}

/// Creates the repository with the sample's event, changed to the other action.
async fn create_repository(
    app: &App,
    sample: &Value,
    checks: &mut Checks,
) -> Result<(), Box<dyn Error>> {
    let mut request = sample.clone();
    let target = "AmazonEC2ContainerRegistry_V20150921.CreateRepository";
    if let Some(request) = request.as_object_mut() {
        let body = json!({ "repositoryName": REPOSITORY }).to_string();
        request.insert("headers".to_owned(), json!({ "X-Amz-Target": target }));
        request.insert("body".to_owned(), body.into());
    }
    let response = invoke(app, LambdaEvent::new(request, Context::default())).await;
    let created = body(&response)?;
    println!("\n1. CreateRepository {REPOSITORY} in registry {DEFAULT_ACCOUNT}");
    let status = status(&response);
    println!("   HTTP {status}, {}", text(&created, "/repository/repositoryArn"));
    checks.expect(status == 200, "the repository was not created");
    Ok(())
}

/// Puts stand-ins for config and layer where the service looks for them.
async fn put_layers(stack: &Stack, manifest: &str) -> Result<(), Box<dyn Error>> {
    let s3 = aws_sdk_s3::Client::new(&stack.sdk_config());
    let bucket = &stack.options().layer_bucket;
    let repository = RepositoryRef {
        registry: RegistryId::parse(DEFAULT_ACCOUNT.to_owned())?,
        name: RepositoryName::parse(REPOSITORY.to_owned())?,
    };
    let References::Layers(layers) = Manifest::parse(manifest, None, u64::MAX)?.references else {
        return Err("the sample is no image".into());
    };
    println!("\n2. Its config and its layer, in the bucket `{bucket}`");
    for layer in &layers {
        let key = layer_key(&repository, layer);
        println!("   {}", shortened(&key, layer));
        let stand_in = ByteStream::from_static(b"stand-in");
        s3.put_object().bucket(bucket).key(key).body(stand_in).send().await?;
    }
    println!(
        "   (8 bytes each stand in for them: ECR looks whether a layer is there, not into it)"
    );
    Ok(())
}

/// Compares the response with the reference's, member by member.
fn compare(status: u64, response: &Value, manifest: &str, checks: &mut Checks) {
    println!("   HTTP {status}; beside the reference's sample answer:");
    checks.expect(status == 200, &format!("the push returned HTTP {status}: {response}"));
    for (member, expected) in RESPONSE {
        let value = text(response, &format!("/image/{member}"));
        let holds = checks.expect(value == expected, &format!("{member} is not {expected}"));
        println!("   {:11}{member:24}{value}", if holds { "the same" } else { "DIFFERENT" });
    }
    let echo = text(response, "/image/imageManifest");
    let holds = checks.expect(echo == manifest, "imageManifest is not what was sent");
    let verdict = if holds { "the same" } else { "DIFFERENT" };
    println!("   {verdict:11}{:24}{} bytes, as they were sent", "imageManifest", echo.len());
    let media_type = text(response, "/image/imageManifestMediaType");
    let holds =
        checks.expect(media_type == MEDIA_TYPE, &format!("the media type is not {MEDIA_TYPE}"));
    let verdict = if holds { "new since" } else { "DIFFERENT" };
    println!("   {verdict:11}{:24}{media_type}", "imageManifestMediaType");
}

/// Shows every item of the table: its key and main attributes, with `<repoId>` for the part of the
/// keys that differs in every run.
async fn show_table(stack: &Stack, checks: &mut Checks) -> Result<(), Box<dyn Error>> {
    let table = &stack.options().table;
    let dynamodb = aws_sdk_dynamodb::Client::new(&stack.sdk_config());
    let scan = dynamodb.scan().table_name(table).consistent_read(true).send().await?;
    let items = scan.items();
    let repo_id = items.iter().find_map(|item| item.get("repoId")?.as_s().ok());
    let repo_id = repo_id.ok_or("the table has no repository")?;

    println!("\n4. The table `{table}`, with <repoId> for the repository's random id");
    let mut rows: Vec<_> = items.iter().map(|item| (key(item, repo_id), item)).collect();
    rows.sort_by(|(a, _), (b, _)| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    for ((partition, sort), item) in &rows {
        println!("   {partition}  {sort}");
        println!("      {}", attributes(item));
    }

    let [_, _, (_, digest), (_, tag)] = RESPONSE;
    let short = shortened_digest(digest);
    let expected = [
        (format!("REPO#{DEFAULT_ACCOUNT}#{REPOSITORY}"), "#META".to_owned()),
        ("R#<repoId>".to_owned(), format!("IMAGE#{short}")),
        ("R#<repoId>".to_owned(), format!("MANIFEST#{short}")),
        ("R#<repoId>".to_owned(), format!("TAG#{tag}")),
    ];
    let stored = rows.iter().map(|(key, _)| key);
    checks.expect(
        stored.eq(&expected),
        "the table does not have repository, image, manifest and tag, and nothing else",
    );
    Ok(())
}

fn key(item: &Item, repo_id: &str) -> (String, String) {
    let part = |name| {
        let text = item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str);
        match text.split_once('#') {
            Some((kind, digest)) if digest.starts_with("sha256:") => {
                format!("{kind}#{}", shortened_digest(digest))
            }
            _ => text.replace(repo_id, "<repoId>"),
        }
    };
    (part("PK"), part("SK"))
}

fn attributes(item: &Item) -> String {
    let mut text = String::new();
    for name in MAIN_ATTRIBUTES {
        let value = match item.get(name) {
            Some(AttributeValue::S(value)) => shortened_digest(value),
            Some(AttributeValue::N(value)) => value.clone(),
            Some(AttributeValue::B(value)) => format!("({} bytes)", value.as_ref().len()),
            _ => continue,
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{name}={value}", if text.is_empty() { "" } else { " " });
    }
    text
}

/// Prints how many calls of each operation there were, and how long they took together.
fn summarise(calls: Vec<String>, took: Duration) {
    let total = calls.len();
    let mut by_name = BTreeMap::<_, usize>::new();
    for call in calls {
        *by_name.entry(call).or_default() += 1;
    }
    let by_name = by_name.into_iter().map(|(name, count)| format!("{count} {name}"));
    let by_name = by_name.collect::<Vec<_>>().join(", ");
    println!("\n{total} calls to AWS services for the push ({by_name}) in {} ms", took.as_millis());
}

/// The expectations that did not hold.
#[derive(Default)]
struct Checks(Vec<String>);

impl Checks {
    fn expect(&mut self, holds: bool, otherwise: &str) -> bool {
        if !holds {
            self.0.push(otherwise.to_owned());
        }
        holds
    }

    fn all_held(self) -> Result<(), Box<dyn Error>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0.join("; ").into()) }
    }
}

/// The manifest in the sample request.
fn sample_manifest(request: &Value) -> Result<String, Box<dyn Error>> {
    Ok(text(&body(request)?, "/imageManifest").to_owned())
}

/// The HTTP status of a response; 0 if it is missing.
fn status(response: &Value) -> u64 {
    response.pointer("/statusCode").and_then(Value::as_u64).unwrap_or_default()
}

/// The body of an event or of a response.
fn body(payload: &Value) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::from_str(text(payload, "/body"))?)
}

/// The text at `pointer`; empty if it is missing.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn service(name: &str) -> &str {
    match name {
        "dynamodb" => "DynamoDB",
        "s3" => "S3",
        "kms" => "KMS",
        other => other,
    }
}

/// `key` with only the first twelve hexadecimal digits of the digest.
fn shortened(key: &str, digest: &Digest) -> String {
    let hex = digest.hex();
    key.replace(hex, &format!("{}…", hex.get(..12).unwrap_or(hex)))
}

/// `text`, shortened if it is a digest.
fn shortened_digest(text: &str) -> String {
    Digest::parse(text).map_or_else(|| text.to_owned(), |digest| shortened(text, &digest))
}
