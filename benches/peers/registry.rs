//! The registries that are compared, each a process of its own on loopback.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::http::{Answer, Connection, Request};
use crate::image::{self, MEDIA_TYPE};
use crate::stack::Stack;

const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.";
/// No registry here verifies the signature. It names the account and the region.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=012345678910/20261127/us-west-2/ecr/\
    aws4_request, SignedHeaders=host, Signature=00";

/// A running registry. It ends when this is dropped.
pub(crate) struct Registry {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    protocol: Protocol,
    process: Child,
    /// Holds its data or its configuration.
    _directory: TempDir,
}

enum Protocol {
    /// `serve`, whose layers are in its S3.
    Serve(Stack),
    /// ECR's API, where layers are not looked for.
    Ecr,
    /// The docker protocol.
    Distribution,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    /// `serve`, as `cargo build --release --example serve` has built it. On disk, it keeps its data
    /// in files.
    pub(crate) fn serve(name: &'static str, on_disk: bool) -> io::Result<Self> {
        let directory = directory()?;
        let bench = std::env::current_exe()?;
        let release = bench.parent().and_then(Path::parent).unwrap();
        let mut command = Command::new(release.join("examples/serve"));
        command.args(["--port", "0"]).env("IMAGES_PER_REPOSITORY", "1000000");
        // It cannot remove its temporary files when it is killed.
        command.env("TMPDIR", directory.path());
        if on_disk {
            command.arg("--data").arg(directory.path().join("data"));
        }
        let mut process = start(name, &mut command)?;
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut exports = HashMap::new();
        while !exports.contains_key("MANIFEST_BUCKET") {
            let line = lines.next().expect("serve prints its variables")?;
            let (export, value) = line.split_once('=').unwrap();
            exports.insert(export.trim_start_matches("export ").to_owned(), value.to_owned());
        }
        let url = exports["AWS_ENDPOINT_URL_ECR"].trim_start_matches("http://");
        let address = url.parse().unwrap();
        let protocol = Protocol::Serve(Stack::new(&exports));
        Ok(Self { name, address, protocol, process, _directory: directory })
    }

    pub(crate) fn moto() -> io::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new("moto_server");
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
        Self::peer("moto", address, Protocol::Ecr, &mut command, directory()?)
    }

    pub(crate) fn ministack() -> io::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new("ministack");
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", address.port().to_string());
        command.env("LOG_LEVEL", "ERROR");
        Self::peer("ministack", address, Protocol::Ecr, &mut command, directory()?)
    }

    /// Debian's `docker-registry`, with the cache that its package configures, and without access
    /// logs.
    pub(crate) fn distribution(name: &'static str, on_disk: bool) -> io::Result<Self> {
        let address = free_address()?;
        let directory = directory()?;
        let storage = if on_disk {
            json!({"filesystem": {"rootdirectory": directory.path().join("data")}})
        } else {
            json!({"inmemory": {}})
        };
        let mut configuration = json!({
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": storage,
            "http": {"addr": address.to_string()},
        });
        configuration["storage"]["cache"] = json!({"blobdescriptor": "inmemory"});
        let file = directory.path().join("config.yml");
        std::fs::write(&file, configuration.to_string())?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(file);
        Self::peer(name, address, Protocol::Distribution, &mut command, directory)
    }

    fn peer(
        name: &'static str,
        address: SocketAddr,
        protocol: Protocol,
        command: &mut Command,
        directory: TempDir,
    ) -> io::Result<Self> {
        let process = start(name, command.current_dir(directory.path()))?;
        let registry = Self { name, address, protocol, process, _directory: directory };
        for _ in 0..300 {
            if TcpStream::connect(address).is_ok() {
                return Ok(registry);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(io::Error::other(format!("{name} does not listen")))
    }

    /// `serve`'s table and buckets.
    pub(crate) fn stack(&self) -> Option<&Stack> {
        match &self.protocol {
            Protocol::Serve(stack) => Some(stack),
            _ => None,
        }
    }

    /// Creates a repository that has the layers of the images to come.
    pub(crate) fn create(&self, repository: &str) -> io::Result<()> {
        let mut connection = Connection::new(self.address);
        if let Protocol::Distribution = self.protocol {
            for blob in image::blobs() {
                let path = format!("/v2/{repository}/blobs/uploads/");
                let begun = connection.call(&Request::new("POST", &path, &[], &[]))?;
                let (_, path) = begun.location.split_once("/v2/").unwrap();
                let path = format!("/v2/{path}&digest={}", blob.digest);
                let headers = [("content-type", "application/octet-stream")];
                let put = Request::new("PUT", &path, &headers, &blob.bytes);
                self.expect(&connection.call(&put)?)?;
            }
            return Ok(());
        }
        let create = json!({"repositoryName": repository});
        self.expect(&connection.call(&ecr("CreateRepository", &create.to_string()))?)?;
        if let Some(stack) = self.stack() {
            stack.put_layers(repository, image::blobs());
        }
        Ok(())
    }

    /// The request that pushes a manifest.
    pub(crate) fn push(&self, repository: &str, (manifest, tag): &(String, String)) -> Request {
        if let Protocol::Distribution = self.protocol {
            let path = format!("/v2/{repository}/manifests/{tag}");
            return Request::new(
                "PUT",
                &path,
                &[("content-type", MEDIA_TYPE)],
                manifest.as_bytes(),
            );
        }
        let input =
            json!({"repositoryName": repository, "imageTag": tag, "imageManifest": manifest});
        ecr("PutImage", &input.to_string())
    }

    /// # Errors
    /// The response is not a success, so there is nothing to measure.
    pub(crate) fn expect(&self, answer: &Answer) -> io::Result<()> {
        if matches!(answer.status, 200..300) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&answer.body);
        let text = text.get(..500).unwrap_or(&text);
        Err(io::Error::other(format!("{}: {} {text}", self.name, answer.status)))
    }
}

fn ecr(action: &str, body: &str) -> Request {
    let target = format!("{TARGET}{action}");
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
        ("authorization", AUTHORIZATION),
    ];
    Request::new("POST", "/", &headers, body.as_bytes())
}

/// Starts a process with its log among the benchmarks' temporary files.
fn start(name: &str, command: &mut Command) -> io::Result<Child> {
    let log = format!("{}/{}.log", env!("CARGO_TARGET_TMPDIR"), name.replace(' ', "-"));
    let log = File::create(log)?;
    let stdout = if name.starts_with("serve") { Stdio::piped() } else { log.try_clone()?.into() };
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).stdout(stdout).stderr(log).spawn();
    child.map_err(|error| io::Error::other(format!("{program}: {error}; run scripts/peers")))
}

fn directory() -> io::Result<TempDir> {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
