//! Runs the service with an embedded `DynamoDB`, S3 and KMS on loopback, and prints the environment
//! variables that AWS's own clients need to call them. In one shell:
//!
//! ```sh
//! cargo run --example serve > stack.env
//! ```
//!
//! In another, after it has printed that ECR is ready:
//!
//! ```sh
//! eval "$(cat stack.env)"
//! aws ecr create-repository --repository-name app/web
//! ```
#![expect(clippy::print_stderr, reason = "a command-line program")]

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use local::Endpoint;
use local_aws::api_gateway::Api;
use local_aws::{ACCESS_KEY_ID, Options, SECRET_ACCESS_KEY, Stack};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The stage of the deployed API, as in template.yaml.
const STAGE: &str = "live";

const HELP: &str = "\
Runs Amazon ECR's PutImage and CreateRepository with the DynamoDB, S3 and KMS they need, in one
process.

Usage: cargo run --example serve -- [OPTIONS]

Prints one `export NAME=value` line for each variable that AWS's clients need, then serves until
SIGINT or SIGTERM. After you run these lines in another shell, `aws ecr create-repository`,
`aws s3 cp` and `aws ecr put-image` work there without further options.

Options:
  --port N        the port of the ECR endpoint [default: 4567]; 0 means a free port, which the
                  other endpoints always use
  --address IP    the address to listen on [default: 127.0.0.1]. Containers need another one, but
                  then everyone who can reach it has access, because no signature is verified
  --base-path P   serve the API below this path, such as /ecr, as a custom domain of API Gateway
                  does
  --execute-api   open a second ECR endpoint, EXECUTE_API_URL, that accepts only signatures for the
                  service `execute-api`, as API Gateway does
  --data DIR      keep all data in this directory; by default, no data is kept
  --help          print this

Environment: IMAGES_PER_REPOSITORY, TAGS_PER_IMAGE, LAYERS_PER_IMAGE and DEFAULT_KMS_KEY as the
function reads them; RUST_LOG (such as `info`) writes the function's log to stderr.
";

/// The parsed command line.
struct Arguments {
    port: u16,
    address: IpAddr,
    base_path: Option<String>,
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

/// `None` if help is requested.
fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    use lexopt::prelude::{Long, Short, ValueExt as _};
    let address = Ipv4Addr::LOCALHOST.into();
    let (base_path, data) = (None, None);
    let mut arguments = Arguments { port: 4567, address, base_path, execute_api: false, data };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => arguments.port = parser.value()?.parse()?,
            Long("address") => arguments.address = parser.value()?.parse()?,
            Long("base-path") => {
                arguments.base_path = Some(base_path_of(parser.value()?.string()?)?);
            }
            Long("execute-api") => arguments.execute_api = true,
            Long("data") => arguments.data = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(arguments))
}

/// One segment or several, with a slash before each and none at the end.
fn base_path_of(path: String) -> Result<String, lexopt::Error> {
    let is_unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let mut segments = path.split('/');
    let is_path = segments.next() == Some("")
        && path.len() > 1
        && segments.all(|segment| !segment.is_empty() && segment.chars().all(is_unreserved));
    if is_path { Ok(path) } else { Err("--base-path wants a path such as /ecr".into()) }
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { port, address, base_path, execute_api, data } = arguments;
    #[expect(clippy::disallowed_methods, reason = "the environment is read here, at the start")]
    let environment = |name: &str| std::env::var(name).ok();
    if environment("RUST_LOG").is_some() {
        // Standard output has only the exports.
        lambda_runtime::tracing::init_default_subscriber_with_writer(io::stderr);
    }
    // From here on a signal shuts the service down in order, however early it arrives.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let options = Options { data, address, ..Options::default() };
    let config = local::config(&options, environment)?;
    let directory = options.data.clone();
    let stack = Stack::start(options).await.map_err(|error| match &directory {
        Some(directory) => format!("cannot keep data in {}: {error}", directory.display()),
        None => format!("cannot start the stack: {error}"),
    })?;
    let open =
        |port, api| Endpoint::open(SocketAddr::new(address, port), api, config.clone(), &stack);
    let endpoint = open(port, Api { base_path, ..Api::default() }).await?;
    let execute_api = if execute_api {
        Some(open(0, Api { stage: Some(STAGE), ..Api::default() }).await?)
    } else {
        None
    };
    export(&stack, &endpoint, execute_api.as_ref(), config.default_kms_key.as_deref())?;
    let kept = match &directory {
        Some(directory) => format!("all data is kept in {}", directory.display()),
        None => "no data is kept".to_owned(),
    };
    eprintln!("serve: ECR is ready at {}; {kept}; Ctrl-C stops it", endpoint.url);

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    for endpoint in execute_api.into_iter().chain([endpoint]) {
        endpoint.stop().await;
    }
    stack.stop().await;
    Ok(())
}

/// Prints the `export` lines for the shell in which AWS's clients run.
fn export(
    stack: &Stack,
    endpoint: &Endpoint,
    execute_api: Option<&Endpoint>,
    default_kms_key: Option<&str>,
) -> io::Result<()> {
    let options = stack.options();
    let mut stdout = io::stdout().lock();
    if let Some(execute_api) = execute_api {
        writeln!(stdout, "export EXECUTE_API_URL={}", execute_api.url)?;
    }
    for (name, value) in [
        ("AWS_ENDPOINT_URL_ECR", endpoint.url.as_str()),
        ("AWS_ENDPOINT_URL_S3", &stack.s3_url()),
        ("AWS_ENDPOINT_URL_DYNAMODB", &stack.dynamodb_url()),
        ("AWS_ENDPOINT_URL_KMS", &stack.kms_url()),
        ("AWS_REGION", &options.region),
        ("AWS_DEFAULT_REGION", &options.region),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("TABLE_NAME", &options.table),
        ("LAYER_BUCKET", &options.layer_bucket),
        ("DEFAULT_KMS_KEY", default_kms_key.unwrap_or_default()),
        ("MANIFEST_BUCKET", &options.manifest_bucket),
    ] {
        writeln!(stdout, "export {name}={value}")?;
    }
    stdout.flush()
}
