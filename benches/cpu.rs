//! The cost of a push in this service's own code, from the event's bytes to the response's, without
//! the calls in between.
//!
//! It is compared with the floor: the same six passes over the bytes by the least code that can
//! make them (event → body, body → request, SHA-256, manifest, response, envelope), which checks
//! nothing and accepts one kind of manifest. Callgrind counts the instructions. Those of SHA-256
//! are subtracted, because valgrind has no SHA-NI. Times include SHA-256, and are measured in turn.
//!
//! ```sh
//! cargo bench --bench cpu
//! ```
//!
//! It fails if the instructions exceed their bound. The SDK's work is not part of it: building the
//! requests to DynamoDB and S3, and reading the responses.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark stops at anything unexpected"
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ecr_registry::Config;
use ecr_registry::names::Digest;
use ecr_registry::repository::Quotas;
use serde::{Deserialize, Serialize};
use serde_json::ser::PrettyFormatter;
use serde_json::{Serializer, Value, json};

const MAX_MANIFEST: usize = 4_194_304;
/// No limit, so that a manifest may consist of descriptors.
const LAYER_LIMIT: u64 = u64::MAX;

/// A manifest to push, and the bound on the ratio of the handler's instructions to the floor's.
struct Shape {
    name: &'static str,
    bound: f64,
    rounds: usize,
    manifest: fn() -> String,
}

const SHAPES: [Shape; 3] = [
    Shape { name: "3.4 KB, 15 layers", bound: 1.6, rounds: 4000, manifest: small },
    Shape { name: "4 MiB, annotations", bound: 1.15, rounds: 24, manifest: annotations },
    Shape { name: "4 MiB, descriptors", bound: 1.15, rounds: 24, manifest: descriptors },
];

/// What is measured, with the argument that selects it under callgrind. The hash is part of the
/// floor and of the handler, and is measured to be subtracted.
const PARTS: [(&str, Part); 3] = [
    ("floor", |push| floor(&push.event)),
    ("handler", |push| handler(&push.event)),
    ("sha-256", |push| Digest::of(push.manifest.as_bytes()).as_str().into()),
];

type Part = fn(&Push) -> Vec<u8>;

/// A push to measure: the event, and the manifest in it.
struct Push {
    event: Vec<u8>,
    manifest: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [part, shape] = &*arguments
        && let Some((_, part)) = PARTS.iter().find(|(name, _)| name == part)
    {
        let push = push(&SHAPES[shape.parse::<usize>().unwrap()]);
        // The first call allocates and initialises.
        part(&push);
        counted(*part, &push);
        return ExitCode::SUCCESS;
    }

