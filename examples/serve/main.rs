//! Keeps the service and the `DynamoDB`, S3 and KMS under it running on loopback, and prints the
//! variables with which AWS's own clients find them. In one shell:
//!
//! ```sh
//! cargo run --example serve > stack.env
//! ```
//!
//! In another, once it says that ECR answers:
//!
//! ```sh
//! eval "$(cat stack.env)"
//! aws ecr create-repository --repository-name app/web
//! ```
#![expect(clippy::print_stderr, reason = "a command-line program")]

mod gateway;
#[path = "../local/mod.rs"]
mod local;

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use gateway::Gateway;
use local::Local;
use local_aws::{ACCESS_KEY_ID, Options, SECRET_ACCESS_KEY};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
Amazon ECR's PutImage and CreateRepository with the DynamoDB, S3 and KMS they need, in one process.

Usage: cargo run --example serve -- [OPTIONS]

Prints one `export NAME=value` line for each variable that AWS's clients need, then serves until
SIGINT or SIGTERM. Run those lines in another shell, and `aws ecr create-repository`, `aws s3 cp`
and `aws ecr put-image` work with no further option.

Options:
  --port N        the port of the ECR endpoint [default: 4567]; 0 takes a free one, as the other
                  endpoints do
  --address IP    where to listen [default: 127.0.0.1]; another one lets containers in, and
                  everybody else who reaches it: nothing checks who calls
  --execute-api   open a second ECR endpoint, EXECUTE_API_URL, that refuses what a deployed one
                  does: API Gateway takes signatures for the service `execute-api` alone
  --data DIR      keep everything in this directory; without it, all is gone at the end
  --help          print this

Environment: IMAGES_PER_REPOSITORY, TAGS_PER_IMAGE, LAYERS_PER_IMAGE and DEFAULT_KMS_KEY as the
function reads them; RUST_LOG (such as `info`) sends the function's log to stderr.
";

/// What the command line asks for.
struct Arguments {
    port: u16,
    address: IpAddr,
    execute_api: bool,
    data: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let served = match arguments() {
        Ok(Some(arguments)) => serve(arguments).await,
        Ok(None) => write!(io::stdout(), "{HELP}").map_err(Into::into),
        Err(error) => Err(format!("{error} (see --help)").into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

/// `None` where help is asked for.
fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    use lexopt::prelude::{Long, Short, ValueExt as _};
    let address = Ipv4Addr::LOCALHOST.into();
    let mut arguments = Arguments { port: 4567, address, execute_api: false, data: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => arguments.port = parser.value()?.parse()?,
            Long("address") => arguments.address = parser.value()?.parse()?,
            Long("execute-api") => arguments.execute_api = true,
            Long("data") => arguments.data = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { port, address, execute_api, data } = arguments;
    #[expect(clippy::disallowed_methods, reason = "the environment is read here, at the start")]
    let environment = |name: &str| std::env::var(name).ok();
    if environment("RUST_LOG").is_some() {
        // Standard output is for the exports alone.
        lambda_runtime::tracing::init_default_subscriber_with_writer(io::stderr);
    }
    // From here on a signal ends the service in order, however early it comes.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let options = Options { data, address, ..Options::default() };
    let local = Local::start(options, SocketAddr::new(address, port), environment).await?;
    let gateway = if execute_api { Some(Gateway::start(&local, environment).await?) } else { None };
    export(&local, gateway.as_ref())?;
    let kept = match &local.stack.options().data {
        Some(directory) => format!("everything is kept in {}", directory.display()),
        None => "nothing is kept at the end".to_owned(),
    };
    eprintln!("serve: ECR answers at {}; {kept}; Ctrl-C ends it", local.ecr_url);

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    if let Some(gateway) = gateway {
        gateway.stop().await;
    }
    local.stop().await;
    Ok(())
}

/// Prints what `eval` in a shell turns into the environment of AWS's clients.
fn export(local: &Local, gateway: Option<&Gateway>) -> io::Result<()> {
    let options = local.stack.options();
    let mut stdout = io::stdout().lock();
    if let Some(gateway) = gateway {
        writeln!(stdout, "export EXECUTE_API_URL={}", gateway.url)?;
    }
    for (name, value) in [
        ("AWS_ENDPOINT_URL_ECR", local.ecr_url.as_str()),
        ("AWS_ENDPOINT_URL_S3", &local.stack.s3_url()),
        ("AWS_ENDPOINT_URL_DYNAMODB", &local.stack.dynamodb_url()),
        ("AWS_ENDPOINT_URL_KMS", &local.stack.kms_url()),
        ("AWS_REGION", &options.region),
        ("AWS_DEFAULT_REGION", &options.region),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("TABLE_NAME", &options.table),
        ("LAYER_BUCKET", &options.layer_bucket),
        ("MANIFEST_BUCKET", &options.manifest_bucket),
    ] {
        writeln!(stdout, "export {name}={value}")?;
    }
    stdout.flush()
}
