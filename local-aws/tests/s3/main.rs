//! S3 through the SDK: what the layer and manifest buckets need, and what S3 rejects.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod access;
mod checksums;
mod conditions;
mod copies;
mod encryption;
mod listings;
mod multipart;
mod objects;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use local_aws::{Options, Stack};

async fn start() -> (Stack, Client) {
    let stack = Stack::start(Options::default()).await.unwrap();
    let client = Client::new(&stack.sdk_config());
    (stack, client)
}

async fn put(s3: &Client, key: &str, body: impl Into<Vec<u8>>) {
    let body = ByteStream::from(body.into());
    s3.put_object().bucket("layers").key(key).body(body).send().await.unwrap();
}

async fn content(s3: &Client, key: &str) -> Vec<u8> {
    let response = s3.get_object().bucket("layers").key(key).send().await.unwrap();
    response.body.collect().await.unwrap().to_vec()
}

/// The status of a HEAD.
async fn head(s3: &Client, bucket: &str, key: &str) -> u16 {
    status(s3.head_object().bucket(bucket).key(key).send().await)
}

fn status<T, E: std::fmt::Debug>(result: Result<T, SdkError<E, HttpResponse>>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(SdkError::ServiceError(error)) => error.raw().status().as_u16(),
        Err(error) => panic!("{error:?}"),
    }
}

/// `Ok`, or the code of the error.
fn code<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E, HttpResponse>>) -> String {
    match result {
        Ok(_) => "Ok".to_owned(),
        Err(error) => error.code().unwrap_or_default().to_owned(),
    }
}