    let valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    if !valgrind {
        println!("valgrind is missing: install it to count instructions");
    }
    let mut failed = false;
    println!(
        "| manifest | floor, µs | handler, µs | ratio | floor, k instructions | handler | ratio | bound |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (index, shape) in SHAPES.iter().enumerate() {
        let (floor, handler) = times(shape);
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let time = us(handler) / us(floor);
        print!("| {} | {:.1} | {:.1} | {time:.2} |", shape.name, us(floor), us(handler));
        if valgrind {
            let [floor, handler, sha] = PARTS.map(|(part, _)| instructions(part, index));
            let (floor, handler) = (floor - sha, handler - sha);
            let ratio = handler / floor;
            failed |= ratio > shape.bound;
            println!(" {:.0} | {:.0} | {ratio:.2} | {} |", floor / 1e3, handler / 1e3, shape.bound);
        } else {
            println!(" | | | {} |", shape.bound);
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The median times of floor and handler, in turns.
fn times(shape: &Shape) -> (Duration, Duration) {
    let push = push(shape);
    let time = |part: fn(&[u8]) -> Vec<u8>| {
        let began = Instant::now();
        black_box(part(black_box(&push.event)));
        began.elapsed()
    };
    let mut times: Vec<_> = (0..shape.rounds).map(|_| (time(floor), time(handler))).collect();
    times.drain(..shape.rounds / 4);
    let median = |of: fn(&(Duration, Duration)) -> Duration| {
        let mut sorted: Vec<_> = times.iter().map(of).collect();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    (median(|times| times.0), median(|times| times.1))
}

/// Where callgrind counts.
#[inline(never)]
fn counted(part: Part, push: &Push) {
    black_box(part(black_box(push)));
}

fn instructions(part: &str, shape: usize) -> f64 {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=*cpu*counted*",
            "--callgrind-out-file=/dev/null",
        ])
        .arg(std::env::current_exe().unwrap())
        .args([part, &shape.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let count = text.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = count.expect(&text);
    let count = count.trim().parse().unwrap();
    assert!(count > 0.0, "callgrind did not find where to count");
    count
}

/// The service without its calls.
fn handler(event: &[u8]) -> Vec<u8> {
    static CONFIG: LazyLock<Config> = LazyLock::new(|| {
        let required = ["AWS_REGION", "TABLE_NAME", "LAYER_BUCKET", "MANIFEST_BUCKET"];
        let config = Config::read(|name| required.contains(&name).then(|| "us-west-2".to_owned()));
        let quotas = Quotas { layers_per_image: LAYER_LIMIT, ..Quotas::default() };
        Config { quotas, ..config.unwrap() }
    });
    ecr_registry::push_without_calls(event, &CONFIG).unwrap()
}

/// Only the six passes.
fn floor(event: &[u8]) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        body: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'a> {
        #[serde(borrow)]
        repository_name: Cow<'a, str>,
        #[serde(borrow)]
        image_tag: Cow<'a, str>,
        #[serde(borrow)]
        image_manifest: Cow<'a, str>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest<'a> {
        media_type: &'a str,
        #[serde(borrow)]
        config: Descriptor<'a>,
        #[serde(borrow)]
        layers: Vec<Descriptor<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Descriptor<'a> {
        media_type: &'a str,
        digest: &'a str,
        size: u64,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Envelope<'a> {
        status_code: u16,
        body: &'a str,
    }

    let event: Event = serde_json::from_slice(event).unwrap();
    let request: Request = serde_json::from_str(&event.body).unwrap();
    let digest = Digest::of(request.image_manifest.as_bytes());
    let manifest: Manifest = serde_json::from_str(&request.image_manifest).unwrap();
    for descriptor in std::iter::once(&manifest.config).chain(&manifest.layers) {
        black_box((descriptor.media_type, descriptor.digest, descriptor.size));
    }
    let response = Response {
        image: Image {
            registry_id: "012345678910",
            repository_name: &request.repository_name,
            image_id: ImageId { image_digest: digest.as_str(), image_tag: &request.image_tag },
            image_manifest: &request.image_manifest,
            image_manifest_media_type: manifest.media_type,
        },
    };
    let response = serde_json::to_string(&response).unwrap();
    serde_json::to_vec(&Envelope { status_code: 200, body: &response }).unwrap()
}

#[derive(Serialize)]
struct Response<'a> {
    image: Image<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'a> {
    registry_id: &'a str,
    repository_name: &'a str,
    image_id: ImageId<'a>,
    image_manifest: &'a str,
    image_manifest_media_type: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageId<'a> {
    image_digest: &'a str,
    image_tag: &'a str,
}

/// The API reference's sample request as API Gateway sends it, with this shape's manifest.
fn push(shape: &Shape) -> Push {
    let mut event: Value = serde_json::from_str(include_str!("../events/put-image.json")).unwrap();
    let manifest = (shape.manifest)();
    let body = json!({
        "repositoryName": "amazonlinux",
        "imageTag": "2016.09",
        "imageManifest": manifest,
    });
    event["body"] = body.to_string().into();
    Push { event: serde_json::to_vec(&event).unwrap(), manifest }
}

/// As docker writes it, indented by three spaces.
fn small() -> String {
    docker(15, 3_502)
}

fn descriptors() -> String {
    docker(19_700, MAX_MANIFEST)
}

fn docker(layers: u64, bytes: usize) -> String {
    let descriptor = |number, kind| descriptor(number, format!("application/vnd.docker.{kind}"));
    let document = Document {
        schema_version: 2,
        media_type: "application/vnd.docker.distribution.manifest.v2+json",
        config: descriptor(u64::MAX, "container.image.v1+json"),
        layers: (0..layers).map(|n| descriptor(n, "image.rootfs.diff.tar.gzip")).collect(),
        annotations: BTreeMap::new(),
    };
    text(&document, "   ", bytes)
}

/// As buildkit writes it, indented by two spaces.
fn annotations() -> String {
    let descriptor = |number, kind| descriptor(number, format!("application/vnd.oci.image.{kind}"));
    let annotation = |n| (format!("org.example.annotation.{n:06}"), "x".repeat(95));
    let document = Document {
        schema_version: 2,
        media_type: "application/vnd.oci.image.manifest.v1+json",
        config: descriptor(u64::MAX, "config.v1+json"),
        layers: (0..15).map(|n| descriptor(n, "layer.v1.tar+gzip")).collect(),
        annotations: (0..30_800).map(annotation).collect(),
    };
    text(&document, "  ", MAX_MANIFEST)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    media_type: &'static str,
    config: Layer,
    layers: Vec<Layer>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    size: u64,
    digest: String,
}

fn descriptor(number: u64, media_type: String) -> Layer {
    let size = number % 100_000_000 + 10_000_000;
    Layer { media_type, size, digest: Digest::of(&number.to_be_bytes()).to_string() }
}

/// A manifest's text: at most `bytes` long, and at least 97 % of that.
fn text(document: &Document, indent: &str, bytes: usize) -> String {
    let mut text = Vec::new();
    let format = PrettyFormatter::with_indent(indent.as_bytes());
    document.serialize(&mut Serializer::with_formatter(&mut text, format)).unwrap();
    assert!((bytes / 100 * 97..=bytes).contains(&text.len()), "{}, not {bytes}", text.len());
    String::from_utf8(text).unwrap()
}
