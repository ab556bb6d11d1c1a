//! A function's process. It ends with the test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use local_aws::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Stack};
use serde_json::Value;
use testing::{ACCOUNT, event};

use crate::runtime_api::{Outcome, RuntimeApi};

/// The function's time-out in the template.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(28);

pub(crate) struct Function {
    runtime_api: RuntimeApi,
    process: Child,
    log: Option<JoinHandle<Vec<String>>>,
}

impl Function {
    /// In Lambda's environment, with the embedded stack behind it.
    pub(crate) async fn start(stack: &Stack) -> Self {
        Self::start_with(stack, &[]).await
    }

    /// The same with more variables. They replace others of the same name.
    pub(crate) async fn start_with(stack: &Stack, environment: &[(&str, &str)]) -> Self {
        let mut command = command(stack);
        command.envs(environment.iter().copied());
        Self::spawn(command).await
    }

    /// The stack's second function.
    pub(crate) async fn start_sweeper(stack: &Stack) -> Self {
        Self::spawn(sweeper_command(stack)).await
    }

    async fn spawn(mut command: Command) -> Self {
        let runtime_api = RuntimeApi::start().await;
        let mut process = command
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let log = Some(thread::spawn(|| stdout.lines().map(Result::unwrap).collect()));
        Self { runtime_api, process, log }
    }

    /// The response to an event. The function must return one for every event.
    pub(crate) async fn response_to(&self, event: &Value) -> Value {
        self.response_within(TIMEOUT, event).await
    }

    pub(crate) async fn response_within(&self, timeout: Duration, event: &Value) -> Value {
        match self.invoke(timeout, event).await {
            Outcome::Response(response) => response,
            Outcome::Error(error) => panic!("the function failed: {error}"),
        }
    }

    pub(crate) async fn invoke(&self, timeout: Duration, event: &Value) -> Outcome {
        self.runtime_api.invoke(event.to_string(), timeout).await
    }

    /// Sends a call that has to succeed. Returns its body.
    pub(crate) async fn call(&self, action: &str, body: &Value) -> Value {
        let response = self.response_to(&event(action, ACCOUNT, &body.to_string())).await;
        assert_eq!(response["statusCode"], 200, "{response}");
        serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
    }

    /// The process's peak memory in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Ends the process. Returns every line that it logged.
    pub(crate) fn log(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The function's binary in Lambda's environment.
pub(crate) fn command(stack: &Stack) -> Command {
    let mut command = lambda(env!("CARGO_BIN_EXE_ecr-registry"), stack);
    command.env("LAYER_BUCKET", &stack.options().layer_bucket);
    command
}

/// The sweeper's binary in Lambda's environment.
pub(crate) fn sweeper_command(stack: &Stack) -> Command {
    lambda(env!("CARGO_BIN_EXE_sweeper"), stack)
}

fn lambda(binary: &str, stack: &Stack) -> Command {
    let options = stack.options();
    let mut command = Command::new(binary);
    command.env_clear().envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "ecr-registry"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/ecr-registry"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2016/12/16/[1]0"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
        ("AWS_REGION", &options.region),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("AWS_ENDPOINT_URL_DYNAMODB", &stack.dynamodb_url()),
        ("AWS_ENDPOINT_URL_S3", &stack.s3_url()),
        ("AWS_ENDPOINT_URL_KMS", &stack.kms_url()),
        ("TABLE_NAME", &options.table),
        ("MANIFEST_BUCKET", &options.manifest_bucket),
    ]);
    command
}
