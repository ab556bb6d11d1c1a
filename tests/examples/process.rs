//! The processes of the examples. They end with the test.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use tempfile::TempDir;

use crate::layout::Layout;

/// The end of a process.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Asserts that the process failed with one line on standard error that contains `says`.
    pub(crate) fn fails_with_one_line(&self, says: &str) {
        assert_eq!(self.code, Some(1), "{says}: {}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{says}: {}", self.stderr);
        assert!(self.stderr.contains(says), "{says}: {}", self.stderr);
    }
}

/// Runs `push` to its end, with only `environment` in its environment.
pub(crate) fn push(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    run("push", arguments, environment)
}

/// Runs a `serve` that cannot start to its end.
pub(crate) fn serve(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    run("serve", arguments, environment)
}

fn run(example: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let Output { status, stdout, stderr } =
        command(example, arguments, environment).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Cargo places the examples in a directory next to this test's.
fn command(example: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile: PathBuf = test.parent().unwrap().parent().unwrap().into();
    let program = profile.join("examples").join(example);
    assert!(program.exists(), "run `cargo build --examples` first");
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command
}

/// A running `serve`.
pub(crate) struct Serve {
    process: Child,
    /// Its temporary directory, which it cannot remove when it is killed.
    _temporary: TempDir,
    exports: Vec<(String, String)>,
    aws: SdkConfig,
}

impl Serve {
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = command("serve", arguments, environment);
        command.env("TMPDIR", temporary.path());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // All exports are printed before the greeting on standard error.
        let mut greeting = String::new();
        BufReader::new(process.stderr.take().unwrap()).read_line(&mut greeting).unwrap();
        assert!(greeting.contains("ECR is ready at http://127.0.0.1:"), "{greeting}");
        let mut exports = Vec::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        while exports.last().is_none_or(|(name, _)| name != "MANIFEST_BUCKET") {
            let line = lines.next().unwrap().unwrap();
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            exports.push((name.to_owned(), value.to_owned()));
        }
        let value = |name| exports.iter().find(|(n, _)| n == name).unwrap().1.clone();
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(value("AWS_REGION")))
            .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(
                Credentials::new(
                    value("AWS_ACCESS_KEY_ID"),
                    value("AWS_SECRET_ACCESS_KEY"),
                    None,
                    None,
                    "serve",
                ),
            ))
            .build();
        Self { process, _temporary: temporary, exports, aws }
    }

    /// The names of the exports, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.exports.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        &self.exports.iter().find(|(n, _)| n == name).unwrap().1
    }

    pub(crate) fn ecr(&self) -> aws_sdk_ecr::Client {
        self.ecr_at("")
    }

    /// A client of this resource below the endpoint.
    pub(crate) fn ecr_at(&self, resource: &str) -> aws_sdk_ecr::Client {
        let config = aws_sdk_ecr::config::Builder::from(&self.aws);
        let url = format!("{}{resource}", self.variable("AWS_ENDPOINT_URL_ECR"));
        aws_sdk_ecr::Client::from_conf(config.endpoint_url(url).build())
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.aws);
        let url = self.variable("AWS_ENDPOINT_URL_S3");
        aws_sdk_s3::Client::from_conf(config.endpoint_url(url).build())
    }

    /// Pushes `layout` to this endpoint from a shell with the exports and `environment`.
    pub(crate) fn push(
        &self,
        layout: &Layout,
        target: &str,
        environment: &[(&str, &str)],
    ) -> Ended {
        let exports = self.exports.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: BTreeMap<_, _> = exports.chain(environment.iter().copied()).collect();
        let all: Vec<_> = all.into_iter().collect();
        let url = self.variable("AWS_ENDPOINT_URL_ECR");
        push(&[layout.path(), "--endpoint", url, target], &all)
    }

    /// The keys in the layer bucket, sorted.
    pub(crate) async fn layers(&self) -> Vec<String> {
        let bucket = self.variable("LAYER_BUCKET");
        let response = self.s3().list_objects_v2().bucket(bucket).send().await.unwrap();
        let keys = response.contents().iter().map(|object| object.key().unwrap().to_owned());
        keys.collect()
    }

    /// The sort keys in the table that start with `prefix`, sorted.
    pub(crate) async fn sort_keys(&self, prefix: &str) -> Vec<String> {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.aws);
        let url = self.variable("AWS_ENDPOINT_URL_DYNAMODB");
        let client = aws_sdk_dynamodb::Client::from_conf(config.endpoint_url(url).build());
        let scan = client.scan().table_name(self.variable("TABLE_NAME"));
        let response = scan.consistent_read(true).send().await.unwrap();
        let keys = response.items().iter().map(|item| item["SK"].as_s().unwrap().to_owned());
        let mut keys: Vec<_> = keys.filter(|key| key.starts_with(prefix)).collect();
        keys.sort();
        keys
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends a signal that asks the process to end. Returns the exit code.
    pub(crate) fn terminate(&mut self, signal: &str) -> Option<i32> {
        let process = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &process]).status().unwrap();
        assert!(sent.success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An HTTP server that responds to one request.
pub(crate) struct RespondOnce {
    pub(crate) url: String,
    served: JoinHandle<String>,
}

impl RespondOnce {
    pub(crate) fn start(status: u16, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = thread::spawn(move || {
            let (connection, _) = listener.accept().unwrap();
            let mut connection = BufReader::new(connection);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert_ne!(connection.read_line(&mut head).unwrap(), 0);
            }
            let length = body.len();
            write!(
                connection.get_mut(),
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}",
            )
            .unwrap();
            // Closing with the request half read would cut off the response.
            connection.get_mut().shutdown(Shutdown::Write).unwrap();
            io::copy(&mut connection, &mut io::sink()).unwrap();
            head
        });
        Self { url, served }
    }

    /// The head of the request. Waits until the response was sent.
    pub(crate) fn request(self) -> String {
        self.served.join().unwrap()
    }
}
