//! One hot repository: pushes arrive at random times and a fixed rate, and transactions conflict as
//! in DynamoDB. Every push of a new image writes the repository's item.
//!
//! `cargo bench --bench hot -- [seconds]` also shows the effect of two and four copies of that
//! item, of which a push uses one (`docs/PERFORMANCE.md`). As many repositories behave the same.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark"
)]

use std::sync::Arc;
use std::time::Duration;

use ecr_registry::App;
use ecr_registry::Config;
use ecr_registry::names::Digest;
use lambda_runtime::{Context, LambdaEvent};
use local_aws::{Faults, Options, Stack};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a transaction holds its items.
const SERVICE_TIME: Duration = Duration::from_millis(12);
/// New pushes per second, for each copy of the repository's item.
const OFFERED: u32 = 40;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(60));
    for copies in [1, 2, 4] {
        run(copies, time).await;
    }
}

async fn run(copies: u32, time: Duration) {
    let stack = Stack::start(Options::default()).await.expect("a stack");
    let options = stack.options();
    let faults = Faults::new();
    let config = Config::read(|name| options.variable(name)).expect("a configuration");
    let app = Arc::new(App::new(config, &stack.faulted_sdk_config(&faults)));
    for copy in 0..copies {
        let body = json!({ "repositoryName": format!("hot{copy}") });
        assert_eq!(call(&app, "CreateRepository", body).await, 200);
    }
    faults.conflicts(SERVICE_TIME..SERVICE_TIME);

    let rate = f64::from(OFFERED * copies);
    let began = Instant::now();
    let (mut due, mut offered) = (began, 0_u32);
    let mut pushes = JoinSet::new();
    loop {
        // A Poisson process: the time between two arrivals is exponential.
        due += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
        if due - began > time {
            break;
        }
        tokio::time::sleep_until(due).await;
        let (app, body) = (Arc::clone(&app), push(offered, copies));
        pushes.spawn(async move { (call(&app, "PutImage", body).await, due.elapsed()) });
        offered += 1;
    }
    let results = pushes.join_all().await;
    let elapsed = began.elapsed();

    let mut committed: Vec<Duration> =
        results.iter().filter(|(status, _)| *status == 200).map(|(_, latency)| *latency).collect();
    committed.sort_unstable();
    let count = f64::from(u32::try_from(committed.len()).expect("few"));
    let failed = f64::from(offered) - count;
    println!(
        "{copies} copies: {:.1}/s offered, {:.1}/s committed, {:.2} % failed, p50 {} ms, p99 {} ms, \
         {} conflicts",
        f64::from(offered) / time.as_secs_f64(),
        count / elapsed.as_secs_f64(),
        failed / f64::from(offered) * 100.0,
        committed[committed.len() / 2].as_millis(),
        committed[committed.len() * 99 / 100].as_millis(),
        faults.conflicted(),
    );
    stack.stop().await;
}

/// The push of an index without children, which needs no layer.
fn push(n: u32, copies: u32) -> Value {
    let media_type = "application/vnd.oci.image.index.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "manifests": [], "annotations": { "n": n.to_string() },
    });
    let manifest = manifest.to_string();
    let copy = fastrand::u32(..copies);
    json!({
        "repositoryName": format!("hot{copy}"),
        "imageDigest": Digest::of(manifest.as_bytes()).to_string(),
        "imageTag": format!("v{n}"),
        "imageManifest": manifest,
    })
}

/// The status of the response.
async fn call(app: &App, action: &str, body: Value) -> Value {
    let event = testing::event(action, testing::ACCOUNT, &body.to_string());
    let response = local::invoke(app, LambdaEvent::new(event, Context::default())).await;
    response["statusCode"].clone()
}
