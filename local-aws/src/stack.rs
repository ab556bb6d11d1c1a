//! The three services together: their endpoints, an SDK configuration, and their shutdown.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Faults, dynamodb, kms, listener, s3};

/// The access key that S3 accepts; `DynamoDB` and KMS accept any.
pub const ACCESS_KEY_ID: &str = "AKIDLOCALAWS00000001";
/// The secret of [`ACCESS_KEY_ID`]. It protects nothing, because the stack listens on loopback.
pub const SECRET_ACCESS_KEY: &str = "local-aws/secret/not-for-any-real-account";

/// How long [`Stack::stop`] waits for the calls in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// What [`Stack::start`] starts, and where it keeps its data.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of all data. Without one, everything is in memory, and S3's objects are in a
    /// temporary directory.
    pub data: Option<PathBuf>,
    /// The endpoint of a running `DynamoDB` to use instead of the embedded one. Its table must
    /// exist.
    pub dynamodb: Option<String>,
    /// The address to listen on. Ports are free ones.
    pub address: IpAddr,
    /// The `DynamoDB` table: keys `PK` and `SK`, both strings.
    pub table: String,
    /// The S3 bucket of the layers.
    pub layer_bucket: String,
    /// The S3 bucket of the manifests that are too large for an item.
    pub manifest_bucket: String,
    /// The region in ARNs, signatures and bucket locations.
    pub region: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            data: None,
            dynamodb: None,
            address: Ipv4Addr::LOCALHOST.into(),
            table: "ecr".into(),
            layer_bucket: "layers".into(),
            manifest_bucket: "manifests".into(),
            region: "us-west-2".into(),
        }
    }
}

impl Options {
    /// The environment variable `name` of a function that runs on the stack.
    ///
    /// `DEFAULT_KMS_KEY` is the alias of a symmetric key that every stack has. A stack with a data
    /// directory has the same key after a restart.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "AWS_REGION" => self.region.as_str(),
            "TABLE_NAME" => &self.table,
            "LAYER_BUCKET" => &self.layer_bucket,
            "MANIFEST_BUCKET" => &self.manifest_bucket,
            "DEFAULT_KMS_KEY" => kms::DEFAULT_ALIAS,
            _ => return None,
        };
        Some(value.to_owned())
    }
}

/// The running services. They end with [`Stack::stop`] or when this is dropped.
#[derive(Debug)]
pub struct Stack {
    options: Options,
    endpoints: Endpoints,
    http_client: SharedHttpClient,
    end: CancellationToken,
    servers: JoinSet<io::Result<()>>,
    _lock: Option<File>,
}

impl Stack {
    /// Starts `DynamoDB`, S3 and KMS, and creates the table and both buckets if they do not exist.
    ///
    /// # Errors
    /// If a port cannot be bound, the data directory cannot be read or written, or a bucket's name
    /// is invalid.
    pub async fn start(options: Options) -> io::Result<Stack> {
        let lock = options.data.as_deref().map(lock).transpose()?;
        let data = options.data.as_deref();
        let keys = kms::Keys::open(data, &options.region)?;
        let buckets = [options.layer_bucket.as_str(), options.manifest_bucket.as_str()];
        let objects = s3::open(data, &options.region, buckets, keys.clone()).await?;

        let s3_listener = listener::listen(options.address).await?;
        let kms_listener = listener::listen(options.address).await?;
        let end = CancellationToken::new();
        let mut servers = JoinSet::new();
        let shutdown = || end.clone().cancelled_owned();
        let dynamodb = if let Some(endpoint) = &options.dynamodb {
            endpoint.clone()
        } else {
            let database = dynamodb::open(data, &options.table)?;
            let listener = listener::listen(options.address).await?;
            let endpoint = url(listener.local_addr()?);
            servers.spawn(dynamodb::serve(listener, database, shutdown()));
            endpoint
        };
        let endpoints = Endpoints {
            dynamodb,
            s3: url(s3_listener.local_addr()?),
            kms: url(kms_listener.local_addr()?),
        };

        servers.spawn(listener::serve(s3_listener, objects, shutdown()));
        servers.spawn(listener::serve(kms_listener, keys.service(), shutdown()));
        let http_client = aws_smithy_http_client::Builder::new().build_http();
        Ok(Stack { options, endpoints, http_client, end, servers, _lock: lock })
    }

    /// The endpoint of `DynamoDB`, as `AWS_ENDPOINT_URL_DYNAMODB` takes it.
    #[must_use]
    pub fn dynamodb_url(&self) -> String {
        self.endpoints.dynamodb.clone()
    }

    /// The endpoint of S3, as `AWS_ENDPOINT_URL_S3` takes it.
    #[must_use]
    pub fn s3_url(&self) -> String {
        self.endpoints.s3.clone()
    }

    /// The endpoint of KMS, as `AWS_ENDPOINT_URL_KMS` takes it.
    #[must_use]
    pub fn kms_url(&self) -> String {
        self.endpoints.kms.clone()
    }

    /// The options that the stack was started with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What `aws_config` would load with the three `AWS_ENDPOINT_URL_*` variables and the
    /// credentials of this stack in the environment.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        let credentials =
            Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "local-aws");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(self.options.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .service_config(self.endpoints.clone())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .http_client(self.http_client.clone())
            .build()
    }

    /// [`sdk_config`](Self::sdk_config) with `faults` between its clients and the services.
    #[must_use]
    pub fn faulted_sdk_config(&self, faults: &Faults) -> SdkConfig {
        self.sdk_config().into_builder().http_client(faults.clone()).build()
    }

    /// Completes the calls in flight, closes the connections and removes temporary files. Calls that
    /// take longer than two seconds are cut off.
    pub async fn stop(mut self) {
        self.end.cancel();
        let all = async { while self.servers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP_TIMEOUT, all).await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The servers' tasks end with their set. This ends the connections that they spawned.
        self.end.cancel();
    }
}

/// Reserves the data directory for this stack until the stack or its process ends, because two
/// stacks would overwrite each other's files.
fn lock(directory: &Path) -> io::Result<File> {
    std::fs::create_dir_all(directory)?;
    let lock = File::create(directory.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another stack is using it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The endpoints by service, as the SDKs would find them in the environment.
#[derive(Clone, Debug)]
struct Endpoints {
    dynamodb: String,
    s3: String,
    kms: String,
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        match key.service_id().to_ascii_lowercase().as_str() {
            "dynamodb" => Some(self.dynamodb.clone()),
            "s3" => Some(self.s3.clone()),
            "kms" => Some(self.kms.clone()),
            _ => None,
        }
    }
}

/// The URL of a listener. A listener on all interfaces is reached through loopback.
fn url(listener: SocketAddr) -> String {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listener.port()))
}
