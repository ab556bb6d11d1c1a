//! Pushes an image: the API reference's sample, explained step by step, or your own image from an
//! OCI image layout. See `--help`.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a command-line program")]

mod layout;
mod progress;
mod registry;
mod sample;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use aws_config::BehaviorVersion;
use ecr_registry::names::{ImageTag, RepositoryName};
use indicatif::DecimalBytes;
use layout::{Content, Image};
use local::Endpoint;
use local_aws::api_gateway::Api;
use local_aws::{Options, Stack};
use registry::{Outcome, Registry};

const HELP: &str = "\
Pushes an image to this implementation of Amazon ECR.

Usage: cargo run --example push
       cargo run --example push -- LAYOUT REPOSITORY[:TAG] [--endpoint URL]

Without arguments: sends the API reference's sample request to a registry in memory, and shows the
results. With arguments: pushes an image from LAYOUT, the directory of an OCI image layout, as
`skopeo copy … oci:LAYOUT` and `buildah push … oci:LAYOUT` write it.

The size and digest of every blob are checked first. Nothing is pushed from a broken layout. If the
layout has several images, TAG chooses the image of that name. TAG defaults to the image's name in
the layout, or to `latest` if it has no name. The config and each layer are uploaded to the layer
bucket in one request (at most 5 GiB; there is no multipart upload), unless they exist there. The
repository is created if it does not exist.

Options:
  --endpoint URL  the ECR endpoint to push to, with the region and credentials of the environment.
                  LAYER_BUCKET is the bucket for the layers, and AWS_ENDPOINT_URL_S3 its endpoint,
                  if set, as the example `serve` exports them. The registry is the caller's own.
                  Requests to a URL that contains `execute-api` are signed for API Gateway. Without
                  this option, the image is pushed to a registry in memory, as a trial
  --help          print this
";

/// The parsed command line.
enum Command {
    Help,
    Sample,
    Layout { layout: PathBuf, repository: RepositoryName, tag: Option<ImageTag>, to: Destination },
}

enum Destination {
    Memory,
    Endpoint(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    let pushed = match command() {
        Ok(Command::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Command::Sample) => sample::push().await,
        Ok(Command::Layout { layout, repository, tag, to }) => match layout::read(&layout, tag) {
            Ok(image) => push(&image, &repository, to).await,
            Err(fault) => Err(format!("{}: {fault}", layout.display()).into()),
        },
        Err(error) => Err(format!("{error} (see --help)").into()),
    };
    match pushed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("push: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<Command, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt as _};
    let mut layout = None;
    let mut target = None;
    let mut to = Destination::Memory;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("endpoint") => to = Destination::Endpoint(parser.value()?.string()?),
            Long("help") | Short('h') => return Ok(Command::Help),
            Value(value) if layout.is_none() => layout = Some(PathBuf::from(value)),
            Value(value) if target.is_none() => target = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match (layout, target, to) {
        (None, _, Destination::Memory) => Ok(Command::Sample),
        (None, ..) => Err("--endpoint needs a LAYOUT to push".into()),
        (Some(_), None, _) => Err("no REPOSITORY to push to".into()),
        (Some(layout), Some(target), to) => {
            let (repository, tag) = match target.split_once(':') {
                Some((repository, tag)) => (repository.to_owned(), Some(tag.to_owned())),
                None => (target, None),
            };
            let repository = RepositoryName::parse(repository)
                .map_err(|unmet| format!("the REPOSITORY {unmet}"))?;
            let tag = tag.map(ImageTag::parse).transpose();
            let tag = tag.map_err(|unmet| format!("the TAG {unmet}"))?;
            Ok(Command::Layout { layout, repository, tag, to })
        }
    }
}

/// Pushes `image` to the destination of the command line.
async fn push(image: &Image, name: &RepositoryName, to: Destination) -> Result<(), Box<dyn Error>> {
    match to {
        Destination::Endpoint(url) => {
            #[expect(clippy::disallowed_methods, reason = "the command's own environment")]
            let bucket = std::env::var("LAYER_BUCKET").ok().filter(|bucket| !bucket.is_empty());
            let bucket = bucket.ok_or("LAYER_BUCKET is not set: where do the layers go?")?;
            let aws = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
            push_to(&Registry::new(&aws, &url, bucket), image, name).await
        }
        Destination::Memory => {
            let stack = Stack::start(Options::default()).await?;
            let config = local::config(stack.options(), |_| None)?;
            let free_port = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
            let endpoint = Endpoint::open(free_port, Api::default(), config, &stack).await?;
            println!(
                "A trial in memory: to keep the image, run the example `serve` and use --endpoint."
            );
            let bucket = stack.options().layer_bucket.clone();
            let registry = Registry::new(&stack.sdk_config(), &endpoint.url, bucket);
            let pushed = push_to(&registry, image, name).await;
            endpoint.stop().await;
            stack.stop().await;
            pushed
        }
    }
}

/// Creates the repository. Then pushes each manifest after what it refers to.
async fn push_to(
    registry: &Registry,
    image: &Image,
    name: &RepositoryName,
) -> Result<(), Box<dyn Error>> {
    let (repository, outcome) = registry.create_repository(name).await?;
    println!("repository {name} in registry {}: {}", repository.registry, word(outcome, "created"));
    for manifest in &image.manifests {
        let content = match &manifest.content {
            Content::Blobs(blobs) => {
                let (mut sent, mut bytes) = (0, 0);
                for blob in blobs {
                    if registry.put_blob(&repository, blob).await? == Outcome::Done {
                        sent += 1;
                        bytes += blob.size;
                    }
                }
                format!("{sent} of {} blobs sent ({})", blobs.len(), DecimalBytes(bytes))
            }
            Content::Children(count) => format!("an index of {count}"),
        };
        // Children have no tags; the requested image or index comes last.
        let tag = (manifest.digest == image.root).then_some(&image.tag);
        let outcome = registry.put_image(&repository, manifest, tag).await?;
        let platform = manifest.platform.as_ref().map(|platform| format!("{platform}, "));
        let platform = platform.unwrap_or_default();
        println!("{}: {platform}{content}: {}", manifest.digest, word(outcome, "stored"));
    }
    println!("{name}:{} is {}", image.tag, image.root);
    Ok(())
}

fn word(outcome: Outcome, done: &'static str) -> &'static str {
    match outcome {
        Outcome::Done => done,
        Outcome::AlreadyThere => "already there",
    }
}
